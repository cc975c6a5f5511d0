//! The one WebAssembly engine: its settings, its clock, how many may use it at once, and what is loaded.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::cache::Cache;
use super::call::{Inner, Plugin};
use super::catalog::{self, Source};
use super::compile::Compiler;
use super::error::{Error, Subject};
use super::facts::{Facts, Given, micros};
use super::inert;
use super::limits::Limits;
use super::state::State;
use super::v1;

/// How often deadlines are looked at.
pub(super) const TICK: Duration = Duration::from_millis(10);
/// Core instances that one plugin may be made of; Python is made of 38.
pub(super) const INSTANCES: u32 = 64;
/// Memories that one plugin may have.
pub(super) const MEMORIES: u32 = 4;
/// Tables that one plugin may have.
pub(super) const TABLES: u32 = 32;
/// Memory that stays with a free slot, so that the next instance finds it warm, in bytes, where a plugin uses as much: Python
/// does, and takes a fifth more time a batch without. There is a slot for each memory of each plugin that runs at once.
const WARM: usize = 32 << 20;
/// Stack of a guest, in bytes: well within that of a blocking thread.
const STACK: usize = 512 << 10;

/// Loads and runs plugins. Cheap to clone.
#[derive(Clone)]
pub struct Engine(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) engine: wasmtime::Engine,
    pub(super) linker: Linker<State>,
    pub(super) limits: Limits,
    /// Whether instructions are counted.
    pub(super) metered: bool,
    pub(super) slots: Slots,
    compiler: Compiler,
    loaded: Mutex<HashMap<String, Weak<Inner>>>,
}

impl Engine {
    /// Starts the engine. Compiled plugins are kept in `cache`, a folder that is made if it is not there, and refused if
    /// others can use it.
    pub fn new(cache: Option<&Path>, limits: Limits) -> Result<Self, Error> {
        Self::start(cache, limits, false)
    }

    /// An engine that counts what plugins do, the same for the same batch on every machine (see [`super::Spent`]). It is
    /// slower for it, so nothing but tests of plugins runs on it.
    pub fn metered(cache: Option<&Path>, limits: Limits) -> Result<Self, Error> {
        Self::start(cache, limits, true)
    }

    fn start(cache: Option<&Path>, limits: Limits, metered: bool) -> Result<Self, Error> {
        let failed = |error: wasmtime::Error| Error::Engine { reason: format!("{error:#}") };
        let config = |pooled| {
            let mut config = config(&limits, pooled);
            config.consume_fuel(metered);
            config
        };
        // The pool reserves much address space, which some systems do not give; without it all is the same but slower.
        let engine = wasmtime::Engine::new(&config(true))
            .or_else(|_| wasmtime::Engine::new(&config(false)))
            .map_err(failed)?;
        let mut linker = Linker::new(&engine);
        v1::link(&mut linker).map_err(failed)?;
        inert::link(&mut linker).map_err(failed)?;
        let cache = cache.map(|path| Cache::open(path, &engine)).transpose()?;
        start_clock(&engine)?;
        Ok(Self(Arc::new(Shared {
            compiler: Compiler::new(cache, metered),
            slots: Slots::new(limits.concurrency.max(1)),
            loaded: Mutex::default(),
            engine,
            linker,
            limits,
            metered,
        })))
    }

    /// Loads a plugin: reads it whole, compiles it or takes the compiled form from the cache, and asks what it is.
    /// The same component is loaded once, wherever it comes from. Blocks, for seconds if it must be compiled.
    pub fn load(&self, source: &Source) -> Result<Plugin, Error> {
        self.load_noting(source, None, &mut Facts::default())
    }

    /// The same, of a component with this digest only (SHA-256 in hexadecimal); no other is even compiled.
    pub fn load_pinned(&self, source: &Source, digest: Option<&str>) -> Result<Plugin, Error> {
        self.load_noting(source, digest, &mut Facts::default())
    }

    /// The same, and what each step showed; when it fails, how far it came.
    pub fn inspect(&self, source: &Source) -> (Facts, Result<Plugin, Error>) {
        let mut facts = Facts::default();
        let loaded = self.load_noting(source, None, &mut facts);
        (facts, loaded)
    }

    fn load_noting(
        &self,
        source: &Source,
        pinned: Option<&str>,
        facts: &mut Facts,
    ) -> Result<Plugin, Error> {
        let loaded = catalog::read(source, self.0.limits.component_bytes)?;
        facts.bytes = Some(loaded.bytes.len() as u64);
        facts.digest = Some(loaded.digest.clone());
        if let Some(wanted) = pinned.filter(|wanted| *wanted != loaded.digest) {
            let (found, wanted) = (loaded.digest.into(), wanted.into());
            return Err(Error::Digest { subject: loaded.subject, found, wanted });
        }
        let known = |map: &HashMap<String, Weak<Inner>>| map.get(&loaded.digest)?.upgrade();
        if let Some(inner) = known(&locked(&self.0.loaded)) {
            return Ok(Plugin::new(inner));
        }
        let digest = loaded.digest.clone();
        let component = self.0.compiler.compile(&self.0.engine, &loaded, &self.0.limits)?;
        facts.compile_us = component.took.map(micros);
        let inner = Arc::new(Inner::start(self, component, digest.clone(), facts)?);
        let mut map = locked(&self.0.loaded);
        map.retain(|_, plugin| plugin.strong_count() > 0);
        map.insert(digest, Arc::downgrade(&inner));
        Ok(Plugin::new(inner))
    }

    /// The limits that it holds plugins to.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// What an interface name is to this host: linked, or why not.
    pub(super) fn import(&self, subject: &Subject, name: &str) -> Result<Given, Error> {
        let (interface, version) = name.split_once('@').unwrap_or((name, ""));
        if interface.starts_with(v1::PACKAGE) {
            return check_version(subject, interface, version).map(|()| Given::Contract);
        }
        if inert::INTERFACES.contains(&interface) {
            if version.starts_with("0.2.") {
                return Ok(Given::Inert);
            }
            let wants = format!("{interface} {version}");
            return Err(Error::ApiVersion { subject: subject.clone(), wants, offers: "WASI 0.2" });
        }
        Err(Error::ImportDenied { subject: subject.clone(), import: super::text::clean(name, 120) })
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

/// Whether an interface of the contract is of the major release that this host serves.
pub(super) fn check_version(
    subject: &Subject,
    interface: &str,
    version: &str,
) -> Result<(), Error> {
    if version.split('.').next() == Some(v1::MAJOR) {
        return Ok(());
    }
    let wants = super::text::clean(&format!("{interface} {version}"), 120);
    Err(Error::ApiVersion { subject: subject.clone(), wants, offers: v1::OFFERS })
}

/// The settings of an engine. The pool changes nothing of the code that is made for it.
pub(super) fn config(limits: &Limits, pooled: bool) -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .max_wasm_stack(STACK)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false);
    if pooled {
        let memory = usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX);
        let slots = limits.concurrency.max(1);
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(slots)
            .total_core_instances(slots * INSTANCES)
            .total_memories(slots * MEMORIES)
            .total_tables(slots * TABLES)
            .max_core_instances_per_component(INSTANCES)
            .max_memories_per_component(MEMORIES)
            .max_tables_per_component(TABLES)
            .max_core_instance_size(4 << 20)
            .max_component_instance_size(4 << 20)
            .table_elements(50_000)
            .max_memory_size(memory)
            .max_unused_warm_slots(slots)
            .linear_memory_keep_resident(WARM);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

/// Moves deadlines on for as long as the engine lives.
fn start_clock(engine: &wasmtime::Engine) -> Result<(), Error> {
    let engine = engine.weak();
    std::thread::Builder::new()
        .name(String::from("plugin-clock"))
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })
        .map(drop)
        .map_err(|error| Error::Engine { reason: format!("its clock does not start: {error}") })
}

/// A lock whose holder cannot leave it half-changed, so that a panic while it was held does not matter.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many instances may live at once: the pool has no more.
pub(super) struct Slots {
    free: Mutex<u32>,
    freed: Condvar,
}

impl Slots {
    fn new(count: u32) -> Self {
        Self { free: Mutex::new(count), freed: Condvar::new() }
    }

    /// Waits for a slot.
    pub(super) fn take(&self) -> Slot<'_> {
        let mut free = locked(&self.free);
        while *free == 0 {
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Slot(self)
    }
}

/// The right to have an instance.
pub(super) struct Slot<'a>(&'a Slots);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *locked(&self.0.free) += 1;
        self.0.freed.notify_one();
    }
}

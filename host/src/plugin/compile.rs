//! Turns components into code, within bounds: in a child process of the same program, because a compiler cannot be stopped
//! and a process can.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use wasmtime::component::Component;
use wasmtime::{Engine, Precompiled};

use super::cache::Cache;
use super::catalog::Loaded;
use super::child;
use super::error::{Error, Subject};
use super::limits::Limits;
use super::text::clean;

/// The program whose command [`child::COMMAND`] compiles; none in a process that is not it.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Says that this program has the command `compile-plugin` (see [`super::compile_child`]): plugins are then compiled in
/// child processes of it, which are stopped at the limits of time and memory. A process that never says so, such as a test
/// or a program that uses this library, compiles in itself, without these two limits.
pub fn compile_in_children_of(program: PathBuf) {
    // The first one stays: there is one program.
    PROGRAM.get_or_init(|| program);
}

/// A component that is ready to run.
pub(super) struct Compiled {
    pub(super) component: Component,
    pub(super) subject: Subject,
    /// How long compiling took; none when it came from the cache.
    pub(super) took: Option<Duration>,
}

/// Compiles components, or takes them from the cache.
pub(super) struct Compiler {
    cache: Option<Arc<Cache>>,
    metered: bool,
}

impl Compiler {
    pub(super) fn new(cache: Option<Cache>, metered: bool) -> Self {
        Self { cache: cache.map(Arc::new), metered }
    }

    /// The code of a component.
    pub(super) fn compile(
        &self,
        engine: &Engine,
        loaded: &Loaded,
        limits: &Limits,
    ) -> Result<Compiled, Error> {
        let Loaded { bytes, digest, subject } = loaded;
        refuse_other_formats(bytes, subject)?;
        if let Some(component) = self.cache.as_ref().and_then(|cache| cache.load(engine, digest)) {
            return Ok(Compiled { component, subject: subject.clone(), took: None });
        }
        let begun = Instant::now();
        let component = match PROGRAM.get() {
            Some(program) => {
                let order = child::Order { metered: self.metered, limits: limits.clone() };
                let code = child::compile(program, &order, bytes)
                    .map_err(|stop| stopped(subject, stop, limits))?;
                // SAFETY: the code was made by this very program's compiler, in a child that got the component and
                // nothing else, and came through a pipe that nobody else holds.
                let component = unsafe { Component::deserialize(engine, &code) };
                component.map(|component| (component, code))
            }
            None => Component::from_binary(engine, bytes)
                .and_then(|component| component.serialize().map(|code| (component, code))),
        };
        let (component, code) = component
            .map_err(|error| refused(subject, &format!("{error:#}"), limits.memory_bytes))?;
        let took = Some(begun.elapsed());
        if let Some(cache) = &self.cache
            && let Err(error) = cache.store(digest, &code)
        {
            tracing::warn!(%error, "a compiled plugin is not kept");
        }
        Ok(Compiled { component, subject: subject.clone(), took })
    }
}

fn stopped(subject: &Subject, stop: child::Stop, limits: &Limits) -> Error {
    let subject = subject.clone();
    match stop {
        child::Stop::Refused(reason) => refused(&subject, &reason, limits.memory_bytes),
        child::Stop::Late => Error::CompileTimeout { subject, ms: limits.compile_ms },
        child::Stop::Memory => Error::CompileMemory { subject, most: limits.compile_bytes },
        child::Stop::Broke(reason) => Error::Compile { subject, reason: clean(&reason, 400) },
    }
}

/// What the compiler's words mean.
fn refused(subject: &Subject, reason: &str, most: u64) -> Error {
    let subject = subject.clone();
    if reason.contains("memory has a minimum byte size") {
        return Error::MemoryStart { subject, most };
    }
    Error::Compile { subject, reason: clean(reason, 400) }
}

/// Components begin with the magic of WebAssembly and a version of their own.
fn refuse_other_formats(bytes: &[u8], subject: &Subject) -> Result<(), Error> {
    let subject = || subject.clone();
    if matches!(
        Engine::detect_precompiled(bytes),
        Some(Precompiled::Module | Precompiled::Component)
    ) {
        return Err(Error::Precompiled { subject: subject() });
    }
    match bytes {
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Err(Error::CoreModule { subject: subject() }),
        _ => Err(Error::NotComponent { subject: subject() }),
    }
}

//! Turns components into code, within bounds.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use wasmtime::component::Component;
use wasmtime::{Engine, Precompiled};

use super::cache::Cache;
use super::catalog::Loaded;
use super::error::{Error, Subject};
use super::limits::Limits;
use super::text::clean;

/// Plugins whose compiling took too long and goes on behind our back, at most.
const ABANDONED: usize = 2;

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
    abandoned: Arc<AtomicUsize>,
}

impl Compiler {
    pub(super) fn new(cache: Option<Cache>) -> Self {
        Self { cache: cache.map(Arc::new), abandoned: Arc::default() }
    }

    /// The code of a component. Cranelift cannot be stopped: after `compile_ms` this gives up waiting, and the
    /// compiling thread works on until it is done and leaves its result in the cache.
    pub(super) fn compile(
        &self,
        engine: &Engine,
        loaded: Loaded,
        limits: &Limits,
    ) -> Result<Compiled, Error> {
        let (ms, most) = (limits.compile_ms, limits.memory_bytes);
        let Loaded { bytes, digest, subject } = loaded;
        refuse_other_formats(&bytes, &subject)?;
        if let Some(component) = self.cache.as_ref().and_then(|cache| cache.load(engine, &digest)) {
            return Ok(Compiled { component, subject, took: None });
        }
        let running = self.abandoned.load(Ordering::Acquire);
        if running >= ABANDONED {
            return Err(Error::CompileBusy { subject, running });
        }
        let begun = Instant::now();
        let (done, result) = mpsc::sync_channel(1);
        let job = Job { state: Arc::default(), abandoned: self.abandoned.clone() };
        let (engine, cache, worker) = (engine.clone(), self.cache.clone(), job.clone());
        let work = move || {
            let _ended = Ended(worker);
            let compiled = Component::from_binary(&engine, &bytes);
            if let (Ok(component), Some(cache)) = (&compiled, &cache)
                && let Err(error) = cache.store(&digest, component)
            {
                tracing::warn!(%error, "a compiled plugin is not kept");
            }
            // Nobody may be waiting any more.
            drop(done.send(compiled));
        };
        let thread = std::thread::Builder::new().name(String::from("plugin-compile"));
        if let Err(error) = thread.spawn(work) {
            return Err(Error::Compile { subject, reason: format!("no thread for it: {error}") });
        }
        let mut compiled = result.recv_timeout(Duration::from_millis(ms));
        if matches!(compiled, Err(mpsc::RecvTimeoutError::Timeout)) {
            if job.abandon() {
                return Err(Error::CompileTimeout { subject, ms });
            }
            compiled = result.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected);
        }
        match compiled {
            Ok(Ok(component)) => Ok(Compiled { component, subject, took: Some(begun.elapsed()) }),
            Ok(Err(error)) => Err(refused(subject, &format!("{error:#}"), most)),
            Err(_) => {
                Err(Error::Compile { subject, reason: String::from("the compiler broke off") })
            }
        }
    }
}

/// A compilation, which ends or is abandoned.
#[derive(Clone)]
struct Job {
    state: Arc<AtomicU8>,
    abandoned: Arc<AtomicUsize>,
}

impl Job {
    const ABANDONED: u8 = 1;
    const ENDED: u8 = 2;

    /// Whether it is still running; it then counts as abandoned until it ends.
    fn abandon(&self) -> bool {
        self.abandoned.fetch_add(1, Ordering::AcqRel);
        let state = self.state.swap(Self::ABANDONED, Ordering::AcqRel);
        if state == Self::ENDED {
            self.abandoned.fetch_sub(1, Ordering::AcqRel);
        }
        state != Self::ENDED
    }
}

/// Tells that a compilation ended, however it did.
struct Ended(Job);

impl Drop for Ended {
    fn drop(&mut self) {
        if self.0.state.swap(Job::ENDED, Ordering::AcqRel) == Job::ABANDONED {
            self.0.abandoned.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// What the compiler's words mean.
fn refused(subject: Subject, reason: &str, most: u64) -> Error {
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

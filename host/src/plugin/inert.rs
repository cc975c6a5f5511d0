//! The parts of WASI that a language's runtime cannot start without, made inert.
//!
//! Written by hand instead of taken from wasmtime-wasi: that one sleeps on real clocks inside host calls, where no
//! deadline reaches, and wants an async runtime to poll. Here nothing waits, nothing is read, clocks stand still at the
//! batch's moment, and randomness follows from the batch, so that a batch can be replayed.

use wasmtime::StoreContextMut;
use wasmtime::component::{
    ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType,
};

use super::fault::{Fault, Refused};
use super::state::State;
use super::text::clean;

/// The interfaces that are linked, of WASI 0.2.
pub(super) const INTERFACES: [&str; 18] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// The release that is linked; it serves every guest of 0.2.
const RELEASE: &str = "0.2.12";
/// Text on standard error that is kept, in bytes.
const WORDS: usize = 4 << 10;
/// Random bytes given at once.
const RANDOM: u64 = 1 << 20;
const STDOUT: u32 = 1;
const STDERR: u32 = 2;

/// What the inert functions answer from.
#[derive(Debug, Default)]
pub(super) struct Inert {
    millis: u64,
    seed: u64,
    drawn: u64,
    stderr: Vec<u8>,
}

impl Inert {
    /// Clocks that stand at `millis` since 1970, and randomness from `seed`.
    pub(super) fn new(millis: u64, seed: u64) -> Self {
        Self { millis, seed, ..Self::default() }
    }

    /// What the guest wrote to standard error, safe to show.
    pub(super) fn last_words(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let text = text.split("note: run with `RUST_BACKTRACE").next().unwrap_or_default();
        clean(text.trim(), 1 << 10)
    }

    /// The next number, by splitmix64.
    fn draw(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        let mut z = self.seed.wrapping_add(self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        if count > RANDOM {
            let reason = format!("it asked for {count} random bytes at once");
            return Err(Refused(Fault::Trap(reason)).into());
        }
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < count {
            bytes.extend_from_slice(&self.draw().to_le_bytes());
        }
        bytes.truncate(usize::try_from(count).unwrap_or_default());
        Ok(bytes)
    }

    fn write(&mut self, stream: u32, bytes: &[u8]) {
        if stream == STDERR {
            let room = WORDS.saturating_sub(self.stderr.len());
            self.stderr.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }
}

struct IoError;
struct Pollable;
struct Input;
struct Output;
struct TerminalInput;
struct TerminalOutput;

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

type Context<'a> = StoreContextMut<'a, State>;
type Io<T> = Result<T, StreamError>;
type Set<'a> = LinkerInstance<'a, State>;

/// Links them all.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    for interface in INTERFACES {
        let mut set = linker.instance(&format!("{interface}@{RELEASE}"))?;
        match interface.split_once(':').map_or("", |(_, name)| name) {
            "io/error" => errors(&mut set)?,
            "io/poll" => poll(&mut set)?,
            "io/streams" => {
                input(&mut set)?;
                output(&mut set)?;
            }
            "clocks/monotonic-clock" => monotonic(&mut set)?,
            "clocks/wall-clock" => wall(&mut set)?,
            name if name.starts_with("random/") => random(&mut set, name)?,
            name => cli(&mut set, name)?,
        }
    }
    Ok(())
}

fn resource<T: 'static>(set: &mut Set<'_>, name: &str) -> wasmtime::Result<()> {
    set.resource(name, ResourceType::host::<T>(), |_, _| Ok(()))
}

fn errors(set: &mut Set<'_>) -> wasmtime::Result<()> {
    resource::<IoError>(set, "error")?;
    set.func_wrap("[method]error.to-debug-string", |_: Context<'_>, (_,): (Resource<IoError>,)| {
        Ok((String::from("there is nothing behind this stream"),))
    })
}

fn poll(set: &mut Set<'_>) -> wasmtime::Result<()> {
    resource::<Pollable>(set, "pollable")?;
    set.func_wrap("[method]pollable.ready", |_: Context<'_>, (_,): (Resource<Pollable>,)| {
        Ok((true,))
    })?;
    set.func_wrap("[method]pollable.block", |_: Context<'_>, (_,): (Resource<Pollable>,)| Ok(()))?;
    set.func_wrap("poll", |_: Context<'_>, (all,): (Vec<Resource<Pollable>>,)| {
        Ok(((0..u32::try_from(all.len()).unwrap_or_default()).collect::<Vec<u32>>(),))
    })
}

fn ready() -> Resource<Pollable> {
    Resource::new_own(0)
}

fn input(set: &mut Set<'_>) -> wasmtime::Result<()> {
    resource::<Input>(set, "input-stream")?;
    for name in ["read", "blocking-read"] {
        let name = format!("[method]input-stream.{name}");
        set.func_wrap(&name, |_: Context<'_>, (_, _): (Resource<Input>, u64)| {
            Ok((Io::<Vec<u8>>::Err(StreamError::Closed),))
        })?;
    }
    for name in ["skip", "blocking-skip"] {
        let name = format!("[method]input-stream.{name}");
        set.func_wrap(&name, |_: Context<'_>, (_, _): (Resource<Input>, u64)| {
            Ok((Io::<u64>::Err(StreamError::Closed),))
        })?;
    }
    set.func_wrap("[method]input-stream.subscribe", |_: Context<'_>, (_,): (Resource<Input>,)| {
        Ok((ready(),))
    })
}

fn output(set: &mut Set<'_>) -> wasmtime::Result<()> {
    resource::<Output>(set, "output-stream")?;
    set.func_wrap(
        "[method]output-stream.check-write",
        |_: Context<'_>, (_,): (Resource<Output>,)| Ok((Io::<u64>::Ok(64 << 10),)),
    )?;
    for name in ["write", "blocking-write-and-flush"] {
        let name = format!("[method]output-stream.{name}");
        set.func_wrap(
            &name,
            |mut context: Context<'_>, (stream, bytes): (Resource<Output>, Vec<u8>)| {
                context.data_mut().inert.write(stream.rep(), &bytes);
                Ok((Io::<()>::Ok(()),))
            },
        )?;
    }
    for name in ["flush", "blocking-flush"] {
        let name = format!("[method]output-stream.{name}");
        set.func_wrap(&name, |_: Context<'_>, (_,): (Resource<Output>,)| Ok((Io::<()>::Ok(()),)))?;
    }
    for name in ["write-zeroes", "blocking-write-zeroes-and-flush"] {
        let name = format!("[method]output-stream.{name}");
        set.func_wrap(&name, |_: Context<'_>, (_, _): (Resource<Output>, u64)| {
            Ok((Io::<()>::Ok(()),))
        })?;
    }
    for name in ["splice", "blocking-splice"] {
        let name = format!("[method]output-stream.{name}");
        set.func_wrap(
            &name,
            |_: Context<'_>, (_, _, _): (Resource<Output>, Resource<Input>, u64)| {
                Ok((Io::<u64>::Err(StreamError::Closed),))
            },
        )?;
    }
    set.func_wrap("[method]output-stream.subscribe", |_: Context<'_>, (_,): (Resource<Output>,)| {
        Ok((ready(),))
    })
}

fn monotonic(set: &mut Set<'_>) -> wasmtime::Result<()> {
    set.func_wrap("now", |context: Context<'_>, (): ()| {
        Ok((context.data().inert.millis.saturating_mul(1_000_000),))
    })?;
    set.func_wrap("resolution", |_: Context<'_>, (): ()| Ok((1_000_000_u64,)))?;
    // Nothing waits: what has not come yet counts as come.
    set.func_wrap("subscribe-instant", |_: Context<'_>, (_,): (u64,)| Ok((ready(),)))?;
    set.func_wrap("subscribe-duration", |_: Context<'_>, (_,): (u64,)| Ok((ready(),)))
}

fn wall(set: &mut Set<'_>) -> wasmtime::Result<()> {
    set.func_wrap("now", |context: Context<'_>, (): ()| {
        let millis = context.data().inert.millis;
        let nanoseconds = u32::try_from(millis % 1000).unwrap_or_default() * 1_000_000;
        Ok((Datetime { seconds: millis / 1000, nanoseconds },))
    })?;
    set.func_wrap("resolution", |_: Context<'_>, (): ()| {
        Ok((Datetime { seconds: 0, nanoseconds: 1_000_000 },))
    })
}

fn random(set: &mut Set<'_>, name: &str) -> wasmtime::Result<()> {
    if name == "random/insecure-seed" {
        return set.func_wrap("insecure-seed", |mut context: Context<'_>, (): ()| {
            let inert = &mut context.data_mut().inert;
            Ok(((inert.draw(), inert.draw()),))
        });
    }
    let (bytes, number) = match name {
        "random/insecure" => ("get-insecure-random-bytes", "get-insecure-random-u64"),
        _ => ("get-random-bytes", "get-random-u64"),
    };
    set.func_wrap(bytes, |mut context: Context<'_>, (count,): (u64,)| {
        Ok((context.data_mut().inert.bytes(count)?,))
    })?;
    set.func_wrap(number, |mut context: Context<'_>, (): ()| Ok((context.data_mut().inert.draw(),)))
}

fn cli(set: &mut Set<'_>, name: &str) -> wasmtime::Result<()> {
    match name {
        "cli/environment" => {
            set.func_wrap("get-environment", |_: Context<'_>, (): ()| {
                Ok((Vec::<(String, String)>::new(),))
            })?;
            set.func_wrap("get-arguments", |_: Context<'_>, (): ()| Ok((Vec::<String>::new(),)))?;
            set.func_wrap("initial-cwd", |_: Context<'_>, (): ()| Ok((None::<String>,)))
        }
        "cli/exit" => {
            set.func_wrap("exit", |_: Context<'_>, (_,): (Result<(), ()>,)| exit())?;
            set.func_wrap("exit-with-code", |_: Context<'_>, (_,): (u8,)| exit())
        }
        "cli/stdin" => set
            .func_wrap("get-stdin", |_: Context<'_>, (): ()| Ok((Resource::<Input>::new_own(0),))),
        "cli/stdout" => set.func_wrap("get-stdout", |_: Context<'_>, (): ()| {
            Ok((Resource::<Output>::new_own(STDOUT),))
        }),
        "cli/stderr" => set.func_wrap("get-stderr", |_: Context<'_>, (): ()| {
            Ok((Resource::<Output>::new_own(STDERR),))
        }),
        "cli/terminal-input" => resource::<TerminalInput>(set, "terminal-input"),
        "cli/terminal-output" => resource::<TerminalOutput>(set, "terminal-output"),
        "cli/terminal-stdin" => set.func_wrap("get-terminal-stdin", |_: Context<'_>, (): ()| {
            Ok((None::<Resource<TerminalInput>>,))
        }),
        _ => {
            let name = name.replace("cli/", "get-");
            set.func_wrap(&name, |_: Context<'_>, (): ()| Ok((None::<Resource<TerminalOutput>>,)))
        }
    }
}

fn exit() -> wasmtime::Result<()> {
    Err(Refused(Fault::Exit).into())
}

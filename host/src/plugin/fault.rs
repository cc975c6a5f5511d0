//! Why a call into a plugin broke, in words for its author.

use wasmtime::{Trap, WasmBacktrace};

use super::state::State;
use super::text::clean;
use crate::model::Rejection;

/// Why a call into a plugin broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It panicked; its last words, which name the place.
    Panic(String),
    /// It took longer than it may, in milliseconds.
    Timeout(u64),
    /// It wanted more memory than it may have, in bytes.
    Memory(u64),
    /// It handed over more than may cross in one call, in bytes.
    TooLarge(u64),
    /// It asked to end the process.
    Exit,
    /// It looked up more than it may, in keys.
    Lookup(u32),
    /// It broke in another way: WebAssembly's reason, and where.
    Trap(String),
    /// It answered something that is no answer.
    Invalid(String),
}

impl Fault {
    /// A stable code for `kilofold explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Panic(_) => "plugin.panic",
            Self::Timeout(_) => "plugin.timeout",
            Self::Memory(_) => "plugin.memory",
            Self::TooLarge(_) => "plugin.result-too-large",
            Self::Exit => "plugin.exit",
            Self::Lookup(_) => "plugin.lookup-limit",
            Self::Trap(_) => "plugin.trap",
            Self::Invalid(_) => "plugin.invalid-output",
        }
    }

    /// The rejection of the record that is to blame.
    pub fn rejection(&self) -> Rejection {
        Rejection { code: self.code().to_owned(), message: self.to_string(), field: None }
    }

    /// What a failed call means, given what the host saw during it. `allowed` is the time that the call had, in
    /// milliseconds.
    pub(super) fn of(error: &wasmtime::Error, state: &State, allowed: u64) -> Self {
        let trap = error.downcast_ref::<Trap>();
        if trap == Some(&Trap::Interrupt) {
            return Self::Timeout(allowed);
        }
        if let Some(fault) = error.downcast_ref::<Refused>() {
            return fault.0.clone();
        }
        // A refused allocation ends in `unreachable`, often without a word, so only the limiter knows.
        if state.limiter.refused {
            return Self::Memory(state.limiter.most);
        }
        let cause = error.root_cause().to_string();
        if cause.contains("fuel allocated for hostcalls has been exhausted") {
            return Self::TooLarge(state.result_bytes);
        }
        if trap == Some(&Trap::UnreachableCodeReached) {
            if let Some((_, message)) = &state.panicked {
                return Self::Panic(message.clone());
            }
            let words = state.without_secrets(state.inert.last_words());
            if !words.is_empty() {
                return Self::Panic(words);
            }
        }
        if trap.is_none() {
            // What it handed over could not be read: texts that are not UTF-8 or lie outside of its memory.
            return Self::Invalid(clean(&cause, 300));
        }
        Self::Trap(clean(
            &format!("{}{}", cause.trim_start_matches("wasm trap: "), places(error)),
            600,
        ))
    }
}

/// Whether a rejection with this code tells of a record that broke the plugin.
pub fn is_trap(code: &str) -> bool {
    const TRAPS: [&str; 7] =
        ["panic", "timeout", "memory", "result-too-large", "exit", "lookup-limit", "trap"];
    code.strip_prefix("plugin.").is_some_and(|code| TRAPS.contains(&code))
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Panic(message) => write!(f, "the plugin panicked: {message}"),
            Self::Timeout(ms) => write!(f, "the plugin was stopped after {ms} ms"),
            Self::Memory(bytes) => {
                write!(f, "the plugin wanted more than its {} of memory", size(*bytes))
            }
            Self::TooLarge(bytes) => write!(
                f,
                "the plugin handed over more than the {} that may cross in one call",
                size(*bytes)
            ),
            Self::Exit => f.write_str("the plugin asked to end the process"),
            Self::Lookup(keys) => {
                write!(f, "the plugin looked up more than {keys} keys in one batch")
            }
            Self::Trap(reason) => write!(f, "the plugin broke off: {reason}"),
            Self::Invalid(reason) => write!(f, "the plugin's answer is not valid: {reason}"),
        }
    }
}

/// A fault that a function of the host raises.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(pub(super) Fault);

/// The innermost functions of the guest, as far as it has names.
fn places(error: &wasmtime::Error) -> String {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    let trace = trace.to_string();
    let names: Vec<String> = trace
        .lines()
        .filter_map(|line| line.split_once(" - ").map(|(_, name)| plain_name(name.trim())))
        .take(4)
        .collect();
    if names.is_empty() { String::new() } else { format!(", in {}", names.join(" < ")) }
}

/// A function's name without what differs from build to build: the module's file, hashes of crates and functions.
fn plain_name(name: &str) -> String {
    let name = name.rsplit_once('!').map_or(name, |(_, name)| name);
    let hash = |part: &str| part.len() == 16 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let name = match name.rsplit_once("::h") {
        Some((name, tail)) if hash(tail) => name,
        _ => name,
    };
    let mut plain = String::new();
    for part in name.split_inclusive(']') {
        match part.strip_suffix(']').and_then(|part| part.rsplit_once('[')) {
            Some((before, inside)) if hash(inside) => plain.push_str(before),
            _ => plain.push_str(part),
        }
    }
    plain
}

/// Bytes as a person reads them, in the units of limits.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

//! All that a plugin can reach.

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For developers.
    Debug,
    /// What a user may want to know.
    Info,
    /// What a user should look at.
    Warn,
    /// What went wrong.
    Error,
}

/// Writes a line to the host's log; the macros are more pleasant.
#[doc(hidden)]
pub fn log(level: Level, message: &str) {
    imp::log(level, message);
}

/// Bodies of outputs already stored, as JSON text; none where there is no such output. One call for many keys is much
/// quicker than many calls, so mappings that join take the whole batch.
pub fn lookup(kind: &str, keys: &[&str]) -> Vec<Option<String>> {
    imp::lookup(kind, keys)
}

/// The body of one output already stored, as JSON text.
pub fn lookup_one(kind: &str, key: &str) -> Option<String> {
    lookup(kind, &[key]).into_iter().next().flatten()
}

pub(crate) use imp::in_hand;

#[cfg(target_arch = "wasm32")]
mod imp {
    use std::panic::PanicHookInfo;
    use std::sync::Once;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::Level;
    use crate::guest::kilofold::mapping::host;

    /// The record in hand, or this for none.
    const NONE: u32 = u32::MAX;
    static IN_HAND: AtomicU32 = AtomicU32::new(NONE);

    pub(crate) fn in_hand(index: Option<u32>) {
        IN_HAND.store(index.unwrap_or(NONE), Ordering::Relaxed);
    }

    pub(super) fn log(level: Level, message: &str) {
        let level = match level {
            Level::Debug => host::Level::Debug,
            Level::Info => host::Level::Info,
            Level::Warn => host::Level::Warn,
            Level::Error => host::Level::Error,
        };
        host::log(level, message);
    }

    pub(super) fn lookup(kind: &str, keys: &[&str]) -> Vec<Option<String>> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        host::lookup(kind, &keys)
    }

    /// Sends a panic's text and place to the host; a trap alone would only say `unreachable`.
    pub(crate) fn hook_panics() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| std::panic::set_hook(Box::new(panicked)));
    }

    fn panicked(info: &PanicHookInfo<'_>) {
        let text = info.payload_as_str().unwrap_or("no text");
        let message = match info.location() {
            Some(place) => {
                format!("{text} at {}:{}:{}", place.file(), place.line(), place.column())
            }
            None => text.to_owned(),
        };
        let index = Some(IN_HAND.load(Ordering::Relaxed)).filter(|it| *it != NONE);
        host::panicked(index, &message);
    }
}

#[cfg(target_arch = "wasm32")]
pub(crate) use imp::hook_panics;

#[cfg(not(target_arch = "wasm32"))]
mod imp {
    use super::Level;
    use crate::testing::HOST;

    pub(crate) fn in_hand(index: Option<u32>) {
        HOST.with_borrow_mut(|host| host.in_hand = index);
    }

    pub(super) fn log(level: Level, message: &str) {
        HOST.with_borrow_mut(|host| host.logs.push((level, message.to_owned())));
    }

    pub(super) fn lookup(kind: &str, keys: &[&str]) -> Vec<Option<String>> {
        HOST.with_borrow(|host| {
            let stored =
                |key: &&str| host.stored.get(&(kind.to_owned(), (*key).to_owned())).cloned();
            keys.iter().map(stored).collect()
        })
    }
}

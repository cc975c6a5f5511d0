//! What an instance can reach while it is called: log, lookup, last words; and what it may use.

use std::collections::HashMap;
use std::sync::Arc;

use wasmtime::ResourceLimiter;

use super::fault::{Fault, Refused};
use super::inert::Inert;
use super::limits::Limits;
use super::text::clean;
use super::v1::host;

/// The longest log line that is kept, in bytes.
const LINE: usize = 2 << 10;
/// The longest last words that are kept, in bytes.
const WORDS: usize = 1 << 10;

/// Stored outputs, for plugins that join across objects.
pub trait Lookup: Send + Sync {
    /// The bodies of these outputs, one for each key and in their order; none where there is no such output.
    fn lookup(&self, kind: &str, keys: &[String]) -> Vec<Option<String>>;

    /// Another number whenever what can be looked up may have changed; one that stays when nothing changes.
    fn version(&self) -> u64 {
        0
    }
}

/// No stored outputs at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLookup;

impl Lookup for NoLookup {
    fn lookup(&self, _kind: &str, keys: &[String]) -> Vec<Option<String>> {
        vec![None; keys.len()]
    }
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the author.
    Debug,
    /// For whoever runs it.
    Info,
    /// Something is odd.
    Warn,
    /// Something is wrong.
    Error,
}

/// A line that a plugin logged, safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// What it says.
    pub message: String,
}

/// The lines that a plugin logged during a batch.
#[derive(Debug, Default)]
pub(super) struct Logs {
    pub(super) lines: Vec<LogLine>,
    /// Lines that were not kept.
    pub(super) dropped: u64,
    lines_left: u32,
    bytes_left: u64,
}

impl Logs {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { lines_left: limits.log_lines, bytes_left: limits.log_bytes, ..Self::default() }
    }

    fn add(&mut self, level: Level, message: &str) {
        let room = usize::try_from(self.bytes_left).unwrap_or(usize::MAX).min(LINE);
        if self.lines_left == 0 || room == 0 {
            self.dropped += 1;
            return;
        }
        let message = clean(message, room);
        self.lines_left -= 1;
        self.bytes_left = self.bytes_left.saturating_sub(message.len() as u64);
        self.lines.push(LogLine { level, message });
    }
}

/// What was looked up during a batch: the same question has the same answer, however often a slice is mapped.
pub(super) struct Lookups {
    source: Arc<dyn Lookup>,
    known: HashMap<String, HashMap<String, Option<String>>>,
    bytes_left: u64,
    most: u32,
    keys_left: u32,
    /// What was stored when the first question of the batch was asked.
    version: Option<u64>,
    /// Whether that has changed, so that another answer would not fit those that were given.
    moved: bool,
}

impl Lookups {
    pub(super) fn new(source: Arc<dyn Lookup>, limits: &Limits) -> Self {
        Self {
            source,
            known: HashMap::new(),
            bytes_left: limits.memory_bytes,
            most: limits.lookup_keys,
            keys_left: 0,
            version: None,
            moved: false,
        }
    }

    /// Gives the next instance its allowance of keys.
    pub(super) fn renew(&mut self) {
        self.keys_left = self.most;
    }

    /// Whether what is stored changed between two questions of a batch. It must then be mapped from its start.
    pub(super) fn moved(&self) -> bool {
        self.moved
    }

    /// The same source, with nothing known of it.
    pub(super) fn anew(self, limits: &Limits) -> Self {
        Self::new(self.source, limits)
    }

    fn find(&mut self, kind: &str, keys: Vec<String>) -> Result<Vec<Option<String>>, Refused> {
        let refused = || Refused(Fault::Lookup(self.most));
        let asked = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        self.keys_left = self.keys_left.checked_sub(asked).ok_or_else(refused)?;
        let known = self.known.entry(kind.to_owned()).or_default();
        let news: Vec<String> =
            keys.iter().filter(|key| !known.contains_key(*key)).cloned().collect();
        if !news.is_empty() {
            let before = self.source.version();
            let fits = *self.version.get_or_insert(before) == before;
            let mut found = self.source.lookup(kind, &news).into_iter();
            for key in news {
                let body = found.next().flatten();
                let bytes = key.len() + body.as_ref().map_or(0, String::len) + 64;
                self.bytes_left = self.bytes_left.checked_sub(bytes as u64).ok_or_else(refused)?;
                known.insert(key, body);
            }
            if !fits || self.source.version() != before {
                self.moved = true;
                return Err(refused());
            }
        }
        Ok(keys.iter().map(|key| known.get(key).cloned().flatten()).collect())
    }
}

/// Counts what an instance takes, over all its memories and tables, and remembers a refusal.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Bytes that it may have.
    pub(super) most: u64,
    /// Bytes that it has; memories never shrink, so this is also the peak.
    pub(super) bytes: u64,
    /// Whether it was refused memory.
    pub(super) refused: bool,
    elements: usize,
}

impl Limiter {
    const ELEMENTS: usize = 100_000;

    fn new(most: u64) -> Self {
        Self { most, bytes: 0, refused: false, elements: 0 }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.bytes.saturating_add(desired.saturating_sub(current) as u64);
        let granted = wanted <= self.most;
        if granted {
            self.bytes = wanted;
        }
        self.refused |= !granted;
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.elements.saturating_add(desired.saturating_sub(current));
        let granted = wanted <= Self::ELEMENTS;
        if granted {
            self.elements = wanted;
        }
        Ok(granted)
    }

    fn instances(&self) -> usize {
        super::engine::INSTANCES as usize
    }

    fn tables(&self) -> usize {
        super::engine::TABLES as usize
    }

    fn memories(&self) -> usize {
        super::engine::MEMORIES as usize
    }
}

/// The host's side of one instance.
pub(super) struct State {
    pub(super) limiter: Limiter,
    pub(super) logs: Logs,
    pub(super) lookups: Option<Lookups>,
    /// Its last words, and the record that it had in hand.
    pub(super) panicked: Option<(Option<u32>, String)>,
    pub(super) inert: Inert,
    pub(super) result_bytes: u64,
    /// Secret settings, which are taken out of all that it says.
    pub(super) secrets: Arc<[String]>,
}

/// A secret of fewer bytes is no secret, and taking it out would garble everything.
const SECRET: usize = 4;

impl State {
    pub(super) fn new(limits: &Limits, logs: Logs, lookups: Option<Lookups>, inert: Inert) -> Self {
        Self {
            limiter: Limiter::new(limits.memory_bytes),
            logs,
            lookups,
            panicked: None,
            inert,
            result_bytes: limits.result_bytes,
            secrets: Arc::default(),
        }
    }

    /// What a plugin says, without its secret settings: it goes to logs and pages.
    pub(super) fn without_secrets(&self, mut text: String) -> String {
        for secret in self.secrets.iter().filter(|secret| secret.len() >= SECRET) {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), "[secret]");
            }
        }
        text
    }
}

impl host::Host for State {
    fn log(&mut self, level: host::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            host::Level::Debug => Level::Debug,
            host::Level::Info => Level::Info,
            host::Level::Warn => Level::Warn,
            host::Level::Error => Level::Error,
        };
        let message = self.without_secrets(message);
        self.logs.add(level, &message);
        Ok(())
    }

    fn lookup(&mut self, kind: String, keys: Vec<String>) -> wasmtime::Result<Vec<Option<String>>> {
        match &mut self.lookups {
            Some(lookups) => Ok(lookups.find(&kind, keys)?),
            None => Ok(vec![None; keys.len()]),
        }
    }

    fn panicked(&mut self, index: Option<u32>, message: String) -> wasmtime::Result<()> {
        if self.panicked.is_none() {
            let message = self.without_secrets(message);
            self.panicked = Some((index, clean(&message, WORDS)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn logs_are_bounded_and_clean() {
        let limits = Limits { log_lines: 3, log_bytes: 20, ..Limits::default() };
        let mut logs = Logs::new(&limits);
        for message in ["one\x1b[31m", "a very long line indeed", "three", "four"] {
            logs.add(Level::Info, message);
        }
        let shown: Vec<&str> = logs.lines.iter().map(|line| line.message.as_str()).collect();
        assert_eq!(shown, ["one\u{fffd}[31m", "a very lon…"]);
        assert_eq!(logs.dropped, 2);
    }

    #[test]
    fn secrets_are_taken_out_of_what_a_plugin_says() {
        let limits = Limits::default();
        let mut state = State::new(&limits, Logs::new(&limits), None, Inert::new(0, 0));
        state.secrets = ["hunter2".to_owned(), "no".to_owned()].into();
        host::Host::log(&mut state, host::Level::Info, "my token is hunter2, no more".to_owned())
            .unwrap();
        host::Host::panicked(&mut state, Some(3), "at hunter2hunter2".to_owned()).unwrap();
        assert_eq!(state.logs.lines[0].message, "my token is [secret], no more");
        assert_eq!(state.panicked, Some((Some(3), "at [secret][secret]".to_owned())));
    }

    #[test]
    fn lookups_are_bounded_and_consistent() {
        struct Counting(AtomicU32);
        impl Lookup for Counting {
            fn lookup(&self, kind: &str, keys: &[String]) -> Vec<Option<String>> {
                let n = self.0.fetch_add(1, Ordering::Relaxed);
                keys.iter().map(|key| Some(format!("{kind}/{key}/{n}"))).collect()
            }
        }
        let limits = Limits { lookup_keys: 4, ..Limits::default() };
        let mut lookups = Lookups::new(Arc::new(Counting(AtomicU32::new(0))), &limits);
        lookups.renew();
        let ask = |lookups: &mut Lookups, keys: &[&str]| {
            lookups.find("person", keys.iter().map(|&key| key.to_owned()).collect())
        };
        let first = ask(&mut lookups, &["a", "b"]).unwrap();
        assert_eq!(ask(&mut lookups, &["b", "a"]).unwrap(), [first[1].clone(), first[0].clone()]);
        assert!(ask(&mut lookups, &["c"]).is_err());
        lookups.renew();
        assert_eq!(ask(&mut lookups, &["a"]).unwrap(), first[..1]);
    }

    /// What is stored may change between two questions, or while one is answered.
    #[test]
    fn answers_of_two_moments_are_not_mixed() {
        struct Moving(AtomicU32, u32);
        impl Lookup for Moving {
            fn lookup(&self, _kind: &str, keys: &[String]) -> Vec<Option<String>> {
                let now = self.0.fetch_add(self.1, Ordering::Relaxed);
                keys.iter().map(|_| Some(now.to_string())).collect()
            }
            fn version(&self) -> u64 {
                u64::from(self.0.load(Ordering::Relaxed))
            }
        }
        let limits = Limits::default();
        let source = Arc::new(Moving(AtomicU32::new(7), 0));
        let mut lookups = Lookups::new(source.clone(), &limits);
        lookups.renew();
        let ask = |lookups: &mut Lookups, key: &str| lookups.find("person", vec![key.to_owned()]);
        assert_eq!(ask(&mut lookups, "a").unwrap(), [Some("7".to_owned())]);
        source.0.store(8, Ordering::Relaxed);
        assert_eq!(ask(&mut lookups, "a").unwrap(), [Some("7".to_owned())], "known already");
        assert!(ask(&mut lookups, "b").is_err() && lookups.moved());
        let mut lookups = lookups.anew(&limits);
        lookups.renew();
        assert_eq!(ask(&mut lookups, "a").unwrap(), ask(&mut lookups, "b").unwrap());
        let mut lookups = Lookups::new(Arc::new(Moving(AtomicU32::new(1), 1)), &limits);
        lookups.renew();
        assert!(ask(&mut lookups, "a").is_err() && lookups.moved());
    }

    #[test]
    fn memory_is_summed() {
        let mut limiter = Limiter::new(100);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.refused);
        assert!(limiter.memory_growing(60, 100, None).unwrap());
        assert_eq!(limiter.bytes, 100);
    }
}

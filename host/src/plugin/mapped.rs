//! For what a batch is mapped, and what comes of it.

use std::sync::Arc;
use std::time::Duration;

use super::settings::Settings;
use super::state::{LogLine, Lookup};
use crate::model::{Outcome, RunId, Stamp, SyncName};

/// For what a batch is mapped.
#[derive(Clone)]
pub struct Call<'a> {
    /// The object that the records are of.
    pub object: &'a str,
    /// The sync.
    pub sync: &'a SyncName,
    /// The run.
    pub run: RunId,
    /// Counts the batches of the run, from 0.
    pub batch: u32,
    /// When the page was read: the only clock that the plugin has.
    pub read_at: Stamp,
    /// The sync's settings, as [`super::Plugin::check_settings`] took them.
    pub settings: &'a Settings,
    /// The stored outputs.
    pub lookup: Arc<dyn Lookup>,
}

/// A batch as a plugin mapped it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// One a record, in order.
    pub outcomes: Vec<Outcome>,
    /// Records that broke the plugin; they are among the failed.
    pub traps: u32,
    /// What it logged.
    pub logs: Vec<LogLine>,
    /// Lines that it logged beyond what is kept.
    pub logs_dropped: u64,
    /// The most memory that an instance had, in bytes.
    pub peak_memory: u64,
    /// How long it took, encoding and decoding included.
    pub took: Duration,
    /// Where that time went.
    pub spent: Spent,
}

/// Where the time of a batch went, summed over its attempts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Making instances and giving them their settings.
    pub start: Duration,
    /// Writing records as the plugin reads them.
    pub encode: Duration,
    /// In the plugin, with the copies to and from its memory.
    pub guest: Duration,
    /// Checking and reading answers.
    pub decode: Duration,
    /// What the plugin did for its answer, in units of WebAssembly's instructions; 0 on an engine that does not count.
    pub fuel: u64,
}

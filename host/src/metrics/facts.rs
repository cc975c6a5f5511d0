//! Numbers that are not counted but read, when somebody asks.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::model::{ConsumerName, Stamp, SyncName, Usage};

/// What is true just now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// The hour.
    pub now: Stamp,
    /// The syncs.
    pub syncs: Vec<SyncFacts>,
    /// The org's day.
    pub usage: Option<Usage>,
    /// The first number that the feed keeps, and its last.
    pub feed: (u64, u64),
    /// How far each consumer is behind.
    pub lags: Vec<(ConsumerName, u64)>,
    /// What each destination of deliveries did not take.
    pub dead: Vec<(ConsumerName, u64)>,
    /// Bytes of the store on disk.
    pub store_bytes: u64,
}

/// What is true of one sync.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncFacts {
    /// Its name.
    pub name: SyncName,
    /// Records stored of it.
    pub records: u64,
    /// Outputs stored of it.
    pub outputs: u64,
    /// Records that stand as failed.
    pub failed: u64,
    /// Up to when everything in the org has been read; none before the first whole run.
    pub covered: Option<Stamp>,
    /// When its last success ended.
    pub succeeded: Option<Stamp>,
    /// Whether it is paused, by a person or by itself.
    pub paused: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySync {
    sync: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByConsumer {
    consumer: String,
}

type Seconds = Gauge<f64, AtomicU64>;

/// The gauges of what is read.
pub(super) struct Read {
    records: Family<BySync, Gauge>,
    outputs: Family<BySync, Gauge>,
    failed: Family<BySync, Gauge>,
    freshness: Family<BySync, Seconds>,
    succeeded: Family<BySync, Seconds>,
    paused: Family<BySync, Gauge>,
    used: Family<[(&'static str, &'static str); 0], Gauge>,
    max: Family<[(&'static str, &'static str); 0], Gauge>,
    start: Gauge,
    end: Gauge,
    lag: Family<ByConsumer, Gauge>,
    dead: Family<ByConsumer, Gauge>,
    bytes: Gauge,
    memory: Gauge,
    cpu: Seconds,
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Read {
    pub(super) fn register(registry: &mut Registry) -> Self {
        macro_rules! add {
            ($name:literal, $help:literal) => {{
                let metric = Default::default();
                registry.register($name, $help, Clone::clone(&metric));
                metric
            }};
        }
        Self {
            records: add!("stored_records", "Records that are stored"),
            outputs: add!("stored_outputs", "Outputs that are stored"),
            failed: add!("failed_records", "Records that stand as failed"),
            freshness: add!(
                "freshness_seconds",
                "How long ago the moment was up to which everything in the org has been read"
            ),
            succeeded: add!("last_success_seconds", "When the last success ended, since 1970"),
            paused: add!("sync_paused", "Whether the sync is paused: 1 or 0"),
            used: add!("org_calls_used", "Calls that the org made in 24 hours, as last read"),
            max: add!("org_calls_max", "Calls that the org may make in 24 hours"),
            start: add!("feed_start", "The first number that the feed keeps"),
            end: add!("feed_end", "The last number of the feed"),
            lag: add!("consumer_lag", "Changes that a consumer has not acknowledged"),
            dead: add!(
                "dead_letters",
                "Changes that a destination did not take, and that are kept"
            ),
            bytes: add!("store_bytes", "Bytes of the store on disk"),
            memory: add!("process_memory_bytes", "Memory of the process (resident)"),
            cpu: add!("process_cpu_seconds", "CPU time of the process"),
        }
    }

    pub(super) fn set(&self, facts: &Facts) {
        // What is no longer configured, or no longer known, is no longer told.
        self.freshness.clear();
        self.succeeded.clear();
        self.lag.clear();
        self.dead.clear();
        for sync in &facts.syncs {
            let by = BySync { sync: sync.name.to_string() };
            self.records.get_or_create(&by).set(whole(sync.records));
            self.outputs.get_or_create(&by).set(whole(sync.outputs));
            self.failed.get_or_create(&by).set(whole(sync.failed));
            self.paused.get_or_create(&by).set(i64::from(sync.paused));
            if let Some(covered) = sync.covered {
                self.freshness.get_or_create(&by).set(facts.now.since(covered).as_secs_f64());
            }
            if let Some(at) = sync.succeeded {
                self.succeeded.get_or_create(&by).set(at.0 as f64 / 1000.0);
            }
        }
        if let Some(usage) = facts.usage {
            self.used.get_or_create(&[]).set(whole(usage.used));
            self.max.get_or_create(&[]).set(whole(usage.max));
        }
        self.start.set(whole(facts.feed.0));
        self.end.set(whole(facts.feed.1));
        for (name, dead) in &facts.dead {
            let by = ByConsumer { consumer: name.to_string() };
            self.dead.get_or_create(&by).set(whole(*dead));
        }
        for (name, lag) in &facts.lags {
            let by = ByConsumer { consumer: name.to_string() };
            self.lag.get_or_create(&by).set(whole(*lag));
        }
        self.bytes.set(whole(facts.store_bytes));
        if let Some((memory, cpu)) = process() {
            self.memory.set(whole(memory));
            self.cpu.set(cpu);
        }
    }
}

/// Resident bytes and CPU seconds of this process, where the system tells them as Linux does.
fn process() -> Option<(u64, f64)> {
    // Fixed on Linux since long: pages of 4 KiB are told in kB in `status`, ticks are a hundredth of a second.
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").trim().parse().ok()?;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in parentheses, may have blanks.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let user: f64 = fields.nth(11)?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((kilobytes * 1024, (user + system) / 100.0))
}

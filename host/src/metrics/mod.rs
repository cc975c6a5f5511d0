//! What happened, as numbers for Prometheus: counted from the events, and read from what is stored when it is asked for.
//!
//! Labels hold names of the configuration and stable codes only, so that their number is bounded.

mod facts;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

pub use facts::{Facts, SyncFacts};

use crate::events::Event;
use crate::model::{ConsumerName, Counts, Ending, SyncName};
use facts::Read;

/// A Grafana dashboard of these metrics; `kilofold grafana` prints it.
pub const DASHBOARD: &str = include_str!("../../assets/grafana.json");

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySync {
    sync: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    sync: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStage {
    sync: String,
    stage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCode {
    sync: String,
    code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByPurpose {
    connection: String,
    sync: String,
    purpose: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByConnection {
    connection: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByVersion {
    version: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByDestination {
    destination: String,
    outcome: &'static str,
}

type Stages = Family<ByStage, Histogram, fn() -> Histogram>;

/// From a millisecond to two minutes: a commit takes some ten milliseconds, a slow page of Salesforce a minute.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0];

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

/// All metrics. Clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    runs: Family<ByOutcome, Counter>,
    running: Family<BySync, Gauge>,
    stops: Family<ByCode, Counter>,
    records: Family<ByOutcome, Counter>,
    pages: Family<BySync, Counter>,
    page_bytes: Family<BySync, Counter>,
    stages: Stages,
    retries: Family<BySync, Counter>,
    calls: Family<ByPurpose, Counter>,
    traps: Family<ByCode, Counter>,
    log_lines: Family<BySync, Counter>,
    memory: Family<BySync, Gauge>,
    healthy: Family<ByConnection, Gauge>,
    tidied: Counter,
    delivered: Family<ByDestination, Counter>,
    attempts: Family<ByDestination, Counter>,
    read: Read,
    /// One answer at a time: what is read is set before it is written.
    writing: Mutex<()>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("kilofold");
        macro_rules! add {
            ($name:literal, $help:literal) => {
                add!($name, $help, Default::default())
            };
            ($name:literal, $help:literal, $metric:expr) => {{
                let metric = $metric;
                registry.register($name, $help, Clone::clone(&metric));
                metric
            }};
        }
        let runs = add!("runs", "Runs that ended, by how");
        let running = add!("runs_in_hand", "Runs that have no ending yet");
        let stops = add!("run_stops", "Runs that failed or paused, by their code");
        let records = add!("records", "Records by what became of them");
        let pages = add!("pages", "Pages that arrived");
        let page_bytes = add!("page_bytes", "Bytes of pages, unpacked");
        let stages: Stages = add!(
            "stage_seconds",
            "Time of a page by stage: fetch, map, commit",
            Stages::new_with_constructor(seconds)
        );
        let retries = add!("request_retries", "Requests that were made again");
        let calls = add!("calls", "Requests to Salesforce, by what for");
        let traps = add!("plugin_traps", "Records that broke the plugin, by code");
        let log_lines = add!("plugin_log_lines", "Lines that plugins wrote to the log");
        let memory = add!("plugin_peak_memory_bytes", "Memory of the plugin with the last page");
        let healthy = add!("connection_healthy", "Whether a connection can be used: 1 or 0");
        let tidied = add!("feed_changes_removed", "Changes that retention took from the feed");
        let delivered =
            add!("delivered_changes", "Changes that a destination took, or that were given up");
        let attempts = add!("deliveries", "Requests to a destination, by whether it took them");
        let build: Family<ByVersion, Gauge> = add!("build", "The version that runs");
        build.get_or_create(&ByVersion { version: env!("CARGO_PKG_VERSION") }).set(1);
        let read = Read::register(&mut registry);
        Self(Arc::new(Inner {
            registry,
            runs,
            running,
            stops,
            records,
            pages,
            page_bytes,
            stages,
            retries,
            calls,
            traps,
            log_lines,
            memory,
            healthy,
            tidied,
            delivered,
            attempts,
            read,
            writing: Mutex::new(()),
        }))
    }
}

fn by(sync: &SyncName) -> BySync {
    BySync { sync: sync.to_string() }
}

fn to(destination: &ConsumerName, outcome: &'static str) -> ByDestination {
    ByDestination { destination: destination.to_string(), outcome }
}

/// How a run ended, in a word.
fn outcome(ending: &Ending) -> &'static str {
    match ending {
        Ending::Succeeded => "succeeded",
        Ending::SucceededWithFailures => "succeeded-with-failures",
        Ending::Paused { .. } => "paused",
        Ending::Failed { .. } => "failed",
        Ending::Interrupted => "interrupted",
    }
}

impl Metrics {
    /// Counts an event.
    pub fn hear(&self, event: &Event) {
        let all = &*self.0;
        match event {
            Event::RunStarted { sync, .. } => {
                all.running.get_or_create(&by(sync)).inc();
            }
            Event::PageFetched { sync, bytes, .. } => {
                all.pages.get_or_create(&by(sync)).inc();
                all.page_bytes.get_or_create(&by(sync)).inc_by(*bytes);
            }
            Event::BatchMapped { sync, peak_memory, .. } => {
                let bytes = i64::try_from(*peak_memory).unwrap_or(i64::MAX);
                all.memory.get_or_create(&by(sync)).set(bytes);
            }
            Event::BatchCommitted { sync, counts, timing, .. } => {
                self.count(sync, counts);
                let spans =
                    [("fetch", timing.fetch), ("map", timing.map), ("commit", timing.commit)];
                for (stage, micros) in spans {
                    let labels = ByStage { sync: sync.to_string(), stage };
                    all.stages.get_or_create(&labels).observe(micros as f64 / 1e6);
                }
            }
            Event::RunRetry { sync, .. } => {
                all.retries.get_or_create(&by(sync)).inc();
            }
            Event::RunEnded { sync, ending, .. } => {
                all.running.get_or_create(&by(sync)).dec();
                let labels = ByOutcome { sync: sync.to_string(), outcome: outcome(ending) };
                all.runs.get_or_create(&labels).inc();
                if let Ending::Paused { code, .. } | Ending::Failed { code, .. } = ending {
                    let labels = ByCode { sync: sync.to_string(), code: code.clone() };
                    all.stops.get_or_create(&labels).inc();
                }
            }
            Event::CallSpent { connection, sync, purpose, .. } => {
                let sync = sync.as_ref().map(ToString::to_string).unwrap_or_default();
                let connection = connection.to_string();
                let labels = ByPurpose { connection, sync, purpose: purpose.as_str() };
                all.calls.get_or_create(&labels).inc();
            }
            Event::PluginTrapped { sync, code, .. } => {
                let labels = ByCode { sync: sync.to_string(), code: code.clone() };
                all.traps.get_or_create(&labels).inc();
            }
            Event::PluginLogged { sync, .. } => {
                all.log_lines.get_or_create(&by(sync)).inc();
            }
            Event::ConnectionChanged { connection, state, .. } => {
                let labels = ByConnection { connection: connection.to_string() };
                all.healthy.get_or_create(&labels).set(i64::from(state == "healthy"));
            }
            Event::StoreTidied { changes, .. } => {
                all.tidied.inc_by(*changes);
            }
            Event::Delivered { destination, changes, .. } => {
                all.delivered.get_or_create(&to(destination, "taken")).inc_by(*changes);
                all.attempts.get_or_create(&to(destination, "taken")).inc();
            }
            Event::DeliveryFailed { destination, .. } => {
                all.attempts.get_or_create(&to(destination, "failed")).inc();
            }
            Event::DeliveryBuried { destination, changes, .. } => {
                all.delivered.get_or_create(&to(destination, "dead")).inc_by(*changes);
            }
            _ => {}
        }
    }

    fn count(&self, sync: &SyncName, counts: &Counts) {
        let Counts { fetched: _, mapped, unchanged, skipped, failed, deleted } = *counts;
        let all = [
            ("mapped", mapped),
            ("unchanged", unchanged),
            ("skipped", skipped),
            ("failed", failed),
            ("deleted", deleted),
        ];
        for (outcome, number) in all {
            let labels = ByOutcome { sync: sync.to_string(), outcome };
            self.0.records.get_or_create(&labels).inc_by(number);
        }
    }

    /// Everything as Prometheus reads it (OpenMetrics text), with what is true just now.
    pub fn write(&self, facts: &Facts) -> Result<String, fmt::Error> {
        let _one = self.0.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.read.set(facts);
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests;

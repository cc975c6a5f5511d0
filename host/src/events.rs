//! What happens, told once: logs, metrics, traces, the page and the terminal all read these events.

mod log;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::model::{
    ConnectionName, ConsumerName, Counts, Ending, Purpose, RecordId, RunId, Stamp, SyncName,
    Timing, Trigger,
};
use crate::traces::Traces;

/// Events that a slow listener may fall behind before it loses the oldest.
const BEHIND: usize = 4096;

/// How much a log line of a plugin matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// For the plugin's author.
    Debug,
    /// Worth knowing.
    Info,
    /// Worth a look.
    Warn,
    /// Worth mending.
    Error,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A run began.
    RunStarted {
        /// The run.
        run: RunId,
        /// Its sync.
        sync: SyncName,
        /// The sync's object.
        object: String,
        /// What started it.
        trigger: Trigger,
    },
    /// A page arrived.
    PageFetched {
        /// The run.
        run: RunId,
        /// Its sync.
        sync: SyncName,
        /// The page's number in the run, from 0.
        page: u64,
        /// Records on it.
        records: u64,
        /// Bytes of the answer, unpacked.
        bytes: u64,
        /// How many records the whole query has, as Salesforce said.
        expected: Option<u64>,
        /// From request to last byte, in microseconds.
        took_us: u64,
        /// From its last byte until the plugin was free for it, in microseconds.
        #[serde(default)]
        waited_us: u64,
        /// Salesforce's id of the request.
        request_id: Option<String>,
    },
    /// A plugin mapped a batch.
    BatchMapped {
        /// The run.
        run: RunId,
        /// Its sync.
        sync: SyncName,
        /// The page's number in the run.
        page: u64,
        /// Records that became outputs.
        mapped: u64,
        /// Records that were left out.
        skipped: u64,
        /// Records that could not be mapped.
        failed: u64,
        /// The plugin's peak memory, in bytes.
        peak_memory: u64,
        /// In microseconds.
        took_us: u64,
    },
    /// A batch became durable.
    BatchCommitted {
        /// The run.
        run: RunId,
        /// Its sync.
        sync: SyncName,
        /// The page's number in the run.
        page: u64,
        /// The batch's records.
        counts: Counts,
        /// The run's records so far.
        total: Counts,
        /// The run's calls so far.
        calls: u64,
        /// How many records the run will have, when known.
        expected: Option<u64>,
        /// The last sequence number of the feed.
        feed_end: u64,
        /// Where the batch's time went.
        timing: Timing,
    },
    /// A request of a run is made again.
    RunRetry {
        /// The run.
        run: RunId,
        /// Its sync.
        sync: SyncName,
        /// The page's number in the run; none before the first is asked for.
        #[serde(default)]
        page: Option<u64>,
        /// What went wrong.
        reason: String,
        /// The wait before the next attempt, in milliseconds.
        waited_ms: u64,
    },
    /// Something that a reader of the run should know.
    RunNoted {
        /// The run.
        run: RunId,
        /// Its sync.
        sync: SyncName,
        /// A plain sentence.
        note: String,
    },
    /// A run ended.
    RunEnded {
        /// The run.
        run: RunId,
        /// Its sync.
        sync: SyncName,
        /// How.
        ending: Ending,
        /// Its records.
        counts: Counts,
        /// Its calls that Salesforce counts.
        calls: u64,
        /// In milliseconds.
        took_ms: u64,
    },
    /// A request was paid for and is about to be sent.
    CallSpent {
        /// The connection.
        connection: ConnectionName,
        /// The sync, when one asked.
        sync: Option<SyncName>,
        /// The run, when one asked.
        #[serde(default)]
        run: Option<RunId>,
        /// The page's number in the run, when it is one.
        #[serde(default)]
        page: Option<u64>,
        /// What for.
        purpose: Purpose,
    },
    /// Salesforce answered a question that brings no records, such as for an object's description, its clock or the limits;
    /// or it was given up.
    Answered {
        /// The connection.
        connection: ConnectionName,
        /// The sync, when one asked.
        sync: Option<SyncName>,
        /// The run, when one asked.
        run: Option<RunId>,
        /// What was asked.
        purpose: Purpose,
        /// Why there is no answer; none: there is one.
        code: Option<String>,
        /// With what was asked again and waited for, in microseconds.
        took_us: u64,
    },
    /// Salesforce was asked for a new token.
    TokenRenewed {
        /// The connection.
        connection: ConnectionName,
        /// The sync for which, when it was one.
        sync: Option<SyncName>,
        /// The run for which, when it was one.
        run: Option<RunId>,
        /// Why there is none; none: there is one.
        code: Option<String>,
        /// In microseconds.
        took_us: u64,
    },
    /// Salesforce told how much of the org's day is spent.
    LimitSeen {
        /// Calls that the org has made in 24 hours.
        used: u64,
        /// Calls that it may make.
        max: u64,
    },
    /// A call was refused, by the gate or by Salesforce.
    LimitHit {
        /// The connection.
        connection: ConnectionName,
        /// The sync, when one asked.
        sync: Option<SyncName>,
        /// A stable code, for example `limit.daily`.
        code: String,
        /// Why, for a person.
        reason: String,
        /// When calls may be possible again.
        until: Option<Stamp>,
    },
    /// A connection's health changed.
    ConnectionChanged {
        /// The connection.
        connection: ConnectionName,
        /// `healthy`, `not-connected`, `reconnect-needed` or `refused`.
        state: String,
        /// Why, when it is not healthy.
        reason: Option<String>,
    },
    /// A run reads through another connection than its sync's, or than before.
    SyncMoved {
        /// The run.
        run: RunId,
        /// Its sync.
        sync: SyncName,
        /// The connection that cannot be used.
        from: ConnectionName,
        /// The one that is used instead.
        to: ConnectionName,
        /// Why.
        reason: String,
    },
    /// A record made the plugin trap.
    PluginTrapped {
        /// The run.
        run: RunId,
        /// Its sync.
        sync: SyncName,
        /// The page's number in the run.
        #[serde(default)]
        page: u64,
        /// The record.
        record: RecordId,
        /// A stable code, for example `plugin.panic`.
        code: String,
        /// The plugin's last words.
        message: String,
    },
    /// A plugin wrote a log line.
    PluginLogged {
        /// The run.
        run: RunId,
        /// Its sync.
        sync: SyncName,
        /// The page's number in the run.
        #[serde(default)]
        page: u64,
        /// How much it matters.
        level: Level,
        /// The line.
        message: String,
    },
    /// A sync uses another plugin from its next batch on.
    PluginChanged {
        /// The sync.
        sync: SyncName,
        /// The plugin's name.
        name: String,
        /// Its version.
        version: String,
        /// SHA-256 of the component, in hexadecimal.
        digest: String,
        /// SHA-256 of the one that it was before; none when that could not be loaded.
        before: Option<String>,
        /// Why: `its file changed`, `it was enabled` or `it was rolled back to`.
        why: String,
    },
    /// A changed plugin was not taken; the sync goes on with the one that it has.
    PluginRefused {
        /// The sync.
        sync: SyncName,
        /// SHA-256 of the component, in hexadecimal; empty when it could not be read.
        digest: String,
        /// A stable code, for example `plugin.tried-out`.
        code: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A sync will not run until it is resumed.
    SyncPaused {
        /// The sync.
        sync: SyncName,
        /// Why; none when a person asked for it.
        reason: Option<String>,
    },
    /// A sync runs again.
    SyncResumed {
        /// The sync.
        sync: SyncName,
    },
    /// The schedule found syncs due.
    ScheduleTick {
        /// Those that it started now, in order.
        started: Vec<SyncName>,
        /// Those that are due and wait for a free place.
        waiting: Vec<SyncName>,
        /// When it looks again, when a time is known.
        next: Option<Stamp>,
    },
    /// Old history was removed from the store.
    StoreTidied {
        /// Changes of the feed that went.
        changes: u64,
        /// Stored values of the history of runs that went.
        history: u64,
        /// In milliseconds.
        took_ms: u64,
    },
    /// A destination took changes.
    Delivered {
        /// The destination.
        destination: ConsumerName,
        /// How many.
        changes: u64,
        /// It has everything up to this number.
        last: u64,
        /// From the request to its answer, in milliseconds.
        took_ms: u64,
    },
    /// A destination did not take changes; they are sent again.
    DeliveryFailed {
        /// The destination.
        destination: ConsumerName,
        /// A stable code.
        code: String,
        /// Why.
        reason: String,
        /// How often they were sent.
        attempts: u32,
        /// How many changes the last request had.
        changes: u64,
        /// From that request to its answer, in milliseconds.
        took_ms: u64,
        /// When they are sent again.
        until: Stamp,
    },
    /// Changes were put among the dead letters of a destination.
    DeliveryBuried {
        /// The destination.
        destination: ConsumerName,
        /// How many.
        changes: u64,
        /// A stable code.
        code: String,
        /// Why.
        reason: String,
        /// From the last request to its answer, in milliseconds; none when nothing could be sent.
        took_ms: Option<u64>,
    },
    /// The host is ready.
    HostStarted {
        /// Its version.
        version: String,
        /// Where the page and the API are.
        listen: Option<String>,
    },
    /// The host stops after the batches in hand.
    HostStopping,
}

/// An event with its place in the order of all, and its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Counts the events of this process, from 1.
    pub seq: u64,
    /// When, by the local clock.
    pub at: Stamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Where events are told and heard.
#[derive(Debug, Clone)]
pub struct Bus {
    sender: broadcast::Sender<Arc<Told>>,
    told: Arc<AtomicU64>,
    clock: Clock,
    metrics: Metrics,
    traces: Option<Traces>,
}

impl Default for Bus {
    fn default() -> Self {
        Self::new()
    }
}

impl Bus {
    /// A bus that nobody listens to yet.
    pub fn new() -> Self {
        Self::with_clock(Clock::default())
    }

    /// The same, with a clock of one's own.
    pub fn with_clock(clock: Clock) -> Self {
        let (sender, _) = broadcast::channel(BEHIND);
        Self {
            sender,
            told: Arc::new(AtomicU64::new(0)),
            clock,
            metrics: Metrics::default(),
            traces: None,
        }
    }

    /// The same, with traces made of what is told.
    pub fn with_traces(self, traces: Option<Traces>) -> Self {
        Self { traces, ..self }
    }

    /// Tells an event: to the log, to the metrics, to the traces, and to everybody who listens.
    pub fn emit(&self, event: Event) {
        let at = self.clock.now();
        log::log(&event);
        self.metrics.hear(&event);
        if let Some(traces) = &self.traces {
            traces.hear(at, &event);
        }
        let seq = self.told.fetch_add(1, Ordering::Relaxed) + 1;
        // An error means that nobody listens, which is no error.
        drop(self.sender.send(Arc::new(Told { seq, at, event })));
    }

    /// What the events add up to.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The traces that are made of the events, when they are.
    pub fn traces(&self) -> Option<&Traces> {
        self.traces.as_ref()
    }

    /// Hears what is told from now on. Who falls 4096 events behind loses the oldest and is told how many.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Told>> {
        self.sender.subscribe()
    }
}

impl Event {
    /// The run that the event belongs to.
    pub fn run(&self) -> Option<RunId> {
        match self {
            Self::RunStarted { run, .. }
            | Self::PageFetched { run, .. }
            | Self::BatchMapped { run, .. }
            | Self::BatchCommitted { run, .. }
            | Self::RunRetry { run, .. }
            | Self::RunNoted { run, .. }
            | Self::RunEnded { run, .. }
            | Self::SyncMoved { run, .. }
            | Self::PluginTrapped { run, .. }
            | Self::PluginLogged { run, .. } => Some(*run),
            Self::CallSpent { run, .. }
            | Self::Answered { run, .. }
            | Self::TokenRenewed { run, .. } => *run,
            _ => None,
        }
    }

    /// The sync that the event belongs to.
    pub fn sync(&self) -> Option<&SyncName> {
        match self {
            Self::RunStarted { sync, .. }
            | Self::PageFetched { sync, .. }
            | Self::BatchMapped { sync, .. }
            | Self::BatchCommitted { sync, .. }
            | Self::RunRetry { sync, .. }
            | Self::RunNoted { sync, .. }
            | Self::RunEnded { sync, .. }
            | Self::SyncMoved { sync, .. }
            | Self::PluginTrapped { sync, .. }
            | Self::PluginLogged { sync, .. }
            | Self::SyncPaused { sync, .. }
            | Self::SyncResumed { sync } => Some(sync),
            Self::CallSpent { sync, .. }
            | Self::Answered { sync, .. }
            | Self::TokenRenewed { sync, .. }
            | Self::LimitHit { sync, .. } => sync.as_ref(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended() -> Event {
        Event::RunEnded {
            run: RunId(7),
            sync: SyncName::new("Contact").unwrap(),
            ending: Ending::Failed { code: "auth.reconnect".into(), message: "x".into() },
            counts: Counts { fetched: 3, mapped: 3, ..Counts::default() },
            calls: 2,
            took_ms: 5,
        }
    }

    #[tokio::test]
    async fn reaches_every_listener_in_order() {
        let bus = Bus::new();
        bus.emit(Event::HostStopping);
        let (mut one, mut two) = (bus.subscribe(), bus.clone().subscribe());
        bus.emit(Event::LimitSeen { used: 1, max: 9 });
        bus.emit(ended());
        for listener in [&mut one, &mut two] {
            assert_eq!(listener.recv().await.unwrap().seq, 2);
            let told = listener.recv().await.unwrap();
            assert_eq!((told.seq, &told.event), (3, &ended()));
        }
    }

    #[test]
    fn is_flat_json() {
        let told = Told { seq: 3, at: Stamp(1000), event: ended() };
        let json = serde_json::to_value(&told).unwrap();
        assert_eq!(json["event"], "run-ended");
        assert_eq!(json["run"], 7);
        assert_eq!(json["sync"], "Contact");
        assert_eq!(json["ending"]["outcome"], "failed");
        assert_eq!(serde_json::from_value::<Told>(json).unwrap(), told);
    }
}

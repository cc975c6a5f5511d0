//! What the API answers and the command line shows: one set of structs for both, so both say the same.

mod connections;
mod consumers;
mod plugin;

pub use plugin::{
    Choice, Found, PluginLine, PluginUse, PluginWork, Plugins, Refused, Sample, Sampled, Trouble,
    Wanted,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use connections::{Approvals, Connecting, Connection, Connections};
pub use consumers::{
    Abreast, Consumer, Consumers, DeadLetter, DeadLetters, Delivery, Destination, OneLetter, Resent,
};

use crate::model::{
    ConnectionName, Cursor, PageNote, Pause, Purpose, RecordId, Rejection, Run, RunId, Stamp,
    SyncName, Usage,
};
use crate::store;

pub use super::outlook::{AtInterval, Day, Expected, Hour, Kept};

/// Runs, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Runs {
    /// The runs.
    pub runs: Vec<Run>,
    /// Pass this as `before` for the next, older ones; none at the end.
    pub next: Option<RunId>,
}

/// The committed pages of a run, in order.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Pages {
    /// The pages.
    pub pages: Vec<PageNote>,
    /// Pass this as `after` for the next ones; none at the end.
    pub next: Option<u64>,
}

/// One record that could not be mapped.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FailedRecord {
    /// Its number in the run.
    pub n: u64,
    /// The sync.
    pub sync: SyncName,
    /// The run.
    pub run: RunId,
    /// The record's Salesforce id.
    pub id: RecordId,
    /// Why it failed.
    pub rejection: Rejection,
    /// The record as Salesforce sent it; none when raw records are not kept.
    #[schemars(with = "Option<serde_json::Value>")]
    pub raw: Option<Box<RawValue>>,
}

impl From<store::Failure> for FailedRecord {
    fn from(failure: store::Failure) -> Self {
        let store::Failure { n, sync, run, id, rejection, raw } = failure;
        Self { n, sync, run, id, rejection, raw: json_opt(raw) }
    }
}

/// The failures of a run, in the order in which they happened.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Failures {
    /// The failures.
    pub failures: Vec<FailedRecord>,
    /// Pass this as `after` for the next ones; none at the end.
    pub next: Option<u64>,
}

/// One document that a plugin made of a record.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    /// Its kind.
    pub kind: String,
    /// Its key.
    pub key: String,
    /// Its fields.
    #[schemars(with = "serde_json::Value")]
    pub body: Box<RawValue>,
}

/// What became of a stored record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum State {
    /// It became its outputs.
    Mapped,
    /// The plugin left it out.
    Skipped {
        /// Why.
        reason: String,
    },
    /// It could not be mapped.
    Failed {
        /// Why.
        rejection: Rejection,
    },
}

/// One stored record and what it became.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StoredRecord {
    /// Its Salesforce id.
    pub id: RecordId,
    /// When it last changed, by the org's clock.
    pub stamp: Stamp,
    /// Whether it was deleted in the org.
    pub deleted: bool,
    /// What became of it.
    pub outcome: State,
    /// What it became.
    pub outputs: Vec<Document>,
    /// The run that stored it last.
    pub run: RunId,
    /// The record as Salesforce sent it; none when raw records are not kept.
    #[schemars(with = "Option<serde_json::Value>")]
    pub raw: Option<Box<RawValue>>,
}

/// Stored records of a sync, by id.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Records {
    /// The records.
    pub records: Vec<StoredRecord>,
    /// Pass this as `after` for the next ones; none at the end.
    pub next: Option<RecordId>,
}

/// What happened to an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// It is new, or changed.
    Upsert,
    /// It is gone.
    Retract,
}

/// One change of an output.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Its place in the feed, from 1.
    pub seq: u64,
    /// When it was committed, by the local clock.
    pub at: Stamp,
    /// The sync.
    pub sync: SyncName,
    /// The run.
    pub run: RunId,
    /// What happened.
    pub op: Operation,
    /// The output's kind.
    pub kind: String,
    /// The output's key.
    pub key: String,
    /// The record that it comes from.
    pub record: RecordId,
    /// Its fields after the change; none when it is gone.
    #[schemars(with = "Option<serde_json::Value>")]
    pub body: Option<Box<RawValue>>,
}

impl From<store::FeedEntry> for Change {
    fn from(entry: store::FeedEntry) -> Self {
        Self {
            seq: entry.seq,
            at: entry.at,
            sync: entry.sync,
            run: entry.run,
            op: match entry.op {
                store::Op::Upsert => Operation::Upsert,
                store::Op::Retract => Operation::Retract,
            },
            kind: entry.kind.to_string(),
            key: entry.key,
            record: entry.record,
            body: json_opt(entry.body),
        }
    }
}

/// Changes of outputs, in order.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Feed {
    /// The changes.
    pub changes: Vec<Change>,
    /// Pass this as `after` for what comes next; equal to the `after` that was asked with when nothing came.
    pub next: u64,
    /// The newest number of the feed.
    pub end: u64,
    /// The first number that is still kept.
    #[serde(default)]
    pub start: u64,
}

/// One line of a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "line")]
pub enum SnapshotLine {
    /// The first line.
    Begin {
        /// Where the feed ended then.
        from: u64,
        /// When, by the local clock.
        at: Stamp,
    },
    /// An output.
    Output {
        /// The sync.
        sync: SyncName,
        /// The output's kind.
        kind: String,
        /// The output's key.
        key: String,
        /// The record that it comes from.
        record: RecordId,
        /// Its fields.
        #[schemars(with = "serde_json::Value")]
        body: Box<RawValue>,
    },
    /// A change that was made while outputs were read.
    Change(Change),
    /// The last line: without it a snapshot is not whole.
    End {
        /// What was stored at this number is told: read the feed behind it.
        next: u64,
        /// How many lines came between the first and this one.
        lines: u64,
    },
}

/// How a sync is configured and how it stands.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Sync {
    /// Its name.
    pub name: SyncName,
    /// Its object.
    pub object: String,
    /// The connections that its runs draw from.
    pub connections: Vec<ConnectionName>,
    /// Whether it moves to any other one when none of these can be used.
    #[serde(default)]
    pub failover: bool,
    /// Its plugin, as configured.
    pub plugin: String,
    /// When it runs, as configured.
    pub schedule: String,
    /// Whether the configuration has it on.
    pub enabled: bool,
    /// What the host is doing with it: idle, due, running, paused, limit-paused,
    /// awaiting-connection or disabled; none when no host serves.
    pub state: Option<String>,
    /// Whether it is paused until it is resumed.
    pub paused: bool,
    /// Since when and why it is paused.
    #[serde(default)]
    pub pause: Option<Pause>,
    /// The run in hand, when the host is serving and one is.
    pub running: Option<RunId>,
    /// When it is due next, when the host is serving and that is known.
    pub next: Option<Stamp>,
    /// Its newest run.
    pub last: Option<Run>,
    /// Records stored of it.
    pub records: u64,
    /// Outputs stored of it.
    pub outputs: u64,
    /// How far it has come.
    pub cursor: Cursor,
    /// Why its stored records should be mapped anew, when they should.
    #[serde(default)]
    pub remap: Option<Remap>,
}

/// What is stored of a sync is not all the work of its present plugin, so a remap is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Remap {
    /// What changed, for a person.
    pub why: String,
    /// SHA-256 of the plugin that made the newest of what is stored and not the present plugin's.
    pub made_by: String,
    /// SHA-256 of the present plugin.
    pub present: String,
    /// Records that are stored.
    pub records: u64,
    /// Records that a remap has seen which is under way or was stopped in the middle; none when there is none.
    pub seen: Option<u64>,
}

/// The configured syncs, in the configuration's order.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Syncs {
    /// The syncs.
    pub syncs: Vec<Sync>,
}

/// Calls of one connection, sync and purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spent {
    /// The connection.
    pub connection: ConnectionName,
    /// The sync, when one asked.
    pub sync: Option<SyncName>,
    /// What for.
    pub purpose: Purpose,
    /// Whether Salesforce counts them.
    pub counted: bool,
    /// How many.
    pub calls: u64,
}

/// What is known of the org's daily API calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// The newest reading; none before the first answer of the org.
    pub reading: Option<Usage>,
    /// The share of the day that kilofold may spend, as configured; none: all of it.
    pub allowance: Option<String>,
    /// Calls that are left to other applications.
    pub reserve: u64,
    /// The most calls that one run may spend; none: no bound.
    pub per_run: Option<u64>,
    /// From when `spent` counts: 24 hours ago.
    pub since: Stamp,
    /// Our own calls since then that Salesforce counts.
    pub counted: u64,
    /// Our own calls since then by connection, sync and purpose.
    pub spent: Vec<Spent>,
    /// The org's day as a whole, with what is to be expected.
    pub day: Option<Day>,
}

/// That a request to do something was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// The sync.
    pub sync: SyncName,
    /// What will be done: `run`, `pause` or `resume`.
    pub action: String,
    /// What came of it, for a person.
    pub message: String,
}

/// JSON as it was stored; a text that is no JSON becomes a JSON string of it.
pub fn json(text: String) -> Box<RawValue> {
    RawValue::from_string(text).unwrap_or_else(|error| {
        // RawValue keeps no copy of what it could not take, so the reason stands in its place.
        tracing::warn!(%error, "a stored text is not JSON");
        serde_json::value::to_raw_value(&format!("not JSON: {error}")).unwrap_or_default()
    })
}

/// JSON as it was stored, when there is any.
pub fn json_opt(text: Option<String>) -> Option<Box<RawValue>> {
    text.map(json)
}

//! What is told of plugins, and of records on which they are tried.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::json;
use crate::config::SyncConfig;
use crate::model::{Call, PluginNote, RecordId, Stamp, SyncName};
use crate::plugin::{Field, Use};
use crate::salesforce::Org;
use crate::store::Store;
use crate::sync;

/// Records straight from the org, stored nowhere.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// The fields that were asked for.
    pub fields: Vec<String>,
    /// The field that tells when a record last changed, for objects that have one.
    pub stamp_field: Option<String>,
    /// The records, by id.
    pub records: Vec<Sampled>,
    /// API calls that were spent on it and that Salesforce counts.
    pub calls: u64,
}

impl Sample {
    /// Asks the org for it, and counts the calls that it took.
    pub async fn take(
        org: &Org,
        store: &Store,
        sync: &SyncConfig,
        reads: &[Field],
        limit: u16,
    ) -> Result<Self, sync::Error> {
        let begun = org.gate().now();
        let sampled = sync::sample(org, sync, reads, limit).await?;
        let store = store.clone();
        let calls = tokio::task::spawn_blocking(move || store.calls_since(begun)).await??;
        // A run's own calls name it; those of a sample name the sync alone.
        let own = |call: &&Call| {
            let caller = &call.caller;
            caller.sync.as_ref() == Some(&sync.name) && caller.run.is_none()
        };
        let calls = calls.iter().filter(own).filter(|call| call.purpose.counted()).count();
        let records = sampled.records.into_iter();
        Ok(Self {
            fields: sampled.fields,
            stamp_field: sampled.stamp_field,
            records: records.map(|(id, raw)| Sampled { id, raw: json(raw) }).collect(),
            calls: calls as u64,
        })
    }
}

/// One record straight from the org.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Sampled {
    /// Its Salesforce id.
    pub id: RecordId,
    /// The record as Salesforce sent it.
    #[schemars(with = "serde_json::Value")]
    pub raw: Box<RawValue>,
}

/// Outputs to be found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Their kind.
    pub kind: String,
    /// Their keys, at most 1000.
    pub keys: Vec<String>,
}

/// Outputs that were found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// Their bodies, one for each key and in their order; null where there is no such output.
    #[schemars(with = "Vec<Option<serde_json::Value>>")]
    pub bodies: Vec<Option<Box<RawValue>>>,
}

/// The plugins of the configured syncs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Plugins {
    /// One for each enabled sync.
    pub plugins: Vec<PluginUse>,
}

/// The plugin of a sync: which it is, how it came there, and what it did.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PluginUse {
    /// The sync.
    pub sync: SyncName,
    /// The sync's object.
    pub object: String,
    /// The plugin as the configuration names it: a stock plugin, or a file.
    pub configured: String,
    /// SHA-256 of the only component that the configuration allows, when it names one.
    pub pinned: Option<String>,
    /// When an operator chose this component in place of what the configuration names; none when nobody did.
    pub chosen: Option<Stamp>,
    /// The component in use; none when it cannot be loaded.
    pub plugin: Option<PluginNote>,
    /// Since when it is used, by the local clock.
    pub since: Option<Stamp>,
    /// What was used before and can be gone back to.
    pub before: Option<Use>,
    /// What it tells of itself: objects, fields, outputs, settings.
    pub description: Option<serde_json::Value>,
    /// Its settings, without those that are secret.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// The names of settings that are secret.
    pub secrets: Vec<String>,
    /// What it did since the host started, or since it came; none when it cannot be loaded.
    pub work: Option<PluginWork>,
    /// A changed file that was not taken, while the component in use goes on.
    pub refused: Option<Refused>,
    /// Why it cannot be loaded.
    pub problem: Option<Trouble>,
}

/// What a plugin did in this process.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct PluginWork {
    /// Batches that it mapped.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// The time of a batch on average, in microseconds; none before the first.
    pub mean_us: Option<u64>,
    /// The time of the last batch, in microseconds; none before the first.
    pub last_us: Option<u64>,
    /// The most memory that an instance had, in bytes.
    pub peak_memory: u64,
    /// Records that broke it, by code.
    pub traps: BTreeMap<String, u64>,
    /// The last lines that it logged, at most 50, the oldest first.
    pub log: Vec<PluginLine>,
}

/// A line that a plugin logged.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PluginLine {
    /// When its batch was mapped, by the local clock.
    pub at: Stamp,
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// What it says.
    pub message: String,
}

/// A component that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refused {
    /// Its SHA-256, in hexadecimal; empty when it could not be read.
    pub digest: String,
    /// A stable code.
    pub code: String,
    /// What is wrong with it.
    pub reason: String,
    /// When it was looked at, by the local clock.
    pub at: Stamp,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trouble {
    /// A stable code.
    pub code: String,
    /// What it is.
    pub reason: String,
}

impl Trouble {
    /// An error with its code.
    pub fn of(code: &str, error: &dyn std::fmt::Display) -> Self {
        Self { code: code.to_owned(), reason: error.to_string() }
    }
}

impl From<sync::Done> for PluginWork {
    fn from(done: sync::Done) -> Self {
        let some = done.batches > 0;
        let line = |line: sync::Line| PluginLine {
            at: line.at,
            level: format!("{:?}", line.level).to_lowercase(),
            message: line.message,
        };
        Self {
            batches: done.batches,
            records: done.records,
            mean_us: some.then(|| done.took_us / done.batches.max(1)),
            last_us: some.then_some(done.last_us),
            peak_memory: done.peak_memory,
            traps: done.traps,
            log: done.lines.into_iter().map(line).collect(),
        }
    }
}

/// Which component a sync is to use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// SHA-256 of a component that is kept beside the store, in hexadecimal; null: what the configuration names.
    pub digest: Option<String>,
}

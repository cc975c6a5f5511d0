//! One execution of a sync, as the Imports page shows it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConnectionName, Cursor, RunId, Stamp, SyncName, Usage, Window};

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// Its interval or cron expression.
    Schedule,
    /// A person, by page or command.
    Manual,
    /// The end of a pause.
    Resume,
    /// A retry of failed records, from the store.
    Retry,
    /// All stored records were mapped again, from the store.
    Remap,
}

impl Trigger {
    /// Whether such a run asks Salesforce.
    pub fn reads(self) -> bool {
        matches!(self, Self::Schedule | Self::Manual | Self::Resume)
    }
}

/// How a run ended. Only the first two are successes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Ending {
    /// Everything in the window was read and mapped or skipped.
    Succeeded,
    /// Everything in the window was read; some records failed.
    SucceededWithFailures,
    /// It stopped before the window was read and goes on by itself.
    Paused {
        /// A stable code, for example `limit.daily`.
        code: String,
        /// Why, for a person.
        reason: String,
        /// When it goes on, when that is known.
        resumes_at: Option<Stamp>,
    },
    /// It stopped before the window was read, for a reason that a person must mend.
    Failed {
        /// A stable code, for `kilofold explain`.
        code: String,
        /// What happened.
        message: String,
    },
    /// The host stopped or died; the next run goes on at the cursor.
    Interrupted,
}

impl Ending {
    /// The ending in a few words, as tables show it.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::SucceededWithFailures => "succeeded with failures",
            Self::Paused { .. } => "paused",
            Self::Failed { .. } => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether the whole window was read.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Succeeded | Self::SucceededWithFailures)
    }
}

/// How a run stands, in one word: what lists are filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It has no ending yet.
    Running,
    /// Everything was read and mapped or skipped.
    Succeeded,
    /// Everything was read; some records failed.
    SomeFailed,
    /// It stopped early and goes on by itself.
    Paused,
    /// It stopped early, and a person must mend why.
    Failed,
    /// The host stopped or died.
    Interrupted,
}

impl Standing {
    /// All, as lists offer them.
    pub const ALL: [Self; 6] = [
        Self::Running,
        Self::Succeeded,
        Self::SomeFailed,
        Self::Paused,
        Self::Failed,
        Self::Interrupted,
    ];

    /// How an ending stands; none: it runs.
    pub fn of(ending: Option<&Ending>) -> Self {
        match ending {
            None => Self::Running,
            Some(Ending::Succeeded) => Self::Succeeded,
            Some(Ending::SucceededWithFailures) => Self::SomeFailed,
            Some(Ending::Paused { .. }) => Self::Paused,
            Some(Ending::Failed { .. }) => Self::Failed,
            Some(Ending::Interrupted) => Self::Interrupted,
        }
    }

    /// In a word or two, as tables show it: never a word of success for a run that stopped.
    pub fn label(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::SomeFailed => "some failed",
            Self::Paused => "paused",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    /// As addresses and options spell it.
    pub fn word(self) -> &'static str {
        match self {
            Self::SomeFailed => "some-failed",
            other => other.label(),
        }
    }
}

/// A word that is no standing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no outcome: use running, succeeded, some-failed, paused, failed or interrupted")]
pub struct StandingError(String);

impl std::str::FromStr for Standing {
    type Err = StandingError;
    fn from_str(text: &str) -> Result<Self, StandingError> {
        let found = Self::ALL.into_iter().find(|standing| standing.word() == text);
        found.ok_or_else(|| StandingError(text.chars().take(40).collect()))
    }
}

/// Records by what became of them. `fetched` is the sum of the five that follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Records that arrived.
    pub fetched: u64,
    /// Became outputs.
    pub mapped: u64,
    /// Were already stored just so.
    pub unchanged: u64,
    /// Were left out by the plugin.
    pub skipped: u64,
    /// Could not be mapped.
    pub failed: u64,
    /// Were deleted in the org.
    pub deleted: u64,
}

impl Counts {
    /// Adds another count to this one.
    pub fn add(&mut self, other: &Self) {
        self.fetched += other.fetched;
        self.mapped += other.mapped;
        self.unchanged += other.unchanged;
        self.skipped += other.skipped;
        self.failed += other.failed;
        self.deleted += other.deleted;
    }

    /// Whether every record that arrived is accounted for.
    pub fn balanced(&self) -> bool {
        self.fetched == self.mapped + self.unchanged + self.skipped + self.failed + self.deleted
    }
}

/// Where the time of a batch or a run went, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Timing {
    /// From request to last byte.
    pub fetch: u64,
    /// In the plugin, its encoding and decoding included.
    pub map: u64,
    /// Until the batch was durable.
    pub commit: u64,
}

impl Timing {
    /// Adds another timing to this one.
    pub fn add(&mut self, other: &Self) {
        self.fetch += other.fetch;
        self.map += other.map;
        self.commit += other.commit;
    }
}

/// One committed page of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PageNote {
    /// Its number in the run, from 0.
    pub page: u64,
    /// When it was committed.
    pub at: Stamp,
    /// Bytes of the answer, unpacked.
    pub bytes: u64,
    /// Its records by what became of them.
    pub counts: Counts,
    /// Where its time went.
    pub timing: Timing,
    /// Salesforce's id of the request, for its support.
    pub request_id: Option<String>,
}

/// One request that had to be made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetryNote {
    /// When.
    pub at: Stamp,
    /// The run's page that was asked for; none: what a run asks before its first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u64>,
    /// What went wrong with the one before.
    pub reason: String,
    /// How long was waited, in milliseconds.
    pub waited_ms: u64,
}

/// Which plugin mapped a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginNote {
    /// Its name, as it tells it.
    pub name: String,
    /// Its version, as it tells it.
    pub version: String,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
    /// The contract and form that it speaks, for example `kilofold:mapping/table@1.0.0`.
    pub api: String,
}

/// A plugin with its settings: what decides what a record becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maker {
    /// SHA-256 of the component, in hexadecimal.
    pub plugin: String,
    /// A digest of its settings, secret ones left out; none when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
}

impl Maker {
    /// Whether both make the same, as far as is known.
    pub fn is_like(&self, other: &Self) -> bool {
        let settings = match (&self.settings, &other.settings) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        self.plugin == other.plugin && settings
    }
}

/// Why a sync does not run until it is resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pause {
    /// Since when; none when that is not known.
    pub at: Option<Stamp>,
    /// What paused it; none: a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<PauseCause>,
}

/// What paused a sync by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PauseCause {
    /// The run that was stopped by it.
    pub run: RunId,
    /// A stable code, for `kilofold explain`.
    pub code: String,
    /// What happened.
    pub reason: String,
}

/// One execution of a sync.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// Its sync.
    pub sync: SyncName,
    /// The sync's object.
    pub object: String,
    /// The connection that it used.
    pub connection: ConnectionName,
    /// What started it.
    pub trigger: Trigger,
    /// When it started, by the local clock.
    pub started: Stamp,
    /// When it ended; none while it runs.
    pub ended: Option<Stamp>,
    /// How it ended; none while it runs.
    pub ending: Option<Ending>,
    /// Records by what became of them.
    pub counts: Counts,
    /// Calls that Salesforce counts, spent by this run.
    pub calls: u64,
    /// Pages committed.
    pub pages: u64,
    /// The window that it read, as it was at the start.
    pub window: Option<Window>,
    /// The query of the first page.
    pub soql: String,
    /// Its SELECT list.
    pub fields: Vec<String>,
    /// The field that its stamps come from; none when the object has no such field.
    pub stamp_field: Option<String>,
    /// Where the sync stood when the run started.
    pub cursor_before: Cursor,
    /// Where the sync stands after the last commit.
    pub cursor_after: Cursor,
    /// How many records Salesforce said the query has; none before its first answer.
    pub expected: Option<u64>,
    /// The plugin that it began with.
    pub plugin: Option<PluginNote>,
    /// Plugins that took its place while the run went on, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later_plugins: Vec<PluginNote>,
    /// The org's day when the run started.
    pub quota_before: Option<Usage>,
    /// The org's day after the last call.
    pub quota_after: Option<Usage>,
    /// Requests made again, the first 100.
    pub retries: Vec<RetryNote>,
    /// Failed records by code.
    pub failures: BTreeMap<String, u64>,
    /// Where the time went.
    pub timing: Timing,
    /// What else a reader should know, in plain sentences, the first 20.
    pub notes: Vec<String>,
    /// Records that a remap passed over, because their text was not kept.
    #[serde(default)]
    pub without_text: u64,
    /// The digest of the object's schema when the run began; none for runs of older versions, and before it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
}

impl Run {
    /// How it stands.
    pub fn standing(&self) -> Standing {
        Standing::of(self.ending.as_ref())
    }
}

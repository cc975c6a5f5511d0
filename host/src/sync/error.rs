//! What can stop a run, and how the run then ends.

use crate::model::{Ending, ScanError, Stamp, SyncName};
use crate::{plugin, salesforce, store};

/// Why a run did not read its window to the end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Salesforce, or the way to it.
    #[error(transparent)]
    Salesforce(#[from] salesforce::Error),
    /// The plugin as a whole; single records fail by themselves.
    #[error(transparent)]
    Plugin(#[from] plugin::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Salesforce does not let the object be queried.
    #[error("{object} cannot be queried, Salesforce says")]
    NotQueryable {
        /// The object.
        object: String,
    },
    /// A field that the plugin cannot do without is not there, or hidden from this connection's user.
    #[error(
        "sync {sync}: its plugin needs {object}.{field}, and this connection's user has no such field: it does not exist, or field-level security hides it"
    )]
    MissingField {
        /// The sync.
        sync: SyncName,
        /// Its object.
        object: String,
        /// The field.
        field: String,
    },
    /// Neither the configuration nor the plugin names a field.
    #[error("sync {sync}: its plugin names no fields to read; set fields to a list or to \"all\"")]
    NothingToRead {
        /// The sync.
        sync: SyncName,
    },
    /// A remap needs a field that the stored texts do not have.
    #[error(
        "sync {sync}: its plugin needs {field}, which the last run did not fetch, so the stored records do not have it"
    )]
    NeverFetched {
        /// The sync.
        sync: SyncName,
        /// The field.
        field: String,
    },
    /// Not as many records came as Salesforce said.
    #[error(
        "Salesforce counted {told} records and sent {arrived}; what came is stored, and the next run reads the window again"
    )]
    Count {
        /// `totalSize`.
        told: u64,
        /// What arrived.
        arrived: u64,
    },
    /// Salesforce stops even the smallest query.
    #[error("{source}, even when it was asked for {part} only")]
    StillTooSlow {
        /// What it was asked for.
        part: String,
        /// Salesforce's answer.
        source: salesforce::Error,
    },
    /// What the store holds of a record cannot be read as one.
    #[error("a stored record cannot be read again: {0}")]
    Stored(#[from] ScanError),
    /// The reading task died.
    #[error("the reading task ended before its time: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl Error {
    /// A stable code, for `kilofold explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Salesforce(error) => error.code(),
            Self::Plugin(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::NotQueryable { .. } => "object.not-queryable",
            Self::MissingField { .. } => "field.missing",
            Self::NothingToRead { .. } => "sync.no-fields",
            Self::NeverFetched { .. } => "remap.not-fetched",
            Self::Count { .. } => "count.mismatch",
            Self::StillTooSlow { source, .. } => source.code(),
            Self::Stored(_) => "store.record",
            Self::Task(_) => "host.task",
        }
    }

    /// Whether the object may have other fields than it was last described with.
    pub fn doubts_fields(&self) -> bool {
        matches!(
            self,
            Self::MissingField { .. }
                | Self::NotQueryable { .. }
                | Self::Salesforce(salesforce::Error::InvalidField { .. })
        )
    }

    /// Whether the sync must not run again until somebody has looked: every further run would spend a call and stop at
    /// the same records.
    pub fn pauses(&self) -> bool {
        use plugin::Error::{IsolationTimeout, TooManyTraps};
        matches!(self, Self::Plugin(TooManyTraps { .. } | IsolationTimeout { .. }))
    }

    /// How a run ends that this stopped: a limit and a connection that cannot be used pause it, all else fails it.
    /// `look_again` is when it makes sense to see whether the limit, or the refusal of the connection, still holds. One
    /// that must be authorised again has no such time: the run goes on when a person has done it.
    pub fn ending(&self, look_again: Option<Stamp>) -> Ending {
        let (code, message) = (self.code().to_owned(), self.to_string());
        match self {
            Self::Salesforce(salesforce::Error::NoPermit(refused))
                if code.starts_with("limit.") =>
            {
                Ending::Paused { code, reason: message, resumes_at: refused.until.or(look_again) }
            }
            Self::Salesforce(error) if error.waits_for_consent() => {
                Ending::Paused { code, reason: message, resumes_at: None }
            }
            Self::Salesforce(error) if error.is_refusal() => {
                Ending::Paused { code, reason: message, resumes_at: look_again }
            }
            Self::Salesforce(salesforce::Error::Limit { .. }) => {
                Ending::Paused { code, reason: message, resumes_at: look_again }
            }
            _ => Ending::Failed { code, message },
        }
    }
}

//! Why the schedule did not do what it was asked.

use crate::model::SyncName;

/// Why the schedule did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No sync has this name.
    #[error("there is no sync '{0}'")]
    Unknown(SyncName),
    /// The sync runs already, or waits for a place.
    #[error("sync '{0}' is running already")]
    Running(SyncName),
    /// The sync is paused.
    #[error("sync '{0}' is paused")]
    Paused(SyncName),
    /// The sync is switched off in the configuration.
    #[error("sync '{0}' is switched off in kilofold.toml")]
    Disabled(SyncName),
    /// A pause could not be read or remembered.
    #[error("cannot keep pauses: {0}")]
    Pauses(String),
    /// The host is stopping.
    #[error("the schedule has stopped")]
    Stopped,
}

impl Error {
    /// The stable code, for `kilofold explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "sync.unknown",
            Self::Running(_) => "sync.running",
            Self::Paused(_) => "sync.paused",
            Self::Disabled(_) => "sync.disabled",
            Self::Pauses(_) => "schedule.pauses",
            Self::Stopped => "schedule.stopped",
        }
    }
}

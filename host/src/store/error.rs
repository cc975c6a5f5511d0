//! What can go wrong in the store.

use std::path::PathBuf;

use crate::model::{RecordId, RunId};

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process, or another handle of this one, holds the store.
    #[error("the store {path} is in use{holder}: stop that process, or ask it through its API")]
    Locked {
        /// The store's folder.
        path: PathBuf,
        /// The holder, as ` by process 123`; empty when it is not known.
        holder: String,
    },
    /// What was read is not what was written.
    #[error("the store is damaged: {what}; {cure}")]
    Damaged {
        /// Where, and how that shows.
        what: String,
        /// What to do about it.
        cure: String,
    },
    /// A later kilofold wrote it.
    #[error(
        "{what} was written by a later kilofold (format {found}, this one knows up to {known}): use that one"
    )]
    Newer {
        /// What was read.
        what: String,
        /// The format found.
        found: u64,
        /// The latest format that this program reads.
        known: u64,
    },
    /// The disk is full.
    #[error(
        "the disk is full while {doing}: make room and start again, nothing that was acknowledged is lost"
    )]
    Full {
        /// What was being done.
        doing: &'static str,
    },
    /// Changes that were asked for are no longer kept.
    #[error("the feed is kept from {start} on, so what comes behind {after} is not there whole")]
    FeedGone {
        /// The number that was asked with.
        after: u64,
        /// The first number that is kept.
        start: u64,
    },
    /// The operating system refused.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// An earlier write failed, and nothing is written until the store has been opened again.
    #[error("the store takes no more writes since one failed ({reason}): start again")]
    Stopped {
        /// The first failure.
        reason: String,
    },
    /// No such run is open.
    #[error("run {run} is not open: it has ended, or never was begun")]
    NoRun {
        /// The run.
        run: RunId,
    },
    /// The answer to a batch has another length than the batch.
    #[error("{found} verdicts came for a batch of {wanted} records")]
    Verdicts {
        /// Records in the batch.
        wanted: usize,
        /// Verdicts.
        found: usize,
    },
    /// A record was called unchanged that the store does not hold.
    #[error("record {id} was called unchanged, but is not in the store")]
    NotStored {
        /// The record.
        id: RecordId,
    },
    /// A value could not be written as text, or has outgrown its key.
    #[error("{what} cannot be stored: {reason}")]
    Unfit {
        /// The value.
        what: String,
        /// Why not.
        reason: String,
    },
}

impl Error {
    /// A stable code, for `kilofold explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "store.locked",
            Self::Damaged { .. } => "store.damaged",
            Self::Newer { .. } => "store.newer",
            Self::Full { .. } => "store.full",
            Self::FeedGone { .. } => "feed.gone",
            Self::Io { .. } => "store.io",
            Self::Stopped { .. } => "store.stopped",
            Self::NoRun { .. } => "store.no-run",
            Self::Verdicts { .. } => "store.verdicts",
            Self::NotStored { .. } => "store.not-stored",
            Self::Unfit { .. } => "store.unfit",
        }
    }

    /// Damage, with the cure that always helps.
    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged {
            what: what.into(),
            cure: "restore a backup, or move the store's folder away and start again: \
                   every sync then reads everything anew"
                .to_owned(),
        }
    }
}

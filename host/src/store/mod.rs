//! What kilofold keeps, in one sled store with one owner.
//!
//! A batch is one atomic, durable step ([`Store::commit`]): outputs, feed, failures, counters and cursor move together or
//! not at all, and it has reached the disk when the function returns. Every stored value carries a format byte and a
//! checksum; damage is found and named, never served. All functions block; readers never wait for the disk's writer.

mod arrivals;
mod audit;
mod block;
mod brief;
mod codec;
mod commit;
mod consumers;
mod deliveries;
mod disk;
mod entry;
mod error;
mod feed;
#[doc(hidden)]
pub mod fuzz;
mod groups;
mod guard;
mod intents;
mod known;
mod layout;
mod ledger;
mod looks;
mod mapping;
mod meta;
mod minutes;
mod names;
mod notes;
mod open;
mod outputs;
mod plan;
mod records;
mod retain;
mod runs;
mod schemas;
mod search;
mod small;
#[cfg(test)]
mod tests;
mod texts;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use block::Packer;
use disk::Disk;
use meta::Meta;
use names::{Class, Names};

pub use arrivals::{Arrival, ArrivalFilter, ArrivalPlace, Arrivals, Became};
pub use brief::{Brief, Reads};
pub use commit::{Commit, Committed, Verdict};
pub use consumers::{Consumer, Refused, acknowledge};
pub use deliveries::{DeadLetter, DeliveryState};
pub use entry::{State, Touch};
pub use error::Error;
pub use feed::{FeedEntry, FeedPage, FeedQuery, Op};
pub use known::Known;
pub use ledger::Room;
pub use mapping::{Mapping, Remap};
pub use meta::Stored;
pub use open::Options;
pub use outputs::{Line, OutputRow, RecordRow, Snapshot, Wanted};
pub use records::{Failure, Pick, RawBatch, RawBatches, RecordView};
pub use retain::{FeedRules, RunRules, may_go};
pub use runs::{NewRun, RunFilter};
pub use search::Found;
pub use small::Cached;

use crate::model::{Run, RunId, SyncName};

/// A handle to the open store; clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    disk: Disk,
    options: Options,
    folder: std::path::PathBuf,
    /// One writer of runs and batches at a time.
    writer: Mutex<Writer>,
    names: RwLock<Names>,
    /// The runs that have no ending, as they stand.
    active: RwLock<HashMap<RunId, Run>>,
    blocks: block::Cache,
    /// Where the feed ends, for those who wait for more of it.
    feed_end: tokio::sync::watch::Sender<u64>,
    /// How often dead letters were asked to be sent again, for those who send.
    letters_asked: tokio::sync::watch::Sender<u64>,
    /// Where snapshots that are being read began.
    pins: Mutex<Vec<u64>>,
    /// One writer of consumers at a time.
    consuming: Mutex<()>,
    /// How many dead letters each destination has, where that was counted.
    dead: Mutex<HashMap<String, usize>>,
    /// API calls that are written down and not in sled yet.
    intents: Mutex<intents::Intents>,
    memory: Mutex<ledger::Memory>,
}

/// What only the writer knows.
struct Writer {
    meta: Meta,
    packer: Packer,
    /// The number of the last batch in the list of arrivals.
    arrivals: u64,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("folder", &self.0.folder).finish_non_exhaustive()
    }
}

/// What these locks guard is whole after every step, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic in a writer leaves nothing half-done: it assigns only after the disk has taken the change.
        self.0.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn names(&self) -> std::sync::RwLockReadGuard<'_, Names> {
        self.0.names.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_names(&self, names: Names) {
        *self.0.names.write().unwrap_or_else(PoisonError::into_inner) = names;
    }

    fn active(&self) -> std::sync::RwLockReadGuard<'_, HashMap<RunId, Run>> {
        self.0.active.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn active_mut(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<RunId, Run>> {
        self.0.active.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of the store's files; what cannot be read counts nothing.
    pub fn size(&self) -> u64 {
        fn below(folder: &std::path::Path) -> u64 {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let size = |entry: std::fs::DirEntry| match entry.metadata() {
                Ok(about) if about.is_dir() => below(&entry.path()),
                Ok(about) => about.len(),
                Err(_) => 0,
            };
            entries.map(size).sum()
        }
        below(&self.0.folder)
    }

    /// The number of a sync, when the store has heard of it.
    fn sync_number(&self, sync: &SyncName) -> Option<u16> {
        self.names().number(Class::Sync, sync.as_str())
    }
}

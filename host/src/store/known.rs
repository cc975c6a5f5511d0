//! What the store holds of the records of a batch.

use xxhash_rust::xxh3::xxh3_64;

use super::entry::{Entry, State};
use super::error::Error;
use super::layout::Space;
use super::runs::read_state;
use super::{Disk, Store};
use crate::model::{Batch, RecordId, SyncName};

/// What the store held of a batch's records when it was asked.
#[derive(Debug, Default)]
pub struct Known {
    /// The sync's last commit then.
    pub(super) number: u64,
    /// Digests of the records as they came.
    pub(super) digests: Vec<u64>,
    /// The entries of the records that were stored.
    pub(super) entries: Vec<Option<Entry>>,
    unchanged: Vec<bool>,
}

impl Known {
    /// Whether record `i` is stored just as it came now, and its last outcome stands. A failure does not stand: such a
    /// record is mapped again whenever it comes.
    pub fn unchanged(&self, i: usize) -> bool {
        self.unchanged.get(i).copied().unwrap_or(false)
    }

    /// Whether record `i` is stored.
    pub fn is_stored(&self, i: usize) -> bool {
        self.entries.get(i).is_some_and(Option::is_some)
    }
}

impl Store {
    /// What is stored of a batch's records, in one pass: one step when nothing is stored in their range of ids, a walk when
    /// they lie densely, lookups otherwise.
    pub fn known(&self, sync: &SyncName, batch: &Batch) -> Result<Known, Error> {
        let digests: Vec<u64> =
            (0..batch.len()).map(|i| xxh3_64(batch.raw(i).as_bytes())).collect();
        let Some(sync) = self.sync_number(sync) else {
            let entries = vec![None; batch.len()];
            return Ok(Known { number: 0, unchanged: vec![false; batch.len()], digests, entries });
        };
        // The number first: a commit in between makes this answer look older than it is, never newer.
        let number = read_state(&self.0.disk, sync)?.number;
        let ids: Vec<RecordId> = batch.records.iter().map(|record| record.id).collect();
        let entries = read_entries(&self.0.disk, sync, &ids)?;
        let unchanged = batch
            .records
            .iter()
            .zip(&entries)
            .zip(&digests)
            .map(|((record, entry), digest)| {
                entry.as_ref().is_some_and(|entry| {
                    entry.stamp == record.stamp
                        && entry.digest == *digest
                        && entry.deleted == record.deleted
                        && !matches!(entry.state, State::Failed(_))
                })
            })
            .collect();
        Ok(Known { number, digests, entries, unchanged })
    }
}

/// The entries of these records, which may come in any order and twice.
pub(super) fn read_entries(
    disk: &Disk,
    sync: u16,
    ids: &[RecordId],
) -> Result<Vec<Option<Entry>>, Error> {
    let mut order: Vec<usize> = (0..ids.len()).collect();
    if !ids.is_sorted() {
        order.sort_unstable_by_key(|&i| ids[i]);
    }
    let mut keys: Vec<Vec<u8>> =
        order.iter().map(|&i| Space::Record.record(sync, &ids[i])).collect();
    keys.dedup();
    let found = disk.get_many(&keys)?;
    let mut entries = vec![None; ids.len()];
    let mut at = 0;
    for (nth, &i) in order.iter().enumerate() {
        if nth > 0 && ids[order[nth - 1]] != ids[i] {
            at += 1;
        }
        if let Some(payload) = &found[at] {
            entries[i] = Some(Entry::read(&keys[at], payload)?);
        }
    }
    Ok(entries)
}

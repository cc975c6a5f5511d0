//! What the store holds of the records of a batch.

use xxhash_rust::xxh3::xxh3_64;

use super::entry::Entry;
use super::error::Error;
use super::groups::Groups;
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
    /// The groups that the records' entries are in, or belong into.
    pub(super) groups: Groups,
    /// The entries of the records that were stored.
    pub(super) entries: Entries,
    unchanged: Vec<bool>,
}

impl Known {
    /// Whether record `i` is stored just as it came now, so that its last outcome stands. A failure stands too: windows
    /// overlap, and what failed once would be told again by every run until somebody retries it.
    pub fn unchanged(&self, i: usize) -> bool {
        self.unchanged.get(i).copied().unwrap_or(false)
    }

    /// Catches up with the commits of the sync that were made since: only entries whose neighbours changed are read anew.
    pub(super) fn refresh(&mut self, disk: &Disk, sync: u16, batch: &Batch) -> Result<(), Error> {
        let ids: Vec<RecordId> = batch.records.iter().map(|record| record.id).collect();
        let groups = read_groups(disk, sync, &ids)?;
        for (id, entry) in ids.iter().zip(&mut self.entries) {
            if !groups.is_as_in(&self.groups, id) {
                *entry = groups.entry(id)?;
            }
        }
        self.groups = groups;
        Ok(())
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
            let entries = batch.records.iter().map(|_| None).collect();
            let unchanged = vec![false; batch.len()];
            return Ok(Known { digests, entries, unchanged, ..Known::default() });
        };
        // The number first: a commit in between makes this answer look older than it is, never newer.
        let number = read_state(&self.0.disk, sync)?.number;
        let ids: Vec<RecordId> = batch.records.iter().map(|record| record.id).collect();
        let (groups, entries) = read_entries(&self.0.disk, sync, &ids)?;
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
                })
            })
            .collect();
        Ok(Known { number, digests, groups, entries, unchanged })
    }
}

/// One entry a record that is asked for; none for those that are not stored.
type Entries = Vec<Option<Box<Entry>>>;

/// The entries of these records, which may come in any order and twice, and the groups that they belong into.
pub(super) fn read_entries(
    disk: &Disk,
    sync: u16,
    ids: &[RecordId],
) -> Result<(Groups, Entries), Error> {
    let groups = read_groups(disk, sync, ids)?;
    let entries = ids.iter().map(|id| groups.entry(id)).collect::<Result<_, Error>>()?;
    Ok((groups, entries))
}

fn read_groups(disk: &Disk, sync: u16, ids: &[RecordId]) -> Result<Groups, Error> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    Groups::read(disk, sync, &sorted)
}

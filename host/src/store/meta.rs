//! The two small values that every commit moves: the ends of all sequences, and the state of a sync.

use super::codec::{self, Put, Take};
use super::error::Error;
use super::layout::Space;
use crate::model::{Cursor, Stamp};

/// The format of the layout as a whole: 2 added what a record and a sync remember of the past, and blocks of resembling
/// texts, which 1 could not read. What 1 wrote is still read.
pub(super) const FORMAT: u64 = 2;

/// Where the sequences end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    /// The number of the last commit; 0: none yet.
    pub(super) number: u64,
    /// The sync of the last commit.
    pub(super) sync: Option<u16>,
    /// The last sequence number of the feed; 0: none yet.
    pub(super) feed_end: u64,
    /// The number of the next block.
    pub(super) next_block: u64,
    /// The number of the next run.
    pub(super) next_run: u64,
}

impl Default for Meta {
    fn default() -> Self {
        Self { number: 0, sync: None, feed_end: 0, next_block: 0, next_run: 1 }
    }
}

impl Meta {
    pub(super) fn key() -> Vec<u8> {
        Space::Meta.prefix()
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(32);
        to.number(FORMAT);
        to.number(self.number);
        to.number(self.sync.map_or(0, |sync| u64::from(sync) + 1));
        to.number(self.feed_end);
        to.number(self.next_block);
        to.number(self.next_run);
        to
    }

    pub(super) fn read(payload: &[u8]) -> Result<Self, Error> {
        let mut take = Take(payload);
        let unfit = || codec::unfit(&Self::key(), "it cannot be read");
        let format = take.number().ok_or_else(unfit)?;
        if format > FORMAT {
            let what = "the store".to_owned();
            return Err(Error::Newer { what, found: format, known: FORMAT });
        }
        Self::parse(&mut take).ok_or_else(unfit)
    }

    fn parse(take: &mut Take<'_>) -> Option<Self> {
        let number = take.number()?;
        let sync = match take.number()? {
            0 => None,
            above => Some(u16::try_from(above - 1).ok()?),
        };
        let (feed_end, next_block, next_run) = (take.number()?, take.number()?, take.number()?);
        take.0.is_empty().then_some(Self { number, sync, feed_end, next_block, next_run })
    }
}

/// How much of a sync is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Stored {
    /// Records, all told.
    pub records: u64,
    /// Outputs.
    pub outputs: u64,
    /// Records that failed when they were last mapped.
    pub failed: u64,
    /// Records that the plugin left out.
    pub skipped: u64,
    /// Records that are deleted in the org.
    pub deleted: u64,
    /// The newest stamp of all records, by the org's clock; none before the first, and for stores of older versions until
    /// a record changes.
    pub newest: Option<Stamp>,
}

/// How far a sync has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SyncState {
    /// The number of its last commit.
    pub(super) number: u64,
    pub(super) cursor: Cursor,
    pub(super) stored: Stored,
    /// Outputs whose key is the id of a record other than their own: while there are none, nobody need look for them.
    pub(super) foreign: u64,
}

impl SyncState {
    pub(super) fn key(sync: u16) -> Vec<u8> {
        Space::Sync.key(&[&sync.to_be_bytes()])
    }

    pub(super) fn write(&self) -> Result<Vec<u8>, Error> {
        let Stored { records, outputs, failed, skipped, deleted, newest } = self.stored;
        let mut to = Vec::with_capacity(256);
        for number in [self.number, records, outputs, failed, skipped, deleted, self.foreign] {
            to.number(number);
        }
        to.bytes(&to_json("a cursor", &self.cursor)?);
        if let Some(newest) = newest {
            to.signed(newest.0);
        }
        Ok(to)
    }

    pub(super) fn read(key: &[u8], payload: &[u8]) -> Result<Self, Error> {
        Self::parse(payload).ok_or_else(|| codec::unfit(key, "it cannot be read"))
    }

    fn parse(payload: &[u8]) -> Option<Self> {
        let mut take = Take(payload);
        let mut next = || take.number();
        let number = next()?;
        let (records, outputs, failed, skipped, deleted) =
            (next()?, next()?, next()?, next()?, next()?);
        let foreign = next()?;
        let cursor = serde_json::from_slice(take.bytes()?).ok()?;
        // Older versions end here.
        let newest = if take.0.is_empty() { None } else { Some(Stamp(take.signed()?)) };
        let stored = Stored { records, outputs, failed, skipped, deleted, newest };
        take.0.is_empty().then_some(Self { number, cursor, stored, foreign })
    }
}

/// A value as JSON.
pub(super) fn to_json<T: serde::Serialize>(what: &str, value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value)
        .map_err(|error| Error::Unfit { what: what.to_owned(), reason: error.to_string() })
}

/// A value from JSON.
pub(super) fn from_json<T: serde::de::DeserializeOwned>(
    key: &[u8],
    payload: &[u8],
) -> Result<T, Error> {
    serde_json::from_slice(payload).map_err(|error| codec::unfit(key, &error.to_string()))
}

//! The ordered log of changes to outputs.

use std::sync::Arc;

use super::Store;
use super::block::{Packer, Place, unpack};
use super::codec::{self, Put, Take};
use super::disk::{Disk, Writes};
use super::error::Error;
use super::layout::{Space, number_at};
use super::names::Class;
use crate::model::{RecordId, RunId, Stamp, SyncName};

/// What happened to an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// It came, or its body changed.
    Upsert,
    /// It went.
    Retract,
}

/// One change to one output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedEntry {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// When its batch was committed, by the local clock.
    pub at: Stamp,
    /// The sync of the output.
    pub sync: SyncName,
    /// The run that made the change.
    pub run: RunId,
    /// What happened.
    pub op: Op,
    /// The output's kind.
    pub kind: Arc<str>,
    /// The output's key.
    pub key: String,
    /// The record that yields the output, or did.
    pub record: RecordId,
    /// The output's body. None for a retraction, and for an old upsert whose body is gone because a later entry of the same
    /// key follows: a reader skips it and comes to that one.
    pub body: Option<String>,
}

/// A change as it is stored.
struct Line {
    kind: u16,
    key: Option<String>,
    record: RecordId,
    /// Where the body lies; none for a retraction.
    place: Option<Place>,
}

/// The changes of one batch.
#[derive(Default)]
pub(super) struct Lines {
    count: u64,
    lines: Vec<u8>,
}

impl Lines {
    /// Adds a change: an upsert when there is a place, a retraction otherwise.
    pub(super) fn add(
        &mut self,
        record: &RecordId,
        kind: u16,
        key: Option<&str>,
        place: Option<Place>,
    ) {
        self.count += 1;
        self.lines.push(u8::from(place.is_none()) | u8::from(key.is_some()) << 1);
        self.lines.number(u64::from(kind));
        self.lines.extend_from_slice(&record.as_bytes()[..15]);
        if let Some(key) = key {
            self.lines.bytes(key.as_bytes());
        }
        if let Some(place) = place {
            self.lines.number(place.block);
            self.lines.number(u64::from(place.index));
        }
    }

    /// Writes the changes behind the feed's `end`, and tells its new end.
    pub(super) fn write(
        self,
        end: u64,
        head: (Stamp, u16, RunId),
        packer: &mut Packer,
        writes: &mut Writes,
    ) -> Result<u64, Error> {
        if self.count == 0 {
            return Ok(end);
        }
        let (at, sync, run) = head;
        let mut plain = Vec::with_capacity(self.lines.len() + 32);
        plain.signed(at.0);
        plain.number(u64::from(sync));
        plain.number(run.0);
        plain.number(self.count);
        plain.extend_from_slice(&self.lines);
        writes.put_long(Space::Feed.number(end + 1), &packer.pack(&plain)?);
        Ok(end + self.count)
    }
}

/// The changes of a stored batch.
pub(super) struct Chunk {
    first: u64,
    at: Stamp,
    sync: u16,
    run: RunId,
    lines: Vec<Line>,
}

impl Chunk {
    fn read(disk: &Disk, key: &[u8], head: &[u8]) -> Result<Self, Error> {
        let plain = unpack(key, &disk.rest(key, head)?)?;
        Self::parse(key, &plain).ok_or_else(|| codec::unfit(key, "it cannot be read"))
    }

    pub(super) fn parse(key: &[u8], plain: &[u8]) -> Option<Self> {
        let mut take = Take(plain);
        let first = number_at(key, 1)?;
        let (at, sync, run) = (Stamp(take.signed()?), take.short()?, RunId(take.number()?));
        let count = take.number()?;
        let mut lines = Vec::new();
        for _ in 0..count {
            let &[flags] = take.exactly(1)? else { return None };
            let kind = take.short()?;
            let id = std::str::from_utf8(take.exactly(15)?).ok()?;
            let record = RecordId::parse(id).ok()?;
            let key = match flags & 2 {
                0 => None,
                _ => Some(take.text()?.to_owned()),
            };
            let place = match flags & 1 {
                0 => Some(Place { block: take.number()?, index: take.small()? }),
                _ => None,
            };
            lines.push(Line { kind, key, record, place });
        }
        take.0.is_empty().then_some(Self { first, at, sync, run, lines })
    }
}

/// Keys of this length begin a batch's changes; longer ones go on with one.
const KEY: usize = 9;

/// The last sequence number that is stored.
pub(super) fn end_on_disk(disk: &Disk) -> Result<u64, Error> {
    for item in Space::Feed.walk(disk).rev() {
        let (key, head) = item?;
        if key.len() == KEY {
            let chunk = Chunk::read(disk, &key, &head)?;
            return Ok(chunk.first + (chunk.lines.len() as u64).saturating_sub(1));
        }
    }
    Ok(0)
}

impl Store {
    /// The last sequence number of the feed; 0 when it is empty.
    pub fn feed_end(&self) -> Result<u64, Error> {
        let key = super::Meta::key();
        let payload = self.0.disk.get(&key)?;
        payload.map_or(Ok(0), |payload| super::Meta::read(&payload).map(|meta| meta.feed_end))
    }

    /// Changes to outputs with a greater sequence number than `after`, in order, at most `limit`.
    pub fn feed(&self, after: u64, limit: usize) -> Result<Vec<FeedEntry>, Error> {
        let disk = &self.0.disk;
        let prefix = Space::Feed.prefix();
        let mut from = Space::Feed.number(after.saturating_add(1));
        // The batch that holds the entry behind `after` may begin before it.
        for item in disk.below(&prefix, &Space::Feed.number(after.saturating_add(2))).rev() {
            let (key, _) = item?;
            if key.len() == KEY {
                from = key.to_vec();
                break;
            }
        }
        let mut entries = Vec::new();
        for item in disk.from(&prefix, &from) {
            if entries.len() >= limit {
                break;
            }
            let (key, head) = item?;
            if key.len() != KEY {
                continue;
            }
            let chunk = Chunk::read(disk, &key, &head)?;
            let sync = self.names().name(Class::Sync, chunk.sync)?;
            let sync =
                SyncName::new(&sync).map_err(|error| codec::unfit(&key, &error.to_string()))?;
            for (seq, line) in (chunk.first..).zip(chunk.lines) {
                if seq <= after {
                    continue;
                }
                if entries.len() >= limit {
                    break;
                }
                let body = match line.place {
                    None => None,
                    Some(place) => self.text(place, &line.record)?,
                };
                entries.push(FeedEntry {
                    seq,
                    at: chunk.at,
                    sync: sync.clone(),
                    run: chunk.run,
                    op: if line.place.is_some() { Op::Upsert } else { Op::Retract },
                    kind: self.names().name(Class::Kind, line.kind)?,
                    key: line.key.unwrap_or_else(|| line.record.as_str().to_owned()),
                    record: line.record,
                    body,
                });
            }
        }
        Ok(entries)
    }

    /// The text at a place; none when its block is no longer stored.
    pub(super) fn text(&self, place: Place, id: &RecordId) -> Result<Option<String>, Error> {
        let block = self.0.blocks.block(&self.0.disk, place.block)?;
        block.map(|block| block.text(place.index, id).map(str::to_owned)).transpose()
    }
}

//! The ordered log of changes to outputs.

use std::sync::Arc;

use sled::IVec;

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

impl FeedEntry {
    /// Whether its body is no longer kept, because a later entry of the same output follows.
    pub fn is_faded(&self) -> bool {
        self.op == Op::Upsert && self.body.is_none()
    }
}

/// Which changes are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeedQuery {
    /// Only those behind this number; none: from the first that is kept.
    pub after: Option<u64>,
    /// Only those up to this number; none: to the end.
    pub until: Option<u64>,
    /// At most so many.
    pub limit: usize,
    /// Only of these syncs; empty: of all.
    pub syncs: Vec<SyncName>,
    /// Only of these kinds; empty: of all.
    pub kinds: Vec<String>,
}

/// Changes in order, and how far was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPage {
    /// The changes that were asked for.
    pub entries: Vec<FeedEntry>,
    /// Everything up to this number was looked at: the next question begins behind it.
    pub next: u64,
    /// The first number that is kept; one behind the end when nothing is.
    pub start: u64,
    /// The last number of the feed.
    pub end: u64,
}

/// A page ends when its bodies have so many bytes.
const PAGE_BYTES: usize = 8 << 20;
/// A page ends when so many changes were looked at, wanted or not.
const PAGE_LOOKS: u64 = 50_000;

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
    pub(super) first: u64,
    pub(super) at: Stamp,
    sync: u16,
    run: RunId,
    lines: Vec<Line>,
}

impl Chunk {
    /// Its last number.
    pub(super) fn last(&self) -> u64 {
        self.first + (self.lines.len() as u64).saturating_sub(1)
    }

    pub(super) fn read(disk: &Disk, key: &[u8], head: &[u8]) -> Result<Self, Error> {
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
pub(super) const KEY: usize = 9;

/// The last sequence number that is stored.
pub(super) fn end_on_disk(disk: &Disk) -> Result<u64, Error> {
    for item in Space::Feed.walk(disk).rev() {
        let (key, head) = item?;
        if key.len() == KEY {
            let chunk = Chunk::read(disk, &key, &head)?;
            return Ok(chunk.last());
        }
    }
    Ok(0)
}

/// The batch that holds the change behind number `after`, which begins with it or before it: its key and the head of its
/// value. One that ends before when there is no such change.
fn around(disk: &Disk, after: u64) -> Result<Option<(IVec, IVec)>, Error> {
    let (prefix, end) = (Space::Feed.prefix(), Space::Feed.number(after.saturating_add(2)));
    let begins = |item: &Result<(IVec, IVec), Error>| {
        item.as_ref().map_or(true, |(key, _)| key.len() == KEY)
    };
    disk.below(&prefix, &end).rev().find(begins).transpose()
}

impl Store {
    /// The last sequence number of the feed; 0 when it is empty.
    pub fn feed_end(&self) -> Result<u64, Error> {
        let key = super::Meta::key();
        let payload = self.0.disk.get(&key)?;
        payload.map_or(Ok(0), |payload| super::Meta::read(&payload).map(|meta| meta.feed_end))
    }

    /// The first sequence number that is kept; one behind the end when nothing is.
    pub fn feed_start(&self) -> Result<u64, Error> {
        // The end first: what is committed in between begins behind it.
        let end = self.feed_end()?;
        match Space::Feed.walk(&self.0.disk).next().transpose()? {
            Some((key, _)) => {
                number_at(&key, 1).ok_or_else(|| codec::unfit(&key, "it has no number"))
            }
            None => Ok(end + 1),
        }
    }

    /// Tells the feed's end whenever a commit has moved it.
    pub fn feed_moves(&self) -> tokio::sync::watch::Receiver<u64> {
        self.0.feed_end.subscribe()
    }

    /// Changes to outputs with a greater sequence number than `after`, in order, at most `limit`.
    pub fn feed(&self, after: u64, limit: usize) -> Result<Vec<FeedEntry>, Error> {
        let query = FeedQuery { limit, ..FeedQuery::default() };
        self.read_feed(after, &query).map(|(entries, _)| entries)
    }

    /// The changes that are asked for; [`Error::FeedGone`] when some of those behind `after` are no longer kept.
    pub fn feed_page(&self, query: &FeedQuery) -> Result<FeedPage, Error> {
        let after = match query.after {
            Some(after) => after,
            None => self.feed_start()?.saturating_sub(1),
        };
        let end = self.feed_end()?;
        let (entries, next) = self.read_feed(after, query)?;
        // Afterwards: the beginning only moves on, so what is kept now was kept when it was read.
        let start = self.feed_start()?;
        if after.saturating_add(1) < start && query.after.is_some() {
            return Err(Error::FeedGone { after, start });
        }
        Ok(FeedPage { entries, next, start, end: end.max(next) })
    }

    /// When the change behind number `after` was committed. It must be kept; none when it went from the feed meanwhile.
    pub fn changed_after(&self, after: u64) -> Result<Option<Stamp>, Error> {
        let disk = &self.0.disk;
        let Some((key, head)) = around(disk, after)? else { return Ok(None) };
        match Chunk::read(disk, &key, &head) {
            Ok(chunk) => Ok(Some(chunk.at).filter(|_| after < chunk.last())),
            Err(_) if disk.get(&key)?.is_none() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The changes behind `after` that are asked for, and up to where was looked.
    fn read_feed(&self, after: u64, query: &FeedQuery) -> Result<(Vec<FeedEntry>, u64), Error> {
        let disk = &self.0.disk;
        let prefix = Space::Feed.prefix();
        let until = query.until.unwrap_or(u64::MAX);
        let from = match around(disk, after)? {
            Some((key, _)) => key.to_vec(),
            None => Space::Feed.number(after.saturating_add(1)),
        };
        let (mut entries, mut next, mut bytes) = (Vec::new(), after, 0);
        for item in disk.from(&prefix, &from) {
            let (key, head) = item?;
            if key.len() != KEY {
                continue;
            }
            let chunk = match Chunk::read(disk, &key, &head) {
                Ok(chunk) => chunk,
                // Retention took it away while it was read.
                Err(_) if disk.get(&key)?.is_none() => continue,
                Err(error) => return Err(error),
            };
            let sync = self.names().name(Class::Sync, chunk.sync)?;
            let sync =
                SyncName::new(&sync).map_err(|error| codec::unfit(&key, &error.to_string()))?;
            let wanted = query.syncs.is_empty() || query.syncs.contains(&sync);
            for (seq, line) in (chunk.first..).zip(chunk.lines) {
                if seq <= after {
                    continue;
                }
                let enough = entries.len() >= query.limit
                    || bytes >= PAGE_BYTES
                    || next.saturating_sub(after) >= PAGE_LOOKS;
                if enough || seq > until {
                    return Ok((entries, next));
                }
                next = seq;
                let kind = self.names().name(Class::Kind, line.kind)?;
                let kinds = &query.kinds;
                if !wanted || !(kinds.is_empty() || kinds.iter().any(|one| **one == *kind)) {
                    continue;
                }
                let body = match line.place {
                    None => None,
                    Some(place) => self.text(place, &line.record)?,
                };
                bytes += body.as_ref().map_or(0, String::len);
                entries.push(FeedEntry {
                    seq,
                    at: chunk.at,
                    sync: sync.clone(),
                    run: chunk.run,
                    op: if line.place.is_some() { Op::Upsert } else { Op::Retract },
                    kind,
                    key: line.key.unwrap_or_else(|| line.record.as_str().to_owned()),
                    record: line.record,
                    body,
                });
            }
        }
        Ok((entries, next))
    }

    /// The text at a place; none when its block is no longer stored.
    pub(super) fn text(&self, place: Place, id: &RecordId) -> Result<Option<String>, Error> {
        let block = self.0.blocks.block(&self.0.disk, place.block)?;
        block.map(|block| block.text(place.index, id)).transpose()
    }
}

//! What arrived, the newest first: the records that the last batches brought or changed, and what each became.
//!
//! The list is a window over the last 1024 such batches: what falls out of it is still in the store, and each record tells
//! which runs touched it. A batch adds one small value (its records' ids, packed) and takes the oldest away.

use serde::{Deserialize, Serialize};

use super::Store;
use super::block::{Packer, unpack};
use super::codec::{self, Put, Take};
use super::disk::{Disk, Writes};
use super::entry::State;
use super::error::Error;
use super::layout::{Space, id_from, number_at};
use super::names::Class;
use super::plan::Change;
use crate::model::{Batch, RecordId, RunId, Stamp, SyncName};

/// Batches that are listed.
const KEPT: u64 = 1024;
/// Records in one value: it must fit whatever the packer makes of it.
const LINES: usize = 2000;
/// Batches that one reading looks through.
const LOOKED: usize = 256;

/// What a record became when it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Became {
    /// Outputs.
    Mapped,
    /// Nothing: the plugin left it out.
    Skipped,
    /// A failure.
    Failed,
    /// Nothing: it is deleted in the org.
    Deleted,
}

impl Became {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Mapped, Self::Skipped, Self::Failed, Self::Deleted];

    /// In one word, as tables and addresses spell it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mapped => "mapped",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Deleted => "deleted",
        }
    }

    /// What a stored record is.
    pub(super) fn of(state: &State, deleted: bool) -> Self {
        match state {
            _ if deleted => Self::Deleted,
            State::Mapped => Self::Mapped,
            State::Skipped(_) => Self::Skipped,
            State::Failed(_) => Self::Failed,
        }
    }

    /// Its byte in stored values; never to be changed.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Mapped => 0,
            Self::Skipped => 1,
            Self::Failed => 2,
            Self::Deleted => 3,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|became| became.code() == code)
    }
}

/// The place of an arrival in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArrivalPlace {
    /// The number of its batch.
    pub batch: u64,
    /// Its number in the batch.
    pub index: u32,
}

/// One record that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Where it stands in the list.
    pub place: ArrivalPlace,
    /// When its batch was committed, by the local clock.
    pub at: Stamp,
    /// Its sync.
    pub sync: SyncName,
    /// The run that brought it.
    pub run: RunId,
    /// The record.
    pub id: RecordId,
    /// What it became then.
    pub became: Became,
}

/// Arrivals, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arrivals {
    /// The arrivals.
    pub list: Vec<Arrival>,
    /// From where older ones are listed; none at the end.
    pub next: Option<ArrivalPlace>,
}

/// Which arrivals to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArrivalFilter {
    /// Only those of this sync.
    pub sync: Option<SyncName>,
    /// Only those that became this.
    pub became: Option<Became>,
    /// Only those before this place.
    pub before: Option<ArrivalPlace>,
}

/// The number of the last batch that is listed.
pub(super) fn last(disk: &Disk) -> Result<u64, Error> {
    let found = disk.last(&Space::Arrival.prefix())?;
    Ok(found.and_then(|(key, _)| number_at(&key, 1)).unwrap_or(0))
}

/// Lists what a batch brought behind batch number `last`, and tells the number of the new last one.
pub(super) fn write(
    mut last: u64,
    (at, sync, run): (Stamp, u16, RunId),
    batch: &Batch,
    changes: &[Change],
    packer: &mut Packer,
    writes: &mut Writes,
) -> Result<u64, Error> {
    let mut lines: Vec<(&RecordId, Became)> = Vec::new();
    for (record, change) in batch.records.iter().zip(changes) {
        let became = match change {
            Change::Unchanged => continue,
            Change::Deleted => Became::Deleted,
            Change::Became(state) => Became::of(state, record.deleted),
        };
        lines.push((&record.id, became));
    }
    for lines in lines.chunks(LINES) {
        let mut plain = Vec::with_capacity(lines.len() * 16 + 24);
        plain.signed(at.0);
        plain.number(u64::from(sync));
        plain.number(run.0);
        plain.number(lines.len() as u64);
        for (id, became) in lines {
            plain.extend_from_slice(&id.as_bytes()[..15]);
            plain.push(became.code());
        }
        last += 1;
        writes.put(Space::Arrival.number(last), &packer.pack(&plain)?);
        if last > KEPT {
            writes.remove(Space::Arrival.number(last - KEPT));
        }
    }
    Ok(last)
}

/// What one batch brought.
struct Chunk {
    at: Stamp,
    sync: u16,
    run: RunId,
    lines: Vec<(RecordId, Became)>,
}

impl Chunk {
    fn parse(plain: &[u8]) -> Option<Self> {
        let mut take = Take(plain);
        let (at, sync, run) = (Stamp(take.signed()?), take.short()?, RunId(take.number()?));
        let count = take.number()?;
        let mut lines = Vec::new();
        for _ in 0..count {
            let id = id_from(take.exactly(15)?)?;
            let &[code] = take.exactly(1)? else { return None };
            lines.push((id, Became::from_code(code)?));
        }
        take.0.is_empty().then_some(Self { at, sync, run, lines })
    }
}

impl Store {
    /// What arrived, newest first, at most `limit`. Looks through 256 batches at most, so a list may hold fewer than it
    /// could and still go on.
    pub fn arrivals(&self, filter: &ArrivalFilter, limit: usize) -> Result<Arrivals, Error> {
        let only = filter.sync.as_ref().map(|sync| self.sync_number(sync));
        let end = match filter.before {
            Some(place) => {
                Space::Arrival.number(place.batch.saturating_add(u64::from(place.index > 0)))
            }
            None => vec![Space::Arrival as u8 + 1],
        };
        let mut found = Arrivals::default();
        let walk = self.0.disk.below(&Space::Arrival.prefix(), &end).rev();
        for (looked, item) in walk.enumerate() {
            let (key, payload) = item?;
            let batch = number_at(&key, 1).ok_or_else(|| codec::unfit(&key, "it is no batch"))?;
            if looked >= LOOKED {
                found.next = Some(ArrivalPlace { batch: batch + 1, index: 0 });
                break;
            }
            let chunk = Chunk::parse(&unpack(&key, &payload)?)
                .ok_or_else(|| codec::unfit(&key, "it cannot be read"))?;
            if only.is_some_and(|only| only != Some(chunk.sync)) {
                continue;
            }
            let sync = self.names().name(Class::Sync, chunk.sync)?;
            let sync =
                SyncName::new(&sync).map_err(|error| codec::unfit(&key, &error.to_string()))?;
            for (index, (id, became)) in chunk.lines.into_iter().enumerate().rev() {
                let index = u32::try_from(index).unwrap_or(u32::MAX);
                let place = ArrivalPlace { batch, index };
                if filter.before.is_some_and(|before| place >= before)
                    || filter.became.is_some_and(|wanted| wanted != became)
                {
                    continue;
                }
                if found.list.len() >= limit {
                    found.next = found.list.last().map(|arrival| arrival.place);
                    return Ok(found);
                }
                let (at, run) = (chunk.at, chunk.run);
                found.list.push(Arrival { place, at, sync: sync.clone(), run, id, became });
            }
        }
        Ok(found)
    }
}

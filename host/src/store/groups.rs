//! Entries of records, some sixteen neighbours to a stored value.
//!
//! sled's time and memory follow the number of keys, so entries are grouped: a group's key is its first record, and it
//! covers the ids up to the next group's key. Entries are never removed, so groups only grow and are cut in pieces.

use std::ops::Range;

use sled::IVec;

use super::codec::{self, Put, Take};
use super::disk::{Disk, Writes};
use super::entry::Entry;
use super::error::Error;
use super::layout::{self, Space};
use crate::model::RecordId;

/// Entries of a new group; one of twice as many is cut.
const SIZE: usize = 16;
/// Bytes at which a group is cut, whatever it holds.
const BYTES: usize = 8 * 1024;
/// A lookup costs about as much as this many steps of a walk.
const LOOKUP: usize = 6;

/// The first fifteen characters of a record's id.
type Id = [u8; 15];

fn short(id: &RecordId) -> Id {
    let mut short = [0; 15];
    short.copy_from_slice(&id.as_bytes()[..15]);
    short
}

/// A stored group.
#[derive(Debug, Clone)]
struct Group {
    key: IVec,
    payload: IVec,
    /// Its entries: the record, and where the entry lies in the payload.
    items: Vec<(Id, Range<usize>)>,
}

impl Group {
    fn read(key: IVec, payload: IVec) -> Result<Self, Error> {
        let items = parse(&payload)
            .filter(|_| key.len() == 18)
            .ok_or_else(|| codec::unfit(&key, "it cannot be read"))?;
        Ok(Self { key, payload, items })
    }

    /// Whether it is stored as `other` was; sled hands out the same bytes as long as nobody changes them.
    fn is_as(&self, other: &Self) -> bool {
        let same = self.payload.as_ptr() == other.payload.as_ptr();
        self.key == other.key && (same || self.payload == other.payload)
    }

    fn entry(&self, id: &RecordId) -> Result<Option<Entry>, Error> {
        let id = short(id);
        let Ok(at) = self.items.binary_search_by(|(held, _)| held.cmp(&id)) else {
            return Ok(None);
        };
        Entry::read(&self.key, &self.payload[self.items[at].1.clone()]).map(Some)
    }
}

/// Where the entries of a group's payload lie; none when it cannot be one.
pub(super) fn parse(payload: &[u8]) -> Option<Vec<(Id, Range<usize>)>> {
    let mut take = Take(payload);
    let count = take.number()?;
    let mut items: Vec<(Id, Range<usize>)> = Vec::new();
    for _ in 0..count {
        let id: Id = take.exactly(15)?.try_into().ok()?;
        let entry = take.bytes()?;
        let end = payload.len() - take.0.len();
        if items.last().is_some_and(|(before, _)| *before >= id) {
            return None;
        }
        items.push((id, end - entry.len()..end));
    }
    (take.0.is_empty() && !items.is_empty()).then_some(items)
}

/// Entries to be written, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Entries {
    bytes: Vec<u8>,
    places: Vec<(RecordId, Range<usize>)>,
}

impl Entries {
    /// Adds the entry of a record; each record has one.
    pub(super) fn add(&mut self, id: RecordId, entry: &Entry) {
        let start = self.bytes.len();
        entry.write_to(&mut self.bytes);
        self.places.push((id, start..self.bytes.len()));
    }
}

/// The groups that cover the records of a batch, as they were read.
#[derive(Debug, Default)]
pub(super) struct Groups(Vec<Group>);

impl Groups {
    /// Reads the groups of these records (sorted): by a walk for as long as that is cheaper than looking them up one by one.
    /// Two steps do when nothing is stored between the first and the last.
    pub(super) fn read(disk: &Disk, sync: u16, ids: &[RecordId]) -> Result<Self, Error> {
        let prefix = Space::Record.key(&[&sync.to_be_bytes()]);
        let mut groups: Vec<Group> = Vec::new();
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(Self(groups)) };
        let floor = |id: &RecordId| disk.at_or_before(&prefix, &Space::Record.record(sync, id));
        let mut walk = disk.between(
            &prefix,
            &Space::Record.record(sync, first),
            &Space::Record.record(sync, last),
        );
        // The group in hand is taken when a record turns out to lie in it; `next` is the first record not yet placed.
        let mut hand = floor(first)?;
        let (mut next, mut steps) = (0, 0);
        while let Some((key, payload)) = walk.next().transpose()? {
            steps += 1;
            let before = next;
            while next < ids.len() && short(&ids[next])[..] < key[3..] {
                next += 1;
            }
            let passed = hand.replace((key, payload));
            if let Some((key, payload)) = passed.filter(|_| next > before) {
                groups.push(Group::read(key, payload)?);
            }
            if steps > LOOKUP * (next + 16) {
                break;
            }
        }
        if steps > LOOKUP * (next + 16) {
            for id in &ids[next..] {
                if let Some((key, payload)) = floor(id)?
                    && groups.last().is_none_or(|group| group.key < key)
                {
                    groups.push(Group::read(key, payload)?);
                }
            }
        } else if let Some((key, payload)) = hand {
            groups.push(Group::read(key, payload)?);
        }
        Ok(Self(groups))
    }

    /// The group that covers a record.
    fn of(&self, id: &RecordId) -> Option<usize> {
        let id = short(id);
        self.0.partition_point(|group| group.key[3..] <= id[..]).checked_sub(1)
    }

    /// The entry of a record that was asked for.
    pub(super) fn entry(&self, id: &RecordId) -> Result<Option<Box<Entry>>, Error> {
        self.of(id).map_or(Ok(None), |at| self.0[at].entry(id).map(|entry| entry.map(Box::new)))
    }

    /// Whether the group that covers a record is just as it was in `before`; then so is the record's entry.
    pub(super) fn is_as_in(&self, before: &Self, id: &RecordId) -> bool {
        match (self.of(id), before.of(id)) {
            (Some(now), Some(then)) => self.0[now].is_as(&before.0[then]),
            (now, then) => now.is_none() && then.is_none(),
        }
    }

    /// Writes the groups anew that these entries change; the groups must be those of their records.
    pub(super) fn write(&self, sync: u16, mut changed: Entries, writes: &mut Writes) {
        changed.places.sort_by_key(|(id, _)| *id);
        let bytes = |(id, place): &(RecordId, Range<usize>)| {
            (*id, short(id), &changed.bytes[place.clone()])
        };
        let mut changed = changed.places.iter().map(bytes).peekable();
        while let Some((first, ..)) = changed.peek() {
            let at = self.of(first);
            let group = at.map(|at| &self.0[at]);
            let mut old = group.map_or(&[][..], |group| &group.items).iter().peekable();
            let mut merged: Vec<(Id, &[u8])> = Vec::new();
            while let Some((_, id, entry)) = changed.next_if(|(id, ..)| self.of(id) == at) {
                while let Some((held, range)) = old.next_if(|(held, _)| *held <= id) {
                    if *held < id {
                        merged.push((*held, text(group, range)));
                    }
                }
                merged.push((id, entry));
            }
            merged.extend(old.map(|(held, range)| (*held, text(group, range))));
            cut(sync, &merged, writes);
        }
    }
}

fn text<'a>(group: Option<&'a Group>, range: &Range<usize>) -> &'a [u8] {
    group.and_then(|group| group.payload.get(range.clone())).unwrap_or_default()
}

/// Writes entries in groups of about the same size.
fn cut(sync: u16, entries: &[(Id, &[u8])], writes: &mut Writes) {
    let pieces = if entries.len() < 2 * SIZE { 1 } else { entries.len() / SIZE };
    let most = entries.len().div_ceil(pieces.max(1));
    let mut rest = entries;
    while !rest.is_empty() {
        let mut bytes = 0;
        let len = rest
            .iter()
            .take(most)
            .take_while(|(_, entry)| {
                bytes += entry.len() + 17;
                bytes <= BYTES
            })
            .count()
            .max(1);
        let (group, others) = rest.split_at(len);
        rest = others;
        let mut payload = Vec::with_capacity(bytes + 4);
        payload.number(group.len() as u64);
        for (id, entry) in group {
            payload.extend_from_slice(id);
            payload.bytes(entry);
        }
        writes.put(Space::Record.key(&[&sync.to_be_bytes(), &group[0].0]), &payload);
    }
}

/// The entry of one record.
pub(super) fn entry(disk: &Disk, sync: u16, id: &RecordId) -> Result<Option<Entry>, Error> {
    let prefix = Space::Record.key(&[&sync.to_be_bytes()]);
    match disk.at_or_before(&prefix, &Space::Record.record(sync, id))? {
        Some((key, payload)) => Group::read(key, payload)?.entry(id),
        None => Ok(None),
    }
}

/// The ids of a sync's records after `after`, in order.
pub(super) fn ids(
    disk: &Disk,
    sync: u16,
    after: Option<RecordId>,
) -> impl Iterator<Item = Result<RecordId, Error>> {
    members(disk, sync, after, |_, _| Ok(())).map(|found| found.map(|(id, ())| id))
}

/// The records of a sync and their entries, in order, as they are when their group is read.
pub(super) fn entries(
    disk: &Disk,
    sync: u16,
) -> impl Iterator<Item = Result<(RecordId, Entry), Error>> {
    members(disk, sync, None, |group, range| Entry::read(&group.key, &group.payload[range.clone()]))
}

/// The records of a sync after `after`, in order, with what `read` makes of their entries.
fn members<T>(
    disk: &Disk,
    sync: u16,
    after: Option<RecordId>,
    read: impl Fn(&Group, &Range<usize>) -> Result<T, Error>,
) -> impl Iterator<Item = Result<(RecordId, T), Error>> {
    let prefix = Space::Record.key(&[&sync.to_be_bytes()]);
    let from =
        after.map_or(Ok(None), |id| disk.at_or_before(&prefix, &Space::Record.record(sync, &id)));
    let (failed, from) = match from {
        Ok(Some((key, _))) => (None, key.to_vec()),
        Ok(None) => (None, prefix.clone()),
        Err(error) => (Some(Err(error)), prefix.clone()),
    };
    let groups = disk.from(&prefix, &from).flat_map(move |item| {
        let found = item.and_then(|(key, payload)| {
            let group = Group::read(key, payload)?;
            let members = group.items.iter().map(|(id, range)| {
                let id = layout::id_from(id)
                    .ok_or_else(|| codec::unfit(&group.key, "it names no record"))?;
                Ok((id, read(&group, range)?))
            });
            members.collect::<Result<Vec<(RecordId, T)>, Error>>()
        });
        match found {
            Ok(members) => members.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        }
    });
    // A commit may cut a group that was just read; what it moved to the next one comes once all the same.
    let mut last = after;
    let groups = groups.filter(move |found| match found {
        Ok((id, _)) if last.is_some_and(|last| *id <= last) => false,
        Ok((id, _)) => {
            last = Some(*id);
            true
        }
        Err(_) => true,
    });
    failed.into_iter().chain(groups)
}

//! The ledger of API calls: every one to the millisecond for the last day, sums by the hour for as long as is configured.
//!
//! A call is written down in intents.rs before it is made, and folded into sled with whatever is stored next: a run's
//! beginning, a batch, a run's end. So keeping the ledger costs no sync of the disk of its own. Beside the calls the gate
//! keeps here what it must know after a restart.
//!
//! A clock that was set back would leave calls in the future, which would never be a day old: they are moved to the
//! present with the first call after it.

use std::collections::{BTreeMap, HashMap};

use super::codec::{self, Put, Take};
use super::disk::{Disk, Writes};
use super::error::Error;
use super::intents::{Intents, Line, SLOTS};
use super::layout::{Space, number_at};
use super::meta::from_json;
use super::minutes::{HOUR, Hour, Key, MINUTE, Minute};
use super::names::{Class, Names};
use super::{Store, lock};
use crate::model::{Call, Caller, ConnectionName, HourOfCalls, Stamp, SyncName};

/// How long calls are kept one by one, in minutes: the rolling day that counts, and an hour for clocks that differ.
const MINUTES_KEPT: u64 = 25 * 60;

/// How far calls may lie ahead of the newest one before the clock must have been set back, in minutes.
const AHEAD: u64 = 60;

/// A part of the ledger's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Part {
    /// The number of the last folded line.
    Folded = b'f',
    /// minute -> calls.
    Minute = b'm',
    /// hour -> sums.
    Hour = b'h',
    /// hour -> calls of other applications.
    Others = b'o',
    /// What the gate remembers.
    Kept = b'k',
}

impl Part {
    fn prefix(self) -> Vec<u8> {
        Space::Ledger.key(&[&[self as u8]])
    }

    fn key(self, number: u64) -> Vec<u8> {
        Space::Ledger.key(&[&[self as u8], &number.to_be_bytes()])
    }
}

/// Whole units since 1970.
fn units(at: Stamp, unit: i64) -> u64 {
    u64::try_from(at.0.div_euclid(unit)).unwrap_or(0)
}

fn moment(number: u64, unit: i64) -> Stamp {
    Stamp(i64::try_from(number).unwrap_or(i64::MAX / unit).saturating_mul(unit))
}

/// Room in the file of intents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// There is enough.
    Plenty,
    /// More than half is taken; a fold should come soon.
    Little,
    /// There was none: nothing was written, a fold must come first.
    None,
}

/// What is remembered with the next fold.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Counts the changes.
    version: u64,
    /// The version that is durable.
    durable: u64,
    kept: Option<Vec<u8>>,
    others: BTreeMap<u64, u64>,
}

/// What a step takes from the intents and the memory into sled.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Folding {
    to: Option<u64>,
    version: Option<u64>,
}

/// Minutes and hours as they will be.
#[derive(Default)]
struct Changes {
    minutes: BTreeMap<u64, Minute>,
    hours: BTreeMap<u64, Hour>,
}

impl Changes {
    fn minute(&mut self, disk: &Disk, number: u64) -> Result<&mut Minute, Error> {
        match self.minutes.entry(number) {
            std::collections::btree_map::Entry::Occupied(found) => Ok(found.into_mut()),
            std::collections::btree_map::Entry::Vacant(place) => {
                Ok(place.insert(stored(disk, Part::Minute, number, Minute::read)?))
            }
        }
    }

    fn hour(&mut self, disk: &Disk, number: u64) -> Result<&mut Hour, Error> {
        match self.hours.entry(number) {
            std::collections::btree_map::Entry::Occupied(found) => Ok(found.into_mut()),
            std::collections::btree_map::Entry::Vacant(place) => {
                Ok(place.insert(stored(disk, Part::Hour, number, Hour::read)?))
            }
        }
    }

    fn enter(&mut self, disk: &Disk, at: Stamp, key: Key, back: bool) -> Result<(), Error> {
        let (minute, hour) = (units(at, MINUTE), units(at, HOUR));
        if !back {
            self.minute(disk, minute)?.add(at, key);
            self.hour(disk, hour)?.add(key);
        } else if self.minute(disk, minute)?.take(at, key) {
            self.hour(disk, hour)?.take(key);
        }
        Ok(())
    }

    fn write(self, writes: &mut Writes) {
        for (number, minute) in self.minutes {
            writes.put_long(Part::Minute.key(number), &minute.write());
        }
        for (number, hour) in self.hours {
            writes.put_long(Part::Hour.key(number), &hour.write());
        }
    }
}

/// One stored value of the ledger; an empty one where there is none.
fn stored<T: Default>(
    disk: &Disk,
    part: Part,
    number: u64,
    read: impl Fn(&[u8]) -> Result<T, super::minutes::Unread>,
) -> Result<T, Error> {
    let key = part.key(number);
    match disk.get_long(&key)? {
        Some(payload) => read(&payload).map_err(|unread| unread.of(&key)),
        None => Ok(T::default()),
    }
}

/// The stored values of a part from a number on.
fn walk<T>(
    disk: &Disk,
    part: Part,
    from: u64,
    read: impl Fn(&[u8]) -> Result<T, super::minutes::Unread>,
) -> Result<Vec<(u64, T)>, Error> {
    let mut found = Vec::new();
    for item in disk.from(&part.prefix(), &part.key(from)) {
        let (key, head) = item?;
        // Longer keys are the further parts of a long value.
        if key.len() == part.key(0).len() {
            let payload = disk.rest(&key, &head)?;
            let number = number_at(&key, 2).ok_or_else(|| codec::unfit(&key, "it is no time"))?;
            found.push((number, read(&payload).map_err(|unread| unread.of(&key))?));
        }
    }
    Ok(found)
}

fn number_under(disk: &Disk, key: &[u8]) -> Result<Option<u64>, Error> {
    let Some(payload) = disk.get(key)? else { return Ok(None) };
    Take(&payload).number().map(Some).ok_or_else(|| codec::unfit(key, "it is no number"))
}

/// The number of the last line that was folded.
pub(super) fn folded(disk: &Disk) -> Result<u64, Error> {
    Ok(number_under(disk, &Part::Folded.prefix())?.unwrap_or(0))
}

impl Store {
    fn intents(&self) -> std::sync::MutexGuard<'_, Intents> {
        lock(&self.0.intents)
    }

    /// Writes down a call that is about to be made. When this returns with room, a process that dies at any moment has it
    /// on record. A write of 64 bytes; the first one of a new connection or sync waits for the disk.
    pub fn enter_call(&self, call: &Call) -> Result<Room, Error> {
        self.add_line(call, false)
    }

    /// Takes a call back that was written down and not sent.
    pub fn take_back_call(&self, call: &Call) -> Result<Room, Error> {
        self.add_line(call, true)
    }

    fn add_line(&self, call: &Call, back: bool) -> Result<Room, Error> {
        let numbers = self.numbers_of(&self.names(), call);
        let (connection, sync) = match numbers {
            Some(numbers) => numbers,
            None => self.give_numbers(call)?,
        };
        let Call { at, purpose, backfill, saved, .. } = *call;
        let key = Key { connection, sync, purpose, backfill, saved, run: call.caller.run };
        let mut intents = self.intents();
        if !intents.add(back, at, key)? {
            return Ok(Room::None);
        }
        Ok(if intents.room() < SLOTS / 2 { Room::Little } else { Room::Plenty })
    }

    fn numbers_of(&self, names: &Names, call: &Call) -> Option<(u16, Option<u16>)> {
        let connection = names.number(Class::Connection, call.caller.connection.as_str())?;
        match &call.caller.sync {
            None => Some((connection, None)),
            Some(sync) => Some((connection, Some(names.number(Class::Sync, sync.as_str())?))),
        }
    }

    fn give_numbers(&self, call: &Call) -> Result<(u16, Option<u16>), Error> {
        let _writer = self.writer();
        let mut names = self.names().clone();
        let mut writes = Writes::default();
        let numbers = name(&mut names, &call.caller, &mut writes)?;
        self.0.disk.apply(writes)?;
        self.set_names(names);
        self.0.disk.flush()?;
        Ok(numbers)
    }

    /// Makes room: what was written down moves into sled; durable when this returns.
    pub fn fold_calls(&self) -> Result<(), Error> {
        let _writer = self.writer();
        let mut writes = Writes::default();
        let folding = self.fold_into(&mut writes)?;
        if folding.to.is_some() || folding.version.is_some() {
            self.0.disk.apply(writes)?;
            self.0.disk.flush()?;
            self.folded(folding);
        }
        Ok(())
    }

    /// Adds what waits to a step that is about to be made; call it with the writer in hand, and [`Store::folded`] when the
    /// step is durable.
    pub(super) fn fold_into(&self, writes: &mut Writes) -> Result<Folding, Error> {
        let disk = &self.0.disk;
        let mut folding = Folding::default();
        let lines = self.intents().waiting();
        if let (Some(last), Some(newest)) = (lines.last(), lines.iter().map(|line| line.at).max()) {
            let mut changes = Changes::default();
            bring_back(disk, newest, &mut changes, writes)?;
            for Line { at, key, back, .. } in &lines {
                changes.enter(disk, *at, *key, *back)?;
            }
            changes.write(writes);
            writes.put(Part::Folded.prefix(), &numbered(last.number));
            let hours = u64::from(self.0.options.ledger_days) * 24;
            for (part, before) in [
                (Part::Minute, units(newest, MINUTE).saturating_sub(MINUTES_KEPT)),
                (Part::Hour, units(newest, HOUR).saturating_sub(hours)),
                (Part::Others, units(newest, HOUR).saturating_sub(hours)),
            ] {
                for item in disk.below(&part.prefix(), &part.key(before)) {
                    writes.remove(item?.0.to_vec());
                }
            }
            folding.to = Some(last.number);
        }
        let memory = lock(&self.0.memory);
        if memory.version != memory.durable {
            if let Some(kept) = &memory.kept {
                writes.put_long(Part::Kept.prefix(), kept);
            }
            for (hour, calls) in &memory.others {
                writes.put(Part::Others.key(*hour), &numbered(*calls));
            }
            folding.version = Some(memory.version);
        }
        Ok(folding)
    }

    /// Frees what a step has taken that is now durable.
    pub(super) fn folded(&self, folding: Folding) {
        if let Some(to) = folding.to {
            self.intents().folded(to);
        }
        if let Some(version) = folding.version {
            let mut memory = lock(&self.0.memory);
            memory.durable = version;
            if memory.version == version {
                // What is stored need not be stored again; the last hours go on growing.
                memory.others.clear();
            }
        }
    }

    /// The calls at or after `since`, in the order of their times. Calls of more than 25 hours ago are not known one by one;
    /// see [`Store::hours_of_calls`].
    pub fn calls_since(&self, since: Stamp) -> Result<Vec<Call>, Error> {
        let (lines, minutes) =
            self.consistent(|disk| walk(disk, Part::Minute, units(since, MINUTE), Minute::read))?;
        let mut minutes: BTreeMap<u64, Minute> = minutes.into_iter().collect();
        for Line { at, key, back, .. } in lines {
            let number = units(at, MINUTE);
            if number >= units(since, MINUTE) {
                let minute = minutes.entry(number).or_default();
                if !back {
                    minute.add(at, key);
                } else {
                    minute.take(at, key);
                }
            }
        }
        let mut resolve = Resolve::new(self);
        let mut calls = Vec::new();
        for (number, minute) in &minutes {
            for (at, key) in minute.calls(moment(*number, MINUTE)).filter(|(at, _)| *at >= since) {
                calls.push(Call {
                    at,
                    caller: Caller {
                        connection: resolve.connection(key.connection)?,
                        sync: key.sync.map(|sync| resolve.sync(sync)).transpose()?,
                        run: key.run,
                        page: None,
                    },
                    purpose: key.purpose,
                    backfill: key.backfill,
                    saved: key.saved,
                });
            }
        }
        calls.sort_by_key(|call| call.at);
        Ok(calls)
    }

    /// The sums of every hour that ends after `since`, in order.
    pub fn hours_of_calls(&self, since: Stamp) -> Result<Vec<HourOfCalls>, Error> {
        let (lines, hours) =
            self.consistent(|disk| walk(disk, Part::Hour, units(since, HOUR), Hour::read))?;
        let mut hours: BTreeMap<u64, Hour> = hours.into_iter().collect();
        for Line { at, key, back, .. } in lines {
            let number = units(at, HOUR);
            if number >= units(since, HOUR) {
                let hour = hours.entry(number).or_default();
                if back { hour.take(key) } else { hour.add(key) }
            }
        }
        let mut resolve = Resolve::new(self);
        let mut found = Vec::new();
        for (number, hour) in hours {
            for (kind, (calls, saved)) in hour.0.into_iter().filter(|(_, (calls, _))| *calls > 0) {
                found.push(HourOfCalls {
                    hour: moment(number, HOUR),
                    connection: resolve.connection(kind.connection)?,
                    sync: kind.sync.map(|sync| resolve.sync(sync)).transpose()?,
                    purpose: kind.purpose,
                    backfill: kind.backfill,
                    calls,
                    saved,
                });
            }
        }
        Ok(found)
    }

    /// Lines that wait, and stored values that do not hold them yet.
    fn consistent<T>(
        &self,
        read: impl Fn(&Disk) -> Result<T, Error>,
    ) -> Result<(Vec<Line>, T), Error> {
        loop {
            let mut lines = self.intents().waiting();
            let before = folded(&self.0.disk)?;
            let value = read(&self.0.disk)?;
            // A fold in between: what was read may hold lines that were not in sled when it began.
            if folded(&self.0.disk)? == before {
                lines.retain(|line| line.number > before);
                return Ok((lines, value));
            }
        }
    }

    /// Keeps what the gate must know after a restart, and the calls of other applications in these hours; durable with the
    /// next fold.
    pub fn remember_quota(&self, kept: Vec<u8>, others: &[(Stamp, u64)]) {
        let mut memory = lock(&self.0.memory);
        memory.version += 1;
        memory.kept = Some(kept);
        memory.others.extend(others.iter().map(|(hour, calls)| (units(*hour, HOUR), *calls)));
    }

    /// What [`Store::remember_quota`] was given last.
    pub fn remembered_quota(&self) -> Result<Option<Vec<u8>>, Error> {
        if let Some(kept) = &lock(&self.0.memory).kept {
            return Ok(Some(kept.clone()));
        }
        self.0.disk.get_long(&Part::Kept.prefix())
    }

    /// The calls of other applications in the hours that end after `since`, in order.
    pub fn others_since(&self, since: Stamp) -> Result<Vec<(Stamp, u64)>, Error> {
        let first = units(since, HOUR);
        let mut hours = BTreeMap::new();
        for item in self.0.disk.from(&Part::Others.prefix(), &Part::Others.key(first)) {
            let (key, payload) = item?;
            let unfit = || codec::unfit(&key, "it cannot be read");
            let hour = number_at(&key, 2).ok_or_else(unfit)?;
            hours.insert(hour, Take(&payload).number().ok_or_else(unfit)?);
        }
        let memory = lock(&self.0.memory);
        hours.extend(memory.others.iter().filter(|(hour, _)| **hour >= first));
        Ok(hours.into_iter().map(|(hour, calls)| (moment(hour, HOUR), calls)).collect())
    }

    /// Bytes of the stored values of all calls and sums, for the benchmark.
    #[doc(hidden)]
    pub fn ledger_bytes(&self) -> Result<u64, Error> {
        let mut sum = 0;
        for item in Space::Ledger.walk(&self.0.disk) {
            let (key, payload) = item?;
            sum += (key.len() + payload.len() + codec::HEAD) as u64;
        }
        Ok(sum)
    }

    /// Moves a ledger of the former kind, one value a call, to this one.
    pub(super) fn move_old_ledger(&self) -> Result<(), Error> {
        const STEP: usize = 1000;
        let disk = &self.0.disk;
        let _writer = self.writer();
        loop {
            let mut writes = Writes::default();
            let mut names = self.names().clone();
            let (mut changes, mut moved) = (Changes::default(), 0);
            for item in Space::Call.walk(disk).take(STEP) {
                let (key, payload) = item?;
                let call: Call = from_json(&key, &payload)?;
                let (connection, sync) = name(&mut names, &call.caller, &mut writes)?;
                let Call { at, purpose, backfill, saved, .. } = call;
                let to = Key { connection, sync, purpose, backfill, saved, run: call.caller.run };
                changes.enter(disk, at, to, false)?;
                writes.remove(key.to_vec());
                moved += 1;
            }
            if moved == 0 {
                return Ok(());
            }
            changes.write(&mut writes);
            disk.apply(writes)?;
            self.set_names(names);
            disk.flush()?;
        }
    }
}

fn numbered(number: u64) -> Vec<u8> {
    let mut payload = Vec::new();
    payload.number(number);
    payload
}

fn name(
    names: &mut Names,
    caller: &Caller,
    writes: &mut Writes,
) -> Result<(u16, Option<u16>), Error> {
    let connection = names.give(Class::Connection, caller.connection.as_str(), writes)?;
    let sync = match &caller.sync {
        Some(sync) => Some(names.give(Class::Sync, sync.as_str(), writes)?),
        None => None,
    };
    Ok((connection, sync))
}

/// Moves what lies far ahead of the newest call to it.
fn bring_back(
    disk: &Disk,
    newest: Stamp,
    changes: &mut Changes,
    writes: &mut Writes,
) -> Result<(), Error> {
    let (minute, hour) = (units(newest, MINUTE), units(newest, HOUR));
    let last = disk.last(&Part::Minute.prefix())?.and_then(|(key, _)| number_at(&key, 2));
    if last.is_none_or(|last| last <= minute + AHEAD) {
        return Ok(());
    }
    tracing::warn!("The clock was set back: API calls that lay in the future count from now on");
    for (number, ahead) in walk(disk, Part::Minute, minute + AHEAD + 1, Minute::read)? {
        for (_, key) in ahead.calls(moment(number, MINUTE)) {
            changes.minute(disk, minute)?.add(newest, key);
        }
    }
    for (_, ahead) in walk(disk, Part::Hour, hour + 2, Hour::read)? {
        let present = changes.hour(disk, hour)?;
        for (kind, (calls, saved)) in ahead.0 {
            let sum = present.0.entry(kind).or_default();
            *sum = (sum.0 + calls, sum.1 + saved);
        }
    }
    for (part, from) in
        [(Part::Minute, minute + AHEAD + 1), (Part::Hour, hour + 2), (Part::Others, hour + 2)]
    {
        for item in disk.from(&part.prefix(), &part.key(from)) {
            writes.remove(item?.0.to_vec());
        }
    }
    Ok(())
}

/// Names of numbers, each made once.
struct Resolve {
    names: Names,
    connections: HashMap<u16, ConnectionName>,
    syncs: HashMap<u16, SyncName>,
}

impl Resolve {
    fn new(store: &Store) -> Self {
        let names = store.names().clone();
        Self { names, connections: HashMap::new(), syncs: HashMap::new() }
    }

    fn connection(&mut self, number: u16) -> Result<ConnectionName, Error> {
        if let Some(known) = self.connections.get(&number) {
            return Ok(known.clone());
        }
        let name = self.names.name(Class::Connection, number)?;
        let name = ConnectionName::new(&name).map_err(|error| Error::damaged(error.to_string()))?;
        self.connections.insert(number, name.clone());
        Ok(name)
    }

    fn sync(&mut self, number: u16) -> Result<SyncName, Error> {
        if let Some(known) = self.syncs.get(&number) {
            return Ok(known.clone());
        }
        let name = self.names.name(Class::Sync, number)?;
        let name = SyncName::new(&name).map_err(|error| Error::damaged(error.to_string()))?;
        self.syncs.insert(number, name.clone());
        Ok(name)
    }
}

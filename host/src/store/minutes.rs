//! How the ledger's calls are stored: one value a minute with every call to the millisecond, one an hour with sums.

use std::collections::BTreeMap;

use super::codec::{self, Put, Take};
use super::error::Error;
use crate::model::{Purpose, RunId, Stamp};

pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;

/// Whose a call is and what for: calls that agree in this differ in nothing but their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    /// The number of the connection's name.
    pub(super) connection: u16,
    /// The number of the sync's name, when one asked.
    pub(super) sync: Option<u16>,
    pub(super) purpose: Purpose,
    pub(super) backfill: bool,
    pub(super) saved: u16,
    pub(super) run: Option<RunId>,
}

impl Key {
    fn write(&self, to: &mut Vec<u8>) {
        to.number(u64::from(self.connection));
        to.number(self.sync.map_or(0, |sync| u64::from(sync) + 1));
        to.number(self.purpose as u64);
        to.number(u64::from(self.backfill));
        to.number(u64::from(self.saved));
        to.number(self.run.map_or(0, |run| run.0));
    }

    fn read(take: &mut Take<'_>) -> Result<Self, Unread> {
        let connection = take.short().ok_or(Unread::Damaged)?;
        let sync = match take.number().ok_or(Unread::Damaged)? {
            0 => None,
            above => Some(u16::try_from(above - 1).map_err(|_| Unread::Damaged)?),
        };
        let purpose = purpose(take)?;
        let backfill = take.number().ok_or(Unread::Damaged)? != 0;
        let saved = take.short().ok_or(Unread::Damaged)?;
        let run = take.number().ok_or(Unread::Damaged)?;
        let run = Some(run).filter(|run| *run > 0).map(RunId);
        Ok(Self { connection, sync, purpose, backfill, saved, run })
    }
}

fn purpose(take: &mut Take<'_>) -> Result<Purpose, Unread> {
    let number = take.number().ok_or(Unread::Damaged)?;
    let known = usize::try_from(number).ok().and_then(|number| Purpose::ALL.get(number));
    known.copied().ok_or(Unread::Purpose(number))
}

/// Why a value cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unread {
    Damaged,
    /// A later kilofold knows this purpose.
    Purpose(u64),
}

impl Unread {
    pub(super) fn of(self, key: &[u8]) -> Error {
        match self {
            Self::Damaged => codec::unfit(key, "it cannot be read"),
            Self::Purpose(found) => Error::Newer {
                what: "the ledger of API calls".to_owned(),
                found,
                known: Purpose::ALL.len() as u64 - 1,
            },
        }
    }
}

/// The calls of one minute.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Minute(BTreeMap<Key, Vec<u16>>);

impl Minute {
    /// Enters a call.
    pub(super) fn add(&mut self, at: Stamp, key: Key) {
        let offset = offset(at);
        let offsets = self.0.entry(key).or_default();
        let place = offsets.partition_point(|other| *other <= offset);
        offsets.insert(place, offset);
    }

    /// Takes a call out again; false when it is not there.
    pub(super) fn take(&mut self, at: Stamp, key: Key) -> bool {
        let Some(offsets) = self.0.get_mut(&key) else { return false };
        let Ok(place) = offsets.binary_search(&offset(at)) else { return false };
        offsets.remove(place);
        if offsets.is_empty() {
            self.0.remove(&key);
        }
        true
    }

    /// Every call, when it is the minute that begins at `start`; in no order.
    pub(super) fn calls(&self, start: Stamp) -> impl Iterator<Item = (Stamp, Key)> {
        self.0.iter().flat_map(move |(key, offsets)| {
            offsets.iter().map(move |offset| (Stamp(start.0 + i64::from(*offset)), *key))
        })
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(16 + self.0.len() * 16);
        to.number(self.0.len() as u64);
        for (key, offsets) in &self.0 {
            key.write(&mut to);
            to.number(offsets.len() as u64);
            let mut last = 0;
            for offset in offsets {
                to.number(u64::from(offset - last));
                last = *offset;
            }
        }
        to
    }

    pub(super) fn read(payload: &[u8]) -> Result<Self, Unread> {
        let mut take = Take(payload);
        let mut minute = BTreeMap::new();
        for _ in 0..take.number().ok_or(Unread::Damaged)? {
            let key = Key::read(&mut take)?;
            let mut offsets = Vec::new();
            let mut last = 0u16;
            for _ in 0..take.number().ok_or(Unread::Damaged)? {
                let step = take.short().ok_or(Unread::Damaged)?;
                last = last.checked_add(step).ok_or(Unread::Damaged)?;
                offsets.push(last);
            }
            minute.insert(key, offsets);
        }
        if take.0.is_empty() { Ok(Self(minute)) } else { Err(Unread::Damaged) }
    }
}

/// Milliseconds since the minute began: they fit 16 bits.
fn offset(at: Stamp) -> u16 {
    u16::try_from(at.0.rem_euclid(MINUTE)).unwrap_or(u16::MAX)
}

/// What sums of an hour are by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    pub(super) connection: u16,
    pub(super) sync: Option<u16>,
    pub(super) purpose: Purpose,
    pub(super) backfill: bool,
}

impl From<Key> for Kind {
    fn from(key: Key) -> Self {
        let Key { connection, sync, purpose, backfill, .. } = key;
        Self { connection, sync, purpose, backfill }
    }
}

/// The sums of one hour: calls, and calls saved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Hour(pub(super) BTreeMap<Kind, (u64, u64)>);

impl Hour {
    pub(super) fn add(&mut self, key: Key) {
        let (calls, saved) = self.0.entry(key.into()).or_default();
        *calls += 1;
        *saved += u64::from(key.saved);
    }

    pub(super) fn take(&mut self, key: Key) {
        if let Some((calls, saved)) = self.0.get_mut(&key.into()) {
            *calls = calls.saturating_sub(1);
            *saved = saved.saturating_sub(u64::from(key.saved));
        }
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(8 + self.0.len() * 12);
        to.number(self.0.len() as u64);
        for (kind, (calls, saved)) in &self.0 {
            let Kind { connection, sync, purpose, backfill } = *kind;
            Key { connection, sync, purpose, backfill, saved: 0, run: None }.write(&mut to);
            to.number(*calls);
            to.number(*saved);
        }
        to
    }

    pub(super) fn read(payload: &[u8]) -> Result<Self, Unread> {
        let mut take = Take(payload);
        let mut hour = BTreeMap::new();
        for _ in 0..take.number().ok_or(Unread::Damaged)? {
            let kind = Kind::from(Key::read(&mut take)?);
            let calls = take.number().ok_or(Unread::Damaged)?;
            hour.insert(kind, (calls, take.number().ok_or(Unread::Damaged)?));
        }
        if take.0.is_empty() { Ok(Self(hour)) } else { Err(Unread::Damaged) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> impl Strategy<Value = Key> {
        let parts = (0..3u16, prop::option::of(0..3u16), 0..Purpose::ALL.len(), any::<bool>());
        (parts, 0..3u16, 0..4u64).prop_map(|((connection, sync, purpose, backfill), saved, run)| {
            Key {
                connection,
                sync,
                purpose: Purpose::ALL[purpose],
                backfill,
                saved,
                run: Some(run).filter(|run| *run > 0).map(RunId),
            }
        })
    }

    proptest! {
        #[test]
        fn a_minute_holds_every_call(calls in prop::collection::vec((0..MINUTE, keys()), 0..60), backs in 0..10usize) {
            let start = Stamp(77 * MINUTE);
            let (mut minute, mut hour) = (Minute::default(), Hour::default());
            let mut plain: Vec<(Stamp, Key)> =
                calls.iter().map(|(ms, key)| (Stamp(start.0 + ms), *key)).collect();
            for (at, key) in &plain {
                minute.add(*at, *key);
                hour.add(*key);
            }
            for _ in 0..backs.min(plain.len()) {
                let (at, key) = plain.swap_remove(0);
                prop_assert!(minute.take(at, key));
                hour.take(key);
            }
            let absent = Key { run: Some(RunId(99)), ..keys_of(&plain) };
            prop_assert!(!minute.take(start, absent));
            let read = Minute::read(&minute.write()).unwrap();
            let mut found: Vec<_> = read.calls(start).collect();
            found.sort();
            plain.sort();
            prop_assert_eq!(&found, &plain);
            let hour = Hour::read(&hour.write()).unwrap();
            let (calls, saved) = hour.0.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            prop_assert_eq!(calls, plain.len() as u64);
            prop_assert_eq!(saved, plain.iter().map(|(_, key)| u64::from(key.saved)).sum::<u64>());
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            drop((Minute::read(&bytes), Hour::read(&bytes)));
        }
    }

    fn keys_of(calls: &[(Stamp, Key)]) -> Key {
        calls.first().map_or(
            Key {
                connection: 0,
                sync: None,
                purpose: Purpose::Query,
                backfill: false,
                saved: 0,
                run: None,
            },
            |(_, key)| *key,
        )
    }

    /// Bytes that were written first: when this fails, ledgers in the field can no longer be read.
    #[test]
    fn the_first_format_is_read_for_ever() {
        let mut minute = Minute::default();
        let key = Key {
            connection: 0,
            sync: Some(2),
            purpose: Purpose::QueryMore,
            backfill: true,
            saved: 0,
            run: Some(RunId(300)),
        };
        for ms in [0, 250, 59_999] {
            minute.add(Stamp(ms), key);
        }
        let bytes = [1, 0, 3, 1, 1, 0, 0xac, 2, 3, 0, 0xfa, 1, 0xe5, 0xd2, 3];
        assert_eq!(minute.write(), bytes);
        assert_eq!(Minute::read(&bytes), Ok(minute));
        let mut hour = Hour::default();
        hour.add(Key { saved: 4, ..key });
        let bytes = [1, 0, 3, 1, 1, 0, 0, 1, 4];
        assert_eq!(hour.write(), bytes);
        assert_eq!(Hour::read(&bytes), Ok(hour));
        assert_eq!(Minute::read(&[1, 0, 0, 200, 1, 0, 0, 0, 0]), Err(Unread::Purpose(200)));
    }
}

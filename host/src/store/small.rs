//! Small durable things: pauses, sealed secrets, the ledger of calls, the describe cache.

use std::sync::atomic::Ordering;

use super::codec::{self, Put, Take};
use super::disk::Writes;
use super::error::Error;
use super::layout::{Space, number_at};
use super::meta::{from_json, to_json};
use super::{Store, block};
use crate::model::{Call, Pause, Stamp, SyncName};

/// An answer kept to save calls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cached {
    /// The answer.
    pub bytes: Vec<u8>,
    /// The `Last-Modified` that came with it.
    pub last_modified: Option<String>,
}

impl Store {
    /// Why a sync is paused; none when it is not.
    pub fn pause(&self, sync: &SyncName) -> Result<Option<Pause>, Error> {
        let key = Space::Paused.name(sync.as_str());
        match self.0.disk.get(&key)? {
            None => Ok(None),
            // As long as only people paused syncs, nothing more was kept.
            Some(payload) if payload.is_empty() => Ok(Some(Pause { at: None, cause: None })),
            Some(payload) => from_json(&key, &payload).map(Some),
        }
    }

    /// Pauses a sync, or with none lets it go on; durable when this returns.
    pub fn set_pause(&self, sync: &SyncName, pause: Option<&Pause>) -> Result<(), Error> {
        let key = Space::Paused.name(sync.as_str());
        let mut writes = Writes::default();
        match pause {
            Some(pause) => writes.put(key, &to_json("a pause", pause)?),
            None => writes.remove(key),
        }
        self.0.disk.apply(writes)?;
        self.0.disk.flush()
    }

    /// The sealed bytes of this name.
    pub fn get_secret(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.0.disk.get_long(&Space::Secret.name(name))
    }

    /// Stores sealed bytes under a name in place of the former; durable when this returns.
    pub fn put_secret(&self, name: &str, sealed: &[u8]) -> Result<(), Error> {
        let mut writes = Writes::default();
        writes.put_long(Space::Secret.name(name), sealed);
        self.0.disk.apply(writes)?;
        self.0.disk.flush()
    }

    /// Enters a call into the ledger and tells the number of the entry; durable when this returns, so before the request is
    /// sent.
    pub fn journal_begin(&self, call: &Call) -> Result<u64, Error> {
        let entry = self.0.next_call.fetch_add(1, Ordering::Relaxed);
        let mut writes = Writes::default();
        writes.put(Space::Call.number(entry), &to_json("a call", call)?);
        self.0.disk.apply(writes)?;
        self.0.disk.flush()?;
        Ok(entry)
    }

    /// Takes an entry back whose request never left; durable with the next thing that is.
    pub fn journal_void(&self, entry: u64) -> Result<(), Error> {
        let mut writes = Writes::default();
        writes.remove(Space::Call.number(entry));
        self.0.disk.apply(writes)
    }

    /// The calls of the ledger at or after `since`, in the order in which they were entered. Reads the whole ledger, since
    /// clocks can be set back.
    pub fn journal_since(&self, since: Stamp) -> Result<Vec<(u64, Call)>, Error> {
        let mut calls = Vec::new();
        for item in Space::Call.walk(&self.0.disk) {
            let (key, payload) = item?;
            let call: Call = from_json(&key, &payload)?;
            let entry = number_at(&key, 1).ok_or_else(|| codec::unfit(&key, "it is no entry"))?;
            if call.at >= since {
                calls.push((entry, call));
            }
        }
        Ok(calls)
    }

    /// Forgets the calls before `before`, and tells how many; the last entry stays, so that numbers are not given twice.
    pub fn journal_compact(&self, before: Stamp) -> Result<u64, Error> {
        const STEP: usize = 1000;
        let mut old = Vec::new();
        let last = self.0.disk.last(&Space::Call.prefix())?.map(|(key, _)| key);
        for item in Space::Call.walk(&self.0.disk) {
            let (key, payload) = item?;
            if from_json::<Call>(&key, &payload)?.at < before && Some(&key) != last.as_ref() {
                old.push(key.to_vec());
            }
        }
        let count = old.len() as u64;
        for keys in old.chunks(STEP) {
            let mut writes = Writes::default();
            keys.iter().for_each(|key| writes.remove(key.clone()));
            self.0.disk.apply(writes)?;
        }
        Ok(count)
    }

    /// The answer kept under a name.
    pub fn cached(&self, name: &str) -> Result<Option<Cached>, Error> {
        let key = Space::Cache.name(name);
        let read = || -> Result<Option<Vec<u8>>, Error> {
            let packed = self.0.disk.get_long(&key)?;
            packed.map(|packed| block::unpack(&key, &packed)).transpose()
        };
        // The parts of a long answer are read one by one, and a writer may come between: then the second try fits.
        let Some(plain) = read().or_else(|_| read())? else { return Ok(None) };
        let mut take = Take(&plain);
        let last_modified = match take.text() {
            Some("") => None,
            Some(text) => Some(text.to_owned()),
            None => return Err(codec::unfit(&key, "it cannot be read")),
        };
        Ok(Some(Cached { bytes: take.0.to_vec(), last_modified }))
    }

    /// Keeps an answer under a name in place of the former; durable with the next thing that is.
    pub fn put_cached(&self, name: &str, answer: &Cached) -> Result<(), Error> {
        let mut plain = Vec::with_capacity(answer.bytes.len() + 64);
        plain.bytes(answer.last_modified.as_deref().unwrap_or_default().as_bytes());
        plain.extend_from_slice(&answer.bytes);
        let packed = self.writer().packer.pack(&plain)?;
        let mut writes = Writes::default();
        writes.put_long(Space::Cache.name(name), &packed);
        self.0.disk.apply(writes)
    }
}

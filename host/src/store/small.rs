//! Small durable things: pauses, sealed secrets, the describe cache.

use super::codec::{self, Put, Take};
use super::disk::Writes;
use super::error::Error;
use super::layout::Space;
use super::meta::{from_json, to_json};
use super::{Store, block};
use crate::model::{Pause, SyncName};

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

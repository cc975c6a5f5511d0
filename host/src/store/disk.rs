//! The only door to sled: every call is fenced, because sled panics on some kinds of damage.

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sled::IVec;

use super::codec::{self, Put, Take};
use super::error::Error;
use super::{guard, layout, looks};

/// Fixed for the life of a store. A node of sled's tree holds at most 17 values and must stay under a quarter of a segment
/// (see guard.rs), so no value may be longer than [`PART`].
pub(super) const SEGMENT: usize = 4 * 1024 * 1024;
/// The longest stored value; longer payloads are cut into parts.
pub(super) const PART: usize = 48 * 1024;

/// One batch of changes, made together or not at all.
#[derive(Default)]
pub(super) struct Writes {
    batch: sled::Batch,
    /// A value in the making: sled makes its own copy.
    value: Vec<u8>,
}

impl Writes {
    /// Stores a payload of at most [`PART`] bytes.
    pub(super) fn put(&mut self, key: Vec<u8>, payload: &[u8]) {
        codec::seal_into(&mut self.value, &key, payload);
        self.batch.insert(key, self.value.as_slice());
    }

    /// Stores a payload of any length under a key and, where needed, longer keys; tells how many parts it took.
    pub(super) fn put_long(&mut self, key: Vec<u8>, payload: &[u8]) -> u64 {
        let mut parts = payload.chunks(PART);
        let count = parts.len().max(1) as u64;
        let first = parts.next().unwrap_or_default();
        for (n, part) in (1u16..).zip(parts) {
            self.put(part_key(&key, n), part);
        }
        let mut head = Vec::with_capacity(first.len() + 2);
        head.number(count);
        head.extend_from_slice(first);
        self.put(key, &head);
        count
    }

    /// Removes a key.
    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.batch.remove(key);
    }
}

/// The key of part `n` (from 1) of a long payload.
pub(super) fn part_key(key: &[u8], n: u16) -> Vec<u8> {
    [key, &n.to_be_bytes()].concat()
}

/// An open sled.
pub(super) struct Disk {
    tree: sled::Tree,
    db: sled::Db,
    path: PathBuf,
    stopped: OnceLock<String>,
}

impl Disk {
    /// Opens or makes the sled folder `path`.
    pub(super) fn open(path: &Path, cache_bytes: u64) -> Result<Self, Error> {
        guard::before_opening(path).map_err(|source| io_error("opening the store", source))?;
        let config = sled::Config::new()
            .path(path)
            .mode(sled::Mode::HighThroughput)
            .cache_capacity(cache_bytes)
            .segment_size(SEGMENT)
            // Nothing reaches the disk but through the flush of a commit: see guard.rs.
            .flush_every_ms(None);
        let (db, tree) = fence("opening the store", || {
            let db = config.open()?;
            let tree = db.open_tree("kilofold")?;
            db.flush()?;
            Ok((db, tree))
        })
        .map_err(|error| match error {
            Error::Io { source, .. } if source.to_string().contains("could not acquire lock") => {
                Error::Locked { path: path.to_owned(), holder: String::new() }
            }
            other => other,
        })?;
        guard::sync_folder(path).map_err(|source| io_error("opening the store", source))?;
        Ok(Self { tree, db, path: path.to_owned(), stopped: OnceLock::new() })
    }

    /// The payload under a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<IVec>, Error> {
        let value = fence("reading", || {
            let value = self.tree.get(key)?;
            self.look(key, value.as_ref())?;
            Ok(value)
        })?;
        value.map(|value| checked(key, value)).transpose()
    }

    /// Looks at a key that was just read some more times, so that sled keeps to the size of its cache: see looks.rs.
    fn look(&self, key: &[u8], value: Option<&IVec>) -> sled::Result<()> {
        (0..looks::after(value.map_or(0, |value| value.len())))
            .try_for_each(|_| self.tree.get(key).map(drop))
    }

    /// A payload that [`Writes::put_long`] stored.
    pub(super) fn get_long(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let Some(head) = self.get(key)? else { return Ok(None) };
        self.rest(key, &head).map(Some)
    }

    /// A whole long payload, from its first part.
    pub(super) fn rest(&self, key: &[u8], head: &[u8]) -> Result<Vec<u8>, Error> {
        let mut take = Take(head);
        let parts = take.short().ok_or_else(|| codec::unfit(key, "its parts are not counted"))?;
        let mut whole = take.0.to_vec();
        for n in 1..parts {
            let key = part_key(key, n);
            let part = self.get(&key)?.ok_or_else(|| codec::unfit(&key, "it is missing"))?;
            whole.extend_from_slice(&part);
        }
        Ok(whole)
    }

    /// Whether anything is stored at all.
    pub(super) fn is_empty(&self) -> Result<bool, Error> {
        fence("reading", || self.tree.first()).map(|first| first.is_none())
    }

    /// Keys and payloads of this prefix, beginning after the key `after`, in order.
    pub(super) fn after(&self, prefix: &[u8], after: &[u8]) -> Walk<'_> {
        Walk::new(self, prefix, Bound::Excluded(after.to_vec()), Bound::Unbounded)
    }

    /// Keys and payloads of this prefix, beginning at the key `from`, in order.
    pub(super) fn from(&self, prefix: &[u8], from: &[u8]) -> Walk<'_> {
        Walk::new(self, prefix, Bound::Included(from.to_vec()), Bound::Unbounded)
    }

    /// Keys and payloads of this prefix below the key `end`; meant to be walked backwards.
    pub(super) fn below(&self, prefix: &[u8], end: &[u8]) -> Walk<'_> {
        Walk::new(self, prefix, Bound::Included(prefix.to_vec()), Bound::Excluded(end.to_vec()))
    }

    /// Keys and payloads of this prefix behind the key `from`, up to and with the key `to`.
    pub(super) fn between(&self, prefix: &[u8], from: &[u8], to: &[u8]) -> Walk<'_> {
        Walk::new(self, prefix, Bound::Excluded(from.to_vec()), Bound::Included(to.to_vec()))
    }

    /// The last key of this prefix that is not behind `key`, and its payload.
    pub(super) fn at_or_before(
        &self,
        prefix: &[u8],
        key: &[u8],
    ) -> Result<Option<(IVec, IVec)>, Error> {
        let next = [key, &[0]].concat();
        let found = fence("reading", || self.tree.get_lt(&next))?;
        let found = found.filter(|(key, _)| key.starts_with(prefix));
        found.map(|(key, value)| Ok((key.clone(), checked(&key, value)?))).transpose()
    }

    /// All keys and payloads of this prefix.
    pub(super) fn all(&self, prefix: &[u8]) -> Walk<'_> {
        self.from(prefix, prefix)
    }

    /// The last key and payload of this prefix.
    pub(super) fn last(&self, prefix: &[u8]) -> Result<Option<(IVec, IVec)>, Error> {
        self.below(prefix, &past(prefix)).next_back().transpose()
    }

    /// The payloads of many keys, which must be sorted and without doubles.
    ///
    /// One step tells that nothing is stored between the first and the last. Otherwise the range is walked for as long as
    /// that is cheaper than looking keys up one by one.
    pub(super) fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<IVec>>, Error> {
        // A lookup costs about as much as this many steps of a walk.
        const LOOKUP: usize = 12;
        let mut found = vec![None; keys.len()];
        let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return Ok(found) };
        let bounds = (Bound::Included(first.clone()), Bound::Included(last.clone()));
        let mut walk = Walk::new(self, &[], bounds.0, bounds.1);
        let (mut next, mut steps) = (0, 0);
        loop {
            let Some((key, payload)) = walk.raw()? else { return Ok(found) };
            steps += 1;
            while next < keys.len() && keys[next].as_slice() < key.as_ref() {
                next += 1;
            }
            if next < keys.len() && keys[next].as_slice() == key.as_ref() {
                found[next] = Some(checked(&key, payload)?);
                next += 1;
            }
            if next == keys.len() {
                return Ok(found);
            }
            if steps > LOOKUP * (next + 16) {
                break;
            }
        }
        for (key, slot) in keys.iter().zip(&mut found).skip(next) {
            *slot = self.get(key)?;
        }
        Ok(found)
    }

    /// Makes all changes at once; durable after [`Disk::flush`].
    pub(super) fn apply(&self, writes: Writes) -> Result<(), Error> {
        self.stop_on_failure(|| fence("writing", || self.tree.apply_batch(writes.batch)))
    }

    /// Makes a key without a payload, for a value to come. It is no part of any step: it may survive a crash or not.
    pub(super) fn make_room(&self, key: Vec<u8>) -> Result<(), Error> {
        let empty = codec::seal(&key, &[]);
        self.stop_on_failure(|| fence("writing", || self.tree.insert(key, empty).map(drop)))
    }

    /// Makes everything durable.
    pub(super) fn flush(&self) -> Result<(), Error> {
        self.stop_on_failure(|| {
            let before = guard::syncs();
            let written = fence("syncing", || self.db.flush())?;
            if guard::NEEDED && written > 0 && guard::syncs() == before {
                // The linker took the C library's function after all: sync by hand.
                File::open(self.path.join("db"))
                    .and_then(|file| file.sync_data())
                    .map_err(|source| io_error("syncing", source))?;
            }
            Ok(())
        })
    }

    /// After a write has failed, memory and disk may differ, so nothing more is written.
    fn stop_on_failure(&self, write: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        if let Some(reason) = self.stopped.get() {
            return Err(Error::Stopped { reason: reason.clone() });
        }
        write().inspect_err(|error| {
            self.stopped.get_or_init(|| error.to_string());
        })
    }
}

fn checked(key: &[u8], value: IVec) -> Result<IVec, Error> {
    codec::open(key, &value)?;
    Ok(value.subslice(codec::HEAD, value.len() - codec::HEAD))
}

/// The first key after all keys of a prefix.
fn past(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

/// Keys and payloads in order, checked one by one.
pub(super) struct Walk<'a> {
    iter: sled::Iter,
    prefix: Vec<u8>,
    disk: &'a Disk,
}

impl<'a> Walk<'a> {
    fn new(disk: &'a Disk, prefix: &[u8], from: Bound<Vec<u8>>, to: Bound<Vec<u8>>) -> Self {
        let to = match to {
            Bound::Unbounded if !prefix.is_empty() => Bound::Excluded(past(prefix)),
            given => given,
        };
        // sled panics on a range whose end lies before its start.
        let upside_down = match (&from, &to) {
            (Bound::Included(a), Bound::Included(b)) => a > b,
            (Bound::Included(a) | Bound::Excluded(a), Bound::Excluded(b) | Bound::Included(b)) => {
                a >= b
            }
            _ => false,
        };
        let iter = if upside_down {
            disk.tree.range::<&[u8], _>((Bound::Included(&[][..]), Bound::Excluded(&[0][..])))
        } else {
            disk.tree.range::<Vec<u8>, _>((from, to))
        };
        Self { iter, prefix: prefix.to_vec(), disk }
    }

    /// The next key and stored value, not yet checked.
    fn raw(&mut self) -> Result<Option<(IVec, IVec)>, Error> {
        self.step(sled::Iter::next)
    }

    fn step(
        &mut self,
        step: fn(&mut sled::Iter) -> Option<<sled::Iter as Iterator>::Item>,
    ) -> Result<Option<(IVec, IVec)>, Error> {
        fence("reading", || {
            let found = step(&mut self.iter).transpose()?;
            if let Some((key, value)) = &found {
                self.disk.look(key, Some(value))?;
            }
            Ok(found)
        })
    }

    fn check(&self, found: Option<(IVec, IVec)>) -> Option<Result<(IVec, IVec), Error>> {
        let (key, value) = found?;
        if !key.starts_with(&self.prefix) {
            return Some(Err(codec::unfit(&key, "it lies outside its tree")));
        }
        Some(checked(&key, value).map(|payload| (key, payload)))
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<(IVec, IVec), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.raw() {
            Ok(found) => self.check(found),
            Err(error) => Some(Err(error)),
        }
    }
}

impl DoubleEndedIterator for Walk<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match self.step(sled::Iter::next_back) {
            Ok(found) => self.check(found),
            Err(error) => Some(Err(error)),
        }
    }
}

/// An error of the operating system.
pub(super) fn io_error(doing: &'static str, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full { doing },
        _ => Error::Io { doing, source },
    }
}

/// Runs a call into sled; a panic in it becomes an error.
fn fence<T>(doing: &'static str, call: impl FnOnce() -> sled::Result<T>) -> Result<T, Error> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(source))) => Err(io_error(doing, source)),
        Ok(Err(error)) => Err(Error::damaged(format!("{doing}: {error}"))),
        Err(panic) => {
            let words = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()))
                .unwrap_or_default();
            let words: String = words.chars().take(300).collect();
            Err(Error::damaged(format!("{doing}: {}", words.replace('\n', " "))))
        }
    }
}

impl layout::Space {
    /// All keys of the logical tree, walked in order.
    pub(super) fn walk(self, disk: &Disk) -> Walk<'_> {
        disk.all(&self.prefix())
    }
}

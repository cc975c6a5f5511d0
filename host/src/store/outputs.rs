//! Everything that is stored, one after the other, while commits go on: outputs, records, and snapshots of the outputs.
//!
//! A reader holds one group of records and the blocks of its cache, whatever the store's size.

use std::sync::Arc;

use super::Store;
use super::entry::{Entry, State};
use super::error::Error;
use super::feed::FeedEntry;
use super::groups;
use super::layout::Space;
use super::names::Class;
use super::{codec, records::TRIES};
use crate::model::{RecordId, RunId, Stamp, SyncName};

/// One output and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputRow {
    /// Its sync.
    pub sync: SyncName,
    /// Its kind.
    pub kind: Arc<str>,
    /// Its key.
    pub key: String,
    /// Its fields: the text of one JSON object.
    pub body: String,
    /// The record that yields it.
    pub record: RecordId,
    /// When that record last changed, by the org's clock.
    pub stamp: Stamp,
    /// The run that last changed the record.
    pub run: RunId,
}

/// One record, without its outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    /// Its sync.
    pub sync: SyncName,
    /// Its id.
    pub id: RecordId,
    /// When it last changed, by the org's clock.
    pub stamp: Stamp,
    /// Whether it is deleted in the org.
    pub deleted: bool,
    /// What became of it.
    pub state: State,
    /// The run that last changed it.
    pub run: RunId,
    /// The record as Salesforce sent it, when that was kept.
    pub raw: Option<String>,
}

/// Which outputs or records are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Only of these syncs; empty: of all.
    pub syncs: Vec<SyncName>,
    /// Only of these kinds; empty: of all.
    pub kinds: Vec<String>,
}

/// Walks over the records of some syncs.
struct Entries<'a> {
    store: &'a Store,
    syncs: std::vec::IntoIter<(u16, SyncName)>,
    #[expect(clippy::type_complexity, reason = "the walk of one sync, whatever its own type")]
    walk: Option<(u16, SyncName, Box<dyn Iterator<Item = Result<(RecordId, Entry), Error>> + 'a>)>,
}

impl<'a> Entries<'a> {
    fn new(store: &'a Store, wanted: &Wanted) -> Self {
        let syncs = store.syncs().into_iter();
        let syncs = syncs.filter(|sync| wanted.syncs.is_empty() || wanted.syncs.contains(sync));
        let numbered = syncs.filter_map(|sync| Some((store.sync_number(&sync)?, sync)));
        Self { store, syncs: numbered.collect::<Vec<_>>().into_iter(), walk: None }
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<(u16, SyncName, RecordId, Entry), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((number, sync, walk)) = &mut self.walk
                && let Some(found) = walk.next()
            {
                return Some(found.map(|(id, entry)| (*number, sync.clone(), id, entry)));
            }
            let (number, sync) = self.syncs.next()?;
            let walk = groups::entries(&self.store.0.disk, number);
            self.walk = Some((number, sync, Box::new(walk)));
        }
    }
}

impl Store {
    /// Every output that is wanted, by sync and record, each as it is when it is read.
    pub fn output_rows<'a>(
        &'a self,
        wanted: &Wanted,
    ) -> impl Iterator<Item = Result<OutputRow, Error>> + use<'a> {
        let kinds = wanted.kinds.clone();
        Entries::new(self, wanted).flat_map(move |found| {
            let rows = found.and_then(|(number, sync, id, entry)| {
                self.rows_of(number, &sync, id, entry, &kinds)
            });
            match rows {
                Ok(rows) => rows.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            }
        })
    }

    /// Every record of the wanted syncs, by sync and id, each as it is when it is read.
    pub fn record_rows<'a>(
        &'a self,
        wanted: &Wanted,
    ) -> impl Iterator<Item = Result<RecordRow, Error>> + use<'a> {
        Entries::new(self, wanted).map(|found| {
            let (number, sync, id, mut entry) = found?;
            for _ in 0..TRIES {
                let raw = entry.raw.map(|place| self.text(place, &id)).transpose()?;
                if entry.raw.is_none() || raw.as_ref().is_some_and(Option::is_some) {
                    let Entry { stamp, deleted, state, run, .. } = entry;
                    let raw = raw.flatten();
                    return Ok(RecordRow { sync, id, stamp, deleted, state, run, raw });
                }
                // A commit has moved it since; entries are never removed.
                entry = groups::entry(&self.0.disk, number, &id)?.unwrap_or(entry);
            }
            Err(codec::unfit(
                &Space::Record.record(number, &id),
                "the block of its text is missing",
            ))
        })
    }

    fn rows_of(
        &self,
        number: u16,
        sync: &SyncName,
        id: RecordId,
        mut entry: Entry,
        kinds: &[String],
    ) -> Result<Vec<OutputRow>, Error> {
        'again: for _ in 0..TRIES {
            let mut rows = Vec::with_capacity(entry.outputs.len());
            for held in &entry.outputs {
                let kind = self.names().name(Class::Kind, held.kind)?;
                if !kinds.is_empty() && !kinds.iter().any(|wanted| **wanted == *kind) {
                    continue;
                }
                let Some(body) = self.text(held.place, &id)? else {
                    entry = groups::entry(&self.0.disk, number, &id)?.unwrap_or(entry);
                    continue 'again;
                };
                let key = held.key.clone().unwrap_or_else(|| id.as_str().to_owned());
                let (sync, stamp, run) = (sync.clone(), entry.stamp, entry.run);
                rows.push(OutputRow { sync, kind, key, body, record: id, stamp, run });
            }
            return Ok(rows);
        }
        Err(codec::unfit(&Space::Record.record(number, &id), "a block of its outputs is missing"))
    }

    /// All outputs that are wanted as they were at one number of the feed, which comes with the last line.
    ///
    /// Commits go on meanwhile: an output is given as it is when it is read, and when all were read, the changes since the
    /// beginning follow, up to where the feed ends by then. Whoever applies the lines in order has exactly what was stored
    /// at that number, and goes on from there.
    pub fn snapshot(&self, wanted: &Wanted) -> Result<Snapshot<'_>, Error> {
        // Pinned before it is read, so that what comes after it is kept.
        let pin = self.pin()?;
        let rows = Box::new(self.output_rows(wanted));
        Ok(Snapshot { store: self, wanted: wanted.clone(), pin, state: Stage::Rows(rows) })
    }

    fn pin(&self) -> Result<Pin<'_>, Error> {
        let mut pins = self.pins();
        let at = self.feed_end()?;
        pins.push(at);
        Ok(Pin { store: self, at })
    }

    fn pins(&self) -> std::sync::MutexGuard<'_, Vec<u64>> {
        self.0.pins.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The first number behind which a snapshot still needs the feed.
    pub(super) fn pinned(&self) -> Option<u64> {
        self.pins().iter().min().copied()
    }
}

/// Keeps the feed behind a number until it is dropped.
struct Pin<'a> {
    store: &'a Store,
    at: u64,
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        let mut pins = self.store.pins();
        if let Some(at) = pins.iter().position(|at| *at == self.at) {
            pins.swap_remove(at);
        }
    }
}

/// One line of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// An output as it was read.
    Output(OutputRow),
    /// A change that was made while outputs were read.
    Change(FeedEntry),
    /// The end: what was stored at this number is told. Without it a snapshot is not whole.
    End(u64),
}

enum Stage<'a> {
    Rows(Box<dyn Iterator<Item = Result<OutputRow, Error>> + 'a>),
    Changes { after: u64, until: u64, ready: std::vec::IntoIter<FeedEntry> },
    Done,
}

/// See [`Store::snapshot`].
pub struct Snapshot<'a> {
    store: &'a Store,
    wanted: Wanted,
    pin: Pin<'a>,
    state: Stage<'a>,
}

impl Snapshot<'_> {
    /// The feed's end when it began.
    pub fn from(&self) -> u64 {
        self.pin.at
    }

    fn step(&mut self) -> Result<Option<Line>, Error> {
        loop {
            match &mut self.state {
                Stage::Rows(rows) => match rows.next() {
                    Some(row) => return row.map(Line::Output).map(Some),
                    None => {
                        let (after, until) = (self.pin.at, self.store.feed_end()?);
                        self.state = Stage::Changes { after, until, ready: Vec::new().into_iter() };
                    }
                },
                Stage::Changes { after, until, ready } => {
                    if let Some(entry) = ready.next() {
                        if entry.is_faded() {
                            // Its body went with a later change, which must then be told as well.
                            *until = (*until).max(self.store.feed_end()?);
                            continue;
                        }
                        return Ok(Some(Line::Change(entry)));
                    }
                    if *after >= *until {
                        let end = *until;
                        self.state = Stage::Done;
                        return Ok(Some(Line::End(end)));
                    }
                    let query = super::FeedQuery {
                        after: Some(*after),
                        until: Some(*until),
                        limit: 1000,
                        syncs: self.wanted.syncs.clone(),
                        kinds: self.wanted.kinds.clone(),
                    };
                    let page = self.store.feed_page(&query)?;
                    *after = page.next;
                    *ready = page.entries.into_iter();
                }
                Stage::Done => return Ok(None),
            }
        }
    }
}

impl Iterator for Snapshot<'_> {
    type Item = Result<Line, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.step();
        if line.is_err() {
            self.state = Stage::Done;
        }
        line.transpose()
    }
}

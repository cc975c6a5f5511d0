//! Reading records, outputs and failures.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::Store;
use super::block::{Place, unpack};
use super::codec;
use super::entry::{Entry, Held, State, Touch};
use super::error::Error;
use super::groups;
use super::layout::{self, Space, id_of, number_at};
use super::meta::from_json;
use super::names::Class;
use crate::model::{Output, RecordId, Rejection, RunId, Span, Stamp, SyncName, Text};

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordView {
    /// Its id.
    pub id: RecordId,
    /// When it last changed, by the org's clock.
    pub stamp: Stamp,
    /// Whether it is deleted in the org.
    pub deleted: bool,
    /// What became of it.
    pub state: State,
    /// The record as Salesforce sent it, when that was kept.
    pub raw: Option<String>,
    /// What it yields.
    pub outputs: Vec<Output>,
    /// The run that last changed it.
    pub run: RunId,
    /// The runs that changed it, the newest first: the last sixteen.
    pub history: Vec<Touch>,
}

/// A record that failed in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its number in the run, from 1.
    pub n: u64,
    /// The sync.
    pub sync: SyncName,
    /// The run.
    pub run: RunId,
    /// The record.
    pub id: RecordId,
    /// Why it failed.
    pub rejection: Rejection,
    /// The record as Salesforce sent it.
    pub raw: Option<String>,
}

/// A failure as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failed {
    pub(super) id: RecordId,
    pub(super) rejection: Rejection,
    pub(super) raw: Option<String>,
}

/// Which stored records to read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// All that were kept.
    All,
    /// Those that failed when they were last mapped.
    Failed,
    /// Those that failed when this run mapped them, and no later one has since.
    FailedIn(RunId),
    /// Those that changed at this time or later, by the org's clock.
    Since(Stamp),
}

/// Stored records, as Salesforce sent them.
#[derive(Debug, Clone)]
pub struct RawBatch {
    /// Their texts.
    pub text: Text,
    /// Where each lies.
    pub spans: Vec<Span>,
    /// Records among them that were picked, but whose text was not kept.
    pub without: Vec<RecordId>,
    /// Everything up to this record has been looked at.
    pub last: RecordId,
    /// How many records that were.
    pub seen: u64,
}

/// Reads stored records batch by batch; see [`Store::raw_batches`].
pub struct RawBatches {
    store: Store,
    sync: Option<u16>,
    pick: Pick,
    size: usize,
    after: Option<RecordId>,
}

/// How often a reader tries again when a commit takes away a block that it was about to read.
pub(super) const TRIES: usize = 4;
/// A raw batch ends at this many bytes.
const RAW_BYTES: usize = 8 * 1024 * 1024;
/// And after looking at so many times the records that it may hold, so that a reader of few can stop soon.
const LOOKS: usize = 16;

impl Store {
    /// A record of a sync.
    pub fn record(&self, sync: &SyncName, id: RecordId) -> Result<Option<RecordView>, Error> {
        match self.sync_number(sync) {
            Some(sync) => self.view(sync, id),
            None => Ok(None),
        }
    }

    /// Records of a sync with a greater id than `after`, in order, at most `limit`.
    pub fn records(
        &self,
        sync: &SyncName,
        after: Option<RecordId>,
        limit: usize,
    ) -> Result<Vec<RecordView>, Error> {
        let Some(sync) = self.sync_number(sync) else { return Ok(Vec::new()) };
        let mut views = Vec::new();
        for item in groups::ids(&self.0.disk, sync, after) {
            if views.len() >= limit {
                break;
            }
            views.extend(self.view(sync, item?)?);
        }
        Ok(views)
    }

    /// The output of this kind and key.
    pub fn output(&self, sync: &SyncName, kind: &str, key: &str) -> Result<Option<Output>, Error> {
        let numbers = {
            let names = self.names();
            (names.number(Class::Sync, sync.as_str()), names.number(Class::Kind, kind))
        };
        let (Some(sync), Some(number)) = numbers else { return Ok(None) };
        for _ in 0..TRIES {
            let Some((id, held)) = self.find(sync, number, key)? else { return Ok(None) };
            if let Some(body) = self.checked(held.place, &id, held.digest)? {
                let kind = self.names().name(Class::Kind, number)?;
                return Ok(Some(Output { kind, key: key.to_owned(), body: body.into() }));
            }
        }
        Err(codec::unfit(&layout::index(sync, number, key), "the block of its body is missing"))
    }

    /// The record that yields an output, and where the output lies.
    pub(super) fn find(
        &self,
        sync: u16,
        kind: u16,
        key: &str,
    ) -> Result<Option<(RecordId, Held)>, Error> {
        if let Some(id) = record_key(key)
            && let Some(entry) = self.entry(sync, &id)?
            && let Some(held) = entry.held(kind, None)
        {
            return Ok(Some((id, held.clone())));
        }
        let index = layout::index(sync, kind, key);
        let Some(payload) = self.0.disk.get(&index)? else { return Ok(None) };
        let id = read_id(&index, &payload)?;
        let entry = self.entry(sync, &id)?;
        Ok(entry.and_then(|entry| entry.held(kind, Some(key)).cloned()).map(|held| (id, held)))
    }

    /// Failures of a run with a greater number than `after`, in order, at most `limit`.
    pub fn failures(
        &self,
        run: RunId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Failure>, Error> {
        const KEY: usize = 17;
        let Some(sync) = self.run(run)?.map(|run| run.sync) else { return Ok(Vec::new()) };
        let prefix = Space::Failure.number(run.0);
        let after = after.unwrap_or(0);
        let mut from = Space::Failure.pair(run.0, after.saturating_add(1));
        let end = Space::Failure.pair(run.0, after.saturating_add(2));
        for item in self.0.disk.below(&prefix, &end).rev() {
            let (key, _) = item?;
            if key.len() == KEY {
                from = key.to_vec();
                break;
            }
        }
        let mut failures = Vec::new();
        for item in self.0.disk.from(&prefix, &from) {
            if failures.len() >= limit {
                break;
            }
            let (key, head) = item?;
            if key.len() != KEY {
                continue;
            }
            let first = number_at(&key, 9).unwrap_or(0);
            let rows: Vec<Failed> =
                from_json(&key, &unpack(&key, &self.0.disk.rest(&key, &head)?)?)?;
            for (n, row) in (first..).zip(rows) {
                if n > after && failures.len() < limit {
                    let Failed { id, rejection, raw } = row;
                    failures.push(Failure { n, sync: sync.clone(), run, id, rejection, raw });
                }
            }
        }
        Ok(failures)
    }

    /// Stored records as Salesforce sent them, in batches of at most `size`, by id; each batch is read when it is asked for,
    /// so memory holds one. Begins behind the record `after`. A batch in whose stretch nothing was picked is empty.
    pub fn raw_batches(
        &self,
        sync: &SyncName,
        pick: Pick,
        after: Option<RecordId>,
        size: usize,
    ) -> RawBatches {
        let number = self.sync_number(sync);
        RawBatches { store: self.clone(), sync: number, pick, size: size.max(1), after }
    }

    /// The ids of the records of a sync that failed, after `after`.
    fn failed_ids(
        &self,
        sync: u16,
        after: Option<RecordId>,
    ) -> impl Iterator<Item = Result<RecordId, Error>> {
        let prefix = Space::Failed.key(&[&sync.to_be_bytes()]);
        let walk = match after {
            Some(id) => self.0.disk.after(&prefix, &Space::Failed.record(sync, &id)),
            None => self.0.disk.all(&prefix),
        };
        walk.map(|item| {
            item.and_then(|(key, _)| {
                id_of(&key).ok_or_else(|| codec::unfit(&key, "it is no record"))
            })
        })
    }

    pub(super) fn entry(&self, sync: u16, id: &RecordId) -> Result<Option<Entry>, Error> {
        groups::entry(&self.0.disk, sync, id)
    }

    fn view(&self, sync: u16, id: RecordId) -> Result<Option<RecordView>, Error> {
        for _ in 0..TRIES {
            let Some(entry) = self.entry(sync, &id)? else { return Ok(None) };
            if let Some(view) = self.try_view(id, entry)? {
                return Ok(Some(view));
            }
        }
        let key = Space::Record.record(sync, &id);
        Err(codec::unfit(&key, "a block that it names is missing"))
    }

    /// The text at a place, which must have this digest; none when its block is no longer stored.
    fn checked(&self, place: Place, id: &RecordId, digest: u64) -> Result<Option<String>, Error> {
        let text = self.text(place, id)?;
        if text.as_ref().is_some_and(|text| xxh3_64(text.as_bytes()) != digest) {
            let key = Space::Block.number(place.block);
            return Err(codec::unfit(
                &key,
                &format!("text {} is not the one of record {id}", place.index),
            ));
        }
        Ok(text)
    }

    /// None when a block is missing, because the entry is no longer the stored one.
    fn try_view(&self, id: RecordId, entry: Entry) -> Result<Option<RecordView>, Error> {
        let history = entry.touches();
        let raw = match entry.raw {
            None => None,
            Some(place) => match self.checked(place, &id, entry.digest)? {
                Some(text) => Some(text),
                None => return Ok(None),
            },
        };
        let mut outputs = Vec::with_capacity(entry.outputs.len());
        for held in entry.outputs {
            let Some(body) = self.checked(held.place, &id, held.digest)? else { return Ok(None) };
            let kind = self.names().name(Class::Kind, held.kind)?;
            let key = held.key.unwrap_or_else(|| id.as_str().to_owned());
            outputs.push(Output { kind, key, body: body.into() });
        }
        let Entry { stamp, deleted, state, run, .. } = entry;
        Ok(Some(RecordView { id, stamp, deleted, state, raw, outputs, run, history }))
    }

    /// The kept text of a record, when it is picked and when it was kept.
    fn picked(
        &self,
        sync: u16,
        id: &RecordId,
        pick: Pick,
    ) -> Result<Option<Option<String>>, Error> {
        for _ in 0..TRIES {
            let Some(entry) = self.entry(sync, id)? else { return Ok(None) };
            let wanted = match pick {
                Pick::All => true,
                Pick::Failed => matches!(entry.state, State::Failed(_)),
                Pick::FailedIn(run) => matches!(entry.state, State::Failed(_)) && entry.run == run,
                Pick::Since(stamp) => entry.stamp >= stamp,
            };
            if !wanted {
                return Ok(None);
            }
            let Some(place) = entry.raw else { return Ok(Some(None)) };
            if let Some(text) = self.checked(place, id, entry.digest)? {
                return Ok(Some(Some(text)));
            }
        }
        let key = Space::Record.record(sync, id);
        Err(codec::unfit(&key, "the block of its text is missing"))
    }
}

impl RawBatches {
    fn read(&mut self, sync: u16) -> Result<Option<RawBatch>, Error> {
        let (store, after) = (self.store.clone(), self.after);
        let ids: Box<dyn Iterator<Item = Result<RecordId, Error>>> = match self.pick {
            Pick::All | Pick::Since(_) => Box::new(groups::ids(&store.0.disk, sync, after)),
            Pick::Failed | Pick::FailedIn(_) => Box::new(store.failed_ids(sync, after)),
        };
        let mut text = String::new();
        let (mut spans, mut without, mut seen) = (Vec::new(), Vec::new(), 0);
        for item in ids {
            let id = item?;
            match store.picked(sync, &id, self.pick)? {
                Some(Some(raw)) => {
                    spans.push(Span { start: text.len() as u32, len: raw.len() as u32 });
                    text.push_str(&raw);
                }
                Some(None) => without.push(id),
                None => {}
            }
            seen += 1;
            self.after = Some(id);
            let found = spans.len() + without.len();
            if found >= self.size || text.len() >= RAW_BYTES || seen >= LOOKS * self.size {
                break;
            }
        }
        let Some(last) = self.after.filter(|_| seen > 0) else { return Ok(None) };
        let text = Text::from(text);
        Ok(Some(RawBatch { text, spans, without, last, seen: seen as u64 }))
    }
}

impl Iterator for RawBatches {
    type Item = Result<RawBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let sync = self.sync?;
        let read = self.read(sync);
        if !matches!(read, Ok(Some(_))) {
            self.sync = None;
        }
        read.transpose()
    }
}

/// The record whose id this key is, spelt in full.
pub(super) fn record_key(key: &str) -> Option<RecordId> {
    if key.len() != 18 {
        return None;
    }
    RecordId::parse(key).ok()
}

/// The record that an index key names.
pub(super) fn read_id(key: &[u8], payload: &[u8]) -> Result<RecordId, Error> {
    let id = std::str::from_utf8(payload).ok().and_then(|text| RecordId::parse(text).ok());
    id.ok_or_else(|| codec::unfit(key, "it names no record"))
}

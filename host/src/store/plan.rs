//! What a batch's outcomes change: decided against what is stored, gathered into one set of writes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::block::{Blocks, Place};
use super::commit::Verdict;
use super::disk::{Disk, Writes};
use super::entry::{Entry, Held, State};
use super::error::Error;
use super::feed::Lines;
use super::groups::Entries;
use super::known::{Known, read_entries};
use super::layout::{self, Space};
use super::meta::SyncState;
use super::names::{Class, Names};
use super::records::{read_id, record_key};
use super::texts::Valued;
use crate::model::{Batch, Body, Outcome, Output, Record, RecordId, Rejection, RunId};

/// The longest key of an output, in bytes.
const LONGEST_KEY: usize = 512;
/// The longest entry of a record, in bytes: it must fit into one stored value.
const LONGEST_ENTRY: usize = 40 * 1024;
/// The longest reason or message that is kept, in characters.
const LONGEST_TEXT: usize = 2000;

/// What becomes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    Unchanged,
    /// Its outputs go.
    Deleted,
    /// It is stored so.
    Became(State),
}

/// An output that a record wants to yield.
struct Want {
    kind: u16,
    /// None: the record's id.
    key: Option<String>,
    body: Body,
}

/// The work on one batch.
pub(super) struct Planner<'a> {
    pub(super) disk: &'a Disk,
    pub(super) sync: u16,
    pub(super) run: RunId,
    pub(super) keep_raw: bool,
    pub(super) state: SyncState,
    pub(super) names: Names,
    pub(super) blocks: Blocks<'a>,
    pub(super) writes: Writes,
    pub(super) feed: Lines,
    /// The entries to write.
    pub(super) entries: Entries,
    /// Who has a key, as far as this batch had to ask or has changed it.
    pub(super) owners: HashMap<(u16, String), Option<RecordId>>,
    /// Whether keys that are their record's id must be looked after too: only when a record claims the id of another.
    pub(super) track: bool,
    /// Whether stored records are mapped again: those that come out as they are stored are not touched.
    pub(super) again: bool,
    pub(super) conflicts: u64,
    /// The kind of the last output, and its number: the next one is nearly always of the same.
    pub(super) kind: Option<(Arc<str>, u16)>,
}

impl<'a> Planner<'a> {
    /// Decides every record's change, in order, and gathers the writes.
    pub(super) fn plan(
        &mut self,
        batch: &'a Batch,
        mut known: Known,
        verdicts: Vec<Verdict>,
    ) -> Result<Vec<Change>, Error> {
        let acts = last_of_each(batch);
        let mut changes = Vec::with_capacity(batch.len());
        let mut wants: Vec<Vec<Want>> = Vec::with_capacity(batch.len());
        for (i, verdict) in verdicts.into_iter().enumerate() {
            let id = &batch.records[i].id;
            let mut wanted = Vec::new();
            changes.push(match verdict {
                Verdict::Unchanged if known.entries[i].is_none() && acts[i] => {
                    return Err(Error::NotStored { id: *id });
                }
                Verdict::Unchanged => Change::Unchanged,
                Verdict::Deleted => Change::Deleted,
                Verdict::Became(Outcome::Skipped(reason)) => {
                    Change::Became(State::Skipped(clip(reason)))
                }
                Verdict::Became(Outcome::Failed(rejection)) => {
                    Change::Became(State::Failed(clip_rejection(rejection)))
                }
                Verdict::Became(Outcome::Mapped(outputs)) => match self.wants(id, outputs)? {
                    Ok(outputs) => {
                        wanted = outputs;
                        Change::Became(State::Mapped)
                    }
                    Err(rejection) => Change::Became(State::Failed(rejection)),
                },
            });
            if let (true, Change::Became(state)) = (self.again, &changes[i])
                && let Some(entry) = &known.entries[i]
                && entry.digest == known.digests[i]
                && stands(entry, &batch.records[i], state, &wanted)
            {
                changes[i] = Change::Unchanged;
                wanted.clear();
            }
            wants.push(wanted);
        }

        let explicit =
            |want: &Want| want.key.as_deref().is_some_and(|key| record_key(key).is_some());
        self.track = self.state.foreign > 0 || wants.iter().flatten().any(explicit);
        for i in (0..batch.len()).filter(|&i| acts[i]) {
            let keep: fn(&[Want], &Held) -> bool = match &changes[i] {
                Change::Unchanged | Change::Became(State::Failed(_)) => continue,
                Change::Became(State::Mapped) => |wants, held| wanted(wants, held).is_some(),
                Change::Deleted | Change::Became(State::Skipped(_)) => |_, _| false,
            };
            let Some(entry) = &mut known.entries[i] else { continue };
            for held in std::mem::take(&mut entry.outputs) {
                if keep(&wants[i], &held) {
                    entry.outputs.push(held);
                } else {
                    self.retract(&batch.records[i].id, held)?;
                }
            }
            // What the counts of the sync lose is what the entry had; they are moved when it is written.
        }
        self.find_owners(batch, &acts, &wants, &known)?;
        for i in (0..batch.len()).filter(|&i| acts[i]) {
            if changes[i] != Change::Unchanged {
                let entry = known.entries[i].take().map(|entry| *entry);
                let wants = std::mem::take(&mut wants[i]);
                self.record(batch, i, known.digests[i], entry, wants, &mut changes[i])?;
            }
        }
        known.groups.write(self.sync, std::mem::take(&mut self.entries), &mut self.writes);
        Ok(changes)
    }

    /// Checks the outputs of a record; the inner error is the record's failure.
    fn wants(
        &mut self,
        id: &RecordId,
        outputs: Vec<Output>,
    ) -> Result<Result<Vec<Want>, Rejection>, Error> {
        let mut wants: Vec<Want> = Vec::with_capacity(outputs.len());
        let mut seen = HashSet::new();
        let mut size = 0;
        let many = outputs.len() > 1;
        for Output { kind, key, body } in outputs {
            let named = match &self.kind {
                Some((last, number)) if Arc::ptr_eq(last, &kind) => *number,
                _ => self.names.give(Class::Kind, &kind, &mut self.writes)?,
            };
            self.kind = Some((kind.clone(), named));
            size += key.len() + 24;
            let fault = if key.is_empty() {
                Some(("output.no-key", format!("an output of kind {kind} has an empty key")))
            } else if key.len() > LONGEST_KEY {
                let len = key.len();
                Some((
                    "output.long-key",
                    format!(
                        "the key of an output of kind {kind} has {len} bytes, over {LONGEST_KEY}"
                    ),
                ))
            } else if size > LONGEST_ENTRY {
                Some(("output.too-many", "it yields more outputs than one record can".to_owned()))
            } else if many && !seen.insert((named, key.clone())) {
                Some(("output.conflict", format!("it yields the output {kind} '{key}' twice")))
            } else {
                None
            };
            if let Some((code, message)) = fault {
                return Ok(Err(Rejection { code: code.to_owned(), message, field: None }));
            }
            let key = (key != id.as_str()).then_some(key);
            wants.push(Want { kind: named, key, body });
        }
        Ok(Ok(wants))
    }

    fn retract(&mut self, id: &RecordId, held: Held) -> Result<(), Error> {
        self.feed.add(id, held.kind, held.key.as_deref(), None);
        self.blocks.release(held.place)?;
        self.state.stored.outputs = self.state.stored.outputs.saturating_sub(1);
        if let Some(key) = held.key {
            self.writes.remove(layout::index(self.sync, held.kind, &key));
            if record_key(&key).is_some() {
                self.state.foreign = self.state.foreign.saturating_sub(1);
            }
            self.owners.insert((held.kind, key), None);
        } else if self.track {
            self.owners.insert((held.kind, id.as_str().to_owned()), None);
        }
        Ok(())
    }

    /// Finds out who has the keys that the batch claims anew, in one pass.
    fn find_owners(
        &mut self,
        batch: &Batch,
        acts: &[bool],
        wants: &[Vec<Want>],
        known: &Known,
    ) -> Result<(), Error> {
        let mut asked: Vec<(Vec<u8>, u16, String)> = Vec::new();
        for i in (0..batch.len()).filter(|&i| acts[i]) {
            for want in &wants[i] {
                let id = batch.records[i].id.as_str();
                let key = match &want.key {
                    Some(key) => key.as_str(),
                    None if self.track => id,
                    None => continue,
                };
                let held = known.entries[i]
                    .as_ref()
                    .is_some_and(|entry| entry.held(want.kind, want.key.as_deref()).is_some());
                if !held && !self.owners.contains_key(&(want.kind, key.to_owned())) {
                    asked.push((
                        layout::index(self.sync, want.kind, key),
                        want.kind,
                        key.to_owned(),
                    ));
                }
            }
        }
        asked.sort_unstable();
        asked.dedup();
        let keys: Vec<Vec<u8>> = asked.iter().map(|(key, ..)| key.clone()).collect();
        let found = self.disk.get_many(&keys)?;
        let mut others = Vec::new();
        for ((index, kind, key), payload) in asked.into_iter().zip(found) {
            let owner = payload.map(|payload| read_id(&index, &payload)).transpose()?;
            if owner.is_none()
                && let Some(id) = record_key(&key)
            {
                others.push((id, kind));
            }
            self.owners.insert((kind, key), owner);
        }
        // A key that is an id may belong to the record of that id without standing in the index.
        let ids: Vec<RecordId> = others.iter().map(|(id, _)| *id).collect();
        let (_, entries) = read_entries(self.disk, self.sync, &ids)?;
        for ((id, kind), entry) in others.into_iter().zip(entries) {
            if entry.is_some_and(|entry| entry.held(kind, None).is_some()) {
                self.owners.insert((kind, id.as_str().to_owned()), Some(id));
            }
        }
        Ok(())
    }

    /// The record that has a key which this record wants.
    fn conflict(&self, id: &RecordId, want: &Want, old: Option<&Entry>) -> Option<RecordId> {
        if want.key.is_none() && !self.track {
            return None;
        }
        if old.is_some_and(|entry| entry.held(want.kind, want.key.as_deref()).is_some()) {
            return None;
        }
        let key = want.key.clone().unwrap_or_else(|| id.as_str().to_owned());
        self.owners.get(&(want.kind, key)).copied().flatten().filter(|owner| owner != id)
    }

    /// Writes one record: its outputs, its text, its entry.
    fn record(
        &mut self,
        batch: &'a Batch,
        i: usize,
        digest: u64,
        old: Option<Entry>,
        wants: Vec<Want>,
        change: &mut Change,
    ) -> Result<(), Error> {
        let record = &batch.records[i];
        let id = record.id;
        let taken = wants
            .iter()
            .find_map(|want| self.conflict(&id, want, old.as_ref()).map(|owner| (want, owner)));
        if let Some((want, owner)) = taken {
            let kind = self.names.name(Class::Kind, want.kind)?;
            let key = want.key.as_deref().unwrap_or(id.as_str());
            self.conflicts += 1;
            *change = Change::Became(State::Failed(Rejection {
                code: "output.conflict".to_owned(),
                message: format!("its output {kind} '{key}' belongs to record {owner}"),
                field: None,
            }));
        }
        let state = match change {
            Change::Became(state) => state.clone(),
            Change::Deleted | Change::Unchanged => State::Mapped,
        };
        let was = old.as_ref().map(|entry| (entry.state.clone(), entry.deleted));
        let history = old.as_ref().map_or(Vec::new(), |entry| entry.remembered(self.run));
        let (held, old_raw) = match old {
            Some(entry) => (entry.outputs, entry.raw.map(|place| (place, entry.digest))),
            None => (Vec::new(), None),
        };
        let keep = self.keep_raw || matches!(state, State::Failed(_));
        let raw = match old_raw {
            Some((place, was)) if keep && was == digest => Some(place),
            other => {
                if let Some((place, _)) = other {
                    self.blocks.release(place)?;
                }
                if keep { Some(self.add_raw(batch, i)?) } else { None }
            }
        };
        let outputs = match &state {
            State::Mapped => self.outputs(&id, held, wants)?,
            // A skipped record's were retracted already; a failed one keeps its own.
            State::Skipped(_) | State::Failed(_) => held,
        };
        let deleted = record.deleted || *change == Change::Deleted;
        self.count(&id, was, &state, deleted);
        self.state.stored.newest = self.state.stored.newest.max(Some(record.stamp));
        let (stamp, run) = (record.stamp, self.run);
        let entry = Entry { state, deleted, stamp, digest, run, raw, outputs, history };
        self.entries.add(id, &entry);
        Ok(())
    }

    /// Stores a record as Salesforce sent it.
    fn add_raw(&mut self, batch: &'a Batch, i: usize) -> Result<Place, Error> {
        let record = &batch.records[i];
        let base = record.at.start as usize;
        let raw = Valued { text: batch.raw(i), values: batch.leaves(i), base };
        self.blocks.add_raw(&record.id, raw, &mut self.writes)
    }

    /// Stores the outputs that are new or changed.
    fn outputs(
        &mut self,
        id: &RecordId,
        mut held: Vec<Held>,
        wants: Vec<Want>,
    ) -> Result<Vec<Held>, Error> {
        let mut outputs = Vec::with_capacity(wants.len());
        for Want { kind, key, body } in wants {
            let digest = xxh3_64(body.as_bytes());
            let old = held.iter().position(|old| old.kind == kind && old.key == key);
            let old = old.map(|at| held.swap_remove(at));
            if let Some(old) = &old
                && old.digest == digest
            {
                outputs.push(old.clone());
                continue;
            }
            let place = self.blocks.add_body(id, kind, &body, &mut self.writes)?;
            self.feed.add(id, kind, key.as_deref(), Some(place));
            match old {
                Some(old) => self.blocks.release(old.place)?,
                None => self.claim(id, kind, key.as_deref()),
            }
            outputs.push(Held { kind, key, place, digest });
        }
        Ok(outputs)
    }

    fn claim(&mut self, id: &RecordId, kind: u16, key: Option<&str>) {
        self.state.stored.outputs += 1;
        if let Some(key) = key {
            self.writes.put(layout::index(self.sync, kind, key), &id.as_bytes()[..15]);
            if record_key(key).is_some() {
                self.state.foreign += 1;
            }
            self.owners.insert((kind, key.to_owned()), Some(*id));
        } else if self.track {
            self.owners.insert((kind, id.as_str().to_owned()), Some(*id));
        }
    }

    /// Moves the counts of the sync, and the list of failed records.
    fn count(&mut self, id: &RecordId, was: Option<(State, bool)>, now: &State, deleted: bool) {
        let stored = &mut self.state.stored;
        let mut failed_before = false;
        match &was {
            None => stored.records += 1,
            Some((state, deleted)) => {
                failed_before = matches!(state, State::Failed(_));
                stored.failed -= u64::from(failed_before).min(stored.failed);
                stored.skipped -= u64::from(matches!(state, State::Skipped(_))).min(stored.skipped);
                stored.deleted -= u64::from(*deleted).min(stored.deleted);
            }
        }
        let failed = matches!(now, State::Failed(_));
        stored.failed += u64::from(failed);
        stored.skipped += u64::from(matches!(now, State::Skipped(_)));
        stored.deleted += u64::from(deleted);
        match (failed_before, failed) {
            (false, true) => self.writes.put(Space::Failed.record(self.sync, id), &[]),
            (true, false) => self.writes.remove(Space::Failed.record(self.sync, id)),
            _ => {}
        }
    }
}

/// Whether a record is stored just so.
fn stands(entry: &Entry, record: &Record, state: &State, wants: &[Want]) -> bool {
    let held = |want: &Want| {
        let held = entry.held(want.kind, want.key.as_deref());
        held.is_some_and(|held| held.digest == xxh3_64(want.body.as_bytes()))
    };
    let outputs = match state {
        State::Mapped => entry.outputs.len() == wants.len() && wants.iter().all(held),
        State::Skipped(_) => entry.outputs.is_empty(),
        // A record that fails keeps what it had.
        State::Failed(_) => true,
    };
    outputs
        && entry.state == *state
        && entry.stamp == record.stamp
        && entry.deleted == record.deleted
}

/// Of records that come twice in a batch only the last acts; all are counted.
fn last_of_each(batch: &Batch) -> Vec<bool> {
    let sorted = batch.records.windows(2).all(|pair| pair[0].id < pair[1].id);
    if sorted {
        return vec![true; batch.len()];
    }
    let mut seen = HashSet::with_capacity(batch.len());
    let mut acts: Vec<bool> =
        batch.records.iter().rev().map(|record| seen.insert(record.id)).collect();
    acts.reverse();
    acts
}

fn wanted<'a>(wants: &'a [Want], held: &Held) -> Option<&'a Want> {
    wants.iter().find(|want| want.kind == held.kind && want.key == held.key)
}

fn clip(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST_TEXT) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn clip_rejection(rejection: Rejection) -> Rejection {
    let Rejection { code, message, field } = rejection;
    let code = code.chars().take(100).collect();
    Rejection { code, message: clip(message), field: field.map(clip) }
}

//! The one step that moves everything: a batch's records, outputs, feed, failures, counters and the cursor.
//!
//! What an outcome does to what is stored:
//!
//! | outcome | outputs | record |
//! |---|---|---|
//! | mapped | become the new ones: unchanged ones make no feed entry, missing ones are retracted | mapped |
//! | skipped | all retracted | skipped, with the reason |
//! | failed | stay as they were, since a mapping that fails must not delete good data | failed, with the reason; kept for a retry |
//! | deleted | all retracted | deleted |
//! | unchanged | stay | not touched |
//!
//! Two records of a sync cannot yield one (kind, key): the second fails with `output.conflict`, which names the first. It
//! gives up the outputs that it no longer claims and keeps the others, so that two records that swap keys come right, at
//! the latest when they are retried. Within a batch all keys are given up before any is claimed.

use std::collections::HashMap;
use std::time::Instant;

use super::block::Blocks;
use super::disk::Writes;
use super::entry::State;
use super::error::Error;
use super::feed::Lines;
use super::groups::Entries;
use super::known::Known;
use super::layout::Space;
use super::mapping::Remap;
use super::meta::{Meta, SyncState, to_json};
use super::names::Class;
use super::plan::{Change, Planner};
use super::records::Failed;
use super::runs::{read_state, write_run};
use super::{Store, arrivals};
use crate::model::{
    Batch, Counts, Cursor, Maker, Outcome, PageNote, Rejection, Run, RunId, SyncName,
};

/// A mapped batch, and where the sync stands after it.
#[derive(Debug)]
pub struct Commit<'a> {
    /// The run.
    pub run: RunId,
    /// Its sync.
    pub sync: &'a SyncName,
    /// The records.
    pub batch: &'a Batch,
    /// What [`Store::known`] said of them.
    pub known: Known,
    /// What became of each, in order.
    pub outcomes: Vec<Verdict>,
    /// Where the sync stands now.
    pub cursor: Cursor,
    /// The page; its number and counts are set by the store (pages of a run are numbered from 0, in order), and its commit
    /// time, when it is zero, is set to the time until the change was handed to sled.
    pub page: PageNote,
    /// Calls that the run has spent so far.
    pub calls: u64,
    /// Who said what became of the records; none when it is not to be remembered.
    pub maker: Option<&'a Maker>,
    /// How far a remap stands after this batch. In a remap the records that come out as they are stored count as
    /// unchanged, and nothing of them is written.
    pub remap: Option<&'a Remap>,
    /// Whether to keep the records as Salesforce sent them; those that failed always are.
    pub keep_raw: bool,
}

/// What became of one record of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is stored just so.
    Unchanged,
    /// It is deleted in the org: its outputs go.
    Deleted,
    /// What the plugin said.
    Became(Outcome),
}

/// A batch that is stored and durable.
#[derive(Debug, Clone)]
pub struct Committed {
    /// Its records by what became of them.
    pub counts: Counts,
    /// The number of the commit.
    pub number: u64,
    /// The last sequence number of the feed.
    pub feed_end: u64,
    /// Records that failed because another has their output's key.
    pub conflicts: u64,
    /// The run as it stands now.
    pub run: Run,
}

impl Store {
    /// Stores a batch in one atomic step; durable when this returns. On an error nothing is stored, except that after
    /// [`Error::Io`] or [`Error::Full`] only opening the store again tells, and nothing more is written until then.
    pub fn commit(&self, commit: Commit<'_>) -> Result<Committed, Error> {
        let started = Instant::now();
        let Commit { batch, mut known, outcomes, .. } = commit;
        let said = outcomes.iter().any(|verdict| matches!(verdict, Verdict::Became(_)));
        if outcomes.len() != batch.len() || known.digests.len() != batch.len() {
            return Err(Error::Verdicts { wanted: batch.len(), found: outcomes.len() });
        }
        let disk = &self.0.disk;
        let mut guard = self.writer();
        let writer = &mut *guard;
        let mut run =
            self.active().get(&commit.run).cloned().ok_or(Error::NoRun { run: commit.run })?;

        let mut writes = Writes::default();
        let mut names = self.names().clone();
        let sync = names.give(Class::Sync, commit.sync.as_str(), &mut writes)?;
        let state = read_state(disk, sync)?;
        if state.number != known.number {
            // Another batch of this sync was committed since.
            known.refresh(disk, sync, batch)?;
        }

        let mut planner = Planner {
            disk,
            sync,
            run: commit.run,
            keep_raw: commit.keep_raw && self.0.options.keep_raw,
            state,
            names,
            blocks: Blocks::new(disk, &mut writer.packer, writer.meta.next_block),
            writes,
            feed: Lines::default(),
            entries: Entries::default(),
            owners: HashMap::new(),
            track: false,
            again: commit.remap.is_some(),
            conflicts: 0,
            kind: None,
        };
        let changes = planner.plan(batch, known, outcomes)?;
        let Planner { mut state, names, blocks, mut writes, feed, conflicts, .. } = planner;
        let next_block = blocks.finish(&mut writes)?;

        let counts = count(&changes);
        let mut page = commit.page;
        let at = page.at;
        let feed_end =
            feed.write(writer.meta.feed_end, (at, sync, run.id), &mut writer.packer, &mut writes)?;
        let arrived = arrivals::write(
            writer.arrivals,
            (at, sync, run.id),
            batch,
            &changes,
            &mut writer.packer,
            &mut writes,
        )?;
        let failures = failures(batch, &changes, &mut run);
        if !failures.is_empty() {
            let packed = writer.packer.pack(&to_json("failures", &failures)?)?;
            writes.put_long(Space::Failure.pair(run.id.0, run.counts.failed + 1), &packed);
        }

        page.page = run.pages;
        page.counts = counts;
        if page.timing.commit == 0 {
            page.timing.commit = micros(started);
        }
        writes.put(Space::Page.pair(run.id.0, page.page), &to_json("a page", &page)?);
        run.pages += 1;
        run.counts.add(&counts);
        run.calls = commit.calls;
        run.cursor_after = commit.cursor;
        run.timing.add(&page.timing);
        write_run(&run, &mut writer.packer, &mut writes)?;

        let maker = commit.maker.filter(|_| said);
        self.write_mapping((commit.sync, sync), maker, commit.remap, &mut writes)?;
        let number = writer.meta.number + 1;
        state.number = number;
        state.cursor = commit.cursor;
        writes.put(SyncState::key(sync), &state.write()?);
        let meta = Meta { number, sync: Some(sync), feed_end, next_block, ..writer.meta };
        writes.put(Meta::key(), &meta.write());
        let folding = self.fold_into(&mut writes)?;

        disk.apply(writes)?;
        writer.meta = meta;
        writer.arrivals = arrived;
        self.set_names(names);
        disk.flush()?;
        self.folded(folding);
        self.acknowledge(number);
        self.0.feed_end.send_replace(feed_end);
        // The whole of the time is known only now; it is durable with the run's next step.
        run.timing.commit += micros(started).saturating_sub(page.timing.commit);
        self.active_mut().insert(run.id, run.clone());
        Ok(Committed { counts, number, feed_end, conflicts, run })
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn count(changes: &[Change]) -> Counts {
    let mut counts = Counts { fetched: changes.len() as u64, ..Counts::default() };
    for change in changes {
        match change {
            Change::Unchanged => counts.unchanged += 1,
            Change::Deleted => counts.deleted += 1,
            Change::Became(State::Mapped) => counts.mapped += 1,
            Change::Became(State::Skipped(_)) => counts.skipped += 1,
            Change::Became(State::Failed(_)) => counts.failed += 1,
        }
    }
    counts
}

/// The failures of the batch; adds them to the run's by code.
fn failures(batch: &Batch, changes: &[Change], run: &mut Run) -> Vec<Failed> {
    /// Codes beyond so many are counted together, so that a run's record stays small whatever a plugin says.
    const CODES: usize = 100;
    let mut failed = Vec::new();
    for (i, change) in changes.iter().enumerate() {
        let Change::Became(State::Failed(rejection)) = change else { continue };
        let known = run.failures.contains_key(&rejection.code) || run.failures.len() < CODES;
        let code = if known { rejection.code.clone() } else { "other".to_owned() };
        *run.failures.entry(code).or_default() += 1;
        let rejection: Rejection = rejection.clone();
        let raw = Some(batch.raw(i).to_owned());
        failed.push(Failed { id: batch.records[i].id, rejection, raw });
    }
    failed
}

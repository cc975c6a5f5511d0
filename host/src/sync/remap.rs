//! Maps the stored records of a sync anew, from their stored texts: no API call is spent.
//!
//! How far it has come is committed with every batch, in a place of its own beside the sync's cursor, so that a remap that
//! was stopped goes on where it stopped. Records that come out as they are stored are not touched, and make no feed entry.

use tokio_util::sync::CancellationToken;

use crate::model::{Ending, PageNote, RecordId, Run, RunId, Selection, Stamp, Trigger};
use crate::store::{self, Pick, RawBatch, RawBatches, Remap};

use super::job::blocking;
use super::stored::{StoredSelection, last_reading, stored_selection};
use super::{BATCH, Error, Job};

/// Records without a stored text that are named in the run's notes; the others are only counted.
const NAMED: usize = 3;

/// Maps all stored records with the present plugin, or those that changed at `since` or later by the org's clock, as a
/// run of its own. The cursor stays where it is. An error means that not even the run's ending could be stored.
pub async fn remap(
    job: &Job,
    since: Option<Stamp>,
    cancel: &CancellationToken,
) -> Result<Run, store::Error> {
    // No connection is asked; the first stands for them all.
    let run = job.begin(Trigger::Remap, &job.sync.connections.first).await?;
    let ending = match go(job, run.id, since, cancel).await {
        Ok(ending) => ending,
        Err(error) => {
            if matches!(error, Error::Plugin(_)) {
                // It would stop there again: whoever mends the plugin begins anew.
                let job = job.clone();
                blocking(move || job.store.set_remap(&job.sync.name, None)).await?;
            }
            job.stopped(&error, &run.connection)
        }
    };
    job.end(run.id, ending).await
}

async fn go(
    job: &Job,
    run: RunId,
    since: Option<Stamp>,
    cancel: &CancellationToken,
) -> Result<Ending, Error> {
    let work = job.clone();
    let mut pass = blocking(move || Pass::open(work, run, since)).await?;
    loop {
        if cancel.is_cancelled() {
            return Ok(Ending::Interrupted);
        }
        match blocking(move || pass.step()).await? {
            Some(next) => pass = next,
            None => return job.finished(run),
        }
    }
}

/// One pass over the stored records.
struct Pass {
    job: Job,
    run: RunId,
    selection: Selection,
    place: Remap,
    batches: RawBatches,
    number: u32,
    named: Vec<RecordId>,
}

impl Pass {
    /// Finds out where to begin and what the texts hold, and remembers that the remap is in hand.
    fn open(job: Job, run: RunId, since: Option<Stamp>) -> Result<Self, Error> {
        let (store, sync) = (&job.store, &job.sync.name);
        let maker = job.maker();
        let mut notes = Vec::new();
        let stopped = store.mapping(sync)?.remap;
        let place = match stopped {
            Some(place) if place.maker.is_like(&maker) && place.since == since => {
                if let Some(after) = place.after {
                    let (begun, seen) = (place.run, place.seen);
                    notes.push(format!(
                        "goes on with the remap of run {begun}, after {seen} records, behind {after}"
                    ));
                }
                place
            }
            _ => Remap { run, maker, since, after: None, seen: 0, without: 0 },
        };
        let fetched = last_reading(store, sync)?;
        let reads = &job.plugin.description().reads;
        let StoredSelection { selection, fields, missing } =
            stored_selection(sync, reads, fetched.as_ref())?;
        notes.extend(
            missing.iter().map(|name| {
                format!("{name} was not fetched by the last run: the plugin gets null")
            }),
        );
        if let Some(since) = since {
            notes.push(format!("only records that changed at {since} or later"));
        }
        let stored = store.counts(sync)?;
        let maps_deletions = job.plugin.description().maps_deletions;
        let all = if maps_deletions { stored.records } else { stored.records - stored.deleted };
        store.set_remap(sync, Some(place.clone()))?;
        store.update_run(run, |run| {
            run.expected = since.is_none().then(|| all.saturating_sub(place.seen));
            run.fields = fields;
            run.stamp_field = fetched.and_then(|run| run.stamp_field);
            run.notes.extend(notes);
        })?;
        let pick = since.map_or(Pick::All, Pick::Since);
        let batches = store.raw_batches(sync, pick, place.after, BATCH);
        Ok(Self { run, selection, place, batches, number: 0, named: Vec::new(), job })
    }

    /// Maps and commits the next batch; none when there was none.
    fn step(mut self) -> Result<Option<Self>, Error> {
        let Some(batch) = self.batches.next().transpose()? else {
            self.finish()?;
            return Ok(None);
        };
        let RawBatch { text, spans, without, last, seen } = batch;
        self.place.after = Some(last);
        self.place.seen += seen;
        self.place.without += without.len() as u64;
        self.named.extend(without.into_iter().take(NAMED - self.named.len().min(NAMED)));
        let batch = self.selection.read_records(&text, &spans)?;
        let (job, sync) = (&self.job, &self.job.sync.name);
        let known = job.store.known(sync, &batch)?;
        let maps_deletions = job.plugin.description().maps_deletions;
        let wanted: Vec<usize> = (0..batch.len())
            .filter(|&i| known.unchanged(i) && (maps_deletions || !batch.records[i].deleted))
            .collect();
        if wanted.is_empty() {
            return Ok(Some(self));
        }
        let batch = batch.select(&wanted);
        let known = job.store.known(sync, &batch)?;
        let all: Vec<usize> = (0..batch.len()).collect();
        let note = PageNote {
            page: u64::from(self.number),
            at: job.now(),
            bytes: text.len() as u64,
            counts: Default::default(),
            timing: Default::default(),
            request_id: None,
        };
        let mut mapped = job.map_batch(self.run, self.number, batch, known, &all, note)?;
        mapped.remap = Some(self.place.clone());
        job.commit_batch(mapped, job.store.cursor(sync)?, 0)?;
        self.number += 1;
        Ok(Some(self))
    }

    /// Tells which records kept what they had, and forgets the place.
    fn finish(&self) -> Result<(), Error> {
        let (store, sync) = (&self.job.store, &self.job.sync.name);
        if self.place.without > 0 {
            let names: Vec<String> = self.named.iter().map(ToString::to_string).collect();
            let (count, names) = (self.place.without, names.join(", "));
            let note = format!(
                "records without a stored text, which keep what they have: {count}, among them {names}"
            );
            store.update_run(self.run, |run| {
                run.without_text = count;
                run.notes.push(note);
            })?;
        }
        match self.place.since {
            None => store.end_remap(sync, &self.place.maker)?,
            Some(_) => store.set_remap(sync, None)?,
        }
        Ok(())
    }
}

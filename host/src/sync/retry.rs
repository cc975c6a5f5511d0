//! Maps the failed records of a run again, from the store: no API call is spent.

use tokio_util::sync::CancellationToken;

use crate::model::{Ending, PageNote, Run, RunId, Selection, Span, Text, Trigger};
use crate::store::{self, Failure, State};

use super::job::blocking;
use super::{BATCH, Error, Job};

/// Maps what failed in `failed` with the present plugin, as a run of its own. The cursor stays where it is.
///
/// A record that was mapped or has changed since is left alone: its failure is history.
pub async fn retry(
    job: &Job,
    failed: &Run,
    cancel: &CancellationToken,
) -> Result<Run, store::Error> {
    let run = job.begin(Trigger::Retry, &failed.connection).await?;
    let (id, work, failed) = (run.id, job.clone(), failed.clone());
    let cancel = cancel.clone();
    let retried = blocking(move || match work.retry_all(id, &failed, &cancel)? {
        true => work.finished(id),
        false => Ok(Ending::Interrupted),
    });
    let ending = retried.await.unwrap_or_else(|error| job.stopped(&error, &run.connection));
    job.end(id, ending).await
}

impl Job {
    /// Retries batch after batch; false when it was stopped.
    fn retry_all(
        &self,
        run: RunId,
        failed: &Run,
        cancel: &CancellationToken,
    ) -> Result<bool, Error> {
        let note = format!("retries the failed records of run {}", failed.id);
        self.store.update_run(run, |run| run.notes.push(note))?;
        let reads = &self.plugin.description().reads;
        let fields = match reads.as_slice() {
            [] => failed.fields.clone(),
            reads => reads.iter().map(|read| read.name.clone()).collect(),
        };
        let selection = Selection::new(&fields, failed.stamp_field.as_deref());
        let (mut after, mut number) = (None, 0);
        while !cancel.is_cancelled() {
            let failures = self.store.failures(failed.id, after, BATCH)?;
            let Some(last) = failures.last() else { return Ok(true) };
            after = Some(last.n);
            self.retry_batch(run, number, &selection, &failures)?;
            number += 1;
        }
        Ok(false)
    }

    fn retry_batch(
        &self,
        run: RunId,
        number: u32,
        selection: &Selection,
        failures: &[Failure],
    ) -> Result<(), Error> {
        let sync = &self.sync.name;
        let (mut text, mut places) = (String::new(), Vec::new());
        for failure in failures {
            let Some(raw) = &failure.raw else { continue };
            let stored = self.store.record(sync, failure.id)?;
            if stored.is_some_and(|record| matches!(record.state, State::Failed(_))) {
                let start = u32::try_from(text.len()).unwrap_or(u32::MAX);
                places.push(Span { start, len: u32::try_from(raw.len()).unwrap_or(u32::MAX) });
                text.push_str(raw);
            }
        }
        let batch = selection.read_records(&Text::from(text), &places)?;
        let known = self.store.known(sync, &batch)?;
        let same: Vec<usize> = (0..batch.len()).filter(|&i| known.unchanged(i)).collect();
        if same.is_empty() {
            return Ok(());
        }
        let batch = batch.select(&same);
        let known = self.store.known(sync, &batch)?;
        let all: Vec<usize> = (0..batch.len()).collect();
        let note = PageNote {
            page: u64::from(number),
            at: self.now(),
            bytes: batch.text.len() as u64,
            counts: Default::default(),
            timing: Default::default(),
            request_id: None,
        };
        let mapped = self.map_batch(run, number, batch, known, &all, note)?;
        self.commit_batch(mapped, self.store.cursor(sync)?, 0)
    }
}

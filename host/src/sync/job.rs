//! What a run needs, and the steps between a fetched page and the committed batch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::SyncConfig;
use crate::events::{Bus, Event, Level};
use crate::model::{
    Batch, Caller, ConnectionName, Cursor, Ending, Maker, Outcome, PageNote, Pause, PauseCause,
    Run, RunId, Schema, Stamp, Timing, Trigger,
};
use crate::plugin::{self, Lookup, Plugin, Settings};
use crate::salesforce::{Org, RETRIES_KEPT, SharedCall};
use crate::store::{self, Commit, Known, NewRun, Remap, Store, Verdict};

use super::Error;
use super::present::{Mapper, Present};
use super::reader::{Fetched, Reader};
use super::stride::Stride;
use super::window::Pace;

/// What a run keeps of its notes.
pub(super) const NOTES_KEPT: usize = 20;

/// Everything that runs of one sync need. Cheap to clone.
#[derive(Clone)]
pub struct Job {
    /// The sync as configured.
    pub sync: Arc<SyncConfig>,
    /// The org that it reads.
    pub org: Org,
    /// The store that it writes.
    pub store: Store,
    /// The plugin that a run began with.
    pub plugin: Plugin,
    /// The plugin's settings, checked.
    pub settings: Settings,
    /// The present plugin, which may be another one by now.
    pub present: Present,
    /// Where a plugin looks up stored outputs.
    pub lookup: Arc<dyn Lookup>,
    /// Where is told what happened.
    pub bus: Bus,
}

impl Job {
    pub(super) fn caller(&self, run: RunId, connection: &ConnectionName) -> Caller {
        Caller {
            connection: connection.clone(),
            sync: Some(self.sync.name.clone()),
            run: Some(run),
            page: None,
        }
    }

    /// The local time.
    pub(super) fn now(&self) -> Stamp {
        self.org.gate().now()
    }

    /// The plugin with its settings, as the store remembers whose work it holds.
    pub fn maker(&self) -> Maker {
        self.plugin.maker(&self.settings)
    }

    /// The same with the present plugin: for another run.
    pub fn renewed(&self) -> Self {
        let Mapper { plugin, settings } = self.present.get();
        Self { plugin, settings, ..self.clone() }
    }

    /// The same with the plugin that maps a batch of these fields: the present one, unless it reads what this run did not
    /// fetch. A run that is not only the first one's work says so.
    fn for_batch(&self, run: RunId, number: u32, fields: &[String]) -> Result<Self, Error> {
        let present = self.present.get();
        if present.is(&self.plugin, &self.settings) || !present.reads_only(fields) {
            return Ok(self.clone());
        }
        let note = present.plugin.note();
        let mut news = false;
        self.store.update_run(run, |run| {
            news = !run.later_plugins.contains(&note);
            if news {
                run.later_plugins.push(note.clone());
            }
        })?;
        if news {
            let digest: String = note.digest.chars().take(12).collect();
            let note = format!(
                "from batch {number} on {} {} ({digest}) maps, for its plugin was changed",
                note.name, note.version
            );
            self.note_now(run, note, None)?;
        }
        Ok(self.renewed())
    }

    /// Tells what a reader of the run should know, in the place of an `old` note that is no longer so.
    pub(super) async fn note(
        &self,
        run: RunId,
        note: String,
        old: Option<String>,
    ) -> Result<(), Error> {
        let job = self.clone();
        blocking(move || job.note_now(run, note, old)).await
    }

    fn note_now(&self, run: RunId, note: String, old: Option<String>) -> Result<(), Error> {
        let sync = self.sync.name.clone();
        self.bus.emit(Event::RunNoted { run, sync, note: note.clone() });
        self.store.update_run(run, |run| {
            run.notes.retain(|known| Some(known) != old.as_ref());
            run.notes.push(note);
            run.notes.truncate(NOTES_KEPT);
        })?;
        Ok(())
    }

    /// How much of a window one query asked for last; the whole when that is not known.
    pub(super) async fn stride(&self) -> Stride {
        let (store, name) = (self.store.clone(), self.stride_name());
        let kept = blocking(move || store.cached(&name)).await;
        // What was learnt can be learnt again.
        let kept = kept.inspect_err(|error| tracing::warn!(%error, "A stride cannot be read"));
        let kept = kept.ok().flatten();
        kept.and_then(|kept| serde_json::from_slice(&kept.bytes).ok()).unwrap_or_default()
    }

    /// Remembers it for the next run.
    pub(super) async fn keep_stride(&self, stride: Stride) -> Result<(), Error> {
        let (store, name) = (self.store.clone(), self.stride_name());
        let Ok(bytes) = serde_json::to_vec(&stride) else { return Ok(()) };
        let kept = store::Cached { bytes, last_modified: None };
        Ok(blocking(move || store.put_cached(&name, &kept)).await?)
    }

    fn stride_name(&self) -> String {
        format!("stride of {}", self.sync.name)
    }

    pub(super) fn pace(&self) -> Pace {
        Pace { lag: self.sync.lag, overlap: self.sync.overlap }
    }

    /// Opens the run in the store.
    pub(super) async fn begin(
        &self,
        trigger: Trigger,
        connection: &ConnectionName,
    ) -> Result<Run, store::Error> {
        let (job, connection) = (self.clone(), connection.clone());
        let run = blocking(move || {
            job.store.begin_run(NewRun {
                sync: job.sync.name.clone(),
                object: job.sync.object.clone(),
                connection,
                trigger,
                started: job.now(),
                cursor_before: job.store.cursor(&job.sync.name)?,
                plugin: Some(job.plugin.note()),
                quota_before: job.org.gate().usage(),
            })
        })
        .await?;
        tracing::Span::current().record("run", run.id.0);
        // Until the whole object was read once, its calls come out of the share of first passes.
        self.org.gate().first_pass(run.id, run.cursor_before.covered.is_none());
        self.bus.emit(Event::RunStarted {
            run: run.id,
            sync: run.sync.clone(),
            object: run.object.clone(),
            trigger,
        });
        Ok(run)
    }

    /// The run as it stands: another connection may have begun it.
    pub(super) async fn here(&self, run: RunId) -> Result<Run, Error> {
        let store = self.store.clone();
        let here = blocking(move || store.run(run)).await?;
        Ok(here.ok_or(store::Error::NoRun { run })?)
    }

    /// Notes what the run is going to read.
    pub(super) async fn opened(
        &self,
        run: RunId,
        reader: &Reader,
        schema: Schema,
    ) -> Result<(), Error> {
        let (window, soql, selected) = (reader.window, reader.query()?, reader.selected.clone());
        let store = self.store.clone();
        blocking(move || {
            let schema = store.put_schema(&schema)?;
            store.update_run(run, |run| {
                run.schema = Some(schema);
                // What another connection goes on with is a part of it.
                if run.pages == 0 {
                    run.window = Some(window);
                    run.soql = soql;
                }
                run.stamp_field = selected.tracking.stamp().map(str::to_owned);
                run.fields = selected.fields;
                let said = |note: &String| !run.notes.contains(note);
                let new: Vec<String> = selected.notes.into_iter().filter(said).collect();
                run.notes.extend(new);
                run.notes.truncate(NOTES_KEPT);
            })
        })
        .await?;
        Ok(())
    }

    /// Finds out what changed on a page and maps it.
    pub(super) async fn map_page(&self, run: RunId, page: Fetched) -> Result<Ready, Error> {
        let job = self.clone();
        blocking(move || job.map_page_now(run, page)).await
    }

    fn map_page_now(&self, run: RunId, page: Fetched) -> Result<Ready, Error> {
        let number = page.number;
        let _page = tracing::info_span!("page", page = number).entered();
        let Fetched {
            batch,
            cursor,
            bytes,
            took,
            arrived,
            request_id,
            shared,
            expected,
            mismatch,
            ..
        } = page;
        let sync = &self.sync.name;
        self.bus.emit(Event::PageFetched {
            run,
            sync: sync.clone(),
            page: u64::from(number),
            records: batch.len() as u64,
            bytes,
            expected: Some(expected),
            took_us: took,
            waited_us: micros(arrived),
            request_id: request_id.clone(),
        });
        let note = PageNote {
            page: u64::from(number),
            at: self.now(),
            bytes,
            counts: Default::default(),
            timing: Timing { fetch: took, ..Timing::default() },
            request_id,
        };
        let known = self.store.known(sync, &batch)?;
        let job = self.for_batch(run, number, &batch.fields)?;
        let maps_deletions = job.plugin.description().maps_deletions;
        let to_map: Vec<usize> = (0..batch.len())
            .filter(|&i| !known.unchanged(i) && (maps_deletions || !batch.records[i].deleted))
            .collect();
        let mapped = job.map_batch(run, number, batch, known, &to_map, note)?;
        Ok(Ready { mapped, cursor, shared, expected, mismatch })
    }

    /// Commits a mapped page. After the last one, its count must have agreed.
    pub(super) async fn commit_page(&self, ready: Ready) -> Result<(), Error> {
        let job = self.clone();
        blocking(move || job.commit_page_now(ready)).await
    }

    fn commit_page_now(&self, ready: Ready) -> Result<(), Error> {
        let _page = tracing::info_span!("page", page = ready.mapped.note.page).entered();
        let gate = self.org.gate();
        let usage = gate.usage();
        let run = self.store.update_run(ready.mapped.run, |run| {
            run.expected = Some(ready.expected);
            run.calls = gate.run_calls(run.id);
            run.quota_after = usage.or(run.quota_after);
            self.keep_retries(run);
            run.notes.extend(ready.shared.map(|shared| shared.to_string()));
            run.notes.truncate(NOTES_KEPT);
        })?;
        self.commit_batch(ready.mapped, ready.cursor, run.calls)?;
        match ready.mismatch {
            Some((told, arrived)) => Err(Error::Count { told, arrived }),
            None => Ok(()),
        }
    }

    /// Notes with the run what it had to ask again.
    fn keep_retries(&self, run: &mut Run) {
        run.retries.extend(self.org.take_retries(run.id));
        run.retries.truncate(RETRIES_KEPT);
    }

    /// Maps the records `to_map` of a batch; the others are unchanged or deleted.
    pub(super) fn map_batch(
        &self,
        run: RunId,
        number: u32,
        batch: Batch,
        known: Known,
        to_map: &[usize],
        mut note: PageNote,
    ) -> Result<Mapped, Error> {
        let begun = Instant::now();
        let mut outcomes = self.map(run, number, &batch, to_map)?.into_iter();
        note.timing.map = micros(begun);
        let mut next = to_map.iter().copied().peekable();
        let verdicts = (0..batch.len())
            .map(|i| {
                if next.next_if_eq(&i).is_some() {
                    Verdict::Became(outcomes.next().unwrap_or_else(unanswered))
                } else if known.unchanged(i) {
                    Verdict::Unchanged
                } else {
                    Verdict::Deleted
                }
            })
            .collect();
        Ok(Mapped { run, batch, known, verdicts, note, maker: self.maker(), remap: None })
    }

    /// Commits a batch in one step.
    pub(super) fn commit_batch(
        &self,
        mapped: Mapped,
        cursor: Cursor,
        calls: u64,
    ) -> Result<(), Error> {
        let Mapped { run, batch, known, verdicts, note, maker, remap } = mapped;
        let (begun, timing, page) = (Instant::now(), note.timing, note.page);
        let committed = self.store.commit(Commit {
            run,
            sync: &self.sync.name,
            batch: &batch,
            known,
            outcomes: verdicts,
            cursor,
            page: note,
            calls,
            maker: Some(&maker),
            remap: remap.as_ref(),
            keep_raw: self.sync.keep_raw,
        })?;
        self.bus.emit(Event::BatchCommitted {
            run,
            sync: self.sync.name.clone(),
            page,
            counts: committed.counts,
            total: committed.run.counts,
            calls: committed.run.calls,
            expected: committed.run.expected,
            feed_end: committed.feed_end,
            timing: Timing { commit: micros(begun), ..timing },
        });
        Ok(())
    }

    fn map(
        &self,
        run: RunId,
        number: u32,
        batch: &Batch,
        mapped: &[usize],
    ) -> Result<Vec<Outcome>, Error> {
        if mapped.is_empty() {
            return Ok(Vec::new());
        }
        let call = plugin::Call {
            object: &self.sync.object,
            sync: &self.sync.name,
            run,
            batch: number,
            read_at: self.now(),
            settings: &self.settings,
            lookup: self.lookup.clone(),
        };
        let picked;
        let batch = if mapped.len() == batch.len() {
            batch
        } else {
            picked = batch.select(mapped);
            &picked
        };
        let answer = self.plugin.map(&call, batch)?;
        self.present.heard(batch, &answer, call.read_at);
        self.tell(run, number, batch, &answer);
        Ok(answer.outcomes)
    }

    /// Tells what a plugin made of a batch.
    fn tell(&self, run: RunId, number: u32, batch: &Batch, answer: &plugin::Mapped) {
        let sync = &self.sync.name;
        let (mut mapped, mut skipped, mut failed) = (0, 0, 0);
        for (record, outcome) in batch.records.iter().zip(&answer.outcomes) {
            match outcome {
                Outcome::Mapped(_) => mapped += 1,
                Outcome::Skipped(_) => skipped += 1,
                Outcome::Failed(rejection) => {
                    failed += 1;
                    if plugin::is_trap(&rejection.code) {
                        self.bus.emit(Event::PluginTrapped {
                            run,
                            sync: sync.clone(),
                            page: u64::from(number),
                            record: record.id,
                            code: rejection.code.clone(),
                            message: rejection.message.clone(),
                        });
                    }
                }
            }
        }
        for line in &answer.logs {
            let level = match line.level {
                plugin::Level::Debug => Level::Debug,
                plugin::Level::Info => Level::Info,
                plugin::Level::Warn => Level::Warn,
                plugin::Level::Error => Level::Error,
            };
            let (page, message) = (u64::from(number), line.message.clone());
            self.bus.emit(Event::PluginLogged { run, sync: sync.clone(), page, level, message });
        }
        self.bus.emit(Event::BatchMapped {
            run,
            sync: sync.clone(),
            page: u64::from(number),
            mapped,
            skipped,
            failed,
            peak_memory: answer.peak_memory,
            took_us: u64::try_from(answer.took.as_micros()).unwrap_or(u64::MAX),
        });
    }

    /// How a run ends whose window was read whole.
    pub(super) fn finished(&self, run: RunId) -> Result<Ending, Error> {
        let failed = self.store.run(run)?.is_some_and(|run| run.counts.failed > 0);
        Ok(if failed { Ending::SucceededWithFailures } else { Ending::Succeeded })
    }

    /// How a run ends that an error stopped.
    pub(super) fn stopped(&self, error: &Error, connection: &ConnectionName) -> Ending {
        // Other limits than the daily one are a matter of seconds.
        let soon = self.now().plus(Duration::from_secs(60));
        let again = match error {
            Error::Salesforce(error) if error.is_refusal() => self.org.tries_again(connection),
            _ => self.org.gate().look_again(),
        };
        error.ending(again.or(Some(soon)))
    }

    /// Pauses the sync when the error is one that every further run would meet.
    pub(super) async fn pause_for(&self, run: RunId, error: &Error) -> Result<(), store::Error> {
        if !error.pauses() {
            return Ok(());
        }
        let cause = PauseCause { run, code: error.code().to_owned(), reason: error.to_string() };
        let pause = Pause { at: Some(self.now()), cause: Some(cause) };
        let (store, sync) = (self.store.clone(), self.sync.name.clone());
        blocking(move || store.set_pause(&sync, Some(&pause))).await
    }

    /// Closes the run in the store.
    pub(super) async fn end(&self, run: RunId, ending: Ending) -> Result<Run, store::Error> {
        let job = self.clone();
        self.org.gate().first_pass(run, false);
        let run = blocking(move || {
            let gate = job.org.gate();
            job.store.end_run(run, ending, gate.now(), |run| {
                run.calls = gate.run_calls(run.id);
                run.quota_after = gate.usage().or(run.quota_after);
                // Those of the request that ended it are not yet noted with any page.
                job.keep_retries(run);
            })
        })
        .await?;
        self.bus.emit(Event::RunEnded {
            run: run.id,
            sync: run.sync.clone(),
            ending: run.ending.clone().unwrap_or(Ending::Interrupted),
            counts: run.counts,
            calls: run.calls,
            took_ms: u64::try_from(run.ended.unwrap_or(run.started).since(run.started).as_millis())
                .unwrap_or(u64::MAX),
        });
        Ok(run)
    }
}

/// A batch that is mapped and not yet committed.
pub(super) struct Mapped {
    pub run: RunId,
    pub batch: Batch,
    pub known: Known,
    /// One a record, in order.
    pub verdicts: Vec<Verdict>,
    pub note: PageNote,
    /// Who said so.
    pub maker: Maker,
    /// Where a remap stands once this is committed.
    pub remap: Option<Remap>,
}

/// A page that is mapped and not yet committed.
pub(super) struct Ready {
    pub mapped: Mapped,
    /// Where the sync stands once this is committed.
    pub cursor: Cursor,
    shared: Option<SharedCall>,
    expected: u64,
    mismatch: Option<(u64, u64)>,
}

/// The plugin room answers for every record; should it ever not, nothing is hidden.
fn unanswered() -> Outcome {
    Outcome::Failed(plugin::Fault::Invalid("it gave no answer".to_owned()).rejection())
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// Runs blocking work (the store, the plugin) beside the async runtime; a panic in it is handed on.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let span = tracing::Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is being shut down: there is nobody left to answer.
            Err(_) => std::future::pending().await,
        },
    }
}

//! One run of one sync: the road of a batch, top to bottom.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::model::{Ending, Run, RunId, Trigger};
use crate::store;

use super::committing::Committing;
use super::reader::{Fetched, Reader};
use super::{Error, Job, select, window};

/// Runs the sync once and returns the run as it ended; an error means that not even its ending could be stored.
pub async fn run(
    job: &Job,
    trigger: Trigger,
    cancel: &CancellationToken,
) -> Result<Run, store::Error> {
    let run = job.begin(trigger).await?;
    let ending = match go(job, &run, cancel).await {
        Ok(ending) => ending,
        Err(error) => job.stopped(&error),
    };
    job.end(run.id, ending).await
}

async fn go(job: &Job, run: &Run, cancel: &CancellationToken) -> Result<Ending, Error> {
    let reader = tokio::select! {
        biased;
        () = cancel.cancelled() => return Ok(Ending::Interrupted),
        reader = open(job, run) => reader?,
    };
    // Three things at once: the next page is on its way, a batch is mapped, and the one before is being committed. One
    // more page waits in the channel.
    let (pages, mut fetched) = mpsc::channel::<Fetched>(1);
    let mut reading = tokio::task::JoinSet::new();
    reading.spawn(reader.read(pages));
    let mut committing = Committing::default();
    let carried = carry(job, run.id, cancel, &mut fetched, &mut committing).await;
    // Whatever stopped the mapping, the batch in hand becomes durable.
    committing.settle().await?;
    if carried? == Carried::UntilCancelled {
        return Ok(Ending::Interrupted);
    }
    while let Some(read) = reading.join_next().await {
        read??;
    }
    job.finished(run.id)
}

/// How far the batches were carried.
#[derive(PartialEq, Eq)]
enum Carried {
    ToTheEnd,
    UntilCancelled,
}

/// Carries batch after batch from the reader through the plugin into the store.
async fn carry(
    job: &Job,
    run: RunId,
    cancel: &CancellationToken,
    fetched: &mut mpsc::Receiver<Fetched>,
    committing: &mut Committing,
) -> Result<Carried, Error> {
    for number in 0.. {
        let page = tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(Carried::UntilCancelled),
            page = fetched.recv() => page,
        };
        let Some(page) = page else { break };
        if committing.shares(&page.batch) {
            committing.settle().await?;
        }
        let ready = job.map_page(run, number, page).await?;
        committing.settle().await?;
        committing.start(job, ready);
    }
    Ok(Carried::ToTheEnd)
}

/// Chooses what to read: the fields, the window, the query.
async fn open(job: &Job, run: &Run) -> Result<Reader, Error> {
    let caller = job.caller(run.id);
    let object = job.org.describe(&caller, &job.sync.object).await?;
    let selected = select(&job.sync, &job.plugin.description().reads, &object)?;
    let now = job.org.server_time(&caller).await?;
    let window = window::open(&run.cursor_before, &selected.tracking, now, job.pace());
    let reader = Reader {
        org: job.org.clone(),
        caller,
        object: job.sync.object.clone(),
        filter: job.sync.filter.clone(),
        page_size: job.sync.page_size,
        before: run.cursor_before,
        window,
        selected,
    };
    job.opened(run.id, &reader, object.schema()).await?;
    Ok(reader)
}

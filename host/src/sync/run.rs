//! One run of one sync: the road of a batch, top to bottom.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::model::{Ending, Run, Trigger};
use crate::store;

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

    // While one batch is mapped and committed, the next page is already on its way; one more waits in the channel.
    let (pages, mut fetched) = mpsc::channel::<Fetched>(1);
    let mut reading = tokio::task::JoinSet::new();
    reading.spawn(reader.read(pages));
    let mut number = 0;
    loop {
        let page = tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(Ending::Interrupted),
            page = fetched.recv() => page,
        };
        let Some(page) = page else { break };
        job.take(run.id, number, page).await?;
        number += 1;
    }
    while let Some(read) = reading.join_next().await {
        read??;
    }
    job.finished(run.id)
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
    job.opened(run.id, &reader).await?;
    Ok(reader)
}

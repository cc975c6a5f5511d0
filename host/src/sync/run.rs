//! One run of one sync: the road of a batch, top to bottom.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::model::{Ending, Run, RunId, Scan, Trigger};
use crate::salesforce::Seat;
use crate::store;

use super::committing::Committing;
use super::hold::Hold;
use super::reader::{Fetched, Reader};
use super::{Error, Job, select, window};

/// Runs the sync once and returns the run as it ended; an error means that not even its ending could be stored. With a
/// `seat` it may ask its first page together with other runs.
pub async fn run(
    job: &Job,
    trigger: Trigger,
    seat: Option<Seat>,
    cancel: &CancellationToken,
) -> Result<Run, store::Error> {
    let mut hold = Hold::draw(job);
    let run = job.begin(trigger, hold.name()).await?;
    hold.say(job, run.id)?;
    // A first pass, and one that goes on, expect full pages: nobody need wait for them.
    let fresh = run.cursor_before.covered.is_some() && run.cursor_before.open.is_none();
    let mut seat = seat.filter(|_| fresh);
    let ending = loop {
        match go(job, run.id, &hold, seat.take(), cancel).await {
            Ok(ending) => break ending,
            // What was committed stays: another connection goes on behind it.
            Err(error) if hold.move_on(job, run.id, &error)? => {}
            // The object changed since it was described: it is described anew, and the run begins again.
            Err(error)
                if error.doubts_fields()
                    && job.org.describe_again(hold.name(), &job.sync.object, run.started).await => {
            }
            Err(error) => {
                job.pause_for(run.id, &error).await?;
                break job.stopped(&error, hold.name());
            }
        }
    };
    job.end(run.id, ending).await
}

async fn go(
    job: &Job,
    run: RunId,
    hold: &Hold,
    seat: Option<Seat>,
    cancel: &CancellationToken,
) -> Result<Ending, Error> {
    let reader = tokio::select! {
        biased;
        () = cancel.cancelled() => return Ok(Ending::Interrupted),
        opened = open(job, run, hold, seat) => opened?,
    };
    // Three things at once: the next page is on its way, a batch is mapped, and the one before is being committed. One
    // more page waits in the channel.
    let (pages, mut fetched) = mpsc::channel::<Fetched>(1);
    let mut reading = tokio::task::JoinSet::new();
    reading.spawn(reader.read(pages).in_current_span());
    let mut committing = Committing::default();
    let carried = carry(job, run, cancel, &mut fetched, &mut committing).await;
    // Whatever stopped the mapping, the batch in hand becomes durable.
    committing.settle().await?;
    if carried? == Carried::UntilCancelled {
        return Ok(Ending::Interrupted);
    }
    while let Some(read) = reading.join_next().await {
        read??;
    }
    job.finished(run)
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
    loop {
        let page = tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(Carried::UntilCancelled),
            page = fetched.recv() => page,
        };
        let Some(page) = page else { break };
        if committing.shares(&page.batch) {
            committing.settle().await?;
        }
        let ready = job.map_page(run, page).await?;
        committing.settle().await?;
        committing.start(job, ready);
    }
    Ok(Carried::ToTheEnd)
}

/// Chooses what to read: the fields, the window, the query.
async fn open(job: &Job, run: RunId, hold: &Hold, seat: Option<Seat>) -> Result<Reader, Error> {
    let caller = job.caller(run, hold.name());
    let (object, told) = job.org.describe_dated(&caller, &job.sync.object).await?;
    let now = match told {
        Some(now) => now,
        None => job.org.server_time(&caller).await?,
    };
    let selected = select(&job.sync, &job.plugin.description().reads, &object)?;
    let here = job.here(run).await?;
    let window = window::open(&here.cursor_after, &selected.tracking, now, job.pace());
    let stride = job.stride().await;
    let reader = Reader {
        job: job.clone(),
        run,
        caller,
        object: job.sync.object.clone(),
        filter: job.sync.filter.clone(),
        page_size: job.sync.page_size,
        before: here.cursor_after,
        window,
        whole: window,
        asked: stride.ask(&window),
        stride,
        selected,
        number: u32::try_from(here.pages).unwrap_or(u32::MAX),
        seat: seat.filter(|_| window.scan == Scan::ByStamp),
    };
    job.opened(run, &reader, object.schema()).await?;
    Ok(reader)
}

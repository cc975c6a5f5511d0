//! Reads a window page by page, ahead of the mapping, and says after each page where the sync stands.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::model::{Batch, Caller, Cursor, RunId, Window};
use crate::quota::LimitKind;
use crate::salesforce::soql::Query;
use crate::salesforce::{self, Ahead, Locator, Page, Seat, SharedCall};

use super::stride::{Asked, Stride};
use super::window;
use super::{Error, Job, Selected};

/// One batch of a page, with the cursor that holds once it is committed.
#[derive(Debug)]
pub struct Fetched {
    /// Its number in the run, from 0.
    pub number: u32,
    /// At most 1000 records.
    pub batch: Batch,
    /// Where the sync stands after this batch; closed after the last one when the count agrees.
    pub cursor: Cursor,
    /// Bytes of the answer, unpacked.
    pub bytes: u64,
    /// From request to last byte, in microseconds.
    pub took: u64,
    /// When it was here.
    pub arrived: Instant,
    /// Salesforce's id of the request.
    pub request_id: Option<String>,
    /// With whom its page shared a call.
    pub shared: Option<SharedCall>,
    /// How many records the run's queries have, as far as is known.
    pub expected: u64,
    /// Set on the last batch when fewer or more records arrived than Salesforce counted.
    pub mismatch: Option<(u64, u64)>,
}

/// A batch is what the plugin gets in one call: at most this many records.
pub const BATCH: usize = 1000;

/// Reads one window of one object.
pub struct Reader {
    /// The sync.
    pub job: Job,
    /// The run.
    pub run: RunId,
    /// On whose behalf.
    pub caller: Caller,
    /// The sync's object.
    pub object: String,
    /// The user's condition.
    pub filter: Option<String>,
    /// What to ask for.
    pub selected: Selected,
    /// Records a page.
    pub page_size: u16,
    /// Where the sync stood before this run.
    pub before: Cursor,
    /// What is left of the window.
    pub window: Window,
    /// All that this run was to read of it.
    pub whole: Window,
    /// How much of it one query asks for.
    pub stride: Stride,
    /// What the last query asked for.
    pub asked: Asked,
    /// The number of the next batch in the run.
    pub number: u32,
    /// A place among runs that ask their first pages together.
    pub seat: Option<Seat>,
}

/// How the sending of a page ended.
#[derive(PartialEq, Eq)]
enum Sent {
    /// There is more of the window.
    More,
    /// The window is read.
    All,
    /// Its query's count did not agree.
    Wrong,
    /// The receiver is gone.
    ToNobody,
}

/// What is known of queries that took too long.
#[derive(Default)]
struct Slow {
    /// Refusals in a row because of too many long queries.
    refused: u32,
    /// What the run's reader was told.
    note: Option<String>,
}

/// A page on its way. Its request ends with it.
struct Coming {
    /// Whether it was asked for by a locator.
    further: bool,
    next: oneshot::Receiver<Locator>,
    page: AbortOnDropHandle<Result<Page, salesforce::Error>>,
}

impl Coming {
    /// Where the page behind it lies, told as soon as its answer is here; none when it is the last one, does not tell, or
    /// does not come.
    async fn next(&mut self) -> Option<Locator> {
        (&mut self.next).await.ok()
    }

    async fn page(&mut self) -> Result<Page, salesforce::Error> {
        match (&mut self.page).await {
            Ok(page) => page,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Nobody aborts it but the end of the runtime.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

/// In how many batches so many records come: an empty page is one.
fn batches(records: u64) -> u32 {
    u32::try_from(records.div_ceil(BATCH as u64).max(1)).unwrap_or(u32::MAX)
}

/// How often a window may be queried anew because its locator was lost, without a page arriving in between.
const REQUERIES: u32 = 3;

impl Reader {
    /// The query for what is left of the window, or for as much of it as is asked for at once.
    pub fn query(&self) -> Result<String, salesforce::Error> {
        let Asked { window, limit } = self.stride.ask(&self.window);
        let query = Query {
            object: self.object.clone(),
            fields: self.selected.fields.clone(),
            stamp: self.selected.tracking.stamp().map(str::to_owned),
            has_deleted: self.selected.sees_deletions,
            filter: self.filter.clone(),
            window: Some(window),
            limit,
        };
        query.text()
    }

    /// Sends the window's batches into `pages` until the window is read, the receiver is gone, or something fails.
    ///
    /// Memory: one page in hand here and the next on its way, one in the channel; the receiver has one that is mapped and
    /// one that is committed.
    pub async fn read(mut self, pages: mpsc::Sender<Fetched>) -> Result<(), Error> {
        let before = self.stride;
        let read = self.read_parts(pages).await;
        if self.stride != before {
            self.job.keep_stride(self.stride).await?;
        }
        read
    }

    async fn read_parts(&mut self, pages: mpsc::Sender<Fetched>) -> Result<(), Error> {
        let (mut lost, mut slow) = (0, Slow::default());
        // Counted a query chain: a new query counts what is left, so the two start anew together.
        let (mut arrived, mut sent) = (0u64, 0u64);
        let mut coming = self.ask(None, Some(self.number))?;
        loop {
            // Asked for before this page is read: latency is all that lies between two pages.
            let early = coming.next().await;
            let ahead = early.as_ref().map(|next| {
                let length = next.offset().and_then(|offset| offset.checked_sub(arrived));
                let number = length.map(|length| self.number.saturating_add(batches(length)));
                self.ask(Some(next.clone()), number)
            });
            let ahead = ahead.transpose()?;
            let page = match coming.page().await {
                Ok(page) => page,
                Err(error @ salesforce::Error::Locator { .. })
                    if coming.further && lost < REQUERIES =>
                {
                    tracing::warn!(sync = ?self.caller.sync, %error, "The query is made anew from the last record read");
                    (lost, arrived) = (lost + 1, 0);
                    coming = self.ask(None, Some(self.number))?;
                    continue;
                }
                Err(error) => {
                    self.narrow(error, &mut slow).await?;
                    (lost, arrived) = (0, 0);
                    coming = self.ask(None, Some(self.number))?;
                    continue;
                }
            };
            (lost, slow.refused) = (0, 0);
            let here = Instant::now();
            arrived += page.batch.len() as u64;
            let left_before = page.total.saturating_sub(arrived);
            sent += page.batch.len() as u64;
            let expected = sent + left_before;
            let next = page.next.clone();
            let total = page.total;
            let last = page.done || next.is_none();
            // An answer that came damaged may have told the next page wrong.
            let ahead = match ahead.filter(|_| early == next) {
                None if !last => {
                    let after = self.number.saturating_add(batches(page.batch.len() as u64));
                    Some(self.ask(next, Some(after))?)
                }
                ahead => ahead,
            };
            let count = last.then_some((total, arrived));
            let sent = self.send(page, here, count, expected, &pages).await;
            match (sent, ahead) {
                (Sent::More, Some(ahead)) if !last => coming = ahead,
                (Sent::More, _) if last => {
                    self.stride = self.stride.went_well(&self.window);
                    arrived = 0;
                    coming = self.ask(None, Some(self.number))?;
                }
                (Sent::All, _) => {
                    self.stride = self.stride.went_well(&self.window);
                    return Ok(());
                }
                _ => return Ok(()),
            }
        }
    }

    /// After a query that took Salesforce too long: asks for less from now on. An error when that does not help.
    async fn narrow(&mut self, error: salesforce::Error, slow: &mut Slow) -> Result<(), Error> {
        let (why, pause) = match &error {
            salesforce::Error::QueryTimeout { .. } => {
                ("Salesforce stopped a query that ran for too long", Duration::ZERO)
            }
            salesforce::Error::Limit { kind: LimitKind::LongRunning, .. } => {
                slow.refused += 1;
                match self.job.org.pause_for_crowd(slow.refused) {
                    Some(pause) => ("Salesforce had too many long queries at once", pause),
                    None => return Err(error.into()),
                }
            }
            _ => return Err(error.into()),
        };
        let (before, narrower) = (self.stride, self.stride.narrower(&self.window));
        let (Some(narrower), window) = (narrower, self.window) else {
            return Err(match (error, before.part) {
                (source @ salesforce::Error::QueryTimeout { .. }, Some(part)) => {
                    Error::StillTooSlow { part: part.to_string(), source }
                }
                (error, _) => error.into(),
            });
        };
        self.stride = narrower;
        if let Some(part) = narrower.part {
            tracing::info!(sync = ?self.caller.sync, %error, %part, ?window, "asking for less");
            let note = format!("{why}: from there on it asks for at most {part} at once");
            let old = slow.note.replace(note.clone());
            self.job.note(self.run, note, old).await?;
        }
        // A run that is stopped meanwhile has learnt it all the same.
        self.job.keep_stride(narrower).await?;
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Sends for a page: the one that the locator tells, or the first of what is left. Its number, for what is told of the
    /// request, is that of its first batch; none while nobody can know how long the page before it is.
    fn ask(
        &mut self,
        locator: Option<Locator>,
        number: Option<u32>,
    ) -> Result<Coming, salesforce::Error> {
        let further = locator.is_some();
        let soql = if further { String::new() } else { self.query()? };
        if !further {
            self.asked = self.stride.ask(&self.window);
        }
        let (org, caller, page_size) = (self.job.org.clone(), self.caller.clone(), self.page_size);
        let caller = Caller { page: number.map(u64::from), ..caller };
        let (selection, seat) = (self.selected.selection.clone(), self.seat.take());
        let (tell, next) = oneshot::channel();
        let tell = Mutex::new(Some(tell));
        let ahead: Ahead = Box::new(move |locator| {
            // The first word counts; nobody may be listening any more.
            if let Some(tell) = tell.lock().unwrap_or_else(PoisonError::into_inner).take() {
                drop(tell.send(locator));
            }
        });
        let asking = async move {
            let (selection, ahead) = (&selection, Some(&ahead));
            match (locator, seat) {
                (Some(locator), _) => {
                    org.more(&caller, &locator, selection, page_size, ahead).await
                }
                // queryAll: deletions arrive, and archived activities with them.
                (None, Some(seat)) => {
                    org.query_together(seat, &caller, &soql, selection, page_size, ahead).await
                }
                (None, None) => org.query(&caller, &soql, true, selection, page_size, ahead).await,
            }
        };
        let span = tracing::info_span!("page", page = number);
        let page = tokio::spawn(asking.instrument(span));
        Ok(Coming { further, next, page: AbortOnDropHandle::new(page) })
    }

    /// `count` is (told, arrived), given with the last page of a query.
    async fn send(
        &mut self,
        mut page: Page,
        arrived: Instant,
        count: Option<(u64, u64)>,
        expected: u64,
        pages: &mpsc::Sender<Fetched>,
    ) -> Sent {
        let mismatch = count.filter(|(told, arrived)| told != arrived);
        let batches = page.take_batches(BATCH);
        let n = batches.len();
        let mut sent = if mismatch.is_some() { Sent::Wrong } else { Sent::More };
        for (i, batch) in batches.into_iter().enumerate() {
            let asked = Window { at: self.window.at, ..self.asked.window };
            self.window.at = window::advance(asked, &batch.records).at;
            let end = count.filter(|_| i + 1 == n);
            let rest = end.and_then(|(told, _)| self.asked.rest(self.window, told));
            let cursor = match (end, mismatch, rest) {
                (Some(_), Some(_), _) => window::again(&self.before, self.whole),
                (Some(_), None, None) => {
                    sent = Sent::All;
                    window::close(&self.before, self.window)
                }
                (_, _, rest) => {
                    self.window = rest.unwrap_or(self.window);
                    window::within(&self.before, self.window)
                }
            };
            let first = i == 0;
            let fetched = Fetched {
                number: self.number,
                arrived,
                batch,
                cursor,
                bytes: if first { page.bytes } else { 0 },
                took: if first {
                    u64::try_from(page.took.as_micros()).unwrap_or(u64::MAX)
                } else {
                    0
                },
                request_id: page.request_id.clone(),
                shared: page.shared.take(),
                expected,
                mismatch: mismatch.filter(|_| end.is_some()),
            };
            if pages.send(fetched).await.is_err() {
                return Sent::ToNobody;
            }
            self.number = self.number.saturating_add(1);
        }
        sent
    }
}

//! Reads a window page by page, ahead of the mapping, and says after each page where the sync stands.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::model::{Batch, Caller, Cursor, Window};
use crate::salesforce::soql::Query;
use crate::salesforce::{self, Ahead, Locator, Org, Page, Seat, SharedCall};

use super::window;
use super::{Error, Selected};

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
    /// The org.
    pub org: Org,
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
    /// The number of the next batch in the run.
    pub number: u32,
    /// A place among runs that ask their first pages together.
    pub seat: Option<Seat>,
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
fn batches(records: usize) -> u32 {
    u32::try_from(records.div_ceil(BATCH).max(1)).unwrap_or(u32::MAX)
}

/// How often a window may be queried anew because its locator was lost, without a page arriving in between.
const REQUERIES: u32 = 3;

impl Reader {
    /// The query for what is left of the window.
    pub fn query(&self) -> Result<String, salesforce::Error> {
        let query = Query {
            object: self.object.clone(),
            fields: self.selected.fields.clone(),
            stamp: self.selected.tracking.stamp().map(str::to_owned),
            has_deleted: self.selected.sees_deletions,
            filter: self.filter.clone(),
            window: Some(self.window),
            limit: None,
        };
        query.text()
    }

    /// Sends the window's batches into `pages` until the window is read, the receiver is gone, or something fails.
    ///
    /// Memory: one page in hand here and the next on its way, one in the channel; the receiver has one that is mapped and
    /// one that is committed.
    pub async fn read(mut self, pages: mpsc::Sender<Fetched>) -> Result<(), Error> {
        let mut lost = 0;
        // Counted a query chain: a new query counts what is left, so the two start anew together.
        let (mut arrived, mut sent) = (0u64, 0u64);
        let mut coming = self.ask(None, self.number)?;
        loop {
            // Asked for before this page is read: latency is all that lies between two pages.
            let early = coming.next().await;
            let after = self.number.saturating_add(batches(usize::from(self.page_size)));
            let ahead =
                early.as_ref().map(|next| self.ask(Some(next.clone()), after)).transpose()?;
            let page = match coming.page().await {
                Ok(page) => page,
                Err(error @ salesforce::Error::Locator { .. })
                    if coming.further && lost < REQUERIES =>
                {
                    tracing::warn!(sync = ?self.caller.sync, %error, "The query is made anew from the last record read");
                    (lost, arrived) = (lost + 1, 0);
                    coming = self.ask(None, self.number)?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            lost = 0;
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
                    let after = self.number.saturating_add(batches(page.batch.len()));
                    Some(self.ask(next, after)?)
                }
                ahead => ahead,
            };
            let count = last.then_some((total, arrived));
            let handed = self.send(page, here, count, expected, &pages).await;
            match ahead {
                Some(ahead) if handed && !last => coming = ahead,
                _ => return Ok(()),
            }
        }
    }

    /// Sends for a page: the one that the locator tells, or the first of what is left. Its number is what it will be when
    /// the page before it is as long as was asked for.
    fn ask(&mut self, locator: Option<Locator>, number: u32) -> Result<Coming, salesforce::Error> {
        let further = locator.is_some();
        let soql = if further { String::new() } else { self.query()? };
        let (org, caller, page_size) = (self.org.clone(), self.caller.clone(), self.page_size);
        let caller = Caller { page: Some(u64::from(number)), ..caller };
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

    /// False when the receiver is gone. `count` is (told, arrived), given with the last page.
    async fn send(
        &mut self,
        mut page: Page,
        arrived: Instant,
        count: Option<(u64, u64)>,
        expected: u64,
        pages: &mpsc::Sender<Fetched>,
    ) -> bool {
        let mismatch = count.filter(|(told, arrived)| told != arrived);
        let batches = page.take_batches(BATCH);
        let n = batches.len();
        for (i, batch) in batches.into_iter().enumerate() {
            self.window = window::advance(self.window, &batch.records);
            let end = count.is_some() && i + 1 == n;
            let cursor = match mismatch {
                Some(_) if end => window::again(&self.before, self.window),
                None if end => window::close(&self.before, self.window),
                _ => window::within(&self.before, self.window),
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
                mismatch: mismatch.filter(|_| end),
            };
            if pages.send(fetched).await.is_err() {
                return false;
            }
            self.number = self.number.saturating_add(1);
        }
        true
    }
}

//! Reads a window page by page, ahead of the mapping, and says after each page where the sync stands.

use tokio::sync::mpsc;

use crate::model::{Batch, Caller, Cursor, RetryNote, Window};
use crate::salesforce::soql::Query;
use crate::salesforce::{self, Locator, Org, Page};

use super::window;
use super::{Error, Selected};

/// One batch of a page, with the cursor that holds once it is committed.
#[derive(Debug)]
pub struct Fetched {
    /// At most 1000 records.
    pub batch: Batch,
    /// Where the sync stands after this batch; closed after the last one when the count agrees.
    pub cursor: Cursor,
    /// Bytes of the answer, unpacked.
    pub bytes: u64,
    /// From request to last byte, in microseconds.
    pub took: u64,
    /// Salesforce's id of the request.
    pub request_id: Option<String>,
    /// Requests that were made again for it.
    pub retries: Vec<RetryNote>,
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
    /// Memory: one page in hand here, one in the channel; the receiver has one that is mapped and one that is committed.
    pub async fn read(mut self, pages: mpsc::Sender<Fetched>) -> Result<(), Error> {
        let mut lost = 0;
        // Counted a query chain: a new query counts what is left, so the two start anew together.
        let (mut arrived, mut sent) = (0u64, 0u64);
        let mut locator: Option<Locator> = None;
        loop {
            let page = match self.page(locator.as_ref()).await {
                Ok(page) => page,
                Err(error @ salesforce::Error::Locator { .. })
                    if locator.is_some() && lost < REQUERIES =>
                {
                    tracing::warn!(sync = ?self.caller.sync, %error, "The query is made anew from the last record read");
                    (locator, lost, arrived) = (None, lost + 1, 0);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            lost = 0;
            arrived += page.batch.len() as u64;
            let left_before = page.total.saturating_sub(arrived);
            sent += page.batch.len() as u64;
            let expected = sent + left_before;
            locator = page.next.clone();
            let last = page.done || locator.is_none();
            let total = page.total;
            if !self.send(page, last.then_some((total, arrived)), expected, &pages).await || last {
                return Ok(());
            }
        }
    }

    async fn page(&self, locator: Option<&Locator>) -> Result<Page, salesforce::Error> {
        let selection = &self.selected.selection;
        match locator {
            Some(locator) => self.org.more(&self.caller, locator, selection, self.page_size).await,
            None => {
                let soql = self.query()?;
                // queryAll: deletions arrive, and archived activities with them.
                self.org.query(&self.caller, &soql, true, selection, self.page_size).await
            }
        }
    }

    /// False when the receiver is gone. `count` is (told, arrived), given with the last page.
    async fn send(
        &mut self,
        mut page: Page,
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
                batch,
                cursor,
                bytes: if first { page.bytes } else { 0 },
                took: if first {
                    u64::try_from(page.took.as_micros()).unwrap_or(u64::MAX)
                } else {
                    0
                },
                request_id: page.request_id.clone(),
                retries: if first { std::mem::take(&mut page.retries) } else { Vec::new() },
                expected,
                mismatch: mismatch.filter(|_| end),
            };
            if pages.send(fetched).await.is_err() {
                return false;
            }
        }
        true
    }
}

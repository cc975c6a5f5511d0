//! The commit that goes on while the next batch is mapped.

use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::model::{Batch, RecordId};

use super::Error;
use super::job::{Job, Ready};

/// The batch that is being committed, if there is one.
#[derive(Default)]
pub(super) struct Committing {
    /// Its records, sorted.
    ids: Vec<RecordId>,
    task: Option<JoinHandle<Result<(), Error>>>,
}

impl Committing {
    /// Whether one of these records is just being committed: what is known of it then changes.
    pub(super) fn shares(&self, batch: &Batch) -> bool {
        let (Some(_), Some(first), Some(last)) = (&self.task, self.ids.first(), self.ids.last())
        else {
            return false;
        };
        let mut ids = batch.records.iter().map(|record| record.id);
        ids.any(|id| *first <= id && id <= *last && self.ids.binary_search(&id).is_ok())
    }

    /// Commits a batch beside everything else. The one before must have settled.
    pub(super) fn start(&mut self, job: &Job, ready: Ready) {
        self.ids.clear();
        self.ids.extend(ready.mapped.batch.records.iter().map(|record| record.id));
        self.ids.sort_unstable();
        let job = job.clone();
        self.task =
            Some(tokio::spawn(async move { job.commit_page(ready).await }.in_current_span()));
    }

    /// Waits until it is durable.
    pub(super) async fn settle(&mut self) -> Result<(), Error> {
        match self.task.take() {
            Some(task) => task.await?,
            None => Ok(()),
        }
    }
}

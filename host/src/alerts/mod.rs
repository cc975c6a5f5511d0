//! Tells a webhook what a person must know: a failed run, a pause, a connection that must be authorised again, data that grow
//! old; and when each is over.
//!
//! What is wrong is read from how things stand, not from what was heard: events only say when to look. So nothing is missed
//! over a restart, the same trouble is told once, and its end is told when it has ended.

mod plan;

use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

pub use plan::{Alert, Book, Rules, Standing, SyncStanding, What, decide};

use crate::clock::Clock;
use crate::config::{AlertConfig, When};
use crate::deliver::{Answered, Client, Error, Signer, back_off};
use crate::events::{Bus, Event, Told};
use crate::salesforce::{ConnectionState, Org};
use crate::store::{self, Cached, RunFilter};
use crate::web::Reader;

/// Without an event it is looked so often: data grow old by themselves.
const EVERY: Duration = Duration::from_secs(60);
/// Under this name the store keeps what was told.
const BOOK: &str = "alerts";
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Tells until `stop`.
pub struct Alerts {
    config: AlertConfig,
    signer: Option<Signer>,
    client: Client,
    reader: Reader,
    org: Org,
    clock: Clock,
    events: Receiver<std::sync::Arc<Told>>,
}

impl Alerts {
    /// Hears from now on. The secret is read now, so that a missing one shows at once.
    pub fn new(
        config: &AlertConfig,
        reader: Reader,
        org: Org,
        clock: Clock,
        bus: &Bus,
    ) -> Result<Self, Error> {
        let secret = config.secret.as_ref().map(|secret| secret.read()).transpose();
        let signer = secret.map_err(Error::Secret)?.map(|secret| Signer::new(&secret));
        let client = Client::new(&config.url, PATIENCE)?;
        let events = bus.subscribe();
        Ok(Self { config: config.clone(), signer, client, reader, org, clock, events })
    }

    /// Looks, and tells what is new, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut book = self.kept().await;
        let mut attempts = 0;
        loop {
            match self.standing().await {
                Ok(standing) => {
                    let rules = Rules { on: &self.config.on, stale: self.config.stale };
                    if decide(&mut book, &standing, &rules, self.clock.now()) {
                        self.keep(&book).await;
                    }
                }
                Err(error) => tracing::error!(%error, "What to alert of cannot be read"),
            }
            let sent = tokio::select! {
                () = stop.cancelled() => return,
                sent = self.send(&mut book) => sent,
            };
            attempts = if sent { 0 } else { attempts + 1 };
            let wait = match sent {
                true => EVERY,
                false => back_off(attempts, rand::random()),
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
                () = self.something(), if sent => {}
            }
        }
    }

    /// Waits for an event after which things may stand otherwise.
    async fn something(&mut self) {
        loop {
            match self.events.recv().await {
                Ok(told) => match &told.event {
                    Event::RunEnded { .. }
                    | Event::SyncPaused { .. }
                    | Event::SyncResumed { .. }
                    | Event::ConnectionChanged { .. } => return,
                    _ => {}
                },
                Err(RecvError::Lagged(_)) => return,
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    /// Sends what was not told yet, in order; false when that must be tried again.
    async fn send(&self, book: &mut Book) -> bool {
        while let Some(alert) = book.pending.first() {
            let body = match serde_json::to_vec(alert) {
                Ok(body) => body,
                Err(error) => {
                    tracing::error!(%error, "An alert cannot be written");
                    book.pending.remove(0);
                    continue;
                }
            };
            let seconds = self.clock.now().0.div_euclid(1000);
            let headers = match &self.signer {
                Some(signer) => signer.headers(&alert.id, seconds, &body).to_vec(),
                None => vec![("webhook-id", alert.id.clone())],
            };
            match self.client.post(self.config.url.as_str(), &headers, body).await {
                Answered::Taken => tracing::debug!(alert = alert.id, "Alert sent"),
                // Sent again it would be refused again.
                Answered::Refused(reason) => {
                    tracing::error!(alert = alert.id, code = reason.code, reason = ?reason.words, "Alert refused");
                }
                Answered::Trouble(reason, _) => {
                    tracing::warn!(alert = alert.id, code = reason.code, reason = ?reason.words, "Alert not sent yet");
                    return false;
                }
            }
            book.pending.remove(0);
            self.keep(book).await;
        }
        true
    }

    async fn kept(&self) -> Book {
        let kept = self.blocking(|reader| reader.store().cached(BOOK)).await;
        match kept {
            Ok(kept) => {
                kept.and_then(|kept| serde_json::from_slice(&kept.bytes).ok()).unwrap_or_default()
            }
            Err(error) => {
                tracing::error!(%error, "What was alerted of cannot be read");
                Book::default()
            }
        }
    }

    async fn keep(&self, book: &Book) {
        let bytes = serde_json::to_vec(book).unwrap_or_default();
        let answer = Cached { bytes, last_modified: None };
        let kept = self.blocking(move |reader| reader.store().put_cached(BOOK, &answer)).await;
        if let Err(error) = kept {
            tracing::error!(%error, "What was alerted of cannot be kept");
        }
    }

    /// How everything stands.
    async fn standing(&self) -> Result<Standing, store::Error> {
        let connections = self.org.connections().into_iter().map(|status| {
            let trouble = match status.state {
                ConnectionState::ReconnectNeeded { why, .. } => {
                    Some(("auth.reconnect".to_owned(), why))
                }
                ConnectionState::Refused { why, .. } => Some(("auth.denied".to_owned(), why)),
                ConnectionState::NotConnected | ConnectionState::Healthy => None,
            };
            (status.name, trouble)
        });
        let connections = connections.collect();
        let syncs = self.blocking(syncs).await?;
        Ok(Standing { syncs, connections })
    }

    /// Off the async threads: the store waits for the disk.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, store::Error> {
        let reader = self.reader.clone();
        let done = tokio::task::spawn_blocking(move || work(&reader)).await;
        done.unwrap_or_else(|error| {
            Err(store::Error::Unfit { what: "alerts".to_owned(), reason: error.to_string() })
        })
    }
}

/// How the enabled syncs stand.
fn syncs(reader: &Reader) -> Result<Vec<SyncStanding>, store::Error> {
    const LOOK: usize = 5;
    let store = reader.store();
    let mut syncs = Vec::new();
    for sync in reader.config().syncs.iter().filter(|sync| sync.enabled) {
        let filter =
            RunFilter { sync: Some(sync.name.clone()), limit: LOOK, ..RunFilter::default() };
        let ended = store.runs(&filter)?.into_iter().filter(|run| run.trigger.reads());
        syncs.push(SyncStanding {
            name: sync.name.clone(),
            scheduled: sync.schedule != When::Manual,
            pause: store.pause(&sync.name)?,
            last: ended.filter_map(|run| run.ending).next(),
            covered: store.cursor(&sync.name)?.covered,
        });
    }
    Ok(syncs)
}

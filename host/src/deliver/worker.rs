//! The life of one destination.

use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::body::{Form, Request};
use super::plan::{Answered, Reason, Step, step};
use super::post::Client;
use super::{MOST_DEAD, address};
use crate::clock::Clock;
use crate::config::DeliverConfig;
use crate::events::{Bus, Event};
use crate::model::{ConsumerName, Stamp};
use crate::store::{self, DeadLetter, DeliveryState, FeedEntry, FeedPage, FeedQuery, Store};
use crate::web::view::Change;

/// Without a change it is told so often that the destination is still there.
const HEARD: Duration = Duration::from_secs(60);
/// After the store could not be read or written.
const REST: Duration = Duration::from_secs(10);

/// What one destination needs.
pub(super) struct Worker {
    pub(super) name: ConsumerName,
    pub(super) config: DeliverConfig,
    pub(super) form: Form,
    pub(super) client: Client,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) bus: Bus,
}

impl Worker {
    /// Delivers until `stop`. A store that fails is asked again later: it says why by itself.
    pub(super) async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let failed = tokio::select! {
                // A request in hand is let go: its changes come again after the start.
                () = stop.cancelled() => return,
                failed = self.deliver() => failed,
            };
            if let Err(error) = failed {
                tracing::error!(destination = %self.name, %error, "Delivery cannot go on");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(REST) => {}
            }
        }
    }

    /// Delivers for ever.
    async fn deliver(&self) -> Result<(), store::Error> {
        let mut moves = self.store.feed_moves();
        let mut asked = self.store.letters_asked();
        // What was asked for while no host was there.
        asked.mark_changed();
        let from_start = self.config.from_start;
        let (mut place, mut state) = self
            .blocking(move |store, name, now| {
                let state = store.delivery(name)?;
                if let Some(known) = store.consumer(name)? {
                    return Ok((known.acknowledged, state));
                }
                let place = match from_start {
                    true => store.feed_start()?.saturating_sub(1),
                    false => store.feed_end()?,
                };
                moved(store.move_consumer(name, place, false, now)?);
                Ok((place, state))
            })
            .await?;
        let mut size = self.config.batch;
        loop {
            // Only after a start: otherwise the wait was waited.
            if let Some(next) = state.next {
                tokio::time::sleep(next.since(self.clock.now())).await;
                state.next = None;
            }
            if asked.has_changed().unwrap_or(false) {
                asked.borrow_and_update();
                self.again(place, &mut state).await?;
            }
            moves.borrow_and_update();
            let Some(page) = self.page(&mut place, size, &mut state).await? else { continue };
            let entries: Vec<FeedEntry> =
                page.entries.into_iter().filter(|entry| !entry.is_faded()).collect();
            if !entries.is_empty() {
                self.send(&mut place, &mut size, &mut state, entries, page.next).await?;
                continue;
            }
            if page.next > place {
                place = page.next;
                self.acknowledge(place).await?;
            }
            if page.next >= page.end {
                // The sender lives as long as the store, which this holds.
                let woken = async {
                    tokio::select! {
                        _ = moves.changed() => false,
                        _ = asked.changed() => true,
                    }
                };
                if let Ok(true) = tokio::time::timeout(HEARD, woken).await {
                    asked.mark_changed();
                }
                self.blocking(|store, name, now| store.consumer_seen(name, now)).await?;
            }
        }
    }

    /// The next changes. None, and the place moved on, when some are no longer kept: that is noted among the dead letters.
    async fn page(
        &self,
        place: &mut u64,
        limit: usize,
        state: &mut DeliveryState,
    ) -> Result<Option<FeedPage>, store::Error> {
        let mut query = FeedQuery {
            after: Some(*place),
            until: None,
            limit,
            syncs: self.config.syncs.clone(),
            kinds: self.config.kinds.clone(),
        };
        let (came, page) = self
            .blocking(move |store, name, _| {
                // Somebody may have moved it, to have changes sent again or left out.
                let came = store.consumer(name)?.map(|known| known.acknowledged).or(query.after);
                query.after = came;
                Ok((came, store.feed_page(&query)))
            })
            .await?;
        *place = came.unwrap_or(*place);
        match page {
            Ok(page) => Ok(Some(page)),
            Err(store::Error::FeedGone { after, start }) => {
                let last = start.saturating_sub(1);
                let words = format!(
                    "changes {} to {last} were no longer kept: take a snapshot",
                    after.saturating_add(1)
                );
                let Reason { code, words: reason } = Reason::gone(words);
                let code = code.to_owned();
                let letter = DeadLetter {
                    seq: last,
                    at: self.clock.now(),
                    code: Some(code.clone()),
                    reason: reason.clone(),
                    change: Box::default(),
                };
                let buried = Event::DeliveryBuried {
                    destination: self.name.clone(),
                    changes: last.saturating_sub(after),
                    code,
                    reason,
                    took_ms: None,
                };
                self.put(state.clone(), vec![letter], buried).await?;
                *place = last;
                self.acknowledge(last).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends a batch once, and does what is to be done then. `next`: where the feed goes on behind all of it.
    async fn send(
        &self,
        place: &mut u64,
        size: &mut usize,
        state: &mut DeliveryState,
        entries: Vec<FeedEntry>,
        next: u64,
    ) -> Result<(), store::Error> {
        let now = self.clock.now();
        let begun = Instant::now();
        let (answered, covers) = self.ask(&entries, now).await;
        let took_ms = millis(begun);
        let covered = entries.get(..covers).unwrap_or(&entries);
        // What comes between the last change and `next` is not wanted here.
        let behind = match covered.last() {
            Some(last) if covers < entries.len() => last.seq,
            _ => next,
        };
        let now = self.clock.now();
        let failing = now.since(state.failing_since.unwrap_or(now));
        let attempts = state.attempts.saturating_add(1);
        let give_up = self.config.give_up;
        let mut step = step(&answered, covers, attempts, failing, give_up, rand::random());
        let (code, reason) = match &answered {
            Answered::Taken => (String::new(), String::new()),
            Answered::Refused(reason) | Answered::Trouble(reason, _) => {
                (reason.code.to_owned(), reason.words.clone())
            }
        };
        if step == Step::Bury && self.is_full(covers).await? {
            step = Step::Wait(super::plan::back_off(attempts, 1.0));
        }
        match step {
            Step::Next => {
                *size = size.saturating_mul(2).min(self.config.batch);
                *state = DeliveryState {
                    delivered: Some(now),
                    taken: state.taken.saturating_add(covered.len() as u64),
                    ..DeliveryState::default()
                };
                let delivered = Event::Delivered {
                    destination: self.name.clone(),
                    changes: covered.len() as u64,
                    last: behind,
                    took_ms,
                };
                self.put(state.clone(), Vec::new(), delivered).await?;
                *place = behind;
                self.acknowledge(behind).await
            }
            Step::Halve => {
                *size = (covers / 2).max(1);
                Ok(())
            }
            Step::Bury => {
                let dead =
                    covered.iter().map(|entry| letter(entry, (&code, &reason), now)).collect();
                *state = DeliveryState {
                    code: Some(code.clone()),
                    trouble: Some(reason.clone()),
                    delivered: state.delivered,
                    taken: state.taken,
                    ..DeliveryState::default()
                };
                let buried = Event::DeliveryBuried {
                    destination: self.name.clone(),
                    changes: covered.len() as u64,
                    code,
                    reason,
                    took_ms: Some(took_ms),
                };
                self.put(state.clone(), dead, buried).await?;
                *place = behind;
                self.acknowledge(behind).await
            }
            Step::Wait(wait) => {
                let until = now.plus(wait);
                state.attempts = attempts;
                state.failing_since.get_or_insert(now);
                state.code = Some(code.clone());
                state.trouble = Some(reason.clone());
                let failed = Event::DeliveryFailed {
                    destination: self.name.clone(),
                    code,
                    reason,
                    attempts,
                    changes: covered.len() as u64,
                    took_ms,
                    until,
                };
                let waits = DeliveryState { next: Some(until), ..state.clone() };
                self.put(waits, Vec::new(), failed).await?;
                // Changes are kept for it while it is waited for.
                self.blocking(|store, name, now| store.consumer_seen(name, now)).await?;
                tokio::time::sleep(wait).await;
                Ok(())
            }
        }
    }

    async fn is_full(&self, more: usize) -> Result<bool, store::Error> {
        let count = self.blocking(|store, name, _| store.count_dead(name)).await?;
        Ok(count + more > MOST_DEAD)
    }

    /// Sends changes once: what came of it, and of how many from the first.
    pub(super) async fn ask(&self, entries: &[FeedEntry], now: Stamp) -> (Answered, usize) {
        match self.form.request(&self.name, entries, now) {
            Err(words) => (Answered::Refused(Reason::unfit(words)), 1),
            Ok(Request { body: None, covers, .. }) => (Answered::Taken, covers),
            Ok(Request { headers, body: Some(body), covers }) => {
                let url = address(&self.config);
                (self.client.post(&url, &headers, body).await, covers)
            }
        }
    }

    async fn put(
        &self,
        state: DeliveryState,
        dead: Vec<DeadLetter>,
        event: Event,
    ) -> Result<(), store::Error> {
        self.note(event, move |store, name| store.set_delivery(name, &state, &dead)).await
    }

    /// Notes what came of a request, then tells it, both on one thread: a stop lets go of neither alone.
    pub(super) async fn note(
        &self,
        event: Event,
        write: impl FnOnce(&Store, &ConsumerName) -> Result<(), store::Error> + Send + 'static,
    ) -> Result<(), store::Error> {
        let bus = self.bus.clone();
        self.blocking(move |store, name, _| {
            write(store, name)?;
            bus.emit(event);
            Ok(())
        })
        .await
    }

    async fn acknowledge(&self, place: u64) -> Result<(), store::Error> {
        self.blocking(move |store, name, now| {
            moved(store.move_consumer(name, place, false, now)?);
            Ok(())
        })
        .await
    }

    /// Off the async threads: the store waits for the disk.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store, &ConsumerName, Stamp) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, store::Error> {
        let (store, name, now) = (self.store.clone(), self.name.clone(), self.clock.now());
        let done = tokio::task::spawn_blocking(move || work(&store, &name, now)).await;
        done.unwrap_or_else(|error| {
            Err(store::Error::Unfit { what: "a delivery".to_owned(), reason: error.to_string() })
        })
    }
}

/// Milliseconds since then.
pub(super) fn millis(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The place only moves on and never beyond the feed, so a refusal means that somebody else moved it.
fn moved(result: Result<store::Consumer, store::Refused>) {
    if let Err(refused) = result {
        tracing::warn!(%refused, "The place of a destination was moved by hand");
    }
}

fn letter(entry: &FeedEntry, (code, reason): (&str, &str), at: Stamp) -> DeadLetter {
    let change = serde_json::value::to_raw_value(&Change::from(entry.clone()));
    let change: Box<RawValue> = change.unwrap_or_default();
    let (code, reason) = (Some(code.to_owned()), reason.to_owned());
    DeadLetter { seq: entry.seq, at, code, reason, change }
}

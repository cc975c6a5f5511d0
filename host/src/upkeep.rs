//! Keeps the store from growing without end: old history goes, in small steps beside commits.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::KeepConfig;
use crate::events::{Bus, Event};
use crate::store::{Error, FeedRules, RunRules, Store};

/// How often is looked.
const EVERY: Duration = Duration::from_secs(60);
/// After a step that took some time, nine times as long is rested: a tenth of the disk's time at most.
const REST: u32 = 9;
/// The newest runs of a sync stay, whatever their age: what pages show at a glance.
const NEWEST: usize = 50;

/// What a round took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tidied {
    /// Changes of the feed.
    pub changes: u64,
    /// Stored values of the history of runs.
    pub history: u64,
}

/// Looks every minute until `stop`.
pub async fn run(store: Store, keep: KeepConfig, clock: Clock, bus: Bus, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let begun = Instant::now();
        match round(&store, &keep, &clock, &stop).await {
            Ok(tidied) if tidied == Tidied::default() => {}
            Ok(Tidied { changes, history }) => bus.emit(Event::StoreTidied {
                changes,
                history,
                took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            }),
            Err(error) => tracing::error!(%error, "Old history could not be removed"),
        }
    }
}

/// Removes all that is to go, step by step.
pub async fn round(
    store: &Store,
    keep: &KeepConfig,
    clock: &Clock,
    stop: &CancellationToken,
) -> Result<Tidied, Error> {
    let mut tidied = Tidied::default();
    let feed = FeedRules {
        age: keep.feed,
        entries: keep.feed_entries,
        hold: keep.feed_hold,
        quiet: keep.consumer_quiet,
    };
    while !stop.is_cancelled() {
        let now = clock.now();
        let gone = step(store, move |store| store.trim_feed(&feed, now)).await?;
        if gone == 0 {
            break;
        }
        tidied.changes += gone;
    }
    let runs =
        RunRules { pages: keep.pages, failures: keep.failures, runs: keep.runs, newest: NEWEST };
    let mut after = None;
    while !stop.is_cancelled() {
        let now = clock.now();
        let (keys, next) = step(store, move |store| store.trim_runs(&runs, after, now)).await?;
        tidied.history += keys;
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    Ok(tidied)
}

/// One step off the async threads, and a rest.
async fn step<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&Store) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (store, begun) = (store.clone(), Instant::now());
    let done = tokio::task::spawn_blocking(move || work(&store)).await;
    tokio::time::sleep((begun.elapsed() * REST).min(Duration::from_secs(1))).await;
    done.unwrap_or_else(|error| {
        Err(Error::Unfit { what: "a step of upkeep".to_owned(), reason: error.to_string() })
    })
}

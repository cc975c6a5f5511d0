//! Records that keep changing by themselves, for the demo and for long tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::state::State;
use crate::sync::{lock, write};

/// What to change, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The object's API name.
    pub object: String,
    /// Milliseconds between rounds.
    pub every_ms: u64,
    /// Records changed in a round.
    #[serde(default)]
    pub touch: usize,
    /// Records added in a round.
    #[serde(default)]
    pub insert: usize,
    /// Of the records just added or changed, how many are deleted at once.
    #[serde(default)]
    pub delete: usize,
    /// Stops by itself after so many rounds; never if absent.
    #[serde(default)]
    pub rounds: Option<u64>,
}

/// A plan under way; dropping it ends it.
#[derive(Debug, Serialize)]
pub(crate) struct AutoChange {
    #[serde(flatten)]
    pub(crate) plan: Plan,
    #[serde(rename = "rounds_done", serialize_with = "count")]
    done: Arc<AtomicU64>,
    #[serde(skip)]
    _running: DropGuard,
}

fn count<S: serde::Serializer>(count: &Arc<AtomicU64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(count.load(Ordering::Relaxed))
}

/// Starts a plan on the current runtime.
pub(crate) fn start(state: &Arc<State>, plan: Plan) -> AutoChange {
    let stop: CancellationToken = state.stop.child_token();
    let done = Arc::new(AtomicU64::new(0));
    let (shared, steps, counter, ended) =
        (Arc::clone(state), plan.clone(), Arc::clone(&done), stop.clone());
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(steps.every_ms.max(1)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = ended.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let round = counter.load(Ordering::Relaxed);
            if steps.rounds.is_some_and(|rounds| round >= rounds) {
                return;
            }
            change(&shared, &steps, round);
            counter.store(round + 1, Ordering::Relaxed);
        }
    });
    AutoChange { plan, done, _running: stop.drop_guard() }
}

fn change(state: &State, plan: &Plan, round: u64) {
    let now = state.now();
    let seed = lock(&state.log).received().wrapping_mul(1_000_003).wrapping_add(round);
    let mut org = write(&state.org);
    let mut ids = Vec::new();
    if plan.touch > 0 {
        ids.extend(org.touch(&plan.object, plan.touch, seed, now));
    }
    if plan.insert > 0 {
        ids.extend(org.insert(&plan.object, plan.insert, seed, now));
    }
    ids.truncate(plan.delete);
    if !ids.is_empty() {
        org.delete(&plan.object, &ids, now);
    }
}

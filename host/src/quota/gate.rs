//! The one place where permits come from.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ledger::DAY;
use super::state::{Kept, Report, State};
use super::{Breaker, Error, LimitKind, Need, Rules, SpentBy};
use crate::clock::Clock;
use crate::model::{Call, Caller, Purpose, RunId, Stamp, SyncName, Usage};

/// Room that a journal has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Enough.
    Plenty,
    /// Little: it should be folded soon.
    Little,
    /// None: nothing was written, and it must be folded first.
    None,
}

/// Keeps every call on disk, so that a restart does not forget what was spent.
pub trait Journal: Send + Sync {
    /// Writes a call that is about to be made: a process that dies after this has it on record. Must not wait for the
    /// disk, since it is called on threads that have other work.
    fn begin(&self, call: &Call) -> Result<Room, String>;
    /// Takes a call back whose request was never sent. Must not wait either; a call that cannot be taken back stays counted.
    fn void(&self, call: &Call);
    /// Changes what is on record of a call to `to`, of the same time. Must not wait; what cannot be changed stays as it was.
    fn amend(&self, _call: &Call, _to: &Call) {}
    /// Makes room. May block.
    fn fold(&self) -> Result<(), String> {
        Ok(())
    }
    /// The calls at or after `at`, in order. May block.
    fn since(&self, at: Stamp) -> Result<Vec<Call>, String>;
    /// Keeps what the gate must know after a restart, and the calls of other applications in these hours. Must not wait.
    fn remember(&self, _kept: Vec<u8>, _others: &[(Stamp, u64)]) {}
    /// What was remembered last, and the hours that end after `since`. May block.
    fn remembered(&self, _since: Stamp) -> Result<Remembered, String> {
        Ok(Remembered::default())
    }
}

/// What a journal remembers beside the calls.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    /// The gate's own.
    pub kept: Option<Vec<u8>>,
    /// Hours, and the calls of other applications in them.
    pub others: Vec<(Stamp, u64)>,
}

/// Why no permit was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// A stable code: `limit.daily`, `limit.allowance`, `limit.backfill`, `limit.priority`, `limit.reserve`, `limit.run`,
    /// `quota.journal`.
    pub code: &'static str,
    /// Why, for a person.
    pub reason: String,
    /// When asking again makes sense, when that is known.
    pub until: Option<Stamp>,
    /// Whether a [`Purpose::Probe`] would be granted now, to see whether this still holds.
    pub look: bool,
}

/// Grants calls within the rules. Clones share one ledger.
///
/// What holds under any interleaving: no call of ours past the allowance; and of the reserve no more is touched than what
/// others have spent since the moment that the last reading describes (that of the answer which brought it, less the lag of
/// Salesforce's own count), since their calls are seen only in the next reading.
///
/// One exception to the second: when nothing but the org's numbers is in the way and these are older than
/// [`LOOK_EVERY`](super::LOOK_EVERY), one call on `/limits` is granted although only the reserve is left, at most once in that time
/// (a quarter of an hour). Without it a full day could never be seen to empty. So of the reserve such looks take at most 96
/// calls a day, and only while it is all that is left. While Salesforce itself refuses calls for the day, nothing is granted
/// but the probes of the [`Breaker`], which are rarer.
///
/// What counts is what was sent: also a call that Salesforce refuses, one whose answer never came, and one that it answers with
/// 401 because the session has ended. Salesforce does not say whether it counts that one; taking it for counted errs on the
/// side that keeps the rules.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    journal: Arc<dyn Journal>,
    clock: Clock,
    slots: Arc<Semaphore>,
    folding: AtomicBool,
    state: Mutex<State>,
}

impl Gate {
    /// Opens a gate with what the journal knows of the last 24 hours.
    pub fn new(rules: Rules, journal: Arc<dyn Journal>) -> Result<Self, Error> {
        Self::with_clock(rules, journal, Clock::default())
    }

    /// The same, with a clock of one's own.
    pub fn with_clock(
        rules: Rules,
        journal: Arc<dyn Journal>,
        clock: Clock,
    ) -> Result<Self, Error> {
        let now = clock.now();
        // What can still count, and a little more: a clock may have been set.
        let calls = journal.since(now.minus(DAY + DAY / 24)).map_err(Error::Journal)?;
        let Remembered { kept, others } =
            journal.remembered(now.minus(DAY * 2)).map_err(Error::Journal)?;
        let mut kept = kept.map_or_else(Kept::default, |kept| {
            serde_json::from_slice(&kept).unwrap_or_else(|error| {
                tracing::warn!(%error, "What was remembered of the org's limits cannot be read");
                Kept::default()
            })
        });
        kept.others.restore(others);
        let state = State::new(rules, &calls, kept, now);
        let slots = Arc::new(Semaphore::new(state.crowd.now().min(Semaphore::MAX_PERMITS)));
        let (folding, state) = (AtomicBool::new(false), Mutex::new(state));
        Ok(Self(Arc::new(Inner { journal, clock, slots, folding, state })))
    }

    /// Asks for one call, waiting while too many are under way. The call is in the ledger and on record in the journal when
    /// this returns; a permit that is dropped before its request was sent takes it out again.
    pub async fn permit(&self, caller: &Caller, purpose: Purpose) -> Result<Permit, Refused> {
        self.permit_shared(caller, purpose, &[]).await
    }

    /// The same for a call that these syncs share. See [`Gate::saved`].
    pub async fn permit_shared(
        &self,
        caller: &Caller,
        purpose: Purpose,
        behalf: &[SyncName],
    ) -> Result<Permit, Refused> {
        let slot = self.0.slots.clone().acquire_owned().await.map_err(|_| closed())?;
        let slot = Slot { gate: self.clone(), slot: Some(slot) };
        let call = {
            let mut state = self.state();
            let backfill = state.is_first_pass(caller.run);
            let at = self.0.clock.now();
            let call = Call { at, caller: caller.clone(), purpose, backfill, saved: 0 };
            state.admit(&call, behalf)?;
            call
        };
        let entered = Entered { gate: self.clone(), call, written: false, sent: false };
        Ok(Permit { entered: entered.write().await?, _slot: slot })
    }

    /// Asks for one request that Salesforce does not count; it is entered and journalled like the others.
    pub async fn free(&self, caller: &Caller, purpose: Purpose) -> Result<Free, Refused> {
        if purpose.counted() {
            let reason = format!("a {} request counts and needs a permit", purpose.as_str());
            return Err(Refused { code: "quota.not-free", reason, until: None, look: false });
        }
        let at = self.0.clock.now();
        let call = Call { at, caller: caller.clone(), purpose, backfill: false, saved: 0 };
        self.state().enter(&call);
        let entered = Entered { gate: self.clone(), call, written: false, sent: false };
        Ok(Free { entered: entered.write().await? })
    }

    /// Takes in that a call made `saved` others unnecessary: told only when its answer is here, since a refused one saved
    /// nothing.
    pub fn saved(&self, call: &Call, saved: u16) {
        self.state().ledger.saved(call, saved);
        self.0.journal.amend(call, &Call { saved, ..call.clone() });
    }

    /// The gate's clock.
    pub fn now(&self) -> Stamp {
        self.0.clock.now()
    }

    /// Takes in what Salesforce told of the org's day, other than in the header of an answer.
    pub fn observe(&self, usage: Usage) {
        self.take_in(usage, false);
    }

    fn take_in(&self, usage: Usage, own: bool) {
        let mut state = self.state();
        state.observe(usage, own);
        self.remember(state, false);
    }

    /// Hands over what must survive a restart.
    fn remember(&self, mut state: MutexGuard<'_, State>, at_once: bool) {
        let now = self.0.clock.now();
        if !state.should_remember(now, at_once) {
            return;
        }
        let (kept, hours) = (state.kept(), state.others.hours(now.minus(DAY / 12)));
        drop(state);
        match serde_json::to_vec(&kept) {
            Ok(kept) => self.0.journal.remember(kept, &hours),
            Err(error) => tracing::warn!(%error, "The org's limits cannot be remembered"),
        }
    }

    /// The last reading.
    pub fn usage(&self) -> Option<Usage> {
        self.state().last
    }

    /// The org's use as far as it can be known now: the readings, which lag, and our own calls since.
    pub fn estimate(&self) -> Option<Usage> {
        let day = self.state().org_day(self.0.clock.now());
        day.read.map(|at| Usage { used: day.used, max: day.max, at })
    }

    /// Everything that is known of the day, for people.
    pub fn report(&self) -> Report {
        let now = self.0.clock.now();
        self.state().report(now)
    }

    /// Our own calls since `since`, at most 24 hours back, by connection, sync and purpose.
    pub fn spent(&self, since: Stamp) -> Vec<SpentBy> {
        let mut state = self.state();
        let now = self.0.clock.now();
        state.ledger.expire(now);
        state.ledger.spent(since.max(now.minus(DAY)))
    }

    /// Our own counted calls of the last 24 hours.
    pub fn day(&self) -> u64 {
        let mut state = self.state();
        let now = self.0.clock.now();
        state.ledger.expire(now);
        state.ledger.day(now)
    }

    /// Calls that other applications made in the last 24 hours, as far as the readings tell.
    pub fn others(&self) -> u64 {
        self.state().others.day(self.0.clock.now())
    }

    /// Counted calls of a run that made one in the last 24 hours.
    pub fn run_calls(&self, run: RunId) -> u64 {
        self.state().ledger.run(run)
    }

    /// Says that a run is a first pass over its object, so that its calls count against the share of those, or that it no
    /// longer is, or has ended.
    pub fn first_pass(&self, run: RunId, first: bool) {
        self.state().set_first_pass(run, first);
    }

    /// What all syncs are expected to need, so that it is kept back from less important ones.
    pub fn expect(&self, needs: Vec<Need>) {
        self.state().set_needs(needs);
    }

    /// What one sync is expected to need from now on.
    pub fn expect_of(&self, need: Need) {
        self.state().set_need(need);
    }

    /// What was told last of each sync.
    pub fn expected(&self) -> Vec<Need> {
        self.state().needs().to_vec()
    }

    /// Whether Salesforce refuses calls for the day, and until when.
    pub fn breaker(&self) -> Breaker {
        self.state().breaker.clone()
    }

    /// The rules in force.
    pub fn rules(&self) -> Rules {
        self.state().rules
    }

    /// Puts other rules in force; how many requests may be under way stays as it was.
    pub fn set_rules(&self, rules: Rules) {
        self.state().rules = rules;
    }

    /// How many requests may be under way at once: fewer than the rules say after the org complained of too many.
    pub fn concurrent(&self) -> usize {
        self.state().crowd.now()
    }

    /// Takes in that Salesforce refused a call because of a limit, in these words.
    pub fn limit_hit(&self, kind: LimitKind, text: &str, at: Stamp) {
        tracing::warn!(limit = kind.code(), text, "Salesforce refused a call");
        let mut state = self.state();
        if kind == LimitKind::Daily {
            let frees = state.frees(at);
            state.breaker = std::mem::take(&mut state.breaker).refused(at, text, frees);
            self.remember(state, true);
            return;
        }
        let before = state.crowd.now();
        state.crowd = state.crowd.complained(at);
        let fewer = before - state.crowd.now();
        if fewer > 0 {
            let bound = state.crowd.now();
            tracing::info!(
                bound,
                "Fewer requests at once, until the org has been calm for a while"
            );
            state.excess += fewer - self.0.slots.forget_permits(fewer);
        }
    }

    /// When a probe may next see whether calls are possible again; none while they are.
    pub fn look_again(&self) -> Option<Stamp> {
        match self.breaker() {
            Breaker::Open => None,
            Breaker::Closed { probe_at, .. } => Some(probe_at),
        }
    }

    /// Takes in that a probe was answered, with anything but a refusal for the day.
    pub fn probed(&self) {
        let mut state = self.state();
        state.breaker = std::mem::take(&mut state.breaker).answered();
        self.remember(state, true);
    }

    /// Takes in that a probe got no answer that says anything of the day; the next may be made after `again`.
    pub fn not_probed(&self, again: Duration) {
        let mut state = self.state();
        let now = self.0.clock.now();
        state.breaker = std::mem::take(&mut state.breaker).unanswered(now, again);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change leaves the state whole, so a panic elsewhere does not spoil it.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Folds the journal beside everything else, once at a time.
    fn fold_soon(&self) {
        if self.0.folding.swap(true, Ordering::AcqRel) {
            return;
        }
        let gate = self.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = gate.0.journal.fold() {
                tracing::warn!(error, "The journal of API calls cannot be folded");
            }
            gate.0.folding.store(false, Ordering::Release);
        });
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("day", &self.day()).field("usage", &self.usage()).finish()
    }
}

fn closed() -> Refused {
    let reason = "kilofold is stopping".to_owned();
    Refused { code: "quota.stopping", reason, until: None, look: false }
}

/// A place among the requests under way.
struct Slot {
    gate: Gate,
    slot: Option<OwnedSemaphorePermit>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        if state.excess > 0 {
            state.excess -= 1;
            if let Some(slot) = self.slot.take() {
                slot.forget();
            }
        }
        let before = state.crowd.now();
        state.crowd = state.crowd.answered(self.gate.0.clock.now());
        for _ in before..state.crowd.now() {
            if state.excess > 0 {
                state.excess -= 1;
            } else {
                self.gate.0.slots.add_permits(1);
            }
        }
    }
}

/// One call in ledger and journal.
struct Entered {
    gate: Gate,
    call: Call,
    /// Whether the journal has it.
    written: bool,
    sent: bool,
}

impl Entered {
    /// Writes the call to the journal. A caller that goes away meanwhile leaves no entry.
    async fn write(mut self) -> Result<Self, Refused> {
        let failed = |error: String| {
            let reason = format!("the call cannot be written to the journal of API calls: {error}");
            Refused { code: "quota.journal", reason, until: None, look: false }
        };
        loop {
            match self.gate.0.journal.begin(&self.call).map_err(failed)? {
                Room::Plenty => break,
                Room::Little => {
                    self.gate.fold_soon();
                    break;
                }
                Room::None => {
                    let gate = self.gate.clone();
                    let folded = tokio::task::spawn_blocking(move || gate.0.journal.fold()).await;
                    folded
                        .map_err(|error| error.to_string())
                        .and_then(|folded| folded)
                        .map_err(failed)?;
                }
            }
        }
        self.written = true;
        Ok(self)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.under_way = state.under_way.saturating_sub(u64::from(self.call.purpose.counted()));
        if !self.sent {
            state.ledger.void(&self.call);
            drop(state);
            if self.written {
                self.gate.0.journal.void(&self.call);
            }
        }
    }
}

/// The right to make one counted call. It cannot be copied; the request that it pays for consumes it.
#[must_use]
pub struct Permit {
    entered: Entered,
    _slot: Slot,
}

/// The right to make one request that Salesforce does not count.
#[must_use]
pub struct Free {
    entered: Entered,
}

/// What every request needs: a permit, or a free pass.
#[must_use]
pub enum Pass {
    /// For a counted call.
    Permit(Permit),
    /// For an uncounted request.
    Free(Free),
}

impl Pass {
    /// The call that it pays for.
    pub fn call(&self) -> &Call {
        match self {
            Self::Permit(permit) => &permit.entered.call,
            Self::Free(free) => &free.entered.call,
        }
    }

    /// Says that the request is about to leave: from here on it counts as spent, whatever happens.
    pub fn sending(&mut self) {
        self.entered().sent = true;
    }

    /// Says that the request did not leave after all, for example because no connection could be made.
    pub(crate) fn not_sent(&mut self) {
        self.entered().sent = false;
    }

    /// Takes in what the answer to its own request told of the org's day.
    pub(crate) fn observe(&self, used: u64, max: u64) {
        let (gate, own) = match self {
            Self::Permit(permit) => (&permit.entered.gate, true),
            Self::Free(free) => (&free.entered.gate, false),
        };
        gate.take_in(Usage { used, max, at: gate.0.clock.now() }, own);
    }

    fn entered(&mut self) -> &mut Entered {
        match self {
            Self::Permit(permit) => &mut permit.entered,
            Self::Free(free) => &mut free.entered,
        }
    }
}

impl From<Permit> for Pass {
    fn from(permit: Permit) -> Self {
        Self::Permit(permit)
    }
}

impl From<Free> for Pass {
    fn from(free: Free) -> Self {
        Self::Free(free)
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pass").field(self.call()).finish()
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&self.entered.call).finish()
    }
}

impl fmt::Debug for Free {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Free").field(&self.entered.call).finish()
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;

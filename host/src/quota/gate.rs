//! The one place where permits come from.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Ask, Breaker, Decision, Error, Ledger, LimitKind, Rules, Spent, SpentBy, decide};
use crate::clock::Clock;
use crate::model::{Call, Caller, Purpose, RunId, Stamp, Usage};

/// How far Salesforce's own count lags behind at most: `/limits` promises five minutes.
const LAG: Duration = Duration::from_secs(5 * 60);

/// Keeps every call on disk, so that a restart does not forget what was spent. All functions may block.
pub trait Journal: Send + Sync {
    /// Writes a call that is about to be made; durable when it returns. Gives the entry's number.
    fn begin(&self, call: &Call) -> Result<u64, String>;
    /// Takes an entry back whose request was never sent; need not be durable at once.
    fn void(&self, entry: u64);
    /// The calls at or after `at`, with their entries' numbers.
    fn since(&self, at: Stamp) -> Result<Vec<(u64, Call)>, String>;
}

/// Why no permit was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// A stable code: `limit.daily`, `limit.allowance`, `limit.reserve`, `limit.run`, `quota.journal`.
    pub code: &'static str,
    /// Why, for a person.
    pub reason: String,
    /// When asking again makes sense, when that is known.
    pub until: Option<Stamp>,
    /// Whether a [`Purpose::Probe`] would be granted now, to see whether this still holds.
    pub look: bool,
}

/// Grants calls within the rules. Clones share one ledger.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    journal: Arc<dyn Journal>,
    clock: Clock,
    slots: Arc<Semaphore>,
    state: Mutex<State>,
}

struct State {
    rules: Rules,
    ledger: Ledger,
    breaker: Breaker,
    /// Readings of the last minutes, the one that tells of the most use first.
    marks: VecDeque<Mark>,
    last: Option<Usage>,
    under_way: u64,
}

/// A reading, and how many of our calls it can have seen.
#[derive(Clone, Copy)]
struct Mark {
    usage: Usage,
    seen: u64,
}

impl Mark {
    fn score(&self) -> i128 {
        i128::from(self.usage.used) - i128::from(self.seen)
    }
}

impl Gate {
    /// Opens a gate with the calls that the journal knows of the last 24 hours.
    pub fn new(rules: Rules, journal: Arc<dyn Journal>) -> Result<Self, Error> {
        Self::with_clock(rules, journal, Clock::default())
    }

    /// The same, with a clock of one's own.
    pub fn with_clock(
        rules: Rules,
        journal: Arc<dyn Journal>,
        clock: Clock,
    ) -> Result<Self, Error> {
        let day = Duration::from_secs(24 * 60 * 60);
        let mut ledger = Ledger::default();
        for (_, call) in journal.since(clock.now().minus(day)).map_err(Error::Journal)? {
            ledger.enter(&call);
        }
        let slots = Arc::new(Semaphore::new(rules.concurrent.clamp(1, Semaphore::MAX_PERMITS)));
        let state = State {
            rules,
            ledger,
            breaker: Breaker::Open,
            marks: VecDeque::new(),
            last: None,
            under_way: 0,
        };
        let state = Mutex::new(state);
        Ok(Self(Arc::new(Inner { journal, clock, slots, state })))
    }

    /// Asks for one call, waiting while too many are under way. The call is in the ledger and durably in the journal
    /// when this returns; a permit that is dropped before its request was sent takes it out again.
    pub async fn permit(&self, caller: &Caller, purpose: Purpose) -> Result<Permit, Refused> {
        let slot = self.0.slots.clone().acquire_owned().await.map_err(|_| closed())?;
        let call = Call { at: self.0.clock.now(), caller: caller.clone(), purpose };
        self.state().admit(&call)?;
        let entered = Entered { gate: self.clone(), call, entry: None, sent: false };
        Ok(Permit { entered: journal(entered).await?, _slot: slot })
    }

    /// Asks for one request that Salesforce does not count; it is entered and journalled like the others.
    pub async fn free(&self, caller: &Caller, purpose: Purpose) -> Result<Free, Refused> {
        if purpose.counted() {
            let reason = format!("a {} request counts and needs a permit", purpose.as_str());
            return Err(Refused { code: "quota.not-free", reason, until: None, look: false });
        }
        let call = Call { at: self.0.clock.now(), caller: caller.clone(), purpose };
        self.state().enter(&call);
        let entered = Entered { gate: self.clone(), call, entry: None, sent: false };
        Ok(Free { entered: journal(entered).await? })
    }

    /// The gate's clock.
    pub fn now(&self) -> Stamp {
        self.0.clock.now()
    }

    /// Takes in what Salesforce told of the org's day.
    pub fn observe(&self, usage: Usage) {
        self.state().observe(usage);
    }

    /// The last reading.
    pub fn usage(&self) -> Option<Usage> {
        self.state().last
    }

    /// The org's use as far as it can be known now: the readings, which lag, and our own calls since.
    pub fn estimate(&self) -> Option<Usage> {
        let mut state = self.state();
        let now = self.0.clock.now();
        let unseen = state.spent(now, None).unseen;
        state.reading(now).map(|reading| Usage { used: reading.used + unseen, ..reading })
    }

    /// Our own calls since `since`, at most 24 hours back, by connection, sync and purpose.
    pub fn spent(&self, since: Stamp) -> Vec<SpentBy> {
        let mut state = self.state();
        state.ledger.expire(self.0.clock.now());
        state.ledger.spent(since)
    }

    /// Our own counted calls of the last 24 hours.
    pub fn day(&self) -> u64 {
        let mut state = self.state();
        state.ledger.expire(self.0.clock.now());
        state.ledger.day()
    }

    /// Counted calls of a run that made one in the last 24 hours.
    pub fn run_calls(&self, run: RunId) -> u64 {
        self.state().ledger.run(run)
    }

    /// The latest calls, newest last, at most 256.
    pub fn latest(&self) -> Vec<Call> {
        self.state().ledger.latest().cloned().collect()
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

    /// Takes in that Salesforce refused a call because of a limit, in these words.
    pub fn limit_hit(&self, kind: LimitKind, text: &str, at: Stamp) {
        tracing::warn!(limit = kind.code(), text, "Salesforce refused a call");
        if kind == LimitKind::Daily {
            let mut state = self.state();
            state.breaker = std::mem::take(&mut state.breaker).refused(at, text);
        }
    }

    /// When a probe may next see whether calls are possible again; none while they are.
    pub fn look_again(&self) -> Option<Stamp> {
        match self.breaker() {
            Breaker::Open => None,
            Breaker::Closed { probe_at, .. } => Some(probe_at),
        }
    }

    /// Takes in whether a probe was answered (with anything but a refusal for the day).
    pub fn probed(&self, answered: bool) {
        let mut state = self.state();
        let breaker = std::mem::take(&mut state.breaker);
        state.breaker =
            if answered { breaker.answered() } else { breaker.unanswered(self.0.clock.now()) };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change leaves the state whole, so a panic elsewhere does not spoil it.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Writes the call to the journal. It moves to the thread that writes, so a caller that goes away leaves no entry.
async fn journal(mut entered: Entered) -> Result<Entered, Refused> {
    let write = move || {
        let entry = entered.gate.0.journal.begin(&entered.call)?;
        entered.entry = Some(entry);
        Ok(entered)
    };
    let written = tokio::task::spawn_blocking(write).await.map_err(|error| error.to_string());
    written.and_then(|written| written).map_err(|error| {
        let reason = format!("the call cannot be written to the journal of API calls: {error}");
        Refused { code: "quota.journal", reason, until: None, look: false }
    })
}

impl State {
    fn admit(&mut self, call: &Call) -> Result<(), Refused> {
        let now = call.at;
        if call.purpose.counted() && !self.breaker.is_open() {
            let due = self.breaker.probe_due(now);
            if call.purpose != Purpose::Probe || !due {
                return Err(self.refused_for_the_day(due));
            }
            self.breaker = std::mem::take(&mut self.breaker).probing(now);
            self.enter(call);
            return Ok(());
        }
        let ours = self.spent(now, call.caller.run);
        let reading = self.reading(now);
        match decide(now, &self.rules, reading.as_ref(), &ours, &Ask { purpose: call.purpose }) {
            Decision::Grant => {
                self.enter(call);
                Ok(())
            }
            Decision::Wait { until, code, reason, look } => {
                Err(Refused { code, reason, until, look })
            }
        }
    }

    fn refused_for_the_day(&self, look: bool) -> Refused {
        let (text, until) = match &self.breaker {
            Breaker::Open => (String::new(), None),
            Breaker::Closed { text, probe_at, .. } => (text.clone(), Some(*probe_at)),
        };
        let reason = format!("Salesforce refuses API calls for now: {text}");
        Refused { code: "limit.daily", reason, until, look }
    }

    fn enter(&mut self, call: &Call) {
        self.ledger.enter(call);
        self.under_way += u64::from(call.purpose.counted());
    }

    fn spent(&mut self, now: Stamp, run: Option<RunId>) -> Spent {
        self.ledger.expire(now);
        self.trim(now);
        let seen = self.marks.front().map_or(0, |mark| mark.seen);
        Spent {
            day: self.ledger.day(),
            run: run.map_or(0, |run| self.ledger.run(run)),
            unseen: self.ledger.total().saturating_sub(seen),
            frees_at: self.ledger.frees_at(),
        }
    }

    fn reading(&mut self, now: Stamp) -> Option<Usage> {
        self.trim(now);
        let front = self.marks.front()?;
        let last = self.last?;
        Some(Usage { used: front.usage.used, max: last.max, at: last.at })
    }

    /// Forgets readings so old that Salesforce's count has caught up since, but never the last one.
    fn trim(&mut self, now: Stamp) {
        while self.marks.len() > 1
            && self.marks.front().is_some_and(|mark| now.since(mark.usage.at) > LAG)
        {
            self.marks.pop_front();
        }
    }

    /// Salesforce's count lags, so a lower bound of the true use is the highest of `reading + our calls since it`
    /// over the last minutes; only the readings that can still become the highest are kept.
    fn observe(&mut self, usage: Usage) {
        // Other calls under way may or may not be in it; the one that brought it is.
        let unsure = self.under_way.saturating_sub(1);
        let mark = Mark { usage, seen: self.ledger.total().saturating_sub(unsure) };
        while self.marks.back().is_some_and(|back| back.score() <= mark.score()) {
            self.marks.pop_back();
        }
        self.marks.push_back(mark);
        self.last = Some(usage);
        self.trim(usage.at);
    }
}

/// One call in ledger and journal.
struct Entered {
    gate: Gate,
    call: Call,
    entry: Option<u64>,
    sent: bool,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.under_way = state.under_way.saturating_sub(u64::from(self.call.purpose.counted()));
        if !self.sent {
            state.ledger.void(&self.call);
            drop(state);
            if let Some(entry) = self.entry {
                self.gate.0.journal.void(entry);
            }
        }
    }
}

/// The right to make one counted call. It cannot be copied; the request that it pays for consumes it.
#[must_use]
pub struct Permit {
    entered: Entered,
    _slot: OwnedSemaphorePermit,
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
    pub(crate) fn sending(&mut self) {
        self.entered().sent = true;
    }

    /// Says that the request did not leave after all, for example because no connection could be made.
    pub(crate) fn not_sent(&mut self) {
        self.entered().sent = false;
    }

    /// Takes in what the answer to its own request told of the org's day.
    pub(crate) fn observe(&self, used: u64, max: u64) {
        let gate = match self {
            Self::Permit(permit) => &permit.entered.gate,
            Self::Free(free) => &free.entered.gate,
        };
        gate.observe(Usage { used, max, at: gate.0.clock.now() });
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

//! The account of our own calls of the last 24 hours.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::model::{Call, ConnectionName, Purpose, RunId, Stamp, SyncName};

/// Minutes of a day.
const DAY: i64 = 24 * 60;

/// How many of the latest calls are kept one by one.
const LATEST: usize = 256;

/// Calls of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpentBy {
    /// The connection that authorised them.
    pub connection: ConnectionName,
    /// The sync that asked, when one did.
    pub sync: Option<SyncName>,
    /// What they were for.
    pub purpose: Purpose,
    /// How many.
    pub calls: u64,
}

type Key = (ConnectionName, Option<SyncName>, Purpose);

/// Our own calls by minute, connection, sync and purpose. A minute counts until the whole of it is 24 hours ago.
#[derive(Debug, Default)]
pub struct Ledger {
    minutes: BTreeMap<i64, HashMap<Key, u64>>,
    runs: HashMap<RunId, (i64, u64)>,
    latest: VecDeque<Call>,
    day: u64,
    total: u64,
}

fn minute(at: Stamp) -> i64 {
    at.0.div_euclid(60_000)
}

impl Ledger {
    /// Enters a call.
    pub fn enter(&mut self, call: &Call) {
        let minute = minute(call.at);
        let key = (call.caller.connection.clone(), call.caller.sync.clone(), call.purpose);
        *self.minutes.entry(minute).or_default().entry(key).or_default() += 1;
        if call.purpose.counted() {
            self.day += 1;
            self.total += 1;
            if let Some(run) = call.caller.run {
                let of_run = self.runs.entry(run).or_default();
                *of_run = (of_run.0.max(minute), of_run.1 + 1);
            }
        }
        if self.latest.len() == LATEST {
            self.latest.pop_front();
        }
        self.latest.push_back(call.clone());
    }

    /// Takes a call out again that was never sent.
    pub fn void(&mut self, call: &Call) {
        let key = (call.caller.connection.clone(), call.caller.sync.clone(), call.purpose);
        let Some(count) = self.minutes.get_mut(&minute(call.at)).and_then(|m| m.get_mut(&key))
        else {
            return;
        };
        if *count == 0 {
            return;
        }
        *count -= 1;
        if call.purpose.counted() {
            self.day = self.day.saturating_sub(1);
            self.total = self.total.saturating_sub(1);
            if let Some(of_run) = call.caller.run.and_then(|run| self.runs.get_mut(&run)) {
                of_run.1 = of_run.1.saturating_sub(1);
            }
        }
        if let Some(at) = self.latest.iter().rposition(|other| other == call) {
            self.latest.remove(at);
        }
    }

    /// Forgets what is more than 24 hours ago.
    pub fn expire(&mut self, now: Stamp) {
        let first = minute(now) - DAY;
        let kept = self.minutes.split_off(&first);
        let gone = std::mem::replace(&mut self.minutes, kept);
        let calls: u64 =
            gone.values().flatten().filter(|(key, _)| key.2.counted()).map(|(_, n)| n).sum();
        self.day = self.day.saturating_sub(calls);
        if !gone.is_empty() {
            self.runs.retain(|_, (last, _)| *last >= first);
        }
    }

    /// Counted calls of the last 24 hours; call [`Ledger::expire`] before.
    pub fn day(&self) -> u64 {
        self.day
    }

    /// Counted calls since the ledger was made, those of the journal included.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Counted calls of a run that made one in the last 24 hours.
    pub fn run(&self, run: RunId) -> u64 {
        self.runs.get(&run).map_or(0, |(_, calls)| *calls)
    }

    /// When the oldest counted call stops counting.
    pub fn frees_at(&self) -> Option<Stamp> {
        let counted =
            |calls: &HashMap<Key, u64>| calls.iter().any(|(key, n)| key.2.counted() && *n > 0);
        self.minutes
            .iter()
            .find(|(_, calls)| counted(calls))
            .map(|(minute, _)| Stamp((minute + DAY + 1) * 60_000))
    }

    /// All calls since `since` (in whole minutes) by connection, sync and purpose, the uncounted ones included.
    pub fn spent(&self, since: Stamp) -> Vec<SpentBy> {
        let mut sums: BTreeMap<Key, u64> = BTreeMap::new();
        for (key, calls) in self.minutes.range(minute(since)..).flat_map(|(_, calls)| calls) {
            *sums.entry(key.clone()).or_default() += calls;
        }
        sums.into_iter()
            .filter(|(_, calls)| *calls > 0)
            .map(|((connection, sync, purpose), calls)| SpentBy {
                connection,
                sync,
                purpose,
                calls,
            })
            .collect()
    }

    /// The latest calls, newest last, at most 256.
    pub fn latest(&self) -> impl Iterator<Item = &Call> {
        self.latest.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::model::Caller;

    fn call(at: Stamp, run: u64, purpose: Purpose) -> Call {
        let connection = ConnectionName::new("main").unwrap();
        let sync = Some(SyncName::new("Contact").unwrap());
        Call { at, caller: Caller { connection, sync, run: Some(RunId(run)) }, purpose }
    }

    proptest! {
        /// Beside a plain list of calls: never fewer than the last 24 hours hold, at most a minute's worth more.
        #[test]
        fn counts_the_last_day(steps in prop::collection::vec((0..7200u64, any::<bool>(), 0..4u8), 1..120)) {
            let mut ledger = Ledger::default();
            let mut plain: Vec<Call> = Vec::new();
            let mut now = Stamp(0);
            for (seconds, counted, voided) in steps {
                now = now.plus(Duration::from_secs(seconds));
                let call = call(now, 1, if counted { Purpose::Query } else { Purpose::Token });
                ledger.enter(&call);
                if voided == 0 { ledger.void(&call) } else { plain.push(call) }
                ledger.expire(now);
                let count = |hours: Duration| {
                    let inside = |c: &&Call| c.purpose.counted() && now.since(c.at) < hours;
                    plain.iter().filter(inside).count() as u64
                };
                let day = Duration::from_secs(24 * 3600);
                prop_assert!(ledger.day() >= count(day));
                prop_assert!(ledger.day() <= count(day + Duration::from_secs(61)));
                prop_assert_eq!(ledger.frees_at().is_some(), ledger.day() > 0);
                let counted: u64 = ledger.spent(Stamp(0)).iter().filter(|s| s.purpose.counted()).map(|s| s.calls).sum();
                prop_assert_eq!(counted, ledger.day());
            }
        }
    }

    #[test]
    fn a_run_keeps_its_count() {
        let mut ledger = Ledger::default();
        for run in [1, 2, 2] {
            ledger.enter(&call(Stamp(60_000), run, Purpose::QueryMore));
        }
        ledger.enter(&call(Stamp(60_000), 2, Purpose::Token));
        assert_eq!((ledger.run(RunId(1)), ledger.run(RunId(2)), ledger.run(RunId(3))), (1, 2, 0));
        assert_eq!(ledger.latest().count(), 4);
        ledger.expire(Stamp(60_000).plus(Duration::from_secs(24 * 3600 + 61)));
        assert_eq!((ledger.day(), ledger.run(RunId(2)), ledger.total()), (0, 0, 3));
    }
}

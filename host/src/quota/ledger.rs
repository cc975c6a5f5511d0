//! The account of our own calls of the last 24 hours.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use crate::model::{Call, ConnectionName, Purpose, RunId, Stamp, SyncName};

/// How long Salesforce counts a call.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A request can reach the org as long after its permit as this (connecting and waiting for an answer both have their
/// time), so for as long after 24 hours it may still count there.
pub const UNDER_WAY: Duration = Duration::from_secs(3 * 60);

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
    /// How many they made unnecessary.
    pub saved: u64,
}

/// A counted call that will stop counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// When.
    pub at: Stamp,
    /// The number of the sync whose claim it meets, see [`Ledger::number`] and [`Ledger::regular`]; none: no sync's.
    pub sync: Option<usize>,
    /// Whether a first pass made it.
    pub backfill: bool,
}

/// Names, each known by its place.
#[derive(Debug)]
struct Table<T>(Vec<T>, HashMap<T, u16>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Vec::new(), HashMap::new())
    }
}

impl<T: Clone + Eq + std::hash::Hash> Table<T> {
    fn give(&mut self, name: &T) -> u16 {
        if let Some(number) = self.1.get(name) {
            return *number;
        }
        // More names than that cannot be configured; should they ever be, the last ones share a place.
        let number = u16::try_from(self.0.len()).unwrap_or(u16::MAX).min(u16::MAX - 1);
        self.0.push(name.clone());
        self.1.insert(name.clone(), number);
        number
    }
}

/// Stands for no sync.
const NONE: u16 = u16::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    at: Stamp,
    run: Option<RunId>,
    connection: u16,
    sync: u16,
    saved: u16,
    purpose: Purpose,
    backfill: bool,
}

impl Entry {
    /// Whether it only asked what is left: that is for all, whichever sync's run asked.
    fn looks(&self) -> bool {
        matches!(self.purpose, Purpose::Limits | Purpose::Probe)
    }

    /// The sync whose regular work it was.
    fn worked_for(&self) -> Option<usize> {
        (self.sync != NONE && !self.backfill && !self.looks()).then_some(self.sync.into())
    }
}

/// Our own calls of the last day, one by one, and sums that cost nothing to ask for. A call counts against the rules for
/// [`DAY`] and [`UNDER_WAY`]: as long as it can count in the org.
#[derive(Debug, Default)]
pub struct Ledger {
    connections: Table<ConnectionName>,
    syncs: Table<SyncName>,
    /// By time.
    calls: VecDeque<Entry>,
    runs: HashMap<RunId, (Stamp, u64)>,
    /// Regular calls by sync.
    regular: Vec<u64>,
    day: u64,
    backfill: u64,
    total: u64,
    looked: Option<Stamp>,
}

impl Ledger {
    /// Enters a call.
    pub fn enter(&mut self, call: &Call) {
        let entry = self.entry(call);
        // A clock that was set back: what was entered before was made before.
        for earlier in self.calls.iter_mut().rev().take_while(|earlier| earlier.at > call.at) {
            earlier.at = call.at;
        }
        if entry.purpose.counted() {
            self.day += 1;
            self.total += 1;
            self.count(entry, true);
            if let Some(run) = entry.run {
                let of_run = self.runs.entry(run).or_insert((entry.at, 0));
                *of_run = (entry.at, of_run.1 + 1);
            }
        }
        if entry.looks() {
            self.looked = Some(entry.at);
        }
        self.calls.push_back(entry);
    }

    /// Notes that a call made others unnecessary.
    pub fn saved(&mut self, call: &Call, saved: u16) {
        let entry = self.entry(call);
        let same = |other: &&mut Entry| Entry { at: entry.at, ..**other } == entry;
        if let Some(entry) = self.calls.iter_mut().rev().find(same) {
            entry.saved = saved;
        }
    }

    /// Takes a call out again that was never sent.
    pub fn void(&mut self, call: &Call) {
        let entry = self.entry(call);
        let same = |other: &Entry| Entry { at: entry.at, ..*other } == entry;
        let Some(at) = self.calls.iter().rposition(same) else { return };
        let Some(entry) = self.calls.remove(at) else { return };
        if entry.purpose.counted() {
            self.day = self.day.saturating_sub(1);
            self.total = self.total.saturating_sub(1);
            self.count(entry, false);
            if let Some(of_run) = entry.run.and_then(|run| self.runs.get_mut(&run)) {
                of_run.1 = of_run.1.saturating_sub(1);
            }
        }
    }

    fn entry(&mut self, call: &Call) -> Entry {
        let Call { at, purpose, backfill, saved, .. } = *call;
        let connection = self.connections.give(&call.caller.connection);
        let sync = call.caller.sync.as_ref().map_or(NONE, |sync| self.syncs.give(sync));
        Entry { at, run: call.caller.run, connection, sync, saved, purpose, backfill }
    }

    fn count(&mut self, entry: Entry, more: bool) {
        let step = |sum: &mut u64| *sum = if more { *sum + 1 } else { sum.saturating_sub(1) };
        if entry.backfill {
            step(&mut self.backfill);
        } else if let Some(place) = entry.worked_for() {
            if self.regular.len() <= place {
                self.regular.resize(place + 1, 0);
            }
            step(&mut self.regular[place]);
        }
    }

    /// Forgets what can no longer count.
    pub fn expire(&mut self, now: Stamp) {
        let before = now.minus(DAY + UNDER_WAY);
        let mut gone = false;
        while let Some(entry) = self.calls.front().copied().filter(|entry| entry.at <= before) {
            self.calls.pop_front();
            if entry.purpose.counted() {
                self.day = self.day.saturating_sub(1);
                self.count(entry, false);
            }
            gone = true;
        }
        if gone {
            self.runs.retain(|_, (last, _)| *last > before);
        }
    }

    /// Counted calls that may still count in the org; call [`Ledger::expire`] before.
    pub fn binding(&self) -> u64 {
        self.day
    }

    /// Those of them that first passes made.
    pub fn backfill(&self) -> u64 {
        self.backfill
    }

    /// Those of them that a sync made outside of first passes, by its number, but for looks at what is left.
    pub fn regular(&self, sync: usize) -> u64 {
        self.regular.get(sync).copied().unwrap_or(0)
    }

    /// The number of a sync in this ledger.
    pub fn number(&mut self, sync: &SyncName) -> usize {
        usize::from(self.syncs.give(sync))
    }

    /// Counted calls of exactly the last 24 hours.
    pub fn day(&self, now: Stamp) -> u64 {
        let early = self.calls.iter().take_while(|entry| now.since(entry.at) >= DAY);
        self.day - early.filter(|entry| entry.purpose.counted()).count() as u64
    }

    /// Counted calls since the ledger was made, those of the journal included.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Counted calls of a run that made one in the last 24 hours.
    pub fn run(&self, run: RunId) -> u64 {
        self.runs.get(&run).map_or(0, |(_, calls)| *calls)
    }

    /// When the limits were last asked for on purpose.
    pub fn looked(&self) -> Option<Stamp> {
        self.looked
    }

    /// When the counted calls stop counting, in order.
    pub fn releases(&self) -> impl Iterator<Item = Release> {
        let counted = self.calls.iter().filter(|entry| entry.purpose.counted());
        counted.map(|entry| Release {
            at: entry.at.plus(DAY + UNDER_WAY),
            sync: entry.worked_for(),
            backfill: entry.backfill,
        })
    }

    /// All calls at or after `since` by connection, sync and purpose, the uncounted ones included.
    pub fn spent(&self, since: Stamp) -> Vec<SpentBy> {
        let mut sums: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        for entry in self.calls.iter().rev().take_while(|entry| entry.at >= since) {
            let sum = sums.entry((entry.connection, entry.sync, entry.purpose)).or_default();
            *sum = (sum.0 + 1, sum.1 + u64::from(entry.saved));
        }
        let mut found = Vec::with_capacity(sums.len());
        for ((connection, sync, purpose), (calls, saved)) in sums {
            let Some(connection) = self.connections.0.get(usize::from(connection)) else {
                continue;
            };
            let sync = self.syncs.0.get(usize::from(sync)).cloned();
            found.push(SpentBy { connection: connection.clone(), sync, purpose, calls, saved });
        }
        found.sort_by(|a, b| {
            (&a.connection, &a.sync, a.purpose).cmp(&(&b.connection, &b.sync, b.purpose))
        });
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Caller;

    fn call(at: Stamp, run: u64, purpose: Purpose) -> Call {
        let connection = ConnectionName::new("main").unwrap();
        let sync = Some(SyncName::new(&format!("s{}", run % 3)).unwrap());
        let caller = Caller { connection, sync, run: Some(RunId(run)), page: None };
        Call { at, caller, purpose, backfill: run.is_multiple_of(2), saved: 0 }
    }

    proptest! {
        /// Beside a plain list of calls, over days, with calls taken back and a clock that is set back.
        #[test]
        fn counts_the_last_day(
            steps in prop::collection::vec((-3_000..9_000i64, any::<bool>(), 0..4u8, 0..6u64), 1..120),
        ) {
            let mut ledger = Ledger::default();
            let mut plain: Vec<Call> = Vec::new();
            let mut now = Stamp(0);
            for (seconds, counted, voided, run) in steps {
                now = Stamp(now.0 + seconds * 1000 + seconds % 7);
                for earlier in plain.iter_mut() {
                    earlier.at = earlier.at.min(now);
                }
                let call = call(now, run, if counted { Purpose::Query } else { Purpose::Token });
                ledger.enter(&call);
                if voided == 0 { ledger.void(&call) } else { plain.push(call) }
                ledger.expire(now);
                // What is over stays over, even when the clock is set back.
                plain.retain(|call| now.since(call.at) < DAY + UNDER_WAY);
                let within = |span: Duration| {
                    let inside = move |c: &&Call| c.purpose.counted() && now.since(c.at) < span;
                    plain.iter().filter(inside)
                };
                prop_assert_eq!(ledger.day(now), within(DAY).count() as u64);
                prop_assert_eq!(ledger.binding(), within(DAY + UNDER_WAY).count() as u64);
                let backfill = within(DAY + UNDER_WAY).filter(|call| call.backfill).count();
                prop_assert_eq!(ledger.backfill(), backfill as u64);
                for sync in ["s0", "s1", "s2"] {
                    let name = SyncName::new(sync).unwrap();
                    let of = |c: &&Call| !c.backfill && c.caller.sync.as_ref() == Some(&name);
                    let number = ledger.number(&name);
                    prop_assert_eq!(ledger.regular(number), within(DAY + UNDER_WAY).filter(of).count() as u64);
                }
                let releases: Vec<Stamp> = ledger.releases().map(|release| release.at).collect();
                prop_assert_eq!(releases.len() as u64, ledger.binding());
                prop_assert!(releases.is_sorted() && releases.iter().all(|at| *at > now));
                let spent: u64 = ledger.spent(now.minus(DAY)).iter().filter(|s| s.purpose.counted()).map(|s| s.calls).sum();
                let since = plain.iter().filter(|c| c.purpose.counted() && c.at >= now.minus(DAY)).count();
                prop_assert_eq!(spent, since as u64);
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
        let number = ledger.number(&SyncName::new("s1").unwrap());
        assert_eq!(ledger.regular(number), 1);
        let look = call(Stamp(60_000), 1, Purpose::Probe);
        ledger.enter(&look);
        assert_eq!((ledger.regular(number), ledger.binding()), (1, 4), "a look is nobody's work");
        ledger.void(&look);
        assert_eq!((ledger.regular(number), ledger.binding()), (1, 3));
        let later = Stamp(60_000).plus(DAY);
        assert_eq!((ledger.day(later), ledger.binding()), (0, 3));
        ledger.expire(later.plus(UNDER_WAY));
        assert_eq!((ledger.binding(), ledger.run(RunId(2)), ledger.total()), (0, 0, 3));
    }
}

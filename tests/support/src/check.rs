//! Comparisons: the store with the org, the feed with the outputs, the ledger with the org's log.

use std::collections::{BTreeMap, HashMap, HashSet};

use kilofold::model::{Call, Counts, Cursor, Purpose, RecordId, Run, RunId, Stamp};
use kilofold::store::{FeedEntry, Op, RecordView, RunFilter, State, Store};
use org_sim::{RequestClass, RequestNote};
use serde_json::value::RawValue;

use crate::env::{TestEnv, name};

/// Outputs by (sync, kind, key): their bodies.
pub type Replay = BTreeMap<(String, String, String), String>;

/// A record by id: stamp, deleted, state, raw, outputs as (kind, key, body).
pub type Held = (RecordId, Stamp, bool, State, Option<String>, Vec<(String, String, String)>);

/// What a store holds of one sync, without what differs from run to run: numbers of runs and times of commits.
#[derive(Debug, PartialEq)]
pub struct Dump {
    /// In the order of their ids.
    pub records: Vec<Held>,
    /// By number: operation, kind, key, record, body.
    pub feed: Vec<(u64, Op, String, String, RecordId, Option<String>)>,
    /// Of all runs together.
    pub counts: Counts,
    /// Failures of all runs, in order: record, code, message, raw.
    pub failures: Vec<(RecordId, String, String, Option<String>)>,
    /// Records, outputs, failed, skipped, deleted.
    pub stored: [u64; 5],
    /// Where the sync stands.
    pub cursor: Cursor,
}

/// The longest answer that is asked of the store at once.
const MANY: usize = 1000;

impl TestEnv {
    /// The open store.
    pub fn store(&self) -> &Store {
        &self.app().store
    }

    /// All stored records of a sync.
    pub fn records(&self, sync: &str) -> Vec<RecordView> {
        let (sync, mut all) = (name(sync), Vec::<RecordView>::new());
        loop {
            let after = all.last().map(|record| record.id);
            let more = self.store().records(&sync, after, MANY).unwrap();
            if more.is_empty() {
                return all;
            }
            all.extend(more);
        }
    }

    /// The whole feed; its numbers have no gaps.
    pub fn feed(&self) -> Vec<FeedEntry> {
        let mut all: Vec<FeedEntry> = Vec::new();
        loop {
            let after = all.last().map_or(0, |entry| entry.seq);
            let more = self.store().feed(after, MANY).unwrap();
            if more.is_empty() {
                break;
            }
            all.extend(more);
        }
        assert!(all.iter().zip(1..).all(|(entry, seq)| entry.seq == seq), "the feed has gaps");
        assert_eq!(self.store().feed_end().unwrap(), all.len() as u64);
        all
    }

    /// All runs of a sync, oldest first.
    pub fn runs(&self, sync: &str) -> Vec<Run> {
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let filter =
                RunFilter { sync: Some(name(sync)), before, limit: MANY, ..RunFilter::default() };
            let more = self.store().runs(&filter).unwrap();
            let Some(last) = more.last() else { break };
            before = Some(last.id);
            all.extend(more);
        }
        all.reverse();
        all
    }

    /// The newest run of a sync.
    pub fn last_run(&self, sync: &str) -> Run {
        self.runs(sync).pop().unwrap()
    }

    /// Failures of a run.
    pub fn failures(&self, run: RunId) -> Vec<kilofold::store::Failure> {
        let mut all: Vec<kilofold::store::Failure> = Vec::new();
        loop {
            let after = all.last().map(|failure| failure.n);
            let more = self.store().failures(run, after, MANY).unwrap();
            if more.is_empty() {
                return all;
            }
            all.extend(more);
        }
    }

    /// The store holds what the org holds: the same records, stamps and deletions, and of each the text that the org
    /// gives now.
    pub fn assert_mirrors_org(&self, syncs: &[&str]) {
        for sync in syncs {
            let stored = self.records(sync);
            self.assert_these_mirror(sync, &stored);
        }
    }

    /// The same for a part of what is stored, where the rest is known to be gone from the org.
    pub fn assert_these_mirror(&self, sync: &str, stored: &[RecordView]) {
        // One that got no call chose nothing to ask.
        let run = self.runs(sync).into_iter().rfind(|run| !run.soql.is_empty()).unwrap();
        let org = self.sim.org();
        let org = org.read().unwrap();
        let truth = org.truth(&run.object);
        let select = run.soql.split(" WHERE ").next().unwrap().split(" ORDER BY ").next().unwrap();
        let found = org.query(&format!("{select} ORDER BY Id"), true, self.sim.now()).unwrap();
        let page = org.page(&found, 0, usize::MAX, "62.0");
        let now: Vec<Box<RawValue>> = serde_json::from_slice(&page).unwrap();
        assert_eq!(now.len(), truth.rows.len());
        assert_eq!(stored.len(), truth.rows.len(), "{sync}: as many records as the org has");
        for ((record, (id, stamp, deleted)), raw) in stored.iter().zip(&truth.rows).zip(&now) {
            assert_eq!(record.id.as_str(), id, "{sync}");
            assert_eq!(record.deleted, *deleted, "{sync} {id}");
            let stamp = match &run.stamp_field {
                Some(_) => Stamp::parse(stamp).unwrap(),
                None => Stamp(0),
            };
            assert_eq!(record.stamp, stamp, "{sync} {id}");
            assert_eq!(record.raw.as_deref(), Some(raw.get()), "{sync} {id}");
            assert!(!record.deleted || record.outputs.is_empty(), "{sync} {id}: outputs retracted");
        }
        let counts = self.store().counts(&name(sync)).unwrap();
        assert_eq!(counts.records, stored.len() as u64);
        assert_eq!(counts.deleted, truth.deleted as u64);
    }

    /// All outputs, as the records have them.
    pub fn outputs(&self) -> Replay {
        let mut all = Replay::new();
        for sync in self.store().syncs() {
            for record in self.records(sync.as_str()) {
                for output in record.outputs {
                    let place = (sync.to_string(), output.kind.to_string(), output.key);
                    assert!(all.insert(place, output.body.into()).is_none(), "one owner a key");
                }
            }
        }
        all
    }

    /// What a consumer has who read the feed from its beginning.
    pub fn feed_replayed(&self) -> Replay {
        let mut all = Replay::new();
        let mut faded = HashMap::new();
        for entry in self.feed() {
            let place = (entry.sync.to_string(), entry.kind.to_string(), entry.key);
            faded.remove(&place);
            match (entry.op, entry.body) {
                (Op::Retract, _) => drop(all.remove(&place)),
                (Op::Upsert, Some(body)) => drop(all.insert(place, body)),
                (Op::Upsert, None) => drop(faded.insert(place, entry.seq)),
            }
        }
        assert!(faded.is_empty(), "bodies are gone that no later entry follows: {faded:?}");
        all
    }

    /// A consumer of the feed has exactly the outputs.
    pub fn assert_feed_holds(&self) {
        let (replayed, outputs) = (self.feed_replayed(), self.outputs());
        assert_eq!(replayed.len(), outputs.len());
        for (one, other) in replayed.iter().zip(&outputs) {
            assert_eq!(one, other);
        }
    }

    /// The ledger has the calls that the org saw, no more and no less.
    pub fn assert_ledger_agrees(&self) {
        self.assert_ledger_within(0);
    }

    /// The same after this many stops in the middle of a request, each of which may have entered calls that were
    /// never sent. It never has fewer.
    pub fn assert_ledger_within(&self, unsent: usize) {
        let calls: Vec<Call> = self.store().calls_since(Stamp(0)).unwrap();
        let entered =
            |purpose: Purpose| calls.iter().filter(|call| call.purpose == purpose).count();
        let pairs = [
            // A query that is too long for an address goes through the composite resource.
            (
                vec![Purpose::Query, Purpose::Count, Purpose::Census, Purpose::Poll],
                vec![RequestClass::Query, RequestClass::Composite],
            ),
            (vec![Purpose::QueryMore], vec![RequestClass::QueryMore]),
            (vec![Purpose::Describe], vec![RequestClass::Describe]),
            (vec![Purpose::Limits, Purpose::Probe], vec![RequestClass::Limits]),
            (vec![Purpose::Versions], vec![RequestClass::Versions]),
        ];
        let notes = self.sim.requests();
        let counted = notes.iter().filter(|note| note.counted).count();
        let ours = calls.iter().filter(|call| call.purpose.counted()).count();
        let mut sum = 0;
        for (purposes, classes) in pairs {
            let ledger: usize = purposes.into_iter().map(entered).sum();
            let seen = notes.iter().filter(|note| classes.contains(&note.class)).count();
            assert!(
                (seen..=seen + unsent).contains(&ledger),
                "{classes:?}: {ledger} entered, {seen} seen"
            );
            sum += ledger;
        }
        assert_eq!(sum - entered(Purpose::Versions), ours, "every counted purpose was compared");
        assert!(ours >= counted, "{ours} entered, {counted} counted by the org");
    }

    /// The same over any number of days: hour by hour and purpose by purpose, for the calls of more than a day ago are known by
    /// the hour only. Every call that was spent is one that the org counted, or refused because its day was spent. Gives how
    /// many were spent.
    pub fn assert_ledger_agrees_by_hour(&self) -> u64 {
        const HOUR: i64 = 60 * 60 * 1_000;
        // A query that is too long for an address goes through the composite resource.
        let class = |purpose: Purpose| match purpose {
            Purpose::Query | Purpose::Count | Purpose::Census | Purpose::Poll => "query",
            Purpose::QueryMore => "query-more",
            Purpose::Describe => "describe",
            Purpose::Limits | Purpose::Probe => "limits",
            Purpose::Versions => "versions",
            Purpose::Token => "token",
        };
        let (mut ledger, mut spent) = (BTreeMap::<(i64, &str), u64>::new(), 0);
        for sum in self.store().hours_of_calls(Stamp(0)).unwrap() {
            // Of what the org does with tokens it asks for more than the grants.
            if sum.purpose != Purpose::Token {
                *ledger.entry((sum.hour.0 / HOUR, class(sum.purpose))).or_default() += sum.calls;
            }
            spent += if sum.purpose.counted() { sum.calls } else { 0 };
        }
        let (mut org, mut counted) = (BTreeMap::<(i64, &str), u64>::new(), 0);
        for note in self.sim.requests() {
            let class = match note.class {
                RequestClass::Query | RequestClass::Composite => "query",
                RequestClass::QueryMore => "query-more",
                RequestClass::Describe => "describe",
                RequestClass::Limits => "limits",
                RequestClass::Versions => "versions",
                _ => {
                    assert!(!note.counted, "{note:?}");
                    continue;
                }
            };
            *org.entry((note.at.as_millisecond() / HOUR, class)).or_default() += 1;
            if note.class != RequestClass::Versions {
                // An org whose day is spent counts nothing more, not even for a session that has ended.
                let refused = matches!(note.status, 401 | 403);
                assert!(note.counted || refused, "neither counted nor refused: {note:?}");
                counted += 1;
            }
        }
        assert_eq!(ledger, org);
        assert_eq!(spent, counted, "what is spent is what the org counted or refused");
        spent
    }

    /// No page was fetched a second time that had been committed: every query that was made begins behind what was
    /// committed when its run began, and within a run no offset comes twice. For the first window of the only sync of an
    /// object whose records do not change meanwhile.
    pub fn assert_no_committed_page_again(&self, sync: &str) {
        let runs = self.runs(sync);
        let ids = self.ids(&runs[0].object);
        let place: HashMap<&str, usize> =
            ids.iter().enumerate().map(|(i, id)| (id.as_str(), i + 1)).collect();
        let begins = |soql: &str| match soql.rsplit_once("Id > '") {
            Some((_, rest)) => place[&rest[..18]],
            None => 0,
        };
        let (mut committed, mut starts) = (0, HashMap::<usize, usize>::new());
        let mut later = HashSet::new();
        for run in &runs {
            if committed == ids.len() {
                later.insert(run.soql.as_str());
                continue;
            }
            let at = run.cursor_before.open.and_then(|window| window.at);
            let at = at.map_or(0, |at| place[at.id.as_str()]);
            assert_eq!(at, committed, "run {} stands at the last commit", run.id);
            // A run that was killed before its first commit shows no query.
            if !run.soql.is_empty() {
                assert_eq!(begins(&run.soql), committed, "run {} asks for what is left", run.id);
            }
            *starts.entry(committed).or_default() += 1;
            committed += usize::try_from(run.counts.fetched).unwrap();
        }
        assert_eq!(committed, ids.len(), "each record was committed once");
        let mut seen = HashMap::<(usize, usize), usize>::new();
        for note in self.pages_of(&runs[0].object) {
            let (query, offset) = (note.query.unwrap(), note.offset.unwrap());
            if later.contains(query.as_str()) {
                continue;
            }
            let start = begins(&query);
            let runs = starts.get(&start).copied();
            let runs = runs.unwrap_or_else(|| panic!("no run began at record {start}: {query}"));
            let times = seen.entry((start, offset)).or_default();
            *times += 1;
            assert!(*times <= runs, "a page came {times} times for {runs} runs: {query}");
        }
    }

    /// Requests for pages of an object that were answered with records.
    pub fn pages_of(&self, object: &str) -> Vec<RequestNote> {
        let page = |note: &RequestNote| {
            matches!(note.class, RequestClass::Query | RequestClass::QueryMore)
                && note.object.as_deref() == Some(object)
                && note.status == 200
        };
        self.sim.requests().into_iter().filter(page).collect()
    }

    /// What is stored of a sync that is alone in its store.
    pub fn dump(&self, sync: &str) -> Dump {
        let runs = self.runs(sync);
        let mut counts = Counts::default();
        runs.iter().for_each(|run| counts.add(&run.counts));
        let records = self.records(sync).into_iter().map(|record| {
            let outputs = record.outputs.into_iter();
            let outputs =
                outputs.map(|one| (one.kind.to_string(), one.key, one.body.into())).collect();
            (record.id, record.stamp, record.deleted, record.state, record.raw, outputs)
        });
        let feed = self.feed().into_iter().map(|entry| {
            (entry.seq, entry.op, entry.kind.to_string(), entry.key, entry.record, entry.body)
        });
        let failures = runs.iter().flat_map(|run| self.failures(run.id)).map(|failure| {
            let kept = failure.rejection;
            (failure.id, kept.code, kept.message, failure.raw)
        });
        let stored = self.store().counts(&name(sync)).unwrap();
        Dump {
            records: records.collect(),
            feed: feed.collect(),
            counts,
            failures: failures.collect(),
            stored: [stored.records, stored.outputs, stored.failed, stored.skipped, stored.deleted],
            cursor: self.store().cursor(&name(sync)).unwrap(),
        }
    }
}

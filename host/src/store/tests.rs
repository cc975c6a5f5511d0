//! The store against real sled in folders of its own.

mod arrivals;
mod crash;
mod damage;
mod formats;
mod history;
mod ledger;
mod lists;
mod mapping;
mod memory;
mod model_check;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::model::{
    Batch, ConnectionName, Counts, Cursor, Ending, Outcome, Output, PageNote, Pause, PauseCause,
    Record, RecordId, Rejection, Span, Stamp, Text, Timing, Trigger,
};

pub(super) fn id(n: u32) -> RecordId {
    RecordId::parse(&format!("003{n:012}")).unwrap()
}

pub(super) fn name(text: &str) -> SyncName {
    SyncName::new(text).unwrap()
}

pub(super) fn batch(records: &[(RecordId, i64, bool, String)]) -> Batch {
    let mut text = String::new();
    let (mut list, mut leaves) = (Vec::new(), Vec::new());
    for (id, stamp, deleted, raw) in records {
        let at = Span { start: text.len() as u32, len: raw.len() as u32 };
        text.push_str(raw);
        let leaves = Span::new(
            leaves.len()..{
                let found = crate::model::leaves(raw).unwrap_or_default();
                let base = at.start;
                leaves.extend(found.iter().map(|leaf| Span { start: leaf.start + base, ..*leaf }));
                leaves.len()
            },
        );
        list.push(Record { id: *id, stamp: Stamp(*stamp), deleted: *deleted, at, leaves });
    }
    let fields = Arc::from([]);
    Batch { text: Text::from(text), fields, records: list, cells: Vec::new(), leaves }
}

pub(super) fn output(kind: &str, key: &str, body: &str) -> Output {
    Output { kind: kind.into(), key: key.to_owned(), body: body.into() }
}

pub(super) fn begin(store: &Store, sync: &SyncName) -> RunId {
    let cursor_before = store.cursor(sync).unwrap();
    store.begin_run(NewRun { cursor_before, ..new_run(sync) }).unwrap().id
}

pub(super) fn new_run(sync: &SyncName) -> NewRun {
    NewRun {
        sync: sync.clone(),
        object: "Contact".to_owned(),
        connection: ConnectionName::new("main").unwrap(),
        trigger: Trigger::Manual,
        started: Stamp(1),
        cursor_before: Cursor::default(),
        plugin: None,
        quota_before: None,
    }
}

pub(super) fn page(at: i64) -> PageNote {
    PageNote {
        page: 0,
        at: Stamp(at),
        bytes: 1,
        counts: Counts::default(),
        timing: Timing::default(),
        request_id: None,
    }
}

pub(super) fn commit(
    store: &Store,
    run: RunId,
    sync: &SyncName,
    batch: &Batch,
    outcomes: Vec<Verdict>,
    cursor: Cursor,
) -> Committed {
    attempt(store, run, sync, batch, outcomes, cursor).unwrap()
}

fn attempt(
    store: &Store,
    run: RunId,
    sync: &SyncName,
    batch: &Batch,
    outcomes: Vec<Verdict>,
    cursor: Cursor,
) -> Result<Committed, Error> {
    store.commit(Commit {
        run,
        sync,
        batch,
        known: store.known(sync, batch)?,
        outcomes,
        cursor,
        page: page(7),
        calls: 1,
        maker: None,
        remap: None,
        keep_raw: true,
    })
}

/// How many stored texts are picked.
pub(super) fn picked(store: &Store, sync: &SyncName, pick: Pick) -> usize {
    store.raw_batches(sync, pick, None, 700).map(|batch| batch.unwrap().spans.len()).sum()
}

pub(super) fn cursor(at: i64) -> Cursor {
    Cursor { covered: Some(Stamp(at)), open: None }
}

pub(super) fn mapped(outputs: &[Output]) -> Verdict {
    Verdict::Became(Outcome::Mapped(outputs.to_vec()))
}

/// The outputs that the feed leads to, and how many entries it has.
pub(super) fn replay(store: &Store, after: u64) -> (BTreeMap<(String, String), String>, u64) {
    let (mut outputs, mut seq) = (BTreeMap::new(), after);
    loop {
        let entries = store.feed(seq, 100).unwrap();
        if entries.is_empty() {
            return (outputs, seq);
        }
        for entry in entries {
            assert_eq!(entry.seq, seq + 1, "the feed has no gaps");
            seq = entry.seq;
            let key = (format!("{}/{}", entry.sync, entry.kind), entry.key);
            match (entry.op, entry.body) {
                (Op::Retract, _) => {
                    outputs.remove(&key);
                }
                (Op::Upsert, body) => {
                    outputs.insert(key, body.unwrap_or_else(|| "gone".to_owned()));
                }
            }
        }
    }
}

#[test]
fn a_record_through_its_life() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::default();
    let sync = name("Contact");
    let store = Store::open(folder.path(), &options).unwrap();
    let run = begin(&store, &sync);
    let one = |stamp: i64, deleted: bool, raw: &str| {
        batch(&[(id(1), stamp, deleted, format!("{{\"v\":\"{raw}\"}}"))])
    };
    let person = |body: &str| output("person", id(1).as_str(), body);

    // New: two outputs, one under a key of its own.
    let first = one(1, false, "a");
    let both = [person("{\"n\":1}"), output("email", "a@b", "{}")];
    let done = commit(&store, run, &sync, &first, vec![mapped(&both)], cursor(1));
    assert_eq!((done.counts.mapped, done.feed_end, done.number), (1, 2, 1));
    assert_eq!(store.output(&sync, "email", "a@b").unwrap().unwrap(), both[1]);
    assert_eq!(store.output(&sync, "person", id(1).as_str()).unwrap().unwrap(), both[0]);

    // Read again: unchanged.
    let known = store.known(&sync, &first).unwrap();
    assert!(known.unchanged(0));
    let done = commit(&store, run, &sync, &first, vec![Verdict::Unchanged], cursor(2));
    assert_eq!((done.counts.unchanged, done.feed_end), (1, 2));

    // Changed in a way that the outputs do not show: no feed entry.
    let second = one(2, false, "b");
    assert!(!store.known(&sync, &second).unwrap().unchanged(0));
    let done = commit(&store, run, &sync, &second, vec![mapped(&both)], cursor(3));
    assert_eq!((done.counts.mapped, done.feed_end), (1, 2));

    // One output changed, the other no longer there.
    let third = one(3, false, "c");
    let new = [person("{\"n\":2}")];
    let done = commit(&store, run, &sync, &third, vec![mapped(&new)], cursor(4));
    assert_eq!(done.feed_end, 4);
    assert_eq!(store.output(&sync, "email", "a@b").unwrap(), None);
    let feed = store.feed(2, 10).unwrap();
    let seen: Vec<_> =
        feed.iter().map(|entry| (entry.op, &*entry.kind, entry.body.clone())).collect();
    let body = Some("{\"n\":2}".to_owned());
    assert_eq!(seen, [(Op::Retract, "email", None), (Op::Upsert, "person", body)]);

    // A failure keeps the outputs and the record.
    let fourth = one(4, false, "d");
    let rejection = Rejection { code: "x.y".into(), message: "no".into(), field: None };
    let failed = Verdict::Became(Outcome::Failed(rejection.clone()));
    let done = commit(&store, run, &sync, &fourth, vec![failed], cursor(5));
    assert_eq!((done.counts.failed, done.feed_end), (1, 4));
    let view = store.record(&sync, id(1)).unwrap().unwrap();
    assert_eq!(view.state, State::Failed(rejection.clone()));
    assert_eq!(view.outputs, new);
    let failures = store.failures(run, None, 10).unwrap();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].raw.as_deref(), Some("{\"v\":\"d\"}"));
    assert_eq!((failures[0].n, &failures[0].rejection), (1, &rejection));
    assert!(store.failures(run, Some(1), 10).unwrap().is_empty());
    assert!(store.known(&sync, &fourth).unwrap().unchanged(0), "a failure stands until a retry");
    let raw: Vec<_> =
        store.raw_batches(&sync, Pick::Failed, None, 10).map(Result::unwrap).collect();
    assert_eq!(&raw[0].text[..], "{\"v\":\"d\"}");

    // The retry maps it.
    let done = commit(&store, run, &sync, &fourth, vec![mapped(&new)], cursor(5));
    assert_eq!((done.counts.mapped, done.feed_end), (1, 4));
    assert_eq!(picked(&store, &sync, Pick::Failed), 0);
    assert_eq!(store.counts(&sync).unwrap().failed, 0);

    // Skipped, deleted, undeleted.
    let fifth = one(5, false, "e");
    let skipped = Verdict::Became(Outcome::Skipped("no e-mail".into()));
    let done = commit(&store, run, &sync, &fifth, vec![skipped], cursor(6));
    assert_eq!((done.counts.skipped, done.feed_end), (1, 5));
    assert!(store.known(&sync, &fifth).unwrap().unchanged(0), "a skip stands");
    let done = commit(&store, run, &sync, &one(6, false, "f"), vec![mapped(&both)], cursor(6));
    assert_eq!(done.feed_end, 7);
    let done = commit(&store, run, &sync, &one(7, true, "f"), vec![Verdict::Deleted], cursor(7));
    assert_eq!((done.counts.deleted, done.feed_end), (1, 9));
    assert!(store.record(&sync, id(1)).unwrap().unwrap().deleted);
    assert!(store.known(&sync, &one(7, true, "f")).unwrap().unchanged(0));
    assert_eq!(
        store.counts(&sync).unwrap(),
        Stored { records: 1, deleted: 1, newest: Some(Stamp(7)), ..Stored::default() }
    );
    let done = commit(&store, run, &sync, &one(8, false, "f"), vec![mapped(&both)], cursor(8));
    assert_eq!(done.feed_end, 11);
    assert_eq!(replay(&store, 0).0.len(), 2);

    // All of it is there after a restart.
    let before = store.run(run).unwrap().unwrap();
    assert!(before.counts.balanced());
    assert_eq!((before.counts.fetched, before.pages), (10, 10));
    drop(store);
    let store = Store::open(folder.path(), &options).unwrap();
    let mut after = store.run(run).unwrap().unwrap();
    after.timing = before.timing;
    assert_eq!(before, after);
    assert_eq!(store.cursor(&sync).unwrap(), cursor(8));
    assert_eq!(store.feed_end().unwrap(), 11);
    assert_eq!(store.recover().unwrap(), [run]);
    assert_eq!(store.run(run).unwrap().unwrap().ending, Some(Ending::Interrupted));
    assert_eq!(store.pages(run, Some(3), 100).unwrap().len(), 6);
    assert!(store.recover().unwrap().is_empty());
}

#[test]
fn keys_belong_to_one_record() {
    let folder = tempfile::tempdir().unwrap();
    let sync = name("Contact");
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    let run = begin(&store, &sync);
    let records = |stamp: i64, ids: &[u32]| {
        let raws: Vec<_> = ids
            .iter()
            .map(|&n| (id(n), stamp, false, format!("{{\"n\":{n},\"s\":{stamp}}}")))
            .collect();
        batch(&raws)
    };
    let email = |key: &str| mapped(&[output("email", key, "{}")]);
    let state = |n: u32| store.record(&sync, id(n)).unwrap().unwrap().state;
    let conflict = |n: u32| match state(n) {
        State::Failed(rejection) => {
            assert_eq!(rejection.code, "output.conflict");
            rejection.message
        }
        other => panic!("{other:?}"),
    };

    // Within a batch the second fails and names the first.
    let both = vec![email("a"), email("a")];
    let done = commit(&store, run, &sync, &records(1, &[1, 2]), both, cursor(1));
    assert_eq!((done.counts.mapped, done.counts.failed, done.conflicts), (1, 1, 1));
    assert_eq!(conflict(2), format!("its output email 'a' belongs to record {}", id(1)));
    // Across batches too.
    commit(&store, run, &sync, &records(1, &[3]), vec![email("a")], cursor(1));
    assert!(conflict(3).ends_with(id(1).as_str()));
    // Another sync, or another kind, has its own keys.
    let other = name("Lead");
    let run2 = begin(&store, &other);
    let done = commit(&store, run2, &other, &records(1, &[9]), vec![email("a")], cursor(1));
    assert_eq!(done.conflicts, 0);
    // Two records may swap keys in one batch,
    commit(&store, run, &sync, &records(2, &[2]), vec![email("b")], cursor(2));
    let done =
        commit(&store, run, &sync, &records(3, &[1, 2]), vec![email("b"), email("a")], cursor(3));
    assert_eq!(done.conflicts, 0);
    // and in two, when the first is tried again.
    let done = commit(&store, run, &sync, &records(4, &[1]), vec![email("a")], cursor(4));
    assert_eq!(done.conflicts, 1);
    let done = commit(&store, run, &sync, &records(4, &[2]), vec![email("b")], cursor(4));
    assert_eq!(done.conflicts, 0);
    let done = commit(&store, run, &sync, &records(4, &[1]), vec![email("a")], cursor(4));
    assert_eq!(done.conflicts, 0);
    // A deleted record frees its key.
    commit(&store, run, &sync, &records(5, &[1]), vec![Verdict::Deleted], cursor(5));
    let done = commit(&store, run, &sync, &records(5, &[3]), vec![email("a")], cursor(5));
    assert_eq!(done.conflicts, 0);

    // A key that is another record's id, in both orders.
    let own = |n: u32| mapped(&[output("email", id(n).as_str(), "{}")]);
    let done = commit(&store, run, &sync, &records(6, &[4]), vec![own(5)], cursor(6));
    assert_eq!(done.conflicts, 0);
    commit(&store, run, &sync, &records(6, &[5]), vec![own(5)], cursor(6));
    assert!(conflict(5).ends_with(id(4).as_str()));
    commit(&store, run, &sync, &records(7, &[4]), vec![own(4)], cursor(7));
    commit(&store, run, &sync, &records(7, &[5]), vec![own(4)], cursor(7));
    assert!(conflict(5).ends_with(id(4).as_str()));
    let done = commit(&store, run, &sync, &records(8, &[5]), vec![own(5)], cursor(8));
    assert_eq!(done.conflicts, 0);
    let twice = mapped(&[output("email", "z", "{}"), output("email", "z", "{}")]);
    commit(&store, run, &sync, &records(9, &[6]), vec![twice], cursor(9));
    assert!(conflict(6).ends_with("twice"));
    let (outputs, _) = replay(&store, 0);
    assert_eq!(outputs.len() as u64, store.counts(&sync).unwrap().outputs + 1);
}

#[test]
fn fifty_thousand_records() {
    const SIZE: u32 = 1000;
    const ALL: u32 = 50_000;
    let folder = tempfile::tempdir().unwrap();
    let sync = name("Contact");
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    let run = begin(&store, &sync);
    let make = |first: u32, version: i64| {
        let raws: Vec<_> = (first..first + SIZE)
            .map(|n| (id(n), version, false, format!("{{\"n\":{n},\"v\":{version}}}")))
            .collect();
        let outputs = (first..first + SIZE)
            .map(|n| {
                mapped(&[output(
                    "person",
                    id(n).as_str(),
                    &format!("{{\"n\":{n},\"v\":{version}}}"),
                )])
            })
            .collect();
        (batch(&raws), outputs)
    };
    for version in 1..=2 {
        for first in (0..ALL).step_by(SIZE as usize) {
            let (batch, outcomes) = make(first, version);
            let known = store.known(&sync, &batch).unwrap();
            assert_eq!(known.is_stored(7), version == 2);
            assert!(!known.unchanged(7));
            commit(&store, run, &sync, &batch, outcomes, cursor(version));
        }
    }
    let (again, _) = make(3000, 2);
    let known = store.known(&sync, &again).unwrap();
    assert!((0..again.len()).all(|i| known.unchanged(i)));
    // Scattered ids are found by lookups, in the order in which they were asked.
    let few: Vec<_> = (0..50)
        .rev()
        .map(|n| (id(n * 997), 2, false, format!("{{\"n\":{},\"v\":2}}", n * 997)))
        .collect();
    let known = store.known(&sync, &batch(&few)).unwrap();
    assert!((0..50).all(|i| known.unchanged(i)));

    let run = store.end_run(run, Ending::Succeeded, Stamp(9), |_| {}).unwrap();
    assert_eq!((run.counts.mapped, run.pages), (100_000, 100));
    let stored = store.counts(&sync).unwrap();
    assert_eq!((stored.records, stored.outputs), (50_000, 50_000));
    // The first version's blocks are gone, every one.
    let blocks = layout::Space::Block.walk(&store.0.disk);
    let blocks = blocks.filter(|item| item.as_ref().is_ok_and(|(_, block)| !block.is_empty()));
    let blocks = blocks.count();
    let bodies = store.record(&sync, id(0)).unwrap().unwrap();
    assert_eq!(bodies.outputs[0].body, "{\"n\":0,\"v\":2}");
    drop(store);
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    assert!(blocks <= 50 * 4, "{blocks} blocks");
    let (outputs, end) = replay(&store, 0);
    assert_eq!((outputs.len(), end), (50_000, 100_000));
    let want = |n: u32| Some(format!("{{\"n\":{n},\"v\":2}}"));
    let key = |n: u32| ("Contact/person".to_owned(), id(n).as_str().to_owned());
    assert!((0..ALL).all(|n| outputs.get(&key(n)).cloned() == want(n)));
    assert_eq!(picked(&store, &sync, Pick::All), 50_000);
}

#[test]
fn runs_and_small_things() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    let (a, b) = (name("A"), name("B"));
    let runs: Vec<RunId> =
        (0..10).map(|n| begin(&store, if n % 2 == 0 { &a } else { &b })).collect();
    let numbers = |filter: &RunFilter| -> Vec<u64> {
        store.runs(filter).unwrap().iter().map(|run| run.id.0).collect()
    };
    assert_eq!(numbers(&RunFilter { limit: 3, ..RunFilter::default() }), [10, 9, 8]);
    let of_a = RunFilter {
        sync: Some(a.clone()),
        before: Some(RunId(7)),
        limit: 2,
        ..RunFilter::default()
    };
    assert_eq!(numbers(&of_a), [5, 3]);
    assert!(numbers(&RunFilter { sync: Some(name("C")), ..RunFilter::default() }).is_empty());
    store.update_run(runs[0], |run| run.expected = Some(5)).unwrap();
    assert_eq!(store.run(runs[0]).unwrap().unwrap().expected, Some(5));
    let ended = store.end_run(runs[0], Ending::Succeeded, Stamp(4), |run| run.calls = 3).unwrap();
    assert_eq!((ended.calls, ended.ended, ended.expected), (3, Some(Stamp(4)), Some(5)));
    let again = store.end_run(runs[0], Ending::Succeeded, Stamp(4), |_| {});
    assert!(matches!(again, Err(Error::NoRun { run: RunId(1) })));

    let sealed = vec![7; 200_000];
    store.put_secret("token", &sealed).unwrap();
    let answer = Cached { bytes: sealed.clone(), last_modified: Some("Mon".into()) };
    store.put_cached("describe/Contact", &answer).unwrap();
    let cause = PauseCause { run: runs[0], code: "x.y".into(), reason: "broke".into() };
    let pause = Pause { at: Some(Stamp(9)), cause: Some(cause) };
    store.set_pause(&a, Some(&pause)).unwrap();
    store.set_pause(&b, Some(&pause)).unwrap();
    store.set_pause(&b, None).unwrap();
    drop(store);
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    assert_eq!(store.get_secret("token").unwrap(), Some(sealed));
    assert_eq!(store.get_secret("toke").unwrap(), None);
    assert_eq!(store.cached("describe/Contact").unwrap(), Some(answer));
    assert_eq!((store.pause(&a).unwrap(), store.pause(&b).unwrap()), (Some(pause), None));
    assert_eq!(store.recover().unwrap().len(), 9);
    assert_eq!(store.syncs(), [a, b]);
}

#[test]
fn records_that_come_in_any_order_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let sync = name("S");
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    let run = begin(&store, &sync);
    let mut wanted: BTreeMap<RecordId, String> = BTreeMap::new();
    let mut seed = 7u32;
    let mut random = |below: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) % below
    };
    for nth in 0..80 {
        // Now a few records from anywhere, now a stretch of neighbours; some come twice in a batch.
        let (from, width) = if nth % 2 == 0 { (0, 4000) } else { (random(4000), 60) };
        let records: Vec<_> = (0..random(70))
            .map(|at| (id(from + random(width)), nth, false, format!("{{\"{nth}\":{at}}}")))
            .collect();
        let batch = batch(&records);
        let known = store.known(&sync, &batch).unwrap();
        for (i, (id, ..)) in records.iter().enumerate() {
            assert_eq!(known.is_stored(i), wanted.contains_key(id), "{id} in batch {nth}");
        }
        let outcomes = records
            .iter()
            .map(|(id, _, _, raw)| mapped(&[output("k", id.as_str(), raw)]))
            .collect();
        let done = commit(&store, run, &sync, &batch, outcomes, cursor(nth));
        assert_eq!(done.counts.mapped, records.len() as u64);
        wanted.extend(records.into_iter().map(|(id, _, _, raw)| (id, raw)));
    }
    let mut found = Vec::new();
    while let Some(last) = {
        let more = store.records(&sync, found.last().map(|view: &RecordView| view.id), 37).unwrap();
        let last = more.last().map(|view| view.id);
        found.extend(more);
        last
    } {
        assert_eq!(found.last().map(|view| view.id), Some(last));
    }
    let found: BTreeMap<RecordId, String> = found
        .into_iter()
        .map(|view| {
            assert_eq!(view.raw.as_deref(), Some(view.outputs[0].body.as_str()));
            (view.id, view.outputs[0].body.clone().into())
        })
        .collect();
    assert_eq!(found, wanted);
    assert_eq!(store.counts(&sync).unwrap().records, wanted.len() as u64);
    let groups = layout::Space::Record.walk(&store.0.disk).count();
    assert!(groups < wanted.len() / 6, "{groups} groups of {} records", wanted.len());
}

#[test]
fn texts_are_kept_only_when_wanted_and_wrong_commits_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let sync = name("S");
    let options = Options { keep_raw: false, ..Options::default() };
    let store = Store::open(folder.path(), &options).unwrap();
    let run = begin(&store, &sync);
    let two =
        batch(&[(id(1), 1, false, "{\"a\":1}".into()), (id(2), 1, false, "{\"b\":1}".into())]);
    let rejection = Rejection { code: "c".into(), message: "ä".repeat(5000), field: None };
    let outcomes = vec![
        mapped(&[output("k", id(1).as_str(), "{}")]),
        Verdict::Became(Outcome::Failed(rejection)),
    ];
    commit(&store, run, &sync, &two, outcomes, cursor(1));
    assert_eq!(store.record(&sync, id(1)).unwrap().unwrap().raw, None);
    let failed = store.record(&sync, id(2)).unwrap().unwrap();
    assert_eq!(failed.raw.as_deref(), Some("{\"b\":1}"));
    assert!(matches!(failed.state, State::Failed(why) if why.message.chars().count() == 2001));
    assert_eq!(picked(&store, &sync, Pick::FailedIn(run)), 1);
    assert_eq!(picked(&store, &sync, Pick::FailedIn(RunId(99))), 0);
    assert_eq!(picked(&store, &sync, Pick::Since(Stamp(2))), 0);
    assert_eq!(store.run(run).unwrap().unwrap().failures["c"], 1);

    let third = batch(&[(id(3), 1, false, "{}".into())]);
    let attempt = |run: RunId, outcomes: Vec<Verdict>| {
        attempt(&store, run, &sync, &third, outcomes, cursor(2)).unwrap_err().code()
    };
    assert_eq!(attempt(run, vec![]), "store.verdicts");
    assert_eq!(attempt(run, vec![Verdict::Unchanged]), "store.not-stored");
    assert_eq!(attempt(RunId(77), vec![Verdict::Deleted]), "store.no-run");
    assert_eq!(store.cursor(&sync).unwrap(), cursor(1));
    assert_eq!(store.record(&sync, id(3)).unwrap(), None);

    // A reset begins anew and keeps what is stored, also over a restart.
    store.reset(&sync).unwrap();
    drop(store);
    let store = Store::open(folder.path(), &options).unwrap();
    assert_eq!(store.cursor(&sync).unwrap(), Cursor::default());
    assert_eq!(store.counts(&sync).unwrap().records, 2);
    // Of a record that comes twice in a page only the last acts; both are counted.
    let run = begin(&store, &sync);
    let twice =
        batch(&[(id(4), 1, false, "{\"x\":1}".into()), (id(4), 2, false, "{\"x\":2}".into())]);
    let outcomes = (1..=2)
        .map(|n| mapped(&[output("k", id(4).as_str(), &format!("{{\"x\":{n}}}"))]))
        .collect();
    let done = commit(&store, run, &sync, &twice, outcomes, cursor(3));
    assert_eq!((done.counts.fetched, done.counts.mapped), (2, 2));
    assert_eq!(store.output(&sync, "k", id(4).as_str()).unwrap().unwrap().body, "{\"x\":2}");
    assert_eq!((store.counts(&sync).unwrap().records, store.feed_end().unwrap()), (3, 2));
}

//! The store against real sled in folders of its own.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::model::{
    Batch, ConnectionName, Counts, Cursor, Ending, Outcome, Output, PageNote, Record, RecordId,
    Rejection, Span, Stamp, Timing, Trigger,
};

pub(super) fn id(n: u32) -> RecordId {
    RecordId::parse(&format!("003{n:012}")).unwrap()
}

pub(super) fn name(text: &str) -> SyncName {
    SyncName::new(text).unwrap()
}

pub(super) fn batch(records: &[(RecordId, i64, bool, String)]) -> Batch {
    let mut text = String::new();
    let mut list = Vec::new();
    for (id, stamp, deleted, raw) in records {
        let at = Span { start: text.len() as u32, len: raw.len() as u32 };
        text.push_str(raw);
        list.push(Record { id: *id, stamp: Stamp(*stamp), deleted: *deleted, at });
    }
    let fields = Arc::from([]);
    Batch { text: Bytes::from(text), fields, records: list, cells: Vec::new() }
}

pub(super) fn output(kind: &str, key: &str, body: &str) -> Output {
    Output { kind: kind.into(), key: key.to_owned(), body: body.to_owned() }
}

pub(super) fn begin(store: &Store, sync: &SyncName) -> RunId {
    let run = NewRun {
        sync: sync.clone(),
        object: "Contact".to_owned(),
        connection: ConnectionName::new("main").unwrap(),
        trigger: Trigger::Manual,
        started: Stamp(1),
        cursor_before: store.cursor(sync).unwrap(),
        plugin: None,
        quota_before: None,
    };
    store.begin_run(run).unwrap().id
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
    let known = store.known(sync, batch).unwrap();
    let page = page(7);
    let commit =
        Commit { run, sync, batch, known, outcomes, cursor, page, calls: 1, keep_raw: true };
    store.commit(commit).unwrap()
}

fn cursor(at: i64) -> Cursor {
    Cursor { covered: Some(Stamp(at)), open: None }
}

fn mapped(outputs: &[Output]) -> Verdict {
    Verdict::Became(Outcome::Mapped(outputs.to_vec()))
}

/// The outputs that the feed leads to, and how many entries it has.
fn replay(store: &Store, after: u64) -> (BTreeMap<(String, String), String>, u64) {
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
    let seen: Vec<_> = feed.iter().map(|entry| (entry.op, &*entry.kind, entry.body.clone())).collect();
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
    assert!(!store.known(&sync, &fourth).unwrap().unchanged(0), "a failure does not stand");
    let raw: Vec<_> = store.raw_batches(&sync, Pick::Failed, 10).map(Result::unwrap).collect();
    assert_eq!(&raw[0].text[..], b"{\"v\":\"d\"}");

    // The retry maps it.
    let done = commit(&store, run, &sync, &fourth, vec![mapped(&new)], cursor(5));
    assert_eq!((done.counts.mapped, done.feed_end), (1, 4));
    assert_eq!(store.raw_batches(&sync, Pick::Failed, 10).count(), 0);
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
    assert_eq!(store.counts(&sync).unwrap(), Stored { records: 1, deleted: 1, ..Stored::default() });
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

//! The feed by parts, its consumers, snapshots beside commits, and what retention takes away.

use std::time::Duration;

use super::*;
use crate::model::ConsumerName;
use crate::store::{FeedQuery, FeedRules, Line, Refused, RunRules, Wanted};

const DAY: Duration = Duration::from_secs(86_400);

fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    (folder, store)
}

/// Commits so many records from number `first` on, one output each, at a time.
fn write(store: &Store, run: RunId, first: u32, count: u32, value: &str, at: Stamp) {
    let sync = name("Contact");
    let rows: Vec<_> = (first..first + count)
        .map(|n| (id(n), at.0, false, format!("{{\"v\":\"{value}{n}\"}}")))
        .collect();
    let batch = batch(&rows);
    let kind = |n: u32| if n.is_multiple_of(2) { "even" } else { "odd" };
    let outcomes = (first..first + count)
        .map(|n| mapped(&[output(kind(n), id(n).as_str(), &format!("{{\"v\":\"{value}\"}}"))]))
        .collect();
    let known = store.known(&sync, &batch).unwrap();
    let page = PageNote { at, ..page(0) };
    let commit = Commit {
        run,
        sync: &sync,
        batch: &batch,
        known,
        outcomes,
        cursor: cursor(at.0),
        page,
        calls: 1,
        maker: None,
        remap: None,
        keep_raw: true,
    };
    store.commit(commit).unwrap();
}

fn query(after: Option<u64>, limit: usize) -> FeedQuery {
    FeedQuery { after, limit, ..FeedQuery::default() }
}

#[test]
fn pages_are_filtered_and_go_on() {
    let (_folder, store) = open();
    let run = begin(&store, &name("Contact"));
    write(&store, run, 0, 300, "a", Stamp(1));
    let kinds = vec!["odd".to_owned()];
    let (mut seen, mut after) = (Vec::new(), Some(0));
    loop {
        let page =
            store.feed_page(&FeedQuery { kinds: kinds.clone(), ..query(after, 40) }).unwrap();
        assert!(page.entries.len() <= 40 && (page.start, page.end) == (1, 300));
        assert!(page.entries.iter().all(|entry| &*entry.kind == "odd"));
        seen.extend(page.entries.iter().map(|entry| entry.seq));
        if page.next == page.end {
            break;
        }
        assert!(after < Some(page.next));
        after = Some(page.next);
    }
    assert_eq!(seen, (1..=150).map(|n| n * 2).collect::<Vec<u64>>());
    // Nothing wanted: all is looked at, and need not be again.
    let none = FeedQuery { kinds: vec!["x".to_owned()], ..query(None, 10) };
    assert_eq!(store.feed_page(&none).unwrap().next, 300);
    let until = FeedQuery { until: Some(7), ..query(Some(3), 100) };
    let page = store.feed_page(&until).unwrap();
    assert_eq!((page.entries.len(), page.next), (4, 7));
    assert_eq!(store.feed_page(&query(Some(400), 10)).unwrap().next, 400);
}

#[tokio::test]
async fn a_commit_wakes_who_waits() {
    let (_folder, store) = open();
    let mut moves = store.feed_moves();
    let run = begin(&store, &name("Contact"));
    let waiting = tokio::spawn(async move {
        moves.changed().await.unwrap();
        *moves.borrow()
    });
    tokio::task::yield_now().await;
    write(&store, run, 0, 3, "a", Stamp(1));
    assert_eq!(waiting.await.unwrap(), 3);
}

#[test]
fn consumers_outlive_the_process_and_hold_their_changes() {
    let (folder, store) = open();
    let run = begin(&store, &name("Contact"));
    let now = Stamp(0).plus(DAY * 100);
    for day in 0..10_u32 {
        write(&store, run, day * 10, 10, "a", now.minus(DAY * (60 - day * 6)));
    }
    let (a, b) = (ConsumerName::new("a").unwrap(), ConsumerName::new("b").unwrap());
    assert_eq!(store.move_consumer(&a, 25, false, now).unwrap().unwrap().acknowledged, 25);
    let ahead = store.move_consumer(&a, 101, false, now).unwrap();
    assert_eq!(ahead, Err(Refused::Ahead { asked: 101, end: 100 }));
    let back = store.move_consumer(&a, 3, false, now).unwrap();
    assert_eq!(back, Err(Refused::Back { asked: 3, now: 25 }));
    store.move_consumer(&b, 95, false, now.minus(DAY * 20)).unwrap().unwrap();
    drop(store);
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    assert_eq!(store.consumers().unwrap().len(), 2);

    // Older than 30 days are the batches of the first five days; a has two and a half of them.
    let rules = FeedRules { age: DAY * 30, entries: 1000, hold: DAY * 50, quiet: DAY * 7 };
    assert_eq!(store.trim_feed(&rules, now).unwrap(), 20);
    assert_eq!((store.feed_start().unwrap(), store.trim_feed(&rules, now).unwrap()), (21, 0));
    let page = store.feed_page(&query(Some(25), 1000)).unwrap();
    assert_eq!((page.entries[0].seq, page.entries.len(), page.start), (26, 75, 21));
    assert_eq!(store.feed_page(&query(None, 1)).unwrap().entries[0].seq, 21);
    let gone = store.feed_page(&query(Some(19), 10)).unwrap_err();
    assert_eq!(gone.code(), "feed.gone");
    assert_eq!(store.feed_page(&query(Some(20), 1)).unwrap().entries[0].seq, 21);
    // Beyond the bound nobody holds anything.
    let strict = FeedRules { hold: DAY * 31, ..rules };
    assert_eq!(store.trim_feed(&strict, now).unwrap(), 30);
    // Nor does one that was not heard of for long.
    let late = now.plus(DAY * 8);
    assert_eq!(store.trim_feed(&rules, late).unwrap(), 20);
    // Of too many the newest stay; the last batch stays always.
    let few = FeedRules { entries: 1, ..rules };
    assert_eq!(store.trim_feed(&few, late).unwrap(), 20);
    assert_eq!((store.feed_start().unwrap(), store.feed_end().unwrap()), (91, 100));
    assert!(store.forget_consumer(&a).unwrap() && !store.forget_consumer(&a).unwrap());
    // What was trimmed is no damage.
    drop(store);
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    assert_eq!(store.feed_end().unwrap(), 100);
    write(&store, begin(&store, &name("Contact")), 0, 5, "b", late);
    assert_eq!(store.feed_end().unwrap(), 105);
}

/// What a reader has who applies the lines of a snapshot in order.
fn apply(lines: Vec<Line>) -> (BTreeMap<(String, String), String>, u64) {
    let mut outputs = BTreeMap::new();
    for line in lines {
        match line {
            Line::Output(row) => drop(outputs.insert((row.kind.to_string(), row.key), row.body)),
            Line::Change(entry) => {
                let key = (entry.kind.to_string(), entry.key);
                match entry.op {
                    Op::Retract => drop(outputs.remove(&key)),
                    Op::Upsert => drop(outputs.insert(key, entry.body.unwrap())),
                }
            }
            Line::End(next) => return (outputs, next),
        }
    }
    panic!("no end")
}

/// The outputs at one number of the feed, from the writer's own book.
fn book(changes: &[(u64, String, Option<String>)], at: u64) -> BTreeMap<String, String> {
    let mut outputs = BTreeMap::new();
    for (_, key, body) in changes.iter().filter(|(seq, ..)| *seq <= at) {
        match body {
            Some(body) => drop(outputs.insert(key.clone(), body.clone())),
            None => drop(outputs.remove(key)),
        }
    }
    outputs
}

/// Snapshots are read while every output changes, goes and comes again; each is exactly what was stored at its number, and
/// who goes on from there has what is stored in the end.
#[test]
fn a_snapshot_beside_commits_is_of_one_moment() {
    let (_folder, store) = open();
    let sync = name("Contact");
    let run = begin(&store, &sync);
    write(&store, run, 0, 400, "first", Stamp(1));
    let mut changes: Vec<(u64, String, Option<String>)> = store
        .feed(0, 1000)
        .unwrap()
        .into_iter()
        .map(|entry| (entry.seq, entry.key, entry.body))
        .collect();
    let rules = FeedRules { age: DAY, entries: 1, hold: DAY, quiet: DAY };
    for round in 0..6_u32 {
        let mut snapshot = store.snapshot(&Wanted::default()).unwrap();
        let mut lines = Vec::new();
        for step in 0.. {
            let Some(line) = snapshot.next() else { break };
            lines.push(line.unwrap());
            if step % 37 == 0 && step < 400 {
                let first = (step * 7 + round * 13) % 380;
                let seq = store.feed_end().unwrap();
                if step % 2 == 0 {
                    write(&store, run, first, 20, &format!("{round}-{step}"), Stamp(2));
                } else {
                    let rows: Vec<_> = (first..first + 20)
                        .map(|n| (id(n), 3, true, format!("{{\"gone\":{step}}}")))
                        .collect();
                    let deleted = vec![Verdict::Deleted; 20];
                    commit(&store, run, &sync, &batch(&rows), deleted, cursor(3));
                }
                let news = store.feed(seq, 1000).unwrap().into_iter();
                changes.extend(news.map(|entry| (entry.seq, entry.key, entry.body)));
                // Retention cannot take from a snapshot what it still needs.
                store.trim_feed(&rules, Stamp(0).plus(DAY * 9)).unwrap();
            }
        }
        drop(snapshot);
        let (outputs, next) = apply(lines);
        let outputs: BTreeMap<String, String> =
            outputs.into_iter().map(|((_, key), body)| (key, body)).collect();
        assert_eq!(outputs, book(&changes, next), "round {round}");
        assert!(next > 400 && next <= store.feed_end().unwrap());
    }
    // Part of it.
    let wanted = Wanted { kinds: vec!["even".to_owned()], ..Wanted::default() };
    let part: Vec<Line> = store.snapshot(&wanted).unwrap().map(Result::unwrap).collect();
    let (outputs, _) = apply(part);
    assert!(!outputs.is_empty() && outputs.keys().all(|(kind, _)| kind == "even"));
    let other = Wanted { syncs: vec![name("Lead")], ..Wanted::default() };
    assert_eq!(store.snapshot(&other).unwrap().count(), 1);
}

#[test]
fn rows_tell_all_that_is_stored() {
    let (_folder, store) = open();
    let run = begin(&store, &name("Contact"));
    write(&store, run, 0, 250, "a", Stamp(1));
    let records: Vec<_> = store.record_rows(&Wanted::default()).collect::<Result<_, _>>().unwrap();
    assert_eq!(records.len(), 250);
    for (row, view) in records.iter().zip(store.records(&name("Contact"), None, 1000).unwrap()) {
        assert_eq!((row.id, &row.raw, &row.state), (view.id, &view.raw, &view.state));
    }
    let outputs: Vec<_> = store.output_rows(&Wanted::default()).collect::<Result<_, _>>().unwrap();
    assert_eq!(outputs.len(), 250);
    assert!(outputs.iter().zip(&records).all(|(output, record)| output.record == record.id));
}

#[test]
fn old_runs_lose_their_pages_then_their_failures_then_themselves() {
    let (_folder, store) = open();
    let sync = name("Contact");
    let rejection = Rejection { code: "x.y".into(), message: "no".into(), field: None };
    let failed = |n: u32| {
        let rows = [(id(n), 1, false, format!("{{\"n\":{n}}}"))];
        (batch(&rows), vec![Verdict::Became(Outcome::Failed(rejection.clone()))])
    };
    let now = Stamp(0).plus(DAY * 1000);
    for day in 0..40_u32 {
        let run = begin(&store, &sync);
        let (batch, outcomes) = failed(day);
        commit(&store, run, &sync, &batch, outcomes, cursor(1));
        let at = now.minus(DAY * (400 - day * 10));
        store.end_run(run, Ending::SucceededWithFailures, at, |_| ()).unwrap();
    }
    let open = begin(&store, &sync);
    let rules = RunRules { pages: DAY * 30, failures: DAY * 90, runs: DAY * 200, newest: 3 };
    let mut after = None;
    loop {
        let (_, next) = store.trim_runs(&rules, after, now).unwrap();
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let runs = store.runs(&RunFilter { limit: 100, ..RunFilter::default() }).unwrap();
    // Those that ended at most 200 days ago, and the one in hand.
    assert_eq!(runs.len(), 21);
    for run in &runs {
        let Some(ended) = run.ended else { continue };
        let age = now.since(ended);
        let (pages, failures) = (
            store.pages(run.id, None, 10).unwrap().len(),
            store.failures(run.id, None, 10).unwrap().len(),
        );
        assert_eq!(
            pages == 1,
            age <= DAY * 30,
            "run {} of {} days",
            run.id,
            age.as_secs() / 86_400
        );
        assert_eq!(failures == 1, age <= DAY * 90);
    }
    // A second look finds nothing, and the records that failed stand as before.
    assert_eq!(store.trim_runs(&rules, None, now).unwrap(), (0, None));
    assert_eq!(store.counts(&sync).unwrap().failed, 40);
    // The newest stay whole, however old they are.
    let later = now.plus(DAY * 1000);
    store.trim_runs(&rules, None, later).unwrap();
    let left = store.runs(&RunFilter { limit: 100, ..RunFilter::default() }).unwrap();
    assert_eq!(left.len(), 3);
    assert!(left.iter().any(|run| run.id == open));
    assert!(
        left.iter()
            .filter(|run| run.ended.is_some())
            .all(|run| { store.pages(run.id, None, 10).unwrap().len() == 1 })
    );
    // Lists of outcomes do not name what is gone.
    let filter = RunFilter { sync: Some(sync), limit: 100, ..RunFilter::default() };
    assert_eq!(store.runs(&filter).unwrap().len(), 3);
}

//! What arrived is listed, newest first, and each record tells which runs touched it.

use super::*;

fn became(store: &Store, filter: &ArrivalFilter, limit: usize) -> Vec<(RecordId, Became)> {
    let found = store.arrivals(filter, limit).unwrap();
    found.list.into_iter().map(|arrival| (arrival.id, arrival.became)).collect()
}

fn records(ids: std::ops::Range<u32>, stamp: i64) -> Batch {
    let list: Vec<_> = ids.map(|n| (id(n), stamp, false, format!("{{\"n\":{n}}}"))).collect();
    batch(&list)
}

fn skipped() -> Verdict {
    Verdict::Became(Outcome::Skipped("no e-mail".into()))
}

fn failed() -> Verdict {
    let rejection = Rejection { code: "a.b".into(), message: "c".into(), field: None };
    Verdict::Became(Outcome::Failed(rejection))
}

#[test]
fn the_newest_come_first_and_pages_join() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    let (a, b) = (name("A"), name("B"));
    let (run_a, run_b) = (begin(&store, &a), begin(&store, &b));
    commit(&store, run_a, &a, &records(0..5, 1), vec![skipped(); 5], cursor(1));
    commit(&store, run_b, &b, &records(5..8, 2), vec![failed(); 3], cursor(2));
    // What is unchanged did not arrive anew.
    commit(&store, run_b, &b, &records(5..8, 2), vec![Verdict::Unchanged; 3], cursor(2));
    let all: Vec<_> = (0..8).rev().map(id).collect();
    let listed = became(&store, &ArrivalFilter::default(), 100);
    assert_eq!(listed.iter().map(|(id, _)| *id).collect::<Vec<_>>(), all);
    assert_eq!((listed[0].1, listed[7].1), (Became::Failed, Became::Skipped));
    let of_a = ArrivalFilter { sync: Some(a), ..ArrivalFilter::default() };
    assert_eq!(became(&store, &of_a, 100).len(), 5);
    let bad = ArrivalFilter { became: Some(Became::Failed), ..ArrivalFilter::default() };
    assert_eq!(became(&store, &bad, 2).len(), 2);
    let mut before = None;
    let mut joined = Vec::new();
    loop {
        let page =
            store.arrivals(&ArrivalFilter { before, ..ArrivalFilter::default() }, 3).unwrap();
        joined.extend(page.list.into_iter().map(|arrival| arrival.id));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(joined, all);
}

#[test]
fn the_list_is_bounded_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    let sync = name("A");
    let run = begin(&store, &sync);
    for n in 0..1030i64 {
        commit(&store, run, &sync, &records(0..1, n), vec![skipped()], cursor(n));
    }
    drop(store);
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    commit(&store, run, &sync, &records(1..2, 2000), vec![failed()], cursor(2000));
    let kept = layout::Space::Arrival.walk(&store.0.disk).count();
    assert_eq!(kept, 1024);
    assert_eq!(became(&store, &ArrivalFilter::default(), 1), [(id(1), Became::Failed)]);
    // One that is looked for in vain goes on where it ended, until the end.
    let wanted = Some(Became::Deleted);
    let (mut before, mut pages) = (None, 0);
    loop {
        let found =
            store.arrivals(&ArrivalFilter { became: wanted, before, sync: None }, 10).unwrap();
        assert!(found.list.is_empty());
        pages += 1;
        before = found.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(pages, 4);
}

#[test]
fn a_record_remembers_the_runs_that_touched_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    let sync = name("A");
    let mut runs = Vec::new();
    for n in 0..20i64 {
        let run = begin(&store, &sync);
        let verdict = if n % 2 == 0 { skipped() } else { failed() };
        commit(&store, run, &sync, &records(0..1, n), vec![verdict.clone()], cursor(n));
        // A run that comes back to a record is told once.
        commit(&store, run, &sync, &records(0..1, n + 100), vec![verdict], cursor(n));
        runs.push(run);
    }
    let record = store.record(&sync, id(0)).unwrap().unwrap();
    let told: Vec<RunId> = record.history.iter().map(|touch| touch.run).collect();
    let wanted: Vec<RunId> = runs.iter().rev().take(16).copied().collect();
    assert_eq!(told, wanted);
    assert_eq!(record.history[0].became, Became::Failed);
    assert_eq!(record.history[1].became, Became::Skipped);
    assert_eq!(store.counts(&sync).unwrap().newest, Some(Stamp(119)));
}

#[test]
fn a_record_is_found_by_its_id_and_by_what_it_yields() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    let (a, b) = (name("A"), name("B"));
    let run = begin(&store, &a);
    let outputs = vec![output("person", id(1).as_str(), "{}"), output("mail", "x@y", "{}")];
    let verdict = Verdict::Became(Outcome::Mapped(outputs));
    commit(&store, run, &a, &records(1..2, 1), vec![verdict], cursor(1));
    let run = begin(&store, &b);
    commit(&store, run, &b, &records(1..2, 1), vec![skipped()], cursor(1));
    let found = |text: &str| -> Vec<(String, RecordId, Option<String>)> {
        let found = store.search(text).unwrap().into_iter();
        found
            .map(|found| (found.sync.to_string(), found.id, found.kind.map(|k| k.to_string())))
            .collect()
    };
    assert_eq!(found(id(1).as_str()), [("A".into(), id(1), None), ("B".into(), id(1), None)]);
    assert_eq!(found(&id(1).as_str()[..15]).len(), 2);
    assert_eq!(found("x@y"), [("A".into(), id(1), Some("mail".into()))]);
    assert!(found("nobody").is_empty() && found("").is_empty());
}

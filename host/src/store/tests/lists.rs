//! Lists of runs say what a look at every run would say.

use proptest::prelude::*;

use super::*;
use crate::model::Standing;
use crate::store::disk::Writes;
use crate::store::layout::Space;

const SYNCS: [&str; 3] = ["A", "B", "C"];

fn ending(n: u8) -> Option<Ending> {
    let (code, text) = ("limit.daily".to_owned(), "x".to_owned());
    match n {
        0 => None,
        1 => Some(Ending::Succeeded),
        2 => Some(Ending::SucceededWithFailures),
        3 => Some(Ending::Paused { code, reason: text, resumes_at: None }),
        4 => Some(Ending::Failed { code, message: text }),
        _ => Some(Ending::Interrupted),
    }
}

/// Runs of these syncs and endings, one every ten milliseconds.
fn filled(store: &Store, runs: &[(usize, u8)]) {
    for (n, (sync, end)) in (1i64..).zip(runs) {
        let run = store
            .begin_run(NewRun { started: Stamp(n * 10), ..new_run(&name(SYNCS[*sync])) })
            .unwrap();
        if let Some(ending) = ending(*end) {
            store.end_run(run.id, ending, Stamp(n * 10 + 5), |_| {}).unwrap();
        }
    }
}

fn every(store: &Store) -> Vec<Run> {
    store.runs(&RunFilter { limit: 1000, ..RunFilter::default() }).unwrap()
}

fn agree(store: &Store, filter: &RunFilter) {
    let fits = |run: &&Run| {
        filter.sync.as_ref().is_none_or(|sync| run.sync == *sync)
            && (filter.standings.is_empty() || filter.standings.contains(&run.standing()))
            && filter.from.is_none_or(|from| run.started >= from)
            && filter.until.is_none_or(|until| run.started < until)
            && filter.before.is_none_or(|before| run.id < before)
    };
    let ids = |runs: Vec<Run>| runs.into_iter().map(|run| run.id.0).collect::<Vec<_>>();
    let all = every(store);
    let wanted: Vec<Run> = all.iter().filter(fits).take(filter.limit).cloned().collect();
    assert_eq!(ids(store.runs(filter).unwrap()), ids(wanted), "{filter:?}");
}

fn strips_agree(store: &Store) {
    for sync in SYNCS {
        let runs = every(store);
        let of = runs.iter().filter(|run| run.sync.as_str() == sync).map(Brief::of);
        let all: Vec<Brief> = of.collect();
        assert_eq!(store.strip(&name(sync), 5).unwrap(), all[..all.len().min(5)]);
        if let Some(since) = all.get(all.len() / 2).map(|run| run.started) {
            let late: Vec<Brief> = all.into_iter().filter(|run| run.started >= since).collect();
            assert_eq!(store.strip_since(&name(sync), since, 1000).unwrap(), late);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn a_list_is_what_a_look_at_every_run_finds(
        runs in proptest::collection::vec((0usize..3, 0u8..6), 0..40),
        filters in proptest::collection::vec(
            (proptest::option::of(0usize..4), proptest::collection::vec(0usize..6, 0..4),
             proptest::option::of(0i64..420), proptest::option::of(0i64..420),
             proptest::option::of(0u64..45), 1usize..60),
            20,
        ),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options::default()).unwrap();
        filled(&store, &runs);
        for (sync, standings, from, until, before, limit) in filters {
            let mut standings: Vec<Standing> =
                standings.into_iter().map(|n| Standing::ALL[n]).collect();
            standings.dedup();
            let sync = sync.map(|n| name(["A", "B", "C", "Nobody"][n]));
            let (from, until) = (from.map(Stamp), until.map(Stamp));
            let before = before.map(RunId);
            agree(&store, &RunFilter { sync, standings, from, until, before, limit });
        }
        strips_agree(&store);
    }
}

/// A store from before there were these lists has them after it was opened.
#[test]
fn old_runs_are_listed_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    filled(&store, &[(0, 1), (1, 4), (0, 2), (2, 5), (0, 4)]);
    let mut writes = Writes::default();
    for item in Space::RunAs.walk(&store.0.disk) {
        writes.remove(item.unwrap().0.to_vec());
    }
    for item in Space::RunOf.walk(&store.0.disk) {
        writes.put(item.unwrap().0.to_vec(), &[]);
    }
    store.0.disk.apply(writes).unwrap();
    let failed = RunFilter { standings: vec![Standing::Failed], ..RunFilter::default() };
    assert!(store.runs(&failed).unwrap().is_empty());
    // A run whose brief is missing is read whole.
    strips_agree(&store);
    drop(store);
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    assert_eq!(store.runs(&failed).unwrap().len(), 2);
    agree(&store, &failed);
    strips_agree(&store);
}

#[test]
fn a_schema_is_kept_under_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    let schema = crate::model::Schema(
        (0..900).map(|n| (format!("Field_{n}__c"), "string".to_owned())).collect(),
    );
    let digest = store.put_schema(&schema).unwrap();
    assert_eq!(store.put_schema(&schema).unwrap(), digest);
    assert_eq!(store.schema(&digest).unwrap(), Some(schema));
    assert_eq!(store.schema("0000000000000000").unwrap(), None);
}

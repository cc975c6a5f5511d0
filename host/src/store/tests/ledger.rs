//! The ledger of API calls: nothing that was written down is forgotten, and it does not grow for ever.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;
use crate::model::{Call, Caller, Purpose};
use crate::store::disk::Writes;
use crate::store::intents::SLOTS;
use crate::store::layout::Space;

const HOUR: i64 = 3_600_000;

fn call(at: i64, sync: &str) -> Call {
    Call {
        at: Stamp(at),
        caller: Caller {
            connection: ConnectionName::new("main").unwrap(),
            sync: Some(name(sync)),
            run: Some(RunId(7)),
            page: None,
        },
        purpose: Purpose::QueryMore,
        backfill: false,
        saved: 0,
    }
}

fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(folder.path(), &Options::default()).unwrap()
}

fn times(store: &Store, since: i64) -> Vec<i64> {
    store.calls_since(Stamp(since)).unwrap().iter().map(|call| call.at.0).collect()
}

#[test]
fn what_was_written_down_is_there_after_a_death() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let poll = Call {
        caller: Caller { sync: None, run: None, ..call(0, "x").caller },
        purpose: Purpose::Poll,
        backfill: true,
        saved: 4,
        ..call(61_000, "x")
    };
    for call in [call(59_999, "a"), call(60_000, "b"), poll.clone(), call(62_000, "a")] {
        assert_eq!(store.enter_call(&call).unwrap(), Room::Plenty);
    }
    store.take_back_call(&call(60_000, "b")).unwrap();
    assert_eq!(times(&store, 0), [59_999, 61_000, 62_000]);
    // Nothing was folded: this is what a kill leaves.
    drop(store);
    let store = open(&folder);
    assert_eq!(store.calls_since(Stamp(60_000)).unwrap(), [poll, call(62_000, "a")]);
    // What is folded can be taken back too.
    store.take_back_call(&call(62_000, "a")).unwrap();
    assert_eq!(times(&store, 0), [59_999, 61_000]);
    store.fold_calls().unwrap();
    assert_eq!(times(&store, 0), [59_999, 61_000]);
    let hours = store.hours_of_calls(Stamp(0)).unwrap();
    let sums: Vec<_> = hours.iter().map(|hour| (hour.purpose, hour.calls, hour.saved)).collect();
    assert_eq!(sums, [(Purpose::Poll, 1, 4), (Purpose::QueryMore, 1, 0)]);
}

#[test]
fn every_step_of_a_run_folds_and_a_full_file_wants_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let mut entered = 0;
    let mut room = Room::Plenty;
    for at in 0.. {
        room = store.enter_call(&call(at, "a")).unwrap();
        if room == Room::None {
            break;
        }
        entered += 1;
        assert_eq!(room == Room::Little, entered > SLOTS / 2);
    }
    assert_eq!((entered, room), (SLOTS, Room::None));
    store.fold_calls().unwrap();
    assert_eq!(store.enter_call(&call(1, "a")).unwrap(), Room::Plenty);
    let run = begin(&store, &name("a"));
    assert_eq!(store.0.intents.lock().unwrap().waiting(), []);
    store.enter_call(&call(2, "a")).unwrap();
    store.remember_quota(b"state".to_vec(), &[(Stamp(HOUR), 5)]);
    store.end_run(run, Ending::Succeeded, Stamp(9), |_| {}).unwrap();
    assert_eq!(store.0.intents.lock().unwrap().waiting(), []);
    assert_eq!(times(&store, 0).len() as u64, SLOTS + 2);
    drop(store);
    let store = open(&folder);
    assert_eq!(store.remembered_quota().unwrap().as_deref(), Some(&b"state"[..]));
    store.remember_quota(b"later".to_vec(), &[(Stamp(HOUR), 8), (Stamp(2 * HOUR), 1)]);
    assert_eq!(store.others_since(Stamp(0)).unwrap(), [(Stamp(HOUR), 8), (Stamp(2 * HOUR), 1)]);
    assert_eq!(store.remembered_quota().unwrap().as_deref(), Some(&b"later"[..]));
}

#[test]
fn a_minute_may_hold_very_many() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    for n in 0..60_000 {
        while store.enter_call(&call(n, &format!("s{}", n % 7))).unwrap() == Room::None {
            store.fold_calls().unwrap();
        }
    }
    store.fold_calls().unwrap();
    assert_eq!(times(&store, 0).len(), 60_000);
    // It goes as a whole, its further parts too.
    store.enter_call(&call(30 * HOUR, "s1")).unwrap();
    store.fold_calls().unwrap();
    assert_eq!(times(&store, 0), [30 * HOUR]);
    let left = store.0.disk.all(&Space::Ledger.key(&[b"m"])).count();
    assert_eq!(left, 1);
}

#[test]
fn old_calls_become_sums_and_old_sums_go() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { ledger_days: 3, ..Options::default() };
    let store = Store::open(folder.path(), &options).unwrap();
    for hour in 0..200 {
        for minute in [3, 4, 59] {
            store.enter_call(&call(hour * HOUR + minute * 60_000, "a")).unwrap();
        }
        store.fold_calls().unwrap();
    }
    let last = 199 * HOUR + 59 * 60_000;
    assert_eq!(*times(&store, 0).first().unwrap(), last - 25 * HOUR);
    assert_eq!(times(&store, 0).len(), 25 * 3 + 1);
    let hours = store.hours_of_calls(Stamp(0)).unwrap();
    assert_eq!(hours.len(), 3 * 24 + 1);
    assert!(hours.iter().all(|hour| hour.calls == 3));
    assert_eq!(store.hours_of_calls(Stamp(198 * HOUR + 1)).unwrap().len(), 2);
}

#[test]
fn a_clock_that_was_set_back_does_not_keep_calls_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let year = 365 * 24 * HOUR;
    for n in 0..5 {
        store.enter_call(&call(year + n, "a")).unwrap();
    }
    store.fold_calls().unwrap();
    store.enter_call(&call(10 * HOUR, "a")).unwrap();
    store.fold_calls().unwrap();
    assert_eq!(times(&store, 0), [10 * HOUR; 6]);
    assert_eq!(store.hours_of_calls(Stamp(0)).unwrap()[0].calls, 6);
    store.enter_call(&call(40 * HOUR, "a")).unwrap();
    store.fold_calls().unwrap();
    assert_eq!(times(&store, 0), [40 * HOUR]);
}

#[test]
fn a_ledger_of_the_former_kind_is_moved() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let mut writes = Writes::default();
    for n in 1..=2500u64 {
        // As the version before wrote it.
        let old = format!(
            r#"{{"at":{},"caller":{{"connection":"main","sync":"s{}","run":{n}}},"purpose":"query-more"}}"#,
            n * 30_000,
            n % 3
        );
        writes.put(Space::Call.number(n), old.as_bytes());
    }
    store.0.disk.apply(writes).unwrap();
    store.0.disk.flush().unwrap();
    drop(store);
    for _ in 0..2 {
        let store = open(&folder);
        let calls = store.calls_since(Stamp(0)).unwrap();
        assert_eq!(calls.len(), 2500);
        let wanted = Caller { sync: Some(name("s2")), run: Some(RunId(2)), ..call(0, "x").caller };
        assert_eq!((calls[1].at, &calls[1].caller), (Stamp(60_000), &wanted));
        assert_eq!(Space::Call.walk(&store.0.disk).count(), 0);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Enter(i64, u8),
    Back(prop::sample::Index),
    Fold,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_500_000i64, 0..3u8).prop_map(|(at, sync)| Step::Enter(at, sync)),
        3 => any::<prop::sample::Index>().prop_map(Step::Back),
        1 => Just(Step::Fold),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Beside a plain list, whatever is folded or reopened when.
    #[test]
    fn it_is_the_list_of_calls(steps in prop::collection::vec(step(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Some(open(&folder));
        let mut plain: Vec<Call> = Vec::new();
        for step in steps {
            let at = store.as_ref().unwrap();
            match step {
                Step::Enter(ms, sync) => {
                    let call = call(ms, &format!("s{sync}"));
                    at.enter_call(&call).unwrap();
                    plain.push(call);
                }
                Step::Back(_) if plain.is_empty() => {}
                Step::Back(index) => {
                    let call = plain.swap_remove(index.index(plain.len()));
                    at.take_back_call(&call).unwrap();
                }
                Step::Fold => at.fold_calls().unwrap(),
                Step::Reopen => {
                    drop(store.take());
                    store = Some(open(&folder));
                }
            }
            let order = |call: &Call| (call.at, call.caller.sync.clone());
            let mut found = store.as_ref().unwrap().calls_since(Stamp(0)).unwrap();
            found.sort_by_key(order);
            plain.sort_by_key(order);
            prop_assert_eq!(&found, &plain);
            let hours = store.as_ref().unwrap().hours_of_calls(Stamp(0)).unwrap();
            prop_assert_eq!(hours.iter().map(|hour| hour.calls).sum::<u64>(), plain.len() as u64);
        }
    }
}

const FOLDER: &str = "KILOFOLD_LEDGER_FOLDER";

/// The child: enters calls for ever and says each number when it is on record.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let store = Store::open(folder.as_ref(), &Options::default()).unwrap();
    let first = store.calls_since(Stamp(0)).unwrap().len() as i64;
    let mut out = std::io::stdout().lock();
    for n in first.. {
        while store.enter_call(&call(n, "a")).unwrap() == Room::None {
            store.fold_calls().unwrap();
        }
        if n % 1000 == 777 {
            store.fold_calls().unwrap();
        }
        writeln!(out, "entered {n}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn kills_forget_no_call() {
    let folder = tempfile::tempdir().unwrap();
    for kill in 0..12u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::ledger::child", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut last = 0;
        let mut wanted = 1 + kill * 397 % 3000;
        while wanted > 0 {
            if let Some((_, n)) = lines.next().unwrap().unwrap().rsplit_once("entered ") {
                last = n.trim().parse().unwrap();
                wanted -= 1;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            last = line
                .rsplit_once("entered ")
                .and_then(|(_, n)| n.trim().parse().ok())
                .unwrap_or(last);
        }
        let store = open(&folder);
        let found = times(&store, 0);
        let whole: Vec<i64> = (0..found.len() as i64).collect();
        assert_eq!(found, whole, "each once, none left out");
        let entered = found.len() as i64;
        assert!((last + 1..=last + 2).contains(&entered), "{last} was said, {entered} are there");
    }
}

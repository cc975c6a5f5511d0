//! A process that is killed at any moment leaves whole batches, and every one that it acknowledged.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::*;

const FOLDER: &str = "KILOFOLD_CRASH_FOLDER";
const SIZE: u32 = 50;

fn nth_batch(nth: u32) -> (Batch, Vec<Verdict>) {
    // Every third batch writes the records of the one before again, with other outputs.
    let (first, version) = if nth % 3 == 2 { ((nth - 1) * SIZE, nth) } else { (nth * SIZE, nth) };
    let raws: Vec<_> = (first..first + SIZE)
        .map(|n| (id(n), i64::from(version), false, format!("{{\"n\":{n},\"v\":{version}}}")))
        .collect();
    let outcomes = (first..first + SIZE)
        .map(|n| {
            mapped(&[
                output("person", id(n).as_str(), &format!("{{\"v\":{version}}}")),
                output("tag", &format!("{n}-{}", version % 3), "{}"),
            ])
        })
        .collect();
    (batch(&raws), outcomes)
}

/// The child: commits batches for ever, beginning where the cursor stands, and says each number when it is durable.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let store = Store::open(folder.as_ref(), &Options::default()).unwrap();
    let sync = name("S");
    store.recover().unwrap();
    let run = begin(&store, &sync);
    let mut nth = store.cursor(&sync).unwrap().covered.map_or(0, |stamp| stamp.0 as u32);
    loop {
        let (batch, outcomes) = nth_batch(nth);
        nth += 1;
        commit(&store, run, &sync, &batch, outcomes, cursor(i64::from(nth)));
        let mut out = std::io::stdout();
        writeln!(out, "ack {nth}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn kills_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let sync = name("S");
    let mut acknowledged = 0;
    for kill in 0..20u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::crash::child", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // How many acknowledgements to wait for, and how long to go on after them: different every time.
        let mut wanted = 1 + kill % 4;
        for line in lines {
            if let Some((_, number)) = line.unwrap().rsplit_once("ack ") {
                acknowledged = number.trim().parse().unwrap();
                wanted -= 1;
                if wanted == 0 {
                    break;
                }
            }
        }
        std::thread::sleep(std::time::Duration::from_micros(kill * 379 % 5000));
        child.kill().unwrap();
        child.wait().unwrap();

        let store = Store::open(folder.path(), &Options::default()).unwrap();
        let reached = store.cursor(&sync).unwrap().covered.unwrap().0 as u32;
        assert!(
            reached >= acknowledged,
            "{acknowledged} batches were acknowledged, {reached} are there"
        );
        let fetched: u64 = store
            .runs(&RunFilter { limit: 1000, ..RunFilter::default() })
            .unwrap()
            .iter()
            .map(|run| run.counts.fetched)
            .sum();
        assert_eq!(fetched, u64::from(reached * SIZE), "each batch is counted once");
    }
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    let reached = store.cursor(&sync).unwrap().covered.unwrap().0 as u32;

    // The same without kills.
    let calm = tempfile::tempdir().unwrap();
    let other = Store::open(calm.path(), &Options::default()).unwrap();
    let run = begin(&other, &sync);
    for nth in 0..reached {
        let (batch, outcomes) = nth_batch(nth);
        commit(&other, run, &sync, &batch, outcomes, cursor(i64::from(nth) + 1));
    }
    let all = |store: &Store| {
        let records = store.records(&sync, None, usize::MAX).unwrap();
        let records: Vec<_> =
            records.into_iter().map(|view| (view.id, view.raw, view.outputs)).collect();
        let feed = store.feed(0, usize::MAX).unwrap();
        let feed: Vec<_> =
            feed.into_iter().map(|entry| (entry.seq, entry.op, entry.key, entry.body)).collect();
        (records, feed, store.counts(&sync).unwrap())
    };
    assert_eq!(all(&store), all(&other));
}

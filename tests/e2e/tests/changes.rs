//! What changes in the org arrives, and only that.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::BTreeSet;

use jiff::SignedDuration;
use kilofold::model::{Ending, RecordId};
use kilofold::store::Op;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::{Setup, TestEnv, id, name};

/// No parents: their changes do not touch the record that shows them.
const FIELDS: &str =
    "fields = [\"LastName\", \"Email\", \"Phone\", \"LastModifiedDate\"]\noverlap = \"10m\"";

async fn contacts(count: usize) -> TestEnv {
    Setup::new(&[("Contact", count)]).sync("Contact", "passthrough", FIELDS).open().await
}

#[tokio::test(flavor = "multi_thread")]
async fn change_delete_undelete_insert() {
    let env = contacts(1_500).await;
    let first = env.run_well("Contact").await;
    assert_eq!((first.counts.mapped, first.counts.fetched), (1_500, 1_500));

    let touched: BTreeSet<String> = env.touch("Contact", 40, 1).into_iter().collect();
    let deleted: Vec<String> =
        env.ids("Contact").into_iter().filter(|id| !touched.contains(id)).take(10).collect();
    env.delete("Contact", &deleted);
    let inserted = env.insert("Contact", 25);
    env.later(3);
    let feed = env.feed().len();
    let run = env.run_well("Contact").await;
    assert_eq!((run.counts.mapped, run.counts.deleted), (65, 10), "{:?}", run.counts);
    assert_eq!(run.counts.fetched, 75 + run.counts.unchanged);
    assert!(
        run.soql.contains("SystemModstamp >= ")
            && run.soql.ends_with("ORDER BY SystemModstamp, Id")
    );
    let news = env.feed().split_off(feed);
    assert_eq!(news.len(), 75);
    let retracted: BTreeSet<RecordId> =
        news.iter().filter(|entry| entry.op == Op::Retract).map(|entry| entry.record).collect();
    assert_eq!(retracted, deleted.iter().map(|text| id(text)).collect());
    let stored = env.store().record(&name("Contact"), id(&inserted[0])).unwrap().unwrap();
    assert_eq!(stored.outputs.len(), 1);
    env.assert_mirrors_org(&["Contact"]);
    env.assert_feed_holds();

    let back = deleted[..4].to_vec();
    env.sim.org().write().unwrap().undelete("Contact", &back, env.sim.now());
    env.later(3);
    let run = env.run_well("Contact").await;
    assert_eq!((run.counts.mapped, run.counts.deleted), (4, 0), "{:?}", run.counts);
    assert_eq!(env.feed().len(), feed + 79);
    env.assert_mirrors_org(&["Contact"]);

    // Nothing happens: what the overlap reads again is unchanged, and the feed rests.
    for _ in 0..2 {
        env.later(3);
        let run = env.run_well("Contact").await;
        assert!(run.counts.fetched >= 75);
        assert_eq!(run.counts.unchanged, run.counts.fetched);
        assert_eq!(run.ending, Some(Ending::Succeeded));
    }
    assert_eq!(env.feed().len(), feed + 79);
    env.assert_feed_holds();
    env.assert_ledger_agrees();
}

/// Salesforce tells nothing of records that were removed for good: they stay as they were last seen.
#[tokio::test(flavor = "multi_thread")]
async fn purged_records_stay_as_they_were() {
    let env = contacts(300).await;
    env.run_well("Contact").await;
    let ids = env.ids("Contact");
    env.delete("Contact", &ids[..4]);
    env.later(3);
    env.run_well("Contact").await;
    let gone = [ids[..2].to_vec(), ids[8..10].to_vec()].concat();
    env.sim.org().write().unwrap().purge("Contact", &gone, env.sim.now());
    env.later(3);
    env.run_well("Contact").await;
    let (gone, kept): (Vec<_>, Vec<_>) = env
        .records("Contact")
        .into_iter()
        .partition(|record| gone.iter().any(|id| id == record.id.as_str()));
    let seen: Vec<(bool, usize)> =
        gone.iter().map(|record| (record.deleted, record.outputs.len())).collect();
    assert_eq!(seen, [(true, 0), (true, 0), (false, 1), (false, 1)]);
    assert_eq!(kept.len(), 296);
    for (record, (id, _, deleted)) in
        kept.iter().zip(env.sim.org().read().unwrap().truth("Contact").rows)
    {
        assert_eq!((record.id.as_str(), record.deleted), (id.as_str(), deleted));
    }
    env.assert_feed_holds();
}

/// A transaction may take minutes: its records then appear with stamps that lie before the last window's end.
#[tokio::test(flavor = "multi_thread")]
async fn late_commits_are_caught() {
    let env = contacts(400).await;
    env.run_well("Contact").await;
    for (round, seconds) in (0..).zip([500, 120, 5]) {
        let covered = env.last_run("Contact").cursor_after.covered.unwrap();
        let stamp = covered.timestamp() - SignedDuration::from_secs(seconds);
        let ids = env.sim.org().write().unwrap().insert_at("Contact", 30, round, stamp);
        env.later(2);
        let run = env.run_well("Contact").await;
        assert_eq!(run.counts.mapped, 30, "{seconds} s late: {:?}", run.counts);
        assert!(env.store().record(&name("Contact"), id(&ids[29])).unwrap().is_some());
        env.assert_mirrors_org(&["Contact"]);
    }
    env.assert_feed_holds();
}

/// Anything in any order: in the end the store holds what the org holds.
#[tokio::test(flavor = "multi_thread")]
async fn random_histories_end_as_the_org() {
    for seed in 0..3 {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let mut env = Setup::new(&[("Contact", 1_000)])
            .sync("Contact", "passthrough", &format!("{FIELDS}\npage_size = 200"))
            .open()
            .await;
        for step in 0..25 {
            match dice.random_range(0..8) {
                0 => drop(env.touch("Contact", dice.random_range(1..300), step)),
                1 => drop(env.insert("Contact", dice.random_range(1..100))),
                2 => {
                    let ids = env.ids("Contact");
                    let at = dice.random_range(0..ids.len() - 20);
                    env.delete("Contact", &ids[at..at + 20]);
                }
                3 => {
                    let ids = env.ids("Contact");
                    env.sim.org().write().unwrap().undelete("Contact", &ids, env.sim.now());
                }
                4 => {
                    let stamp =
                        env.sim.now() - SignedDuration::from_secs(dice.random_range(0..400));
                    env.sim.org().write().unwrap().insert_at("Contact", 10, step, stamp);
                }
                5 => drop(env.run_until("Contact", dice.random_range(0..4)).await),
                6 => env.open().await,
                _ => drop(env.run("Contact").await),
            }
            env.later(dice.random_range(0..20));
        }
        env.later(3);
        // The first may close a window that an interruption left open.
        for _ in 0..2 {
            env.run_well("Contact").await;
        }
        env.assert_mirrors_org(&["Contact"]);
        env.assert_feed_holds();
    }
}

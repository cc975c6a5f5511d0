//! A process is killed, again and again, and in the end everything is as if it never had been.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::time::{Duration, Instant};

use kilofold::model::{Ending, Run, Stamp};
use org_sim::{ClockMode, RequestClass};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::{Child, Setup, TestEnv};

const SIZE: usize = 20_000;
const KILLS: usize = 50;

/// An org whose clock stands still, so that every host reads the same window.
async fn scenario() -> TestEnv {
    let lines = "page_size = 200";
    let mut setup = Setup::new(&[("Contact", SIZE), ("Account", 200)]).sync(
        "Contact",
        "contact-to-person",
        lines,
    );
    setup.sim.clock = ClockMode::Fixed("2026-05-06T12:00:00Z".parse().unwrap());
    setup.start().await
}

/// Kills hosts of this environment until the sync is through or enough kills have hit; gives how many did.
async fn kill_hosts(env: &TestEnv, dice: &mut ChaCha8Rng, most: usize) -> usize {
    let config = env.config_path();
    let mut hits = 0;
    while hits < most {
        let begun = Instant::now();
        let before = pages(env);
        let mut child = Child::start(&config, &["sync", "now", "Contact"]);
        if dice.random_range(0..4) == 0 {
            // At any moment: while it starts, opens the store, mends it, asks the org.
            tokio::time::sleep(Duration::from_millis(dice.random_range(0..150))).await;
        } else {
            // While pages come, are mapped and committed.
            let wanted = before + dice.random_range(1..5);
            while pages(env) < wanted && child.alive() {
                assert!(begun.elapsed() < Duration::from_secs(60), "it hangs: {}", child.errors());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_micros(dice.random_range(0..20_000))).await;
        }
        if !child.alive() {
            let output = child.wait();
            assert_eq!(output.code(), 0, "{output:?}");
            return hits;
        }
        hits += usize::from(child.kill());
    }
    hits
}

fn pages(env: &TestEnv) -> usize {
    env.received(RequestClass::Query).len() + env.received(RequestClass::QueryMore).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_fifty_times_and_nothing_shows() {
    // What it should be: a run that nobody disturbs.
    let mut calm = scenario().await;
    calm.open().await;
    calm.run_well("Contact").await;
    calm.assert_mirrors_org(&["Contact"]);
    let wanted = calm.dump("Contact");
    assert_eq!(wanted.records.len(), SIZE);
    calm.close();

    // Another seed finds other moments to kill at.
    let seed = std::env::var("KILOFOLD_CRASH_SEED").map_or(50, |seed| seed.parse().unwrap());
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let (mut kills, mut after_commits, mut scenarios) = (0, 0, 0);
    while kills < KILLS {
        scenarios += 1;
        let mut env = scenario().await;
        env.sim.set_latency(Duration::from_millis(8));
        let hits = kill_hosts(&env, &mut dice, KILLS - kills).await;
        kills += hits;
        env.sim.set_latency(Duration::ZERO);
        env.open().await;
        env.run_well("Contact").await;
        verify(&env, &wanted, hits);
        let cut = |run: &&Run| run.ending == Some(Ending::Interrupted) && run.pages > 0;
        after_commits += env.runs("Contact").iter().filter(cut).count();
    }
    assert!(kills >= KILLS, "{kills} kills in {scenarios} scenarios");
    assert!(
        after_commits >= KILLS / 5,
        "only {after_commits} of {kills} kills came between commits"
    );
}

fn verify(env: &TestEnv, wanted: &support::Dump, hits: usize) {
    let got = env.dump("Contact");
    assert_eq!(got.cursor, wanted.cursor);
    assert_eq!(got.stored, wanted.stored);
    assert_eq!(got.records.len(), wanted.records.len());
    for (one, other) in got.records.iter().zip(&wanted.records) {
        assert_eq!(one, other);
    }
    assert_eq!(got.feed.len(), wanted.feed.len());
    for (one, other) in got.feed.iter().zip(&wanted.feed) {
        assert_eq!(one, other);
    }
    // Runs after the whole was read have nothing left, or read the overlap: only unchanged records.
    let mut counts = got.counts;
    counts.fetched -= counts.unchanged;
    counts.unchanged = 0;
    assert_eq!(counts, wanted.counts);
    assert_eq!(got.failures, wanted.failures);
    let runs = env.runs("Contact");
    let whole = runs.iter().position(|run| run.ending.as_ref().unwrap().is_success()).unwrap();
    for (run, number) in runs.iter().zip(0..) {
        let ending = run.ending.as_ref().unwrap();
        assert!(number >= whole || *ending == Ending::Interrupted, "run {}: {ending:?}", run.id);
        assert!(run.counts.balanced() && run.ended.unwrap() >= Stamp(0));
    }
    env.assert_no_committed_page_again("Contact");
    // A kill may come between the entry of a call and its sending; four requests are under way at most.
    env.assert_ledger_within(hits * 4);
}

/// A host on its schedule is killed while the org goes on changing; in the end the store holds what the org holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_host_catches_up_with_an_org_that_changes() {
    let lines =
        "fields = [\"LastName\", \"Email\", \"LastModifiedDate\"]\npage_size = 200\nevery = \"1s\"";
    let mut env =
        Setup::new(&[("Contact", 4_000)]).sync("Contact", "passthrough", lines).start().await;
    env.sim.set_latency(Duration::from_millis(5));
    let mut dice = ChaCha8Rng::seed_from_u64(12);
    let config = env.config_path();
    let mut kills = 0;
    for round in 0..12 {
        let wanted = pages(&env) + dice.random_range(1..8);
        let mut child = Child::start(&config, &["serve"]);
        let begun = Instant::now();
        while pages(&env) < wanted {
            assert!(child.alive(), "it ended: {}", child.errors());
            assert!(begun.elapsed() < Duration::from_secs(60), "it hangs: {}", child.errors());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(dice.random_range(0..20_000))).await;
        kills += usize::from(child.kill());
        let touched = env.touch("Contact", 300, round);
        env.delete("Contact", &touched[..20]);
        env.insert("Contact", 30);
        env.later(dice.random_range(0..5));
    }
    assert_eq!(kills, 12);
    env.sim.set_latency(Duration::ZERO);
    env.later(3);
    env.open().await;
    // The first may close the window that the last kill left open.
    for _ in 0..2 {
        env.run_well("Contact").await;
    }
    env.assert_mirrors_org(&["Contact"]);
    env.assert_feed_holds();
    env.assert_ledger_within(kills * 4);
    assert!(env.runs("Contact").iter().all(|run| run.ended.is_some() && run.counts.balanced()));
}

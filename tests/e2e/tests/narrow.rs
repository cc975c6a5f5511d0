//! Queries that take Salesforce too long are asked for less at once.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use kilofold::model::{Ending, Run, Scan};
use org_sim::{FaultKind, RequestClass, When};
use support::{Setup, TestEnv, name};

async fn contacts(count: usize) -> TestEnv {
    let lines = "fields = [\"LastName\", \"LastModifiedDate\"]\npage_size = 200";
    Setup::new(&[("Contact", count)]).sync("Contact", "passthrough", lines).open().await
}

/// From now on each query takes too long that finds more than this.
fn slow(env: &TestEnv, most: usize) {
    env.fault_when(RequestClass::Query, FaultKind::SlowQuery { most }, When::Nth(1));
}

/// The statuses of the queries since the last time.
fn queries(env: &TestEnv) -> Vec<u16> {
    let statuses = env.received(RequestClass::Query).iter().map(|note| note.status).collect();
    env.sim.clear_requests();
    statuses
}

fn note<'a>(run: &'a Run, words: &str) -> &'a str {
    let found: Vec<&String> = run.notes.iter().filter(|note| note.contains("at once")).collect();
    assert!(matches!(found.as_slice(), [note] if note.contains(words)), "{:?}", run.notes);
    found[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_pass_goes_on_by_fewer_records() {
    let env = contacts(3_000).await;
    slow(&env, 700);
    let run = env.run_well("Contact").await;
    assert_eq!((run.counts.fetched, run.window.unwrap().scan), (3_000, Scan::ById));
    let said = note(&run, "500 records at once");
    assert!(said.starts_with("Salesforce stopped a query that ran for too long"), "{said}");
    env.assert_mirrors_org(&["Contact"]);
    env.assert_feed_holds();
    env.assert_ledger_agrees();
    // All of it, and 32,000, 16,000, 8,000, 4,000, 2,000 and 1,000 records were too much; 500 were not.
    let asked = queries(&env);
    assert_eq!(asked, [[400; 7], [200; 7]].concat());

    // The next first pass knows, in another process too.
    let mut env = env;
    env.store().reset(&name("Contact")).unwrap();
    env.open().await;
    slow(&env, 700);
    let run = env.run_well("Contact").await;
    assert_eq!((run.counts.fetched, run.counts.unchanged), (3_000, 3_000));
    assert!(run.soql.ends_with("ORDER BY Id LIMIT 500"), "{}", run.soql);
    assert_eq!(queries(&env), [200; 7]);
}

/// Changes 1,200 times over twenty minutes.
fn change(env: &TestEnv) {
    for seed in 0..20 {
        env.later(60);
        let touched = env.touch("Contact", 60, seed);
        env.delete("Contact", &touched[..3]);
    }
    env.later(5);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_read_by_shorter_times() {
    let env = contacts(2_000).await;
    env.run_well("Contact").await;
    change(&env);
    slow(&env, 150);
    let run = env.run_well("Contact").await;
    assert_eq!(run.window.unwrap().scan, Scan::ByStamp);
    assert!(run.counts.fetched > 600, "{:?}", run.counts);
    note(&run, "of changes at once");
    assert!(queries(&env).contains(&400));
    env.assert_mirrors_org(&["Contact"]);
    env.assert_feed_holds();

    // Stopped in the middle, it goes on behind what it read.
    change(&env);
    let stopped = env.run_until("Contact", 2).await;
    assert_eq!(stopped.ending, Some(Ending::Interrupted));
    let rest = env.run_well("Contact").await;
    assert_eq!(rest.window.unwrap().to, stopped.window.unwrap().to);
    env.later(3);
    env.run_well("Contact").await;
    env.assert_mirrors_org(&["Contact"]);
    env.assert_feed_holds();
}

#[tokio::test(flavor = "multi_thread")]
async fn when_even_a_second_is_too_much_it_says_so_and_keeps_what_it_has() {
    let env = contacts(2_000).await;
    env.run_well("Contact").await;
    change(&env);
    env.touch("Contact", 400, 99);
    env.later(3);
    slow(&env, 150);
    let run = env.run("Contact").await;
    let Some(Ending::Failed { code, message }) = &run.ending else { panic!("{:?}", run.ending) };
    assert_eq!(code, "query.timeout");
    assert!(message.contains("even when it was asked for 1 second of changes only"), "{message}");
    assert!(run.counts.fetched > 300, "{:?}", run.counts);
    let left = run.cursor_after.open.unwrap();
    assert!(left.from > run.window.unwrap().from, "it goes on where it stopped");
    env.assert_ledger_agrees();
    env.sim.clear_faults();
    let again = env.run_well("Contact").await;
    assert_eq!(again.window.unwrap().to, left.to);
    env.assert_mirrors_org(&["Contact"]);
    env.assert_feed_holds();
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_long_queries_are_waited_for_and_asked_for_less() {
    let env = contacts(600).await;
    let message = "ConcurrentPerOrgLongTxn Limit exceeded.".to_owned();
    env.fault(RequestClass::Query, FaultKind::UnknownLimit { message }, 1);
    let run = env.run_well("Contact").await;
    let said = note(&run, "32000 records at once");
    assert!(said.starts_with("Salesforce had too many long queries at once"), "{said}");
    env.assert_mirrors_org(&["Contact"]);
    env.assert_ledger_agrees();
}

//! What API calls are spent on, and what they are not spent on.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kilofold::model::{Caller, ConnectionName, Ending};
use org_sim::{ClockMode, RequestClass, RequestNote};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use support::{Setup, TestEnv};

/// What became of the describes that the org was asked for.
fn described(env: &TestEnv) -> Vec<u16> {
    env.received(RequestClass::Describe).iter().map(|note| note.status).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_is_shared_outlives_the_host_and_is_asked_for_again_when_it_is_old() {
    let fields = "fields = [\"LastName\", \"Email\"]\n";
    let mut setup = Setup::new(&[("Contact", 30)]).sync("Contact", "passthrough", fields).sync(
        "Contact",
        "passthrough",
        &format!("{fields}name = \"again\""),
    );
    setup.sim.clock = ClockMode::Fixed("2026-05-06T09:00:00Z".parse().unwrap());
    // A session that ends costs a call of its own, which is not what is counted here.
    setup.sim.access_token_life = Duration::from_secs(24 * 3600);
    let mut env = setup.start().await;
    env.open_on_org_time().await;
    let first = env.run_well("Contact").await;
    assert_eq!((first.calls, env.run_well("again").await.calls), (2, 1));
    env.open_on_org_time().await;
    env.later(5 * 3600);
    assert_eq!(env.run_well("Contact").await.calls, 1, "nothing but the question for changes");
    assert_eq!(described(&env), [200]);
    env.later(2 * 3600);
    env.run_well("Contact").await;
    env.later(3600);
    env.run_well("again").await;
    assert_eq!(described(&env), [200, 304], "not changed, and as good as new");

    // A field is gone within the age: the run sees it by itself, and goes on.
    let (org, now) = (env.sim.org(), env.sim.now());
    org.write().unwrap().hide_field("Contact", "Email", true, now);
    env.later(60);
    let run = env.run_well("Contact").await;
    assert!(run.notes.iter().any(|note| note.contains("no field Email")), "{:?}", run.notes);
    assert_eq!(described(&env), [200, 304, 200]);
    assert_eq!(run.calls, 3, "a query in vain, a describe, a query");
    env.assert_ledger_agrees();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missing_is_looked_for_again() {
    let mut setup = Setup::new(&[("Contact", 30)]).sync("Contact", "contact-to-person", "");
    setup.sim.clock = ClockMode::Fixed("2026-05-06T09:00:00Z".parse().unwrap());
    let mut env = setup.start().await;
    let (org, now) = (env.sim.org(), env.sim.now());
    org.write().unwrap().hide_field("Contact", "LastName", true, now);
    env.open_on_org_time().await;
    let missing = |ending: Option<Ending>| match ending {
        Some(Ending::Failed { code, .. }) => code,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing(env.run("Contact").await.ending), "field.missing");
    env.later(60);
    assert_eq!(missing(env.run("Contact").await.ending), "field.missing");
    // A person grants the field: the next run need not wait until the description is old.
    let now = env.sim.now();
    org.write().unwrap().show_field("Contact", "LastName", now);
    env.later(60);
    env.run_well("Contact").await;
    assert_eq!(described(&env).len(), 3);
}

/// Many tasks ask at once while other applications spend in the same org: what the org saw, call by call.
async fn raced(quota: &str, max: u64) -> (Vec<RequestNote>, Vec<String>) {
    let mut setup = Setup::new(&[("Contact", 10)]).sync("Contact", "passthrough", "");
    setup.quota = quota.to_owned();
    setup.sim.daily_limit = max;
    let env = setup.open().await;
    let over = Arc::new(AtomicBool::new(false));
    let asking: Vec<_> = (0..24)
        .map(|_| {
            let org = env.app().org.clone();
            tokio::spawn(async move {
                let connection = ConnectionName::new("main").unwrap();
                let who = Caller { connection, sync: None, run: None, page: None };
                loop {
                    match org.count(&who, "SELECT COUNT() FROM Contact").await {
                        Ok(count) => assert_eq!(count, 10),
                        Err(error) => break error.code().to_owned(),
                    }
                }
            })
        })
        .collect();
    let others = async {
        let mut draws = ChaCha8Rng::seed_from_u64(11);
        while !over.load(Ordering::SeqCst) {
            env.sim.consume_calls(draws.random_range(0..9));
            tokio::time::sleep(Duration::from_micros(draws.random_range(50..2_000))).await;
        }
    };
    let ended = async {
        let mut codes = Vec::new();
        for task in asking {
            codes.push(task.await.unwrap());
        }
        over.store(true, Ordering::SeqCst);
        codes
    };
    let (codes, ()) = tokio::join!(ended, others);
    env.assert_ledger_agrees();
    (env.sim.requests().into_iter().filter(|note| note.counted).collect(), codes)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_allowance_holds_in_a_race_with_other_applications() {
    let (ours, codes) = raced("allowance = 300", 1_000_000).await;
    assert_eq!(ours.len(), 300, "not one call more, and not one less");
    assert!(codes.iter().all(|code| code == "limit.allowance"), "{codes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reserve_is_touched_by_no_more_than_what_others_spent_since_the_last_reading() {
    const MAX: u64 = 3_000;
    const RESERVE: u64 = 1_000;
    // Of those under way at once at least one that was made so many calls before has been answered when the next is granted,
    // and its answer told what others had spent.
    const CONCURRENT: usize = 4;
    let (mut ours, codes) = raced(&format!("reserve = {RESERVE}"), MAX).await;
    assert!(codes.iter().all(|code| code == "limit.reserve"), "{codes:?}");
    ours.sort_by_key(|note| note.used);
    let others: Vec<u64> =
        ours.iter().zip(1..).map(|(note, place)| note.used.unwrap() - place).collect();
    for (place, note) in ours.iter().enumerate() {
        let known = place.checked_sub(CONCURRENT).map_or(0, |known| others[known]);
        let since = others[place] - known;
        let used = note.used.unwrap();
        assert!(used <= MAX - RESERVE + since, "{used} used, {since} of them unseen");
    }
    assert!(ours.len() > 50 && others.last() > Some(&50), "{} {:?}", ours.len(), others.last());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_too_long_for_an_address_is_one_call_all_the_same() {
    let names: Vec<String> = (0..2_000).map(|n| format!("'Nobody{n:04}'")).collect();
    let filter = format!("LastName NOT IN ({})", names.join(","));
    let lines = format!("fields = [\"LastName\"]\npage_size = 200\nwhere = \"{filter}\"");
    let env = Setup::new(&[("Contact", 700)]).sync("Contact", "passthrough", &lines).open().await;
    let run = env.run_well("Contact").await;
    assert_eq!((run.counts.mapped, run.calls), (700, 1 + 4));
    let sent = |class| env.received(class).len();
    assert_eq!((sent(RequestClass::Composite), sent(RequestClass::Query)), (1, 0));
    assert_eq!(sent(RequestClass::QueryMore), 3);
    env.assert_mirrors_org(&["Contact"]);
    // What is wrong with the query is said as it is of a short one.
    let (org, now) = (env.sim.org(), env.sim.now());
    org.write().unwrap().hide_field("Contact", "LastName", true, now);
    env.later(3);
    let run = env.run("Contact").await;
    assert!(
        matches!(&run.ending, Some(Ending::Failed { code, .. }) if code == "query.field"),
        "{run:?}"
    );
    env.assert_ledger_agrees();
}

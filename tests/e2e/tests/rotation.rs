//! Refresh tokens that rotate, and processes that are killed around it.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::path::Path;
use std::time::{Duration, Instant};

use org_sim::RequestClass;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::{Child, Setup, TestEnv};

/// Kills between the receipt of an answer and its use.
const KILLS: usize = 100;

/// A note that holds an answer is longer than one that says that it was asked for.
const ANSWERED: u64 = 200;

/// Longer than anything that is waited for here.
const PATIENCE: Duration = Duration::from_secs(60);

async fn rotating() -> TestEnv {
    let setup = Setup::new(&[("Contact", 40)]);
    let mut setup = setup.sync("Contact", "passthrough", "fields = [\"LastName\"]");
    setup.grant = "code";
    setup.sim.rotate_refresh_tokens = true;
    setup.sim.require_pkce = true;
    let mut env = setup.open().await;
    env.consent("main").await;
    env.close();
    env
}

fn noted(note: &Path) -> bool {
    std::fs::metadata(note).is_ok_and(|about| about.len() > ANSWERED)
}

/// Waits, without sleeping, until something holds; false when the process ended first.
fn spin(child: &mut Child, done: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    for round in 1_u64.. {
        if done() {
            return true;
        }
        if round.is_multiple_of(256) && !child.alive() {
            return done();
        }
        assert!(begun.elapsed() < PATIENCE, "it hangs: {}", child.errors());
    }
    false
}

fn wait(span: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < span {
        std::hint::spin_loop();
    }
}

/// Each process finds an access token that has expired, so it must use the refresh token that the one before it left
/// behind, and is killed right after the answer has reached its disk: before it is understood, saved, or used. A
/// hundred times, and the connection lives.
#[tokio::test(flavor = "multi_thread")]
async fn killed_between_receipt_and_use_a_hundred_times() {
    let env = rotating().await;
    let note = env.path("kilofold.data").join("note.connection%2fmain");
    let mut dice = ChaCha8Rng::seed_from_u64(7);
    let (mut kills, mut unused) = (0, 0);
    let mut rounds = 0;
    while kills < KILLS {
        rounds += 1;
        assert!(rounds < 3 * KILLS, "{kills} kills in {rounds} rounds");
        env.sim.expire_access_tokens();
        env.sim.clear_requests();
        let granted = env.sim.tokens_granted();
        let mut child = Child::start(&env.config_path(), &["sync", "now", "Contact"]);
        // Until its refresh is granted, which proves that what the last one left behind was good; and until the answer
        // is on its disk, or has been used already: whoever misses the note, which stays for a millisecond or two, kills
        // a little later.
        let pause = Duration::from_micros(dice.random_range(0..2_500));
        let (sim, place) = (&env.sim, &note);
        let (child, asked) = tokio::task::block_in_place(|| {
            let asked = spin(&mut child, || sim.tokens_granted() > granted);
            if asked {
                let begun = Instant::now();
                while !noted(place) && used(&env) == 0 && child.alive() {
                    assert!(begun.elapsed() < PATIENCE, "it hangs: {}", child.errors());
                }
                wait(pause);
            }
            (child, asked)
        });
        if !asked {
            let ended = tokio::task::spawn_blocking(move || child.wait()).await.unwrap();
            panic!("the connection was lost after {kills} kills: {ended:?}");
        }
        let hit = child.kill();
        kills += usize::from(hit);
        unused += usize::from(hit && used(&env) == 0);
    }
    assert!(unused >= KILLS / 4, "only {unused} of {kills} kills came before the first use");
    // And it goes on as if nothing had been.
    let mut env = env;
    env.open().await;
    env.run_well("Contact").await;
    env.assert_mirrors_org(&["Contact"]);
    assert_eq!(env.sim.approvals(&env.sim.config().username), 1, "one approval, the first");
}

/// Requests that bore the newest access token: those that were answered well after the refresh.
fn used(env: &TestEnv) -> usize {
    let requests = env.sim.requests();
    // A grant counts before its request is in the log, where the one that found the token expired stands already.
    let Some(refresh) = requests.iter().rposition(|note| note.class == RequestClass::Token) else {
        return 0;
    };
    requests[refresh + 1..].iter().filter(|note| note.user.is_some()).count()
}

/// The gap that the protocol leaves: killed after Salesforce rotated and before the answer has come here. Nobody can have
/// that answer again. What can be promised is promised: nothing was used that was not on disk, the loss shows at once
/// with its cause, and a new consent goes on where the runs stopped.
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_the_answer_is_on_its_way() {
    let mut env = rotating().await;
    let mut dice = ChaCha8Rng::seed_from_u64(11);
    let mut lost = 0;
    for round in 0..12 {
        env.sim.expire_access_tokens();
        env.sim.clear_requests();
        // The answer is long on its way.
        let stall = org_sim::FaultKind::Stall { ms: Some(150), mid_body: round % 2 == 0 };
        let stalled = env.fault(RequestClass::Token, stall, 1);
        let granted = env.sim.tokens_granted();
        let mut child = Child::start(&env.config_path(), &["sync", "now", "Contact"]);
        let pause = Duration::from_micros(dice.random_range(0..50_000));
        let sim = &env.sim;
        let child = tokio::task::block_in_place(|| {
            assert!(spin(&mut child, || sim.tokens_granted() > granted), "{}", child.errors());
            wait(pause);
            child
        });
        assert!(child.kill());
        env.sim.clear_fault(stalled);
        assert_eq!(used(&env), 0, "nothing is used that is not on disk");
        env.open().await;
        let run = env.run("Contact").await;
        let kilofold::model::Ending::Paused { code, reason, .. } = run.ending.unwrap() else {
            panic!("an answer that never came cannot be had again")
        };
        assert_eq!(code, "auth.reconnect");
        assert!(reason.contains("rotation"), "{reason}");
        lost += 1;
        env.consent("main").await;
        env.run_well("Contact").await;
        env.close();
    }
    assert_eq!(lost, 12);
}

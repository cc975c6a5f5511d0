//! Two weeks of schedules in which connections are lost and made again: no record is missed, no dead token is asked with
//! twice, every pause is explained and ends with its cause, and the ledger is the org's own log.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::VecDeque;
use std::time::Duration;

use kilofold::model::{Ending, Run, Stamp, Trigger};
use org_sim::{ClockMode, Loss, RequestClass};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::{Setup, TestEnv, connection};

const FIRST: &str = "integration@kilofold.example";
const SECOND: &str = "second@kilofold.example";

/// Each connection with its user.
const CONNECTIONS: [(&str, &str); 2] = [("main", FIRST), ("second", SECOND)];

/// Each sync, how many hours lie between its runs, and what it draws from.
const SYNCS: [(&str, u64, &str); 3] = [
    ("Contact", 3, "connection = [\"main\", \"second\"]"),
    ("Lead", 4, "connection = \"second\"\nfailover = true"),
    ("Task", 6, "connection = \"main\""),
];

const STARTS: &str = "2026-03-02T08:00:00Z";
const HOUR: u64 = 60 * 60;
const DAYS: u64 = 14;

/// By how much a run may be late for a sync whose last run was not paused.
const LATE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
enum Act {
    /// This user's approval ends at Salesforce.
    Lose(usize, Loss),
    /// Somebody connects again.
    Connect(usize),
}

/// When connections are lost and made again: each every two or three days, for a night or a day, and both at once in the
/// middle.
fn acts(start: Stamp, dice: &mut ChaCha8Rng) -> VecDeque<(Stamp, Act)> {
    let at = |seconds: u64| start.plus(Duration::from_secs(seconds));
    let mut acts = Vec::new();
    let mut outage = |lost: u64, one: usize, loss: Loss, dice: &mut ChaCha8Rng| {
        acts.push((at(lost), Act::Lose(one, loss)));
        acts.push((at(lost + dice.random_range(8 * HOUR..20 * HOUR)), Act::Connect(one)));
    };
    for one in 0..CONNECTIONS.len() {
        for week in 0..2 {
            let mut lost = week * 7 * 24 * HOUR + dice.random_range(12 * HOUR..30 * HOUR);
            for loss in [Loss::Revoked, Loss::PasswordChanged] {
                outage(lost, one, loss, dice);
                lost += dice.random_range(48 * HOUR..60 * HOUR);
            }
        }
        outage(6 * 24 * HOUR + 2 * HOUR, one, Loss::Revoked, dice);
    }
    acts.sort_by_key(|(at, _)| *at);
    acts.into()
}

/// What happened beside the runs.
#[derive(Default)]
struct Seen {
    losses: usize,
    connected: Vec<Stamp>,
}

impl Seen {
    async fn act(&mut self, env: &TestEnv, at: Stamp, act: Act) {
        match act {
            Act::Lose(one, loss) => {
                self.losses += env.sim.lose_approvals(Some(CONNECTIONS[one].1), loss);
            }
            Act::Connect(one) => {
                env.consent(CONNECTIONS[one].0).await;
                self.connected.push(at);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_lost_and_made_again_for_two_weeks() {
    let mut setup = Setup::new(&[("Contact", 500), ("Lead", 300), ("Task", 200)]);
    for (object, hours, draws) in SYNCS {
        let lines =
            format!("fields = [\"Id\", \"LastModifiedDate\"]\nevery = \"{hours}h\"\n{draws}");
        setup = setup.sync(object, "passthrough", &lines);
    }
    setup.grant = "code";
    setup.sim.rotate_refresh_tokens = true;
    setup.sim.require_pkce = true;
    setup.sim.more_usernames = vec![SECOND.to_owned()];
    setup.sim.clock = ClockMode::Fixed(STARTS.parse().unwrap());
    setup.connections = vec![connection("second", SECOND, "")];
    let mut env = setup.start().await;
    env.open_on_org_time().await;
    for (name, _) in CONNECTIONS {
        env.consent(name).await;
    }
    let start = Stamp::parse(STARTS).unwrap();
    let ends = start.plus(Duration::from_secs(DAYS * 24 * HOUR));
    let mut dice = ChaCha8Rng::seed_from_u64(3);
    let (mut acts, mut seen) = (acts(start, &mut dice), Seen::default());
    let planned = acts.len() / 2;
    let schedule = env.app().schedule().await.unwrap();
    let mut tended = None;
    for step in 0_usize.. {
        assert!(step < 3_000, "time stands still");
        // What is due now has ended before the clock moves on.
        schedule.look().await.unwrap();
        schedule.wait_idle().await.unwrap();
        let due = schedule.look().await.unwrap();
        let act = acts.front().map(|(at, _)| *at);
        let Some(next) = [due, act, tended].into_iter().flatten().min() else { break };
        // Then every sync is due twice more, and nothing changes any more.
        if next >= ends.plus(Duration::from_secs(16 * HOUR)) {
            break;
        }
        env.sim.set_clock(ClockMode::Fixed(next.timestamp()));
        while let Some((at, act)) = acts.pop_front_if(|(at, _)| *at <= next) {
            seen.act(&env, at, act).await;
        }
        // As the host does beside its schedule: the daily probe and the census.
        tended = env.app().org.tend().await;
        if next < ends {
            let (object, ..) = SYNCS[step % SYNCS.len()];
            let touched = env.touch(object, 5, step as u64);
            env.delete(object, &touched[..1]);
            env.insert(object, 2);
        }
        schedule.look().await.unwrap();
        schedule.wait_idle().await.unwrap();
    }
    schedule.stop().await;
    drop(schedule);

    assert_eq!(seen.losses, planned, "each loss found an approval");
    env.assert_mirrors_org(&SYNCS.map(|(object, ..)| object));
    env.assert_feed_holds();
    let pauses = SYNCS.map(|(object, hours, _)| runs(&env, object, hours, &seen));
    // Two weeks of runs, and the pool is paused only when both are lost, the sync that may move likewise.
    assert!(pauses[0] >= 1 && pauses[1] >= 1 && pauses[2] > pauses[0], "{pauses:?}");
    let moved = env.runs("Lead").into_iter().filter(|run| {
        run.connection.as_str() == "main"
            && run.notes.iter().any(|note| note.contains("instead of 'second'"))
    });
    assert!(moved.count() >= 2, "it went on with the other connection");
    // A dead token is asked with once, and once is enough.
    let refused = env
        .received(RequestClass::Token)
        .into_iter()
        .filter(|note| note.grant.as_deref() == Some("refresh_token") && note.status >= 400);
    let refused = refused.count();
    assert!((planned / 2..=planned).contains(&refused), "{refused} refusals of {planned} losses");
    let spent = env.assert_ledger_agrees_by_hour();
    assert!(spent > 250, "{spent} calls");
}

/// Every pause says why and ends when somebody connects; every other run is in time. Gives the number of pauses.
fn runs(env: &TestEnv, sync: &str, hours: u64, seen: &Seen) -> usize {
    let runs = env.runs(sync);
    assert!(runs.len() as u64 > DAYS * 24 / hours / 2, "{sync}: {} runs", runs.len());
    let paused = |run: &Run| match run.ending.as_ref().unwrap() {
        ending if ending.is_success() => false,
        Ending::Paused { code, reason, resumes_at: None } if code == "auth.reconnect" => {
            assert!(reason.contains("must be authorised again"), "{reason}");
            let told = ["revoked in Salesforce", "password was changed", "five-connection rule"];
            assert!(told.iter().any(|cause| reason.contains(cause)), "{reason}");
            true
        }
        other => panic!("{sync} run {}: {other:?}", run.id),
    };
    let interval = Duration::from_secs(hours * HOUR);
    for pair in runs.windows(2) {
        let (last, next) = (&pair[0], &pair[1]);
        if paused(last) {
            assert_eq!(next.trigger, Trigger::Resume, "{sync} run {}", next.id);
            let soon = |at: Stamp| at <= next.started && next.started.since(at) <= LATE;
            assert!(seen.connected.iter().any(|at| soon(*at)), "{sync} run {} resumes", next.id);
        } else {
            assert_eq!(next.trigger, Trigger::Schedule, "{sync} run {}", next.id);
            let gap = next.started.since(last.started);
            assert!(gap <= interval + LATE, "{sync} run {}: {gap:?}", next.id);
        }
        // What one run left is where the next one begins.
        assert_eq!(last.cursor_after, next.cursor_before, "{sync} run {}", next.id);
    }
    assert!(!paused(runs.last().unwrap()));
    runs.iter().filter(|run| paused(run)).count()
}

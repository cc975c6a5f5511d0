//! Two weeks of schedules in which calls are scarce: syncs of different priority and a first pass too big for one day share
//! a tight allowance, other applications spend in bursts, the org's count lags and is not always told, connections are lost
//! and made again, records change all the time. At the end no call was made past a rule, no record is missing, nobody
//! starved, every pause is explained, and the ledger is the org's own log.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use kilofold::error::explain;
use kilofold::model::{Ending, Run, Stamp, Trigger};
use kilofold::quota::Report;
use org_sim::{ClockMode, FaultKind, Loss, RequestClass, RequestNote, When};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use support::{Setup, TestEnv, connection};

/// A sync: minutes between its runs, records at the start, its priority, and what it draws from.
struct Plan(&'static str, u64, usize, i32, &'static str);

/// The most important regular one first. The first pass of the last one is too big for one day, and although it is the most
/// important of all it must not starve the others.
const SYNCS: [Plan; 4] = [
    Plan("Contact", 30, 300, 10, "connection = [\"main\", \"second\"]"),
    Plan("Account", 60, 300, 5, "connection = \"second\"\nfailover = true"),
    Plan("Task", 360, 200, 0, "connection = \"main\""),
    Plan("Lead", 120, 20_000, 20, "connection = [\"second\", \"main\"]"),
];

/// Each connection with its user.
const CONNECTIONS: [(&str, &str); 2] =
    [("main", "integration@kilofold.example"), ("second", "second@kilofold.example")];

const STARTS: &str = "2026-03-02T00:00:00Z";
const HOUR: u64 = 60 * 60;
const DAY: Duration = Duration::from_secs(24 * HOUR);
const DAYS: u64 = 14;

/// The org's day, and the rules.
const MAX: u64 = 1_000;
const RESERVE: u64 = 300;
const ALLOWANCE: u64 = 110;
const PER_RUN: u64 = 30;
/// Half of the allowance, which is the usual share.
const BACKFILL: u64 = ALLOWANCE / 2;

/// So many calls late Salesforce's count is told.
const LAG: u64 = 3;

/// As many requests as kilofold has under way at once: what is known when one is granted is at most that many behind.
const CONCURRENT: usize = 4;

/// A reading that is so old may be made new by one call, whatever is left.
const LOOK_EVERY: Duration = Duration::from_secs(15 * 60);

/// By how much a run may be late: the schedule's own jitter.
const LATE: Duration = Duration::from_secs(60);

/// When calls are free again it may be as long until a sync looks, and until a page too many of them has come.
const SLACK: Duration = Duration::from_secs(3 * HOUR);

/// How often the most important sync may be late in two weeks in which others spend everything five times and each connection
/// is lost three times.
const MOST_LATE: usize = 12;

#[derive(Debug, Clone, Copy)]
enum Act {
    /// This user's approval ends at Salesforce.
    Lose(usize, Loss),
    /// Somebody connects again.
    Connect(usize),
}

/// What happens without kilofold.
struct World {
    dice: ChaCha8Rng,
    /// The next hour, and how many were before.
    next: Stamp,
    hours: u64,
    acts: VecDeque<(Stamp, Act)>,
    /// What others have spent in all, by time.
    others: Vec<(Stamp, u64)>,
    /// When others had spent so much that nothing was left to kilofold.
    dry: Vec<(Stamp, Stamp)>,
    /// When no user's approval, or only one user's, stood.
    outages: Vec<(Stamp, Stamp)>,
    losses: usize,
    connected: Vec<Stamp>,
}

impl World {
    /// Each connection is lost three times, for some hours; once both at the same time.
    fn new(start: Stamp) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(8);
        let at = |hours: u64| start.plus(Duration::from_secs(hours * HOUR));
        let (mut acts, mut outages) = (Vec::new(), Vec::new());
        for (one, lost) in [(0, 40), (1, 75), (0, 150), (1, 152), (0, 255), (1, 290)] {
            let loss = if dice.random_bool(0.5) { Loss::Revoked } else { Loss::PasswordChanged };
            let found = lost + dice.random_range(7..15);
            acts.push((at(lost), Act::Lose(one, loss)));
            acts.push((at(found), Act::Connect(one)));
            outages.push((at(lost), at(found)));
        }
        acts.sort_by_key(|(at, _)| *at);
        Self {
            dice,
            next: start,
            hours: 0,
            acts: acts.into(),
            others: Vec::new(),
            dry: Vec::new(),
            outages,
            losses: 0,
            connected: Vec::new(),
        }
    }

    /// When something happens next.
    fn due(&self) -> Stamp {
        self.acts.front().map_or(self.next, |(at, _)| self.next.min(*at))
    }

    /// Lets everything happen that is due at this time.
    async fn live(&mut self, env: &TestEnv, now: Stamp, busy: bool) {
        while let Some((_, act)) = self.acts.pop_front_if(|(at, _)| *at <= now) {
            match act {
                Act::Lose(one, loss) => {
                    self.losses += env.sim.lose_approvals(Some(CONNECTIONS[one].1), loss);
                }
                Act::Connect(one) => {
                    env.consent(CONNECTIONS[one].0).await;
                    self.connected.push(now);
                }
            }
        }
        if self.next > now {
            return;
        }
        if busy {
            self.hour(env, now);
        }
        self.hours += 1;
        self.next = self.next.plus(Duration::from_secs(HOUR));
    }

    fn hour(&mut self, env: &TestEnv, now: Stamp) {
        // Every third night somebody's export takes half of what the org has, and once more than all of it.
        let (day, hour) = (self.hours / 24, self.hours % 24);
        let calls = match (day, hour) {
            (10, 2) => 900,
            (_, 2) if day % 3 == 1 => 430,
            _ => self.dice.random_range(5..15),
        };
        if calls > 100 {
            self.dry.push((now, now.plus(DAY)));
        }
        env.sim.consume_calls(calls);
        let before = self.others.last().map_or(0, |(_, sum)| *sum);
        self.others.push((now, before + calls));
        let seed = self.dice.random();
        for Plan(object, ..) in SYNCS {
            let touched = env.touch(object, self.dice.random_range(0..25), seed);
            if let Some(first) = touched.first().filter(|_| self.dice.random_bool(0.2)) {
                env.delete(object, std::slice::from_ref(first));
            }
            env.insert(object, self.dice.random_range(0..3));
        }
    }

    /// What others had spent in all by then.
    fn others_by(&self, at: Stamp) -> u64 {
        let after = self.others.partition_point(|(then, _)| *then <= at);
        after.checked_sub(1).map_or(0, |place| self.others[place].1)
    }
}

/// How much of a time lies outside of others.
fn beside(from: Stamp, to: Stamp, others: &[&(Stamp, Stamp)]) -> Duration {
    let mut others = others.to_vec();
    others.sort();
    let (mut free, mut begins) = (Duration::ZERO, from);
    for (start, end) in others {
        free += (*start).min(to).since(begins);
        begins = begins.max(*end);
    }
    free + to.since(begins)
}

fn at(note: &RequestNote) -> Stamp {
    Stamp(note.at.as_millisecond())
}

/// The rules, call by call, as the org saw them. Gives how many calls only looked whether there is more than the reserve.
fn rules_held(world: &World, notes: &[RequestNote]) -> usize {
    let (mut looked, mut looks) = (None, 0);
    for (n, note) in notes.iter().enumerate() {
        let now = at(note);
        let before = notes[..=n].iter().rev().take_while(|other| now.since(at(other)) < DAY);
        assert!(before.count() as u64 <= ALLOWANCE, "past the allowance at {now}");
        // What the last answer but those under way told.
        let told = |note: &&RequestNote| {
            note.status < 400 && !note.faults.iter().any(|fault| fault.contains("limit_header"))
        };
        let known = notes[..(n + 1).saturating_sub(CONCURRENT)].iter().rev().find(told).map(at);
        // The reserve is touched by no more than what others spent since the last reading, and its lag.
        let unseen = world.others_by(now) - known.map_or(0, |known| world.others_by(known)) + LAG;
        let used = note.used.unwrap();
        if used > MAX - RESERVE + unseen {
            let fresh = |then: Option<Stamp>| then.is_some_and(|then| now.since(then) < LOOK_EVERY);
            assert!(note.class == RequestClass::Limits, "{used} calls at {now}, {unseen} unseen");
            assert!(!fresh(known) && !fresh(looked), "a needless look at {now}");
            (looked, looks) = (Some(now), looks + 1);
        }
    }
    looks
}

/// First passes spend no more than their share in any 24 hours, and at least half of it in each whole day in which nothing
/// but regular runs was in their way. Gives how many such days there were.
fn first_passes_went_on(env: &TestEnv, world: &World) -> usize {
    let mut first: Vec<Run> = SYNCS.iter().flat_map(|Plan(object, ..)| env.runs(object)).collect();
    first.retain(|run| run.cursor_before.covered.is_none());
    first.sort_by_key(|run| run.started);
    let spent = |from: Stamp, to: Stamp| -> u64 {
        let within = |run: &&Run| run.started >= from && run.started < to;
        first.iter().filter(within).map(|run| run.calls).sum()
    };
    let begins = first[0].started;
    let ends = first.iter().filter_map(|run| run.ended).max().unwrap();
    for run in &first {
        let (moment, now) = (Duration::from_millis(1), run.started);
        let calls = spent(now.minus(DAY).plus(moment), now.plus(moment));
        assert!(calls <= BACKFILL, "{calls} calls of first passes in the day to {now}");
    }
    let (mut from, mut days) = (begins, 0);
    while from.plus(DAY) <= ends {
        let to = from.plus(DAY);
        if !world.dry.iter().any(|(start, end)| *start < to && *end > from) {
            let calls = spent(from, to);
            assert!(calls >= BACKFILL / 2, "{calls} calls of first passes in the day from {from}");
            days += 1;
        }
        from = to;
    }
    days
}

/// How a sync fared.
#[derive(Debug)]
struct Fared {
    /// Pauses by their code.
    pauses: BTreeMap<String, usize>,
    /// The longest time from one success to the next, but for times in which there were no calls for anybody or a connection
    /// was lost.
    longest: Duration,
    /// How many successes came later after the one before than the schedule says.
    late: usize,
}

/// Every pause says why and until when, and ends then; every other run is in time, and what one left is where the next begins.
fn fared(runs: &[Run], minutes: u64, to: Stamp, world: &World) -> Fared {
    let interval = Duration::from_secs(60 * minutes);
    let mut pauses = BTreeMap::<String, usize>::new();
    for (run, next) in runs.iter().zip(runs.iter().skip(1).map(Some).chain([None])) {
        let who = format!("{} run {}", run.sync, run.id);
        assert!(run.calls <= PER_RUN, "{} calls in {who}", run.calls);
        match run.ending.as_ref().unwrap() {
            Ending::Paused { code, reason, resumes_at } => {
                *pauses.entry(code.clone()).or_default() += 1;
                assert!(explain(code).is_some() && !reason.is_empty(), "{who}: {code}");
                let Some(next) = next else { continue };
                assert_eq!(next.cursor_before, run.cursor_after, "{who}");
                let soon = |at: Stamp| at <= next.started && next.started.since(at) <= LATE;
                match resumes_at {
                    Some(at) => {
                        assert!(
                            code.starts_with("limit.") && *at >= run.started,
                            "{who}: {code} {at}"
                        );
                        assert_eq!(next.trigger, Trigger::Resume, "{who}");
                        assert!(soon(*at), "{who} was to go on at {at}, not {}", next.started);
                    }
                    None if code == "limit.run" => assert!(soon(run.started.plus(interval))),
                    None => {
                        assert_eq!(code, "auth.reconnect", "{who}");
                        assert_eq!(next.trigger, Trigger::Resume, "{who}");
                        assert!(world.connected.iter().any(|at| soon(*at)), "{who}");
                    }
                }
            }
            ending => {
                assert!(ending.is_success(), "{who}: {ending:?}");
                let Some(next) = next else { continue };
                assert_eq!(next.trigger, Trigger::Schedule, "after {who}");
                assert!(next.started.since(run.started) <= interval + LATE, "after {who}");
                assert_eq!(next.cursor_before, run.cursor_after, "{who}");
            }
        }
    }
    let ended = runs.iter().filter(|run| run.ending.as_ref().unwrap().is_success());
    let times: Vec<Stamp> = ended.map(|run| run.ended.unwrap()).chain([to]).collect();
    let troubles: Vec<&(Stamp, Stamp)> = world.dry.iter().chain(&world.outages).collect();
    let gaps = || times.windows(2).map(|pair| (pair[0], pair[1]));
    Fared {
        pauses,
        longest: gaps().map(|(from, to)| beside(from, to, &troubles)).max().unwrap(),
        late: gaps().filter(|(from, to)| to.since(*from) > interval + LATE).count(),
    }
}

/// What is kept back fits into what may be spent.
fn feasible(report: &Report) {
    let floors: u64 = report.kept.iter().map(|kept| kept.claim.floor).sum();
    let others = report.org.used.saturating_sub(report.spent.day);
    assert!(floors <= report.caps.room(others), "{report:?}");
}

fn setup() -> Setup {
    let mut setup = Setup::new(&SYNCS.map(|Plan(object, _, records, ..)| (object, records)));
    for Plan(object, minutes, _, priority, draws) in SYNCS {
        let lines = format!(
            "fields = [\"LastModifiedDate\"]\npage_size = 200\nevery = \"{minutes}m\"\npriority = {priority}\n{draws}"
        );
        setup = setup.sync(object, "passthrough", &lines);
    }
    setup.quota = format!("allowance = {ALLOWANCE}\nreserve = {RESERVE}\nper_run = {PER_RUN}");
    setup.grant = "code";
    setup.connections = vec![connection("second", CONNECTIONS[1].1, "")];
    setup.sim.rotate_refresh_tokens = true;
    setup.sim.require_pkce = true;
    setup.sim.more_usernames = vec![CONNECTIONS[1].1.to_owned()];
    setup.sim.daily_limit = MAX;
    setup.sim.limit_header_lag = LAG;
    setup.sim.access_token_life = Duration::from_secs(13 * HOUR);
    setup.sim.clock = ClockMode::Fixed(STARTS.parse().unwrap());
    setup
}

#[tokio::test(flavor = "multi_thread")]
async fn two_weeks_of_a_tight_allowance() {
    let mut env = setup().start().await;
    env.open_on_org_time().await;
    for (name, _) in CONNECTIONS {
        env.consent(name).await;
    }
    env.fault_when(RequestClass::Query, FaultKind::LimitHeaderMissing, When::Nth(9));
    let start = Stamp::parse(STARTS).unwrap();
    let ends = start.plus(DAY * u32::try_from(DAYS).unwrap());
    // Then every sync is due often enough to catch up, and nothing changes any more.
    let over = ends.plus(DAY * 2);
    let mut world = World::new(start);
    let planned = world.acts.len() / 2;
    let schedule = env.app().schedule().await.unwrap();
    let mut tended = None;
    for step in 0_usize.. {
        assert!(step < 6_000, "time stands still");
        // What is due now has ended before the clock moves on.
        schedule.look().await.unwrap();
        schedule.wait_idle().await.unwrap();
        let due = schedule.look().await.unwrap();
        let next = [due, tended].into_iter().flatten().fold(world.due(), Stamp::min);
        if next >= over {
            break;
        }
        env.sim.set_clock(ClockMode::Fixed(next.timestamp()));
        world.live(&env, next, next < ends).await;
        // As the host does beside its schedule: the daily probe and the census.
        tended = env.app().org.tend().await;
        feasible(&env.app().org.gate().report());
    }
    schedule.stop().await;
    drop(schedule);

    assert_eq!(world.losses, planned, "each loss found an approval");
    let notes: Vec<RequestNote> =
        env.sim.requests().into_iter().filter(|note| note.counted).collect();
    let looks = rules_held(&world, &notes);
    let spent = env.assert_ledger_agrees_by_hour();
    env.assert_mirrors_org(&SYNCS.map(|Plan(object, ..)| object));
    env.assert_feed_holds();

    // Nobody starves: each ends a run within a day and its interval.
    let mut pauses = BTreeMap::<String, usize>::new();
    let mut fates = Vec::new();
    for Plan(object, minutes, ..) in SYNCS {
        let fate = fared(&env.runs(object), minutes, over, &world);
        assert!(
            fate.longest <= DAY + Duration::from_secs(60 * minutes) + SLACK,
            "{object}: {fate:?}"
        );
        for (code, times) in &fate.pauses {
            *pauses.entry(code.clone()).or_default() += times;
        }
        fates.push(fate);
    }
    // The most important regular one is in time but for those troubles, the less important ones give way to it, and a first
    // pass goes on beside them.
    let [contact, account, task, _] = &fates[..] else { panic!() };
    assert!(contact.late <= MOST_LATE && contact.longest <= SLACK, "{contact:?}");
    let gave_way = |fate: &Fared| fate.pauses["limit.priority"];
    assert!(gave_way(account) > gave_way(contact) && gave_way(task) > gave_way(contact));
    let days = first_passes_went_on(&env, &world);
    assert!(days >= 2, "{days} days of a first pass without other trouble");
    // Every trouble was met.
    for code in ["auth.reconnect", "limit.daily", "limit.priority", "limit.reserve"] {
        assert!(pauses.get(code).is_some_and(|times| *times > 1), "{code}: {pauses:?}");
    }
    assert!(spent > 1_000, "{spent} calls, {looks} of them looks");
}

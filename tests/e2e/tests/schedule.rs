//! Syncs on their schedules, in a host that is stopped and started again.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use kilofold::events::Event;
use kilofold::model::{Cursor, Ending, Stamp, Trigger};
use kilofold::schedule::State;
use kilofold::store::NewRun;
use org_sim::ClockMode;
use support::{Setup, TestEnv, name};

const SYNCS: [&str; 3] = ["Contact", "Lead", "Task"];

/// Far longer than anything here takes, so that a hang is a failure and not a wait.
const PATIENCE: Duration = Duration::from_secs(100);

async fn ticking(lines: &str) -> TestEnv {
    let mut setup = Setup::new(&[("Contact", 900), ("Lead", 600), ("Task", 500)]);
    for object in SYNCS {
        let fields = "fields = [\"Id\", \"LastModifiedDate\"]";
        setup = setup.sync(object, "passthrough", &format!("{fields}\n{lines}"));
    }
    setup.open().await
}

#[tokio::test(flavor = "multi_thread")]
async fn follows_an_org_that_keeps_changing() {
    let mut env = ticking("every = \"1s\"").await;
    let mut events = env.app().bus.subscribe();
    let schedule = env.app().schedule().await.unwrap();
    let follow = async {
        let mut changed = BTreeMap::<String, Stamp>::new();
        let (mut rounds, mut behind) = (0, SYNCS.len());
        while behind > 0 {
            let told = events.recv().await.unwrap();
            let Event::RunEnded { sync, ending, run, .. } = &told.event else { continue };
            assert!(ending.is_success(), "{sync}: {ending:?}");
            if rounds < 12 {
                let object = SYNCS[rounds % 3];
                let touched = env.touch(object, 9, rounds as u64);
                env.delete(object, &touched[..2]);
                env.insert(object, 3);
                changed.insert(object.to_owned(), Stamp(env.sim.now().as_millisecond()));
                rounds += 1;
                continue;
            }
            // A run has seen the last change when its window reaches behind it.
            let to = env.store().run(*run).unwrap().unwrap().window.unwrap().to;
            if changed.get(sync.as_str()).is_some_and(|at| to >= *at) {
                changed.remove(sync.as_str());
                behind -= 1;
            }
        }
    };
    tokio::time::timeout(PATIENCE, follow).await.unwrap();
    schedule.stop().await;
    env.assert_mirrors_org(&SYNCS);
    env.assert_feed_holds();
    env.assert_ledger_agrees();
    for sync in SYNCS {
        let runs = env.runs(sync);
        assert!(runs.len() >= 2 && runs.iter().all(|run| run.trigger == Trigger::Schedule));
        // One after the other.
        assert!(runs.windows(2).all(|pair| pair[1].started >= pair[0].ended.unwrap()));
    }
    env.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_survives_a_restart() {
    let mut env = ticking("every = \"1h\"").await;
    let contact = name("Contact");
    let schedule = env.app().schedule().await.unwrap();
    schedule.wait_idle().await.unwrap();
    schedule.pause(&contact).await.unwrap();
    schedule.stop().await;
    drop(schedule);
    let ran = env.runs("Contact").len();
    assert_eq!(ran, 1);

    env.open().await;
    assert!(env.store().pause(&contact).unwrap().is_some());
    let schedule = env.app().schedule().await.unwrap();
    let status = schedule.status().await.unwrap();
    assert_eq!(status[0].state, State::Paused);
    assert_ne!(status[1].state, State::Paused);
    schedule.wait_idle().await.unwrap();
    assert_eq!(env.runs("Contact").len(), ran);
    schedule.resume(&contact).await.unwrap();
    schedule.run_now(&contact).await.unwrap();
    schedule.wait_idle().await.unwrap();
    schedule.stop().await;
    assert!(env.runs("Contact").len() > ran);
    assert!(env.store().pause(&contact).unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_keeps_the_place() {
    let mut env = Setup::new(&[("Contact", 6_000)])
        .sync("Contact", "passthrough", "fields = [\"LastName\"]\npage_size = 200\nevery = \"1h\"")
        .open()
        .await;
    // A page takes long enough that the stop comes in the middle.
    env.sim.set_latency(Duration::from_millis(40));
    let mut events = env.app().bus.subscribe();
    let schedule = env.app().schedule().await.unwrap();
    let committed = async {
        while !matches!(events.recv().await.unwrap().event, Event::BatchCommitted { page: 1, .. }) {
        }
    };
    tokio::time::timeout(PATIENCE, committed).await.unwrap();
    schedule.stop().await;
    drop(schedule);
    let run = env.last_run("Contact");
    assert_eq!(run.ending, Some(Ending::Interrupted));
    assert!(run.pages >= 2 && run.counts.fetched == run.pages * 200 && run.counts.fetched < 6_000);
    let open = run.cursor_after.open.unwrap();
    let last = env.records("Contact").pop().unwrap();
    assert_eq!(open.at.unwrap().id, last.id);
    assert_eq!(env.records("Contact").len() as u64, run.counts.fetched);

    // The next host goes on by itself.
    env.sim.set_latency(Duration::ZERO);
    env.open().await;
    let schedule = env.app().schedule().await.unwrap();
    schedule.wait_idle().await.unwrap();
    schedule.stop().await;
    drop(schedule);
    let run = env.last_run("Contact");
    assert_eq!((run.trigger, &run.ending), (Trigger::Resume, &Some(Ending::Succeeded)));
    env.assert_no_committed_page_again("Contact");
    env.assert_mirrors_org(&["Contact"]);
    env.assert_feed_holds();
    env.assert_ledger_within(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn missed_ticks_run_once() {
    let env = ticking("every = \"10m\"").await;
    for sync in env.config().syncs {
        let started = Stamp::now().minus(Duration::from_secs(24 * 3600));
        let run = NewRun {
            sync: sync.name.clone(),
            object: sync.object.clone(),
            connection: sync.connections.first.clone(),
            trigger: Trigger::Schedule,
            started,
            cursor_before: Cursor::default(),
            plugin: None,
            quota_before: None,
        };
        let run = env.store().begin_run(run).unwrap();
        env.store().end_run(run.id, Ending::Succeeded, started, |_| ()).unwrap();
    }
    let schedule = env.app().schedule().await.unwrap();
    schedule.wait_idle().await.unwrap();
    let soon = Stamp::now().plus(Duration::from_secs(300));
    for status in schedule.status().await.unwrap() {
        assert!(status.next_due.unwrap() > soon, "{status:?}");
        // 144 ticks were missed.
        assert_eq!(env.runs(status.name.as_str()).len(), 2);
    }
    schedule.stop().await;
    env.assert_mirrors_org(&SYNCS);
}

/// Four days in which Berlin's clocks are set forward, on a clock that jumps from one due time to the next.
#[tokio::test(flavor = "multi_thread")]
async fn cron_keeps_to_the_clock_on_the_wall() {
    let starts = "2026-03-27T00:00:00+01:00";
    let fields = "fields = [\"LastName\"]\ntime_zone = \"Europe/Berlin\"\n";
    let mut setup = Setup::new(&[("Contact", 40), ("Lead", 40), ("Task", 0)])
        .sync("Contact", "passthrough", &format!("{fields}cron = \"0 6 * * 1-5\""))
        .sync("Lead", "passthrough", &format!("{fields}cron = \"30 2 * * *\""));
    setup.sim.clock = ClockMode::Fixed(starts.parse().unwrap());
    let mut env = setup.start().await;
    env.open_on_org_time().await;
    let schedule = env.app().schedule().await.unwrap();
    let ends = Stamp::parse("2026-03-31T00:00:00+02:00").unwrap();
    while let Some(next) = schedule.look().await.unwrap().filter(|next| *next < ends) {
        env.sim.set_clock(ClockMode::Fixed(next.timestamp()));
        env.touch("Contact", 3, 1);
        schedule.look().await.unwrap();
        schedule.wait_idle().await.unwrap();
    }
    schedule.stop().await;
    let berlin = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let started = |sync: &str| -> Vec<String> {
        let at = |run: &kilofold::model::Run| {
            assert_eq!((&run.ending, run.trigger), (&Some(Ending::Succeeded), Trigger::Schedule));
            run.started
                .timestamp()
                .to_zoned_datetime(berlin.clone())
                .strftime("%a %H:%M")
                .to_string()
        };
        env.runs(sync).iter().map(at).collect()
    };
    // At the time, put off by up to 30 seconds.
    assert_eq!(started("Contact"), ["Fri 06:00", "Mon 06:00"]);
    // There is no half past two on Sunday: it runs when that hour has been skipped.
    assert_eq!(started("Lead"), ["Fri 02:30", "Sat 02:30", "Sun 03:00", "Mon 02:30"]);
}

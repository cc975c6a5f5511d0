//! The task with a fake runner, on tokio's paused clock.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::*;

const START: Stamp = Stamp(1_700_000_000_000);

#[derive(Default)]
struct Pauses(Mutex<BTreeSet<SyncName>>);

impl PauseStore for Pauses {
    fn load(&self) -> Result<Vec<SyncName>, String> {
        Ok(self.0.lock().unwrap().iter().cloned().collect())
    }
    fn set(&self, sync: &SyncName, paused: bool) -> Result<(), String> {
        let mut set = self.0.lock().unwrap();
        if paused {
            set.insert(sync.clone())
        } else {
            set.remove(sync)
        };
        Ok(())
    }
}

/// Runs for as long as it is told, and notes what it sees.
struct Fake {
    takes: Duration,
    clock: Clock,
    bus: Bus,
    seen: Mutex<Seen>,
    endings: Mutex<Vec<Ending>>,
    began: Notify,
    connected: AtomicBool,
    quiet: AtomicBool,
}

#[derive(Default)]
struct Seen {
    started: Vec<(String, Trigger, Stamp)>,
    running: Vec<SyncName>,
    most: usize,
    overlapped: bool,
    cancelled: usize,
    runs: u64,
    groups: Vec<Vec<SyncName>>,
}

impl Runner for Fake {
    fn run<'a>(
        &'a self,
        sync: &'a SyncName,
        work: Work,
        cancel: CancellationToken,
    ) -> BoxFuture<'a, RunResult> {
        Box::pin(async move {
            let trigger = match work {
                Work::Read(trigger) => trigger,
                Work::Remap(_) => Trigger::Remap,
                Work::Retry(_) => Trigger::Retry,
            };
            let run = {
                let mut seen = self.seen.lock().unwrap();
                seen.overlapped |= seen.running.contains(sync);
                seen.running.push(sync.clone());
                seen.most = seen.most.max(seen.running.len());
                seen.started.push((sync.to_string(), trigger, self.clock.now()));
                seen.runs += 1;
                RunId(seen.runs)
            };
            self.bus.emit(crate::events::Event::RunStarted {
                run,
                sync: sync.clone(),
                object: "Contact".into(),
                trigger,
            });
            self.began.notify_one();
            assert_ne!(sync.as_str(), "panics", "on purpose");
            let cancelled = tokio::select! {
                () = tokio::time::sleep(self.takes) => false,
                () = cancel.cancelled() => true,
            };
            if cancelled {
                // The batch in hand.
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            let mut seen = self.seen.lock().unwrap();
            seen.cancelled += usize::from(cancelled);
            seen.running.retain(|other| other != sync);
            let ended = match self.endings.lock().unwrap().pop() {
                _ if cancelled => Ending::Interrupted,
                Some(ending) => ending,
                None => Ending::Succeeded,
            };
            let paused = match &ended {
                Ending::Failed { code, .. } if code == "plugin.too-many-traps" => {
                    Some(code.clone())
                }
                _ => None,
            };
            RunResult { ended, run: Some(run), paused, quiet: self.quiet.load(Ordering::SeqCst) }
        })
    }

    fn ready(&self, _: &SyncName) -> bool {
        self.connected.load(Ordering::SeqCst)
    }

    fn together(&self, syncs: &[SyncName]) {
        self.seen.lock().unwrap().groups.push(syncs.to_vec());
    }
}

struct World {
    handle: Handle,
    fake: Arc<Fake>,
    pauses: Arc<Pauses>,
    clock: Clock,
}

fn job(name: &str, seconds: u64) -> Job {
    Job {
        name: SyncName::new(name).unwrap(),
        object: "Contact".into(),
        when: When::Every(Duration::from_secs(seconds)),
        priority: 0,
        enabled: true,
        timeout: None,
        last: None,
        left: None,
    }
}

fn sync(name: &str) -> SyncName {
    SyncName::new(name).unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn world(jobs: Vec<Job>, takes: Duration, concurrency: usize) -> World {
    world_with(jobs, takes, concurrency, Vec::new(), Arc::default()).await
}

async fn world_with(
    jobs: Vec<Job>,
    takes: Duration,
    concurrency: usize,
    endings: Vec<Ending>,
    pauses: Arc<Pauses>,
) -> World {
    let origin = Instant::now();
    let clock = Clock::new(move || START.plus(origin.elapsed()));
    let bus = Bus::new();
    let fake = Arc::new(Fake {
        takes,
        clock: clock.clone(),
        bus: bus.clone(),
        seen: Mutex::default(),
        endings: Mutex::new(endings),
        began: Notify::new(),
        connected: AtomicBool::new(false),
        quiet: AtomicBool::new(false),
    });
    let options = Options { concurrency, seed: 7, clock: clock.clone() };
    let handle = Scheduler::start(jobs, fake.clone(), pauses.clone(), bus, options).await.unwrap();
    World { handle, fake, pauses, clock }
}

impl World {
    fn starts(&self, name: &str) -> Vec<(Trigger, u64)> {
        let seen = self.fake.seen.lock().unwrap();
        let own = seen.started.iter().filter(|(sync, ..)| sync == name);
        own.map(|(_, trigger, at)| (*trigger, at.since(START).as_secs())).collect()
    }

    async fn state(&self, name: &str) -> State {
        let all = self.handle.status().await.unwrap();
        all.into_iter().find(|status| status.name.as_str() == name).unwrap().state
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_run_never_overlaps_itself_and_misses_ticks_once() {
    let world = world(vec![job("slow", 60)], seconds(200), 4).await;
    tokio::time::sleep(seconds(990)).await;
    world.handle.stop().await;
    let seen = world.fake.seen.lock().unwrap();
    assert!(!seen.overlapped);
    // Three ticks pass in each run; one run follows, at once.
    assert_eq!(seen.started.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn the_bound_holds_across_syncs() {
    let jobs = (0..7).map(|i| job(&format!("s{i}"), 100)).collect();
    let world = world(jobs, seconds(10), 3).await;
    tokio::time::sleep(seconds(1000)).await;
    world.handle.stop().await;
    let seen = world.fake.seen.lock().unwrap();
    assert_eq!(seen.most, 3);
    assert!(!seen.overlapped);
    let count = |name: &str| seen.started.iter().filter(|(sync, ..)| sync == name).count();
    for i in 0..7 {
        assert!(count(&format!("s{i}")) >= 8, "s{i} ran {} times", count(&format!("s{i}")));
    }
}

#[tokio::test(start_paused = true)]
async fn idle_syncs_fall_together_and_take_one_place() {
    let mut jobs: Vec<Job> = (0..6).map(|i| job(&format!("s{i}"), 1000)).collect();
    jobs[5].priority = 1;
    let world = world(jobs, seconds(2), 1).await;
    world.fake.quiet.store(true, Ordering::SeqCst);
    // One after the other at first, since each might find much.
    tokio::time::sleep(seconds(900)).await;
    assert_eq!(world.fake.seen.lock().unwrap().most, 1);
    tokio::time::sleep(seconds(1000)).await;
    {
        let seen = world.fake.seen.lock().unwrap();
        assert_eq!((seen.groups.len(), seen.groups[0].len(), seen.most), (1, 5, 5));
        assert_eq!(seen.started.len(), 12);
        let at = |sync: &SyncName| {
            seen.started.iter().rfind(|(name, ..)| name == sync.as_str()).unwrap().2
        };
        assert!(seen.groups[0].iter().all(|sync| at(sync) == at(&seen.groups[0][0])));
        assert!(seen.groups[0].contains(&sync("s5")), "the important one is taken along");
    }
    // Of those that find much, each has its own place again.
    world.fake.quiet.store(false, Ordering::SeqCst);
    tokio::time::sleep(seconds(2100)).await;
    assert!(world.fake.seen.lock().unwrap().groups.len() <= 2);
    world.handle.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_waits_for_the_rest_of_the_interval() {
    let last = |ending: Ending| {
        let started = START.minus(seconds(60));
        Some(LastRun { run: Some(RunId(1)), ending, started, ended: started, quiet: false })
    };
    let mut fresh = job("fresh", 900);
    fresh.last = last(Ending::Succeeded);
    let mut broken = job("broken", 900);
    broken.last = last(Ending::Interrupted);
    let world = world(vec![fresh, broken, job("new", 900)], seconds(1), 4).await;
    world.handle.wait_idle().await.unwrap();
    assert_eq!(world.starts("fresh"), []);
    assert_eq!(world.starts("broken"), [(Trigger::Resume, 0)]);
    assert_eq!(world.starts("new"), [(Trigger::Schedule, 0)]);
    tokio::time::sleep(seconds(890)).await;
    let starts = world.starts("fresh");
    assert_eq!(starts.len(), 1);
    assert!((840..=870).contains(&starts[0].1), "{starts:?}");
}

#[tokio::test(start_paused = true)]
async fn runs_when_asked_and_says_why_not() {
    let mut off = job("off", 60);
    off.enabled = false;
    let mut by_hand = job("hand", 60);
    by_hand.when = When::Manual;
    let mut other = job("other", 60);
    other.when = When::Manual;
    let world = world(vec![off, by_hand, other], seconds(5), 1).await;
    let handle = &world.handle;
    tokio::time::sleep(seconds(500)).await;
    assert_eq!(world.starts("hand"), []);
    assert_eq!(handle.run_now(&sync("hand")).await, Ok(Asked::Started));
    assert_eq!(handle.run_now(&sync("other")).await, Ok(Asked::Queued));
    assert_eq!(world.state("other").await, State::Due);
    assert_eq!(handle.run_now(&sync("hand")).await, Err(Error::Running(sync("hand"))));
    assert_eq!(handle.run_now(&sync("other")).await, Err(Error::Running(sync("other"))));
    assert_eq!(handle.run_now(&sync("off")).await, Err(Error::Disabled(sync("off"))));
    assert_eq!(handle.run_now(&sync("none")).await, Err(Error::Unknown(sync("none"))));
    handle.wait_idle().await.unwrap();
    assert_eq!(world.starts("hand"), [(Trigger::Manual, 500)]);
    assert_eq!(world.starts("other"), [(Trigger::Manual, 505)]);
    assert_eq!(world.starts("off"), []);
    handle.stop().await;
    assert_eq!(handle.run_now(&sync("hand")).await, Err(Error::Stopped));
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_the_run_after_its_batch_and_survives_a_restart() {
    let world = world(vec![job("a", 60), job("b", 60)], seconds(30), 4).await;
    world.fake.began.notified().await;
    world.handle.pause(&sync("a")).await.unwrap();
    world.handle.wait_idle().await.unwrap();
    assert_eq!(world.fake.seen.lock().unwrap().cancelled, 1);
    assert_eq!(world.state("a").await, State::Paused);
    assert_eq!(world.handle.run_now(&sync("a")).await, Err(Error::Paused(sync("a"))));
    world.handle.stop().await;

    let pauses = world.pauses.clone();
    let jobs = vec![job("a", 60), job("b", 60)];
    let world = world_with(jobs, seconds(1), 4, Vec::new(), pauses).await;
    tokio::time::sleep(seconds(200)).await;
    assert_eq!(world.starts("a"), []);
    assert!(world.starts("b").len() >= 3);
    world.handle.resume(&sync("a")).await.unwrap();
    world.handle.wait_idle().await.unwrap();
    assert_eq!(world.starts("a").len(), 1);
    assert!(world.pauses.load().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn goes_on_after_a_limit_at_the_time_that_was_said() {
    let until = START.plus(seconds(5000));
    let ending = Ending::Paused {
        code: "limit.daily".into(),
        reason: "the org's day is spent".into(),
        resumes_at: Some(until),
    };
    let world = world_with(vec![job("a", 60)], seconds(1), 4, vec![ending], Arc::default()).await;
    world.handle.wait_idle().await.unwrap();
    assert_eq!(world.state("a").await, State::LimitPaused { until: Some(until) });
    tokio::time::sleep(seconds(5010)).await;
    assert_eq!(world.starts("a")[..2], [(Trigger::Schedule, 0), (Trigger::Resume, 5000)]);
}

#[tokio::test(start_paused = true)]
async fn waits_for_a_connection_and_goes_on_at_once() {
    let lost = Ending::Paused {
        code: "auth.reconnect".into(),
        reason: "revoked".into(),
        resumes_at: None,
    };
    let manual = Job { when: When::Manual, ..job("b", 60) };
    let endings = vec![lost.clone(), lost.clone()];
    let world =
        world_with(vec![job("a", 60), manual], seconds(1), 4, endings, Arc::default()).await;
    world.handle.run_now(&sync("b")).await.unwrap();
    world.handle.wait_idle().await.unwrap();
    tokio::time::sleep(seconds(100_000)).await;
    for name in ["a", "b"] {
        assert_eq!(world.state(name).await, State::AwaitingConnection);
        assert_eq!(world.starts(name).len(), 1, "not started while it is lost");
    }
    assert_eq!(world.handle.look().await.unwrap(), None);
    let before = world.clock.now();
    world.fake.connected.store(true, Ordering::SeqCst);
    // As the org tells it; without any word it is noticed within half a minute.
    world.fake.bus.emit(crate::events::Event::ConnectionChanged {
        connection: crate::model::ConnectionName::new("main").unwrap(),
        state: "healthy".into(),
        reason: None,
    });
    tokio::task::yield_now().await;
    world.handle.wait_idle().await.unwrap();
    assert!(world.clock.now().since(before) < seconds(3));
    for name in ["a", "b"] {
        assert_eq!(world.starts(name)[1].0, Trigger::Resume);
    }
    // A sync that was asked for by hand goes back to sleep.
    assert_eq!(world.state("b").await, State::Idle);
    tokio::time::sleep(seconds(70)).await;
    assert!(world.starts("a").len() > 2 && world.starts("b").len() == 2);
}

#[tokio::test(start_paused = true)]
async fn a_new_host_goes_on_when_the_connection_came_back_meanwhile() {
    let mut waiting = job("a", 1_000_000);
    waiting.last = Some(LastRun {
        run: Some(RunId(7)),
        ending: Ending::Paused {
            code: "auth.not-connected".into(),
            reason: "x".into(),
            resumes_at: None,
        },
        started: START.minus(seconds(50)),
        ended: START.minus(seconds(40)),
        quiet: false,
    });
    let world = world(vec![waiting], seconds(1), 4).await;
    world.handle.wait_idle().await.unwrap();
    assert_eq!(world.starts("a"), []);
    world.fake.connected.store(true, Ordering::SeqCst);
    world.handle.look().await.unwrap();
    world.handle.wait_idle().await.unwrap();
    assert_eq!(world.starts("a"), [(Trigger::Resume, 0)]);
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_the_batch_in_hand() {
    let world = world(vec![job("a", 60)], seconds(10_000), 4).await;
    world.fake.began.notified().await;
    let before = world.clock.now();
    assert_eq!(world.state("a").await, State::Running { run: Some(RunId(1)), since: START });
    let (handle, name) = (world.handle.clone(), sync("a"));
    let stopping = tokio::spawn(async move { handle.stop().await });
    tokio::task::yield_now().await;
    // Until the last run has ended it still answers, and starts nothing.
    assert_eq!(world.handle.run_now(&name).await, Err(Error::Stopped));
    assert!(matches!(world.state("a").await, State::Running { .. }));
    world.handle.stop().await;
    stopping.await.unwrap();
    let seen = world.fake.seen.lock().unwrap();
    assert!(seen.running.is_empty());
    assert_eq!(seen.cancelled, 1);
    assert_eq!(world.clock.now().since(before), Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_takes_too_long_is_told_to_finish() {
    let mut long = job("a", 10_000);
    long.timeout = Some(seconds(60));
    let world = world(vec![long], seconds(5000), 4).await;
    world.handle.wait_idle().await.unwrap();
    let status = world.handle.status().await.unwrap();
    let last = status[0].last.clone().unwrap();
    assert_eq!(last.ending, Ending::Interrupted);
    assert_eq!(last.ended.since(last.started), Duration::from_millis(60_500));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failed_run_and_no_more() {
    let world = world(vec![job("panics", 100), job("b", 60)], seconds(1), 4).await;
    world.handle.wait_idle().await.unwrap();
    let status = world.handle.status().await.unwrap();
    let last = status[0].last.clone().unwrap();
    assert!(matches!(last.ending, Ending::Failed { ref code, .. } if code == "run.panic"));
    tokio::time::sleep(seconds(150)).await;
    assert_eq!(world.starts("panics").len(), 2);
    assert_eq!(world.starts("b").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_over_when_it_is_told_does_not_spin() {
    let over = Ending::Paused {
        code: "limit.daily".into(),
        reason: String::new(),
        resumes_at: Some(START.minus(seconds(60))),
    };
    let endings = vec![over; 1000];
    let world = world_with(vec![job("a", 900)], seconds(0), 4, endings, Arc::default()).await;
    tokio::time::sleep(seconds(60)).await;
    let starts = world.starts("a").len();
    assert!((2..=13).contains(&starts), "{starts} starts in a minute");
}

#[tokio::test(start_paused = true)]
async fn without_a_handle_everything_ends() {
    let World { handle, fake, .. } = world(vec![job("a", 60)], seconds(10_000), 4).await;
    fake.began.notified().await;
    drop(handle);
    tokio::time::sleep(seconds(2)).await;
    let seen = fake.seen.lock().unwrap();
    assert_eq!((seen.cancelled, seen.running.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_remap_and_a_retry_wait_for_the_run_in_hand_and_change_no_times() {
    let world = world(vec![job("a", 600)], seconds(100), 4).await;
    let (handle, a) = (&world.handle, sync("a"));
    world.fake.began.notified().await;
    assert_eq!(handle.wish(&a, Work::Retry(RunId(1))).await, Ok(Asked::Queued));
    assert_eq!(handle.wish(&a, Work::Remap(None)).await, Ok(Asked::Queued));
    assert_eq!(handle.wish(&a, Work::Remap(None)).await, Err(Error::Running(a.clone())));
    assert_eq!(handle.run_now(&a).await, Err(Error::Running(a.clone())));
    tokio::time::sleep(seconds(950)).await;
    let starts = world.starts("a");
    let next = starts[3].1;
    assert_eq!(starts[..3], [(Trigger::Schedule, 0), (Trigger::Retry, 100), (Trigger::Remap, 200)]);
    assert_eq!(starts[3].0, Trigger::Schedule);
    assert!((600..=630).contains(&next), "by its interval since the last run that read: {next}");
    assert!(!world.fake.seen.lock().unwrap().overlapped);
}

#[tokio::test(start_paused = true)]
async fn a_remap_goes_on_after_a_pause_and_after_a_restart() {
    let mut by_hand = job("a", 600);
    by_hand.when = When::Manual;
    by_hand.left = Some(Work::Remap(Some(START)));
    by_hand.timeout = Some(seconds(1));
    let world = world(vec![by_hand], seconds(100), 4).await;
    world.fake.began.notified().await;
    world.handle.pause(&sync("a")).await.unwrap();
    world.handle.wait_idle().await.unwrap();
    assert_eq!(world.state("a").await, State::Paused);
    world.handle.resume(&sync("a")).await.unwrap();
    world.handle.wait_idle().await.unwrap();
    let triggers: Vec<Trigger> = world.starts("a").iter().map(|(trigger, _)| *trigger).collect();
    assert_eq!(triggers, [Trigger::Remap, Trigger::Remap]);
    assert_eq!(
        world.fake.seen.lock().unwrap().cancelled,
        1,
        "the bound of a run is one of reading"
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_says_so_pauses_its_sync() {
    let broke = Ending::Failed { code: "plugin.too-many-traps".into(), message: "m".into() };
    let world = world_with(vec![job("a", 60)], seconds(1), 4, vec![broke], Arc::default()).await;
    let mut told = world.fake.bus.subscribe();
    world.handle.wait_idle().await.unwrap();
    tokio::time::sleep(seconds(600)).await;
    assert_eq!((world.starts("a").len(), world.state("a").await), (1, State::Paused));
    let paused = std::iter::from_fn(|| told.try_recv().ok()).find_map(|told| match &told.event {
        crate::events::Event::SyncPaused { reason, .. } => reason.clone(),
        _ => None,
    });
    assert_eq!(paused.as_deref(), Some("plugin.too-many-traps"));
    world.handle.resume(&sync("a")).await.unwrap();
    tokio::time::sleep(seconds(120)).await;
    assert!(world.starts("a").len() > 1);
}

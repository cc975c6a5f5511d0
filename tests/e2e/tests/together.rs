//! Idle syncs that are due together ask in one API call.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::time::Duration;

use kilofold::model::{Ending, Purpose, Run, Stamp};
use kilofold::schedule::Handle;
use org_sim::{ClockMode, Fault, FaultKind, RequestClass, RequestNote, When};
use support::{Setup, TestEnv};

const SYNCS: [&str; 5] = ["Contact", "Account", "Lead", "Opportunity", "Task"];

/// An org with so many of the syncs, whose last two runs found nothing.
async fn idle(syncs: &[&str]) -> (TestEnv, Handle) {
    let mut setup = Setup::new(&SYNCS.map(|object| (object, 600)));
    for object in syncs {
        let lines = "fields = [\"Id\", \"LastModifiedDate\"]\nevery = \"1h\"\npage_size = 200";
        setup = setup.sync(object, "passthrough", lines);
    }
    setup.sim.clock = ClockMode::Fixed("2026-05-06T09:00:00Z".parse().unwrap());
    // A session that ends costs a call of its own, which is not what is counted here.
    setup.sim.access_token_life = Duration::from_secs(24 * 3600);
    let mut env = setup.start().await;
    env.open_on_org_time().await;
    let schedule = env.app().schedule().await.unwrap();
    schedule.wait_idle().await.unwrap();
    while syncs.iter().any(|sync| env.runs(sync).len() < 2) {
        beat(&env, &schedule).await;
    }
    (env, schedule)
}

/// Moves the clock to the next time at which a sync is due, and waits until all that starts then has ended. Gives what the
/// org received.
async fn beat(env: &TestEnv, schedule: &Handle) -> Vec<RequestNote> {
    let before = env.sim.requests().len();
    let next = schedule.look().await.unwrap().unwrap();
    env.sim.set_clock(ClockMode::Fixed(next.timestamp()));
    schedule.look().await.unwrap();
    schedule.wait_idle().await.unwrap();
    env.sim.requests().split_off(before)
}

fn counted(notes: &[RequestNote]) -> Vec<RequestClass> {
    notes.iter().filter(|note| note.counted).map(|note| note.class).collect()
}

/// Queries that were asked alone, and composite calls.
fn by_road(classes: &[RequestClass]) -> (usize, usize) {
    let of = |wanted| classes.iter().filter(|class| **class == wanted).count();
    let both = (of(RequestClass::Query), of(RequestClass::Composite));
    assert_eq!(both.0 + both.1, classes.len());
    both
}

/// Calls that were not needed, as the limits tell.
fn saved(env: &TestEnv) -> u64 {
    let app = env.app();
    let limits = app.reader().whole_limits(&app.org.gate().report()).unwrap();
    let saved = limits.day.unwrap().saved;
    let hours = env.store().hours_of_calls(Stamp(0)).unwrap();
    assert_eq!(hours.iter().map(|hour| hour.saved).sum::<u64>(), saved, "as the store has it");
    saved
}

fn shared(run: &Run) -> Option<&String> {
    run.notes.iter().find(|note| note.contains("shared one API call"))
}

fn last(env: &TestEnv) -> Vec<Run> {
    SYNCS.iter().map(|sync| env.last_run(sync)).collect()
}

/// Hits the part of a composite call that asks for this object, once.
fn on_part(env: &TestEnv, object: &str, kind: FaultKind) {
    let (class, object) = (RequestClass::Query, Some(object.to_owned()));
    env.sim.set_fault(Fault { class, object, kind, when: When::Times(1) });
}

#[tokio::test(flavor = "multi_thread")]
async fn five_idle_syncs_make_one_call() {
    let (mut env, schedule) = idle(&SYNCS).await;
    let touched = env.touch("Contact", 7, 1);
    env.delete("Contact", &touched[..2]);
    env.insert("Lead", 3);
    let notes = beat(&env, &schedule).await;
    assert_eq!(counted(&notes), [RequestClass::Composite]);
    let runs = last(&env);
    assert!(runs.iter().all(|run| run.ending == Some(Ending::Succeeded)), "{runs:?}");
    assert!(runs.windows(2).all(|pair| pair[0].started == pair[1].started));
    assert_eq!(runs.iter().map(|run| run.calls).sum::<u64>(), 1);
    assert!(runs.iter().all(|run| shared(run).unwrap().contains("with 4 others")), "{runs:?}");
    let changed: Vec<u64> = runs.iter().map(|run| run.counts.fetched).collect();
    assert_eq!(changed, [7, 0, 3, 0, 0]);
    assert_eq!(saved(&env), 4);
    let polls = env.store().calls_since(Stamp(0)).unwrap();
    let polls: Vec<_> = polls.iter().filter(|call| call.purpose == Purpose::Poll).collect();
    assert!(matches!(polls.as_slice(), [poll] if poll.saved == 4), "{polls:?}");

    // They stay together, and a new host knows of it.
    assert_eq!(counted(&beat(&env, &schedule).await), [RequestClass::Composite]);
    schedule.stop().await;
    drop(schedule);
    env.open_on_org_time().await;
    assert_eq!(saved(&env), 8);
    let schedule = env.app().schedule().await.unwrap();
    schedule.wait_idle().await.unwrap();
    assert_eq!(counted(&beat(&env, &schedule).await), [RequestClass::Composite]);
    schedule.stop().await;
    env.assert_mirrors_org(&SYNCS);
    env.assert_feed_holds();
    env.assert_ledger_agrees();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_asks_alone() {
    let (env, schedule) = idle(&["Contact"]).await;
    for _ in 0..2 {
        assert_eq!(counted(&beat(&env, &schedule).await), [RequestClass::Query]);
    }
    schedule.stop().await;
    assert!(shared(&env.last_run("Contact")).is_none());
    assert_eq!(saved(&env), 0);
    env.assert_ledger_agrees();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_one_query_is_that_of_its_run() {
    let (env, schedule) = idle(&SYNCS).await;
    env.touch("Contact", 2, 1);
    on_part(&env, "Lead", FaultKind::EmptyStatus { status: 400 });
    assert_eq!(counted(&beat(&env, &schedule).await), [RequestClass::Composite]);
    for run in last(&env) {
        let code = match &run.ending {
            Some(Ending::Failed { code, .. }) => code.as_str(),
            ending => ending.as_ref().unwrap().label(),
        };
        assert_eq!(code, if run.object == "Lead" { "org.refused" } else { "succeeded" });
    }
    assert_eq!(saved(&env), 4);
    // What failed goes on alone, and the others without it.
    let mut classes = Vec::new();
    while env.runs("Lead").len() < 4 || env.runs("Contact").len() < 4 {
        classes.extend(counted(&beat(&env, &schedule).await));
    }
    assert_eq!(by_road(&classes), (1, 1), "{classes:?}");
    assert_eq!(saved(&env), 4 + 3);

    // What may pass is asked again, alone.
    while env.runs("Lead").len() < 5 || env.runs("Contact").len() < 5 {
        on_part(&env, "Contact", FaultKind::ServerError { status: 503, html: false });
        beat(&env, &schedule).await;
        env.sim.clear_faults();
    }
    schedule.stop().await;
    assert!(last(&env).iter().all(|run| run.ending == Some(Ending::Succeeded)));
    let contact = env.last_run("Contact");
    assert!(shared(&contact).is_none() && contact.calls >= 1, "{contact:?}");
    env.assert_mirrors_org(&SYNCS);
    env.assert_ledger_agrees();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_goes_on_page_by_page() {
    let (env, schedule) = idle(&SYNCS).await;
    env.touch("Contact", 500, 1);
    let classes = counted(&beat(&env, &schedule).await);
    assert_eq!(
        classes,
        [RequestClass::Composite, RequestClass::QueryMore, RequestClass::QueryMore]
    );
    let run = env.last_run("Contact");
    assert_eq!((run.pages, run.counts.fetched), (3, 500));
    // Now it expects more than the others, and asks alone.
    let mut classes = Vec::new();
    while env.runs("Contact").len() < 4 || env.runs("Task").len() < 4 {
        classes.extend(counted(&beat(&env, &schedule).await));
    }
    assert_eq!(by_road(&classes), (1, 1), "{classes:?}");
    schedule.stop().await;
    env.assert_mirrors_org(&SYNCS);
    env.assert_ledger_agrees();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_composite_calls_are_refused_each_asks_alone() {
    for (status, parts) in [(403, false), (404, false), (404, true)] {
        let (env, schedule) = idle(&SYNCS).await;
        env.touch("Lead", 2, 1);
        let kind = FaultKind::EmptyStatus { status };
        if parts {
            SYNCS.iter().for_each(|object| on_part(&env, object, kind.clone()));
        } else {
            env.fault(RequestClass::Composite, kind, u64::MAX);
        }
        let tried = beat(&env, &schedule).await;
        let of =
            |notes: &[RequestNote], class| notes.iter().filter(|note| note.class == class).count();
        assert_eq!(of(&tried, RequestClass::Composite), 1);
        assert_eq!(of(&tried, RequestClass::Query), 5);
        // It is remembered.
        let next = beat(&env, &schedule).await;
        assert_eq!(of(&next, RequestClass::Composite), 0);
        assert_eq!(of(&next, RequestClass::Query), 5);
        schedule.stop().await;
        assert!(last(&env).iter().all(|run| run.ending == Some(Ending::Succeeded)));
        assert_eq!(saved(&env), 0, "nothing was saved");
        env.assert_mirrors_org(&SYNCS);
        env.assert_ledger_agrees();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_the_day_pauses_all() {
    let (env, schedule) = idle(&SYNCS).await;
    env.fault(RequestClass::Composite, FaultKind::DailyLimit, 1);
    let notes = beat(&env, &schedule).await;
    assert_eq!(notes.iter().filter(|note| note.class == RequestClass::Composite).count(), 1);
    for run in last(&env) {
        let paused =
            matches!(&run.ending, Some(Ending::Paused { code, .. }) if code == "limit.daily");
        assert!(paused, "{:?}", run.ending);
    }
    assert_eq!(saved(&env), 0);
    schedule.stop().await;
    env.assert_ledger_agrees();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_took_too_long_is_asked_for_less_by_its_run() {
    let (env, schedule) = idle(&SYNCS).await;
    env.touch("Lead", 6, 1);
    on_part(&env, "Lead", FaultKind::QueryTimeout);
    let classes = counted(&beat(&env, &schedule).await);
    // An hour and the overlap, in two halves.
    assert_eq!(by_road(&classes), (2, 1), "{classes:?}");
    schedule.stop().await;
    assert!(last(&env).iter().all(|run| run.ending == Some(Ending::Succeeded)));
    let lead = env.last_run("Lead");
    assert_eq!(lead.counts.fetched, 6);
    assert!(lead.notes.iter().any(|note| note.contains("of changes at once")), "{:?}", lead.notes);
    assert_eq!(saved(&env), 4, "its part was an answer");
    env.assert_mirrors_org(&SYNCS);
    env.assert_ledger_agrees();
}

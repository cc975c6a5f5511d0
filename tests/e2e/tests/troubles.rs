//! What goes wrong on the way, and that nothing is lost, hidden or asked for too often.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use kilofold::events::Event;
use kilofold::model::{Ending, Scan};
use org_sim::{FaultKind, RequestClass, When};
use support::{Setup, TestEnv};

const PLAIN: &str = "fields = [\"LastName\", \"Email\", \"LastModifiedDate\"]\npage_size = 200";

async fn contacts(count: usize) -> TestEnv {
    Setup::new(&[("Contact", count)]).sync("Contact", "passthrough", PLAIN).open().await
}

/// Hits further pages: none of the first `skip`, then so many.
fn on_page(env: &TestEnv, skip: u64, times: u64, kind: FaultKind) {
    env.fault_when(RequestClass::QueryMore, kind, When::After { skip, times });
}

/// Everything that must hold after a success, whatever happened on the way.
fn whole(env: &TestEnv) {
    env.assert_mirrors_org(&["Contact"]);
    env.assert_feed_holds();
    env.assert_ledger_agrees();
}

fn code(ending: &Option<Ending>) -> &str {
    match ending {
        Some(Ending::Failed { code, .. } | Ending::Paused { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_expires_in_mid_run() {
    let env = contacts(2_000).await;
    on_page(&env, 2, 1, FaultKind::Unauthorized { expire: true });
    let run = env.run_well("Contact").await;
    assert_eq!(run.counts.fetched, 2_000);
    assert_eq!(env.received(RequestClass::Token).len(), 2, "one token, one refresh");
    // The locator ended with the session: the query is made anew behind the last record read.
    let queries = env.received(RequestClass::Query);
    assert_eq!(queries.len(), 2);
    let third = &env.ids("Contact")[599];
    assert!(queries[1].query.as_ref().unwrap().contains(&format!("Id > '{third}'")), "{queries:?}");
    assert_eq!(env.pages_of("Contact").len(), 10, "each page came once");
    whole(&env);
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_troubles_are_passed() {
    let env = contacts(2_600).await;
    on_page(&env, 1, 1, FaultKind::ResetMidBody);
    on_page(&env, 3, 1, FaultKind::TruncatedJson);
    on_page(&env, 5, 1, FaultKind::ServerError { status: 503, html: true });
    on_page(&env, 7, 1, FaultKind::ServerError { status: 500, html: false });
    on_page(&env, 9, 1, FaultKind::EmptyStatus { status: 406 });
    on_page(&env, 11, 1, FaultKind::EmptyStatus { status: 420 });
    on_page(&env, 13, 1, FaultKind::Drip { bytes: 2_000, every_ms: 1 });
    env.fault(RequestClass::Describe, FaultKind::TruncatedJson, 1);
    env.fault(RequestClass::Token, FaultKind::ServerError { status: 503, html: true }, 1);
    let run = env.run_well("Contact").await;
    assert_eq!(run.counts.fetched, 2_600);
    let reasons: Vec<&str> = run.retries.iter().map(|retry| retry.reason.as_str()).collect();
    let words = ["503", "damaged", "", "damaged", "503", "500", "406", "420"];
    assert_eq!(reasons.len(), words.len(), "{reasons:?}");
    for (reason, word) in reasons.iter().zip(words) {
        assert!(!reason.is_empty() && reason.contains(word), "{reason}");
    }
    // What is asked before the first page belongs to none.
    let pages: Vec<_> = run.retries.iter().map(|retry| retry.page).collect();
    assert_eq!(pages[..3], [None, None, Some(2)], "{:?}", run.retries);
    assert!(pages.is_sorted() && pages[7] < Some(13), "{:?}", run.retries);
    // Thirteen pages, six requests made again, two describes.
    assert_eq!(run.calls, 13 + 6 + 2);
    whole(&env);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_says_what_it_asked_again() {
    let env = contacts(2_000).await;
    on_page(&env, 2, 99, FaultKind::ServerError { status: 503, html: false });
    let mut events = env.app().bus.subscribe();
    let run = env.run("Contact").await;
    assert_eq!(code(&run.ending), "org.unreachable");
    assert_eq!(run.pages, 3, "what came before is kept");
    let pages: Vec<_> = run.retries.iter().map(|retry| retry.page).collect();
    assert_eq!(pages, [Some(3); 4], "{:?}", run.retries);
    for retry in &run.retries {
        assert!(retry.reason.contains("503") && retry.waited_ms > 0, "{retry:?}");
    }
    assert!(run.retries.is_sorted_by_key(|retry| retry.at));
    // And it was told while it happened.
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Event::RunRetry { page, waited_ms, .. } = &event.event {
            told.push((*page, *waited_ms));
        }
    }
    let kept: Vec<_> = run.retries.iter().map(|retry| (retry.page, retry.waited_ms)).collect();
    assert_eq!(told, kept);
    // The next run has none of them.
    env.sim.clear_faults();
    let next = env.run_well("Contact").await;
    assert!(next.retries.is_empty(), "{:?}", next.retries);
    whole(&env);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_any_size() {
    let env = contacts(6_000).await;
    on_page(&env, 1, 2, FaultKind::ShortPage { rows: 37 });
    on_page(&env, 4, 1, FaultKind::EmptyPage);
    on_page(&env, 6, 2, FaultKind::OversizePage { rows: 1_700 });
    env.fault(RequestClass::Query, FaultKind::EmptyPage, 1);
    let run = env.run_well("Contact").await;
    assert_eq!(run.counts.fetched, 6_000);
    let pages = env.store().pages(run.id, None, 1000).unwrap();
    let sizes: Vec<u64> = pages.iter().map(|page| page.counts.fetched).collect();
    assert!(sizes.iter().all(|size| *size <= 1_000), "{sizes:?}");
    for size in [0, 37, 200, 700, 1_000] {
        assert!(sizes.contains(&size), "no page of {size}: {sizes:?}");
    }
    whole(&env);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_change_between_pages() {
    let env = contacts(2_000).await;
    env.fault_when(
        RequestClass::QueryMore,
        FaultKind::ChangeBetweenPages { records: 60 },
        When::Nth(1),
    );
    env.fault(RequestClass::Query, FaultKind::LateCommit { records: 15, seconds: 200 }, 1);
    let run = env.run_well("Contact").await;
    assert_eq!(run.counts.fetched, 2_000);
    env.sim.clear_faults();
    env.later(3);
    let run = env.run_well("Contact").await;
    assert!(run.counts.mapped > 60, "{:?}", run.counts);
    whole(&env);
    // And by stamp, where a changed record moves behind the end of the window.
    env.touch("Contact", 1_000, 5);
    env.later(3);
    env.fault_when(
        RequestClass::QueryMore,
        FaultKind::ChangeBetweenPages { records: 80 },
        When::Nth(1),
    );
    assert_eq!(env.run_well("Contact").await.window.unwrap().scan, Scan::ByStamp);
    env.sim.clear_faults();
    env.later(3);
    env.run_well("Contact").await;
    whole(&env);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_locator_costs_no_page() {
    let env = contacts(2_000).await;
    on_page(&env, 3, 1, FaultKind::InvalidLocator);
    on_page(&env, 6, 1, FaultKind::InvalidLocator);
    let run = env.run_well("Contact").await;
    assert_eq!(run.counts.fetched, 2_000);
    assert_eq!(env.received(RequestClass::Query).len(), 3);
    assert_eq!(env.pages_of("Contact").len(), 10);
    whole(&env);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_records_are_no_success() {
    let env = contacts(4_000).await;
    let ids = env.ids("Contact");
    // The reader is at most three pages ahead of a commit; it waits here until the last records are gone.
    on_page(&env, 8, 1, FaultKind::Stall { ms: Some(2_000), mid_body: false });
    let mut events = env.app().bus.subscribe();
    let (org, now) = (env.sim.org(), env.sim.now());
    let gone = ids[3_950..].to_vec();
    let purge = tokio::spawn(async move {
        use kilofold::events::Event;
        while !matches!(events.recv().await.unwrap().event, Event::BatchCommitted { .. }) {}
        org.write().unwrap().purge("Contact", &gone, now);
    });
    let run = env.run("Contact").await;
    purge.await.unwrap();
    assert_eq!(code(&run.ending), "count.mismatch");
    assert_eq!((run.expected, run.counts.fetched), (Some(4_000), 3_950));
    assert!(run.cursor_after.covered.is_none() && run.cursor_after.open.is_some());
    // The window is read again, and now the count agrees.
    let run = env.run_well("Contact").await;
    assert_eq!((run.counts.fetched, run.counts.unchanged), (3_950, 3_950));
    whole(&env);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_orgs_daily_limit_pauses() {
    let mut env = contacts(2_000).await;
    on_page(&env, 4, u64::MAX, FaultKind::DailyLimit);
    let run = env.run("Contact").await;
    let Some(Ending::Paused { code, reason, resumes_at }) = &run.ending else {
        panic!("{:?}", run.ending)
    };
    assert_eq!(code, "limit.daily");
    assert!(reason.contains("TotalRequests Limit exceeded"), "{reason}");
    assert!(resumes_at.unwrap() > run.ended.unwrap());
    assert_eq!((run.pages, run.counts.fetched), (5, 1_000));
    // It is not asked again before that time.
    let before =
        env.sim.requests().iter().filter(|note| note.class != RequestClass::Versions).count();
    let again = env.run("Contact").await;
    assert!(
        matches!(&again.ending, Some(Ending::Paused { code, resumes_at: Some(_), .. }) if code == "limit.daily")
    );
    let after =
        env.sim.requests().iter().filter(|note| note.class != RequestClass::Versions).count();
    assert_eq!((before, again.calls), (after, 0));
    // The limit is lifted. A new host has not forgotten it, and spends no call to learn it again.
    env.sim.clear_faults();
    env.open_on_org_time().await;
    assert_eq!(env.run("Contact").await.calls, 0);
    // When it is time, one probe finds out, and the run goes on at the cursor.
    env.later(resumes_at.unwrap().since(env.app().clock.now()).as_secs() + 1);
    let run = env.run_well("Contact").await;
    assert_eq!(run.counts.fetched, 1_000);
    let probes = env.received(RequestClass::Limits);
    assert_eq!(probes.iter().map(|note| note.status).collect::<Vec<_>>(), [401, 200]);
    env.assert_no_committed_page_again("Contact");
    whole(&env);
}

/// Runs until the rules stop it; gives how many counted calls the org has seen then.
async fn until_paused(quota: &str, daily: u64, wanted: &str) -> (TestEnv, u64) {
    let mut setup = Setup::new(&[("Contact", 4_000)]).sync("Contact", "passthrough", PLAIN);
    setup.quota = quota.to_owned();
    setup.sim.daily_limit = daily;
    let env = setup.open().await;
    let run = env.run("Contact").await;
    assert!(matches!(run.ending, Some(Ending::Paused { .. })), "{:?}", run.ending);
    assert_eq!(code(&run.ending), wanted);
    let calls = env.sim.api_calls();
    assert_eq!(run.calls, calls);
    assert!(run.counts.fetched > 0 && run.cursor_after.open.is_some());
    (env, calls)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_allowance_holds() {
    let (mut env, calls) =
        until_paused("allowance = 9\nbackfill = \"100%\"", 10_000, "limit.allowance").await;
    assert_eq!(calls, 9);
    // Not even a restart makes it forget.
    env.open().await;
    assert_eq!(code(&env.run("Contact").await.ending), "limit.allowance");
    assert_eq!(env.sim.api_calls(), 9);
    env.assert_ledger_agrees();
    env.quota = "allowance = 1000".to_owned();
    env.write_config();
    env.open().await;
    env.run_well("Contact").await;
    env.assert_no_committed_page_again("Contact");
    whole(&env);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reserve_is_left_to_others() {
    let (mut env, calls) =
        until_paused("reserve = 90\nbackfill = \"100%\"", 100, "limit.reserve").await;
    assert_eq!(calls, 10);
    env.assert_ledger_agrees();
    env.quota = "backfill = \"100%\"".to_owned();
    env.write_config();
    env.open().await;
    env.run_well("Contact").await;
    whole(&env);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_has_its_own_bound() {
    let (env, calls) = until_paused("per_run = 6", 10_000, "limit.run").await;
    assert_eq!(calls, 6);
    for _ in 0..10 {
        let run = env.run("Contact").await;
        assert!(run.calls <= 6);
        if run.ending == Some(Ending::Succeeded) {
            break;
        }
    }
    assert_eq!(env.last_run("Contact").ending, Some(Ending::Succeeded));
    env.assert_no_committed_page_again("Contact");
    whole(&env);
}

async fn by_consent(rotate: bool) -> TestEnv {
    let mut setup = Setup::new(&[("Contact", 600)]).sync("Contact", "passthrough", PLAIN);
    setup.grant = "code";
    setup.sim.rotate_refresh_tokens = rotate;
    setup.sim.require_pkce = true;
    let env = setup.open().await;
    let org = &env.app().org;
    let redirect = kilofold::salesforce::Redirect::Loopback { port: 0 };
    let connection = env.config().connections[0].name.clone();
    let pending = org.begin(&connection, redirect, false).await.unwrap();
    let url = pending.url.to_string();
    let user = tokio::spawn(async move { org_sim::user::visit(&url).await.unwrap() });
    org.finish(pending).await.unwrap();
    assert_eq!(user.await.unwrap(), 200);
    env
}

#[tokio::test(flavor = "multi_thread")]
async fn rotated_tokens_survive_restarts() {
    let mut env = by_consent(true).await;
    for round in 0..5 {
        env.sim.expire_access_tokens();
        env.touch("Contact", 20, round);
        env.later(3);
        env.run_well("Contact").await;
        env.open().await;
    }
    let refreshes = env
        .received(RequestClass::Token)
        .iter()
        .filter(|n| n.grant.as_deref() == Some("refresh_token"))
        .count();
    assert_eq!(refreshes, 5, "one for each expiry");
    env.assert_mirrors_org(&["Contact"]);
    env.assert_feed_holds();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_connection_is_not_hammered() {
    let mut env = by_consent(false).await;
    on_page(&env, 1, 1, FaultKind::Unauthorized { expire: true });
    env.sim.revoke_approvals(None);
    env.sim.expire_access_tokens();
    let run = env.run("Contact").await;
    let Some(Ending::Paused { code: found, reason, resumes_at: None }) = &run.ending else {
        panic!("{:?}", run.ending)
    };
    assert_eq!(found, "auth.reconnect");
    assert!(
        reason.contains("expired access/refresh token") && reason.contains("revoked in Salesforce"),
        "{reason}"
    );
    let asked = env.received(RequestClass::Token).len();
    let all = env.sim.requests().len();
    for _ in 0..3 {
        assert_eq!(code(&env.run("Contact").await.ending), "auth.reconnect");
    }
    env.open().await;
    assert_eq!(code(&env.run("Contact").await.ending), "auth.reconnect");
    assert_eq!(env.received(RequestClass::Token).len(), asked);
    assert_eq!(env.sim.requests().len(), all, "nothing at all is asked with it");
    let status = env.app().org.connections();
    assert!(
        matches!(status[0].state, kilofold::salesforce::ConnectionState::ReconnectNeeded { .. }),
        "{status:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_field_is_named() {
    let setup = || {
        Setup::new(&[("Contact", 700), ("Account", 20)]).sync("Contact", "contact-to-person", "")
    };
    // One that the plugin cannot do without: before a query is made.
    let env = setup().open().await;
    let hide = |env: &TestEnv, field: &str| {
        let (org, now) = (env.sim.org(), env.sim.now());
        org.write().unwrap().hide_field("Contact", field, true, now);
    };
    hide(&env, "LastName");
    let run = env.run("Contact").await;
    let Some(Ending::Failed { code: found, message }) = &run.ending else {
        panic!("{:?}", run.ending)
    };
    assert_eq!(found, "field.missing");
    assert!(message.contains("Contact.LastName"), "{message}");
    assert!(env.received(RequestClass::Query).is_empty());
    assert_eq!(run.calls, 1, "the describe");

    // One that it can do without.
    let env = setup().open().await;
    hide(&env, "Title");
    let run = env.run_well("Contact").await;
    assert!(run.notes.iter().any(|note| note.contains("Title")), "{:?}", run.notes);
    assert!(!run.soql.contains("Title") && run.counts.mapped > 0);
    let outputs = env.outputs();
    assert!(
        outputs.values().all(|body| body.contains("\"title\":null") || !body.contains("\"title\""))
    );
    whole(&env);

    // One that goes between two runs, while the host still knows it: it is described anew.
    hide(&env, "Phone");
    env.later(3);
    let run = env.run_well("Contact").await;
    assert!(run.notes.iter().any(|note| note.contains("Phone")), "{:?}", run.notes);
    assert!(!run.soql.contains(" Phone,"), "{}", run.soql);
    env.assert_ledger_agrees();
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_without_a_system_modstamp_say_so() {
    let all = "fields = \"all\"";
    let env = Setup::new(&[("Account", 50)])
        .sync("AccountHistory", "passthrough", all)
        .sync("LoginHistory", "passthrough", all)
        .sync("Supplier__x", "passthrough", all)
        .open()
        .await;
    let runs = env.sync_all().await;
    let objects = ["AccountHistory", "LoginHistory", "Supplier__x"];
    let fields = [Some("CreatedDate"), Some("LoginTime"), None];
    for ((run, object), field) in runs.iter().zip(objects).zip(fields) {
        assert_eq!(run.stamp_field.as_deref(), field);
        let words = field.unwrap_or("every run reads the whole object");
        assert!(run.notes.iter().any(|note| note.contains(words)), "{:?}", run.notes);
        assert!(run.counts.mapped > 0);
        env.insert(object, 12);
    }
    env.later(3);
    let feed = env.feed().len();
    for (run, first) in env.sync_all().await.iter().zip(&runs) {
        assert_eq!(run.counts.mapped, 12, "{}: {:?}", run.object, run.counts);
        let scan = run.window.unwrap().scan;
        if run.stamp_field.is_none() {
            assert_eq!((scan, run.counts.unchanged), (Scan::ById, first.counts.mapped));
        } else {
            assert_eq!(scan, Scan::ByStamp);
        }
    }
    assert_eq!(env.feed().len(), feed + 36);
    env.assert_mirrors_org(&objects);
    env.assert_feed_holds();
    env.assert_ledger_agrees();
}

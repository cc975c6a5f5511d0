//! The Salesforce client against the simulated org, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

#[path = "salesforce/env.rs"]
mod env;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use env::{Env, SIZE, browser, code, config, name, selection, who};
use futures::future::join_all;
use kilofold::model::{Batch, ConnectionName, Position, Purpose, Scan, Stamp, Window};
use kilofold::quota::{LimitKind, Rules, Share};
use kilofold::salesforce::{ConnectionState, Error, Grant, Page, Redirect, soql};
use org_sim::{FaultKind, RequestClass, SimConfig};

async fn usual() -> Env {
    Env::connected(config()).await
}

#[tokio::test]
async fn reads_every_page_and_enters_every_call() {
    let env = usual().await;
    let before = env.sim.requests().len();
    let mut page = env.first().await.unwrap();
    assert_eq!(
        (page.total, page.batch.len(), page.done, page.calls),
        (SIZE as u64, 1000, false, 1)
    );
    assert!(
        page.request_id.is_some() && env.org.take_retries(kilofold::model::RunId(1)).is_empty()
    );
    assert!(Stamp::now().0.abs_diff(page.date.0) < 60_000);
    let mut ids: Vec<_> = page.batch.records.iter().map(|record| record.id).collect();
    while !page.done {
        page = env.next(&page).await.unwrap();
        ids.extend(page.batch.records.iter().map(|record| record.id));
    }
    assert!(ids.len() == SIZE && ids.is_sorted() && page.next.is_none());
    assert_eq!(
        (env.sim.requests().len() - before, env.book.counted(), env.sim.api_calls()),
        (3, 3, 3)
    );
    assert_eq!(
        env.book.all(),
        env.sim.requests().iter().filter(|n| !n.path.ends_with("authorize")).count()
    );
    let usage = env.org.gate().usage().unwrap();
    assert_eq!((usage.used, usage.max), (3, 15_000));
    let status = env.org.connections().remove(0);
    assert_eq!(status.state, ConnectionState::Healthy);
    assert_eq!(status.user.as_deref(), Some(env.sim.config().username.as_str()));
    assert!(status.org_id.is_some() && status.last_used.is_some());
}

#[tokio::test]
async fn an_answer_to_another_question_is_turned_away() {
    let config = config();
    let env = Env::start(config.clone(), code(&config), Rules::default()).await;
    assert!(matches!(env.first().await, Err(Error::NotConnected(_))));
    let pending = env.org.begin(&name(), Redirect::Loopback { port: 0 }, false).await.unwrap();
    let url = pending.url.clone();
    let pair = |name| url.query_pairs().find(|(key, _)| key == name).map(|(_, v)| v.into_owned());
    assert_eq!(pair("code_challenge_method").as_deref(), Some("S256"));
    let callback = pair("redirect_uri").unwrap();
    assert!(callback.starts_with("http://localhost:"), "{callback}");
    let consent = url.clone();
    let browser = tokio::spawn(async move {
        let forged = format!("{callback}?code=evil&state=guessed");
        let status = browser().get(forged).send().await.unwrap().status();
        browser().get(consent).send().await.unwrap();
        status
    });
    env.org.finish(pending).await.unwrap();
    assert_eq!(browser.await.unwrap(), 400);
    env.first().await.unwrap();

    let callback = "https://login.salesforce.com/services/oauth2/success".to_owned();
    let redirect = Redirect::Paste { callback: callback.clone() };
    let pending = env.org.begin(&name(), redirect.clone(), false).await.unwrap();
    let error =
        env.org.finish_pasted(pending, &format!("{callback}?code=x&state=y")).await.unwrap_err();
    assert!(error.code() == "auth.consent" && error.to_string().contains("state"), "{error}");
    let pending = env.org.begin(&name(), redirect, false).await.unwrap();
    let state = pending.url.query_pairs().find(|(key, _)| key == "state").unwrap().1.into_owned();
    let denied = format!("{callback}?error=access_denied&error_description=no&state={state}");
    let error = env.org.finish_pasted(pending, &denied).await.unwrap_err();
    assert!(error.to_string().contains("access_denied"), "{error}");
}

#[tokio::test]
async fn a_rotated_token_is_saved_before_the_new_one_is_used() {
    let mut env = Env::connected(SimConfig { rotate_refresh_tokens: true, ..config() }).await;
    env.first().await.unwrap();
    let old = env.tokens();
    env.sim.expire_access_tokens();
    env.safe.full.store(true, Ordering::SeqCst);
    env.sim.clear_requests();
    assert_eq!(env.first().await.unwrap_err().code(), "auth.vault");
    assert_eq!((env.received(RequestClass::Token), env.received(RequestClass::Query)), (1, 1));
    // The token that could not be saved was not lost: it is what the next refresh is asked with.
    env.safe.full.store(false, Ordering::SeqCst);
    env.first().await.unwrap();
    assert!(env.tokens().iter().all(|token| !old.contains(token)));
    // What was saved is the newest: it works after a restart.
    env.sim.expire_access_tokens();
    env.restart().unwrap();
    assert_eq!(env.first().await.unwrap().batch.len(), 1000);
    assert_eq!(env.org.connections()[0].state, ConnectionState::Healthy);
}

#[tokio::test]
async fn thirty_callers_with_an_expired_token_ask_for_one() {
    let env = Env::connected(SimConfig { rotate_refresh_tokens: true, ..config() }).await;
    env.sim.expire_access_tokens();
    env.sim.clear_requests();
    let pages = join_all((0..30).map(|_| env.first())).await;
    assert!(pages.iter().all(|page| page.as_ref().is_ok_and(|page| page.batch.len() == 1000)));
    assert_eq!(env.received(RequestClass::Token), 1);
    assert_eq!(env.book.counted(), env.received(RequestClass::Query) as u64);

    env.sim.revoke_approvals(None);
    env.sim.clear_requests();
    let pages = join_all((0..30).map(|_| env.first())).await;
    assert!(pages.iter().all(|page| matches!(page, Err(Error::Reconnect { .. }))));
    assert_eq!(env.received(RequestClass::Token), 1, "a dead token is not hammered");
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_lose_a_rotated_token() {
    let env = Env::connected(SimConfig { rotate_refresh_tokens: true, ..config() }).await;
    env.sim.expire_access_tokens();
    {
        let mut query = std::pin::pin!(env.first());
        while env.received(RequestClass::Token) < 2 {
            tokio::select! {
                biased;
                _ = &mut query => break,
                () = tokio::task::yield_now() => {}
            }
        }
    }
    env.first().await.unwrap();
    assert_eq!(env.org.connections()[0].state, ConnectionState::Healthy);
}

#[tokio::test]
async fn a_busy_token_is_asked_for_again() {
    let env = usual().await;
    env.sim.expire_access_tokens();
    env.fault(RequestClass::Token, FaultKind::TokenBusy);
    env.fault(RequestClass::Token, FaultKind::ServerError { status: 503, html: true });
    env.first().await.unwrap();
    assert_eq!(env.org.connections()[0].state, ConnectionState::Healthy);
}

#[tokio::test]
async fn a_revoked_connection_says_so_at_once_and_asks_no_more() {
    let mut env = usual().await;
    env.sim.revoke_approvals(None);
    assert_eq!(env.first().await.unwrap_err().code(), "auth.reconnect");
    env.sim.clear_requests();
    for _ in 0..3 {
        assert_eq!(env.first().await.unwrap_err().code(), "auth.reconnect");
    }
    env.restart().unwrap();
    assert_eq!(env.first().await.unwrap_err().code(), "auth.reconnect");
    assert!(matches!(env.org.connections()[0].state, ConnectionState::ReconnectNeeded { .. }));
    assert!(env.sim.requests().is_empty());
    env.consent().await;
    env.first().await.unwrap();
    env.org.disconnect(&name()).await.unwrap();
    assert!(matches!(env.first().await, Err(Error::NotConnected(_))));
    env.restart().unwrap();
    assert!(matches!(env.first().await, Err(Error::NotConnected(_))));
}

#[tokio::test]
async fn passing_troubles_are_tried_again_with_a_permit_each() {
    let env = usual().await;
    let good = env.first().await.unwrap();
    for kind in [
        FaultKind::ResetMidBody,
        FaultKind::TruncatedJson,
        FaultKind::ServerError { status: 503, html: true },
        FaultKind::ServerError { status: 500, html: false },
        FaultKind::EmptyStatus { status: 406 },
        FaultKind::EmptyStatus { status: 420 },
        FaultKind::TooManyRequests,
        FaultKind::ConcurrentLimit,
        FaultKind::Stall { ms: None, mid_body: true },
        FaultKind::Unauthorized { expire: false },
        FaultKind::Unauthorized { expire: true },
    ] {
        let before = env.book.counted();
        env.fault(RequestClass::Query, kind.clone());
        let page = env.first().await.unwrap();
        assert_eq!(page.batch.records, good.batch.records, "{kind:?}");
        let retries = env.org.take_retries(kilofold::model::RunId(1));
        assert_eq!((retries.len(), page.calls), (1, 2), "{kind:?}");
        assert_eq!(env.book.counted() - before, 2, "{kind:?}");
    }
    assert_eq!(env.book.counted(), env.received(RequestClass::Query) as u64);
    env.faults(RequestClass::Query, FaultKind::ServerError { status: 503, html: true }, 3);
    let error = env.first().await.unwrap_err();
    assert!(matches!(&error, Error::Unreachable { attempts: 3, .. }) && error.passes(), "{error}");
    assert!(!error.to_string().contains('<'), "{error}");
}

#[tokio::test]
async fn a_query_goes_on_at_the_cursor_when_its_session_or_locator_ends() {
    let env = usual().await;
    let page = env.first().await.unwrap();
    env.sim.expire_access_tokens();
    assert_eq!(env.next(&page).await.unwrap_err().code(), "query.locator");
    let calls = env.book.counted();
    // The old locator costs no further call.
    assert_eq!(env.next(&page).await.unwrap_err().code(), "query.locator");
    assert_eq!(env.book.counted(), calls);
    let page = env.first().await.unwrap();
    env.fault(RequestClass::QueryMore, FaultKind::InvalidLocator);
    assert_eq!(env.next(&page).await.unwrap_err().code(), "query.locator");
    assert_eq!(env.next(&page).await.unwrap().batch.len(), 1000);
}

#[tokio::test]
async fn pages_of_any_size_are_taken_as_they_come() {
    let env = usual().await;
    env.fault(RequestClass::Query, FaultKind::EmptyPage);
    env.fault(RequestClass::QueryMore, FaultKind::ShortPage { rows: 7 });
    let mut empty = env.first().await.unwrap();
    assert_eq!((empty.batch.len(), empty.done, empty.take_batches(1000).len()), (0, false, 1));
    let short = env.next(&empty).await.unwrap();
    assert_eq!((short.batch.len(), short.done), (7, false));
    env.fault(RequestClass::QueryMore, FaultKind::OversizePage { rows: 2300 });
    let mut large = env.next(&short).await.unwrap();
    let whole = large.batch.clone();
    let parts = large.take_batches(1000);
    let sizes: Vec<usize> = parts.iter().map(|batch| batch.len()).collect();
    assert_eq!(sizes, [1000, 1000, whole.len() - 2000]);
    let told = |batch: &Batch| {
        let records = batch.records.iter().enumerate();
        let told = records.map(|(i, record)| (record.id, record.at, batch.leaves(i).to_vec()));
        told.collect::<Vec<_>>()
    };
    assert_eq!(parts.iter().flat_map(told).collect::<Vec<_>>(), told(&whole));
    assert_eq!(parts[1].raw(0), whole.raw(1000));
}

#[tokio::test]
async fn a_spent_day_stops_every_request() {
    for (kind, text) in [
        (FaultKind::DailyLimit, "TotalRequests Limit exceeded."),
        (FaultKind::UnknownLimit { message: "Planetary limit".to_owned() }, "Planetary limit"),
    ] {
        let env = usual().await;
        env.fault(RequestClass::Query, kind);
        let error = env.first().await.unwrap_err();
        assert!(matches!(&error, Error::Limit { kind: LimitKind::Daily, .. }), "{error}");
        assert!(error.to_string().contains(text), "{error}");
        env.sim.clear_requests();
        let Error::NoPermit(refused) = env.first().await.unwrap_err() else { panic!("no permit") };
        assert_eq!((refused.code, env.sim.requests().len()), ("limit.daily", 0));
        assert!(refused.until.is_some_and(|until| until > Stamp::now()));
        // The org's clock is free to ask all the same.
        env.org.server_time(&who()).await.unwrap();
    }
}

#[tokio::test]
async fn one_cheap_probe_tells_when_calls_are_possible_again() {
    let env = usual().await;
    env.fault(RequestClass::Query, FaultKind::DailyLimit);
    assert_eq!(env.first().await.unwrap_err().code(), "limit.daily");
    env.sim.clear_requests();
    // A quarter of an hour later still nothing: one request learns it, whoever asks.
    env.ahead.fetch_add(15 * 60, Ordering::SeqCst);
    env.fault(RequestClass::Limits, FaultKind::DailyLimit);
    let pages = join_all((0..10).map(|_| env.first())).await;
    assert!(pages.iter().all(|page| matches!(page, Err(Error::NoPermit(_)))));
    assert_eq!((env.received(RequestClass::Limits), env.sim.requests().len()), (1, 1));
    // The next probe waits twice as long, and opens the gate.
    env.ahead.fetch_add(29 * 60, Ordering::SeqCst);
    assert!(env.first().await.is_err() && env.sim.requests().len() == 1);
    env.ahead.fetch_add(60, Ordering::SeqCst);
    assert!(env.first().await.is_ok());
    assert_eq!((env.received(RequestClass::Limits), env.received(RequestClass::Query)), (2, 1));
}

#[tokio::test]
async fn the_org_never_sees_more_calls_than_the_allowance() {
    let config = config();
    let rules = Rules { allowance: Some(Share::Calls(7)), ..Rules::default() };
    let env = Env::start(config.clone(), code(&config), rules).await;
    env.consent().await;
    let pages = join_all((0..20).map(|_| env.first())).await;
    assert_eq!(pages.iter().filter(|page| page.is_ok()).count(), 7);
    assert_eq!((env.sim.api_calls(), env.book.counted()), (7, 7));
    assert!(pages.iter().flatten().all(|page| page.calls == 1));
}

#[tokio::test]
async fn others_use_is_seen_and_their_reserve_is_left() {
    let config = SimConfig { daily_limit: 1_000, ..config() };
    let env =
        Env::start(config.clone(), code(&config), Rules { reserve: 100, ..Rules::default() }).await;
    env.consent().await;
    env.sim.consume_calls(898);
    env.first().await.unwrap();
    env.first().await.unwrap();
    assert_eq!(env.first().await.unwrap_err().code(), "limit.reserve");
    assert_eq!(env.sim.api_calls(), 900);
}

#[tokio::test]
async fn odd_and_missing_limit_headers_do_not_blind_the_gate() {
    let env = usual().await;
    env.fault(
        RequestClass::Query,
        FaultKind::LimitHeader { value: "gibberish=1; api-usage=many".to_owned() },
    );
    env.first().await.unwrap();
    assert_eq!(env.org.gate().usage(), None);
    // The next request asks the limits first.
    env.fault(RequestClass::Query, FaultKind::LimitHeaderMissing);
    env.first().await.unwrap();
    assert_eq!(env.received(RequestClass::Limits), 1);
    let usage = env.org.gate().usage().unwrap();
    assert_eq!(usage.max, 15_000);
    env.fault(RequestClass::Query, FaultKind::LimitHeaderExtended);
    env.first().await.unwrap();
    assert_eq!(env.org.gate().usage().unwrap().used, env.sim.api_calls());
    assert_eq!(env.org.limits(&who()).await.unwrap().max, 15_000);
    assert_eq!(env.received(RequestClass::Limits), 2);
}

#[tokio::test]
async fn apps_connect_by_secret_and_by_signature() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/org-sim/tests/fixtures");
    let pem = |file: &str| std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
    let config = SimConfig { jwt_public_key_pem: Some(pem("jwt-test-key.pub.pem")), ..config() };
    let jwt = |key: &str| Grant::Jwt {
        user: config.username.clone(),
        key: pem(key).into(),
        audience: None,
    };
    for grant in [
        Grant::ClientCredentials { secret: config.client_secret.clone().into() },
        jwt("jwt-test-key.pem"),
    ] {
        let env = Env::start(config.clone(), grant, Rules::default()).await;
        // Without a connect step too.
        env.first().await.unwrap();
        env.sim.expire_access_tokens();
        env.first().await.unwrap();
        let status = env.org.connect(&name()).await.unwrap();
        assert_eq!(status.user.as_ref(), Some(&config.username));
    }
    for grant in [Grant::ClientCredentials { secret: "wrong".into() }, jwt("jwt-other-key.pem")] {
        let env = Env::start(config.clone(), grant, Rules::default()).await;
        let error = env.org.connect(&name()).await.unwrap_err();
        assert_eq!(error.code(), "auth.denied", "{error}");
    }
    let bad = Grant::Jwt { user: "u".to_owned(), key: "no key".into(), audience: None };
    let env = Env::start(config.clone(), bad, Rules::default()).await;
    assert_eq!(env.org.connect(&name()).await.unwrap_err().code(), "org.setting");
    assert!(env.sim.requests().is_empty());
}

#[tokio::test]
async fn an_old_describe_is_asked_for_again_and_comes_only_when_it_changed() {
    let mut env = usual().await;
    env.tweak = |settings| settings.describe_age = Duration::ZERO;
    env.restart().unwrap();
    let first = env.org.describe(&who(), "Contact").await.unwrap();
    let again = env.org.describe(&who(), "Contact").await.unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    let statuses: Vec<u16> = env
        .sim
        .requests()
        .iter()
        .filter(|n| n.class == RequestClass::Describe)
        .map(|n| n.status)
        .collect();
    assert_eq!(statuses, [200, 304]);
}

#[tokio::test]
async fn an_answer_over_the_cap_is_not_read() {
    let mut env = usual().await;
    env.tweak = |settings| settings.answer_cap = 20_000;
    env.restart().unwrap();
    assert_eq!(env.first().await.unwrap_err().code(), "org.answer-too-large");
    env.org.limits(&who()).await.unwrap();
}

#[tokio::test]
async fn a_request_that_never_left_is_not_in_the_ledger() {
    let env = usual().await;
    env.first().await.unwrap();
    let Env { sim, org, book, .. } = env;
    sim.shutdown().await.unwrap();
    let error = org.query(&who(), env::CONTACTS, true, &selection(), 1000, None).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { attempts: 3, .. }), "{error}");
    assert_eq!((book.counted(), org.gate().day()), (1, 1));
}

#[tokio::test]
async fn objects_are_described_once_and_mistakes_are_named() {
    let env = usual().await;
    let contact = env.org.describe(&who(), "Contact").await.unwrap();
    assert!(contact.queryable && contact.has_deleted());
    assert_eq!(contact.stamp_field(), Some("SystemModstamp"));
    assert!(contact.field("lastname").is_some());
    env.org.describe(&who(), "contact").await.unwrap();
    assert_eq!(env.received(RequestClass::Describe), 1);
    assert!(env.org.objects(&who()).await.unwrap().iter().any(|object| object.name == "Contact"));
    assert_eq!(env.org.count(&who(), "SELECT COUNT() FROM Contact").await.unwrap(), SIZE as u64);
    let ask = async |soql: &str| {
        env.org.query(&who(), soql, false, &selection(), 1000, None).await.unwrap_err()
    };
    let error = ask("SELECT Id, Nope__c FROM Contact").await;
    assert!(
        matches!(&error, Error::InvalidField { field: Some(field), .. } if field == "Nope__c"),
        "{error}"
    );
    assert_eq!(ask("SELECT Id FROM Nope").await.code(), "query.object");
    assert_eq!(env.org.describe(&who(), "Nope").await.unwrap_err().code(), "query.object");
    let before = env.sim.requests().len();
    let long = format!("SELECT Id FROM Contact WHERE Name = {}", soql::quote(&"x".repeat(101_000)));
    assert_eq!(ask(&long).await.code(), "query.too-long");
    assert_eq!(env.org.describe(&who(), "A/../B").await.unwrap_err().code(), "query.bad");
    assert_eq!(env.sim.requests().len(), before);
    let spent = env.org.gate().spent(Stamp(0));
    let of =
        |purpose| spent.iter().filter(|by| by.purpose == purpose).map(|by| by.calls).sum::<u64>();
    assert_eq!((of(Purpose::Describe), of(Purpose::Count), of(Purpose::Query)), (3, 1, 2));
}

#[tokio::test]
async fn the_sixth_approval_is_refused_unless_asked_for() {
    let mut env = usual().await;
    let others = [1, 2, 3, 4, 5].map(|n| ConnectionName::new(&format!("more-{n}")).unwrap());
    env.tweak = |settings| {
        for n in 1..=5 {
            let mut more = settings.connections[0].clone();
            more.name = ConnectionName::new(&format!("more-{n}")).unwrap();
            settings.connections.push(more);
        }
    };
    env.restart().unwrap();
    for other in &others[..4] {
        env.consent_to(other, false).await.unwrap();
    }
    let error = env.consent_to(&others[4], false).await.unwrap_err();
    assert!(matches!(error, Error::TooManyApprovals { number: 6, .. }), "{error}");
    // Authorising a connection anew replaces its approval, which is revoked: that is no sixth.
    env.consent_to(&others[0], false).await.unwrap();
    env.sim.expire_access_tokens();
    env.first().await.unwrap();
    // Asked for expressly, Salesforce drops the oldest; its connection says so when it is used.
    env.consent_to(&others[4], true).await.unwrap();
    env.sim.expire_access_tokens();
    assert_eq!(env.first().await.unwrap_err().code(), "auth.reconnect");
    let healthy =
        env.org.connections().iter().filter(|c| c.state == ConnectionState::Healthy).count();
    assert_eq!(healthy, 5);
}

#[tokio::test]
async fn a_window_goes_on_right_behind_a_position() {
    let env = usual().await;
    let to = env.org.server_time(&who()).await.unwrap();
    for scan in [Scan::ById, Scan::ByStamp] {
        let mut query = soql::Query {
            object: "Contact".to_owned(),
            fields: vec!["LastName".to_owned()],
            stamp: Some("SystemModstamp".to_owned()),
            has_deleted: true,
            filter: Some(format!("Id != null OR LastName = {}", soql::quote("O'Ne\\il\n)"))),
            window: Some(Window { scan, from: None, to, at: None }),
            limit: None,
        };
        let ask = async |query: &soql::Query| {
            let text = query.text().unwrap();
            env.org.query(&who(), &text, true, &selection(), 1000, None).await.unwrap()
        };
        let first = ask(&query).await;
        let second = env.next(&first).await.unwrap();
        assert_eq!(first.total, SIZE as u64);
        assert_eq!(env.org.count(&who(), &query.count_text().unwrap()).await.unwrap(), SIZE as u64);
        let last = *first.batch.records.last().unwrap();
        let at = Some(Position { stamp: last.stamp, id: last.id });
        query.window = Some(Window { scan, from: Some(Stamp(0)), to, at });
        let behind = ask(&query).await;
        assert_eq!((behind.total, behind.batch.len()), (SIZE as u64 - 1000, 1000));
        let ids =
            |page: &Page| page.batch.records.iter().map(|record| record.id).collect::<Vec<_>>();
        assert_eq!(ids(&behind), ids(&second));
    }
}

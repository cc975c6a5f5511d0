//! Every kind of fault, as a client meets it.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

mod common;

use std::time::Duration;

use common::{Env, header, ids};
use org_sim::{Fault, FaultKind, RequestClass, When};
use serde_json::{Value, json};

const CONTACTS: &str = "SELECT Id, LastName, Email FROM Contact ORDER BY Id";

fn once(kind: FaultKind) -> Fault {
    Fault { class: RequestClass::Query, object: None, kind, when: When::Times(1) }
}

/// Status, error code (or body) and calls counted, for one query under a fault; then that the next one is well.
async fn refused(env: &Env, kind: FaultKind) -> (u16, String, u64) {
    let before = env.sim.api_calls();
    env.sim.set_fault(once(kind));
    let answer = env.ask(CONTACTS).send().await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.text().await.unwrap();
    let code = match serde_json::from_str::<Value>(&body) {
        Ok(errors) => errors[0]["errorCode"].as_str().unwrap().to_owned(),
        Err(_) => body,
    };
    let counted = env.sim.api_calls() - before;
    assert_eq!(env.query(CONTACTS).await.0, 200);
    (status, code, counted)
}

#[tokio::test]
async fn refusals_look_and_count_as_at_salesforce() {
    let env = Env::usual().await;
    let json = |status| FaultKind::ServerError { status, html: false };
    let cases = [
        (json(500), (500, "UNKNOWN_EXCEPTION", 1)),
        (json(503), (503, "SERVER_UNAVAILABLE", 1)),
        (FaultKind::Unauthorized { expire: false }, (401, "INVALID_SESSION_ID", 1)),
        (FaultKind::TooManyRequests, (429, "REQUEST_LIMIT_EXCEEDED", 0)),
        (FaultKind::EmptyStatus { status: 406 }, (406, "", 0)),
        (FaultKind::EmptyStatus { status: 420 }, (420, "", 0)),
        (FaultKind::DailyLimit, (403, "REQUEST_LIMIT_EXCEEDED", 0)),
        (FaultKind::ConcurrentLimit, (403, "REQUEST_LIMIT_EXCEEDED", 0)),
        (
            FaultKind::UnknownLimit { message: "Quota of the moon".into() },
            (403, "REQUEST_LIMIT_EXCEEDED", 0),
        ),
        (FaultKind::QueryTimeout, (400, "QUERY_TIMEOUT", 1)),
        (FaultKind::InvalidLocator, (400, "INVALID_QUERY_LOCATOR", 1)),
    ];
    for (kind, (status, code, counted)) in cases {
        assert_eq!(
            refused(&env, kind.clone()).await,
            (status, code.to_owned(), counted),
            "{kind:?}"
        );
    }
    for status in [500, 502, 503] {
        let (seen, body, counted) =
            refused(&env, FaultKind::ServerError { status, html: true }).await;
        assert_eq!((seen, counted), (status, 0));
        assert!(body.starts_with("<html>"), "{body}");
    }
}

#[tokio::test]
async fn an_expiring_401_needs_a_refresh() {
    let env = Env::usual().await;
    env.sim.set_fault(once(FaultKind::Unauthorized { expire: true }));
    assert_eq!(env.query(CONTACTS).await.0, 401);
    assert_eq!(env.query(CONTACTS).await.0, 401);
    let token = env.credentials().await["access_token"].as_str().unwrap().to_owned();
    assert_ne!(token, env.token);
    assert_eq!(
        env.get_with("/services/data/v62.0/limits", &token).send().await.unwrap().status(),
        200
    );
}

#[tokio::test]
async fn a_reset_in_mid_body_breaks_the_answer_off() {
    let env = Env::usual().await;
    env.sim.set_fault(once(FaultKind::ResetMidBody));
    let answer = env.ask(CONTACTS).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.is_err());
    assert_eq!(env.sim.api_calls(), 1);
    assert_eq!(env.query(CONTACTS).await.0, 200);
}

#[tokio::test]
async fn truncated_json_looks_whole_to_http() {
    let env = Env::usual().await;
    env.sim.set_fault(once(FaultKind::TruncatedJson));
    let answer = env.ask(CONTACTS).send().await.unwrap();
    let length: usize = header(&answer, "content-length").unwrap().parse().unwrap();
    let body = answer.bytes().await.unwrap();
    assert_eq!(body.len(), length);
    assert!(serde_json::from_slice::<Value>(&body).is_err());
}

#[tokio::test]
async fn a_dripping_body_arrives_whole() {
    let env = Env::usual().await;
    let (_, expected) = env.query("SELECT Id FROM Account ORDER BY Id LIMIT 5").await;
    env.sim.set_fault(once(FaultKind::Drip { bytes: 50, every_ms: 1 }));
    let mut answer = env.ask("SELECT Id FROM Account ORDER BY Id LIMIT 5").send().await.unwrap();
    let mut parts = Vec::new();
    while let Some(part) = answer.chunk().await.unwrap() {
        parts.push(part);
    }
    assert!(parts.len() > 2, "{} parts", parts.len());
    assert_eq!(serde_json::from_slice::<Value>(&parts.concat()).unwrap(), expected);
}

#[tokio::test]
async fn a_stall_lasts_until_the_client_gives_up_or_the_time_is_over() {
    let env = Env::usual().await;
    env.sim.set_fault(once(FaultKind::Stall { ms: None, mid_body: false }));
    let waiting = tokio::spawn(env.ask(CONTACTS).send());
    while env.sim.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    waiting.abort();
    env.sim.set_fault(once(FaultKind::Stall { ms: None, mid_body: true }));
    let mut answer = env.ask(CONTACTS).send().await.unwrap();
    assert!(answer.chunk().await.unwrap().is_some());
    let rest = tokio::time::timeout(Duration::from_millis(100), answer.bytes()).await;
    assert!(rest.is_err(), "nothing more comes");
    for mid_body in [false, true] {
        env.sim.set_fault(once(FaultKind::Stall { ms: Some(10), mid_body }));
        assert_eq!(env.query(CONTACTS).await.0, 200);
    }
    assert_eq!(env.sim.api_calls(), 4);
    assert_eq!(env.sim.requests().len(), 4, "a request that was given up is in the log");
    // A stalled request must not keep the org from ending.
    env.sim.set_fault(once(FaultKind::Stall { ms: None, mid_body: true }));
    let answer = env.ask(CONTACTS).send().await.unwrap();
    env.sim.shutdown().await.unwrap();
    assert!(answer.bytes().await.is_err());
}

#[tokio::test]
async fn short_empty_and_oversize_pages_lose_nothing() {
    let env = Env::usual().await;
    env.sim.set_fault(once(FaultKind::ShortPage { rows: 7 }));
    let more = |kind, skip| Fault {
        class: RequestClass::QueryMore,
        object: Some("Contact".into()),
        kind,
        when: When::After { skip, times: 1 },
    };
    env.sim.set_fault(more(FaultKind::EmptyPage, 0));
    env.sim.set_fault(more(FaultKind::OversizePage { rows: 1_200 }, 1));
    let ask = |path: &str| env.get(path).header("Sforce-Query-Options", "batchSize=1000");
    let mut page: Value = env.ask(CONTACTS).send().await.unwrap().json().await.unwrap();
    let (mut sizes, mut all) = (vec![ids(&page).len()], ids(&page));
    while let Some(next) = page["nextRecordsUrl"].as_str() {
        assert_eq!(page["done"], false);
        page = ask(next).send().await.unwrap().json().await.unwrap();
        sizes.push(ids(&page).len());
        all.extend(ids(&page));
    }
    assert_eq!(sizes, [7, 0, 1_200, 1_000, 293]);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 2_500);
}

#[tokio::test]
async fn usage_headers_can_be_missing_malformed_or_longer() {
    let env = Env::usual().await;
    for (kind, expected) in [
        (FaultKind::LimitHeaderMissing, None),
        (FaultKind::LimitHeader { value: "api-usage=lots".into() }, Some("api-usage=lots")),
        (FaultKind::DailyLimit, Some("api-usage=15000/15000")),
        (FaultKind::ConcurrentLimit, Some("api-usage=2/15000")),
        (
            FaultKind::LimitHeaderExtended,
            Some("api-usage=3/15000; api-bursts=1/750; per-app-api-usage=17/250(appName=kilofold)"),
        ),
    ] {
        env.sim.set_fault(once(kind));
        let answer = env.ask(CONTACTS).send().await.unwrap();
        assert_eq!(header(&answer, "sforce-limit-info"), expected);
    }
}

#[tokio::test]
async fn records_change_and_appear_behind_a_page() {
    let env = Env::usual().await;
    let truth = || env.sim.org().read().unwrap().truth("Contact");
    let before = truth();
    env.sim.advance_clock(Duration::from_secs(3_600));
    env.sim.set_fault(once(FaultKind::ChangeBetweenPages { records: 10 }));
    let (_, page) = env.query(CONTACTS).await;
    assert_eq!(page["totalSize"], 2_500);
    let after = truth();
    assert_ne!(before.digest, after.digest);
    let now = env.sim.now();
    let stamped = |truth: &org_sim::data::replicate::Truth, at: jiff::Timestamp| {
        let text = at.strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string();
        truth.rows.iter().filter(|(_, stamp, _)| *stamp == text).count()
    };
    assert_eq!(stamped(&after, now), 10);

    env.sim.set_fault(once(FaultKind::LateCommit { records: 3, seconds: 90 }));
    let (_, page) = env.query(CONTACTS).await;
    assert_eq!(page["totalSize"], 2_500, "not yet visible to the page itself");
    let late = truth();
    assert_eq!(late.count, 2_503);
    assert_eq!(stamped(&late, now - jiff::SignedDuration::from_secs(90)), 3);
    assert_eq!(env.query(CONTACTS).await.1["totalSize"], 2_503);
}

#[tokio::test]
async fn the_log_names_the_faults_and_counts_what_was_counted() {
    let env = Env::usual().await;
    env.sim.set_fault(Fault {
        class: RequestClass::Any,
        object: Some("Contact".into()),
        kind: FaultKind::EmptyStatus { status: 406 },
        when: When::Nth(2),
    });
    for _ in 0..4 {
        env.ask("SELECT COUNT() FROM Contact").send().await.unwrap();
        env.ask("SELECT COUNT() FROM Account").send().await.unwrap();
    }
    let notes = env.sim.requests();
    let contact: Vec<(u16, bool)> = notes
        .iter()
        .filter(|note| note.object.as_deref() == Some("Contact"))
        .map(|note| (note.status, note.counted))
        .collect();
    assert_eq!(contact, [(200, true), (406, false), (200, true), (406, false)]);
    assert_eq!(notes.iter().filter(|note| note.counted).count() as u64, env.sim.api_calls());
    assert_eq!(notes[2].faults, ["empty_status"]);
    assert_eq!(env.sim.faults()[0].hits, 2);
    env.sim.clear_faults();
    assert_eq!(
        env.query("SELECT COUNT() FROM Contact").await.1,
        json!({"totalSize": 2_500, "done": true, "records": []})
    );
}

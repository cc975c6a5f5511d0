//! Connections against the simulated org: approvals counted, orgs kept apart, losses noticed and explained.

#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

#[path = "salesforce/env.rs"]
mod env;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use env::{Env, browser, config, name};
use kilofold::config::Pool;
use kilofold::model::{ConnectionName, Stamp};
use kilofold::quota::Rules;
use kilofold::salesforce::approvals::Evidence;
use kilofold::salesforce::{ConnectionState, Error, Grant, OrgSettings, Redirect};
use org_sim::{Fault, FaultKind, Loss, RefreshPolicy, RequestClass, SimConfig, When};

const DAY: u64 = 24 * 60 * 60;
const SECOND: &str = "second@kilofold.example";
const FOREIGN: &str = "ada@elsewhere.example";

fn two_users() -> SimConfig {
    SimConfig { more_usernames: vec![SECOND.to_owned()], ..config() }
}

fn named(text: &str) -> ConnectionName {
    ConnectionName::new(text).unwrap()
}

/// A second connection, of the second user.
fn with_second(settings: &mut OrgSettings) {
    let mut second = settings.connections[0].clone();
    second.name = named("second");
    let Grant::Code { user, .. } = &mut second.grant else { panic!("it consents") };
    *user = Some(SECOND.to_owned());
    settings.connections.push(second);
}

impl Env {
    fn user(&self) -> &str {
        &self.sim.config().username
    }

    fn state(&self, name: &str) -> ConnectionState {
        self.org.connections().into_iter().find(|one| one.name.as_str() == name).unwrap().state
    }

    fn number(&self, name: &str) -> usize {
        self.org.approvals(&named(name)).unwrap().number
    }

    /// Moves both clocks.
    fn later(&self, seconds: u64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
        self.sim.advance_clock(Duration::from_secs(seconds));
    }

    /// The cause that a lost connection is told with.
    async fn lost(&self) -> String {
        self.sim.expire_access_tokens();
        let error = self.first().await.unwrap_err();
        assert_eq!(error.code(), "auth.reconnect", "{error}");
        let Error::Reconnect { cause: Some(cause), .. } = error else { panic!("{error}") };
        cause
    }
}

#[tokio::test]
async fn a_consent_counts_from_its_start() {
    let mut env = Env::connected(SimConfig { count_started: true, ..config() }).await;
    assert_eq!((env.number("main"), env.sim.approvals(env.user())), (1, 1));
    let how = Redirect::Loopback { port: 0 };
    let mut warnings = Vec::new();
    for _ in 0..4 {
        // The user opens the page, and nothing comes back here.
        let pending = env.org.begin(&name(), how.clone(), false).await.unwrap();
        env.consented(&pending.url).await;
        warnings.push(pending.warning.clone());
    }
    assert_eq!((env.number("main"), env.sim.approvals(env.user())), (5, 5), "as Salesforce does");
    assert!(warnings[..3].iter().all(Option::is_none), "its own makes room: {warnings:?}");
    assert!(warnings[3].as_ref().unwrap().contains("approval 4 of the 5"), "{warnings:?}");
    env.restart().unwrap();
    assert_eq!(env.number("main"), 5, "it is remembered");
    let tally = env.org.approvals(&name()).unwrap();
    assert_eq!((tally.ours, tally.started, tally.elsewhere), (1, 4, 0));
    assert_eq!(tally.evidence, Evidence::Nothing);
}

#[tokio::test]
async fn an_unfinished_start_stops_counting_when_the_list_has_no_token_of_it() {
    let env = Env::connected(config()).await;
    for _ in 0..3 {
        env.org.begin(&name(), Redirect::Loopback { port: 0 }, false).await.unwrap();
    }
    assert_eq!(env.number("main"), 4);
    env.org.census().await.unwrap();
    assert_eq!(env.number("main"), 4, "they might still be finished");
    env.later(2 * 60 * 60);
    assert_eq!(env.org.census().await.unwrap(), 1);
    let tally = env.org.approvals(&name()).unwrap();
    assert_eq!((tally.number, tally.ours, tally.started), (1, 1, 0));
    assert!(matches!(tally.evidence, Evidence::Census { .. }), "{tally:?}");
}

#[tokio::test]
async fn a_census_learns_what_others_hold() {
    let mut env = Env::connected(two_users()).await;
    env.tweak = with_second;
    env.restart().unwrap();
    env.consent_to(&named("second"), false).await.unwrap();
    env.org.census().await.unwrap();
    for one in ["main", "second"] {
        let tally = env.org.approvals(&named(one)).unwrap();
        assert!(matches!(tally.evidence, Evidence::Census { .. }), "{one}: {tally:?}");
    }
    let user = env.user().to_owned();
    env.sim.approve_elsewhere(&user, None);
    env.sim.approve_elsewhere(&user, None);
    env.sim.approve_elsewhere(SECOND, None);
    env.sim.approve_elsewhere(&user, Some("Data Loader"));
    let before = (env.sim.api_calls(), env.book.counted());
    assert_eq!(env.org.census().await.unwrap(), 2, "one call a user");
    assert_eq!((env.sim.api_calls(), env.book.counted()), (before.0 + 2, before.1 + 2));
    let query = env.sim.requests().pop().unwrap().query.unwrap();
    assert!(query.contains("FROM OauthToken") && !query.contains("Token,"), "{query}");
    // Data Loader has one token as well as kilofold has, and two of kilofold's three are not ours.
    let tally = env.org.approvals(&name()).unwrap();
    assert_eq!((tally.number, tally.ours), (1, 1));
    assert!(tally.note.unwrap().contains("Data Loader, kilofold"));
    let tally = env.org.approvals(&named("second")).unwrap();
    assert_eq!((tally.number, tally.elsewhere), (2, 1), "of the second user's own");
    // Named, it is clear; what is known stays known over a restart.
    env.tweak = |settings| {
        with_second(settings);
        for connection in &mut settings.connections {
            let Grant::Code { app, .. } = &mut connection.grant else { continue };
            *app = Some("Kilofold".to_owned());
        }
    };
    env.restart().unwrap();
    let tally = env.org.approvals(&name()).unwrap();
    assert_eq!((tally.number, tally.elsewhere, tally.note), (3, 2, None));
    // The sixth would be one that nobody here has made.
    env.sim.approve_elsewhere(&user, None);
    env.sim.approve_elsewhere(&user, None);
    env.org.census().await.unwrap();
    assert_eq!((env.number("main"), env.sim.approvals(&user)), (5, 5));
    // An administrator sees everybody's with one call; a list that is hidden is said to be.
    env.sim.hide_token_list(true);
    env.org.census().await.unwrap();
    let tally = env.org.approvals(&name()).unwrap();
    assert_eq!((tally.number, tally.elsewhere), (1, 0));
    assert!(tally.note.as_ref().unwrap().contains("approvals_elsewhere"), "{tally:?}");
}

#[tokio::test]
async fn an_administrator_counts_for_all_users_with_one_call() {
    let config = two_users();
    let config = SimConfig { token_admins: vec![config.username.clone()], ..config };
    let mut env = Env::connected(config).await;
    env.tweak = with_second;
    env.restart().unwrap();
    env.consent_to(&named("second"), false).await.unwrap();
    for _ in 0..3 {
        env.sim.approve_elsewhere(SECOND, None);
    }
    assert_eq!(env.org.census().await.unwrap(), 1);
    assert_eq!((env.number("main"), env.number("second")), (1, 4));
}

#[tokio::test]
async fn declared_approvals_count_and_the_sixth_is_refused_with_its_price() {
    let mut env = Env::connected(config()).await;
    env.tweak = |settings| {
        let Grant::Code { elsewhere, .. } = &mut settings.connections[0].grant else { return };
        *elsewhere = 3;
        for n in 1..=2 {
            let mut more = settings.connections[0].clone();
            more.name = named(&format!("more-{n}"));
            settings.connections.push(more);
        }
    };
    env.restart().unwrap();
    env.consent_to(&named("more-1"), false).await.unwrap();
    assert_eq!(env.number("main"), 5);
    let starts = env.org.approvals(&named("more-2")).unwrap().started;
    let error = env.consent_to(&named("more-2"), false).await.unwrap_err();
    let Error::TooManyApprovals { number: 6, user, why, .. } = &error else { panic!("{error}") };
    // Who will approve is not known: those of the user who has the most count.
    assert_eq!(user.as_deref(), None);
    for part in ["2 of kilofold's connections", "3 elsewhere", "'main'", "oldest"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert_eq!(env.org.approvals(&named("more-2")).unwrap().started, starts, "nothing was begun");
    env.consent_to(&named("more-2"), true).await.unwrap();
    assert_eq!(env.number("main"), 6);
}

#[tokio::test]
async fn grants_without_consent_count_nothing() {
    let config = config();
    let secret = config.client_secret.clone().into();
    let env = Env::start(config, Grant::ClientCredentials { secret }, Rules::default()).await;
    env.org.connect(&name()).await.unwrap();
    assert_eq!(env.org.approvals(&name()), None);
    assert_eq!(env.sim.approvals(env.user()), 0);
    assert_eq!(env.org.census().await.unwrap(), 0);
    assert_eq!(env.org.home().unwrap().org_id, env.sim.org().read().unwrap().org_id());
}

#[tokio::test]
async fn another_org_is_refused_before_anything_is_stored() {
    let config = SimConfig { foreign_usernames: vec![FOREIGN.to_owned()], ..two_users() };
    let mut env = Env::connected(config).await;
    env.tweak = |settings| {
        with_second(settings);
        let Grant::Code { user, .. } = &mut settings.connections[1].grant else { return };
        *user = Some(FOREIGN.to_owned());
    };
    env.restart().unwrap();
    let before = env.safe.sealed.lock().unwrap().get("connection/second").cloned();
    let error = env.refused(&named("second")).await;
    assert_eq!(error.code(), "auth.other-org");
    let org = env.sim.org().read().unwrap().org_id().to_owned();
    let words = error.to_string();
    for part in [&org[..15], FOREIGN, env.user(), "00D9Z00000FOREi"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    assert_eq!(env.safe.sealed.lock().unwrap().get("connection/second").cloned(), before);
    assert_eq!(env.state("second"), ConnectionState::NotConnected);
    assert_eq!(env.sim.approvals(FOREIGN), 0, "it was given back");
    assert_eq!(env.number("second"), 0);
    env.restart().unwrap();
    assert_eq!(env.state("second"), ConnectionState::NotConnected);
    env.first().await.unwrap();
}

impl Env {
    /// A consent that is given and not taken over.
    async fn refused(&self, name: &ConnectionName) -> Error {
        let how = Redirect::Loopback { port: 0 };
        let pending = self.org.begin(name, how, false).await.unwrap();
        let url = pending.url.clone();
        let user = tokio::spawn(async move { browser().get(url).send().await.unwrap() });
        let error = self.org.finish(pending).await.unwrap_err();
        user.await.unwrap();
        error
    }
}

#[tokio::test]
async fn another_user_than_configured_is_refused() {
    let mut env = Env::connected(two_users()).await;
    env.tweak = with_second;
    env.restart().unwrap();
    // The browser is logged in as somebody else, whatever the hint says.
    let how = Redirect::Loopback { port: 0 };
    let pending = env.org.begin(&named("second"), how, false).await.unwrap();
    let mut url = pending.url.clone();
    let pairs: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(key, _)| key != "login_hint")
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    let user = tokio::spawn(async move { browser().get(url).send().await.unwrap() });
    let error = env.org.finish(pending).await.unwrap_err();
    user.await.unwrap();
    assert_eq!(error.code(), "auth.other-user");
    assert!(
        error.to_string().contains(SECOND) && error.to_string().contains(env.user()),
        "{error}"
    );
    assert_eq!(env.sim.approvals(env.user()), 1, "that of main alone");
    assert_eq!(env.state("second"), ConnectionState::NotConnected);
    // As it should be, it is taken over.
    env.consent_to(&named("second"), false).await.unwrap();
    let status = env.org.connections().pop().unwrap();
    assert_eq!(status.user.as_deref(), Some(SECOND));
}

#[tokio::test]
async fn a_loss_is_told_with_its_probable_cause() {
    for (loss, word) in [
        (Loss::Revoked, "revoked in Salesforce"),
        (Loss::PasswordChanged, "password"),
        (Loss::UserDeactivated, "deactivated"),
    ] {
        let env = Env::connected(config()).await;
        env.sim.lose_approvals(None, loss);
        let cause = env.lost().await;
        assert!(cause.contains(word), "{cause}");
        assert_eq!(env.number("main"), 0, "it counts no longer");
    }
    // Nobody used it for longer than the app's policy allows.
    let idle = RefreshPolicy::Idle(Duration::from_secs(30 * DAY));
    let env = Env::connected(SimConfig { refresh_policy: idle, ..config() }).await;
    env.later(40 * DAY);
    assert!(env.lost().await.contains("not used for 40 days"));
    // Others of the same app pushed it out: the census knew of them.
    let env = Env::connected(config()).await;
    for _ in 0..4 {
        env.sim.approve_elsewhere(env.user(), None);
    }
    env.org.census().await.unwrap();
    env.sim.approve_elsewhere(env.user(), None);
    let cause = env.lost().await;
    assert!(cause.contains("five-connection rule"), "{cause}");
}

#[tokio::test]
async fn five_newer_approvals_of_our_own_explain_a_loss() {
    let mut env = Env::connected(config()).await;
    env.tweak = |settings| {
        for n in 1..=5 {
            let mut more = settings.connections[0].clone();
            more.name = named(&format!("more-{n}"));
            settings.connections.push(more);
        }
    };
    env.restart().unwrap();
    for n in 1..=5 {
        env.consent_to(&named(&format!("more-{n}")), true).await.unwrap();
    }
    let cause = env.lost().await;
    assert!(
        cause.contains("5 approvals of this app by the same user were started after"),
        "{cause}"
    );
    assert_eq!(env.number("more-1"), 5, "which one was ended is known now");
}

#[tokio::test]
async fn an_answer_that_never_arrived_is_told_as_rotation() {
    // The connection breaks while the answer is on its way: the next try is a replay.
    let env = Env::connected(SimConfig { rotate_refresh_tokens: true, ..config() }).await;
    env.fault(RequestClass::Token, FaultKind::ResetMidBody);
    let cause = env.lost().await;
    assert!(cause.contains("rotation"), "{cause}");
    // The process ends while it waits for the answer.
    let mut env = Env::connected(SimConfig { rotate_refresh_tokens: true, ..config() }).await;
    env.sim.expire_access_tokens();
    let stall = FaultKind::Stall { ms: None, mid_body: false };
    env.sim.set_fault(Fault {
        class: RequestClass::Token,
        object: None,
        kind: stall,
        when: When::Times(1),
    });
    let granted = env.sim.tokens_granted();
    {
        let mut query = std::pin::pin!(env.first());
        while env.sim.tokens_granted() == granted {
            assert!(futures::poll!(query.as_mut()).is_pending());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    env.restart().unwrap();
    let cause = env.lost().await;
    assert!(cause.contains("rotation"), "{cause}");
}

#[tokio::test]
async fn an_answer_that_was_put_down_survives_the_process() {
    let mut env = Env::connected(SimConfig { rotate_refresh_tokens: true, ..config() }).await;
    let old = env.tokens();
    env.sim.expire_access_tokens();
    // The process dies between the answer and its durable place.
    env.safe.full.store(true, Ordering::SeqCst);
    assert_eq!(env.first().await.unwrap_err().code(), "auth.vault");
    assert_eq!(env.tokens(), old, "it was not saved");
    env.safe.full.store(false, Ordering::SeqCst);
    env.restart().unwrap();
    assert_ne!(env.tokens(), old, "it was taken over");
    assert_eq!(env.sim.tokens_granted(), 2);
    env.first().await.unwrap();
    assert_eq!(env.sim.tokens_granted(), 2, "the access token of that answer is good");
    env.sim.expire_access_tokens();
    env.first().await.unwrap();
    // A note that belongs to tokens of the past is left alone.
    let note = env.safe.notes.lock().unwrap().get("connection/main").cloned();
    assert_eq!(note, Some(Vec::new()), "taken away once it was saved");
}

#[tokio::test]
async fn a_refused_connection_is_left_alone_and_comes_back() {
    let mut env = Env::connected(config()).await;
    env.sim.rotate_secret("another");
    env.sim.clear_requests();
    let heard = listen(&env);
    for _ in 0..5 {
        let error = env.first().await.unwrap_err();
        assert_eq!(error.code(), "auth.denied", "{error}");
        assert!(error.to_string().contains("invalid_client"), "{error}");
    }
    assert_eq!(env.received(RequestClass::Token), 1, "not hammered");
    let ConnectionState::Refused { again, .. } = env.state("main") else { panic!("refused") };
    assert!(again > Stamp::now() && env.org.tries_again(&name()) == Some(again));
    assert_eq!(*heard.lock().unwrap(), ["refused"]);
    env.later(61);
    assert_eq!(env.first().await.unwrap_err().code(), "auth.denied");
    assert_eq!(env.received(RequestClass::Token), 2);
    // Tokens are kept: the old secret works again, for example after a slip. (The approval itself has ended here.)
    env.restart().unwrap();
    env.sim.rotate_secret(&env.sim.config().client_secret);
    assert_eq!(env.first().await.unwrap_err().code(), "auth.reconnect");
    let heard = listen(&env);
    env.consent().await;
    env.first().await.unwrap();
    assert_eq!(*heard.lock().unwrap(), ["healthy"]);
}

/// The states that are told from now on.
fn listen(env: &Env) -> Arc<Mutex<Vec<&'static str>>> {
    let heard = Arc::<Mutex<Vec<&'static str>>>::default();
    let told = heard.clone();
    env.org.on_change(move |status| told.lock().unwrap().push(status.state.as_str()));
    heard
}

#[tokio::test]
async fn a_session_that_is_not_for_the_api_causes_no_loop() {
    let env = Env::connected(config()).await;
    env.sim.clear_requests();
    env.faults(RequestClass::Query, FaultKind::NotForApi, 2);
    for _ in 0..4 {
        assert_eq!(env.first().await.unwrap_err().code(), "auth.not-for-api");
    }
    assert_eq!(env.sim.requests().len(), 1, "one request, and no refresh");
    env.later(61);
    assert_eq!(env.first().await.unwrap_err().code(), "auth.not-for-api");
    env.later(121);
    env.first().await.unwrap();
    assert_eq!((env.state("main"), env.sim.requests().len()), (ConnectionState::Healthy, 3));
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_asked_for_once_a_day() {
    let env = Env::connected(config()).await;
    let heard = listen(&env);
    // The census is due at once; everything else only after about a day.
    let next = env.org.tend().await.unwrap();
    assert!(next > Stamp::now().plus(Duration::from_secs(22 * 60 * 60)));
    env.sim.clear_requests();
    env.later(22 * 60 * 60);
    env.org.tend().await.unwrap();
    assert!(env.sim.requests().is_empty(), "{:?}", env.sim.requests());
    env.later(4 * 60 * 60);
    let counted = env.sim.api_calls();
    env.org.tend().await.unwrap();
    let seen: Vec<String> = env.sim.requests().into_iter().map(|note| note.path).collect();
    assert_eq!(
        seen,
        [
            // The access token had expired meanwhile, so the refresh token had to tell.
            "/services/oauth2/userinfo",
            "/services/oauth2/token",
            "/services/data/v62.0/query/"
        ]
    );
    assert_eq!(env.sim.api_calls(), counted + 1 - counted, "only the census counts");
    // Lost, it is noticed without anybody using it.
    env.sim.revoke_approvals(None);
    env.sim.clear_requests();
    env.later(26 * 60 * 60);
    env.org.tend().await;
    assert!(matches!(env.state("main"), ConnectionState::ReconnectNeeded { .. }));
    assert_eq!(*heard.lock().unwrap(), ["reconnect-needed"]);
    let asked = env.sim.requests().len();
    env.later(26 * 60 * 60);
    assert_eq!(env.org.tend().await, None, "there is nothing left to look after");
    assert_eq!(env.sim.requests().len(), asked);
    assert_eq!(env.sim.api_calls(), 0);
}

#[tokio::test]
async fn an_invitation_is_answered_once_by_whom_it_was_sent_to() {
    let config = SimConfig { auto_approve: true, ..config() };
    let grant = env::code(&config);
    let env = Env::start(config, grant, Rules::default()).await;
    let how = Redirect::Served { port: 4350, tls: false };
    let invited = env.org.invite(&name(), how.clone(), false).await.unwrap();
    assert_eq!(invited.callback, "http://localhost:4350/connections/callback");
    let again = env.org.invite(&name(), how.clone(), false).await.unwrap();
    assert_eq!(again.url, invited.url, "two clicks are one approval");
    assert_eq!(env.number("main"), 1);
    let answer = env.consented(&invited.url).await;
    let mut forged = answer.clone();
    forged.insert("state".to_owned(), "guessed".to_owned());
    assert_eq!(env.org.answered(&forged).await, Err(Error::Stray));
    assert_eq!(env.org.answered(&HashMap::new()).await, Err(Error::Stray));
    assert!(env.org.invited(&name()).unwrap().outcome.is_none());
    let status = env.org.answered(&answer).await.unwrap();
    assert_eq!(
        (status.state, status.user.as_deref()),
        (ConnectionState::Healthy, Some(env.user()))
    );
    assert_eq!(env.org.answered(&answer).await, Err(Error::Stray), "once");
    assert!(env.org.invited(&name()).unwrap().outcome.unwrap().is_ok());
    assert_eq!(env.number("main"), 1);
    env.first().await.unwrap();
    // One that is pasted; denied; and one that comes too late.
    let invited = env.org.invite(&name(), how.clone(), false).await.unwrap();
    let state = answer_to(&invited.url, "state");
    let denied = format!("{}?error=access_denied&state={state}", invited.callback);
    let error = env.org.answered_at(&name(), &denied).await.unwrap_err();
    assert!(error.to_string().contains("access_denied"), "{error}");
    let invited = env.org.invite(&name(), how, false).await.unwrap();
    let answer = env.consented(&invited.url).await;
    env.later(16 * 60);
    assert_eq!(env.org.answered(&answer).await, Err(Error::Stray));
    env.first().await.unwrap();
}

fn answer_to(url: &url::Url, key: &str) -> String {
    url.query_pairs().find(|(name, _)| name == key).unwrap().1.into_owned()
}

impl Env {
    /// What the browser brings back from the consent page, which nobody listens for.
    async fn consented(&self, url: &url::Url) -> HashMap<String, String> {
        drop(rustls::crypto::ring::default_provider().install_default());
        let policy = reqwest::redirect::Policy::none();
        let browser = reqwest::Client::builder().no_proxy().redirect(policy).build().unwrap();
        let answer = browser.get(url.clone()).send().await.unwrap();
        let back = answer.headers()["location"].to_str().unwrap();
        url::Url::parse(back).unwrap().query_pairs().into_owned().collect()
    }
}

#[tokio::test]
async fn runs_draw_the_healthy_connection_with_the_least_to_do() {
    let mut env = Env::connected(two_users()).await;
    env.tweak = with_second;
    env.restart().unwrap();
    let pool = Pool::new([name(), named("second")]).unwrap();
    let alone = Pool::new([named("second")]).unwrap();
    let draw = |pool: &Pool, failover| env.org.draw(pool, failover, &[]).unwrap();
    // Only main is there: everybody draws it; a sync that names the other one gets that, or moves when it may.
    let first = draw(&pool, false);
    assert_eq!((first.name(), draw(&pool, false).name()), (&name(), &name()));
    assert_eq!(draw(&alone, false).name(), &named("second"));
    let moved = draw(&alone, true);
    assert_eq!((moved.name(), moved.instead_of.as_ref()), (&name(), Some(&named("second"))));
    assert!(!env.org.can_draw(&alone, false) && env.org.can_draw(&alone, true));
    drop((first, moved));
    env.consent_to(&named("second"), false).await.unwrap();
    assert!(env.org.can_draw(&alone, false));
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(draw(&pool, false));
    }
    let of = |name: &str| held.iter().filter(|lease| lease.name().as_str() == name).count();
    assert_eq!((of("main"), of("second")), (3, 3));
    held.retain(|lease| lease.name().as_str() == "main");
    assert_eq!(draw(&pool, false).name(), &named("second"));
    assert_eq!(env.org.draw(&pool, false, &[name(), named("second")]).map(|_| ()), None);
}

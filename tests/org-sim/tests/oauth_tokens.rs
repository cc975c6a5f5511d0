//! The life of tokens, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

mod common;

use std::time::Duration;

use common::{Env, config, header, keys};
use org_sim::{Evict, Fault, FaultKind, RequestClass, SimConfig, When};
use serde_json::{Value, json};

fn error(answer: &(u16, Value)) -> (u16, &str, &str) {
    (answer.0, answer.1["error"].as_str().unwrap(), answer.1["error_description"].as_str().unwrap())
}

const EXPIRED: (u16, &str, &str) = (400, "invalid_grant", "expired access/refresh token");

#[tokio::test]
async fn refresh_without_rotation_keeps_the_token() {
    let env = Env::usual().await;
    let first = env.connect().await;
    let token = first["refresh_token"].as_str().unwrap();
    let (status, body) = env.refresh(token).await;
    assert_eq!(status, 200);
    assert_eq!(
        keys(&body),
        ["access_token", "signature", "scope", "instance_url", "id", "token_type", "issued_at"]
    );
    assert_eq!(env.refresh(token).await.0, 200);
    assert_eq!(error(&env.refresh("unknown").await), EXPIRED);
    let scoped = env
        .token_grant(&[("grant_type", "refresh_token"), ("refresh_token", token), ("scope", "api")])
        .await;
    assert_eq!(scoped.0, 400, "Salesforce refuses a scope here");
}

#[tokio::test]
async fn replaying_a_rotated_refresh_token_ends_the_family() {
    let env = Env::start(SimConfig { rotate_refresh_tokens: true, ..config() }).await;
    let first = env.connect().await;
    let old = first["refresh_token"].as_str().unwrap();
    let (_, next) = env.refresh(old).await;
    let newest = next["refresh_token"].as_str().unwrap();
    assert_ne!(newest, old);
    assert_eq!(error(&env.refresh(old).await), EXPIRED);
    assert_eq!(error(&env.refresh(newest).await), EXPIRED);
    for tokens in [&first, &next] {
        let path = "/services/data/v62.0/limits";
        let answer =
            env.get_with(path, tokens["access_token"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(answer.status(), 401);
    }
}

#[tokio::test]
async fn the_sixth_approval_evicts_silently() {
    for (evict, survivor, victim) in [(Evict::Oldest, 1, 0), (Evict::LeastRecentlyUsed, 0, 1)] {
        let env = Env::start(SimConfig { evict, ..config() }).await;
        let mut all = Vec::new();
        for _ in 0..5 {
            all.push(env.connect().await);
            env.sim.advance_clock(Duration::from_secs(1));
        }
        let token = |n: usize| all[n]["refresh_token"].as_str().unwrap();
        assert_eq!(env.refresh(token(0)).await.0, 200);
        env.sim.advance_clock(Duration::from_secs(1));
        env.connect().await;
        assert_eq!(error(&env.refresh(token(victim)).await), EXPIRED, "{evict:?}");
        assert_eq!(env.refresh(token(survivor)).await.0, 200, "{evict:?}");
        let dead = all[victim]["access_token"].as_str().unwrap();
        assert_eq!(
            env.get_with("/services/data/v62.0/limits", dead).send().await.unwrap().status(),
            401
        );
        assert_eq!(
            env.get("/services/data/v62.0/limits").send().await.unwrap().status(),
            200,
            "no approval, not touched"
        );
    }
}

#[tokio::test]
async fn access_tokens_expire_with_the_clock_and_on_demand() {
    let env =
        Env::start(SimConfig { access_token_life: Duration::from_secs(900), ..config() }).await;
    let tokens = env.connect().await;
    let token = tokens["access_token"].as_str().unwrap();
    let status = async |token: &str| {
        env.get_with("/services/data/v62.0/limits", token).send().await.unwrap().status().as_u16()
    };
    env.sim.advance_clock(Duration::from_secs(899));
    assert_eq!(status(token).await, 200);
    env.sim.advance_clock(Duration::from_secs(1));
    assert_eq!(status(token).await, 401);
    let (_, fresh) = env.refresh(tokens["refresh_token"].as_str().unwrap()).await;
    let fresh = fresh["access_token"].as_str().unwrap();
    assert_eq!(status(fresh).await, 200);
    assert_eq!(env.sim.expire_access_tokens(), 1);
    assert_eq!(status(fresh).await, 401);
}

#[tokio::test]
async fn revoke_introspect_userinfo_and_identity() {
    let env = Env::usual().await;
    let tokens = env.connect().await;
    let (access, refresh) =
        (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());

    let answer = env.get_with("/services/oauth2/userinfo", access).send().await.unwrap();
    assert!(header(&answer, "sforce-limit-info").is_none());
    let user: Value = answer.json().await.unwrap();
    assert_eq!(user["sub"], tokens["id"]);
    assert!(user["urls"]["query"].as_str().unwrap().ends_with("/services/data/v{version}/query/"));
    let identity = tokens["id"].as_str().unwrap();
    let answer: Value =
        env.http.get(identity).bearer_auth(access).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["username"], env.sim.config().username);

    for (request, expected) in [
        (env.get_with("/services/oauth2/userinfo", "bad"), "Bad_OAuth_Token"),
        (env.http.get(identity), "Missing_OAuth_Token"),
        (env.get_with("/id/00D000000000000AAA/005000000000000AAA", access), "Wrong_Org"),
        (env.http.get(format!("{identity}x")).bearer_auth(access), "Bad_Id"),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 403);
        assert_eq!(answer.text().await.unwrap(), expected);
    }

    let introspect = async |token: &str| -> Value {
        let form = [&[("token", token)][..], &env.app()].concat();
        env.http
            .post(env.url("/services/oauth2/introspect"))
            .form(&form)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    };
    assert_eq!(introspect(access).await["username"], env.sim.config().username);
    assert_eq!(introspect(refresh).await["token_type"], "refresh_token");
    assert_eq!(introspect("unknown").await, json!({"active": false}));

    let revoke = async |token: &str| {
        let request = env.http.post(env.url("/services/oauth2/revoke")).form(&[("token", token)]);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(revoke(access).await, (200, String::new()));
    assert_eq!(introspect(access).await, json!({"active": false}));
    let (_, fresh) = env.refresh(refresh).await;
    assert_eq!(revoke(refresh).await.0, 200);
    assert_eq!(error(&env.refresh(refresh).await), EXPIRED);
    assert_eq!(introspect(fresh["access_token"].as_str().unwrap()).await, json!({"active": false}));
    assert_eq!(revoke("unknown").await.0, 400);

    let found: Value = env
        .http
        .get(env.url("/.well-known/openid-configuration"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(found["token_endpoint"], env.url("/services/oauth2/token"));
}

#[tokio::test]
async fn token_faults() {
    let env = Env::usual().await;
    let tokens = env.connect().await;
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let fault =
        |kind| Fault { class: RequestClass::Token, object: None, kind, when: When::Times(1) };
    env.sim.set_fault(fault(FaultKind::TokenBusy));
    assert_eq!(
        error(&env.refresh(refresh).await),
        (400, "invalid_grant", "token request is already being processed")
    );
    assert_eq!(env.refresh(refresh).await.0, 200, "the token stays good");
    env.sim.set_fault(fault(FaultKind::ServerError { status: 503, html: true }));
    assert_eq!(env.post_token(&[]).await.status(), 503);
    env.sim.set_fault(fault(FaultKind::RevokeToken));
    assert_eq!(error(&env.refresh(refresh).await), EXPIRED);
    assert_eq!(error(&env.refresh(refresh).await), EXPIRED);
    assert_eq!(env.sim.api_calls(), 0, "token calls are not counted");
}

const LIST: &str = "SELECT Id, AppName, UserId, LastUsedDate, UseCount FROM OauthToken";

#[tokio::test]
async fn approvals_can_be_listed_by_their_users() {
    let (one, other, boss) =
        ("one@kilofold.example", "other@kilofold.example", "boss@kilofold.example");
    let env = Env::start(SimConfig {
        username: one.into(),
        more_usernames: vec![other.into(), boss.into()],
        token_admins: vec![boss.into()],
        ..config()
    })
    .await;
    let mut tokens = Vec::new();
    for user in [one, one, other, boss] {
        let code = common::param(&env.authorize(&[("login_hint", user)]).await, "code").unwrap();
        tokens.push(env.exchange(&code, common::VERIFIER).await.1);
    }
    env.sim.approve_elsewhere(one, None);
    env.sim.approve_elsewhere(one, Some("Data Loader"));
    env.sim.advance_clock(Duration::from_secs(3_600));
    env.refresh(tokens[0]["refresh_token"].as_str().unwrap()).await;
    let list = async |token: &Value, soql: &str| {
        let token = token["access_token"].as_str().unwrap();
        let query = env.get_with("/services/data/v62.0/query", token).query(&[("q", soql)]);
        let answer = query.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };
    let (status, own) = list(&tokens[0], LIST).await;
    assert_eq!((status, own["totalSize"].as_u64()), (200, Some(4)), "{own}");
    let user_id = own["records"][0]["UserId"].as_str().unwrap();
    assert!(tokens[0]["id"].as_str().unwrap().ends_with(user_id));
    assert_eq!(own["records"][0]["Id"], Value::Null);
    assert_eq!(own["records"][0]["UseCount"], 1);
    assert_eq!(own["records"][0]["LastUsedDate"], "2026-05-06T10:00:00.000+0000");
    assert_eq!(own["records"][1]["LastUsedDate"], "2026-05-06T09:00:00.000+0000");
    let apps: Vec<&str> = own["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["AppName"].as_str().unwrap())
        .collect();
    assert_eq!(apps, ["kilofold", "kilofold", "kilofold", "Data Loader"]);
    let narrow = format!(
        "{LIST} WHERE UserId IN ('{user_id}', '005000000000000AAA') AND AppName = 'kilofold'"
    );
    assert_eq!(list(&tokens[0], &narrow).await.1["totalSize"], 3);
    assert_eq!(list(&tokens[2], LIST).await.1["totalSize"], 1);
    assert_eq!(list(&tokens[3], LIST).await.1["totalSize"], 6, "the administrator sees all");
    assert_eq!(list(&tokens[2], &narrow).await.1["totalSize"], 0);
    // The column that nobody should ask for holds what it says.
    let (_, secret) = list(&tokens[2], "SELECT AccessToken FROM OauthToken").await;
    assert_eq!(secret["records"][0]["AccessToken"], tokens[2]["refresh_token"]);
    env.sim.hide_token_list(true);
    let (status, hidden) = list(&tokens[0], LIST).await;
    assert_eq!((status, hidden[0]["errorCode"].as_str()), (400, Some("INVALID_TYPE")));
}

#[tokio::test]
async fn users_of_another_org_log_in_at_the_same_host() {
    let foreign = "ada@elsewhere.example";
    let env = Env::start(SimConfig { foreign_usernames: vec![foreign.into()], ..config() }).await;
    let code = common::param(&env.authorize(&[("login_hint", foreign)]).await, "code").unwrap();
    let tokens = env.exchange(&code, common::VERIFIER).await.1;
    let org = env.sim.org().read().unwrap().org_id().to_owned();
    assert!(!tokens["id"].as_str().unwrap().contains(&org[..15]), "{tokens}");
    let token = tokens["access_token"].as_str().unwrap();
    let info = env.get_with("/services/oauth2/userinfo", token).send().await.unwrap();
    let info: Value = info.json().await.unwrap();
    assert_eq!(info["preferred_username"], foreign);
    assert_ne!(info["organization_id"], org.as_str());
}

#[tokio::test]
async fn a_rotated_secret_ends_everything() {
    let env = Env::usual().await;
    let tokens = env.connect().await;
    assert_eq!(env.sim.rotate_secret("another"), 1);
    let refresh = tokens["refresh_token"].as_str().unwrap();
    assert_eq!(error(&env.refresh(refresh).await).1, "invalid_client");
    assert!(!env.sim.takes(refresh));
    assert!(env.sim.secrets().iter().any(|secret| secret == refresh));
}

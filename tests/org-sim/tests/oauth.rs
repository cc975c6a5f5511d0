//! Logging in, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

mod common;

use std::time::Duration;

use common::{CALLBACK, Env, JWT_GRANT, VERIFIER, config, header, keys, param};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use org_sim::SimConfig;
use serde_json::{Value, json};

const SOQL: &str = "SELECT Id FROM Account LIMIT 1";

fn error(answer: &(u16, Value)) -> (u16, &str, &str) {
    (answer.0, answer.1["error"].as_str().unwrap(), answer.1["error_description"].as_str().unwrap())
}

#[tokio::test]
async fn code_grant_with_pkce() {
    let env = Env::usual().await;
    let redirect = env.authorize(&[]).await;
    assert_eq!(redirect.status(), 302);
    assert!(header(&redirect, "location").unwrap().starts_with(CALLBACK));
    assert_eq!(param(&redirect, "state").as_deref(), Some("st&te"));
    let code = param(&redirect, "code").unwrap();

    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let answer = env.post_token(&[&form[..], &env.app()].concat()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "content-type"), Some("application/json;charset=UTF-8"));
    assert_eq!(
        header(&answer, "cache-control"),
        Some("no-cache,must-revalidate,max-age=0,no-store,private")
    );
    assert_eq!(header(&answer, "expires"), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
    assert!(header(&answer, "sforce-limit-info").is_none());
    let body: Value = answer.json().await.unwrap();
    assert_eq!(
        keys(&body),
        [
            "access_token",
            "refresh_token",
            "signature",
            "scope",
            "instance_url",
            "id",
            "token_type",
            "issued_at"
        ]
    );
    assert_eq!(body["issued_at"], "1778058000000");
    assert_eq!(body["instance_url"], env.sim.url());
    assert_eq!(body["signature"].as_str().unwrap().len(), 44);
    let org = env.sim.org().read().unwrap().org_id().to_owned();
    assert!(body["access_token"].as_str().unwrap().starts_with(&format!("{}!", &org[..15])));
    assert!(body["id"].as_str().unwrap().contains(&format!("/id/{org}/005")));

    let answer = env
        .get_with("/services/data/v62.0/query", body["access_token"].as_str().unwrap())
        .query(&[("q", SOQL)])
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(
        error(&env.exchange(&code, VERIFIER).await),
        (400, "invalid_grant", "expired authorization code")
    );
}

#[tokio::test]
async fn a_code_is_bound_to_verifier_redirect_client_and_time() {
    let env = Env::usual().await;
    let code = env.code().await;
    assert_eq!(
        error(&env.exchange(&code, "another").await),
        (400, "invalid_grant", "invalid code verifier")
    );
    assert_eq!(env.exchange(&code, VERIFIER).await.0, 400, "a failed exchange uses the code up");

    let code = env.code().await;
    let elsewhere = env
        .token_grant(&[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", "http://127.0.0.1:8/callback"),
            ("code_verifier", VERIFIER),
        ])
        .await;
    assert_eq!(error(&elsewhere).1, "redirect_uri_mismatch");

    let code = env.code().await;
    env.sim.advance_clock(Duration::from_secs(901));
    assert_eq!(error(&env.exchange(&code, VERIFIER).await).2, "expired authorization code");

    let code = env.code().await;
    let form =
        [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", CALLBACK)];
    let wrong: [&[(&str, &str)]; 3] = [
        &[("client_id", "unknown")],
        &[("client_id", &env.sim.config().client_id)],
        &[("client_id", &env.sim.config().client_id), ("client_secret", "wrong")],
    ];
    for (app, expected) in
        wrong.into_iter().zip(["invalid_client_id", "invalid_client", "invalid_client"])
    {
        let body: Value = env.post_token(&[&form[..], app].concat()).await.json().await.unwrap();
        assert_eq!(body["error"], expected);
    }
}

#[tokio::test]
async fn authorize_refuses_what_salesforce_refuses() {
    let env = Env::start(SimConfig { require_pkce: true, ..config() }).await;
    for (change, text) in [
        (("client_id", "unknown"), "invalid_client_id"),
        (("redirect_uri", "https://example.com/cb"), "redirect_uri_mismatch"),
    ] {
        let answer = env.authorize(&[change]).await;
        assert_eq!(answer.status(), 400);
        assert!(answer.text().await.unwrap().contains(text));
    }
    for (change, expected) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("scope", "api nonsense"), "invalid_scope"),
        (("code_challenge", ""), "invalid_request"),
    ] {
        let answer = env.authorize(&[change]).await;
        assert_eq!(param(&answer, "error").as_deref(), Some(expected));
        assert_eq!(param(&answer, "state").as_deref(), Some("st&te"));
    }
}

#[tokio::test]
async fn the_user_allows_or_denies_on_the_consent_page() {
    let env = Env::start(SimConfig {
        auto_approve: false,
        more_usernames: vec!["second@kilofold.example".into()],
        ..config()
    })
    .await;
    for (decision, expected) in [("deny", "error"), ("allow", "code")] {
        let page = env.authorize(&[("login_hint", "second@kilofold.example")]).await;
        assert_eq!(page.status(), 200);
        let html = page.text().await.unwrap();
        assert!(html.contains("<option selected>second@kilofold.example</option>"), "{html}");
        let request =
            html.split("name=\"request\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        let form =
            [("request", request), ("user", "second@kilofold.example"), ("decision", decision)];
        let post = || env.http.post(env.url("/services/oauth2/authorize")).form(&form).send();
        let answer = post().await.unwrap();
        assert_eq!(answer.status(), 302);
        let value = param(&answer, expected).unwrap();
        assert_eq!(param(&answer, "state").as_deref(), Some("st&te"));
        assert_eq!(post().await.unwrap().status(), 400, "a page is answered once");
        if decision == "allow" {
            let (_, tokens) = env.exchange(&value, VERIFIER).await;
            let user: Value = env
                .get_with("/services/oauth2/userinfo", tokens["access_token"].as_str().unwrap())
                .send()
                .await
                .unwrap()
                .json()
                .await
                .unwrap();
            assert_eq!(user["preferred_username"], "second@kilofold.example");
        } else {
            assert_eq!(value, "access_denied");
        }
    }
}

#[tokio::test]
async fn without_the_scope_there_is_no_refresh_token() {
    let env = Env::usual().await;
    let code = param(&env.authorize(&[("scope", "api id")]).await, "code").unwrap();
    let (_, body) = env.exchange(&code, VERIFIER).await;
    assert!(body.get("refresh_token").is_none());
    assert_eq!(body["scope"], "api id");
}

#[tokio::test]
async fn a_token_without_the_api_scope_cannot_read_data() {
    let env = Env::usual().await;
    let code = param(&env.authorize(&[("scope", "id")]).await, "code").unwrap();
    let (_, body) = env.exchange(&code, VERIFIER).await;
    let answer = env
        .get_with("/services/data/v62.0/limits", body["access_token"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 401);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body[0]["message"], "This session is not valid for use with the REST API");
}

#[tokio::test]
async fn client_credentials_from_body_or_basic_repeat_the_valid_token() {
    let env = Env::usual().await;
    let body = env.credentials().await;
    assert_eq!(body["access_token"], env.token.as_str());
    assert!(body.get("refresh_token").is_none());
    let [(_, id), (_, secret)] = env.app();
    let basic = env
        .http
        .post(env.url("/services/oauth2/token"))
        .basic_auth(id, Some(secret))
        .form(&[("grant_type", "client_credentials")])
        .send()
        .await
        .unwrap();
    assert_eq!(basic.json::<Value>().await.unwrap()["access_token"], env.token.as_str());
    let wrong = env
        .post_token(&[
            ("grant_type", "client_credentials"),
            ("client_id", id),
            ("client_secret", "wrong"),
        ])
        .await;
    assert_eq!(wrong.status(), 400);
    assert_eq!(
        wrong.json::<Value>().await.unwrap(),
        json!({"error": "invalid_client", "error_description": "invalid client credentials"})
    );
    assert_eq!(
        error(&env.token_grant(&[("grant_type", "password")]).await),
        (400, "unsupported_grant_type", "grant type not supported")
    );
}

#[tokio::test]
async fn jwt_bearer_checks_signature_audience_user_and_time() {
    let env = Env::start(SimConfig {
        jwt_public_key_pem: Some(include_str!("fixtures/jwt-test-key.pub.pem").into()),
        ..config()
    })
    .await;
    let good = include_str!("fixtures/jwt-test-key.pem");
    let forged = include_str!("fixtures/jwt-other-key.pem");
    let now = env.sim.now().as_second();
    let claims = |changes: Value| {
        let mut claims = json!({
            "iss": env.sim.config().client_id,
            "sub": env.sim.config().username,
            "aud": "https://login.salesforce.com",
            "exp": now + 120,
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    };
    let ask = async |key: &str, claims: Value| {
        let key = EncodingKey::from_rsa_pem(key.as_bytes()).unwrap();
        let assertion =
            jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap();
        let answer = env.post_token(&[("grant_type", JWT_GRANT), ("assertion", &assertion)]).await;
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, body) = ask(good, claims(json!({}))).await;
    assert_eq!(status, 200, "{body}");
    assert!(body.get("refresh_token").is_none());
    let path = "/services/data/v62.0/limits";
    assert_eq!(
        env.get_with(path, body["access_token"].as_str().unwrap()).send().await.unwrap().status(),
        200
    );
    assert_eq!(ask(good, claims(json!({"exp": now - 179, "aud": env.sim.url()}))).await.0, 200);

    for (key, changes, expected) in [
        (forged, json!({}), "invalid assertion"),
        (good, json!({"aud": "https://example.com"}), "audience is invalid"),
        (good, json!({"exp": now - 181}), "assertion is expired"),
        (good, json!({"sub": "nobody@example.com"}), "user hasn't approved this consumer"),
        (good, json!({"iss": "another"}), "client identifier invalid"),
    ] {
        assert_eq!(error(&ask(key, claims(changes)).await).2, expected);
    }
}

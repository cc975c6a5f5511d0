//! What the suites share: an org with a fixed clock, and a client that has logged in.
#![allow(clippy::unwrap_used, dead_code, missing_docs, reason = "each suite uses its part")]

use std::sync::Once;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use org_sim::{ClockMode, Sim, SimConfig, Sizes};
use reqwest::{Client, Response};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub const VERIFIER: &str = "a-verifier-of-forty-three-characters-or-more";
pub const CALLBACK: &str = "http://127.0.0.1:7/callback";
pub const JWT_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

pub fn config() -> SimConfig {
    SimConfig {
        sizes: Sizes(
            [
                ("Contact", 2_500),
                ("Account", 300),
                ("Lead", 20),
                ("Opportunity", 20),
                ("Task", 20),
                ("Invoice__c", 20),
            ]
            .map(|(name, count)| (name.to_owned(), count))
            .to_vec(),
        ),
        auto_approve: true,
        clock: ClockMode::Fixed("2026-05-06T09:00:00Z".parse().unwrap()),
        ..SimConfig::default()
    }
}

pub struct Env {
    pub sim: Sim,
    pub http: Client,
    pub token: String,
}

impl Env {
    pub async fn start(config: SimConfig) -> Env {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
        let sim = Sim::start(config).await.unwrap();
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        let mut env = Env { sim, http, token: String::new() };
        env.token = env.credentials().await["access_token"].as_str().unwrap().to_owned();
        env.sim.clear_requests();
        env
    }

    pub async fn usual() -> Env {
        Env::start(config()).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sim.url())
    }

    pub fn app(&self) -> [(&str, &str); 2] {
        [
            ("client_id", &self.sim.config().client_id),
            ("client_secret", &self.sim.config().client_secret),
        ]
    }

    pub async fn post_token(&self, form: &[(&str, &str)]) -> Response {
        self.http.post(self.url("/services/oauth2/token")).form(form).send().await.unwrap()
    }

    pub async fn token_grant(&self, grant: &[(&str, &str)]) -> (u16, Value) {
        let answer = self.post_token(&[grant, &self.app()].concat()).await;
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub async fn credentials(&self) -> Value {
        self.token_grant(&[("grant_type", "client_credentials")]).await.1
    }

    pub async fn refresh(&self, token: &str) -> (u16, Value) {
        self.token_grant(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    pub async fn authorize(&self, changes: &[(&str, &str)]) -> Response {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let mut query = vec![
            ("response_type", "code"),
            ("client_id", self.sim.config().client_id.as_str()),
            ("redirect_uri", CALLBACK),
            ("scope", "api refresh_token"),
            ("state", "st&te"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in changes {
            query.retain(|(known, _)| known != name);
            query.push((name, value));
        }
        self.http.get(self.url("/services/oauth2/authorize")).query(&query).send().await.unwrap()
    }

    pub async fn code(&self) -> String {
        param(&self.authorize(&[]).await, "code").unwrap()
    }

    pub async fn exchange(&self, code: &str, verifier: &str) -> (u16, Value) {
        self.token_grant(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier),
        ])
        .await
    }

    /// Connects as a user would; gives the token answer.
    pub async fn connect(&self) -> Value {
        let code = self.code().await;
        let (status, body) = self.exchange(&code, VERIFIER).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    pub fn get_with(&self, path: &str, token: &str) -> reqwest::RequestBuilder {
        self.http.get(self.url(path)).bearer_auth(token)
    }

    pub fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.get_with(path, &self.token)
    }

    pub async fn fetch(&self, path: &str) -> (u16, Value) {
        let answer = self.get(path).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub fn ask(&self, soql: &str) -> reqwest::RequestBuilder {
        self.get("/services/data/v62.0/query").query(&[("q", soql)])
    }

    pub async fn query(&self, soql: &str) -> (u16, Value) {
        let answer = self.ask(soql).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub async fn control(&self, path: &str, body: Value) -> Value {
        let answer =
            self.http.post(self.url(&format!("/__sim/{path}"))).json(&body).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }
}

/// A parameter of the address that an answer redirects to.
pub fn param(answer: &Response, name: &str) -> Option<String> {
    let location = answer.headers().get("location")?.to_str().unwrap();
    let url = url::Url::parse(location).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

pub fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    answer.headers().get(name).map(|value| value.to_str().unwrap())
}

pub fn ids(page: &Value) -> Vec<String> {
    page["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["Id"].as_str().unwrap().to_owned())
        .collect()
}

pub fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

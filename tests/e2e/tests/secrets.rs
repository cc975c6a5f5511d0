//! No token or secret is anywhere but sealed in its place: not in logs, files, answers, errors or records of runs.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::path::Path;
use std::time::Duration;

use org_sim::{FaultKind, RequestClass, When};
use serde_json::Value;
use support::{Child, Output, Setup, TestEnv, connection};

const SECOND: &str = "second@kilofold.example";

/// What is looked for: the part of each secret that chance made, so that no spelling around it hides it.
struct Needles(Vec<Vec<u8>>);

impl Needles {
    fn of(env: &TestEnv) -> Self {
        let mut secrets = env.sim.secrets();
        secrets.push(env.sim.config().client_secret.clone());
        let key = std::fs::read_to_string(env.path("kilofold.data.key")).unwrap();
        secrets.push(key.trim().to_owned());
        // The end of a code is padding; the beginning of a token is the org's id.
        let middle = |secret: &String| {
            let text = secret.trim_end_matches('=').as_bytes();
            text[text.len().saturating_sub(20)..].to_vec()
        };
        let needles = Self(secrets.iter().map(middle).collect());
        assert!(needles.0.iter().all(|needle| needle.len() >= 16));
        needles
    }

    /// Whether the bytes hold one of them, as it is or in hexadecimal digits.
    fn found(&self, bytes: &[u8]) -> bool {
        let hex =
            |needle: &[u8]| needle.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        self.0.iter().any(|needle| holds(bytes, needle) || holds(bytes, hex(needle).as_bytes()))
    }
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    let first = needle[0];
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == first) {
        let at = from + at;
        if bytes[at..].starts_with(needle) {
            return true;
        }
        from = at + 1;
    }
    false
}

/// Every file below a folder, but those whose place it is to hold a secret.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            files(&path, found);
        } else if !["secret", "kilofold.data.key"].contains(&name.as_str()) {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

async fn command(env: &TestEnv, arguments: &[&str]) -> Output {
    let arguments = [arguments, &["--log", "trace"]].concat();
    let child = Child::start(&env.config_path(), &arguments);
    tokio::task::spawn_blocking(move || child.wait()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_holds_a_token() {
    let lines = "page_size = 200\nevery = \"1h\"\nconnection = [\"main\", \"second\"]";
    let mut setup = Setup::new(&[("Contact", 1_500), ("Account", 30)])
        .sync("Contact", "contact-to-person", lines)
        .sync("Account", "account-to-object", lines);
    setup.grant = "code";
    setup.sim.rotate_refresh_tokens = true;
    setup.sim.require_pkce = true;
    setup.sim.more_usernames = vec![SECOND.to_owned()];
    setup.connections = vec![connection("second", SECOND, "")];
    let mut env = setup.start().await;
    let mut told: Vec<(String, Vec<u8>)> = Vec::new();
    let mut tell = |what: &str, output: &Output| {
        told.push((format!("{what}: output"), output.out.clone().into_bytes()));
        // The address of the consent is meant to be seen; it holds no token.
        told.push((format!("{what}: errors"), output.err.clone().into_bytes()));
    };

    // Everything that has to do with tokens, at trace level, in a host and without one.
    let config = env.config_path();
    let mut host = Child::start(&config, &["serve", "--log", "trace"]);
    host = tokio::task::spawn_blocking(move || {
        host.says("http://");
        host
    })
    .await
    .unwrap();
    for name in ["main", "second"] {
        let mut child = Child::start(&config, &["connect", name, "--no-browser", "--log", "trace"]);
        let (child, url) = tokio::task::spawn_blocking(move || {
            let url = child.says("/services/oauth2/authorize?");
            (child, url)
        })
        .await
        .unwrap();
        assert_eq!(org_sim::user::visit(&url).await.unwrap(), 200);
        let ended = tokio::task::spawn_blocking(move || child.wait()).await.unwrap();
        assert_eq!(ended.code(), 0, "{ended:?}");
        tell("connect", &ended);
    }
    tell("sync", &command(&env, &["sync", "now", "--json"]).await);
    env.sim.expire_access_tokens();
    env.touch("Contact", 300, 1);
    env.later(3);
    env.fault(RequestClass::Token, FaultKind::TokenBusy, 1);
    env.fault(RequestClass::QueryMore, FaultKind::ResetMidBody, 1);
    env.fault(RequestClass::Query, FaultKind::TruncatedJson, 1);
    tell("sync", &command(&env, &["sync", "now", "--json"]).await);
    tell("census", &command(&env, &["connections", "--ask", "--json"]).await);
    // An answer that is no token answer, and one that is cut: their errors must not repeat them.
    env.sim.expire_access_tokens();
    env.fault_when(RequestClass::Token, FaultKind::TruncatedJson, When::Times(1));
    tell("sync", &command(&env, &["sync", "now", "--json"]).await);
    env.sim.revoke_approvals(None);
    env.sim.expire_access_tokens();
    tell("sync", &command(&env, &["sync", "now", "--json"]).await);
    for arguments in [
        &["connections", "--json"][..],
        &["connections"],
        &["imports", "--json"],
        &["limits", "--json"],
        &["sync", "list", "--json"],
        &["import", "1", "--json"],
        &["records", "Contact", "--json"],
        &["disconnect", "second"],
        &["connect", "second", "--wait", "1", "--no-browser"],
    ] {
        tell(&arguments.join(" "), &command(&env, arguments).await);
    }
    let base = format!("http://127.0.0.1:{}", env.listen);
    let http = client();
    let runs: Value =
        http.get(format!("{base}/api/v1/runs")).send().await.unwrap().json().await.unwrap();
    let mut paths: Vec<String> = ["runs", "syncs", "connections", "limits", "feed", "openapi.json"]
        .iter()
        .map(|path| format!("/api/v1/{path}"))
        .collect();
    paths.push("/api/v1/connections/main/connect".to_owned());
    paths.push("/connections/callback?code=aPrxNothing&state=guessed".to_owned());
    paths.push("/".to_owned());
    for run in runs["runs"].as_array().unwrap() {
        let run = &run["id"];
        paths.extend(["", "/pages", "/failures"].map(|part| format!("/api/v1/runs/{run}{part}")));
        paths.push(format!("/imports/{run}"));
    }
    for path in paths {
        let body = http.get(format!("{base}{path}")).send().await.unwrap().bytes().await.unwrap();
        told.push((path, body.to_vec()));
    }
    host.terminate();
    let ended = tokio::task::spawn_blocking(move || host.wait()).await.unwrap();
    assert_eq!(ended.code(), 0);
    for words in ["request answered", "Connection changed", "asking for a token again"] {
        assert!(ended.err.contains(words), "the log has {words}");
    }
    told.push(("the host's log".to_owned(), ended.err.into_bytes()));

    // A process that was killed in the middle leaves its note behind, sealed.
    let note = env.path("kilofold.data").join("note.connection%2fmain");
    env.open().await;
    env.consent("main").await;
    env.close();
    env.sim.expire_access_tokens();
    let stall = FaultKind::Stall { ms: None, mid_body: false };
    env.fault(RequestClass::Token, stall, 1);
    let child = Child::start(&config, &["sync", "now", "Account"]);
    while !note.exists() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(child.kill());

    files(env.folder.path(), &mut told);
    assert!(told.iter().any(|(name, _)| name.contains("note.connection")));
    let needles = Needles::of(&env);
    assert!(needles.0.len() > 8, "{}", needles.0.len());
    // What is packed is unpacked, what lies in parts is joined.
    env.open().await;
    let mut values = 0;
    let audit = |env: &TestEnv, found: &mut Vec<String>, values: &mut usize| {
        env.store()
            .audit(&mut |what, value| {
                *values += 1;
                if needles.found(value) {
                    found.push(what.to_owned());
                }
            })
            .unwrap();
    };
    let mut found: Vec<String> = told
        .iter()
        .filter(|(_, bytes)| needles.found(bytes))
        .map(|(name, _)| name.clone())
        .collect();
    audit(&env, &mut found, &mut values);
    assert!(found.is_empty(), "a secret is in {found:?}");
    assert!(
        values > 100 && told.len() > 40,
        "{values} values and {} texts were looked at",
        told.len()
    );

    // The same search finds one that is planted: in a text, in a file, packed in the store, sealed with no key.
    let token = env.sim.secrets().pop().unwrap();
    assert!(needles.found(format!("error: {token} was refused").as_bytes()));
    std::fs::write(env.path("kilofold.data/planted"), format!("x{token}")).unwrap();
    let mut planted = Vec::new();
    files(env.folder.path(), &mut planted);
    let hit: Vec<&String> =
        planted.iter().filter(|(_, bytes)| needles.found(bytes)).map(|(name, _)| name).collect();
    assert!(hit.len() == 1 && hit[0].ends_with("planted"), "{hit:?}");
    let kept = kilofold::store::Cached {
        bytes: format!("{} {token} {}", "a".repeat(5_000), "b".repeat(5_000)).into_bytes(),
        last_modified: None,
    };
    env.store().put_cached("planted", &kept).unwrap();
    let mut found = Vec::new();
    audit(&env, &mut found, &mut values);
    assert!(!found.is_empty() && found.iter().all(|what| what.contains("planted")), "{found:?}");
}

fn client() -> reqwest::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().build().unwrap()
}

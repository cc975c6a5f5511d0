//! The program as its users run it.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use serde_json::Value;
use support::{Child, Setup, TestEnv};

#[tokio::test(flavor = "multi_thread")]
async fn from_init_to_a_graceful_stop() {
    let env = Setup::new(&[("Contact", 2_500), ("Account", 40)])
        .sync("Contact", "contact-to-person", "page_size = 500")
        .sync("Account", "account-to-object", "")
        .start()
        .await;
    let written = std::fs::read_to_string(env.config_path()).unwrap();
    assert_eq!(env.command(&["init"]).await.code(), 2, "init overwrites nothing");
    std::fs::remove_file(env.config_path()).unwrap();
    assert_eq!(env.command(&["init"]).await.code(), 0);
    assert!(env.path("kilofold.schema.json").is_file());
    // What init writes is sound but for the names that only the user knows.
    assert_eq!(env.command(&["check", "--offline"]).await.code(), 0);
    std::fs::write(env.config_path(), written).unwrap();

    let nothing = env.command(&["imports"]).await;
    assert!(!nothing.status.success() && nothing.err.contains("store.none"), "{nothing:?}");
    let connected = env.command(&["connect", "--json"]).await.json();
    assert_eq!(connected["connections"][0]["state"], "healthy");
    let check = env.command(&["check", "--json"]).await.json();
    assert_eq!(check["sound"], true, "{check}");
    let ran = env.command(&["sync", "now", "Contact", "--json", "--log", "trace"]).await;
    assert_eq!(ran.json()[0]["counts"]["fetched"], 2_500);
    assert!(ran.err.contains("Run started") && ran.err.contains("request answered"), "{}", ran.err);

    let host = env.serve().await;
    let runs = env.command(&["sync", "now", "--json"]).await.json();
    let endings: Vec<&str> = runs
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["ending"]["outcome"].as_str().unwrap())
        .collect();
    assert!(endings.iter().all(|ending| ending.starts_with("succeeded")), "{endings:?}");
    // Connected again by the host that holds the store.
    let again = env.command(&["connect"]).await;
    assert!(again.status.success() && again.out.contains("main is connected"), "{again:?}");
    let asked = env.sim.requests().len();
    let serving = readings(&env).await;
    let ended = host.stop().await;
    assert_eq!(ended.code(), 0, "{ended:?}");
    let stopped = readings(&env).await;
    for ((command, one), (_, other)) in serving.iter().zip(&stopped) {
        assert_eq!(one, other, "{command:?}");
    }
    assert_eq!(env.sim.requests().len(), asked, "reading asks nothing of the org");
    assert_eq!(stopped[0].1["runs"].as_array().unwrap().len(), 3);
    // Nothing that was told holds a secret.
    let told = format!("{serving:?}{ended:?}{connected}{check}{ran:?}");
    let token = format!("{}!", &env.sim.org().read().unwrap().org_id()[..15]);
    assert!(!told.contains(&env.sim.config().client_secret) && !told.contains(&token));
}

/// The reading commands whose answers do not depend on the hour.
async fn readings(env: &TestEnv) -> Vec<(Vec<&'static str>, Value)> {
    let commands: [&[&str]; 8] = [
        &["imports"],
        &["imports", "--sync", "Contact", "--limit", "1"],
        &["import", "1"],
        &["failures", "1"],
        &["records", "Contact", "--limit", "300"],
        &["records", "Account"],
        &["feed", "--limit", "1000"],
        &["feed", "--after", "900", "--limit", "7"],
    ];
    let mut answers = Vec::new();
    for command_line in commands {
        let arguments = [command_line, &["--json"]].concat();
        answers.push((command_line.to_vec(), env.command(&arguments).await.json()));
    }
    let limits = env.command(&["limits", "--json"]).await.json();
    answers.push((vec!["limits"], limits["spent"].clone()));
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_consents_at_the_printed_address() {
    let mut setup = Setup::new(&[("Contact", 300)]).sync("Contact", "contact-to-person", "");
    setup.grant = "code";
    setup.sim.require_pkce = true;
    setup.sim.rotate_refresh_tokens = true;
    let env = setup.start().await;
    let refused = env.command(&["sync", "now"]).await;
    assert!(!refused.status.success() && refused.out.contains("auth.not-connected"), "{refused:?}");
    let config = env.config_path();
    let (connect, url) = tokio::task::spawn_blocking(move || {
        let mut child = Child::start(&config, &["connect", "--no-browser"]);
        let url = child.says("/services/oauth2/authorize?");
        (child, url)
    })
    .await
    .unwrap();
    assert!(url.contains("code_challenge_method=S256"), "{url}");
    assert_eq!(org_sim::user::visit(&url).await.unwrap(), 200);
    let connected = tokio::task::spawn_blocking(move || connect.wait()).await.unwrap();
    assert_eq!(connected.code(), 0, "{connected:?}");
    for _ in 0..2 {
        env.sim.expire_access_tokens();
        let ran = env.command(&["sync", "now", "--json"]).await.json();
        assert_eq!(
            ran[0]["ending"]["outcome"].as_str().unwrap().split('-').next(),
            Some("succeeded")
        );
    }
}

/// A host in the middle of a long sync finishes the batch in hand; the next one goes on there.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_run_at_its_cursor() {
    let mut env = Setup::new(&[("Contact", 6_000)])
        .sync("Contact", "passthrough", "fields = [\"LastName\"]\npage_size = 200\nevery = \"1h\"")
        .start()
        .await;
    env.sim.set_latency(std::time::Duration::from_millis(60));
    let host = env.serve().await;
    while env.pages_of("Contact").len() < 6 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let ended = host.stop().await;
    assert_eq!(ended.code(), 0, "{ended:?}");
    env.sim.set_latency(std::time::Duration::ZERO);
    let imports = env.command(&["imports", "--json"]).await.json();
    assert_eq!(imports["runs"][0]["ending"]["outcome"], "interrupted");
    env.open().await;
    let run = env.run_well("Contact").await;
    assert!(run.counts.fetched < 6_000);
    env.assert_no_committed_page_again("Contact");
    env.assert_mirrors_org(&["Contact"]);
    env.assert_feed_holds();
    env.assert_ledger_within(2);
}

/// Scripts act on exit codes: a limit is 4, Ctrl-C is 130, and both leave a run that the next one goes on from.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_and_an_interruption_have_exit_codes() {
    let mut setup =
        Setup::new(&[("Contact", 3_000)]).sync("Contact", "passthrough", "fields = [\"LastName\"]");
    setup.quota = "per_run = 2".to_owned();
    let mut env = setup.start().await;
    let limited = env.command(&["sync", "now", "--json"]).await;
    assert_eq!(limited.code(), 4, "{limited:?}");
    let runs: Value = serde_json::from_str(&limited.out).unwrap();
    assert_eq!(runs[0]["ending"]["code"], "limit.run", "{runs}");

    env.quota.clear();
    env.write_config();
    env.sim.set_latency(std::time::Duration::from_millis(300));
    let before = env.pages_of("Contact").len();
    let config = env.config_path();
    let child = Child::start(&config, &["sync", "now", "--json"]);
    while env.pages_of("Contact").len() == before {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    child.interrupt();
    let interrupted = tokio::task::spawn_blocking(move || child.wait()).await.unwrap();
    assert_eq!(interrupted.code(), 130, "{interrupted:?}");

    env.sim.set_latency(std::time::Duration::ZERO);
    let ended = env.command(&["sync", "now", "--json"]).await;
    assert_eq!(ended.code(), 0, "{ended:?}");
    env.open().await;
    env.assert_mirrors_org(&["Contact"]);
    env.assert_no_committed_page_again("Contact");
}

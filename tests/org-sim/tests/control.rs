//! The control interface, over the wire.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

mod common;

use common::{Env, config};
use org_sim::SimConfig;
use serde_json::{Value, json};
use tokio::io::AsyncBufReadExt;

async fn told(env: &Env, path: &str) -> Value {
    env.http.get(env.url(&format!("/__sim{path}"))).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn records_change_and_the_truth_tells() {
    let env = Env::usual().await;
    let before = told(&env, "/truth/Contact?rows=true").await;
    assert_eq!((&before["count"], &before["deleted"]), (&json!(2_500), &json!(0)));
    assert_eq!(before["rows"].as_array().unwrap().len(), 2_500);

    let touched = env.control("touch", json!({"object": "Contact", "records": 4, "seed": 9})).await;
    assert_eq!(touched["ids"].as_array().unwrap().len(), 4);
    let inserted = env.control("insert", json!({"object": "Contact", "records": 2})).await;
    let ids = &inserted["ids"];
    env.control("delete", json!({"object": "Contact", "ids": ids})).await;
    let after = told(&env, "/truth/Contact").await;
    assert_eq!((&after["live"], &after["deleted"]), (&json!(2_500), &json!(2)));
    assert_ne!(after["digest"], before["digest"]);
    assert!(after.get("rows").is_none());
    env.control("undelete", json!({"object": "Contact", "ids": [ids[0]]})).await;
    env.control("purge", json!({"object": "Contact", "records": 1})).await;
    let after = told(&env, "/truth/Contact").await;
    assert_eq!((&after["live"], &after["deleted"]), (&json!(2_501), &json!(0)));

    env.control("late", json!({"object": "Contact", "records": 1, "seconds": 30})).await;
    env.control("restamp", json!({"object": "Contact", "at": "2026-05-01T00:00:00Z"})).await;
    let rows = told(&env, "/truth/Contact?rows=true").await["rows"].take();
    let stamps: Vec<&Value> = rows.as_array().unwrap().iter().map(|row| &row[1]).collect();
    assert_eq!(stamps.len(), 2_502);
    assert!(stamps.iter().all(|stamp| *stamp == "2026-05-01T00:00:00.000+0000"), "{:?}", stamps[0]);
}

#[tokio::test]
async fn state_clock_calls_requests_and_tokens() {
    let env = Env::usual().await;
    env.control("consume", json!({"calls": 40})).await;
    env.query("SELECT COUNT() FROM Lead").await;
    env.control("clock", json!({"advance_ms": 5_000})).await;
    env.connect().await;
    let state = told(&env, "").await;
    assert_eq!(
        (&state["now"], &state["api_calls"], &state["approvals"], &state["access_tokens"]),
        (&json!("2026-05-06T09:00:05Z"), &json!(41), &json!(1), &json!(2))
    );
    assert!(state["objects"].as_array().unwrap().iter().any(|object| object["name"] == "Lead"));

    let log = told(&env, "/requests").await;
    let query = &log["requests"][0];
    assert_eq!(
        (&query["method"], &query["class"], &query["object"], &query["counted"], &query["status"]),
        (&json!("GET"), &json!("query"), &json!("Lead"), &json!(true), &json!(200))
    );
    let number = query["number"].as_u64().unwrap();
    let later = told(&env, &format!("/requests?after={number}&limit=1")).await;
    assert_eq!(later["requests"][0]["number"], number + 1);
    env.http.delete(env.url("/__sim/requests")).send().await.unwrap();
    assert_eq!(told(&env, "/requests").await["requests"], json!([]));

    assert_eq!(env.control("tokens/expire", json!({})).await["expired"], 2);
    assert_eq!(env.query("SELECT COUNT() FROM Lead").await.0, 401);
    assert_eq!(env.control("tokens/revoke", json!({"user": "nobody"})).await["revoked"], 0);
    assert_eq!(env.control("tokens/revoke", json!({})).await["revoked"], 1);
    assert_eq!(told(&env, "/approvals").await["approvals"], json!([]));
    env.control("latency", json!({"ms": 1})).await;
    assert_eq!(told(&env, "").await["latency_ms"], 1);
}

#[tokio::test]
async fn faults_over_the_wire() {
    let env = Env::usual().await;
    let added = env
        .control("faults", json!({"class": "query", "object": "Lead", "kind": {"server_error": {"status": 503, "html": true}}, "when": {"nth": 1}}))
        .await;
    assert_eq!(env.ask("SELECT Id FROM Lead").send().await.unwrap().status(), 503);
    assert_eq!(told(&env, "/faults").await["faults"][0]["hits"], 1);
    let delete = |path: String| env.http.delete(env.url(&path)).send();
    assert_eq!(delete(format!("/__sim/faults/{}", added["id"])).await.unwrap().status(), 200);
    assert_eq!(delete(format!("/__sim/faults/{}", added["id"])).await.unwrap().status(), 404);
    assert_eq!(env.query("SELECT Id FROM Lead").await.0, 200);
    env.control("faults", json!({"class": "any", "kind": "daily_limit"})).await;
    assert_eq!(delete("/__sim/faults".into()).await.unwrap().status(), 200);
    assert_eq!(env.query("SELECT Id FROM Lead").await.0, 200);
}

#[tokio::test]
async fn records_change_by_themselves_until_stopped() {
    let env = Env::usual().await;
    env.control(
        "auto-change",
        json!({"object": "Lead", "every_ms": 1, "touch": 2, "insert": 1, "rounds": 3}),
    )
    .await;
    loop {
        let changes = told(&env, "/auto-change").await;
        if changes["auto_changes"][0]["rounds_done"] == 3 {
            break;
        }
    }
    assert_eq!(told(&env, "/truth/Lead").await["count"], 23);
    env.control("auto-change", json!({"object": "Lead", "every_ms": 1, "touch": 1})).await;
    env.control("auto-change", json!({"object": "Task", "every_ms": 1, "touch": 1})).await;
    let delete = |path: &str| env.http.delete(env.url(path)).send();
    delete("/__sim/auto-change?object=Lead").await.unwrap();
    let left = told(&env, "/auto-change").await;
    assert_eq!(
        (left["auto_changes"].as_array().unwrap().len(), &left["auto_changes"][0]["object"]),
        (1, &json!("Task"))
    );
    delete("/__sim/auto-change").await.unwrap();
    assert_eq!(told(&env, "/auto-change").await["auto_changes"], json!([]));
}

#[tokio::test]
async fn a_control_token_is_asked_for() {
    let env = Env::start(SimConfig { control_token: Some("sesame".into()), ..config() }).await;
    let get = || env.http.get(env.url("/__sim/"));
    assert_eq!(get().send().await.unwrap().status(), 401);
    assert_eq!(get().bearer_auth("wrong").send().await.unwrap().status(), 401);
    assert_eq!(get().bearer_auth("sesame").send().await.unwrap().status(), 200);
    let shutdown = || env.http.post(env.url("/__sim/shutdown"));
    assert_eq!(shutdown().send().await.unwrap().status(), 401);
    assert!(!env.sim.stopped().is_cancelled());
    assert_eq!(shutdown().bearer_auth("sesame").send().await.unwrap().status(), 200);
    assert!(env.sim.stopped().is_cancelled());
    env.sim.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_program_tells_how_to_connect_and_ends_when_told() {
    let env = Env::usual().await;
    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_kilofold-org"))
        .args([
            "--listen",
            "127.0.0.1:0",
            "--json",
            "--records",
            "Contact=1_000",
            "--clock",
            "2026-05-06T09:00:00Z",
        ])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = tokio::io::BufReader::new(program.stdout.take().unwrap()).lines();
    let block: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    let text = |name: &str| block[name].as_str().unwrap();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", text("client_id")),
        ("client_secret", text("client_secret")),
    ];
    let token = format!("{}/services/oauth2/token", text("url"));
    let tokens: Value =
        env.http.post(token).form(&form).send().await.unwrap().json().await.unwrap();
    let query = format!("{}/services/data/v62.0/query?q=SELECT+COUNT()+FROM+Contact", text("url"));
    let request = env.http.get(query).bearer_auth(tokens["access_token"].as_str().unwrap());
    assert_eq!(request.send().await.unwrap().json::<Value>().await.unwrap()["totalSize"], 1_000);
    env.http.post(format!("{}shutdown", text("control"))).send().await.unwrap();
    assert!(program.wait().await.unwrap().success());
}

#[tokio::test]
async fn mistakes_are_named() {
    let env = Env::usual().await;
    let post = async |path: &str, body: Value| {
        let answer = env.http.post(env.url(path)).json(&body).send().await.unwrap();
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.unwrap()["error"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(
        post("/__sim/touch", json!({"object": "Nope", "records": 1})).await,
        (404, "object Nope does not exist".into())
    );
    let (status, error) = post("/__sim/touch", json!({"objekt": "Lead"})).await;
    assert!(status == 400 && error.contains("objekt"), "{error}");
    assert_eq!(post("/__sim/nonsense", json!({})).await.0, 404);
}

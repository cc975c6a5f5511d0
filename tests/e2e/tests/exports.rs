//! What an export promises while a host goes on, as the command line is used.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::BTreeMap;

use serde_json::Value;
use support::{Child, Setup, TestEnv};

async fn command(env: &TestEnv, arguments: &[&str]) -> Value {
    let output = Child::start(&env.config_path(), arguments).ended().await;
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output.json()
}

/// The outputs in a file, by kind and key.
fn rows(env: &TestEnv, file: &str) -> BTreeMap<(String, String), Value> {
    let text = std::fs::read_to_string(env.path(file)).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|row| (of(&row), row["body"].clone())).collect()
}

fn of(row: &Value) -> (String, String) {
    (row["kind"].as_str().unwrap().to_owned(), row["key"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_and_the_feed_behind_it_are_all_there_is() {
    let lines = "fields = [\"LastName\"]\npage_size = 200";
    let env = Setup::new(&[("Contact", 4_000)]).sync("Contact", "passthrough", lines).start().await;
    let config = env.config_path();
    let host = tokio::task::spawn_blocking(move || {
        let mut child = Child::start(&config, &["serve"]);
        child.says("http://");
        child
    });
    let host = host.await.unwrap();
    command(&env, &["sync", "now", "--json"]).await;
    let path = |name: &str| env.path(name).to_str().unwrap().to_owned();
    let export = async |name: &str| {
        let file = path(name);
        command(&env, &["export", "--json", "--output", &file]).await
    };
    // Nothing goes on: it is of one moment.
    let told = export("still.jsonl").await;
    assert_eq!((&told["rows"], &told["feed"]["whole_to"]), (&4_000.into(), &4_000.into()));
    assert_eq!(told["feed"]["parts_to"], 4_000);
    // Much goes on.
    let ids = env.touch("Contact", 3_000, 7);
    env.delete("Contact", &ids[..500]);
    env.insert("Contact", 700);
    env.later(60);
    let (_, told) = tokio::join!(command(&env, &["sync", "now", "--json"]), export("moving.jsonl"));
    let number = |name: &str| told["feed"][name].as_u64().unwrap();
    let (whole, parts) = (number("whole_to"), number("parts_to"));
    assert!((4_000..=parts).contains(&whole), "{told}");
    let mut found = rows(&env, "moving.jsonl");
    let mut after = whole;
    loop {
        let feed =
            command(&env, &["feed", "--json", "--limit", "1000", "--after", &after.to_string()])
                .await;
        let changes = feed["changes"].as_array().unwrap();
        for change in changes {
            match change["op"].as_str().unwrap() {
                "retract" => drop(found.remove(&of(change))),
                _ => drop(found.insert(of(change), change["body"].clone())),
            }
        }
        after = feed["next"].as_u64().unwrap();
        if changes.is_empty() {
            break;
        }
    }
    let told = export("end.jsonl").await;
    assert_eq!(told["feed"]["whole_to"], told["feed"]["parts_to"]);
    let end = rows(&env, "end.jsonl");
    assert_eq!(end.len(), 4_200);
    assert!(found == end, "{} rows are not the {} that there are", found.len(), end.len());
    assert_eq!(host.stop().await.code(), 0);
}

//! A plugin is tried on real records: what it makes stands beside what is stored, and nothing is written, whether a host
//! serves or not.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use serde_json::{Value, json};
use support::{Setup, TestEnv, name, plugin};

/// Everything about the answer that does not differ from time to time.
fn plain(mut answer: Value) -> Value {
    let fields = answer.as_object_mut().unwrap();
    fields.remove("took_us");
    fields.remove("peak_memory");
    answer
}

/// The answers of `run`, `diff` and a refusal; the same with and without a host.
async fn tries(env: &TestEnv, marked: &str) -> Vec<Value> {
    let ask = async |arguments: &[&str]| {
        let mut all = vec!["plugin"];
        all.extend(arguments);
        all.extend(["--sync", "Contact", "--json"]);
        plain(env.command(&all).await.json())
    };
    let same = ask(&["run", "contact-to-person", "--limit", "20"]).await;
    assert_eq!((same["records"].as_array().unwrap().len(), &same["live"]), (18, &json!(false)));
    assert!(same["records"].as_array().unwrap().iter().all(|one| one["same"] == true), "{same}");
    let next = same["next"].as_str().unwrap();
    let after = ask(&["run", "contact-to-person", "--limit", "5", "--after", next]).await;
    assert!(after["records"][0]["id"].as_str().unwrap() > next);

    let other = ask(&["run", "passthrough", "--limit", "1000"]).await;
    let one = other["records"].as_array().unwrap().iter().find(|one| one["id"] == marked).unwrap();
    assert_eq!(
        (&one["before"]["state"], &one["after"]["state"]),
        (&json!("failed"), &json!("mapped"))
    );
    assert_eq!(one["after"]["outputs"][0]["body"]["Email"], "nowhere");

    let diff = ask(&["diff", "passthrough"]).await;
    let (records, people) = (&diff["kinds"]["record"], &diff["kinds"]["person"]);
    assert_eq!((&diff["records"], &records["new"]), (&json!(598), &json!(598)), "{diff}");
    assert!(people["gone"].as_u64().unwrap() > 500 && people["same"] == 0, "{diff}");
    assert_eq!(diff["deleted"], 2);
    let turns = diff["turns"].as_array().unwrap();
    let turn = turns.iter().find(|turn| turn["from"] == "failed: email.invalid").unwrap();
    assert_eq!(turn["to"], "mapped");
    let nothing = ask(&["diff", "contact-to-person"]).await;
    assert_eq!((&nothing["touched"], &nothing["old"]), (&json!(0), &Value::Null));
    // An old component that would have made what is stored: the same as what is stored.
    let two = ask(&["diff", "contact-to-person", "passthrough"]).await;
    assert_eq!((&two["kinds"], &two["turns"]), (&diff["kinds"], &diff["turns"]));
    assert_eq!(two["old"]["name"], "contact-to-person");

    let wrong = env.command(&["plugin", "run", "lead-to-person", "--sync", "Contact"]).await;
    assert!(wrong.code() == 1 && wrong.err.contains("plugin.object"), "{wrong:?}");
    let nobody = env.command(&["plugin", "diff", "passthrough", "--sync", "Nobody"]).await;
    assert!(nobody.err.contains("sync.unknown"), "{nobody:?}");
    let told = env.command(&["plugin", "run", "passthrough", "--sync", "Contact"]).await;
    assert!(told.out.contains("+ record") && told.out.contains("- person"), "{told:?}");
    let told = env.command(&["plugin", "diff", "passthrough", "--sync", "Contact"]).await;
    assert!(told.out.contains("598 of 598 records would change"), "{told:?}");
    vec![same, other, diff, two]
}

/// One page from the org costs a call that the ledger knows, and nothing is stored of it.
async fn live(env: &TestEnv) -> Value {
    let asked = env.sim.requests().len();
    let live =
        ["plugin", "run", "contact-to-person", "--sync", "Contact", "--limit", "7", "--live"];
    let mut json = live.to_vec();
    json.push("--json");
    let answer = env.command(&json).await.json();
    assert_eq!(answer["records"].as_array().unwrap().len(), 7);
    let sent = env.sim.requests().len() - asked;
    let calls = answer["calls"].as_u64().unwrap();
    // A login is not counted, a describe is.
    assert!((1..=2).contains(&calls) && sent as u64 >= calls, "{calls} of {sent}");
    assert!(answer["records"].as_array().unwrap().iter().all(|one| one["same"] == true));
    let told = env.command(&live).await;
    assert!(
        told.out.contains("costs an API call") && told.out.contains("calls spent: "),
        "{told:?}"
    );
    plain(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_are_tried_on_real_records_and_nothing_is_written() {
    let mut env = Setup::new(&[("Contact", 600), ("Account", 5)])
        .sync("Contact", "contact-to-person", "")
        .open()
        .await;
    let ids = env.ids("Contact");
    let (org, now) = (env.sim.org(), env.sim.now());
    let marked = ids[77].clone();
    org.write().unwrap().set_field("Contact", &marked, "Email", "nowhere".into(), now).unwrap();
    env.later(3);
    env.run_well("Contact").await;
    env.delete("Contact", &ids[..2]);
    env.later(3);
    env.run_well("Contact").await;
    let (before, feed) = (env.records("Contact"), env.store().feed_end().unwrap());
    let runs = env.runs("Contact").len();
    let cursor = env.store().cursor(&name("Contact")).unwrap();
    env.close();

    let alone = tries(&env, &marked).await;
    let alone_live = live(&env).await;

    let host = env.serve().await;
    assert_eq!(tries(&env, &marked).await, alone);
    assert_eq!(live(&env).await["records"], alone_live["records"]);
    assert_eq!(host.stop().await.code(), 0);

    env.open().await;
    assert_eq!((env.records("Contact"), env.store().feed_end().unwrap()), (before, feed));
    assert_eq!(
        (env.runs("Contact").len(), env.store().cursor(&name("Contact")).unwrap()),
        (runs, cursor)
    );
    env.assert_ledger_agrees();
}

/// A plugin that looks up stored outputs finds them through the host, too.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_looked_up_is_found_through_the_host() {
    let echo = plugin("json_echo.wasm");
    let echo = echo.to_str().unwrap();
    let fields = "fields = [\"LastName\"]";
    let mut env = Setup::new(&[("Contact", 30)]).sync("Contact", echo, fields).open().await;
    env.run_well("Contact").await;
    env.close();
    let ask = ["plugin", "run", echo, "--sync", "Contact", "--json"];
    let alone = plain(env.command(&ask).await.json());
    let host = env.serve().await;
    assert_eq!(plain(env.command(&ask).await.json()), alone);
    assert_eq!(host.stop().await.code(), 0);
    // The first time nothing was stored to be found, and now each record finds what it became then.
    let records = alone["records"].as_array().unwrap();
    assert_eq!(records.len(), 30);
    for record in records {
        assert_eq!(record["before"]["outputs"][0]["body"]["known"], Value::Null);
        let known = record["after"]["outputs"][0]["body"]["known"].as_str().unwrap();
        let known: Value = serde_json::from_str(known).unwrap();
        assert_eq!(known, record["before"]["outputs"][0]["body"]);
    }
}

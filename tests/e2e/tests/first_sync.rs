//! The first sync of all six objects of the demo.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::path::Path;

use kilofold::model::{Ending, Purpose, Run, Stamp};
use kilofold::store::State;
use org_sim::RequestClass;
use serde_json::Value;
use support::{Setup, TestEnv, name};

const OBJECTS: [(&str, &str, usize); 6] = [
    ("Contact", "contact-to-person", 5_000),
    ("Account", "account-to-object", 2_001),
    ("Lead", "lead-to-person", 2_999),
    ("Opportunity", "opportunity-to-object", 1_000),
    ("Task", "task-to-event", 1_500),
    ("Invoice__c", "passthrough", 500),
];

async fn demo() -> TestEnv {
    let mut setup = Setup::new(&OBJECTS.map(|(object, _, count)| (object, count)));
    for (object, plugin, _) in OBJECTS {
        let lines = if plugin == "passthrough" { "fields = \"all\"" } else { "" };
        setup = setup.sync(object, plugin, lines);
    }
    setup.open().await
}

#[tokio::test(flavor = "multi_thread")]
async fn six_objects_arrive_whole() {
    let env = demo().await;
    let runs = env.sync_all().await;
    for (run, (object, plugin, size)) in runs.iter().zip(OBJECTS) {
        let size = size as u64;
        assert_eq!((run.sync.as_str(), run.object.as_str()), (object, object));
        assert_eq!(run.counts.fetched, size);
        assert_eq!(run.expected, Some(size));
        assert_eq!(run.plugin.as_ref().unwrap().name, plugin);
        // One describe, and a call for each thousand records.
        let pages = size.div_ceil(1000);
        assert_eq!((run.pages, run.calls), (pages, pages + 1), "{object}");
        assert_eq!(env.pages_of(object).len() as u64, pages);
        evidence(&env, run);
    }
    let contacts = &runs[0];
    assert_eq!(contacts.ending, Some(Ending::SucceededWithFailures));
    assert!(contacts.counts.mapped > 3_000 && contacts.counts.skipped > 0);
    assert!(contacts.failures["email.invalid"] > 0);
    env.assert_mirrors_org(&OBJECTS.map(|(object, ..)| object));
    env.assert_feed_holds();
    env.assert_ledger_agrees();
    outputs(&env);
    failures(&env, contacts);
}

/// What the Imports page shows of a run is what happened.
fn evidence(env: &TestEnv, run: &Run) {
    let pages = env.store().pages(run.id, None, 1000).unwrap();
    assert_eq!(pages.len() as u64, run.pages);
    let mut sum = kilofold::model::Counts::default();
    for (page, number) in pages.iter().zip(0..) {
        assert_eq!(page.page, number);
        assert!(page.counts.balanced() && page.counts.fetched <= 1000 && page.bytes > 0);
        sum.add(&page.counts);
    }
    assert_eq!(sum, run.counts);
    assert_eq!(run.failures.values().sum::<u64>(), run.counts.failed);
    assert_eq!(run.cursor_before.covered, None);
    assert_eq!(run.cursor_after.open, None);
    assert_eq!(run.cursor_after.covered, Some(run.window.unwrap().to));
    assert_eq!(env.store().cursor(&run.sync).unwrap(), run.cursor_after);
    assert!(
        run.soql.starts_with("SELECT Id, SystemModstamp, IsDeleted")
            && run.soql.ends_with("ORDER BY Id")
    );
    assert!(run.ended.unwrap() >= run.started && run.quota_after.is_some());
    assert!(run.retries.is_empty() && run.notes.is_empty(), "{:?} {:?}", run.retries, run.notes);
}

/// Outputs are what the plugins say, checked against records by hand.
fn outputs(env: &TestEnv) {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    for record in env.records("Contact") {
        let raw = parsed(record.raw.as_deref().unwrap());
        match record.state {
            State::Mapped => {
                let [person] = record.outputs.as_slice() else { panic!("one person a contact") };
                assert_eq!((&*person.kind, person.key.as_str()), ("person", record.id.as_str()));
                let body = parsed(&person.body);
                assert_eq!(body["last_name"], raw["LastName"]);
                assert_eq!(body["account_id"], raw["AccountId"]);
                assert_eq!(body["account_name"], raw["Account"]["Name"]);
                assert_eq!(body["may_call"], raw["DoNotCall"] != Value::Bool(true));
                let email = raw["Email"].as_str().unwrap().trim().to_lowercase();
                assert_eq!(body["email"].as_str().unwrap().to_lowercase(), email);
            }
            State::Skipped(reason) => {
                assert_eq!((reason.as_str(), &raw["Email"]), ("no e-mail address", &Value::Null));
            }
            State::Failed(rejection) => {
                assert_eq!(rejection.code, "email.invalid");
                assert!(record.outputs.is_empty());
            }
        }
    }
    for record in env.records("Invoice__c") {
        let raw = parsed(record.raw.as_deref().unwrap());
        let body = parsed(&record.outputs[0].body);
        assert_eq!(body["Amount__c"], raw["Amount__c"]);
        assert_eq!(body["Name"], raw["Name"]);
    }
}

/// Failures are kept with the record and the reason.
fn failures(env: &TestEnv, run: &Run) {
    let kept = env.failures(run.id);
    assert_eq!(kept.len() as u64, run.counts.failed);
    for failure in kept {
        assert_eq!(
            (failure.rejection.code.as_str(), failure.rejection.field.as_deref()),
            ("email.invalid", Some("Email"))
        );
        let record = env.store().record(&name("Contact"), failure.id).unwrap().unwrap();
        assert_eq!(record.raw, failure.raw);
        assert!(matches!(record.state, State::Failed(_)));
        let raw: Value = serde_json::from_str(failure.raw.as_deref().unwrap()).unwrap();
        assert!(
            failure.rejection.message.contains(raw["Email"].as_str().unwrap().trim()),
            "{failure:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_of_a_quiet_org_changes_nothing() {
    // The longest overlap is a month; records of the last month are read again.
    let env = Setup::new(&[("Contact", 3_000), ("Account", 100)])
        .sync("Contact", "contact-to-person", "overlap = \"31d\"")
        .open()
        .await;
    env.run_well("Contact").await;
    let feed = env.feed().len();
    let run = env.run_well("Contact").await;
    assert!(run.counts.fetched > 0, "some records changed in the last month");
    assert_eq!(run.counts.unchanged, run.counts.fetched);
    assert_eq!(run.ending, Some(Ending::Succeeded));
    assert_eq!(env.feed().len(), feed);
    env.assert_mirrors_org(&["Contact"]);
}

/// Neither tokens nor the app's secret are in a file of the host but the user's own secret, nor in what it tells.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_secret() {
    let mut env =
        Setup::new(&[("Contact", 300)]).sync("Contact", "contact-to-person", "").open().await;
    env.run_well("Contact").await;
    let calls = env.store().calls_since(Stamp(0)).unwrap();
    assert!(calls.iter().any(|call| call.purpose == Purpose::Token));
    assert_eq!(env.received(RequestClass::Token).len(), 1);
    let told =
        format!("{:?} {:?} {:?}", env.app().config, env.app().org, env.app().org.connections());
    env.close();
    env.open().await;
    env.close();
    let secret = env.sim.config().client_secret.clone();
    // Access tokens of the simulator begin as real ones do: with the org's id and an exclamation mark.
    let token = format!("{}!", &env.sim.org().read().unwrap().org_id()[..15]);
    let mut files = 0;
    each_file(env.folder.path(), &mut |path, bytes| {
        if path.file_name().is_some_and(|name| name == "secret") {
            return;
        }
        files += 1;
        for needle in [secret.as_str(), token.as_str()] {
            let found = bytes.windows(needle.len()).any(|part| part == needle.as_bytes());
            assert!(!found, "{} holds a secret", path.display());
        }
    });
    assert!(files > 3, "{files} files were looked at");
    assert!(!told.contains(&secret) && !told.contains(&token));
}

fn each_file(folder: &Path, look: &mut impl FnMut(&Path, &[u8])) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_file(&path, look);
        } else {
            look(&path, &std::fs::read(&path).unwrap());
        }
    }
}

//! `kilofold plugin new`, as an author runs it: with an org, with a saved describe, and with neither.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use org_sim::RequestClass;
use support::{Child, Output, Setup, TestEnv};

async fn new(env: &TestEnv, arguments: &[&str]) -> Output {
    let config = env.config_path();
    let folder = env.path("projects");
    std::fs::create_dir_all(&folder).unwrap();
    let folder = folder.to_str().unwrap().to_owned();
    let arguments: Vec<String> = arguments.iter().map(|it| (*it).to_owned()).collect();
    let run = move || {
        let mut all = vec!["plugin", "new", "--json", "--dir", &folder];
        all.extend(arguments.iter().map(String::as_str));
        Child::start(&config, &all).wait()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_has_the_fields_of_the_org() {
    // The sync connects; then the program has the store to itself.
    let mut env = Setup::new(&[("Contact", 10)])
        .sync("Contact", "passthrough", "fields = [\"LastName\"]")
        .open()
        .await;
    env.run_well("Contact").await;
    env.close();
    let before = env.received(RequestClass::Describe).len();

    let told = new(&env, &["invoices", "--object", "invoice__c", "--lang", "ts"]).await.json();
    assert_eq!(told["object"], "Invoice__c");
    assert!(told["fields_from"].as_str().unwrap().contains("for one API call"), "{told}");
    let source = env.path("projects").join("invoices/src/index.ts");
    let source = std::fs::read_to_string(source).unwrap();
    assert!(
        source.contains("Status__c: text") && source.contains("objects: [\"Invoice__c\"]"),
        "{source}"
    );
    assert_eq!(env.received(RequestClass::Describe).len(), before + 1);

    // Nothing is overwritten, and nothing asked for it.
    let again = new(&env, &["invoices", "--object", "Invoice__c", "--lang", "ts"]).await;
    assert_eq!(again.code(), 2);
    assert!(again.err.contains("usage.plugin-exists"), "{}", again.err);
    assert_eq!(env.received(RequestClass::Describe).len(), before + 1);

    // The org says what it does not have.
    let none = new(&env, &["nothing", "--object", "Nothing__c"]).await;
    assert!(!none.status.success() && !env.path("projects").join("nothing").exists(), "{none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_needs_no_org() {
    let env = Setup::new(&[]).start().await;
    let told =
        new(&env, &["people", "--object", "contact", "--offline", "--lang", "python"]).await.json();
    assert!(told["fields_from"].as_str().unwrap().starts_with("of the standard object"), "{told}");
    let mapping = std::fs::read_to_string(env.path("projects").join("people/mapping.py")).unwrap();
    assert!(
        mapping.contains("LastName: str\n") && mapping.contains("Email: str | None\n"),
        "{mapping}"
    );
    let unknown = new(&env, &["x", "--object", "Foo__c", "--offline"]).await;
    assert!(unknown.code() == 2 && unknown.err.contains("usage.object"), "{unknown:?}");

    let (describe, _) = env.sim.org().read().unwrap().describe("Invoice__c", "62.0").unwrap();
    let saved = env.path("invoice.json");
    std::fs::write(&saved, describe.to_string()).unwrap();
    let saved = saved.to_str().unwrap().to_owned();
    let told = new(&env, &["inv", "--object", "Invoice__c", "--describe", &saved, "--all-fields"])
        .await
        .json();
    assert_eq!(told["fields"], told["read"]);
    let source = std::fs::read_to_string(env.path("projects").join("inv/src/lib.rs")).unwrap();
    assert!(
        source.contains("#[field(\"Status__c\")]") && !source.contains("Further fields"),
        "{source}"
    );
    let wrong = new(&env, &["inv2", "--object", "Contact", "--describe", &saved]).await;
    assert!(wrong.code() == 2 && wrong.err.contains("usage.describe"), "{wrong:?}");
    assert!(env.received(RequestClass::Describe).is_empty(), "the org was asked");
}

use kilofold_plugin::Mapper;
use kilofold_plugin::testing::{Outcome, Run, json};

use super::*;

const INVOICE: &str = r#"{
    "attributes": {"type": "Invoice__c"}, "Id": "a0XD000000B1C2d", "Name": "INV-“1”\n\\ 請求書 🧾\u0001", "Amount__c": 10046.0,
    "Paid__c": false, "Issued__c": null, "Channels__c": "E-mail;Post",
    "BillingAddress": {"city": "Köln", "latitude": 50.9}}"#;

#[test]
fn keeps_every_field() {
    let outcome = Run::<Plugin>::new().object("Invoice__c").map(&format!("[{INVOICE}]")).remove(0);
    assert_eq!(outcome.made("record")[0].key, "a0XD000000B1C2d");
    assert_eq!(
        outcome.body("record"),
        json!({
            "Id": "a0XD000000B1C2d", "Name": "INV-“1”\n\\ 請求書 🧾\u{1}", "Amount__c": 10046.0, "Paid__c": false,
            "Issued__c": null, "Channels__c": "E-mail;Post", "BillingAddress": {"city": "Köln", "latitude": 50.9},
        })
    );
}

#[test]
fn makes_the_kind_that_is_set() {
    let run = Run::<Plugin>::new().settings(json!({"kind": "event"}));
    let outcome = run.map(&format!("[{INVOICE}]")).remove(0);
    assert_eq!(outcome.made("event").len(), 1);
    let problems =
        Run::<Plugin>::new().settings(json!({"kind": "invoice", "colour": 1})).problems();
    let named: Vec<_> = problems.iter().map(|it| it.setting.as_str()).collect();
    assert_eq!(named, ["colour", "kind"]);
    assert!(problems[1].message.contains("must be one of: record, person"), "{problems:?}");
}

#[test]
fn rejects_a_record_without_id() {
    let outcome = Run::<Plugin>::new().map(r#"[{"Name": "x"}]"#).remove(0);
    assert_eq!(outcome.code(), Some("id.missing"));
    assert!(matches!(outcome, Outcome::Failed { .. }));
}

#[test]
fn takes_any_object_and_declares_whole_bodies() {
    let description = Plugin::describe().unwrap();
    assert!(description.objects.is_empty() && description.reads.is_empty());
    assert!(description.outputs.iter().all(|kind| kind.fields == ["*"]));
    assert_eq!(description.settings[0].default, Some("record"));
}

use kilofold_plugin::Mapper;
use kilofold_plugin::testing::{Outcome, Run, json};

use super::*;

const DEAL: &str = r#"{
    "Id": "006D000000B1C2d", "Name": "Acme – \"phase 2\" ☕", "AccountId": "001D000000IRFmaIAH",
    "StageName": "Closed Lost", "Amount": 120500.50, "Probability": 0.0, "CloseDate": "2024-02-29", "Type": null,
    "NextStep": "call\nagain", "LeadSource": null, "IsClosed": true, "IsWon": false, "OwnerId": null,
    "Description": null, "CreatedDate": "2022-02-15T06:21:19.000+0000",
    "LastModifiedDate": "2022-02-15T06:21:20.000+0000"}"#;

fn one(record: &str) -> Outcome {
    Run::<Plugin>::new().map(&format!("[{record}]")).remove(0)
}

#[test]
fn maps_a_deal_and_its_account() {
    let outcome = one(DEAL);
    assert_eq!(
        outcome.body("object"),
        json!({
            "object_type": "opportunity", "name": "Acme – \"phase 2\" ☕", "stage": "Closed Lost", "amount": 120500.50,
            "probability": 0.0, "close_date": "2024-02-29", "category": null, "next_step": "call\nagain",
            "source": null, "status": "lost", "owner_id": null, "description": null,
            "created_at": "2022-02-15T06:21:19Z", "updated_at": "2022-02-15T06:21:20Z",
        })
    );
    assert_eq!(outcome.made("relationship")[0].key, "006D000000B1C2d:account:001D000000IRFmaIAH");
    assert_eq!(
        outcome.body("relationship"),
        json!({
            "relation": "account", "from_kind": "object", "from_key": "006D000000B1C2d",
            "to_kind": "object", "to_key": "001D000000IRFmaIAH",
        })
    );
}

#[test]
fn makes_no_relationship_without_an_account() {
    let outcome = one(&DEAL
        .replace("\"001D000000IRFmaIAH\"", "null")
        .replace("\"IsWon\": false", "\"IsWon\": true"));
    assert_eq!((outcome.made("object").len(), outcome.made("relationship").len()), (1, 0));
    assert_eq!(outcome.body("object")["status"], "won");
}

#[test]
fn rejects_a_deal_without_close_date() {
    let Outcome::Failed { code, field, .. } = one(&DEAL.replace("\"2024-02-29\"", "null")) else {
        panic!()
    };
    assert_eq!((code.as_str(), field.as_deref()), ("close_date.missing", Some("CloseDate")));
}

#[test]
fn declares_both_kinds() {
    let kinds: Vec<_> = Plugin::describe().unwrap().outputs.iter().map(|kind| kind.name).collect();
    assert_eq!(kinds, ["object", "relationship"]);
}

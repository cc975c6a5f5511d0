use kilofold_plugin::testing::{Outcome, Run, json};

use super::*;

const TASK: &str = r#"{
    "Id": "00TD000000B1C2d", "Subject": "Call: “Größe” 📞", "TaskSubtype": "Call", "Status": "Completed",
    "Priority": "High", "ActivityDate": null, "CompletedDateTime": "2024-03-01T10:00:00.000+0000",
    "WhoId": "003D000000QYVl5IAH", "WhatId": "006D000000B1C2d", "OwnerId": null, "Description": "a\n\"b\"",
    "CallType": "Inbound", "CallDurationInSeconds": 125, "IsClosed": true,
    "CreatedDate": "2024-02-29T09:00:00.000+0000", "LastModifiedDate": "2024-03-01T10:00:01.000+0000"}"#;

fn one(record: &str) -> Outcome {
    Run::<Plugin>::new().map(&format!("[{record}]")).remove(0)
}

#[test]
fn maps_a_call() {
    let outcome = one(TASK);
    assert_eq!(outcome.made("event")[0].key, "task:00TD000000B1C2d");
    assert_eq!(
        outcome.body("event"),
        json!({
            "event_type": "call", "task_id": "00TD000000B1C2d", "subject": "Call: “Größe” 📞", "status": "Completed",
            "priority": "High", "occurred_at": "2024-03-01T10:00:00Z", "due": null, "done": true,
            "who_kind": "person", "who_key": "003D000000QYVl5IAH", "what_kind": "object",
            "what_key": "006D000000B1C2d", "owner_id": null, "description": "a\n\"b\"", "direction": "Inbound",
            "seconds": 125, "updated_at": "2024-03-01T10:00:01Z",
        })
    );
}

#[test]
fn an_open_task_occurred_when_it_was_created() {
    let open = TASK
        .replace("\"2024-03-01T10:00:00.000+0000\"", "null")
        .replace("\"003D000000QYVl5IAH\"", "null")
        .replace("\"TaskSubtype\": \"Call\"", "\"TaskSubtype\": \"Cadence\"");
    let body = one(&open).body("event");
    assert_eq!(
        (&body["occurred_at"], &body["event_type"]),
        (&json!("2024-02-29T09:00:00Z"), &json!("task"))
    );
    assert_eq!((&body["who_kind"], &body["who_key"]), (&json!(null), &json!(null)));
}

#[test]
fn rejects_a_call_of_negative_length() {
    assert_eq!(one(&TASK.replace("125", "-125")).code(), Some("duration.negative"));
}

//! Changes as calls of Segment's HTTP API: people as identify, events as track, accounts as group.
//!
//! | output | call |
//! |---|---|
//! | person | identify, by its key; and a group call when it names an `account_id` |
//! | event | track, named by its `event_type`, of the person `who_key` |
//! | object that is a group (or does not say what it is) | group, by its key |
//! | any other | track "KIND Updated"; an object's kind is its `object_type` |
//! | what is gone | track "KIND Removed" |

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use crate::model::{ConsumerName, Stamp};
use crate::store::FeedEntry;

/// The largest call that Segment takes, in bytes.
const CALL: usize = 32 << 10;
/// The largest batch that it takes, with room for what stands around the calls.
const BATCH: usize = 490 << 10;

/// A batch of calls.
pub(super) struct Calls {
    /// None: these changes make no call.
    pub(super) body: Option<Vec<u8>>,
    /// How many changes it covers.
    pub(super) covers: usize,
}

/// One call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Call<'a> {
    r#type: &'static str,
    /// The same whenever this change is sent, so that Segment drops a second copy.
    message_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// Every call wants a user or this.
    #[serde(skip_serializing_if = "Option::is_none")]
    anonymous_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traits: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<Box<RawValue>>,
    timestamp: String,
}

/// What the mapping looks at in an output's body.
#[derive(Debug, Default, Deserialize)]
struct Peek<'a> {
    #[serde(borrow, default)]
    event_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    who_key: Option<&'a RawValue>,
    #[serde(borrow, default)]
    object_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    account_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    occurred_at: Option<&'a RawValue>,
    #[serde(borrow, default)]
    updated_at: Option<&'a RawValue>,
}

/// A text that is not empty.
fn text(value: Option<&RawValue>) -> Option<String> {
    let text: String = serde_json::from_str(value?.get()).ok()?;
    Some(text).filter(|text| !text.is_empty())
}

/// The calls of as many changes as one batch holds. An error: the first makes a call that is larger than Segment takes.
pub(super) fn calls(
    name: &ConsumerName,
    entries: &[FeedEntry],
    now: Stamp,
) -> Result<Calls, String> {
    let mut body = Vec::new();
    let mut covers = 0;
    for entry in entries {
        let mut made = Vec::new();
        for call in of(name, entry) {
            let one = serde_json::to_vec(&call).map_err(|error| error.to_string())?;
            if one.len() > CALL {
                if covers > 0 {
                    return Ok(Calls { body: whole(body, now), covers });
                }
                let bytes = one.len();
                return Err(format!("its call has {bytes} bytes, and Segment takes {CALL}"));
            }
            if !made.is_empty() {
                made.push(b',');
            }
            made.extend(one);
        }
        if body.len() + made.len() > BATCH {
            break;
        }
        if !body.is_empty() && !made.is_empty() {
            body.push(b',');
        }
        body.extend(made);
        covers += 1;
    }
    Ok(Calls { body: whole(body, now), covers })
}

/// The calls of one change, however large.
pub(super) fn preview(name: &ConsumerName, entry: &FeedEntry) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(&of(name, entry)).ok()
}

fn whole(calls: Vec<u8>, now: Stamp) -> Option<Vec<u8>> {
    if calls.is_empty() {
        return None;
    }
    Some([br#"{"batch":["#, &calls[..], format!(r#"],"sentAt":"{now}"}}"#).as_bytes()].concat())
}

/// The calls of one change.
fn of<'a>(name: &ConsumerName, entry: &'a FeedEntry) -> Vec<Call<'a>> {
    let body = entry.body.as_deref();
    let peek: Peek<'_> = body.and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
    let call = |kind| Call {
        r#type: kind,
        // The hour tells the numbers of one store from those of another that was begun anew.
        message_id: format!("{name}-{}-{}", entry.at.0, entry.seq),
        user_id: None,
        anonymous_id: Some(&entry.key),
        group_id: None,
        event: None,
        traits: None,
        properties: None,
        timestamp: text(peek.occurred_at)
            .or_else(|| text(peek.updated_at))
            .unwrap_or_else(|| entry.at.to_string()),
    };
    let person =
        |call: Call<'a>| Call { user_id: Some(entry.key.clone()), anonymous_id: None, ..call };
    let Some(body) = body else {
        let about = json!({ "sync": entry.sync, "kind": entry.kind, "key": entry.key });
        let removed = Call {
            event: Some(format!("{} Removed", title(&entry.kind))),
            properties: serde_json::value::to_raw_value(&about).ok(),
            ..call("track")
        };
        return vec![if &*entry.kind == "person" { person(removed) } else { removed }];
    };
    let fields = fields(body);
    let object = text(peek.object_type);
    match (&*entry.kind, object.as_deref()) {
        ("person", _) => {
            let mut all = vec![person(Call { traits: fields, ..call("identify") })];
            if let Some(account) = text(peek.account_id) {
                let group = person(Call { group_id: Some(account), ..call("group") });
                all.push(Call { message_id: format!("{}-group", group.message_id), ..group });
            }
            all
        }
        ("event", _) => {
            let event = text(peek.event_type).unwrap_or_else(|| "Event".to_owned());
            let track = Call { event: Some(event), properties: fields, ..call("track") };
            match text(peek.who_key) {
                Some(who) => vec![Call { user_id: Some(who), anonymous_id: None, ..track }],
                None => vec![track],
            }
        }
        ("object", None | Some("group")) => {
            vec![Call { group_id: Some(entry.key.clone()), traits: fields, ..call("group") }]
        }
        (kind, object) => {
            let what = if kind == "object" { object.unwrap_or(kind) } else { kind };
            let event = format!("{} Updated", title(what));
            vec![Call { event: Some(event), properties: fields, ..call("track") }]
        }
    }
}

/// The body, which must be an object there.
fn fields(body: &str) -> Option<Box<RawValue>> {
    let text = match body.trim_start().starts_with('{') {
        true => body.to_owned(),
        false => format!(r#"{{"value":{body}}}"#),
    };
    RawValue::from_string(text).ok()
}

/// With a capital first.
fn title(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::model::{RecordId, RunId, SyncName};
    use crate::store::Op;

    fn entry(seq: u64, kind: &str, key: &str, body: Option<&str>) -> FeedEntry {
        FeedEntry {
            seq,
            at: Stamp(1_700_000_000_000),
            sync: SyncName::new("Contact").unwrap(),
            run: RunId(1),
            op: if body.is_some() { Op::Upsert } else { Op::Retract },
            kind: kind.into(),
            key: key.to_owned(),
            record: RecordId::parse("0034C00000VaYfK").unwrap(),
            body: body.map(str::to_owned),
        }
    }

    fn made(entries: &[FeedEntry]) -> Vec<Value> {
        let name = ConsumerName::new("deliver.segment").unwrap();
        let calls = calls(&name, entries, Stamp(1_700_000_001_000)).unwrap();
        assert_eq!(calls.covers, entries.len());
        let body: Value = serde_json::from_slice(&calls.body.unwrap()).unwrap();
        assert_eq!(body["sentAt"], "2023-11-14T22:13:21.000Z");
        body["batch"].as_array().unwrap().clone()
    }

    #[test]
    fn kinds_become_calls() {
        let calls = made(&[
            entry(
                1,
                "person",
                "p1",
                Some(r#"{"email":"a@example.com","account_id":"a1","n":1.10}"#),
            ),
            entry(
                2,
                "event",
                "e1",
                Some(
                    r#"{"event_type":"call","who_key":"p1","occurred_at":"2024-01-02T03:04:05.000Z"}"#,
                ),
            ),
            entry(3, "event", "e2", Some(r#"{"event_type":5}"#)),
            entry(4, "object", "a1", Some(r#"{"object_type":"group","name":"Acme"}"#)),
            entry(5, "object", "o1", Some(r#"{"object_type":"opportunity"}"#)),
            entry(6, "relationship", "r1", Some("[1]")),
            entry(7, "person", "p1", None),
        ]);
        let brief: Vec<String> = calls
            .iter()
            .map(|call| {
                let text = |key: &str| call[key].as_str().unwrap_or("-").to_owned();
                ["type", "userId", "anonymousId", "groupId", "event"].map(text).join(" ")
            })
            .collect();
        assert_eq!(
            brief,
            [
                "identify p1 - - -",
                "group p1 - a1 -",
                "track p1 - - call",
                "track - e2 - Event",
                "group - a1 a1 -",
                "track - o1 - Opportunity Updated",
                "track - r1 - Relationship Updated",
                "track p1 - - Person Removed",
            ]
        );
        assert_eq!(calls[0]["messageId"], "deliver.segment-1700000000000-1");
        assert_eq!(calls[1]["messageId"], "deliver.segment-1700000000000-1-group");
        assert_eq!(calls[2]["timestamp"], "2024-01-02T03:04:05.000Z");
        assert_eq!(calls[6]["properties"]["value"][0], 1);
    }

    #[test]
    fn stays_within_what_segment_takes() {
        let name = ConsumerName::new("deliver.segment").unwrap();
        let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(30_000));
        let huge = format!(r#"{{"a":"{}"}}"#, "x".repeat(40_000));
        let many: Vec<FeedEntry> =
            (1..40).map(|seq| entry(seq, "person", "p", Some(&large))).collect();
        let some = calls(&name, &many, Stamp(0)).unwrap();
        assert!(some.covers == 16 && some.body.unwrap().len() < 500 << 10, "{}", some.covers);
        let mut few = many[..3].to_vec();
        few[2].body = Some(huge);
        assert_eq!(calls(&name, &few, Stamp(0)).unwrap().covers, 2);
        assert!(calls(&name, &few[2..], Stamp(0)).is_err_and(|why| why.contains("Segment takes")));
    }
}

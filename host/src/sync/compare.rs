//! What would change of a stored record, were it mapped anew. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::model::{Outcome, Output, Rejection};

/// What is stored of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// What became of it.
    pub state: BeforeState,
    /// Its stored outputs.
    pub outputs: Vec<Output>,
}

/// What became of a record when it was last mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BeforeState {
    /// It became its outputs.
    Mapped,
    /// It was left out, for this reason.
    Skipped(String),
    /// It could not be mapped.
    Failed(Rejection),
}

/// What an outcome would do to what is stored of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Outputs that are not there yet.
    pub new: Vec<Output>,
    /// Outputs that would go.
    pub gone: Vec<Output>,
    /// Outputs that would be others.
    pub changed: Vec<Changed>,
    /// Outputs that would stay as they are.
    pub same: Vec<Output>,
    /// Whether another thing would become of the record: mapped, skipped for a reason, failed with a code.
    pub verdict: bool,
}

/// An output that would be another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Its kind.
    pub kind: String,
    /// Its key.
    pub key: String,
    /// The fields that would change.
    pub fields: Vec<FieldChange>,
}

/// A field of an output's body that would change: its value as JSON, none where it is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Its name.
    pub field: String,
    /// As it is stored.
    pub before: Option<String>,
    /// As it would be.
    pub after: Option<String>,
}

impl Difference {
    /// Whether nothing would change.
    pub fn is_none(&self) -> bool {
        self.new.is_empty() && self.gone.is_empty() && self.changed.is_empty() && !self.verdict
    }
}

/// Compares what is stored of a record with what a plugin makes of it.
pub fn compare(before: &Before, after: &Outcome) -> Difference {
    let mut found = Difference {
        verdict: match (&before.state, after) {
            (BeforeState::Mapped, Outcome::Mapped(_)) => false,
            (BeforeState::Skipped(old), Outcome::Skipped(new)) => old != new,
            (BeforeState::Failed(old), Outcome::Failed(new)) => old.code != new.code,
            _ => true,
        },
        ..Difference::default()
    };
    let after = match after {
        Outcome::Mapped(outputs) => outputs.as_slice(),
        Outcome::Skipped(_) => &[],
        // A record that fails keeps what it has.
        Outcome::Failed(_) => {
            found.same.clone_from(&before.outputs);
            return found;
        }
    };
    let one = |list: &[Output], like: &Output| {
        list.iter().position(|one| one.kind == like.kind && one.key == like.key)
    };
    for output in after {
        match one(&before.outputs, output).and_then(|at| before.outputs.get(at)) {
            None => found.new.push(output.clone()),
            Some(old) if old.body == output.body => found.same.push(output.clone()),
            Some(old) => found.changed.push(Changed {
                kind: output.kind.to_string(),
                key: output.key.clone(),
                fields: fields(&old.body, &output.body),
            }),
        }
    }
    found.gone.extend(before.outputs.iter().filter(|old| one(after, old).is_none()).cloned());
    found
}

/// The fields of a body that only one side has.
pub fn whole(before: Option<&str>, after: Option<&str>) -> Vec<FieldChange> {
    fields(before.unwrap_or("{}"), after.unwrap_or("{}"))
}

/// The fields in which two bodies differ, by name, and then those that only the second has.
fn fields(before: &str, after: &str) -> Vec<FieldChange> {
    type Body<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;
    let read = |body| serde_json::from_str::<Body<'_>>(body).unwrap_or_default();
    let (old, new) = (read(before), read(after));
    let text = |value: Option<&&RawValue>| value.map(|value| value.get().to_owned());
    let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
    let mut changes: Vec<FieldChange> = names
        .map(|name| FieldChange {
            field: name.to_string(),
            before: text(old.get(name)),
            after: text(new.get(name)),
        })
        .filter(|change| change.before != change.after)
        .collect();
    if changes.is_empty() && before != after {
        // Bodies of the same fields in another order, or spelled with other blanks.
        let whole = |body: &str| Some(body.to_owned());
        let field = "(order of fields)".to_owned();
        changes.push(FieldChange { field, before: whole(before), after: whole(after) });
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(kind: &str, key: &str, body: &str) -> Output {
        Output { kind: kind.into(), key: key.into(), body: body.into() }
    }

    fn before(state: BeforeState) -> Before {
        let person = output("person", "1", r#"{"name":"Ann","n":1,"old":true}"#);
        Before { state, outputs: vec![person, output("tag", "t", "{}")] }
    }

    fn rejection(code: &str, message: &str) -> Rejection {
        Rejection { code: code.into(), message: message.into(), field: None }
    }

    #[test]
    fn tells_field_by_field() {
        let after = Outcome::Mapped(vec![
            output("person", "1", r#"{"name":"Ann","n":1.0,"new":null}"#),
            output("tag", "u", "{}"),
        ]);
        let found = compare(&before(BeforeState::Mapped), &after);
        let fields: Vec<_> = found.changed[0]
            .fields
            .iter()
            .map(|f| (f.field.as_str(), f.before.as_deref(), f.after.as_deref()))
            .collect();
        assert_eq!(
            fields,
            [
                ("n", Some("1"), Some("1.0")),
                ("old", Some("true"), None),
                ("new", None, Some("null"))
            ]
        );
        assert_eq!(
            (found.new[0].key.as_str(), found.gone[0].key.as_str(), found.same.len()),
            ("u", "t", 0)
        );
        assert!(!found.verdict && !found.is_none());
    }

    #[test]
    fn what_stays_is_no_difference() {
        let same = Outcome::Mapped(before(BeforeState::Mapped).outputs);
        assert!(compare(&before(BeforeState::Mapped), &same).is_none());
        let skipped = BeforeState::Skipped("a".into());
        let nothing = Before { state: skipped.clone(), outputs: Vec::new() };
        assert!(compare(&nothing, &Outcome::Skipped("a".into())).is_none());
        assert!(compare(&nothing, &Outcome::Skipped("b".into())).verdict);
        let failed = BeforeState::Failed(rejection("x.y", "at 1"));
        let again = compare(&before(failed.clone()), &Outcome::Failed(rejection("x.y", "at 2")));
        assert!(again.is_none(), "a message may name what differs from time to time");
        assert!(compare(&before(failed), &Outcome::Failed(rejection("x.z", "m"))).verdict);
    }

    #[test]
    fn a_skipped_record_loses_its_outputs_and_a_failed_one_keeps_them() {
        let skipped = compare(&before(BeforeState::Mapped), &Outcome::Skipped("no".into()));
        assert_eq!((skipped.gone.len(), skipped.verdict), (2, true));
        let failed = compare(&before(BeforeState::Mapped), &Outcome::Failed(rejection("a.b", "m")));
        assert_eq!((failed.gone.len(), failed.same.len(), failed.verdict), (0, 2, true));
    }

    #[test]
    fn an_order_is_a_change_too() {
        let one = Before {
            state: BeforeState::Mapped,
            outputs: vec![output("k", "1", r#"{"a":1,"b":2}"#)],
        };
        let found = compare(&one, &Outcome::Mapped(vec![output("k", "1", r#"{"b":2,"a":1}"#)]));
        assert_eq!(found.changed[0].fields[0].field, "(order of fields)");
    }
}

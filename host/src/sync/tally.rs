//! What a plugin would change of many records, counted: by kind, by field, by what becomes of a record. Pure, and bounded
//! whatever the records are.

use std::collections::BTreeMap;

use serde::Serialize;

use super::compare::{Before, BeforeState, Changed, Difference, FieldChange, whole};
use crate::model::{Outcome, RecordId};

/// Names that are told apart in one place; the others are counted together.
const NAMES: usize = 200;

/// What a name is counted under when there are too many.
const OTHERS: &str = "(others)";

/// Differences of many records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Records that were compared.
    pub records: u64,
    /// Records among them of which something would change.
    pub touched: u64,
    /// By kind of output.
    pub kinds: BTreeMap<String, Kind>,
    /// What would become of records that is not what became of them.
    #[serde(skip)]
    pub turns: BTreeMap<Turn, Turned>,
    /// Some of the changes, the first of each sort.
    pub samples: Vec<Sample>,
    #[serde(skip)]
    most: usize,
}

/// Outputs of a kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// That would be new.
    pub new: u64,
    /// That would be others.
    pub changed: u64,
    /// That would go.
    pub gone: u64,
    /// That would stay.
    pub same: u64,
    /// How often each field would change.
    pub fields: BTreeMap<String, u64>,
}

/// What became of a record, and what would.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    /// `mapped`, `skipped: ` and the reason, or `failed: ` and the code.
    pub from: String,
    /// The same.
    pub to: String,
}

/// Records that would turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Turned {
    /// How many.
    pub records: u64,
    /// The first of them.
    pub first: RecordId,
    /// What the plugin says of it, when it fails.
    pub why: Option<String>,
}

/// A change of an output, for people to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// The record.
    pub record: RecordId,
    /// What would happen: `new`, `changed` or `gone`.
    pub what: &'static str,
    /// The output's kind.
    pub kind: String,
    /// Its key.
    pub key: String,
    /// The fields that would change; all of them when the output is new or gone.
    pub fields: Vec<FieldChange>,
}

impl Tally {
    /// Nothing yet. Keeps at most so many samples of each kind and sort.
    pub fn new(samples: usize) -> Self {
        Self { most: samples, ..Self::default() }
    }

    /// Counts a record.
    pub fn add(&mut self, id: RecordId, before: &Before, after: &Outcome, found: &Difference) {
        self.records += 1;
        self.touched += u64::from(!found.is_none());
        if found.verdict {
            self.turn(id, before, after);
        }
        for output in &found.new {
            self.kind(&output.kind).new += 1;
            let fields = || whole(None, Some(&output.body));
            self.sample(id, "new", &output.kind, &output.key, fields);
        }
        for output in &found.gone {
            self.kind(&output.kind).gone += 1;
            let fields = || whole(Some(&output.body), None);
            self.sample(id, "gone", &output.kind, &output.key, fields);
        }
        for Changed { kind, key, fields } in &found.changed {
            let counted = self.kind(kind);
            counted.changed += 1;
            for change in fields {
                *at(&mut counted.fields, &change.field) += 1;
            }
            self.sample(id, "changed", kind, key, || fields.clone());
        }
        for output in &found.same {
            self.kind(&output.kind).same += 1;
        }
    }

    fn kind(&mut self, name: &str) -> &mut Kind {
        at(&mut self.kinds, name)
    }

    fn sample(
        &mut self,
        record: RecordId,
        what: &'static str,
        kind: &str,
        key: &str,
        fields: impl FnOnce() -> Vec<FieldChange>,
    ) {
        let like = |one: &&Sample| one.what == what && one.kind == kind;
        let most = self.most;
        if self.samples.len() < NAMES && self.samples.iter().filter(like).count() < most {
            let (kind, key) = (kind.to_owned(), key.to_owned());
            self.samples.push(Sample { record, what, kind, key, fields: fields() });
        }
    }

    fn turn(&mut self, id: RecordId, before: &Before, after: &Outcome) {
        let from = match &before.state {
            BeforeState::Mapped => "mapped".to_owned(),
            BeforeState::Skipped(reason) => format!("skipped: {reason}"),
            BeforeState::Failed(rejection) => format!("failed: {}", rejection.code),
        };
        let (to, why) = match after {
            Outcome::Mapped(_) => ("mapped".to_owned(), None),
            Outcome::Skipped(reason) => (format!("skipped: {reason}"), None),
            Outcome::Failed(rejection) => {
                (format!("failed: {}", rejection.code), Some(rejection.message.clone()))
            }
        };
        let mut turn = Turn { from, to };
        if self.turns.len() >= NAMES && !self.turns.contains_key(&turn) {
            turn = Turn { from: OTHERS.to_owned(), to: OTHERS.to_owned() };
        }
        self.turns.entry(turn).or_insert(Turned { records: 0, first: id, why }).records += 1;
    }
}

/// The entry of a name; of that for all others, when there are too many names.
fn at<'a, T: Default>(map: &'a mut BTreeMap<String, T>, name: &str) -> &'a mut T {
    let name = if map.len() >= NAMES && !map.contains_key(name) { OTHERS } else { name };
    map.entry(name.to_owned()).or_default()
}

#[cfg(test)]
mod tests {
    use super::super::compare::compare;
    use super::*;
    use crate::model::{Output, Rejection};

    fn output(kind: &str, key: &str, body: &str) -> Output {
        Output { kind: kind.into(), key: key.into(), body: body.into() }
    }

    fn id(n: usize) -> RecordId {
        RecordId::parse(&format!("003{n:012}")).unwrap()
    }

    #[test]
    fn counts_by_kind_field_and_turn() {
        let mut tally = Tally::new(1);
        let mapped = |body: &str| Before {
            state: BeforeState::Mapped,
            outputs: vec![output("person", "p", body), output("tag", "t", "{}")],
        };
        let mut add = |n, before: Before, after: Outcome| {
            let found = compare(&before, &after);
            tally.add(id(n), &before, &after, &found);
        };
        let person = |body| Outcome::Mapped(vec![output("person", "p", body)]);
        add(1, mapped(r#"{"a":1}"#), person(r#"{"a":2}"#));
        add(2, mapped(r#"{"a":1}"#), person(r#"{"a":3,"b":1}"#));
        add(3, mapped(r#"{"a":1}"#), Outcome::Skipped("no".into()));
        let failed = Rejection { code: "x.y".into(), message: "because".into(), field: None };
        add(4, mapped("{}"), Outcome::Failed(failed));
        assert_eq!((tally.records, tally.touched), (4, 4));
        let person = &tally.kinds["person"];
        assert_eq!((person.new, person.changed, person.gone, person.same), (0, 2, 1, 1));
        assert_eq!(person.fields, [("a".to_owned(), 2), ("b".to_owned(), 1)].into());
        assert_eq!(tally.kinds["tag"].gone, 3);
        let turns: Vec<_> =
            tally.turns.iter().map(|(turn, one)| (&*turn.to, one.records)).collect();
        assert_eq!(turns, [("failed: x.y", 1), ("skipped: no", 1)]);
        let samples: Vec<_> = tally.samples.iter().map(|one| (one.what, &*one.kind)).collect();
        assert_eq!(samples, [("gone", "tag"), ("changed", "person"), ("gone", "person")]);
    }

    #[test]
    fn is_bounded() {
        let mut tally = Tally::new(3);
        for n in 0..1000 {
            let after = Outcome::Mapped(vec![output(&format!("kind{n}"), "k", "{}")]);
            let before =
                Before { state: BeforeState::Skipped(format!("reason {n}")), outputs: Vec::new() };
            let found = compare(&before, &after);
            tally.add(id(n), &before, &after, &found);
        }
        assert_eq!(tally.records, 1000);
        assert!(tally.kinds.len() <= NAMES + 1 && tally.turns.len() <= NAMES + 1);
        assert!(tally.samples.len() <= NAMES);
        assert_eq!(tally.kinds.values().map(|kind| kind.new).sum::<u64>(), 1000);
        assert_eq!(tally.turns.values().map(|one| one.records).sum::<u64>(), 1000);
    }
}

//! One row: what is exported of an output or of a record, as names and values.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::{RecordId, RunId, Stamp, SyncName};

/// A value. Numbers are as they were spelled: nothing is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell<'a> {
    /// None.
    Null,
    /// True or false.
    Bool(bool),
    /// A number, as JSON spells it.
    Number(&'a str),
    /// A text.
    Text(Cow<'a, str>),
    /// A list or an object, as JSON.
    Json(&'a str),
    /// A moment of kilofold's own.
    Moment(Stamp),
}

impl Cell<'_> {
    /// The value as a text; none for null.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Null => None,
            Self::Bool(true) => Some("true".into()),
            Self::Bool(false) => Some("false".into()),
            Self::Number(text) | Self::Json(text) => Some((*text).into()),
            Self::Text(text) => Some(text.as_ref().into()),
            Self::Moment(at) => Some(at.to_string().into()),
        }
    }
}

/// A line as it comes: an output, or a record as Salesforce sent it.
#[derive(Debug, Deserialize)]
struct Line<'a> {
    sync: SyncName,
    #[serde(borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    record: RecordId,
    changed: Stamp,
    run: RunId,
    state: Option<&'a str>,
    #[serde(default)]
    deleted: bool,
    #[serde(borrow)]
    why: Option<Cow<'a, str>>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    raw: Option<&'a RawValue>,
}

/// One row. What kilofold itself says has names that begin with `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// Names and values, in order; no name is there twice.
    pub cells: Vec<(Cow<'a, str>, Cell<'a>)>,
    /// When its record changed, by the org's clock.
    pub changed: Stamp,
    /// What became of the record; none for an output.
    pub state: Option<&'a str>,
    /// Whether the record is deleted in the org.
    pub deleted: bool,
}

impl<'a> Row<'a> {
    /// Reads a line.
    pub fn parse(line: &'a str) -> Result<Self, serde_json::Error> {
        let line: Line<'a> = serde_json::from_str(line)?;
        let mut cells = vec![("_sync".into(), Cell::Text(line.sync.as_str().to_owned().into()))];
        if let Some(kind) = line.kind {
            cells.push(("_kind".into(), Cell::Text(kind)));
        }
        if let Some(key) = line.key {
            cells.push(("_key".into(), Cell::Text(key)));
        }
        cells.push(("_record".into(), Cell::Text(line.record.as_str().to_owned().into())));
        cells.push(("_changed".into(), Cell::Moment(line.changed)));
        cells.push(("_run".into(), Cell::Text(line.run.to_string().into())));
        if let Some(state) = line.state {
            cells.push(("_state".into(), Cell::Text(state.into())));
            cells.push(("_deleted".into(), Cell::Bool(line.deleted)));
            cells.push(("_why".into(), line.why.map_or(Cell::Null, Cell::Text)));
        }
        if let Some(body) = line.body {
            add(&mut cells, "", body, false)?;
        }
        if let Some(raw) = line.raw {
            add(&mut cells, "", raw, true)?;
        }
        let mut seen = std::collections::HashSet::new();
        cells.retain(|(name, _)| seen.insert(name.clone()));
        Ok(Self { cells, changed: line.changed, state: line.state, deleted: line.deleted })
    }

    /// The value of this name, which is most likely at this place: rows resemble each other.
    pub fn near(&self, place: usize, name: &str) -> Option<&Cell<'a>> {
        match self.cells.get(place) {
            Some((known, cell)) if known == name => Some(cell),
            _ => self.get(name),
        }
    }

    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&Cell<'a>> {
        self.cells.iter().find(|(known, _)| known == name).map(|(_, cell)| cell)
    }
}

/// The members of an object, in their order.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> serde::de::Visitor<'de> for Visitor<'a> {
            type Value = Members<'a>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Members<'a>, A::Error> {
                let mut found = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    found.push((name, map.next_value()?));
                }
                Ok(Members(found))
            }
        }
        deserializer.deserialize_map(Visitor(std::marker::PhantomData))
    }
}

/// A name, borrowed when nothing in it is escaped.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Adds the members of an object; what is no object is one value named `value`. `parents`: Salesforce's parents, which are
/// objects with attributes, are told as `Account.Name`.
fn add<'a>(
    cells: &mut Vec<(Cow<'a, str>, Cell<'a>)>,
    before: &str,
    value: &'a RawValue,
    parents: bool,
) -> Result<(), serde_json::Error> {
    if !value.get().starts_with('{') {
        cells.push(("value".into(), cell(value)?));
        return Ok(());
    }
    let Members(members) = serde_json::from_str(value.get())?;
    for (name, value) in members {
        if parents && name == "attributes" {
            continue;
        }
        let name = match before {
            "" => name,
            before => Cow::Owned(format!("{before}.{name}")),
        };
        if parents && value.get().starts_with("{\"attributes\"") {
            add(cells, &name, value, parents)?;
        } else {
            cells.push((name, cell(value)?));
        }
    }
    Ok(())
}

fn cell(value: &RawValue) -> Result<Cell<'_>, serde_json::Error> {
    let text = value.get();
    Ok(match text.as_bytes().first() {
        Some(b'"') => {
            let Name(text) = serde_json::from_str(text)?;
            Cell::Text(text)
        }
        Some(b'{' | b'[') => Cell::Json(text),
        Some(b't') => Cell::Bool(true),
        Some(b'f') => Cell::Bool(false),
        Some(b'n') | None => Cell::Null,
        Some(_) => Cell::Number(text),
    })
}

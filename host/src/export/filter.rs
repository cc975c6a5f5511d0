//! Which rows are wanted.

use std::str::FromStr;

use super::row::{Cell, Row};
use crate::model::Stamp;

/// A condition on one value: `Field=text` or `Field!=text`. No text stands for null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Where {
    field: String,
    equal: bool,
    text: String,
}

impl FromStr for Where {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (field, text) = text
            .split_once('=')
            .ok_or_else(|| "write FIELD=VALUE or FIELD!=VALUE, for example State=CA".to_owned())?;
        let (field, equal) = match field.strip_suffix('!') {
            Some(field) => (field, false),
            None => (field, true),
        };
        if field.trim().is_empty() {
            return Err("there is no field before the =".to_owned());
        }
        Ok(Self { field: field.trim().to_owned(), equal, text: text.to_owned() })
    }
}

impl Where {
    /// Whether the row is as it says. A field that a row does not have is null.
    fn holds(&self, row: &Row<'_>) -> bool {
        let text = row.get(&self.field).and_then(Cell::text).unwrap_or_default();
        (text == self.text.as_str()) == self.equal
    }
}

/// What must be true of a row; nothing: every row is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// All of these.
    pub conditions: Vec<Where>,
    /// Its record changed then or later, by the org's clock.
    pub since: Option<Stamp>,
    /// Its record is in one of these states, `deleted` among them; empty: in any.
    pub states: Vec<String>,
}

impl Filter {
    /// Whether the row is wanted.
    pub fn wants(&self, row: &Row<'_>) -> bool {
        let state = |wanted: &String| match wanted.as_str() {
            "deleted" => row.deleted,
            wanted => !row.deleted && row.state == Some(wanted),
        };
        self.since.is_none_or(|since| row.changed >= since)
            && (self.states.is_empty() || self.states.iter().any(state))
            && self.conditions.iter().all(|one| one.holds(row))
    }
}

//! Any object as it is: every field of the sync in one JSON body.
//!
//! Nothing is read into types, so that every value stays as Salesforce spelled it. A field of a parent keeps its path as
//! its name: `"Account.Name": "Acme"`.

use kilofold_plugin::prelude::*;
use kilofold_plugin::{Cell, Kinds, Outcomes};

/// The kinds that the setting can name, all of them declared.
const KINDS: [&str; 5] = ["record", "person", "event", "object", "relationship"];

#[derive(Settings)]
struct Config {
    /// The kind of the outputs.
    #[setting(default = "record", choices("record", "person", "event", "object", "relationship"))]
    kind: String,
}

/// A whole record, of a kind that is known only when it is made.
struct Whole<'a> {
    kind: &'a str,
    key: &'a str,
    body: Json<'a>,
}

impl Outputs for Whole<'_> {
    fn declare(kinds: &mut Kinds) {
        for kind in KINDS {
            kinds.add(kind, &["*"]);
        }
    }

    fn emit(self, out: &mut Outcomes<'_>) {
        out.push_with(self.kind, self.key, |cells| cells.json(self.body.as_str()));
    }
}

fn map<'a>(row: Row<'a>, config: &'a Config) -> Result<Whole<'a>, Reject> {
    let Some(Cell::Text(key)) = row.get("Id") else {
        return Err(Reject::new("id.missing", "the record has no Id to know it by").field("Id"));
    };
    let mut body = Object::with_capacity(row.len() * 48);
    for (name, cell) in row.fields() {
        body.member(name, cell);
    }
    Ok(Whole { kind: &config.kind, key, body: body.finish() })
}

mapper!(Row => Whole, map, settings: Config);

#[cfg(test)]
mod tests;

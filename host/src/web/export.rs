//! Everything that is stored, as one long answer of JSON lines: what `kilofold export` makes files of.

use std::future::{Ready, ready};
use std::io::{self, Write};

use axum::response::Response;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Shared;
use super::ask::{Answer, Ask, Reply};
use super::feed::{LINES, Part, write_line};
use super::reader::{Error, Reader};
use super::routes::{Routes, Verb};
use super::stream::stream;
use super::view;
use crate::model::{RecordId, RunId, Stamp, SyncName};
use crate::store::{OutputRow, RecordRow, State, Wanted};

/// The routes of exports.
pub(super) fn add(routes: Routes) -> Routes {
    routes
        .on(
            Verb::Get,
            "/api/v1/outputs",
            "Every stored output, each as it is when it is read; a snapshot is of one moment.",
            outputs,
        )
        .on(
            Verb::Get,
            "/api/v1/records",
            "Every stored record, each as it is when it is read.",
            records,
        )
}

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Outputs.
    Outputs,
    /// Records as Salesforce sent them.
    Records,
}

/// An output, or a record.
#[derive(Debug, Serialize, JsonSchema)]
struct ExportLine {
    /// The sync.
    sync: SyncName,
    /// The output's kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// The output's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// The record, or the one that yields the output.
    record: RecordId,
    /// When that last changed, by the org's clock.
    changed: Stamp,
    /// The run that last changed it.
    run: RunId,
    /// What became of the record: `mapped`, `skipped` or `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// Whether the record is deleted in the org.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    /// Why it was skipped, or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// The output's fields.
    #[schemars(with = "serde_json::Value")]
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Box<RawValue>>,
    /// The record as Salesforce sent it, when that was kept.
    #[schemars(with = "serde_json::Value")]
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<Box<RawValue>>,
}

impl From<OutputRow> for ExportLine {
    fn from(row: OutputRow) -> Self {
        Self {
            sync: row.sync,
            kind: Some(row.kind.to_string()),
            key: Some(row.key),
            record: row.record,
            changed: row.stamp,
            run: row.run,
            state: None,
            deleted: false,
            why: None,
            body: Some(view::json(row.body)),
            raw: None,
        }
    }
}

impl From<RecordRow> for ExportLine {
    fn from(row: RecordRow) -> Self {
        let (state, why) = match row.state {
            State::Mapped => ("mapped", None),
            State::Skipped(reason) => ("skipped", Some(reason)),
            State::Failed(rejection) => {
                ("failed", Some(format!("{}: {}", rejection.code, rejection.message)))
            }
        };
        Self {
            sync: row.sync,
            kind: None,
            key: None,
            record: row.id,
            changed: row.stamp,
            run: row.run,
            state: Some(state),
            deleted: row.deleted,
            why,
            body: None,
            raw: view::json_opt(row.raw),
        }
    }
}

impl Reader {
    /// Writes what is stored, a line each. The inner error is that of the writer.
    pub fn export(
        &self,
        what: What,
        wanted: &Wanted,
        to: &mut dyn Write,
    ) -> Result<io::Result<()>, Error> {
        let store = self.store();
        let lines: Box<dyn Iterator<Item = Result<ExportLine, _>> + '_> = match what {
            What::Outputs => Box::new(store.output_rows(wanted).map(|row| row.map(Into::into))),
            What::Records => Box::new(store.record_rows(wanted).map(|row| row.map(Into::into))),
        };
        for line in lines {
            if let Err(error) = write_line(to, &line?) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }
}

struct Rows(Response);

impl Reply for Rows {
    fn media(schemas: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
        drop(schemas.subschema_for::<ExportLine>());
        let about = "One ExportLine a line.";
        vec![(LINES, json_schema!({ "type": "string", "description": about }))]
    }

    fn reply(self) -> Response {
        self.0
    }
}

fn outputs(shared: Shared, ask: Ask<(), Part>) -> Ready<Answer<Rows>> {
    ready(rows(&shared, What::Outputs, ask.query.wanted()))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OfSync {
    /// Only records of this sync.
    sync: Option<SyncName>,
}

fn records(shared: Shared, ask: Ask<(), OfSync>) -> Ready<Answer<Rows>> {
    let wanted = Wanted { syncs: ask.query.sync.into_iter().collect(), kinds: Vec::new() };
    ready(rows(&shared, What::Records, wanted))
}

fn rows(shared: &Shared, what: What, wanted: Wanted) -> Answer<Rows> {
    let reader = shared.reader.clone();
    let work =
        move |to: &mut dyn Write| reader.export(what, &wanted, to).map_err(io::Error::other)?;
    stream(shared, LINES, work).map(Rows)
}

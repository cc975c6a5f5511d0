//! The failed records of a run as a file: CSV for a spreadsheet, or JSON lines. Read and sent a few hundred at a time, so
//! memory does not grow with the run.

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;

use super::super::address::Named;
use super::super::ctx::Ctx;
use super::super::problem::Refused;
use crate::model::RunId;
use crate::store::{Failure, Store};
use crate::web::{Problem, Shared, api, view};

/// Failures that are read and sent at once.
const READ: usize = 500;

/// How the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Form {
    Csv,
    JsonLines,
}

/// Sends the file `failures.csv` or `failures.jsonl` of a run.
pub(in super::super) async fn export(
    State(shared): State<Shared>,
    ctx: Ctx,
    Named((run, file)): Named<(RunId, String)>,
) -> Result<Response, Refused> {
    let form = match file.as_str() {
        "failures.csv" => Form::Csv,
        "failures.jsonl" => Form::JsonLines,
        _ => {
            let detail = format!("there is no file of that name of import {run}");
            return Err(Refused::new(&ctx, Problem::not_found("web.path", detail)));
        }
    };
    let run = api::read(&shared, move |reader| reader.run(run)).await;
    let run = run.map_err(|problem| Refused::new(&ctx, problem))?;
    let kind = match form {
        Form::Csv => "text/csv; charset=utf-8",
        Form::JsonLines => "application/jsonl; charset=utf-8",
    };
    let ending = file.trim_start_matches("failures.");
    let name = format!("attachment; filename=\"{}-import-{}-failures.{ending}\"", run.sync, run.id);
    let store = shared.reader.store().clone();
    let state = (store, run.id, form, Some(0));
    let chunks = stream::unfold(state, |(store, run, form, after)| async move {
        let after = after?;
        let from = store.clone();
        let read = tokio::task::spawn_blocking(move || chunk(&from, run, form, after)).await;
        let (text, next) = match read {
            Ok(Ok(found)) => found,
            // The head is sent already; the reader of the file must see that it is not whole.
            Ok(Err(error)) => return Some((Err(error.to_string()), (store, run, form, None))),
            Err(error) => return Some((Err(error.to_string()), (store, run, form, None))),
        };
        Some((Ok::<Bytes, String>(Bytes::from(text)), (store, run, form, next)))
    });
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

/// The lines after failure `after`, and where the next ones begin.
fn chunk(
    store: &Store,
    run: RunId,
    form: Form,
    after: u64,
) -> Result<(String, Option<u64>), crate::store::Error> {
    let failures = store.failures(run, Some(after), READ)?;
    let mut text = String::new();
    if form == Form::Csv && after == 0 {
        text.push_str("n,record,code,field,message,raw\r\n");
    }
    let next = failures.last().map(|failure| failure.n);
    for failure in failures {
        match form {
            Form::Csv => csv(&failure, &mut text),
            Form::JsonLines => {
                let line = view::FailedRecord::from(failure);
                text.push_str(&serde_json::to_string(&line).unwrap_or_default());
                text.push('\n');
            }
        }
    }
    Ok((text, next))
}

fn csv(failure: &Failure, out: &mut String) {
    let n = failure.n.to_string();
    let why = &failure.rejection;
    let cells = [
        n.as_str(),
        failure.id.as_str(),
        &why.code,
        why.field.as_deref().unwrap_or_default(),
        &why.message,
        failure.raw.as_deref().unwrap_or_default(),
    ];
    for (i, text) in cells.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        cell(text, out);
    }
    out.push_str("\r\n");
}

/// A cell as RFC 4180 has it. A text that a spreadsheet would run as a formula gets an apostrophe in front, which
/// spreadsheets take as 'this is text'.
fn cell(text: &str, out: &mut String) {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let quoted = formula || text.contains(['"', ',', '\n', '\r']);
    if !quoted {
        out.push_str(text);
        return;
    }
    out.push('"');
    if formula {
        out.push('\'');
    }
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spreadsheet_runs_nothing() {
        let written = |text: &str| {
            let mut out = String::new();
            cell(text, &mut out);
            out
        };
        assert_eq!(written("email.invalid"), "email.invalid");
        assert_eq!(written("=cmd|' /C calc'!A0"), "\"'=cmd|' /C calc'!A0\"");
        assert_eq!(written("a \"b\", c"), "\"a \"\"b\"\", c\"");
    }
}

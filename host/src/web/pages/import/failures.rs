//! The failed records of a run, by reason: samples on the run's page, all of them in a list.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::address::{Asking, Named};
use super::super::ctx::Ctx;
use super::super::json::json;
use super::super::parts::{code, empty, text};
use super::super::problem::{Refused, sentence};
use super::super::shell::{Live, Page, Tab, respond};
use crate::error;
use crate::model::{Output, Run, RunId};
use crate::store::{self, Failure, Store};
use crate::web::text::grouped;
use crate::web::{Shared, api, reader};

/// Samples of each reason.
const SAMPLES: usize = 3;
/// Failures that are looked through for samples, and for the entries of one page of a list.
const SEEN: usize = 5_000;
/// Failures that are read at once.
const READ: usize = 500;
/// Entries of a page of the list.
const LISTED: usize = 50;

/// Failures of one code.
pub(super) struct Group {
    code: String,
    count: u64,
    /// With what is stored of each record: its last good outputs.
    samples: Vec<(Failure, Vec<Output>)>,
}

/// The failures of a run by code, the most frequent first, with samples of each. Looks through the first 5,000.
pub(super) fn groups(store: &Store, run: &Run) -> Result<Vec<Group>, reader::Error> {
    let mut groups: Vec<Group> = run
        .failures
        .iter()
        .map(|(code, count)| Group { code: code.clone(), count: *count, samples: Vec::new() })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    let mut after = None;
    let mut seen = 0;
    let wanted = |group: &Group| (group.samples.len() as u64) < group.count.min(SAMPLES as u64);
    while seen < SEEN && groups.iter().any(wanted) {
        let failures = store.failures(run.id, after, READ)?;
        let Some(last) = failures.last() else { break };
        (after, seen) = (Some(last.n), seen + failures.len());
        for failure in failures {
            // What is beyond the hundredth code was counted as `other`.
            let at = groups
                .iter()
                .position(|group| group.code == failure.rejection.code)
                .or_else(|| groups.iter().position(|group| group.code == "other"));
            if let Some(group) = at.map(|at| &mut groups[at]).filter(|group| wanted(group)) {
                let stored = store.record(&run.sync, failure.id)?;
                group.samples.push((failure, stored.map_or(Vec::new(), |record| record.outputs)));
            }
        }
    }
    Ok(groups)
}

/// The section of the run's page; nothing when nothing failed.
pub(super) fn section(run: &Run, groups: &[Group], ctx: &Ctx) -> Markup {
    if run.counts.failed == 0 {
        return html! {};
    }
    let list = format!("/imports/{}/failures", run.id);
    html! {
        section.card aria-labelledby="failures" {
            header {
                h2 #failures { (grouped(run.counts.failed)) @if run.counts.failed == 1 { " record failed" } @else { " records failed" } }
                div.row {
                    a.btn href=(list) { "See all" }
                    a.btn href={ (list) ".csv" } download { "CSV" }
                    a.btn href={ (list) ".jsonl" } download { "JSONL" }
                }
            }
            @for (i, group) in groups.iter().enumerate() {
                details.group id={ "reason-" (i) } open[i == 0] {
                    summary {
                        b { (grouped(group.count)) } " " span.err.warn { (text(&group.code)) }
                        @if let Some((first, _)) = group.samples.first() { span.soft.break { (text(&first.rejection.message)) } }
                    }
                    div.stack {
                        p.small {
                            @if let Some(known) = error::explain(&group.code) { (sentence(known.meaning)) " " (code(&group.code)) " · " }
                            a href={ (list) "?code=" (escaped(&group.code)) } { "All of this reason" }
                        }
                        @for (failure, outputs) in &group.samples { (sample(failure, outputs, ctx)) }
                    }
                }
            }
        }
    }
}

fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// One failed record: why, and raw beside what it was last mapped to.
fn sample(failure: &Failure, outputs: &[Output], _: &Ctx) -> Markup {
    html! {
        div.stack {
            p {
                a.mono href={ "/data/" (failure.sync) "/" (failure.id) } { (failure.id) } " "
                (text(&failure.rejection.message))
                @if let Some(field) = &failure.rejection.field { " " span.tag { (text(field)) } }
            }
            div.beside {
                div {
                    h3 { "As Salesforce sent it" }
                    @match &failure.raw { Some(raw) => (json(raw)), None => p.soft { "not kept" } }
                }
                div {
                    h3 { "Its last good outputs" }
                    @if outputs.is_empty() { p.soft.small { "None: it has never been mapped." } }
                    @for output in outputs {
                        p.small { span.tag { (text(&output.kind)) } " " span.mono.break { (text(&output.key)) } }
                        (json(&output.body))
                    }
                }
            }
        }
    }
}

#[derive(Debug, Default, Deserialize)]
pub(in super::super) struct Asked {
    #[serde(default)]
    code: String,
    #[serde(default)]
    after: Option<u64>,
}

/// Failures of one code, or of all, after a number; and where the next ones begin. Looks through at most 5,000 at once, so
/// a page may hold fewer than it could.
pub(super) fn page(
    store: &Store,
    run: RunId,
    wanted: Option<&str>,
    mut after: Option<u64>,
    limit: usize,
) -> Result<(Vec<Failure>, Option<u64>), store::Error> {
    let mut found: Vec<Failure> = Vec::new();
    let mut seen = 0;
    loop {
        let failures = store.failures(run, after, READ.min(limit.max(1)))?;
        let Some(last) = failures.last() else { return Ok((found, None)) };
        (after, seen) = (Some(last.n), seen + failures.len());
        for failure in failures {
            if wanted.is_none_or(|code| failure.rejection.code == code) {
                after = Some(failure.n);
                found.push(failure);
                if found.len() >= limit {
                    return Ok((found, after));
                }
            } else {
                after = Some(failure.n);
            }
        }
        if seen >= SEEN {
            return Ok((found, after));
        }
    }
}

/// The list.
pub(in super::super) async fn list(
    State(shared): State<Shared>,
    ctx: Ctx,
    Named(id): Named<RunId>,
    Asking(Asked { code: wanted, after }): Asking<Asked>,
) -> Result<Response, Refused> {
    let only = wanted.clone();
    let (run, failures, next) = api::read(&shared, move |reader| {
        let run = reader.run(id)?;
        let only = (!only.is_empty()).then_some(only.as_str());
        let (failures, next) = page(reader.store(), id, only, after, LISTED)?;
        Ok((run, failures, next))
    })
    .await
    .map_err(|problem| Refused::new(&ctx, problem))?;
    let place = format!("/imports/{id}/failures");
    let body = html! {
        div.head {
            div {
                p.crumbs { a href="/" { "Imports" } " / " a href={ "/imports/" (id) } { "Import " (id) " of " (run.sync) } }
                h1 { "Failed records" }
                p { (grouped(run.counts.failed)) " in all" @if !wanted.is_empty() { ", shown: those with " span.err { (text(&wanted)) } } }
            }
            div.row {
                @if !wanted.is_empty() { a.btn href=(place) { "All reasons" } }
                a.btn href={ (place) ".csv" } download { "CSV" }
                a.btn href={ (place) ".jsonl" } download { "JSONL" }
            }
        }
        section.card {
            @if failures.is_empty() {
                (empty("No failed record here", &html! { "Nothing of this import failed for this reason." }))
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Failed records" {
                    table.fold {
                        thead { tr { th scope="col" .n { "No." } th scope="col" { "Record" } th scope="col" { "Code" } th scope="col" { "Field" } th scope="col" { "Message" } } }
                        tbody {
                            @for failure in &failures {
                                tr {
                                    td.n data-label="No." { (failure.n) }
                                    th.mono.two-thirds scope="row" { a href={ "/data/" (failure.sync) "/" (failure.id) } { (failure.id) } }
                                    td data-label="Code" { (code(&failure.rejection.code)) }
                                    td.break data-label="Field" { @if let Some(field) = &failure.rejection.field { (text(field)) } @else { "-" } }
                                    td.break.wide data-label="Message" { (text(&failure.rejection.message)) }
                                }
                            }
                        }
                    }
                }
            }
            @if let Some(next) = next {
                nav.pager aria-label="More failed records" {
                    span {}
                    a.btn rel="next" href={ (place) "?after=" (next) @if !wanted.is_empty() { "&code=" (escaped(&wanted)) } } { "More" }
                }
            }
        }
    };
    let title = format!("Failed records of import {id}");
    Ok(respond(&ctx, StatusCode::OK, &Page { title, tab: Tab::Imports, live: Live::No, body }))
}

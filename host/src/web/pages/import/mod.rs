//! One import as evidence: what was asked, what came, what it cost, what failed, and what to do.

mod export;
mod failures;
mod pages;

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

pub(super) use export::export;
pub(super) use failures::list;

use super::address::Named;
use super::chart::{Part, whole};
use super::ctx::Ctx;
use super::imports::why;
use super::parts::{act, at, code, coming, standing, text};
use super::problem::{Refused, capital, sentence};
use super::shell::{Live, Page, Tab, respond};
use crate::error;
use crate::model::{Cursor, Ending, FieldChange, PageNote, Run, RunId, Scan, Trigger, Usage};
use crate::store::{RunFilter, Store};
use crate::web::text::{grouped, lasted, took};
use crate::web::{Shared, api, reader};
use failures::Group;

/// How many pages are read for the chart.
const PAGES: usize = 2_000;
/// How many runs are looked back for one whose schema is known.
const BACK: usize = 20;

/// What the page shows.
struct Shown {
    run: Run,
    pages: Vec<PageNote>,
    groups: Vec<Group>,
    schema: Option<Schema>,
    /// The runs before and after it of the same sync.
    before: Option<RunId>,
    after: Option<RunId>,
    configured: bool,
}

/// The object's fields when the run began, against the run before.
struct Schema {
    digest: String,
    fields: usize,
    /// The run that it is held against; none when there is none to hold it against.
    since: Option<RunId>,
    changes: Vec<FieldChange>,
}

/// The page.
pub(super) async fn show(
    State(shared): State<Shared>,
    ctx: Ctx,
    Named(id): Named<RunId>,
) -> Result<Response, Refused> {
    let shown = api::read(&shared, move |reader| {
        let run = reader.run(id)?;
        let store = reader.store();
        Ok(Shown {
            pages: store.pages(id, None, PAGES)?,
            groups: failures::groups(store, &run)?,
            schema: schema(store, &run)?,
            before: neighbour(store, &run)?,
            after: store.run_after(&run.sync, id)?,
            configured: reader.config().sync(&run.sync).is_some(),
            run,
        })
    })
    .await
    .map_err(|problem| Refused::new(&ctx, problem))?;
    let live = if shown.run.ending.is_none() { Live::Run(id) } else { Live::No };
    let title = format!("Import {id} of {}", shown.run.sync);
    Ok(respond(
        &ctx,
        StatusCode::OK,
        &Page { title, tab: Tab::Imports, live, body: body(&shown, &ctx) },
    ))
}

fn neighbour(store: &Store, run: &Run) -> Result<Option<RunId>, reader::Error> {
    let filter = RunFilter {
        sync: Some(run.sync.clone()),
        before: Some(run.id),
        limit: 1,
        ..RunFilter::default()
    };
    Ok(store.runs(&filter)?.first().map(|run| run.id))
}

/// The run's schema against that of the last run before it whose schema is known.
fn schema(store: &Store, run: &Run) -> Result<Option<Schema>, reader::Error> {
    let Some(digest) = run.schema.clone() else { return Ok(None) };
    let Some(now) = store.schema(&digest)? else { return Ok(None) };
    let filter = RunFilter {
        sync: Some(run.sync.clone()),
        before: Some(run.id),
        limit: BACK,
        ..RunFilter::default()
    };
    let last = store.runs(&filter)?.into_iter().find(|run| run.schema.is_some());
    let before = match &last {
        Some(Run { schema: Some(digest), .. }) => store.schema(digest)?,
        _ => None,
    };
    Ok(Some(Schema {
        digest,
        fields: now.0.len(),
        since: before.as_ref().and(last.as_ref()).map(|run| run.id),
        changes: before.map(|before| now.changes_since(&before)).unwrap_or_default(),
    }))
}

fn body(shown: &Shown, ctx: &Ctx) -> Markup {
    let run = &shown.run;
    html! {
        div.head {
            div {
                p.crumbs { a href="/" { "Imports" } " / " a href={ "/?sync=" (run.sync) } { (run.sync) } }
                h1 { "Import " (run.id) " of " (run.sync) " " (standing(run)) }
                p {
                    (capital(trigger(run.trigger))) ", started " (at(run.started, ctx))
                    @if run.ended.is_some() { ", took " (took(lasted(run, ctx.now))) }
                    @else { ", for " (took(lasted(run, ctx.now))) " so far" }
                }
            }
            div.row {
                @if let Some(before) = shown.before { a.btn href={ "/imports/" (before) } title="the import before" { "← " (before) } }
                @if let Some(after) = shown.after { a.btn href={ "/imports/" (after) } title="the import after" { (after) " →" } }
                @if shown.configured && run.ending.is_some() && run.counts.failed > 0 {
                    (act(ctx, &format!("/imports/{}/retry", run.id), "Retry failed", "main"))
                }
                @if shown.configured && run.ending.is_some() {
                    (act(ctx, &format!("/syncs/{}/run", run.sync), "Run again", ""))
                }
            }
        }
        (ending(run, ctx))
        (counts(run))
        (failures::section(run, &shown.groups, ctx))
        div.two { (asked(run)) (cost(run, ctx)) }
        div.two { (plugin(run)) (schema_card(shown.schema.as_ref())) }
        (query(run))
        (pages::section(run, &shown.pages, ctx))
        (retries(run, ctx))
    }
}

fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Schedule => "by its schedule",
        Trigger::Manual => "by hand",
        Trigger::Resume => "after a pause",
        Trigger::Retry => "to retry failed records, from the store",
        Trigger::Remap => "to map the stored records anew",
    }
}

/// How it ended, when that is not simply well: what happened, what it means, what to do.
fn ending(run: &Run, ctx: &Ctx) -> Markup {
    let told = match &run.ending {
        None => return html! { section.card { div.in { (why(run, ctx)) } } },
        Some(Ending::Succeeded | Ending::SucceededWithFailures) => return html! {},
        Some(Ending::Interrupted) => ("run.interrupted", None, None),
        Some(Ending::Failed { code, message }) => (code.as_str(), Some(message), None),
        Some(Ending::Paused { code, reason, resumes_at }) => {
            (code.as_str(), Some(reason), Some(resumes_at))
        }
    };
    let (told, message, resumes) = told;
    let known = error::explain(told);
    html! {
        section class={ "notice " (super::parts::tone(run.standing())) } {
            div.stack {
                div {
                    p { b { (known.map_or_else(|| capital(run.standing().label()), |known| capital(known.title))) } " " (code(told)) }
                    @if let Some(message) = message { p { (text(&sentence(message))) } }
                    @if let Some(at) = resumes {
                        p { @match at { Some(at) => { "It goes on by itself " (coming(*at, ctx)) "." }, None => "It goes on by itself; when is not known yet." } }
                    }
                }
                @if let Some(known) = known {
                    div { p { (sentence(known.meaning)) } p { b { "To do: " } (sentence(known.cure)) } }
                }
            }
        }
    }
}

/// What became of the records, and whether as many came as Salesforce counted.
fn counts(run: &Run) -> Markup {
    let c = &run.counts;
    let part = |class, name, value| Part { class, name, value, shown: grouped(value) };
    let parts = [
        part("good", "mapped", c.mapped),
        part("other", "unchanged", c.unchanged),
        part("1", "skipped", c.skipped),
        part("warn", "failed", c.failed),
        part("off", "deleted", c.deleted),
    ];
    html! {
        section.card aria-labelledby="records" {
            header { h2 #records { (grouped(c.fetched)) " records" } p { (check(run)) } }
            div.in.stack { (whole(&parts, "what became of the records")) }
        }
    }
}

/// Whether as many records came as Salesforce had counted.
fn check(run: &Run) -> Markup {
    match (run.expected, &run.ending) {
        (expected, _) if !run.trigger.reads() => html! {
            @if let Some(stored) = expected { "of " (grouped(stored)) " stored: " }
            "nothing was asked of Salesforce"
        },
        (Some(expected), Some(ending)) if expected == run.counts.fetched => html! {
            @if ending.is_success() { span.good { "✓ " } }
            "Salesforce counted " (grouped(expected)) ", and as many came"
        },
        (Some(expected), Some(_)) => html! {
            "Salesforce counted " (grouped(expected)) ", " (grouped(run.counts.fetched)) " came"
        },
        (Some(expected), None) => html! { "of " (grouped(expected)) " that Salesforce counted" },
        (None, _) if run.calls == 0 => html! { "Salesforce was not asked for any record" },
        (None, _) => html! { "no answer told how many there are" },
    }
}

fn place(cursor: &Cursor) -> Markup {
    html! {
        @match cursor.covered {
            Some(at) => span.mono { (at) },
            None => "the beginning",
        }
        @if let Some(at) = cursor.open.and_then(|window| window.at) {
            ", then up to " span.mono { (at.stamp) " " (at.id) }
        }
    }
}

fn asked(run: &Run) -> Markup {
    html! {
        section.card {
            header { h2 { "Window" } }
            dl.facts.in {
                @if let Some(window) = &run.window {
                    dt { "Changed" }
                    dd {
                        @match window.from { Some(from) => { "after " span.mono { (from) } }, None => "from the beginning" }
                        " up to " span.mono { (window.to) }
                    }
                    dt { "Read" }
                    dd { @match window.scan { Scan::ById => "everything, by Id", Scan::ByStamp => "what changed, by stamp and Id" } }
                }
                dt { "Changes found by" }
                dd { @match &run.stamp_field { Some(field) => (text(field)), None => "reading everything: the object has no usable stamp" } }
                dt { "Cursor before" } dd { (place(&run.cursor_before)) }
                dt { "Cursor after" } dd { (place(&run.cursor_after)) }
                @for note in &run.notes { dt { "Note" } dd { (text(&sentence(note))) } }
            }
        }
    }
}

fn reading(usage: Option<&Usage>, ctx: &Ctx) -> Markup {
    html! {
        @match usage {
            Some(usage) => { (grouped(usage.used)) " of " (grouped(usage.max)) span.soft { " (read " (at(usage.at, ctx)) ")" } },
            None => "not known",
        }
    }
}

fn cost(run: &Run, ctx: &Ctx) -> Markup {
    let per =
        (run.counts.fetched > 0).then(|| run.calls as f64 * 1000.0 / run.counts.fetched as f64);
    html! {
        section.card {
            header { h2 { "Calls and time" } }
            div.in.stack {
                dl.facts {
                    dt { "API calls" }
                    dd {
                        (grouped(run.calls))
                        @if let Some(per) = per { span.soft { " (" (format!("{per:.1}")) " for a thousand records)" } }
                    }
                    dt { "Connection" } dd { (run.connection) }
                    dt { "Org's day before" } dd { (reading(run.quota_before.as_ref(), ctx)) }
                    dt { "Org's day after" } dd { (reading(run.quota_after.as_ref(), ctx)) }
                    dt { "Requests made again" } dd { (run.retries.len()) }
                }
                div {
                    h3 { "Where the time went" }
                    (whole(&stages(&run.timing), "time per stage"))
                    p.small.soft { "The stages overlap: while one batch is mapped and committed the next page is on its way." }
                }
            }
        }
    }
}

/// The time of each stage.
fn stages(timing: &crate::model::Timing) -> [Part; 3] {
    let part = |class, name, micros| Part {
        class,
        name,
        value: micros,
        shown: took(Duration::from_micros(micros)),
    };
    [
        part("1", "fetch", timing.fetch),
        part("2", "map", timing.map),
        part("3", "commit", timing.commit),
    ]
}

fn plugin(run: &Run) -> Markup {
    html! {
        section.card {
            header { h2 { "Plugin" } }
            dl.facts.in {
                @match &run.plugin {
                    Some(plugin) => {
                        dt { "Name" } dd { (text(&plugin.name)) " " (text(&plugin.version)) }
                        dt { "Contract" } dd.mono { (text(&plugin.api)) }
                        dt { "SHA-256" } dd.mono { (text(&plugin.digest)) }
                    },
                    None => { dt { "Name" } dd { "not known" } },
                }
            }
        }
    }
}

fn schema_card(schema: Option<&Schema>) -> Markup {
    html! {
        section.card {
            header { h2 { "Schema" } }
            dl.facts.in {
                @match schema {
                    None => { dt { "Fields" } dd.soft { "not noted: the run did not get that far, or an older version made it" } },
                    Some(Schema { digest, fields, since, changes }) => {
                        dt { "Fields" } dd { (fields) " that the connection's user may see" }
                        dt { "Digest" } dd.mono { (digest) }
                        dt { "Changes" }
                        dd {
                            @match since {
                                None => span.soft { "no earlier import to compare with" },
                                Some(run) if changes.is_empty() => { "none since import " a href={ "/imports/" (run) } { (run) } },
                                Some(run) => {
                                    "since import " a href={ "/imports/" (run) } { (run) }
                                    ul { @for change in changes { li { (field(change)) } } }
                                },
                            }
                        }
                    },
                }
            }
        }
    }
}

fn field(change: &FieldChange) -> Markup {
    match change {
        FieldChange::New { field, kind } => html! {
            span.tag.good { "new" } " " (text(field)) span.soft { " " (text(kind)) }
        },
        FieldChange::Vanished { field, kind } => html! {
            span.tag.bad { "vanished" } " " (text(field)) span.soft { " " (text(kind)) }
        },
        FieldChange::Retyped { field, from, to } => html! {
            span.tag.warn { "retyped" } " " (text(field)) span.soft { " " (text(from)) " → " (text(to)) }
        },
    }
}

fn query(run: &Run) -> Markup {
    html! {
        @if !run.soql.is_empty() {
            section.card {
                header { h2 { "Query" } p { (run.fields.len()) " fields" } }
                div.in { pre tabindex="0" role="region" aria-label="SOQL" { (crate::web::text::plain(&run.soql)) } }
            }
        }
    }
}

fn retries(run: &Run, ctx: &Ctx) -> Markup {
    html! {
        @if !run.retries.is_empty() {
            section.card {
                header { h2 { "Requests made again" } }
                div.scroll tabindex="0" role="region" aria-label="Requests made again" {
                    table {
                        thead { tr { th scope="col" { "At" } th scope="col" .n { "Page" } th scope="col" .n { "Waited" } th scope="col" { "Why" } } }
                        tbody {
                            @for retry in &run.retries {
                                tr {
                                    td.nowrap { (at(retry.at, ctx)) }
                                    td.n { (retry.page.map_or(String::new(), |page| page.to_string())) }
                                    td.n { (took(Duration::from_millis(retry.waited_ms))) }
                                    td.break { (text(&retry.reason)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

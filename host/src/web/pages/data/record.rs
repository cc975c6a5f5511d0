//! One record: as Salesforce sent it, beside what it became, and the runs that touched it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::super::address::Named;
use super::super::ctx::Ctx;
use super::super::json::json;
use super::super::parts::{ago, at, badge, became, code, text};
use super::super::problem::{Refused, sentence};
use super::super::shell::{Live, Page, Tab, respond};
use crate::error;
use crate::model::{RecordId, Run, SyncName};
use crate::store::{Became, RecordView, State as Stored, Touch};
use crate::web::{Shared, api, reader};

/// What the page shows.
struct Shown {
    sync: SyncName,
    object: Option<String>,
    record: RecordView,
    /// The runs of its history, as far as they are still known.
    history: Vec<(Touch, Option<Run>)>,
}

/// The page.
pub(in super::super) async fn show(
    State(shared): State<Shared>,
    ctx: Ctx,
    Named((sync, id)): Named<(SyncName, RecordId)>,
) -> Result<Response, Refused> {
    let shown = api::read(&shared, move |reader| {
        let store = reader.store();
        // A sync that is no longer configured has records all the same.
        let record = store.record(&sync, id)?;
        let record = record.ok_or_else(|| reader::Error::NoRecord { sync: sync.clone(), id })?;
        let mut history = Vec::with_capacity(record.history.len());
        for touch in &record.history {
            history.push((*touch, store.run(touch.run)?));
        }
        let object = reader.config().sync(&sync).map(|sync| sync.object.clone());
        Ok(Shown { sync, object, record, history })
    })
    .await
    .map_err(|problem| Refused::new(&ctx, problem))?;
    let title = format!("Record {id} of {}", shown.sync);
    let body = body(&shown, &ctx);
    Ok(respond(&ctx, StatusCode::OK, &Page { title, tab: Tab::Data, live: Live::All, body }))
}

fn body(shown: &Shown, ctx: &Ctx) -> Markup {
    let Shown { sync, object, record, .. } = shown;
    let state = shown.history.first().map_or(Became::Mapped, |(touch, _)| touch.became);
    html! {
        div.head {
            div {
                p.crumbs { a href="/data" { "Data in" } " / " a href={ "/data?sync=" (sync) } { (sync) } }
                h1 { span.mono.break { (record.id) } " " (badge(became(state), state.word())) }
                p { @if let Some(object) = object { (text(object)) ", changed in the org " } @else { "Changed in the org " } (ago(record.stamp, ctx)) }
            }
        }
        (why(record))
        div.two {
            section.card {
                header { h2 { "As Salesforce sent it" } p { span.mono { (record.stamp) } } }
                div.in {
                    @match &record.raw {
                        Some(raw) => (json(raw)),
                        None => p.soft { "The text was not kept: " code { "keep_raw" } " is off for this sync or for the store." },
                    }
                }
            }
            section.card {
                header { h2 { "What it became" } p { (outputs(record.outputs.len())) } }
                div.in.stack {
                    @if record.outputs.is_empty() { p.soft { "There is no output of it." } }
                    @for output in &record.outputs {
                        div.stack {
                            p {
                                span.tag { (text(&output.kind)) } " "
                                a.mono.break href={ "/data?find=" (escaped(&output.key)) } { (text(&output.key)) }
                            }
                            (json(&output.body))
                        }
                    }
                }
            }
        }
        (history(shown, ctx))
    }
}

fn outputs(n: usize) -> String {
    match n {
        0 => "no output".to_owned(),
        1 => "one output".to_owned(),
        n => format!("{n} outputs"),
    }
}

fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Why it is not simply mapped.
fn why(record: &RecordView) -> Markup {
    match &record.state {
        _ if record.deleted => html! {
            section.notice { div { p { b { "Deleted in the org" } } p { "Its outputs are retracted. What came last is kept below." } } }
        },
        Stored::Mapped => html! {},
        Stored::Skipped(reason) => html! {
            section.notice { div { p { b { "Left out by the plugin" } } p { (text(&sentence(reason))) } } }
        },
        Stored::Failed(rejection) => html! {
            section.notice.warn {
                div {
                    p { b { "It could not be mapped" } " " (code(&rejection.code)) @if let Some(field) = &rejection.field { " " span.tag { (text(field)) } } }
                    p { (text(&sentence(&rejection.message))) }
                    @if let Some(known) = error::explain(&rejection.code) {
                        p { (sentence(known.meaning)) " " b { "To do: " } (sentence(known.cure)) }
                    } @else {
                        p { "The plugin says so. Mend the record in Salesforce, or the plugin, and retry; its last good outputs stay until then." }
                    }
                }
            }
        },
    }
}

fn history(shown: &Shown, ctx: &Ctx) -> Markup {
    html! {
        section.card aria-labelledby="history" {
            header { h2 #history { "Imports that changed it" } p { "newest first, the last sixteen" } }
            div.scroll tabindex="0" role="region" aria-label="Its imports" {
                table.fold {
                    thead { tr { th scope="col" .n { "Import" } th scope="col" { "Became" } th scope="col" { "Started" } th scope="col" { "Plugin" } } }
                    tbody {
                        @for (touch, run) in &shown.history {
                            tr {
                                td.n data-label="Import" { a href={ "/imports/" (touch.run) } { (touch.run) } }
                                td data-label="Became" { (badge(became(touch.became), touch.became.word())) }
                                @match run {
                                    Some(run) => {
                                        td.nowrap data-label="Started" { (at(run.started, ctx)) }
                                        td.break.wide data-label="Plugin" {
                                            @match &run.plugin {
                                                Some(plugin) => { (text(&plugin.name)) " " (text(&plugin.version)) " " span.mono.soft { (text(&plugin.digest.chars().take(12).collect::<String>())) } },
                                                None => "-",
                                            }
                                        }
                                    },
                                    None => td.soft.wide { "no longer kept" },
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

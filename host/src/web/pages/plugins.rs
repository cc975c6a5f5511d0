//! Plugins: what maps each sync, how long it takes, and what it could not do.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;

use super::ctx::Ctx;
use super::parts::{ago, at, badge, code, empty, text};
use super::problem::{Refused, sentence};
use super::shell::{Live, Page, Tab, respond};
use crate::web::text::{bytes, grouped, took};
use crate::web::{Shared, api, plugins, view};

/// Lines of a plugin's log that are shown.
const LINES: usize = 20;

/// The page.
pub(super) async fn list(State(shared): State<Shared>, ctx: Ctx) -> Result<Response, Refused> {
    let refuse = |problem| Refused::new(&ctx, problem);
    let live = api::status(&shared).await.map_err(refuse)?;
    let uses = plugins::work(&shared, |plugins| plugins.views()).await.map_err(refuse)?.plugins;
    let syncs = api::read(&shared, move |reader| reader.syncs(&live)).await.map_err(refuse)?.syncs;
    let body = html! {
        div.head { div { h1 { "Plugins" } p { "Each maps the records of a sync, a batch at a time, in a sandbox of its own." } } }
        @if uses.is_empty() { section.card { (empty("No plugin is used", &html! { "A sync names one as its " code { "plugin" } "." })) } }
        div.cards {
            @for one in &uses {
                @let sync = syncs.iter().find(|sync| sync.name == one.sync);
                (card(one, sync.and_then(|sync| sync.remap.as_ref()), &ctx))
            }
        }
    };
    let page = Page { title: "Plugins".to_owned(), tab: Tab::Plugins, live: Live::All, body };
    Ok(respond(&ctx, StatusCode::OK, &page))
}

/// How it stands, in a word.
fn state(one: &view::PluginUse) -> Markup {
    let traps: u64 = one.work.iter().flat_map(|work| work.traps.values()).sum();
    match (&one.problem, &one.refused, &one.work) {
        (Some(_), ..) => badge("bad", "not loaded"),
        (None, Some(_), _) => badge("warn", "change refused"),
        _ if traps > 0 => badge("bad", &format!("{} trapped", grouped(traps))),
        (.., Some(work)) if work.batches > 0 => badge("good", "no trap"),
        _ => badge("off", "nothing mapped yet"),
    }
}

fn card(one: &view::PluginUse, remap: Option<&view::Remap>, ctx: &Ctx) -> Markup {
    let told = |name: &str| one.description.as_ref().and_then(|told| told.get(name));
    html! {
        section.card id={ "plugin-" (one.sync) } {
            header { h2.break { (text(&one.configured)) } (state(one)) }
            div.in.stack {
                p.small.soft {
                    a href={ "/syncs#card-" (one.sync) } { (one.sync) }
                    @if one.object != one.sync.as_str() { " · " (text(&one.object)) }
                    @if let Some(summary) = told("summary").and_then(Value::as_str) { " · " (text(summary)) }
                }
                (trouble(one, remap, ctx))
                (facts(one, ctx))
                (contract(one))
                (log(one, ctx))
            }
        }
    }
}

/// What is not as it should be, and what to do.
fn trouble(one: &view::PluginUse, remap: Option<&view::Remap>, ctx: &Ctx) -> Markup {
    html! {
        @if let Some(problem) = &one.problem {
            div.notice.bad { div { p { b { "It cannot be loaded" } " " (code(&problem.code)) } p { (text(&sentence(&problem.reason))) } } }
        }
        @if let Some(refused) = &one.refused {
            div.notice.warn {
                div {
                    p { b { "A changed file was not taken" } " " (code(&refused.code)) " " span.soft { (ago(refused.at, ctx)) } }
                    p { (text(&sentence(&refused.reason))) " The component in use goes on." }
                }
            }
        }
        @if let Some(chosen) = one.chosen {
            p.small.soft { "Chosen by an operator " (ago(chosen, ctx)) " in place of what the configuration names." }
        }
        @if let Some(remap) = remap {
            p.small { (text(&sentence(&remap.why))) " " a href={ "/syncs#card-" (one.sync) } { "Map its records anew" } "." }
        }
    }
}

fn micros(n: u64) -> String {
    took(Duration::from_micros(n))
}

fn facts(one: &view::PluginUse, ctx: &Ctx) -> Markup {
    html! {
        dl.facts {
            @if let Some(note) = &one.plugin {
                dt { "Version" } dd { (text(&note.name)) " " (text(&note.version)) @if let Some(since) = one.since { span.soft { ", since " (at(since, ctx)) } } }
                dt { "Contract" } dd.mono { (text(&note.api)) }
                dt { "SHA-256" } dd.mono { (text(&note.digest)) @if one.pinned.is_some() { " " span.tag { "pinned" } } }
            }
            @if let Some(work) = one.work.as_ref().filter(|work| work.batches > 0) {
                dt { "A batch" }
                dd {
                    @if let Some(mean) = work.mean_us { (micros(mean)) span.soft { " on average" } }
                    @if let Some(last) = work.last_us { span.soft { ", the last one " (micros(last)) } }
                    span.sub { (grouped(work.batches)) " batches of " (grouped(work.records)) " records since the host started" }
                }
                dt { "Memory" } dd { (bytes(work.peak_memory)) span.soft { " at most" } }
                @for (told, n) in &work.traps { dt { "Trapped" } dd { (grouped(*n)) " × " (code(told)) } }
            } @else if one.problem.is_none() {
                dt { "A batch" } dd.soft { "nothing was mapped since the host started" }
            }
            @for (name, value) in &one.settings { dt { "Setting " (text(name)) } dd.mono { (text(&value.to_string())) } }
            @for name in &one.secrets { dt { "Setting " (text(name)) } dd.soft { "kept secret" } }
            @if let Some(before) = &one.before { dt { "Before it" } dd.mono { (text(&before.digest.chars().take(12).collect::<String>())) } }
        }
    }
}

/// What it reads, makes and can be set to, as it tells itself.
fn contract(one: &view::PluginUse) -> Markup {
    let list = |name: &str| -> Vec<&Value> {
        let told = one.description.as_ref().and_then(|told| told.get(name)?.as_array());
        told.map(|list| list.iter().collect()).unwrap_or_default()
    };
    let name =
        |value: &Value| value.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let (reads, outputs, settings) = (list("reads"), list("outputs"), list("settings"));
    html! {
        @if one.description.is_some() {
            details id={ "contract-" (one.sync) } {
                summary.small {
                    @match reads.len() { 0 => "Reads any field", 1 => "Reads 1 field", n => { "Reads " (n) " fields" } }
                    @match outputs.len() { 1 => ", makes 1 kind", n => { ", makes " (n) " kinds" } }
                    @match settings.len() { 0 => {}, 1 => ", has 1 setting", n => { ", has " (n) " settings" } }
                }
                dl.facts.small {
                    dt { "Reads" } dd { @for (i, read) in reads.iter().enumerate() { @if i > 0 { ", " } (text(&name(read))) } @if reads.is_empty() { "whatever the sync selects" } }
                    @for output in &outputs { dt { "Makes" } dd { span.tag { (text(&name(output))) } } }
                    @for setting in &settings {
                        dt { "Can be set" }
                        dd { span.mono { (text(&name(setting))) } @if let Some(help) = setting.get("help").and_then(Value::as_str) { span.sub { (text(help)) } } }
                    }
                }
            }
        }
    }
}

/// The last lines that it logged, the newest first.
fn log(one: &view::PluginUse, ctx: &Ctx) -> Markup {
    let lines = one.work.as_ref().map(|work| work.log.as_slice()).unwrap_or_default();
    html! {
        @if !lines.is_empty() {
            div {
                h3 { "Last lines of its log" }
                ul.log tabindex="0" aria-label="Last lines of its log" {
                    @for line in lines.iter().rev().take(LINES) {
                        li { span.soft { (at(line.at, ctx)) } " " span.bad[line.level == "error"].warn[line.level == "warn"] { (text(&line.level)) } " " (text(&line.message)) }
                    }
                }
            }
        }
    }
}

//! Data out: who reads the changes of outputs, how far each has come, and what was not taken.

mod actions;
mod letter;
mod letters;
mod one;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

pub(super) use actions::{discard, forget, resend};
pub(super) use letter::letter;
pub(super) use one::one;

use super::address::Asking;
use super::ctx::Ctx;
use super::parts::{ago, badge, code, coming, empty, text};
use super::problem::Refused;
use super::shell::{Live, Page, Tab, respond};
use crate::model::Stamp;
use crate::web::text::{about, grouped};
use crate::web::view::{Abreast, Consumer, Consumers, Delivery, Destination};
use crate::web::{Shared, api};

/// Readers on a page.
const SHOWN: usize = 100;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// Only readers behind this name.
    #[serde(default)]
    after: String,
}

/// The page.
pub(super) async fn list(
    State(shared): State<Shared>,
    ctx: Ctx,
    Asking(Asked { after }): Asking<Asked>,
) -> Result<Response, Refused> {
    let now = ctx.now;
    let from = after.clone();
    let all = api::read(&shared, move |reader| reader.consumers_page(&from, SHOWN, now)).await;
    let all = all.map_err(|problem| Refused::new(&ctx, problem))?;
    let body = body(&all, &after, &ctx);
    let page = Page { title: "Data out".to_owned(), tab: Tab::Out, live: Live::All, body };
    Ok(respond(&ctx, StatusCode::OK, &page))
}

fn body(all: &Consumers, after: &str, ctx: &Ctx) -> Markup {
    let from = all.consumers.partition_point(|one| one.name.as_str() <= after);
    let rest = all.consumers.get(from..).unwrap_or_default();
    let shown = rest.get(..SHOWN).unwrap_or(rest);
    let next = shown.last().filter(|_| rest.len() > SHOWN);
    html! {
        div.head { div { h1 { "Data out" } p { "Who gets the changes of outputs: systems that they are sent to, and readers that ask for them by name." } } }
        @if !all.consumers.is_empty() { (tiles(all, ctx)) }
        section.card aria-label="Readers" {
            @if all.consumers.is_empty() { (nobody()) } @else { (table(shown, ctx)) }
            @if !after.is_empty() || next.is_some() {
                nav.pager aria-label="More readers" {
                    span { @if !after.is_empty() { a.btn href="/out" { "First" } } }
                    span { @if let Some(last) = next { a.btn href={ "/out?after=" (last.name) } rel="next" { "More" } } }
                }
            }
        }
    }
}

fn nobody() -> Markup {
    empty(
        "Nobody reads the changes yet",
        &html! {
            p { "Write a " code { "[[deliver]]" } " into kilofold.toml to have them sent to a webhook or to what speaks Segment's API," }
            p { "or ask for them by a name of your own: " code { "kilofold feed --follow --consumer NAME" } ", or " code { "GET /api/v1/feed?consumer=NAME" } "." }
        },
    )
}

/// The state of everything in four numbers.
fn tiles(all: &Consumers, ctx: &Ctx) -> Markup {
    let furthest = all.furthest().and_then(|at| all.consumers.get(at));
    let Consumers { consumers, start, end } = all;
    let sent = consumers.iter().filter(|one| one.delivery.is_some()).count();
    let dead: u64 = consumers.iter().filter_map(|one| Some(one.delivery.as_ref()?.dead)).sum();
    let kept = (end + 1).saturating_sub(*start);
    html! {
        dl.tiles {
            div {
                dt { "Changes kept" }
                dd { (grouped(kept)) small { @if kept > 0 { "numbers " (grouped(*start)) " to " (grouped(*end)) } @else { "none is in the feed" } } }
            }
            div {
                dt { "Readers" }
                dd { (consumers.len()) small { (sent) " sent to, " (consumers.len() - sent) @if consumers.len() - sent == 1 { " asks" } @else { " ask" } } }
            }
            div {
                dt { "Furthest behind" }
                @match furthest {
                    Some(one) => dd {
                        (changes(one.lag))
                        small.break { (one.name) @if let Some(since) = one.waiting_since { ", for " (about(ctx.now.since(since))) } }
                    },
                    None => dd { "nobody" small { "everybody who was heard of has all" } },
                }
            }
            div {
                dt { "Not taken" }
                dd {
                    span.warn[dead > 0] { (grouped(dead)) }
                    small { @if dead == 0 { "everything was taken" } @else { "kept, to be sent again or discarded" } }
                }
            }
        }
    }
}

/// So many changes.
fn changes(n: u64) -> String {
    if n == 1 { "1 change".to_owned() } else { format!("{} changes", grouped(n)) }
}

fn table(shown: &[Consumer], ctx: &Ctx) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Readers of the changes" {
            table.fold {
                thead {
                    tr {
                        th scope="col" { "Reader" } th scope="col" { "State" }
                        th scope="col" .n { "Up to" } th scope="col" .n { "Behind" }
                        th scope="col" .n { "Not taken" } th scope="col" { "Heard of" }
                    }
                }
                tbody { @for one in shown { (row(one, ctx)) } }
            }
        }
    }
}

fn row(one: &Consumer, ctx: &Ctx) -> Markup {
    let dead = one.delivery.as_ref().map_or(0, |delivery| delivery.dead);
    html! {
        tr id={ "reader-" (one.name) } {
            th.lead scope="row" {
                a.name href={ "/out/" (one.name) } { (one.name) }
                span.sub { (kind(one)) }
            }
            td.why { (state(one)) (trouble(one, ctx)) }
            td.n data-label="Up to" { (grouped(one.acknowledged)) }
            td.n.zero[one.lag == 0] data-label="Behind" {
                (grouped(one.lag))
                @if let Some(since) = one.waiting_since { span.sub { "for " (about(ctx.now.since(since))) } }
            }
            td.n.zero[dead == 0].warn[dead > 0] data-label="Not taken" {
                @if dead > 0 { a.warn href={ "/out/" (one.name) "#not-taken" } { (grouped(dead)) } } @else { "0" }
            }
            td.nowrap data-label="Heard of" { (ago(heard(one), ctx)) }
        }
    }
}

/// When something was last known of it.
fn heard(one: &Consumer) -> Stamp {
    one.seen.max(one.delivery.as_ref().and_then(|delivery| delivery.delivered).unwrap_or(one.seen))
}

/// How it gets its changes.
fn kind(one: &Consumer) -> Markup {
    html! {
        @match &one.delivery {
            None => "asks by itself",
            Some(Delivery { to: None, .. }) => "no longer configured",
            Some(Delivery { to: Some(to), .. }) => { (form_of(to)) " to " (text(&to.host)) },
        }
    }
}

/// What is sent.
fn form_of(to: &Destination) -> &'static str {
    if to.form == "segment" { "Segment calls" } else { "webhook" }
}

/// How it stands: a shape, a word and a colour.
fn state(one: &Consumer) -> Markup {
    let abreast = one.abreast();
    let tone = match abreast {
        Abreast::Failing | Abreast::TooFarBehind => "bad",
        Abreast::Silent => "off",
        Abreast::SomeNotTaken => "warn",
        Abreast::UpToDate => "good",
        Abreast::Behind => "run",
    };
    badge(tone, abreast.label())
}

/// What went wrong last, while that still holds, and when it is tried again.
fn trouble(one: &Consumer, ctx: &Ctx) -> Markup {
    html! {
        @if let Some(delivery) = one.delivery.as_ref().filter(|one| one.failing_since.is_some()) {
            span.sub {
                @if let Some(trouble) = &delivery.trouble { span.clip { (text(trouble)) } }
                @if let Some(told) = &delivery.code { (code(told)) }
                @if let Some(next) = delivery.next { " · again " (coming(next, ctx)) }
            }
        } @else if one.behind {
            span.sub { (code("feed.gone")) }
        }
    }
}

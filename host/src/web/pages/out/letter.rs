//! One change that was not taken, as evidence: what was sent, why it was refused, and what its output is now.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::super::address::Named;
use super::super::ctx::Ctx;
use super::super::json::json;
use super::super::parts::{ago, at, code, form, text};
use super::super::problem::{Refused, sentence};
use super::super::shell::{Live, Page, Tab, respond};
use super::letters::what;
use crate::error;
use crate::model::ConsumerName;
use crate::web::text::grouped;
use crate::web::view::{Change, Consumer, OneLetter, Operation};
use crate::web::{Shared, api};

/// The page.
pub(in super::super) async fn letter(
    State(shared): State<Shared>,
    ctx: Ctx,
    Named((name, seq)): Named<(ConsumerName, u64)>,
) -> Result<Response, Refused> {
    let now = ctx.now;
    let (one, found) = api::read(&shared, move |reader| {
        Ok((reader.consumer(&name, now)?, reader.dead_letter(&name, seq)?))
    })
    .await
    .map_err(|problem| Refused::new(&ctx, problem))?;
    let title = format!("Change {seq} for {}", one.name);
    let body = body(&one, &found, &ctx);
    Ok(respond(&ctx, StatusCode::OK, &Page { title, tab: Tab::Out, live: Live::No, body }))
}

fn body(one: &Consumer, found: &OneLetter, ctx: &Ctx) -> Markup {
    let OneLetter { letter, calls, overtaken, now } = found;
    let change = letter.change();
    html! {
        div.head {
            div {
                p.crumbs { a href="/out" { "Data out" } " / " a.break href={ "/out/" (one.name) } { (one.name) } }
                h1 { "Change " (grouped(letter.seq)) " was not taken" }
                @if let Some(change) = &change { p { (what(change)) } }
            }
        }
        section.notice.bad {
            div {
                p { b { "Given up " (ago(letter.at, ctx)) } @if let Some(told) = &letter.code { " " (code(told)) } }
                p { (text(&sentence(&letter.reason))) }
                @if let Some(known) = letter.code.as_deref().and_then(error::explain) {
                    p { (sentence(known.meaning)) }
                    p { b { "To do: " } (sentence(known.cure)) }
                }
            }
        }
        @if let Some(change) = &change { (buttons(one, found, ctx)) (beside(change, calls.as_ref().map(|calls| calls.get()), now.as_ref().map(|now| now.get()), *overtaken, ctx)) }
        @else { (buttons(one, found, ctx)) }
    }
}

fn buttons(one: &Consumer, found: &OneLetter, ctx: &Ctx) -> Markup {
    let OneLetter { letter, overtaken, .. } = found;
    let sends = one.delivery.as_ref().is_some_and(|delivery| delivery.to.is_some());
    let action = |what: &str| format!("/out/{}/{what}?seq={}", one.name, letter.seq);
    let back = format!("/out/{}", one.name);
    let button = |what: &str, label: &str, class: &str| {
        form(
            ctx,
            &action(what),
            &html! {
                input type="hidden" name="back" value=(back);
                button class={ "btn " (class) } { (label) }
            },
        )
    };
    html! {
        div.row {
            @if letter.again { span.soft { "It is asked to be sent again, and goes with the next batch." } }
            @else if sends && !overtaken && letter.change().is_some() { (button("resend", "Send again", "main")) }
            (button("discard", "Discard", ""))
        }
    }
}

/// What was sent beside what the output is now.
fn beside(
    change: &Change,
    calls: Option<&str>,
    now: Option<&str>,
    overtaken: bool,
    ctx: &Ctx,
) -> Markup {
    let sent = html! {
        section.card {
            header { h2 { "What was sent" } p { "made " (at(change.at, ctx)) } }
            div.in.stack {
                @if let Some(calls) = calls {
                    p.small.soft { "As calls of Segment's API:" }
                    (json(calls))
                } @else {
                    @match (&change.body, change.op) {
                        (Some(body), _) => (json(body.get())),
                        (None, Operation::Retract) => p.soft { "That the output is gone." },
                        (None, Operation::Upsert) => p.soft { "Its fields are no longer kept." },
                    }
                }
                p.small {
                    "Of record " a.mono href={ "/data/" (change.sync) "/" (change.record) } { (change.record) } "."
                    @if !overtaken { " The output is the same now: nothing has changed it since." }
                }
            }
        }
    };
    if !overtaken {
        return sent;
    }
    html! {
        div.two {
            (sent)
            section.card {
                header { h2 { "What the output is now" } }
                div.in.stack {
                    p { "It has changed since. The later change goes by itself, so this one is not sent again." }
                    @match now {
                        Some(body) => (json(body)),
                        None => p.soft { "There is no such output." },
                    }
                }
            }
        }
    }
}

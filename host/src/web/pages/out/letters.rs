//! What a destination did not take: a list of changes, and what can be done with them.

use maud::{Markup, html};

use super::super::ctx::Ctx;
use super::super::parts::{act, ago, badge, code, empty, text};
use super::super::problem::sentence;
use super::changes;
use crate::web::text::grouped;
use crate::web::view::{Change, Consumer, DeadLetter, DeadLetters, Delivery, Operation};

/// The section; nothing for readers that ask by themselves.
pub(super) fn section(
    one: &Consumer,
    found: &DeadLetters,
    after: Option<u64>,
    ctx: &Ctx,
) -> Markup {
    let Some(delivery) = &one.delivery else { return html! {} };
    let paths = |what: &str| format!("/out/{}/{what}", one.name);
    let sends = delivery.to.is_some();
    html! {
        section.card #not-taken aria-labelledby="letters" {
            header {
                div {
                    h2 #letters { (heading(delivery)) }
                    @if delivery.dead > 0 {
                        p { "They were put aside so that the next ones could go. A change whose output has changed since is not sent again: the later one went." }
                    }
                }
                div.row {
                    @if sends && delivery.dead > delivery.asked { (act(ctx, &paths("resend"), "Send all again", "main")) }
                }
            }
            @if delivery.dead == 0 {
                (empty("No change was given up", &html! { "A change that the destination refuses, or does not take in time, is kept here with the reason." }))
            } @else if found.letters.is_empty() {
                (empty("No more of them", &html! { a.btn href={ "/out/" (one.name) } { "From the first" } }))
            } @else {
                (table(one, &found.letters, sends, ctx))
            }
            @if after.is_some() || found.next.is_some() {
                nav.pager aria-label="More changes" {
                    span { @if after.is_some() { a.btn href={ "/out/" (one.name) } { "First" } } }
                    span { @if let Some(next) = found.next { a.btn href={ "/out/" (one.name) "?after=" (next) } rel="next" { "More" } } }
                }
            }
            @if ctx.operates && delivery.dead > 0 {
                div.group {
                    details {
                        summary.small { "Discard all…" }
                        div.stack.small {
                            p { "The destination will not get these " (changes(delivery.dead)) ". What is stored here stays as it is." }
                            (act(ctx, &paths("discard"), &format!("Discard {}", changes(delivery.dead)), "bad"))
                        }
                    }
                }
            }
        }
    }
}

fn heading(delivery: &Delivery) -> String {
    let asked = match delivery.asked {
        0 => String::new(),
        asked => format!(", {} to be sent again", grouped(asked)),
    };
    match delivery.dead {
        0 => "Not taken".to_owned(),
        1 => format!("1 change was not taken{asked}"),
        dead => format!("{} changes were not taken{asked}", grouped(dead)),
    }
}

fn table(one: &Consumer, letters: &[DeadLetter], sends: bool, ctx: &Ctx) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Changes that were not taken" {
            table.fold {
                thead {
                    tr {
                        th scope="col" .n { "No." } th scope="col" { "Change" } th scope="col" { "Why" }
                        th scope="col" { "Given up" }
                        @if ctx.operates { th scope="col" { span.hide { "To do" } } }
                    }
                }
                tbody { @for letter in letters { (row(one, letter, sends, ctx)) } }
            }
        }
    }
}

fn row(one: &Consumer, letter: &DeadLetter, sends: bool, ctx: &Ctx) -> Markup {
    let change = letter.change();
    let path = format!("/out/{}/{}", one.name, letter.seq);
    let action = |what: &str| format!("/out/{}/{what}?seq={}", one.name, letter.seq);
    html! {
        tr id={ "letter-" (letter.seq) } {
            td.n data-label="No." { a href=(path) { (grouped(letter.seq)) } }
            th.two-thirds scope="row" {
                @match &change {
                    Some(change) => (what(change)),
                    None => span.soft { "changes that went from the feed before" },
                }
            }
            td.why {
                span.break.clip { (text(&sentence(&letter.reason))) }
                span.sub { @if let Some(told) = &letter.code { (code(told)) } @else { span.err { "-" } } }
            }
            td.nowrap data-label="Given up" {
                (ago(letter.at, ctx))
                @if letter.again { span.sub { (badge("run", "to be sent again")) } }
            }
            @if ctx.operates {
                td.wide {
                    div.row.ends {
                        @if sends && change.is_some() && !letter.again { (act(ctx, &action("resend"), "Send again", "")) }
                        (act(ctx, &action("discard"), "Discard", ""))
                    }
                }
            }
        }
    }
}

/// A change in a line: what happened to which output.
pub(super) fn what(change: &Change) -> Markup {
    html! {
        span.tag { (text(&change.kind)) } " "
        span.mono.break { (text(&change.key)) }
        span.sub {
            @match change.op { Operation::Upsert => "new or changed", Operation::Retract => "gone" }
            ", by import " a href={ "/imports/" (change.run) } { (change.run) } " of " (change.sync)
        }
    }
}

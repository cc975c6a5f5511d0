//! One reader of the changes: where it stands, what is wrong, and what it did not take.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::address::{Asking, Named};
use super::super::ctx::Ctx;
use super::super::parts::{ago, at, code, coming, form, text};
use super::super::problem::{Refused, sentence};
use super::super::shell::{Live, Page, Tab, respond};
use super::{changes, form_of, letters, state};
use crate::error;
use crate::model::ConsumerName;
use crate::web::text::{about, grouped};
use crate::web::view::{Abreast, Consumer, Delivery, Destination};
use crate::web::{Shared, api};

/// Letters on a page.
const SHOWN: usize = 50;

#[derive(Debug, Default, Deserialize)]
pub(in super::super) struct Asked {
    /// Only letters behind this number.
    #[serde(default)]
    after: Option<u64>,
}

/// The page.
pub(in super::super) async fn one(
    State(shared): State<Shared>,
    ctx: Ctx,
    Named(name): Named<ConsumerName>,
    Asking(Asked { after }): Asking<Asked>,
) -> Result<Response, Refused> {
    let (now, asked) = (ctx.now, name.clone());
    let (one, end, found) = api::read(&shared, move |reader| {
        let one = reader.consumer(&asked, now)?;
        let found = reader.dead_letters(&asked, after, Some(SHOWN))?;
        Ok((one, reader.store().feed_end()?, found))
    })
    .await
    .map_err(|problem| Refused::new(&ctx, problem))?;
    let body = html! {
        div.head {
            div {
                p.crumbs { a href="/out" { "Data out" } }
                h1 { span.break { (name) } " " (state(&one)) }
                p { (about_it(&one)) }
            }
        }
        (trouble(&one, &ctx))
        (stands(&one, end, &ctx))
        (letters::section(&one, &found, after, &ctx))
        (leave(&one, &ctx))
    };
    let page = Page { title: name.to_string(), tab: Tab::Out, live: Live::All, body };
    Ok(respond(&ctx, StatusCode::OK, &page))
}

/// How it gets its changes, as a sentence.
fn about_it(one: &Consumer) -> Markup {
    html! {
        @match &one.delivery {
            None => "It asks for changes by itself, and says how far it has come.",
            Some(Delivery { to: None, .. }) => "Nothing is sent to it any more: its [[deliver]] is no longer in the configuration.",
            Some(Delivery { to: Some(to), .. }) if to.form == "segment" => { "Changes are sent as identify, track and group calls to " (text(&to.host)) "." },
            Some(Delivery { to: Some(to), .. }) => { "Changes are sent in batches to the webhook at " (text(&to.host)) "." },
        }
    }
}

/// What is wrong, what that means, and what to do.
fn trouble(one: &Consumer, ctx: &Ctx) -> Markup {
    let explained = |told: &str| {
        html! {
            @if let Some(known) = error::explain(told) {
                p { (sentence(known.meaning)) }
                p { b { "To do: " } (sentence(known.cure)) }
            }
        }
    };
    match (one.abreast(), &one.delivery) {
        (Abreast::Failing, Some(delivery)) => {
            let told = delivery.code.as_deref().unwrap_or("deliver.busy");
            html! {
                section.notice.bad {
                    div {
                        p { b { "It does not take what is sent" } " " (code(told)) }
                        @if let Some(trouble) = &delivery.trouble { p { (text(&sentence(trouble))) } }
                        (explained(told))
                        p {
                            "Sent " @if delivery.attempts == 1 { "once" } @else { (grouped(u64::from(delivery.attempts))) " times" } " in vain"
                            @if let Some(since) = delivery.failing_since { ", since " (at(since, ctx)) }
                            @if let Some(next) = delivery.next { "; again " (coming(next, ctx)) } "."
                        }
                    }
                }
            }
        }
        (Abreast::TooFarBehind, _) => html! {
            section.notice.bad {
                div { p { b { "It is too far behind" } " " (code("feed.gone")) } (explained("feed.gone")) }
            }
        },
        (Abreast::Silent, _) => html! {
            section.notice.warn {
                div {
                    p { b { "It was not heard of for " (about(ctx.now.since(one.seen))) } }
                    p { "Changes are no longer kept for its sake. When it comes back it goes on where it was, or is told to take a snapshot." }
                }
            }
        },
        (Abreast::SomeNotTaken | Abreast::UpToDate | Abreast::Behind | Abreast::Failing, _) => {
            html! {}
        }
    }
}

fn stands(one: &Consumer, end: u64, ctx: &Ctx) -> Markup {
    html! {
        dl.tiles {
            div {
                dt { @if one.delivery.is_some() { "Sent up to" } @else { "Read up to" } }
                dd { (grouped(one.acknowledged)) small { "of " (grouped(end)) } }
            }
            div {
                dt { "Behind" }
                dd {
                    @if one.lag == 0 { span.good { "nothing" } } @else { (changes(one.lag)) }
                    small {
                        @if let Some(since) = one.waiting_since { "the oldest waits for " (about(ctx.now.since(since))) }
                        @else if one.lag > 0 { "the oldest are no longer kept" }
                        @else { "no change waits" }
                    }
                }
            }
            @if let Some(delivery) = &one.delivery {
                div {
                    dt { "Taken" }
                    dd {
                        (changes(delivery.taken))
                        small { @if let Some(when) = delivery.delivered { "the last " (ago(when, ctx)) } @else { "none yet" } }
                    }
                }
                @if let Some(to) = &delivery.to {
                    div { dt { "Sent" } dd { (capital_form(to)) small.break { (wanted(to)) } } }
                }
            } @else {
                div { dt { "Heard of" } dd { (ago(one.seen, ctx)) small { "first " (at(one.created, ctx)) } } }
            }
        }
    }
}

fn capital_form(to: &Destination) -> String {
    super::super::problem::capital(form_of(to))
}

/// Which outputs are sent.
fn wanted(to: &Destination) -> String {
    let of = |what: &str, names: &[String]| match names {
        [] => String::new(),
        names => format!("{what} {}", names.join(", ")),
    };
    let parts = [of("kinds", &to.kinds), of("syncs", &to.syncs)];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "all outputs".to_owned() } else { format!("only {}", parts.join("; ")) }
}

/// A reader that comes no more can be forgotten. One that is configured would begin anew at once.
fn leave(one: &Consumer, ctx: &Ctx) -> Markup {
    let configured = one.delivery.as_ref().is_some_and(|delivery| delivery.to.is_some());
    html! {
        @if ctx.operates && !configured {
            details {
                summary.small { "Forget this reader" }
                div.stack.small {
                    p { "Its place is lost, and nothing is kept for it any more. If it comes back it begins with the first change that is kept." }
                    (form(ctx, &format!("/out/{}/forget", one.name), &html! { button.btn.bad { "Forget " (one.name) } }))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_outputs_are_sent() {
        let mut to = Destination {
            form: "webhook".to_owned(),
            host: "example.com".to_owned(),
            kinds: Vec::new(),
            syncs: Vec::new(),
        };
        assert_eq!(wanted(&to), "all outputs");
        to.kinds = vec!["person".to_owned(), "event".to_owned()];
        assert_eq!(wanted(&to), "only kinds person, event");
        to.syncs = vec!["Contact".to_owned()];
        assert_eq!(wanted(&to), "only kinds person, event; syncs Contact");
    }
}

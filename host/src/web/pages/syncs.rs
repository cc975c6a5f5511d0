//! Syncs: a card each, with how it stands, what it costs and what can be done.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::ctx::Ctx;
use super::imports::why;
use super::parts::{act, ago, badge, coming, empty, standing, text};
use super::problem::{Refused, capital};
use super::shell::{Live, Page, Tab, respond};
use super::strip::{RUNS, strip, summary};
use crate::model::{Ending, Stamp, SyncName};
use crate::store::{Brief, Stored};
use crate::web::text::{about, grouped, took};
use crate::web::{Shared, api, view};

/// What a card shows.
struct Card {
    sync: view::Sync,
    strip: Vec<Brief>,
    stored: Stored,
    /// Calls in the last 24 hours that Salesforce counted.
    calls: u64,
}

/// The page.
pub(super) async fn list(State(shared): State<Shared>, ctx: Ctx) -> Result<Response, Refused> {
    let live = api::status(&shared).await.map_err(|problem| Refused::new(&ctx, problem))?;
    let usage = shared.org.gate().usage();
    let cards = api::read(&shared, move |reader| {
        let store = reader.store();
        let spent = reader.limits(usage)?.spent;
        let calls = |name: &SyncName| {
            let of = |line: &&view::Spent| line.counted && line.sync.as_ref() == Some(name);
            spent.iter().filter(of).map(|line| line.calls).sum()
        };
        let mut cards = Vec::new();
        for sync in reader.syncs(&live)?.syncs {
            let strip = store.strip(&sync.name, RUNS)?;
            let stored = store.counts(&sync.name)?;
            let calls = calls(&sync.name);
            cards.push(Card { sync, strip, stored, calls });
        }
        Ok(cards)
    })
    .await
    .map_err(|problem| Refused::new(&ctx, problem))?;
    let body = body(&cards, &ctx);
    let page = Page { title: "Syncs".to_owned(), tab: Tab::Syncs, live: Live::All, body };
    Ok(respond(&ctx, StatusCode::OK, &page))
}

fn body(cards: &[Card], ctx: &Ctx) -> Markup {
    html! {
        div.head { div { h1 { "Syncs" } p { "One object each, as the configuration has them." } } }
        @if cards.is_empty() {
            section.card {
                (empty("No sync is configured", &html! { "Write a " code { "[[sync]]" } " with an " code { "object" } " and a " code { "plugin" } " into kilofold.toml, and start " code { "kilofold serve" } " again." }))
            }
        }
        div.cards { @for card in cards { (one(card, ctx)) } }
    }
}

/// What a sync is doing, in a word, with its colour.
pub(super) fn state(sync: &view::Sync) -> Markup {
    match (sync.enabled, sync.paused, sync.running, sync.state.as_deref(), &sync.last) {
        (false, ..) => badge("off", "off"),
        (_, _, Some(_), ..) => badge("run", "running"),
        (_, true, ..) => badge("wait", "paused by hand"),
        (.., Some("limit-paused"), _) => badge("wait", "waits for API calls"),
        (.., Some("awaiting-connection"), _) => badge("bad", "waits for its connection"),
        (.., Some("due"), _) => badge("run", "due"),
        (.., Some(run)) if matches!(run.ending, Some(Ending::Failed { .. })) => {
            badge("bad", "failing")
        }
        (.., None) => badge("off", "not run yet"),
        _ => badge("good", "on schedule"),
    }
}

/// The connections that its runs draw from.
fn connections(sync: &view::Sync) -> String {
    let names: Vec<&str> = sync.connections.iter().map(|name| name.as_str()).collect();
    names.join(" or ")
}

/// The share of the stored records that stand as failed.
fn rate(stored: &Stored) -> String {
    if stored.failed == 0 || stored.records == 0 {
        return "0 %".to_owned();
    }
    let percent = stored.failed as f64 * 100.0 / stored.records as f64;
    if percent < 0.1 { "under 0.1 %".to_owned() } else { format!("{percent:.1} %") }
}

/// How old the newest record was when everything up to `covered` had been read, and how far back from now that is.
fn freshness(stored: &Stored, covered: Option<Stamp>, ctx: &Ctx) -> Markup {
    html! {
        @match stored.newest {
            Some(newest) => { "newest record " (ago(newest, ctx)) },
            None => span.soft { "no record yet" },
        }
        @if let Some(covered) = covered {
            span.sub { "read up to " (about(ctx.now.since(covered))) " ago" }
        }
    }
}

fn one(card: &Card, ctx: &Ctx) -> Markup {
    let Card { sync, strip: briefs, stored, calls } = card;
    let paths = |what: &str| format!("/syncs/{}/{what}", sync.name);
    html! {
        section.card id={ "card-" (sync.name) } aria-labelledby={ "name-" (sync.name) } {
            header {
                h2.break id={ "name-" (sync.name) } { (sync.name) }
                (state(sync))
            }
            div.in.stack {
                p.small.soft.break { (text(&sync.object)) " → " (text(&sync.plugin)) " · " (connections(sync)) }
                (strip(briefs, ctx))
                span.hide { (summary(briefs)) }
                @if let Some(remap) = &sync.remap { (offer(remap, &paths("remap"), ctx)) }
                dl.facts {
                    dt { "Last import" }
                    dd {
                        @match &sync.last {
                            Some(run) => {
                                (standing(run)) " " a href={ "/imports/" (run.id) } { (run.id) } ", "
                                @if run.ending.is_none() { "since " (about(ctx.now.since(run.started))) }
                                @else { (ago(run.ended.unwrap_or(run.started), ctx)) }
                                (why(run, ctx))
                            },
                            None => span.soft { "none yet: the first one takes everything" },
                        }
                    }
                    dt { "Next" }
                    dd {
                        @match (sync.enabled && !sync.paused, sync.next) {
                            (true, Some(next)) => (coming(next, ctx)),
                            (true, None) if sync.running.is_some() => "after the one in hand",
                            _ => span.soft { "not by itself" },
                        }
                    }
                    dt { "Schedule" } dd { (text(&sync.schedule)) }
                    dt { "Records" }
                    dd {
                        (grouped(stored.records)) span.soft { ", " (grouped(stored.outputs)) " outputs" }
                        @if stored.skipped > 0 || stored.deleted > 0 {
                            span.sub { (grouped(stored.skipped)) " skipped, " (grouped(stored.deleted)) " deleted" }
                        }
                    }
                    dt { "Failed" }
                    dd {
                        @if stored.failed == 0 { "none" }
                        @else {
                            a href={ "/?sync=" (sync.name) "&outcome=some-failed" } { span.warn { (grouped(stored.failed)) } }
                            span.soft { " (" (rate(stored)) " of its records)" }
                        }
                    }
                    dt { "Freshness" } dd { (freshness(stored, sync.cursor.covered, ctx)) }
                    dt { "API calls" } dd { (grouped(*calls)) span.soft { " in 24 hours" } }
                    @if let Some(usual) = usual(briefs) { dt { "Usual duration" } dd { (took(usual)) } }
                }
                div.row {
                    @if sync.enabled && !sync.paused && sync.running.is_none() { (act(ctx, &paths("run"), "Run now", "main")) }
                    @if sync.enabled && !sync.paused { (act(ctx, &paths("pause"), "Pause", "")) }
                    @if sync.paused { (act(ctx, &paths("resume"), "Resume", "main")) }
                    a.btn href={ "/?sync=" (sync.name) } { "Imports" }
                    a.btn href={ "/data?sync=" (sync.name) } { "Data" }
                }
            }
        }
    }
}

/// What is stored was not all mapped by the present plugin: it can be mapped anew.
fn offer(remap: &view::Remap, action: &str, ctx: &Ctx) -> Markup {
    html! {
        div.notice.warn {
            div {
                p { b { "Map its records anew" } }
                p { (text(&capital(&remap.why))) ": " (grouped(remap.records)) " records are stored, and no API call is spent."
                    @if let Some(seen) = remap.seen { " " (grouped(seen)) " are done." } }
            }
            (act(ctx, action, "Remap", ""))
        }
    }
}

/// The middle of the durations of the runs that ended.
fn usual(briefs: &[Brief]) -> Option<Duration> {
    let mut spans: Vec<Duration> = briefs
        .iter()
        .filter(|brief| brief.standing != crate::model::Standing::Running)
        .map(|brief| brief.took)
        .collect();
    spans.sort_unstable();
    spans.get(spans.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_failures_are_not_none() {
        let stored = |failed, records| Stored { failed, records, ..Stored::default() };
        assert_eq!(rate(&stored(0, 10)), "0 %");
        assert_eq!(rate(&stored(1, 100_000)), "under 0.1 %");
        assert_eq!(rate(&stored(12, 1000)), "1.2 %");
        assert_eq!(rate(&stored(0, 0)), "0 %");
    }
}

//! Imports: every run, what needs a person, and each sync's last fifty runs as a strip.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use serde::Deserialize;

use super::address::Asking;
use super::ctx::Ctx;
use super::notices::{self, notices};
use super::parts::{
    act, ago, at, bad_count, bar, code, coming, count, empty, progress, standing, text,
};
use super::problem::Refused;
use super::shell::{Live, Page, Tab, respond};
use super::strip::{RUNS, strip, summary};
use crate::model::{Ending, Run, RunId, Stamp, Standing, SyncName, Usage};
use crate::store::{Brief, RunFilter, Stored};
use crate::web::text::{grouped, lasted, took};
use crate::web::{Problem, Shared, api, view};

/// Runs on a page.
const SHOWN: usize = 50;

/// What the address asks for; a form sends what was not chosen as an empty text.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    sync: String,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    within: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    until: String,
    #[serde(default)]
    before: String,
}

/// Stretches of time that the form offers.
const WITHIN: [(&str, &str, u64); 5] = [
    ("1h", "last hour", 3600),
    ("24h", "last 24 hours", 86_400),
    ("7d", "last 7 days", 7 * 86_400),
    ("30d", "last 30 days", 30 * 86_400),
    ("90d", "last 90 days", 90 * 86_400),
];

/// Outcomes that the form offers beside each single one.
const ATTENTION: (&str, &[Standing]) = (
    "attention",
    &[Standing::SomeFailed, Standing::Paused, Standing::Failed, Standing::Interrupted],
);

impl Asked {
    /// The filter that the address asks for, or what of it cannot be read.
    fn filter(&self, now: Stamp, zone: &TimeZone) -> Result<RunFilter, String> {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let sync = given(&self.sync).map(|name| SyncName::new(&name)).transpose();
        let standings = match self.outcome.as_str() {
            "" => Vec::new(),
            word if word == ATTENTION.0 => ATTENTION.1.to_vec(),
            word => {
                vec![word.parse().map_err(|error: crate::model::StandingError| error.to_string())?]
            }
        };
        let within = match self.within.as_str() {
            "" => None,
            word => Some(
                WITHIN
                    .iter()
                    .find(|(known, ..)| *known == word)
                    .map(|(.., seconds)| now.minus(Duration::from_secs(*seconds)))
                    .ok_or_else(|| format!("'within' is 1h, 24h, 7d, 30d or 90d, not '{word}'"))?,
            ),
        };
        let time = |name: &str, text: &str| {
            given(text)
                .map(|text| {
                    moment(&text, zone).ok_or_else(|| {
                        format!("'{name}' is a time like 2026-11-23T14:00, not '{text}'")
                    })
                })
                .transpose()
        };
        let before = given(&self.before).map(|text| {
            text.parse()
                .map(RunId)
                .map_err(|_| format!("'before' is an import's number, not '{text}'"))
        });
        let from = time("from", &self.from)?;
        Ok(RunFilter {
            sync: sync.map_err(|error| error.to_string())?,
            standings,
            from: from.max(within),
            until: time("until", &self.until)?,
            before: before.transpose()?,
            limit: SHOWN + 1,
        })
    }

    /// Whether the list is not simply all imports.
    fn narrowed(&self) -> bool {
        [&self.sync, &self.outcome, &self.within, &self.from, &self.until]
            .iter()
            .any(|text| !text.is_empty())
    }

    /// The address of the same list from another place on.
    fn address(&self, before: Option<RunId>) -> String {
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("sync", &self.sync),
            ("outcome", &self.outcome),
            ("within", &self.within),
            ("from", &self.from),
            ("until", &self.until),
        ] {
            if !value.is_empty() {
                pairs.append_pair(name, value);
            }
        }
        if let Some(run) = before {
            pairs.append_pair("before", &run.to_string());
        }
        let query = pairs.finish();
        if query.is_empty() { "/".to_owned() } else { format!("/?{query}") }
    }
}

/// A moment as a browser's field spells it, in the host's zone, or with a zone of its own.
fn moment(text: &str, zone: &TimeZone) -> Option<Stamp> {
    if let Ok(stamp) = Stamp::parse(text) {
        return Some(stamp);
    }
    let local: DateTime = text.parse().ok()?;
    Some(Stamp(local.to_zoned_datetime(zone.clone()).ok()?.timestamp().as_millisecond()))
}

/// One sync with what its strip shows.
struct Line {
    sync: view::Sync,
    strip: Vec<Brief>,
    stored: Stored,
}

/// Everything that the page shows.
struct Shown {
    lines: Vec<Line>,
    runs: Vec<Run>,
    next: Option<RunId>,
    /// The org's day as it was last told.
    usage: Option<Usage>,
    /// Our own calls of it.
    calls: u64,
    connections: Vec<view::Connection>,
    /// Where changes are sent to.
    destinations: Vec<view::Consumer>,
}

/// The page.
pub(super) async fn list(
    State(shared): State<Shared>,
    ctx: Ctx,
    Asking(asked): Asking<Asked>,
) -> Result<Response, Refused> {
    let refuse = |problem: Problem| Refused::new(&ctx, problem);
    let filter =
        asked.filter(ctx.now, &ctx.zone).map_err(|wrong| refuse(Problem::bad_request(wrong)))?;
    let live = api::status(&shared).await.map_err(refuse)?;
    let (usage, calls) = (shared.org.gate().usage(), shared.org.gate().day());
    let (org, now) = (shared.org.clone(), ctx.now);
    let shown = api::read(&shared, move |reader| {
        let store = reader.store();
        let lines = reader.syncs(&live)?.syncs.into_iter().map(|sync| {
            let strip = store.strip(&sync.name, RUNS)?;
            let stored = store.counts(&sync.name)?;
            Ok(Line { sync, strip, stored })
        });
        let lines = lines.collect::<Result<Vec<Line>, crate::store::Error>>()?;
        let mut runs = store.runs(&filter)?;
        let more = runs.len() > SHOWN;
        runs.truncate(SHOWN);
        let next = runs.last().filter(|_| more).map(|run| run.id);
        let connections = reader.connections(&org)?.connections;
        let destinations = reader.destinations(now)?;
        Ok(Shown { lines, runs, next, usage, calls, connections, destinations })
    })
    .await
    .map_err(refuse)?;
    let page = Page {
        title: "Imports".to_owned(),
        tab: Tab::Imports,
        live: Live::All,
        body: body(&asked, &shown, &ctx),
    };
    Ok(respond(&ctx, StatusCode::OK, &page))
}

fn body(asked: &Asked, shown: &Shown, ctx: &Ctx) -> Markup {
    let syncs: Vec<view::Sync> = shown.lines.iter().map(|line| line.sync.clone()).collect();
    let failed = |name: &SyncName| {
        shown.lines.iter().find(|line| line.sync.name == *name).map_or(0, |line| line.stored.failed)
    };
    let found = notices(&syncs, &shown.connections, &shown.destinations, ctx.now, failed);
    html! {
        div.head { div { h1 { "Imports" } } }
        (tiles(shown, found.len(), ctx))
        (notices::list(&found, ctx))
        (strips(&shown.lines, ctx))
        section.card aria-label="All imports" {
            header { h2 { "All imports" } }
            div.in { (form(asked, &syncs)) }
            (table(asked, shown, ctx))
        }
    }
}

/// The state of everything in four numbers.
fn tiles(shown: &Shown, needing: usize, ctx: &Ctx) -> Markup {
    let enabled = shown.lines.iter().filter(|line| line.sync.enabled).count();
    let running = shown.lines.iter().filter(|line| line.sync.running.is_some()).count();
    let records: u64 = shown.lines.iter().map(|line| line.stored.records).sum();
    let failed: u64 = shown.lines.iter().map(|line| line.stored.failed).sum();
    let came = shown
        .lines
        .iter()
        .flat_map(|line| line.strip.iter().find(|brief| brief.fetched > 0))
        .map(|brief| brief.started.plus(brief.took))
        .max();
    html! {
        dl.tiles {
            div {
                dt { "State" }
                dd {
                    @if needing == 0 { span.good { "All well" } } @else if needing == 1 { "1 needs you" } @else { (needing) " need you" }
                    small { (enabled) @if enabled == 1 { " sync" } @else { " syncs" } " on" @if running > 0 { ", " (running) " running" } }
                }
            }
            div {
                dt { "Last records" }
                dd {
                    @if let Some(came) = came { (ago(came, ctx)) } @else { "none yet" }
                    small { (grouped(records)) " stored" }
                }
            }
            div {
                dt { "Failed records" }
                dd {
                    span.warn[failed > 0] { (grouped(failed)) }
                    small { @if failed == 0 { "every record was mapped or skipped" } @else { "kept, explained, to be retried" } }
                }
            }
            div {
                dt { "API calls, 24 hours" }
                @match &shown.usage {
                    Some(usage) => dd {
                        (grouped(usage.used)) span.soft { " of " (grouped(usage.max)) }
                        (bar(usage.used, usage.max, if usage.used * 10 >= usage.max * 9 { "bad" } else { "run" }, "the org's day"))
                        small { (grouped(shown.calls)) " by kilofold" }
                    },
                    None => dd { "not told yet" small { (grouped(shown.calls)) " by kilofold" } },
                }
            }
        }
    }
}

fn strips(lines: &[Line], ctx: &Ctx) -> Markup {
    html! {
        section.card aria-labelledby="strips" {
            header {
                h2 #strips { "Syncs" }
                ul.key aria-hidden="true" {
                    @for (tone, word) in [("good", "succeeded"), ("warn", "some failed"), ("wait", "paused"), ("bad", "failed"), ("off", "interrupted"), ("run", "running")] {
                        li { svg viewBox="0 0 10 10" { rect class={ "f-" (tone) } width="10" height="10" rx="2" {} } (word) }
                    }
                }
            }
            ul.strips {
                @for Line { sync, strip: briefs, .. } in lines {
                    li id={ "sync-" (sync.name) } {
                        div {
                            a.name href={ "/?sync=" (sync.name) } { (sync.name) }
                            @if sync.object != sync.name.as_str() { span.sub { (text(&sync.object)) } }
                        }
                        (strip(briefs, ctx))
                        div.small { (now(sync, ctx)) }
                        span.hide { (summary(briefs)) }
                    }
                }
            }
        }
    }
}

/// What a sync does now, and what comes next.
fn now(sync: &view::Sync, ctx: &Ctx) -> Markup {
    html! {
        @match (sync.enabled, sync.paused, &sync.last) {
            (false, ..) => span.soft { "off in the configuration" },
            (_, true, _) if sync.pause.as_ref().is_some_and(|pause| pause.cause.is_some()) => {
                span.bad { "paused: its plugin broke" }
            },
            (_, true, _) => span.wait { "paused by hand" },
            (_, _, Some(run)) if run.ending.is_none() => (standing(run)),
            (_, _, Some(run)) => {
                (standing(run)) " "
                span.soft { (ago(run.ended.unwrap_or(run.started), ctx)) }
            },
            _ => span.soft { "not run yet" },
        }
        @if let Some(next) = sync.next.filter(|_| sync.enabled && !sync.paused && sync.running.is_none()) {
            span.sub { "next " (coming(next, ctx)) }
        }
    }
}

fn form(asked: &Asked, syncs: &[view::Sync]) -> Markup {
    let choice = |value: &str, label: &str, chosen: &str| html! { option value=(value) selected[value == chosen] { (label) } };
    let exact = !asked.from.is_empty() || !asked.until.is_empty();
    html! {
        form.fields method="get" action="/" data-keep {
            label { "Sync"
                select name="sync" {
                    (choice("", "all syncs", &asked.sync))
                    @for sync in syncs { (choice(sync.name.as_str(), sync.name.as_str(), &asked.sync)) }
                    // A sync that is no longer configured has imports all the same.
                    @if !asked.sync.is_empty() && !syncs.iter().any(|sync| sync.name.as_str() == asked.sync) {
                        (choice(&asked.sync, &asked.sync, &asked.sync))
                    }
                }
            }
            label { "Outcome"
                select name="outcome" {
                    (choice("", "any outcome", &asked.outcome))
                    (choice(ATTENTION.0, "not a full success", &asked.outcome))
                    @for standing in Standing::ALL { (choice(standing.word(), standing.label(), &asked.outcome)) }
                }
            }
            label { "Started"
                select name="within" {
                    (choice("", "at any time", &asked.within))
                    @for (value, label, _) in WITHIN { (choice(value, label, &asked.within)) }
                }
            }
            @if exact {
                label { "From" input type="datetime-local" name="from" value=(asked.from); }
                label { "Until" input type="datetime-local" name="until" value=(asked.until); }
            }
            button.btn { "Show" }
            @if asked.narrowed() { a.btn href="/" { "All" } }
            @if !exact {
                details {
                    summary.small { "exact times" }
                    div.fields {
                        label { "From" input type="datetime-local" name="from"; }
                        label { "Until" input type="datetime-local" name="until"; }
                    }
                }
            }
        }
    }
}

fn table(asked: &Asked, shown: &Shown, ctx: &Ctx) -> Markup {
    if shown.runs.is_empty() {
        return if asked.narrowed() || !asked.before.is_empty() {
            empty("No import fits", &html! { "Widen the filter. " a.btn href="/" { "Show all" } })
        } else {
            let first = shown.lines.iter().find(|line| line.sync.enabled);
            empty(
                "Nothing has been imported yet",
                &html! {
                    "A sync's first run takes every record; later ones take what changed."
                    @if let Some(line) = first {
                        (act(ctx, &format!("/syncs/{}/run", line.sync.name), &format!("Run {} now", line.sync.name), "main"))
                    }
                },
            )
        };
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label="Imports" {
            table.fold {
                thead {
                    tr {
                        th scope="col" .n { "Import" } th scope="col" { "Sync" } th scope="col" { "Started" }
                        th scope="col" .n { "Took" } th scope="col" { "Outcome" }
                        @for head in ["Fetched", "Mapped", "Unchanged", "Skipped", "Failed", "Deleted", "Calls"] {
                            th scope="col" .n { (head) }
                        }
                    }
                }
                tbody { @for run in &shown.runs { (row(run, ctx)) } }
            }
        }
        @if !asked.before.is_empty() || shown.next.is_some() {
            nav.pager aria-label="More imports" {
                span { @if !asked.before.is_empty() { a.btn href=(asked.address(None)) { "Newest" } } }
                span { @if let Some(next) = shown.next { a.btn href=(asked.address(Some(next))) rel="next" { "Older" } } }
            }
        }
    }
}

fn row(run: &Run, ctx: &Ctx) -> Markup {
    let c = &run.counts;
    html! {
        tr id={ "run-" (run.id) } {
            td.n data-label="Import" { a href={ "/imports/" (run.id) } { (run.id) } }
            th.two-thirds scope="row" {
                span.name { (run.sync) }
                @if run.object != run.sync.as_str() { span.sub { (text(&run.object)) } }
            }
            td.nowrap data-label="Started" { (at(run.started, ctx)) }
            td.n data-label="Took" { (took(lasted(run, ctx.now))) }
            td.why { (standing(run)) (why(run, ctx)) }
            (count("Fetched", c.fetched)) (count("Mapped", c.mapped)) (count("Unchanged", c.unchanged))
            (count("Skipped", c.skipped)) (bad_count("Failed", c.failed)) (count("Deleted", c.deleted))
            (count("Calls", run.calls))
        }
    }
}

/// Why a run ended as it did, when that needs words; how it comes on, while it runs.
pub(super) fn why(run: &Run, ctx: &Ctx) -> Markup {
    match &run.ending {
        None => progress(run, ctx),
        Some(Ending::Succeeded) => html! {},
        Some(Ending::SucceededWithFailures) => html! {
            span.sub {
                @for (i, (told, n)) in run.failures.iter().take(3).enumerate() {
                    @if i > 0 { ", " } (grouped(*n)) " × " (code(told))
                }
                @if run.failures.len() > 3 { " and others" }
            }
        },
        Some(Ending::Paused { code: told, reason, resumes_at }) => html! {
            span.sub {
                span.clip { (text(reason)) }
                (code(told))
                @if let Some(resumes) = resumes_at { " · goes on " (coming(*resumes, ctx)) }
            }
        },
        Some(Ending::Failed { code: told, message }) => html! {
            span.sub { span.clip { (text(message)) } (code(told)) }
        },
        Some(Ending::Interrupted) => html! {
            span.sub { "the host stopped; the next run goes on there" }
        },
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::Query;

    use super::*;

    fn asked(query: &str) -> Result<RunFilter, String> {
        let asked: Asked = serde_html(query);
        asked.filter(Stamp::parse("2026-11-23T14:00:00Z").unwrap(), &TimeZone::UTC)
    }

    fn serde_html(query: &str) -> Asked {
        let uri = format!("http://localhost/?{query}").parse().unwrap();
        Query::try_from_uri(&uri).unwrap().0
    }

    #[test]
    fn reads_the_address_as_a_form_writes_it() {
        let empty = asked("sync=&outcome=&within=&from=&until=").unwrap();
        assert_eq!(empty, RunFilter { limit: SHOWN + 1, ..RunFilter::default() });
        let one = asked("sync=Contact&outcome=some-failed&within=24h&before=7").unwrap();
        assert_eq!(one.sync, Some(SyncName::new("Contact").unwrap()));
        assert_eq!((one.standings, one.before), (vec![Standing::SomeFailed], Some(RunId(7))));
        assert_eq!(one.from, Some(Stamp::parse("2026-11-22T14:00:00Z").unwrap()));
        let until = asked("until=2026-11-23T10%3A30").unwrap().until;
        assert_eq!(until, Some(Stamp::parse("2026-11-23T10:30:00Z").unwrap()));
        assert_eq!(asked("outcome=attention").unwrap().standings.len(), 4);
    }

    #[test]
    fn says_what_of_the_address_is_wrong() {
        for (query, word) in [
            ("sync=a%20b", "cannot be a name"),
            ("outcome=fine", "is no outcome"),
            ("within=2h", "'within'"),
            ("from=yesterday", "'from'"),
            ("before=x", "'before'"),
        ] {
            assert!(asked(query).unwrap_err().contains(word), "{query}");
        }
    }

    #[test]
    fn the_next_page_keeps_the_filter() {
        let asked = serde_html("sync=Contact&outcome=failed&before=90");
        assert_eq!(asked.address(Some(RunId(40))), "/?sync=Contact&outcome=failed&before=40");
        assert_eq!(asked.address(None), "/?sync=Contact&outcome=failed");
        assert_eq!(Asked::default().address(None), "/");
    }
}

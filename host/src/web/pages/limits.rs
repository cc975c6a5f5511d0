//! Limits: the org's day of API calls, by whom and for what, against what may be spent.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::chart::{Column, Line, columns};
use super::ctx::Ctx;
use super::parts::{ago, coming, empty, share};
use super::problem::Refused;
use super::shell::{Live, Page, Tab, respond};
use crate::model::{Purpose, Stamp};
use crate::web::outlook::{Day, Expected, Hour, Kept};
use crate::web::text::grouped;
use crate::web::{Shared, api, view};

/// Colours of syncs in the chart; those that spend less share the last one.
const COLOURS: [&str; 6] = ["1", "2", "3", "4", "5", "6"];

/// Calls of ours that belong to no sync.
const NO_SYNC: &str = "connections";

/// The counted calls of one hour by who made them: syncs, and [`NO_SYNC`].
fn by(hour: &Hour) -> impl Iterator<Item = (&str, u64)> {
    let rest = hour.ours.saturating_sub(hour.by_sync.values().sum());
    let syncs = hour.by_sync.iter().map(|(sync, calls)| (sync.as_str(), *calls));
    syncs.chain((rest > 0).then_some((NO_SYNC, rest)))
}

/// The page.
pub(super) async fn show(State(shared): State<Shared>, ctx: Ctx) -> Result<Response, Refused> {
    let report = shared.org.gate().report();
    let read = api::read(&shared, move |reader| reader.whole_limits(&report));
    let limits = read.await.map_err(|problem| Refused::new(&ctx, problem))?;
    let body = body(&limits, &ctx);
    let page = Page { title: "Limits".to_owned(), tab: Tab::Limits, live: Live::All, body };
    Ok(respond(&ctx, StatusCode::OK, &page))
}

fn body(limits: &view::Limits, ctx: &Ctx) -> Markup {
    html! {
        div.head { div { h1 { "Limits" } p { "All applications of an org share one allowance of API calls over 24 hours." } } }
        @if let Some(whole) = &limits.day {
            (day(limits, whole, ctx))
            (chart(whole, limits, ctx))
            @if !whole.syncs.is_empty() { (costs(&whole.syncs)) }
        }
        (spent(limits))
    }
}

/// The org's day as one bar: ours, others', free, and the lines that kilofold keeps.
fn day(limits: &view::Limits, whole: &Day, ctx: &Ctx) -> Markup {
    let allowance = &whole.allowance;
    let ours = limits.counted;
    let Some(usage) = &limits.reading else {
        return html! {
            section.card {
                (empty("The org has not told yet how many calls it has", &html! {
                    "Every answer of Salesforce tells it; the first one comes with the first import. kilofold has spent " (grouped(ours)) " in 24 hours."
                }))
            }
        };
    };
    let others = usage.used.saturating_sub(ours);
    let free = usage.max.saturating_sub(usage.used);
    let percent = |calls: u64| format!("{:.2}%", share(calls, usage.max) * 100.0);
    let keep = usage.max.saturating_sub(limits.reserve);
    html! {
        section.card aria-labelledby="day" {
            header {
                h2 #day { (grouped(usage.used)) " of " (grouped(usage.max)) " calls are spent" }
                p { "as Salesforce told " (ago(usage.at, ctx)) }
            }
            div.in.stack {
                svg.day role="img" aria-label={ "of " (grouped(usage.max)) " calls " (grouped(ours)) " were spent by kilofold and " (grouped(others)) " by other applications" } {
                    rect.f-line width="100%" y="18" height="14" rx="4" {}
                    rect.f-run width=(percent(ours)) y="18" height="14" { title { "kilofold: " (grouped(ours)) } }
                    rect.f-other x=(percent(ours)) width=(percent(others)) y="18" height="14" { title { "others: " (grouped(others)) } }
                    @if let Some(allowance) = allowance { (mark(*allowance, usage.max, &format!("allowance {}", grouped(*allowance)), false)) }
                    @if limits.reserve > 0 { (mark(keep, usage.max, &format!("reserve {}", grouped(limits.reserve)), true)) }
                }
                ul.key {
                    li { (swatch("run")) "kilofold " (grouped(ours)) }
                    li { (swatch("other")) "other applications " (grouped(others)) }
                    li { (swatch("line")) "free " (grouped(free)) }
                }
                dl.facts {
                    dt { "Allowance" }
                    dd {
                        @match (&limits.allowance, allowance) {
                            (Some(words), Some(calls)) => { @if words.ends_with('%') { (words) } @else { (grouped(*calls)) " calls" } span.soft { ": kilofold may spend " (grouped(*calls)) ", " (grouped(calls.saturating_sub(ours))) " are left" } },
                            (Some(words), None) => (words),
                            (None, _) => "none: kilofold may spend all but the reserve",
                        }
                    }
                    dt { "Reserve" } dd { (grouped(limits.reserve)) span.soft { " calls are left to other applications" } }
                    dt { "A thousand records" }
                    dd {
                        @match whole.per_thousand {
                            Some(calls) => { "cost " (format!("{calls:.1}")) " calls" },
                            None => "none arrived in 24 hours",
                        }
                        span.soft { "; " (grouped(whole.saved)) " calls were saved by asking for several syncs at once" }
                    }
                    dt { "Forecast" }
                    dd { (forecast(whole, ctx)) }
                    @if whole.kept.iter().any(|line| line.kept > 0) { dt { "Kept back" } dd { (kept(&whole.kept)) } }
                    dt { "A run" } dd { @match limits.per_run { Some(calls) => { "may spend " (grouped(calls)) " calls" }, None => "may spend what the day leaves" } }
                }
            }
        }
    }
}

/// For whom calls are kept back when they are scarce.
fn kept(lines: &[Kept]) -> Markup {
    let name =
        |line: &Kept| line.sync.as_ref().map_or("first passes".to_owned(), ToString::to_string);
    let lines: Vec<String> = lines
        .iter()
        .filter(|line| line.kept > 0)
        .map(|line| format!("{} for {}", grouped(line.kept), name(line)))
        .collect();
    html! { (lines.join(", ")) span.soft { ": what they are expected to need yet within 24 hours, before anything less important" } }
}

/// What the day comes to at the pace of late.
fn forecast(whole: &Day, ctx: &Ctx) -> Markup {
    let Day { rate, max, .. } = whole;
    html! {
        @match whole.runs_out {
            Some(at) if at <= ctx.now => span.bad { "the org's calls are spent" },
            Some(at) => {
                span.warn { "the org's calls are spent " (coming(at, ctx)) }
                span.soft { " at " (grouped(*rate)) " calls an hour, the pace of late" }
            },
            None if *rate == 0 => "nothing was spent of late",
            None => {
                "it lasts" span.soft { ": at " (grouped(*rate)) " calls an hour, the pace of late, "
                    (grouped((rate * 24).min(*max))) " are spent in a day" }
            },
        }
        @if let Some(at) = whole.allowance_out {
            br;
            span.warn { "the allowance is spent " (coming(at, ctx)) }
        }
    }
}

/// What each sync costs, and would cost at other intervals.
fn costs(syncs: &[Expected]) -> Markup {
    let every = |minutes: u64| match minutes {
        0..60 => format!("{minutes}m"),
        _ => format!("{}h", minutes / 60),
    };
    html! {
        section.card aria-labelledby="costs" {
            header { h2 #costs { "What each sync costs" } p { "calls a day" } }
            div.scroll tabindex="0" role="region" aria-label="Calls a day by sync" {
                table.fold {
                    thead { tr {
                        th scope="col" { "Sync" } th scope="col" { "Runs" } th scope="col" .n { "Calls" }
                        @for at in syncs.first().map(|sync| sync.at.as_slice()).unwrap_or_default() { th scope="col" .n { "every " (every(at.minutes)) } }
                    } }
                    tbody {
                        @for sync in syncs {
                            tr {
                                th.break scope="row" data-label="Sync" {
                                    (sync.sync)
                                    @if let Some(why) = &sync.small_pages { div.small.soft { (why) } }
                                    @if let Some(calls) = sync.first_pass { div.small.soft { "its first pass needs " (grouped(calls)) " more" } }
                                }
                                td data-label="Runs" { (sync.schedule) @if sync.paused { span.soft { ", paused" } } }
                                td.n data-label="Calls" { (grouped(sync.calls)) }
                                @for at in &sync.at { td.n.late data-label={ "every " (every(at.minutes)) } { (grouped(at.calls)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn swatch(class: &str) -> Markup {
    html! { svg viewBox="0 0 10 10" aria-hidden="true" { rect class={ "f-" (class) } width="10" height="10" rx="2" {} } }
}

/// A line across the bar with its name above or below; the name stays inside of the picture.
fn mark(calls: u64, max: u64, name: &str, above: bool) -> Markup {
    let x = share(calls, max) * 100.0;
    let (top, bottom, text) = if above { (4, 36, 12) } else { (14, 46, 47) };
    let before = x > 50.0;
    html! {
        line.limit x1=(format!("{x:.2}%")) x2=(format!("{x:.2}%")) y1=(top) y2=(bottom) {}
        text x=(format!("{x:.2}%")) dx=(if before { "-6" } else { "6" }) y=(text) text-anchor=(if before { "end" } else { "start" }) {
            (name)
        }
    }
}

/// Who spent most, with their colours; the rest shares the last colour.
fn colours(hours: &[Hour]) -> Vec<(String, &'static str, u64)> {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (who, calls) in hours.iter().flat_map(by) {
        *sums.entry(who).or_default() += calls;
    }
    let mut sums: Vec<(&str, u64)> = sums.into_iter().collect();
    sums.sort_by_key(|(who, calls)| (std::cmp::Reverse(*calls), *who));
    let colour = |n: usize| COLOURS.get(n).copied().unwrap_or("7");
    sums.into_iter()
        .enumerate()
        .map(|(n, (who, calls))| (who.to_owned(), colour(n), calls))
        .collect()
}

fn clock(at: Stamp, zone: &TimeZone) -> String {
    at.timestamp().to_zoned_datetime(zone.clone()).strftime("%H:%M").to_string()
}

/// What may be spent in a day, spread evenly over its hours: by kilofold, and by all who use the org.
fn paces(allowance: Option<u64>, max: u64, reserve: u64) -> Vec<(Line, u64)> {
    let line = |class, day: u64, what: &str| {
        let value = day / 24;
        let title = format!("{what}: {} calls an hour spend it in a day", grouped(value));
        (Line { class, value, title }, day)
    };
    let allowance = allowance.map(|calls| line("own", calls, "allowance of kilofold"));
    let keep = (reserve > 0)
        .then(|| line("all", max.saturating_sub(reserve), "what the reserve leaves to all"));
    allowance.into_iter().chain(keep).collect()
}

fn chart(whole: &Day, limits: &view::Limits, ctx: &Ctx) -> Markup {
    let counted = limits.counted;
    let hours = &whole.hours;
    let who = colours(hours);
    let drawn: Vec<Column> = hours
        .iter()
        .map(|hour| {
            let of = |name: &str| by(hour).find(|(who, _)| *who == name).map_or(0, |(_, n)| n);
            let mut parts: Vec<(&'static str, u64)> =
                who.iter().map(|(name, colour, _)| (*colour, of(name))).collect();
            parts.push(("other", hour.others));
            let sum = hour.ours + hour.others;
            let mut title = format!("{}: {} calls", clock(hour.start, &ctx.zone), grouped(sum));
            for (name, calls) in by(hour) {
                title.push_str(&format!(", {name} {}", grouped(calls)));
            }
            if hour.others > 0 {
                title.push_str(&format!(", other applications {}", grouped(hour.others)));
            }
            Column { title, parts }
        })
        .collect();
    let most = hours.iter().map(|hour| hour.ours + hour.others).max().unwrap_or(0);
    let others: u64 = hours.iter().map(|hour| hour.others).sum();
    let (lines, days): (Vec<Line>, Vec<u64>) =
        paces(whole.allowance, whole.max, limits.reserve).into_iter().unzip();
    html! {
        section.card aria-labelledby="hours" {
            header { h2 #hours { "The last 24 hours" } p { (grouped(counted)) " calls by kilofold" } }
            div.in.stack {
                @if most == 0 { p.soft { "No call was spent in the last 24 hours." } }
                @else {
                    figure {
                        (columns(&drawn, "calls of the last 24 hours by sync and by other applications, by the hour; the table below has the sums", &format!("at most {} calls an hour", grouped(most)), &lines))
                        div.axis aria-hidden="true" {
                            @for hour in hours.iter().step_by(6) { span { (clock(hour.start, &ctx.zone)) } }
                            span { "now" }
                        }
                    }
                    ul.key {
                        @for (name, colour, calls) in &who { li { (swatch(colour)) (name) " " (grouped(*calls)) } }
                        @if others > 0 { li { (swatch("other")) "other applications " (grouped(others)) } }
                    }
                    @if !lines.is_empty() {
                        ul.key {
                            @for (line, day) in lines.iter().zip(&days) {
                                li {
                                    svg.dash viewBox="0 0 20 10" aria-hidden="true" { line class={ "limit " (line.class) } x1="0" x2="20" y1="5" y2="5" {} }
                                    span {
                                        @if line.class == "own" { "allowance " (grouped(*day)) } @else { "all but the reserve " (grouped(*day)) }
                                        span.soft { ": " (grouped(line.value)) " an hour spend it in a day" @if !line.within(most) { ", far above this picture" } }
                                    }
                                }
                            }
                        }
                    }
                    p.small.soft { "What other applications spent is what the org's readings moved by, less kilofold's own calls." }
                }
            }
        }
    }
}

/// What a purpose is for, in words.
fn meant(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Query => "first pages of queries",
        Purpose::QueryMore => "further pages",
        Purpose::Count => "counts",
        Purpose::Describe => "fields of objects",
        Purpose::Limits => "the limits themselves",
        Purpose::Probe => "whether calls are possible again",
        Purpose::Token => "tokens",
        Purpose::Versions => "the org's clock",
        Purpose::Census => "Salesforce's list of tokens, to count approvals",
        Purpose::Poll => "first pages of several syncs in one call",
    }
}

fn spent(limits: &view::Limits) -> Markup {
    html! {
        section.card aria-labelledby="spent" {
            header { h2 #spent { "What for" } p { "the last 24 hours" } }
            @if limits.spent.is_empty() { (empty("Nothing was asked of Salesforce", &html! { "Calls are listed here as soon as a sync runs." })) }
            @else {
                div.scroll tabindex="0" role="region" aria-label="Calls by purpose" {
                    table.fold {
                        thead { tr { th scope="col" { "Sync" } th scope="col" { "Connection" } th scope="col" { "Purpose" } th scope="col" { "Counted" } th scope="col" .n { "Calls" } } }
                        tbody {
                            @for line in &limits.spent {
                                tr {
                                    th.break scope="row" data-label="Sync" { @match &line.sync { Some(sync) => (sync), None => span.soft { "none" } } }
                                    td.break data-label="Connection" { (line.connection) }
                                    td.two-thirds.late data-label="Purpose" { (line.purpose.as_str()) span.soft { ": " (meant(line.purpose)) } }
                                    td.late data-label="Counted" { @if line.counted { "yes" } @else { span.soft { "no" } } }
                                    td.n data-label="Calls" { (grouped(line.calls)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SyncName;

    fn hour(a: u64, b: u64, rest: u64) -> Hour {
        let by_sync = [("A", a), ("B", b)];
        let by_sync = by_sync.map(|(name, calls)| (SyncName::new(name).unwrap(), calls)).into();
        Hour { ours: a + b + rest, by_sync, ..Hour::default() }
    }

    #[test]
    fn who_spends_most_has_the_first_colour() {
        let hours: Vec<Hour> = (1..4).map(|n| hour(1, n, 0)).collect();
        assert_eq!(colours(&hours), [("B".to_owned(), "1", 6), ("A".to_owned(), "2", 3)]);
    }

    #[test]
    fn lines_are_what_an_hour_may_cost() {
        let paces = |reserve| paces(Some(2_400), 15_000, reserve);
        let lines: Vec<_> =
            paces(600).into_iter().map(|(line, day)| (line.class, line.value, day)).collect();
        assert_eq!(lines, [("own", 100, 2_400), ("all", 600, 14_400)]);
        assert_eq!(paces(0).len(), 1);
        let (line, _) = paces(0).remove(0);
        assert!(line.within(25) && !line.within(24));
    }

    #[test]
    fn calls_of_no_sync_are_the_rest() {
        let parts =
            |hour: &Hour| by(hour).map(|(who, calls)| format!("{who} {calls}")).collect::<Vec<_>>();
        assert_eq!(parts(&hour(1, 2, 3)), ["A 1", "B 2", "connections 3"]);
        assert_eq!(parts(&hour(1, 2, 0)), ["A 1", "B 2"]);
    }
}

//! Limits: the org's day of API calls, by whom and for what, against what may be spent.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::chart::{Column, columns};
use super::ctx::Ctx;
use super::outlook::{Outlook, outlook};
use super::parts::{ago, coming, empty, share};
use super::problem::Refused;
use super::shell::{Live, Page, Tab, respond};
use crate::config::Allowance;
use crate::model::{HourOfCalls, Purpose, Stamp, Usage};
use crate::web::text::grouped;
use crate::web::{Shared, api, view};

/// Colours of syncs in the chart; those that spend less share the last one.
const COLOURS: [&str; 6] = ["1", "2", "3", "4", "5", "6"];
const HOUR: Duration = Duration::from_secs(3600);
/// Hours of the chart.
const HOURS: u64 = 24;

/// What the page shows.
struct Shown {
    limits: view::Limits,
    hours: Vec<Hour>,
    /// The most that kilofold may spend, of the org's day as it was last read.
    allowance: Option<u64>,
}

/// The counted calls of one hour by who made them: syncs, `connections` for ours that belong to none, and others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Hour {
    /// When it began.
    start: Stamp,
    by: BTreeMap<String, u64>,
    /// Those of other applications, as far as the org's readings told.
    others: u64,
}

/// The last 24 hours; the last one is that which `now` lies in.
fn hours(ours: &[HourOfCalls], others: &[(Stamp, u64)], now: Stamp) -> Vec<Hour> {
    let length = i64::try_from(HOUR.as_millis()).unwrap_or(i64::MAX);
    let last = now.0.div_euclid(length);
    let first = last - i64::try_from(HOURS).unwrap_or(0) + 1;
    let mut hours: Vec<Hour> =
        (first..=last).map(|n| Hour { start: Stamp(n * length), ..Hour::default() }).collect();
    let place = |at: Stamp| usize::try_from(at.0.div_euclid(length) - first).ok();
    for sum in ours.iter().filter(|sum| sum.purpose.counted()) {
        let who = sum.sync.as_ref().map_or("connections", |sync| sync.as_str());
        if let Some(hour) = place(sum.hour).and_then(|at| hours.get_mut(at)) {
            *hour.by.entry(who.to_owned()).or_default() += sum.calls;
        }
    }
    for (at, calls) in others {
        if let Some(hour) = place(*at).and_then(|at| hours.get_mut(at)) {
            hour.others += calls;
        }
    }
    hours
}

impl Hour {
    fn ours(&self) -> u64 {
        self.by.values().sum()
    }
}

/// The most that kilofold may spend of this day.
fn allowed(allowance: Option<Allowance>, usage: Option<&Usage>) -> Option<u64> {
    match (allowance?, usage) {
        (Allowance::Calls(calls), _) => Some(calls),
        (Allowance::Percent(percent), Some(usage)) => Some(usage.max * u64::from(percent) / 100),
        (Allowance::Percent(_), None) => None,
    }
}

/// The page.
pub(super) async fn show(State(shared): State<Shared>, ctx: Ctx) -> Result<Response, Refused> {
    let usage = shared.org.gate().usage();
    let now = ctx.now;
    let shown = api::read(&shared, move |reader| {
        let limits = reader.limits(usage)?;
        let since = now.minus(HOUR * u32::try_from(HOURS).unwrap_or(24));
        let store = reader.store();
        let hours = hours(&store.hours_of_calls(since)?, &store.others_since(since)?, now);
        let allowance = allowed(reader.config().quota.allowance, limits.reading.as_ref());
        Ok(Shown { hours, allowance, limits })
    })
    .await
    .map_err(|problem| Refused::new(&ctx, problem))?;
    let body = body(&shown, &ctx);
    let page = Page { title: "Limits".to_owned(), tab: Tab::Limits, live: Live::All, body };
    Ok(respond(&ctx, StatusCode::OK, &page))
}

fn body(shown: &Shown, ctx: &Ctx) -> Markup {
    html! {
        div.head { div { h1 { "Limits" } p { "All applications of an org share one allowance of API calls over 24 hours." } } }
        (day(shown, ctx))
        (chart(shown, ctx))
        (spent(&shown.limits))
    }
}

/// The org's day as one bar: ours, others', free, and the lines that kilofold keeps.
fn day(shown: &Shown, ctx: &Ctx) -> Markup {
    let Shown { limits, allowance, .. } = shown;
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
    let spent: Vec<(Stamp, u64)> =
        shown.hours.iter().map(|hour| (hour.start, hour.ours() + hour.others)).collect();
    let ahead = outlook(&spent, usage.used, keep, ctx.now);
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
                            (Some(words), Some(calls)) => { (words) span.soft { ": kilofold may spend " (grouped(*calls)) ", " (grouped(calls.saturating_sub(ours))) " are left" } },
                            (Some(words), None) => (words),
                            (None, _) => "none: kilofold may spend all but the reserve",
                        }
                    }
                    dt { "Reserve" } dd { (grouped(limits.reserve)) span.soft { " calls are left to other applications" } }
                    dt { "Forecast" }
                    dd { (forecast(&ahead, usage.max, ctx)) }
                    dt { "A run" } dd { @match limits.per_run { Some(calls) => { "may spend " (grouped(calls)) " calls" }, None => "may spend what the day leaves" } }
                }
            }
        }
    }
}

/// What the day comes to at the pace of late.
fn forecast(ahead: &Outlook, max: u64, ctx: &Ctx) -> Markup {
    let Outlook { an_hour, runs_out } = ahead;
    html! {
        @match runs_out {
            Some(at) if *at <= ctx.now => span.bad { "all but the reserve is spent" },
            Some(at) => {
                span.warn { "all but the reserve is spent " (coming(*at, ctx)) }
                span.soft { " at " (grouped(*an_hour)) " calls an hour, the pace of the last three" }
            },
            None if *an_hour == 0 => "nothing was spent in the last three hours",
            None => {
                "it lasts" span.soft { ": at " (grouped(*an_hour)) " calls an hour, the pace of the last three, "
                    (grouped((an_hour * 24).min(max))) " are spent in a day" }
            },
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
    for (who, calls) in hours.iter().flat_map(|hour| &hour.by) {
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

fn chart(shown: &Shown, ctx: &Ctx) -> Markup {
    let who = colours(&shown.hours);
    let drawn: Vec<Column> = shown
        .hours
        .iter()
        .map(|hour| {
            let of = |name: &String| hour.by.get(name).copied().unwrap_or(0);
            let mut parts: Vec<(&'static str, u64)> =
                who.iter().map(|(name, colour, _)| (*colour, of(name))).collect();
            parts.push(("other", hour.others));
            let sum = hour.ours() + hour.others;
            let mut title = format!("{}: {} calls", clock(hour.start, &ctx.zone), grouped(sum));
            for (name, calls) in &hour.by {
                title.push_str(&format!(", {name} {}", grouped(*calls)));
            }
            if hour.others > 0 {
                title.push_str(&format!(", other applications {}", grouped(hour.others)));
            }
            Column { title, parts }
        })
        .collect();
    let most = shown.hours.iter().map(|hour| hour.ours() + hour.others).max().unwrap_or(0);
    let others: u64 = shown.hours.iter().map(|hour| hour.others).sum();
    html! {
        section.card aria-labelledby="hours" {
            header { h2 #hours { "The last 24 hours" } p { (grouped(shown.limits.counted)) " calls by kilofold" } }
            div.in.stack {
                @if most == 0 { p.soft { "No call was spent in the last 24 hours." } }
                @else {
                    figure {
                        (columns(&drawn, "calls of the last 24 hours by sync and by other applications, by the hour; the table below has the sums", &format!("at most {} calls an hour", grouped(most))))
                        div.axis aria-hidden="true" {
                            @for hour in shown.hours.iter().step_by(6) { span { (clock(hour.start, &ctx.zone)) } }
                            span { "now" }
                        }
                    }
                    ul.key {
                        @for (name, colour, calls) in &who { li { (swatch(colour)) (name) " " (grouped(*calls)) } }
                        @if others > 0 { li { (swatch("other")) "other applications " (grouped(others)) } }
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
    use crate::model::{ConnectionName, SyncName};

    fn sum(hour: i64, sync: Option<&str>, purpose: Purpose, calls: u64) -> HourOfCalls {
        let connection = ConnectionName::new("main").unwrap();
        let sync = sync.map(|name| SyncName::new(name).unwrap());
        let hour = Stamp(hour * 3_600_000);
        HourOfCalls { hour, connection, sync, purpose, backfill: false, calls, saved: 0 }
    }

    #[test]
    fn calls_fall_into_their_hours() {
        const H: i64 = 3_600_000;
        let ours = [
            sum(76, Some("A"), Purpose::Query, 9),
            sum(77, Some("A"), Purpose::Query, 1),
            sum(77, Some("A"), Purpose::QueryMore, 2),
            sum(100, None, Purpose::Limits, 1),
            sum(100, Some("A"), Purpose::Versions, 5),
        ];
        let others = [(Stamp(76 * H), 7), (Stamp(100 * H), 3)];
        let hours = hours(&ours, &others, Stamp(100 * H + 60_000));
        assert_eq!(hours.len(), 24);
        assert_eq!(hours[0].by, BTreeMap::from([("A".to_owned(), 3)]));
        assert_eq!(hours[23].by, BTreeMap::from([("connections".to_owned(), 1)]));
        assert_eq!((hours[0].others, hours[23].others), (0, 3));
        assert_eq!(hours.iter().map(Hour::ours).sum::<u64>(), 4);
    }

    #[test]
    fn who_spends_most_has_the_first_colour() {
        let by = |n: u64| BTreeMap::from([("A".to_owned(), 1), ("B".to_owned(), n)]);
        let hours: Vec<Hour> = (1..4).map(|n| Hour { by: by(n), ..Hour::default() }).collect();
        assert_eq!(colours(&hours), [("B".to_owned(), "1", 6), ("A".to_owned(), "2", 3)]);
    }

    #[test]
    fn an_allowance_is_a_share_of_the_day() {
        let usage = Usage { used: 5, max: 15_000, at: Stamp(0) };
        assert_eq!(allowed(Some(Allowance::Percent(50)), Some(&usage)), Some(7_500));
        assert_eq!(allowed(Some(Allowance::Percent(50)), None), None);
        assert_eq!(allowed(Some(Allowance::Calls(9)), None), Some(9));
        assert_eq!(allowed(None, Some(&usage)), None);
    }
}

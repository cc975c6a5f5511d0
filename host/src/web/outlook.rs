//! The org's day as a whole: who spent its calls, what is left of them, and what is to be expected.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reader::{Error, Reader};
use super::view;
use crate::forecast::{self, Cost};
use crate::model::{HourOfCalls, Stamp, SyncName};
use crate::quota::{self, Breaker, KeptBack, Report, runs_out};
use crate::store::Reads;

const HOUR: Duration = Duration::from_secs(3600);

/// Hours of the series.
const HOURS: i64 = 24;

/// What "at the present rate" looks back on: the present hour and those before it.
const LATELY: usize = 3;

/// What each sync would cost at these intervals, in minutes.
const INTERVALS: [u64; 5] = [5, 15, 60, 360, 1440];

/// The most runs of a sync that are looked at to count a day's records.
const MOST_RUNS: usize = 20_000;

/// The org's day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Day {
    /// When this was so.
    pub now: Stamp,
    /// Calls of the last 24 hours, as far as they can be known: the readings, which lag, and our own calls since.
    pub used: u64,
    /// Calls that the org may make in 24 hours.
    pub max: u64,
    /// Whether both are assumed, because Salesforce has told nothing.
    pub assumed: bool,
    /// Calls that kilofold may still spend now.
    pub left: u64,
    /// The allowance in calls; none: all but the reserve.
    pub allowance: Option<u64>,
    /// Calls that first passes may spend in 24 hours.
    pub first_passes: u64,
    /// What they have spent of them.
    pub first_passes_spent: u64,
    /// Calls that other applications made in the last 24 hours: what the readings moved by, less our own.
    pub others: u64,
    /// Since when every hour of theirs is known; none before the first reading.
    pub others_since: Option<Stamp>,
    /// Salesforce's words, when it refuses calls for the day.
    pub refused: Option<String>,
    /// When it is then asked whether calls are possible again.
    pub asks_again: Option<Stamp>,
    /// The last 24 hours, the present one last.
    pub hours: Vec<Hour>,
    /// Records that arrived in the last 24 hours.
    pub records: u64,
    /// Our calls for a thousand of them; none when none arrived.
    pub per_thousand: Option<f64>,
    /// Calls of the last 24 hours that were not needed, because syncs shared one.
    pub saved: u64,
    /// Calls an hour of all applications of late.
    pub rate: u64,
    /// Our own of them.
    pub our_rate: u64,
    /// When the org runs out of calls at that rate; none: not within a day.
    pub runs_out: Option<Stamp>,
    /// When our allowance is spent at our rate; none: not within a day, or there is none.
    pub allowance_out: Option<Stamp>,
    /// What the syncs that are on cost.
    pub syncs: Vec<Expected>,
    /// What is kept back from less important ones, and for whom; the most important first.
    #[serde(default)]
    pub kept: Vec<Kept>,
}

/// Calls that are kept back for a sync or for first passes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Kept {
    /// The sync; none: all first passes together, the least important.
    pub sync: Option<SyncName>,
    /// Its priority.
    pub priority: Option<i32>,
    /// Calls that its regular runs are expected to need in 24 hours, whether there are so many or not.
    pub expected: u64,
    /// Calls in 24 hours that are left to it whatever more important ones need.
    pub floor: u64,
    /// What it has spent in the last 24 hours.
    pub spent: u64,
    /// Calls that are kept back for it now.
    pub kept: u64,
}

/// Calls of one hour.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Hour {
    /// When it began.
    pub start: Stamp,
    /// Our own.
    pub ours: u64,
    /// Our own by sync.
    pub by_sync: BTreeMap<SyncName, u64>,
    /// Those of other applications, as far as the readings told.
    pub others: u64,
}

/// What a sync costs, and would cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expected {
    /// The sync.
    pub sync: SyncName,
    /// When it runs.
    pub schedule: String,
    /// Runs in 24 hours.
    pub runs: u64,
    /// Calls in 24 hours.
    pub calls: u64,
    /// Changed records in 24 hours; none before it has run.
    pub records: Option<u64>,
    /// Of how many runs this was learnt; 0: it is the least that the schedule costs.
    pub learnt: u64,
    /// The most records of a page.
    pub page: u16,
    /// Which fields make pages small and what that costs, when some do.
    pub small_pages: Option<String>,
    /// Calls that its first pass still needs, when it has not ended and Salesforce has told of how many records.
    pub first_pass: Option<u64>,
    /// Whether it is paused, and so costs nothing.
    pub paused: bool,
    /// Calls in 24 hours at other intervals.
    pub at: Vec<AtInterval>,
}

/// What another interval would cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AtInterval {
    /// Minutes from one run to the next.
    pub minutes: u64,
    /// Calls in 24 hours.
    pub calls: u64,
}

impl Reader {
    /// What is known of the org's day: by the store, and by the gate of whoever asks.
    pub fn whole_limits(&self, report: &Report) -> Result<view::Limits, Error> {
        let mut limits = self.limits(report.reading)?;
        limits.day = Some(self.day(report, limits.counted)?);
        Ok(limits)
    }

    fn day(&self, report: &Report, ours: u64) -> Result<Day, Error> {
        let (store, now) = (self.store(), report.now);
        let since = hour_of(now, HOURS - 1);
        let sums = store.hours_of_calls(since)?;
        let hours = hours(&sums, &store.others_since(since)?, now);
        let records = self.records_since(now.minus(quota::DAY))?;
        let Report { org, caps, spent, .. } = report;
        let (our_rate, others_rate) =
            (rate(&hours, now, |h| h.ours), rate(&hours, now, |h| h.others));
        let most = caps.allowance.unwrap_or(u64::MAX);
        let free = caps.org.saturating_sub(org.used);
        let refused = match &report.breaker {
            Breaker::Open => None,
            Breaker::Closed { text, probe_at, .. } => Some((text.clone(), *probe_at)),
        };
        let left = if refused.is_some() { 0 } else { free.min(most.saturating_sub(spent.day)) };
        let mut syncs = Vec::new();
        for sync in self.config().syncs.iter().filter(|sync| sync.enabled) {
            let cost = forecast::of(store, sync, now)?;
            let pages = forecast::pages(store, sync)?;
            syncs.push(expected(cost, sync.schedule.to_string(), pages));
        }
        Ok(Day {
            now,
            used: org.used,
            max: org.max,
            assumed: org.read.is_none(),
            left,
            allowance: caps.allowance,
            first_passes: caps.backfill,
            first_passes_spent: spent.backfill,
            others: report.others,
            others_since: report.others_since,
            asks_again: refused.as_ref().map(|(_, at)| *at),
            refused: refused.map(|(text, _)| text),
            records,
            per_thousand: (records > 0).then(|| ours as f64 * 1000.0 / records as f64),
            saved: report.by.iter().map(|line| line.saved).sum(),
            rate: our_rate + others_rate,
            our_rate,
            runs_out: runs_out(now, org.used, org.max, &report.releases, our_rate + others_rate),
            allowance_out: caps
                .allowance
                .and_then(|most| runs_out(now, spent.day, most, &report.our_releases, our_rate)),
            hours,
            syncs,
            kept: kept(&report.kept),
        })
    }

    fn records_since(&self, since: Stamp) -> Result<u64, Error> {
        let mut records = 0;
        for sync in self.store().syncs() {
            let late = self.store().strip_since(&sync, since, MOST_RUNS)?;
            let read = late.iter().filter(|run| run.reads != Reads::Store);
            records += read.map(|run| run.fetched).sum::<u64>();
        }
        Ok(records)
    }
}

fn kept(list: &[KeptBack]) -> Vec<Kept> {
    let wants = list.iter().filter(|kept| kept.claim.day.max(kept.claim.floor) > 0);
    let mut found: Vec<Kept> = wants
        .map(|KeptBack { sync, claim }| Kept {
            sync: sync.clone(),
            priority: claim.priority,
            expected: claim.day,
            floor: claim.floor,
            spent: claim.spent,
            kept: claim.need(),
        })
        .collect();
    found.sort_by_key(|kept| std::cmp::Reverse(kept.priority));
    found
}

/// The beginning of the hour that lies `back` hours before that of `now`.
fn hour_of(now: Stamp, back: i64) -> Stamp {
    let length = i64::try_from(HOUR.as_millis()).unwrap_or(i64::MAX);
    Stamp((now.0.div_euclid(length) - back) * length)
}

/// The last 24 hours; the last one is that which `now` lies in.
fn hours(ours: &[HourOfCalls], others: &[(Stamp, u64)], now: Stamp) -> Vec<Hour> {
    let mut hours: Vec<Hour> = (0..HOURS)
        .rev()
        .map(|back| Hour { start: hour_of(now, back), ..Hour::default() })
        .collect();
    for sum in ours.iter().filter(|sum| sum.purpose.counted()) {
        if let Some(hour) = hours.iter_mut().find(|hour| hour.start == sum.hour) {
            hour.ours += sum.calls;
            if let Some(sync) = &sum.sync {
                *hour.by_sync.entry(sync.clone()).or_default() += sum.calls;
            }
        }
    }
    for (at, calls) in others {
        if let Some(hour) = hours.iter_mut().find(|hour| hour.start == hour_of(*at, 0)) {
            hour.others += calls;
        }
    }
    hours
}

/// Calls an hour of late, rounded up.
fn rate(hours: &[Hour], now: Stamp, of: impl Fn(&Hour) -> u64) -> u64 {
    let lately = &hours[hours.len().saturating_sub(LATELY)..];
    let sum: u64 = lately.iter().map(of).sum();
    let span = lately.first().map_or(HOUR, |first| now.since(first.start)).max(HOUR);
    let calls = (u128::from(sum) * HOUR.as_millis()).div_ceil(span.as_millis());
    u64::try_from(calls).unwrap_or(u64::MAX)
}

fn expected(cost: Cost, schedule: String, pages: forecast::Pages) -> Expected {
    let Cost { sync, usual, first_pass, left, paused } = cost;
    let page = u64::from(pages.most);
    let at = INTERVALS.map(|minutes| AtInterval {
        minutes,
        calls: usual.at(Duration::from_secs(60 * minutes), page),
    });
    Expected {
        sync,
        schedule,
        runs: usual.runs,
        calls: usual.calls,
        records: usual.records,
        learnt: usual.learnt,
        page: pages.most,
        small_pages: pages.why,
        first_pass: left.filter(|_| first_pass).map(|left| quota::first_pass(left, page)),
        paused,
        at: at.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ConnectionName, Purpose};

    const H: i64 = 3_600_000;

    fn sum(hour: i64, sync: Option<&str>, purpose: Purpose, calls: u64) -> HourOfCalls {
        let connection = ConnectionName::new("main").unwrap();
        let sync = sync.map(|name| SyncName::new(name).unwrap());
        HourOfCalls {
            hour: Stamp(hour * H),
            connection,
            sync,
            purpose,
            backfill: false,
            calls,
            saved: 0,
        }
    }

    #[test]
    fn calls_fall_into_their_hours() {
        let ours = [
            sum(76, Some("A"), Purpose::Query, 9),
            sum(77, Some("A"), Purpose::Query, 1),
            sum(77, Some("A"), Purpose::QueryMore, 2),
            sum(100, None, Purpose::Limits, 1),
            sum(100, Some("A"), Purpose::Versions, 5),
        ];
        let others = [(Stamp(76 * H), 7), (Stamp(100 * H), 3)];
        let now = Stamp(100 * H + H / 2);
        let hours = hours(&ours, &others, now);
        assert_eq!((hours.len(), hours[0].start), (24, Stamp(77 * H)));
        assert_eq!(hours[0].by_sync.values().sum::<u64>(), 3);
        assert_eq!((hours[23].ours, hours[23].others, hours[23].by_sync.len()), (1, 3, 0));
        assert_eq!(hours.iter().map(|hour| hour.ours).sum::<u64>(), 4);
        // Two and a half hours.
        assert_eq!(rate(&hours, now, |hour| hour.others), 2);
        assert_eq!(rate(&hours[..1], Stamp(77 * H + 1), |hour| hour.ours), 3);
    }
}

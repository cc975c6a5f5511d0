//! What syncs will cost, and when the org runs out of calls. Pure.

use std::time::Duration;

use crate::model::Stamp;

const DAY_MS: u128 = 86_400_000;

/// One run of the past that read changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastRun {
    /// When it began.
    pub started: Stamp,
    /// Calls that it spent itself.
    pub calls: u64,
    /// Records that arrived.
    pub records: u64,
}

/// What a sync usually costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usual {
    /// Runs in 24 hours.
    pub runs: u64,
    /// Calls in 24 hours.
    pub calls: u64,
    /// Records that its runs read in 24 hours; none before it has run.
    pub records: Option<u64>,
    /// How many runs this was learnt from; 0: it comes from the schedule alone.
    pub learnt: u64,
}

impl Usual {
    /// From its runs of late and how often it is scheduled to run in 24 hours; none: only when asked.
    pub fn of(past: &[PastRun], scheduled: Option<u64>, now: Stamp) -> Self {
        let learnt = past.len() as u64;
        let oldest = past.iter().map(|run| run.started).min();
        let seen = oldest.map_or(0, |oldest| now.since(oldest).as_millis()).max(DAY_MS);
        // Of one that runs when asked: as often as it was.
        let runs = scheduled.unwrap_or_else(|| part(learnt, DAY_MS, seen));
        if past.is_empty() {
            return Self { runs, calls: runs, records: None, learnt };
        }
        let a_day = |sum: u64| part(sum, u128::from(runs), u128::from(learnt));
        let (calls, records) =
            past.iter().fold((0, 0), |sum, run| (sum.0 + run.calls, sum.1 + run.records));
        Self { runs, calls: a_day(calls), records: Some(a_day(records)), learnt }
    }

    /// Calls in 24 hours at another interval, for as many changed records: every run asks once, and once more for every
    /// further page of `page` records.
    pub fn at(&self, interval: Duration, page: u64) -> u64 {
        let runs = runs_a_day(interval);
        let per_run = self.records.unwrap_or(0).div_ceil(runs.max(1));
        runs.saturating_mul(per_run.div_ceil(page.max(1)).max(1))
    }

    /// Calls of one run, at least 1.
    pub fn a_run(&self) -> u64 {
        self.calls.div_ceil(self.runs.max(1)).max(1)
    }
}

/// `sum * times / of`, rounded up.
fn part(sum: u64, times: u128, of: u128) -> u64 {
    u64::try_from((u128::from(sum) * times).div_ceil(of.max(1))).unwrap_or(u64::MAX)
}

/// Runs in 24 hours of one every `interval`.
pub fn runs_a_day(interval: Duration) -> u64 {
    u64::try_from(DAY_MS.div_ceil(interval.as_millis().max(1))).unwrap_or(u64::MAX)
}

/// Calls of a first pass over so many records.
pub fn first_pass(records: u64, page: u64) -> u64 {
    records.div_ceil(page.max(1)).max(1)
}

/// When `most` calls will have been spent, when `an_hour` are made every hour from now on and those of before stop
/// counting as told, in order; none: not within a day, and so never at this rate.
pub fn runs_out(
    now: Stamp,
    used: u64,
    most: u64,
    releases: &[(Stamp, u64)],
    an_hour: u64,
) -> Option<Stamp> {
    const STEP: Duration = Duration::from_secs(600);
    let mut releases = releases.iter().peekable();
    let mut left = used;
    for step in 0..=24 * 6u64 {
        let at = now.plus(STEP * u32::try_from(step).unwrap_or(0));
        while let Some((_, calls)) = releases.next_if(|(free, _)| *free <= at) {
            left = left.saturating_sub(*calls);
        }
        let made = u128::from(an_hour) * u128::from(step) / 6;
        if u128::from(left) + made >= u128::from(most) {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Stamp = Stamp(1_700_000_000_000);

    fn hours(hours: u64) -> Duration {
        Duration::from_secs(3600 * hours)
    }

    #[test]
    fn learns_from_runs() {
        let quarter = Some(runs_a_day(Duration::from_secs(900)));
        assert_eq!(quarter, Some(96));
        let new = Usual::of(&[], quarter, NOW);
        assert_eq!(new, Usual { runs: 96, calls: 96, records: None, learnt: 0 });
        assert_eq!((new.a_run(), new.at(hours(1), 1000)), (1, 24));
        // Two runs in three found one page, the third needed four.
        let run = |n: u64, calls, records| PastRun { started: NOW.minus(hours(n)), calls, records };
        let past = [run(1, 1, 10), run(2, 1, 0), run(3, 4, 3_200)];
        let usual = Usual::of(&past, quarter, NOW);
        assert_eq!((usual.calls, usual.records, usual.a_run()), (192, Some(102_720), 2));
        // A page holds what ten minutes bring, not what an hour brings.
        assert_eq!(usual.at(Duration::from_secs(600), 1000), 144);
        assert_eq!(usual.at(hours(1), 1000), 24 * 5);
        assert_eq!(usual.at(hours(1), 200), 24 * 22);
        // One that runs when somebody asks.
        let asked = Usual::of(&[run(1, 3, 1), run(50, 3, 1)], None, NOW);
        assert_eq!((asked.runs, asked.calls), (1, 3));
        assert_eq!((first_pass(0, 1000), first_pass(2001, 1000)), (1, 3));
    }

    #[test]
    fn tells_when_the_day_is_spent() {
        assert_eq!(runs_out(NOW, 0, 1000, &[], 41), None, "984 a day fit for ever");
        assert_eq!(runs_out(NOW, 0, 1000, &[], 100), Some(NOW.plus(hours(10))));
        assert_eq!(runs_out(NOW, 1000, 1000, &[], 0), Some(NOW));
        let frees = [(NOW.plus(hours(1)), 500)];
        assert_eq!(runs_out(NOW, 900, 1000, &frees, 50), Some(NOW.plus(hours(12))));
    }

    proptest! {
        #[test]
        fn longer_intervals_never_cost_more_runs(records in 0..1_000_000u64, one in 1..1000u64, more in 1..50u64, page in 1..2001u64) {
            let usual = Usual { runs: 1, calls: 1, records: Some(records), learnt: 1 };
            let (short, long) = (Duration::from_secs(60 * one), Duration::from_secs(60 * one * more));
            prop_assert!(usual.at(short, page) >= runs_a_day(short));
            // A page more a run at most lies between what two intervals cost for the same records.
            prop_assert!(usual.at(long, page) <= usual.at(short, page) + runs_a_day(long));
        }

        #[test]
        fn whoever_spends_more_runs_out_sooner(used in 0..500u64, most in 1..600u64, rate in 0..100u64, more in 0..100u64) {
            let one = runs_out(NOW, used, most, &[], rate);
            let other = runs_out(NOW, used, most, &[], rate + more);
            let sooner = one.is_none_or(|one| other.is_some_and(|other| other <= one));
            prop_assert!(sooner, "{one:?} {other:?}");
        }
    }
}

//! What the org's day comes to when calls go on being spent as they were of late. Pure.

use std::time::Duration;

use crate::model::Stamp;

/// Hours of late that the pace is taken from, the one under way among them.
const RECENT: usize = 3;
const HOUR: Duration = Duration::from_secs(3600);
/// How finely the day to come is looked at.
const STEP: Duration = Duration::from_secs(600);
const STEPS_AN_HOUR: u64 = 6;

/// What is to be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outlook {
    /// Calls an hour, of all applications, as of late.
    pub an_hour: u64,
    /// When `most` calls count as spent; none: not within a day, and so never at this pace.
    pub runs_out: Option<Stamp>,
}

/// From the calls of each hour of the last day with the time at which it began, the last one being under way; from the
/// calls that count as spent now, and the most that there may be.
pub(super) fn outlook(hours: &[(Stamp, u64)], used: u64, most: u64, now: Stamp) -> Outlook {
    let recent = &hours[hours.len().saturating_sub(RECENT)..];
    let seconds = recent.first().map_or(0, |(from, _)| now.since(*from).as_secs()).max(1);
    let spent: u64 = recent.iter().map(|(_, calls)| calls).sum();
    let an_hour = spent.saturating_mul(HOUR.as_secs()).div_ceil(seconds);
    let reached = |step: &u64| {
        let at = now.plus(STEP * u32::try_from(*step).unwrap_or(0));
        // An hour counts until its last call is a day old.
        let over = |from: Stamp| from.plus(HOUR * 25) <= at;
        let free: u64 = hours.iter().filter(|(from, _)| over(*from)).map(|(_, calls)| calls).sum();
        used.saturating_sub(free) + an_hour * step / STEPS_AN_HOUR >= most
    };
    let first = (0..=24 * STEPS_AN_HOUR).find(reached);
    let runs_out = first.map(|step| now.plus(STEP * u32::try_from(step).unwrap_or(0)));
    Outlook { an_hour, runs_out }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Stamp = Stamp(100 * 3_600_000);

    fn day(calls: u64) -> Vec<(Stamp, u64)> {
        (0..24).map(|n| (NOW.minus(HOUR * (24 - n)), calls)).collect()
    }

    #[test]
    fn what_goes_on_as_it_was_fits_or_does_not() {
        let steady = outlook(&day(10), 240, 300, NOW);
        assert_eq!(steady, Outlook { an_hour: 10, runs_out: None });
        // Nothing was spent before the last three hours: nothing becomes free in time.
        let mut burst = day(0);
        burst[21..].iter_mut().for_each(|hour| hour.1 = 100);
        let told = outlook(&burst, 300, 1_000, NOW);
        assert_eq!(told, Outlook { an_hour: 100, runs_out: Some(NOW.plus(HOUR * 7)) });
        assert_eq!(outlook(&burst, 300, 100_000, NOW).runs_out, None);
    }

    #[test]
    fn what_is_spent_is_spent_now() {
        assert_eq!(outlook(&day(0), 500, 500, NOW).runs_out, Some(NOW));
        assert_eq!(outlook(&[], 0, 500, NOW), Outlook { an_hour: 0, runs_out: None });
    }
}

//! What other applications spend, inferred from the org's readings less our own calls. Pure.
//!
//! A reading tells the sum of the last 24 hours. What lies in it from before the first reading has no known time; it is
//! kept apart, shrinks as the readings tell, and is gone a day later. From then on every hour is known.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Stamp;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// Calls of other applications by the hour.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Others {
    /// When the first reading came.
    since: Option<Stamp>,
    /// Calls of before the first reading that may still count.
    before: u64,
    /// hour since 1970 -> calls.
    #[serde(skip)]
    hours: BTreeMap<i64, Hour>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Hour {
    /// Calls made in it.
    made: u64,
    /// Those of them that still count, as far as is known.
    left: u64,
}

impl Others {
    /// Puts back what was kept by the hour.
    pub fn restore(&mut self, hours: impl IntoIterator<Item = (Stamp, u64)>) {
        let hour =
            |(hour, made): (Stamp, u64)| (hour.0.div_euclid(HOUR), Hour { made, left: made });
        self.hours.extend(hours.into_iter().map(hour));
    }

    /// Takes in that others made between `low` and `high` calls in the 24 hours to `now`: the reading cannot tell more
    /// closely, since it may or may not have seen our own calls under way. True when the present hour changed.
    pub fn seen(&mut self, now: Stamp, low: u64, high: u64) -> bool {
        let Some(since) = self.since else {
            (self.since, self.before) = (Some(now), low);
            return false;
        };
        if now.0 - since.0 >= DAY {
            self.before = 0;
        }
        self.hours.retain(|hour, _| (hour + 1) * HOUR > now.0 - 2 * DAY);
        let known = self.day(now);
        if low > known {
            let hour = self.hours.entry(now.0.div_euclid(HOUR)).or_default();
            hour.made += low - known;
            hour.left += low - known;
            return true;
        }
        // Fewer than was thought: what is oldest has gone.
        let mut gone = known.saturating_sub(high);
        let apart = gone.min(self.before);
        self.before -= apart;
        gone -= apart;
        for hour in self.hours.range_mut(first(now)..).map(|(_, hour)| hour) {
            let part = gone.min(hour.left);
            hour.left -= part;
            gone -= part;
        }
        false
    }

    /// Their calls of the 24 hours to `now`. The hour in which these begin counts whole until a reading tells that its calls
    /// have gone, so what is still there is never taken for new.
    pub fn day(&self, now: Stamp) -> u64 {
        let left = self.hours.range(first(now)..).map(|(_, hour)| hour.left);
        left.fold(self.before, u64::saturating_add)
    }

    /// Since when every hour is known; none before the first reading.
    pub fn since(&self) -> Option<Stamp> {
        self.since
    }

    /// Whether the hour of every call that may still count is known.
    pub fn all_known(&self) -> bool {
        self.since.is_some() && self.before == 0
    }

    /// Hours that end after `since` with their calls, in order.
    pub fn hours(&self, since: Stamp) -> Vec<(Stamp, u64)> {
        let from = since.0.div_euclid(HOUR);
        self.hours.range(from..).map(|(hour, calls)| (Stamp(hour * HOUR), calls.made)).collect()
    }

    /// How many of their calls stop counting when, as far as can be known, in order.
    pub fn releases(&self, now: Stamp) -> Vec<(Stamp, u64)> {
        let mut found: Vec<(Stamp, u64)> = Vec::new();
        if let Some(since) = self.since
            && self.before > 0
        {
            // Nobody knows when they were made; somewhere in the day before the first reading.
            let end = since.0 + DAY;
            let steps = u64::try_from((end - now.0).div_euclid(HOUR)).unwrap_or(0) + 1;
            for step in 1..=steps {
                let calls = self.before * step / steps - self.before * (step - 1) / steps;
                let at =
                    Stamp(now.0).plus(Duration::from_secs(3600 * step)).min(Stamp(end.max(now.0)));
                found.push((at, calls));
            }
        }
        let placed = self.hours.range(first(now)..);
        found.extend(placed.map(|(hour, calls)| (Stamp((hour + 1) * HOUR + DAY), calls.left)));
        found.retain(|(_, calls)| *calls > 0);
        found.sort_by_key(|(at, _)| *at);
        found
    }
}

/// The hour in which the 24 hours to `now` begin.
fn first(now: Stamp) -> i64 {
    (now.0 - DAY).div_euclid(HOUR)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: i64 = 1_700_000_000_000;

    proptest! {
        /// Others make calls at any time; readings come now and then. Once a day has passed since the first one, the sum is
        /// right at every reading, and all hours together hold no more than was made.
        #[test]
        fn the_sum_follows_the_readings(steps in prop::collection::vec((1..5_000i64, 0..200u64, any::<bool>()), 1..200)) {
            let mut others = Others::default();
            let mut made: Vec<(i64, u64)> = vec![(START - DAY / 2, 777)];
            let mut now = START;
            for (seconds, calls, read) in steps {
                now += seconds * 1000;
                made.push((now, calls));
                if !read {
                    continue;
                }
                let truth: u64 = made.iter().filter(|(at, _)| *at > now - DAY).map(|(_, n)| n).sum();
                others.seen(Stamp(now), truth, truth);
                prop_assert_eq!(others.day(Stamp(now)), truth);
                let all: u64 = others.hours(Stamp(0)).iter().map(|(_, n)| n).sum();
                prop_assert!(all <= made.iter().map(|(_, n)| n).sum());
                let releases = others.releases(Stamp(now));
                prop_assert!(releases.iter().map(|(_, n)| n).sum::<u64>() >= truth);
                prop_assert!(releases.iter().all(|(at, _)| at.0 >= now && at.0 <= now + DAY + HOUR));
            }
        }
    }

    #[test]
    fn what_our_own_calls_under_way_may_explain_is_not_theirs() {
        let at = |minutes: i64| Stamp(START + minutes * 60_000);
        let mut others = Others::default();
        others.seen(at(0), 1000, 1004);
        assert!(!others.seen(at(1), 998, 1002), "nothing to be learnt");
        assert_eq!(others.day(at(1)), 1000);
        assert!(others.seen(at(2), 1050, 1054));
        let hours = others.hours(at(0));
        assert_eq!((hours.len(), hours[0].1), (1, 50));
        // The calls of before go first.
        others.seen(at(3), 20, 24);
        assert_eq!((others.before, others.day(at(3))), (0, 24));
        let text = serde_json::to_string(&others).unwrap();
        let mut kept: Others = serde_json::from_str(&text).unwrap();
        kept.restore(others.hours(Stamp(0)));
        kept.seen(at(4), 20, 24);
        assert_eq!(kept, others);
    }
}

//! What a sync costs a day at its interval. Pure.

use std::time::Duration;

use crate::config::When;
use crate::model::Stamp;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// An object's fields are asked for again no more often than this, whatever the interval.
const DESCRIBE_EVERY: Duration = Duration::from_secs(15 * 60);

/// What a sync costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Cost {
    /// Runs in 24 hours.
    pub runs: u64,
    /// Calls in 24 hours when every run finds at most a page of changes: the least.
    pub least: u64,
}

impl Cost {
    /// The cost of a schedule from `now` on.
    pub fn of(when: &When, now: Stamp) -> Self {
        let runs = match when {
            When::Manual => 0,
            When::Every(interval) => {
                let ms = interval.as_millis().max(1);
                u64::try_from(DAY.as_millis().div_ceil(ms)).unwrap_or(u64::MAX)
            }
            When::Cron(cron) => {
                let end = now.plus(DAY);
                let mut runs = 0;
                let mut at = now;
                // A day has no more seconds than this, so the walk ends.
                while runs < 86_400 {
                    match cron.after(at) {
                        Some(next) if next <= end => (at, runs) = (next, runs + 1),
                        _ => break,
                    }
                }
                runs
            }
        };
        let describes = runs.min(DAY.as_secs() / DESCRIBE_EVERY.as_secs());
        Self { runs, least: runs.saturating_add(describes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Cron;

    #[test]
    fn counts_a_day() {
        let now = Stamp::parse("2026-11-23T14:00:00Z").unwrap();
        let every = |secs| Cost::of(&When::Every(Duration::from_secs(secs)), now);
        assert_eq!(every(900), Cost { runs: 96, least: 192 });
        assert_eq!(every(60), Cost { runs: 1440, least: 1536 });
        assert_eq!(every(7 * 86_400), Cost { runs: 1, least: 2 });
        assert_eq!(Cost::of(&When::Manual, now), Cost { runs: 0, least: 0 });
        let cron = When::Cron(Cron::new("0 6,18 * * *", "UTC").unwrap());
        assert_eq!(Cost::of(&cron, now), Cost { runs: 2, least: 4 });
    }
}

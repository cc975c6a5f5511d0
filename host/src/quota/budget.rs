//! Decides, from numbers alone, whether one more call may be spent.

use std::time::Duration;

use crate::model::{Purpose, Stamp, Usage};

/// The smallest number of daily calls that an org with API access has; assumed while Salesforce has told nothing.
pub const SMALLEST_DAY: u64 = 15_000;

/// How old a reading must be before a call is spent on looking again.
pub const LOOK_EVERY: Duration = Duration::from_secs(15 * 60);

/// A reading older than this says nothing of the present: Salesforce's day is the last 24 hours.
const FORGET_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A part of the org's daily calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// So many calls in 24 hours.
    Calls(u64),
    /// So many hundredths of the org's daily calls.
    Percent(u8),
}

/// What the user allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The most that kilofold may spend in 24 hours; none: whatever the reserve leaves.
    pub allowance: Option<Share>,
    /// Calls that must be left for other applications.
    pub reserve: u64,
    /// The most that one run may spend.
    pub per_run: Option<u64>,
    /// The most requests under way at one moment, at least 1.
    pub concurrent: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self { allowance: None, reserve: 0, per_run: None, concurrent: 4 }
    }
}

/// What we spent ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Counted calls of the last 24 hours, those under way included.
    pub day: u64,
    /// Counted calls of the run that asks.
    pub run: u64,
    /// Counted calls that the reading cannot have seen yet.
    pub unseen: u64,
    /// When the oldest of the calls of the last 24 hours stops counting.
    pub frees_at: Option<Stamp>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// What the call is for.
    pub purpose: Purpose,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The call may be made.
    Grant,
    /// Not now.
    Wait {
        /// When asking again makes sense, when that is known.
        until: Option<Stamp>,
        /// A stable code.
        code: &'static str,
        /// Why, for a person.
        reason: String,
        /// Whether the numbers are so old that a [`Purpose::Probe`] would be granted to refresh them.
        look: bool,
    },
}

/// Decides on one more call. Never grants a counted call past the allowance or the per-run cap; never past the
/// reserve either, except one look ([`Purpose::Limits`] or [`Purpose::Probe`]) when the reading is older than
/// [`LOOK_EVERY`], without which a full day could never be seen to empty.
pub fn decide(
    now: Stamp,
    rules: &Rules,
    reading: Option<&Usage>,
    ours: &Spent,
    ask: &Ask,
) -> Decision {
    if !ask.purpose.counted() {
        return Decision::Grant;
    }
    let wait = |until, code, reason: String| Decision::Wait { until, code, reason, look: false };
    if let Some(cap) = rules.per_run
        && ours.run >= cap
    {
        let reason = format!("this run has spent the {cap} API calls that a run may spend");
        return wait(None, "limit.run", reason);
    }
    let reading = reading.filter(|reading| now.since(reading.at) < FORGET_AFTER);
    let day = reading.map_or(SMALLEST_DAY, |reading| reading.max);
    if let Some(cap) = rules.allowance.map(|share| share.of(day))
        && ours.day >= cap
    {
        let reason = format!(
            "kilofold has spent {} API calls in the last 24 hours, its allowance is {cap}",
            ours.day
        );
        return wait(ours.frees_at, "limit.allowance", reason);
    }
    let used = reading.map_or(ours.day, |reading| reading.used.saturating_add(ours.unseen));
    let left = day.saturating_sub(rules.reserve);
    if used < left {
        return Decision::Grant;
    }
    let look = reading.is_some_and(|reading| now.since(reading.at) >= LOOK_EVERY);
    if look && matches!(ask.purpose, Purpose::Limits | Purpose::Probe) {
        return Decision::Grant;
    }
    let reason = match reading {
        Some(_) => format!(
            "about {used} of the org's {day} API calls of 24 hours are spent, and {} are reserved for other applications",
            rules.reserve
        ),
        None => format!(
            "Salesforce has not told how many API calls the org has left; kilofold takes it for the smallest \
             ({day} calls) and has spent {used} itself"
        ),
    };
    let until = match reading {
        Some(reading) => Some(reading.at.plus(LOOK_EVERY).max(now)),
        None => ours.frees_at,
    };
    Decision::Wait { until, code: "limit.reserve", reason, look }
}

impl Share {
    /// The share in calls, of a day of `day` calls.
    pub fn of(self, day: u64) -> u64 {
        match self {
            Self::Calls(calls) => calls,
            Self::Percent(percent) => {
                let calls = u128::from(day) * u128::from(percent.min(100)) / 100;
                u64::try_from(calls).unwrap_or(u64::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn purpose() -> impl Strategy<Value = Purpose> {
        prop_oneof![
            Just(Purpose::Query),
            Just(Purpose::QueryMore),
            Just(Purpose::Describe),
            Just(Purpose::Limits),
            Just(Purpose::Probe),
            Just(Purpose::Token),
        ]
    }

    fn rules() -> impl Strategy<Value = Rules> {
        let share =
            prop_oneof![(0..200u64).prop_map(Share::Calls), (0..=120u8).prop_map(Share::Percent)];
        (prop::option::of(share), 0..300u64, prop::option::of(0..50u64)).prop_map(
            |(allowance, reserve, per_run)| Rules { allowance, reserve, per_run, concurrent: 1 },
        )
    }

    proptest! {
        #[test]
        fn never_grants_past_a_rule(
            rules in rules(),
            reading in prop::option::of((0..400u64, 1..400u64, 0..200_000_000i64)),
            (day, run, unseen) in (0..16_000u64, 0..60u64, 0..60u64),
            purpose in purpose(),
        ) {
            let now = Stamp(1_000_000_000);
            let reading = reading.map(|(used, max, age)| Usage { used, max, at: Stamp(now.0 - age) });
            let ours = Spent { day, run, unseen, frees_at: None };
            let granted = decide(now, &rules, reading.as_ref(), &ours, &Ask { purpose }) == Decision::Grant;
            if !purpose.counted() {
                prop_assert!(granted);
            } else if granted {
                let known = reading.filter(|r| now.0 - r.at.0 < 86_400_000);
                let max = known.map_or(SMALLEST_DAY, |r| r.max);
                prop_assert!(rules.per_run.is_none_or(|cap| run < cap));
                prop_assert!(rules.allowance.is_none_or(|share| day < share.of(max)));
                let used = known.map_or(day, |r| r.used + unseen);
                let stale = known.is_some_and(|r| now.0 - r.at.0 >= 15 * 60_000);
                let looking = stale && matches!(purpose, Purpose::Limits | Purpose::Probe);
                prop_assert!(looking || used + rules.reserve < max);
            }
        }

        #[test]
        fn grants_what_every_rule_leaves(day in 0..100u64, used in 0..100u64, unseen in 0..100u64) {
            let rules = Rules { allowance: Some(Share::Calls(100)), reserve: 50, per_run: Some(10), concurrent: 1 };
            let now = Stamp(1_000_000_000);
            let reading = Usage { used, max: 250, at: now };
            let ours = Spent { day, run: 9, unseen, frees_at: None };
            let ask = Ask { purpose: Purpose::Query };
            prop_assert_eq!(decide(now, &rules, Some(&reading), &ours, &ask), Decision::Grant);
        }
    }

    #[test]
    fn a_full_day_is_looked_at_again_but_rarely() {
        let rules = Rules::default();
        let now = Stamp(1_000_000_000);
        let ask = Ask { purpose: Purpose::Query };
        let look = Ask { purpose: Purpose::Probe };
        let fresh = Usage { used: 15_000, max: 15_000, at: now };
        let ours = Spent::default();
        assert!(matches!(
            decide(now, &rules, Some(&fresh), &ours, &ask),
            Decision::Wait { look: false, .. }
        ));
        assert!(matches!(decide(now, &rules, Some(&fresh), &ours, &look), Decision::Wait { .. }));
        let later = now.plus(LOOK_EVERY);
        assert!(matches!(
            decide(later, &rules, Some(&fresh), &ours, &ask),
            Decision::Wait { look: true, .. }
        ));
        assert_eq!(decide(later, &rules, Some(&fresh), &ours, &look), Decision::Grant);
    }
}

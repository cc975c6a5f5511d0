//! Decides, from numbers alone, whether one more call may be spent. Pure.

use std::time::Duration;

use super::ledger::Release;
use super::needs::{Claim, FIRST_PASSES, kept_back};
use crate::model::{Purpose, Stamp};

/// The smallest number of daily calls that an org with API access has; assumed while Salesforce has told nothing and the
/// configuration does not say either.
pub const SMALLEST_DAY: u64 = 15_000;

/// How old a reading must be before a call is spent on looking again.
pub const LOOK_EVERY: Duration = Duration::from_secs(15 * 60);

/// A part of the org's daily calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// So many calls in 24 hours.
    Calls(u64),
    /// So many hundredths of the org's daily calls.
    Percent(u8),
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

/// What the user allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The most that kilofold may spend in 24 hours; none: whatever the reserve leaves.
    pub allowance: Option<Share>,
    /// Calls that must be left for other applications.
    pub reserve: u64,
    /// The most that one run may spend.
    pub per_run: Option<u64>,
    /// The share of the allowance that first passes may spend in 24 hours.
    pub backfill: Share,
    /// Calls that the org is entitled to in 24 hours, for as long as Salesforce has not told.
    pub entitlement: Option<u64>,
    /// The most requests under way at one moment, at least 1.
    pub concurrent: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            allowance: None,
            reserve: 0,
            per_run: None,
            backfill: Share::Percent(50),
            entitlement: None,
            concurrent: 4,
        }
    }
}

/// The org's day, as far as it can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrgDay {
    /// Calls that the org may make in 24 hours.
    pub max: u64,
    /// Calls made in the last 24 hours: the readings, which lag, and our own calls since; without a reading our own, and
    /// what others are assumed to make.
    pub used: u64,
    /// When Salesforce told; none: nothing is known, and these numbers are assumed.
    pub read: Option<Stamp>,
}

/// What we spent ourselves, calls under way included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Counted calls that may still count in the org.
    pub day: u64,
    /// Those of them that first passes made.
    pub backfill: u64,
    /// Counted calls of the run that asks.
    pub run: u64,
    /// When the limits were last asked for on purpose.
    pub looked: Option<Stamp>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// What the call is for.
    pub purpose: Purpose,
    /// Whether a first pass asks.
    pub backfill: bool,
    /// How many calls must be left after it for other syncs.
    pub kept_back: u64,
}

/// Which rule leaves no call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// What one run may spend.
    Run,
    /// The share of first passes.
    Backfill,
    /// The allowance.
    Allowance,
    /// What is kept back for others, within the allowance or the org's day; see [`claims`](super::claims).
    Needs,
    /// The reserve for other applications.
    Reserve,
}

impl Bound {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Run => "limit.run",
            Self::Backfill => "limit.backfill",
            Self::Allowance => "limit.allowance",
            Self::Needs => "limit.priority",
            Self::Reserve => "limit.reserve",
        }
    }
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The call may be made.
    Grant,
    /// Not now.
    Wait {
        /// The rule that leaves no call.
        bound: Bound,
        /// Whether the numbers are so old that a [`Purpose::Probe`] would be granted to refresh them.
        look: bool,
    },
}

/// The rules in calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// The most that kilofold may spend in 24 hours; none: whatever the reserve leaves.
    pub allowance: Option<u64>,
    /// The most of it that first passes may spend.
    pub backfill: u64,
    /// The most that the org may have spent before a call of ours.
    pub org: u64,
}

impl Caps {
    /// The rules for an org's day of `max` calls.
    pub fn of(rules: &Rules, max: u64) -> Self {
        let org = max.saturating_sub(rules.reserve);
        let allowance = rules.allowance.map(|share| share.of(max));
        let ours = allowance.unwrap_or(org).min(org);
        Self { allowance, backfill: rules.backfill.of(ours).min(ours), org }
    }

    /// Calls that kilofold may spend in 24 hours when others made `others`.
    pub fn room(&self, others: u64) -> u64 {
        self.allowance.unwrap_or(u64::MAX).min(self.org.saturating_sub(others))
    }

    /// The rule that leaves no room for one more call.
    pub fn bound(&self, used: u64, ours: &Spent, ask: &Ask) -> Option<Bound> {
        let with_needs = |spent: u64| spent.saturating_add(ask.kept_back);
        let over = |spent: u64| self.allowance.is_some_and(|cap| spent >= cap);
        if over(ours.day) {
            Some(Bound::Allowance)
        } else if used >= self.org {
            Some(Bound::Reserve)
        } else if ask.backfill && ours.backfill >= self.backfill {
            Some(Bound::Backfill)
        } else if over(with_needs(ours.day)) || with_needs(used) >= self.org {
            Some(Bound::Needs)
        } else {
            None
        }
    }
}

/// Decides on one more call. Never grants a counted call past the allowance, the share of first passes or the per-run cap;
/// never past the reserve either, except one look ([`Purpose::Limits`] or [`Purpose::Probe`]) when the reading is older
/// than [`LOOK_EVERY`] and so is the last look, without which a full day could never be seen to empty.
pub fn decide(now: Stamp, rules: &Rules, org: &OrgDay, ours: &Spent, ask: &Ask) -> Decision {
    if !ask.purpose.counted() {
        return Decision::Grant;
    }
    if rules.per_run.is_some_and(|cap| ours.run >= cap) {
        return Decision::Wait { bound: Bound::Run, look: false };
    }
    let caps = Caps::of(rules, org.max);
    let Some(bound) = caps.bound(org.used, ours, ask) else {
        return Decision::Grant;
    };
    // Looking helps where nothing but the org's numbers is in the way, and those are old.
    let old = |at: Option<Stamp>| at.is_none_or(|at| now.since(at) >= LOOK_EVERY);
    let look = caps.bound(0, ours, ask).is_none() && old(org.read) && old(ours.looked);
    if look && matches!(ask.purpose, Purpose::Limits | Purpose::Probe) {
        return Decision::Grant;
    }
    Decision::Wait { bound, look }
}

/// What the future is computed from.
#[derive(Debug, Clone)]
pub struct Outlook<'a> {
    /// The rules in calls.
    pub caps: Caps,
    /// Calls that the org has made.
    pub used: u64,
    /// What we spent.
    pub ours: Spent,
    /// What syncs need.
    pub claims: &'a [Claim],
    /// The place of whoever asks among them.
    pub asker: Option<usize>,
    /// Whether a first pass asks.
    pub backfill: bool,
    /// So many calls must fit before it is worth beginning again, at least 1.
    pub worth: u64,
}

/// When enough calls fit again if nobody makes another one, from when our own calls and those of others stop counting,
/// both in order; none: not even then. `place` gives the place of a release's sync among the claims.
pub fn when_fits(
    outlook: &Outlook<'_>,
    ours: impl Iterator<Item = Release>,
    others: &[(Stamp, u64)],
    place: impl Fn(usize) -> Option<usize>,
) -> Option<Stamp> {
    let Outlook { caps, mut used, ours: mut spent, claims, asker, backfill, worth } = *outlook;
    let mut claims = claims.to_vec();
    let more = worth.max(1) - 1;
    let (mut ours, mut others) = (ours.peekable(), others.iter().peekable());
    loop {
        let next_ours = ours.peek().map(|release| release.at);
        let next_others = others.peek().map(|(at, _)| *at);
        let at = match (next_ours, next_others) {
            (None, None) => return None,
            (Some(one), None) | (None, Some(one)) => one,
            (Some(one), Some(other)) => one.min(other),
        };
        while let Some(release) = ours.next_if(|release| release.at == at) {
            spent.day = spent.day.saturating_sub(1);
            used = used.saturating_sub(1);
            let claim = if release.backfill {
                spent.backfill = spent.backfill.saturating_sub(1);
                Some(FIRST_PASSES)
            } else {
                release.sync.and_then(&place)
            };
            if let Some(claim) = claim.and_then(|place| claims.get_mut(place)) {
                claim.spent = claim.spent.saturating_sub(1);
            }
        }
        while let Some((_, calls)) = others.next_if(|(other, _)| *other == at) {
            used = used.saturating_sub(*calls);
        }
        let ask = Ask { purpose: Purpose::Query, backfill, kept_back: kept_back(&claims, asker) };
        let then = Spent {
            day: spent.day.saturating_add(more),
            backfill: spent.backfill.saturating_add(more),
            ..spent
        };
        if caps.bound(used.saturating_add(more), &then, &ask).is_none() {
            return Some(at);
        }
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;

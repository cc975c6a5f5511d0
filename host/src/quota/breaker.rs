//! Stops calls after Salesforce refused one for the day, and lets one through now and then to see whether that is over.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Stamp;

/// How long after the first refusal a probe is made; twice as long after each further one.
const FIRST: Duration = Duration::from_secs(15 * 60);

/// The longest time between two probes.
const LONGEST: Duration = Duration::from_secs(2 * 60 * 60);

/// A probe that was never answered does not block others for longer than this.
const ABANDONED: Duration = Duration::from_secs(10 * 60);

/// Whether calls are possible, as far as Salesforce's refusals tell. A value: every change returns the next one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breaker {
    /// They are.
    #[default]
    Open,
    /// They are not, until a probe says so.
    Closed {
        /// Salesforce's words.
        text: String,
        /// How often it has refused in a row.
        refusals: u32,
        /// When the next probe may be made.
        probe_at: Stamp,
        /// When a probe was let through that has not been answered.
        probing: Option<Stamp>,
    },
}

impl Breaker {
    /// Whether calls other than a probe may be made.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// Whether a probe may be made now.
    pub fn probe_due(&self, now: Stamp) -> bool {
        match self {
            Self::Open => false,
            Self::Closed { probe_at, probing, .. } => {
                now >= *probe_at && probing.is_none_or(|since| now.since(since) >= ABANDONED)
            }
        }
    }

    /// After a probe was let through.
    #[must_use]
    pub fn probing(self, now: Stamp) -> Self {
        match self {
            Self::Open => Self::Open,
            Self::Closed { text, refusals, probe_at, .. } => {
                Self::Closed { text, refusals, probe_at, probing: Some(now) }
            }
        }
    }

    /// After Salesforce refused a call because the day is spent. `frees` is when calls are known to stop counting: before
    /// that a probe would be spent for nothing.
    #[must_use]
    pub fn refused(self, now: Stamp, text: &str, frees: Option<Stamp>) -> Self {
        let refusals = match &self {
            Self::Open => 1,
            // Calls that were under way when the first was refused are refused too; that is one refusal.
            Self::Closed { refusals, probing, .. } => refusals + u32::from(probing.is_some()),
        };
        let pause = FIRST.saturating_mul(1 << (refusals - 1).min(8));
        let pause = pause.max(frees.map_or(Duration::ZERO, |at| at.since(now))).min(LONGEST);
        Self::Closed { text: text.to_owned(), refusals, probe_at: now.plus(pause), probing: None }
    }

    /// After a probe was answered with anything but that refusal.
    #[must_use]
    pub fn answered(self) -> Self {
        match self {
            Self::Closed { probing: Some(_), .. } | Self::Open => Self::Open,
            closed @ Self::Closed { probing: None, .. } => closed,
        }
    }

    /// After a probe got no answer that says anything: the next may be made after this time.
    #[must_use]
    pub fn unanswered(self, now: Stamp, again: Duration) -> Self {
        match self {
            Self::Closed { text, refusals, probing: Some(_), .. } => {
                Self::Closed { text, refusals, probe_at: now.plus(again), probing: None }
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_rarely_and_opens_on_an_answer() {
        let start = Stamp(0);
        let minutes = |n: u64| start.plus(Duration::from_secs(n * 60));
        let closed = Breaker::Open.refused(start, "spent", None).refused(start, "spent", None);
        assert!(
            !closed.is_open() && !closed.probe_due(minutes(14)) && closed.probe_due(minutes(15))
        );
        let probing = closed.probing(minutes(15));
        assert!(!probing.probe_due(minutes(15)), "one probe at a time");
        assert!(probing.probe_due(minutes(25)), "a lost probe does not block for ever");
        let again = probing.clone().refused(minutes(15), "spent", None);
        assert!(!again.probe_due(minutes(44)) && again.probe_due(minutes(45)), "twice as long");
        assert_eq!(probing.clone().answered(), Breaker::Open);
        let minute = Duration::from_secs(60);
        assert!(probing.unanswered(minutes(15), minute).probe_due(minutes(16)));
        assert!(!again.answered().is_open(), "a late answer to an earlier call is no probe");
        let known = Breaker::Open.refused(start, "spent", Some(minutes(50)));
        assert!(!known.probe_due(minutes(49)) && known.probe_due(minutes(50)));
        let late = Breaker::Open.refused(start, "spent", Some(minutes(5000)));
        assert!(late.probe_due(minutes(120)), "others may end sooner than is known");
    }

    proptest::proptest! {
        #[test]
        fn lets_at_most_one_probe_through_in_a_quarter_of_an_hour(steps in proptest::collection::vec(1..40u64, 1..60)) {
            let mut now = Stamp(0);
            let mut state = Breaker::Open.refused(now, "spent", None);
            let mut last: Option<Stamp> = None;
            for minutes in steps {
                now = now.plus(Duration::from_secs(minutes * 60));
                if state.probe_due(now) {
                    proptest::prop_assert!(last.is_none_or(|last| now.since(last) >= FIRST));
                    last = Some(now);
                    state = state.probing(now).refused(now, "spent", None);
                }
            }
        }
    }
}

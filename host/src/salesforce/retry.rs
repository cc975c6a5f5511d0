//! Decides, from values alone, whether a request is made again and after how long.

use std::time::Duration;

/// What went wrong in a way that may pass by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// No connection could be made; nothing was sent.
    NotSent,
    /// The answer did not come in time.
    Timeout,
    /// The connection broke, before the answer or within it.
    Broken,
    /// The answer is not whole JSON.
    Damaged,
    /// The server or its edge had a fault of its own (5xx, 406, 408, 420).
    Server(u16),
    /// Too many requests at once (429, or a concurrency limit).
    Crowded,
    /// Another refresh of the same token is under way.
    TokenBusy,
}

impl Trouble {
    /// The trouble that this HTTP status tells of, if it is one that may pass.
    pub fn of_status(status: u16) -> Option<Self> {
        match status {
            429 => Some(Self::Crowded),
            406 | 408 | 420 | 500 | 502..=599 => Some(Self::Server(status)),
            _ => None,
        }
    }
}

/// How often and how patiently requests are made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How often a request is made at most, the first time included.
    pub attempts: u32,
    /// The pause after the first failure; it doubles with each further one.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { attempts: 5, first: Duration::from_millis(500), longest: Duration::from_secs(30) }
    }
}

impl Policy {
    /// The pause before the next attempt after `failed` failures (at least 1), or none: give up. `jitter` is random in
    /// 0..1 and takes up to half of the pause away; `wanted` is the server's own wish.
    pub fn pause(
        &self,
        trouble: Trouble,
        failed: u32,
        jitter: f64,
        wanted: Option<Duration>,
    ) -> Option<Duration> {
        if failed >= self.attempts {
            return None;
        }
        // A crowd goes away more slowly than a broken connection.
        let first =
            if trouble == Trouble::Crowded { self.first.saturating_mul(4) } else { self.first };
        let doubled = first.saturating_mul(1 << failed.saturating_sub(1).min(16)).min(self.longest);
        let pause = doubled.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0);
        Some(pause.max(wanted.unwrap_or_default().min(self.longest)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ends_and_stays_within_bounds(
            attempts in 0..10u32, first in 0..5000u64, longest in 0..60_000u64, jitter in -1.0..2.0f64,
            wanted in prop::option::of(0..1_000_000u64), crowded: bool,
        ) {
            let (first, longest) = (Duration::from_millis(first), Duration::from_millis(longest));
            let policy = Policy { attempts, first, longest };
            let trouble = if crowded { Trouble::Crowded } else { Trouble::Broken };
            for failed in 1..20 {
                let pause = policy.pause(trouble, failed, jitter, wanted.map(Duration::from_millis));
                prop_assert_eq!(pause.is_some(), failed < attempts);
                prop_assert!(pause.unwrap_or_default() <= longest);
            }
        }
    }

    #[test]
    fn doubles_with_jitter() {
        let policy = Policy::default();
        let pause = |failed, jitter| policy.pause(Trouble::Broken, failed, jitter, None).unwrap();
        assert_eq!(pause(1, 0.0), Duration::from_millis(500));
        assert_eq!(pause(2, 0.0), Duration::from_millis(1000));
        assert_eq!(pause(2, 1.0), Duration::from_millis(500));
        let wanted = Some(Duration::from_secs(7));
        assert_eq!(policy.pause(Trouble::Server(503), 1, 0.0, wanted), wanted);
    }

    #[test]
    fn tells_passing_states_from_lasting_ones() {
        for status in [406, 408, 420, 429, 500, 502, 503, 504] {
            assert!(Trouble::of_status(status).is_some(), "{status}");
        }
        for status in [200, 301, 304, 400, 401, 403, 404, 405, 410, 414, 431, 501] {
            assert!(Trouble::of_status(status).is_none(), "{status}");
        }
    }
}

//! How long somebody who entered wrong passwords must wait: pure, by values of time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::model::Stamp;

/// Mistakes that cost nothing.
const FREE: u32 = 3;
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(300);
/// After so long without a mistake all are forgotten.
const FORGOTTEN: Duration = Duration::from_secs(900);
/// Addresses that are remembered; beyond that the older half is forgotten.
const REMEMBERED: usize = 4096;

/// Wrong passwords by address.
#[derive(Debug, Default)]
pub(super) struct Attempts(HashMap<IpAddr, (u32, Stamp)>);

/// How long is waited after so many mistakes: nothing for the first three, then one second, doubled each time.
fn wait(mistakes: u32) -> Duration {
    match mistakes.checked_sub(FREE + 1) {
        None => Duration::ZERO,
        Some(over) => Duration::from_secs(1 << over.min(20)).min(LONGEST),
    }
}

impl Attempts {
    /// How long this address has to wait still; none: it may try.
    pub(super) fn wait(&self, who: IpAddr, now: Stamp) -> Option<Duration> {
        let (mistakes, last) = self.0.get(&who)?;
        let left = wait(*mistakes).saturating_sub(now.since(*last));
        (!left.is_zero()).then_some(left)
    }

    /// Notes a wrong password.
    pub(super) fn wrong(&mut self, who: IpAddr, now: Stamp) {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&who) {
            self.forget();
        }
        let (mistakes, last) = self.0.entry(who).or_insert((0, now));
        let before = if now.since(*last) < FORGOTTEN { *mistakes } else { 0 };
        *mistakes = before.saturating_add(1);
        *last = now;
    }

    /// Forgets the older half: seldom, so that an attempt from ever new addresses costs little on average.
    fn forget(&mut self) {
        let mut times: Vec<Stamp> = self.0.values().map(|(_, last)| *last).collect();
        let half = times.len() / 2;
        let (_, middle, _) = times.select_nth_unstable(half);
        let middle = *middle;
        self.0.retain(|_, (_, last)| *last > middle);
    }

    /// Forgets the mistakes of an address that knew the password.
    pub(super) fn right(&mut self, who: IpAddr) {
        self.0.remove(&who);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn waits_grow_and_end() {
        let (mut attempts, mut now) = (Attempts::default(), Stamp(1_000_000));
        let mut waits = Vec::new();
        for _ in 0..14 {
            attempts.wrong(WHO, now);
            let wait = attempts.wait(WHO, now).unwrap_or_default();
            waits.push(wait.as_secs());
            now = now.plus(wait);
            assert_eq!(attempts.wait(WHO, now), None, "the wait ends");
        }
        assert_eq!(waits, [0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        attempts.right(WHO);
        attempts.wrong(WHO, now);
        assert_eq!(attempts.wait(WHO, now), None);

        // After a quarter of an hour one more mistake is the first again.
        (0..9).for_each(|_| attempts.wrong(WHO, now));
        assert!(attempts.wait(WHO, now).is_some());
        now = now.plus(FORGOTTEN);
        attempts.wrong(WHO, now);
        assert_eq!(attempts.wait(WHO, now), None);
    }

    proptest::proptest! {
        #[test]
        fn memory_is_bounded_and_waits_too(mistakes: u32, many in 0..9000_u32) {
            proptest::prop_assert!(wait(mistakes) <= LONGEST);
            let mut attempts = Attempts::default();
            for n in 0..many {
                attempts.wrong(IpAddr::from(n.to_be_bytes()), Stamp(i64::from(n)));
            }
            proptest::prop_assert!(attempts.0.len() <= REMEMBERED);
        }
    }
}

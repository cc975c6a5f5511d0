//! What syncs are expected to need, and what must be kept back for them. Pure.
//!
//! Nested levels of protection: a call is made only when what is left after it still covers what more important syncs
//! are expected to need until their day is full. A first pass is less important than any regular run. So that no sync
//! starves, each has a floor that even the important ones leave to it, and below its own floor a sync leaves to others no
//! more than the floors of more important ones.

use crate::model::SyncName;

/// What one sync is expected to need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The sync.
    pub sync: SyncName,
    /// The larger, the more important.
    pub priority: i32,
    /// Calls of its regular runs in 24 hours.
    pub day: u64,
    /// Calls in 24 hours that are always left to it.
    pub floor: u64,
}

/// A need, and how much of it has been met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// See [`Need::priority`].
    pub priority: i32,
    /// See [`Need::day`].
    pub day: u64,
    /// See [`Need::floor`].
    pub floor: u64,
    /// Its calls of the last 24 hours, those of first passes apart.
    pub spent: u64,
}

impl Claim {
    fn need(&self) -> u64 {
        self.day.max(self.floor).saturating_sub(self.spent)
    }

    fn floor(&self) -> u64 {
        self.floor.saturating_sub(self.spent)
    }
}

/// How many calls must be left after one of the sync at place `asker`; none: of no sync, which is more important than all.
/// `spent` is what counts against the asker's own floor.
pub fn kept_back(claims: &[Claim], asker: Option<usize>, backfill: bool, spent: u64) -> u64 {
    let Some(own) = asker.and_then(|place| claims.get(place)) else { return 0 };
    let others = claims.iter().enumerate().filter(|(place, _)| Some(*place) != asker);
    let kept = others.map(|(_, other)| {
        let more_important = backfill || other.priority > own.priority;
        if spent < own.floor {
            if other.priority > own.priority { other.floor() } else { 0 }
        } else if more_important {
            other.need()
        } else {
            other.floor()
        }
    });
    kept.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Calls of several syncs with a cap; each call leaves after a while, as in a rolling day.
    #[derive(Debug)]
    struct World {
        claims: Vec<Claim>,
        live: std::collections::VecDeque<usize>,
        cap: u64,
    }

    impl World {
        fn ask(&mut self, sync: usize) -> bool {
            let spent = self.claims[sync].spent;
            let kept = kept_back(&self.claims, Some(sync), false, spent);
            let fits = self.live.len() as u64 + kept < self.cap;
            if fits {
                self.live.push_back(sync);
                self.claims[sync].spent += 1;
            }
            fits
        }

        fn expire(&mut self) {
            if let Some(sync) = self.live.pop_front() {
                self.claims[sync].spent -= 1;
            }
        }
    }

    fn world(needs: &[(i32, u64, u64)], cap: u64) -> World {
        let claim =
            |&(priority, day, floor): &(i32, u64, u64)| Claim { priority, day, floor, spent: 0 };
        World { claims: needs.iter().map(claim).collect(), live: Default::default(), cap }
    }

    proptest! {
        /// However the others race: who asks for no more than was expected of it is never refused, when what is expected of
        /// it and of the more important ones fits the cap beside the floors of the others.
        #[test]
        fn the_important_get_what_was_expected(
            steps in prop::collection::vec((0..4usize, 0..3u8), 1..400),
            days in prop::array::uniform4(1..40u64),
            room in 0..30u64,
        ) {
            let needs: Vec<_> = (0..4).map(|i| (10 - i as i32, days[i], 1)).collect();
            let cap = days[0] + days[1] + 2 + room;
            let mut world = world(&needs, cap);
            for (sync, expire) in steps {
                if expire == 0 {
                    world.expire();
                }
                let within = world.claims[sync].spent < days[sync];
                if sync < 2 && !within {
                    continue;
                }
                let granted = world.ask(sync);
                prop_assert!(granted || sync >= 2, "{world:?}");
                prop_assert!(world.live.len() as u64 <= cap);
            }
        }

        /// Everybody gets at least the floor, whatever the more important ones take.
        #[test]
        fn nobody_starves(
            steps in prop::collection::vec((0..4usize, 0..3u8), 1..400),
            extra in 0..20u64,
        ) {
            let needs: Vec<_> = (0..4).map(|i| (10 - i, 1000, 3)).collect();
            let mut world = world(&needs, 12 + extra);
            for (sync, expire) in steps {
                if expire == 0 {
                    world.expire();
                }
                let below = world.claims[sync].spent < 3;
                prop_assert!(world.ask(sync) || !below, "{world:?}");
            }
        }

        #[test]
        fn more_spent_never_keeps_more_back(
            list in prop::collection::vec((-2..3i32, 0..50u64, 0..9u64, 0..60u64), 1..6),
            asker in 0..6usize, backfill: bool, more in 0..9u64,
        ) {
            let mut claims: Vec<_> = list
                .into_iter()
                .map(|(priority, day, floor, spent)| Claim { priority, day, floor, spent })
                .collect();
            let asker = asker % claims.len();
            let before = kept_back(&claims, Some(asker), backfill, 10);
            for (place, claim) in claims.iter_mut().enumerate() {
                claim.spent += if place == asker { 0 } else { more };
            }
            prop_assert!(kept_back(&claims, Some(asker), backfill, 10) <= before);
            prop_assert!(kept_back(&claims, Some(asker), true, 10) >= kept_back(&claims, Some(asker), false, 10));
            prop_assert_eq!(kept_back(&claims, None, backfill, 0), 0);
        }
    }
}

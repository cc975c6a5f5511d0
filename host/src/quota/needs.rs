//! What syncs are expected to need, and what must be kept back for them. Pure.
//!
//! This is the rule by which `priority` and `backfill` decide when calls are scarce. Everybody who may still want calls has
//! a [`Claim`]: each sync for its regular runs, and all first passes together, which are less important than any regular
//! run.
//!
//! - A call is made only when what is left after it still covers what the more important claims are expected to need until
//!   their 24 hours are full, and the floors of all others.
//! - A floor is what is left to a claim whatever the more important ones need: for a sync the calls of one run over the
//!   changes of a day, for first passes, while there is one, half of their share (`backfill`). So neither starves: not the
//!   least important sync, not a first pass beside regular runs that could spend everything, not these beside a first pass.
//! - Whoever has not spent its floor yet leaves to others no more than the floors of more important ones.
//!
//! All floors together always fit into what kilofold may spend in 24 hours ([`claims`] cuts them until they do), so the calls
//! below a floor are there when they are asked for, however the others race.

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
    /// Calls in 24 hours that are always left to it, where there are as many.
    pub floor: u64,
    /// Whether its object was not read whole yet, so that it has no regular runs but a first pass.
    pub first_pass: bool,
}

/// A need, and how much of it has been met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// See [`Need::priority`]; none: that of all first passes.
    pub priority: Option<i32>,
    /// See [`Need::day`].
    pub day: u64,
    /// See [`Need::floor`].
    pub floor: u64,
    /// Its calls of the last 24 hours, those of first passes apart.
    pub spent: u64,
}

impl Claim {
    /// Calls that it is still expected to need.
    pub fn need(&self) -> u64 {
        self.day.max(self.floor).saturating_sub(self.spent)
    }

    fn floor(&self) -> u64 {
        self.floor.saturating_sub(self.spent)
    }
}

/// The place of the claim of all first passes among [`claims`]; those of the syncs follow in their order.
pub const FIRST_PASSES: usize = 0;

/// The claims of these needs, of which nothing was met yet, when kilofold may spend `room` calls in 24 hours and first passes
/// `backfill` of them. All floors together are at most `room`: those of syncs are cut to a common height, and what that
/// leaves goes one by one to the most important.
pub fn claims(needs: &[Need], room: u64, backfill: u64) -> Vec<Claim> {
    let first_pass = needs.iter().any(|need| need.first_pass);
    let floor = if first_pass { backfill.min(room) / 2 } else { 0 };
    let mut claims = vec![Claim { priority: None, day: floor, floor, spent: 0 }];
    claims.extend(needs.iter().map(|need| Claim {
        priority: Some(need.priority),
        day: need.day,
        floor: need.floor,
        spent: 0,
    }));
    cut(claims.get_mut(FIRST_PASSES + 1..).unwrap_or_default(), room - floor);
    claims
}

/// Cuts floors until they fit.
fn cut(claims: &mut [Claim], room: u64) {
    let sum = |height: u64| {
        claims.iter().map(|claim| claim.floor.min(height)).fold(0, u64::saturating_add)
    };
    if sum(u64::MAX) <= room {
        return;
    }
    // The greatest height at which they fit.
    let (mut fits, mut over) = (0, room.saturating_add(1));
    while over - fits > 1 {
        let height = fits + (over - fits) / 2;
        if sum(height) <= room { fits = height } else { over = height }
    }
    let mut left = room - sum(fits);
    let mut order: Vec<&mut Claim> = claims.iter_mut().collect();
    order.sort_by_key(|claim| std::cmp::Reverse(claim.priority));
    for claim in order {
        let more = u64::from(claim.floor > fits && left > 0);
        claim.floor = claim.floor.min(fits) + more;
        left -= more;
    }
}

/// How many calls must be left after one of the claim at place `asker`, and for the claims at which places; nothing where
/// there is no asker: a call of no sync is more important than all.
pub fn kept_for(claims: &[Claim], asker: Option<usize>) -> impl Iterator<Item = (usize, u64)> {
    let own = asker.and_then(|place| Some((place, claims.get(place)?)));
    own.into_iter().flat_map(move |(asker, own)| {
        let others = claims.iter().enumerate().filter(move |(place, _)| *place != asker);
        others.map(move |(place, other)| {
            let more_important = other.priority > own.priority;
            let kept = match (own.spent < own.floor, more_important) {
                (true, true) | (false, false) => other.floor(),
                (true, false) => 0,
                (false, true) => other.need(),
            };
            (place, kept)
        })
    })
}

/// How many calls must be left in all, see [`kept_for`].
pub fn kept_back(claims: &[Claim], asker: Option<usize>) -> u64 {
    kept_for(claims, asker).fold(0, |sum, (_, kept)| sum.saturating_add(kept))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn need(name: &str, priority: i32, day: u64, floor: u64) -> Need {
        Need { sync: SyncName::new(name).unwrap(), priority, day, floor, first_pass: false }
    }

    /// Calls of several syncs and of first passes with a cap; each call leaves after a while, as in a rolling day.
    #[derive(Debug)]
    struct World {
        claims: Vec<Claim>,
        live: std::collections::VecDeque<usize>,
        cap: u64,
        backfill: u64,
    }

    impl World {
        /// A call of the claim at this place.
        fn ask(&mut self, place: usize) -> bool {
            let kept = kept_back(&self.claims, Some(place));
            let share = place != FIRST_PASSES || self.claims[place].spent < self.backfill;
            let fits = share && self.live.len() as u64 + kept < self.cap;
            if fits {
                self.live.push_back(place);
                self.claims[place].spent += 1;
            }
            fits
        }

        fn expire(&mut self) {
            if let Some(place) = self.live.pop_front() {
                self.claims[place].spent -= 1;
            }
        }

        fn below_floor(&self, place: usize) -> bool {
            self.claims[place].spent < self.claims[place].floor
        }
    }

    fn world(needs: &[Need], cap: u64, backfill: u64) -> World {
        World { claims: claims(needs, cap, backfill), live: Default::default(), cap, backfill }
    }

    fn needs() -> impl Strategy<Value = Vec<Need>> {
        let one = (-2..3i32, 0..60u64, 0..20u64, any::<bool>());
        prop::collection::vec(one, 1..6).prop_map(|list| {
            let make = |(n, (priority, day, floor, first_pass))| Need {
                first_pass,
                ..need(&format!("s{n}"), priority, day, floor)
            };
            list.into_iter().enumerate().map(make).collect()
        })
    }

    /// Who asks, and whether a call leaves before.
    fn steps() -> impl Strategy<Value = Vec<(usize, u8)>> {
        prop::collection::vec((0..6usize, 0..3u8), 1..400)
    }

    proptest! {
        /// However the others race, first passes among them: who asks for no more than was expected of it is never refused,
        /// when what is expected of it and of the more important ones fits beside the floors of the others.
        #[test]
        fn the_important_get_what_was_expected(
            steps in steps(),
            days in prop::array::uniform4(1..40u64),
            backfill in 0..60u64,
            room in 0..30u64,
        ) {
            let mut needs: Vec<_> =
                (0..4).map(|i| need(&format!("s{i}"), 10 - i as i32, days[i], 1)).collect();
            needs.push(Need { first_pass: true, ..need("new", 0, 0, 0) });
            let cap = days[0] + days[1] + 2 + backfill / 2 + room;
            let mut world = world(&needs, cap, backfill.min(cap));
            for (place, expire) in steps {
                if expire == 0 {
                    world.expire();
                }
                let important = (1..=2).contains(&place);
                if important && world.claims[place].spent >= days[place - 1] {
                    continue;
                }
                let granted = world.ask(place);
                prop_assert!(granted || !important, "{world:?}");
                prop_assert!(world.live.len() as u64 <= cap);
            }
        }

        /// Everybody gets at least the floor, whatever others need and take: the least important sync, and first passes. Only
        /// who asks for more than that is ever refused.
        #[test]
        fn nobody_starves(needs in needs(), steps in steps(), cap in 0..120u64, backfill in 0..120u64) {
            let mut world = world(&needs, cap, backfill.min(cap));
            for (place, expire) in steps {
                let place = place % world.claims.len();
                if expire == 0 {
                    world.expire();
                }
                let below = world.below_floor(place);
                prop_assert!(world.ask(place) || !below, "{world:?}");
            }
        }

        /// The floors fit into what there is; that of first passes is half of their share while there is one, the others are
        /// cut as little as can be, and to none while there are calls for all.
        #[test]
        fn floors_always_fit(needs in needs(), room in 0..150u64, backfill in 0..200u64) {
            let claims = claims(&needs, room, backfill);
            let (first, syncs) = (claims[FIRST_PASSES], &claims[FIRST_PASSES + 1..]);
            let sum: u64 = claims.iter().map(|claim| claim.floor).sum();
            prop_assert!(sum <= room);
            let waits = needs.iter().any(|need| need.first_pass);
            prop_assert_eq!(first.floor, if waits { backfill.min(room) / 2 } else { 0 });
            let asked: u64 = needs.iter().map(|need| need.floor).sum();
            prop_assert_eq!(sum, (asked + first.floor).min(room));
            for (claim, need) in syncs.iter().zip(&needs) {
                prop_assert_eq!((claim.day, claim.priority), (need.day, Some(need.priority)));
                prop_assert!(claim.floor <= need.floor);
                let enough = room - first.floor >= needs.len() as u64;
                prop_assert!(claim.floor >= need.floor.min(u64::from(enough)));
            }
        }

        /// A first pass never costs a sync more than the floor of first passes.
        #[test]
        fn a_first_pass_takes_no_more_than_its_share(needs in needs(), rounds in 0..200usize, cap in 1..120u64, backfill in 0..120u64) {
            let mut world = world(&needs, cap, backfill.min(cap));
            for _ in 0..rounds {
                world.ask(FIRST_PASSES);
            }
            let spent = world.claims[FIRST_PASSES].spent;
            prop_assert!(spent <= backfill);
            let expected: u64 = world.claims[1..].iter().map(Claim::need).sum();
            let free = cap.saturating_sub(expected);
            prop_assert!(spent <= free.max(world.claims[FIRST_PASSES].floor));
        }

        #[test]
        fn more_spent_never_keeps_more_back(needs in needs(), asker in 0..6usize, spent in 0..60u64, more in 0..9u64) {
            let mut claims = claims(&needs, 100, 50);
            let asker = asker % claims.len();
            claims.iter_mut().for_each(|claim| claim.spent = spent);
            let before = kept_back(&claims, Some(asker));
            for (place, claim) in claims.iter_mut().enumerate() {
                claim.spent += if place == asker { 0 } else { more };
            }
            prop_assert!(kept_back(&claims, Some(asker)) <= before);
            prop_assert_eq!(kept_back(&claims, None), 0);
        }
    }

    #[test]
    fn floors_are_cut_to_one_height_the_most_important_last() {
        let floors = |room| {
            let list = [need("low", 0, 0, 8), need("high", 9, 0, 8), need("small", 5, 0, 2)];
            let claims = claims(&list, room, 0);
            [1, 2, 3].map(|place| claims[place].floor)
        };
        assert_eq!(floors(18), [8, 8, 2]);
        assert_eq!(floors(11), [4, 5, 2]);
        assert_eq!(floors(2), [0, 1, 1]);
        assert_eq!(floors(0), [0, 0, 0]);
    }
}

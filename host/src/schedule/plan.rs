//! What is due when: pure functions of values, the time among them.

use std::time::Duration;

use crate::config::When;
use crate::model::{Ending, Stamp, Trigger};

/// The most that a start is put off, so that many hosts and syncs do not ask at one moment.
const MOST_JITTER: Duration = Duration::from_secs(30);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The least wait after a pause, so that a time that has passed already cannot make a sync spin.
const LEAST_PAUSE: Duration = Duration::from_secs(5);

/// The least time between the end of a run for want of a connection and the next.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// What is known of the last run of a sync.
#[derive(Debug, Clone, PartialEq)]
pub struct Last {
    /// When it began.
    pub started: Stamp,
    /// How it ended.
    pub ending: Ending,
    /// Whether this process saw it end; an interruption is made good at the next start.
    pub seen: bool,
}

/// When a sync is due next, and what will have started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When; in the past when it is late, which it then is once.
    pub at: Stamp,
    /// What will have started it.
    pub trigger: Trigger,
}

/// When a sync is due, from its schedule and its last run. `seed` is the sync's own.
pub fn due(when: &When, last: Option<&Last>, now: Stamp, seed: u64) -> Option<Due> {
    let regular = |at: Stamp| Due { at, trigger: Trigger::Schedule };
    let Some(last) = last else {
        return match when {
            When::Every(_) => Some(regular(now)),
            When::Cron(cron) => cron.after(now).map(|at| regular(put_off(when, at, seed))),
            When::Manual => None,
        };
    };
    match &last.ending {
        Ending::Paused { resumes_at: Some(at), .. } => {
            let at = if last.seen { (*at).max(now.plus(LEAST_PAUSE)) } else { *at };
            return Some(Due { at, trigger: Trigger::Resume });
        }
        // A connection is waited for, however long that takes: see `reconnected`.
        ending if waits_for_connection(ending) => return None,
        Ending::Interrupted if !last.seen && *when != When::Manual => {
            return Some(Due { at: now, trigger: Trigger::Resume });
        }
        _ => {}
    }
    // A clock that was set back must not put a sync to sleep for as long.
    let since = last.started.min(now);
    let at = match when {
        When::Every(interval) => since.plus(*interval),
        When::Cron(cron) => cron.after(since)?,
        When::Manual => return None,
    };
    Some(regular(put_off(when, at, seed)))
}

/// Whether a sync whose last run ended so waits for a person to authorise its connection.
pub fn waits_for_connection(ending: &Ending) -> bool {
    matches!(ending, Ending::Paused { code, resumes_at: None, .. } if code.starts_with("auth."))
}

/// When a sync goes on whose connection can be used again, and whose last run ended at `ended`: now, unless that was a
/// moment ago, so that nothing can make a sync spin.
pub fn reconnected(ended: Stamp, now: Stamp) -> Due {
    // Of a clock that was set back it is waited for no longer than that.
    let at = ended.min(now).plus(LEAST_WAIT).max(now);
    Due { at, trigger: Trigger::Resume }
}

/// How often a schedule starts a run in the 24 hours from `now` on; none: only when asked.
pub fn runs_a_day(when: &When, now: Stamp) -> Option<u64> {
    match when {
        When::Manual => None,
        When::Every(interval) => Some(crate::quota::runs_a_day(*interval)),
        When::Cron(cron) => {
            let (end, mut at, mut runs) = (now.plus(DAY), now, 0);
            // A day has no more seconds than this, so the walk ends.
            while runs < 86_400 {
                match cron.after(at) {
                    Some(next) if next <= end => (at, runs) = (next, runs + 1),
                    _ => break,
                }
            }
            Some(runs)
        }
    }
}

/// A little later, by an amount that depends on nothing but the seed and the time itself.
fn put_off(when: &When, at: Stamp, seed: u64) -> Stamp {
    let gap = match when {
        When::Every(interval) => *interval,
        When::Cron(cron) => cron.after(at).map_or(Duration::ZERO, |next| next.since(at)),
        When::Manual => Duration::ZERO,
    };
    let most = (gap / 20).min(MOST_JITTER).as_millis();
    let most = u64::try_from(most).unwrap_or(0);
    at.plus(Duration::from_millis(mix(seed ^ at.0.unsigned_abs()) % (most + 1)))
}

/// A number that follows from the name of a sync, the same on every machine.
pub fn seed(base: u64, name: &str) -> u64 {
    name.bytes().fold(mix(base), |seed, byte| mix(seed ^ u64::from(byte)))
}

/// The finaliser of SplitMix64: every bit of the result depends on every bit of `x`.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// One sync, as far as choosing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its place in the caller's list.
    pub index: usize,
    /// Whether it runs now, and so cannot start.
    pub running: bool,
    /// Whether it is neither disabled nor paused.
    pub free: bool,
    /// Since when somebody has asked for it, whatever its schedule says.
    pub asked: Option<Stamp>,
    /// When it is due; none: never by itself.
    pub due: Option<Due>,
    /// Larger goes first.
    pub priority: i32,
}

impl Candidate {
    fn ready(&self, now: Stamp) -> Option<(Trigger, Stamp)> {
        if self.running || !self.free {
            return None;
        }
        match (self.asked, self.due) {
            (Some(at), _) => Some((Trigger::Manual, at)),
            (None, Some(due)) if due.at <= now => Some((due.trigger, due.at)),
            _ => None,
        }
    }
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    /// Start these, in this order.
    pub start: Vec<(usize, Trigger)>,
    /// These are due too, but all places are taken.
    pub waiting: Vec<usize>,
    /// Nothing more is due before this time; none: not by itself.
    pub wake: Option<Stamp>,
}

/// Chooses what starts now when at most `bound` may run at once: the asked-for first, then by priority, then the
/// longest due.
pub fn choose(candidates: &[Candidate], now: Stamp, bound: usize) -> Choice {
    let running = candidates.iter().filter(|candidate| candidate.running).count();
    let mut ready: Vec<_> = candidates
        .iter()
        .filter_map(|candidate| candidate.ready(now).map(|(trigger, at)| (candidate, trigger, at)))
        .collect();
    ready.sort_by_key(|(candidate, trigger, at)| {
        (*trigger != Trigger::Manual, -i64::from(candidate.priority), *at, candidate.index)
    });
    let places = bound.saturating_sub(running);
    let waiting = ready.iter().skip(places).map(|(candidate, ..)| candidate.index).collect();
    let start =
        ready.iter().take(places).map(|(candidate, trigger, _)| (candidate.index, *trigger));
    let later = candidates.iter().filter(|candidate| candidate.free && !candidate.running);
    let wake = later.filter_map(|candidate| candidate.due).map(|due| due.at).filter(|at| *at > now);
    Choice { start: start.collect(), waiting, wake: wake.min() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Cron;

    const NOW: Stamp = Stamp(1_700_000_000_000);

    fn ran(started: Stamp, ending: Ending) -> Last {
        Last { started, ending, seen: true }
    }

    fn whens() -> impl Strategy<Value = When> {
        prop_oneof![
            (1_u64..1_000_000).prop_map(|seconds| When::Every(Duration::from_secs(seconds))),
            (0_u32..60, 0_u32..24, prop_oneof![Just("UTC"), Just("Europe/Berlin")]).prop_map(
                |(minute, hour, zone)| {
                    When::Cron(Cron::new(&format!("{minute} {hour} * * *"), zone).unwrap())
                }
            ),
            Just(When::Manual),
        ]
    }

    fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
        let one = (any::<bool>(), any::<bool>(), any::<bool>(), -50_i64..50, -3..3_i32);
        prop::collection::vec(one, 0..12).prop_map(|list| {
            let make = |(index, (running, free, asked, offset, priority))| Candidate {
                index,
                running,
                free,
                asked: (asked && offset < 0).then_some(NOW),
                due: (offset != 7)
                    .then_some(Due { at: Stamp(NOW.0 + offset), trigger: Trigger::Schedule }),
                priority,
            };
            list.into_iter().enumerate().map(make).collect()
        })
    }

    proptest! {
        // However late: due now, once, and after the run not before the next time.
        #[test]
        fn missed_ticks_run_once(when in whens(), late in 0_u64..10_000_000, seed: u64) {
            let last = ran(NOW.minus(Duration::from_secs(late)), Ending::Succeeded);
            if let Some(first) = due(&when, Some(&last), NOW, seed) {
                let start = first.at.max(NOW);
                let next = due(&when, Some(&ran(start, Ending::Succeeded)), start, seed).unwrap();
                prop_assert!(next.at > start);
            } else {
                prop_assert_eq!(when, When::Manual);
            }
        }

        #[test]
        fn jitter_is_small_and_repeats(seconds in 1_u64..100_000, seed: u64, ago in 0_u64..1000) {
            let when = When::Every(Duration::from_secs(seconds));
            let last = ran(NOW.minus(Duration::from_secs(ago)), Ending::Succeeded);
            let one = due(&when, Some(&last), NOW, seed).unwrap();
            let exact = last.started.plus(Duration::from_secs(seconds));
            prop_assert!(one.at >= exact);
            let most = Duration::from_secs(30).min(Duration::from_secs(seconds) / 20);
            prop_assert!(one.at.since(exact) <= most);
            // The same whenever it is asked.
            prop_assert_eq!(Some(one), due(&when, Some(&last), NOW.plus(most * 9), seed));
        }

        #[test]
        fn a_clock_set_back_delays_by_one_interval_at_most(seconds in 1_u64..100_000, ahead in 0_u64..10_000_000, seed: u64) {
            let interval = Duration::from_secs(seconds);
            let last = ran(NOW.plus(Duration::from_secs(ahead)), Ending::Succeeded);
            let next = due(&When::Every(interval), Some(&last), NOW, seed).unwrap();
            prop_assert!(next.at <= NOW.plus(interval + interval / 20));
        }

        #[test]
        fn a_pause_ends_when_it_said(when in whens(), in_ms in -1000_i64..1_000_000, seed: u64) {
            let at = Stamp(NOW.0 + in_ms);
            let ending = Ending::Paused { code: "limit.daily".into(), reason: String::new(), resumes_at: Some(at) };
            let mut last = ran(NOW, ending);
            let next = due(&when, Some(&last), NOW, seed);
            let at_least = at.max(NOW.plus(LEAST_PAUSE));
            prop_assert_eq!(next, Some(Due { at: at_least, trigger: Trigger::Resume }));
            last.seen = false;
            let next = due(&when, Some(&last), NOW, seed);
            prop_assert_eq!(next, Some(Due { at, trigger: Trigger::Resume }));
        }

        // Whatever its schedule, and whether this process saw it or not.
        #[test]
        fn a_lost_connection_is_waited_for(when in whens(), late in 0_u64..10_000_000, seen: bool, seed: u64) {
            let ending = Ending::Paused { code: "auth.reconnect".into(), reason: String::new(), resumes_at: None };
            prop_assert!(waits_for_connection(&ending));
            let ended = NOW.minus(Duration::from_millis(late));
            let last = Last { started: ended, ending, seen };
            prop_assert_eq!(due(&when, Some(&last), NOW, seed), None);
            let next = reconnected(ended, NOW);
            prop_assert_eq!(next.trigger, Trigger::Resume);
            prop_assert!(next.at >= NOW && next.at <= NOW.plus(LEAST_WAIT));
            prop_assert!(late < 1000 || next.at == NOW);
            prop_assert_eq!(reconnected(NOW.plus(Duration::from_secs(late)), NOW).at, NOW.plus(LEAST_WAIT));
        }

        #[test]
        fn the_bound_holds_and_nothing_overlaps(list in candidates(), bound in 0_usize..6) {
            let choice = choose(&list, NOW, bound);
            let running = list.iter().filter(|one| one.running).count();
            prop_assert!(choice.start.is_empty() || running + choice.start.len() <= bound);
            let mut seen = std::collections::BTreeSet::new();
            for (index, _) in &choice.start {
                prop_assert!(!list[*index].running && list[*index].free);
                prop_assert!(seen.insert(*index));
            }
            // No place stays empty while something waits.
            prop_assert!(choice.waiting.is_empty() || running + choice.start.len() >= bound);
            for index in &choice.waiting {
                prop_assert!(seen.insert(*index));
            }
            // What is ready is started or waits; nothing else is.
            let ready = list.iter().filter(|one| one.ready(NOW).is_some()).count();
            prop_assert_eq!(ready, seen.len());
            prop_assert!(choice.wake.is_none_or(|at| at > NOW));
        }

        #[test]
        fn the_important_go_first(list in candidates(), bound in 0_usize..6) {
            let choice = choose(&list, NOW, bound);
            for (index, trigger) in &choice.start {
                for waiting in &choice.waiting {
                    let (one, other) = (&list[*index], &list[*waiting]);
                    let asked = (*trigger == Trigger::Manual, other.asked.is_some());
                    prop_assert!(asked != (false, true));
                    prop_assert!(asked == (true, false) || one.priority >= other.priority);
                }
            }
        }
    }

    #[test]
    fn a_first_run_is_due_at_once_but_for_cron() {
        let now = Stamp::parse("2024-01-05T12:00:00Z").unwrap();
        let every = When::Every(Duration::from_secs(900));
        assert_eq!(due(&every, None, now, 1).unwrap().at, now);
        let cron = When::Cron(Cron::new("0 6 * * *", "UTC").unwrap());
        let at = due(&cron, None, now, 1).unwrap().at;
        let six = Stamp::parse("2024-01-06T06:00:00Z").unwrap();
        assert!(at >= six && at.since(six) <= MOST_JITTER);
        assert_eq!(due(&When::Manual, None, now, 1), None);
    }

    #[test]
    fn an_interruption_is_made_good_at_the_next_start_only() {
        let every = When::Every(Duration::from_secs(900));
        let mut last = ran(NOW, Ending::Interrupted);
        assert!(due(&every, Some(&last), NOW, 1).unwrap().at > NOW);
        last.seen = false;
        let next = due(&every, Some(&last), NOW, 1).unwrap();
        assert_eq!(next, Due { at: NOW, trigger: Trigger::Resume });
        assert_eq!(due(&When::Manual, Some(&last), NOW, 1), None);
    }

    #[test]
    fn counts_the_runs_of_a_day() {
        let now = Stamp::parse("2026-11-23T14:00:00Z").unwrap();
        let every = |secs| runs_a_day(&When::Every(Duration::from_secs(secs)), now);
        assert_eq!((every(900), every(60), every(7 * 86_400)), (Some(96), Some(1440), Some(1)));
        assert_eq!(runs_a_day(&When::Manual, now), None);
        let cron = |text| runs_a_day(&When::Cron(Cron::new(text, "UTC").unwrap()), now);
        assert_eq!((cron("0 6,18 * * *"), cron("*/5 * * * *")), (Some(2), Some(288)));
    }

    #[test]
    fn seeds_differ_by_name() {
        assert_eq!(seed(1, "Contact"), seed(1, "Contact"));
        assert_ne!(seed(1, "Contact"), seed(1, "Account"));
        assert_ne!(seed(1, "Contact"), seed(2, "Contact"));
    }
}

//! What is due when: pure functions of values, the time among them.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::When;
use crate::model::{Ending, Stamp, Trigger};
use crate::salesforce::MOST_TOGETHER;

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
    /// Whether it found next to nothing, as the next one then is expected to.
    pub quiet: bool,
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
    let at = exact(when, last.started.min(now))?;
    Some(regular(put_off(when, at, seed)))
}

/// The regular time after a run that began at `since`, not put off.
fn exact(when: &When, since: Stamp) -> Option<Stamp> {
    match when {
        When::Every(interval) => Some(since.plus(*interval)),
        When::Cron(cron) => cron.after(since),
        When::Manual => None,
    }
}

/// From when on a sync may start because others do: what keeps many syncs from asking at one moment is not wanted of those
/// that ask in one call. Never before the time that a cron expression names. None: it starts by itself only, since its last
/// run did not go well, or found more than next to nothing.
pub fn with_others(when: &When, last: Option<&Last>, now: Stamp) -> Option<Stamp> {
    let last = last.filter(|last| last.quiet && last.ending.is_success())?;
    let at = exact(when, last.started.min(now))?;
    Some(if matches!(when, When::Every(_)) { at.minus(jitter(when, at)) } else { at })
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
    let most = u64::try_from(jitter(when, at).as_millis()).unwrap_or(0);
    at.plus(Duration::from_millis(mix(seed ^ at.0.unsigned_abs()) % (most + 1)))
}

/// The most that a start at this time is put off.
fn jitter(when: &When, at: Stamp) -> Duration {
    let gap = match when {
        When::Every(interval) => *interval,
        When::Cron(cron) => cron.after(at).map_or(Duration::ZERO, |next| next.since(at)),
        When::Manual => Duration::ZERO,
    };
    (gap / 20).min(MOST_JITTER)
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
    /// The group that it runs in, if it started with others.
    pub group: Option<u64>,
    /// Whether it is neither disabled nor paused.
    pub free: bool,
    /// Since when somebody has asked for it, whatever its schedule says.
    pub asked: Option<Stamp>,
    /// When it is due; none: never by itself.
    pub due: Option<Due>,
    /// From when on it may start with others; see [`with_others`].
    pub together: Option<Stamp>,
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

    /// Whether it may start because others do.
    fn joins(&self, now: Stamp) -> bool {
        let regular = self.due.is_some_and(|due| due.trigger == Trigger::Schedule);
        let near = self.together.is_some_and(|at| at <= now);
        regular && near && !self.running && self.free && self.asked.is_none()
    }
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    /// Start these, in this order.
    pub start: Vec<(usize, Trigger)>,
    /// Of them, those that ask together: two to [`MOST_TOGETHER`] each.
    pub groups: Vec<Vec<usize>>,
    /// These are due too, but all places are taken.
    pub waiting: Vec<usize>,
    /// Nothing more is due before this time; none: not by itself.
    pub wake: Option<Stamp>,
}

/// The places that are taken: one by each run, or by each group, since its runs are expected to find together what one run
/// finds.
fn places(candidates: &[Candidate]) -> usize {
    let running = || candidates.iter().filter(|candidate| candidate.running);
    let groups: BTreeSet<u64> = running().filter_map(|one| one.group).collect();
    running().filter(|one| one.group.is_none()).count() + groups.len()
}

/// Chooses what starts now when at most `bound` places may be taken at once: the asked-for first, then by priority, then the
/// longest due. A sync that expects next to nothing takes others like it along, as far as they are due or nearly so.
pub fn choose(candidates: &[Candidate], now: Stamp, bound: usize) -> Choice {
    let mut ready: Vec<_> = candidates
        .iter()
        .filter_map(|candidate| candidate.ready(now).map(|(trigger, at)| (candidate, trigger, at)))
        .collect();
    ready.sort_by_key(|(candidate, trigger, at)| {
        (*trigger != Trigger::Manual, -i64::from(candidate.priority), *at, candidate.index)
    });
    let mut taken = places(candidates);
    let mut choice = Choice::default();
    for (candidate, trigger, _) in &ready {
        let joins = candidate.joins(now);
        let room = choice.groups.last().is_some_and(|group| group.len() < MOST_TOGETHER);
        if !(joins && room) {
            if taken >= bound {
                choice.waiting.push(candidate.index);
                continue;
            }
            taken += 1;
            if joins {
                choice.groups.push(Vec::new());
            }
        }
        choice.start.push((candidate.index, *trigger));
        if let Some(group) = choice.groups.last_mut().filter(|_| joins) {
            group.push(candidate.index);
        }
    }
    if let Some(group) = choice.groups.last_mut() {
        let mut near: Vec<_> = candidates
            .iter()
            .filter(|candidate| candidate.joins(now) && candidate.ready(now).is_none())
            .collect();
        near.sort_by_key(|one| (-i64::from(one.priority), one.due.map(|due| due.at), one.index));
        for candidate in near.into_iter().take(MOST_TOGETHER.saturating_sub(group.len())) {
            group.push(candidate.index);
            choice.start.push((candidate.index, Trigger::Schedule));
        }
    }
    choice.groups.retain(|group| group.len() > 1);
    let later = candidates.iter().filter(|candidate| candidate.free && !candidate.running);
    let wake = later.filter_map(|candidate| candidate.due).map(|due| due.at).filter(|at| *at > now);
    choice.wake = wake.min();
    choice
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Cron;

    const NOW: Stamp = Stamp(1_700_000_000_000);

    fn ran(started: Stamp, ending: Ending) -> Last {
        Last { started, ending, seen: true, quiet: false }
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
        let flags = (any::<bool>(), any::<bool>(), any::<bool>());
        let one = (flags, -50_i64..50, -3..3_i32, prop::option::of(-50_i64..10), 0..9_u64);
        prop::collection::vec(one, 0..16).prop_map(|list| {
            type Drawn = ((bool, bool, bool), i64, i32, Option<i64>, u64);
            let make = |(index, drawn): (usize, Drawn)| {
                let ((running, free, asked), offset, priority, early, group) = drawn;
                Candidate {
                    index,
                    running,
                    group: (running && group < 3).then_some(group),
                    free,
                    together: early.map(|early| Stamp(NOW.0 + offset + early)),
                    asked: (asked && offset < 0).then_some(NOW),
                    due: (offset != 7)
                        .then_some(Due { at: Stamp(NOW.0 + offset), trigger: Trigger::Schedule }),
                    priority,
                }
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
            let last = Last { started: ended, ending, seen, quiet: true };
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
            let grouped: usize = choice.groups.iter().map(Vec::len).sum();
            let taken = places(&list) + choice.start.len() - grouped + choice.groups.len();
            prop_assert!(choice.start.is_empty() || taken <= bound);
            let mut seen = std::collections::BTreeSet::new();
            for (index, _) in &choice.start {
                prop_assert!(!list[*index].running && list[*index].free);
                prop_assert!(seen.insert(*index));
            }
            // No place stays empty while something waits.
            prop_assert!(choice.waiting.is_empty() || taken >= bound);
            for index in &choice.waiting {
                prop_assert!(seen.insert(*index));
            }
            // What is ready is started or waits; nothing else is but what others take along.
            let ready = list.iter().filter(|one| one.ready(NOW).is_some());
            prop_assert!(ready.clone().all(|one| seen.contains(&one.index)));
            let along = choice.groups.iter().flatten().filter(|i| list[**i].ready(NOW).is_none());
            prop_assert_eq!(ready.count() + along.count(), seen.len());
            for group in &choice.groups {
                prop_assert!((2..=MOST_TOGETHER).contains(&group.len()));
                prop_assert!(group.iter().any(|i| list[*i].ready(NOW).is_some()), "one is due");
                prop_assert!(group.iter().all(|i| list[*i].joins(NOW)));
            }
            prop_assert!(choice.wake.is_none_or(|at| at > NOW));
        }

        #[test]
        fn the_important_go_first(list in candidates(), bound in 0_usize..6) {
            let choice = choose(&list, NOW, bound);
            let along = |index: &usize| choice.groups.iter().any(|group| group[1..].contains(index));
            // One that goes along with others takes nobody's place.
            for (index, trigger) in choice.start.iter().filter(|(index, _)| !along(index)) {
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
    fn idle_syncs_go_together() {
        let every = |minutes: u64| When::Every(Duration::from_secs(60 * minutes));
        let quiet = |started| Last { quiet: true, ..ran(started, Ending::Succeeded) };
        let candidate = |index, when: &When, last: &Last| Candidate {
            index,
            running: false,
            group: None,
            free: true,
            asked: None,
            due: due(when, Some(last), NOW, seed(7, &index.to_string())),
            together: with_others(when, Some(last), NOW),
            priority: 0,
        };
        // Seven syncs began at one time. When the first of them is due, it takes four along; the others go together as well.
        let began = NOW.minus(Duration::from_secs(15 * 60 + 40));
        let seven: Vec<Candidate> =
            (0..7).map(|index| candidate(index, &every(15), &quiet(began))).collect();
        let first = seven.iter().map(|one| one.due.unwrap().at).min().unwrap();
        let choice = choose(&seven, first, 1);
        assert_eq!((choice.start.len(), choice.groups.len(), choice.waiting.len()), (5, 1, 0));
        assert_eq!(seven[choice.groups[0][0]].due.unwrap().at, first, "the one that is due leads");
        let all = choose(&seven, NOW, 2);
        assert_eq!(all.groups.iter().map(Vec::len).collect::<Vec<_>>(), [5, 2]);
        // Before the first is due nothing starts, however near.
        assert_eq!(choose(&seven, first.minus(Duration::from_millis(1)), 9).start, []);

        // One that expects more, or whose last run went badly, neither goes along nor takes others along.
        let busy = ran(began, Ending::Succeeded);
        let broken = Last { quiet: true, ..ran(began, Ending::Interrupted) };
        let mixed = [candidate(0, &every(15), &busy), candidate(1, &every(15), &broken), seven[2]];
        assert_eq!(choose(&mixed, NOW, 9).groups, [[0; 0]; 0]);
        // An interval is not cut short by more than starts are put off anyway.
        let later = quiet(began.plus(Duration::from_secs(71)));
        let far = [seven[0], candidate(1, &every(15), &later)];
        assert_eq!(choose(&far, NOW, 9).start.len(), 1);
        let near =
            [seven[0], candidate(1, &every(15), &quiet(began.plus(Duration::from_secs(69))))];
        assert_eq!(choose(&near, NOW, 9).groups, [[0, 1]]);

        // A cron expression's time is kept.
        let now = Stamp::parse("2024-01-05T05:59:59Z").unwrap();
        let six = When::Cron(Cron::new("0 6 * * *", "UTC").unwrap());
        let last = quiet(now.minus(Duration::from_secs(23 * 60 * 60)));
        let at = Stamp::parse("2024-01-05T06:00:00Z");
        assert_eq!(with_others(&six, Some(&last), now), at.ok());
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

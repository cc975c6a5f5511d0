use proptest::prelude::*;

use super::*;
use crate::quota::ledger::{DAY, UNDER_WAY};

fn purpose() -> impl Strategy<Value = Purpose> {
    prop::sample::select(Purpose::ALL.as_slice())
}

fn rules() -> impl Strategy<Value = Rules> {
    let share =
        prop_oneof![(0..200u64).prop_map(Share::Calls), (0..=120u8).prop_map(Share::Percent)];
    (prop::option::of(share.clone()), 0..300u64, prop::option::of(0..50u64), share).prop_map(
        |(allowance, reserve, per_run, backfill)| Rules {
            allowance,
            reserve,
            per_run,
            backfill,
            entitlement: None,
            concurrent: 1,
        },
    )
}

const NOW: Stamp = Stamp(1_000_000_000);

proptest! {
    #[test]
    fn never_grants_past_a_rule(
        rules in rules(),
        (used, max, age) in (0..400u64, 1..400u64, prop::option::of(0..80_000_000i64)),
        (day, run, first) in (0..400u64, 0..60u64, 0..100u64),
        looked in prop::option::of(0..4_000_000i64),
        (purpose, backfill, kept_back) in (purpose(), any::<bool>(), 0..40u64),
    ) {
        let back = |ms: i64| Stamp(NOW.0 - ms);
        let org = OrgDay { max, used, read: age.map(back) };
        let ours = Spent { day, backfill: first, run, looked: looked.map(back) };
        let ask = Ask { purpose, backfill, kept_back };
        let granted = decide(NOW, &rules, &org, &ours, &ask) == Decision::Grant;
        if !purpose.counted() {
            prop_assert!(granted);
            return Ok(());
        }
        let cap = rules.allowance.map(|share| share.of(max));
        let left_by_cap = cap.is_none_or(|cap| day + kept_back < cap);
        let left_by_org = used + rules.reserve + kept_back < max;
        let left_by_run = rules.per_run.is_none_or(|cap| run < cap);
        let most = cap.unwrap_or(u64::MAX).min(max.saturating_sub(rules.reserve));
        let left_by_first = !backfill || (first < rules.backfill.of(most) && first < most);
        let quarter = 15 * 60_000;
        let looking = matches!(purpose, Purpose::Limits | Purpose::Probe)
            && age.is_none_or(|age| age >= quarter)
            && looked.is_none_or(|age| age >= quarter);
        if granted {
            prop_assert!(left_by_run && left_by_cap && left_by_first);
            prop_assert!(left_by_org || looking);
        } else {
            prop_assert!(!left_by_run || !left_by_cap || !left_by_org || !left_by_first);
        }
    }

    /// The time at which enough fits again is the first at which it does.
    #[test]
    fn the_time_of_resuming_is_right(
        rules in rules(), max in 20..200u64, foreign in 0..150u64,
        calls in prop::collection::vec((0..100_000_000i64, 0..3usize, any::<bool>()), 1..80),
        others in prop::collection::vec((0..86_400_000i64, 1..30u64), 0..10),
        (days, floors) in (prop::array::uniform3(0..30u64), prop::array::uniform4(0..4u64)),
        (asker, backfill, worth) in (0..3usize, any::<bool>(), 1..6u64),
    ) {
        let mut releases: Vec<Release> = calls
            .iter()
            .map(|(ms, sync, backfill)| Release { at: Stamp(NOW.0 + ms), sync: Some(*sync), backfill: *backfill })
            .collect();
        releases.sort_by_key(|release| release.at);
        let mut others: Vec<_> = others.into_iter().map(|(ms, n)| (Stamp(NOW.0 + ms), n)).collect();
        others.sort();
        let caps = Caps::of(&rules, max);
        let place = if backfill { FIRST_PASSES } else { asker + 1 };
        // The world at a moment, by plain counting.
        let fits = |at: Stamp| {
            let left: Vec<&Release> = releases.iter().filter(|release| release.at > at).collect();
            let day = left.len() as u64;
            let first = left.iter().filter(|release| release.backfill).count() as u64;
            let spent = |sync| left.iter().filter(|r| !r.backfill && r.sync == Some(sync)).count() as u64;
            let mut claims = vec![Claim { priority: None, day: floors[3], floor: floors[3], spent: first }];
            claims.extend((0..3).map(|i| {
                Claim { priority: Some(i as i32), day: days[i], floor: floors[i], spent: spent(i) }
            }));
            let kept_back = kept_back(&claims, Some(place));
            let theirs: u64 = others.iter().filter(|(other, _)| *other > at).map(|(_, n)| n).sum();
            let used = foreign + day + theirs;
            let then = Spent { day: day + worth - 1, backfill: first + worth - 1, ..Spent::default() };
            let ask = Ask { purpose: Purpose::Query, backfill, kept_back };
            (caps.bound(used + worth - 1, &then, &ask).is_none(), used, day, first, claims)
        };
        let (_, used, day, first, claims) = fits(NOW.minus(Duration::from_secs(1)));
        let outlook = Outlook {
            caps,
            used,
            ours: Spent { day, backfill: first, ..Spent::default() },
            claims: &claims,
            asker: Some(place),
            backfill,
            worth,
        };
        let found = when_fits(&outlook, releases.iter().copied(), &others, |sync| Some(sync + 1));
        let mut moments: Vec<Stamp> = releases.iter().map(|r| r.at).chain(others.iter().map(|(at, _)| *at)).collect();
        moments.sort();
        let first = moments.into_iter().find(|at| fits(*at).0);
        prop_assert_eq!(found, first);
    }
}

#[test]
fn a_full_day_is_looked_at_again_but_rarely() {
    let rules = Rules::default();
    let ask = |purpose| Ask { purpose, backfill: false, kept_back: 0 };
    let full = |read| OrgDay { max: 15_000, used: 15_000, read };
    let reserve = |look| Decision::Wait { bound: Bound::Reserve, look };
    let mut ours = Spent::default();
    let decide_at =
        |now, ours: &Spent, purpose| decide(now, &rules, &full(Some(NOW)), ours, &ask(purpose));
    assert_eq!(decide_at(NOW, &ours, Purpose::Query), reserve(false));
    assert_eq!(decide_at(NOW, &ours, Purpose::Probe), reserve(false));
    let later = NOW.plus(LOOK_EVERY);
    assert_eq!(decide_at(later, &ours, Purpose::Query), reserve(true));
    assert_eq!(decide_at(later, &ours, Purpose::Probe), Decision::Grant);
    // A look that told nothing is not made again at once.
    ours.looked = Some(later);
    assert_eq!(decide_at(later, &ours, Purpose::Probe), reserve(false));
    // Nothing known: one look.
    let blind = |ours: &Spent| decide(NOW, &rules, &full(None), ours, &ask(Purpose::Limits));
    assert_eq!(blind(&Spent::default()), Decision::Grant);
    assert_eq!(blind(&Spent { looked: Some(NOW), ..ours }), reserve(false));
    // Where the allowance is spent, looking helps nobody.
    let rules = Rules { allowance: Some(Share::Calls(5)), ..rules };
    let ours = Spent { day: 5, ..Spent::default() };
    let found = decide(later, &rules, &full(Some(NOW)), &ours, &ask(Purpose::Probe));
    assert_eq!(found, Decision::Wait { bound: Bound::Allowance, look: false });
}

#[test]
fn a_call_frees_when_it_can_no_longer_count() {
    let release = Release { at: NOW.plus(DAY + UNDER_WAY), sync: None, backfill: false };
    let outlook = Outlook {
        caps: Caps { allowance: Some(1), backfill: 1, org: 100 },
        used: 1,
        ours: Spent { day: 1, ..Spent::default() },
        claims: &[],
        asker: None,
        backfill: false,
        worth: 1,
    };
    assert_eq!(when_fits(&outlook, std::iter::once(release), &[], Some), Some(release.at));
    let never = Outlook { caps: Caps { allowance: Some(0), backfill: 0, org: 0 }, ..outlook };
    assert_eq!(when_fits(&never, std::iter::once(release), &[], Some), None);
}

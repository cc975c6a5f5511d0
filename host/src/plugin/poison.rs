//! Finds the records of a batch that break a plugin: which slices to try, in what order, and when to stop. Pure.

use std::ops::Range;
use std::time::Duration;

/// What a broken slice means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// One of its records is guilty; smaller slices are tried.
    Divided,
    /// This record breaks the plugin by itself.
    Guilty(usize),
    /// This record breaks the plugin by itself, and it is one too many.
    TooMany(usize),
    /// The time for the search is spent.
    OutOfTime,
}

/// The slices of a batch still to be tried.
#[derive(Debug)]
pub(super) struct Plan {
    /// The next is the last one here.
    slices: Vec<Range<usize>>,
    guilty: u32,
    most: u32,
    searching: Option<Duration>,
    patience: Duration,
}

impl Plan {
    /// The whole of a batch first. At most `most` guilty records and `patience` spent on slices after the first break
    /// are borne.
    pub(super) fn new(records: usize, most: u32, patience: Duration) -> Self {
        let mut plan = Self { slices: Vec::new(), guilty: 0, most, searching: None, patience };
        plan.push(0..records);
        plan
    }

    /// The slice to try next.
    pub(super) fn next(&mut self) -> Option<Range<usize>> {
        self.slices.pop()
    }

    /// A slice was mapped in this time.
    pub(super) fn mapped(&mut self, took: Duration) {
        if let Some(searching) = &mut self.searching {
            *searching += took;
        }
    }

    /// A slice broke after this time, perhaps at the record that the plugin named (counted within the slice; a plugin
    /// may lie, which costs it time and nothing else).
    pub(super) fn broke(
        &mut self,
        slice: Range<usize>,
        named: Option<usize>,
        took: Duration,
    ) -> Verdict {
        if slice.len() <= 1 {
            self.guilty += 1;
            self.mapped(took);
            if self.guilty > self.most {
                return Verdict::TooMany(slice.start);
            }
            return Verdict::Guilty(slice.start);
        }
        match &mut self.searching {
            None => self.searching = Some(Duration::ZERO),
            Some(spent) => {
                *spent += took;
                if *spent > self.patience {
                    return Verdict::OutOfTime;
                }
            }
        }
        // Pushed back to front, so that records are tried in order.
        match named.filter(|named| *named < slice.len()).map(|named| slice.start + named) {
            Some(named) => {
                self.push(named + 1..slice.end);
                self.push(named..named + 1);
                self.push(slice.start..named);
            }
            None => {
                let middle = slice.start + slice.len() / 2;
                self.push(middle..slice.end);
                self.push(slice.start..middle);
            }
        }
        Verdict::Divided
    }

    fn push(&mut self, slice: Range<usize>) {
        if !slice.is_empty() {
            self.slices.push(slice);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Runs a plan against a plugin that breaks on `poison`; gives who was found guilty, how often each record was
    /// mapped, and how many slices and records were tried.
    fn search(
        records: usize,
        poison: &BTreeSet<usize>,
        mut name: impl FnMut(&Range<usize>) -> Option<usize>,
    ) -> (BTreeSet<usize>, Vec<u32>, usize, usize) {
        let mut plan = Plan::new(records, u32::MAX, Duration::from_secs(1));
        let (mut guilty, mut mapped) = (BTreeSet::new(), vec![0; records]);
        let (mut slices, mut tried) = (0, 0);
        while let Some(slice) = plan.next() {
            slices += 1;
            tried += slice.len();
            if poison.range(slice.clone()).next().is_none() {
                slice.clone().for_each(|i| mapped[i] += 1);
                plan.mapped(Duration::ZERO);
                continue;
            }
            match plan.broke(slice.clone(), name(&slice), Duration::ZERO) {
                Verdict::Divided => {}
                Verdict::Guilty(i) => assert!(guilty.insert(i)),
                other => panic!("{other:?}"),
            }
        }
        (guilty, mapped, slices, tried)
    }

    proptest! {
        #[test]
        fn finds_exactly_the_guilty(records in 0_usize..1200, seeds in prop::collection::btree_set(0_usize..1200, 0..12)) {
            let poison: BTreeSet<usize> = seeds.into_iter().filter(|i| *i < records).collect();
            let (guilty, mapped, slices, tried) = search(records, &poison, |_| None);
            prop_assert_eq!(&guilty, &poison);
            for (i, count) in mapped.iter().enumerate() {
                prop_assert_eq!(*count, u32::from(!poison.contains(&i)));
            }
            let levels = records.max(1).ilog2() as usize + 2;
            prop_assert!(slices <= 1 + 2 * levels * poison.len().max(1));
            prop_assert!(tried <= records * (1 + levels.min(2 * poison.len() * levels)));
        }

        #[test]
        fn a_lying_plugin_changes_nothing(
            records in 1_usize..300,
            seeds in prop::collection::btree_set(0_usize..300, 0..8),
            lies in prop::collection::vec(prop::option::of(0_usize..400), 1..20),
        ) {
            let poison: BTreeSet<usize> = seeds.into_iter().filter(|i| *i < records).collect();
            let mut lie = lies.iter().cycle().copied();
            let (guilty, mapped, slices, _) = search(records, &poison, |_| lie.next().flatten());
            prop_assert_eq!(&guilty, &poison);
            prop_assert_eq!(mapped.iter().map(|n| *n as usize).sum::<usize>(), records - poison.len());
            prop_assert!(slices <= 3 * records + 1);
        }

        #[test]
        fn an_honest_plugin_is_searched_in_three_slices_a_record(
            seeds in prop::collection::btree_set(0_usize..1000, 1..20),
        ) {
            let (guilty, _, slices, _) = search(1000, &seeds, |slice| {
                seeds.range(slice.clone()).next().map(|i| i - slice.start)
            });
            prop_assert_eq!(&guilty, &seeds);
            prop_assert!(slices <= 1 + 3 * seeds.len());
        }
    }

    #[test]
    fn stops_at_one_guilty_record_too_many() {
        let mut plan = Plan::new(8, 2, Duration::from_secs(1));
        let mut ends = Vec::new();
        while let Some(slice) = plan.next() {
            match plan.broke(slice, None, Duration::ZERO) {
                Verdict::Divided => {}
                Verdict::TooMany(i) => {
                    ends.push(i);
                    break;
                }
                Verdict::Guilty(i) => ends.push(i),
                Verdict::OutOfTime => panic!("there was time"),
            }
        }
        assert_eq!(ends, [0, 1, 2]);
    }

    #[test]
    fn stops_when_the_time_is_spent_but_not_for_the_first_break() {
        let long = Duration::from_secs(10);
        let mut plan = Plan::new(4, 9, Duration::from_secs(15));
        let whole = plan.next().unwrap();
        assert_eq!(plan.broke(whole, None, Duration::from_secs(100)), Verdict::Divided);
        let half = plan.next().unwrap();
        assert_eq!(plan.broke(half, None, long), Verdict::Divided);
        plan.next().unwrap();
        plan.mapped(long);
        let last = plan.next().unwrap();
        assert_eq!(plan.broke(last, None, long), Verdict::Guilty(1));
        let rest = plan.next().unwrap();
        assert_eq!(plan.broke(rest, None, long), Verdict::OutOfTime);
    }
}

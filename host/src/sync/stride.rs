//! How much of a window one query asks for: all of it, until that takes Salesforce too long; then less and less, and slowly
//! more again. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{Scan, Stamp, Window};

/// The records that are asked for when all of them were too many.
const FIRST: u32 = 32_000;

/// As few as are asked for: Salesforce's smallest page.
const LEAST: u32 = 200;

/// From so many on nothing is gained by asking for a part.
const MOST: u32 = 1_000_000;

/// Parts that must be read well before a larger one is tried; twice as many after each that was too large.
const PATIENCE: u16 = 4;

/// Patience has this end, so that a large part is tried again one day.
const LONGEST: u16 = 256;

/// A part of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// What changed within so many seconds, at least 1.
    Seconds(u64),
    /// So many records, at least 1.
    Records(u32),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Seconds(1) => write!(f, "1 second of changes"),
            Self::Seconds(n @ ..120) => write!(f, "{n} seconds of changes"),
            Self::Seconds(n @ ..7_200) => write!(f, "{} minutes of changes", n / 60),
            Self::Seconds(n @ ..172_800) => write!(f, "{} hours of changes", n / 3_600),
            Self::Seconds(n) => write!(f, "{} days of changes", n / 86_400),
            Self::Records(n) => write!(f, "{n} records"),
        }
    }
}

/// How a sync goes through its windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stride {
    /// What one query asks for; none: the whole window.
    pub part: Option<Part>,
    /// Parts of that size that were read well.
    good: u16,
    /// How many there must be.
    wanted: u16,
}

impl Default for Stride {
    fn default() -> Self {
        Self { part: None, good: 0, wanted: PATIENCE }
    }
}

/// What one query asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The stretch of the window.
    pub window: Window,
    /// The most records of it.
    pub limit: Option<u32>,
}

impl Asked {
    /// What is left of `window`, which was advanced to the last record of this query, when the query found `total` records
    /// and all of them were read; none: nothing is left.
    pub fn rest(&self, window: Window, total: u64) -> Option<Window> {
        match self.limit {
            Some(limit) => (total >= u64::from(limit)).then_some(window),
            None if self.window.to < window.to => {
                let from = Some(Stamp(self.window.to.0.saturating_add(1)));
                Some(Window { from, ..window })
            }
            None => None,
        }
    }
}

/// Where what is left of a window by time begins; none: at the beginning of all, or it is read by Id.
fn begin(window: &Window) -> Option<Stamp> {
    let reached = window.at.map(|at| at.stamp);
    (window.scan == Scan::ByStamp).then(|| window.from.max(reached)).flatten()
}

/// How many seconds are left of a window that begins there, at least 1.
fn seconds(begin: Stamp, window: &Window) -> u64 {
    window.to.since(begin).as_secs().saturating_add(1)
}

impl Stride {
    /// What to ask for next.
    pub fn ask(&self, window: &Window) -> Asked {
        match (self.part, begin(window)) {
            (Some(Part::Seconds(n)), Some(begin)) if n < seconds(begin, window) => {
                let length = i64::try_from(n).unwrap_or(i64::MAX).saturating_mul(1_000);
                let to = Stamp(begin.0.saturating_add(length - 1)).min(window.to);
                Asked { window: Window { to, ..*window }, limit: None }
            }
            // By time there is nothing to count, and the other way round: a part of the other kind is of another scan.
            (Some(Part::Records(n)), None) => Asked { window: *window, limit: Some(n) },
            _ => Asked { window: *window, limit: None },
        }
    }

    /// After a query took too long of which this much of the window is left: half as much. None: it was the least already.
    #[must_use]
    pub fn narrower(self, window: &Window) -> Option<Self> {
        let part = match (begin(window), self.part) {
            (Some(begin), part) => {
                let left = seconds(begin, window);
                let now = match part {
                    Some(Part::Seconds(n)) => n.min(left),
                    _ => left,
                };
                (now > 1).then(|| Part::Seconds(now.div_ceil(2)))
            }
            (None, Some(Part::Records(n))) => {
                (n > LEAST).then(|| Part::Records((n / 2).max(LEAST)))
            }
            (None, _) => Some(Part::Records(FIRST)),
        };
        let wanted = self.wanted.saturating_mul(2).min(LONGEST);
        part.map(|part| Self { part: Some(part), good: 0, wanted })
    }

    /// After a part was read well, of which this much of the window is left.
    #[must_use]
    pub fn went_well(self, left: &Window) -> Self {
        let good = self.good.saturating_add(1);
        if self.part.is_none() || good < self.wanted {
            return Self { good: if self.part.is_none() { 0 } else { good }, ..self };
        }
        let part = match self.part {
            Some(Part::Seconds(n)) => {
                let all = begin(left).map_or(u64::MAX, |begin| seconds(begin, left));
                Some(n.saturating_mul(2)).filter(|n| *n < all.max(86_400)).map(Part::Seconds)
            }
            Some(Part::Records(n)) => {
                Some(n.saturating_mul(2)).filter(|n| *n <= MOST).map(Part::Records)
            }
            None => None,
        };
        Self { part, good: 0, ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::window;
    use super::*;
    use crate::model::{Cursor, Record, RecordId, Span};

    /// An org whose queries take too long when they find more than `most` records.
    #[derive(Debug, Clone)]
    struct Slow {
        /// Stamp in seconds by number.
        rows: BTreeMap<u32, i64>,
        most: usize,
        page: usize,
    }

    fn record(n: u32, second: i64) -> Record {
        let id = RecordId::parse(&format!("003{n:012}")).unwrap();
        let stamp = Stamp(second * 1000);
        Record { id, stamp, deleted: false, at: Span::default(), leaves: Span::default() }
    }

    impl Slow {
        fn query(&self, asked: &Asked) -> Option<Vec<Record>> {
            let Asked { window, limit } = asked;
            let mut found: Vec<Record> = self.rows.iter().map(|(n, at)| record(*n, *at)).collect();
            found
                .retain(|r| r.stamp <= window.to && window.from.is_none_or(|from| r.stamp >= from));
            match window.scan {
                Scan::ById => found.retain(|r| window.at.is_none_or(|at| r.id > at.id)),
                Scan::ByStamp => {
                    found.sort_by_key(|r| (r.stamp, r.id));
                    found
                        .retain(|r| window.at.is_none_or(|at| (r.stamp, r.id) > (at.stamp, at.id)));
                }
            }
            found.truncate(limit.map_or(usize::MAX, |limit| limit as usize));
            (found.len() <= self.most).then_some(found)
        }

        /// Reads a window as a run does; it is stopped after `batches`. Gives the cursor and whether it got stuck.
        fn read(
            &self,
            cursor: &Cursor,
            mut stride: Stride,
            batches: usize,
            seen: &mut BTreeMap<RecordId, usize>,
        ) -> (Cursor, Stride, bool) {
            let mut window = cursor.open.unwrap();
            let mut left = batches;
            for queries in 0.. {
                assert!(queries < 3_000, "no progress: {stride:?} {window:?}");
                let asked = stride.ask(&window);
                let Some(found) = self.query(&asked) else {
                    match stride.narrower(&window) {
                        Some(narrower) => stride = narrower,
                        None => return (window::within(cursor, window), stride, true),
                    }
                    continue;
                };
                for batch in found.chunks(self.page) {
                    if left == 0 {
                        return (window::within(cursor, window), stride, false);
                    }
                    left -= 1;
                    for record in batch {
                        *seen.entry(record.id).or_default() += 1;
                    }
                    let asked = Window { at: window.at, ..asked.window };
                    window.at = window::advance(asked, batch).at;
                }
                match asked.rest(window, found.len() as u64) {
                    Some(rest) => window = rest,
                    None => {
                        return (window::close(cursor, window), stride.went_well(&window), false);
                    }
                }
                stride = stride.went_well(&window);
            }
            unreachable!()
        }
    }

    fn slow() -> impl Strategy<Value = Slow> {
        // Many on one second, and long stretches without any.
        let at = prop_oneof![3 => 0_i64..60, 2 => Just(100), 1 => 0_i64..3_000_000];
        (prop::collection::btree_map(0_u32..900, at, 0..400), 1_usize..300, 1_usize..120)
            .prop_map(|(rows, most, page)| Slow { rows, most, page })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]
        #[test]
        fn no_record_is_missed_or_comes_twice(
            slow in slow(), by_id: bool, from in 0_i64..200, to in 0_i64..3_000_000, stops in prop::collection::vec(0_usize..9, 0..4),
        ) {
            let window = Window {
                scan: if by_id { Scan::ById } else { Scan::ByStamp },
                from: (!by_id).then_some(Stamp(from * 1000)),
                to: Stamp((from + to) * 1000),
                at: None,
            };
            let wanted: Vec<RecordId> = slow
                .rows
                .iter()
                .map(|(n, at)| record(*n, *at))
                .filter(|r| r.stamp <= window.to && window.from.is_none_or(|from| r.stamp >= from))
                .map(|r| r.id)
                .collect();
            let mut cursor = Cursor { covered: None, open: Some(window) };
            let (mut stride, mut seen) = (Stride::default(), BTreeMap::new());
            let mut stuck = false;
            for batches in stops.into_iter().chain([usize::MAX]) {
                if cursor.open.is_some() && !stuck {
                    (cursor, stride, stuck) = slow.read(&cursor, stride, batches, &mut seen);
                }
            }
            prop_assert!(seen.values().all(|times| *times == 1));
            if stuck {
                // Even the least is too much: so many on one second, or in one page.
                let mut busy = BTreeMap::<i64, usize>::new();
                slow.rows.values().for_each(|at| *busy.entry(*at).or_default() += 1);
                let least = if by_id { LEAST as usize } else { *busy.values().max().unwrap() };
                prop_assert!(least > slow.most);
                prop_assert!(cursor.open.is_some(), "it can go on where it stopped");
            } else {
                prop_assert_eq!(seen.keys().copied().collect::<Vec<_>>(), wanted);
                prop_assert_eq!(cursor.covered, Some(window.to));
            }
        }

        #[test]
        fn halving_ends(seconds in 0_i64..10_000_000_000, by_id: bool) {
            let scan = if by_id { Scan::ById } else { Scan::ByStamp };
            let from = (!by_id).then_some(Stamp(0));
            let window = Window { scan, from, to: Stamp(seconds * 1000), at: None };
            let mut steps = 0;
            let mut stride = Stride::default();
            while let Some(narrower) = stride.narrower(&window) {
                prop_assert!(narrower.ask(&window) != stride.ask(&window));
                (stride, steps) = (narrower, steps + 1);
            }
            prop_assert!(steps < 40);
        }
    }

    #[test]
    fn grows_back_slowly() {
        let window = Window { scan: Scan::ById, from: None, to: Stamp(0), at: None };
        let mut stride = Stride::default().narrower(&window).unwrap().narrower(&window).unwrap();
        assert_eq!(stride.part, Some(Part::Records(16_000)));
        // Two were too large: sixteen must go well.
        for _ in 0..15 {
            stride = stride.went_well(&window);
        }
        assert_eq!(stride.part, Some(Part::Records(16_000)));
        stride = stride.went_well(&window);
        assert_eq!(stride.part, Some(Part::Records(32_000)));
        for _ in 0..16 * 5 {
            stride = stride.went_well(&window);
        }
        assert_eq!(stride.part, None, "a million is everything");
    }

    #[test]
    fn is_kept_as_it_is_written() {
        let stride = Stride { part: Some(Part::Seconds(3600)), good: 2, wanted: 8 };
        let text = r#"{"part":{"seconds":3600},"good":2,"wanted":8}"#;
        assert_eq!(serde_json::to_string(&stride).unwrap(), text);
        assert_eq!(serde_json::from_str::<Stride>(text).unwrap(), stride);
        assert_eq!(Part::Seconds(7_200).to_string(), "2 hours of changes");
    }
}

//! Which stretch of the org's time a run reads, and where it goes on after an interruption. Pure.

use std::time::Duration;

use crate::model::{Cursor, Position, Record, Scan, Stamp, Window};

/// The fields that can tell when a record changed, the best first.
pub const STAMP_FIELDS: [&str; 4] =
    ["SystemModstamp", "LastModifiedDate", "CreatedDate", "LoginTime"];

/// How the changes of an object are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tracking {
    /// By the best stamp field that can be filtered and sorted.
    Stamped(String),
    /// There is none: every run reads the whole object.
    FullPass,
}

impl Tracking {
    /// Chooses among the object's filterable and sortable fields.
    pub fn choose<'a>(usable: impl Iterator<Item = &'a str>) -> Self {
        let usable: Vec<&str> = usable.collect();
        STAMP_FIELDS
            .iter()
            .find(|wanted| usable.iter().any(|name| name.eq_ignore_ascii_case(wanted)))
            .map_or(Self::FullPass, |name| Self::Stamped((*name).to_owned()))
    }

    /// The stamp field, if there is one.
    pub fn stamp(&self) -> Option<&str> {
        match self {
            Self::Stamped(field) => Some(field),
            Self::FullPass => None,
        }
    }

    /// What a user should know of this choice; none when it is the best one.
    pub fn caveat(&self, object: &str) -> Option<String> {
        match self {
            Self::Stamped(field) if field == STAMP_FIELDS[0] => None,
            Self::Stamped(field) if field == STAMP_FIELDS[1] => Some(format!(
                "{object} has no SystemModstamp: changes are found by {field}, which automated processes may not move"
            )),
            Self::Stamped(field) => Some(format!(
                "{object} has neither SystemModstamp nor LastModifiedDate: new records are found by {field}, later changes of a record are not"
            )),
            Self::FullPass => Some(format!(
                "{object} has no field that tells when a record changed: every run reads the whole object"
            )),
        }
    }
}

/// How far a window keeps from the org's present, and how far it reaches back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// A window ends this long before the org's time: records may still be committing.
    pub lag: Duration,
    /// A window begins this long before the end of the last one: some were committed late.
    pub overlap: Duration,
}

/// The window that a run reads: the open one where there is one, else the next.
///
/// It ends at least a whole second before `server_now`, so that whatever changes while it is read gets a stamp behind
/// its end and is left for the next one.
pub fn open(cursor: &Cursor, tracking: &Tracking, server_now: Stamp, pace: Pace) -> Window {
    if let Some(window) = cursor.open
        && (window.scan == Scan::ById || tracking.stamp().is_some())
    {
        return window;
    }
    let lag = pace.lag.max(Duration::from_secs(1));
    let to = server_now.minus(lag).floor_second();
    match (tracking, cursor.covered) {
        (Tracking::Stamped(_), Some(covered)) => Window {
            scan: Scan::ByStamp,
            from: Some(covered.minus(pace.overlap)),
            to: to.max(covered),
            at: None,
        },
        (Tracking::Stamped(_), None) | (Tracking::FullPass, _) => {
            Window { scan: Scan::ById, from: None, to, at: None }
        }
    }
}

/// The window after these records of it were read, in the order in which they came.
///
/// A record that changed while the window was read comes at its old place with its new stamp, behind the window's end:
/// it cannot mark the place.
pub fn advance(window: Window, read: &[Record]) -> Window {
    let mark = match window.scan {
        Scan::ById => read.last(),
        Scan::ByStamp => read.iter().rev().find(|record| record.stamp <= window.to),
    };
    let at = mark.map(|record| Position { stamp: record.stamp, id: record.id });
    Window { at: at.or(window.at), ..window }
}

/// The cursor while this window is being read.
pub fn within(before: &Cursor, window: Window) -> Cursor {
    Cursor { covered: before.covered, open: Some(window) }
}

/// The cursor after this window was read whole.
pub fn close(before: &Cursor, window: Window) -> Cursor {
    Cursor { covered: Some(before.covered.map_or(window.to, |c| c.max(window.to))), open: None }
}

/// The cursor that reads this window again from its beginning: its count did not agree.
pub fn again(before: &Cursor, window: Window) -> Cursor {
    Cursor { covered: before.covered, open: Some(Window { at: None, ..window }) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{RecordId, Span};

    fn id(n: u32) -> RecordId {
        RecordId::parse(&format!("003{n:012}")).unwrap()
    }

    fn record(n: u32, stamp: i64) -> Record {
        Record {
            id: id(n),
            stamp: Stamp(stamp),
            deleted: false,
            at: Span::default(),
            leaves: Span::default(),
        }
    }

    #[test]
    fn chooses_the_best_stamp() {
        let choose = |names: &[&str]| Tracking::choose(names.iter().copied());
        assert_eq!(
            choose(&["Id", "CreatedDate", "SystemModstamp"]),
            Tracking::Stamped("SystemModstamp".into())
        );
        assert_eq!(choose(&["Id", "LoginTime"]), Tracking::Stamped("LoginTime".into()));
        assert_eq!(choose(&["Id"]), Tracking::FullPass);
        assert!(choose(&["Id"]).caveat("X").is_some());
    }

    #[test]
    fn a_record_that_moved_does_not_mark_the_place() {
        let window = Window { scan: Scan::ByStamp, from: None, to: Stamp(5000), at: None };
        let after = advance(window, &[record(1, 1000), record(2, 2000), record(3, 9000)]);
        assert_eq!(after.at, Some(Position { stamp: Stamp(2000), id: id(2) }));
    }

    /// A small org: records change, some are committed late, and the reader is interrupted after any batch.
    /// What it has in the end must be what the org has.
    #[derive(Debug, Clone)]
    enum Step {
        /// Record `n` changes and is visible after `late` seconds.
        Change { n: u32, late: i64 },
        /// Time passes.
        Wait(i64),
        /// A run reads at most `batches` batches of `size` records.
        Run { size: usize, batches: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0u32..40, 0i64..8).prop_map(|(n, late)| Step::Change { n, late }),
            2 => (0i64..20).prop_map(Step::Wait),
            3 => (1usize..5, 0usize..6).prop_map(|(size, batches)| Step::Run { size, batches }),
        ]
    }

    /// Visible rows: record -> (stamp in seconds, second from which it is visible).
    type Rows = BTreeMap<u32, Vec<(i64, i64)>>;

    fn visible(rows: &Rows, now: i64) -> Vec<(u32, i64)> {
        rows.iter()
            .filter_map(|(n, versions)| {
                versions.iter().rev().find(|(_, from)| *from <= now).map(|(stamp, _)| (*n, *stamp))
            })
            .collect()
    }

    fn select(rows: &Rows, window: &Window, now: i64) -> Vec<Record> {
        let mut found: Vec<Record> = visible(rows, now)
            .into_iter()
            .map(|(n, stamp)| record(n, stamp * 1000))
            .filter(|r| r.stamp <= window.to && window.from.is_none_or(|from| r.stamp >= from))
            .filter(|r| match (window.scan, window.at) {
                (_, None) => true,
                (Scan::ById, Some(at)) => r.id > at.id,
                (Scan::ByStamp, Some(at)) => (r.stamp, r.id) > (at.stamp, at.id),
            })
            .collect();
        match window.scan {
            Scan::ById => found.sort_by_key(|r| r.id),
            Scan::ByStamp => found.sort_by_key(|r| (r.stamp, r.id)),
        }
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn nothing_is_lost(steps in prop::collection::vec(step(), 1..60)) {
            let pace = Pace { lag: Duration::from_secs(3), overlap: Duration::from_secs(10) };
            let tracking = Tracking::Stamped("SystemModstamp".into());
            let (mut now, mut rows, mut cursor) = (1000i64, Rows::new(), Cursor::default());
            let mut stored: BTreeMap<RecordId, Stamp> = BTreeMap::new();
            let read = |rows: &Rows, now: i64, cursor: Cursor, size: usize, batches: usize,
                            stored: &mut BTreeMap<RecordId, Stamp>| {
                let mut window = open(&cursor, &tracking, Stamp(now * 1000), pace);
                for _ in 0..batches {
                    let found = select(rows, &window, now);
                    let batch = &found[..size.min(found.len())];
                    for r in batch {
                        stored.insert(r.id, r.stamp);
                    }
                    window = advance(window, batch);
                    if batch.len() == found.len() {
                        return close(&cursor, window);
                    }
                }
                within(&cursor, window)
            };
            for step in steps {
                match step {
                    Step::Change { n, late } => {
                        now += 1;
                        let versions = rows.entry(n).or_default();
                        // One transaction at a time holds a record.
                        let seen = versions.last().map_or(0, |(_, from)| *from);
                        let stamp = now.max(seen);
                        versions.push((stamp, stamp + late));
                    }
                    Step::Wait(seconds) => now += seconds,
                    Step::Run { size, batches } => {
                        cursor = read(&rows, now, cursor, size, batches, &mut stored);
                    }
                }
            }
            // When all is quiet, an uninterrupted run or two sees everything.
            for _ in 0..2 {
                now += 60;
                cursor = read(&rows, now, cursor, 1000, 1000, &mut stored);
            }
            let want: BTreeMap<RecordId, Stamp> =
                visible(&rows, now).into_iter().map(|(n, s)| (id(n), Stamp(s * 1000))).collect();
            prop_assert_eq!(stored, want);
        }
    }
}

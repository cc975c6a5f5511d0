//! The order of the records by (SystemModstamp, Id), kept up to date at a cost that follows what changed.

use std::sync::{Arc, Mutex, PoisonError};

use crate::org::Row;

/// Beyond one row in so many moved, sorting anew is cheaper than merging.
const FEW: usize = 8;

/// The index of one object; sorted when it is first wanted.
#[derive(Debug, Default)]
pub struct ByStamp {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    order: Arc<Vec<u32>>,
    /// Rows whose stamp changed since, perhaps several times.
    moved: Vec<u32>,
}

impl ByStamp {
    /// Notes that a row has another stamp. New rows need no note.
    pub fn moved(&mut self, row: u32) {
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        if (row as usize) < kept.order.len() {
            kept.moved.push(row);
        }
        if kept.moved.len() > kept.order.len() / FEW {
            kept.order = Arc::default();
            kept.moved.clear();
        }
    }

    /// Row numbers by (SystemModstamp, Id).
    pub fn order(&self, rows: &[Row]) -> Arc<Vec<u32>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.order.len();
        if known < rows.len() || !kept.moved.is_empty() {
            let mut changed = std::mem::take(&mut kept.moved);
            changed.extend(known as u32..rows.len() as u32);
            kept.order = Arc::new(merge(&kept.order, changed, rows));
        }
        Arc::clone(&kept.order)
    }
}

/// The old order with the changed rows put where they belong now.
fn merge(old: &[u32], mut changed: Vec<u32>, rows: &[Row]) -> Vec<u32> {
    let key = |row: &u32| (rows[*row as usize].stamp, *row);
    changed.sort_unstable_by_key(key);
    changed.dedup();
    let mut gone = vec![false; rows.len()];
    for row in &changed {
        gone[*row as usize] = true;
    }
    let mut out = Vec::with_capacity(rows.len());
    let mut rest = changed.into_iter().peekable();
    for row in old.iter().filter(|row| !gone[**row as usize]) {
        while let Some(next) = rest.next_if(|next| key(next) < key(row)) {
            out.push(next);
        }
        out.push(*row);
    }
    out.extend(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(stamp: i64) -> Row {
        Row {
            created: 0,
            modified: 0,
            stamp,
            edits: 0,
            revision: 0,
            deleted: false,
            purged: false,
            overridden: false,
        }
    }

    proptest! {
        #[test]
        fn the_kept_order_is_the_sorted_order(
            steps in proptest::collection::vec((any::<bool>(), proptest::collection::vec((0_usize..200, 0_i64..20), 0..30)), 1..12),
        ) {
            let mut rows: Vec<Row> = Vec::new();
            let mut index = ByStamp::default();
            for (asked, changes) in steps {
                for (place, stamp) in changes {
                    if let Some(old) = rows.get_mut(place) {
                        old.stamp = stamp;
                        index.moved(place as u32);
                    } else {
                        rows.push(row(stamp));
                    }
                }
                if asked {
                    let mut expected: Vec<u32> = (0..rows.len() as u32).collect();
                    expected.sort_by_key(|row| (rows[*row as usize].stamp, *row));
                    prop_assert_eq!(&*index.order(&rows), &expected);
                }
            }
        }
    }
}

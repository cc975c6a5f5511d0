//! Runs a plan: which rows, in which order.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::Timestamp;

use super::check::{Plan, check};
use super::filter::{Bounds, Leaf, Path};
use super::parser::parse;
use crate::data::make::Make;
use crate::data::schema::Kind;
use crate::data::value::Value;
use crate::org::{ApiError, Org, Table};
use crate::render::Node;

/// The records a query found: a snapshot of which they are; their values are read when a page is rendered.
#[derive(Debug, Clone)]
pub struct ResultSet {
    /// API name of the object.
    pub object: String,
    /// `totalSize`.
    pub total: usize,
    /// Whether it was `COUNT()`: there are no records to render.
    pub count_only: bool,
    pub(crate) place: usize,
    pub(crate) rows: Arc<Vec<u32>>,
    pub(crate) select: Arc<Node>,
}

impl ResultSet {
    /// The largest page Salesforce would give, whatever was asked for: 2000 for narrow records, 1000 for wide ones
    /// and 200 for those with several custom long texts.
    pub fn page_ceiling(&self) -> usize {
        let (long, custom) = self.select.long_texts(self.place);
        match (long, custom, self.select.len()) {
            (_, 2.., _) => 200,
            (1.., ..) | (_, _, 20..) => 1000,
            _ => 2000,
        }
    }
}

/// In which order rows are already found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    ById,
    ByIdBackward,
    ByStamp,
    ByStampBackward,
    Unsorted,
}

impl Org {
    /// Runs a SOQL query; `all` sees the recycle bin too.
    pub fn query(&self, soql: &str, all: bool, now: Timestamp) -> Result<ResultSet, ApiError> {
        let query = parse(soql)?;
        let plan = check(self, soql, &query, now)?;
        let rows = self.rows(&plan, all);
        let object = self.tables[plan.place].object().name.to_owned();
        let total = rows.len();
        let rows = if plan.count_only { Vec::new() } else { rows };
        Ok(ResultSet {
            object,
            total,
            count_only: plan.count_only,
            place: plan.place,
            rows: Arc::new(rows),
            select: plan.select,
        })
    }

    fn rows(&self, plan: &Plan, all: bool) -> Vec<u32> {
        let table = &self.tables[plan.place];
        let bounds = plan.filter.as_ref().map_or(Bounds::NONE, |filter| filter.bounds());
        let wanted = |row: &u32| {
            let state = &table.rows[*row as usize];
            !state.purged
                && (all || !state.deleted)
                && plan.filter.as_ref().is_none_or(|filter| filter.holds(self, table, *row))
        };
        let order = wanted_order(table, plan);
        let most = plan.limit.saturating_add(plan.offset);
        let stamped = matches!(order, Found::ByStamp | Found::ByStampBackward);
        let end = bounds.rows.end.min(table.rows.len() as u32);
        let range = bounds.rows.start.min(end)..end;
        let slice = if stamped || bounds.stamps != Bounds::NONE.stamps {
            let index = table.by_stamp();
            let ms = |row: &u32| table.rows[*row as usize].stamp.saturating_mul(1000);
            let from = index.partition_point(|row| ms(row) < bounds.stamps.start);
            let to = index.partition_point(|row| ms(row) < bounds.stamps.end).max(from);
            // Out of the order of stamps, the index helps only if it leaves most rows alone.
            (stamped || (to - from) * 4 < range.len()).then_some((index, from..to))
        } else {
            None
        };
        let mut rows: Vec<u32> = match slice {
            Some((index, span)) => {
                let slice = index[span].iter().copied();
                match order {
                    Found::ByStamp => slice.filter(wanted).take(most).collect(),
                    Found::ByStampBackward => slice.rev().filter(wanted).take(most).collect(),
                    _ => {
                        let mut rows: Vec<u32> = slice.filter(wanted).collect();
                        rows.sort_unstable();
                        if order == Found::ByIdBackward {
                            rows.reverse();
                        }
                        rows
                    }
                }
            }
            None => match order {
                Found::ById => range.filter(wanted).take(most).collect(),
                Found::ByIdBackward => range.rev().filter(wanted).take(most).collect(),
                _ => range.filter(wanted).collect(),
            },
        };
        if order == Found::Unsorted {
            self.sort(table, plan, &mut rows);
        }
        rows.truncate(most);
        rows.drain(..plan.offset.min(rows.len()));
        rows
    }

    fn sort(&self, table: &Table, plan: &Plan, rows: &mut Vec<u32>) {
        let mut keyed: Vec<(Vec<Value>, u32)> = rows
            .iter()
            .map(|row| {
                (plan.order.iter().map(|(path, ..)| path.value(self, table, *row)).collect(), *row)
            })
            .collect();
        keyed.sort_by(|(a, one), (b, other)| {
            let pairs = a.iter().zip(b).zip(&plan.order);
            pairs
                .fold(Ordering::Equal, |order, ((a, b), (path, descending, nulls_last))| {
                    order.then_with(|| compare(path, a, b, *descending, *nulls_last))
                })
                .then(one.cmp(other))
        });
        rows.clear();
        rows.extend(keyed.iter().map(|(_, row)| row));
    }
}

fn compare(path: &Path, a: &Value, b: &Value, descending: bool, nulls_last: bool) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) if nulls_last => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, true) if nulls_last => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => {
            let order = match (path.kind, a.as_text(), b.as_text()) {
                // Ids differ by case.
                (Kind::Id | Kind::Reference(..), Some(a), Some(b)) => a.cmp(b),
                _ => a.order(b),
            };
            if descending { order.reverse() } else { order }
        }
    }
}

/// The order in which the rows can be found so that nothing needs sorting.
fn wanted_order(table: &Table, plan: &Plan) -> Found {
    let about = |path: &Path| match path.leaf {
        Leaf::Field(index) if path.hops.is_empty() => Some(table.object().fields[index].make),
        _ => None,
    };
    let terms: Vec<(Option<Make>, bool)> =
        plan.order.iter().map(|(path, descending, _)| (about(path), *descending)).collect();
    match terms.as_slice() {
        [] | [(Some(Make::Id), false), ..] => Found::ById,
        [(Some(Make::Id), true), ..] => Found::ByIdBackward,
        [(Some(Make::Stamp), false)]
        | [(Some(Make::Stamp), false), (Some(Make::Id), false), ..] => Found::ByStamp,
        [(Some(Make::Stamp), true), (Some(Make::Id), true), ..] => Found::ByStampBackward,
        _ => Found::Unsorted,
    }
}

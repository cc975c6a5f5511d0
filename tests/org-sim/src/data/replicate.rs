//! What changed and what is there: getUpdated, getDeleted, and the truth for tests.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::value::time_text;
use crate::org::{ApiError, Org, Row, Table};

const DAY: i64 = 86_400;
/// More ids than this are refused.
const MOST: usize = 600_000;

/// What an object really holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// Records that are there, in the recycle bin or not.
    pub count: usize,
    /// Records outside the recycle bin.
    pub live: usize,
    /// Records in the recycle bin.
    pub deleted: usize,
    /// 32 hex digits over ids, stamps and all values in the order of the ids.
    pub digest: String,
    /// (id, SystemModstamp, deleted) in the order of the ids.
    pub rows: Vec<(String, String, bool)>,
}

impl Org {
    /// What an object really holds; nothing for an unknown one.
    pub fn truth(&self, object: &str) -> Truth {
        let mut truth =
            Truth { count: 0, live: 0, deleted: 0, digest: String::new(), rows: Vec::new() };
        let mut digest = xxhash_rust::xxh3::Xxh3::new();
        let mut text = Vec::with_capacity(4096);
        if let Some(table) = self.table(object) {
            for (row, number) in table.rows.iter().zip(0..).filter(|(row, _)| !row.purged) {
                truth.count += 1;
                if row.deleted {
                    truth.deleted += 1;
                } else {
                    truth.live += 1;
                }
                text.clear();
                for field in 0..table.object().fields.len() {
                    table.value(self, number, field).write(&mut text);
                    text.push(b'\n');
                }
                digest.update(&text);
                truth.rows.push((table.ids.id(number), time_text(row.stamp), row.deleted));
            }
        }
        truth.digest = format!("{:032x}", digest.digest128());
        truth
    }

    /// getDeleted: ids deleted from the minute of `start` to the minute of `end`.
    pub fn deleted(
        &self,
        object: &str,
        start: Timestamp,
        end: Timestamp,
    ) -> Result<Json, ApiError> {
        let (table, start, end) = self.window(object, start, end, 15)?;
        if end - start < 120 {
            return Err(ApiError::bad(
                "INVALID_REPLICATION_DATE",
                "endDate must be at least one minute greater than the startDate",
            ));
        }
        let rows = ids(table, start, end, |row| row.deleted)?;
        let records: Vec<Json> = rows.iter().map(|row| json!({"deletedDate": time_text(table.rows[*row as usize].stamp), "id": table.ids.id(*row)})).collect();
        Ok(json!({
            "deletedRecords": records,
            "earliestDateAvailable": time_text(minute(self.clock - 15 * DAY)),
            "latestDateCovered": time_text(end - 60),
        }))
    }

    /// getUpdated: ids created or changed, and not deleted since, from the minute of `start` to the minute of `end`.
    pub fn updated(
        &self,
        object: &str,
        start: Timestamp,
        end: Timestamp,
    ) -> Result<Json, ApiError> {
        let (table, start, end) = self.window(object, start, end, 30)?;
        let rows = ids(table, start, end, |row| !row.deleted)?;
        let ids: Vec<String> = rows.iter().map(|row| table.ids.id(*row)).collect();
        Ok(json!({"ids": ids, "latestDateCovered": time_text(end - 60)}))
    }

    /// The window in whole minutes, `end` exclusive.
    fn window(
        &self,
        object: &str,
        start: Timestamp,
        end: Timestamp,
        days: i64,
    ) -> Result<(&Table, i64, i64), ApiError> {
        let table = self.table(object).ok_or_else(ApiError::not_found)?;
        if !table.object().replicateable {
            return Err(ApiError::bad(
                "INVALID_TYPE_FOR_OPERATION",
                format!("object type {} is not replicable", table.object().name),
            ));
        }
        let (start, end) = (minute(start.as_second()), minute(end.as_second()));
        if start >= end {
            return Err(ApiError::bad(
                "INVALID_REPLICATION_DATE",
                "startDate must be before endDate",
            ));
        }
        if start < minute(self.clock - days * DAY) {
            return Err(ApiError::bad(
                "INVALID_REPLICATION_DATE",
                format!("startDate cannot be more than {days} days ago"),
            ));
        }
        Ok((table, start, end + 60))
    }
}

fn minute(seconds: i64) -> i64 {
    seconds.div_euclid(60) * 60
}

fn ids(
    table: &Table,
    start: i64,
    end: i64,
    wanted: impl Fn(&Row) -> bool,
) -> Result<Vec<u32>, ApiError> {
    let rows: Vec<u32> = table
        .rows
        .iter()
        .zip(0..)
        .filter(|(row, _)| (start..end).contains(&row.stamp) && wanted(row))
        .map(|(_, number)| number)
        .collect();
    if rows.len() > MOST {
        return Err(ApiError::bad(
            "EXCEEDED_ID_LIMIT",
            format!("too many ids: {} (at most {MOST})", rows.len()),
        ));
    }
    Ok(rows)
}

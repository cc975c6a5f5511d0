//! The world changes: records are edited, created, deleted, brought back and removed for good.

use std::collections::BTreeSet;

use jiff::Timestamp;

use serde_json::Value as Json;

use super::id;
use super::make::mix;
use super::schema::{Class, Kind};
use super::value::Value;
use crate::org::{ApiError, Org, Row, Table};

impl Org {
    fn change(&mut self, object: &str, now: Timestamp) -> Option<&mut Table> {
        self.clock = self.clock.max(now.as_second());
        let table = self.table_mut(object)?;
        table.revision += 1;
        Some(table)
    }

    /// Edits up to n live records, chosen by the seed; returns their ids in order.
    pub fn touch(&mut self, object: &str, n: usize, rng_seed: u64, now: Timestamp) -> Vec<String> {
        let Some(table) = self.change(object, now) else {
            return Vec::new();
        };
        let at = now.as_second();
        let chosen = table.choose(n, rng_seed);
        for row in &chosen {
            table.by_stamp.moved(*row);
            let row = &mut table.rows[*row as usize];
            row.edits = row.edits.wrapping_add(1);
            row.revision = row.revision.wrapping_add(1);
            row.modified = at;
            row.stamp = at;
        }
        chosen.iter().map(|row| table.ids.id(*row)).collect()
    }

    /// Creates n records now; returns their ids in order.
    pub fn insert(&mut self, object: &str, n: usize, seed: u64, now: Timestamp) -> Vec<String> {
        self.insert_at(object, n, seed, now)
    }

    /// Creates n records that are visible at once but carry the given stamp: what a late commit looks like.
    pub fn insert_at(
        &mut self,
        object: &str,
        n: usize,
        seed: u64,
        stamp: Timestamp,
    ) -> Vec<String> {
        let Some(table) = self.change(object, stamp) else {
            return Vec::new();
        };
        let at = stamp.as_second();
        let first = table.rows.len() as u32;
        let edits = (mix(seed, 0x1175) % 1_000_000) as u32;
        table.rows.extend((0..n).map(|_| Row {
            created: at,
            modified: at,
            stamp: at,
            edits,
            revision: 0,
            deleted: false,
            purged: false,
            overridden: false,
        }));
        (first..table.rows.len() as u32).map(|row| table.ids.id(row)).collect()
    }

    /// Moves records to the recycle bin; unknown and already deleted ones are passed over. Records of objects without
    /// IsDeleted are gone at once.
    pub fn delete(&mut self, object: &str, ids: &[String], now: Timestamp) {
        let bin = self.knows(object, "IsDeleted");
        self.each(object, ids, now, |row, at| {
            if !row.deleted {
                row.deleted = true;
                row.purged = !bin;
                row.stamp = at;
            }
        });
    }

    /// Brings records back from the recycle bin.
    pub fn undelete(&mut self, object: &str, ids: &[String], now: Timestamp) {
        self.each(object, ids, now, |row, at| {
            if row.deleted {
                row.deleted = false;
                row.stamp = at;
            }
        });
    }

    /// Removes records for good: no query sees them any more.
    pub fn purge(&mut self, object: &str, ids: &[String], now: Timestamp) {
        self.each(object, ids, now, |row, at| {
            row.deleted = true;
            row.purged = true;
            row.stamp = at;
        });
    }

    /// Sets one field of one record as a user would; numbers, text, `YYYY-MM-DD` and date-times as JSON spells them.
    pub fn set_field(
        &mut self,
        object: &str,
        id: &str,
        field: &str,
        value: Json,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        self.clock = self.clock.max(now.as_second());
        let table = self.table_mut(object).ok_or_else(ApiError::not_found)?;
        let row = id::canonical(id)
            .and_then(|id| table.ids.row(&id))
            .filter(|row| table.rows.get(*row as usize).is_some_and(|row| !row.purged))
            .ok_or_else(ApiError::not_found)?;
        let about = table.object();
        let Some(index) = about.field(field) else {
            return Err(ApiError::bad(
                "INVALID_FIELD",
                format!("No such column '{field}' on sobject of type {}", about.name),
            ));
        };
        let known = &about.fields[index];
        let fail = |code: &str, message: String| ApiError {
            fields: vec![known.name.to_owned()],
            ..ApiError::bad(code, message)
        };
        if !known.writable {
            return Err(fail(
                "INVALID_FIELD_FOR_INSERT_UPDATE",
                format!(
                    "Unable to create/update fields: {}. Please check the security settings of this field and verify that it is read/write for your profile or permission set.",
                    known.name
                ),
            ));
        }
        if value.is_null() && !known.nillable {
            return Err(fail(
                "REQUIRED_FIELD_MISSING",
                format!("Required fields are missing: [{}]", known.name),
            ));
        }
        let Some(value) = from_json(known.kind, &value) else {
            return Err(fail(
                "JSON_PARSER_ERROR",
                format!(
                    "Cannot deserialize instance of {} from {} value {value}",
                    known.kind.name(),
                    kind_of(&value)
                ),
            ));
        };
        let length = known.kind.length();
        if length > 0 && value.as_text().is_some_and(|text| text.chars().count() > length as usize)
        {
            return Err(fail(
                "STRING_TOO_LONG",
                format!("{}: data value too large: (max length={length})", known.label),
            ));
        }
        if table.rows[row as usize].deleted {
            return Err(fail("ENTITY_IS_DELETED", "entity is deleted".to_owned()));
        }
        table.overrides.insert((row, u16::try_from(index).unwrap_or(u16::MAX)), value);
        let state = &mut table.rows[row as usize];
        table.by_stamp.moved(row);
        state.overridden = true;
        state.modified = now.as_second();
        state.stamp = now.as_second();
        state.revision += 1;
        table.revision += 1;
        Ok(())
    }

    fn each(&mut self, object: &str, ids: &[String], now: Timestamp, act: impl Fn(&mut Row, i64)) {
        let Some(table) = self.change(object, now) else {
            return;
        };
        for id in ids {
            let Some(number) = id::canonical(id).and_then(|id| table.ids.row(&id)) else {
                continue;
            };
            if let Some(row) = table.rows.get_mut(number as usize).filter(|row| !row.purged) {
                act(row, now.as_second());
                table.by_stamp.moved(number);
                row.revision = row.revision.wrapping_add(1);
            }
        }
    }

    /// Puts one SystemModstamp (and LastModifiedDate) on every record of the object.
    pub fn restamp_all(&mut self, object: &str, stamp: Timestamp) {
        let Some(table) = self.change(object, stamp) else {
            return;
        };
        for (number, row) in (0..).zip(&mut table.rows).filter(|(_, row)| !row.purged) {
            table.by_stamp.moved(number);
            row.stamp = stamp.as_second();
            row.modified = row.stamp;
            row.created = row.created.min(row.stamp);
            row.revision = row.revision.wrapping_add(1);
        }
    }

    /// Hides a field from describe and SOQL, or shows it again: field-level security of the integration user.
    pub fn hide_field(&mut self, object: &str, field: &str, hidden: bool, now: Timestamp) {
        let Some(table) = self.change(object, now) else {
            return;
        };
        if let Some(index) = table.object().field(field) {
            table.hidden[index] = hidden;
            table.described = now.as_second();
        }
    }

    /// Shows a hidden field again.
    pub fn show_field(&mut self, object: &str, field: &str, now: Timestamp) {
        self.hide_field(object, field, false, now);
    }
}

impl Table {
    /// Up to n live rows, chosen by the seed, in order.
    fn choose(&self, n: usize, seed: u64) -> Vec<u32> {
        let live =
            |row: u32| self.rows.get(row as usize).is_some_and(|row| !row.deleted && !row.purged);
        let count = self.rows.len() as u32;
        if n.saturating_mul(8) < count as usize {
            // A small share: guess, and give up guessing where most rows are dead.
            let mut chosen = BTreeSet::new();
            for i in 0..n as u64 * 16 {
                let row = (mix(seed, i) % u64::from(count)) as u32;
                if live(row) {
                    chosen.insert(row);
                }
                if chosen.len() == n {
                    return chosen.into_iter().collect();
                }
            }
        }
        let mut rows: Vec<u32> = (0..count).filter(|row| live(*row)).collect();
        if n < rows.len() {
            rows.sort_by_cached_key(|row| mix(seed, u64::from(*row)));
            rows.truncate(n);
            rows.sort_unstable();
        }
        rows
    }
}

fn kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "String",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

fn from_json(kind: Kind, value: &Json) -> Option<Value> {
    if value.is_null() {
        return Some(Value::Null);
    }
    match kind.class() {
        Class::Text => value.as_str().map(|text| Value::text(text.to_owned())),
        Class::Id => value.as_str().and_then(id::canonical).map(Value::text),
        Class::Bool => value.as_bool().map(Value::Bool),
        Class::Number if kind == Kind::Int => value.as_i64().map(Value::Int),
        Class::Number => value.as_f64().map(Value::Num),
        Class::Date => value.as_str().and_then(|text| text.parse().ok()).map(Value::Day),
        Class::Time => value
            .as_str()
            .and_then(|text| text.parse::<Timestamp>().ok())
            .map(|at| Value::Time(at.as_second())),
        Class::Compound => None,
    }
}

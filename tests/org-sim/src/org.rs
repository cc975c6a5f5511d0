//! The org: all records of all objects, their schema, and the questions that can be asked of them.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::data::id::{self, Numbering};
use crate::data::index::ByStamp;
use crate::data::make::{Cell, mix};
use crate::data::objects::{OBJECTS, find};
pub use crate::data::replicate::Truth;
use crate::data::schema::Object;
use crate::data::value::{Value, timestamp};
use crate::render::Pages;
pub use crate::soql::ResultSet;

const DAY: i64 = 86_400;
/// Records were created over this time before the org was made.
const HISTORY: i64 = 3 * 365 * DAY;
/// So many neighbouring records may have come in one load.
const LOAD: u64 = 64;

/// An error in the shape of Salesforce's error arrays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// The `errorCode`.
    pub code: String,
    /// The `message`.
    pub message: String,
    /// The `fields`; left out of the answer when empty.
    pub fields: Vec<String>,
}

impl ApiError {
    /// An error with status 400 and without fields.
    pub fn bad(code: &str, message: impl Into<String>) -> ApiError {
        ApiError { status: 400, code: code.to_owned(), message: message.into(), fields: Vec::new() }
    }

    /// The answer for an object or record that does not exist.
    pub fn not_found() -> ApiError {
        ApiError {
            status: 404,
            ..ApiError::bad("NOT_FOUND", "The requested resource does not exist")
        }
    }
}

/// How many records each object has; objects left out have none or a handful.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes(pub Vec<(String, usize)>);

impl Sizes {
    /// The demo's org: 27,000 records over six objects.
    pub fn demo() -> Sizes {
        let sizes = [
            ("Contact", 10_000),
            ("Account", 4_000),
            ("Lead", 5_000),
            ("Opportunity", 3_000),
            ("Task", 3_000),
            ("Invoice__c", 2_000),
        ];
        Sizes(sizes.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect())
    }
}

/// What is kept of a record; its values are made from the seed when they are wanted.
#[derive(Debug, Clone)]
pub struct Row {
    /// CreatedDate in seconds since 1970.
    pub created: i64,
    /// LastModifiedDate in seconds since 1970.
    pub modified: i64,
    /// SystemModstamp in seconds since 1970.
    pub stamp: i64,
    /// How often it was edited; part of the seed of its values.
    pub edits: u32,
    /// Grows with everything that changes what is read of it.
    pub revision: u32,
    /// In the recycle bin.
    pub deleted: bool,
    /// Gone for good.
    pub purged: bool,
    /// Some fields were set by hand.
    pub overridden: bool,
}

/// The records of one object.
pub struct Table {
    pub(crate) place: usize,
    pub(crate) rows: Vec<Row>,
    pub(crate) ids: Numbering,
    pub(crate) salt: u64,
    /// Records it began with: what other objects' lookups point to.
    pub(crate) initial: u32,
    pub(crate) overrides: HashMap<(u32, u16), Value>,
    pub(crate) hidden: Vec<bool>,
    pub(crate) described: i64,
    pub(crate) revision: u64,
    pub(crate) by_stamp: ByStamp,
}

/// All records of one org.
pub struct Org {
    seed: u64,
    org_id: String,
    pub(crate) tables: Vec<Table>,
    /// The latest moment anybody told us.
    pub(crate) clock: i64,
    pub(crate) pages: Pages,
}

impl Org {
    /// An org whose records follow from the arguments alone; names of unknown objects are ignored.
    pub fn new(seed: u64, sizes: &Sizes, now: Timestamp) -> Org {
        let clock = now.as_second();
        let tables = OBJECTS
            .iter()
            .enumerate()
            .map(|(place, object)| {
                let size = sizes
                    .0
                    .iter()
                    .rev()
                    .find(|(name, _)| name.eq_ignore_ascii_case(object.name))
                    .map_or(object.usual, |(_, size)| *size);
                Table::new(seed, place, object, u32::try_from(size).unwrap_or(u32::MAX), clock)
            })
            .collect();
        let org_id = Numbering::new("00D", seed).id((mix(seed, 0x0d) % 100_000) as u32);
        Org { seed, org_id, tables, clock, pages: Pages::default() }
    }

    /// The 18-character id of the org.
    pub fn org_id(&self) -> &str {
        &self.org_id
    }

    /// The 18-character id of a user: the record's if there is one of this name, else one that follows from the name.
    pub fn user_id(&self, username: &str) -> String {
        let number = username
            .strip_prefix("user")
            .and_then(|rest| rest.strip_suffix("@example.com"))
            .and_then(|number| number.parse::<u32>().ok());
        let ids = Numbering::new("005", self.seed);
        match (number, self.table("User")) {
            (Some(row), Some(users)) if (row as usize) < users.rows.len() => ids.id(row),
            _ => {
                let hash = xxhash_rust::xxh3::xxh3_64(username.to_ascii_lowercase().as_bytes());
                // Far beyond the numbers of records.
                id::text(&ids.number(1_000_000_000_000 + hash % 1_000_000_000_000)).to_owned()
            }
        }
    }

    /// The records of an object, whatever the case of its name.
    pub(crate) fn table(&self, object: &str) -> Option<&Table> {
        self.tables.get(find(object)?)
    }

    pub(crate) fn table_mut(&mut self, object: &str) -> Option<&mut Table> {
        self.tables.get_mut(find(object)?)
    }

    /// The record with this id, unless it never was or is gone for good.
    pub(crate) fn locate(&self, id: &str) -> Option<(&Table, u32)> {
        let prefix = id.get(..3)?;
        let table = self.tables.iter().find(|table| table.object().prefix == prefix)?;
        let row = table.ids.row(id)?;
        table.rows.get(row as usize).filter(|row| !row.purged).map(|_| (table, row))
    }

    /// Whether the object exists and has the field (hidden or not).
    pub fn knows(&self, object: &str, field: &str) -> bool {
        find(object)
            .and_then(|place| OBJECTS.get(place))
            .is_some_and(|object| object.field(field).is_some())
    }

    /// `/limits/recordCount`: live records of the named objects, unknown names left out; of all if none is named.
    pub fn record_count(&self, objects: &[&str]) -> Json {
        let wanted = |name: &str| {
            objects.is_empty() || objects.iter().any(|object| object.eq_ignore_ascii_case(name))
        };
        let counts: Vec<Json> = self
            .tables
            .iter()
            .filter(|table| wanted(table.object().name))
            .map(|table| json!({"count": table.rows.iter().filter(|row| !row.deleted && !row.purged).count(), "name": table.object().name}))
            .collect();
        json!({ "sObjects": counts })
    }
}

impl Table {
    fn new(seed: u64, place: usize, object: &Object, size: u32, now: i64) -> Table {
        let salt = mix(seed, place as u64 ^ 0x7ab1e);
        let mut table = Table {
            place,
            rows: Vec::with_capacity(size as usize),
            ids: Numbering::new(object.prefix, seed),
            salt,
            initial: size,
            overrides: HashMap::new(),
            hidden: vec![false; object.fields.len()],
            described: now - 20 * DAY - (salt % 1_000_000) as i64,
            revision: 0,
            by_stamp: ByStamp::default(),
        };
        table.rows.extend((0..u64::from(size)).map(|row| past(salt, row, u64::from(size), now)));
        if object.field("SystemModstamp").is_none() {
            // Nothing was ever changed that nobody could see.
            for row in &mut table.rows {
                row.stamp = row.created;
                row.modified = row.created;
            }
        }
        table
    }

    /// What the object is.
    pub(crate) fn object(&self) -> &'static Object {
        &OBJECTS[self.place]
    }

    /// The value of a field of a row, as read now.
    pub(crate) fn value(&self, org: &Org, number: u32, field: usize) -> Value {
        let Some(row) = self.rows.get(number as usize) else {
            return Value::Null;
        };
        if row.overridden
            && let Ok(short) = u16::try_from(field)
            && let Some(value) = self.overrides.get(&(number, short))
        {
            return value.clone();
        }
        let cell = Cell { org, table: self, number, row };
        self.object().fields.get(field).map_or(Value::Null, |about| cell.make(field, about))
    }

    /// Row numbers in the order of (SystemModstamp, Id).
    pub(crate) fn by_stamp(&self) -> Arc<Vec<u32>> {
        self.by_stamp.order(&self.rows)
    }

    /// When describe last changed.
    pub(crate) fn described(&self) -> Timestamp {
        timestamp(self.described)
    }
}

/// A record of the past: created in the order of the rows, partly in loads on one second, partly changed later.
fn past(salt: u64, row: u64, size: u64, now: i64) -> Row {
    let first = now - HISTORY;
    let at = |row: u64| first + ((HISTORY - 600) as u64 * row / size.max(1)) as i64;
    let load = row / LOAD;
    let created =
        if mix(salt, load ^ 0x10ad).is_multiple_of(3) { at(load * LOAD) } else { at(row) };
    let dice = mix(salt, row ^ 0xed17);
    let age = (now - created).max(1) as u64;
    let more = dice / 128;
    let stamp = match dice % 100 {
        0..55 => created,
        55..80 => created + (more % age.min(30 * DAY as u64)) as i64,
        80..95 => created + (more % age) as i64,
        // Five mass updates, each on one second.
        _ => now - HISTORY * ((more % 5) as i64 + 1) / 12,
    };
    let stamp = stamp.clamp(created, now);
    let modified = if more.is_multiple_of(9) { created + (stamp - created) / 2 } else { stamp };
    Row {
        created,
        modified,
        stamp,
        edits: 0,
        revision: 0,
        deleted: false,
        purged: false,
        overridden: false,
    }
}

//! Reads the records of an answer once: finds what the host needs and the declared fields, and skips the rest.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use super::batch::{Batch, Cell, CellKind, Record, Span};
use super::{IdError, RecordId, Stamp, StampError};

/// Why the records of an answer cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The text is not JSON, ends too early, or is not of the shape that is wanted.
    #[error("not a readable answer: {0}")]
    Json(String),
    /// The text is longer than spans can tell.
    #[error("the answer has {0} bytes, which is more than 4 GiB")]
    TooLong(usize),
    /// A record has no `Id`.
    #[error("record {record} of the page has no Id")]
    NoId {
        /// Its place in the page, from 0.
        record: usize,
    },
    /// A record's `Id` is none.
    #[error("record {record} of the page: {source}")]
    Id {
        /// Its place in the page, from 0.
        record: usize,
        /// What is wrong with it.
        source: IdError,
    },
    /// A record's stamp is none.
    #[error("record {id}: {source}")]
    Stamp {
        /// The record.
        id: RecordId,
        /// What is wrong with it.
        source: StampError,
    },
}

/// One answer to a query.
#[derive(Debug, Clone)]
pub struct Answer {
    /// `totalSize`: how many records the whole query has.
    pub total: u64,
    /// `done`: whether this is the last page.
    pub done: bool,
    /// `nextRecordsUrl`.
    pub next: Option<String>,
    /// `records`.
    pub batch: Batch,
}

/// What to look for in every record, prepared once a run.
#[derive(Debug, Clone)]
pub struct Selection {
    fields: Arc<[String]>,
    slots: Vec<Slot>,
}

/// One key of a record or of a parent in it.
#[derive(Debug, Clone)]
struct Slot {
    name: String,
    role: Role,
    cell: Option<usize>,
    parents: Vec<Slot>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    None,
    Id,
    Stamp,
    Deleted,
}

impl Selection {
    /// Looks for these fields (API names, parents as `Account.Name`), the id, the field `stamp` if the object has one,
    /// and `IsDeleted`.
    pub fn new(fields: &[String], stamp: Option<&str>) -> Self {
        let mut slots = Vec::new();
        // Every record begins with these; nothing is wanted of them.
        slot(&mut slots, "attributes").role = Role::None;
        slot(&mut slots, "Id").role = Role::Id;
        for (index, path) in fields.iter().enumerate() {
            let mut level = &mut slots;
            let mut names = path.split('.').peekable();
            while let Some(name) = names.next() {
                let found = slot(level, name);
                if names.peek().is_none() {
                    found.cell = Some(index);
                }
                level = &mut found.parents;
            }
        }
        if let Some(stamp) = stamp {
            slot(&mut slots, stamp).role = Role::Stamp;
        }
        slot(&mut slots, "IsDeleted").role = Role::Deleted;
        Self { fields: fields.into(), slots }
    }

    /// The fields that the cells hold, in order.
    pub fn fields(&self) -> &Arc<[String]> {
        &self.fields
    }

    /// Reads the answer to a query, in one pass over its text.
    pub fn read_answer(&self, text: &Bytes) -> Result<Answer, ScanError> {
        let base = check(text)?;
        let mut reading = Reading::new(self, base, text, text.len() / 1024);
        let mut deserializer = serde_json::Deserializer::from_str(base);
        let envelope = EnvelopeSeed(&mut reading).deserialize(&mut deserializer);
        let envelope = envelope.and_then(|found| deserializer.end().map(|()| found));
        let envelope = reading.result(envelope)?;
        Ok(Answer {
            total: envelope.total,
            done: envelope.done,
            next: envelope.next,
            batch: reading.batch,
        })
    }

    /// Reads the records at these places in `text`; `text` must be UTF-8.
    pub fn read_records(&self, text: &Bytes, places: &[Span]) -> Result<Batch, ScanError> {
        let base = check(text)?;
        let mut reading = Reading::new(self, base, text, places.len());
        for place in places {
            reading.from = place.start as usize;
            let record = base.get(place.range()).unwrap_or_default();
            let mut deserializer = serde_json::Deserializer::from_str(record);
            let read = RecordSeed(&mut reading).deserialize(&mut deserializer);
            reading.result(read)?;
        }
        Ok(reading.batch)
    }
}

fn slot<'a>(slots: &'a mut Vec<Slot>, name: &str) -> &'a mut Slot {
    let at = slots.iter().position(|slot| slot.name.eq_ignore_ascii_case(name));
    let at = at.unwrap_or_else(|| {
        slots.push(Slot {
            name: name.to_owned(),
            role: Role::None,
            cell: None,
            parents: Vec::new(),
        });
        slots.len() - 1
    });
    &mut slots[at]
}

fn check(text: &Bytes) -> Result<&str, ScanError> {
    if u32::try_from(text.len()).is_err() {
        return Err(ScanError::TooLong(text.len()));
    }
    std::str::from_utf8(text).map_err(|error| ScanError::Json(error.to_string()))
}

struct Reading<'a> {
    slots: &'a [Slot],
    base: &'a str,
    /// Where the next record's opening brace is to be looked for.
    from: usize,
    batch: Batch,
    /// Why a record was refused: serde's errors carry only text.
    refused: Option<ScanError>,
}

impl<'a> Reading<'a> {
    fn new(selection: &'a Selection, base: &'a str, text: &Bytes, expected: usize) -> Self {
        let batch = Batch {
            text: text.clone(),
            fields: selection.fields.clone(),
            records: Vec::with_capacity(expected),
            cells: Vec::with_capacity(expected * selection.fields.len()),
        };
        Self { slots: &selection.slots, base, from: 0, batch, refused: None }
    }

    fn result<T>(&mut self, read: Result<T, serde_json::Error>) -> Result<T, ScanError> {
        read.map_err(|error| {
            self.refused.take().unwrap_or_else(|| ScanError::Json(error.to_string()))
        })
    }

    /// Reads the fields of one record and finds its bounds: between its braces and its values there is only white space.
    fn fields<A: MapAccess<'a>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let start = find(self.base, self.from, b'{');
        let first = self.batch.cells.len();
        self.batch.cells.resize(first + self.batch.fields.len(), Cell::NULL);
        let (mut seen, mut next, mut end) = (Seen::default(), 0, start);
        while let Some(found) = map.next_key_seed(KeySeed { slots: self.slots, next })? {
            let raw = map.next_value::<&'a RawValue>()?.get();
            let place = span(self.base, raw);
            end = place.range().end;
            let Some(slot) = found.and_then(|found| self.slots.get(found)) else { continue };
            next = found.map_or(next, |found| found + 1);
            match slot.role {
                Role::Id => seen.id = Some(raw),
                Role::Stamp => seen.stamp = Some(raw),
                Role::Deleted => seen.deleted = Some(raw),
                Role::None => {}
            }
            take(slot, raw, place, self.base, &mut self.batch.cells[first..])
                .map_err(A::Error::custom)?;
        }
        self.from = find(self.base, end, b'}') + 1;
        let len = u32::try_from(self.from - start).unwrap_or(u32::MAX);
        let at = Span { start: u32::try_from(start).unwrap_or(u32::MAX), len };
        self.record(&seen, at).map_err(|refused| {
            let text = A::Error::custom(&refused);
            self.refused = Some(refused);
            text
        })
    }

    fn record(&mut self, seen: &Seen<'_>, at: Span) -> Result<(), ScanError> {
        let record = self.batch.records.len();
        let id = seen.id.ok_or(ScanError::NoId { record })?;
        let id = RecordId::parse(unquote(id)).map_err(|source| ScanError::Id { record, source })?;
        let stamp = match seen.stamp {
            None | Some("null") => Stamp::default(),
            Some(text) => {
                Stamp::parse(unquote(text)).map_err(|source| ScanError::Stamp { id, source })?
            }
        };
        let deleted = seen.deleted == Some("true");
        self.batch.records.push(Record { id, stamp, deleted, at });
        Ok(())
    }
}

#[derive(Default)]
struct Seen<'a> {
    id: Option<&'a str>,
    stamp: Option<&'a str>,
    deleted: Option<&'a str>,
}

#[derive(Default)]
struct Envelope {
    total: u64,
    done: bool,
    next: Option<String>,
}

struct EnvelopeSeed<'a, 'b>(&'b mut Reading<'a>);

impl<'de> DeserializeSeed<'de> for EnvelopeSeed<'de, '_> {
    type Value = Envelope;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Envelope, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EnvelopeSeed<'de, '_> {
    type Value = Envelope;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer to a query")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope, A::Error> {
        let (mut total, mut done, mut next, mut records) = (None, None, None, false);
        while let Some(key) = map.next_key::<&'de str>()? {
            match key {
                "totalSize" => total = Some(map.next_value()?),
                "done" => done = Some(map.next_value()?),
                "nextRecordsUrl" => next = map.next_value()?,
                "records" => {
                    self.0.from = span(self.0.base, key).range().end;
                    map.next_value_seed(RecordsSeed(&mut *self.0))?;
                    records = true;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if !records {
            return Err(A::Error::missing_field("records"));
        }
        Ok(Envelope {
            total: total.ok_or_else(|| A::Error::missing_field("totalSize"))?,
            done: done.ok_or_else(|| A::Error::missing_field("done"))?,
            next,
        })
    }
}

struct RecordsSeed<'a, 'b>(&'b mut Reading<'a>);

impl<'de> DeserializeSeed<'de> for RecordsSeed<'de, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RecordsSeed<'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(RecordSeed(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

struct RecordSeed<'a, 'b>(&'b mut Reading<'a>);

impl<'de> DeserializeSeed<'de> for RecordSeed<'de, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RecordSeed<'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.0.fields(map)
    }
}

/// Finds the slot of a key. Fields come in the order of the SELECT list, so it is nearly always the next one.
struct KeySeed<'a> {
    slots: &'a [Slot],
    next: usize,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Option<usize>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        // As the org spells it and in its place; then anywhere; then as a user may have spelled it.
        if self.slots.get(self.next).is_some_and(|slot| slot.name == key) {
            return Ok(Some(self.next));
        }
        let exact = self.slots.iter().position(|slot| slot.name == key);
        let found = exact
            .or_else(|| self.slots.iter().position(|slot| slot.name.eq_ignore_ascii_case(key)));
        Ok(found)
    }
}

/// Puts a value into its cell, and those of a parent into theirs.
fn take(
    slot: &Slot,
    raw: &str,
    place: Span,
    base: &str,
    cells: &mut [Cell],
) -> Result<(), serde_json::Error> {
    if let Some(cell) = slot.cell.and_then(|index| cells.get_mut(index)) {
        *cell = classify(raw, place);
    }
    if slot.parents.is_empty() || !raw.starts_with('{') {
        return Ok(());
    }
    let parent: std::collections::HashMap<std::borrow::Cow<'_, str>, &RawValue> =
        serde_json::from_str(raw)?;
    for (name, value) in parent {
        let found = slot.parents.iter().find(|slot| slot.name.eq_ignore_ascii_case(&name));
        if let Some(found) = found {
            take(found, value.get(), span(base, value.get()), base, cells)?;
        }
    }
    Ok(())
}

fn classify(raw: &str, place: Span) -> Cell {
    let kind = match raw.as_bytes().first() {
        Some(b'"') => {
            let span = Span { start: place.start + 1, len: place.len.saturating_sub(2) };
            let escaped = raw.as_bytes().contains(&b'\\');
            return Cell { span, kind: if escaped { CellKind::Escaped } else { CellKind::Text } };
        }
        Some(b'{' | b'[') => CellKind::Json,
        Some(b't' | b'f') => CellKind::Boolean,
        Some(b'n') | None => return Cell::NULL,
        Some(_) => CellKind::Number,
    };
    Cell { span: place, kind }
}

fn unquote(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// Where `byte` stands next in `text`, at or after `from`; the end when it does not.
fn find(text: &str, from: usize, byte: u8) -> usize {
    let rest = text.as_bytes().get(from..).unwrap_or_default();
    rest.iter().position(|&b| b == byte).map_or(text.len(), |at| from + at)
}

/// Where `part` lies in `base`; the empty span when it does not.
fn span(base: &str, part: &str) -> Span {
    let start = (part.as_ptr() as usize).wrapping_sub(base.as_ptr() as usize);
    match (u32::try_from(start), u32::try_from(part.len())) {
        (Ok(start), Ok(len)) if start as usize + len as usize <= base.len() => Span { start, len },
        _ => Span::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(records: &str, fields: &[&str]) -> Result<Batch, ScanError> {
        let fields: Vec<String> = fields.iter().map(|&name| name.to_owned()).collect();
        let json = format!(
            r#"{{"totalSize":7, "done":false,"nextRecordsUrl":"/next" ,"records": {records}}}"#
        );
        let answer =
            Selection::new(&fields, Some("SystemModstamp")).read_answer(&Bytes::from(json))?;
        assert_eq!((answer.total, answer.done), (7, false));
        assert_eq!(answer.next.as_deref(), Some("/next"));
        Ok(answer.batch)
    }

    #[test]
    fn finds_the_declared_fields() {
        let json = r#"[{"attributes":{"type":"Contact","url":"/x"},"Id":"0034C00000VaYfKQAV",
            "Name":"A \"B\" \u00e9","Email":null,"Score__c":10046.0,"Flag__c":true,
            "Account":{"attributes":{},"Id":"0014C00000VaYfKQAV","Name":"Acme"},"Address":{"city":"X"},
            "IsDeleted":false,"SystemModstamp":"2022-02-15T06:21:19.000+0000"}]"#;
        let fields = ["Name", "Email", "Score__c", "Flag__c", "Account.Name", "Address", "Id"];
        let batch = read(json, &fields).unwrap();
        assert_eq!(batch.records[0].id.as_str(), "0034C00000VaYfKQAV");
        assert_eq!(batch.records[0].stamp.to_string(), "2022-02-15T06:21:19.000Z");
        assert!(!batch.records[0].deleted);
        let row = batch.row(0);
        let values: Vec<String> = row.iter().map(|c| batch.value(*c).into_owned()).collect();
        assert_eq!(
            values,
            ["A \"B\" é", "", "10046.0", "true", "Acme", "{\"city\":\"X\"}", "0034C00000VaYfKQAV"]
        );
        assert_eq!(row[1].kind, CellKind::Null);
        let raws: Vec<Span> = batch.records.iter().map(|record| record.at).collect();
        let fields: Vec<String> = fields.iter().map(|&name| name.to_owned()).collect();
        let again = Selection::new(&fields, Some("SystemModstamp"))
            .read_records(&batch.text, &raws)
            .unwrap();
        assert_eq!((again.records, again.cells), (batch.records, batch.cells));
    }

    #[test]
    fn bounds_of_records_are_exact() {
        let records =
            r#" [ {"Id":"0034C00000VaYfKQAV","X":"}{"} , {"X":null,"Id":"012000000000000AAA" }]"#;
        let batch = read(records, &["X"]).unwrap();
        assert_eq!(batch.raw(0), r#"{"Id":"0034C00000VaYfKQAV","X":"}{"}"#);
        assert_eq!(batch.raw(1), r#"{"X":null,"Id":"012000000000000AAA" }"#);
    }

    #[test]
    fn every_cut_is_noticed() {
        let body = r#"{"records":[{"attributes":{},"Id":"0034C00000VaYfKQAV"}],"done":false,"nextRecordsUrl":"\/x","totalSize":1}"#;
        let selection = Selection::new(&[], None);
        let answer = selection.read_answer(&Bytes::from_static(body.as_bytes())).unwrap();
        assert_eq!((answer.next.as_deref(), answer.batch.len()), (Some("/x"), 1));
        for at in 0..body.len() {
            let cut = Bytes::copy_from_slice(&body.as_bytes()[..at]);
            assert!(selection.read_answer(&cut).is_err(), "{}", &body[..at]);
        }
    }

    #[test]
    fn names_what_is_wrong() {
        assert!(matches!(read(r#"[{"Id":"0034C0000"#, &[]), Err(ScanError::Json(_))));
        assert!(matches!(read(r#"[{"Name":"x"}]"#, &[]), Err(ScanError::NoId { record: 0 })));
        assert!(matches!(read("[3]", &[]), Err(ScanError::Json(_))));
        assert!(matches!(read(r#"[{"Id":"zz"}]"#, &[]), Err(ScanError::Id { record: 0, .. })));
        let stamp = r#"[{"Id":"0034C00000VaYfKQAV","SystemModstamp":"now"}]"#;
        assert!(matches!(read(stamp, &[]), Err(ScanError::Stamp { .. })));
        let deep = format!(r#"[{{"Id":"0034C00000VaYfKQAV","X":{}}}]"#, "[".repeat(1_000_000));
        assert!(matches!(read(&deep, &["X"]), Err(ScanError::Json(_))));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in ".{0,300}") {
            drop(read(&text, &["Name"]));
            drop(read(&format!("[{{\"Id\":\"0034C00000VaYfKQAV\",\"Name\":{text}}}]"), &["Name"]));
        }
    }
}

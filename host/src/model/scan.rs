//! Reads the records of an answer once: finds what the host needs and the declared fields, and skips the rest.

use std::sync::Arc;

use bytes::Bytes;
use sonic_rs::{JsonValueTrait, LazyValue};

use super::batch::{Batch, Cell, CellKind, Record, Span};
use super::{IdError, RecordId, Stamp, StampError};

/// Why the records of an answer cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The text is not JSON, or ends too early.
    #[error("not JSON at byte {at}: {reason}")]
    Json {
        /// Where reading stopped, in bytes from the beginning.
        at: usize,
        /// The parser's words.
        reason: String,
    },
    /// The text is longer than spans can tell.
    #[error("the answer has {0} bytes, which is more than 4 GiB")]
    TooLong(usize),
    /// Objects and lists are nested deeper than any record is.
    #[error("the answer nests objects deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// Something else than a record stands where one should.
    #[error("record {record} of the page is not a JSON object")]
    NotAnObject {
        /// Its place in the page, from 0.
        record: usize,
    },
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

/// Deeper than relationships (5 levels) and nested values of Salesforce go.
const MAX_DEPTH: usize = 128;
/// So many nested brackets fit on any thread's stack.
const SURELY_SHALLOW: usize = 4096;

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
        slot(&mut slots, "Id").role = Role::Id;
        if let Some(stamp) = stamp {
            slot(&mut slots, stamp).role = Role::Stamp;
        }
        slot(&mut slots, "IsDeleted").role = Role::Deleted;
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
        Self { fields: fields.into(), slots }
    }

    /// The fields that the cells hold, in order.
    pub fn fields(&self) -> &Arc<[String]> {
        &self.fields
    }

    /// Reads the JSON list of records at `at` in `text`; `text` must be UTF-8. Linear in the length of the list.
    pub fn read_list(&self, text: &Bytes, at: Span) -> Result<Batch, ScanError> {
        let base = check(text)?;
        let list = base.get(at.range()).unwrap_or_default();
        let mut reading = Reading::new(self, base, text, list.len() / 512);
        for (index, value) in sonic_rs::to_array_iter(list).enumerate() {
            let value = value.map_err(|error| json(at.start as usize + error.offset(), &error))?;
            reading.record(index, value)?;
        }
        Ok(reading.batch)
    }

    /// Reads the records at these places in `text`; `text` must be UTF-8.
    pub fn read_records(&self, text: &Bytes, places: &[Span]) -> Result<Batch, ScanError> {
        let base = check(text)?;
        let mut reading = Reading::new(self, base, text, places.len());
        for (index, place) in places.iter().enumerate() {
            let record = base.get(place.range()).unwrap_or_default();
            let value = sonic_rs::get(record, &[] as &[&str])
                .map_err(|error| json(place.start as usize + error.offset(), &error))?;
            reading.record(index, value)?;
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
    if too_deep(text) {
        return Err(ScanError::TooDeep);
    }
    std::str::from_utf8(text)
        .map_err(|error| ScanError::Json { at: error.valid_up_to(), reason: error.to_string() })
}

/// The parser walks nested values on the stack, so depth is bounded before it starts. Text with few opening brackets
/// cannot be deep, and counting them is nearly free.
fn too_deep(text: &[u8]) -> bool {
    if text.iter().filter(|byte| matches!(byte, b'{' | b'[')).count() <= SURELY_SHALLOW {
        return false;
    }
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0usize, 0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest > MAX_DEPTH
}

fn json(at: usize, error: &sonic_rs::Error) -> ScanError {
    let reason = error.to_string();
    ScanError::Json { at, reason: reason.lines().next().unwrap_or_default().to_owned() }
}

struct Reading<'a> {
    selection: &'a Selection,
    base: &'a str,
    batch: Batch,
}

impl<'a> Reading<'a> {
    fn new(selection: &'a Selection, base: &'a str, text: &Bytes, expected: usize) -> Self {
        let batch = Batch {
            text: text.clone(),
            fields: selection.fields.clone(),
            records: Vec::with_capacity(expected),
            cells: Vec::with_capacity(expected * selection.fields.len()),
        };
        Self { selection, base, batch }
    }

    fn record(&mut self, index: usize, value: LazyValue<'a>) -> Result<(), ScanError> {
        let at = span(self.base, value.as_raw_str());
        let first = self.batch.cells.len();
        self.batch.cells.resize(first + self.selection.fields.len(), Cell::NULL);
        let mut seen = Seen::default();
        let fields = value.into_object_iter().ok_or(ScanError::NotAnObject { record: index })?;
        let cells = &mut self.batch.cells[first..];
        read_object(self.base, fields, &self.selection.slots, cells, &mut seen)
            .map_err(|error| json(at.start as usize + error.offset(), &error))?;
        let id = seen.id.ok_or(ScanError::NoId { record: index })?;
        let id = RecordId::parse(unquote(id))
            .map_err(|source| ScanError::Id { record: index, source })?;
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

fn read_object<'a>(
    base: &'a str,
    fields: sonic_rs::ObjectJsonIter<'a>,
    slots: &[Slot],
    cells: &mut [Cell],
    seen: &mut Seen<'a>,
) -> Result<(), sonic_rs::Error> {
    // Fields come in the order of the SELECT list, so the slot after the last one found is nearly always the next.
    let mut next = 0;
    for field in fields {
        let (name, value) = field?;
        let found = (0..slots.len())
            .map(|step| (next + step) % slots.len())
            .find(|&i| slots[i].name.eq_ignore_ascii_case(&name));
        let Some(found) = found else { continue };
        next = found + 1;
        let slot = &slots[found];
        let place = span(base, value.as_raw_str());
        let raw = base.get(place.range()).unwrap_or_default();
        match slot.role {
            Role::Id => seen.id = Some(raw),
            Role::Stamp => seen.stamp = Some(raw),
            Role::Deleted => seen.deleted = Some(raw),
            Role::None => {}
        }
        if let Some(cell) = slot.cell.and_then(|index| cells.get_mut(index)) {
            *cell = classify(raw, place);
        }
        if !slot.parents.is_empty()
            && value.is_object()
            && let Some(inner) = value.into_object_iter()
        {
            // A parent has an Id and a stamp of its own, which are not the record's.
            read_object(base, inner, &slot.parents, cells, &mut Seen::default())?;
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

    fn read(json: &str, fields: &[&str]) -> Result<Batch, ScanError> {
        let fields: Vec<String> = fields.iter().map(|&name| name.to_owned()).collect();
        let text = Bytes::copy_from_slice(json.as_bytes());
        let at = Span { start: 0, len: u32::try_from(json.len()).unwrap() };
        Selection::new(&fields, Some("SystemModstamp")).read_list(&text, at)
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
    fn names_what_is_wrong() {
        assert!(matches!(read(r#"[{"Id":"0034C0000"#, &[]), Err(ScanError::Json { .. })));
        assert!(matches!(read(r#"[{"Name":"x"}]"#, &[]), Err(ScanError::NoId { record: 0 })));
        assert!(matches!(read("[3]", &[]), Err(ScanError::NotAnObject { record: 0 })));
        assert!(matches!(read(r#"[{"Id":"zz"}]"#, &[]), Err(ScanError::Id { record: 0, .. })));
    }

    #[test]
    fn depth_is_bounded() {
        let record = |inner: String| format!(r#"[{{"Id":"0034C00000VaYfKQAV","X":{inner}}}]"#);
        let deep = record("[".repeat(100_000));
        assert_eq!(read(&deep, &[]).unwrap_err(), ScanError::TooDeep);
        // As deep as passes the quick look: an error, and no overflow.
        let nearly = record("[".repeat(SURELY_SHALLOW - 2));
        assert!(matches!(read(&nearly, &[]), Err(ScanError::Json { .. })));
        let wide = record(format!("[{}{{}}]", "{},".repeat(10_000)));
        assert_eq!(read(&wide, &[]).unwrap().len(), 1);
        let text = record(format!("\"{}\"", "[".repeat(10_000)));
        assert_eq!(read(&text, &[]).unwrap().len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in ".{0,300}") {
            drop(read(&text, &["Name"]));
            drop(read(&format!("[{{\"Id\":\"0034C00000VaYfKQAV\",\"Name\":{text}}}]"), &["Name"]));
        }
    }
}

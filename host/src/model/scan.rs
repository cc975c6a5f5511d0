//! Reads the records of an answer once: finds what the host needs and the declared fields, and skips the rest.

use std::sync::Arc;

use bytes::Bytes;

use super::batch::{Batch, Cell, CellKind, Record, Span};
use super::json::{Fault, Json};
use super::{IdError, RecordId, Stamp, StampError, Text};

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
        let text = Text::new(text.clone()).map_err(|error| ScanError::Json(error.to_string()))?;
        let mut reading = Reading::new(self, &text, text.len() / 1024)?;
        let envelope = reading.envelope()?;
        Ok(Answer {
            total: envelope.total,
            done: envelope.done,
            next: envelope.next,
            batch: reading.batch,
        })
    }

    /// Reads the records at these places in `text`.
    pub fn read_records(&self, text: &Text, places: &[Span]) -> Result<Batch, ScanError> {
        let mut reading = Reading::new(self, text, places.len())?;
        for place in places {
            let until = text.get(..place.range().end).unwrap_or_default();
            reading.json = Json::new(until, place.range().start);
            reading.record()?;
        }
        Ok(reading.batch)
    }
}

/// Where the next page lies, as the head of an answer tells it before its records. None on the last page, and when the
/// head does not tell: whoever reads the whole answer learns it then.
pub fn next_address(text: &[u8]) -> Option<String> {
    // A head is some hundred bytes long.
    const HEAD: usize = 4096;
    let head = text.get(..HEAD).unwrap_or(text);
    let whole = std::str::from_utf8(head).map_or_else(|error| error.valid_up_to(), str::len);
    let head = std::str::from_utf8(&head[..whole]).ok()?;
    let mut json = Json::new(head, 0);
    let (mut more, mut next) = (false, None);
    json.expect(b'{', "no object").ok()?;
    loop {
        let key = json.key().ok()?;
        if key == "records" {
            return next.filter(|_| more);
        }
        json.peek();
        let start = json.at();
        json.skip().ok()?;
        let value = head.get(json.since(start).range())?;
        match key.as_ref() {
            "done" => more = value == "false",
            "nextRecordsUrl" => next = serde_json::from_str(value).ok()?,
            _ => {}
        }
        json.expect(b',', "no comma").ok()?;
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

struct Reading<'a> {
    slots: &'a [Slot],
    text: &'a str,
    json: Json<'a>,
    batch: Batch,
    /// The names of the record before, in their order: those of the next one are nearly always the same.
    names: Vec<Name>,
}

/// A member's name with quotes and colon, and the slot that it stands for.
struct Name {
    written: Span,
    slot: Option<usize>,
}

/// The members of an answer.
#[derive(Default)]
struct Envelope {
    total: u64,
    done: bool,
    next: Option<String>,
}

impl From<Fault> for ScanError {
    fn from(fault: Fault) -> Self {
        Self::Json(fault.to_string())
    }
}

impl<'a> Reading<'a> {
    fn new(selection: &'a Selection, text: &'a Text, expected: usize) -> Result<Self, ScanError> {
        if u32::try_from(text.len()).is_err() {
            return Err(ScanError::TooLong(text.len()));
        }
        let batch = Batch {
            text: text.clone(),
            fields: selection.fields.clone(),
            records: Vec::with_capacity(expected),
            cells: Vec::with_capacity(expected * selection.fields.len()),
            leaves: Vec::new(),
        };
        let json = Json::new(text, 0);
        Ok(Self { slots: &selection.slots, text, json, batch, names: Vec::new() })
    }

    /// Reads the whole answer.
    fn envelope(&mut self) -> Result<Envelope, ScanError> {
        let (mut total, mut done, mut next, mut records) = (None, None, None, false);
        self.json.expect(b'{', "no object")?;
        let mut more = !self.json.take(b'}');
        while more {
            match self.json.key()?.as_ref() {
                "totalSize" => total = Some(self.total()?),
                "done" => done = Some(self.done()?),
                "nextRecordsUrl" => next = self.next()?,
                "records" => {
                    self.records()?;
                    records = true;
                }
                _ => self.json.skip()?,
            }
            more = self.json.take(b',');
            if !more {
                self.json.expect(b'}', "no comma and no end")?;
            }
        }
        if !self.json.is_at_end() {
            return Err(self.json.fault("more than one answer").into());
        }
        let missing = |name: &str| ScanError::Json(format!("it has no member '{name}'"));
        if !records {
            return Err(missing("records"));
        }
        Ok(Envelope {
            total: total.ok_or_else(|| missing("totalSize"))?,
            done: done.ok_or_else(|| missing("done"))?,
            next,
        })
    }

    /// The text of the next value, with its quotes where it has any.
    fn raw(&mut self) -> Result<&'a str, Fault> {
        self.json.peek();
        let start = self.json.at();
        self.json.skip()?;
        Ok(self.text.get(self.json.since(start).range()).unwrap_or_default())
    }

    fn total(&mut self) -> Result<u64, Fault> {
        let fault = self.json.fault("no count of records");
        self.raw()?.parse().map_err(|_| fault)
    }

    fn done(&mut self) -> Result<bool, Fault> {
        let fault = self.json.fault("neither true nor false");
        self.raw()?.parse().map_err(|_| fault)
    }

    fn next(&mut self) -> Result<Option<String>, Fault> {
        let fault = self.json.fault("no address of the next page");
        serde_json::from_str(self.raw()?).map_err(|_| fault)
    }

    fn records(&mut self) -> Result<(), ScanError> {
        self.json.expect(b'[', "no list of records")?;
        if self.json.take(b']') {
            return Ok(());
        }
        loop {
            self.record()?;
            if !self.json.take(b',') {
                return Ok(self.json.expect(b']', "no comma and no end")?);
            }
        }
    }

    /// Reads one record.
    fn record(&mut self) -> Result<(), ScanError> {
        self.json.peek();
        let start = self.json.at();
        self.json.leaves.clear();
        self.json.expect(b'{', "no record")?;
        let first = self.batch.cells.len();
        self.batch.cells.resize(first + self.batch.fields.len(), Cell::NULL);
        let mut seen = Seen::default();
        let mut more = !self.json.take(b'}');
        for member in 0.. {
            if !more {
                break;
            }
            let slot = self.name(member)?.and_then(|slot| self.slots.get(slot));
            let cell = value(&mut self.json, slot, &mut self.batch.cells[first..])?;
            match slot.map(|slot| slot.role) {
                Some(Role::Id) => seen.id = Some(cell),
                Some(Role::Stamp) => seen.stamp = Some(cell),
                Some(Role::Deleted) => seen.deleted = Some(cell),
                Some(Role::None) | None => {}
            }
            more = self.json.take(b',');
            if !more {
                self.json.expect(b'}', "no comma and no end")?;
            }
        }
        self.finish(&seen, self.json.since(start))
    }

    /// Passes the name of member `member` of a record, and tells its slot.
    fn name(&mut self, member: usize) -> Result<Option<usize>, Fault> {
        self.json.peek();
        if let Some(name) = self.names.get(member)
            && let Some(written) = self.text.as_bytes().get(name.written.range())
            && self.json.follows(written)
        {
            return Ok(name.slot);
        }
        let start = self.json.at();
        let key = self.json.key()?;
        // As the org spells it; then as a user may have spelled it.
        let exact = self.slots.iter().position(|slot| slot.name == key);
        let slot = exact
            .or_else(|| self.slots.iter().position(|slot| slot.name.eq_ignore_ascii_case(&key)));
        self.names.truncate(member);
        self.names.push(Name { written: self.json.since(start), slot });
        Ok(slot)
    }

    fn finish(&mut self, seen: &Seen, at: Span) -> Result<(), ScanError> {
        let record = self.batch.records.len();
        let text = |cell: Cell| self.text.get(cell.span.range()).unwrap_or_default();
        let id = text(seen.id.ok_or(ScanError::NoId { record })?);
        let id = RecordId::parse(id).map_err(|source| ScanError::Id { record, source })?;
        let stamp = match seen.stamp {
            None | Some(Cell { kind: CellKind::Null, .. }) => Stamp::default(),
            Some(cell) => {
                Stamp::parse(text(cell)).map_err(|source| ScanError::Stamp { id, source })?
            }
        };
        let deleted =
            seen.deleted.is_some_and(|cell| cell.kind == CellKind::Boolean && text(cell) == "true");
        let leaves = self.batch.leaves.len()..self.batch.leaves.len() + self.json.leaves.len();
        self.batch.leaves.extend_from_slice(&self.json.leaves);
        self.batch.records.push(Record { id, stamp, deleted, at, leaves: Span::new(leaves) });
        Ok(())
    }
}

#[derive(Default)]
struct Seen {
    id: Option<Cell>,
    stamp: Option<Cell>,
    deleted: Option<Cell>,
}

/// Passes a value; puts it into the cell of its slot, and those of a parent into theirs.
#[inline]
fn value(json: &mut Json<'_>, slot: Option<&Slot>, cells: &mut [Cell]) -> Result<Cell, Fault> {
    let first = json.peek();
    let start = json.at();
    let parents = slot.map_or(&[][..], |slot| &slot.parents);
    let is_parent = first == Some(b'{') && !parents.is_empty();
    let cell = match first {
        Some(b'"') => {
            let string = json.text_value()?;
            let kind = if string.escaped { CellKind::Escaped } else { CellKind::Text };
            Cell { span: string.inner, kind }
        }
        _ if is_parent => {
            clear(parents, cells);
            parent(json, parents, cells)?;
            Cell { span: json.since(start), kind: CellKind::Json }
        }
        first => {
            json.skip()?;
            let kind = match first {
                Some(b'{' | b'[') => CellKind::Json,
                Some(b't' | b'f') => CellKind::Boolean,
                Some(b'n') => CellKind::Null,
                _ => CellKind::Number,
            };
            Cell { span: json.since(start), kind }
        }
    };
    if !is_parent {
        clear(parents, cells);
    }
    if let Some(own) = slot.and_then(|slot| slot.cell).and_then(|index| cells.get_mut(index)) {
        *own = if cell.kind == CellKind::Null { Cell::NULL } else { cell };
    }
    Ok(cell)
}

/// Reads the members of a parent. Declared paths end, so this goes no deeper than they do.
fn parent(json: &mut Json<'_>, slots: &[Slot], cells: &mut [Cell]) -> Result<(), Fault> {
    json.expect(b'{', "no object")?;
    if json.take(b'}') {
        return Ok(());
    }
    loop {
        let key = json.key()?;
        let slot = slots.iter().find(|slot| slot.name.eq_ignore_ascii_case(&key));
        value(json, slot, cells)?;
        if !json.take(b',') {
            return json.expect(b'}', "no comma and no end");
        }
    }
}

/// Empties all cells of a parent's fields: of members of one name the last one holds.
fn clear(slots: &[Slot], cells: &mut [Cell]) {
    for slot in slots {
        if let Some(cell) = slot.cell.and_then(|index| cells.get_mut(index)) {
            *cell = Cell::NULL;
        }
        clear(&slot.parents, cells);
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
    fn the_head_of_an_answer_tells_the_next_page() {
        let next = |text: &str| next_address(text.as_bytes());
        let head = r#"{ "totalSize":7,"done":false,"nextRecordsUrl":"\/a-1","x":[{"done":true}],"records":[{"#;
        assert_eq!(next(head).as_deref(), Some("/a-1"));
        assert_eq!(
            next(r#"{"nextRecordsUrl":"/a","done":false,"records":"#).as_deref(),
            Some("/a")
        );
        for silent in [
            "",
            "[",
            r#"{"totalSize":7,"done":true,"records":["#,
            r#"{"totalSize":7,"done":true,"nextRecordsUrl":"/a","records":["#,
            r#"{"totalSize":7,"nextRecordsUrl":"/a","records":["#,
            r#"{"totalSize":7,"done":false,"nextRecordsUrl":7,"records":["#,
            r#"{"totalSize":7,"done":false,"nextRecordsUrl":"/a"}"#,
            r#"{"records":[],"done":false,"nextRecordsUrl":"/a"}"#,
        ] {
            assert_eq!(next(silent), None, "{silent}");
        }
        // A head that is longer than heads are, cut within a character.
        let long = format!(
            r#"{{"done":false,"nextRecordsUrl":"/a","x":"{}","records":[]}}"#,
            "é".repeat(4000)
        );
        assert_eq!(next(&long), None);
        for at in 0..head.len() {
            next(&head[..at]);
        }
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

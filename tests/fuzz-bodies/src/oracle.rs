//! What an answer says, read at leisure by serde_json: our own reader must agree with it.

use std::fmt;

use kilofold::model::{Answer, CellKind, RecordId, ScanError, Selection, Span, Stamp};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object, in order, doubles included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl<'a> Members<'a> {
    /// The last member of this name, whatever its case.
    fn last(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.get())
    }
}

/// One record: id, stamp, whether it is deleted, its place, and kind and place of each declared field.
type Row = (RecordId, Stamp, bool, Span, Vec<(CellKind, Span)>);

struct Read {
    total: u64,
    done: bool,
    next: Option<String>,
    rows: Vec<Row>,
}

/// Panics when our reading and serde_json's differ.
pub fn compare(
    data: &[u8],
    selection: &Selection,
    stamp: Option<&str>,
    ours: Result<&Answer, &ScanError>,
) {
    let theirs = std::str::from_utf8(data).ok().and_then(|text| {
        let read = read(text, selection.fields(), stamp);
        read.map(|read| (text, read))
    });
    let (answer, read) = match (ours, theirs) {
        (Ok(answer), Some((_, read))) => (answer, read),
        (Err(_), None) => return,
        (Ok(_), None) => panic!("only we can read {:?}", String::from_utf8_lossy(data)),
        (Err(error), Some((text, _))) => panic!("{error}, but serde_json reads {text:?}"),
    };
    assert_eq!((answer.total, answer.done, &answer.next), (read.total, read.done, &read.next));
    let rows = answer.batch.records.iter().enumerate().map(|(i, record)| {
        let cells = answer.batch.row(i).iter().map(|cell| match cell.kind {
            CellKind::Null => (CellKind::Null, Span::default()),
            kind => (kind, cell.span),
        });
        (record.id, record.stamp, record.deleted, record.at, cells.collect())
    });
    assert_eq!(rows.collect::<Vec<Row>>(), read.rows);
}

fn read(text: &str, fields: &[String], stamp: Option<&str>) -> Option<Read> {
    let Members(members) = serde_json::from_str(text).ok()?;
    let (mut total, mut done, mut next, mut rows) = (None, None, None, None);
    for (name, value) in members {
        let value = value.get();
        match name.as_str() {
            "totalSize" => total = Some(serde_json::from_str(value).ok()?),
            "done" => done = Some(serde_json::from_str(value).ok()?),
            "nextRecordsUrl" => next = serde_json::from_str(value).ok()?,
            "records" => {
                let records: Vec<&RawValue> = serde_json::from_str(value).ok()?;
                let read = records.into_iter().map(|record| row(text, record.get(), fields, stamp));
                rows.get_or_insert_with(Vec::new).extend(read.collect::<Option<Vec<_>>>()?);
            }
            _ => {}
        }
    }
    Some(Read { total: total?, done: done?, next, rows: rows? })
}

fn row(text: &str, record: &str, fields: &[String], stamp: Option<&str>) -> Option<Row> {
    let members: Members<'_> = serde_json::from_str(record).ok()?;
    // Every parent that is declared is read as an object, also where a later member of its name hides it.
    for (name, value) in &members.0 {
        check(name, value.get(), fields)?;
    }
    let id = RecordId::parse(unquoted(members.last("Id")?)).ok()?;
    let stamp = match stamp.and_then(|stamp| members.last(stamp)) {
        None | Some("null") => Stamp::default(),
        Some(value) => Stamp::parse(unquoted(value)).ok()?,
    };
    let deleted = members.last("IsDeleted") == Some("true");
    let mut cells = Vec::new();
    for path in fields {
        cells.push(find(&members, path).map_or((CellKind::Null, Span::default()), |value| {
            let kind = match value.as_bytes()[0] {
                b'"' if value.contains('\\') => CellKind::Escaped,
                b'"' => CellKind::Text,
                b'{' | b'[' => CellKind::Json,
                b't' | b'f' => CellKind::Boolean,
                _ => CellKind::Number,
            };
            (kind, place(text, unquoted(value)))
        }));
    }
    Some((id, stamp, deleted, place(text, record), cells))
}

/// Names within a declared parent must be text; those of other objects are passed over unread.
fn check(name: &str, value: &str, paths: &[String]) -> Option<()> {
    let below: Vec<String> = paths
        .iter()
        .filter_map(|path| path.split_once('.'))
        .filter(|(parent, _)| parent.eq_ignore_ascii_case(name))
        .map(|(_, rest)| rest.to_owned())
        .collect();
    if below.is_empty() || !value.starts_with('{') {
        return Some(());
    }
    let members: Members<'_> = serde_json::from_str(value).ok()?;
    members.0.iter().try_for_each(|(name, value)| check(name, value.get(), &below))
}

/// The value of a path; none when it is null or not there.
fn find<'a>(members: &Members<'a>, path: &str) -> Option<&'a str> {
    match path.split_once('.') {
        None => members.last(path).filter(|value| *value != "null"),
        Some((parent, rest)) => {
            let parent = members.last(parent).filter(|value| value.starts_with('{'))?;
            find(&serde_json::from_str(parent).ok()?, rest)
        }
    }
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

fn place(text: &str, part: &str) -> Span {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    let at = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Span { start: at(start), len: at(part.len()) }
}

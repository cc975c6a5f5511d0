//! What the fuzz targets do with their bytes. `tests/fuzz` feeds them from libFuzzer; the tests here feed them from
//! proptest, so that they compile and hold with every change.

mod oracle;

use std::path::Path;

use bytes::Bytes;
use kilofold::config::Config;
use kilofold::model::{Batch, RecordId, Scan, Selection, Span, Stamp, Window, leaves};
use kilofold::quota::LimitInfo;
use kilofold::salesforce::Refusal;
use kilofold::salesforce::soql::{Query, quote};
use org_sim::soql::ast::{Expr, Item, Literal};
use org_sim::soql::parser::parse;

/// Builds a query of names and a condition that are anything, and checks that nothing leaves its place: what a parser
/// of SOQL makes of the whole query is what it makes of its parts.
///
/// The bytes are lines: object, fields, stamp, condition (which may have further lines).
pub fn soql(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    quoted(&text);
    let mut lines = text.splitn(4, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let (object, fields, stamp, filter) = (next(), next(), next(), next());
    let to = Stamp(1_700_000_000_000);
    let query = Query {
        object: object.to_owned(),
        fields: fields.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        stamp: Some(stamp.to_owned()),
        has_deleted: false,
        filter: Some(filter.to_owned()),
        window: Some(Window { scan: Scan::ByStamp, from: None, to, at: None }),
        limit: Some(200),
    };
    let Ok(built) = query.text() else { return };
    let alone = parse(&format!("SELECT Id FROM Contact WHERE ({})", filter.trim()));
    let whole = match (parse(&built), &alone) {
        (Ok(whole), _) => whole,
        // A word of SOQL as a name, or a condition that is none: Salesforce refuses it all the same.
        (Err(_), Err(_)) => return,
        (Err(_), Ok(_)) => {
            let names = [object, stamp].into_iter().chain(fields.split(',')).collect::<Vec<_>>();
            let plain = Query { filter: None, ..query };
            let refused = plain.text().map(|plain| parse(&plain).is_err());
            assert!(refused != Ok(false), "the condition fits, the names {names:?} fit: {built}");
            return;
        }
    };
    assert_eq!(whole.from.it, object, "{built}");
    assert_eq!(whole.alias, None, "{built}");
    assert_eq!((whole.limit, whole.offset.is_none()), (Some(200), true), "{built}");
    assert_eq!(whole.order.len(), 2, "{built}");
    for item in &whole.select {
        let Item::Path(path) = &item.it else { panic!("selects {item:?}: {built}") };
        let known = path == "Id" || path == stamp || fields.split(',').any(|name| name == path);
        assert!(known, "selects {path}: {built}");
    }
    let Some(Expr::Test(until)) = last(whole.filter.as_ref()) else {
        panic!("the window is not the last condition: {built}");
    };
    assert_eq!(until.path.it, stamp, "{built}");
    if filter.trim().is_empty() {
        assert!(matches!(whole.filter, Some(Expr::Test(_))), "{built}");
        return;
    }
    let own =
        alone.unwrap_or_else(|error| panic!("only the whole is SOQL: {built}: {error}")).filter;
    match &whole.filter {
        Some(Expr::And(all)) if all.len() == 2 => assert_eq!(own.as_ref(), all.first(), "{built}"),
        // A parser may draw the user's own conjunction and ours together.
        Some(Expr::And(all)) => match &own {
            Some(Expr::And(own)) => assert_eq!(own[..], all[..all.len() - 1], "{built}"),
            other => panic!("the condition became {other:?}: {built}"),
        },
        other => panic!("the condition became {other:?}: {built}"),
    }
}

fn last(filter: Option<&Expr>) -> Option<&Expr> {
    match filter {
        Some(Expr::And(all)) => all.last(),
        other => other,
    }
}

/// A quoted text is one literal, which is that text.
fn quoted(text: &str) {
    let query = format!("SELECT Id FROM Contact WHERE Name = {}", quote(text));
    // The parser has a longest query, and noncharacters of its own.
    let own = |c: char| matches!(u32::from(c), 0xfdd0..=0xfdef) || u32::from(c) & 0xfffe == 0xfffe;
    if query.chars().count() > 10_000 || text.contains(own) {
        return;
    }
    match parse(&query) {
        Ok(parsed) => match parsed.filter {
            Some(Expr::Test(test)) => match test.with.as_slice() {
                [one] => assert_eq!(one.it, Literal::Text(text.to_owned()), "{query:?}"),
                other => panic!("{query:?} compares with {other:?}"),
            },
            other => panic!("{query:?} asks {other:?}"),
        },
        Err(error) => panic!("{query:?}: {error}"),
    }
}

/// Reads the bytes as everything that an answer may be; what is accepted points into the text.
pub fn answer(data: &[u8]) {
    let text = Bytes::copy_from_slice(data);
    let fields = ["Id", "Name", "Email", "Account.Name", "Account.Owner.Name", "Amount", "Address"];
    let fields = fields.map(str::to_owned);
    for (fields, stamp) in [
        (&fields[..], Some("SystemModstamp")),
        (&fields[..1], None),
        (&fields[..0], Some("CreatedDate")),
    ] {
        let selection = Selection::new(fields, stamp);
        let read = selection.read_answer(&text);
        oracle::compare(data, &selection, stamp, read.as_ref());
        let Ok(answer) = read else { continue };
        within(&answer.batch);
        let places: Vec<_> = answer.batch.records.iter().map(|record| record.at).collect();
        let again = selection.read_records(&answer.batch.text, &places);
        let again = again.unwrap_or_else(|error| panic!("read once, but not again: {error}"));
        assert_eq!(again.records, answer.batch.records);
        assert_eq!(again.cells, answer.batch.cells);
    }
    for status in [400, 401, 403, 420, 500] {
        let refusal = Refusal::read(status, data);
        assert!(refusal.message.chars().count() <= 1_000, "{refusal:?}");
    }
    let header = String::from_utf8_lossy(data);
    drop(LimitInfo::parse(&header));
    if let Ok(id) = RecordId::parse(&header) {
        assert_eq!(RecordId::parse(id.as_str()), Ok(id));
    }
    if let Ok(stamp) = Stamp::parse(&header) {
        assert_eq!(Stamp::parse(&stamp.to_string()), Ok(stamp));
    }
}

fn within(batch: &Batch) {
    assert_eq!(batch.cells.len(), batch.records.len() * batch.fields.len());
    for (i, record) in batch.records.iter().enumerate() {
        let raw = batch.raw(i);
        assert!(raw.starts_with('{') && raw.ends_with('}'), "record {i} is {raw:?}");
        // A stored body points to the leaves of its record, which are then read from the record's text alone.
        let alone: Vec<Span> = leaves(raw).expect("a record is JSON");
        let here = batch.leaves(i).iter();
        let here: Vec<Span> =
            here.map(|leaf| Span { start: leaf.start - record.at.start, len: leaf.len }).collect();
        assert_eq!(here, alone);
        for cell in batch.row(i).iter().filter(|cell| cell.span.len > 0) {
            let (outer, inner) = (record.at.range(), cell.span.range());
            assert!(outer.start < inner.start && inner.end < outer.end, "{outer:?} {inner:?}");
            assert!(batch.text.get(inner).is_some());
            drop(batch.value(*cell));
        }
    }
}

/// Reads the bytes as every kind of stored value.
pub fn codec(data: &[u8]) {
    kilofold::store::fuzz::read(data);
}

/// Reads the bytes as a configuration; what is wrong is told, and telling it works.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Err(error) = Config::parse(&text, Path::new("kilofold.toml")) {
        assert!(!error.to_string().is_empty());
        drop(format!("{error:?}"));
    }
}

#[cfg(test)]
mod tests;

//! What is written is read back by the libraries that others read it with.

use ::parquet::file::reader::{FileReader as _, SerializedFileReader};
use ::parquet::record::Field;

use super::*;

fn line(n: u64, body: &str) -> String {
    format!(
        "{{\"sync\":\"Contact\",\"kind\":\"person\",\"key\":\"k{n}\",\"record\":\"0034C00000VaYfKQAV\",\"changed\":{},\"run\":3,\"body\":{body}}}\n",
        1_700_000_000_000 + n
    )
}

fn raw(state: &str, deleted: bool, raw: &str) -> String {
    format!(
        "{{\"sync\":\"Contact\",\"record\":\"0034C00000VaYfKQAV\",\"changed\":1,\"run\":3,\"state\":\"{state}\",\"deleted\":{deleted},\"why\":null,\"raw\":{raw}}}\n"
    )
}

/// Writes these lines in pieces that end anywhere.
fn export(lines: &[String], format: Format, filter: Filter) -> (Vec<u8>, Written) {
    let mut export = Export::new(Vec::new(), format, filter, |_| ()).unwrap();
    for piece in lines.concat().as_bytes().chunks(7) {
        export.write_all(piece).unwrap();
    }
    export.finish().unwrap()
}

fn people() -> Vec<String> {
    vec![
        line(1, r#"{"name":"Ann \"A\", é","n":1.10,"i":7,"ok":true,"tags":["a"],"mixed":1}"#),
        line(2, r#"{"name":"=cmd()","n":-2,"i":null,"ok":null,"mixed":"x","late":"there"}"#),
        line(3, r#"{"name":null,"n":3,"i":9007199254740993,"ok":false,"tags":{"b":1}}"#),
    ]
}

#[test]
fn parquet_is_read_back() {
    let (bytes, written) = export(&people(), Format::Parquet, Filter::default());
    assert_eq!((written.seen, written.rows, written.columns), (3, 3, 13));
    let file = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
    assert_eq!(file.metadata().file_metadata().num_rows(), 3);
    let rows: Vec<Vec<(String, Field)>> = file
        .get_row_iter(None)
        .unwrap()
        .map(|row| {
            row.unwrap()
                .get_column_iter()
                .map(|(name, field)| (name.clone(), field.clone()))
                .collect()
        })
        .collect();
    let column = |name: &str| -> Vec<Field> {
        rows.iter()
            .map(|row| row.iter().find(|(known, _)| known == name).unwrap().1.clone())
            .collect()
    };
    let text = |text: &str| Field::Str(text.to_owned());
    assert_eq!(column("name"), [text("Ann \"A\", é"), text("=cmd()"), Field::Null]);
    assert_eq!(column("n"), [Field::Double(1.1), Field::Double(-2.0), Field::Double(3.0)]);
    assert_eq!(column("i"), [Field::Long(7), Field::Null, Field::Long(9_007_199_254_740_993)]);
    assert_eq!(column("ok"), [Field::Bool(true), Field::Null, Field::Bool(false)]);
    assert_eq!(column("mixed"), [text("1"), text("x"), Field::Null]);
    assert_eq!(column("late"), [Field::Null, text("there"), Field::Null]);
    assert_eq!(column("_changed")[0], Field::TimestampMillis(1_700_000_000_001));
    assert_eq!(column("_key")[2], text("k3"));
    let tags = column("tags");
    assert!(
        matches!(&tags[0], Field::Str(tags) if tags == "[\"a\"]")
            || matches!(&tags[0], Field::Bytes(_)),
        "{tags:?}"
    );
}

#[test]
fn parquet_of_several_groups_is_whole() {
    // 20 MB, more than one group of rows; every third row has no text.
    let body = |n: u64| match n % 3 {
        0 => "{\"n\":1}".to_owned(),
        _ => format!("{{\"long\":\"{n} {}\"}}", "x".repeat(4000)),
    };
    let lines: Vec<String> = (0..7500).map(|n| line(n, &body(n))).collect();
    let (bytes, written) = export(&lines, Format::Parquet, Filter::default());
    assert_eq!(written.rows, 7500);
    let file = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
    assert!(file.metadata().num_row_groups() > 1);
    for (n, row) in (0..).zip(file.get_row_iter(None).unwrap()) {
        let row = row.unwrap();
        let long = row.get_column_iter().find(|(name, _)| *name == "long").unwrap().1;
        match (n % 3, long) {
            (0, Field::Null) => {}
            (_, Field::Str(text)) => assert!(text.starts_with(&format!("{n} x")), "row {n}"),
            other => panic!("row {n}: {other:?}"),
        }
    }
}

#[test]
fn csv_is_read_back() {
    let (bytes, _) = export(&people(), Format::Csv, Filter::default());
    let mut reader = ::csv::Reader::from_reader(&bytes[..]);
    let head: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(head[..6], ["_sync", "_kind", "_key", "_record", "_changed", "_run"]);
    let rows: Vec<::csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
    let cell = |row: usize, name: &str| {
        let place = head.iter().position(|known| known == name).unwrap();
        rows[row][place].to_owned()
    };
    assert_eq!(cell(0, "name"), "Ann \"A\", é");
    assert_eq!(
        (cell(0, "n"), cell(1, "n"), cell(1, "i")),
        ("1.10".into(), "-2".into(), String::new())
    );
    // Nothing that a spreadsheet would run.
    assert_eq!(cell(1, "name"), "'=cmd()");
    assert_eq!(cell(2, "tags"), "{\"b\":1}");
    assert_eq!(cell(0, "_changed"), "2023-11-14T22:13:20.001Z");
}

#[test]
fn lines_go_as_they_came() {
    let lines = people();
    let (bytes, written) = export(&lines, Format::JsonLines, Filter::default());
    assert_eq!(String::from_utf8(bytes).unwrap(), lines.concat());
    assert_eq!((written.rows, written.columns), (3, 0));
}

#[test]
fn records_are_flat_and_filtered() {
    let lines = [
        raw(
            "mapped",
            false,
            r#"{"attributes":{"type":"Contact"},"Id":"a","Account":{"attributes":{"type":"Account"},"Name":"Acme","Owner":{"attributes":{},"Name":"O"}},"Address":{"city":"B"}}"#,
        ),
        raw("failed", false, r#"{"attributes":{"type":"Contact"},"Id":"b","Account":null}"#),
        raw("mapped", true, "null"),
    ];
    let kept = |filter: Filter| {
        let (bytes, written) = export(&lines, Format::Csv, filter);
        let ids: Vec<String> = ::csv::Reader::from_reader(&bytes[..])
            .deserialize::<std::collections::HashMap<String, String>>()
            .map(|row| row.unwrap().get("Id").cloned().unwrap_or_default())
            .collect();
        assert_eq!((written.seen, written.rows), (3, ids.len() as u64));
        ids
    };
    assert_eq!(kept(Filter::default()), ["a", "b", ""]);
    let states = |state: &str| Filter { states: vec![state.to_owned()], ..Filter::default() };
    assert_eq!(
        (kept(states("mapped")), kept(states("deleted"))),
        (vec!["a".into()], vec![String::new()])
    );
    let holds =
        |text: &str| Filter { conditions: vec![text.parse().unwrap()], ..Filter::default() };
    assert_eq!(kept(holds("Account.Owner.Name=O")), ["a"]);
    assert_eq!(kept(holds("Account.Name!=Acme")), ["b", ""]);
    assert_eq!(kept(Filter { since: Some(crate::model::Stamp(2)), ..Filter::default() }).len(), 0);
    assert!("x".parse::<Where>().is_err() && "!=x".parse::<Where>().is_err());
}

#[test]
fn half_a_row_is_an_error() {
    let mut export = Export::new(Vec::new(), Format::Csv, Filter::default(), |_| ()).unwrap();
    export.write_all(b"{\"sync\":").unwrap();
    assert!(export.finish().is_err());
    let mut export = Export::new(Vec::new(), Format::Csv, Filter::default(), |_| ()).unwrap();
    assert!(export.write_all(b"{}\n").is_err());
}

#[test]
fn an_empty_export_is_a_file() {
    for format in [Format::Csv, Format::Parquet, Format::JsonLines] {
        let (bytes, written) = export(&[], format, Filter::default());
        assert_eq!((written.seen, written.rows), (0, 0));
        assert_eq!(bytes.is_empty(), format == Format::JsonLines);
    }
}

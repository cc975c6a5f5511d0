//! CSV, with a head; null and the empty text both become nothing.

use std::io::{self, Write};

use super::columns::Column;
use super::row::{Cell, Row};
use super::wrong;

/// Writes rows.
pub(super) fn write<W: Write>(
    to: W,
    columns: &[Column],
    lines: impl Iterator<Item = io::Result<String>>,
) -> io::Result<W> {
    let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(to);
    csv.write_record(columns.iter().map(|column| column.name.as_str()))?;
    for line in lines {
        let line = line?;
        let row = Row::parse(&line).map_err(wrong)?;
        for (place, column) in columns.iter().enumerate() {
            match row.near(place, &column.name).and_then(Cell::text) {
                Some(text) => csv.write_field(inert(&text).as_bytes())?,
                None => csv.write_field("")?,
            }
        }
        csv.write_record(None::<&[u8]>)?;
    }
    csv.into_inner().map_err(|error| io::Error::from(error.error().kind()))
}

/// A text that a spreadsheet would run as a formula gets an apostrophe in front, which spreadsheets take as 'this is text'.
/// Numbers stay as they are.
fn inert(text: &str) -> std::borrow::Cow<'_, str> {
    let risky = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if risky && text.parse::<f64>().is_err() { format!("'{text}").into() } else { text.into() }
}

//! Batches as plugins read them.

use std::ops::Range;

use super::wire;
use crate::model::{Batch, Cell, CellKind};
use crate::plugin::pieces::Pieces;

/// A batch in the table form.
pub(in crate::plugin) type Encoded = wire::Batch;

/// Which field of a batch each column of the plugin takes; none where the batch lacks it.
pub(in crate::plugin) type Columns = [Option<usize>];

/// Text that an index entry can tell the end of, in bytes.
const TEXT: usize = 1 << 29;

/// These records in the table form. An error says what is wrong with the batch.
pub(in crate::plugin) fn encode_table(
    batch: &Batch,
    columns: &Columns,
    rows: Range<usize>,
) -> Result<Encoded, String> {
    let mut cells = Vec::with_capacity(rows.len() * columns.len());
    let mut text = Pieces::with_room(rows.len() * columns.len() * 16);
    let source = batch.text.as_str();
    let count = u32::try_from(rows.len()).map_err(|_| too_long())?;
    for row in rows {
        let row = batch.row(row);
        for column in columns {
            let cell = cell(row, *column);
            let tag = match cell.kind {
                CellKind::Null => 0,
                CellKind::Text | CellKind::Escaped => 1,
                CellKind::Number => 3,
                CellKind::Boolean => 4,
                CellKind::Json => 5,
            };
            match cell.kind {
                CellKind::Null => {}
                CellKind::Escaped => text.push_unescaped(value(source, cell)?),
                _ => text.push_part(source, cell.span.range()).ok_or_else(|| outside(cell))?,
            }
            if text.len() >= TEXT {
                return Err(too_long());
            }
            let end = u32::try_from(text.len()).map_err(|_| too_long())?;
            cells.push(end << 3 | tag);
        }
    }
    let text = text.into_text().map_err(|error| error.to_string())?;
    Ok(Encoded { rows: count, text: text.into(), cells })
}

/// These records in the json form. An error says what is wrong with the batch.
pub(in crate::plugin) fn encode_json(
    batch: &Batch,
    columns: &Columns,
    rows: Range<usize>,
) -> Result<String, String> {
    let mut text = String::with_capacity(rows.len() * columns.len() * 24);
    let source = batch.text.as_str();
    text.push('[');
    for (i, row) in rows.enumerate() {
        text.push_str(if i == 0 { "[" } else { ",[" });
        let row = batch.row(row);
        for (j, column) in columns.iter().enumerate() {
            if j > 0 {
                text.push(',');
            }
            let cell = cell(row, *column);
            match cell.kind {
                CellKind::Null => text.push_str("null"),
                CellKind::Text | CellKind::Escaped => {
                    // Escapes stay as they came.
                    text.push('"');
                    text.push_str(value(source, cell)?);
                    text.push('"');
                }
                _ => text.push_str(value(source, cell)?),
            }
        }
        text.push(']');
    }
    text.push(']');
    Ok(text)
}

fn cell(row: &[Cell], column: Option<usize>) -> Cell {
    column.and_then(|column| row.get(column)).copied().unwrap_or(Cell::NULL)
}

fn value(source: &str, cell: Cell) -> Result<&str, String> {
    source.get(cell.span.range()).ok_or_else(|| outside(cell))
}

fn outside(cell: Cell) -> String {
    format!("a value at byte {} lies outside of its text", cell.span.start)
}

fn too_long() -> String {
    String::from("its declared fields have more than 512 MiB of text")
}

//! The records of one page and an index into their text.

use std::borrow::Cow;
use std::sync::Arc;

use super::{RecordId, Stamp, Text};

/// A stretch of a text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Where it begins.
    pub start: u32,
    /// How long it is.
    pub len: u32,
}

impl Span {
    /// A stretch within the first 4 GiB of a text; empty when it is not.
    pub fn new(range: std::ops::Range<usize>) -> Self {
        match (u32::try_from(range.start), u32::try_from(range.end)) {
            (Ok(start), Ok(end)) => Self { start, len: end.saturating_sub(start) },
            _ => Self::default(),
        }
    }

    /// The stretch as a range.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

/// How the text of a cell is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellKind {
    /// Null, or not there.
    Null,
    /// Text as it stands between the quotes, without escapes.
    Text,
    /// Text between the quotes that still has JSON escapes.
    Escaped,
    /// A number, as JSON spells it.
    Number,
    /// `true` or `false`.
    Boolean,
    /// An object or a list, as JSON spells it.
    Json,
}

/// The value of one field of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Where it lies in the batch's text.
    pub span: Span,
    /// How to read it.
    pub kind: CellKind,
}

impl Cell {
    /// The cell of a field without a value.
    pub const NULL: Self = Self { span: Span { start: 0, len: 0 }, kind: CellKind::Null };
}

/// What the host itself needs to know of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Its Salesforce id.
    pub id: RecordId,
    /// When it last changed, by the org's clock; zero for objects without such a field.
    pub stamp: Stamp,
    /// Whether it lies in the recycle bin.
    pub deleted: bool,
    /// Its JSON object in the batch's text.
    pub at: Span,
    /// Where its leaves are among the batch's; none when they are not known.
    pub leaves: Span,
}

/// The records of one page (at most 1000), the page's text, and a cell for each declared field.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The text that all spans point into.
    pub text: Text,
    /// API names of the fields that the cells hold, in order.
    pub fields: Arc<[String]>,
    /// The records, in the order in which they came.
    pub records: Vec<Record>,
    /// `records.len() * fields.len()` cells, record by record.
    pub cells: Vec<Cell>,
    /// Of the records, one after the other, the values that hold no others: texts with their quotes, numbers, booleans,
    /// nulls, in order.
    pub leaves: Vec<Span>,
}

impl Batch {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The text of a stretch; empty when it is not within the batch.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or_default()
    }

    /// Record `i` as Salesforce sent it.
    pub fn raw(&self, i: usize) -> &str {
        self.records.get(i).map_or("", |record| self.slice(record.at))
    }

    /// The cells of record `i`, one a field.
    pub fn row(&self, i: usize) -> &[Cell] {
        let width = self.fields.len();
        self.cells.get(i * width..(i + 1) * width).unwrap_or_default()
    }

    /// The places in the batch's text of record `i`'s values that hold no others.
    pub fn leaves(&self, i: usize) -> &[Span] {
        let leaves = self.records.get(i).and_then(|record| self.leaves.get(record.leaves.range()));
        leaves.unwrap_or_default()
    }

    /// The value of a cell without quotes and escapes; empty for null.
    pub fn value(&self, cell: Cell) -> Cow<'_, str> {
        let text = self.slice(cell.span);
        if cell.kind == CellKind::Escaped {
            let start = cell.span.start.saturating_sub(1);
            let quoted = Span { start, len: cell.span.len + 2 };
            if let Ok(plain) = serde_json::from_str::<String>(self.slice(quoted)) {
                return Cow::Owned(plain);
            }
        }
        Cow::Borrowed(text)
    }

    /// The batch of these records only, in this order; the text is shared.
    pub fn select(&self, indices: &[usize]) -> Self {
        let mut cells = Vec::with_capacity(indices.len() * self.fields.len());
        let mut records = Vec::with_capacity(indices.len());
        let mut leaves = Vec::new();
        for &i in indices {
            if let Some(record) = self.records.get(i) {
                let start = leaves.len();
                leaves.extend_from_slice(self.leaves(i));
                records.push(Record { leaves: Span::new(start..leaves.len()), ..*record });
                cells.extend_from_slice(self.row(i));
            }
        }
        Self { text: self.text.clone(), fields: self.fields.clone(), records, cells, leaves }
    }
}

//! What goes out: one text and an index into it.

use std::borrow::Cow;

use crate::{Batch, Kinds, Output, OutputKind, Reject};

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// An output was made.
    Mapped,
    /// The record is not wanted.
    Skipped,
    /// The record is in error.
    Failed,
}

/// One row of the answer, as `out-row` in `wit/mapping.wit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutRow {
    /// The record that the row is about.
    pub index: u32,
    /// What became of it.
    pub verdict: Verdict,
    /// Which of the declared kinds the output is.
    pub kind: u16,
    /// How many cells the row has.
    pub cells: u32,
}

/// What a cell's text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum CellType {
    /// No value.
    Null = 0,
    /// Text, without quotes and escapes.
    Text = 1,
    /// A number as JSON spells it.
    Number = 3,
    /// `true` or `false`.
    Boolean = 4,
    /// Any other JSON.
    Json = 5,
}

const FROM_BATCH: u64 = 8;
const LONGEST: usize = (1 << 28) - 1;
/// Every answer's text begins so, and all booleans point there.
const BOOLEANS: &str = "truefalse";

/// The answer to one batch while it is made.
#[derive(Debug)]
pub struct Outcomes<'b> {
    batch: &'b str,
    kinds: Kinds,
    rows: Vec<OutRow>,
    text: String,
    cells: Vec<u64>,
    index: u32,
    fault: Option<Reject>,
}

impl<'b> Outcomes<'b> {
    /// An empty answer to `batch`, of outputs of these kinds.
    pub fn new(batch: &Batch<'b>, kinds: Kinds) -> Self {
        let widest = kinds.as_slice().iter().map(|kind| kind.fields.len() + 1).max().unwrap_or(1);
        let mut text = String::with_capacity(batch.text.len() / 4 + 64);
        text.push_str(BOOLEANS);
        Self {
            batch: batch.text,
            kinds,
            rows: Vec::with_capacity(batch.len()),
            text,
            cells: Vec::with_capacity(batch.len() * widest),
            index: 0,
            fault: None,
        }
    }

    /// The declared kinds, the rows, their text and their cells.
    pub fn into_parts(self) -> (Vec<OutputKind>, Vec<OutRow>, String, Vec<u64>) {
        (self.kinds.as_slice().to_vec(), self.rows, self.text, self.cells)
    }

    /// Answers for record `index`: what `made` emits, or one row that says why there is nothing.
    pub(crate) fn record(&mut self, index: u32, made: Result<impl crate::Outputs, Reject>) {
        self.index = index;
        let before = (self.rows.len(), self.cells.len(), self.text.len());
        let reject = match made {
            Ok(outputs) => {
                outputs.emit(self);
                match self.fault.take() {
                    Some(fault) => fault,
                    None if self.rows.len() > before.0 => return,
                    None => Reject::skip("the mapping made no output"),
                }
            }
            Err(reject) => reject,
        };
        self.rows.truncate(before.0);
        self.cells.truncate(before.1);
        self.text.truncate(before.2);
        self.reject(&reject);
    }

    fn reject(&mut self, reject: &Reject) {
        let Some(code) = &reject.code else {
            self.row(Verdict::Skipped, 0, 1);
            return self.put(CellType::Text, &reject.message);
        };
        self.row(Verdict::Failed, 0, 3);
        self.put(CellType::Text, code);
        self.put(CellType::Text, &reject.message);
        match &reject.field {
            Some(field) => self.put(CellType::Text, field),
            None => self.cells.push(CellType::Null as u64),
        }
    }

    #[inline]
    fn row(&mut self, verdict: Verdict, kind: u16, cells: u32) {
        self.rows.push(OutRow { index: self.index, verdict, kind, cells });
    }

    /// Adds an output of the record in hand.
    #[inline]
    pub fn push<T: Output>(&mut self, output: &T) {
        self.push_with(T::KIND, output.key(), |cells| output.cells(cells));
    }

    /// Adds an output of the record in hand: its kind, its key and what writes its cells, one a declared field.
    #[inline]
    pub fn push_with(&mut self, kind: &str, key: &str, write: impl FnOnce(&mut Cells<'_, 'b>)) {
        let Some(position) = self.kinds.position(kind) else {
            return self.fault(
                "output.kind",
                format!("the mapping made an output of kind '{kind}', which it did not declare"),
            );
        };
        if key.is_empty() {
            return self.fault("output.key", format!("the mapping made a {kind} without a key"));
        }
        let first = self.cells.len();
        let wanted = self.kinds.as_slice()[position].fields.len() + 1;
        self.row(Verdict::Mapped, position as u16, wanted as u32);
        self.put(CellType::Text, key);
        write(&mut Cells { out: self });
        let written = self.cells.len() - first;
        if written != wanted {
            self.fault(
                "output.cells",
                format!(
                    "the mapping wrote {written} cells of a {kind}, which has {wanted} with its key"
                ),
            );
        }
    }

    #[cold]
    fn fault(&mut self, code: &'static str, message: impl Into<Cow<'static, str>>) {
        self.fault.get_or_insert_with(|| Reject::new(code, message));
    }

    #[inline(always)]
    fn put(&mut self, kind: CellType, text: &str) {
        // Live allocations do not overlap, so an address inside the batch's text is a part of it.
        let at = (text.as_ptr() as usize).wrapping_sub(self.batch.as_ptr() as usize);
        if at <= self.batch.len() && text.len() <= self.batch.len() - at {
            self.cell(at, text.len(), FROM_BATCH | kind as u64);
        } else {
            self.put_new(kind, text);
        }
    }

    /// A text that is not in the batch. Apart, so that what most cells need stands where they are written.
    #[inline(never)]
    fn put_new(&mut self, kind: CellType, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        self.cell(start, text.len(), kind as u64);
    }

    #[inline]
    fn cell(&mut self, start: usize, length: usize, bits: u64) {
        if length > LONGEST {
            self.fault("output.size", "a value is longer than 256 MiB");
        }
        self.cells.push((start as u64) << 32 | (length as u64) << 4 & 0xffff_ffff | bits);
    }
}

/// Writes the cells of one output, in the order of the declared fields.
#[derive(Debug)]
pub struct Cells<'w, 'b> {
    out: &'w mut Outcomes<'b>,
}

impl Cells<'_, '_> {
    /// No value.
    #[inline]
    pub fn null(&mut self) {
        self.out.cells.push(CellType::Null as u64);
    }

    /// A text; one that lies in the batch is handed on by reference.
    #[inline]
    pub fn text(&mut self, text: &str) {
        self.out.put(CellType::Text, text);
    }

    /// A number as JSON spells it.
    #[inline]
    pub fn number(&mut self, number: &str) {
        self.out.put(CellType::Number, number);
    }

    /// True or false.
    #[inline]
    pub fn boolean(&mut self, value: bool) {
        let (start, length) = if value { (0, 4) } else { (4, 5) };
        self.out.cell(start, length, CellType::Boolean as u64);
    }

    /// JSON as it is.
    #[inline]
    pub fn json(&mut self, json: &str) {
        self.out.put(CellType::Json, json);
    }

    /// A value of this type whose text is written in place.
    #[inline]
    pub fn written(&mut self, kind: CellType, write: impl FnOnce(&mut String)) {
        let start = self.out.text.len();
        write(&mut self.out.text);
        let length = self.out.text.len() - start;
        self.out.cell(start, length, kind as u64);
    }
}

//! What comes in: one text and an index into it.

use crate::DateTime;

/// Where a batch comes from and when it was read.
#[derive(Clone, Debug)]
pub struct Context {
    /// API name of the object, such as `Contact`.
    pub object: String,
    /// Name of the sync that the batch belongs to.
    pub sync: String,
    /// The run's identity.
    pub run: String,
    /// Counts the batches of the run, from 0.
    pub batch: u32,
    /// When the page was read: the only clock there is.
    pub read_at: DateTime,
    /// API names of the fields that come with the batch, in order.
    pub fields: Vec<String>,
}

/// One value of a record, as Salesforce sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// No value.
    Null,
    /// Text, without quotes and escapes.
    Text(&'a str),
    /// A number as it was spelled.
    Number(&'a str),
    /// True or false.
    Boolean(bool),
    /// Any other JSON, as it was spelled.
    Json(&'a str),
}

impl<'a> Cell<'a> {
    /// The value as JSON, appended to `out`.
    pub fn write_json(&self, out: &mut String) {
        match self {
            Cell::Null => out.push_str("null"),
            Cell::Text(text) => crate::values::write_text(text, out),
            Cell::Number(json) | Cell::Json(json) => out.push_str(json),
            Cell::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        }
    }

    fn read(kind: u32, text: &'a str) -> Self {
        match kind {
            1 => Cell::Text(text),
            3 => Cell::Number(text),
            4 => Cell::Boolean(text == "true"),
            5 => Cell::Json(text),
            _ => Cell::Null,
        }
    }
}

/// The records of one call.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    pub(crate) context: &'a Context,
    pub(crate) rows: u32,
    pub(crate) text: &'a str,
    pub(crate) cells: &'a [u32],
}

impl<'a> Batch<'a> {
    /// A batch over the host's text and cells, encoded as `batch` in `wit/mapping.wit`.
    ///
    /// # Panics
    /// When the number of cells is not that of rows times fields: the host broke the contract.
    pub fn new(context: &'a Context, rows: u32, text: &'a str, cells: &'a [u32]) -> Self {
        let expected = rows as usize * context.fields.len();
        assert!(
            cells.len() == expected,
            "the host sent {} cells where there must be {expected}",
            cells.len()
        );
        Self { context, rows, text, cells }
    }

    /// Where the batch comes from.
    pub fn context(&self) -> &'a Context {
        self.context
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.rows as usize
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The records, in order.
    pub fn rows(self) -> impl Iterator<Item = Row<'a>> {
        let width = self.context.fields.len();
        (0..self.len()).map(move |index| {
            let first = index * width;
            let start = if first == 0 { 0 } else { self.cells[first - 1] >> 3 };
            Row {
                text: self.text,
                cells: &self.cells[first..first + width],
                start,
                names: &self.context.fields,
            }
        })
    }
}

/// One record, field by field, for mappings that take any object.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    text: &'a str,
    cells: &'a [u32],
    start: u32,
    names: &'a [String],
}

impl<'a> Row<'a> {
    /// How many fields the record has.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether the record has no fields.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The value of the field at `position`.
    ///
    /// # Panics
    /// When there are not so many fields.
    #[inline]
    pub fn cell(&self, position: usize) -> Cell<'a> {
        let before = if position == 0 { self.start << 3 } else { self.cells[position - 1] };
        self.between(before, self.cells[position])
    }

    /// The value that the index entry `cell` tells, whose text begins where that of the entry `before` ends.
    #[inline]
    pub(crate) fn between(&self, before: u32, cell: u32) -> Cell<'a> {
        Cell::read(cell & 7, &self.text[(before >> 3) as usize..(cell >> 3) as usize])
    }

    /// The index entries of a record that has so many fields, behind one that ends where the first begins. For
    /// `#[derive(Record)]`, which knows how many there are.
    ///
    /// # Panics
    /// When there are not so many: the host broke the contract.
    #[doc(hidden)]
    #[inline]
    pub fn entries<const N: usize>(&self) -> (u32, &'a [u32; N]) {
        match self.cells.try_into() {
            Ok(cells) => (self.start << 3, cells),
            Err(_) => {
                panic!("the host sent {} fields where the mapping reads {N}", self.cells.len())
            }
        }
    }

    /// The value of the field called `name`, if it comes with the batch.
    pub fn get(&self, name: &str) -> Option<Cell<'a>> {
        self.names.iter().position(|it| it == name).map(|position| self.cell(position))
    }

    /// Names and values, in order.
    pub fn fields(self) -> Fields<'a> {
        Fields { row: self, next: 0 }
    }
}

/// Names and values of one record, in order.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    row: Row<'a>,
    next: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, Cell<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let name = self.row.names.get(self.next)?;
        let cell = self.row.cell(self.next);
        self.next += 1;
        Some((name, cell))
    }
}

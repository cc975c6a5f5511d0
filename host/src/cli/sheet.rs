//! Tables that fit the terminal: short heads, numbers to the right, one thin line.

use comfy_table::{
    Cell as TableCell, CellAlignment, Color, ColumnConstraint, ContentArrangement, LineStyle,
    Table, TableStyle,
};
use console::measure_text_width;

use crate::model::{Ending, Run};
use crate::web::text::{outcome, plain};

/// How tables look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Columns of the terminal.
    pub width: u16,
    /// Whether colours are wanted.
    pub colour: bool,
}

/// What a cell's colour says. The text must say it as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Paint {
    /// Nothing.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// Look at it.
    Warn,
    /// It went wrong.
    Bad,
    /// It waits.
    Wait,
    /// It is under way.
    Live,
    /// It is of no weight.
    Dim,
}

/// One column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    head: &'static str,
    right: bool,
    gives: bool,
}

impl Column {
    /// Text, from the left.
    pub const fn text(head: &'static str) -> Self {
        Self { head, right: false, gives: false }
    }

    /// Numbers, from the right.
    pub const fn number(head: &'static str) -> Self {
        Self { head, right: true, gives: false }
    }

    /// Text that is cut when the table is too wide.
    pub const fn giving(head: &'static str) -> Self {
        Self { head, right: false, gives: true }
    }
}

/// One cell: a text that cannot steer a terminal, and its colour.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    paint: Paint,
}

impl Cell {
    /// A cell of this text and colour.
    pub fn new(text: &str, paint: Paint) -> Self {
        Self { text: plain(text), paint }
    }

    /// A count: pale when it is zero.
    pub fn count(text: String, n: u64, paint: Paint) -> Self {
        Self { text, paint: if n == 0 { Paint::Dim } else { paint } }
    }

    /// How a run stands.
    pub fn outcome(run: &Run) -> Self {
        let paint = match run.ending {
            None => Paint::Live,
            Some(Ending::Succeeded) => Paint::Good,
            Some(Ending::SucceededWithFailures) => Paint::Warn,
            Some(Ending::Paused { .. }) => Paint::Wait,
            Some(Ending::Failed { .. } | Ending::Interrupted) => Paint::Bad,
        };
        Self::new(outcome(run), paint)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(&text, Paint::Plain)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text, Paint::Plain)
    }
}

/// A table.
#[derive(Debug, Clone)]
pub struct Sheet {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// A giving column keeps at least this width.
const LEAST: usize = 6;

impl Sheet {
    /// A table of these columns.
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text, without a line break at its end.
    pub fn render(&self, look: &Look) -> String {
        let widths = self.widths(usize::from(look.width));
        let line = LineStyle::none().fill('─');
        let mut table = Table::new();
        table
            .load_style(TableStyle::new().header_separator(line))
            .set_content_arrangement(ContentArrangement::Disabled);
        if look.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(self.columns.iter().map(|column| TableCell::new(column.head)));
        for row in &self.rows {
            table.add_row(row.iter().zip(&widths).map(|(cell, &width)| {
                let drawn = TableCell::new(cut(&cell.text, width));
                match color(cell.paint) {
                    Some(color) if look.colour => drawn.fg(color),
                    _ => drawn,
                }
            }));
        }
        let last = self.columns.len().saturating_sub(1);
        for (i, column) in self.columns.iter().enumerate() {
            if let Some(drawn) = table.column_mut(i) {
                drawn.set_padding((0, u16::from(i < last)));
                drawn.set_constraint(ColumnConstraint::ContentWidth);
                if column.right {
                    drawn.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        table.trim_fmt()
    }

    /// What every column may take: all it wants, unless that is more than there is; then the giving ones give.
    fn widths(&self, width: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(i, column)| {
                let cells = self.rows.iter().filter_map(|row| row.get(i));
                let widest = cells.map(|cell| columns(&cell.text)).max().unwrap_or(0);
                widest.max(column.head.len())
            })
            .collect();
        let gaps = widths.len().saturating_sub(1);
        let mut over = (widths.iter().sum::<usize>() + gaps).saturating_sub(width);
        // Other text gives only when nothing else can; numbers never do.
        let gives = |column: &Column, all: bool| column.gives || (all && !column.right);
        for all in [false, true] {
            while over > 0 {
                let giving = (0..widths.len())
                    .filter(|&i| {
                        let column = &self.columns[i];
                        gives(column, all) && widths[i] > LEAST.max(column.head.len())
                    })
                    .max_by_key(|&i| widths[i]);
                let Some(widest) = giving else { break };
                widths[widest] -= 1;
                over -= 1;
            }
        }
        widths
    }
}

/// How many columns of a terminal a text takes: also of one that draws joined characters side by side.
pub fn columns(text: &str) -> usize {
    let apart: usize = text.chars().map(|c| measure_text_width(c.encode_utf8(&mut [0; 4]))).sum();
    measure_text_width(text).max(apart)
}

/// How many bytes of the text fit into so many columns; at least one character. Nothing is cut off what it belongs to.
pub fn fits(text: &str, width: usize) -> usize {
    let (mut best, mut apart) = (0, 0);
    for (at, c) in text.char_indices() {
        let wide = measure_text_width(c.encode_utf8(&mut [0; 4]));
        if wide > 0 && apart <= width && columns(&text[..at]) <= width {
            best = at;
        }
        apart += wide;
        if apart > width + 2 {
            break;
        }
    }
    let first = text.chars().next().map_or(0, char::len_utf8);
    if columns(text) <= width { text.len() } else { best.max(first) }
}

fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    let kept = if room == 0 { 0 } else { fits(text, room) };
    format!("{}…", &text[..kept])
}

fn color(paint: Paint) -> Option<Color> {
    match paint {
        Paint::Plain => None,
        Paint::Good => Some(Color::Green),
        Paint::Warn => Some(Color::Yellow),
        Paint::Bad => Some(Color::Red),
        Paint::Wait => Some(Color::Magenta),
        Paint::Live => Some(Color::Cyan),
        Paint::Dim => Some(Color::DarkGrey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_and_cuts_what_gives() {
        let mut sheet = Sheet::new(&[Column::giving("name"), Column::number("n")]);
        sheet.row(vec!["short".into(), "1".into()]);
        sheet.row(vec!["a_very_long_name_indeed\u{1b}[31m".into(), "12345".into()]);
        let drawn = sheet.render(&Look { width: 20, colour: false });
        assert!(drawn.lines().all(|line| measure_text_width(line) <= 20), "{drawn}");
        assert!(!drawn.contains('\u{1b}'));
        insta::assert_snapshot!(drawn, @r"
        name               n
        ────────────────────
        short              1
        a_very_long_n… 12345
        ");
    }

    #[test]
    fn colours_only_when_asked() {
        let mut sheet = Sheet::new(&[Column::text("state")]);
        sheet.row(vec![Cell::new("failed", Paint::Bad)]);
        assert!(sheet.render(&Look { width: 80, colour: true }).contains('\u{1b}'));
        assert!(!sheet.render(&Look { width: 80, colour: false }).contains('\u{1b}'));
    }
}

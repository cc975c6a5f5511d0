//! What is stored, as files for other programs: JSON lines, CSV and Parquet.
//!
//! Rows come as JSON lines, from the store or from the host that holds it. JSON lines are written as they come. The other two
//! want their columns first, so rows wait in a file without a name until all were seen: memory holds a row for CSV and a
//! group of rows for Parquet, whatever the size, and no value is guessed at from the first few.

mod columns;
mod csv;
mod filter;
mod parquet;
mod row;

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Seek as _, Write};

pub use columns::{Column, Columns, Type};
pub use filter::{Filter, Where};
pub use row::{Cell, Row};

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    JsonLines,
    /// Comma-separated, as RFC 4180 has it.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Rows that came.
    pub seen: u64,
    /// Rows that were wanted, and written.
    pub rows: u64,
    /// Columns; 0 for JSON lines.
    pub columns: usize,
}

/// Takes rows as JSON lines, written to it in pieces of any size.
pub struct Export<W: Write + Send> {
    to: W,
    format: Format,
    filter: Filter,
    /// The beginning of a line.
    held: Vec<u8>,
    columns: Columns,
    waiting: Option<BufWriter<File>>,
    written: Written,
    tell: Box<dyn FnMut(u64) + Send>,
}

fn wrong(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

impl<W: Write + Send> Export<W> {
    /// Writes to `to`; rows wait in the system's folder for temporary files. `tell` hears how many rows came.
    pub fn new(
        to: W,
        format: Format,
        filter: Filter,
        tell: impl FnMut(u64) + Send + 'static,
    ) -> io::Result<Self> {
        let waiting = match format {
            Format::JsonLines => None,
            Format::Csv | Format::Parquet => Some(BufWriter::new(tempfile::tempfile()?)),
        };
        Ok(Self {
            to,
            format,
            filter,
            held: Vec::new(),
            columns: Columns::default(),
            waiting,
            written: Written::default(),
            tell: Box::new(tell),
        })
    }

    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        let text = std::str::from_utf8(line).map_err(wrong)?;
        let row = Row::parse(text).map_err(wrong)?;
        self.written.seen += 1;
        if self.written.seen.is_multiple_of(1000) {
            (self.tell)(self.written.seen);
        }
        if !self.filter.wants(&row) {
            return Ok(());
        }
        self.written.rows += 1;
        match &mut self.waiting {
            None => {
                self.to.write_all(line)?;
                self.to.write_all(b"\n")
            }
            Some(waiting) => {
                self.columns.see(&row).map_err(wrong)?;
                waiting.write_all(line)?;
                waiting.write_all(b"\n")
            }
        }
    }

    /// Writes what waited, and tells what there was.
    pub fn finish(mut self) -> io::Result<(W, Written)> {
        if !self.held.is_empty() {
            return Err(wrong("the last row is not whole"));
        }
        (self.tell)(self.written.seen);
        let Some(waiting) = self.waiting else {
            self.to.flush()?;
            return Ok((self.to, self.written));
        };
        let mut file = waiting.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        let columns = self.columns.finish();
        self.written.columns = columns.len();
        let lines = BufReader::new(file).lines();
        let to = match self.format {
            Format::Parquet => parquet::write(self.to, &columns, lines)?,
            _ => csv::write(self.to, &columns, lines)?,
        };
        Ok((to, self.written))
    }
}

impl<W: Write + Send> Write for Export<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (piece, behind) = rest.split_at(end);
            rest = behind.get(1..).unwrap_or_default();
            if self.held.is_empty() {
                self.line(piece)?;
            } else {
                self.held.extend_from_slice(piece);
                let line = std::mem::take(&mut self.held);
                self.line(&line)?;
            }
        }
        self.held.extend_from_slice(rest);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! Parquet, a group of rows at a time, by the low-level writer: without the arrow arrays, which would more than double what
//! is built.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::writer::{ColumnWriter, ColumnWriterImpl};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type as Schema, TypePtr};

use super::columns::{Column, Type};
use super::row::{Cell, Row};
use super::wrong;

/// A group of rows ends with so many rows.
const ROWS: usize = 100_000;
/// Or with so many bytes in memory.
const BYTES: usize = 16 << 20;
/// Texts that are handed to the writer at once: each takes memory of its own there.
const PIECE: usize = 1024;

/// The values of one column of a group of rows, and at which rows there is one.
enum Values {
    Bool(Vec<bool>),
    Integer(Vec<i64>),
    Double(Vec<f64>),
    Texts(Texts),
}

/// Texts one behind the other, and where each ends.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    fn add(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(self.bytes.len());
    }

    fn write(
        self,
        to: &mut ColumnWriterImpl<'_, ByteArrayType>,
        levels: &[i16],
    ) -> Result<(), ParquetError> {
        let (bytes, mut ends, mut start) = (Bytes::from(self.bytes), self.ends.into_iter(), 0);
        for levels in levels.chunks(PIECE) {
            let there = levels.iter().filter(|level| **level == 1).count();
            let texts = ends.by_ref().take(there);
            let texts: Vec<ByteArray> = texts
                .map(|end| bytes.slice(std::mem::replace(&mut start, end)..end).into())
                .collect();
            to.write_batch(&texts, Some(levels), None)?;
        }
        Ok(())
    }
}

struct Group {
    columns: Vec<(Values, Vec<i16>)>,
    rows: usize,
    bytes: usize,
}

impl Group {
    fn new(columns: &[Column]) -> Self {
        let empty = |column: &Column| {
            let values = match column.holds {
                Type::Bool => Values::Bool(Vec::new()),
                Type::Integer | Type::Moment => Values::Integer(Vec::new()),
                Type::Double => Values::Double(Vec::new()),
                Type::Text | Type::Json | Type::Nothing => Values::Texts(Texts::default()),
            };
            (values, Vec::new())
        };
        Self { columns: columns.iter().map(empty).collect(), rows: 0, bytes: 0 }
    }

    fn add(&mut self, row: &Row<'_>, columns: &[Column]) -> io::Result<()> {
        let unfit =
            |column: &Column| wrong(format!("a value of {} is of another type", column.name));
        for (place, ((values, levels), column)) in self.columns.iter_mut().zip(columns).enumerate()
        {
            let cell = row.near(place, &column.name).unwrap_or(&Cell::Null);
            levels.push(i16::from(*cell != Cell::Null));
            // A number and its level; of a text, where it ends.
            self.bytes += 10;
            match (values, cell) {
                (_, Cell::Null) => {}
                (Values::Bool(list), Cell::Bool(value)) => list.push(*value),
                (Values::Integer(list), Cell::Moment(at)) => list.push(at.0),
                (Values::Integer(list), Cell::Number(text)) => {
                    list.push(text.parse().map_err(|_| unfit(column))?);
                }
                (Values::Double(list), Cell::Number(text)) => {
                    list.push(text.parse().map_err(|_| unfit(column))?);
                }
                (Values::Texts(texts), cell) => {
                    let text = cell.text().unwrap_or_default();
                    self.bytes += text.len();
                    texts.add(&text);
                }
                _ => return Err(unfit(column)),
            }
        }
        self.rows += 1;
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.rows >= ROWS || self.bytes >= BYTES
    }

    fn write<W: Write + Send>(self, mut to: SerializedRowGroupWriter<'_, W>) -> io::Result<()> {
        for (values, levels) in self.columns {
            let mut column =
                to.next_column().map_err(wrong)?.ok_or_else(|| wrong("a column is missing"))?;
            let all = Some(&levels[..]);
            let done = match (column.untyped(), values) {
                (ColumnWriter::BoolColumnWriter(to), Values::Bool(list)) => {
                    to.write_batch(&list, all, None).map(drop)
                }
                (ColumnWriter::Int64ColumnWriter(to), Values::Integer(list)) => {
                    to.write_batch(&list, all, None).map(drop)
                }
                (ColumnWriter::DoubleColumnWriter(to), Values::Double(list)) => {
                    to.write_batch(&list, all, None).map(drop)
                }
                (ColumnWriter::ByteArrayColumnWriter(to), Values::Texts(texts)) => {
                    texts.write(to, &levels)
                }
                _ => return Err(wrong("a column has another type than its values")),
            };
            done.map_err(wrong)?;
            column.close().map_err(wrong)?;
        }
        to.close().map_err(wrong)?;
        Ok(())
    }
}

fn schema(columns: &[Column]) -> Result<TypePtr, parquet::errors::ParquetError> {
    let field = |column: &Column| {
        let (physical, logical) = match column.holds {
            Type::Bool => (Physical::BOOLEAN, None),
            Type::Integer => (Physical::INT64, None),
            Type::Double => (Physical::DOUBLE, None),
            Type::Moment => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
            Type::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
            Type::Text | Type::Nothing => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        Schema::primitive_type_builder(&column.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()
            .map(Arc::new)
    };
    let fields = columns.iter().map(field).collect::<Result<Vec<_>, _>>()?;
    Schema::group_type_builder("row").with_fields(fields).build().map(Arc::new)
}

/// Writes rows.
pub(super) fn write<W: Write + Send>(
    to: W,
    columns: &[Column],
    lines: impl Iterator<Item = io::Result<String>>,
) -> io::Result<W> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(concat!("kilofold ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let schema = schema(columns).map_err(wrong)?;
    let mut file = SerializedFileWriter::new(to, schema, Arc::new(properties)).map_err(wrong)?;
    let mut group = Group::new(columns);
    for line in lines {
        group.add(&Row::parse(&line?).map_err(wrong)?, columns)?;
        if group.is_full() {
            let full = std::mem::replace(&mut group, Group::new(columns));
            full.write(file.next_row_group().map_err(wrong)?)?;
        }
    }
    if group.rows > 0 {
        group.write(file.next_row_group().map_err(wrong)?)?;
    }
    file.into_inner().map_err(wrong)
}

//! From a cell to a typed value.

use std::borrow::Cow;

use crate::{
    Address, Cell, Date, DateTime, Field, Id, Json, Location, MultiPicklist, Number, Reject, Row,
    Time,
};

/// A struct that a record is read into; `#[derive(Record)]` writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a Salesforce record",
    label = "needs `#[derive(Record)]`",
    note = "the type on the left of `=>` in `mapper!` is the struct whose fields are Salesforce's"
)]
pub trait Record<'a>: Sized {
    /// The fields, in the order in which the host sends them; empty: any.
    const FIELDS: &'static [Field];

    /// Reads one record.
    ///
    /// # Errors
    /// A failure that names the field when a required value is missing or a value is of another type.
    fn read(row: &Row<'a>) -> Result<Self, Reject>;
}

impl<'a> Record<'a> for Row<'a> {
    const FIELDS: &'static [Field] = &[];

    fn read(row: &Row<'a>) -> Result<Self, Reject> {
        Ok(*row)
    }
}

/// Why a cell could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The value is of another type than the one named.
    Type(&'static str),
    /// The type is right but the value is not; says what must be.
    Value(&'static str),
}

/// A type that a Salesforce value can be read into.
#[diagnostic::on_unimplemented(
    message = "a Salesforce field cannot be read as `{Self}`",
    label = "not a type that a record can hold",
    note = "use &str, String, Cow<str>, bool, i64, i32, u32, u64, f64, Number, Date, DateTime, Time, Id, MultiPicklist, Address, Location or Json, in an Option where the field may be empty"
)]
pub trait FromCell<'a>: Sized {
    /// Whether an empty field is an error.
    const REQUIRED: bool = true;

    /// Reads a cell that is not null.
    ///
    /// # Errors
    /// What was expected instead.
    fn from_cell(cell: Cell<'a>) -> Result<Self, Mismatch>;

    /// The value of an empty field, if there can be one.
    #[inline]
    fn from_null() -> Option<Self> {
        None
    }
}

impl<'a> Row<'a> {
    /// The typed value of the field at `position`, called `name` in errors.
    ///
    /// # Errors
    /// `field.missing`, `field.type` or `field.value`, naming the field.
    #[inline]
    pub fn field<T: FromCell<'a>>(&self, position: usize, name: &'static str) -> Result<T, Reject> {
        Self::typed(self.cell(position), name)
    }

    /// The same of an index entry; see [`Row::entries`].
    ///
    /// # Errors
    /// The same.
    #[doc(hidden)]
    #[inline]
    pub fn entry<T: FromCell<'a>>(
        &self,
        before: u32,
        entry: u32,
        name: &'static str,
    ) -> Result<T, Reject> {
        Self::typed(self.between(before, entry), name)
    }

    #[inline]
    fn typed<T: FromCell<'a>>(cell: Cell<'a>, name: &'static str) -> Result<T, Reject> {
        match cell {
            Cell::Null => T::from_null().ok_or_else(|| missing(name)),
            cell => T::from_cell(cell).map_err(|mismatch| mismatched(mismatch, cell, name)),
        }
    }
}

#[cold]
fn missing(name: &'static str) -> Reject {
    Reject::new("field.missing", format!("{name} is empty, but the mapping needs it")).field(name)
}

#[cold]
fn mismatched(mismatch: Mismatch, cell: Cell<'_>, name: &'static str) -> Reject {
    const SHOWN: usize = 60;
    let (found, text) = match cell {
        Cell::Null => ("nothing", ""),
        Cell::Text(text) => ("the text", text),
        Cell::Number(text) => ("the number", text),
        Cell::Boolean(true) => ("the boolean", "true"),
        Cell::Boolean(false) => ("the boolean", "false"),
        Cell::Json(text) => ("the JSON", text),
    };
    let short: String = text.chars().take(SHOWN).collect();
    let more = if short.len() < text.len() { "..." } else { "" };
    let (code, expected) = match mismatch {
        Mismatch::Type(expected) => ("field.type", expected),
        Mismatch::Value(expected) => ("field.value", expected),
    };
    Reject::new(code, format!("{name} must be {expected}, but is {found} {short:?}{more}"))
        .field(name)
}

impl<'a> FromCell<'a> for Cell<'a> {
    const REQUIRED: bool = false;

    #[inline]
    fn from_cell(cell: Cell<'a>) -> Result<Self, Mismatch> {
        Ok(cell)
    }

    #[inline]
    fn from_null() -> Option<Self> {
        Some(Cell::Null)
    }
}

impl<'a, T: FromCell<'a>> FromCell<'a> for Option<T> {
    const REQUIRED: bool = false;

    #[inline]
    fn from_cell(cell: Cell<'a>) -> Result<Self, Mismatch> {
        T::from_cell(cell).map(Some)
    }

    #[inline]
    fn from_null() -> Option<Self> {
        Some(None)
    }
}

#[inline]
fn text(cell: Cell<'_>) -> Result<&str, Mismatch> {
    match cell {
        Cell::Text(text) => Ok(text),
        _ => Err(Mismatch::Type("text")),
    }
}

#[inline]
fn number(cell: Cell<'_>) -> Result<Number<'_>, Mismatch> {
    match cell {
        Cell::Number(text) => Ok(Number::trusted(text)),
        _ => Err(Mismatch::Type("a number")),
    }
}

impl<'a> FromCell<'a> for &'a str {
    #[inline]
    fn from_cell(cell: Cell<'a>) -> Result<Self, Mismatch> {
        text(cell)
    }
}

impl<'a> FromCell<'a> for Cow<'a, str> {
    #[inline]
    fn from_cell(cell: Cell<'a>) -> Result<Self, Mismatch> {
        text(cell).map(Cow::Borrowed)
    }
}

impl<'a> FromCell<'a> for String {
    #[inline]
    fn from_cell(cell: Cell<'a>) -> Result<Self, Mismatch> {
        text(cell).map(str::to_owned)
    }
}

impl<'a> FromCell<'a> for bool {
    #[inline]
    fn from_cell(cell: Cell<'a>) -> Result<Self, Mismatch> {
        match cell {
            Cell::Boolean(value) => Ok(value),
            _ => Err(Mismatch::Type("true or false")),
        }
    }
}

impl<'a> FromCell<'a> for Number<'a> {
    #[inline]
    fn from_cell(cell: Cell<'a>) -> Result<Self, Mismatch> {
        number(cell)
    }
}

impl<'a> FromCell<'a> for f64 {
    #[inline]
    fn from_cell(cell: Cell<'a>) -> Result<Self, Mismatch> {
        number(cell)?.as_f64().ok_or(Mismatch::Value("a number that a double can hold"))
    }
}

macro_rules! whole {
    ($($type:ty),*) => {$(
        impl<'a> FromCell<'a> for $type {
            #[inline]
            fn from_cell(cell: Cell<'a>) -> Result<Self, Mismatch> {
                let whole = number(cell)?.as_i64().and_then(|it| it.try_into().ok());
                whole.ok_or(Mismatch::Value(concat!("a whole number that fits ", stringify!($type))))
            }
        }
    )*};
}
whole!(i64, i32, u64, u32);

impl<'a> FromCell<'a> for Date {
    #[inline]
    fn from_cell(cell: Cell<'a>) -> Result<Self, Mismatch> {
        Date::parse(text(cell)?).ok_or(Mismatch::Value("a date such as 2024-02-29"))
    }
}

impl<'a> FromCell<'a> for DateTime {
    #[inline]
    fn from_cell(cell: Cell<'a>) -> Result<Self, Mismatch> {
        DateTime::parse(text(cell)?)
            .ok_or(Mismatch::Value("a date-time such as 2024-02-29T08:30:00.000+0000"))
    }
}

impl<'a> FromCell<'a> for Time {
    #[inline]
    fn from_cell(cell: Cell<'a>) -> Result<Self, Mismatch> {
        Time::parse(text(cell)?).ok_or(Mismatch::Value("a time such as 08:30:00.000Z"))
    }
}

impl<'a> FromCell<'a> for Address<'a> {
    #[inline]
    fn from_cell(cell: Cell<'a>) -> Result<Self, Mismatch> {
        match cell {
            Cell::Json(json) => Address::parse(json).ok_or(Mismatch::Value("an address")),
            _ => Err(Mismatch::Type("an address")),
        }
    }
}

impl<'a> FromCell<'a> for Location<'a> {
    #[inline]
    fn from_cell(cell: Cell<'a>) -> Result<Self, Mismatch> {
        match cell {
            Cell::Json(json) => Location::parse(json).ok_or(Mismatch::Value("a location")),
            _ => Err(Mismatch::Type("a location")),
        }
    }
}

impl<'a> FromCell<'a> for Id<'a> {
    #[inline]
    fn from_cell(cell: Cell<'a>) -> Result<Self, Mismatch> {
        Id::parse(text(cell)?).ok_or(Mismatch::Value("a Salesforce id of 15 or 18 characters"))
    }
}

impl<'a> FromCell<'a> for MultiPicklist<'a> {
    #[inline]
    fn from_cell(cell: Cell<'a>) -> Result<Self, Mismatch> {
        text(cell).map(MultiPicklist::new)
    }
}

impl<'a> FromCell<'a> for Json<'a> {
    #[inline]
    fn from_cell(cell: Cell<'a>) -> Result<Self, Mismatch> {
        Ok(match cell {
            Cell::Json(json) | Cell::Number(json) => Json::trusted(Cow::Borrowed(json)),
            other => {
                let mut json = String::new();
                other.write_json(&mut json);
                Json::trusted(Cow::Owned(json))
            }
        })
    }
}

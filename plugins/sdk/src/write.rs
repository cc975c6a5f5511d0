//! From a typed value to a cell.

use std::borrow::Cow;
use std::fmt::Write;

use crate::{
    Address, Cell, CellType, Cells, Date, DateTime, Id, Json, Kinds, Location, MultiPicklist,
    Number, Outcomes, Time,
};

/// A struct that becomes one output; `#[derive(Output)]` writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an output",
    label = "needs `#[derive(Output)]` and `#[kind(\"...\")]`"
)]
pub trait Output {
    /// Name of the kind, such as `person`.
    const KIND: &'static str;
    /// Names of the body's fields, in the order of the cells.
    const FIELDS: &'static [&'static str];

    /// What tells the output from all others of its kind and sync.
    fn key(&self) -> &str;

    /// Writes one cell a field.
    fn cells(&self, cells: &mut Cells<'_, '_>);
}

/// What a mapping can return: an output, several in a tuple, a `Vec`, an array or an `Option`, or an enum of them with
/// `#[derive(Outputs)]`.
#[diagnostic::on_unimplemented(
    message = "a mapping cannot return `{Self}`",
    label = "not an output",
    note = "derive `Output` for a struct, `Outputs` for an enum of outputs, or use a tuple, Vec, array or Option of them"
)]
pub trait Outputs {
    /// Declares the kinds that there can be.
    fn declare(kinds: &mut Kinds);

    /// Adds the outputs, in order.
    fn emit(self, out: &mut Outcomes<'_>);
}

impl<T: Outputs> Outputs for Option<T> {
    fn declare(kinds: &mut Kinds) {
        T::declare(kinds);
    }

    #[inline]
    fn emit(self, out: &mut Outcomes<'_>) {
        if let Some(output) = self {
            output.emit(out);
        }
    }
}

impl<T: Outputs> Outputs for Vec<T> {
    fn declare(kinds: &mut Kinds) {
        T::declare(kinds);
    }

    fn emit(self, out: &mut Outcomes<'_>) {
        self.into_iter().for_each(|output| output.emit(out));
    }
}

impl<T: Outputs, const N: usize> Outputs for [T; N] {
    fn declare(kinds: &mut Kinds) {
        T::declare(kinds);
    }

    fn emit(self, out: &mut Outcomes<'_>) {
        self.into_iter().for_each(|output| output.emit(out));
    }
}

macro_rules! tuples {
    ($(($($name:ident $at:tt),+))+) => {$(
        impl<$($name: Outputs),+> Outputs for ($($name,)+) {
            fn declare(kinds: &mut Kinds) {
                $($name::declare(kinds);)+
            }

            #[inline]
            fn emit(self, out: &mut Outcomes<'_>) {
                $(self.$at.emit(out);)+
            }
        }
    )+};
}
tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
}

/// A type that an output's field can have.
#[diagnostic::on_unimplemented(
    message = "an output cannot hold `{Self}`",
    label = "not a type that an output can hold",
    note = "use &str, String, Cow<str>, bool, an integer, f64, Number, Date, DateTime, Time, Id, MultiPicklist, Address, Location or Json, in an Option where there may be no value"
)]
pub trait ToCell {
    /// Writes the value as exactly one cell.
    fn to_cell(&self, cells: &mut Cells<'_, '_>);
}

impl<T: ToCell> ToCell for Option<T> {
    #[inline]
    fn to_cell(&self, cells: &mut Cells<'_, '_>) {
        match self {
            Some(value) => value.to_cell(cells),
            None => cells.null(),
        }
    }
}

impl<T: ToCell + ?Sized> ToCell for &T {
    #[inline]
    fn to_cell(&self, cells: &mut Cells<'_, '_>) {
        (**self).to_cell(cells);
    }
}

impl ToCell for str {
    #[inline]
    fn to_cell(&self, cells: &mut Cells<'_, '_>) {
        cells.text(self);
    }
}

impl ToCell for String {
    #[inline]
    fn to_cell(&self, cells: &mut Cells<'_, '_>) {
        cells.text(self);
    }
}

impl ToCell for Cow<'_, str> {
    #[inline]
    fn to_cell(&self, cells: &mut Cells<'_, '_>) {
        cells.text(self);
    }
}

impl ToCell for bool {
    #[inline]
    fn to_cell(&self, cells: &mut Cells<'_, '_>) {
        cells.boolean(*self);
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl ToCell for $type {
            #[inline]
            fn to_cell(&self, cells: &mut Cells<'_, '_>) {
                cells.written(CellType::Number, |out| write!(out, "{self}").unwrap_or_default());
            }
        }
    )*};
}
integers!(i64, i32, u64, u32);

impl ToCell for f64 {
    /// A number that JSON cannot spell, such as infinity, is null.
    #[inline]
    fn to_cell(&self, cells: &mut Cells<'_, '_>) {
        if self.is_finite() {
            cells.written(CellType::Number, |out| write!(out, "{self:?}").unwrap_or_default());
        } else {
            cells.null();
        }
    }
}

impl ToCell for Number<'_> {
    #[inline]
    fn to_cell(&self, cells: &mut Cells<'_, '_>) {
        cells.number(self.as_str());
    }
}

impl ToCell for Date {
    #[inline]
    fn to_cell(&self, cells: &mut Cells<'_, '_>) {
        cells.written(CellType::Text, |out| self.write(out));
    }
}

impl ToCell for DateTime {
    #[inline]
    fn to_cell(&self, cells: &mut Cells<'_, '_>) {
        cells.written(CellType::Text, |out| self.write(out));
    }
}

impl ToCell for Time {
    #[inline]
    fn to_cell(&self, cells: &mut Cells<'_, '_>) {
        cells.written(CellType::Text, |out| write!(out, "{self}").unwrap_or_default());
    }
}

impl ToCell for Address<'_> {
    #[inline]
    fn to_cell(&self, cells: &mut Cells<'_, '_>) {
        cells.json(self.as_json());
    }
}

impl ToCell for Location<'_> {
    #[inline]
    fn to_cell(&self, cells: &mut Cells<'_, '_>) {
        cells.json(self.as_json());
    }
}

impl ToCell for Id<'_> {
    #[inline]
    fn to_cell(&self, cells: &mut Cells<'_, '_>) {
        cells.text(self.as_str());
    }
}

impl ToCell for Json<'_> {
    #[inline]
    fn to_cell(&self, cells: &mut Cells<'_, '_>) {
        cells.json(self.as_str());
    }
}

impl ToCell for MultiPicklist<'_> {
    /// An array of the choices.
    fn to_cell(&self, cells: &mut Cells<'_, '_>) {
        texts(self.iter(), cells);
    }
}

impl<T: AsRef<str>> ToCell for Vec<T> {
    /// An array of texts.
    fn to_cell(&self, cells: &mut Cells<'_, '_>) {
        texts(self.iter().map(AsRef::as_ref), cells);
    }
}

fn texts<'t>(list: impl Iterator<Item = &'t str>, cells: &mut Cells<'_, '_>) {
    cells.written(CellType::Json, |out| {
        out.push('[');
        for (at, text) in list.enumerate() {
            if at > 0 {
                out.push(',');
            }
            crate::values::write_text(text, out);
        }
        out.push(']');
    });
}

impl ToCell for Cell<'_> {
    #[inline]
    fn to_cell(&self, cells: &mut Cells<'_, '_>) {
        match self {
            Cell::Null => cells.null(),
            Cell::Text(text) => cells.text(text),
            Cell::Number(number) => cells.number(number),
            Cell::Boolean(value) => cells.boolean(*value),
            Cell::Json(json) => cells.json(json),
        }
    }
}

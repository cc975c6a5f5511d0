//! Which columns there are and of which type, from all rows.

use std::collections::HashMap;

use super::row::{Cell, Row};

/// More columns than a table can have.
const MOST: usize = 10_000;

/// The type of a column: the narrowest that holds every value of it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Type {
    /// No value was seen.
    #[default]
    Nothing,
    /// True or false.
    Bool,
    /// Whole numbers of 64 bits.
    Integer,
    /// Numbers of at most 15 digits, which a double holds exactly enough to spell them again.
    Double,
    /// Texts; and whatever no other type holds, as it is spelled.
    Text,
    /// Lists and objects.
    Json,
    /// Moments of kilofold's own.
    Moment,
}

impl Type {
    /// The narrowest type of one value.
    pub fn of(cell: &Cell<'_>) -> Self {
        match cell {
            Cell::Null => Self::Nothing,
            Cell::Bool(_) => Self::Bool,
            Cell::Number(text) => of_number(text),
            Cell::Text(_) => Self::Text,
            Cell::Json(_) => Self::Json,
            Cell::Moment(_) => Self::Moment,
        }
    }

    /// The narrowest type that holds what either holds.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, one) | (one, Self::Nothing) => one,
            (one, same) if one == same => one,
            // An integer of more digits than a double holds is told apart by `of_number`'s caller.
            (Self::Integer, Self::Double) | (Self::Double, Self::Integer) => Self::Double,
            _ => Self::Text,
        }
    }
}

fn of_number(text: &str) -> Type {
    if text.parse::<i64>().is_ok() && text != "-0" {
        return Type::Integer;
    }
    if digits(text) <= 15 && text.parse::<f64>().is_ok_and(f64::is_finite) {
        return Type::Double;
    }
    Type::Text
}

/// Significant digits of a number.
fn digits(text: &str) -> usize {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let figures: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    figures.trim_start_matches('0').len()
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The type of its values.
    pub holds: Type,
}

/// The columns of the rows that were seen, in the order in which they came.
#[derive(Debug, Default)]
pub struct Columns {
    list: Vec<Column>,
    places: HashMap<String, usize>,
    /// Those that have whole numbers of more digits than a double holds.
    long: Vec<bool>,
}

impl Columns {
    /// Looks at a row.
    pub fn see(&mut self, row: &Row<'_>) -> Result<(), String> {
        for (name, cell) in &row.cells {
            let place = match self.places.get(name.as_ref()) {
                Some(place) => *place,
                None if self.list.len() >= MOST => {
                    return Err(format!("there are more than {MOST} columns: export JSON lines"));
                }
                None => {
                    let place = self.list.len();
                    self.places.insert(name.to_string(), place);
                    self.list.push(Column { name: name.to_string(), holds: Type::Nothing });
                    self.long.push(false);
                    place
                }
            };
            let one = Type::of(cell);
            if let (Some(column), Some(long)) = (self.list.get_mut(place), self.long.get_mut(place))
            {
                *long |=
                    matches!(cell, Cell::Number(text) if one == Type::Integer && digits(text) > 15);
                column.holds = column.holds.with(one);
            }
        }
        Ok(())
    }

    /// The columns; one that has no value at all is one of texts.
    pub fn finish(self) -> Vec<Column> {
        if self.list.is_empty() {
            // Some readers take no table without a column.
            let name = |name: &str| Column { name: name.to_owned(), holds: Type::Text };
            return vec![name("_sync"), name("_record")];
        }
        let settle = |(column, long): (Column, bool)| match column.holds {
            Type::Nothing => Column { holds: Type::Text, ..column },
            Type::Double if long => Column { holds: Type::Text, ..column },
            _ => column,
        };
        self.list.into_iter().zip(self.long).map(settle).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_what_they_say() {
        let of = |text| Type::of(&Cell::Number(text));
        assert_eq!([of("0"), of("-7"), of("9223372036854775807")], [Type::Integer; 3]);
        assert_eq!(
            [of("1.10"), of("1e3"), of("-0"), of("0.000000000001"), of("123456789012.345")],
            [Type::Double; 5]
        );
        assert_eq!(
            [of("9223372036854775808"), of("1234567890.1234567"), of("1e999")],
            [Type::Text; 3]
        );
    }

    proptest::proptest! {
        /// Whatever the order: the type of a column holds the type of each of its values.
        #[test]
        fn holds_every_value(values in proptest::collection::vec(0..7_usize, 1..20)) {
            let all = [Type::Nothing, Type::Bool, Type::Integer, Type::Double, Type::Text, Type::Json, Type::Moment];
            let fold = |values: &mut dyn Iterator<Item = usize>| values.fold(Type::Nothing, |sum, i| sum.with(all[i]));
            let forth = fold(&mut values.iter().copied());
            proptest::prop_assert_eq!(forth, fold(&mut values.iter().rev().copied()));
            for i in values {
                proptest::prop_assert_eq!(forth.with(all[i]), forth);
            }
        }
    }
}

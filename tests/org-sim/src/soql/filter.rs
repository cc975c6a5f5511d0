//! Conditions as they are evaluated, row by row, and the bounds that let most rows be left alone.

use std::collections::HashSet;
use std::ops::Range;

use jiff::civil::Date;
use jiff::tz::Offset;

use super::ast::Op;
use super::lexer::{PERCENT, UNDERSCORE};
use crate::data::schema::Kind;
use crate::data::value::{Value, fold_order};
use crate::org::{Org, Table};

/// One step to a parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// The lookup field.
    pub field: usize,
    /// The name of the relationship.
    pub relationship: &'static str,
}

/// Where a path ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaf {
    /// A field of a known object.
    Field(usize),
    /// A field of whatever the lookup points to.
    Named(&'static str),
}

/// A field, perhaps of a parent.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// The way to the parent.
    pub hops: Vec<Hop>,
    /// The field there.
    pub leaf: Leaf,
    /// Its type.
    pub kind: Kind,
    /// The whole path in canonical case.
    pub name: String,
}

impl Path {
    /// The last part of the name.
    pub fn field(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    /// The value of the path for a row.
    pub fn value(&self, org: &Org, table: &Table, row: u32) -> Value {
        let (mut table, mut row) = (table, row);
        for hop in &self.hops {
            match table.value(org, row, hop.field).as_text().and_then(|id| org.locate(id)) {
                Some((parent, number)) => (table, row) = (parent, number),
                None => return Value::Null,
            }
        }
        leaf(org, table, row, self.leaf)
    }
}

/// The value of the end of a path.
pub fn leaf(org: &Org, table: &Table, row: u32, leaf: Leaf) -> Value {
    match leaf {
        Leaf::Field(index) => table.value(org, row, index),
        Leaf::Named("Type") => Value::fixed(table.object().name),
        Leaf::Named(name) => {
            // Some objects are named by another field than Name.
            let object = table.object();
            let index = object
                .field(name)
                .or_else(|| (name == "Name").then(|| object.field("Subject")).flatten());
            index
                .filter(|index| !table.hidden[*index])
                .map_or(Value::Null, |index| table.value(org, row, index))
        }
    }
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Cond {
    /// All of them.
    All(Vec<Cond>),
    /// Any of them.
    Any(Vec<Cond>),
    /// Not this.
    Not(Box<Cond>),
    /// Row numbers from and to: a comparison of the record's id.
    Rows(Range<u32>),
    /// These rows, sorted.
    Among(Vec<u32>),
    /// A check of a value.
    Test {
        /// The field.
        path: Path,
        /// The check.
        check: Check,
        /// Whether the field is SystemModstamp itself.
        stamp: bool,
    },
}

/// A check of one value, in its positive form: `!=`, NOT IN and EXCLUDES stand inside [`Cond::Not`].
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// Before or after a text.
    Text(Op, String),
    /// One of these texts, folded unless they are ids; or null.
    Among(HashSet<String>, bool, bool),
    /// Like one of these.
    Like(Vec<Pattern>),
    /// Holds all parts of one of these.
    Includes(Vec<Vec<String>>),
    /// Compared with numbers (booleans are 0 and 1); or null.
    Number(Op, Vec<f64>, bool),
    /// Compared with spans of milliseconds, the end exclusive; or null.
    Span(Op, Vec<(i64, i64)>, bool),
}

impl Check {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Check::Among(_, _, nulls)
            | Check::Number(Op::Eq | Op::Ne | Op::In | Op::NotIn, _, nulls)
            | Check::Span(Op::Eq | Op::Ne | Op::In | Op::NotIn, _, nulls)
                if value.is_null() =>
            {
                // A parent that is not there has no checkbox: it counts as unchecked.
                *nulls
            }
            Check::Text(op, text) => {
                value.as_text().is_some_and(|value| compare(*op, fold_order(value, text)))
            }
            Check::Among(texts, exact, _) => value.as_text().is_some_and(|value| {
                if *exact { texts.contains(value) } else { texts.contains(&value.to_lowercase()) }
            }),
            Check::Like(patterns) => {
                let text: Option<Vec<char>> =
                    value.as_text().map(|text| text.to_lowercase().chars().collect());
                text.is_some_and(|text| patterns.iter().any(|pattern| pattern.matches(&text)))
            }
            Check::Includes(sets) => {
                let text = value.as_text().unwrap_or_default().to_lowercase();
                let parts: Vec<&str> = text.split(';').collect();
                sets.iter().any(|set| set.iter().all(|wanted| parts.contains(&wanted.as_str())))
            }
            Check::Number(op, numbers, _) => {
                let number = match value {
                    Value::Bool(value) => Some(f64::from(u8::from(*value))),
                    other => other.as_number(),
                };
                number.is_some_and(|number| {
                    numbers.iter().any(|with| compare(*op, number.total_cmp(with)))
                })
            }
            Check::Span(op, spans, _) => {
                let at = match value {
                    Value::Time(seconds) => seconds.saturating_mul(1000),
                    Value::Day(date) => midnight(*date),
                    _ => return false,
                };
                spans.iter().any(|(from, to)| match op {
                    Op::Lt => at < *from,
                    Op::Le => at < *to,
                    Op::Gt => at >= *to,
                    Op::Ge => at >= *from,
                    _ => *from <= at && at < *to,
                })
            }
        }
    }
}

fn compare(op: Op, order: std::cmp::Ordering) -> bool {
    match op {
        Op::Lt => order.is_lt(),
        Op::Le => order.is_le(),
        Op::Gt => order.is_gt(),
        Op::Ge => order.is_ge(),
        _ => order.is_eq(),
    }
}

/// The first moment of a date in milliseconds.
pub fn midnight(date: Date) -> i64 {
    Offset::UTC
        .to_timestamp(date.at(0, 0, 0, 0))
        .map_or(if date.year() < 0 { i64::MIN } else { i64::MAX }, |at| at.as_millisecond())
}

/// What can be said of all rows for which a condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Row numbers.
    pub rows: Range<u32>,
    /// SystemModstamp in milliseconds, the end exclusive.
    pub stamps: Range<i64>,
}

impl Bounds {
    /// Nothing can be said.
    pub const NONE: Bounds = Bounds { rows: 0..u32::MAX, stamps: i64::MIN..i64::MAX };

    fn both(self, other: Bounds) -> Bounds {
        Bounds { rows: meet(self.rows, other.rows), stamps: meet(self.stamps, other.stamps) }
    }

    fn either(self, other: Bounds) -> Bounds {
        Bounds { rows: join(self.rows, other.rows), stamps: join(self.stamps, other.stamps) }
    }
}

fn meet<T: Ord>(a: Range<T>, b: Range<T>) -> Range<T> {
    a.start.max(b.start)..a.end.min(b.end)
}

fn join<T: Ord>(a: Range<T>, b: Range<T>) -> Range<T> {
    a.start.min(b.start)..a.end.max(b.end)
}

impl Cond {
    /// Puts the cheap conditions of a conjunction first.
    pub fn settle(&mut self) {
        match self {
            Cond::All(terms) | Cond::Any(terms) => {
                terms.iter_mut().for_each(Cond::settle);
                terms.sort_by_key(Cond::cost);
            }
            Cond::Not(term) => term.settle(),
            _ => {}
        }
    }

    fn cost(&self) -> usize {
        match self {
            Cond::Rows(_) => 0,
            Cond::Among(_) | Cond::Test { stamp: true, .. } => 1,
            Cond::Test { path, .. } => 4 + 4 * path.hops.len(),
            Cond::Not(term) => term.cost(),
            Cond::All(terms) | Cond::Any(terms) => terms.iter().map(Cond::cost).sum(),
        }
    }

    /// Whether the condition names at most so many ids.
    pub fn at_most(&self, count: usize) -> bool {
        match self {
            Cond::Among(rows) => rows.len() <= count,
            Cond::All(terms) => terms.iter().any(|term| term.at_most(count)),
            _ => false,
        }
    }

    /// Whether it holds for a row.
    pub fn holds(&self, org: &Org, table: &Table, row: u32) -> bool {
        match self {
            Cond::All(terms) => terms.iter().all(|term| term.holds(org, table, row)),
            Cond::Any(terms) => terms.iter().any(|term| term.holds(org, table, row)),
            Cond::Not(term) => !term.holds(org, table, row),
            Cond::Rows(range) => range.contains(&row),
            Cond::Among(rows) => rows.binary_search(&row).is_ok(),
            Cond::Test { path, check, stamp: true } if path.hops.is_empty() => {
                table.rows.get(row as usize).is_some_and(|row| check.holds(&Value::Time(row.stamp)))
            }
            Cond::Test { path, check, .. } => {
                let value = path.value(org, table, row);
                match (path.kind, value.is_null()) {
                    (Kind::Bool, true) => check.holds(&Value::Bool(false)),
                    _ => check.holds(&value),
                }
            }
        }
    }

    /// What can be said of the rows for which it holds.
    pub fn bounds(&self) -> Bounds {
        match self {
            Cond::All(terms) => terms.iter().map(Cond::bounds).fold(Bounds::NONE, Bounds::both),
            Cond::Any(terms) => {
                terms.iter().map(Cond::bounds).reduce(Bounds::either).unwrap_or(Bounds::NONE)
            }
            Cond::Rows(rows) => Bounds { rows: rows.clone(), ..Bounds::NONE },
            Cond::Among(rows) => {
                let rows = rows
                    .first()
                    .zip(rows.last())
                    .map_or(0..0, |(first, last)| *first..last.saturating_add(1));
                Bounds { rows, ..Bounds::NONE }
            }
            Cond::Test { check: Check::Span(op, spans, false), stamp: true, .. } => {
                let span = |(from, to): &(i64, i64)| match op {
                    Op::Lt => i64::MIN..*from,
                    Op::Le => i64::MIN..*to,
                    Op::Gt => *to..i64::MAX,
                    Op::Ge => *from..i64::MAX,
                    _ => *from..*to,
                };
                Bounds {
                    stamps: spans.iter().map(span).reduce(join).unwrap_or(0..0),
                    ..Bounds::NONE
                }
            }
            Cond::Not(_) | Cond::Test { .. } => Bounds::NONE,
        }
    }
}

/// A pattern of LIKE, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Piece>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Char(char),
    One,
    Any,
}

impl Pattern {
    /// Reads a pattern; `\_` and `\%` stand as the lexer's noncharacters.
    pub fn new(text: &str) -> Pattern {
        let piece = |c: char| match c {
            '%' => Piece::Any,
            '_' => Piece::One,
            c if UNDERSCORE.starts_with(c) => Piece::Char('_'),
            c if PERCENT.starts_with(c) => Piece::Char('%'),
            c => Piece::Char(c),
        };
        Pattern(text.to_lowercase().chars().map(piece).collect())
    }

    /// Whether the folded text matches: a greedy walk that goes back to the last `%` only.
    pub fn matches(&self, text: &[char]) -> bool {
        let (mut at, mut piece) = (0, 0);
        let mut resume: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.0.get(piece) {
                Some(Piece::Any) => {
                    resume = Some((piece + 1, at));
                    piece += 1;
                }
                Some(Piece::One) => {
                    at += 1;
                    piece += 1;
                }
                Some(Piece::Char(c)) if *c == text[at] => {
                    at += 1;
                    piece += 1;
                }
                _ => match &mut resume {
                    Some((after, from)) => {
                        *from += 1;
                        (at, piece) = (*from, *after);
                    }
                    None => return false,
                },
            }
        }
        self.0[piece.min(self.0.len())..].iter().all(|piece| *piece == Piece::Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_knows_wildcards_escapes_and_case() {
        let table = [
            ("abc", "ABC", true),
            ("a%", "Abracadabra", true),
            ("%abra", "Abracadabra", true),
            ("%ac%ab%", "Abracadabra", true),
            ("a_c", "abc", true),
            ("a_c", "ac", false),
            ("%", "", true),
            ("_", "", false),
            ("", "", true),
            ("%x%", "abc", false),
            ("100\u{fdd1}", "100%", true),
            ("100\u{fdd1}", "100x", false),
            ("a\u{fdd0}b", "a_b", true),
            ("a\u{fdd0}b", "axb", false),
            ("МЮ%", "мюсли", true),
            ("%a%a%a%a%a%b", &"a".repeat(200), false),
        ];
        for (pattern, text, expected) in table {
            let text: Vec<char> = text.to_lowercase().chars().collect();
            assert_eq!(Pattern::new(pattern).matches(&text), expected, "{pattern}");
        }
    }
}

//! A query as it was written; printing one gives text that parses to an equal one.

use std::fmt;

/// Something written, and the byte of the query where it stands. Equality looks at the thing alone.
#[derive(Debug, Clone)]
pub struct At<T> {
    /// Byte of the query.
    pub at: usize,
    /// What stands there.
    pub it: T,
}

impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.it == other.it
    }
}

/// A whole query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// What is selected.
    pub select: Vec<At<Item>>,
    /// The object.
    pub from: At<String>,
    /// The alias of the object.
    pub alias: Option<String>,
    /// The filter.
    pub filter: Option<Expr>,
    /// The order.
    pub order: Vec<Order>,
    /// LIMIT.
    pub limit: Option<u64>,
    /// OFFSET.
    pub offset: Option<At<u64>>,
}

/// One thing selected.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// `COUNT()`.
    Count,
    /// `FIELDS(ALL)`, `FIELDS(STANDARD)` or `FIELDS(CUSTOM)`.
    Fields(Group),
    /// A field, perhaps of a parent: `Account.Name`.
    Path(String),
}

/// A group of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// All fields.
    All,
    /// Salesforce's own.
    Standard,
    /// The customer's.
    Custom,
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// All of them; at least two.
    And(Vec<Expr>),
    /// Any of them; at least two.
    Or(Vec<Expr>),
    /// Not this.
    Not(Box<Expr>),
    /// One comparison.
    Test(Test),
}

/// One comparison of a field with literals.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// The field.
    pub path: At<String>,
    /// How it is compared.
    pub op: At<Op>,
    /// With what: one literal, or the list of IN, NOT IN, INCLUDES and EXCLUDES.
    pub with: Vec<At<Literal>>,
}

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the printed form says it")]
pub enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Like,
    In,
    NotIn,
    Includes,
    Excludes,
}

/// A literal.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `null`.
    Null,
    /// `TRUE` or `FALSE`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// Text, escapes resolved; `\_` and `\%` stand as noncharacters until LIKE has seen them.
    Text(String),
    /// A date.
    Date(jiff::civil::Date),
    /// A moment.
    Time(jiff::Timestamp),
    /// A date literal such as `TODAY` or `LAST_N_DAYS:7`, in upper case.
    Named(String, Option<u32>),
}

/// One term of ORDER BY.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// The field.
    pub path: At<String>,
    /// Descending.
    pub descending: bool,
    /// Nulls last; by default they come first.
    pub nulls_last: bool,
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SELECT ")?;
        list(f, &self.select)?;
        write!(f, " FROM {}", self.from.it)?;
        if let Some(alias) = &self.alias {
            write!(f, " {alias}")?;
        }
        if let Some(filter) = &self.filter {
            write!(f, " WHERE {filter}")?;
        }
        for (i, order) in self.order.iter().enumerate() {
            f.write_str(if i == 0 { " ORDER BY " } else { ", " })?;
            write!(
                f,
                "{} {} NULLS {}",
                order.path.it,
                if order.descending { "DESC" } else { "ASC" },
                if order.nulls_last { "LAST" } else { "FIRST" }
            )?;
        }
        if let Some(limit) = self.limit {
            write!(f, " LIMIT {limit}")?;
        }
        if let Some(offset) = &self.offset {
            write!(f, " OFFSET {}", offset.it)?;
        }
        Ok(())
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[At<T>]) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        item.it.fmt(f)?;
    }
    Ok(())
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Count => f.write_str("COUNT()"),
            Item::Fields(Group::All) => f.write_str("FIELDS(ALL)"),
            Item::Fields(Group::Standard) => f.write_str("FIELDS(STANDARD)"),
            Item::Fields(Group::Custom) => f.write_str("FIELDS(CUSTOM)"),
            Item::Path(path) => f.write_str(path),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (terms, between) = match self {
            Expr::Test(test) => return test.fmt(f),
            Expr::Not(term) => return write!(f, "NOT ({term})"),
            Expr::And(terms) => (terms, " AND "),
            Expr::Or(terms) => (terms, " OR "),
        };
        for (i, term) in terms.iter().enumerate() {
            if i > 0 {
                f.write_str(between)?;
            }
            match term {
                Expr::Test(test) => test.fmt(f)?,
                _ => write!(f, "({term})")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.path.it, self.op.it)?;
        if matches!(self.op.it, Op::In | Op::NotIn | Op::Includes | Op::Excludes) {
            f.write_str("(")?;
            list(f, &self.with)?;
            return f.write_str(")");
        }
        list(f, &self.with)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Op::Eq => "=",
            Op::Ne => "!=",
            Op::Lt => "<",
            Op::Le => "<=",
            Op::Gt => ">",
            Op::Ge => ">=",
            Op::Like => "LIKE",
            Op::In => "IN",
            Op::NotIn => "NOT IN",
            Op::Includes => "INCLUDES",
            Op::Excludes => "EXCLUDES",
        })
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Null => f.write_str("null"),
            Literal::Bool(value) => write!(f, "{value}"),
            Literal::Number(number) => write!(f, "{number}"),
            Literal::Date(date) => write!(f, "{date}"),
            Literal::Time(time) => write!(f, "{time}"),
            Literal::Named(name, None) => f.write_str(name),
            Literal::Named(name, Some(count)) => write!(f, "{name}:{count}"),
            Literal::Text(text) => {
                f.write_str("'")?;
                for c in text.chars() {
                    match c {
                        '\\' | '\'' => write!(f, "\\{c}")?,
                        '\n' => f.write_str("\\n")?,
                        '\r' => f.write_str("\\r")?,
                        '\u{fdd0}' => f.write_str("\\_")?,
                        '\u{fdd1}' => f.write_str("\\%")?,
                        _ => write!(f, "{c}")?,
                    }
                }
                f.write_str("'")
            }
        }
    }
}

//! Builds queries. Pure: texts in, text out, and nothing that a user writes can break out of its place.

use std::fmt::Write as _;

use super::Error;
use crate::model::{Scan, Stamp, Window};

/// The most bytes of a request's address: Salesforce takes 16,384 together with the headers. What is longer goes as the body
/// of a composite request.
pub const LONGEST_URI: usize = 16_384 - 2_048;

/// The most characters of a query.
pub const LONGEST_QUERY: usize = 100_000;

/// One query over one object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// The object's API name.
    pub object: String,
    /// The fields wanted (API names, parents as `Account.Name`), beside `Id`, the stamp and `IsDeleted`.
    pub fields: Vec<String>,
    /// The field that tells when a record last changed, for objects that have one.
    pub stamp: Option<String>,
    /// Whether the object has `IsDeleted`.
    pub has_deleted: bool,
    /// The user's own condition.
    pub filter: Option<String>,
    /// The stretch of time to read; none: all records, by Id.
    pub window: Option<Window>,
    /// The most records to return.
    pub limit: Option<u32>,
}

impl Query {
    /// The query as text. Fails when a name or the user's condition is none.
    pub fn text(&self) -> Result<String, Error> {
        let mut text = String::from("SELECT ");
        for (i, field) in self.select()?.into_iter().enumerate() {
            text.push_str(if i == 0 { "" } else { ", " });
            text.push_str(field);
        }
        self.write_source(&mut text)?;
        match (&self.window, &self.stamp) {
            (Some(Window { scan: Scan::ByStamp, .. }), Some(stamp)) => {
                write(&mut text, format_args!(" ORDER BY {stamp}, Id"));
            }
            _ => text.push_str(" ORDER BY Id"),
        }
        if let Some(limit) = self.limit {
            write(&mut text, format_args!(" LIMIT {limit}"));
        }
        Ok(text)
    }

    /// The query that counts the same records.
    pub fn count_text(&self) -> Result<String, Error> {
        let mut text = String::from("SELECT COUNT()");
        self.write_source(&mut text)?;
        Ok(text)
    }

    /// The fields as they are selected: no name twice, whatever its case (Salesforce refuses that).
    fn select(&self) -> Result<Vec<&str>, Error> {
        let mut names: Vec<&str> = vec!["Id"];
        names.extend(self.stamp.as_deref());
        names.extend(self.has_deleted.then_some("IsDeleted"));
        names.extend(self.fields.iter().map(String::as_str));
        let mut kept: Vec<&str> = Vec::with_capacity(names.len());
        let mut seen = std::collections::HashSet::with_capacity(names.len());
        for name in names {
            field_name(name)?;
            if seen.insert(name.to_ascii_lowercase()) {
                kept.push(name);
            }
        }
        Ok(kept)
    }

    fn write_source(&self, text: &mut String) -> Result<(), Error> {
        object_name(&self.object)?;
        write(text, format_args!(" FROM {}", self.object));
        let mut conditions = Vec::new();
        if let Some(filter) = self.filter.as_deref().map(str::trim).filter(|f| !f.is_empty()) {
            check_filter(filter)?;
            conditions.push(format!("({filter})"));
        }
        if let Some(window) = &self.window {
            window_conditions(window, self.stamp.as_deref(), &mut conditions)?;
        }
        for (i, condition) in conditions.iter().enumerate() {
            text.push_str(if i == 0 { " WHERE " } else { " AND " });
            text.push_str(condition);
        }
        Ok(())
    }
}

// Writing into a String cannot fail.
fn write(text: &mut String, args: std::fmt::Arguments<'_>) {
    if text.write_fmt(args).is_err() {
        debug_assert!(false, "a String takes all text");
    }
}

fn window_conditions(
    window: &Window,
    stamp: Option<&str>,
    conditions: &mut Vec<String>,
) -> Result<(), Error> {
    let to = window.to;
    match (window.scan, stamp) {
        (Scan::ById, stamp) => {
            if let Some(stamp) = stamp {
                field_name(stamp)?;
                if let Some(from) = window.from {
                    conditions.push(format!("{stamp} >= {from}"));
                }
                conditions.push(format!("{stamp} <= {to}"));
            }
            if let Some(at) = window.at {
                conditions.push(format!("Id > '{}'", at.id));
            }
        }
        (Scan::ByStamp, Some(stamp)) => {
            field_name(stamp)?;
            let reached: Option<Stamp> = window.at.map(|at| at.stamp);
            // Nothing before the position is wanted, so the index may begin there.
            if let Some(from) = window.from.max(reached) {
                conditions.push(format!("{stamp} >= {from}"));
            }
            conditions.push(format!("{stamp} <= {to}"));
            if let Some(at) = window.at {
                let (reached, id) = (at.stamp, at.id);
                conditions.push(format!(
                    "({stamp} > {reached} OR ({stamp} = {reached} AND Id > '{id}'))"
                ));
            }
        }
        (Scan::ByStamp, None) => {
            let why = "reading by time needs a field that tells when a record changed".to_owned();
            return Err(Error::BadQuery { part: "window".to_owned(), why });
        }
    }
    Ok(())
}

/// A text as a SOQL literal, quotes included.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for c in text.chars() {
        match c {
            '\'' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            c if c.is_control() => write(&mut quoted, format_args!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    quoted
}

/// Checks the API name of an object: letters, digits and underscores, beginning with a letter.
pub fn object_name(name: &str) -> Result<(), Error> {
    if is_name(name) {
        return Ok(());
    }
    Err(bad_name("object", name))
}

/// Checks the API name of a field, or of a parent's field (`Account.Owner.Name`, at most five parents).
pub fn field_name(name: &str) -> Result<(), Error> {
    if name.split('.').count() <= 6 && name.split('.').all(is_name) {
        return Ok(());
    }
    Err(bad_name("field", name))
}

fn is_name(name: &str) -> bool {
    name.len() <= 128
        && name.bytes().next().is_some_and(|c| c.is_ascii_alphabetic())
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

fn bad_name(part: &str, name: &str) -> Error {
    let shown: String = name.chars().take(60).collect();
    let why = format!("'{shown}' is not an API name: letters, digits and '_' are wanted");
    Error::BadQuery { part: part.to_owned(), why }
}

/// Checks that a user's condition stays within the parentheses that it is put in.
pub fn check_filter(filter: &str) -> Result<(), Error> {
    let bad = |why: &str| {
        Err(Error::BadQuery { part: "filter".to_owned(), why: format!("{why}: {filter}") })
    };
    let mut depth = 0_u32;
    let mut chars = filter.chars();
    while let Some(c) = chars.next() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return bad("there is a ')' too many"),
            ')' => depth -= 1,
            '\'' => loop {
                match chars.next() {
                    Some('\\') if chars.next().is_some() => {}
                    Some('\'') => break,
                    Some('\\') | None => return bad("a quote is not closed"),
                    Some(_) => {}
                }
            },
            '\\' => return bad("a backslash stands outside of quotes"),
            _ => {}
        }
    }
    if depth > 0 { bad("a '(' is not closed") } else { Ok(()) }
}

#[cfg(test)]
#[path = "soql_tests.rs"]
mod tests;

//! One value of one field, how it is written as JSON and how two of them are ordered.

use std::borrow::Cow;
use std::cmp::Ordering;

use jiff::civil::Date;
use jiff::tz::Offset;

/// A value as a record holds it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value; written as an explicit `null`.
    Null,
    /// A checkbox.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A double, currency or percent; always written with a fraction.
    Num(f64),
    /// Text, picklists and ids.
    Text(Cow<'static, str>),
    /// A date.
    Day(Date),
    /// A date-time in seconds since 1970, UTC.
    Time(i64),
    /// A compound value, already JSON.
    Json(String),
}

impl Value {
    /// Text that lives as long as the program.
    pub fn fixed(text: &'static str) -> Value {
        Value::Text(Cow::Borrowed(text))
    }

    /// Text; empty text is null, as Salesforce stores it.
    pub fn text(text: String) -> Value {
        if text.is_empty() { Value::Null } else { Value::Text(Cow::Owned(text)) }
    }

    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Int(number) => Some(*number as f64),
            Value::Num(number) => Some(*number),
            _ => None,
        }
    }

    /// The order that ORDER BY and comparisons use: null first, text without regard to case.
    pub fn order(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Null, _) => Ordering::Less,
            (_, Value::Null) => Ordering::Greater,
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Day(a), Value::Day(b)) => a.cmp(b),
            (Value::Time(a), Value::Time(b)) => a.cmp(b),
            (Value::Text(a), Value::Text(b)) => fold_order(a, b),
            (a, b) => match (a.as_number(), b.as_number()) {
                (Some(a), Some(b)) => a.total_cmp(&b),
                _ => Ordering::Equal,
            },
        }
    }

    /// Appends the value as JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Int(number) => write_display(out, format_args!("{number}")),
            Value::Num(number) => write_display(out, format_args!("{number:?}")),
            Value::Text(text) => write_string(out, text),
            Value::Day(date) => {
                out.push(b'"');
                write_date(out, *date);
                out.push(b'"');
            }
            Value::Time(seconds) => {
                out.push(b'"');
                write_time(out, *seconds);
                out.push(b'"');
            }
            Value::Json(json) => out.extend_from_slice(json.as_bytes()),
        }
    }
}

/// Compares two texts without regard to case.
pub fn fold_order(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() {
        return a
            .bytes()
            .map(|c| c.to_ascii_lowercase())
            .cmp(b.bytes().map(|c| c.to_ascii_lowercase()));
    }
    a.chars().flat_map(char::to_lowercase).cmp(b.chars().flat_map(char::to_lowercase))
}

fn write_display(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    use std::io::Write;
    if out.write_fmt(text).is_err() {
        // Writing to memory does not fail; null keeps the JSON whole if it ever did.
        out.extend_from_slice(b"null");
    }
}

/// Appends a JSON string.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut from = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[from..i]);
        from = i + 1;
        if escape.is_empty() {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        } else {
            out.extend_from_slice(escape);
        }
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

fn two(out: &mut Vec<u8>, number: i8) {
    let number = number.unsigned_abs();
    out.extend_from_slice(&[b'0' + number / 10 % 10, b'0' + number % 10]);
}

/// Appends `2022-02-15`.
pub fn write_date(out: &mut Vec<u8>, date: Date) {
    let year = date.year().unsigned_abs();
    two(out, (year / 100) as i8);
    two(out, (year % 100) as i8);
    out.push(b'-');
    two(out, date.month());
    out.push(b'-');
    two(out, date.day());
}

/// Appends `2022-02-15T06:21:19.000+0000`.
pub fn write_time(out: &mut Vec<u8>, seconds: i64) {
    let moment = Offset::UTC.to_datetime(timestamp(seconds));
    write_date(out, moment.date());
    out.push(b'T');
    two(out, moment.hour());
    out.push(b':');
    two(out, moment.minute());
    out.push(b':');
    two(out, moment.second());
    out.extend_from_slice(b".000+0000");
}

/// The moment as Salesforce writes it in REST answers.
pub fn time_text(seconds: i64) -> String {
    let mut out = Vec::with_capacity(28);
    write_time(&mut out, seconds);
    String::from_utf8(out).unwrap_or_default()
}

/// The moment; clamped to what jiff can hold.
pub fn timestamp(seconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(seconds).unwrap_or(if seconds < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    })
}

/// The UTC date of a moment.
pub fn date_of(seconds: i64) -> Date {
    Offset::UTC.to_datetime(timestamp(seconds)).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: Value) -> String {
        let mut out = Vec::new();
        value.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_are_written_as_salesforce_writes_them() {
        assert_eq!(json(Value::Num(10046.0)), "10046.0");
        assert_eq!(json(Value::Num(1.4)), "1.4");
        assert_eq!(json(Value::Int(12)), "12");
        assert_eq!(json(Value::Time(1_644_906_079)), "\"2022-02-15T06:21:19.000+0000\"");
        assert_eq!(json(Value::Day(jiff::civil::date(2022, 2, 15))), "\"2022-02-15\"");
        assert_eq!(json(Value::text(String::new())), "null");
        let wild = "a\"b\\c\nd\u{1}é😀";
        assert_eq!(serde_json::from_str::<String>(&json(Value::fixed(wild))).unwrap(), wild);
    }

    #[test]
    fn order_puts_null_first_and_ignores_case() {
        assert_eq!(Value::Null.order(&Value::fixed("a")), Ordering::Less);
        assert_eq!(Value::fixed("ABC").order(&Value::fixed("abd")), Ordering::Less);
        assert_eq!(Value::fixed("ÉCOLE").order(&Value::fixed("école")), Ordering::Equal);
        assert_eq!(Value::Int(2).order(&Value::Num(1.5)), Ordering::Greater);
    }
}

//! Guest text made safe to show, and text as JSON.

use serde_json::value::RawValue;

use crate::model::first_special;

/// Cuts to `max` bytes and takes out what could mislead a terminal or a page: control and direction characters.
pub(super) fn clean(text: &str, max: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(max));
    for c in text.chars() {
        if clean.len() + c.len_utf8() > max {
            clean.push('…');
            break;
        }
        clean.push(match c {
            '\n' | '\r' | '\t' => ' ',
            c if c.is_control() || misleading(c) => '\u{fffd}',
            c => c,
        });
    }
    clean.truncate(clean.trim_end().len());
    clean
}

fn misleading(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Appends text as a JSON string, quotes included.
pub(super) fn push_json(out: &mut String, text: &str) {
    out.push('"');
    escape(text, |part| out.push_str(part));
    out.push('"');
}

/// Hands over, part by part, a text as it stands between the quotes of a JSON string.
pub(super) fn escape(text: &str, mut push: impl FnMut(&str)) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = text;
    while let Some(at) = first_special(rest) {
        push(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => push("\\\""),
            b'\\' => push("\\\\"),
            b'\n' => push("\\n"),
            b'\r' => push("\\r"),
            b'\t' => push("\\t"),
            other => {
                push("\\u00");
                for digit in [other >> 4, other & 15] {
                    push_char(HEX[usize::from(digit)].into(), &mut push);
                }
            }
        }
        // What was found is one byte.
        rest = &rest[at + 1..];
    }
    push(rest);
}

/// Hands over, part by part, the text between the quotes of a JSON string without its escapes. A lone surrogate becomes
/// U+FFFD.
pub(super) fn unescape(escaped: &str, mut push: impl FnMut(&str)) {
    let mut rest = escaped;
    while let Some(at) = rest.find('\\') {
        push(&rest[..at]);
        let code = rest[at + 1..].chars().next();
        rest = rest.get(at + 2..).unwrap_or_default();
        let c = match code {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('u') => {
                let (c, behind) = unit(rest);
                rest = behind;
                c
            }
            Some(other @ ('"' | '\\' | '/')) => other,
            // Not JSON: the scan has refused such a text already.
            _ => '\u{fffd}',
        };
        push_char(c, &mut push);
    }
    push(rest);
}

fn push_char(c: char, push: &mut impl FnMut(&str)) {
    push(c.encode_utf8(&mut [0; 4]));
}

/// The character of the four digits at the beginning, and of a second unit when it takes two; and the rest.
fn unit(digits: &str) -> (char, &str) {
    let unit = |text: &str| text.get(..4).and_then(|hex| u16::from_str_radix(hex, 16).ok());
    let rest = digits.get(4..).unwrap_or_default();
    let Some(first) = unit(digits) else { return ('\u{fffd}', rest) };
    if (0xd800..0xdc00).contains(&first)
        && let Some(second) = rest.strip_prefix("\\u").and_then(unit)
        && let Some(Ok(c)) = char::decode_utf16([first, second]).next()
    {
        return (c, rest.get(6..).unwrap_or_default());
    }
    (char::from_u32(u32::from(first)).unwrap_or('\u{fffd}'), rest)
}

/// Whether a text is a number as JSON spells it, and not beyond what readers can hold.
pub(super) fn is_number(text: &str) -> bool {
    let held = || text.parse::<f64>().is_ok_and(f64::is_finite);
    is_spelt(text) && ((text.len() < 300 && !text.contains(['e', 'E'])) || held())
}

fn is_spelt(text: &str) -> bool {
    let bytes = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(bytes);
    if whole == 0 || (whole > 1 && bytes[0] == b'0') {
        return false;
    }
    let mut rest = &bytes[whole..];
    if let [b'.', fraction @ ..] = rest {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'+' | b'-', exponent @ ..] => exponent,
            exponent => exponent,
        };
        let count = digits(exponent);
        return count > 0 && count == exponent.len();
    }
    rest.is_empty()
}

/// Whether a text is one JSON value of any kind that every reader can read.
pub(super) fn is_json(text: &str) -> bool {
    is_shallow(text)
        && if has_units(text) {
            is_text(text)
        } else {
            serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
        }
}

/// Whether a JSON value is one that every reader can read: not nested deeper than 100, and without lone surrogates.
pub(super) fn is_readable(value: &RawValue) -> bool {
    is_shallow(value.get()) && (!has_units(value.get()) || is_text(value.get()))
}

fn is_shallow(text: &str) -> bool {
    let opening = |byte: &u8| matches!(byte, b'{' | b'[');
    text.bytes().filter(opening).count() <= 100 || depth(text) <= 100
}

/// Whether it may name UTF-16 units by number, and so surrogates.
fn has_units(text: &str) -> bool {
    text.contains("\\u")
}

/// Whether it is JSON whose strings are texts.
fn is_text(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok()
}

/// How deep a JSON text is nested, at most.
fn depth(text: &str) -> usize {
    let (mut depth, mut most, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                most = most.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_survives_escaping(text in any::<String>()) {
            let mut json = String::new();
            push_json(&mut json, &text);
            prop_assert_eq!(&serde_json::from_str::<String>(&json).unwrap(), &text);
            let mut back = String::new();
            unescape(&json[1..json.len() - 1], |part| back.push_str(part));
            prop_assert_eq!(back, text);
        }

        #[test]
        fn unescaping_agrees_with_serde(text in "([a-zé😀]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-f]{4}|\\\\ud83d\\\\ude00){0,12}") {
            let mut ours = String::new();
            unescape(&text, |part| ours.push_str(part));
            if let Ok(theirs) = serde_json::from_str::<String>(&format!("\"{text}\"")) {
                prop_assert_eq!(ours, theirs);
            } else {
                prop_assert!(ours.contains('\u{fffd}'), "only lone surrogates are not text: {}", text);
            }
        }

        #[test]
        fn numbers_agree_with_serde(text in "-?[0-9.eE+-]{0,8}") {
            prop_assert_eq!(is_number(&text), serde_json::from_str::<serde_json::Value>(&text).is_ok());
        }

        #[test]
        fn clean_text_is_short_and_shows_itself(text in any::<String>(), max in 0_usize..60) {
            let clean = clean(&text, max);
            prop_assert!(clean.len() <= max + '…'.len_utf8());
            prop_assert!(!clean.chars().any(|c| c.is_control() || misleading(c)));
        }
    }

    #[test]
    fn knows_what_readers_can_read() {
        assert!(is_json(r#"{"a":[1,2,{"b":"\ud83d\ude00"}]} "#));
        assert!(!is_json(r#"{"a":"\ud800"}"#));
        assert!(!is_json("{} {}"));
        assert!(!is_json(""));
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(is_json(&nested(100)));
        assert!(!is_json(&nested(101)));
        assert!(is_json(&format!("[{}0]", r#""[[\"{[","#.repeat(100))));
        assert!(!is_number("1e999"));
    }

    #[test]
    fn unescapes_broken_text_without_panic() {
        for text in ["\\", "\\u", "\\u12", "\\ud800", "\\ud800\\u", "\\é", "\\u00é0x"] {
            unescape(text, |_| {});
        }
    }
}

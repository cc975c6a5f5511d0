//! Walks over JSON text: finds where values lie, checks that it is JSON, and decodes nothing.
//!
//! Answers are over a kilobyte a record, and most of it is only to be passed over. serde_json's raw values took three times
//! as long, sonic-rs's lazy ones six times. What is accepted is what serde_json accepts; tests hold it to that.

use std::borrow::Cow;
use std::fmt;

use memchr::arch::all::is_prefix;
use wide::u8x16;

use super::Span;

/// What is wrong with a text, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    what: &'static str,
    at: usize,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

/// A string of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quoted {
    /// Its place without the quotes.
    pub(super) inner: Span,
    /// Whether it has escapes.
    pub(super) escaped: bool,
}

/// A place in a text of at most 4 GiB, moving on.
#[derive(Debug, Clone)]
pub(super) struct Json<'a> {
    text: &'a str,
    at: usize,
    /// The brackets that are open in the value that is passed over.
    open: Vec<u8>,
    /// The places of the values that were passed and hold no others.
    pub(super) leaves: Vec<Span>,
}

/// The places of a text's values that hold no others (strings with their quotes, numbers, booleans, nulls), in order, names
/// left out; none when the text is not JSON.
pub fn leaves(text: &str) -> Option<Vec<Span>> {
    let mut json = Json::new(text, 0);
    json.skip().ok().filter(|()| json.is_at_end()).map(|()| json.leaves)
}

impl<'a> Json<'a> {
    pub(super) fn new(text: &'a str, at: usize) -> Self {
        Self { text, at, open: Vec::new(), leaves: Vec::new() }
    }

    /// Where the next byte to be read stands.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn fault(&self, what: &'static str) -> Fault {
        let at = self.at.min(self.text.len());
        if at == self.text.len() {
            Fault { what: "it ends too early,", at }
        } else {
            Fault { what, at }
        }
    }

    /// The place from `start` up to here.
    pub(super) fn since(&self, start: usize) -> Span {
        let end = self.at.min(self.text.len());
        Span::new(start..end)
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no space.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                other => return other,
            }
        }
    }

    /// Passes a byte of punctuation; false when another one stands there.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Passes a byte of punctuation that must stand there.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Fault> {
        if self.take(byte) { Ok(()) } else { Err(self.fault(what)) }
    }

    /// Passes this very text when it stands right here.
    #[inline]
    pub(super) fn follows(&mut self, text: &[u8]) -> bool {
        let rest = self.text.as_bytes().get(self.at..);
        let there = rest.is_some_and(|rest| is_prefix(rest, text));
        if there {
            self.at += text.len();
        }
        there
    }

    /// Whether nothing but space is left.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Passes a string.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Quoted, Fault> {
        self.expect(b'"', "no string")?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = plain(self.text.as_bytes(), self.at);
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(self.fault("a control character in a string")),
            }
        }
        let inner = self.since(start);
        self.at += 1;
        Ok(Quoted { inner, escaped })
    }

    fn escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        match self.byte() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                for _ in 0..4 {
                    self.at += 1;
                    if !self.byte().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.fault("a broken escape"));
                    }
                }
                self.at += 1;
            }
            _ => return Err(self.fault("a broken escape")),
        }
        Ok(())
    }

    /// Passes the name of a member and its colon; the text is decoded only when it has escapes.
    pub(super) fn key(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.peek();
        let start = self.at;
        let key = self.string()?;
        let quoted = self.since(start);
        self.expect(b':', "no colon after a name")?;
        let text = if key.escaped {
            let whole = self.text.get(quoted.range()).unwrap_or_default();
            let plain = serde_json::from_str::<String>(whole);
            Cow::Owned(plain.map_err(|_| Fault { what: "a name that is no text", at: start })?)
        } else {
            Cow::Borrowed(self.text.get(key.inner.range()).unwrap_or_default())
        };
        Ok(text)
    }

    /// Passes a value of any kind.
    #[inline]
    pub(super) fn skip(&mut self) -> Result<(), Fault> {
        match self.peek() {
            Some(b'{' | b'[') => self.skip_nested(),
            Some(b'"') => self.text_value().map(drop),
            _ => self.scalar(),
        }
    }

    /// Passes a string that is a value.
    #[inline]
    pub(super) fn text_value(&mut self) -> Result<Quoted, Fault> {
        self.peek();
        let start = self.at;
        let string = self.string()?;
        self.leaves.push(self.since(start));
        Ok(string)
    }

    /// Passes a number, a boolean or null.
    pub(super) fn scalar(&mut self) -> Result<(), Fault> {
        let word: &[u8] = match self.peek() {
            Some(b't') => b"true",
            Some(b'f') => b"false",
            Some(b'n') => b"null",
            Some(b'-' | b'0'..=b'9') => b"",
            _ => return Err(self.fault("no value")),
        };
        let start = self.at;
        if word.is_empty() {
            self.number()?;
        } else if !self.follows(word) {
            return Err(self.fault("a broken word"));
        }
        self.leaves.push(self.since(start));
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        self.at += usize::from(self.byte() == Some(b'-'));
        match self.byte() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        // `01` and `1x` go wrong here or at the comma that is missing; only at the end of a text nothing else would tell.
        match self.byte() {
            Some(b'0'..=b'9') => Err(self.fault("a number that begins with 0")),
            _ => Ok(()),
        }
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.fault("a broken number")) } else { Ok(()) }
    }

    /// Passes an object or a list, however deep: what is open is counted here, not on the stack.
    fn skip_nested(&mut self) -> Result<(), Fault> {
        self.open.clear();
        loop {
            match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    self.at += 1;
                    if !self.take(open + 2) {
                        self.open.push(open);
                        if open == b'{' {
                            self.skip_key()?;
                        }
                        continue;
                    }
                }
                Some(b'"') => drop(self.text_value()?),
                _ => self.scalar()?,
            }
            // A value ended; so may what it was in.
            loop {
                let Some(&open) = self.open.last() else { return Ok(()) };
                if self.take(b',') {
                    if open == b'{' {
                        self.skip_key()?;
                    }
                    break;
                }
                // `}` and `]` stand two behind `{` and `[`.
                self.expect(open + 2, "no comma and no end")?;
                self.open.pop();
            }
        }
    }

    fn skip_key(&mut self) -> Result<(), Fault> {
        self.string()?;
        self.expect(b':', "no colon after a name")
    }
}

/// Where the first character stands that a JSON string holds only escaped: a quote, a backslash, a control character.
pub fn first_special(text: &str) -> Option<usize> {
    let at = plain(text.as_bytes(), 0);
    (at < text.len()).then_some(at)
}

/// Where the first byte stands, at or after `at`, that ends or interrupts a string: a quote, a backslash, a control
/// character. Sixteen bytes at a time; the end of the text when there is none.
#[inline]
fn plain(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let found = specials(chunk);
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += 16;
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().position(special).map_or(bytes.len(), |more| at + more)
}

/// The bytes that end or interrupt a string, one bit a byte from the lowest on.
#[inline]
pub fn specials(bytes: &[u8; 16]) -> u16 {
    let bytes = u8x16::new(*bytes);
    let quote = bytes.simd_eq(u8x16::splat(b'"'));
    let backslash = bytes.simd_eq(u8x16::splat(b'\\'));
    let control = bytes.simd_eq(bytes.min(u8x16::splat(0x1f)));
    (quote | backslash | control).to_bitmask() as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    /// The place of the value that a text is, by our reading and by serde_json's.
    fn both(text: &str) -> (Option<&str>, Option<&str>) {
        let mut json = Json::new(text, 0);
        json.peek();
        let start = json.at();
        let ours = json.skip().ok().map(|()| json.since(start).range());
        let ours = ours.filter(|_| json.is_at_end()).and_then(|range| text.get(range));
        (ours, serde_json::from_str::<&RawValue>(text).ok().map(RawValue::get))
    }

    fn piece() -> impl Strategy<Value = String> {
        const PIECES: &[&str] = &[
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            "\\u00e",
            "\\ud800",
            "\\\"",
            "null",
            "true",
            "fals",
            "0",
            "-",
            "1.5",
            "e+3",
            ".",
            "\"a\":",
            "\"\",",
            " ",
            "\n",
            "\u{1}",
            "é",
            "{}",
            "[]",
            "\"x\"",
            "{\"a\":1}",
        ];
        prop_oneof![4 => prop::sample::select(PIECES).prop_map(str::to_owned), 1 => "[ -~]{0,12}"]
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
            "[ -~]{0,40}".prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::hash_map("\\PC{0,6}", inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn accepts_what_serde_accepts(pieces in prop::collection::vec(piece(), 0..10)) {
            let text = pieces.concat();
            let (ours, theirs) = both(&text);
            prop_assert_eq!(ours, theirs, "{:?}", text);
        }

        #[test]
        fn accepts_values_and_refuses_them_cut(value in value(), pretty: bool, cut in any::<prop::sample::Index>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let (ours, theirs) = both(&text);
            prop_assert_eq!(ours, theirs);
            prop_assert_eq!(ours, Some(text.as_str()));
            let at = (0..=cut.index(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap();
            let (ours, theirs) = both(&text[..at]);
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn strings_end_where_they_end(before in 0_usize..20, at in 0_usize..40, end in prop::sample::select(&b"\"\\\x1f\x00"[..])) {
            let mut bytes = vec![b'\xff'; before + 40];
            bytes.extend_from_slice("é~ !]".as_bytes());
            bytes[before + at] = end;
            prop_assert_eq!(plain(&bytes, before), before + at);
        }
    }

    #[test]
    fn what_must_be_escaped_is_found() {
        for len in 0..40 {
            let text = "é~".repeat(len);
            assert_eq!(first_special(&text), None);
            for (at, _) in text.char_indices() {
                for special in ['"', '\\', '\n', '\0', '\u{1f}'] {
                    let mut text = text.clone();
                    text.insert(at, special);
                    assert_eq!(first_special(&text), Some(at), "{text:?}");
                    text.push('"');
                    assert_eq!(first_special(&text), Some(at), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{}{}", "[".repeat(3_000_000), "]".repeat(3_000_000));
        assert!(Json::new(&deep, 0).skip().is_ok());
        assert!(Json::new(&deep[..4_000_000], 0).skip().is_err());
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let fault = |text: &str| Json::new(text, 0).skip().unwrap_err().to_string();
        let shown =
            ["", "[1,", "{\"a\" 1}", "[1 2]", "\"a\u{1}\"", "\"\\x\"", "nul", "-", "{1:2}", "\"ab"];
        let shown: Vec<String> = shown.iter().map(|text| fault(text)).collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        it ends too early, at byte 0
        it ends too early, at byte 3
        no colon after a name at byte 5
        no comma and no end at byte 3
        a control character in a string at byte 2
        a broken escape at byte 2
        a broken word at byte 0
        it ends too early, at byte 1
        no string at byte 1
        it ends too early, at byte 3
        ");
    }
}

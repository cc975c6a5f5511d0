//! Nested JSON, in and out.

use std::borrow::Cow;
use std::fmt::Write;

/// JSON text that is handed on as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json<'a>(Cow<'a, str>);

impl<'a> Json<'a> {
    pub(crate) fn trusted(text: Cow<'a, str>) -> Self {
        Self(text)
    }

    /// JSON from its text, if it is well formed.
    pub fn parse(text: impl Into<Cow<'a, str>>) -> Option<Self> {
        let text = text.into();
        serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok().then_some(Self(text))
    }

    /// The JSON text.
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value in it.
    ///
    /// # Errors
    /// When a number is out of bounds or the nesting is too deep.
    pub fn value(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::from_str(&self.0)
    }
}

impl From<serde_json::Value> for Json<'_> {
    fn from(value: serde_json::Value) -> Self {
        Self(Cow::Owned(value.to_string()))
    }
}

/// Builds a JSON object, member by member, in order.
#[derive(Clone, Debug)]
pub struct Object {
    text: String,
}

impl Default for Object {
    fn default() -> Self {
        Self::with_capacity(64)
    }
}

impl Object {
    /// An empty object.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty object with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes.max(2));
        text.push('{');
        Self { text }
    }

    fn name(&mut self, name: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        write_text(name, &mut self.text);
        self.text.push(':');
    }

    /// Adds a member; `None` is null.
    pub fn member(&mut self, name: &str, cell: crate::Cell<'_>) -> &mut Self {
        self.name(name);
        cell.write_json(&mut self.text);
        self
    }

    /// Adds a text; `None` is null.
    #[must_use]
    pub fn text<'t>(mut self, name: &str, text: impl Into<Option<&'t str>>) -> Self {
        self.member(name, text.into().map_or(crate::Cell::Null, crate::Cell::Text));
        self
    }

    /// Adds a number as it is spelled; `None` is null.
    #[must_use]
    pub fn number<'t>(mut self, name: &str, number: impl Into<Option<super::Number<'t>>>) -> Self {
        self.member(
            name,
            number.into().map_or(crate::Cell::Null, |it| crate::Cell::Number(it.as_str())),
        );
        self
    }

    /// Adds true or false.
    #[must_use]
    pub fn boolean(mut self, name: &str, value: bool) -> Self {
        self.member(name, crate::Cell::Boolean(value));
        self
    }

    /// Adds JSON as it is.
    #[must_use]
    pub fn json(mut self, name: &str, json: &Json<'_>) -> Self {
        self.name(name);
        self.text.push_str(json.as_str());
        self
    }

    /// The finished object.
    pub fn finish(mut self) -> Json<'static> {
        self.text.push('}');
        Json(Cow::Owned(self.text))
    }
}

/// Appends a text as a JSON string. Own code, because serde_json writes only to bytes, which a second check for UTF-8
/// would make slow; proved against it in the tests.
pub(crate) fn write_text(text: &str, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            other => write!(out, "\\u{other:04x}").unwrap_or_default(),
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn builds_an_object_in_order() {
        let json = Object::new().text("b", "x\"\n").text("a", None).boolean("c", true).finish();
        assert_eq!(json.as_str(), "{\"b\":\"x\\\"\\n\",\"a\":null,\"c\":true}");
        assert_eq!(Object::new().finish().as_str(), "{}");
    }

    proptest! {
        #[test]
        fn spells_texts_as_serde_json_does(text in any::<String>()) {
            let mut out = String::new();
            write_text(&text, &mut out);
            prop_assert_eq!(out, serde_json::to_string(&text).unwrap());
        }
    }
}

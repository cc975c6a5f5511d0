//! JSON in one spelling: what is compared, shown and written of a test case. Numbers stay as they were spelled, since
//! plugins hand them on so; texts are spelled in one way; the order of an object's fields says nothing. Pure.

use std::fmt::Write as _;

use serde::Deserialize as _;
use serde_json::value::RawValue;

/// How deep a value may be nested: somewhat deeper than what a plugin may make.
const DEEPEST: usize = 128;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json {
    /// A text, a number, a boolean or null, as it is spelled.
    Atom(String),
    /// A list.
    List(Vec<Json>),
    /// An object, in the order in which it was written.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// A text.
    pub(super) fn text(text: &str) -> Self {
        Self::Atom(serde_json::Value::from(text).to_string())
    }

    /// An object.
    pub(super) fn object(fields: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        Self::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// Reads a text that is one JSON value.
    pub(super) fn read(text: &str) -> Result<Self, serde_json::Error> {
        let raw: &RawValue = serde_json::from_str(text)?;
        Self::of(raw.get(), DEEPEST)
    }

    fn of(text: &str, deep: usize) -> Result<Self, serde_json::Error> {
        let text = text.trim();
        let Some(deep) = deep.checked_sub(1) else {
            return Err(serde::de::Error::custom(format!("nested deeper than {DEEPEST}")));
        };
        match text.as_bytes().first() {
            Some(b'{') => {
                let mut fields = Vec::new();
                let map = Fields::deserialize(&mut serde_json::Deserializer::from_str(text))?;
                for (name, value) in map.0 {
                    fields.push((name, Self::of(value.get(), deep)?));
                }
                Ok(Self::Object(fields))
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text)?;
                Ok(Self::List(
                    items
                        .into_iter()
                        .map(|item| Self::of(item.get(), deep))
                        .collect::<Result<_, _>>()?,
                ))
            }
            Some(b'"') => Ok(Self::text(&serde_json::from_str::<String>(text)?)),
            _ => Ok(Self::Atom(text.to_owned())),
        }
    }

    /// Whether both say the same, in whatever order.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Object(one), Self::Object(two)) => {
                let held = |(name, value): &(String, Self)| {
                    two.iter().any(|(other, there)| other == name && there.same(value))
                };
                one.len() == two.len() && one.iter().all(held)
            }
            (Self::List(one), Self::List(two)) => {
                one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.same(two))
            }
            (one, two) => one == two,
        }
    }

    /// The same value with its fields in the order of another, so that a comparison line by line shows no more than what
    /// differs.
    pub(super) fn ordered_like(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Object(mut fields), Self::Object(order)) => {
                let place = |name: &str| order.iter().position(|(known, _)| known == name);
                fields.sort_by_key(|(name, _)| place(name).unwrap_or(usize::MAX));
                let like = |(name, value): (String, Self)| {
                    let value = match order.iter().find(|(known, _)| *known == name) {
                        Some((_, other)) => value.ordered_like(other),
                        None => value,
                    };
                    (name, value)
                };
                Self::Object(fields.into_iter().map(like).collect())
            }
            (Self::List(items), Self::List(others)) => {
                let mut others = others.iter();
                let like = |item: Self| match others.next() {
                    Some(other) => item.ordered_like(other),
                    None => item,
                };
                Self::List(items.into_iter().map(like).collect())
            }
            (value, _) => value,
        }
    }

    /// The field of this name.
    pub(super) fn field_mut(&mut self, name: &str) -> Option<&mut Self> {
        match self {
            Self::Object(fields) => {
                fields.iter_mut().find(|(known, _)| known == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// Removes the field of this name when it is null.
    pub(super) fn drop_null(&mut self, name: &str) {
        if let Self::Object(fields) = self {
            fields
                .retain(|(known, value)| known != name || *value != Self::Atom("null".to_owned()));
        }
    }

    /// Over several lines, two blanks a step, without a line break at the end.
    pub(super) fn pretty(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out
    }

    fn write(&self, out: &mut String, depth: usize) {
        let line = |out: &mut String, depth: usize| {
            // Writing to a String cannot fail.
            write!(out, "\n{:width$}", "", width = depth * 2).unwrap_or_default();
        };
        match self {
            Self::Atom(text) => out.push_str(text),
            Self::List(items) if items.is_empty() => out.push_str("[]"),
            Self::Object(fields) if fields.is_empty() => out.push_str("{}"),
            Self::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    out.push(if i == 0 { '[' } else { ',' });
                    line(out, depth + 1);
                    item.write(out, depth + 1);
                }
                line(out, depth);
                out.push(']');
            }
            Self::Object(fields) => {
                for (i, (name, value)) in fields.iter().enumerate() {
                    out.push(if i == 0 { '{' } else { ',' });
                    line(out, depth + 1);
                    out.push_str(&serde_json::Value::from(name.as_str()).to_string());
                    out.push_str(": ");
                    value.write(out, depth + 1);
                }
                line(out, depth);
                out.push('}');
            }
        }
    }
}

/// The fields of an object in their order, doubles and all.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Fields<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(text: &str) -> Json {
        Json::read(text).unwrap()
    }

    #[test]
    fn spells_texts_once_and_numbers_as_they_are() {
        let one = json(r#"{"a": "\u00e9\/", "n": [1.50, 12345678901234567890123, null], "o": {}}"#);
        assert_eq!(
            one.pretty(),
            "{\n  \"a\": \"é/\",\n  \"n\": [\n    1.50,\n    12345678901234567890123,\n    null\n  ],\n  \"o\": {}\n}"
        );
        assert!(one.same(&json(r#"{"o":{},"n":[1.50,12345678901234567890123,null],"a":"é/"}"#)));
        assert!(!one.same(&json(r#"{"o":{},"n":[1.5,12345678901234567890123,null],"a":"é/"}"#)));
        assert!(!json("[1,2]").same(&json("[2,1]")));
        assert!(Json::read("[1").is_err() && Json::read("{} {}").is_err());
        assert!(Json::read(&format!("{}{}", "[".repeat(500), "]".repeat(500))).is_err());
    }

    #[test]
    fn takes_on_the_order_of_another() {
        let made = json(r#"[{"b":1,"a":{"y":1,"x":2}},3]"#);
        let wanted = json(r#"[{"new":0,"a":{"x":2,"y":9},"b":1}]"#).ordered_like(&made);
        assert_eq!(wanted, json(r#"[{"b":1,"a":{"y":9,"x":2},"new":0}]"#));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(texts in prop::collection::vec(".{0,12}", 0..5)) {
            let list = Json::List(texts.iter().map(|text| Json::text(text)).collect());
            let whole = Json::object([("list", list), ("n", Json::Atom("-1e5".into()))]);
            prop_assert_eq!(Json::read(&whole.pretty()).unwrap(), whole);
        }
    }
}

//! Names and identifiers, checked when they are made.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A Salesforce record id in its 18-character form; ordered as Salesforce orders ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId([u8; 18]);

/// Why a text is not a Salesforce id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// It is not 15 or 18 ASCII letters and digits.
    #[error("'{0}' is not a Salesforce id: 15 or 18 letters and digits are wanted")]
    Form(String),
    /// The last three characters do not fit the first fifteen.
    #[error("'{0}' is not a Salesforce id: its last three characters do not fit the others")]
    Checksum(String),
}

impl RecordId {
    /// Reads an id of 18 characters (checked) or of 15 (completed).
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let bytes = text.as_bytes();
        if !(bytes.len() == 15 || bytes.len() == 18) || !bytes.iter().all(u8::is_ascii_alphanumeric)
        {
            return Err(IdError::Form(text.chars().take(40).collect()));
        }
        let mut id = [0; 18];
        id[..15].copy_from_slice(&bytes[..15]);
        for group in 0..3 {
            id[15 + group] = Self::suffix(&bytes[group * 5..group * 5 + 5]);
        }
        if bytes.len() == 18 && bytes[15..] != id[15..] {
            return Err(IdError::Checksum(text.to_owned()));
        }
        Ok(Self(id))
    }

    /// The id of these 18 bytes, as [`RecordId::as_bytes`] gave them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdError> {
        match std::str::from_utf8(bytes) {
            Ok(text) if text.len() == 18 => Self::parse(text),
            _ => Err(IdError::Form(String::from_utf8_lossy(bytes).into_owned())),
        }
    }

    /// The 18 characters.
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever stored.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The 18 characters as bytes: a key that sorts as Salesforce sorts.
    pub fn as_bytes(&self) -> &[u8; 18] {
        &self.0
    }

    /// One suffix character tells which of five characters are capitals.
    fn suffix(five: &[u8]) -> u8 {
        const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
        let capitals = five
            .iter()
            .enumerate()
            .fold(0, |bits, (i, c)| bits | (usize::from(c.is_ascii_uppercase()) << i));
        ALPHABET[capitals]
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RecordId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::parse(text)
    }
}

impl Serialize for RecordId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl JsonSchema for RecordId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RecordId".into()
    }
    // What is asked with and what is answered are not the same.
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        // No pattern can say that the last three of 18 must fit the others, so only that of 15 is promised to be taken.
        let pattern = match schemas.contract().is_deserialize() {
            true => "^[A-Za-z0-9]{15}$",
            false => "^[A-Za-z0-9]{15}[A-Z0-5]{3}$",
        };
        json_schema!({
            "type": "string",
            "description": "A Salesforce id: 15 letters and digits. One of 18 is taken too, when the last three fit the others.",
            "pattern": pattern
        })
    }
}

impl<'de> Deserialize<'de> for RecordId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Why a text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' cannot be a name: use 1 to 64 letters, digits, '_', '-' or '.'")]
pub struct NameError(String);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Checks and takes a name: 1 to 64 ASCII letters, digits, `_`, `-` or `.`.
            pub fn new(text: &str) -> Result<Self, NameError> {
                let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
                if text.is_empty() || text.len() > 64 || !text.chars().all(fits) {
                    return Err(NameError(text.chars().take(80).collect()));
                }
                Ok(Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$" })
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
    };
}

name!(
    /// The name of a sync, unique in a configuration.
    SyncName
);
name!(
    /// The name of a connection, unique in a configuration.
    ConnectionName
);

name!(
    /// The name of a reader of the feed.
    ConsumerName
);

/// The number of a run, from 1, growing over the life of a store.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad_integral(true, "", &self.0.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completes_and_checks_ids() {
        assert_eq!(RecordId::parse("0034C00000VaYfK").unwrap().as_str(), "0034C00000VaYfKQAV");
        assert_eq!(RecordId::parse("012000000000000AAA").unwrap().as_str(), "012000000000000AAA");
        assert!(matches!(RecordId::parse("0034C00000VaYfKQAA"), Err(IdError::Checksum(_))));
        assert!(matches!(RecordId::parse("0034c"), Err(IdError::Form(_))));
    }

    #[test]
    fn names_are_plain() {
        assert!(SyncName::new("Contact").is_ok());
        assert!(SyncName::new("a b").is_err());
        assert!(SyncName::new("").is_err());
    }
}

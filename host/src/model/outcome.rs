//! What a plugin says of a record.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Span, Text};

/// Bodies one behind the other, and where the values of their fields lie. Those of one answer share one text: a text and a
/// list for each were a sixth of all the memory that a run asked for, by the number of times.
#[derive(Default)]
pub struct Bodies {
    /// The bodies.
    pub text: Text,
    /// The places of values, told from where their body begins.
    pub values: Vec<Span>,
}

/// The body of an output: the text of one JSON object.
#[derive(Clone, Default)]
pub struct Body {
    bodies: Arc<Bodies>,
    text: Span,
    values: Span,
}

impl Body {
    /// One of these bodies, and which of their values are its own: those of its fields, in order, or none when it is not
    /// known where they lie. It is empty when the bodies have no such text.
    pub fn of(bodies: &Arc<Bodies>, text: Span, values: Span) -> Self {
        Self { bodies: bodies.clone(), text, values }
    }

    /// A body whose fields' values are known to lie at these places, in order.
    pub fn with_values(text: String, values: Vec<Span>) -> Self {
        let (all, own) = (Span::new(0..text.len()), Span::new(0..values.len()));
        Self::of(&Arc::new(Bodies { text: text.into(), values }), all, own)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        self.bodies.text.get(self.text.range()).unwrap_or_default()
    }

    /// Where the values of its fields lie, as JSON spells them; none when that is not known.
    pub fn values(&self) -> &[Span] {
        self.bodies.values.get(self.values.range()).unwrap_or_default()
    }
}

impl Deref for Body {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

/// Bodies are what they say, whether or not their values are known.
impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Body {}

impl PartialEq<&str> for Body {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::with_values(text, Vec::new())
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<Body> for String {
    fn from(body: Body) -> Self {
        body.as_str().to_owned()
    }
}

/// One document that a plugin made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its kind: person, event, object, relationship, or the author's own.
    pub kind: Arc<str>,
    /// Its key, unique in a kind of a sync; never empty.
    pub key: String,
    /// Its fields.
    pub body: Body,
}

/// Why a record could not be mapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejection {
    /// A stable code: the plugin's own (`email.invalid`), or one of kilofold's (`plugin.panic`).
    pub code: String,
    /// What is wrong, for a person.
    pub message: String,
    /// The field at fault, when one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// What became of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It became these outputs (none is possible).
    Mapped(Vec<Output>),
    /// It was left out on purpose, for this reason.
    Skipped(String),
    /// It could not be mapped.
    Failed(Rejection),
}

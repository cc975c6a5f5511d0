//! What a plugin says of a record.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One document that a plugin made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its kind: person, event, object, relationship, or the author's own.
    pub kind: Arc<str>,
    /// Its key, unique in a kind of a sync; never empty.
    pub key: String,
    /// Its fields: the text of one JSON object.
    pub body: String,
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

//! What loading a component shows of it, step by step, for whoever asks why it is taken or refused.

use std::time::Duration;

use serde::Serialize;

use super::describe::Description;

/// What is known of a component, as far as loading it came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Facts {
    /// Its size in bytes.
    pub bytes: Option<u64>,
    /// SHA-256 of it, in hexadecimal.
    pub digest: Option<String>,
    /// Time to compile it, in microseconds; none when it was not, or was taken from the cache.
    pub compile_us: Option<u64>,
    /// The interfaces that it asks for.
    pub imports: Vec<Import>,
    /// The interfaces that it offers.
    pub exports: Vec<String>,
    /// The form of the contract that it speaks, for example `kilofold:mapping/table@1.0.0`.
    pub api: Option<String>,
    /// Time to make an instance, in microseconds: every batch has a fresh one.
    pub start_us: Option<u64>,
    /// Memory of a fresh instance, in bytes.
    pub start_bytes: Option<u64>,
    /// Time to describe itself, in microseconds.
    pub describe_us: Option<u64>,
    /// What it tells of itself.
    pub description: Option<Description>,
}

/// An interface that a component asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Import {
    /// Its name with its version, safe to show.
    pub name: String,
    /// What the host has for it.
    pub given: Given,
}

/// What the host has for an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Given {
    /// The contract: the log, lookup and last words.
    Contract,
    /// A part of WASI that a language's runtime wants, without anything behind it.
    Inert,
    /// Nothing: the plugin is refused.
    Refused,
}

/// Whole microseconds.
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

//! What can go wrong between us and an org.

use std::time::Duration;

use super::Home;
use crate::model::{ConnectionName, ScanError};
use crate::quota::{LimitKind, Refused};

/// Why a request, or a connection, failed. Nothing secret is ever in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such connection.
    #[error("there is no connection named '{0}'")]
    UnknownConnection(ConnectionName),
    /// The connection was never authorised.
    #[error("the connection '{0}' has not been authorised")]
    NotConnected(ConnectionName),
    /// Salesforce no longer accepts the connection's authorisation.
    #[error(
        "the connection '{connection}' must be authorised again: Salesforce says '{why}'{}",
        after(". ", cause)
    )]
    Reconnect {
        /// The connection.
        connection: ConnectionName,
        /// Salesforce's words.
        why: String,
        /// What probably led to that, in a sentence.
        cause: Option<String>,
    },
    /// Salesforce refuses to authorise, for a reason that must be mended in the org or the configuration.
    #[error(
        "Salesforce refuses to authorise the connection '{connection}' ({error}: {description})"
    )]
    Denied {
        /// The connection.
        connection: ConnectionName,
        /// The OAuth error code.
        error: String,
        /// Salesforce's words.
        description: String,
    },
    /// The session is good, but not for the REST API; renewing it does not help.
    #[error("Salesforce refuses the REST API to the connection '{connection}': {message}")]
    NotForApi {
        /// The connection.
        connection: ConnectionName,
        /// Salesforce's words.
        message: String,
    },
    /// The consent was not given, or its answer does not fit the question.
    #[error("the connection '{connection}' was not authorised: {why}")]
    Consent {
        /// The connection.
        connection: ConnectionName,
        /// Why.
        why: String,
    },
    /// An answer to a consent that nobody waits for.
    #[error(
        "the answer belongs to no consent that is waited for: it was answered before, is too old, or kilofold was started anew since"
    )]
    Stray,
    /// A sixth approval would silently end another one.
    #[error(
        "the connection '{connection}' would be approval number {number} of this app{}; {why}",
        after(" by ", user)
    )]
    TooManyApprovals {
        /// The connection.
        connection: ConnectionName,
        /// Which approval it would be.
        number: usize,
        /// Who approves, when that is known.
        user: Option<String>,
        /// What is counted, and what would probably be lost.
        why: String,
    },
    /// The org that a user consented for is not the one whose records the store holds.
    #[error(
        "the connection '{connection}' was not taken over: {user} is a user of the org {org}, and this store holds the org {home}"
    )]
    OtherOrg {
        /// The connection.
        connection: ConnectionName,
        /// The org that it reaches.
        org: String,
        /// Its user.
        user: String,
        /// The org of the store, and how it was reached.
        home: Box<Home>,
    },
    /// Another user consented than the one that the configuration names.
    #[error(
        "the connection '{connection}' was not taken over: {user} approved, and the configuration names {wanted}"
    )]
    OtherUser {
        /// The connection.
        connection: ConnectionName,
        /// Who approved.
        user: String,
        /// Who should have.
        wanted: String,
    },
    /// A host that is none of Salesforce's.
    #[error("'{host}' is not used as a Salesforce host: {why}")]
    Host {
        /// The host.
        host: String,
        /// Why not.
        why: String,
    },
    /// The settings of the org or of a connection cannot be used.
    #[error("the setting '{setting}' cannot be used: {why}")]
    Setting {
        /// The setting.
        setting: String,
        /// Why not.
        why: String,
    },
    /// The key that seals tokens cannot be used.
    #[error("the key that protects tokens cannot be used ({place}): {why}")]
    Key {
        /// Its file or variable.
        place: String,
        /// Why not.
        why: String,
    },
    /// Stored tokens cannot be read or written.
    #[error("the tokens of the connection '{connection}' cannot be kept: {why}")]
    Vault {
        /// The connection.
        connection: ConnectionName,
        /// Why not.
        why: String,
    },
    /// The list of approvals cannot be read or written.
    #[error("the list of approvals cannot be kept: {why}")]
    Book {
        /// Why not.
        why: String,
    },
    /// The gate gave no permit.
    #[error("no API call was made: {0}")]
    NoPermit(Refused),
    /// Salesforce refused because of one of its limits.
    #[error("Salesforce refuses more calls: {text}")]
    Limit {
        /// Which limit.
        kind: LimitKind,
        /// Salesforce's words.
        text: String,
    },
    /// The locator of a next page is no longer good; query again from the cursor.
    #[error("the next page of {object} can no longer be had: {why}")]
    Locator {
        /// The object.
        object: String,
        /// Why.
        why: String,
    },
    /// A field of the query does not exist, or the user may not see it.
    #[error("a field of {object} cannot be read: {message}")]
    InvalidField {
        /// The object.
        object: String,
        /// The field, when Salesforce's words name it.
        field: Option<String>,
        /// Salesforce's words.
        message: String,
    },
    /// The object does not exist, cannot be queried, or the user may not see it.
    #[error("the object {object} cannot be read: {message}")]
    InvalidObject {
        /// The object.
        object: String,
        /// Salesforce's words.
        message: String,
    },
    /// A part of a query is not what it must be; nothing was sent.
    #[error("the {part} of the query cannot be used: {why}")]
    BadQuery {
        /// Which part.
        part: String,
        /// Why not.
        why: String,
    },
    /// The query is longer than Salesforce takes; nothing was sent.
    #[error("the query is too long: its address has {length} bytes, Salesforce takes {most}")]
    QueryTooLong {
        /// Bytes of the address.
        length: usize,
        /// Bytes that are taken.
        most: usize,
    },
    /// Salesforce stopped the query because it ran for too long.
    #[error("Salesforce stopped the query on {object} because it ran for too long")]
    QueryTimeout {
        /// The object.
        object: String,
    },
    /// Salesforce refuses the request for another reason.
    #[error("Salesforce refuses the {what} request (HTTP {status} {code}): {message}")]
    Refused {
        /// What was asked.
        what: String,
        /// The HTTP status.
        status: u16,
        /// Salesforce's error code; empty when it gave none.
        code: String,
        /// Salesforce's words.
        message: String,
    },
    /// No good answer came, though it was asked for several times.
    #[error("no answer to the {what} request after {attempts} attempts: {why}")]
    Unreachable {
        /// What was asked.
        what: String,
        /// How often.
        attempts: u32,
        /// What the last attempt met.
        why: String,
        /// How long all of that took.
        took: Duration,
    },
    /// The answer is larger than allowed.
    #[error("the answer to the {what} request is larger than {most} bytes")]
    TooLarge {
        /// What was asked.
        what: String,
        /// The most that is read, in bytes.
        most: u64,
    },
    /// The answer is whole, but not what Salesforce promises.
    #[error("the answer to the {what} request cannot be understood: {why}")]
    Answer {
        /// What was asked.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// A record in the answer cannot be read.
    #[error("the records of {object} cannot be read: {source}")]
    Records {
        /// The object.
        object: String,
        /// What is wrong.
        source: ScanError,
    },
}

impl Error {
    /// The stable code, for `kilofold explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownConnection(_) => "connection.unknown",
            Self::NotConnected(_) => "auth.not-connected",
            Self::Reconnect { .. } => "auth.reconnect",
            Self::Denied { .. } => "auth.denied",
            Self::NotForApi { .. } => "auth.not-for-api",
            Self::Consent { .. } | Self::Stray => "auth.consent",
            Self::TooManyApprovals { .. } => "auth.approvals",
            Self::OtherOrg { .. } => "auth.other-org",
            Self::OtherUser { .. } => "auth.other-user",
            Self::Book { .. } => "auth.book",
            Self::Host { .. } => "auth.host",
            Self::Setting { .. } => "org.setting",
            Self::Key { .. } => "auth.key",
            Self::Vault { .. } => "auth.vault",
            Self::NoPermit(refused) => refused.code,
            Self::Limit { kind, .. } => kind.code(),
            Self::Locator { .. } => "query.locator",
            Self::InvalidField { .. } => "query.field",
            Self::InvalidObject { .. } => "query.object",
            Self::BadQuery { .. } => "query.bad",
            Self::QueryTooLong { .. } => "query.too-long",
            Self::QueryTimeout { .. } => "query.timeout",
            Self::Refused { .. } => "org.refused",
            Self::Unreachable { .. } => "org.unreachable",
            Self::TooLarge { .. } => "org.answer-too-large",
            Self::Answer { .. } => "org.answer",
            Self::Records { .. } => "org.records",
        }
    }

    /// Whether the same thing may succeed later without anybody doing anything. It was tried again already.
    pub fn passes(&self) -> bool {
        match self {
            Self::NoPermit(refused) => refused.code.starts_with("limit."),
            Self::Limit { .. } | Self::Unreachable { .. } | Self::Locator { .. } => true,
            _ => false,
        }
    }

    /// Whether it is about the authorisation, so that nothing can be asked before a person has acted.
    pub fn waits_for_consent(&self) -> bool {
        matches!(self, Self::Reconnect { .. } | Self::NotConnected(_))
    }

    /// Whether Salesforce refuses the connection as it is set up; it is tried again, rarely.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Denied { .. } | Self::NotForApi { .. })
    }
}

/// The text with what leads to it, or nothing.
fn after(lead: &str, text: &Option<String>) -> String {
    text.as_ref().map_or_else(String::new, |text| format!("{lead}{text}"))
}

/// Salesforce's refusal, taken out of a body of any shape.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Salesforce's error code, or the OAuth error; empty when there is none.
    pub code: String,
    /// Salesforce's words, or the gist of the body.
    pub message: String,
}

/// The longest text of Salesforce's that is handed on, in characters.
const LONGEST: usize = 600;

impl Refusal {
    /// Reads `[{"errorCode","message"}]`, `{"error","error_description"}`, text, HTML or nothing.
    pub fn read(status: u16, body: &[u8]) -> Self {
        #[derive(serde::Deserialize)]
        struct One {
            #[serde(rename = "errorCode", alias = "error", default)]
            code: String,
            #[serde(alias = "error_description", default)]
            message: String,
        }
        let many: Option<Vec<One>> = serde_json::from_slice(body).ok();
        let one = match many {
            Some(list) => list.into_iter().next(),
            None => serde_json::from_slice::<One>(body).ok(),
        };
        match one {
            Some(One { code, message }) if !(code.is_empty() && message.is_empty()) => {
                Self { status, code: shorten(&code), message: shorten(&message) }
            }
            _ => Self { status, code: String::new(), message: gist(body) },
        }
    }
}

fn shorten(text: &str) -> String {
    text.trim().chars().filter(|c| *c == '\n' || !c.is_control()).take(LONGEST).collect()
}

/// A body that is not JSON in one line.
fn gist(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4096)]);
    if text.trim().is_empty() {
        return "no text".to_owned();
    }
    let lower = text.to_ascii_lowercase();
    if !lower.trim_start().starts_with('<') {
        return shorten(&text);
    }
    let title = lower.find("<title>").map(|at| at + 7).and_then(|from| {
        let len = lower[from..].find("</title>")?;
        text.get(from..from + len)
    });
    match title.map(str::trim).filter(|title| !title.is_empty()) {
        Some(title) => format!("a web page, '{}'", shorten(title)),
        None => "a web page".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_bodies_of_every_shape() {
        for (body, code, message) in [
            (r#"[{"message":"m","errorCode":"C","fields":["Id"]}]"#, "C", "m"),
            (r#"[{"errorCode":"NOT_FOUND","message":"gone"}]"#, "NOT_FOUND", "gone"),
            (
                r#"{"error":"invalid_grant","error_description":"expired"}"#,
                "invalid_grant",
                "expired",
            ),
            ("Bad_OAuth_Token", "", "Bad_OAuth_Token"),
            (
                "<html><head><title>Down for Maintenance</title></head>",
                "",
                "a web page, 'Down for Maintenance'",
            ),
            ("<!DOCTYPE html><p>", "", "a web page"),
            ("", "", "no text"),
            ("[]", "", "[]"),
            ("[{}]", "", "[{}]"),
            (r#"[{"message":"cut"#, "", r#"[{"message":"cut"#),
        ] {
            let read = Refusal::read(400, body.as_bytes());
            assert_eq!((read.code.as_str(), read.message.as_str()), (code, message), "{body}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), html in "<(title>|.){0,40}") {
            Refusal::read(500, &body);
            Refusal::read(500, html.as_bytes());
        }
    }
}

//! An answer as a value, before it goes on the wire.

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use bytes::Bytes;
use serde_json::{Value, json};

use super::gzip;
use super::pages::Page;
use crate::org::ApiError;

pub(crate) const JSON: &str = "application/json;charset=UTF-8";
const HTML: &str = "text/html;charset=utf-8";
/// Shorter bodies are sent as they are.
const GZIP_FROM: usize = 1_024;

/// Status, headers and body, and what the log says of it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) payload: Payload,
    pub(crate) facts: Facts,
}

/// What the request log says of an answer beyond its status.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Calls of the last 24 hours with this one, if it was counted.
    pub(crate) used: Option<u64>,
    pub(crate) user: Option<String>,
    pub(crate) object: Option<String>,
    pub(crate) query: Option<String>,
    pub(crate) grant: Option<String>,
    pub(crate) offset: Option<usize>,
    pub(crate) records: usize,
}

/// A body: one text, or a query's page whose records are shared with the cache.
#[derive(Debug)]
pub(crate) enum Payload {
    Whole(Bytes),
    Page { head: Bytes, page: Arc<Page> },
}

const PAGE_END: &[u8] = b"}";

impl Payload {
    /// The body in one piece.
    pub(crate) fn flat(&self) -> Bytes {
        match self {
            Payload::Whole(bytes) => bytes.clone(),
            Payload::Page { head, page } => {
                Bytes::from([head.as_ref(), page.plain(), PAGE_END].concat())
            }
        }
    }

    /// The body in parts as they are sent, compressed or not; true if it was compressed.
    pub(crate) fn parts(&self, gzip: bool) -> (Vec<Bytes>, bool) {
        match self {
            Payload::Whole(bytes) if gzip && bytes.len() >= GZIP_FROM => (gzip::whole(bytes), true),
            Payload::Whole(bytes) if bytes.is_empty() => (Vec::new(), false),
            Payload::Whole(bytes) => (vec![bytes.clone()], false),
            Payload::Page { head, page } if gzip && page.plain().len() >= GZIP_FROM => {
                (gzip::frame(head, page.deflated(), PAGE_END), true)
            }
            Payload::Page { head, page } => {
                (vec![head.clone(), page.plain().clone(), Bytes::from_static(PAGE_END)], false)
            }
        }
    }
}

impl Answer {
    fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Answer {
            status,
            headers: vec![(header::CONTENT_TYPE, HeaderValue::from_static(content_type))],
            payload: Payload::Whole(body.into()),
            facts: Facts::default(),
        }
    }

    /// A JSON value with a status.
    pub(crate) fn json(status: StatusCode, value: &Value) -> Self {
        Self::new(status, JSON, value.to_string())
    }

    /// A JSON value with 200.
    pub(crate) fn ok(value: &Value) -> Self {
        Self::json(StatusCode::OK, value)
    }

    /// A query's page.
    pub(crate) fn page(head: String, page: Arc<Page>) -> Self {
        let mut answer = Self::new(StatusCode::OK, JSON, Bytes::new());
        answer.payload = Payload::Page { head: head.into(), page };
        answer
    }

    /// JSON text that was put together from parts.
    pub(crate) fn json_text(text: Vec<u8>) -> Self {
        Self::new(StatusCode::OK, JSON, text)
    }

    /// A page for people.
    pub(crate) fn html(status: StatusCode, text: String) -> Self {
        Self::new(status, HTML, text)
    }

    /// Plain text, as the identity endpoints answer errors.
    pub(crate) fn text(status: StatusCode, text: &'static str) -> Self {
        Self::new(status, "text/plain;charset=UTF-8", text)
    }

    /// A status without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        let mut answer = Self::new(status, JSON, Bytes::new());
        answer.headers.clear();
        answer
    }

    /// Salesforce's error array. `NOT_FOUND` is recorded with the code first, all others with the message first.
    pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Self {
        let body = if code == "NOT_FOUND" {
            json!([{"errorCode": code, "message": message}])
        } else {
            json!([{"message": message, "errorCode": code}])
        };
        Self::json(status, &body)
    }

    /// The answer to an unknown path, object or record.
    pub(crate) fn not_found() -> Self {
        Self::error(StatusCode::NOT_FOUND, "NOT_FOUND", "The requested resource does not exist")
    }

    /// The answer to a missing, expired or revoked access token.
    pub(crate) fn session_invalid() -> Self {
        Self::error(StatusCode::UNAUTHORIZED, "INVALID_SESSION_ID", "Session expired or invalid")
    }

    /// A redirect of the browser.
    pub(crate) fn redirect(to: &str) -> Self {
        let mut answer = Self::empty(StatusCode::FOUND);
        answer.set(header::LOCATION, to);
        answer
    }

    /// Adds a header; one whose value cannot be a header's is left out.
    pub(crate) fn set(&mut self, name: HeaderName, value: &str) {
        match HeaderValue::from_str(value) {
            Ok(value) => self.headers.push((name, value)),
            Err(error) => tracing::warn!(%name, %error, "header left out"),
        }
    }

    /// Adds a header and gives the answer back.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.set(name, value);
        self
    }
}

impl From<ApiError> for Answer {
    fn from(error: ApiError) -> Self {
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
        if error.fields.is_empty() {
            return Answer::error(status, &error.code, &error.message);
        }
        Answer::json(
            status,
            &json!([{"message": error.message, "errorCode": error.code, "fields": error.fields}]),
        )
    }
}

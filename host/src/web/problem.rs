//! Errors of the API: `application/problem+json` (RFC 9457) with a stable code.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error;

/// What went wrong, what it means and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// A stable code, for `kilofold explain`.
    pub code: String,
    /// The kind of problem in a few words.
    pub title: String,
    /// What happened this time.
    pub detail: String,
    /// What to do about it.
    pub cure: String,
    /// The path that helps, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub see: Option<Box<str>>,
}

impl Problem {
    /// A problem with the title and cure that `explain` knows for its code.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        let known = error::explain(code);
        Self {
            status: status.as_u16(),
            code: code.to_owned(),
            title: known.map_or("something went wrong", |text| text.title).to_owned(),
            detail: detail.into(),
            cure: known.map_or("see the log of `kilofold serve`", |text| text.cure).to_owned(),
            see: None,
        }
    }

    /// There is nothing of that name or number.
    pub fn not_found(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// The request cannot be read.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "web.request", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

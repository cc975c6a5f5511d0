//! What each fault does: answers in place of the org's own, changed headers, records that change behind a page.

use axum::http::{StatusCode, header};
use jiff::SignedDuration;

use super::answer::Answer;
use super::query;
use crate::faults::FaultKind;
use crate::limits;
use crate::state::State;
use crate::sync::{lock, write};

/// An answer in place of the org's own.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) answer: Answer,
    /// Whether Salesforce would have counted the call before it failed.
    pub(crate) counted: bool,
}

/// The answer that a fault puts in place of the org's own, if it is of that sort.
pub(crate) fn refusal(hit: &FaultKind) -> Option<Refusal> {
    let counted = |answer| Some(Refusal { answer, counted: true });
    let uncounted = |answer| Some(Refusal { answer, counted: false });
    match hit {
        FaultKind::ServerError { status, html: true } => {
            let status = status_of(*status);
            uncounted(Answer::html(
                status,
                format!(
                    "<html>\n<head><title>{status}</title></head>\n<body>\n<center><h1>{status}</h1></center>\n<hr><center>sfdcedge</center>\n</body>\n</html>\n"
                ),
            ))
        }
        FaultKind::ServerError { status, html: false } => {
            let (code, message) = match status {
                503 => (
                    "SERVER_UNAVAILABLE",
                    "The server is temporarily unavailable. Please try again later.",
                ),
                502 => ("SERVER_UNAVAILABLE", "The instance could not be reached."),
                _ => (
                    "UNKNOWN_EXCEPTION",
                    "An unexpected error occurred. Please include this ErrorId if you contact support: 1418301920-38163 (-472901245)",
                ),
            };
            counted(Answer::error(status_of(*status), code, message))
        }
        FaultKind::Unauthorized { .. } => uncounted(Answer::session_invalid()),
        FaultKind::NotForApi => uncounted(Answer::error(
            StatusCode::UNAUTHORIZED,
            "INVALID_SESSION_ID",
            "This session is not valid for use with the REST API",
        )),
        FaultKind::TooManyRequests => uncounted(Answer::error(
            StatusCode::TOO_MANY_REQUESTS,
            "REQUEST_LIMIT_EXCEEDED",
            "Too many requests. Please try again later.",
        )),
        FaultKind::EmptyStatus { status } => uncounted(Answer::empty(status_of(*status))),
        FaultKind::DailyLimit => uncounted(limit_exceeded("TotalRequests Limit exceeded.")),
        FaultKind::ConcurrentLimit => uncounted(limit_exceeded(
            "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
        )),
        FaultKind::UnknownLimit { message } => uncounted(limit_exceeded(message)),
        FaultKind::QueryTimeout => counted(query_timeout()),
        FaultKind::InvalidLocator => counted(query::bad_locator()),
        _ => None,
    }
}

/// 400 QUERY_TIMEOUT.
pub(crate) fn query_timeout() -> Answer {
    let message = "Your query request was running for too long.";
    Answer::error(StatusCode::BAD_REQUEST, "QUERY_TIMEOUT", message)
}

/// 403 REQUEST_LIMIT_EXCEEDED; only the text tells which limit it is.
pub(crate) fn limit_exceeded(message: &str) -> Answer {
    Answer::error(StatusCode::FORBIDDEN, "REQUEST_LIMIT_EXCEEDED", message)
}

/// The usage header's value, or none where a fault takes it away.
pub(crate) fn limit_header(state: &State, hits: &[FaultKind]) -> Option<String> {
    let used = lock(&state.usage).used(state.now());
    let mut value = limits::header(used, state.config.daily_limit, state.config.limit_header_lag);
    for hit in hits {
        match hit {
            FaultKind::LimitHeaderMissing => return None,
            FaultKind::DailyLimit => {
                value = limits::header(state.config.daily_limit, state.config.daily_limit, 0);
            }
            FaultKind::LimitHeader { value: instead } => value = instead.clone(),
            FaultKind::LimitHeaderExtended => {
                value.push_str("; api-bursts=1/750; per-app-api-usage=17/250(appName=kilofold)");
            }
            _ => {}
        }
    }
    Some(value)
}

/// Changes records behind the back of a client that has just read a page.
pub(crate) fn afterwards(state: &State, answer: &Answer, object: Option<&str>, hits: &[FaultKind]) {
    if answer.status != StatusCode::OK {
        return;
    }
    let Some(object) = answer.facts.object.as_deref().or(object) else {
        return;
    };
    let now = state.now();
    let seed = lock(&state.log).received();
    for hit in hits {
        match hit {
            FaultKind::ChangeBetweenPages { records } => {
                write(&state.org).touch(object, *records, seed, now);
            }
            FaultKind::LateCommit { records, seconds } => {
                let stamp = now.checked_sub(SignedDuration::from_secs(*seconds)).unwrap_or(now);
                write(&state.org).insert_at(object, *records, seed, stamp);
            }
            _ => {}
        }
    }
}

/// A fault's name, as it is written in JSON.
pub(crate) fn name(hit: &FaultKind) -> String {
    match serde_json::to_value(hit) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(serde_json::Value::Object(map)) => map.keys().next().cloned().unwrap_or_default(),
        _ => String::new(),
    }
}

/// Cuts a body in the middle, as a whole answer of its own.
pub(crate) fn truncate(answer: &mut Answer) {
    let body = answer.payload.flat();
    answer.payload = super::answer::Payload::Whole(body.slice(..body.len() / 2));
    answer.set(header::CONTENT_LENGTH, &(body.len() / 2).to_string());
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

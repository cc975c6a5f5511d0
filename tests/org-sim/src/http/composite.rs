//! `/composite`: up to 25 requests in one call, of which 5 may be queries.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use bytes::Bytes;
use serde::Deserialize;

use super::answer::Answer;
use super::route::{Route, Target};
use super::{Ask, effects, query, rest};
use crate::faults::FaultKind;
use crate::oauth::Session;
use crate::state::State;
use crate::sync::lock;

const MOST: usize = 25;
const MOST_QUERIES: usize = 5;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default)]
    all_or_none: bool,
    composite_request: Vec<Part>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    method: String,
    url: String,
    reference_id: String,
    #[serde(default)]
    http_headers: std::collections::BTreeMap<String, String>,
}

pub(crate) fn answer(state: &State, ask: &Ask, hits: &[FaultKind], session: &Session) -> Answer {
    if ask.method != Method::POST {
        return Answer::ok(&serde_json::json!({
            "composite": format!("{}", ask.path.trim_end_matches('/')),
        }));
    }
    let request: Request = match serde_json::from_slice(&ask.body) {
        Ok(request) => request,
        Err(error) => {
            return Answer::error(StatusCode::BAD_REQUEST, "JSON_PARSER_ERROR", &error.to_string());
        }
    };
    if let Some(answer) = over_limits(&request) {
        return answer;
    }
    let parts: Vec<(Answer, &str)> = request
        .composite_request
        .iter()
        .map(|part| (part_answer(state, part, hits, session), part.reference_id.as_str()))
        .collect();
    let halted = request.all_or_none && parts.iter().any(|(answer, _)| !answer.status.is_success());

    let mut records = 0;
    let mut text = br#"{"compositeResponse":["#.to_vec();
    for (number, (answer, reference)) in parts.iter().enumerate() {
        if number > 0 {
            text.push(b',');
        }
        let replaced = (halted && answer.status.is_success()).then(processing_halted);
        let answer = replaced.as_ref().unwrap_or(answer);
        records += answer.facts.records;
        let body = answer.payload.flat();
        text.extend_from_slice(br#"{"body":"#);
        text.extend_from_slice(if body.is_empty() { b"null" } else { &body });
        let tail = format!(
            r#","httpHeaders":{{}},"httpStatusCode":{},"referenceId":{}}}"#,
            answer.status.as_u16(),
            serde_json::Value::from(*reference)
        );
        text.extend_from_slice(tail.as_bytes());
    }
    text.extend_from_slice(b"]}");
    let mut answer = Answer::json_text(text);
    answer.facts.records = records;
    let first = parts.iter().find(|(part, _)| part.facts.query.is_some());
    answer.facts.query = first.and_then(|(part, _)| part.facts.query.clone());
    answer.facts.object = first.and_then(|(part, _)| part.facts.object.clone());
    answer
}

fn over_limits(request: &Request) -> Option<Answer> {
    let count = request.composite_request.len();
    let limit =
        |message: String| Some(Answer::error(StatusCode::BAD_REQUEST, "LIMIT_EXCEEDED", &message));
    if count > MOST {
        return limit(format!("Limit of {MOST} reached for subrequests"));
    }
    let queries = request
        .composite_request
        .iter()
        .filter(|part| {
            matches!(Target::of(path_of(&part.url)).route, Route::Query { .. } | Route::More(_))
        })
        .count();
    if queries > MOST_QUERIES {
        return limit(format!("Limit of {MOST_QUERIES} reached for subrequests that query"));
    }
    let mut names: Vec<&str> =
        request.composite_request.iter().map(|part| part.reference_id.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() < count {
        return Some(Answer::error(
            StatusCode::BAD_REQUEST,
            "INVALID_INPUT",
            "Duplicate ReferenceId provided in the request",
        ));
    }
    None
}

fn part_answer(state: &State, part: &Part, hits: &[FaultKind], session: &Session) -> Answer {
    let Ok(method) = part.method.to_ascii_uppercase().parse::<Method>() else {
        return Answer::error(StatusCode::BAD_REQUEST, "METHOD_NOT_ALLOWED", "Invalid HTTP method");
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &part.http_headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            headers.insert(name, value);
        }
    }
    let query = part.url.split_once('?').map_or("", |(_, query)| query);
    let ask = Ask {
        method,
        path: path_of(&part.url).to_owned(),
        params: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        headers,
        body: Bytes::new(),
    };
    let target = Target::of(&ask.path);
    let object = query::object_of(state, &ask, &target);
    let own = lock(&state.faults).hit_part(target.class(), object.as_deref());
    if let Some(refusal) = own.iter().find_map(effects::refusal) {
        return refusal.answer;
    }
    let hits = &[hits, &own].concat();
    match target.route {
        Route::Limits
        | Route::RecordCount
        | Route::Sobjects
        | Route::Describe(_)
        | Route::Deleted(_)
        | Route::Updated(_)
        | Route::Query { .. }
        | Route::More(_) => rest::resource(state, &ask, &target, hits, session),
        _ => Answer::not_found(),
    }
}

fn path_of(url: &str) -> &str {
    url.split_once('?').map_or(url, |(path, _)| path)
}

fn processing_halted() -> Answer {
    Answer::error(
        StatusCode::BAD_REQUEST,
        "PROCESSING_HALTED",
        "The transaction was rolled back since another operation in the same transaction failed.",
    )
}

//! The REST resources: who may call, what is counted, and each resource but queries and composite.

use axum::http::{HeaderName, Method, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::effects::{self, Refusal};
use super::route::{Route, Target, versions};
use super::{Ask, composite, query};
use crate::clock::{http_date, parse_http_date};
use crate::faults::FaultKind;
use crate::oauth::Session;
use crate::state::State;
use crate::sync::{lock, read};
use crate::{limits, oauth_authorize, oauth_token, oauth_user};

pub(crate) const LIMIT_HEADER: HeaderName = HeaderName::from_static("sforce-limit-info");

/// Answers a request.
pub(crate) fn dispatch(state: &State, ask: &Ask, target: &Target, hits: &[FaultKind]) -> Answer {
    let refusal = hits.iter().find_map(effects::refusal);
    match &target.route {
        Route::Authorize
        | Route::Token
        | Route::Revoke
        | Route::Introspect
        | Route::Userinfo
        | Route::Identity { .. }
        | Route::Discovery
        | Route::Versions
        | Route::Unknown => match refusal {
            Some(refusal) => refusal.answer,
            None => open(state, ask, &target.route, hits),
        },
        _ => data(state, ask, target, hits, refusal),
    }
}

/// The paths outside the data API: nothing is counted and no usage header is sent.
fn open(state: &State, ask: &Ask, route: &Route, hits: &[FaultKind]) -> Answer {
    match route {
        Route::Authorize => oauth_authorize::answer(state, ask),
        Route::Token => oauth_token::answer(state, ask, hits),
        Route::Revoke => oauth_user::revoke(state, ask),
        Route::Introspect => oauth_user::introspect(state, ask),
        Route::Userinfo => oauth_user::userinfo(state, ask),
        Route::Identity { org, user } => oauth_user::identity(state, ask, org, user),
        Route::Discovery => oauth_user::discovery(state),
        Route::Versions => Answer::ok(&version_list()),
        _ => Answer::html(
            StatusCode::NOT_FOUND,
            "<html><head><title>URL No Longer Exists</title></head><body><h1>URL No Longer Exists</h1></body></html>"
                .to_owned(),
        ),
    }
}

fn version_list() -> Value {
    versions()
        .map(|(version, label)| json!({"label": label, "url": format!("/services/data/v{version}"), "version": version}))
        .collect()
}

/// The data API: every request needs a session and is counted, unless it is refused before that.
fn data(
    state: &State,
    ask: &Ask,
    target: &Target,
    hits: &[FaultKind],
    refusal: Option<Refusal>,
) -> Answer {
    if let Some(FaultKind::Unauthorized { expire }) =
        hits.iter().find(|hit| matches!(hit, FaultKind::Unauthorized { .. }))
        && *expire
        && let Some(token) = ask.access_token()
    {
        lock(&state.auth).expire(token);
    }
    let refusal = match refusal {
        Some(Refusal { counted: false, mut answer }) => {
            if answer.status == StatusCode::FORBIDDEN
                && let Some(value) = effects::limit_header(state, hits)
            {
                answer.set(LIMIT_HEADER, &value);
            }
            return counted_if_ours(state, ask, answer);
        }
        other => other,
    };
    let session = match session(state, ask) {
        Ok(session) => session,
        Err(answer) => return counted_if_ours(state, ask, *answer),
    };
    let now = state.now();
    let used = lock(&state.usage).take(now, state.config.daily_limit);
    let mut answer = match refusal {
        _ if used.is_none() => effects::limit_exceeded("TotalRequests Limit exceeded."),
        Some(refusal) => refusal.answer,
        None => resource(state, ask, target, hits, &session),
    };
    answer.facts.used = used;
    answer.facts.user = Some(session.user);
    if answer.status.as_u16() < 500
        && let Some(value) = effects::limit_header(state, hits)
    {
        answer.set(LIMIT_HEADER, &value);
    }
    answer
}

/// Counts a 401 for an access token that this org has made, where such are counted.
fn counted_if_ours(state: &State, ask: &Ask, mut answer: Answer) -> Answer {
    let ours = |token: &str| lock(&state.auth).made(token);
    if answer.status == StatusCode::UNAUTHORIZED
        && state.config.count_ended_sessions
        && ask.access_token().is_some_and(ours)
    {
        answer.facts.used = lock(&state.usage).take(state.now(), state.config.daily_limit);
    }
    answer
}

/// The session behind the request's access token, or the 401 that Salesforce answers.
fn session(state: &State, ask: &Ask) -> Result<Session, Box<Answer>> {
    let Some(token) = ask.access_token() else {
        return Err(Box::new(if ask.header("authorization").is_some() {
            Answer::error(StatusCode::UNAUTHORIZED, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE")
        } else {
            Answer::session_invalid()
        }));
    };
    let session = lock(&state.auth).session(token, state.now()).cloned();
    match session {
        None => Err(Box::new(Answer::session_invalid())),
        Some(session) if !session.can_use_api() => Err(Box::new(Answer::error(
            StatusCode::UNAUTHORIZED,
            "INVALID_SESSION_ID",
            "This session is not valid for use with the REST API",
        ))),
        Some(session) => Ok(session),
    }
}

/// One resource of the data API, as a request of its own or as a part of a composite one.
pub(crate) fn resource(
    state: &State,
    ask: &Ask,
    target: &Target,
    hits: &[FaultKind],
    session: &Session,
) -> Answer {
    if let Some(answer) = wrong_method(&ask.method, &target.route) {
        return answer;
    }
    match &target.route {
        Route::Resources => Answer::ok(&resources(state, &target.version, &session.user)),
        Route::Limits => {
            let used = lock(&state.usage).used(state.now());
            Answer::ok(&limits::body(used, state.config.daily_limit))
        }
        Route::RecordCount => {
            let wanted: Vec<&str> = ask
                .param("sObjects")
                .unwrap_or_default()
                .split(',')
                .filter(|name| !name.is_empty())
                .collect();
            Answer::ok(&read(&state.org).record_count(&wanted))
        }
        Route::Sobjects => sobjects(state, ask, &target.version),
        Route::Describe(object) => match read(&state.org).describe(object, &target.version) {
            Some((body, modified)) => conditional(ask, &body, modified),
            None => Answer::not_found(),
        },
        Route::Deleted(object) => replication(state, ask, object, true),
        Route::Updated(object) => replication(state, ask, object, false),
        Route::Query { all } => {
            query::first(state, ask, &target.version, *all, &session.user, hits)
        }
        Route::More(locator) => query::more(state, ask, &target.version, locator, hits),
        Route::Composite => composite::answer(state, ask, hits, session),
        Route::RetiredVersion => Answer::error(
            StatusCode::GONE,
            "UNSUPPORTED_API_VERSION",
            "The requested API version is no longer supported",
        ),
        _ => Answer::not_found(),
    }
}

fn wrong_method(method: &Method, route: &Route) -> Option<Answer> {
    let allowed = match route {
        Route::UnknownData | Route::RetiredVersion => return None,
        Route::Composite => "GET,HEAD,POST",
        _ => "GET,HEAD",
    };
    if allowed.split(',').any(|name| name == method.as_str()) {
        return None;
    }
    Some(
        Answer::error(
            StatusCode::METHOD_NOT_ALLOWED,
            "METHOD_NOT_ALLOWED",
            &format!("HTTP Method '{method}' not allowed. Allowed are {allowed}"),
        )
        .with(header::ALLOW, allowed),
    )
}

fn resources(state: &State, version: &str, user: &str) -> Value {
    let base = format!("/services/data/{version}");
    let mut map = Map::new();
    for name in ["sobjects", "query", "queryAll", "composite", "limits"] {
        map.insert(name.to_owned(), Value::String(format!("{base}/{name}")));
    }
    map.insert("identity".to_owned(), Value::String(oauth_user::identity_url(state, user)));
    Value::Object(map)
}

fn sobjects(state: &State, ask: &Ask, version: &str) -> Answer {
    let org = read(&state.org);
    let body = org.describe_global(version);
    let newest = body["sobjects"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|object| org.describe(object["name"].as_str()?, version))
        .map(|(_, modified)| modified)
        .max()
        .unwrap_or(Timestamp::UNIX_EPOCH);
    conditional(ask, &body, newest)
}

/// A body with `Last-Modified` and `ETag`, or 304 if the client has it already.
fn conditional(ask: &Ask, body: &Value, modified: Timestamp) -> Answer {
    let text = body.to_string();
    let digest = xxhash_rust::xxh3::xxh3_64(text.as_bytes());
    let tag = format!("\"{:08x}--gzip\"", digest & 0xffff_ffff);
    let fresh = match (
        ask.header("if-none-match"),
        ask.header("if-modified-since").and_then(parse_http_date),
    ) {
        (Some(known), _) => known == tag,
        (None, Some(since)) => modified.as_second() <= since.as_second(),
        (None, None) => false,
    };
    let answer = if fresh {
        Answer::empty(StatusCode::NOT_MODIFIED)
    } else {
        Answer::json_text(text.into_bytes())
    };
    answer.with(header::LAST_MODIFIED, &http_date(modified)).with(header::ETAG, &tag)
}

fn replication(state: &State, ask: &Ask, object: &str, deleted: bool) -> Answer {
    let (Some(start), Some(end)) = (time(ask, "start"), time(ask, "end")) else {
        return Answer::error(
            StatusCode::BAD_REQUEST,
            "INVALID_REPLICATION_DATE",
            "start and end must be given as date and time with a zone, such as 2026-05-05T00:00:00+00:00",
        );
    };
    let org = read(&state.org);
    let found =
        if deleted { org.deleted(object, start, end) } else { org.updated(object, start, end) };
    found.map_or_else(Answer::from, |body| Answer::ok(&body))
}

/// A time in a parameter; a plus that the client did not encode has become a space.
fn time(ask: &Ask, name: &str) -> Option<Timestamp> {
    ask.param(name)?.replace(' ', "+").parse().ok()
}

//! The org on the wire: reads a request, answers it as a value, then sends that, with whatever faults hit it.

pub(crate) mod answer;
mod composite;
mod effects;
mod gzip;
pub(crate) mod pages;
mod query;
mod rest;
mod route;
mod send;
pub(crate) mod socket;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State as Shared};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use crate::control;
use crate::faults::FaultKind;
use crate::log::RequestNote;
use crate::state::State;
use crate::sync::lock;
use answer::Answer;
use route::Target;
use socket::Peer;

/// The largest request body that is read.
const MOST_BODY: usize = 16 << 20;
/// Salesforce's limit on the URI, and on URI and headers together.
const MOST_URI: usize = 16_384;

/// One request, read whole.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Ask {
    /// The first query parameter of this name, decoded.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        find(&self.params, name)
    }

    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body's form fields, decoded.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// The access token of the `Authorization` header: `Bearer` or `OAuth`.
    pub(crate) fn access_token(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("oauth"))
            .then(|| token.trim())
    }
}

/// The first value of a name in decoded parameters.
pub(crate) fn find<'a>(params: &'a [(String, String)], name: &str) -> Option<&'a str> {
    params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// The org's whole surface: its own paths and the control interface.
pub(crate) fn router(state: Arc<State>) -> Router {
    Router::new().fallback(entry).with_state(state)
}

async fn entry(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: axum::extract::Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let too_long = over_size(&parts.uri, &parts.headers);
    let Ok(body) = axum::body::to_bytes(body, MOST_BODY).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "request body over 16 MiB or broken off")
            .into_response();
    };
    let ask = Ask {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        params: url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect(),
        headers: parts.headers,
        body,
    };
    if ask.path == "/__sim" || ask.path.starts_with("/__sim/") {
        return control::entry(state, ask).await;
    }
    tracing::debug!(peer = %peer.addr(), method = %ask.method, path = %ask.path, "request");
    let gzip = state.config.gzip && wants_gzip(&ask.headers);

    // A blocking task: queries take CPU, and it runs to its end even if the client goes away, so that a request that
    // was counted is always in the log too.
    let shared = Arc::clone(&state);
    let answered = tokio::task::spawn_blocking(move || match too_long {
        Some(status) => (
            Answer::html(status, format!("<html><body><h1>{status}</h1></body></html>")),
            Vec::new(),
        ),
        None => answer(&shared, &ask),
    })
    .await;
    let Ok((answer, hits)) = answered else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "the simulator failed: see its log")
            .into_response();
    };
    // Before the wait: a client must never take a time for the page's that lies after it was read.
    let at = state.now();
    if !state.latency().is_zero() {
        tokio::time::sleep(state.latency()).await;
    }
    send::send(&state, &peer, answer, &hits, gzip, at).await
}

/// Answers a request and notes that it was received.
fn answer(state: &State, ask: &Ask) -> (Answer, Vec<FaultKind>) {
    let target = Target::of(&ask.path);
    let class = target.class();
    let object = query::object_of(state, ask, &target);
    let hits = lock(&state.faults).hit(class, object.as_deref());
    let answer = rest::dispatch(state, ask, &target, &hits);
    effects::afterwards(state, &answer, object.as_deref(), &hits);

    let facts = &answer.facts;
    lock(&state.log).push(RequestNote {
        number: 0,
        at: state.now(),
        method: ask.method.to_string(),
        path: ask.path.clone(),
        query: facts.query.clone().or_else(|| ask.param("q").map(str::to_owned)),
        object: facts.object.clone().or(object),
        class,
        grant: facts.grant.clone(),
        status: answer.status.as_u16(),
        counted: facts.used.is_some(),
        used: facts.used,
        user: facts.user.clone(),
        offset: facts.offset,
        records: facts.records,
        faults: hits.iter().map(effects::name).collect(),
    });
    (answer, hits)
}

fn over_size(uri: &axum::http::Uri, headers: &HeaderMap) -> Option<StatusCode> {
    let uri = uri.path_and_query().map_or(0, |text| text.as_str().len());
    if uri > MOST_URI {
        return Some(StatusCode::URI_TOO_LONG);
    }
    let headers: usize =
        headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    (uri + headers > MOST_URI).then_some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
}

fn wants_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let mut words = coding.split(';').map(str::trim);
            words.next() == Some("gzip") && words.next() != Some("q=0")
        })
}

/// A response without the org's usual headers, for the control interface.
pub(crate) fn bare(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    (status, [(header::CONTENT_TYPE, content_type)], body.into()).into_response()
}

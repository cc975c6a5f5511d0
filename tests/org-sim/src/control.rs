//! The control interface under `/__sim/`, for tests, the demo and plugin authors. JSON in and out; the crate's
//! documentation lists the paths.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::clock::ClockMode;
use crate::control_change::{self, AutoChange, Plan};
use crate::faults::{Fault, FaultId};
use crate::http::{Ask, bare};
use crate::oauth::Loss;
use crate::state::State;
use crate::sync::{lock, read, write};

/// Why a control request was not carried out.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("no such control path or method: {0} {1}")]
    NoSuchPath(Method, String),
    #[error("the body is not what {path} wants: {source}")]
    Body { path: String, source: serde_json::Error },
    #[error("fault {0} is not switched on")]
    NoSuchFault(u64),
    #[error("the control token is missing or wrong")]
    Token,
    #[error("object {0} does not exist")]
    NoSuchObject(String),
    #[error("{0}")]
    Org(#[from] crate::org::ApiError),
}

impl Error {
    fn status(&self) -> StatusCode {
        match self {
            Error::NoSuchPath(..) | Error::NoSuchFault(_) | Error::NoSuchObject(_) => {
                StatusCode::NOT_FOUND
            }
            Error::Body { .. } | Error::Org(_) => StatusCode::BAD_REQUEST,
            Error::Token => StatusCode::UNAUTHORIZED,
        }
    }
}

/// Records of an object: named, or so many.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    object: String,
    #[serde(default)]
    ids: Vec<String>,
    #[serde(default)]
    records: usize,
    #[serde(default)]
    seed: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Late {
    object: String,
    records: usize,
    #[serde(default)]
    seed: Option<u64>,
    /// How far before now the stamps lie.
    #[serde(default)]
    seconds: i64,
    /// The stamp itself.
    #[serde(default)]
    at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetField {
    object: String,
    id: String,
    field: String,
    value: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Restamp {
    object: String,
    #[serde(default)]
    at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HideField {
    object: String,
    field: String,
    #[serde(default = "yes")]
    hidden: bool,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Consume {
    calls: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SetClock {
    advance_ms: Option<u64>,
    at: Option<Timestamp>,
    system: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Latency {
    ms: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Whose {
    user: Option<String>,
    loss: Option<Loss>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Elsewhere {
    user: String,
    #[serde(default)]
    app: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    hidden: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Secret {
    secret: String,
}

/// Carries out a control request.
pub(crate) async fn entry(state: Arc<State>, ask: Ask) -> Response {
    if ask.path == "/__sim/shutdown" && ask.method == Method::POST && may(&state, &ask) {
        state.stop.cancel();
        return respond(Ok(json!({})));
    }
    // Counting a million records, or reading them all for the truth, is work for a thread that may block.
    let runtime = tokio::runtime::Handle::current();
    let done = tokio::task::spawn_blocking(move || {
        let _guard = runtime.enter();
        carry_out(&state, &ask)
    });
    match done.await {
        Ok(outcome) => respond(outcome),
        Err(error) => bare(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string()),
    }
}

fn respond(outcome: Result<Value, Error>) -> Response {
    match outcome {
        Ok(body) => bare(StatusCode::OK, "application/json", body.to_string()),
        Err(error) => bare(
            error.status(),
            "application/json",
            json!({"error": error.to_string()}).to_string(),
        ),
    }
}

fn may(state: &State, ask: &Ask) -> bool {
    state.config.control_token.as_deref().is_none_or(|token| ask.access_token() == Some(token))
}

fn carry_out(state: &Arc<State>, ask: &Ask) -> Result<Value, Error> {
    if !may(state, ask) {
        return Err(Error::Token);
    }
    let parts: Vec<&str> = ask.path.split('/').filter(|part| !part.is_empty()).skip(1).collect();
    match (&ask.method, parts.as_slice()) {
        (&Method::GET, []) => Ok(overview(state)),
        (_, ["faults", rest @ ..]) => faults(state, ask, rest),
        (&Method::GET, ["requests"]) => Ok(requests(state, ask)),
        (&Method::DELETE, ["requests"]) => {
            lock(&state.log).clear();
            Ok(json!({}))
        }
        (&Method::GET, ["truth", object]) => {
            truth(state, object, ask.param("rows") == Some("true"))
        }
        (&Method::GET, ["clock"]) => Ok(json!({"now": state.now()})),
        (&Method::GET, ["approvals"]) => Ok(json!({"approvals": lock(&state.auth).approvals()})),
        (_, ["auto-change"]) => auto_change(state, ask),
        (&Method::POST, [command]) => command_of(state, ask, command),
        (&Method::POST, ["tokens", "expire"]) => {
            Ok(json!({"expired": lock(&state.auth).expire_all()}))
        }
        (&Method::POST, ["tokens", "revoke"]) => {
            let whose: Whose = if ask.body.is_empty() { Whose::default() } else { body(ask)? };
            let loss = whose.loss.unwrap_or(Loss::Revoked);
            Ok(json!({"revoked": lock(&state.auth).lose(whose.user.as_deref(), loss)}))
        }
        (&Method::POST, ["tokens", "elsewhere"]) => {
            let elsewhere: Elsewhere = body(ask)?;
            let (user, app) = (&elsewhere.user, elsewhere.app.as_deref());
            lock(&state.auth).approve_elsewhere(user, app, state.now());
            Ok(json!({}))
        }
        (&Method::POST, ["tokens", "list"]) => {
            lock(&state.auth).hide_list(body::<List>(ask)?.hidden);
            Ok(json!({}))
        }
        (&Method::POST, ["tokens", "secret"]) => {
            *lock(&state.secret) = body::<Secret>(ask)?.secret;
            let mut auth = lock(&state.auth);
            auth.expire_all();
            Ok(json!({"revoked": auth.revoke_all(None)}))
        }
        _ => Err(no_such_path(ask)),
    }
}

fn no_such_path(ask: &Ask) -> Error {
    Error::NoSuchPath(ask.method.clone(), ask.path.clone())
}

fn body<T: DeserializeOwned>(ask: &Ask) -> Result<T, Error> {
    serde_json::from_slice(&ask.body)
        .map_err(|source| Error::Body { path: ask.path.clone(), source })
}

fn overview(state: &State) -> Value {
    let now = state.now();
    let (used, ever) = {
        let mut usage = lock(&state.usage);
        (usage.used(now), usage.ever())
    };
    let objects = read(&state.org).record_count(&[]);
    let auth = lock(&state.auth);
    json!({
        "url": state.url(),
        "org_id": state.org_id,
        "now": now,
        "api_calls": used,
        "api_calls_ever": ever,
        "daily_limit": state.config.daily_limit,
        "latency_ms": u64::try_from(state.latency().as_millis()).unwrap_or(u64::MAX),
        "requests": lock(&state.log).received(),
        "open_cursors": lock(&state.cursors).len(),
        "approvals": auth.approvals().len(),
        "access_tokens": auth.access_tokens(now),
        "faults": lock(&state.faults).list(),
        "auto_changes": *lock(&state.auto_changes),
        "objects": objects["sObjects"],
    })
}

fn faults(state: &State, ask: &Ask, rest: &[&str]) -> Result<Value, Error> {
    let mut faults = lock(&state.faults);
    match (&ask.method, rest) {
        (&Method::GET, []) => Ok(json!({"faults": faults.list()})),
        (&Method::POST, []) => Ok(json!({"id": faults.add(body::<Fault>(ask)?)})),
        (&Method::DELETE, []) => {
            faults.clear();
            Ok(json!({}))
        }
        (&Method::DELETE, [id]) => {
            let id: u64 = id.parse().map_err(|_| no_such_path(ask))?;
            if faults.remove(FaultId(id)) { Ok(json!({})) } else { Err(Error::NoSuchFault(id)) }
        }
        _ => Err(no_such_path(ask)),
    }
}

fn requests(state: &State, ask: &Ask) -> Value {
    let number = |name: &str, usual: usize| {
        ask.param(name).and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    let log = lock(&state.log);
    let after = u64::try_from(number("after", 0)).unwrap_or(u64::MAX);
    json!({"received": log.received(), "requests": log.after(after, number("limit", 10_000))})
}

fn truth(state: &State, object: &str, with_rows: bool) -> Result<Value, Error> {
    known(state, object)?;
    let truth = read(&state.org).truth(object);
    let mut told = json!({
        "object": object,
        "count": truth.count,
        "live": truth.live,
        "deleted": truth.deleted,
        "digest": truth.digest,
    });
    if with_rows {
        told["rows"] = json!(truth.rows);
    }
    Ok(told)
}

fn known(state: &State, object: &str) -> Result<(), Error> {
    if read(&state.org).knows(object, "Id") {
        Ok(())
    } else {
        Err(Error::NoSuchObject(object.to_owned()))
    }
}

fn auto_change(state: &Arc<State>, ask: &Ask) -> Result<Value, Error> {
    match ask.method {
        Method::GET => Ok(json!({"auto_changes": *lock(&state.auto_changes)})),
        Method::POST => {
            let plan: Plan = body(ask)?;
            known(state, &plan.object)?;
            let mut running = lock(&state.auto_changes);
            running.retain(|change: &AutoChange| change.plan.object != plan.object);
            running.push(control_change::start(state, plan));
            Ok(json!({"auto_changes": *running}))
        }
        Method::DELETE => {
            lock(&state.auto_changes).retain(|change| {
                ask.param("object").is_some_and(|object| object != change.plan.object)
            });
            Ok(json!({}))
        }
        _ => Err(no_such_path(ask)),
    }
}

fn command_of(state: &State, ask: &Ask, command: &str) -> Result<Value, Error> {
    let now = state.now();
    match command {
        "consume" => {
            let consume: Consume = body(ask)?;
            let mut usage = lock(&state.usage);
            usage.add(now, consume.calls);
            Ok(json!({"api_calls": usage.used(now)}))
        }
        "touch" | "insert" => {
            let which: Which = body(ask)?;
            known(state, &which.object)?;
            let seed = which.seed.unwrap_or_else(|| fresh_seed(now));
            let mut org = write(&state.org);
            let ids = if command == "touch" {
                org.touch(&which.object, which.records, seed, now)
            } else {
                org.insert(&which.object, which.records, seed, now)
            };
            Ok(json!({"ids": ids}))
        }
        "delete" | "undelete" | "purge" => {
            let which: Which = body(ask)?;
            known(state, &which.object)?;
            let ids = chosen(state, &which, command == "delete");
            let mut org = write(&state.org);
            match command {
                "delete" => org.delete(&which.object, &ids, now),
                "undelete" => org.undelete(&which.object, &ids, now),
                _ => org.purge(&which.object, &ids, now),
            }
            Ok(json!({"ids": ids}))
        }
        "late" => {
            let late: Late = body(ask)?;
            known(state, &late.object)?;
            let stamp = late
                .at
                .or_else(|| now.checked_sub(SignedDuration::from_secs(late.seconds)).ok())
                .unwrap_or(now);
            let seed = late.seed.unwrap_or_else(|| fresh_seed(now));
            Ok(
                json!({"ids": write(&state.org).insert_at(&late.object, late.records, seed, stamp), "stamp": stamp}),
            )
        }
        "set-field" => {
            let set: SetField = body(ask)?;
            write(&state.org).set_field(&set.object, &set.id, &set.field, set.value, now)?;
            Ok(json!({}))
        }
        "restamp" => {
            let restamp: Restamp = body(ask)?;
            known(state, &restamp.object)?;
            write(&state.org).restamp_all(&restamp.object, restamp.at.unwrap_or(now));
            Ok(json!({}))
        }
        "hide-field" => {
            let hide: HideField = body(ask)?;
            known(state, &hide.object)?;
            write(&state.org).hide_field(&hide.object, &hide.field, hide.hidden, now);
            Ok(json!({}))
        }
        "clock" => {
            let set: SetClock = body(ask)?;
            match (set.at, set.system) {
                (Some(at), _) => state.clock.set(ClockMode::Fixed(at)),
                (None, true) => state.clock.set(ClockMode::System),
                (None, false) => {}
            }
            if let Some(ms) = set.advance_ms {
                state.clock.advance(Duration::from_millis(ms));
            }
            Ok(json!({"now": state.now()}))
        }
        "latency" => {
            let latency: Latency = body(ask)?;
            state.set_latency(Duration::from_millis(latency.ms));
            Ok(json!({"ms": latency.ms}))
        }
        _ => Err(no_such_path(ask)),
    }
}

fn fresh_seed(now: Timestamp) -> u64 {
    now.as_nanosecond().unsigned_abs() as u64
}

/// The records to delete (live ones), or to undelete or purge (deleted ones): those named, else the first of them.
fn chosen(state: &State, which: &Which, live: bool) -> Vec<String> {
    if !which.ids.is_empty() {
        return which.ids.clone();
    }
    let rows = read(&state.org).truth(&which.object).rows;
    rows.into_iter()
        .filter(|(_, _, deleted)| *deleted != live)
        .map(|(id, ..)| id)
        .take(which.records)
        .collect()
}

//! The routes under `/api/v1`: each reads the store off the async threads, or asks the scheduler.

use std::convert::Infallible;
use std::future::{Ready, ready};

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;

use super::Shared;
use super::ask::{Answer, Ask, Json, Limit, Reply, Taken};
use super::connect;
use super::pages::{Ctx, Refused};
use super::problem::Problem;
use super::reader::{self, Reader};
use super::routes::{Routes, Verb};
use super::{export, feed, plugins, rework, view};
use crate::model::{RecordId, Run, RunId, SyncName};
use crate::schedule::{self, Asked, SyncStatus};
use crate::store;

/// All routes, and the OpenAPI document of those that are for programs.
pub(super) fn routes(guarded: bool) -> axum::Router<Shared> {
    let (described, document) = table().finish(guarded);
    let document = document.to_string();
    axum::Router::new()
        .merge(described)
        // It does not describe itself.
        .route("/api/v1/openapi.json", axum::routing::get(move || ready(openapi(&document))))
        .fallback(nothing)
        .method_not_allowed_fallback(not_so)
}

/// Everything that programs may ask. A route that is missing here does not exist.
fn table() -> Routes {
    let routes = Routes::default()
        .on(Verb::Get, "/healthz", "Whether the process answers.", healthz)
        .on(Verb::Get, "/readyz", "Whether the store answers and the host is not stopping.", readyz)
        .on(Verb::Get, "/metrics", "What happened and what is, as numbers for Prometheus.", metrics)
        .on(Verb::Get, "/api/v1/runs", "Runs, newest first.", runs)
        .on(Verb::Get, "/api/v1/runs/{run}", "One run.", run)
        .on(Verb::Get, "/api/v1/runs/{run}/pages", "The committed pages of a run, in order.", pages)
        .on(Verb::Get, "/api/v1/runs/{run}/failures", "What failed in a run, in order.", failures)
        .on(Verb::Get, "/api/v1/syncs", "The configured syncs and how they stand.", syncs)
        .on(Verb::Post, "/api/v1/syncs/{sync}/run", "Runs a sync now, or after the run in hand.", run_now)
        .on(
            Verb::Post,
            "/api/v1/syncs/{sync}/pause",
            "Pauses a sync until it is resumed, over restarts as well.",
            pause,
        )
        .on(Verb::Post, "/api/v1/syncs/{sync}/resume", "Lets a paused sync run again.", resume)
        .on(Verb::Get, "/api/v1/syncs/{sync}/records", "The stored records of a sync, by id.", records)
        .on(Verb::Get, "/api/v1/syncs/{sync}/records/{id}", "One stored record.", record)
        .on(Verb::Get, "/api/v1/limits", "What is known of the org's daily API calls.", limits)
        .on(Verb::Get, "/api/v1/connections", "The connections and how they stand.", connect::list)
        .on(
            Verb::Post,
            "/api/v1/connections/census",
            "Reads Salesforce's list of approvals now, for one API call a user.",
            connect::census,
        )
        .on(
            Verb::Post,
            "/api/v1/connections/{connection}/connect",
            "Asks for a consent, or connects at once where none is needed.",
            connect::connect,
        )
        .on(
            Verb::Get,
            "/api/v1/connections/{connection}/connect",
            "How the last consent stands that was asked for.",
            connect::connecting,
        )
        .on(
            Verb::Post,
            "/api/v1/connections/{connection}/answer",
            "Takes over the address that the browser ended at, when it could not come back by itself.",
            connect::answer,
        )
        .on(
            Verb::Post,
            "/api/v1/connections/{connection}/disconnect",
            "Forgets a connection's tokens and gives its approval back.",
            connect::disconnect,
        )
        .on(Verb::Get, "/api/v1/events", "Everything that happens, as server-sent events.", events);
    plugins::add(rework::add(export::add(feed::add(routes))))
}

fn openapi(document: &str) -> Response {
    ([(axum::http::header::CONTENT_TYPE, "application/json")], document.to_owned()).into_response()
}

/// Reads in the blocking pool: the store's functions wait for the disk.
pub(super) async fn read<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce(&Reader) -> Result<T, reader::Error> + Send + 'static,
) -> Result<T, Problem> {
    let reader = shared.reader.clone();
    match tokio::task::spawn_blocking(move || work(&reader)).await {
        Ok(result) => result.map_err(Problem::from),
        Err(error) => {
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "web.internal", error.to_string()))
        }
    }
}

/// What the schedule says of every sync.
pub(super) async fn status(shared: &Shared) -> Result<Vec<SyncStatus>, Problem> {
    shared.scheduler.status().await.map_err(Problem::from)
}

impl From<schedule::Error> for Problem {
    fn from(error: schedule::Error) -> Self {
        let status = match error {
            schedule::Error::Unknown(_) => StatusCode::NOT_FOUND,
            schedule::Error::Running(_)
            | schedule::Error::Paused(_)
            | schedule::Error::Disabled(_) => StatusCode::CONFLICT,
            schedule::Error::Pauses(_) => StatusCode::INTERNAL_SERVER_ERROR,
            schedule::Error::Stopped => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.code(), error.to_string())
    }
}

impl From<reader::Error> for Problem {
    fn from(error: reader::Error) -> Self {
        let status = match &error {
            reader::Error::NoRun(_)
            | reader::Error::NoSync(_)
            | reader::Error::NoRecord { .. }
            | reader::Error::NoConsumer(_)
            | reader::Error::NoLetter { .. } => StatusCode::NOT_FOUND,
            reader::Error::Refused(_) => StatusCode::CONFLICT,
            reader::Error::Store(store::Error::FeedGone { .. }) => StatusCode::GONE,
            reader::Error::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let gone = status == StatusCode::GONE;
        let mut problem = Self::new(status, error.code(), error.to_string());
        problem.see = gone.then(|| "/api/v1/snapshot".into());
        problem
    }
}

/// OpenMetrics text.
struct Numbers(String);

const NUMBERS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Reply for Numbers {
    fn media(_: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
        vec![(NUMBERS, json_schema!({ "type": "string" }))]
    }

    fn reply(self) -> Response {
        ([(axum::http::header::CONTENT_TYPE, NUMBERS)], self.0).into_response()
    }
}

async fn metrics(shared: Shared, _: Ask) -> Answer<Numbers> {
    let (now, usage) = (shared.clock.now(), shared.org.gate().usage());
    let facts = read(&shared, move |reader| reader.facts(now, usage)).await?;
    let text = shared.bus.metrics().write(&facts);
    text.map(Numbers).map_err(|error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "web.internal", error.to_string())
    })
}

/// Parameters of lists that go on from a place.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct After<T> {
    /// Only what comes after this; the `next` of the answer before.
    pub(super) after: Option<T>,
    /// How many at most; 50 when left out.
    limit: Option<Limit>,
}

impl<T> After<T> {
    pub(super) fn limit(&self) -> Option<usize> {
        self.limit.map(Limit::get)
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RunsQuery {
    /// Only runs of this sync.
    sync: Option<SyncName>,
    /// Only older ones; the `next` of the answer before.
    before: Option<RunId>,
    /// How many at most; 50 when left out.
    limit: Option<Limit>,
}

async fn runs(shared: Shared, ask: Ask<(), RunsQuery>) -> Answer<Json<view::Runs>> {
    let RunsQuery { sync, before, limit } = ask.query;
    let limit = limit.map(Limit::get);
    read(&shared, move |reader| reader.runs(sync.as_ref(), before, limit)).await.map(Json)
}

async fn run(shared: Shared, ask: Ask<RunId>) -> Answer<Json<Run>> {
    read(&shared, move |reader| reader.run(ask.path)).await.map(Json)
}

async fn pages(shared: Shared, ask: Ask<RunId, After<u64>>) -> Answer<Json<view::Pages>> {
    let Ask { path: id, query, .. } = ask;
    read(&shared, move |reader| reader.pages(id, query.after, query.limit())).await.map(Json)
}

async fn failures(shared: Shared, ask: Ask<RunId, After<u64>>) -> Answer<Json<view::Failures>> {
    let Ask { path: id, query, .. } = ask;
    read(&shared, move |reader| reader.failures(id, query.after, query.limit())).await.map(Json)
}

async fn syncs(shared: Shared, _: Ask) -> Answer<Json<view::Syncs>> {
    let live = status(&shared).await?;
    read(&shared, move |reader| reader.syncs(&live)).await.map(Json)
}

async fn records(
    shared: Shared,
    ask: Ask<SyncName, After<RecordId>>,
) -> Answer<Json<view::Records>> {
    let Ask { path: sync, query, .. } = ask;
    read(&shared, move |reader| reader.records(&sync, query.after, query.limit())).await.map(Json)
}

async fn record(
    shared: Shared,
    ask: Ask<(SyncName, RecordId)>,
) -> Answer<Json<view::StoredRecord>> {
    let (sync, id) = ask.path;
    read(&shared, move |reader| reader.record(&sync, id)).await.map(Json)
}

async fn limits(shared: Shared, _: Ask) -> Answer<Json<view::Limits>> {
    let report = shared.org.gate().report();
    read(&shared, move |reader| reader.whole_limits(&report)).await.map(Json)
}

async fn run_now(shared: Shared, ask: Ask<SyncName>) -> Answer<Taken<view::Accepted>> {
    act(&shared, ask.path, Action::Run).await
}

async fn pause(shared: Shared, ask: Ask<SyncName>) -> Answer<Taken<view::Accepted>> {
    act(&shared, ask.path, Action::Pause).await
}

async fn resume(shared: Shared, ask: Ask<SyncName>) -> Answer<Taken<view::Accepted>> {
    act(&shared, ask.path, Action::Resume).await
}

#[derive(Serialize, JsonSchema)]
struct Health {
    status: &'static str,
}

fn healthz(_: Shared, _: Ask) -> Ready<Answer<Json<Health>>> {
    ready(Ok(Json(Health { status: "ok" })))
}

async fn readyz(shared: Shared, _: Ask) -> Answer<Json<Health>> {
    if shared.stopping.is_cancelled() {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "web.stopping",
            "the host is stopping",
        ));
    }
    read(&shared, |reader| reader.runs(None, None, Some(1))).await?;
    Ok(Json(Health { status: "ready" }))
}

/// There is nothing at the path; a person is told by a page.
fn nothing(ctx: Ctx, method: Method, uri: Uri, headers: HeaderMap) -> Ready<Response> {
    let path = super::text::plain(uri.path());
    let problem = Problem::not_found("web.path", format!("there is nothing at {method} {path}"));
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let person = accept.is_some_and(|accept| accept.contains("text/html"));
    ready(if person && !uri.path().starts_with("/api/") {
        Refused::new(&ctx, problem).into_response()
    } else {
        problem.into_response()
    })
}

/// The path is there, but not with this method; axum adds which ones are allowed.
fn not_so(method: Method, uri: Uri) -> Ready<Problem> {
    let path = super::text::plain(uri.path());
    let what = format!("{path} does not take {method}");
    ready(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "web.method", what))
}

/// What may be asked of a sync.
#[derive(Debug, Clone, Copy)]
enum Action {
    Run,
    Pause,
    Resume,
}

/// Asks the scheduler, the only way in which the API changes anything.
async fn act(shared: &Shared, sync: SyncName, action: Action) -> Answer<Taken<view::Accepted>> {
    let (action, message) = match action {
        Action::Run => match shared.scheduler.run_now(&sync).await? {
            Asked::Started => ("run", format!("{sync} runs now")),
            Asked::Queued => ("run", format!("{sync} runs as soon as a place is free")),
        },
        Action::Pause => {
            shared.scheduler.pause(&sync).await?;
            ("pause", format!("{sync} is paused; a run in hand stops after its batch"))
        }
        Action::Resume => {
            shared.scheduler.resume(&sync).await?;
            ("resume", format!("{sync} runs again as scheduled"))
        }
    };
    Ok(Taken(view::Accepted { sync, action: action.to_owned(), message }))
}

/// Server-sent events: one JSON object each.
struct Events(Response);

impl Reply for Events {
    fn media(_: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
        vec![("text/event-stream", json_schema!({ "type": "string" }))]
    }

    fn reply(self) -> Response {
        self.0
    }
}

/// Readers beyond so many are turned away: each holds a connection and a place on the bus.
pub(super) const WATCHERS: usize = 64;

fn events(shared: Shared, _: Ask) -> Ready<Answer<Events>> {
    let Ok(place) = shared.watchers.clone().try_acquire_owned() else {
        let what = format!("{WATCHERS} readers of events are there already");
        return ready(Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "web.busy", what)));
    };
    let receiver = shared.bus.subscribe();
    let held = (receiver, shared.stopping.clone(), place);
    let stream = stream::unfold(held, |(mut receiver, stopping, place)| async move {
        let received = tokio::select! {
            () = stopping.cancelled() => return None,
            received = receiver.recv() => received,
        };
        let message = match received {
            Ok(told) => Message::default()
                .json_data(&*told)
                .unwrap_or_else(|error| Message::default().comment(error.to_string())),
            // A reader that cannot follow is told so, and reads the lists again.
            Err(RecvError::Lagged(missed)) => {
                Message::default().event("missed").data(missed.to_string())
            }
            Err(RecvError::Closed) => return None,
        };
        Some((Ok::<_, Infallible>(message), (receiver, stopping, place)))
    });
    let sse = Sse::new(stream).keep_alive(KeepAlive::default());
    ready(Ok(Events(sse.into_response())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every path under `/api/` is in the document, because it came through the table that makes it.
    #[test]
    fn no_route_is_undescribed() {
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut folders = vec![source];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                let calls = text.split(".route(").skip(1);
                found.extend(calls.filter_map(|call| {
                    let path = call.trim_start().strip_prefix('"')?.split('"').next()?;
                    path.starts_with("/api/").then(|| path.to_owned())
                }));
            }
        }
        assert_eq!(found, ["/api/v1/openapi.json"], "add these to the table instead");
    }

    #[test]
    fn the_document_fits_together() {
        let (_, document) = table().finish(true);
        let mut ids = std::collections::BTreeSet::new();
        let mut references = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{id} is there twice");
                let about = operation["summary"].as_str().unwrap();
                assert!(about.ends_with('.'), "{method} {path} has no sentence");
                let wanted = path.matches('{').count();
                let parameters = operation["parameters"].as_array().unwrap();
                let named = parameters.iter().filter(|one| one["in"] == "path").count();
                assert_eq!(named, wanted, "{method} {path}: every parameter of a path has a type");
            }
        }
        collect(&document, &mut references);
        assert!(references.len() > 20);
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
    }

    fn collect(value: &serde_json::Value, references: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(object) => {
                if let Some(reference) = object.get("$ref").and_then(|one| one.as_str()) {
                    references.push(reference.to_owned());
                }
                object.values().for_each(|one| collect(one, references));
            }
            serde_json::Value::Array(list) => list.iter().for_each(|one| collect(one, references)),
            _ => {}
        }
    }
}

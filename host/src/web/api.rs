//! The routes under `/api/v1`: each reads the store off the async threads, or asks the scheduler.

use std::convert::Infallible;
use std::future::{Ready, ready};

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;

use super::problem::Problem;
use super::reader::{self, Reader};
use super::view;
use super::{Shared, page};
use crate::model::{RecordId, RunId, SyncName};
use crate::schedule::{self, Asked, SyncStatus};

/// All routes.
pub(super) fn routes() -> axum::Router<Shared> {
    axum::Router::new()
        .route("/", get(page::imports))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/api/v1/runs", get(runs))
        .route("/api/v1/runs/{run}", get(run))
        .route("/api/v1/runs/{run}/pages", get(pages))
        .route("/api/v1/runs/{run}/failures", get(failures))
        .route("/api/v1/syncs", get(syncs))
        .route("/api/v1/syncs/{sync}/run", post(run_now))
        .route("/api/v1/syncs/{sync}/pause", post(pause))
        .route("/api/v1/syncs/{sync}/resume", post(resume))
        .route("/api/v1/syncs/{sync}/records", get(records))
        .route("/api/v1/syncs/{sync}/records/{id}", get(record))
        .route("/api/v1/feed", get(feed))
        .route("/api/v1/limits", get(limits))
        .route("/api/v1/connections", get(connections))
        .route("/api/v1/events", get(events))
        .fallback(nothing)
        .method_not_allowed_fallback(nothing)
}

type Answer<T> = Result<Json<T>, Problem>;

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
        let status = match error {
            reader::Error::NoRun(_) | reader::Error::NoSync(_) | reader::Error::NoRecord { .. } => {
                StatusCode::NOT_FOUND
            }
            reader::Error::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.code(), error.to_string())
    }
}

/// Parameters of lists that go on from a place.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct After<T> {
    after: Option<T>,
    limit: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunsQuery {
    sync: Option<SyncName>,
    before: Option<RunId>,
    limit: Option<usize>,
}

fn given<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query.map(|Query(value)| value).map_err(|error| Problem::bad_request(error.body_text()))
}

fn named<T>(path: Result<Path<T>, PathRejection>) -> Result<T, Problem> {
    path.map(|Path(value)| value).map_err(|error| Problem::bad_request(error.body_text()))
}

async fn runs(
    State(shared): State<Shared>,
    query: Result<Query<RunsQuery>, QueryRejection>,
) -> Answer<view::Runs> {
    let RunsQuery { sync, before, limit } = given(query)?;
    read(&shared, move |reader| reader.runs(sync.as_ref(), before, limit)).await.map(Json)
}

async fn run(
    State(shared): State<Shared>,
    path: Result<Path<RunId>, PathRejection>,
) -> Answer<crate::model::Run> {
    let id = named(path)?;
    read(&shared, move |reader| reader.run(id)).await.map(Json)
}

async fn pages(
    State(shared): State<Shared>,
    path: Result<Path<RunId>, PathRejection>,
    query: Result<Query<After<u64>>, QueryRejection>,
) -> Answer<view::Pages> {
    let (id, After { after, limit }) = (named(path)?, given(query)?);
    read(&shared, move |reader| reader.pages(id, after, limit)).await.map(Json)
}

async fn failures(
    State(shared): State<Shared>,
    path: Result<Path<RunId>, PathRejection>,
    query: Result<Query<After<u64>>, QueryRejection>,
) -> Answer<view::Failures> {
    let (id, After { after, limit }) = (named(path)?, given(query)?);
    read(&shared, move |reader| reader.failures(id, after, limit)).await.map(Json)
}

async fn syncs(State(shared): State<Shared>) -> Answer<view::Syncs> {
    let live = status(&shared).await?;
    read(&shared, move |reader| reader.syncs(&live)).await.map(Json)
}

async fn records(
    State(shared): State<Shared>,
    path: Result<Path<SyncName>, PathRejection>,
    query: Result<Query<After<RecordId>>, QueryRejection>,
) -> Answer<view::Records> {
    let (sync, After { after, limit }) = (named(path)?, given(query)?);
    read(&shared, move |reader| reader.records(&sync, after, limit)).await.map(Json)
}

async fn record(
    State(shared): State<Shared>,
    path: Result<Path<(SyncName, RecordId)>, PathRejection>,
) -> Answer<view::StoredRecord> {
    let (sync, id) = named(path)?;
    read(&shared, move |reader| reader.record(&sync, id)).await.map(Json)
}

async fn feed(
    State(shared): State<Shared>,
    query: Result<Query<After<u64>>, QueryRejection>,
) -> Answer<view::Feed> {
    let After { after, limit } = given(query)?;
    read(&shared, move |reader| reader.feed(after.unwrap_or(0), limit)).await.map(Json)
}

async fn limits(State(shared): State<Shared>) -> Answer<view::Limits> {
    read(&shared, Reader::limits).await.map(Json)
}

fn connections(State(shared): State<Shared>) -> Ready<Json<view::Connections>> {
    ready(Json(view::Connections::of(&shared.org)))
}

/// Runs a sync now, or after the run in hand.
async fn run_now(
    State(shared): State<Shared>,
    path: Result<Path<SyncName>, PathRejection>,
) -> Result<Response, Problem> {
    act(&shared, named(path)?, Action::Run).await
}

/// Pauses a sync until it is resumed, over restarts as well.
async fn pause(
    State(shared): State<Shared>,
    path: Result<Path<SyncName>, PathRejection>,
) -> Result<Response, Problem> {
    act(&shared, named(path)?, Action::Pause).await
}

/// Lets a paused sync run again.
async fn resume(
    State(shared): State<Shared>,
    path: Result<Path<SyncName>, PathRejection>,
) -> Result<Response, Problem> {
    act(&shared, named(path)?, Action::Resume).await
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// The process answers.
fn healthz() -> Ready<Json<Health>> {
    ready(Json(Health { status: "ok" }))
}

/// The store answers, and the host is not stopping.
async fn readyz(State(shared): State<Shared>) -> Result<Json<Health>, Problem> {
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

fn nothing(method: Method, uri: Uri) -> Ready<Problem> {
    let path = super::text::plain(uri.path());
    ready(Problem::not_found("web.path", format!("there is nothing at {method} {path}")))
}

/// What may be asked of a sync.
#[derive(Debug, Clone, Copy)]
enum Action {
    Run,
    Pause,
    Resume,
}

/// Asks the scheduler, the only way in which the API changes anything.
async fn act(shared: &Shared, sync: SyncName, action: Action) -> Result<Response, Problem> {
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
    let accepted = view::Accepted { sync, action: action.to_owned(), message };
    Ok((StatusCode::ACCEPTED, Json(accepted)).into_response())
}

/// Everything that happens, as server-sent events: one JSON object each.
fn events(
    State(shared): State<Shared>,
) -> Ready<Sse<impl Stream<Item = Result<Message, Infallible>>>> {
    let receiver = shared.bus.subscribe();
    let stopping = shared.stopping.clone();
    let stream = stream::unfold((receiver, stopping), |(mut receiver, stopping)| async move {
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
        Some((Ok(message), (receiver, stopping)))
    });
    ready(Sse::new(stream).keep_alive(KeepAlive::default()))
}

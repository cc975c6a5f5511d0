//! What the buttons do: each asks the scheduler, then leads back to the page that it stands on.

use axum::Form;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;

use super::ctx::{self, Ctx, Did};
use super::problem::Refused;
use crate::model::SyncName;
use crate::schedule::Asked;
use crate::web::{Problem, Shared};

/// Where a form stands.
#[derive(Debug, Deserialize)]
pub(super) struct From {
    #[serde(default)]
    back: String,
}

type Named = Result<Path<SyncName>, PathRejection>;

fn named(ctx: &Ctx, path: Named) -> Result<SyncName, Refused> {
    let problem = |error: PathRejection| Problem::bad_request(error.body_text());
    path.map(|Path(name)| name).map_err(|error| Refused::new(ctx, problem(error)))
}

/// Runs a sync now, or after the run in hand.
pub(super) async fn run(
    State(shared): State<Shared>,
    ctx: Ctx,
    path: Named,
    Form(from): Form<From>,
) -> Result<Response, Refused> {
    let sync = named(&ctx, path)?;
    let asked = shared.scheduler.run_now(&sync).await.map_err(|error| Refused::new(&ctx, error))?;
    let did = match asked {
        Asked::Started => Did::Started,
        Asked::Queued => Did::Queued,
    };
    Ok(ctx::see(&ctx::after(&from.back, did, sync.as_str())))
}

/// Pauses a sync until it is resumed.
pub(super) async fn pause(
    State(shared): State<Shared>,
    ctx: Ctx,
    path: Named,
    Form(from): Form<From>,
) -> Result<Response, Refused> {
    let sync = named(&ctx, path)?;
    shared.scheduler.pause(&sync).await.map_err(|error| Refused::new(&ctx, error))?;
    Ok(ctx::see(&ctx::after(&from.back, Did::Paused, sync.as_str())))
}

/// Lets a paused sync run again.
pub(super) async fn resume(
    State(shared): State<Shared>,
    ctx: Ctx,
    path: Named,
    Form(from): Form<From>,
) -> Result<Response, Refused> {
    let sync = named(&ctx, path)?;
    shared.scheduler.resume(&sync).await.map_err(|error| Refused::new(&ctx, error))?;
    Ok(ctx::see(&ctx::after(&from.back, Did::Resumed, sync.as_str())))
}

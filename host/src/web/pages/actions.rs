//! What the buttons do: each asks the scheduler, then leads back to the page that it stands on.

use axum::Form;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::address::Named;
use super::ctx::{self, Ctx, Did};
use super::problem::Refused;
use crate::model::{RunId, SyncName};
use crate::schedule::{Asked, Work};
use crate::web::{Shared, api};

/// Where a form stands.
#[derive(Debug, Deserialize)]
pub(super) struct From {
    #[serde(default)]
    back: String,
}

/// Runs a sync now, or after the run in hand.
pub(super) async fn run(
    State(shared): State<Shared>,
    ctx: Ctx,
    Named(sync): Named<SyncName>,
    Form(from): Form<From>,
) -> Result<Response, Refused> {
    let asked = shared.scheduler.run_now(&sync).await.map_err(|error| Refused::new(&ctx, error))?;
    Ok(ctx::see(&ctx::after(&from.back, did(asked), sync.as_str())))
}

/// Maps the stored records of a sync anew with its present plugin.
pub(super) async fn remap(
    State(shared): State<Shared>,
    ctx: Ctx,
    Named(sync): Named<SyncName>,
    Form(from): Form<From>,
) -> Result<Response, Refused> {
    wish(&shared, &ctx, &sync, Work::Remap(None), &from.back).await
}

/// Maps the failed records of a run again.
pub(super) async fn retry(
    State(shared): State<Shared>,
    ctx: Ctx,
    Named(run): Named<RunId>,
    Form(from): Form<From>,
) -> Result<Response, Refused> {
    let sync = api::read(&shared, move |reader| Ok(reader.run(run)?.sync)).await;
    let sync = sync.map_err(|problem| Refused::new(&ctx, problem))?;
    wish(&shared, &ctx, &sync, Work::Retry(run), &from.back).await
}

async fn wish(
    shared: &Shared,
    ctx: &Ctx,
    sync: &SyncName,
    work: Work,
    back: &str,
) -> Result<Response, Refused> {
    let asked =
        shared.scheduler.wish(sync, work).await.map_err(|error| Refused::new(ctx, error))?;
    Ok(ctx::see(&ctx::after(back, did(asked), sync.as_str())))
}

fn did(asked: Asked) -> Did {
    match asked {
        Asked::Started => Did::Started,
        Asked::Queued => Did::Queued,
    }
}

/// Pauses a sync until it is resumed.
pub(super) async fn pause(
    State(shared): State<Shared>,
    ctx: Ctx,
    Named(sync): Named<SyncName>,
    Form(from): Form<From>,
) -> Result<Response, Refused> {
    shared.scheduler.pause(&sync).await.map_err(|error| Refused::new(&ctx, error))?;
    Ok(ctx::see(&ctx::after(&from.back, Did::Paused, sync.as_str())))
}

/// Lets a paused sync run again.
pub(super) async fn resume(
    State(shared): State<Shared>,
    ctx: Ctx,
    Named(sync): Named<SyncName>,
    Form(from): Form<From>,
) -> Result<Response, Refused> {
    shared.scheduler.resume(&sync).await.map_err(|error| Refused::new(&ctx, error))?;
    Ok(ctx::see(&ctx::after(&from.back, Did::Resumed, sync.as_str())))
}

//! What the buttons do with what was not taken, and with readers that come no more.

use axum::Form;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::super::address::{Asking, Named};
use super::super::ctx::{self, Ctx, Did};
use super::super::problem::Refused;
use crate::model::ConsumerName;
use crate::web::{Reader, Shared, api, reader};

/// Where a form stands.
#[derive(Debug, Deserialize)]
pub(in super::super) struct From {
    #[serde(default)]
    back: String,
}

/// Which change is meant; all when none is named.
#[derive(Debug, Default, Deserialize)]
pub(in super::super) struct Which {
    #[serde(default)]
    seq: Option<u64>,
}

/// Has what was not taken sent again.
pub(in super::super) async fn resend(
    State(shared): State<Shared>,
    ctx: Ctx,
    Named(name): Named<ConsumerName>,
    Asking(Which { seq }): Asking<Which>,
    Form(From { back }): Form<From>,
) -> Result<Response, Refused> {
    act(&shared, &ctx, name, (&back, Did::Resent), move |reader, name| {
        reader.resend(name, seq).map(drop)
    })
    .await
}

/// Forgets what was not taken.
pub(in super::super) async fn discard(
    State(shared): State<Shared>,
    ctx: Ctx,
    Named(name): Named<ConsumerName>,
    Asking(Which { seq }): Asking<Which>,
    Form(From { back }): Form<From>,
) -> Result<Response, Refused> {
    let now = ctx.now;
    act(&shared, &ctx, name, (&back, Did::Discarded), move |reader, name| {
        reader.bury(name, seq, now).map(drop)
    })
    .await
}

/// Forgets a reader.
pub(in super::super) async fn forget(
    State(shared): State<Shared>,
    ctx: Ctx,
    Named(name): Named<ConsumerName>,
) -> Result<Response, Refused> {
    let now = ctx.now;
    act(&shared, &ctx, name, ("/out", Did::Forgotten), move |reader, name| {
        reader.forget(name, now).map(drop)
    })
    .await
}

/// Does it, and leads to where it is said.
async fn act(
    shared: &Shared,
    ctx: &Ctx,
    name: ConsumerName,
    (back, did): (&str, Did),
    work: impl FnOnce(&Reader, &ConsumerName) -> Result<(), reader::Error> + Send + 'static,
) -> Result<Response, Refused> {
    let of = name.clone();
    let done = api::read(shared, move |reader| work(reader, &name)).await;
    done.map_err(|problem| Refused::new(ctx, problem))?;
    Ok(ctx::see(&ctx::after(back, did, of.as_str())))
}

//! What an address says, read for a page: where it cannot be read, a page tells what of it is wrong.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::ctx::Ctx;
use super::problem::Refused;
use crate::web::{Problem, Shared};

/// What the path names.
pub(super) struct Named<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Shared> for Named<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Refused> {
        match Path::from_request_parts(parts, shared).await {
            Ok(Path(named)) => Ok(Self(named)),
            Err(error) => Err(unread(error.body_text(), parts, shared).await),
        }
    }
}

/// What the query asks for.
pub(super) struct Asking<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Shared> for Asking<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Refused> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(error) => Err(unread(error.body_text(), parts, shared).await),
        }
    }
}

async fn unread(why: String, parts: &mut Parts, shared: &Shared) -> Refused {
    let Ok(ctx) = Ctx::from_request_parts(parts, shared).await;
    Refused::new(&ctx, Problem::bad_request(why))
}

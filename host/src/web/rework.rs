//! The routes that map again what is stored: a remap of a sync, a retry of a run's failures. Both are asked of the
//! scheduler, so that a sync does one thing at a time.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Shared;
use super::api::read;
use super::ask::{Answer, Ask, Moment, Taken};
use super::routes::Routes;
use super::view::Accepted;
use crate::model::{RunId, SyncName};
use crate::schedule::{Asked, Work};

/// Adds its routes.
pub(super) fn add(routes: Routes) -> Routes {
    routes
        .post(
            "/api/v1/syncs/{sync}/remap",
            "Maps the stored records of a sync anew with its present plugin; no API call is spent.",
            remap,
        )
        .post(
            "/api/v1/runs/{run}/retry",
            "Maps the failed records of a run again, from the store; no API call is spent.",
            retry,
        )
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Since {
    /// Only records that changed in the org at this time or later: 2026-11-01T00:00:00Z. All when left out.
    since: Option<Moment>,
}

async fn remap(shared: Shared, ask: Ask<SyncName, Since>) -> Answer<Taken<Accepted>> {
    let since = ask.query.since.map(|Moment(since)| since);
    let asked = shared.scheduler.wish(&ask.path, Work::Remap(since)).await?;
    Ok(taken(ask.path, "remap", asked, "its stored records are mapped anew"))
}

async fn retry(shared: Shared, ask: Ask<RunId>) -> Answer<Taken<Accepted>> {
    let run = ask.path;
    let sync = read(&shared, move |reader| Ok(reader.run(run)?.sync)).await?;
    let asked = shared.scheduler.wish(&sync, Work::Retry(run)).await?;
    let what = format!("the failed records of run {run} are mapped again");
    Ok(taken(sync, "retry", asked, &what))
}

fn taken(sync: SyncName, action: &str, asked: Asked, what: &str) -> Taken<Accepted> {
    let when = match asked {
        Asked::Started => "now",
        Asked::Queued => "as soon as a place is free",
    };
    let message = format!("{sync}: {what} {when}");
    Taken(Accepted { sync, action: action.to_owned(), message })
}

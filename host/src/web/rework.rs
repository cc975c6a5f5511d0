//! The routes that map again what is stored: a remap of a sync, a retry of a run's failures. Both are asked of the
//! scheduler, so that a sync does one thing at a time. And those that try a plugin without storing anything need: records
//! straight from the org, and stored outputs by their keys.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Shared;
use super::api::read;
use super::ask::{Answer, Ask, Json, Moment, Taken};
use super::problem::Problem;
use super::reader;
use super::routes::{Routes, Verb};
use super::view::{self, Accepted};
use crate::app;
use crate::model::{RunId, SyncName};
use crate::plugin::Field;
use crate::schedule::{Asked, Work};
use crate::sync;

/// Adds its routes.
pub(super) fn add(routes: Routes) -> Routes {
    routes
        .on(
            Verb::Post,
            "/api/v1/syncs/{sync}/remap",
            "Maps the stored records of a sync anew with its present plugin; no API call is spent.",
            remap,
        )
        .on(
            Verb::Post,
            "/api/v1/runs/{run}/retry",
            "Maps the failed records of a run again, from the store; no API call is spent.",
            retry,
        )
        .on(
            Verb::Post,
            "/api/v1/syncs/{sync}/sample",
            "A few records of a sync straight from the org, stored nowhere; one API call is spent, or two.",
            sample,
        )
        .on(Verb::Post, "/api/v1/lookup", "The bodies of stored outputs of any sync, by their keys.", lookup)
}

/// Which records, and what of them.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleWish {
    /// API names of the fields to read; the sync's own fields come on top.
    reads: Vec<Read>,
    /// How many records at most: 1 to 1000.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(deserialize_with = "super::ask::whole")]
    limit: u16,
}

/// A field that a plugin reads.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Read {
    /// Its API name, parents as Account.Name.
    name: String,
    /// Whether the sample fails without it.
    required: bool,
}

impl SampleWish {
    /// So many records, with what a plugin reads of them.
    pub fn new(reads: &[Field], limit: u16) -> Self {
        let read = |field: &Field| Read { name: field.name.clone(), required: field.required };
        Self { reads: reads.iter().map(read).collect(), limit }
    }
}

async fn sample(
    shared: Shared,
    ask: Ask<SyncName, (), Json<SampleWish>>,
) -> Answer<Json<view::Sample>> {
    let Json(SampleWish { reads, limit }) = ask.body;
    let reads: Vec<Field> =
        reads.into_iter().map(|Read { name, required }| Field { name, required }).collect();
    if !(1..=1000).contains(&limit) {
        return Err(Problem::bad_request("limit: 1 to 1000 records"));
    }
    let config = shared.reader.config().clone();
    let Some(sync) = config.sync(&ask.path) else {
        return Err(reader::Error::NoSync(ask.path).into());
    };
    Ok(Json(view::Sample::take(&shared.org, shared.reader.store(), sync, &reads, limit).await?))
}

impl From<sync::Error> for Problem {
    fn from(error: sync::Error) -> Self {
        use sync::Error as E;
        let status = match error {
            E::Salesforce(error) => return error.into(),
            // The configuration, the plugin and the org do not fit together.
            E::NotQueryable { .. }
            | E::MissingField { .. }
            | E::NothingToRead { .. }
            | E::NeverFetched { .. } => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.code(), error.to_string())
    }
}

/// Keys that are looked up at once.
const KEYS: usize = 1000;

async fn lookup(shared: Shared, ask: Ask<(), (), Json<view::Wanted>>) -> Answer<Json<view::Found>> {
    let Json(view::Wanted { kind, keys }) = ask.body;
    if keys.len() > KEYS {
        return Err(Problem::bad_request(format!("keys: at most {KEYS}")));
    }
    let found = read(&shared, move |reader| {
        Ok(app::outputs(reader.store(), reader.config()).lookup(&kind, &keys))
    });
    let bodies = found.await?.into_iter().map(view::json_opt).collect();
    Ok(Json(view::Found { bodies }))
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

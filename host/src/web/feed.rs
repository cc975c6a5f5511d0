//! The feed, its consumers, and snapshots to begin with.

use std::future::{Ready, ready};
use std::io::{self, Write};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use tokio::time::Instant;

use super::Shared;
use super::api::{After, read};
use super::ask::{Answer, Ask, Json, Limit, Reply};
use super::problem::Problem;
use super::routes::{Routes, Verb};
use super::stream::stream;
use super::view;
use crate::model::{ConsumerName, SyncName};
use crate::store::{FeedQuery, Wanted};

/// Readers that wait for the feed beyond so many are turned away.
pub(super) const WAITERS: usize = 256;
/// JSON lines.
pub(super) const LINES: &str = "application/x-ndjson";

/// The routes of the feed.
pub(super) fn add(routes: Routes) -> Routes {
    routes
        .on(
            Verb::Get,
            "/api/v1/feed",
            "Changes of outputs, in order; waits for some when asked to.",
            feed,
        )
        .on(
            Verb::Get,
            "/api/v1/snapshot",
            "Everything that is stored at one number of the feed, which the last line tells.",
            snapshot,
        )
        .on(
            Verb::Get,
            "/api/v1/consumers",
            "The named readers of the feed, and how far each is behind.",
            list,
        )
        .on(Verb::Get, "/api/v1/consumers/{name}", "One named reader of the feed.", one)
        .on(
            Verb::Put,
            "/api/v1/consumers/{name}",
            "Acknowledges changes, and makes the reader.",
            acknowledge,
        )
        .on(
            Verb::Delete,
            "/api/v1/consumers/{name}",
            "Forgets a reader: nothing is kept for it.",
            forget,
        )
        .on(
            Verb::Get,
            "/api/v1/consumers/{name}/dead",
            "What a destination of deliveries did not take, in order.",
            dead,
        )
        .on(
            Verb::Get,
            "/api/v1/consumers/{name}/dead/{seq}",
            "One change that a destination of deliveries did not take, beside what its output is now.",
            dead_one,
        )
        .on(
            Verb::Post,
            "/api/v1/consumers/{name}/resend",
            "Has what a destination of deliveries did not take sent again: one change, or all.",
            resend,
        )
        .on(
            Verb::Post,
            "/api/v1/consumers/{name}/bury",
            "Forgets what a destination of deliveries did not take: one change, or all.",
            bury,
        )
}

/// A list of names, with commas between.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Names(Vec<String>);

impl TryFrom<String> for Names {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let names: Vec<String> = text.split(',').map(str::to_owned).collect();
        let fits = |name: &String| !name.is_empty() && name.len() <= 200;
        if names.len() <= 100 && names.iter().all(fits) {
            Ok(Self(names))
        } else {
            Err("write names with commas between, at most 100".to_owned())
        }
    }
}

impl JsonSchema for Names {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Names".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[^,]{1,50}(,[^,]{1,50}){0,9}$" })
    }
}

/// How long an answer may wait for something to tell: `30s`, at most a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Wait(Duration);

impl TryFrom<String> for Wait {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let seconds = text.strip_suffix('s').filter(|digits| !digits.is_empty());
        seconds
            .filter(|digits| digits.bytes().all(|c| c.is_ascii_digit()) && digits.len() <= 2)
            .and_then(|digits| digits.parse().ok())
            .filter(|seconds| *seconds <= 60)
            .map(|seconds| Self(Duration::from_secs(seconds)))
            .ok_or_else(|| "wait is a number of seconds from 0s to 60s".to_owned())
    }
}

impl JsonSchema for Wait {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Wait".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^([0-5]?[0-9]|60)s$" })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Question {
    /// Only what comes behind this number. Without it and without a consumer: from the first change that is kept.
    after: Option<u64>,
    /// Only what this consumer has not acknowledged.
    consumer: Option<ConsumerName>,
    /// How many at most; 50 when left out.
    limit: Option<Limit>,
    /// Only outputs of these kinds, with commas between.
    kinds: Option<Names>,
    /// Only outputs of this sync.
    sync: Option<SyncName>,
    /// How long to wait for a change when there is none; a commit ends the wait at once.
    wait: Option<Wait>,
}

/// The changes of an answer: as lines, unless JSON is asked for.
struct Changes {
    feed: view::Feed,
    lines: bool,
}

impl Reply for Changes {
    fn media(schemas: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
        let about = "One Change a line. The headers kilofold-next and kilofold-end tell what `next` and `end` do in JSON.";
        let lines = json_schema!({ "type": "string", "description": about });
        vec![(LINES, lines), ("application/json", schemas.subschema_for::<view::Feed>())]
    }

    fn reply(self) -> Response {
        if !self.lines {
            return axum::Json(self.feed).into_response();
        }
        let mut body = Vec::new();
        for change in &self.feed.changes {
            if let Err(error) = serde_json::to_writer(&mut body, change) {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                return Problem::new(status, "web.internal", error.to_string()).into_response();
            }
            body.push(b'\n');
        }
        let mut response = body.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(LINES));
        headers.insert("kilofold-next", self.feed.next.into());
        headers.insert("kilofold-end", self.feed.end.into());
        response
    }
}

/// Whether lines are wanted: they are, unless only JSON is accepted.
fn wants_lines(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_none_or(|accept| !accept.contains("application/json") || accept.contains("ndjson"))
}

async fn feed(shared: Shared, ask: Ask<(), Question>) -> Answer<Changes> {
    let lines = wants_lines(&ask.headers);
    let Question { after, consumer, limit, kinds, sync, wait } = ask.query;
    // Heard from before the first look, so that no commit falls between.
    let mut moves = shared.reader.store().feed_moves();
    let until = Instant::now() + wait.map_or(Duration::ZERO, |Wait(wait)| wait);
    let waiting = match wait {
        Some(_) => Some(shared.waiters.clone().try_acquire_owned().map_err(|_| {
            let what = "so many readers wait for the feed already".to_owned();
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "web.busy", what)
        })?),
        None => None,
    };
    let now = shared.clock.now();
    let after = match consumer {
        None => after,
        Some(name) => {
            let came = read(&shared, move |reader| reader.consumer_asks(&name, now)).await?;
            Some(after.unwrap_or(came))
        }
    };
    let mut query = FeedQuery {
        after,
        until: None,
        limit: limit.map_or(50, Limit::get),
        syncs: sync.into_iter().collect(),
        kinds: kinds.map(|Names(kinds)| kinds).unwrap_or_default(),
    };
    loop {
        moves.borrow_and_update();
        let asked = query.clone();
        let feed = read(&shared, move |reader| reader.feed(&asked)).await?;
        if !feed.changes.is_empty() || waiting.is_none() || Instant::now() >= until {
            return Ok(Changes { feed, lines });
        }
        // What is not wanted is not looked at again.
        query.after = Some(feed.next);
        if feed.next < feed.end {
            continue;
        }
        tokio::select! {
            moved = moves.changed() => if moved.is_err() { return Ok(Changes { feed, lines }) },
            () = tokio::time::sleep_until(until) => {}
            () = shared.stopping.cancelled() => return Ok(Changes { feed, lines }),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// Only outputs of these kinds, with commas between.
    kinds: Option<Names>,
    /// Only outputs of this sync.
    sync: Option<SyncName>,
}

impl Part {
    pub(super) fn wanted(self) -> Wanted {
        let kinds = self.kinds.map(|Names(kinds)| kinds).unwrap_or_default();
        Wanted { syncs: self.sync.into_iter().collect(), kinds }
    }
}

struct Lines(Response);

impl Reply for Lines {
    fn media(_: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
        let about = "One SnapshotLine a line, to be applied in order. Without its last line, `end`, it is not whole.";
        vec![(LINES, json_schema!({ "type": "string", "description": about }))]
    }

    fn reply(self) -> Response {
        self.0
    }
}

fn snapshot(shared: Shared, ask: Ask<(), Part>) -> Ready<Answer<Lines>> {
    let wanted = ask.query.wanted();
    let (reader, now) = (shared.reader.clone(), shared.clock.now());
    ready(
        stream(&shared, LINES, move |to| {
            let lines = reader.snapshot(&wanted, now, &mut |line| write_line(to, line));
            lines.map_err(io::Error::other)?
        })
        .map(Lines),
    )
}

/// Writes one value as a line.
pub(super) fn write_line<T: serde::Serialize>(to: &mut dyn Write, value: &T) -> io::Result<()> {
    serde_json::to_writer(&mut *to, value)?;
    to.write_all(b"\n")
}

async fn list(shared: Shared, _: Ask) -> Answer<Json<view::Consumers>> {
    let now = shared.clock.now();
    read(&shared, move |reader| reader.consumers(now)).await.map(Json)
}

async fn one(shared: Shared, ask: Ask<ConsumerName>) -> Answer<Json<view::Consumer>> {
    let now = shared.clock.now();
    read(&shared, move |reader| reader.consumer(&ask.path, now)).await.map(Json)
}

/// What a consumer says of itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Acknowledgement {
    /// It has everything up to this number: 0 to begin with what is kept.
    #[serde(deserialize_with = "super::ask::whole")]
    acknowledged: u64,
    /// Whether it may go back, to read again what it had acknowledged before.
    #[serde(default)]
    rewind: bool,
}

async fn acknowledge(
    shared: Shared,
    ask: Ask<ConsumerName, (), Json<Acknowledgement>>,
) -> Answer<Json<view::Consumer>> {
    let now = shared.clock.now();
    let Ask { path: name, body: Json(Acknowledgement { acknowledged, rewind }), .. } = ask;
    read(&shared, move |reader| reader.acknowledge(&name, acknowledged, rewind, now))
        .await
        .map(Json)
}

async fn forget(shared: Shared, ask: Ask<ConsumerName>) -> Answer<Json<view::Consumer>> {
    let now = shared.clock.now();
    read(&shared, move |reader| reader.forget(&ask.path, now)).await.map(Json)
}

async fn dead(
    shared: Shared,
    ask: Ask<ConsumerName, After<u64>>,
) -> Answer<Json<view::DeadLetters>> {
    let Ask { path: name, query, .. } = ask;
    read(&shared, move |reader| reader.dead_letters(&name, query.after, query.limit()))
        .await
        .map(Json)
}

async fn dead_one(shared: Shared, ask: Ask<(ConsumerName, u64)>) -> Answer<Json<view::OneLetter>> {
    let (name, seq) = ask.path;
    read(&shared, move |reader| reader.dead_letter(&name, seq)).await.map(Json)
}

/// Which change is meant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only the change of this number.
    seq: Option<u64>,
}

async fn resend(shared: Shared, ask: Ask<ConsumerName, Which>) -> Answer<Json<view::Resent>> {
    let Ask { path: name, query: Which { seq }, .. } = ask;
    read(&shared, move |reader| reader.resend(&name, seq)).await.map(Json)
}

async fn bury(shared: Shared, ask: Ask<ConsumerName, Which>) -> Answer<Json<view::Consumer>> {
    let now = shared.clock.now();
    let Ask { path: name, query: Which { seq }, .. } = ask;
    read(&shared, move |reader| reader.bury(&name, seq, now)).await.map(Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_waits_and_names() {
        let wait = |text: &str| Wait::try_from(text.to_owned()).ok().map(|wait| wait.0.as_secs());
        assert_eq!((wait("0s"), wait("7s"), wait("60s")), (Some(0), Some(7), Some(60)));
        for bad in ["61s", "", "s", "5", "-1s", "+1s", "1m", "007s"] {
            assert_eq!(wait(bad), None, "{bad}");
        }
        let names = |text: &str| Names::try_from(text.to_owned()).ok().map(|names| names.0);
        assert_eq!(names("person,event"), Some(vec!["person".to_owned(), "event".to_owned()]));
        for bad in ["", ",", "a,", &"a,".repeat(200)] {
            assert_eq!(names(bad), None, "{bad}");
        }
    }

    #[test]
    fn lines_are_usual() {
        let accept = |value: &'static str| {
            wants_lines(&[(header::ACCEPT, HeaderValue::from_static(value))].into_iter().collect())
        };
        assert!(wants_lines(&HeaderMap::new()) && accept("*/*") && accept("application/x-ndjson"));
        assert!(!accept("application/json") && accept("application/json, application/x-ndjson"));
    }
}

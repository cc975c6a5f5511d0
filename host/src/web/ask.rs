//! What a route is asked and what it answers, as types: read, refused and described everywhere in the same way.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use super::reader::LIMIT;
use crate::model::{Stamp, StampError};

/// What came with a request: the parameters of its path, those of its query, and its body. `()`: none may come.
#[derive(Debug)]
pub struct Ask<P = (), Q = (), B = ()> {
    /// The parameters of the path, in order.
    pub path: P,
    /// The parameters of the query; one that is not known is refused.
    pub query: Q,
    /// The body.
    pub body: B,
    /// The headers.
    pub headers: HeaderMap,
}

impl<S, P, Q, B> FromRequest<S> for Ask<P, Q, B>
where
    S: Send + Sync,
    P: DeserializeOwned + Send,
    Q: DeserializeOwned + Send,
    B: Body,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let path = Path::<P>::from_request_parts(&mut parts, state).await;
        let Path(path) = path.map_err(|error| Problem::bad_request(error.body_text()))?;
        let query = Query::<Q>::try_from_uri(&parts.uri);
        let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
        let headers = parts.headers.clone();
        let body = B::read(Request::from_parts(parts, body)).await?;
        Ok(Self { path, query, body, headers })
    }
}

/// What a body may be.
pub trait Body: Sized + Send {
    /// Its schema; none when there is no body.
    fn schema(schemas: &mut SchemaGenerator) -> Option<Schema>;

    /// Reads it.
    fn read(request: Request) -> impl Future<Output = Result<Self, Problem>> + Send;
}

impl Body for () {
    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        None
    }

    /// What comes all the same is not looked at.
    async fn read(_: Request) -> Result<Self, Problem> {
        Ok(())
    }
}

/// JSON, both ways.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + JsonSchema + Send> Body for Json<T> {
    fn schema(schemas: &mut SchemaGenerator) -> Option<Schema> {
        Some(schemas.subschema_for::<T>())
    }

    async fn read(request: Request) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .eq_ignore_ascii_case("application/json")
        {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "web.media-type",
                format!("the body was sent as '{}'", super::text::plain(kind)),
            ));
        }
        let bytes = Bytes::from_request(request, &()).await.map_err(|error| {
            let status = error.status();
            let code = match status {
                StatusCode::PAYLOAD_TOO_LARGE => "web.too-large",
                _ => "web.request",
            };
            Problem::new(status, code, error.body_text())
        })?;
        let value = serde_json::from_slice(&bytes);
        value.map(Self).map_err(|error| Problem::bad_request(format!("the body: {error}")))
    }
}

/// What a route answers, or why not.
pub type Answer<R> = Result<R, Problem>;

/// What an answer may be.
pub trait Reply {
    /// Its status.
    const STATUS: StatusCode = StatusCode::OK;

    /// The media types that it may have, the usual one first, each with its schema.
    fn media(schemas: &mut SchemaGenerator) -> Vec<(&'static str, Schema)>;

    /// The answer itself.
    fn reply(self) -> Response;
}

impl<T: Serialize + JsonSchema> Reply for Json<T> {
    fn media(schemas: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
        vec![("application/json", schemas.subschema_for::<T>())]
    }

    fn reply(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// JSON that says that a request was taken; what it asks for is done later.
#[derive(Debug, Clone, Copy)]
pub struct Taken<T>(pub T);

impl<T: Serialize + JsonSchema> Reply for Taken<T> {
    const STATUS: StatusCode = StatusCode::ACCEPTED;

    fn media(schemas: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
        vec![("application/json", schemas.subschema_for::<T>())]
    }

    fn reply(self) -> Response {
        (Self::STATUS, axum::Json(self.0)).into_response()
    }
}

/// A moment in a query: `2026-11-01T00:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Moment(pub Stamp);

impl TryFrom<String> for Moment {
    type Error = StampError;

    fn try_from(text: String) -> Result<Self, StampError> {
        Stamp::parse(&text).map(Self)
    }
}

impl JsonSchema for Moment {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// A whole number; also one that is spelled with a point, as JSON Schema has it.
pub(super) fn whole<'de, N: TryFrom<u64>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<N, D::Error> {
    /// Up to here a double holds every whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number = serde_json::Number::deserialize(deserializer)?;
    let spelled = number.as_f64().filter(|one| one.fract() == 0.0 && (0.0..=EXACT).contains(one));
    // Within these bounds nothing is lost.
    let exact = number.as_u64().or(spelled.map(|one| one as u64));
    exact.and_then(|exact| N::try_from(exact).ok()).ok_or_else(|| {
        serde::de::Error::custom(format!("{number} is no whole number, or one that is too large"))
    })
}

/// How many entries an answer may hold: 1 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct Limit(usize);

impl Limit {
    /// The number.
    pub fn get(self) -> usize {
        self.0
    }
}

impl TryFrom<u64> for Limit {
    type Error = String;

    fn try_from(number: u64) -> Result<Self, String> {
        usize::try_from(number)
            .ok()
            .filter(|number| (1..=LIMIT).contains(number))
            .map(Self)
            .ok_or_else(|| format!("limit is {number}, and may be 1 to {LIMIT}"))
    }
}

impl JsonSchema for Limit {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": LIMIT })
    }
}

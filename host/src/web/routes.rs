//! The table of the API: what is routed is described, by the same types, in the OpenAPI document.
//!
//! Our own two hundred lines, because the schemas are there already (schemars, which the configuration's own schema is made
//! with): aide's release still wants an older schemars beside it, and utoipa wants a second derive on every value and the
//! paths written by hand, which can then say something else than the handlers do.

use axum::extract::State;
use axum::routing::{MethodFilter, on};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::Shared;
use super::ask::{Answer, Ask, Body, Reply};
use super::problem::Problem;

/// What a route does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verb {
    /// It reads.
    Get,
    /// It does something: only operators may ask for it.
    Post,
    /// It sets something to what the body says.
    Put,
    /// It takes something away.
    Delete,
}

impl Verb {
    /// The method's name to the router, and in the document.
    fn names(self) -> (MethodFilter, &'static str) {
        match self {
            Self::Get => (MethodFilter::GET, "get"),
            Self::Post => (MethodFilter::POST, "post"),
            Self::Put => (MethodFilter::PUT, "put"),
            Self::Delete => (MethodFilter::DELETE, "delete"),
        }
    }
}

/// Routes and what is known of them.
pub(super) struct Routes {
    router: axum::Router<Shared>,
    paths: Map<String, Value>,
    /// Schemas of what is sent to us.
    asked: SchemaGenerator,
    /// Schemas of what we answer.
    answered: SchemaGenerator,
}

impl Default for Routes {
    fn default() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            router: axum::Router::new(),
            paths: Map::new(),
            asked: settings().for_deserialize().into_generator(),
            answered: settings().for_serialize().into_generator(),
        }
    }
}

impl Routes {
    /// A route: what is asked for, by which method, and in one sentence what it does.
    pub(super) fn on<P, Q, B, R, F, Fut>(
        mut self,
        verb: Verb,
        path: &str,
        about: &str,
        handler: F,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        Q: DeserializeOwned + JsonSchema + Send + 'static,
        B: Body + 'static,
        R: Reply + 'static,
        F: Fn(Shared, Ask<P, Q, B>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Answer<R>> + Send + 'static,
    {
        let call = move |State(shared): State<Shared>, ask: Ask<P, Q, B>| {
            let answer = handler(shared, ask);
            async move { answer.await.map(Reply::reply) }
        };
        let (filter, method) = verb.names();
        self.router = self.router.route(path, on(filter, call));
        let operation = self.describe::<P, Q, B, R>(method, path, about);
        let item = self.paths.entry(path).or_insert_with(|| json!({}));
        item[method] = operation;
        self
    }

    fn describe<P: JsonSchema, Q: JsonSchema, B: Body, R: Reply>(
        &mut self,
        method: &str,
        path: &str,
        about: &str,
    ) -> Value {
        let mut parameters = in_path(path, self.asked.subschema_for::<P>().to_value());
        parameters.extend(in_query(Q::json_schema(&mut self.asked).to_value()));
        let answers: Map<String, Value> = R::media(&mut self.answered)
            .into_iter()
            .map(|(media, schema)| (media.to_owned(), json!({ "schema": schema })))
            .collect();
        let problem = self.answered.subschema_for::<Problem>().to_value();
        let mut operation = json!({
            "operationId": operation_id(method, path),
            "summary": about,
            "tags": [path.split('/').nth(3).unwrap_or("host")],
            "parameters": parameters,
            "responses": {
                R::STATUS.as_str(): {
                    "description": R::STATUS.canonical_reason().unwrap_or_default(),
                    "content": answers,
                },
                "default": {
                    "description": "Why not, what it means and what to do.",
                    "content": { "application/problem+json": { "schema": problem } },
                },
            },
        });
        if let Some(body) = B::schema(&mut self.asked) {
            let content = json!({ "application/json": { "schema": body } });
            operation["requestBody"] = json!({ "required": true, "content": content });
        }
        operation
    }

    /// The router, and the OpenAPI document of all that was added. `guarded`: whether callers must say who they are.
    pub(super) fn finish(mut self, guarded: bool) -> (axum::Router<Shared>, Value) {
        let mut schemas = self.asked.take_definitions(true);
        schemas.extend(self.answered.take_definitions(true));
        let mut document = json!({
            "openapi": "3.1.0",
            "info": {
                "title": "kilofold",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "What kilofold pulled, what failed and why, and the feed of changes. Times are in milliseconds since 1970, UTC.",
            },
            "paths": self.paths,
            "components": { "schemas": schemas },
        });
        if guarded {
            document["components"]["securitySchemes"] = json!({
                "bearer": { "type": "http", "scheme": "bearer" },
                "basic": { "type": "http", "scheme": "basic", "description": "Any name, and the token as password." },
            });
            document["security"] = json!([{ "bearer": [] }, { "basic": [] }]);
        }
        bound_integers(&mut document);
        (self.router, document)
    }
}

/// The parameters of a path: their names stand in it, their types in the schema of one value or of a tuple.
fn in_path(path: &str, schema: Value) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let many = schema.get("prefixItems").and_then(Value::as_array).cloned();
    let schemas = many.unwrap_or_else(|| vec![schema]);
    names
        .zip(schemas)
        .map(|(name, schema)| json!({ "name": name, "in": "path", "required": true, "schema": schema }))
        .collect()
}

/// The parameters of a query: the properties of its schema.
fn in_query(mut schema: Value) -> Vec<Value> {
    let required: Vec<Value> =
        schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(Value::Object(properties)) = schema.get_mut("properties").map(Value::take) else {
        return Vec::new();
    };
    properties
        .into_iter()
        .map(|(name, mut schema)| {
            crate::config::without_null(&mut schema);
            let about = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            let must = required.iter().any(|one| one == name.as_str());
            let mut parameter =
                json!({ "name": name, "in": "query", "required": must, "schema": schema });
            if let Some(about) = about {
                parameter["description"] = about;
            }
            parameter
        })
        .collect()
}

/// `getRunsByRunPages` of `GET /api/v1/runs/{run}/pages`.
fn operation_id(method: &str, path: &str) -> String {
    let mut name = method.to_owned();
    for part in path.split('/').filter(|part| !["", "api", "v1"].contains(part)) {
        let by = part.starts_with('{');
        let words = part.trim_matches(['{', '}']).split(['.', '-', '_']);
        name.push_str(if by { "By" } else { "" });
        for word in words {
            let (first, rest) = word.split_at(word.len().min(1));
            name.push_str(&first.to_ascii_uppercase());
            name.push_str(rest);
        }
    }
    name
}

/// A schema says of a number how it is held; JSON Schema wants to hear its bounds.
fn bound_integers(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            let bounds = match object.get("format").and_then(Value::as_str) {
                Some("uint64" | "uint") => Some((json!(0), json!(u64::MAX))),
                Some("int64" | "int") => Some((json!(i64::MIN), json!(i64::MAX))),
                Some("uint32") => Some((json!(0), json!(u32::MAX))),
                Some("uint16") => Some((json!(0), json!(u16::MAX))),
                _ => None,
            };
            if let Some((least, most)) = bounds {
                object.entry("minimum").or_insert(least);
                object.entry("maximum").or_insert(most);
            }
            object.values_mut().for_each(bound_integers);
        }
        Value::Array(list) => list.iter_mut().for_each(bound_integers),
        _ => {}
    }
}

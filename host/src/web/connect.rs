//! Connections through the API: asks for a consent, takes its answer, counts approvals, disconnects.

use std::net::SocketAddr;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::Shared;
use super::api::read;
use super::ask::{Answer, Ask, Json};
use super::problem::Problem;
use super::view;
use crate::config::Grant;
use crate::model::ConnectionName;
use crate::salesforce::{self, Redirect};

impl From<salesforce::Error> for Problem {
    fn from(error: salesforce::Error) -> Self {
        use salesforce::Error as E;
        let status = match &error {
            E::UnknownConnection(_) => StatusCode::NOT_FOUND,
            E::Consent { .. } | E::Stray => StatusCode::BAD_REQUEST,
            E::TooManyApprovals { .. }
            | E::OtherOrg { .. }
            | E::OtherUser { .. }
            | E::NotConnected(_)
            | E::Reconnect { .. }
            | E::Denied { .. }
            | E::NotForApi { .. } => StatusCode::CONFLICT,
            E::NoPermit(_) | E::Limit { .. } => StatusCode::TOO_MANY_REQUESTS,
            E::Unreachable { .. } | E::Answer { .. } | E::Refused { .. } => StatusCode::BAD_GATEWAY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.code(), error.to_string())
    }
}

/// How a consent is wanted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct How {
    /// Also when it would be the sixth approval, for which Salesforce ends another.
    #[serde(default)]
    anyway: bool,
    /// One of the app's callback addresses, when the browser cannot come back to this machine; the address that it then
    /// ends at is handed over with `answer`.
    callback: Option<String>,
}

/// Where the browser ended.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ended {
    /// The whole address of the page.
    address: String,
}

/// One connection as it stands.
async fn connection(shared: &Shared, name: &ConnectionName) -> Answer<view::Connection> {
    let all = connections(shared).await?.connections;
    let found = all.into_iter().find(|connection| connection.name == *name);
    found.ok_or_else(|| salesforce::Error::UnknownConnection(name.clone()).into())
}

/// All connections as they stand.
pub(super) async fn connections(shared: &Shared) -> Answer<view::Connections> {
    let org = shared.org.clone();
    read(shared, move |reader| reader.connections(&org)).await
}

pub(super) async fn list(shared: Shared, _: Ask) -> Answer<Json<view::Connections>> {
    connections(&shared).await.map(Json)
}

/// Where the browser comes back to: the port that the app has for it, else the host's own page.
fn way_back(shared: &Shared, name: &ConnectionName, how: &How) -> Result<Redirect, Problem> {
    if let Some(callback) = &how.callback {
        return Ok(Redirect::Paste { callback: callback.clone() });
    }
    let config = shared.reader.config();
    if let Some(Grant::Code { redirect_port: Some(port), .. }) =
        config.connection(name).map(|connection| &connection.grant)
    {
        return Ok(Redirect::Loopback { port: *port });
    }
    served(shared.address, shared.tls).ok_or_else(|| {
        let what = "the host does not listen on this machine alone, so the browser cannot come back to it";
        let mut problem = Problem::new(StatusCode::CONFLICT, "auth.consent", what);
        problem.cure = "give the connection a `redirect_port`, or name a callback address of the app's and paste what \
                        the browser ends at: `kilofold connect --paste --callback URL`"
            .to_owned();
        problem
    })
}

fn served(address: SocketAddr, tls: bool) -> Option<Redirect> {
    address.ip().is_loopback().then(|| Redirect::Served { port: address.port(), tls })
}

/// Asks for a consent, or connects at once where none is needed.
pub(super) async fn connect(
    shared: Shared,
    ask: Ask<ConnectionName, How>,
) -> Answer<Json<view::Connecting>> {
    let (name, how) = (ask.path, ask.query);
    let config = shared.reader.config().clone();
    let known = config.connection(&name);
    let known = known.ok_or_else(|| salesforce::Error::UnknownConnection(name.clone()))?;
    if !matches!(known.grant, Grant::Code { .. }) {
        shared.org.connect(&name).await?;
        return Ok(Json(view::Connecting::done(connection(&shared, &name).await?)));
    }
    let redirect = way_back(&shared, &name, &how)?;
    let invited = shared.org.invite(&name, redirect, how.anyway).await?;
    Ok(Json(view::Connecting::new(invited, connection(&shared, &name).await?)))
}

/// How the last consent stands.
pub(super) async fn connecting(
    shared: Shared,
    ask: Ask<ConnectionName>,
) -> Answer<Json<view::Connecting>> {
    let name = ask.path;
    let status = connection(&shared, &name).await?;
    let invited = shared.org.invited(&name).ok_or_else(|| {
        let what =
            format!("no consent was asked for the connection '{name}' since the host started");
        Problem::not_found("auth.consent", what)
    })?;
    Ok(Json(view::Connecting::new(invited, status)))
}

/// Takes the address over that a user pasted.
pub(super) async fn answer(
    shared: Shared,
    ask: Ask<ConnectionName, (), Json<Ended>>,
) -> Answer<Json<view::Connection>> {
    let Json(Ended { address }) = ask.body;
    // It holds a code that can be exchanged for tokens.
    let address = Zeroizing::new(address);
    let answered = shared.org.answered_at(&ask.path, &address).await;
    answered.map_err(|error| match error {
        // Well asked, but it does not end a consent that is in hand.
        salesforce::Error::Consent { .. } | salesforce::Error::Stray => {
            Problem::new(StatusCode::CONFLICT, error.code(), error.to_string())
        }
        error => error.into(),
    })?;
    connection(&shared, &ask.path).await.map(Json)
}

/// Forgets a connection's tokens and revokes its approval.
pub(super) async fn disconnect(
    shared: Shared,
    ask: Ask<ConnectionName>,
) -> Answer<Json<view::Connection>> {
    shared.org.disconnect(&ask.path).await?;
    connection(&shared, &ask.path).await.map(Json)
}

/// Reads Salesforce's list of tokens now.
pub(super) async fn census(shared: Shared, _: Ask) -> Answer<Json<view::Connections>> {
    shared.org.census().await?;
    connections(&shared).await.map(Json)
}

//! Asks a user for consent: authorization code with PKCE, answered over a loopback address or pasted back.

use std::collections::HashMap;
use std::fmt;
use std::net::Ipv4Addr;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use oauth2::{CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use url::Url;

use super::org::{Org, Shared};
use super::{ConnectionState, ConnectionStatus, Error, Grant};
use crate::model::{Caller, ConnectionName};

/// The path of the loopback address that the browser is sent back to.
const PATH: &str = "/callback";

/// How many approvals Salesforce keeps for a user and an app.
const APPROVALS: usize = 5;

/// How the answer to the consent comes back. The address must be among the app's callback addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redirect {
    /// To `http://127.0.0.1:<port>/callback`; port 0 takes any free one.
    Loopback {
        /// The port.
        port: u16,
    },
    /// To this address; the user pastes the address of the page that the browser ends at.
    Paste {
        /// The callback address, for example `https://login.salesforce.com/services/oauth2/success`.
        callback: String,
    },
}

/// A consent that was asked for and not answered yet.
pub struct Pending {
    /// The page that the user must open.
    pub url: Url,
    connection: ConnectionName,
    state: CsrfToken,
    verifier: PkceCodeVerifier,
    redirect: RedirectUrl,
    listener: Option<TcpListener>,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl Org {
    /// Begins a consent. With `anyway`, also when it would be the sixth approval of the app that we know of.
    pub async fn begin(
        &self,
        name: &ConnectionName,
        how: Redirect,
        anyway: bool,
    ) -> Result<Pending, Error> {
        let shared = self.shared();
        let connection = shared.connection(name)?;
        let Grant::Code { secret } = &connection.settings.grant else {
            let why = "it needs no consent; it is authorised by its secret or key".to_owned();
            return Err(Error::Consent { connection: name.clone(), why });
        };
        let number = shared.approvals_beside(name, &connection.settings.client_id) + 1;
        if number > APPROVALS && !anyway {
            return Err(Error::TooManyApprovals { connection: name.clone(), number });
        }
        let consent = |why: String| Error::Consent { connection: name.clone(), why };
        let (listener, callback) = match how {
            Redirect::Loopback { port } => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
                let listener =
                    listener.map_err(|error| consent(format!("port {port}: {error}")))?;
                let port =
                    listener.local_addr().map_err(|error| consent(error.to_string()))?.port();
                (Some(listener), format!("http://127.0.0.1:{port}{PATH}"))
            }
            Redirect::Paste { callback } => (None, callback),
        };
        let redirect = RedirectUrl::new(callback).map_err(|error| consent(error.to_string()))?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = shared.client(&connection.settings, secret.as_ref());
        let (url, state) = client
            .set_redirect_uri(redirect.clone())
            .authorize_url(CsrfToken::new_random)
            .add_scopes(["api", "refresh_token", "id"].map(|scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(challenge)
            .url();
        Ok(Pending { url, connection: name.clone(), state, verifier, redirect, listener })
    }

    /// Waits for the browser to come back and takes the authorisation over. Answers that do not fit the question are
    /// turned away, and it is waited on.
    pub async fn finish(&self, mut pending: Pending) -> Result<ConnectionStatus, Error> {
        let connection = pending.connection.clone();
        let consent =
            |why: &str| Error::Consent { connection: connection.clone(), why: why.to_owned() };
        let listener =
            pending.listener.take().ok_or_else(|| consent("its answer must be pasted"))?;
        let (answers, mut answer) = mpsc::channel(1);
        let (stop, stopped) = oneshot::channel::<()>();
        let page = Page { state: pending.state.clone(), connection: connection.clone(), answers };
        let router = Router::new().route(PATH, get(callback)).with_state(page);
        let server = axum::serve(listener, router).with_graceful_shutdown(async move {
            // It also stops when this function is given up.
            stopped.await.unwrap_or_default();
        });
        let server = tokio::spawn(server.into_future());
        let code =
            answer.recv().await.unwrap_or_else(|| Err(consent("the browser did not come back")));
        if stop.send(()).is_err() {
            tracing::debug!("the redirect listener had stopped already");
        }
        if let Ok(Err(error)) = server.await {
            tracing::debug!(%error, "the redirect listener stopped");
        }
        self.exchange(pending, code?).await
    }

    /// Takes the authorisation over from the address that the user pasted.
    pub async fn finish_pasted(
        &self,
        pending: Pending,
        address: &str,
    ) -> Result<ConnectionStatus, Error> {
        let name = &pending.connection;
        let consent = |why: &str| Error::Consent { connection: name.clone(), why: why.to_owned() };
        let url = Url::parse(address.trim())
            .map_err(|_| consent("the whole address of the page is wanted"))?;
        let answer: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let code = read(&answer, &pending.state, name)?;
        self.exchange(pending, code).await
    }

    async fn exchange(&self, pending: Pending, code: String) -> Result<ConnectionStatus, Error> {
        let shared = self.shared();
        let connection = shared.connection(&pending.connection)?;
        let settings = &connection.settings;
        let Grant::Code { secret } = &settings.grant else {
            return Err(Error::NotConnected(pending.connection.clone()));
        };
        let who = Caller { connection: pending.connection.clone(), sync: None, run: None };
        // With five approvals the new one would push the oldest out, whosever it is; so ours makes room first.
        let full = shared.approvals_beside(&who.connection, &settings.client_id) + 1 >= APPROVALS;
        let own = if full { shared.refresh_token(connection).await } else { None };
        if let Some(own) = &own {
            shared.revoke_if_possible(&who, own).await;
        }
        let (verifier, redirect) = (pending.verifier, pending.redirect);
        let granted =
            shared.exchange(&who, settings, secret.as_ref(), code, verifier, redirect).await?;
        let replaced = shared.adopt(connection, granted).await?;
        shared.introduce(&who, connection).await;
        if let Some(old) = replaced.filter(|_| own.is_none()) {
            shared.revoke_if_possible(&who, &old).await;
        }
        Ok(connection.status())
    }

    /// Authorises a connection that needs no consent, by asking for a token.
    pub async fn connect(&self, name: &ConnectionName) -> Result<ConnectionStatus, Error> {
        let shared = self.shared();
        let connection = shared.connection(name)?;
        if matches!(connection.settings.grant, Grant::Code { .. }) {
            return Err(Error::NotConnected(name.clone()));
        }
        shared.forgive(connection).await;
        let who = Caller { connection: name.clone(), sync: None, run: None };
        let stale = connection.session()?.map(|session| session.generation);
        shared.renew(&who, stale).await?;
        shared.introduce(&who, connection).await;
        Ok(connection.status())
    }

    /// Forgets a connection's tokens and revokes its authorisation at Salesforce, so that it counts no longer.
    pub async fn disconnect(&self, name: &ConnectionName) -> Result<(), Error> {
        let shared = self.shared();
        let connection = shared.connection(name)?;
        let who = Caller { connection: name.clone(), sync: None, run: None };
        match shared.forget(connection).await? {
            Some(token) => shared.revoke(&who, &token).await,
            None => Ok(()),
        }
    }
}

impl Shared {
    /// Approvals of the app that other connections of ours hold.
    fn approvals_beside(&self, name: &ConnectionName, client_id: &str) -> usize {
        let others = self.connections.values().filter(|other| other.settings.name != *name);
        others
            .filter(|other| other.settings.client_id == client_id)
            .filter(|other| matches!(other.settings.grant, Grant::Code { .. }))
            .filter(|other| other.status().state == ConnectionState::Healthy)
            .count()
    }

    async fn revoke_if_possible(&self, who: &Caller, token: &str) {
        if let Err(error) = self.revoke(who, token).await {
            tracing::info!(connection = %who.connection, %error, "the replaced authorisation could not be revoked");
        }
    }

    /// Learns the user's name; that it cannot be learned is no harm.
    async fn introduce(&self, who: &Caller, connection: &super::connection::Connection) {
        let Ok(Some(session)) = connection.session() else { return };
        if let Some(user) = self.user_name(who, &session.instance, &session.bearer).await
            && let Err(error) = self.keep_user(connection, &user).await
        {
            tracing::info!(connection = %who.connection, %error, "the user's name could not be kept");
        }
    }
}

#[derive(Clone)]
struct Page {
    state: CsrfToken,
    connection: ConnectionName,
    answers: mpsc::Sender<Result<String, Error>>,
}

async fn callback(
    State(page): State<Page>,
    Query(answer): Query<HashMap<String, String>>,
) -> Response {
    let close = [(header::CONNECTION, "close")];
    if answer.get("state") != Some(page.state.secret()) {
        let text = "<p>This is not the answer to a question that kilofold asked.</p>";
        return (StatusCode::BAD_REQUEST, close, Html(text)).into_response();
    }
    let read = read(&answer, &page.state, &page.connection);
    let text = match &read {
        Ok(_) => "<p>kilofold has the answer. You may close this page.</p>",
        Err(_) => "<p>kilofold was not authorised. You may close this page.</p>",
    };
    match page.answers.try_send(read) {
        Ok(()) => (close, Html(text)).into_response(),
        Err(_) => (close, Html("<p>kilofold has an answer already.</p>")).into_response(),
    }
}

/// The code in an answer, if the answer belongs to the question.
fn read(
    answer: &HashMap<String, String>,
    state: &CsrfToken,
    connection: &ConnectionName,
) -> Result<String, Error> {
    let consent = |why: String| Error::Consent { connection: connection.clone(), why };
    if answer.get("state") != Some(state.secret()) {
        return Err(consent(
            "the answer belongs to another question (its state differs)".to_owned(),
        ));
    }
    if let Some(error) = answer.get("error") {
        let words = answer.get("error_description").map(String::as_str).unwrap_or_default();
        return Err(consent(format!("Salesforce says {error}: {words}")));
    }
    answer.get("code").cloned().ok_or_else(|| consent("the answer holds no code".to_owned()))
}

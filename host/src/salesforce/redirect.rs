//! How the browser comes back with the answer to a consent.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use oauth2::CsrfToken;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use url::Url;

use super::Error;
use crate::model::ConnectionName;

/// The path of the loopback address that the browser is sent back to.
const LOOPBACK: &str = "/callback";

/// The same for the address of the page.
pub const PAGE: &str = "/connections/callback";

/// How the answer to the consent comes back. The address must be among the app's callback addresses. It says
/// `localhost`, since that is the one name for which Salesforce takes plain HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redirect {
    /// To `http://localhost:<port>/callback`; port 0 takes any free one.
    Loopback {
        /// The port.
        port: u16,
    },
    /// To `http://localhost:<port>/connections/callback`, where the host would answer if it ran.
    Page {
        /// The port of the web address.
        port: u16,
    },
    /// To the same address, where the host answers, which hands the answer over.
    Served {
        /// The port of the web address.
        port: u16,
        /// Whether it speaks TLS; the address then begins with `https`.
        tls: bool,
    },
    /// To this address; the user pastes the address of the page that the browser ends at.
    Paste {
        /// The callback address, for example `https://login.salesforce.com/services/oauth2/success`.
        callback: String,
    },
}

impl Redirect {
    /// Where the browser comes back to.
    pub fn address(&self) -> String {
        match self {
            Self::Loopback { port } => format!("http://localhost:{port}{LOOPBACK}"),
            Self::Page { port } | Self::Served { port, tls: false } => {
                format!("http://localhost:{port}{PAGE}")
            }
            Self::Served { port, tls: true } => format!("https://localhost:{port}{PAGE}"),
            Self::Paste { callback } => callback.clone(),
        }
    }
}

/// Waits at the listeners for the browser; gives the code that it brings. Answers that do not fit the question are turned
/// away.
pub(super) async fn wait(
    listeners: Vec<TcpListener>,
    state: &CsrfToken,
    connection: &ConnectionName,
) -> Result<String, Error> {
    let (answers, mut answer) = mpsc::channel(1);
    let page = Page { state: state.clone(), connection: connection.clone(), answers };
    let router =
        Router::new().route(LOOPBACK, get(callback)).route(PAGE, get(callback)).with_state(page);
    // They end with this function, also when it is given up.
    let mut servers = JoinSet::new();
    let (stop, stopped) = tokio::sync::watch::channel(());
    for listener in listeners {
        let mut stopped = stopped.clone();
        let server = axum::serve(listener, router.clone()).with_graceful_shutdown(async move {
            // An error means that the sender is gone, which is what is waited for.
            drop(stopped.changed().await);
        });
        servers.spawn(server.into_future());
    }
    drop(router);
    let code = answer.recv().await.unwrap_or_else(|| {
        let why = "the browser did not come back".to_owned();
        Err(Error::Consent { connection: connection.clone(), why })
    });
    drop(stop);
    while let Some(ended) = servers.join_next().await {
        if let Ok(Err(error)) = ended {
            tracing::debug!(%error, "the redirect listener stopped");
        }
    }
    code
}

/// Listens where the browser comes back to, on both of the numbers that `localhost` may mean, as far as they are there.
pub(super) async fn way_back(how: Redirect) -> Result<(Vec<TcpListener>, String), String> {
    let (Redirect::Loopback { port } | Redirect::Page { port }) = &how else {
        return Ok((Vec::new(), how.address()));
    };
    let bind = async |ip: IpAddr, port: u16| TcpListener::bind((ip, port)).await;
    let first = bind(Ipv4Addr::LOCALHOST.into(), *port).await;
    let first = first.map_err(|error| format!("port {port} of this machine: {error}"))?;
    let port = first.local_addr().map_err(|error| error.to_string())?.port();
    let mut listeners = vec![first];
    listeners.extend(bind(Ipv6Addr::LOCALHOST.into(), port).await);
    let how = match how {
        Redirect::Page { .. } => Redirect::Page { port },
        _ => Redirect::Loopback { port },
    };
    Ok((listeners, how.address()))
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

/// What the address says that a user pasted.
pub(super) fn pasted(
    name: &ConnectionName,
    address: &str,
) -> Result<HashMap<String, String>, Error> {
    let url = Url::parse(address.trim()).map_err(|_| Error::Consent {
        connection: name.clone(),
        why: "the whole address of the page is wanted".to_owned(),
    })?;
    Ok(url.query_pairs().into_owned().collect())
}

/// The code in an answer, if the answer belongs to the question.
pub(super) fn read(
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

//! The door: a person enters the password and gets a session.

use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::PoisonError;

use axum::Router;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{ConnectInfo, Form, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{DOCTYPE, html};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Guard;
use crate::web::tls::Peer;
use crate::web::{pages, text};

/// The door's own routes.
pub(in crate::web) fn routes(guard: Guard) -> Router {
    Router::new()
        .route("/login", get(show).post(enter))
        .route("/logout", post(leave))
        .with_state(guard)
}

#[derive(Debug, Default, Deserialize)]
struct To {
    to: Option<String>,
}

#[derive(Deserialize)]
struct Entered {
    password: String,
    to: Option<String>,
}

fn show(
    State(guard): State<Guard>,
    headers: HeaderMap,
    query: Result<Query<To>, QueryRejection>,
) -> Ready<Response> {
    let to = query.ok().and_then(|Query(To { to })| to);
    // Who is in already has nothing to enter.
    if !guard.asks() || matches!(guard.who(&headers), Ok(Some(_))) {
        return ready(Redirect::to(here(to.as_deref())).into_response());
    }
    ready(page(StatusCode::OK, "", to.as_deref()))
}

async fn enter(
    State(guard): State<Guard>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    form: Result<Form<Entered>, FormRejection>,
) -> Response {
    let Ok(Form(Entered { password, to })) = form else {
        return page(StatusCode::BAD_REQUEST, "Enter the password.", None);
    };
    let password = SecretString::from(password);
    // One at a time, and nobody guesses at leisure.
    let Ok(_turn) = guard.0.checking.acquire().await else {
        return page(StatusCode::SERVICE_UNAVAILABLE, "The host is stopping.", to.as_deref());
    };
    if let Some(wait) = guard.attempts(|attempts, now| attempts.wait(peer.ip(), now)) {
        let words = format!("Too many wrong passwords. Try again in {}.", text::about(wait));
        let mut response = page(StatusCode::TOO_MANY_REQUESTS, &words, to.as_deref());
        let seconds = HeaderValue::from(wait.as_secs() + 1);
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
        return response;
    }
    let access = guard.0.access.clone();
    let checked =
        tokio::task::spawn_blocking(move || access.role_of_person(password.expose_secret()));
    let Some(role) = checked.await.ok().flatten() else {
        guard.attempts(|attempts, now| attempts.wrong(peer.ip(), now));
        tracing::warn!(%peer, "A wrong password was entered");
        return page(StatusCode::UNAUTHORIZED, "That is not the password.", to.as_deref());
    };
    guard.attempts(|attempts, _| attempts.right(peer.ip()));
    let secret = guard.0.sessions.begin(role, guard.0.clock.now());
    tracing::info!(%peer, ?role, "A session began");
    guard.with_cookie(Redirect::to(here(to.as_deref())).into_response(), &secret, "")
}

fn leave(State(guard): State<Guard>, headers: HeaderMap) -> Ready<Response> {
    if let Some(secret) = guard.cookie(&headers) {
        guard.0.sessions.end(secret);
    }
    let response = Redirect::to("/login").into_response();
    ready(guard.with_cookie(response, "", "; Max-Age=0"))
}

impl Guard {
    fn attempts<T>(&self, work: impl FnOnce(&mut super::Attempts, crate::model::Stamp) -> T) -> T {
        let now = self.0.clock.now();
        work(&mut self.0.attempts.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    fn with_cookie(&self, mut response: Response, secret: &str, more: &str) -> Response {
        let secure = if self.0.tls { "; Secure" } else { "" };
        let name = self.cookie_name();
        let cookie = format!("{name}={secret}; Path=/; HttpOnly; SameSite=Strict{secure}{more}");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response
    }
}

/// Where to go on: a path of ours, whatever was asked for.
fn here(to: Option<&str>) -> &str {
    let ours = |to: &&str| {
        to.starts_with('/')
            && !to.starts_with("//")
            && !to.starts_with("/login")
            && to.bytes().all(|c| c.is_ascii_graphic() && c != b'\\')
    };
    to.filter(ours).unwrap_or("/")
}

/// Nothing inline, and the form goes nowhere else.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

fn page(status: StatusCode, words: &str, to: Option<&str>) -> Response {
    let body = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Sign in · kilofold" }
                link rel="icon" href=(pages::icon()) type="image/svg+xml";
                link rel="stylesheet" href=(pages::sheet());
            }
            body {
                main.door {
                    h1 { "kilofold" }
                    form.card method="post" action="/login" {
                        div.in.stack {
                            label for="password" { "Password" }
                            input #password name="password" type="password" required autofocus
                                autocomplete="current-password" aria-describedby="words";
                            input type="hidden" name="to" value=(here(to));
                            p #words role="status" { (words) }
                            div.row { button.btn.main { "Sign in" } }
                        }
                    }
                }
            }
        }
    };
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        // Without a referrer browsers do not say either from which page a form was sent.
        (header::REFERRER_POLICY, "same-origin"),
    ];
    (status, headers, Html(body.into_string())).into_response()
}

/// The address that a listener tells of a connection.
impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leads_nowhere_else() {
        assert_eq!(here(Some("/runs/7?a=b")), "/runs/7?a=b");
        for foreign in [
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "",
            "/a b",
            "/login",
            "/\n",
        ] {
            assert_eq!(here(Some(foreign)), "/", "{foreign}");
        }
        assert_eq!(here(None), "/");
    }
}

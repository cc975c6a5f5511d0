//! Who may do what. One place decides for every route, so that a new one is safe before anybody has thought of it: to read
//! takes the role view, and every method that is not GET or HEAD takes the role operate.
//!
//! A page of another site stays out by Host and Origin. A person enters a password and gets a cookie, whose requests must
//! bear a token besides when they change something; a program bears a token of its own.

mod access;
mod attempts;
mod login;
mod password;
mod sessions;

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use url::form_urlencoded;

pub use access::{Access, Error};
pub(super) use login::routes;
pub use password::{Hash, hash};

use super::problem::Problem;
use crate::clock::Clock;
use attempts::Attempts;
use sessions::Sessions;

/// What somebody may do; whoever may operate may also view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read.
    View,
    /// Read, and start, stop and change.
    Operate,
}

/// Who asks. Every request that is let in has one among its extensions, but those to open paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// What they may do.
    pub role: Role,
    /// What a form must bear as its field `csrf`, or a script as the header `x-csrf-token`, when they came with a cookie.
    pub csrf: Option<String>,
}

/// Paths that anybody may ask for: health, the door itself, and where Salesforce sends a browser back to, which comes
/// from another site and so without the cookie; what it brings is worth nothing without the state that it must fit.
const OPEN: [&str; 5] = ["/healthz", "/readyz", "/login", "/assets/", "/connections/callback"];
/// The header that bears the token of a session.
const CSRF: &str = "x-csrf-token";
/// The longest form whose field `csrf` is looked for, in bytes.
const FORM: usize = 64 << 10;
/// For what brings no policy of its own: nothing may be loaded, framed or sent.
const POLICY: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What a request must have to be let in. Clones share the sessions.
#[derive(Debug, Clone)]
pub struct Guard(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Whether the listener is reachable from this machine only.
    loopback: bool,
    /// The address that is listened on: its number is a good name as well.
    address: IpAddr,
    /// Whether what is said cannot be read on the way.
    tls: bool,
    access: Access,
    clock: Clock,
    sessions: Sessions,
    attempts: Mutex<Attempts>,
    /// Passwords are checked one at a time: each check costs memory on purpose.
    checking: Semaphore,
}

impl Guard {
    /// The guard of a listener on this address.
    pub fn new(address: IpAddr, tls: bool, access: Access, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            loopback: address.is_loopback(),
            address,
            tls,
            access,
            clock,
            sessions: Sessions::default(),
            attempts: Mutex::default(),
            checking: Semaphore::new(1),
        }))
    }

    /// Whether callers must say who they are.
    pub(super) fn asks(&self) -> bool {
        !self.0.access.is_open()
    }

    /// Whether a request comes from where it may come from.
    fn site(&self, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
        let host = text(headers, &header::HOST).unwrap_or_default();
        if !self.host_fits(host) {
            return Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "web.host",
                format!("the request was sent to the host '{}'", super::text::plain(host)),
            ));
        }
        if is_safe(method) {
            return Ok(());
        }
        let foreign = |what: &str| {
            let what = format!("the request was made by a page of {}", super::text::plain(what));
            Err(Problem::new(StatusCode::FORBIDDEN, "web.origin", what))
        };
        if let Some(origin) = text(headers, &header::ORIGIN)
            && origin.split_once("://").is_none_or(|(_, name)| !name.eq_ignore_ascii_case(host))
        {
            return foreign(&format!("'{origin}'"));
        }
        match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
            None | Some(b"same-origin" | b"none") => Ok(()),
            Some(_) => foreign("another site"),
        }
    }

    /// On loopback a page of another site can reach us by a name of its own (DNS rebinding); its Host tells.
    /// Elsewhere a secret is demanded, which such a page does not have.
    fn host_fits(&self, host: &str) -> bool {
        if !self.0.loopback {
            return true;
        }
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) => name,
            _ => host,
        };
        let number = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        name.eq_ignore_ascii_case("localhost")
            || number.is_ok_and(|ip| ip.is_loopback() || ip == self.0.address)
    }

    /// Who asks, when they say so; an error when what they say is wrong.
    fn who(&self, headers: &HeaderMap) -> Result<Option<Viewer>, Problem> {
        if self.0.access.is_open() {
            return Ok(Some(Viewer { role: Role::Operate, csrf: None }));
        }
        if headers.contains_key(header::AUTHORIZATION) {
            let role = access::bearer(headers).and_then(|token| self.0.access.role_of(&token));
            return match role {
                Some(role) => Ok(Some(Viewer { role, csrf: None })),
                None => Err(unknown("the request bears a token that is not known")),
            };
        }
        let session = self.cookie(headers).and_then(|secret| {
            let session = self.0.sessions.find(secret, self.0.clock.now())?;
            Some(Viewer { role: session.role, csrf: Some(session.csrf) })
        });
        Ok(session)
    }

    /// The secret of the session that a request's cookie names.
    fn cookie<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(name, value)| (name == self.cookie_name()).then_some(value))
    }

    /// With TLS the name itself demands of the browser that no other host or path may have set it.
    fn cookie_name(&self) -> &'static str {
        if self.0.tls { "__Host-kilofold" } else { "kilofold" }
    }

    /// Who a request is let in for; none at open paths.
    fn judge(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Option<Viewer>, Problem> {
        self.site(method, headers)?;
        let open = |open: &&str| path == *open || (open.ends_with('/') && path.starts_with(*open));
        if OPEN.iter().any(open) {
            return Ok(None);
        }
        let viewer = self.who(headers)?;
        let viewer = viewer.ok_or_else(|| unknown("the request does not say who asks"))?;
        // Whoever came in may leave, and choose the colours.
        let own = ["/logout", "/theme"].contains(&path);
        let wanted = if is_safe(method) || own { Role::View } else { Role::Operate };
        if viewer.role < wanted {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "web.role",
                "this needs the role operate, and the request was made with the role view",
            ));
        }
        Ok(Some(viewer))
    }
}

fn unknown(what: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "web.token", what)
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// Compares digests, bit by bit to the end, so that the time it takes tells nothing of the secret.
fn same(given: &[u8], secret: &[u8]) -> bool {
    let (a, b) = (Sha256::digest(given), Sha256::digest(secret));
    a.iter().zip(b.iter()).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

/// The guard as a layer around all routes.
pub async fn stand(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let judged = guard.judge(request.method(), request.uri().path(), request.headers());
    let mut response = match judged {
        Ok(viewer) => match admit(viewer, request).await {
            Ok(request) => next.run(request).await,
            Err(problem) => problem.into_response(),
        },
        Err(problem) => refuse(problem, &request),
    };
    let headers = response.headers_mut();
    let fixed = [(header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::X_FRAME_OPTIONS, "DENY")];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Pages and assets know better.
    let usual = [
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    for (name, value) in usual {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Hands on who asks, after a request with a cookie has shown that it comes from our own page.
async fn admit(viewer: Option<Viewer>, mut request: Request) -> Result<Request, Problem> {
    let Some(viewer) = viewer else { return Ok(request) };
    if let Some(csrf) = &viewer.csrf
        && !is_safe(request.method())
    {
        let forged = || {
            Problem::new(
                StatusCode::FORBIDDEN,
                "web.csrf",
                "the request bears no token of its page",
            )
        };
        let given = match request.headers().get(CSRF) {
            Some(given) => given.as_bytes().to_vec(),
            None => {
                let (given, again) = form_field(request).await?;
                request = again;
                given.unwrap_or_default().into_bytes()
            }
        };
        if !same(&given, csrf.as_bytes()) {
            return Err(forged());
        }
    }
    request.extensions_mut().insert(viewer);
    Ok(request)
}

/// The field `csrf` of a form, and the request as it was.
async fn form_field(request: Request) -> Result<(Option<String>, Request), Problem> {
    let kind = text(request.headers(), &header::CONTENT_TYPE).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Ok((None, request));
    }
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, FORM).await.map_err(|error| {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "web.too-large", error.to_string())
    })?;
    let field = form_urlencoded::parse(&bytes).find(|(name, _)| name == "csrf");
    let field = field.map(|(_, value)| value.into_owned());
    Ok((field, Request::from_parts(parts, Body::from(bytes))))
}

/// A program is told why; a person's browser is sent to the door.
fn refuse(problem: Problem, request: &Request) -> Response {
    let path = request.uri().path();
    let person = text(request.headers(), &header::ACCEPT).is_some_and(|a| a.contains("text/html"));
    let door = problem.status == StatusCode::UNAUTHORIZED.as_u16() && is_safe(request.method());
    if door && person && !path.starts_with("/api/") {
        let to = request.uri().path_and_query().map_or("/", |to| to.as_str());
        let to: String = form_urlencoded::byte_serialize(to.as_bytes()).collect();
        return Redirect::to(&format!("/login?to={to}")).into_response();
    }
    let unauthorized = problem.status == StatusCode::UNAUTHORIZED.as_u16();
    let mut response = problem.into_response();
    if unauthorized {
        let way = HeaderValue::from_static("Bearer realm=\"kilofold\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, way);
    }
    response
}

#[cfg(test)]
mod tests;

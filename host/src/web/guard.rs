//! Who may talk to the API: a page of another site may not (Host and Origin), nor anyone without the token.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::problem::Problem;

/// What a request must have to be let in.
#[derive(Debug, Clone)]
pub struct Guard {
    /// Whether the listener is reachable from this machine only.
    loopback: bool,
    /// The address that is listened on: its number is a good name as well.
    address: IpAddr,
    /// The token, when one is configured.
    token: Option<SecretString>,
}

impl Guard {
    /// The guard of a listener on this address, with this token.
    pub fn new(address: IpAddr, token: Option<SecretString>) -> Self {
        Self { loopback: address.is_loopback(), address, token }
    }

    /// Judges a request by its method, path and headers.
    pub fn judge(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), Problem> {
        let host = text(headers, &header::HOST).unwrap_or_default();
        if !self.host_fits(host) {
            return Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "web.host",
                format!("the request was sent to the host '{}'", super::text::plain(host)),
            ));
        }
        if !matches!(*method, Method::GET | Method::HEAD)
            && let Some(origin) = text(headers, &header::ORIGIN)
            && origin.split_once("://").is_none_or(|(_, name)| !name.eq_ignore_ascii_case(host))
        {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "web.origin",
                format!("the request was made by a page of '{}'", super::text::plain(origin)),
            ));
        }
        let open = matches!(path, "/healthz" | "/readyz");
        match &self.token {
            Some(token) if !open && !bears(headers, token) => Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "web.token",
                "the request bears no token, or another one",
            )),
            _ => Ok(()),
        }
    }

    /// On loopback a page of another site can reach us by a name of its own (DNS rebinding); its Host tells.
    /// Elsewhere a token is demanded, which such a page does not have.
    fn host_fits(&self, host: &str) -> bool {
        if !self.loopback {
            return true;
        }
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) => name,
            _ => host,
        };
        let number = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        name.eq_ignore_ascii_case("localhost")
            || number.is_ok_and(|ip| ip.is_loopback() || ip == self.address)
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// Whether the token comes as a bearer token, or as the password that a browser asks for.
fn bears(headers: &HeaderMap, token: &SecretString) -> bool {
    let Some((scheme, value)) =
        text(headers, &header::AUTHORIZATION).and_then(|value| value.split_once(' '))
    else {
        return false;
    };
    if scheme.eq_ignore_ascii_case("bearer") {
        return same(value.trim().as_bytes(), token);
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return false;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(value.trim());
    decoded.is_ok_and(|pair| {
        let colon = pair.iter().position(|&c| c == b':');
        colon.is_some_and(|at| same(&pair[at + 1..], token))
    })
}

/// Compares digests, bit by bit to the end, so that the time it takes tells nothing of the token.
fn same(given: &[u8], token: &SecretString) -> bool {
    let a = Sha256::digest(given);
    let b = Sha256::digest(token.expose_secret().as_bytes());
    a.iter().zip(b.iter()).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

/// The guard as a layer around all routes.
pub async fn stand(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if let Err(problem) = guard.judge(request.method(), path, request.headers()) {
        let api = path.starts_with("/api/");
        let mut response = problem.into_response();
        if response.status() == StatusCode::UNAUTHORIZED {
            // A browser asks its user for the password only when told Basic.
            let way = if api { "Bearer realm=\"kilofold\"" } else { "Basic realm=\"kilofold\"" };
            let way = HeaderValue::from_static(way);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, way);
        }
        return response;
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.clone(), HeaderValue::from_str(v).unwrap())).collect()
    }

    fn judge(guard: &Guard, method: Method, pairs: &[(header::HeaderName, &str)]) -> u16 {
        guard.judge(&method, "/api/v1/runs", &headers(pairs)).map_or_else(|p| p.status, |()| 200)
    }

    #[test]
    fn other_names_and_other_sites_stay_out() {
        let guard = Guard::new("127.0.0.1".parse().unwrap(), None);
        for good in ["localhost", "LOCALHOST:7000", "127.0.0.1:7000", "[::1]:7000", "127.8.8.8"] {
            assert_eq!(judge(&guard, Method::GET, &[(header::HOST, good)]), 200, "{good}");
        }
        for bad in ["evil.example", "localhost.evil.example:7000", "10.0.0.1", "", "127.0.0.1.x"] {
            assert_eq!(judge(&guard, Method::GET, &[(header::HOST, bad)]), 421, "{bad}");
        }
        let host = (header::HOST, "localhost:7000");
        let from = |origin| judge(&guard, Method::POST, &[host.clone(), (header::ORIGIN, origin)]);
        assert_eq!(from("http://localhost:7000"), 200);
        for bad in ["http://localhost:7001", "https://evil.example", "null"] {
            assert_eq!(from(bad), 403, "{bad}");
        }
        assert_eq!(judge(&guard, Method::POST, &[host]), 200);
    }

    #[test]
    fn the_token_opens() {
        let guard = Guard::new("0.0.0.0".parse().unwrap(), Some("s3cret".into()));
        let with = |value: &str| {
            let pairs = [(header::HOST, "box:7000"), (header::AUTHORIZATION, value)];
            judge(&guard, Method::GET, &pairs)
        };
        let basic = |text: &str| {
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
        };
        assert_eq!(with("Bearer s3cret"), 200);
        assert_eq!(with(&basic("anyone:s3cret")), 200);
        for bad in ["Bearer s3cre", "Bearer s3cret2", "s3cret", "Bearer", "Digest s3cret"] {
            assert_eq!(with(bad), 401, "{bad}");
        }
        assert_eq!(with(&basic("s3cret:")), 401);
        assert_eq!(judge(&guard, Method::GET, &[(header::HOST, "box")]), 401);
        assert!(guard.judge(&Method::GET, "/healthz", &HeaderMap::new()).is_ok());
    }
}

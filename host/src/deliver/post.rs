//! Sends one request, to where the configuration says and nowhere else.

use std::time::Duration;

use axum::http;
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use url::{Host, Url};

use super::plan::{Answered, Reason};
use crate::config;

/// What of an answer is read, for a person to see why.
const WORDS: usize = 300;

/// What of an answer is handed on.
const ANSWER: usize = 64 << 10;

/// Why nothing can be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The secret cannot be read.
    #[error(transparent)]
    Secret(config::Error),
    /// There is no client.
    #[error("requests cannot be made: {0}")]
    Client(reqwest::Error),
}

impl Error {
    /// A stable code, for `kilofold explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Secret(error) => error.code(),
            Self::Client(_) => "deliver.client",
        }
    }
}

/// Sends to one host.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
}

impl Client {
    /// A client that waits so long for an answer.
    pub fn new(url: &Url, timeout: Duration) -> Result<Self, Error> {
        // A process has one TLS provider; it does not matter who installed it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("kilofold/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            // A redirect could carry data and credentials to another host.
            .redirect(reqwest::redirect::Policy::none());
        let local = match url.host() {
            Some(Host::Ipv4(host)) => host.is_loopback(),
            Some(Host::Ipv6(host)) => host.is_loopback(),
            Some(Host::Domain(host)) => host == "localhost",
            None => false,
        };
        if local {
            builder = builder.no_proxy();
        }
        builder.build().map(|http| Self { http }).map_err(Error::Client)
    }

    /// Sends a request that others made, and gives the answer, which is cut at 64 KiB. An
    /// error says why there is none, without the address.
    pub async fn forward(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, String> {
        let request = reqwest::Request::try_from(request).map_err(|error| words(&error))?;
        let mut response = self.http.execute(request).await.map_err(|error| words(&error))?;
        let mut answer = http::Response::new(Bytes::new());
        *answer.status_mut() = response.status();
        *answer.headers_mut() = response.headers().clone();
        let mut said = Vec::new();
        while said.len() < ANSWER
            && let Some(piece) = response.chunk().await.map_err(|error| words(&error))?
        {
            said.extend_from_slice(&piece);
        }
        *answer.body_mut() = said.into();
        Ok(answer)
    }

    /// Posts JSON, and tells what became of it.
    pub async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Answered {
        let mut request = self.http.post(url).header(CONTENT_TYPE, "application/json").body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Answered::Trouble(Reason::unreachable(words(&error)), None),
        };
        let status = response.status();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        // The other form, a date, is hardly used by such services; our own wait does then.
        let after = after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let mut said = Vec::new();
        while said.len() < WORDS
            && let Ok(Some(piece)) = response.chunk().await
        {
            said.extend_from_slice(&piece);
        }
        let said = String::from_utf8_lossy(&said);
        let said: String = crate::web::text::plain(said.trim()).chars().take(WORDS).collect();
        let reason = if said.is_empty() { status.to_string() } else { format!("{status}: {said}") };
        Answered::of(status.as_u16(), reason, after)
    }
}

/// An error with what led to it, without the address: it may hold a secret in its query.
fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut next = std::error::Error::source(error);
    let mut text = String::from("no answer");
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

//! The one place that sends requests. Each consumes a pass of the gate.

use std::error::Error as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use reqwest::{Client, Method, Request, Response};
use url::Url;
use zeroize::Zeroizing;

use super::retry::Trouble;
use crate::model::Stamp;
use crate::quota::{LimitInfo, Pass};

/// How long each part of a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until there is a connection.
    pub connect: Duration,
    /// Until the first byte of the answer; Salesforce may think about a query for two minutes.
    pub first_byte: Duration,
    /// Between two pieces of the answer.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(10), first_byte: seconds(130), idle: seconds(60) }
    }
}

/// An answer, whatever its status, whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub body: Bytes,
    pub date: Option<Stamp>,
    pub request_id: Option<String>,
    pub limit: LimitInfo,
    pub last_modified: Option<String>,
    pub retry_after: Option<Duration>,
    pub took: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// It may pass.
    Passing(Trouble, String),
    /// The body is larger than the cap.
    TooLarge,
}

#[derive(Debug)]
pub(super) struct Http {
    client: Client,
    timeouts: Timeouts,
    cap: u64,
    /// The size of the last large body: pages of one query resemble each other.
    last_body: AtomicUsize,
}

impl Http {
    /// A client with a pool of connections. `direct`: no proxy, for an org on this machine.
    pub(super) fn new(timeouts: Timeouts, cap: u64, direct: bool) -> Result<Self, String> {
        // A process has one TLS provider; it does not matter who installed it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = Client::builder()
            .user_agent(concat!("kilofold/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeouts.connect)
            // A redirect could carry credentials to another host.
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .pool_idle_timeout(Duration::from_secs(50));
        if direct {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(words)?;
        Ok(Self { client, timeouts, cap, last_body: AtomicUsize::new(0) })
    }

    /// A request to be filled in.
    pub(super) fn request(&self, method: Method, url: Url) -> reqwest::RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends one request and reads the whole answer. The pass is spent, unless no connection could be made.
    pub(super) async fn send(&self, mut pass: Pass, request: Request) -> Result<Answer, Fault> {
        let started = Instant::now();
        let call = pass.call().clone();
        pass.sending();
        let sent =
            tokio::time::timeout(self.timeouts.first_byte, self.client.execute(request)).await;
        let result = match sent {
            Err(_) => {
                let why = format!("no answer within {} s", self.timeouts.first_byte.as_secs_f32());
                Err(Fault::Passing(Trouble::Timeout, why))
            }
            Ok(Err(error)) if error.is_connect() => {
                pass.not_sent();
                Err(Fault::Passing(Trouble::NotSent, words(error)))
            }
            Ok(Err(error)) => Err(Fault::Passing(Trouble::Broken, words(error))),
            Ok(Ok(response)) => self.read(&pass, response, started).await,
        };
        let sync = call.caller.sync.as_ref().map(|sync| sync.as_str());
        let (purpose, connection) = (call.purpose.as_str(), call.caller.connection.as_str());
        match &result {
            Ok(answer) => tracing::debug!(
                purpose,
                connection,
                sync,
                status = answer.status,
                bytes = answer.body.len(),
                took_ms = u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX),
                request_id = answer.request_id,
                "request answered"
            ),
            Err(fault) => tracing::debug!(purpose, connection, sync, ?fault, "request failed"),
        }
        result
    }

    async fn read(
        &self,
        pass: &Pass,
        response: Response,
        started: Instant,
    ) -> Result<Answer, Fault> {
        let status = response.status().as_u16();
        let headers = response.headers();
        let limit = LimitInfo::parse(header(headers, "sforce-limit-info").unwrap_or_default());
        if let Some((used, max)) = limit.api_usage {
            pass.observe(used, max);
        }
        let date = header(headers, "date").and_then(http_date);
        let request_id = header(headers, "x-sfdc-request-id")
            .or_else(|| header(headers, "x-request-id"))
            .map(|id| id.chars().take(64).collect());
        let last_modified = header(headers, "last-modified").map(str::to_owned);
        let seconds = header(headers, "retry-after").and_then(|text| text.trim().parse().ok());
        let retry_after = seconds.map(Duration::from_secs);
        let body = self.body(response).await?;
        let took = started.elapsed();
        Ok(Answer { status, body, date, request_id, limit, last_modified, retry_after, took })
    }

    /// The body in one piece: copied once when it came in several, not at all when in one.
    async fn body(&self, mut response: Response) -> Result<Bytes, Fault> {
        let promised = response.content_length().and_then(|length| usize::try_from(length).ok());
        if promised.is_some_and(|length| length as u64 > self.cap) {
            return Err(Fault::TooLarge);
        }
        let Some(first) = self.piece(&mut response).await? else { return Ok(Bytes::new()) };
        let mut whole = BytesMut::new();
        let mut single = Some(first);
        while let Some(piece) = self.piece(&mut response).await? {
            if let Some(first) = single.take() {
                let guess = promised.unwrap_or_else(|| self.last_body.load(Ordering::Relaxed));
                let guess = guess.max(first.len() + piece.len());
                whole.reserve(usize::try_from(self.cap).unwrap_or(guess).min(guess + guess / 16));
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&piece);
            if whole.len() as u64 > self.cap {
                return Err(Fault::TooLarge);
            }
        }
        if let Some(first) = single {
            return if first.len() as u64 > self.cap { Err(Fault::TooLarge) } else { Ok(first) };
        }
        self.last_body.store(whole.len(), Ordering::Relaxed);
        Ok(whole.freeze())
    }

    async fn piece(&self, response: &mut Response) -> Result<Option<Bytes>, Fault> {
        match tokio::time::timeout(self.timeouts.idle, response.chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => Err(Fault::Passing(Trouble::Broken, words(error))),
            Err(_) => {
                let why = format!("the answer stopped for {} s", self.timeouts.idle.as_secs_f32());
                Err(Fault::Passing(Trouble::Timeout, why))
            }
        }
    }
}

/// The header that bears a token: never shown by debug output, and wiped from memory when its last copy goes.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut text = Zeroizing::new(Vec::with_capacity(7 + token.len()));
    text.extend_from_slice(b"Bearer ");
    text.extend_from_slice(token.as_bytes());
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text))?;
    value.set_sensitive(true);
    Ok(value)
}

fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Option<&'a str> {
    headers.get(HeaderName::from_static(name))?.to_str().ok()
}

/// A moment as HTTP spells it: `Wed, 06 May 2026 09:49:20 GMT`.
pub(super) fn http_date(text: &str) -> Option<Stamp> {
    let zoned = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Stamp(zoned.as_millisecond()))
}

/// An error's words and those of its causes, without the address: that holds the whole query.
fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_does_not_show() {
        let value = bearer("00Dxx!secret").unwrap();
        assert_eq!(value.as_bytes(), b"Bearer 00Dxx!secret");
        assert!(!format!("{value:?}").contains("secret"));
        assert!(bearer("a\nb").is_err());
    }

    #[test]
    fn reads_dates() {
        let stamp = http_date("Wed, 06 May 2026 09:49:20 GMT").unwrap();
        assert_eq!(stamp.to_string(), "2026-05-06T09:49:20.000Z");
        assert_eq!(http_date("yesterday"), None);
    }
}

//! The command line's way to a running host: a client of its API.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, Response, header};
use futures::StreamExt as _;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::problem::Problem;
use super::tls;

/// The longest answer that is read: a thousand records of Salesforce's largest size fit well.
const ANSWER_LIMIT: usize = 256 << 20;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why the API could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing answers there.
    #[error("no answer from {address}: {reason}")]
    Unreachable {
        /// The address that was tried.
        address: SocketAddr,
        /// What happened.
        reason: String,
    },
    /// Something else than the API answered.
    #[error("{address}{path} answered {status} with something else than kilofold's API: {reason}")]
    Answer {
        /// The address that was asked.
        address: SocketAddr,
        /// The path that was asked for.
        path: String,
        /// The HTTP status.
        status: u16,
        /// What is wrong with the answer.
        reason: String,
    },
    /// What came cannot be written.
    #[error("the answer cannot be written: {0}")]
    Write(std::io::Error),
    /// The API says what is wrong.
    #[error(transparent)]
    Problem(Box<Problem>),
}

impl Error {
    /// A stable code, for `kilofold explain`.
    pub fn code(&self) -> &str {
        match self {
            Self::Unreachable { .. } => "web.unreachable",
            Self::Answer { .. } => "web.answer",
            Self::Write(_) => "cli.output",
            Self::Problem(problem) => &problem.code,
        }
    }
}

/// A client of the API of one host process.
#[derive(Debug, Clone)]
pub struct Client {
    address: SocketAddr,
    scheme: &'static str,
    token: Option<SecretString>,
    http: HttpClient<HttpsConnector<HttpConnector>, Body>,
}

impl Client {
    /// A client of the host process that listens on this address; nothing is sent yet. With a certificate it speaks TLS,
    /// and with nobody else than who has that very certificate.
    pub fn new(
        address: SocketAddr,
        token: Option<SecretString>,
        certificate: Option<&Path>,
    ) -> Result<Self, tls::Error> {
        // A listener on all addresses is reached at the loopback one.
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        let address = SocketAddr::new(ip, address.port());
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client(certificate)?)
            .https_or_http()
            .enable_http1()
            .build();
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let http = HttpClient::builder(TokioExecutor::new()).build(connector);
        Ok(Self { address, scheme, token, http })
    }

    /// Where it asks.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks for `path` with these parameters.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&str, String)],
    ) -> Result<T, Error> {
        let path = with_query(path, parameters);
        self.ask(Method::GET, path).await
    }

    /// Asks for something to be done.
    pub async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.ask(Method::POST, path.to_owned()).await
    }

    /// Sets something to what the body says.
    pub async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl serde::Serialize,
    ) -> Result<T, Error> {
        let body = serde_json::to_vec(body).map_err(|error| self.unreachable(error.to_string()))?;
        self.send(Method::PUT, path.to_owned(), Some(body)).await
    }

    /// Asks for something to be done, and sends what it needs for that.
    pub async fn post_with<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl serde::Serialize,
    ) -> Result<T, Error> {
        let body = serde_json::to_vec(body).map_err(|error| self.unreachable(error.to_string()))?;
        self.send(Method::POST, path.to_owned(), Some(body)).await
    }

    /// Takes something away.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.ask(Method::DELETE, path.to_owned()).await
    }

    /// Asks for a long answer, which goes into `to` as it comes; tells its bytes. One that breaks off is an error.
    pub async fn download(
        &self,
        path: &str,
        parameters: &[(&str, String)],
        to: &mut (dyn std::io::Write + Send),
    ) -> Result<u64, Error> {
        let path = with_query(path, parameters);
        let asked = self.request(Method::GET, &path, "*/*", None);
        let late = || self.unreachable(format!("none within {} seconds", PATIENCE.as_secs()));
        let response = tokio::time::timeout(PATIENCE, asked).await.map_err(|_| late())??;
        let status = response.status().as_u16();
        if status != 200 {
            let body = self.whole(&path, response).await?;
            return Err(self.problem(&path, status, &body));
        }
        let mut pieces = Body::new(response.into_body()).into_data_stream();
        let mut bytes = 0;
        while let Some(piece) =
            tokio::time::timeout(PATIENCE, pieces.next()).await.map_err(|_| late())?
        {
            let piece = piece.map_err(|error| self.odd(&path, status, &whole_error(&error)))?;
            bytes += piece.len() as u64;
            to.write_all(&piece).map_err(Error::Write)?;
        }
        Ok(bytes)
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: String) -> Result<T, Error> {
        self.send(method, path, None).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: String,
        body: Option<Vec<u8>>,
    ) -> Result<T, Error> {
        let asked = tokio::time::timeout(PATIENCE, self.exchange(method, &path, body)).await;
        let (status, body) = asked.map_err(|_| {
            self.unreachable(format!("none within {} seconds", PATIENCE.as_secs()))
        })??;
        if (200..300).contains(&status) {
            return serde_json::from_slice(&body)
                .map_err(|error| self.odd(&path, status, &error.to_string()));
        }
        Err(self.problem(&path, status, &body))
    }

    fn problem(&self, path: &str, status: u16, body: &[u8]) -> Error {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => Error::Problem(Box::new(problem)),
            Err(error) => self.odd(path, status, &error.to_string()),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<(u16, bytes::Bytes), Error> {
        let response = self.request(method, path, "application/json", body).await?;
        let status = response.status().as_u16();
        self.whole(path, response).await.map(|body| (status, body))
    }

    async fn whole(
        &self,
        path: &str,
        response: Response<hyper::body::Incoming>,
    ) -> Result<bytes::Bytes, Error> {
        let status = response.status().as_u16();
        axum::body::to_bytes(Body::new(response.into_body()), ANSWER_LIMIT)
            .await
            .map_err(|error| self.odd(path, status, &error.to_string()))
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Response<hyper::body::Incoming>, Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}://{}{path}", self.scheme, self.address))
            .header(header::ACCEPT, accept);
        if let Some(token) = &self.token {
            let value = format!("Bearer {}", token.expose_secret());
            request = request.header(header::AUTHORIZATION, value);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, Body::from);
        let request = request.body(body).map_err(|error| self.unreachable(error.to_string()))?;
        self.http.request(request).await.map_err(|error| {
            self.unreachable(
                std::error::Error::source(&error)
                    .map_or_else(|| error.to_string(), |source| source.to_string()),
            )
        })
    }

    fn unreachable(&self, reason: String) -> Error {
        Error::Unreachable { address: self.address, reason }
    }

    fn odd(&self, path: &str, status: u16, reason: &str) -> Error {
        Error::Answer {
            address: self.address,
            path: path.to_owned(),
            status,
            reason: reason.to_owned(),
        }
    }
}

fn with_query(path: &str, parameters: &[(&str, String)]) -> String {
    if parameters.is_empty() {
        return path.to_owned();
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    format!("{path}?{query}")
}

/// An error with what led to it.
fn whole_error(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

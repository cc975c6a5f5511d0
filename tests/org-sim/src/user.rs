//! The org's user at a browser: opens an address, follows redirects, and says what the last page answered.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use url::Url;

/// Redirects that are followed.
const MOST: usize = 5;

/// Why the user did not get through.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A page cannot be opened.
    #[error("cannot open {url}: {why}")]
    Open {
        /// The page, without its query.
        url: String,
        /// Why not.
        why: String,
    },
    /// A page leads on and on.
    #[error("{0} leads to more than {MOST} further pages")]
    Endless(String),
}

/// Opens `url` as a browser would and returns the status of the last page. An org that approves by itself
/// ([`crate::SimConfig::auto_approve`]) sends the user straight back to the application.
pub async fn visit(url: &str) -> Result<u16, Error> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let mut at = Url::parse(url).map_err(|error| open(url, &error))?;
    for _ in 0..MOST {
        let uri = at.as_str().parse().map_err(|error| open(at.path(), &error))?;
        let answer = client.get(uri).await.map_err(|error| open(at.path(), &error))?;
        let status = answer.status();
        let next = answer.headers().get("location").and_then(|next| next.to_str().ok());
        match next.filter(|_| status.is_redirection()) {
            Some(next) => at = at.join(next).map_err(|error| open(next, &error))?,
            None => {
                // A page that is left before it has arrived would look to the application like a closed window.
                answer.into_body().collect().await.map_err(|error| open(at.path(), &error))?;
                return Ok(status.as_u16());
            }
        }
    }
    Err(Error::Endless(url.to_owned()))
}

/// Opens the consent page of an org that approves by itself, and returns the address that the browser is sent back to,
/// without opening that: the application is on another machine.
pub async fn back(url: &str) -> Result<String, Error> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let uri = url.parse().map_err(|error| open(url, &error))?;
    let answer = client.get(uri).await.map_err(|error| open(url, &error))?;
    let back = answer.headers().get("location").and_then(|back| back.to_str().ok());
    back.map(str::to_owned).ok_or_else(|| open(url, &"it leads nowhere"))
}

fn open(url: &str, why: &dyn std::fmt::Display) -> Error {
    let url = url.split('?').next().unwrap_or_default().to_owned();
    Error::Open { url, why: why.to_string() }
}

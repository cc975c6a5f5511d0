//! What is sent, in either form.

use secrecy::ExposeSecret as _;
use secrecy::SecretString;
use serde::Serialize;

use super::segment::{self, Calls};
use super::sign::Signer;
use crate::config::{self, DeliverForm};
use crate::model::{ConsumerName, Stamp};
use crate::store::FeedEntry;
use crate::web::view::Change;

/// What is sent to a destination, with what proves that it comes from here.
#[derive(Debug, Clone)]
pub enum Form {
    /// Changes as they are in the feed.
    Webhook(Option<Signer>),
    /// Calls of Segment's HTTP API.
    Segment(SecretString),
}

/// A request that can be sent.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its headers.
    pub headers: Vec<(&'static str, String)>,
    /// Its body; none: nothing of it need be sent.
    pub body: Option<Vec<u8>>,
    /// How many of the changes it covers, from the first; at least one.
    pub covers: usize,
}

/// A batch as a webhook gets it.
#[derive(Serialize)]
struct Batch<'a> {
    destination: &'a ConsumerName,
    first: u64,
    last: u64,
    changes: &'a [Change],
}

impl Form {
    /// Reads the secret.
    pub fn read(form: &DeliverForm) -> Result<Self, config::Error> {
        Ok(match form {
            DeliverForm::Webhook(None) => Self::Webhook(None),
            DeliverForm::Webhook(Some(secret)) => Self::Webhook(Some(Signer::new(&secret.read()?))),
            DeliverForm::Segment(secret) => Self::Segment(secret.read()?),
        })
    }

    /// The request of these changes, or of as many of the first ones as fit. An error: the first fits in none, and why.
    pub fn request(
        &self,
        name: &ConsumerName,
        entries: &[FeedEntry],
        now: Stamp,
    ) -> Result<Request, String> {
        match self {
            Self::Webhook(signer) => {
                let changes: Vec<Change> = entries.iter().cloned().map(Change::from).collect();
                let (first, last) = (ends(entries).0, ends(entries).1);
                let batch = Batch { destination: name, first, last, changes: &changes };
                let body = serde_json::to_vec(&batch).map_err(|error| error.to_string())?;
                let id = format!("{name}-{first}-{last}");
                let headers = match signer {
                    Some(signer) => signer.headers(&id, now.0.div_euclid(1000), &body).to_vec(),
                    None => vec![("webhook-id", id)],
                };
                Ok(Request { headers, body: Some(body), covers: entries.len() })
            }
            Self::Segment(key) => {
                let Calls { body, covers } = segment::calls(name, entries, now)?;
                let basic = format!("{}:", key.expose_secret());
                let basic = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, basic);
                let headers = vec![("authorization", format!("Basic {basic}"))];
                Ok(Request { headers, body, covers })
            }
        }
    }
}

/// The first and the last number of changes.
fn ends(entries: &[FeedEntry]) -> (u64, u64) {
    let at = |entry: Option<&FeedEntry>| entry.map_or(0, |entry| entry.seq);
    (at(entries.first()), at(entries.last()))
}

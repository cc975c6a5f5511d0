//! What is kept of the org as a whole, beside its connections' tokens: whose store this is, and the approvals. It holds
//! no secret and is not sealed, so that a lost key does not make it forget what Salesforce goes on counting.

use std::fmt;
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};

use super::Error;
use super::approvals::{Approvals, Asked, Tally, Who, same_id};
use super::auth::Granted;
use super::connection::Connection;
use super::org::{Org, Shared};
use super::{Grant, keep};
use crate::model::{ConnectionName, Stamp};

/// Where the book lies in the vault.
const PLACE: &str = "org";

/// The org whose records the store holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// The org's id.
    pub org_id: String,
    /// The connection that was the first to reach it.
    pub connection: ConnectionName,
    /// The user of that connection, as far as it was known.
    pub user: Option<String>,
    /// Since when.
    pub since: Stamp,
}

/// `00D... (reached first by ada@example.com through 'main')`.
impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_deref().unwrap_or("a user whose name is not known");
        write!(f, "{} (reached first by {user} through '{}')", self.org_id, self.connection)
    }
}

/// The book.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Book {
    #[serde(default)]
    pub home: Option<Home>,
    #[serde(default)]
    pub approvals: Approvals,
}

impl Book {
    pub(super) fn load(vault: &dyn keep::Vault) -> Result<Self, Error> {
        let bad = |why: String| Error::Book { why };
        match vault.load(PLACE).map_err(bad)? {
            Some(text) if !text.is_empty() => {
                serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))
            }
            _ => Ok(Self::default()),
        }
    }
}

impl Org {
    /// The approvals of a connection's app and user; none when its grant needs none.
    pub fn approvals(&self, name: &ConnectionName) -> Option<Tally> {
        self.shared().tally(self.shared().connection(name).ok()?)
    }

    /// The org whose records the store holds; none before the first connection.
    pub fn home(&self) -> Option<Home> {
        self.shared().read_book(|book| book.home.clone())
    }
}

impl Shared {
    /// Reads in the book.
    pub(super) fn read_book<T>(&self, read: impl FnOnce(&Book) -> T) -> T {
        read(&self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the book; it is durable when this returns.
    pub(super) async fn write_book<T>(
        &self,
        change: impl FnOnce(&mut Book) -> T,
    ) -> Result<T, Error> {
        let bad = |why: String| Error::Book { why };
        // One after the other, so that the last state is the one that is saved last.
        let _writing = self.writing.lock().await;
        let (value, text) = {
            let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
            let value = change(&mut book);
            (value, serde_json::to_vec(&*book).map_err(|error| bad(error.to_string()))?)
        };
        let vault = self.vault.clone();
        let saved = tokio::task::spawn_blocking(move || vault.save(PLACE, &text)).await;
        saved.map_err(|error| error.to_string()).and_then(|saved| saved).map_err(bad)?;
        Ok(value)
    }

    /// The same where nothing can be done about an error: the next change saves it.
    pub(super) async fn write_book_if_possible(&self, change: impl FnOnce(&mut Book)) {
        if let Err(error) = self.write_book(change).await {
            tracing::warn!(%error, "what became of an approval could not be noted");
        }
    }

    /// Works with what is asked of a connection's approvals.
    pub(super) fn asking<T>(connection: &Connection, work: impl FnOnce(Asked<'_>) -> T) -> T {
        let who = connection.who();
        work(Self::asked(connection, &who))
    }

    /// What is asked of a connection's approvals by this user.
    pub(super) fn asked<'a>(connection: &'a Connection, who: &'a Who) -> Asked<'a> {
        let client_id = connection.settings.client_id.as_str();
        let (app, declared) = match &connection.settings.grant {
            Grant::Code { app, elsewhere, .. } => (app.as_deref(), *elsewhere),
            _ => (None, 0),
        };
        Asked { client_id, who, app, declared }
    }

    /// The approvals of a connection's app and user; none when its grant needs none.
    pub(super) fn tally(&self, connection: &Connection) -> Option<Tally> {
        if !matches!(connection.settings.grant, Grant::Code { .. }) {
            return None;
        }
        let now = self.gate.now();
        Some(Self::asking(connection, |asked| {
            self.read_book(|book| book.approvals.tally(asked, now))
        }))
    }

    /// Whether what was granted is of the org whose records the store holds; the first one decides.
    pub(super) async fn same_home(
        &self,
        connection: &Connection,
        granted: &Granted,
    ) -> Result<(), Error> {
        let Some(org_id) = &granted.org_id else { return Ok(()) };
        let name = &connection.settings.name;
        let home = self.read_book(|book| book.home.clone());
        if let Some(home) = home {
            if same_id(&home.org_id, org_id) {
                return Ok(());
            }
            return Err(Error::OtherOrg {
                connection: name.clone(),
                org: org_id.clone(),
                user: user_of(granted)
                    .unwrap_or_else(|| "a user whose name was not told".to_owned()),
                home: Box::new(home),
            });
        }
        let home = Home {
            org_id: org_id.clone(),
            connection: name.clone(),
            user: user_of(granted),
            since: self.gate.now(),
        };
        // Another connection may have come first meanwhile: then that one decides.
        self.write_book(move |book| {
            book.home.get_or_insert(home);
        })
        .await?;
        Box::pin(self.same_home(connection, granted)).await
    }

    /// The user's name has become known.
    pub(super) async fn name_home(&self, connection: &ConnectionName, user: &str) {
        let unnamed = |book: &Book| {
            book.home.as_ref().is_some_and(|home| {
                home.connection == *connection && home.user.as_deref() != Some(user)
            })
        };
        if self.read_book(unnamed) {
            self.write_book_if_possible(|book| {
                if let Some(home) = &mut book.home {
                    home.user = Some(user.to_owned());
                }
            })
            .await;
        }
    }
}

fn user_of(granted: &Granted) -> Option<String> {
    granted.user.clone().or_else(|| granted.user_id.clone())
}

/// Who was told by a token answer.
pub(super) fn who_of(granted: &Granted) -> Who {
    Who { id: granted.user_id.clone(), name: granted.user.clone() }
}

//! One connection as everybody sees it: its health, and the session to ask with.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use serde::Serialize;
use url::Url;

use super::approvals::Who;
use super::keep::Kept;
use super::{ConnectionSettings, Error, Grant};
use crate::model::{ConnectionName, Stamp};

/// How a connection stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum ConnectionState {
    /// It was never authorised, or was removed.
    NotConnected,
    /// It was good when it was last used.
    Healthy,
    /// Salesforce no longer accepts it: a person must authorise it again.
    ReconnectNeeded {
        /// Salesforce's words.
        why: String,
        /// What probably led to that.
        cause: Option<String>,
    },
    /// Salesforce refuses it as it is set up: the app, its secret or key, or the user's rights.
    Refused {
        /// Salesforce's words.
        why: String,
        /// When it is tried again.
        again: Stamp,
    },
}

impl ConnectionState {
    /// The state in one word, as events and the API have it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NotConnected => "not-connected",
            Self::Healthy => "healthy",
            Self::ReconnectNeeded { .. } => "reconnect-needed",
            Self::Refused { .. } => "refused",
        }
    }

    /// Why it is not healthy, with the probable cause.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::NotConnected | Self::Healthy => None,
            Self::ReconnectNeeded { why, cause: None } | Self::Refused { why, .. } => {
                Some(why.clone())
            }
            Self::ReconnectNeeded { why, cause: Some(cause) } => Some(format!("{why}. {cause}")),
        }
    }
}

/// A connection as tables show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectionStatus {
    /// Its name.
    pub name: ConnectionName,
    /// How it is authorised.
    pub grant: &'static str,
    /// The user's name, when known.
    pub user: Option<String>,
    /// The user's id, when known.
    pub user_id: Option<String>,
    /// The org's id, when known.
    pub org_id: Option<String>,
    /// Where the org's API is.
    pub instance: Option<String>,
    /// How it stands.
    #[serde(flatten)]
    pub state: ConnectionState,
    /// When it was last authorised by a person or first minted.
    pub authorised: Option<Stamp>,
    /// When its last token came.
    pub renewed: Option<Stamp>,
    /// When it was last used, since the start.
    pub last_used: Option<Stamp>,
    /// When it was last found good without being used, since the start.
    pub verified: Option<Stamp>,
    /// Runs that use it now.
    pub runs: usize,
}

/// The right to ask the org's API, as long as Salesforce likes it.
#[derive(Clone)]
pub(super) struct Session {
    pub bearer: Arc<SecretString>,
    pub instance: Url,
    /// Grows with every renewal.
    pub generation: u64,
    /// Grows when the token changed: locators belong to one.
    pub epoch: u64,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("generation", &self.generation).finish_non_exhaustive()
    }
}

pub(super) struct Connection {
    pub settings: ConnectionSettings,
    /// Held while tokens are renewed, so that only one does.
    pub held: tokio::sync::Mutex<Held>,
    /// Renewals that ended, well or not.
    pub renewals: AtomicU64,
    /// Runs that use it now.
    pub runs: AtomicUsize,
    /// Refusals in a row that a person must mend.
    refusals: AtomicU32,
    seen: Mutex<Seen>,
}

#[derive(Default)]
pub(super) struct Held {
    pub kept: Option<Kept>,
    pub failed: Option<Error>,
    /// A refresh was sent whose answer never came.
    pub unanswered: bool,
}

struct Seen {
    session: Option<Session>,
    status: ConnectionStatus,
    /// What is answered until the time in the state.
    refused: Option<Error>,
}

/// How long a connection that Salesforce refuses is left alone after so many refusals in a row: a minute at first, an
/// hour at most.
pub(super) fn leave_alone(refusals: u32) -> Duration {
    Duration::from_secs((60 << refusals.saturating_sub(1).min(6)).min(3600))
}

impl Connection {
    pub(super) fn new(settings: ConnectionSettings) -> Self {
        let status = ConnectionStatus {
            name: settings.name.clone(),
            grant: settings.grant.as_str(),
            user: None,
            user_id: None,
            org_id: None,
            instance: None,
            state: ConnectionState::NotConnected,
            authorised: None,
            renewed: None,
            last_used: None,
            verified: None,
            runs: 0,
        };
        Self {
            settings,
            held: tokio::sync::Mutex::default(),
            renewals: AtomicU64::new(0),
            runs: AtomicUsize::new(0),
            refusals: AtomicU32::new(0),
            seen: Mutex::new(Seen { session: None, status, refused: None }),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Every change leaves it whole, so a panic elsewhere does not spoil it.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes tokens usable for everybody; only after they were saved. True when the health changed by that.
    pub(super) fn publish(&self, kept: &Kept, instance: Option<Url>) -> bool {
        self.refusals.store(0, Ordering::SeqCst);
        let mut seen = self.seen();
        let stamp = |at: i64| (at > 0).then_some(Stamp(at));
        seen.refused = None;
        let (generation, epoch, same) = match &seen.session {
            None => (0, 0, false),
            Some(old) => {
                let same = secrecy::ExposeSecret::expose_secret(&*old.bearer) == kept.access_token;
                (old.generation, old.epoch, same)
            }
        };
        let status = &mut seen.status;
        status.user.clone_from(&kept.user);
        status.user_id.clone_from(&kept.user_id);
        status.org_id.clone_from(&kept.org_id);
        status.instance = instance.as_ref().map(ToString::to_string);
        status.authorised = stamp(kept.authorised);
        status.renewed = stamp(kept.renewed);
        let state = match &kept.dead {
            Some(why) => {
                ConnectionState::ReconnectNeeded { why: why.clone(), cause: kept.cause.clone() }
            }
            None => ConnectionState::Healthy,
        };
        let changed = state.as_str() != status.state.as_str();
        status.state = state;
        seen.session = match (instance, kept.dead.is_none() && !kept.access_token.is_empty()) {
            (Some(instance), true) => Some(Session {
                bearer: Arc::new(kept.access_token.clone().into()),
                instance,
                generation: generation + 1,
                epoch: epoch + u64::from(!same),
            }),
            _ => None,
        };
        changed
    }

    /// Leaves the connection alone for a while: as it is set up, Salesforce refuses it. True when that is news.
    pub(super) fn refuse(&self, error: &Error, why: String, now: Stamp) -> bool {
        let refusals = self.refusals.fetch_add(1, Ordering::SeqCst) + 1;
        let mut seen = self.seen();
        let news = !matches!(seen.status.state, ConnectionState::Refused { .. });
        seen.status.state =
            ConnectionState::Refused { why, again: now.plus(leave_alone(refusals)) };
        seen.refused = Some(error.clone());
        news
    }

    /// Forgets everything but who it was.
    pub(super) fn clear(&self) -> bool {
        let mut seen = self.seen();
        (seen.session, seen.refused) = (None, None);
        let changed = seen.status.state != ConnectionState::NotConnected;
        seen.status.state = ConnectionState::NotConnected;
        changed
    }

    /// Lets the next session be asked for anew, whatever was refused.
    pub(super) fn forgive(&self) {
        self.refusals.store(0, Ordering::SeqCst);
        let mut seen = self.seen();
        seen.refused = None;
        if !matches!(seen.status.state, ConnectionState::Healthy) {
            seen.status.state = ConnectionState::NotConnected;
        }
    }

    /// A request with it was answered well. True when that is news.
    pub(super) fn worked(&self) -> bool {
        let mut seen = self.seen();
        let news =
            seen.session.is_some() && matches!(seen.status.state, ConnectionState::Refused { .. });
        if news {
            self.refusals.store(0, Ordering::SeqCst);
            seen.refused = None;
            seen.status.state = ConnectionState::Healthy;
        }
        news
    }

    pub(super) fn status(&self) -> ConnectionStatus {
        let runs = self.runs.load(Ordering::SeqCst);
        ConnectionStatus { runs, ..self.seen().status.clone() }
    }

    pub(super) fn used(&self, at: Stamp) {
        self.seen().status.last_used = Some(at);
    }

    pub(super) fn verified(&self, at: Stamp) {
        self.seen().status.verified = Some(at);
    }

    pub(super) fn set_user(&self, user: &str) {
        self.seen().status.user = Some(user.to_owned());
    }

    /// Who authorises it: as configured, else who did last.
    pub(super) fn who(&self) -> Who {
        let seen = self.seen();
        let (id, name) = (seen.status.user_id.clone(), seen.status.user.clone());
        match &self.settings.grant {
            Grant::Code { user: Some(user), .. } => {
                let id = id.filter(|_| name.is_some_and(|name| name.eq_ignore_ascii_case(user)));
                Who { id, name: Some(user.clone()) }
            }
            _ => Who { id, name },
        }
    }

    /// Whether a run may begin with it.
    pub(super) fn usable(&self, now: Stamp) -> bool {
        match self.seen().status.state {
            ConnectionState::Healthy => true,
            ConnectionState::NotConnected => !matches!(self.settings.grant, Grant::Code { .. }),
            ConnectionState::ReconnectNeeded { .. } => false,
            ConnectionState::Refused { again, .. } => now >= again,
        }
    }

    /// The tokens that are good as far as we know; an error while the connection must not be asked with.
    pub(super) fn session(&self, now: Stamp) -> Result<Option<Session>, Error> {
        let seen = self.seen();
        match (&seen.status.state, &seen.refused) {
            (ConnectionState::ReconnectNeeded { why, cause }, _) => Err(Error::Reconnect {
                connection: self.settings.name.clone(),
                why: why.clone(),
                cause: cause.clone(),
            }),
            (ConnectionState::Refused { again, .. }, Some(error)) if now < *again => {
                Err(error.clone())
            }
            _ => Ok(seen.session.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_connection_is_left_alone_for_longer_each_time() {
        let seconds = |n| leave_alone(n).as_secs();
        assert_eq!(
            [1, 2, 3, 6, 7, 8, u32::MAX].map(seconds),
            [60, 120, 240, 1920, 3600, 3600, 3600]
        );
        let name = ConnectionName::new("main").unwrap();
        let grant = Grant::ClientCredentials { secret: "s".into() };
        let connection = Connection::new(ConnectionSettings {
            name: name.clone(),
            client_id: "x".to_owned(),
            grant,
        });
        let error = Error::Denied {
            connection: name,
            error: "invalid_client".to_owned(),
            description: "invalid client credentials".to_owned(),
        };
        let now = Stamp(1_000_000);
        assert!(connection.usable(now));
        assert!(connection.refuse(&error, "no".to_owned(), now));
        assert_eq!(
            connection.session(now.plus(Duration::from_secs(59))).err(),
            Some(error.clone())
        );
        let again = now.plus(Duration::from_secs(60));
        assert!(connection.usable(again) && connection.session(again).is_ok());
        assert!(!connection.refuse(&error, "no".to_owned(), again));
        assert!(!connection.usable(again.plus(Duration::from_secs(119))));
        assert!(connection.publish(&Kept::default(), None));
        assert_eq!(connection.status().state, ConnectionState::Healthy);
        assert!(connection.refuse(&error, "no".to_owned(), again));
        assert!(connection.usable(again.plus(Duration::from_secs(60))));
    }
}

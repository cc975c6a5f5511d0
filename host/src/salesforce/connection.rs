//! The tokens of one connection, and who may use and renew them.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::auth::Granted;
use super::org::Shared;
use super::{ConnectionSettings, Error, Grant, host};
use crate::model::{Caller, ConnectionName, Stamp};

/// Keeps sealed texts by name. Functions may block.
pub trait Vault: Send + Sync {
    /// What was last saved under this name.
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, String>;
    /// Saves; durable when it returns.
    fn save(&self, name: &str, sealed: &[u8]) -> Result<(), String>;
}

/// How a connection stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum ConnectionState {
    /// It was never authorised, or was removed.
    NotConnected,
    /// It was good when it was last used.
    Healthy,
    /// Salesforce no longer accepts it.
    ReconnectNeeded {
        /// Salesforce's words.
        why: String,
    },
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
    /// The org's id, when known.
    pub org_id: Option<String>,
    /// Where the org's API is.
    pub instance: Option<String>,
    /// How it stands.
    #[serde(flatten)]
    pub state: ConnectionState,
    /// When it was last authorised by a person or first minted.
    pub authorised: Option<Stamp>,
    /// When it was last used, since the start.
    pub last_used: Option<Stamp>,
}

/// What rests in the vault.
#[derive(Default, Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct Kept {
    pub access_token: String,
    pub refresh_token: Option<String>,
    pub instance: String,
    pub org_id: Option<String>,
    pub user_id: Option<String>,
    pub user: Option<String>,
    pub authorised: i64,
    /// Why it must be authorised again.
    pub dead: Option<String>,
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
    held: tokio::sync::Mutex<Held>,
    /// Renewals that ended, well or not.
    renewals: AtomicU64,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Held {
    kept: Option<Kept>,
    failed: Option<Error>,
}

struct Seen {
    session: Option<Session>,
    status: ConnectionStatus,
}

impl Connection {
    pub(super) fn load(settings: ConnectionSettings, shared: &Shared) -> Result<Self, Error> {
        let vault = |why| Error::Vault { connection: settings.name.clone(), why };
        let place = place(&settings.name);
        let sealed = shared.vault.load(&place).map_err(vault)?.filter(|sealed| !sealed.is_empty());
        let kept: Option<Kept> = match sealed {
            None => None,
            Some(sealed) => {
                let key = |why| Error::Key { place: place.clone(), why };
                let plain = shared.key.open(&place, &sealed).map_err(key)?;
                Some(serde_json::from_slice(&plain).map_err(|error| vault(error.to_string()))?)
            }
        };
        let status = ConnectionStatus {
            name: settings.name.clone(),
            grant: settings.grant.as_str(),
            user: None,
            org_id: None,
            instance: None,
            state: ConnectionState::NotConnected,
            authorised: None,
            last_used: None,
        };
        let connection = Self {
            settings,
            held: tokio::sync::Mutex::default(),
            renewals: AtomicU64::new(0),
            seen: Mutex::new(Seen { session: None, status }),
        };
        if let Some(kept) = kept {
            // A login host that was changed since makes the old instance untrusted.
            let instance = host::instance(&kept.instance, &shared.login).ok();
            connection.publish(&kept, instance);
            connection.held.try_lock().map(|mut held| held.kept = Some(kept)).unwrap_or_default();
        }
        Ok(connection)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Every change leaves it whole, so a panic elsewhere does not spoil it.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes tokens usable for everybody; only after they were saved.
    fn publish(&self, kept: &Kept, instance: Option<Url>) {
        let mut seen = self.seen();
        let status = &mut seen.status;
        status.user.clone_from(&kept.user);
        status.org_id.clone_from(&kept.org_id);
        status.instance = instance.as_ref().map(ToString::to_string);
        status.authorised = (kept.authorised > 0).then_some(Stamp(kept.authorised));
        status.state = match &kept.dead {
            Some(why) => ConnectionState::ReconnectNeeded { why: why.clone() },
            None => ConnectionState::Healthy,
        };
        let (generation, epoch, same) = match &seen.session {
            None => (0, 0, false),
            Some(old) => {
                let same = secrecy::ExposeSecret::expose_secret(&*old.bearer) == kept.access_token;
                (old.generation, old.epoch, same)
            }
        };
        seen.session = match (instance, kept.dead.is_none() && !kept.access_token.is_empty()) {
            (Some(instance), true) => Some(Session {
                bearer: Arc::new(kept.access_token.clone().into()),
                instance,
                generation: generation + 1,
                epoch: epoch + u64::from(!same),
            }),
            _ => None,
        };
    }

    pub(super) fn status(&self) -> ConnectionStatus {
        self.seen().status.clone()
    }

    pub(super) fn used(&self, at: Stamp) {
        self.seen().status.last_used = Some(at);
    }

    pub(super) fn set_user(&self, user: &str) {
        self.seen().status.user = Some(user.to_owned());
    }

    /// The tokens that are good as far as we know.
    pub(super) fn session(&self) -> Result<Option<Session>, Error> {
        let seen = self.seen();
        if let ConnectionState::ReconnectNeeded { why } = &seen.status.state {
            return Err(self.reconnect(why.clone()));
        }
        Ok(seen.session.clone())
    }

    fn reconnect(&self, why: String) -> Error {
        Error::Reconnect { connection: self.settings.name.clone(), why }
    }
}

/// Where a connection's tokens lie in the vault.
fn place(name: &ConnectionName) -> String {
    format!("connection/{name}")
}

impl Shared {
    /// A session for this caller, got from Salesforce when there is none yet.
    pub(super) async fn session(self: &Arc<Self>, who: &Caller) -> Result<Session, Error> {
        let connection = self.connection(&who.connection)?;
        match connection.session()? {
            Some(session) => Ok(session),
            None => self.renew(who, None).await,
        }
    }

    /// A session newer than the one of generation `stale`. Of many callers one asks Salesforce, the others get its
    /// result, good or bad. It runs on when the caller goes away: a rotated token must be saved.
    pub(super) async fn renew(
        self: &Arc<Self>,
        who: &Caller,
        stale: Option<u64>,
    ) -> Result<Session, Error> {
        let (shared, who) = (self.clone(), who.clone());
        let connection = self.connection(&who.connection)?.clone();
        let asked = connection.renewals.load(Ordering::SeqCst);
        let name = who.connection.clone();
        let renewal = async move {
            let mut held = connection.held.lock().await;
            if let Some(session) = connection.session()?
                && stale != Some(session.generation)
            {
                return Ok(session);
            }
            if let Some(error) = &held.failed
                && connection.renewals.load(Ordering::SeqCst) != asked
            {
                return Err(error.clone());
            }
            let result = shared.renew_alone(&who, &connection, &mut held).await;
            held.failed = result.as_ref().err().cloned();
            connection.renewals.fetch_add(1, Ordering::SeqCst);
            result
        };
        match tokio::spawn(renewal).await {
            Ok(result) => result,
            Err(error) => Err(Error::Vault { connection: name, why: error.to_string() }),
        }
    }

    async fn renew_alone(
        self: &Arc<Self>,
        who: &Caller,
        connection: &Connection,
        held: &mut Held,
    ) -> Result<Session, Error> {
        let settings = &connection.settings;
        let granted = match &settings.grant {
            Grant::Code { secret } => {
                let kept = held.kept.as_ref();
                let refresh = kept.and_then(|kept| kept.refresh_token.clone()).map(Zeroizing::new);
                let refresh = refresh.ok_or_else(|| Error::NotConnected(settings.name.clone()))?;
                self.refresh(who, settings, secret.as_ref(), &refresh).await
            }
            Grant::ClientCredentials { secret } => self.mint(who, settings, secret).await,
            Grant::Jwt { user, key, audience } => {
                self.sign(who, settings, user, key, audience.as_deref()).await
            }
        };
        match granted {
            Ok(granted) => self.accept(connection, held, granted).await,
            Err(Error::Reconnect { connection: name, why }) => {
                let mut kept = held.kept.clone().unwrap_or_default();
                kept.dead = Some(why.clone());
                // Salesforce no longer takes them.
                kept.access_token.zeroize();
                kept.refresh_token.zeroize();
                // Shown at once and never asked with again, even if this cannot be saved.
                connection.publish(&kept, None);
                let saved = self.save(connection, &kept).await;
                held.kept = Some(kept);
                if let Err(error) = saved {
                    tracing::warn!(connection = %name, %error, "the lost authorisation could not be noted");
                }
                Err(Error::Reconnect { connection: name, why })
            }
            Err(error) => Err(error),
        }
    }

    /// Takes over what Salesforce granted: first onto the disk, then into use.
    async fn accept(
        &self,
        connection: &Connection,
        held: &mut Held,
        granted: Granted,
    ) -> Result<Session, Error> {
        let old = held.kept.take().unwrap_or_default();
        let name = &connection.settings.name;
        let same_user = granted.user_id.is_none() || granted.user_id == old.user_id;
        let kept = Kept {
            access_token: granted.access_token.to_string(),
            refresh_token: granted
                .refresh_token
                .map(|token| token.to_string())
                .or_else(|| old.refresh_token.clone()),
            instance: granted.instance.as_deref().unwrap_or(&old.instance).to_owned(),
            org_id: granted.org_id.or_else(|| old.org_id.clone()),
            user_id: granted.user_id.or_else(|| old.user_id.clone()),
            user: old.user.clone().filter(|_| same_user),
            authorised: if old.authorised > 0 && !granted.consented {
                old.authorised
            } else {
                self.gate.now().0
            },
            dead: None,
        };
        let instance = match host::instance(&kept.instance, &self.login) {
            Ok(instance) => instance,
            Err(error) => {
                held.kept = Some(old);
                return Err(error);
            }
        };
        if let Err(error) = self.save(connection, &kept).await {
            // The old refresh token may be spent; the new one is kept in memory so that the next try can save it.
            held.kept = Some(kept);
            return Err(error);
        }
        connection.publish(&kept, Some(instance));
        held.kept = Some(kept);
        connection.session()?.ok_or_else(|| Error::NotConnected(name.clone()))
    }

    async fn save(&self, connection: &Connection, kept: &Kept) -> Result<(), Error> {
        let name = connection.settings.name.clone();
        let bad = |why| Error::Vault { connection: name.clone(), why };
        let plain = serde_json::to_vec(kept).map(Zeroizing::new).map_err(|e| bad(e.to_string()))?;
        let place = place(&name);
        let sealed = self.key.seal(&place, &plain).map_err(bad)?;
        self.put(&name, place, sealed).await
    }

    async fn put(&self, name: &ConnectionName, place: String, bytes: Vec<u8>) -> Result<(), Error> {
        let vault = self.vault.clone();
        let saved = tokio::task::spawn_blocking(move || vault.save(&place, &bytes)).await;
        saved
            .map_err(|error| error.to_string())
            .and_then(|saved| saved)
            .map_err(|why| Error::Vault { connection: name.clone(), why })
    }

    /// Takes over a new consent of a user; gives the refresh token that it replaces.
    pub(super) async fn adopt(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        granted: Granted,
    ) -> Result<Option<Zeroizing<String>>, Error> {
        let (shared, connection) = (self.clone(), connection.clone());
        let name = connection.settings.name.clone();
        // Runs on when the caller goes away, like a renewal.
        let adoption = async move {
            let mut held = connection.held.lock().await;
            let old = held.kept.as_ref().and_then(|kept| kept.refresh_token.clone());
            let new = granted.refresh_token.as_ref().map(|token| token.to_string());
            shared.accept(&connection, &mut held, granted).await?;
            held.failed = None;
            Ok(old.filter(|old| new.as_ref() != Some(old)).map(Zeroizing::new))
        };
        match tokio::spawn(adoption).await {
            Ok(result) => result,
            Err(error) => Err(Error::Vault { connection: name, why: error.to_string() }),
        }
    }

    /// The refresh token that a connection holds.
    pub(super) async fn refresh_token(&self, connection: &Connection) -> Option<Zeroizing<String>> {
        let held = connection.held.lock().await;
        held.kept.as_ref()?.refresh_token.clone().map(Zeroizing::new)
    }

    /// Keeps the user's name beside the tokens.
    pub(super) async fn keep_user(&self, connection: &Connection, user: &str) -> Result<(), Error> {
        let mut held = connection.held.lock().await;
        if let Some(kept) = &mut held.kept {
            kept.user = Some(user.to_owned());
            let kept = kept.clone();
            self.save(connection, &kept).await?;
        }
        connection.set_user(user);
        Ok(())
    }

    /// Forgets the tokens; gives the one whose revocation ends the authorisation.
    pub(super) async fn forget(
        &self,
        connection: &Connection,
    ) -> Result<Option<Zeroizing<String>>, Error> {
        let mut held = connection.held.lock().await;
        let name = &connection.settings.name;
        self.put(name, place(name), Vec::new()).await?;
        let old = held.kept.take();
        let mut seen = connection.seen();
        seen.session = None;
        seen.status.state = ConnectionState::NotConnected;
        Ok(old.and_then(|kept| {
            let access = Some(kept.access_token.clone()).filter(|token| !token.is_empty());
            kept.refresh_token.clone().or(access).map(Zeroizing::new)
        }))
    }

    /// Clears what is remembered of an earlier refusal, so that the next session is asked for anew.
    pub(super) async fn forgive(&self, connection: &Connection) {
        let mut held = connection.held.lock().await;
        held.failed = None;
        if let Some(kept) = &mut held.kept {
            kept.dead = None;
        }
        let mut seen = connection.seen();
        if matches!(seen.status.state, ConnectionState::ReconnectNeeded { .. }) {
            seen.status.state = ConnectionState::NotConnected;
        }
    }
}

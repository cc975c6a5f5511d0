//! Asks a user for consent: authorization code with PKCE, answered over a loopback address or pasted back.

use std::fmt;
use std::sync::PoisonError;
use std::time::Duration;

use oauth2::{
    AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
};
use tokio::net::TcpListener;
use url::Url;

use super::approvals::{End, MOST};
use super::auth::{Granted, NoToken, denied};
use super::book::who_of;
use super::connection::Connection;
use super::org::{Org, Shared};
use super::redirect::{pasted, read, wait, way_back};
use super::tend::Identity;
use super::{ConnectionState, ConnectionStatus, Error, Grant, Redirect, cause, host};
use crate::model::{Caller, ConnectionName, Stamp};

/// How long a consent may take: Salesforce's code is good for about a quarter of an hour.
pub(super) const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// A consent that was asked for and not answered yet. It counts as an approval already.
pub struct Pending {
    /// The page that the user must open.
    pub url: Url,
    /// Which approval of the app and the user it is.
    pub number: usize,
    /// What to tell the user when few are left.
    pub warning: Option<String>,
    /// Until when it can be answered.
    pub until: Stamp,
    pub(super) connection: ConnectionName,
    pub(super) state: CsrfToken,
    verifier: PkceCodeVerifier,
    pub(super) redirect: RedirectUrl,
    approval: u64,
    pub(super) listeners: Vec<TcpListener>,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl Org {
    /// Begins a consent. With `anyway`, also when it would be the sixth approval of the app and the user that we know of.
    pub async fn begin(
        &self,
        name: &ConnectionName,
        how: Redirect,
        anyway: bool,
    ) -> Result<Pending, Error> {
        let shared = self.shared();
        let connection = shared.connection(name)?;
        let consent = |why: String| Error::Consent { connection: name.clone(), why };
        let (Grant::Code { user, .. }, Some(tally)) =
            (&connection.settings.grant, shared.tally(connection))
        else {
            let why = "it needs no consent; it is authorised by its secret or key".to_owned();
            return Err(consent(why));
        };
        // Its own approval makes room for the new one.
        let (token, own) = shared.refresh_token(connection).await;
        let own = usize::from(token.is_some() && own.is_some());
        let number = tally.number + 1 - own.min(tally.ours);
        if number > MOST && !anyway {
            let (user, why) = (tally.user.clone(), cause::price(&tally));
            return Err(Error::TooManyApprovals { connection: name.clone(), number, user, why });
        }
        let (listeners, callback) = way_back(how).await.map_err(consent)?;
        let redirect = RedirectUrl::new(callback).map_err(|error| consent(error.to_string()))?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client =
            oauth2::basic::BasicClient::new(ClientId::new(connection.settings.client_id.clone()))
                .set_auth_uri(AuthUrl::from_url(shared.login_path("/services/oauth2/authorize")))
                .set_redirect_uri(redirect.clone());
        let mut request = client
            .authorize_url(CsrfToken::new_random)
            .add_scopes(["api", "refresh_token", "id"].map(|scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(challenge);
        if let Some(user) = user {
            request = request.add_extra_param("login_hint", user);
        }
        let (url, state) = request.url();
        // Salesforce counts from here on, so it is written down before anybody sees the address.
        let now = shared.gate.now();
        let approval = shared
            .write_book(|book| {
                Shared::asking(connection, |asked| book.approvals.start(name, asked, now))
            })
            .await?;
        let (connection, until) = (name.clone(), now.plus(PATIENCE));
        let warning = cause::warning(number, &tally);
        if let Some(warning) = &warning {
            tracing::warn!(connection = %name, warning, "few approvals are left");
        }
        Ok(Pending {
            url,
            number,
            warning,
            until,
            connection,
            state,
            verifier,
            redirect,
            approval,
            listeners,
        })
    }

    /// Waits for the browser to come back and takes the authorisation over. Answers that do not fit the question are
    /// turned away, and it is waited on.
    pub async fn finish(&self, mut pending: Pending) -> Result<ConnectionStatus, Error> {
        let connection = pending.connection.clone();
        let consent =
            |why: &str| Error::Consent { connection: connection.clone(), why: why.to_owned() };
        if pending.listeners.is_empty() {
            return Err(consent("its answer must be pasted"));
        }
        let listeners = std::mem::take(&mut pending.listeners);
        let code = wait(listeners, &pending.state, &connection).await;
        self.exchange(pending, code?).await
    }

    /// Takes the authorisation over from the address that the user pasted.
    pub async fn finish_pasted(
        &self,
        pending: Pending,
        address: &str,
    ) -> Result<ConnectionStatus, Error> {
        let answer = pasted(&pending.connection, address)?;
        let code = read(&answer, &pending.state, &pending.connection)?;
        self.exchange(pending, code).await
    }

    pub(super) async fn exchange(
        &self,
        pending: Pending,
        code: String,
    ) -> Result<ConnectionStatus, Error> {
        let shared = self.shared();
        let connection = shared.connection(&pending.connection)?;
        let who =
            Caller { connection: pending.connection.clone(), sync: None, run: None, page: None };
        let room = shared.make_room(&who, connection).await;
        let now = shared.gate.now();
        let taken = async {
            let granted = shared.grant(&who, connection, &pending, &code).await?;
            let (person, refresh) = (who_of(&granted), granted.refresh_token.clone());
            match shared.adopt(connection, granted, pending.approval).await {
                Ok(replaced) => Ok((person, replaced)),
                Err(error) => {
                    // Nobody will ever use it, and at Salesforce it would go on counting.
                    if let Some(token) = refresh {
                        shared.give_back(&who, &token, Some(pending.approval)).await;
                    }
                    Err(error)
                }
            }
        };
        let (person, (old, replaced)) = match taken.await {
            Ok(taken) => taken,
            Err(error) => {
                if room {
                    shared.lose(connection).await;
                }
                return Err(error);
            }
        };
        shared
            .write_book_if_possible(|book| book.approvals.give(pending.approval, &person, now))
            .await;
        if let Some(old) = old.filter(|_| !room) {
            shared.give_back(&who, &old, replaced).await;
        }
        Ok(connection.status())
    }

    /// Authorises a connection that needs no consent, by asking for a token.
    pub async fn connect(&self, name: &ConnectionName) -> Result<ConnectionStatus, Error> {
        let shared = self.shared();
        let connection = shared.connection(name)?;
        if matches!(connection.settings.grant, Grant::Code { .. }) {
            return Err(Error::NotConnected(name.clone()));
        }
        shared.forgive(connection).await;
        let who = Caller { connection: name.clone(), sync: None, run: None, page: None };
        let stale = connection.session(shared.gate.now())?.map(|session| session.generation);
        shared.renew(&who, stale).await?;
        shared.look_who(&who, connection).await;
        Ok(connection.status())
    }

    /// Forgets a connection's tokens and revokes its authorisation at Salesforce, so that it counts no longer.
    pub async fn disconnect(&self, name: &ConnectionName) -> Result<(), Error> {
        let shared = self.shared();
        let connection = shared.connection(name)?;
        let who = Caller { connection: name.clone(), sync: None, run: None, page: None };
        let (token, approval) = shared.forget(connection).await?;
        let Some(token) = token else { return Ok(()) };
        shared.revoke(&who, &token).await?;
        if let Some(id) = approval {
            let now = shared.gate.now();
            shared.write_book(|book| book.approvals.end(id, End::Revoked, now)).await?;
        }
        Ok(())
    }
}

impl Shared {
    /// What a consent grants, once it is known that it is of use: nothing of it is stored before.
    async fn grant(
        &self,
        who: &Caller,
        connection: &Connection,
        pending: &Pending,
        code: &str,
    ) -> Result<Granted, Error> {
        let settings = &connection.settings;
        let name = &settings.name;
        let Grant::Code { secret, user: wanted, .. } = &settings.grant else {
            return Err(Error::NotConnected(name.clone()));
        };
        let proof = (code, pending.verifier.secret().as_str());
        let answer = self.exchange(who, settings, secret.as_ref(), proof, &pending.redirect).await;
        let answer = answer.map_err(|error| match error {
            NoToken::Refused { refusal, .. } => denied(name, &refusal),
            NoToken::Other(error) => error,
        })?;
        let mut granted = Granted::read(&answer, true)?;
        let consent = |why: &str| Error::Consent { connection: name.clone(), why: why.to_owned() };
        let Some(refresh) = granted.refresh_token.clone() else {
            let why = "Salesforce gave no refresh token; the app's scopes must have 'Perform requests at any time \
                       (refresh_token, offline_access)'";
            return Err(consent(why));
        };
        let instance = granted.instance.as_deref().unwrap_or_default();
        let instance = host::instance(instance, &self.login, &self.allowed)?;
        if let Identity::Known { user, user_id, org_id } =
            self.userinfo(who, &instance, &granted.access_token).await
        {
            granted.user = user;
            granted.user_id = granted.user_id.take().or(user_id);
            granted.org_id = granted.org_id.take().or(org_id);
        }
        if let (Some(wanted), Some(user)) = (wanted, &granted.user)
            && !wanted.eq_ignore_ascii_case(user)
        {
            let error = Error::OtherUser {
                connection: name.clone(),
                user: user.clone(),
                wanted: wanted.clone(),
            };
            self.give_back(who, &refresh, Some(pending.approval)).await;
            return Err(error);
        }
        Ok(granted)
    }

    /// With five approvals a new one would push the oldest out, whosever it is; so the connection's own makes room
    /// first. Whether it did.
    async fn make_room(&self, who: &Caller, connection: &Connection) -> bool {
        let full = self.tally(connection).is_some_and(|tally| tally.number > MOST);
        let (own, approval) =
            if full { self.refresh_token(connection).await } else { (None, None) };
        match own {
            Some(own) => self.give_back(who, &own, approval).await,
            None => false,
        }
    }

    /// Revokes a refresh token that is of no use any more; one that cannot be revoked goes on counting.
    async fn give_back(&self, who: &Caller, token: &str, approval: Option<u64>) -> bool {
        if let Err(error) = self.revoke(who, token).await {
            tracing::info!(connection = %who.connection, %error, "an authorisation that is not used any more could not be revoked");
            return false;
        }
        if let Some(id) = approval {
            let now = self.gate.now();
            self.write_book_if_possible(|book| book.approvals.end(id, End::Revoked, now)).await;
        }
        true
    }

    /// A connection whose own approval made room for one that then was not given.
    async fn lose(&self, connection: &Connection) {
        let mut held = connection.held.lock().await;
        let Some(kept) = &mut held.kept else { return };
        kept.dead = Some("its approval was given back".to_owned());
        kept.cause =
            Some("It made room for a new one among five, which then was not given.".to_owned());
        (kept.refresh_token, kept.approval) = (None, None);
        kept.access_token.clear();
        let kept = kept.clone();
        if let Err(error) = self.save(connection, &kept).await {
            tracing::warn!(connection = %connection.settings.name, %error, "the lost authorisation could not be noted");
        }
        if connection.publish(&kept, None) {
            self.tell(connection);
        }
    }

    /// Enters authorisations into the list that were given before the list was kept; only before anything runs.
    pub(super) fn catch_up(&mut self) -> Result<(), Error> {
        for connection in self.connections.values() {
            let status = connection.status();
            if status.state != ConnectionState::Healthy || status.grant != "authorization-code" {
                continue;
            }
            let Ok(mut held) = connection.held.try_lock() else { continue };
            let Some(kept) = held.kept.as_mut().filter(|kept| kept.refresh_token.is_some()) else {
                continue;
            };
            let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
            let name = &connection.settings.name;
            let mut counting = book.approvals.list().iter().filter(|one| {
                one.connection == *name && one.given.is_some() && one.ended.is_none()
            });
            let known = match kept.approval {
                Some(id) => counting.find(|one| one.id == id),
                None => counting.next_back(),
            };
            kept.approval = known.map(|one| one.id);
            if kept.approval.is_none() {
                let given = status.authorised.unwrap_or_default();
                kept.approval =
                    Some(Self::asking(connection, |asked| book.approvals.had(name, asked, given)));
            }
        }
        Ok(())
    }
}

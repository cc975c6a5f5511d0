//! Who may renew a connection's tokens, and what becomes of what Salesforce answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tracing::Instrument as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::approvals::End;
use super::auth::{Granted, NoToken, Wiped, denied, is_dead};
use super::cause::{self, Clues};
use super::connection::{Connection, Held, Session};
use super::keep::{Kept, Noted, place};
use super::org::{Org, Shared};
use super::{ConnectionSettings, Error, Grant, Refusal, host};
use crate::model::{Caller, ConnectionName, Stamp};

impl Org {
    /// Waits until no token is being renewed: a process that ends before would lose one that rotates.
    pub async fn settle(&self) {
        for connection in self.shared().connections.values() {
            drop(connection.held.lock().await);
        }
    }
}

impl Shared {
    /// A connection as the vault has it. An answer that the last process put down and did not live to save is saved now.
    pub(super) fn load(&self, settings: ConnectionSettings) -> Result<Connection, Error> {
        let name = settings.name.clone();
        let connection = Connection::new(settings);
        let (mut kept, noted) = self.kept(&name)?;
        let mut unanswered = false;
        match (noted, &mut kept) {
            (Some(Noted::Asked), _) => unanswered = true,
            (Some(Noted::Answered(granted)), Some(kept)) => {
                tracing::info!(connection = %name, "the last process ended between a token answer and its use; it is taken over now");
                kept.take_over(*granted, self.gate.now());
                self.save_now(&name, kept)?;
            }
            _ => {}
        }
        if let Some(kept) = kept {
            // A login host that was changed since makes the old instance untrusted.
            let instance = host::instance(&kept.instance, &self.login, &self.allowed).ok();
            connection.publish(&kept, instance);
            let held = Held { kept: Some(kept), failed: None, unanswered };
            connection.held.try_lock().map(|mut lock| *lock = held).unwrap_or_default();
        }
        Ok(connection)
    }

    /// A session for this caller, got from Salesforce when there is none yet.
    pub(super) async fn session(self: &Arc<Self>, who: &Caller) -> Result<Session, Error> {
        let connection = self.connection(&who.connection)?;
        match connection.session(self.gate.now())? {
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
            if let Some(session) = connection.session(shared.gate.now())?
                && stale != Some(session.generation)
            {
                return Ok(session);
            }
            if let Some(error) = &held.failed
                && connection.renewals.load(Ordering::SeqCst) != asked
            {
                return Err(error.clone());
            }
            let begun = Instant::now();
            let result = shared.renew_alone(&who, &connection, &mut held).await;
            shared.told.renewed(&who, begun.elapsed(), result.as_ref().err());
            held.failed = result.as_ref().err().cloned();
            connection.renewals.fetch_add(1, Ordering::SeqCst);
            result
        };
        match tokio::spawn(renewal.in_current_span()).await {
            Ok(result) => result,
            Err(error) => Err(Error::Vault { connection: name, why: error.to_string() }),
        }
    }

    async fn renew_alone(
        &self,
        who: &Caller,
        connection: &Connection,
        held: &mut Held,
    ) -> Result<Session, Error> {
        match self.ask(who, connection, held).await {
            Ok(answer) => self.accept(connection, held, Granted::read(&answer, false)?).await,
            Err(NoToken::Refused { refusal, unanswered }) => {
                held.unanswered |= unanswered;
                Err(self.refused(connection, held, &refusal).await)
            }
            Err(NoToken::Other(error)) => Err(error),
        }
    }

    /// Asks for a token by the connection's grant.
    async fn ask(
        &self,
        who: &Caller,
        connection: &Connection,
        held: &mut Held,
    ) -> Result<Wiped, NoToken> {
        let settings = &connection.settings;
        match &settings.grant {
            Grant::Code { secret, .. } => {
                let kept = held.kept.as_ref();
                let token = kept.and_then(|kept| kept.refresh_token.clone()).map(Zeroizing::new);
                let Some(token) = token else {
                    // An access token alone was good for as long as it lived.
                    if connection.clear() {
                        self.tell(connection);
                    }
                    return Err(Error::NotConnected(settings.name.clone()).into());
                };
                self.note_asking(&settings.name, &token);
                let answer = self.refresh(who, settings, secret.as_ref(), &token).await;
                if let Ok(answer) = &answer {
                    self.note_answer(&settings.name, &token, answer);
                }
                answer
            }
            Grant::ClientCredentials { secret } => self.mint(who, settings, secret).await,
            Grant::Jwt { user, key, audience } => {
                self.sign(who, settings, user, key, audience.as_deref()).await
            }
        }
    }

    /// What a refusal makes of a connection, and the error that tells it.
    async fn refused(&self, connection: &Connection, held: &mut Held, refusal: &Refusal) -> Error {
        let name = &connection.settings.name;
        if !matches!(connection.settings.grant, Grant::Code { .. }) || !is_dead(refusal) {
            // The tokens may be good still: a secret or a right can be given back.
            let error = denied(name, refusal);
            self.refuse(connection, &error);
            return error;
        }
        let now = self.gate.now();
        let mut kept = held.kept.clone().unwrap_or_default();
        let tally = self.tally(connection);
        let newer = |id| self.read_book(|book| book.approvals.newer(id));
        let cause = tally.map(|tally| {
            cause::probable(&Clues {
                refusal,
                newer: kept.approval.map_or(0, newer),
                tally: &tally,
                unanswered: std::mem::take(&mut held.unanswered),
                idle: now.since(Stamp(kept.renewed.max(kept.authorised))),
            })
        });
        let why = refusal.message.clone();
        kept.dead = Some(why.clone());
        kept.cause.clone_from(&cause);
        // Salesforce no longer takes them.
        kept.access_token.zeroize();
        kept.refresh_token.zeroize();
        let approval = kept.approval.take();
        // Shown at once and never asked with again, even if this cannot be saved.
        let changed = connection.publish(&kept, None);
        let saved = self.save(connection, &kept).await;
        held.kept = Some(kept);
        if let Err(error) = saved {
            tracing::warn!(connection = %name, %error, "the lost authorisation could not be noted");
        }
        if let Some(id) = approval {
            self.write_book_if_possible(|book| book.approvals.end(id, End::Lost, now)).await;
        }
        if changed {
            self.tell(connection);
        }
        Error::Reconnect { connection: name.clone(), why, cause }
    }

    /// Leaves a connection alone for a while that Salesforce refuses as it is set up.
    pub(super) fn refuse(&self, connection: &Connection, error: &Error) {
        let why = match error {
            Error::Denied { error, description, .. } => format!("{error}: {description}"),
            Error::NotForApi { message, .. } => message.clone(),
            other => other.to_string(),
        };
        if connection.refuse(error, why, self.gate.now()) {
            self.tell(connection);
        }
    }

    /// Tells that a connection's health changed.
    pub(super) fn tell(&self, connection: &Connection) {
        if let Some(heard) = self.heard.get() {
            heard(&connection.status());
        }
    }

    /// Takes over what Salesforce granted: first onto the disk, then into use.
    pub(super) async fn accept(
        &self,
        connection: &Connection,
        held: &mut Held,
        granted: Granted,
    ) -> Result<Session, Error> {
        let name = &connection.settings.name;
        let now = self.gate.now();
        self.same_home(connection, &granted).await?;
        let mut kept = held.kept.clone().unwrap_or_default();
        kept.take_over(granted, now);
        let instance = host::instance(&kept.instance, &self.login, &self.allowed)?;
        let saved = self.save(connection, &kept).await;
        // The old refresh token may be spent, so the new one is kept in memory also when it could not be saved: the next
        // try can save it.
        held.kept = Some(kept);
        saved?;
        held.unanswered = false;
        let Some(kept) = &held.kept else { return Err(Error::NotConnected(name.clone())) };
        if connection.publish(kept, Some(instance)) {
            self.tell(connection);
        }
        connection.session(now)?.ok_or_else(|| Error::NotConnected(name.clone()))
    }

    /// Takes over a new consent of a user, whose entry in the list of approvals is `approval`; gives the refresh token
    /// that it replaces, and that one's entry.
    pub(super) async fn adopt(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        granted: Granted,
        approval: u64,
    ) -> Result<(Option<Zeroizing<String>>, Option<u64>), Error> {
        let (shared, connection) = (self.clone(), connection.clone());
        let name = connection.settings.name.clone();
        // Runs on when the caller goes away, like a renewal.
        let adoption = async move {
            let mut held = connection.held.lock().await;
            let before = held.kept.clone();
            let old = before.as_ref().and_then(|kept| kept.refresh_token.clone());
            let new = granted.refresh_token.as_ref().map(|token| token.to_string());
            held.kept.get_or_insert_default().approval = Some(approval);
            if let Err(error) = shared.accept(&connection, &mut held, granted).await {
                // A consent that cannot be kept changes nothing.
                held.kept = before;
                return Err(error);
            }
            held.failed = None;
            let replaced = before.and_then(|kept| kept.approval);
            Ok((old.filter(|old| new.as_ref() != Some(old)).map(Zeroizing::new), replaced))
        };
        match tokio::spawn(adoption).await {
            Ok(result) => result,
            Err(error) => Err(Error::Vault { connection: name, why: error.to_string() }),
        }
    }

    /// The refresh token that a connection holds, and its entry in the list of approvals.
    pub(super) async fn refresh_token(
        &self,
        connection: &Connection,
    ) -> (Option<Zeroizing<String>>, Option<u64>) {
        let held = connection.held.lock().await;
        let Some(kept) = &held.kept else { return (None, None) };
        (kept.refresh_token.clone().map(Zeroizing::new), kept.approval)
    }

    /// Keeps the user's name beside the tokens.
    pub(super) async fn keep_user(&self, connection: &Connection, user: &str) -> Result<(), Error> {
        let mut held = connection.held.lock().await;
        if let Some(kept) = &mut held.kept
            && kept.user.as_deref() != Some(user)
        {
            kept.user = Some(user.to_owned());
            let kept = kept.clone();
            self.save(connection, &kept).await?;
        }
        connection.set_user(user);
        drop(held);
        self.name_home(&connection.settings.name, user).await;
        Ok(())
    }

    /// Forgets the tokens; gives the one whose revocation ends the authorisation, and its entry in the list.
    pub(super) async fn forget(
        &self,
        connection: &Connection,
    ) -> Result<(Option<Zeroizing<String>>, Option<u64>), Error> {
        let mut held = connection.held.lock().await;
        let name = &connection.settings.name;
        self.put(name, place(name), Vec::new()).await?;
        let old = held.kept.take();
        let changed = connection.clear();
        drop(held);
        if changed {
            self.tell(connection);
        }
        let Some(kept) = old else { return Ok((None, None)) };
        let access = Some(kept.access_token.clone()).filter(|token| !token.is_empty());
        Ok((kept.refresh_token.clone().or(access).map(Zeroizing::new), kept.approval))
    }

    /// Clears what is remembered of an earlier refusal, so that the next session is asked for anew.
    pub(super) async fn forgive(&self, connection: &Connection) {
        let mut held = connection.held.lock().await;
        held.failed = None;
        if let Some(kept) = &mut held.kept {
            kept.dead = None;
        }
        connection.forgive();
    }

    /// The connection's tokens as they are, saved without leaving the thread: only before anything runs.
    fn save_now(&self, name: &ConnectionName, kept: &Kept) -> Result<(), Error> {
        let bad = |why| Error::Vault { connection: name.clone(), why };
        let place = place(name);
        let sealed = self.key.seal(&place, &kept.json().map_err(bad)?).map_err(bad)?;
        self.vault.save(&place, &sealed).map_err(bad)?;
        self.vault.note(&place, &[]).map_err(bad)
    }
}

impl Kept {
    /// Takes over what Salesforce granted now.
    fn take_over(&mut self, granted: Granted, now: Stamp) {
        let same_user = granted.user_id.is_none() || granted.user_id == self.user_id;
        let user = granted.user.or_else(|| self.user.take().filter(|_| same_user));
        self.access_token.zeroize();
        self.access_token = granted.access_token.to_string();
        if let Some(token) = granted.refresh_token {
            self.refresh_token.zeroize();
            self.refresh_token = Some(token.to_string());
        }
        if let Some(instance) = granted.instance {
            self.instance = instance;
        }
        self.org_id = granted.org_id.or_else(|| self.org_id.take());
        self.user_id = granted.user_id.or_else(|| self.user_id.take());
        self.user = user;
        if self.authorised <= 0 || granted.consented {
            self.authorised = now.0;
        }
        self.renewed = now.0;
        (self.dead, self.cause) = (None, None);
    }
}

//! Consents that the host asks for on behalf of somebody at its page or its API.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use url::Url;

use super::consent::{PATIENCE, Pending};
use super::redirect::{pasted, read};
use super::{ConnectionStatus, Error, Org, Redirect};
use crate::model::{ConnectionName, Stamp};

/// A consent that the host asked for on behalf of somebody at its page or its API.
#[derive(Debug, Clone)]
pub struct Invited {
    /// The connection.
    pub connection: ConnectionName,
    /// The page that the user must open.
    pub url: Url,
    /// Where the browser comes back to: one of the app's callback addresses.
    pub callback: String,
    /// Which approval of the app and the user it is.
    pub number: usize,
    /// What to tell the user when few are left.
    pub warning: Option<String>,
    /// Until when it can be answered.
    pub until: Stamp,
    /// What came of it; none while it is waited for.
    pub outcome: Option<Result<ConnectionStatus, Error>>,
}

/// The consents that the host asked for, the last of each connection.
#[derive(Default)]
pub(super) struct Invitations {
    /// Held while one is made, so that two clicks make one.
    inviting: tokio::sync::Mutex<()>,
    all: Mutex<BTreeMap<ConnectionName, (Invited, Option<Pending>)>>,
}

impl Invitations {
    fn all(&self) -> MutexGuard<'_, BTreeMap<ConnectionName, (Invited, Option<Pending>)>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out the one that this answer belongs to; another answer then finds none.
    fn take(&self, state: Option<&String>, now: Stamp) -> Option<Pending> {
        let mut all = self.all();
        let (_, pending) = all.values_mut().find(|(_, pending)| {
            pending
                .as_ref()
                .is_some_and(|one| state == Some(one.state.secret()) && now <= one.until)
        })?;
        pending.take()
    }

    fn note(&self, name: &ConnectionName, outcome: &Result<ConnectionStatus, Error>) {
        if let Some((invited, _)) = self.all().get_mut(name) {
            invited.outcome = Some(outcome.clone());
        }
    }
}

impl Org {
    /// Begins a consent on behalf of somebody at the page or the API, or gives the one that is open: two clicks are one
    /// approval. Its answer comes to [`Org::answered`], or to a listener of its own.
    pub async fn invite(
        &self,
        name: &ConnectionName,
        how: Redirect,
        anyway: bool,
    ) -> Result<Invited, Error> {
        let invitations = &self.shared().invitations;
        let _inviting = invitations.inviting.lock().await;
        let now = self.shared().gate.now();
        if let Some((invited, _)) = invitations.all().get(name)
            && invited.outcome.is_none()
            && now < invited.until
            && invited.callback == how.address()
        {
            return Ok(invited.clone());
        }
        let mut pending = self.begin(name, how, anyway).await?;
        let invited = Invited {
            connection: name.clone(),
            url: pending.url.clone(),
            callback: pending.redirect.to_string(),
            number: pending.number,
            warning: pending.warning.take(),
            until: pending.until,
            outcome: None,
        };
        let listens = !pending.listeners.is_empty();
        let (listening, waiting) =
            if listens { (Some(pending), None) } else { (None, Some(pending)) };
        // An older one that still listens is given up with its entry.
        invitations.all().insert(name.clone(), (invited.clone(), waiting));
        if let Some(pending) = listening {
            let (org, name) = (self.clone(), name.clone());
            tokio::spawn(async move {
                let outcome = match tokio::time::timeout(PATIENCE, org.finish(pending)).await {
                    Ok(outcome) => outcome,
                    Err(_) => {
                        let why = "the browser did not come back".to_owned();
                        Err(Error::Consent { connection: name.clone(), why })
                    }
                };
                org.shared().invitations.note(&name, &outcome);
            });
        }
        Ok(invited)
    }

    /// How the last consent stands that the host asked for with [`Org::invite`].
    pub fn invited(&self, name: &ConnectionName) -> Option<Invited> {
        self.shared().invitations.all().get(name).map(|(invited, _)| invited.clone())
    }

    /// Takes over the answer that came to the host's own callback address.
    pub async fn answered(
        &self,
        answer: &HashMap<String, String>,
    ) -> Result<ConnectionStatus, Error> {
        let shared = self.shared();
        let pending = shared.invitations.take(answer.get("state"), shared.gate.now());
        let pending = pending.ok_or(Error::Stray)?;
        let name = pending.connection.clone();
        let outcome = match read(answer, &pending.state, &name) {
            Ok(code) => self.exchange(pending, code).await,
            Err(error) => Err(error),
        };
        shared.invitations.note(&name, &outcome);
        outcome
    }

    /// The same from the address that a user pasted.
    pub async fn answered_at(
        &self,
        name: &ConnectionName,
        address: &str,
    ) -> Result<ConnectionStatus, Error> {
        self.answered(&pasted(name, address)?).await
    }
}

//! Looks after connections that nobody uses: a cheap daily question whether Salesforce still takes them, and the daily
//! census of approvals.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;
use url::Url;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::connection::{Connection, Session};
use super::http;
use super::org::{Org, Shared};
use super::{ConnectionState, Error};
use crate::model::{Caller, Purpose, Stamp};

/// What is done daily is done after this time and up to [`SPREAD`] later, so that many hosts do not ask at one moment.
const DAILY: Duration = Duration::from_secs(23 * 60 * 60);
const SPREAD: Duration = Duration::from_secs(2 * 60 * 60);

/// What could not be done is tried again after this time.
const AGAIN: Duration = Duration::from_secs(60 * 60);

/// When something is due that was done last at `last`: about a day later, at a time that follows from its name.
fn due(last: Stamp, name: &str) -> Stamp {
    let spread = u64::try_from(SPREAD.as_millis()).unwrap_or(u64::MAX);
    let late = xxh3_64_with_seed(name.as_bytes(), last.0.unsigned_abs()) % spread;
    last.plus(DAILY).plus(Duration::from_millis(late))
}

/// Who a token stands for.
pub(super) enum Identity {
    /// This user of this org.
    Known {
        /// The user's name.
        user: Option<String>,
        /// The user's id.
        user_id: Option<String>,
        /// The org's id.
        org_id: Option<String>,
    },
    /// Salesforce does not take the token.
    BadToken,
    /// There was no answer that tells.
    Unknown,
}

impl Org {
    /// Does what is due of looking after the connections, and tells when the next of it is. Nothing of it is counted by
    /// Salesforce but the census.
    pub async fn tend(&self) -> Option<Stamp> {
        let shared = self.shared();
        let _tending = shared.tending.lock().await;
        let mut next = Vec::new();
        for connection in shared.connections.values() {
            next.extend(shared.probe(connection).await);
        }
        for (name, user) in shared.users() {
            let last = shared.read_book(|book| book.approvals.census(&user).map(|one| one.at));
            let mut at = last.map_or(Stamp(0), |last| due(last, &user));
            let now = shared.gate.now();
            if at <= now {
                at = match shared.census(&name, &user).await {
                    Ok(_) => due(now, &user),
                    Err(error) => {
                        tracing::info!(connection = %name, %error, "the census of approvals could not be taken");
                        now.plus(AGAIN)
                    }
                };
            }
            next.push(at);
        }
        next.into_iter().min()
    }
}

impl Shared {
    /// Asks whether Salesforce still takes a connection that was not used for a day. A lost one is noticed by that.
    async fn probe(self: &Arc<Self>, connection: &Arc<Connection>) -> Option<Stamp> {
        let status = connection.status();
        if status.state != ConnectionState::Healthy {
            return None;
        }
        let name = &status.name;
        let last = status.last_used.max(status.renewed).max(status.verified).unwrap_or_default();
        let (at, now) = (due(last, name.as_str()), self.gate.now());
        if at > now {
            return Some(at);
        }
        let who = Caller { connection: name.clone(), sync: None, run: None, page: None };
        tracing::debug!(connection = %name, "asking whether the connection is still good");
        match self.verify(&who, connection).await {
            Ok(()) => {
                connection.verified(now);
                Some(due(now, name.as_str()))
            }
            Err(error) => {
                tracing::warn!(connection = %name, %error, "the connection is not good");
                Some(now.plus(AGAIN))
            }
        }
    }

    /// The access token tells whether it is good; when it is not, the refresh token must.
    async fn verify(
        self: &Arc<Self>,
        who: &Caller,
        connection: &Arc<Connection>,
    ) -> Result<(), Error> {
        if let Some(session) = connection.session(self.gate.now())? {
            match self.userinfo_of(who, &session).await {
                Identity::Known { .. } => return Ok(()),
                Identity::BadToken => drop(self.renew(who, Some(session.generation)).await?),
                Identity::Unknown => {
                    let what = Purpose::Token.as_str().to_owned();
                    let why = "the user's data could not be had".to_owned();
                    return Err(Error::Answer { what, why });
                }
            }
        } else {
            self.renew(who, None).await?;
        }
        Ok(())
    }

    async fn userinfo_of(&self, who: &Caller, session: &Session) -> Identity {
        let token = secrecy::ExposeSecret::expose_secret(&*session.bearer);
        self.userinfo(who, &session.instance, token).await
    }

    /// Asks who the token stands for; Salesforce does not count it.
    pub(super) async fn userinfo(&self, who: &Caller, instance: &Url, token: &str) -> Identity {
        #[derive(Deserialize)]
        struct Info {
            preferred_username: Option<String>,
            user_id: Option<String>,
            organization_id: Option<String>,
        }
        let mut url = instance.clone();
        url.set_path("/services/oauth2/userinfo");
        let Ok(bearer) = http::bearer(token) else { return Identity::BadToken };
        let request = self.http.request(Method::GET, url).header(AUTHORIZATION, bearer).build();
        let (Ok(request), Ok(pass)) = (request, self.gate.free(who, Purpose::Token).await) else {
            return Identity::Unknown;
        };
        let Ok(answer) = self.http.send(pass.into(), request).await else {
            return Identity::Unknown;
        };
        match (answer.status, serde_json::from_slice::<Info>(&answer.body)) {
            (200, Ok(info)) => Identity::Known {
                user: info.preferred_username,
                user_id: info.user_id,
                org_id: info.organization_id,
            },
            (401 | 403, _) => Identity::BadToken,
            _ => Identity::Unknown,
        }
    }

    /// Learns the user's name; that it cannot be learned is no harm.
    pub(super) async fn look_who(&self, who: &Caller, connection: &Connection) {
        let Ok(Some(session)) = connection.session(self.gate.now()) else { return };
        if let Identity::Known { user: Some(user), .. } = self.userinfo_of(who, &session).await
            && let Err(error) = self.keep_user(connection, &user).await
        {
            tracing::info!(connection = %who.connection, %error, "the user's name could not be kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn daily_is_about_a_day_and_spread(last in 0..i64::MAX / 4, name in "[a-z]{1,8}") {
            let at = due(Stamp(last), &name);
            let wait = at.since(Stamp(last));
            proptest::prop_assert!(wait >= DAILY && wait < DAILY + SPREAD);
            proptest::prop_assert_eq!(at, due(Stamp(last), &name));
        }
    }

    #[test]
    fn connections_are_not_asked_at_one_moment() {
        let at = |n: usize| due(Stamp(1_700_000_000_000), &format!("connection-{n}")).0;
        let mut minutes: Vec<i64> = (0..100).map(|n| at(n) / 60_000).collect();
        minutes.sort_unstable();
        minutes.dedup();
        assert!(minutes.len() > 40, "{} minutes", minutes.len());
    }
}

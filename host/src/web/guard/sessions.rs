//! Who has entered a password: sessions in memory, which end with the process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Role;
use crate::model::Stamp;

/// A session that nobody used for so long ends.
const IDLE: Duration = Duration::from_secs(12 * 3600);
/// And every session after so long.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// Sessions at a time; beyond that the one that was used least lately ends.
const MOST: usize = 1000;

/// One session.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// What its holder may do.
    pub(super) role: Role,
    /// What a request that changes something must bear besides the cookie.
    pub(super) csrf: String,
    begun: Stamp,
    used: Stamp,
}

/// All sessions, by the digest of their secret: what is in memory opens nothing.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

/// 256 bits that nobody can guess, as text.
fn secret() -> String {
    format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

impl Sessions {
    fn held(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a session and gives its secret.
    pub(super) fn begin(&self, role: Role, now: Stamp) -> String {
        let mut held = self.held();
        held.retain(|_, session| session.lives(now));
        if held.len() >= MOST
            && let Some(oldest) = held.iter().min_by_key(|one| one.1.used).map(|one| *one.0)
        {
            held.remove(&oldest);
        }
        let text = secret();
        held.insert(digest(&text), Session { role, csrf: secret(), begun: now, used: now });
        text
    }

    /// The session of a secret, which is used now.
    pub(super) fn find(&self, secret: &str, now: Stamp) -> Option<Session> {
        let mut held = self.held();
        let session = held.get_mut(&digest(secret)).filter(|session| session.lives(now))?;
        session.used = now;
        Some(session.clone())
    }

    /// Ends a session.
    pub(super) fn end(&self, secret: &str) {
        self.held().remove(&digest(secret));
    }
}

impl Session {
    fn lives(&self, now: Stamp) -> bool {
        now.since(self.used) < IDLE && now.since(self.begun) < LONGEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_itself_and_by_hand() {
        let (sessions, hour) = (Sessions::default(), Duration::from_secs(3600));
        let mut now = Stamp(0);
        let one = sessions.begin(Role::View, now);
        let two = sessions.begin(Role::Operate, now);
        assert_eq!(sessions.find(&one, now).unwrap().role, Role::View);
        assert_eq!(sessions.find(&two, now).unwrap().role, Role::Operate);
        assert!(sessions.find("", now).is_none() && sessions.find(&one[1..], now).is_none());
        sessions.end(&one);
        assert!(sessions.find(&one, now).is_none());
        for _ in 0..7 * 24 - 1 {
            now = now.plus(hour);
            assert!(sessions.find(&two, now).is_some(), "it is used");
        }
        assert!(sessions.find(&two, now.plus(hour)).is_none(), "a week is the most");
        let three = sessions.begin(Role::View, now);
        assert!(sessions.find(&three, now.plus(hour * 12)).is_none(), "nobody used it");
    }

    #[test]
    fn there_are_at_most_a_thousand() {
        let sessions = Sessions::default();
        let first = sessions.begin(Role::View, Stamp(0));
        let all: Vec<String> = (1..=1000).map(|n| sessions.begin(Role::View, Stamp(n))).collect();
        assert!(sessions.find(&first, Stamp(2000)).is_none());
        assert!(all.iter().all(|one| sessions.find(one, Stamp(2000)).is_some()));
    }
}

//! Who may reach the org: authorisation codes, approvals with their refresh tokens, and access tokens.
//!
//! Plain state with time passed in; `oauth_authorize`, `oauth_token` and `oauth_user` put it on the wire.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::RngExt;
use rand::distr::Alphanumeric;
use serde::Serialize;

use crate::config::Evict;

/// How long an authorisation code can be exchanged.
const CODE_LIFE: SignedDuration = SignedDuration::from_mins(15);
/// Consent pages left open and codes never exchanged are bounded.
const OPEN_REQUESTS: usize = 1_000;

/// What an authorise request asked for, kept until the user decides and the code is exchanged.
#[derive(Debug, Clone)]
pub(crate) struct AuthorizeRequest {
    pub(crate) redirect_uri: String,
    pub(crate) scope: String,
    pub(crate) state: Option<String>,
    pub(crate) challenge: Option<String>,
}

#[derive(Debug)]
struct Code {
    request: AuthorizeRequest,
    user: String,
    made: Timestamp,
}

/// One approval: a user let the app in, and a refresh token stands for it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Approval {
    pub(crate) id: u64,
    pub(crate) user: String,
    pub(crate) scope: String,
    pub(crate) made: Timestamp,
    pub(crate) last_used: Timestamp,
    pub(crate) refreshes: u64,
    #[serde(skip)]
    refresh_token: String,
    #[serde(skip)]
    used_up: Vec<String>,
}

/// What an access token stands for.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) token: String,
    pub(crate) user: String,
    pub(crate) scope: String,
    pub(crate) approval: Option<u64>,
    pub(crate) issued: Timestamp,
    pub(crate) expires: Timestamp,
}

impl Session {
    /// Whether the scopes allow data calls.
    pub(crate) fn can_use_api(&self) -> bool {
        self.scope.split(' ').any(|scope| matches!(scope, "api" | "full" | "web"))
    }
}

/// What a grant yields.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) session: Session,
    pub(crate) refresh_token: Option<String>,
}

/// Why a refresh token did not work; both look the same on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefreshRefusal {
    /// Never issued, revoked or evicted.
    Unknown,
    /// Already rotated out: its approval has been ended.
    Replayed,
}

/// All authorisations of the org.
#[derive(Debug)]
pub(crate) struct Auth {
    org_id_15: String,
    life: SignedDuration,
    max_approvals: usize,
    evict: Evict,
    pending: HashMap<String, AuthorizeRequest>,
    codes: HashMap<String, Code>,
    approvals: Vec<Approval>,
    last_approval: u64,
    sessions: HashMap<String, Session>,
}

impl Auth {
    pub(crate) fn new(org_id: &str, life: Duration, max_approvals: usize, evict: Evict) -> Self {
        Auth {
            org_id_15: org_id.get(..15).unwrap_or(org_id).to_owned(),
            life: SignedDuration::try_from(life).unwrap_or(SignedDuration::MAX),
            max_approvals,
            evict,
            pending: HashMap::new(),
            codes: HashMap::new(),
            approvals: Vec::new(),
            last_approval: 0,
            sessions: HashMap::new(),
        }
    }

    /// Keeps a request while its user looks at the consent page; gives the name the page's form sends back.
    pub(crate) fn open_request(&mut self, request: AuthorizeRequest) -> String {
        if self.pending.len() >= OPEN_REQUESTS {
            self.pending.clear();
        }
        let name = random_text(24);
        self.pending.insert(name.clone(), request);
        name
    }

    pub(crate) fn close_request(&mut self, name: &str) -> Option<AuthorizeRequest> {
        self.pending.remove(name)
    }

    /// The user allowed it: a code to exchange once.
    pub(crate) fn make_code(
        &mut self,
        request: AuthorizeRequest,
        user: &str,
        now: Timestamp,
    ) -> String {
        self.codes.retain(|_, code| now.duration_since(code.made) <= CODE_LIFE);
        if self.codes.len() >= OPEN_REQUESTS {
            self.codes.clear();
        }
        let text = format!("aPrx{}==", random_text(80));
        self.codes.insert(text.clone(), Code { request, user: user.to_owned(), made: now });
        text
    }

    /// Takes a code out, so that it works once only.
    pub(crate) fn take_code(
        &mut self,
        text: &str,
        now: Timestamp,
    ) -> Option<(AuthorizeRequest, String)> {
        let code = self.codes.remove(text)?;
        (now.duration_since(code.made) <= CODE_LIFE).then_some((code.request, code.user))
    }

    /// Turns an exchanged code into tokens. A new approval beyond the user's limit evicts one without a word.
    pub(crate) fn grant_code(&mut self, user: &str, scope: &str, now: Timestamp) -> Granted {
        if !scope.split(' ').any(|scope| matches!(scope, "refresh_token" | "offline_access")) {
            return Granted { session: self.mint(user, scope, None, now), refresh_token: None };
        }
        while let Some(id) = self.next_evicted(user) {
            self.end_approval(id);
        }
        self.last_approval += 1;
        let refresh_token = refresh_token_text();
        self.approvals.push(Approval {
            id: self.last_approval,
            user: user.to_owned(),
            scope: scope.to_owned(),
            made: now,
            last_used: now,
            refreshes: 0,
            refresh_token: refresh_token.clone(),
            used_up: Vec::new(),
        });
        let session = self.mint(user, scope, Some(self.last_approval), now);
        Granted { session, refresh_token: Some(refresh_token) }
    }

    /// The approval that one more would end, if the user has as many as allowed.
    pub(crate) fn next_evicted(&self, user: &str) -> Option<u64> {
        let of_user = || self.approvals.iter().filter(|approval| approval.user == user);
        if of_user().count() < self.max_approvals.max(1) {
            return None;
        }
        of_user()
            .min_by_key(|approval| match self.evict {
                Evict::Oldest => (approval.made, approval.id),
                Evict::LeastRecentlyUsed => (approval.last_used, approval.id),
            })
            .map(|approval| approval.id)
    }

    /// A new access token for a refresh token; with `rotate` also a new refresh token in its place.
    pub(crate) fn refresh(
        &mut self,
        token: &str,
        rotate: bool,
        now: Timestamp,
    ) -> Result<Granted, RefreshRefusal> {
        if let Some(id) =
            self.approvals.iter().find(|a| a.used_up.iter().any(|old| old == token)).map(|a| a.id)
        {
            self.end_approval(id);
            return Err(RefreshRefusal::Replayed);
        }
        let approval = self
            .approvals
            .iter_mut()
            .find(|a| a.refresh_token == token)
            .ok_or(RefreshRefusal::Unknown)?;
        approval.last_used = now;
        approval.refreshes += 1;
        let mut refresh_token = None;
        if rotate {
            let fresh = refresh_token_text();
            approval.used_up.push(std::mem::replace(&mut approval.refresh_token, fresh.clone()));
            refresh_token = Some(fresh);
        }
        let (user, scope, id) = (approval.user.clone(), approval.scope.clone(), approval.id);
        Ok(Granted { session: self.mint(&user, &scope, Some(id), now), refresh_token })
    }

    /// The token of a grant that makes no approval: the one still valid for the user and scope, or a new one.
    pub(crate) fn grant_direct(&mut self, user: &str, scope: &str, now: Timestamp) -> Session {
        let valid = self.sessions.values().find(|session| {
            session.approval.is_none()
                && session.user == user
                && session.scope == scope
                && now < session.expires
        });
        match valid.cloned() {
            Some(session) => session,
            None => self.mint(user, scope, None, now),
        }
    }

    fn mint(&mut self, user: &str, scope: &str, approval: Option<u64>, now: Timestamp) -> Session {
        self.sessions.retain(|_, session| now < session.expires);
        let session = Session {
            token: format!("{}!AQ{}", self.org_id_15, random_text(94)),
            user: user.to_owned(),
            scope: scope.to_owned(),
            approval,
            issued: now,
            expires: now.checked_add(self.life).unwrap_or(Timestamp::MAX),
        };
        self.sessions.insert(session.token.clone(), session.clone());
        session
    }

    /// The session of an access token that still works.
    pub(crate) fn session(&self, token: &str, now: Timestamp) -> Option<&Session> {
        self.sessions.get(token).filter(|session| now < session.expires)
    }

    /// The approval of a refresh token that still works.
    pub(crate) fn approval_of(&self, refresh_token: &str) -> Option<&Approval> {
        self.approvals.iter().find(|approval| approval.refresh_token == refresh_token)
    }

    /// Ends what a token stands for: an access token alone, or an approval with all that came of it.
    pub(crate) fn revoke(&mut self, token: &str) -> bool {
        if self.sessions.remove(token).is_some() {
            return true;
        }
        match self.approval_of(token).map(|approval| approval.id) {
            Some(id) => {
                self.end_approval(id);
                true
            }
            None => false,
        }
    }

    /// Makes one access token stop working.
    pub(crate) fn expire(&mut self, token: &str) {
        self.sessions.remove(token);
    }

    /// Makes every access token stop working; gives how many.
    pub(crate) fn expire_all(&mut self) -> usize {
        std::mem::take(&mut self.sessions).len()
    }

    /// Ends every approval of a user, or of all; gives how many.
    pub(crate) fn revoke_all(&mut self, user: Option<&str>) -> usize {
        let ids: Vec<u64> = self
            .approvals
            .iter()
            .filter(|a| user.is_none_or(|user| a.user == user))
            .map(|a| a.id)
            .collect();
        for id in &ids {
            self.end_approval(*id);
        }
        ids.len()
    }

    pub(crate) fn approvals(&self) -> &[Approval] {
        &self.approvals
    }

    pub(crate) fn access_tokens(&self, now: Timestamp) -> usize {
        self.sessions.values().filter(|session| now < session.expires).count()
    }

    fn end_approval(&mut self, id: u64) {
        self.approvals.retain(|approval| approval.id != id);
        self.sessions.retain(|_, session| session.approval != Some(id));
    }
}

fn refresh_token_text() -> String {
    format!("5Aep861{}", random_text(80))
}

/// Letters and digits that cannot be guessed.
pub(crate) fn random_text(length: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCOPE: &str = "api refresh_token";

    fn auth(evict: Evict) -> Auth {
        Auth::new("00D000000000001EAA", Duration::from_secs(7_200), 5, evict)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn connect(auth: &mut Auth, second: i64) -> String {
        auth.grant_code("a@b.example", SCOPE, at(second)).refresh_token.unwrap()
    }

    #[test]
    fn the_sixth_approval_ends_the_oldest_and_its_access_tokens() {
        let mut auth = auth(Evict::Oldest);
        let first = auth.grant_code("a@b.example", SCOPE, at(0));
        let tokens: Vec<String> = (1..5).map(|n| connect(&mut auth, n)).collect();
        assert!(auth.refresh(first.refresh_token.as_ref().unwrap(), false, at(9)).is_ok());
        connect(&mut auth, 10);
        assert!(auth.session(&first.session.token, at(10)).is_none());
        assert_eq!(
            auth.refresh(first.refresh_token.as_ref().unwrap(), false, at(11)).unwrap_err(),
            RefreshRefusal::Unknown
        );
        assert!(tokens.iter().all(|token| auth.refresh(token, false, at(12)).is_ok()));
    }

    #[test]
    fn least_recently_used_spares_the_oldest_that_was_used() {
        let mut auth = auth(Evict::LeastRecentlyUsed);
        let tokens: Vec<String> = (0..5).map(|n| connect(&mut auth, n)).collect();
        auth.refresh(&tokens[0], false, at(9)).unwrap();
        connect(&mut auth, 10);
        assert!(auth.refresh(&tokens[0], false, at(11)).is_ok());
        assert!(auth.refresh(&tokens[1], false, at(11)).is_err());
    }

    #[test]
    fn another_user_has_five_of_its_own() {
        let mut auth = auth(Evict::Oldest);
        let first = connect(&mut auth, 0);
        for n in 1..6 {
            auth.grant_code("other@b.example", SCOPE, at(n));
        }
        assert!(auth.refresh(&first, false, at(9)).is_ok());
        assert_eq!(auth.approvals().len(), 6);
    }

    #[test]
    fn replaying_a_rotated_token_ends_the_family() {
        let mut auth = auth(Evict::Oldest);
        let old = connect(&mut auth, 0);
        let next = auth.refresh(&old, true, at(1)).unwrap();
        let newest = next.refresh_token.unwrap();
        assert_ne!(old, newest);
        assert_eq!(auth.refresh(&old, true, at(2)).unwrap_err(), RefreshRefusal::Replayed);
        assert_eq!(auth.refresh(&newest, true, at(3)).unwrap_err(), RefreshRefusal::Unknown);
        assert!(auth.session(&next.session.token, at(3)).is_none());
    }

    #[test]
    fn codes_work_once_and_for_a_quarter_of_an_hour() {
        let mut auth = auth(Evict::Oldest);
        let request = AuthorizeRequest {
            redirect_uri: "http://127.0.0.1:1/cb".into(),
            scope: SCOPE.into(),
            state: None,
            challenge: None,
        };
        let code = auth.make_code(request.clone(), "a@b.example", at(0));
        assert!(auth.take_code(&code, at(900)).is_some());
        assert!(auth.take_code(&code, at(900)).is_none());
        let late = auth.make_code(request, "a@b.example", at(0));
        assert!(auth.take_code(&late, at(901)).is_none());
    }

    proptest! {
        /// Whatever users do, none has too many approvals, and what is left works while what is gone does not.
        #[test]
        fn approvals_stay_within_the_limit(
            steps in prop::collection::vec((0_u8..4, 0_usize..3, any::<prop::sample::Index>()), 1..80),
            lru in any::<bool>(),
            rotate in any::<bool>(),
        ) {
            let users = ["a@b.example", "c@d.example", "e@f.example"];
            let mut auth = auth(if lru { Evict::LeastRecentlyUsed } else { Evict::Oldest });
            let mut tokens: Vec<String> = Vec::new();
            for (second, (step, user, which)) in (0..).zip(steps) {
                let known = (!tokens.is_empty()).then(|| tokens[which.index(tokens.len())].clone());
                match (step, known) {
                    (0, _) | (_, None) => {
                        let granted = auth.grant_code(users[user], SCOPE, at(second));
                        tokens.push(granted.refresh_token.unwrap());
                    }
                    (3, Some(token)) => {
                        let alive = auth.approval_of(&token).is_some();
                        prop_assert_eq!(auth.revoke(&token), alive);
                    }
                    (_, Some(token)) => {
                        let alive = auth.approval_of(&token).is_some();
                        let granted = auth.refresh(&token, rotate, at(second));
                        prop_assert_eq!(granted.is_ok(), alive);
                        tokens.extend(granted.ok().and_then(|granted| granted.refresh_token));
                    }
                }
                for user in users {
                    prop_assert!(auth.approvals.iter().filter(|approval| approval.user == user).count() <= 5);
                }
                for session in auth.sessions.values() {
                    prop_assert!(auth.approvals.iter().any(|approval| Some(approval.id) == session.approval));
                }
            }
        }
    }

    #[test]
    fn access_tokens_expire_and_direct_grants_repeat_the_valid_one() {
        let mut auth = auth(Evict::Oldest);
        let one = auth.grant_direct("a@b.example", "api", at(0));
        assert_eq!(auth.grant_direct("a@b.example", "api", at(10)).token, one.token);
        assert!(auth.session(&one.token, at(7_199)).is_some());
        assert!(auth.session(&one.token, at(7_200)).is_none());
        assert_ne!(auth.grant_direct("a@b.example", "api", at(7_200)).token, one.token);
    }
}

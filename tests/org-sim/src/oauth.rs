//! Who may reach the org: authorisation codes, approvals with their refresh tokens, and access tokens.
//!
//! Plain state with time passed in; `oauth_authorize`, `oauth_token` and `oauth_user` put it on the wire.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::RngExt;
use rand::distr::Alphanumeric;
use serde::{Deserialize, Serialize};

use crate::config::{Evict, RefreshPolicy, SimConfig};

/// How long an authorisation code can be exchanged.
const CODE_LIFE: SignedDuration = SignedDuration::from_mins(15);
/// Tokens and codes that are remembered.
const EVER: usize = 100_000;
/// Consent pages left open and codes never exchanged are bounded.
const OPEN_REQUESTS: usize = 1_000;

/// What an authorise request asked for, kept until the user decides and the code is exchanged.
#[derive(Debug, Clone)]
pub(crate) struct AuthorizeRequest {
    pub(crate) redirect_uri: String,
    pub(crate) scope: String,
    pub(crate) state: Option<String>,
    pub(crate) challenge: Option<String>,
    /// The approval that counts since its page was opened, where such are counted.
    pub(crate) started: Option<u64>,
}

#[derive(Debug)]
struct Code {
    request: AuthorizeRequest,
    user: String,
    made: Timestamp,
}

/// Why an approval ends that its owner did not give back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// An administrator or the user revoked it.
    Revoked,
    /// The user's password was changed.
    PasswordChanged,
    /// The user was deactivated.
    UserDeactivated,
}

impl Loss {
    /// What the token endpoint says of it.
    pub(crate) fn words(self) -> (&'static str, &'static str) {
        match self {
            Loss::Revoked => ("invalid_grant", "expired access/refresh token"),
            Loss::PasswordChanged => ("invalid_grant", "authentication failure"),
            Loss::UserDeactivated => ("inactive_user", "user is inactive"),
        }
    }
}

/// One approval: a user let the app in, and a refresh token stands for it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Approval {
    pub(crate) id: u64,
    pub(crate) app: String,
    pub(crate) user: String,
    /// False while the consent was started and not finished.
    pub(crate) given: bool,
    pub(crate) scope: String,
    pub(crate) made: Timestamp,
    pub(crate) last_used: Timestamp,
    pub(crate) refreshes: u64,
    #[serde(skip)]
    refresh_token: String,
    #[serde(skip)]
    used_up: Vec<String>,
}

impl Approval {
    /// Its refresh token; empty while there is none.
    pub(crate) fn token(&self) -> &str {
        &self.refresh_token
    }
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
    /// Ended for a reason that the answer tells.
    Lost(Loss),
}

/// All authorisations of the org.
#[derive(Debug)]
pub(crate) struct Auth {
    org_id_15: String,
    app: String,
    life: SignedDuration,
    policy: RefreshPolicy,
    max_approvals: usize,
    evict: Evict,
    list_hidden: bool,
    pending: HashMap<String, AuthorizeRequest>,
    codes: HashMap<String, Code>,
    approvals: Vec<Approval>,
    last_approval: u64,
    sessions: HashMap<String, Session>,
    /// Refresh tokens that ended for a reason that the answer tells.
    lost: HashMap<String, Loss>,
    /// Every token and code there ever was, for tests that look for them where they must not be.
    ever: Vec<String>,
}

impl Auth {
    pub(crate) fn new(org_id: &str, config: &SimConfig) -> Self {
        Auth {
            org_id_15: org_id.get(..15).unwrap_or(org_id).to_owned(),
            app: config.app_name.clone(),
            life: SignedDuration::try_from(config.access_token_life).unwrap_or(SignedDuration::MAX),
            policy: config.refresh_policy,
            max_approvals: config.max_approvals,
            evict: config.evict,
            list_hidden: false,
            pending: HashMap::new(),
            codes: HashMap::new(),
            approvals: Vec::new(),
            last_approval: 0,
            sessions: HashMap::new(),
            lost: HashMap::new(),
            ever: Vec::new(),
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
        self.remember(&text);
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

    /// Turns an exchanged code into tokens. `started` is the approval that counts since the consent was asked for; else
    /// a new one is made. One beyond the user's limit evicts another without a word.
    pub(crate) fn grant_code(
        &mut self,
        user: &str,
        scope: &str,
        started: Option<u64>,
        now: Timestamp,
    ) -> Granted {
        if !scope.split(' ').any(|scope| matches!(scope, "refresh_token" | "offline_access")) {
            return Granted { session: self.mint(user, scope, None, now), refresh_token: None };
        }
        let refresh_token = refresh_token_text();
        self.remember(&refresh_token);
        // Another user may have finished it than was expected, and it may have been evicted meanwhile.
        let counts = |one: &&mut Approval| Some(one.id) == started && one.user == user;
        let id = match self.approvals.iter_mut().find(counts) {
            Some(approval) => approval.id,
            None => {
                let app = self.app.clone();
                self.approve(user, &app, scope, now)
            }
        };
        if let Some(approval) = self.approvals.iter_mut().find(|one| one.id == id) {
            approval.given = true;
            approval.scope = scope.to_owned();
            approval.last_used = now;
            approval.refresh_token.clone_from(&refresh_token);
        }
        let session = self.mint(user, scope, Some(id), now);
        Granted { session, refresh_token: Some(refresh_token) }
    }

    /// A consent is asked for, and counts from now on.
    pub(crate) fn start(&mut self, user: &str, scope: &str, now: Timestamp) -> u64 {
        let app = self.app.clone();
        self.approve(user, &app, scope, now)
    }

    /// Another program gets an approval, of our app or of one of its own.
    pub(crate) fn approve_elsewhere(&mut self, user: &str, app: Option<&str>, now: Timestamp) {
        let app = app.unwrap_or(&self.app).to_owned();
        let id = self.approve(user, &app, "api refresh_token", now);
        if let Some(approval) = self.approvals.iter_mut().find(|one| one.id == id) {
            approval.given = true;
            approval.refresh_token = refresh_token_text();
        }
    }

    fn approve(&mut self, user: &str, app: &str, scope: &str, now: Timestamp) -> u64 {
        while let Some(id) = self.next_evicted_of(user, app) {
            self.end_approval(id);
        }
        self.last_approval += 1;
        self.approvals.push(Approval {
            id: self.last_approval,
            app: app.to_owned(),
            user: user.to_owned(),
            given: false,
            scope: scope.to_owned(),
            made: now,
            last_used: now,
            refreshes: 0,
            refresh_token: String::new(),
            used_up: Vec::new(),
        });
        self.last_approval
    }

    /// The approval that one more of our app would end, if the user has as many as allowed.
    pub(crate) fn next_evicted(&self, user: &str) -> Option<u64> {
        self.next_evicted_of(user, &self.app)
    }

    fn next_evicted_of(&self, user: &str, app: &str) -> Option<u64> {
        let of_user = || self.approvals.iter().filter(|one| one.user == user && one.app == app);
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
        if let Some(loss) = self.lost.get(token) {
            return Err(RefreshRefusal::Lost(*loss));
        }
        let policy = self.policy;
        let over = |since: Timestamp, most: Duration| {
            let most = SignedDuration::try_from(most).unwrap_or(SignedDuration::MAX);
            now.duration_since(since) > most
        };
        let expired = |one: &Approval| match policy {
            RefreshPolicy::Forever => false,
            RefreshPolicy::Idle(most) => over(one.last_used, most),
            RefreshPolicy::Life(most) => over(one.made, most),
        };
        if let Some(id) = self.approval_of(token).filter(|one| expired(one)).map(|one| one.id) {
            self.end_approval(id);
            return Err(RefreshRefusal::Unknown);
        }
        if let Some(id) =
            self.approvals.iter().find(|a| a.used_up.iter().any(|old| old == token)).map(|a| a.id)
        {
            self.end_approval(id);
            return Err(RefreshRefusal::Replayed);
        }
        let approval = self
            .approvals
            .iter_mut()
            .find(|a| a.given && a.refresh_token == token)
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
        if let Some(token) = &refresh_token {
            self.remember(token);
        }
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
        self.remember(&session.token);
        session
    }

    fn remember(&mut self, secret: &str) {
        if self.ever.len() < EVER {
            self.ever.push(secret.to_owned());
        }
    }

    /// Every token and code that was given since the start, the first 100,000.
    pub(crate) fn ever(&self) -> &[String] {
        &self.ever
    }

    /// Whether nobody may see the list of approvals.
    pub(crate) fn list_hidden(&self) -> bool {
        self.list_hidden
    }

    pub(crate) fn hide_list(&mut self, hidden: bool) {
        self.list_hidden = hidden;
    }

    /// The approvals that somebody may see, oldest first.
    pub(crate) fn list(&self, visible: impl Fn(&Approval) -> bool) -> Vec<Approval> {
        self.approvals.iter().filter(|one| visible(one)).cloned().collect()
    }

    /// Ends every approval of our app by a user, or by all, for this reason; gives how many.
    pub(crate) fn lose(&mut self, user: Option<&str>, loss: Loss) -> usize {
        if loss != Loss::Revoked {
            let app = self.app.clone();
            let gone = self.approvals.iter().filter(|one| one.app == app);
            let gone = gone.filter(|one| user.is_none_or(|user| one.user == user));
            self.lost.extend(gone.map(|one| (one.refresh_token.clone(), loss)));
        }
        self.revoke_all(user)
    }

    /// The session of an access token that still works.
    pub(crate) fn session(&self, token: &str, now: Timestamp) -> Option<&Session> {
        self.sessions.get(token).filter(|session| now < session.expires)
    }

    /// Whether this org has made an access token, however long ago.
    pub(crate) fn made(&self, token: &str) -> bool {
        token.strip_prefix(self.org_id_15.as_str()).is_some_and(|rest| rest.starts_with("!AQ"))
    }

    /// The approval of a refresh token that still works.
    pub(crate) fn approval_of(&self, refresh_token: &str) -> Option<&Approval> {
        self.approvals.iter().find(|one| one.given && one.refresh_token == refresh_token)
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

    /// Ends every approval of our app by a user, or by all; gives how many.
    pub(crate) fn revoke_all(&mut self, user: Option<&str>) -> usize {
        let ids: Vec<u64> = self
            .approvals
            .iter()
            .filter(|a| a.app == self.app)
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
#[path = "oauth_tests.rs"]
mod tests;

//! How an org is set up: who may connect, how large it is, what it limits.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

pub use crate::clock::ClockMode;
use crate::org::Sizes;

/// Which approval ends when a user makes one too many. Salesforce's own pages disagree, so it is a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Evict {
    /// The one that was made first.
    #[default]
    Oldest,
    /// The one whose refresh token was used the longest time ago.
    LeastRecentlyUsed,
}

/// How long a refresh token lives: the connected app's policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RefreshPolicy {
    /// Until it is revoked.
    #[default]
    Forever,
    /// Until it was not used for so long.
    Idle(Duration),
    /// For so long.
    Life(Duration),
}

/// Everything that can be chosen when an org starts; the default is an org that answers as a Developer Edition does.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// The same seed and sizes give the same records on every machine.
    pub seed: u64,
    /// How many records each object starts with.
    pub sizes: Sizes,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Grants every authorisation at once, without the consent page.
    pub auto_approve: bool,
    /// Gives a new refresh token on every refresh; replaying an old one ends the approval.
    pub rotate_refresh_tokens: bool,
    /// How long an access token works.
    pub access_token_life: Duration,
    /// How long a refresh token works.
    pub refresh_policy: RefreshPolicy,
    /// API calls that the org allows in any 24 hours.
    pub daily_limit: u64,
    /// The most records in one answer, whatever was asked for.
    pub page_cap: usize,
    /// The connected app's consumer key.
    pub client_id: String,
    /// The connected app's consumer secret, until it is rotated.
    pub client_secret: String,
    /// The connected app's label, as it stands in OauthToken.
    pub app_name: String,
    /// Refuses the code and refresh grants without the consumer secret.
    pub require_secret: bool,
    /// Refuses an authorisation without a PKCE challenge.
    pub require_pkce: bool,
    /// The integration user: approves by default, and is who the client-credentials grant runs as.
    pub username: String,
    /// Further users who can approve on the consent page, or by `login_hint`.
    pub more_usernames: Vec<String>,
    /// Users of another org who log in at the same host; they can approve as well.
    pub foreign_usernames: Vec<String>,
    /// Users who may see everybody's tokens in OauthToken; the others see their own.
    pub token_admins: Vec<String>,
    /// The certificate's public key (PEM) that signed assertions are checked with; without it none is accepted.
    pub jwt_public_key_pem: Option<String>,
    /// How many approvals one user can have; one more evicts one, silently.
    pub max_approvals: usize,
    /// Which one is evicted.
    pub evict: Evict,
    /// Counts a consent from the moment when its page is opened, whether the user finishes it or not.
    pub count_started: bool,
    /// Counts a call that is answered with 401 for an access token of this org that works no longer. Salesforce does not say
    /// whether it does.
    pub count_ended_sessions: bool,
    /// Compresses answers for clients that ask for gzip.
    pub gzip: bool,
    /// How many calls the usage header lags behind the true count.
    pub limit_header_lag: u64,
    /// Waits this long before every answer.
    pub latency: Duration,
    /// Asked for on `/__sim/` as `Authorization: Bearer`, if set.
    pub control_token: Option<String>,
    /// Where the org's time comes from.
    pub clock: ClockMode,
    /// The most bytes of rendered pages kept for the next reader; 0 keeps none.
    pub page_cache_bytes: usize,
}

impl Default for SimConfig {
    fn default() -> Self {
        SimConfig {
            seed: 1,
            sizes: Sizes::demo(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            auto_approve: false,
            rotate_refresh_tokens: false,
            access_token_life: Duration::from_secs(2 * 60 * 60),
            refresh_policy: RefreshPolicy::Forever,
            daily_limit: 15_000,
            page_cap: 2_000,
            client_id: "3MVG9kilofoldSimulatedConsumerKey".to_owned(),
            client_secret: "5IMULATEDC0N5UMER5ECRET".to_owned(),
            app_name: "kilofold".to_owned(),
            require_secret: true,
            require_pkce: false,
            username: "integration@kilofold.example".to_owned(),
            more_usernames: Vec::new(),
            foreign_usernames: Vec::new(),
            token_admins: Vec::new(),
            jwt_public_key_pem: None,
            max_approvals: 5,
            evict: Evict::Oldest,
            count_started: false,
            count_ended_sessions: true,
            gzip: true,
            limit_header_lag: 0,
            latency: Duration::ZERO,
            control_token: None,
            clock: ClockMode::System,
            page_cache_bytes: 256 << 20,
        }
    }
}

impl SimConfig {
    /// Every user who can approve, the integration user first.
    pub(crate) fn usernames(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.username.as_str())
            .chain(self.more_usernames.iter().map(String::as_str))
            .chain(self.foreign_usernames.iter().map(String::as_str))
    }

    pub(crate) fn knows_user(&self, username: &str) -> bool {
        self.usernames().any(|known| known == username)
    }
}

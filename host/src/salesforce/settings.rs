//! What the configuration says of an org and its connections.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;

use super::http::Timeouts;
use super::retry::Policy;
use crate::model::ConnectionName;

/// One org.
#[derive(Debug, Clone)]
pub struct OrgSettings {
    /// Where to log in: `login.salesforce.com`, `test.salesforce.com`, a My Domain host, or a loopback address.
    pub login: String,
    /// Further hosts that may see credentials, as `name` or `name:port`.
    pub allowed_hosts: Vec<String>,
    /// The API's version, for example `62.0`.
    pub version: String,
    /// Its connections.
    pub connections: Vec<ConnectionSettings>,
    /// How long parts of a request may take.
    pub timeouts: Timeouts,
    /// How requests are made again.
    pub retry: Policy,
    /// The most bytes of one answer, unpacked.
    pub answer_cap: u64,
    /// How long a describe is used without asking whether it has changed.
    pub describe_age: Duration,
}

impl OrgSettings {
    /// The usual settings, for this login host and these connections.
    pub fn new(login: impl Into<String>, connections: Vec<ConnectionSettings>) -> Self {
        Self {
            login: login.into(),
            allowed_hosts: Vec::new(),
            version: "62.0".to_owned(),
            connections,
            timeouts: Timeouts::default(),
            retry: Policy::default(),
            answer_cap: 64 << 20,
            describe_age: Duration::from_secs(6 * 60 * 60),
        }
    }
}

/// One connection.
#[derive(Debug, Clone)]
pub struct ConnectionSettings {
    /// Its name.
    pub name: ConnectionName,
    /// The app's consumer key.
    pub client_id: String,
    /// How it is authorised.
    pub grant: Grant,
}

/// How a connection is authorised.
#[derive(Clone)]
pub enum Grant {
    /// A user consents once in the browser (authorization code with PKCE); a refresh token is kept.
    Code {
        /// The app's secret, for apps that want one.
        secret: Option<SecretString>,
        /// The name of the user who approves; anybody when none.
        user: Option<String>,
        /// The app's label in Salesforce's list of tokens; recognised when none.
        app: Option<String>,
        /// Approvals of this app and user that other programs hold.
        elsewhere: usize,
    },
    /// The app acts as the user that its policies name.
    ClientCredentials {
        /// The app's secret.
        secret: SecretString,
    },
    /// The app signs for a user (JWT bearer).
    Jwt {
        /// The user's name.
        user: String,
        /// The RSA private key, as PEM.
        key: SecretString,
        /// The audience; none: `https://login.salesforce.com`, or `https://test.salesforce.com` for sandboxes.
        audience: Option<String>,
    },
}

impl Grant {
    /// The consent of any user, with nothing known of other programs.
    pub fn code(secret: Option<SecretString>) -> Self {
        Self::Code { secret, user: None, app: None, elsewhere: 0 }
    }

    /// The grant in a few words, as tables show it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Code { .. } => "authorization-code",
            Self::ClientCredentials { .. } => "client-credentials",
            Self::Jwt { .. } => "jwt-bearer",
        }
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

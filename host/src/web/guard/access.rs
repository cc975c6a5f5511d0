//! The secrets that open: tokens of programs, passwords of people, each for one role.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use secrecy::{ExposeSecret, SecretString};

use super::{Hash, Role, same, text};
use crate::config::{self, WebConfig};

/// The shortest token that guards an address which others can reach.
const SHORTEST: usize = 16;

/// Why the secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One cannot be read.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// What should be the hash of a password is something else.
    #[error("{place} holds no hash of a password")]
    Hash {
        /// Where it was read.
        place: String,
    },
    /// A token that others could guess.
    #[error(
        "{place} holds a token of {length} characters, and {address} can be reached from elsewhere"
    )]
    Weak {
        /// Where it was read.
        place: String,
        /// Its length.
        length: usize,
        /// Where is listened.
        address: std::net::SocketAddr,
    },
}

impl Error {
    /// A stable code, for `kilofold explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(error) => error.code(),
            Self::Hash { .. } => "web.password-hash",
            Self::Weak { .. } => "web.weak-token",
        }
    }
}

/// What callers may show to be let in. Without any, everybody is, which only a loopback address allows.
#[derive(Debug, Clone, Default)]
pub struct Access {
    tokens: Vec<(Role, SecretString)>,
    passwords: Vec<(Role, Hash)>,
}

impl Access {
    /// What the configuration says; reads the secrets.
    pub fn read(web: &WebConfig) -> Result<Self, Error> {
        let mut access = Self::default();
        for (role, token) in [(Role::Operate, &web.token), (Role::View, &web.view_token)] {
            let Some(place) = token else { continue };
            let token = place.read()?;
            let length = token.expose_secret().chars().count();
            if length < SHORTEST && !web.listen.ip().is_loopback() {
                let (place, address) = (place.to_string(), web.listen);
                return Err(Error::Weak { place, length, address });
            }
            access.tokens.push((role, token));
        }
        for (role, hash) in [(Role::Operate, &web.password), (Role::View, &web.view_password)] {
            let Some(place) = hash else { continue };
            let text = place.read()?;
            let hash = Hash::parse(text.expose_secret())
                .ok_or_else(|| Error::Hash { place: place.to_string() })?;
            access.passwords.push((role, hash));
        }
        Ok(access)
    }

    /// The same, with one token more.
    #[must_use]
    pub fn with_token(mut self, role: Role, token: SecretString) -> Self {
        self.tokens.push((role, token));
        self
    }

    /// The same, with one password more.
    #[must_use]
    pub fn with_password(mut self, role: Role, password: Hash) -> Self {
        self.passwords.push((role, password));
        self
    }

    /// Whether everybody is let in.
    pub fn is_open(&self) -> bool {
        self.tokens.is_empty() && self.passwords.is_empty()
    }

    /// What the bearer of this token may do. All are compared, so that time tells nothing.
    pub(super) fn role_of(&self, token: &[u8]) -> Option<Role> {
        let fits = |known: &SecretString| same(token, known.expose_secret().as_bytes());
        self.tokens.iter().filter(|(_, known)| fits(known)).map(|(role, _)| *role).max()
    }

    /// What a person may do who enters this; a token serves as well. Slow on purpose, so it blocks.
    pub(super) fn role_of_person(&self, entered: &str) -> Option<Role> {
        let by_token = self.role_of(entered.as_bytes());
        let by_password = self.passwords.iter().filter(|(_, hash)| hash.fits(entered));
        by_password.map(|(role, _)| *role).chain(by_token).max()
    }
}

/// The token of a request: as a bearer token, or as the password beside any name (`curl -u any:TOKEN`).
pub(super) fn bearer(headers: &HeaderMap) -> Option<Vec<u8>> {
    let (scheme, value) = text(headers, &header::AUTHORIZATION)?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().as_bytes().to_vec());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = base64::engine::general_purpose::STANDARD.decode(value.trim()).ok()?;
    let colon = pair.iter().position(|&c| c == b':')?;
    Some(pair[colon + 1..].to_vec())
}

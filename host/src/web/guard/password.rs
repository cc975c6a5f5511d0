//! Passwords as they are kept: argon2id in the usual PHC text, so that the file which holds it opens nothing.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use secrecy::{ExposeSecret, SecretString};

/// A password that may be entered, as its hash.
#[derive(Clone)]
pub struct Hash(PasswordHash);

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hash")
    }
}

impl Hash {
    /// Reads a hash of argon2id; none when the text is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let hash = PasswordHash::new(text).ok()?;
        let whole = hash.hash.is_some() && hash.salt.is_some();
        (whole && text.starts_with("$argon2id$")).then_some(Self(hash))
    }

    /// Whether this is the password. Takes some tens of milliseconds and 19 MiB on purpose.
    pub fn fits(&self, password: &str) -> bool {
        Argon2::default().verify_password(password.as_bytes(), &self.0).is_ok()
    }
}

/// The hash of a password, with a salt of its own; none when the system has no randomness to give.
pub fn hash(password: &SecretString) -> Option<String> {
    let hashed = Argon2::default().hash_password(password.expose_secret().as_bytes());
    hashed.ok().map(|hash| hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_opens_to_its_password_only() {
        let text = hash(&"correct horse".into()).unwrap();
        let kept = Hash::parse(&text).unwrap();
        assert!(kept.fits("correct horse") && !kept.fits("correct horse ") && !kept.fits(""));
        assert_ne!(text, hash(&"correct horse".into()).unwrap(), "salted");
        assert!(!format!("{kept:?}").contains("argon2"));
    }

    #[test]
    fn other_texts_are_no_hashes() {
        for text in
            ["correct horse", "", "$argon2id$", "$argon2id$v=19$m=19456,t=2,p=1", "$2b$12$x"]
        {
            assert!(Hash::parse(text).is_none(), "{text}");
        }
    }
}

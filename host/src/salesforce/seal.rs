//! Seals tokens for their rest on disk: XChaCha20-Poly1305 under a key that lies elsewhere.

use std::fmt;
use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::Rng as _;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::Error;

/// The form of a sealed text: this byte, the nonce, the ciphertext.
const FORM: u8 = 1;
const NONCE: usize = 24;
const KEY: usize = 32;

/// The key that tokens are sealed with. It is wiped from memory when it goes and never printed.
#[derive(Clone)]
pub struct SealKey(Zeroizing<[u8; KEY]>);

impl SealKey {
    /// A new key, for example for tests.
    pub fn random() -> Self {
        let mut key = Zeroizing::new([0; KEY]);
        rand::rng().fill_bytes(key.as_mut());
        Self(key)
    }

    /// The key in `path`, which only its owner may read; made there when there is no such file.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let place = path.display().to_string();
        let bad = |why: String| Error::Key { place: place.clone(), why };
        match std::fs::read(path) {
            Ok(text) => {
                let text = Zeroizing::new(text);
                only_owner(path).map_err(bad)?;
                let text =
                    std::str::from_utf8(&text).map_err(|_| bad("it is not text".to_owned()))?;
                Self::from_base64(text).map_err(bad)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key = Self::random();
                key.write(path).map_err(|error| bad(error.to_string()))?;
                Ok(key)
            }
            Err(error) => Err(bad(error.to_string())),
        }
    }

    /// The key in an environment variable: 32 bytes in Base64.
    pub fn from_env(variable: &str) -> Result<Self, Error> {
        let bad = |why: String| Error::Key { place: variable.to_owned(), why };
        let text =
            std::env::var(variable).map(Zeroizing::new).map_err(|error| bad(error.to_string()))?;
        Self::from_base64(&text).map_err(bad)
    }

    /// The key that was read from this place: 32 bytes in Base64.
    pub fn from_text(place: &str, text: &SecretString) -> Result<Self, Error> {
        let bad = |why: String| Error::Key { place: place.to_owned(), why };
        Self::from_base64(text.expose_secret()).map_err(bad)
    }

    fn from_base64(text: &str) -> Result<Self, String> {
        let mut key = Zeroizing::new([0; KEY]);
        let read =
            base64::engine::general_purpose::STANDARD.decode(text.trim()).map(Zeroizing::new);
        match read {
            Ok(bytes) if bytes.len() == KEY => {
                key.copy_from_slice(&bytes);
                Ok(Self(key))
            }
            _ => Err("32 bytes in Base64 are wanted".to_owned()),
        }
    }

    fn write(&self, path: &Path) -> std::io::Result<()> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        let text = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(&self.0[..]));
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        // Without this a power cut may take the file's name away, and with it every token.
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    /// Seals `plain` for the place `name`; it can be opened for that place only.
    pub fn seal(&self, name: &str, plain: &[u8]) -> Result<Vec<u8>, String> {
        let mut nonce = [0; NONCE];
        rand::rng().fill_bytes(&mut nonce);
        let payload = Payload { msg: plain, aad: name.as_bytes() };
        let text = self
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| "sealing failed".to_owned())?;
        let mut sealed = Vec::with_capacity(1 + NONCE + text.len());
        sealed.push(FORM);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&text);
        Ok(sealed)
    }

    /// Opens what was sealed for the place `name`.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        let (form, rest) = sealed.split_first().ok_or("it is empty")?;
        if *form != FORM {
            return Err(format!("it has the unknown form {form}"));
        }
        let (nonce, text) = rest.split_first_chunk::<NONCE>().ok_or("it is too short")?;
        let payload = Payload { msg: text, aad: name.as_bytes() };
        let plain = self.cipher().decrypt(&XNonce::from(*nonce), payload);
        plain
            .map(Zeroizing::new)
            .map_err(|_| "it is damaged, or was sealed with another key".to_owned())
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(hidden)")
    }
}

#[cfg(unix)]
fn only_owner(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).map_err(|error| error.to_string())?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(format!("others may read it (mode {:03o}); say chmod 600", mode & 0o777))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same form on every system")]
fn only_owner(_: &Path) -> Result<(), String> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_what_it_sealed_for_that_place() {
        let key = SealKey::random();
        let sealed = key.seal("connection/main", b"token").unwrap();
        assert!(!sealed.windows(5).any(|part| part == b"token"));
        assert_eq!(key.open("connection/main", &sealed).unwrap().as_slice(), b"token");
        assert_ne!(sealed, key.seal("connection/main", b"token").unwrap());
        assert!(key.open("connection/other", &sealed).is_err());
        assert!(SealKey::random().open("connection/main", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(key.open("connection/main", &damaged).is_err(), "byte {at}");
            assert!(key.open("connection/main", &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_key_file_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/seal.key");
        let key = SealKey::from_file(&path).unwrap();
        let again = SealKey::from_file(&path).unwrap();
        assert_eq!(again.open("x", &key.seal("x", b"y").unwrap()).unwrap().as_slice(), b"y");
        assert!(!format!("{key:?}").contains(&std::fs::read_to_string(&path).unwrap().trim()[..8]));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            let error = SealKey::from_file(&path).unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{error}");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        std::fs::write(&path, "short").unwrap();
        assert!(SealKey::from_file(&path).is_err());
    }
}

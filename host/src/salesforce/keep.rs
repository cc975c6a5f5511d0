//! What rests on disk of a connection: its tokens, sealed, and the answer that has just come.
//!
//! A refresh token that rotates is used up when Salesforce answers, so the answer is the only place where its successor
//! is. It is put down ([`Vault::note`]) before it is even read: one write of a small file, which a killed process does
//! not take with it. Only then it is understood, checked, saved durably and used. What a kill can still hit is the time
//! from Salesforce's rotation until that write has returned: the answer's way through the network, and some 50
//! microseconds here. (A power cut can hit the milliseconds until the durable save as well.) What is lost then cannot
//! be had again by anybody; that it was under way is on disk, so that the user is told so and not left to guess.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::auth::Granted;
use super::connection::Connection;
use super::org::Shared;
use super::{Error, SealKey};
use crate::model::ConnectionName;

/// Keeps texts by name: tokens only sealed. Functions may block.
pub trait Vault: Send + Sync {
    /// What was last saved under this name.
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, String>;
    /// Saves; durable when it returns.
    fn save(&self, name: &str, text: &[u8]) -> Result<(), String>;
    /// Puts a text down as quickly as can be: it outlives this process from the moment when this returns, but perhaps
    /// not a power cut. An empty text takes it away.
    fn note(&self, name: &str, text: &[u8]) -> Result<(), String>;
    /// What was last put down under this name and not taken away.
    fn noted(&self, name: &str) -> Result<Option<Vec<u8>>, String>;
    /// Keeps an answer that saves calls; it need not be durable at once, nor at all.
    fn keep_answer(&self, _name: &str, _answer: &[u8]) -> Result<(), String> {
        Ok(())
    }
    /// The answer that was kept under this name.
    fn kept_answer(&self, _name: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }
}

/// The tokens of a connection and what is known of them.
#[derive(Default, Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct Kept {
    pub access_token: String,
    pub refresh_token: Option<String>,
    pub instance: String,
    pub org_id: Option<String>,
    pub user_id: Option<String>,
    pub user: Option<String>,
    /// When it was last authorised by a person, or first minted.
    pub authorised: i64,
    /// Salesforce's words when it refused it: it must be authorised again.
    pub dead: Option<String>,
    /// What probably led to that.
    #[serde(default)]
    pub cause: Option<String>,
    /// When the last token came.
    #[serde(default)]
    pub renewed: i64,
    /// Its entry in the list of approvals.
    #[serde(default)]
    pub approval: Option<u64>,
}

impl Kept {
    /// As JSON. The room is enough from the start, so that no copy of a token is left behind where it grew.
    pub(super) fn json(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        let texts = [
            Some(&self.access_token),
            self.refresh_token.as_ref(),
            Some(&self.instance),
            self.org_id.as_ref(),
            self.user_id.as_ref(),
            self.user.as_ref(),
            self.dead.as_ref(),
            self.cause.as_ref(),
        ];
        // A byte may become six: \u001f.
        let room = texts.into_iter().flatten().map(|text| 6 * text.len()).sum::<usize>() + 512;
        let mut text = Zeroizing::new(Vec::with_capacity(room));
        serde_json::to_writer(&mut *text, self).map_err(|error| error.to_string())?;
        Ok(text)
    }
}

/// Where a connection's tokens lie in the vault; what is noted of them has the same name.
pub(super) fn place(name: &ConnectionName) -> String {
    format!("connection/{name}")
}

/// What is put down around a token request.
pub(super) enum Noted {
    /// It was sent, and no answer had come.
    Asked,
    /// It was answered so, and the answer was not saved.
    Answered(Box<Granted>),
}

/// A token in a form that tells nothing of it, to know it again.
fn mark(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl Noted {
    const ASKED: u8 = 1;
    const ANSWERED: u8 = 2;

    /// Reads a note, if it belongs to these tokens: once its answer is saved, they are others.
    fn read(
        note: &[u8],
        key: &SealKey,
        name: &ConnectionName,
        kept: Option<&Kept>,
    ) -> Option<Self> {
        let plain = key.open(&place(name), note).ok()?;
        let (&form, rest) = plain.split_first()?;
        let (belongs, answer) = rest.split_first_chunk::<32>()?;
        let token = kept?.refresh_token.as_deref()?;
        if *belongs != mark(token) {
            return None;
        }
        match form {
            Self::ASKED => Some(Self::Asked),
            Self::ANSWERED => Some(Self::Answered(Box::new(Granted::read(answer, false).ok()?))),
            _ => None,
        }
    }
}

impl Shared {
    /// What the vault has of a connection, and what was under way when the last process ended.
    pub(super) fn kept(
        &self,
        name: &ConnectionName,
    ) -> Result<(Option<Kept>, Option<Noted>), Error> {
        let vault = |why| Error::Vault { connection: name.clone(), why };
        let place = place(name);
        let sealed = self.vault.load(&place).map_err(vault)?.filter(|sealed| !sealed.is_empty());
        let kept: Option<Kept> = match sealed {
            None => None,
            Some(sealed) => {
                let key = |why| Error::Key { place: place.clone(), why };
                let plain = self.key.open(&place, &sealed).map_err(key)?;
                Some(serde_json::from_slice(&plain).map_err(|error| vault(error.to_string()))?)
            }
        };
        let note = self.vault.noted(&place).map_err(vault)?;
        let noted = note.and_then(|note| Noted::read(&note, &self.key, name, kept.as_ref()));
        Ok((kept, noted))
    }

    /// Puts down that a refresh of this token is about to be asked for.
    pub(super) fn note_asking(&self, name: &ConnectionName, token: &str) {
        self.note(name, Noted::ASKED, token, &[]);
    }

    /// Puts down the answer to a refresh of this token, before anything else is done with it.
    pub(super) fn note_answer(&self, name: &ConnectionName, token: &str, answer: &[u8]) {
        self.note(name, Noted::ANSWERED, token, answer);
    }

    /// Blocks for a write into the system's memory: handing it to another thread would take longer than that.
    fn note(&self, name: &ConnectionName, form: u8, token: &str, answer: &[u8]) {
        let mut plain = Zeroizing::new(Vec::with_capacity(33 + answer.len()));
        plain.push(form);
        plain.extend_from_slice(&mark(token));
        plain.extend_from_slice(answer);
        let place = place(name);
        let noted =
            self.key.seal(&place, &plain).and_then(|sealed| self.vault.note(&place, &sealed));
        if let Err(error) = noted {
            // The durable save that follows may still do well.
            tracing::warn!(connection = %name, %error, "the token answer could not be put down at once");
        }
    }

    /// Saves a connection's tokens, durably, and takes away what was put down before.
    pub(super) async fn save(&self, connection: &Connection, kept: &Kept) -> Result<(), Error> {
        let name = &connection.settings.name;
        let bad = |why| Error::Vault { connection: name.clone(), why };
        let place = place(name);
        let sealed = self.key.seal(&place, &kept.json().map_err(bad)?).map_err(bad)?;
        self.put(name, place, sealed).await
    }

    /// Saves these bytes for a connection; empty ones forget it.
    pub(super) async fn put(
        &self,
        name: &ConnectionName,
        place: String,
        bytes: Vec<u8>,
    ) -> Result<(), Error> {
        let vault = self.vault.clone();
        let saved = tokio::task::spawn_blocking(move || {
            vault.save(&place, &bytes)?;
            vault.note(&place, &[])
        });
        saved
            .await
            .map_err(|error| error.to_string())
            .and_then(|saved| saved)
            .map_err(|why| Error::Vault { connection: name.clone(), why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_does_not_outgrow_its_room() {
        let odd = "\u{1}\u{1f}\"\\é".repeat(200);
        let text = || Some(odd.clone());
        let kept = Kept {
            access_token: odd.clone(),
            refresh_token: text(),
            instance: odd.clone(),
            org_id: text(),
            user_id: text(),
            user: text(),
            authorised: i64::MIN,
            dead: text(),
            cause: text(),
            renewed: i64::MIN,
            approval: Some(u64::MAX),
        };
        let json = kept.json().unwrap();
        let again: Kept = serde_json::from_slice(&json).unwrap();
        assert_eq!(again.refresh_token, kept.refresh_token);
        let room = json.capacity();
        assert!(json.len() <= room && room >= 8 * 6 * odd.len(), "it never moved");
    }

    #[test]
    fn an_older_kilofolds_tokens_are_read() {
        let json = r#"{"access_token":"a","refresh_token":"r","instance":"i","org_id":null,"user_id":null,"user":"u","authorised":5,"dead":null}"#;
        let kept: Kept = serde_json::from_str(json).unwrap();
        assert_eq!((kept.renewed, kept.approval, kept.cause.as_deref()), (0, None, None));
    }

    #[test]
    fn a_note_is_read_for_the_tokens_that_it_replaces_only() {
        let (key, name) = (SealKey::random(), ConnectionName::new("main").unwrap());
        let kept = |token: &str| {
            let mut kept = Kept::default();
            kept.refresh_token = Some(token.to_owned());
            kept
        };
        let mut plain = vec![Noted::ANSWERED];
        plain.extend(mark("old"));
        plain.extend(br#"{"access_token":"a","refresh_token":"new"}"#);
        let note = key.seal(&place(&name), &plain).unwrap();
        let read = |kept: Option<&Kept>| Noted::read(&note, &key, &name, kept);
        let Some(Noted::Answered(granted)) = read(Some(&kept("old"))) else { panic!("it belongs") };
        assert_eq!(granted.refresh_token.as_deref().map(String::as_str), Some("new"));
        assert!(read(Some(&kept("new"))).is_none() && read(None).is_none());
        let damaged = &note[..note.len() - 1];
        assert!(Noted::read(damaged, &key, &name, Some(&kept("old"))).is_none());
    }
}

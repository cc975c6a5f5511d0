//! Where plugins come from.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::error::{Error, Subject};

/// Where a plugin comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// One that is built in, by name.
    Stock(String),
    /// A component in a file.
    File(PathBuf),
    /// A component in memory, and what to call it in messages.
    Bytes(String, Vec<u8>),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stock(name) | Self::Bytes(name, _) => f.write_str(name),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

mod built {
    include!(concat!(env!("OUT_DIR"), "/stock.rs"));
}

/// The plugins that are built in: name and component, by name.
pub fn stock() -> &'static [(&'static str, &'static [u8])] {
    built::STOCK
}

/// A component as it was read, and who it is.
pub(super) struct Loaded {
    pub(super) bytes: Vec<u8>,
    /// SHA-256 of it, in hexadecimal.
    pub(super) digest: String,
    pub(super) subject: Subject,
}

/// SHA-256 of a component, in hexadecimal; nothing else of it is looked at.
pub fn digest(source: &Source) -> Result<String, Error> {
    read(source, u64::MAX).map(|loaded| loaded.digest)
}

/// Reads a component whole, before anything of it is trusted, and at most `most` bytes.
pub(super) fn read(source: &Source, most: u64) -> Result<Loaded, Error> {
    let mut subject = Subject { name: source.to_string(), ..Subject::default() };
    let bytes = match source {
        Source::Stock(name) => match stock().iter().find(|(known, _)| known == name) {
            Some((_, bytes)) => bytes.to_vec(),
            None => {
                let known: Vec<&str> = stock().iter().map(|(name, _)| *name).collect();
                return Err(Error::UnknownStock { name: name.clone(), known: known.join(", ") });
            }
        },
        Source::Bytes(_, bytes) => bytes.clone(),
        Source::File(path) => {
            let unreadable = |source| Error::Unreadable { subject: subject.clone(), source };
            let file = std::fs::File::open(path).map_err(unreadable)?;
            let mut bytes = Vec::new();
            let unreadable = |source| Error::Unreadable { subject: subject.clone(), source };
            file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
            bytes
        }
    };
    if bytes.len() as u64 > most {
        return Err(Error::ComponentTooLarge { subject, bytes: bytes.len() as u64, most });
    }
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    subject.digest = digest.chars().take(12).collect();
    Ok(Loaded { bytes, digest, subject })
}

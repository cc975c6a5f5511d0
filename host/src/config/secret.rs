//! Secrets by reference: the file says where one is, never what it is.

use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;

use super::Error;

/// Where a secret is kept. It is read when it is used, so that a changed one needs no restart.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// In this environment variable.
    Env(String),
    /// In this file; a line break at its end is not part of the secret.
    File(PathBuf),
}

impl Secret {
    /// Reads the secret; an absent or empty one is an error that names the place and never the content.
    pub fn read(&self) -> Result<SecretString, Error> {
        let wrong = |reason: String| Error::Secret { place: self.to_string(), reason };
        let text = match self {
            Self::Env(name) => std::env::var(name).map_err(|error| {
                wrong(match error {
                    std::env::VarError::NotPresent => "it is not set".to_owned(),
                    std::env::VarError::NotUnicode(_) => "it is not UTF-8".to_owned(),
                })
            })?,
            Self::File(path) => {
                std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?
            }
        };
        let text = SecretString::from(text);
        let plain = secrecy::ExposeSecret::expose_secret(&text);
        let trimmed = plain.trim_end_matches(['\r', '\n']);
        if trimmed.is_empty() {
            return Err(wrong("it is empty".to_owned()));
        }
        Ok(SecretString::from(trimmed))
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({self})")
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn reads_files_without_the_last_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "s3cret\n").unwrap();
        let secret = Secret::File(path.clone());
        assert_eq!(secret.read().unwrap().expose_secret(), "s3cret");
        std::fs::write(&path, "\n").unwrap();
        assert!(secret.read().unwrap_err().to_string().contains("it is empty"));
    }

    #[test]
    fn says_which_variable_is_missing() {
        let error = Secret::Env("KILOFOLD_TEST_NEVER_SET".into()).read().unwrap_err();
        assert_eq!(error.code(), "config.secret");
        assert!(error.to_string().contains("KILOFOLD_TEST_NEVER_SET"));
    }
}

//! Secrets by reference: the file says where one is, never what it is.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use secrecy::SecretString;

use super::Error;

/// Where a secret is kept. It is read when it is used, so that a changed one needs no restart.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// In this environment variable.
    Env(String),
    /// In this file; a line break at its end is not part of the secret.
    File(PathBuf),
    /// In what this program prints, for example one that asks the system's keyring; a line break at the end is not part of
    /// the secret.
    Command {
        /// The program.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
    },
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
            Self::Command { program, arguments } => {
                printed(program, arguments, PATIENCE).map_err(wrong)?
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

/// How long a program may take: somebody may have to unlock a keyring.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a program prints. What it says to standard error, such as a prompt, is for the user to see. Blocks.
fn printed(program: &Path, arguments: &[String], patience: Duration) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let stdout = child.stdout.take();
    // Read beside the wait: a full pipe would keep it from ending, and a child of its own may keep it open.
    let (send, printed) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.map_or(Ok(0), |mut stdout| stdout.read_to_end(&mut bytes));
        // Nobody listens any more when it took too long.
        send.send(read.map(|_| bytes)).ok();
    });
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if begun.elapsed() < patience => std::thread::sleep(Duration::from_millis(5)),
            None => {
                drop(child.kill());
                drop(child.wait());
                return Err(format!("it did not end within {} s", patience.as_secs()));
            }
        }
    };
    if !status.success() {
        return Err(format!("it ended with {status}"));
    }
    let bytes = printed.recv_timeout(patience).map_err(|_| "its output does not end".to_owned())?;
    let bytes = bytes.map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "what it prints is not UTF-8".to_owned())
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            // Its arguments are the user's own affair.
            Self::Command { program, .. } => write!(f, "command {}", program.display()),
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

    #[cfg(unix)]
    #[test]
    fn asks_a_program() {
        let asked = |script: &str| {
            let arguments = ["-c".to_owned(), script.to_owned()];
            Secret::Command { program: "sh".into(), arguments: arguments.into() }.read()
        };
        assert_eq!(asked("echo s3cret").unwrap().expose_secret(), "s3cret");
        for (script, why) in [
            ("echo s3cret; exit 3", "exit status: 3"),
            ("true", "it is empty"),
            ("printf '\\377'", "not UTF-8"),
        ] {
            let error = asked(script).unwrap_err().to_string();
            assert!(error.contains("command sh") && error.contains(why), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        let long = printed(Path::new("sleep"), &["60".to_owned()], Duration::from_millis(20));
        assert_eq!(long.unwrap_err(), "it did not end within 0 s");
        let absent = Secret::Command { program: "./none".into(), arguments: Vec::new() };
        assert!(absent.read().unwrap_err().to_string().contains("./none"));
    }

    #[test]
    fn says_which_variable_is_missing() {
        let error = Secret::Env("KILOFOLD_TEST_NEVER_SET".into()).read().unwrap_err();
        assert_eq!(error.code(), "config.secret");
        assert!(error.to_string().contains("KILOFOLD_TEST_NEVER_SET"));
    }
}

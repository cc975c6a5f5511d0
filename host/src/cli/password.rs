//! `kilofold password`: the hash of a password, for the page.

use std::io::{BufRead as _, IsTerminal as _};

use console::Term;
use secrecy::{ExposeSecret as _, SecretString};

use super::out::Out;
use super::{Failure, Globals};
use crate::error::Exit;
use crate::web::guard;

/// The shortest password.
const SHORTEST: usize = 10;

/// Asks for a password, twice at a terminal and once elsewhere, and prints its hash.
pub fn run(globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let entered = if std::io::stdin().is_terminal() { ask()? } else { line()? };
    let length = entered.expose_secret().chars().count();
    if length < SHORTEST {
        let what = format!("the password has {length} characters, and {SHORTEST} are the least");
        return Err(Failure::new("usage.password", what));
    }
    let hash = guard::hash(&entered).ok_or_else(|| {
        Failure::new("usage.password", "the system has no randomness to salt it with")
    })?;
    if out.json {
        out.value(&serde_json::json!({ "hash": hash }))?
    } else {
        out.line(&hash)?
    }
    Ok(Exit::Done)
}

fn unread(error: std::io::Error) -> Failure {
    Failure::new("usage.password", format!("the password cannot be read: {error}"))
}

fn ask() -> Result<SecretString, Failure> {
    let terminal = Term::stderr();
    let once = |prompt: &str| -> Result<SecretString, Failure> {
        terminal.write_str(prompt).map_err(unread)?;
        terminal.read_secure_line().map(SecretString::from).map_err(unread)
    };
    let first = once("Password: ")?;
    let second = once("Again: ")?;
    if first.expose_secret() == second.expose_secret() {
        return Ok(first);
    }
    Err(Failure::new("usage.password", "the two are not the same"))
}

fn line() -> Result<SecretString, Failure> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(unread)?;
    Ok(SecretString::from(line.trim_end_matches(['\r', '\n'])))
}

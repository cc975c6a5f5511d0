//! Where results go: standard output, as tables for people or as JSON for programs.

use std::io::{ErrorKind, IsTerminal, Write};

use console::{Term, colors_enabled};
use serde::Serialize;

use super::sheet::{Look, Sheet};
use super::{Failure, Globals};
use crate::web::text::plain;

/// What a terminal of unknown width is taken for.
const USUAL_WIDTH: u16 = 80;

/// Standard output and how it is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Out {
    /// Whether JSON is wanted.
    pub json: bool,
    /// How tables look.
    pub look: Look,
}

impl Out {
    /// As the command line and the terminal say.
    pub fn new(globals: &Globals) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let width = Term::stdout().size_checked().map_or(USUAL_WIDTH, |(_, columns)| columns);
        Self { json: globals.json, look: Look { width, colour: terminal && colors_enabled() } }
    }

    /// Writes one line. The caller has made foreign text plain.
    pub fn line(&self, line: &str) -> Result<(), Failure> {
        self.write(&format!("{line}\n"))
    }

    /// Writes a name and a value under each other's kind, the value made plain.
    pub fn pair(&self, name: &str, value: &str) -> Result<(), Failure> {
        self.line(&format!("{name:<10} {}", plain(value)))
    }

    /// Writes a table, or `none` when it has no rows.
    pub fn sheet(&self, sheet: &Sheet, none: &str) -> Result<(), Failure> {
        if sheet.is_empty() { self.line(none) } else { self.line(&sheet.render(&self.look)) }
    }

    /// Writes a value as JSON, over several lines.
    pub fn value<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::new("cli.output", format!("cannot write JSON: {error}")))?;
        self.line(&text)
    }

    /// Writes a value as JSON on one line.
    pub fn value_line<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::new("cli.output", format!("cannot write JSON: {error}")))?;
        self.line(&text)
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        written.map_err(|error| match error.kind() {
            // The reader has seen enough (`| head`): not worth a word.
            ErrorKind::BrokenPipe => Failure::quiet(),
            _ => Failure::new("cli.output", format!("cannot write to standard output: {error}")),
        })
    }
}

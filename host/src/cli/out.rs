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

    /// Writes a name and a value like [`Out::pair`], the value over as many lines as it needs.
    pub fn pair_long(&self, name: &str, value: &str) -> Result<(), Failure> {
        const INDENT: usize = 11;
        let width = usize::from(self.look.width).max(40) - INDENT;
        let mut label = name;
        for line in wrapped(&plain(value), width) {
            self.line(&format!("{label:<10} {line}"))?;
            label = "";
        }
        Ok(())
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

    /// Standard output, for what is written piece by piece.
    pub fn stream(&self) -> impl Write + Send + use<> {
        std::io::BufWriter::new(std::io::stdout())
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

/// The text in lines of at most this width, cut between words where there are any.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut at = 0;
    for word in text.split(' ') {
        let len = console::measure_text_width(word);
        if at > 0 && at + 1 + len > width {
            lines.push(String::new());
            at = 0;
        }
        if let Some(line) = lines.last_mut() {
            if at > 0 {
                line.push(' ');
                at += 1;
            }
            line.push_str(word);
            at += len;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_between_words() {
        assert_eq!(wrapped("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(wrapped("longer than that", 4), ["longer", "than", "that"]);
    }
}

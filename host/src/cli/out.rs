//! Where results go: standard output, as tables for people or as JSON for programs.

use std::io::{ErrorKind, IsTerminal, Write};

use console::{Term, colors_enabled, measure_text_width};
use serde::Serialize;

use super::sheet::{Look, Sheet, columns, fits};
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

    /// Writes one line as it is, however wide. The caller has made foreign text plain.
    pub fn line(&self, line: &str) -> Result<(), Failure> {
        self.write(&format!("{line}\n"))
    }

    /// Writes a text over as many lines as it needs, made plain but for its line breaks.
    pub fn say(&self, text: &str) -> Result<(), Failure> {
        self.say_in(text, str::to_owned)
    }

    /// The same, with each line dressed, such as in a colour.
    pub fn say_in(&self, text: &str, dress: impl Fn(&str) -> String) -> Result<(), Failure> {
        let text: Vec<String> = text.split('\n').map(plain).collect();
        for line in text.iter().flat_map(|line| wrapped(line, self.width())) {
            self.line(&dress(&line))?;
        }
        Ok(())
    }

    /// Writes a command that the reader may want next, behind a few words; a shell takes it also where it is broken.
    pub fn hint(&self, before: &str, command: &str) -> Result<(), Failure> {
        let whole = format!("{before} {command}");
        if measure_text_width(&whole) <= self.width() {
            return self.line(&whole);
        }
        self.say(before)?;
        // Room for the two spaces before and the break behind.
        let lines = wrapped(command, self.width().saturating_sub(4));
        let last = lines.len().saturating_sub(1);
        for (i, line) in lines.iter().enumerate() {
            self.line(&format!("  {line}{}", if i < last { " \\" } else { "" }))?;
        }
        Ok(())
    }

    /// Writes a name and a value beside it, made plain, over as many lines as it needs.
    pub fn pair(&self, name: &str, value: &str) -> Result<(), Failure> {
        self.pair_behind(10, name, value)
    }

    /// The same with so many columns for the name, at most 30.
    pub fn pair_behind(&self, room: usize, name: &str, value: &str) -> Result<(), Failure> {
        let room = room.min(30);
        let mut label = name;
        if measure_text_width(name) > room {
            self.say(name)?;
            label = "";
        }
        for line in wrapped(&plain(value), self.width() - room - 1) {
            self.line(&format!("{label:<room$} {line}"))?;
            label = "";
        }
        Ok(())
    }

    fn width(&self) -> usize {
        usize::from(self.look.width).max(40)
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

/// The text in lines of at most this width, cut between words where there are any, else within one. What is short enough
/// stays as it is; further lines begin where the first does.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    if columns(text) <= width {
        return vec![text.trim_end().to_owned()];
    }
    let words = text.trim_start_matches(' ');
    let indent = (text.len() - words.len()).min(width / 2);
    let lines = broken(words, width - indent);
    lines.into_iter().map(|line| format!("{:indent$}{line}", "")).collect()
}

fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut at = 0;
    for mut word in text.split(' ') {
        while columns(word) > width {
            let (head, rest) = word.split_at(fits(word, width));
            if at > 0 {
                lines.push(String::new());
            }
            if let Some(line) = lines.last_mut() {
                line.push_str(head);
            }
            (word, at) = (rest, width);
        }
        let len = columns(word);
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
        assert_eq!(wrapped("longer than that", 4), ["long", "er", "than", "that"]);
        assert_eq!(wrapped("  in and in", 6), ["  in", "  and", "  in"]);
        assert_eq!(wrapped("a  b", 9), ["a  b"]);
        for text in ["株式会社東京電力", "👩‍👩‍👧‍👦👩🏽‍🚀🏳️‍🌈🇩🇪x👩‍👩‍👧‍👦", "e\u{301}\u{301}a\u{308}aaa"]
        {
            let lines = wrapped(text, 5);
            assert!(lines.iter().all(|line| columns(line) <= 5), "{lines:?}");
            assert_eq!(lines.concat(), text);
        }
    }
}

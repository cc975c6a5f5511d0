//! Errors as users see them: what happened, what it means, what to do, and a code that scripts can rely on.

use std::error::Error as StdError;
use std::fmt;

use console::style;
use serde::Serialize;

use crate::error::{self, Exit};
use crate::web::text::plain;
use crate::{app, config, deliver, plugin, salesforce, store, web};

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub struct Failure {
    /// A stable code; empty when nothing is to be said.
    pub code: String,
    /// What happened.
    pub what: String,
    /// What led to it, the nearest cause first.
    pub causes: Vec<String>,
    /// What to do, when this is better known than the code's usual cure.
    pub cure: Option<String>,
    /// How the program ends.
    pub exit: Exit,
    /// The place in the configuration, drawn.
    shown: Option<Box<str>>,
}

impl Failure {
    /// A failure with this code; the code decides on the exit.
    pub fn new(code: &str, what: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            what: what.into(),
            causes: Vec::new(),
            cure: None,
            exit: Exit::of(code),
            shown: None,
        }
    }

    /// A failure with the words and causes of an error.
    pub fn of(code: &str, error: &dyn StdError) -> Self {
        let mut failure = Self::new(code, error.to_string());
        let mut next = error.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if !failure.what.contains(&text) {
                failure.causes.push(text);
            }
            next = cause.source();
        }
        failure
    }

    /// Ends the program without a word.
    pub fn quiet() -> Self {
        let mut failure = Self::new("", "");
        failure.exit = Exit::Done;
        failure
    }

    /// Ends the program with this exit and without a word more: all has been said.
    pub fn said(exit: Exit) -> Self {
        let mut failure = Self::new("", "");
        failure.exit = exit;
        failure
    }

    /// This failure with a better cure.
    #[must_use]
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }

    /// What is printed to standard error; empty when nothing is.
    pub fn render(&self, json: bool) -> String {
        if self.code.is_empty() {
            return String::new();
        }
        let known = error::explain(&self.code);
        let meaning = known.map(|text| text.meaning);
        let cure = self.cure.as_deref().or(known.map(|text| text.cure));
        if json {
            let said =
                Said { code: &self.code, error: &self.what, causes: &self.causes, meaning, cure };
            return serde_json::to_string(&said).unwrap_or_else(|_| self.what.clone());
        }
        if let Some(shown) = &self.shown {
            return shown.to_string();
        }
        let head = style("error").for_stderr().red().bold();
        let mut lines = vec![format!("{head}: {} [{}]", plain(&self.what), self.code)];
        lines.extend(self.causes.iter().map(|cause| format!("  because: {}", plain(cause))));
        lines.extend(meaning.map(|text| format!("  it means: {text}")));
        lines.extend(cure.map(|text| format!("  to do: {}", plain(text))));
        let width = usize::from(console::Term::stderr().size_checked().map_or(80, |size| size.1));
        lines.iter().map(|line| wrap(line, width)).collect::<Vec<_>>().join("\n")
    }
}

#[derive(Serialize)]
struct Said<'a> {
    code: &'a str,
    error: &'a str,
    causes: &'a [String],
    meaning: Option<&'a str>,
    cure: Option<&'a str>,
}

/// Breaks a line between words, with an indent that shows that it goes on.
fn wrap(line: &str, width: usize) -> String {
    let mut out = String::with_capacity(line.len() + 8);
    let mut at = 0;
    for (i, word) in line.split(' ').enumerate() {
        let len = console::measure_text_width(word);
        if i > 0 && at + 1 + len > width.max(40) {
            out.push_str("\n    ");
            at = 4;
        } else if i > 0 {
            out.push(' ');
            at += 1;
        }
        out.push_str(word);
        at += len;
    }
    out
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.what, self.code)
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        let mut failure = Self::of(error.code(), &error);
        let mut drawn = String::new();
        let handler =
            miette::GraphicalReportHandler::new_themed(if console::colors_enabled_stderr() {
                miette::GraphicalTheme::unicode()
            } else {
                miette::GraphicalTheme::unicode_nocolor()
            });
        if handler.render_report(&mut drawn, &error).is_ok() {
            failure.shown = Some(drawn.trim_end().into());
        }
        failure.exit = Exit::Usage;
        failure
    }
}

macro_rules! from {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::of(error.code(), &error)
            }
        }
    )*};
}

from!(
    store::Error,
    plugin::Error,
    salesforce::Error,
    web::Error,
    web::reader::Error,
    deliver::Error
);

impl From<app::Error> for Failure {
    fn from(error: app::Error) -> Self {
        match error {
            app::Error::Config(error) => error.into(),
            error => Self::of(error.code(), &error),
        }
    }
}

impl From<web::client::Error> for Failure {
    fn from(error: web::client::Error) -> Self {
        let failure = Self::of(error.code(), &error);
        match error {
            // The reader has seen enough.
            web::client::Error::Write(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                Self::quiet()
            }
            web::client::Error::Problem(problem) if error::explain(&problem.code).is_none() => {
                failure.cure(problem.cure)
            }
            _ => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_happened_and_what_to_do() {
        let mut failure = Failure::new("run.unknown", "the store has no run 7\u{1b}[2J");
        failure.causes.push("it was never begun".to_owned());
        let text = console::strip_ansi_codes(&failure.render(false)).into_owned();
        insta::assert_snapshot!(text, @r"
        error: the store has no run 7\u{1b}[2J [run.unknown]
          because: it was never begun
          it means: The store has no run of that number.
          to do: list the runs with `kilofold imports`
        ");
        let json: serde_json::Value = serde_json::from_str(&failure.render(true)).unwrap();
        assert_eq!(json["code"], "run.unknown");
        assert_eq!(failure.exit, Exit::Failed);
    }

    #[test]
    fn a_finished_reader_is_no_failure() {
        assert_eq!(Failure::quiet().render(false), "");
        assert_eq!(Failure::quiet().exit, Exit::Done);
    }

    #[test]
    fn wraps_between_words() {
        let wrapped = wrap(&"word ".repeat(30), 42);
        assert!(wrapped.lines().all(|line| line.len() <= 42));
        assert_eq!(wrapped.split_whitespace().count(), 30);
    }
}

//! What is wrong with a configuration, in a form that points at the place.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file says things that cannot be.
    #[error(transparent)]
    Invalid(Box<Invalid>),
    /// A secret is not where the file says.
    #[error("cannot read a secret from {place}: {reason}")]
    Secret {
        /// The variable or file.
        place: String,
        /// Why not.
        reason: String,
    },
}

impl Error {
    /// The stable code, for `kilofold explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "config.read",
            Self::Invalid(invalid) => match invalid.problems.as_slice() {
                [problem] => problem.code,
                _ => "config.invalid",
            },
            Self::Secret { .. } => "config.secret",
        }
    }
}

impl Diagnostic for Error {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(Error::code(self)))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        match self {
            Self::Read { .. } => Some(Box::new(
                "run `kilofold init` to write a kilofold.toml, or name one with --config",
            )),
            Self::Invalid(invalid) => invalid.help(),
            Self::Secret { .. } => Some(Box::new(
                "set the variable, write the secret into the file, or mend the command, and try again",
            )),
        }
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        match self {
            Self::Invalid(invalid) => invalid.source_code(),
            _ => None,
        }
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        match self {
            Self::Invalid(invalid) => invalid.related(),
            _ => None,
        }
    }
}

/// Everything that is wrong with one file.
#[derive(Debug)]
pub struct Invalid {
    /// The file.
    pub path: PathBuf,
    /// Its text with anything that may be a secret blotted out.
    pub shown: NamedSource<String>,
    /// What is wrong, in the order of the file; never empty.
    pub problems: Vec<Problem>,
}

impl std::error::Error for Invalid {}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "{} has {count} {noun}", self.path.display())
    }
}

impl Diagnostic for Invalid {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new("config.invalid"))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.shown)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}

/// One thing that is wrong, where, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The stable code, for `kilofold explain`.
    pub code: &'static str,
    /// The key with its section, for example `sync.Contact.every`.
    pub key: String,
    /// The value as written, cut when long and blotted out when it may be a secret; none for a missing key.
    pub value: Option<String>,
    /// What is wrong with it.
    pub what: String,
    /// What to do.
    pub cure: String,
    /// The place in the file, in bytes; none when the whole file is meant.
    pub span: Option<Range<usize>>,
}

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.value, self.key.as_str()) {
            (_, "") => f.write_str(&self.what),
            (Some(value), key) => write!(f, "{key} = {value}: {}", self.what),
            (None, key) => write!(f, "{key}: {}", self.what),
        }
    }
}

impl Diagnostic for Problem {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.cure))
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.span.clone()?;
        Some(Box::new(std::iter::once(LabeledSpan::at(span, "here"))))
    }
}

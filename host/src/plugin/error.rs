//! Why a plugin cannot be used, in words for whoever has to mend it.

use std::fmt;
use std::path::PathBuf;

use super::fault::{Fault, size};
use super::settings::Problem;
use crate::model::{Rejection, SyncName};

/// Which plugin an error is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    /// Its name as it tells it, or where it was to be loaded from.
    pub name: String,
    /// The first twelve digits of its digest; empty before it was read.
    pub digest: String,
    /// The sync that it was called for, when it was.
    pub sync: Option<SyncName>,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin {}", self.name)?;
        if !self.digest.is_empty() {
            write!(f, " ({})", self.digest)?;
        }
        match &self.sync {
            Some(sync) => write!(f, " of sync {sync}"),
            None => Ok(()),
        }
    }
}

/// Why a plugin cannot be loaded or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The WebAssembly engine does not start.
    #[error("the WebAssembly engine does not start: {reason}")]
    Engine {
        /// Its words.
        reason: String,
    },
    /// The folder of compiled plugins cannot be used, or is not safe.
    #[error("compiled plugins cannot be kept in {}: {reason}", path.display())]
    Cache {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The folder of components that were used cannot be used, or is not safe.
    #[error("components cannot be kept in {}: {reason}", path.display())]
    Shelf {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no stock plugin of that name.
    #[error("there is no stock plugin '{name}'; there are {known}")]
    UnknownStock {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The file cannot be read.
    #[error("{subject} cannot be read: {source}")]
    Unreadable {
        /// The plugin.
        subject: Subject,
        /// Why.
        source: std::io::Error,
    },
    /// The component is too big.
    #[error("{subject} has {bytes} bytes, and {most} are allowed")]
    ComponentTooLarge {
        /// The plugin.
        subject: Subject,
        /// Its size in bytes.
        bytes: u64,
        /// The limit in bytes.
        most: u64,
    },
    /// It is no WebAssembly at all.
    #[error("{subject} is not a WebAssembly component")]
    NotComponent {
        /// The plugin.
        subject: Subject,
    },
    /// It is a core module.
    #[error("{subject} is a core WebAssembly module, not a component")]
    CoreModule {
        /// The plugin.
        subject: Subject,
    },
    /// It is compiled already, which cannot be trusted.
    #[error("{subject} is compiled machine code, which is never taken from users")]
    Precompiled {
        /// The plugin.
        subject: Subject,
    },
    /// It is not valid, or uses what the engine does not have.
    #[error("{subject} does not compile: {reason}")]
    Compile {
        /// The plugin.
        subject: Subject,
        /// The compiler's words.
        reason: String,
    },
    /// Compiling takes too long.
    #[error("{subject} was not compiled within {ms} ms, and compiling was stopped")]
    CompileTimeout {
        /// The plugin.
        subject: Subject,
        /// The limit in milliseconds.
        ms: u64,
    },
    /// Compiling takes too much memory.
    #[error("{subject} was not compiled: that takes more than the {} that it may take", size(*most))]
    CompileMemory {
        /// The plugin.
        subject: Subject,
        /// The limit in bytes.
        most: u64,
    },
    /// It was built for a contract that this host does not serve.
    #[error("{subject} was built for {wants}, and this kilofold serves {offers}")]
    ApiVersion {
        /// The plugin.
        subject: Subject,
        /// What it was built for.
        wants: String,
        /// What there is.
        offers: &'static str,
    },
    /// Its digest is not the one that the configuration allows.
    #[error(
        "{subject} has the digest sha256:{found}, and the configuration allows only sha256:{wanted}"
    )]
    Digest {
        /// The plugin.
        subject: Subject,
        /// The digest that it has, in hexadecimal.
        found: Box<str>,
        /// The digest that the configuration allows.
        wanted: Box<str>,
    },
    /// It exports neither form of the contract.
    #[error(
        "{subject} is a component, but no mapping plugin: it exports neither kilofold:mapping/table nor kilofold:mapping/json with kilofold:mapping/about"
    )]
    NoMapper {
        /// The plugin.
        subject: Subject,
    },
    /// It wants something from the host that no plugin may have.
    #[error("{subject} asks for {import}, which plugins are not given")]
    ImportDenied {
        /// The plugin.
        subject: Subject,
        /// The interface that it asks for.
        import: String,
    },
    /// It uses the right names with other types.
    #[error("{subject} does not fit the contract: {reason}")]
    ApiMismatch {
        /// The plugin.
        subject: Subject,
        /// What does not fit.
        reason: String,
    },
    /// It cannot start within its memory.
    #[error("{subject} wants more memory to start than the {} that it may have", size(*most))]
    MemoryStart {
        /// The plugin.
        subject: Subject,
        /// The limit in bytes.
        most: u64,
    },
    /// It broke while it started, described itself or took its settings.
    #[error("{subject} broke while it {doing}: {fault}")]
    Start {
        /// The plugin.
        subject: Subject,
        /// What it was doing.
        doing: &'static str,
        /// How it broke.
        fault: Fault,
    },
    /// What it says of itself cannot be used.
    #[error("{subject} describes itself wrongly: {reason}")]
    Description {
        /// The plugin.
        subject: Subject,
        /// What is wrong.
        reason: String,
    },
    /// It does not take its settings.
    #[error("{subject} does not take its settings: {}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Settings {
        /// The plugin.
        subject: Subject,
        /// What is wrong with them.
        problems: Vec<Problem>,
    },
    /// A field that it must have is not in the batch.
    #[error("{subject} reads {field}, which was not fetched")]
    MissingField {
        /// The plugin.
        subject: Subject,
        /// The field.
        field: String,
    },
    /// The batch cannot be handed over.
    #[error("{subject} cannot be given the batch: {reason}")]
    Batch {
        /// The plugin.
        subject: Subject,
        /// What is wrong.
        reason: String,
    },
    /// It broke on more records than is borne.
    #[error("{subject} broke on {guilty} of {records} records, which is more than the limit of {most}; the last: {}", last.message)]
    TooManyTraps {
        /// The plugin.
        subject: Subject,
        /// Records found guilty.
        guilty: u32,
        /// Records in the batch.
        records: usize,
        /// The limit.
        most: u32,
        /// The last one.
        last: Box<Rejection>,
    },
    /// What it looks up changes all the time.
    #[error("{subject} looks up outputs that changed {times} times while a batch was mapped")]
    LookupMoved {
        /// The plugin.
        subject: Subject,
        /// How often the batch was begun anew.
        times: u32,
    },
    /// The records that break it were not found in time.
    #[error("{subject} breaks on records that were not found within {ms} ms; the last: {}", last.message)]
    IsolationTimeout {
        /// The plugin.
        subject: Subject,
        /// The limit in milliseconds.
        ms: u64,
        /// How it broke the last time.
        last: Box<Rejection>,
    },
}

impl Error {
    /// A stable code for `kilofold explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Engine { .. } => "plugin.engine",
            Self::Cache { .. } => "plugin.cache",
            Self::Shelf { .. } => "plugin.shelf",
            Self::UnknownStock { .. } => "plugin.unknown",
            Self::Unreadable { .. } => "plugin.unreadable",
            Self::ComponentTooLarge { .. } => "plugin.component-too-large",
            Self::NotComponent { .. } => "plugin.not-component",
            Self::CoreModule { .. } => "plugin.core-module",
            Self::Precompiled { .. } => "plugin.precompiled-refused",
            Self::Compile { .. } => "plugin.compile",
            Self::CompileTimeout { .. } => "plugin.compile-timeout",
            Self::CompileMemory { .. } => "plugin.compile-memory",
            Self::ApiVersion { .. } => "plugin.api-version",
            Self::Digest { .. } => "plugin.digest",
            Self::NoMapper { .. } => "plugin.no-mapper",
            Self::ImportDenied { .. } => "plugin.import-denied",
            Self::ApiMismatch { .. } => "plugin.api-mismatch",
            Self::MemoryStart { .. } => "plugin.memory-start",
            Self::Start { fault, .. } => fault.code(),
            Self::Description { .. } => "plugin.description",
            Self::Settings { .. } => "plugin.settings",
            Self::MissingField { .. } => "plugin.missing-field",
            Self::Batch { .. } => "plugin.batch",
            Self::TooManyTraps { .. } => "plugin.too-many-traps",
            Self::IsolationTimeout { .. } => "plugin.isolation-timeout",
            Self::LookupMoved { .. } => "plugin.lookup-moved",
        }
    }

    /// What this means and what to do about it.
    pub fn explanation(&self) -> Option<&'static super::Explanation> {
        super::explain(self.code())
    }
}

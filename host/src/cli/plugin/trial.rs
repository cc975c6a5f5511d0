//! A plugin tried on records of a sync, with nothing written: what `run` and `diff` have in common. The records come from
//! the store, or from the host that holds it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::value::RawValue;
use tokio::runtime::Handle;

use super::{blocking, source};
use crate::app;
use crate::cli::source::Source;
use crate::cli::{Failure, Globals};
use crate::config::{Config, SyncConfig};
use crate::model::{Outcome, Output, RecordId, Run, RunId, Span, Stamp, SyncName, Text};
use crate::plugin::{self, Engine, LogLine, Lookup, Plugin, Settings};
use crate::sync::compare::{Before, BeforeState};
use crate::sync::stored::{StoredSelection, has_fields, stored_selection};
use crate::web::reader;
use crate::web::view::{State, StoredRecord};
use crate::web::{Client, client};

/// A sync, its records, and where its plugins are tried.
pub(super) struct Trial {
    pub(super) source: Source,
    pub(super) config: Arc<Config>,
    pub(super) sync: SyncConfig,
    engine: Engine,
    lookup: Arc<dyn Lookup>,
    /// Why something could not be looked up.
    trouble: Arc<Mutex<Option<Failure>>>,
    read_at: Stamp,
}

/// A plugin that takes the sync's settings.
#[derive(Clone)]
pub(super) struct Candidate {
    pub(super) plugin: Plugin,
    settings: Settings,
}

/// A record to be tried, as Salesforce sent it.
pub(super) struct Taken {
    pub(super) id: RecordId,
    pub(super) raw: Box<RawValue>,
}

/// What came of some records.
pub(super) struct Made {
    /// One a record, in order.
    pub(super) outcomes: Vec<Outcome>,
    pub(super) logs: Vec<LogLine>,
    pub(super) took_us: u64,
    pub(super) peak_memory: u64,
}

impl Trial {
    /// Opens the store of a sync, or finds the host that holds it.
    pub(super) async fn open(name: &SyncName, globals: &Globals) -> Result<Self, Failure> {
        let config = Arc::new(globals.load()?);
        let Some(sync) = config.sync(name).cloned() else {
            return Err(reader::Error::NoSync(name.clone()).into());
        };
        let source = Source::open(globals).await?;
        let trouble = Arc::new(Mutex::new(None));
        let lookup: Arc<dyn Lookup> = match &source {
            Source::Store(reader) => app::outputs(reader.store(), &config),
            Source::Api(client) => Arc::new(There {
                client: (**client).clone(),
                runtime: Handle::current(),
                trouble: trouble.clone(),
            }),
        };
        let shared = config.clone();
        let engine = blocking(move || app::open_engine(&shared)).await??;
        let read_at = Stamp::now();
        Ok(Self { source, config, sync, engine, lookup, trouble, read_at })
    }

    /// Loads a component, or a stock plugin, with the sync's settings.
    pub(super) async fn candidate(&self, file: &Path) -> Result<Candidate, Failure> {
        let (engine, sync, source) = (self.engine.clone(), self.sync.clone(), source(file));
        blocking(move || {
            let plugin = engine.load(&source)?;
            if !plugin.description().maps(&sync.object) {
                let what = format!(
                    "{} does not map {}: it maps {}",
                    plugin.description().name,
                    sync.object,
                    plugin.description().objects.join(", ")
                );
                return Err(Failure::new("plugin.object", what));
            }
            let settings = app::take_settings(&plugin, &sync)?;
            Ok(Candidate { plugin, settings })
        })
        .await?
    }

    /// How the candidate reads stored texts.
    pub(super) async fn selection(&self, one: &Candidate) -> Result<StoredSelection, Failure> {
        let fetched = self.fetched().await?;
        let reads = &one.plugin.description().reads;
        let found = stored_selection(&self.sync.name, reads, fetched.as_ref());
        Ok(found.map_err(app::Error::Sync)?)
    }

    /// The newest run that asked Salesforce and knows its fields.
    async fn fetched(&self) -> Result<Option<Run>, Failure> {
        let mut before = None;
        loop {
            let found = self.source.runs(Some(&self.sync.name), before, 100).await?;
            if let Some(run) = found.runs.into_iter().find(has_fields) {
                return Ok(Some(run));
            }
            before = found.next;
            if before.is_none() {
                return Ok(None);
            }
        }
    }

    /// Maps records; they count as batch `number` of no run.
    pub(super) async fn map(
        &self,
        one: &Candidate,
        selection: &StoredSelection,
        records: &[Taken],
        number: u32,
    ) -> Result<Made, Failure> {
        let (mut text, mut spans) = (String::new(), Vec::with_capacity(records.len()));
        for record in records {
            let start = u32::try_from(text.len()).unwrap_or(u32::MAX);
            let len = u32::try_from(record.raw.get().len()).unwrap_or(u32::MAX);
            spans.push(Span { start, len });
            text.push_str(record.raw.get());
        }
        let batch = selection.selection.read_records(&Text::from(text), &spans);
        let batch = batch.map_err(|error| app::Error::Sync(error.into()))?;
        let (one, sync, lookup) = (one.clone(), self.sync.clone(), self.lookup.clone());
        let read_at = self.read_at;
        let mapped = blocking(move || {
            let call = plugin::Call {
                object: &sync.object,
                sync: &sync.name,
                run: RunId(0),
                batch: number,
                read_at,
                settings: &one.settings,
                lookup,
            };
            one.plugin.map(&call, &batch)
        })
        .await??;
        if let Some(trouble) = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(trouble);
        }
        Ok(Made {
            outcomes: mapped.outcomes,
            logs: mapped.logs,
            took_us: u64::try_from(mapped.took.as_micros()).unwrap_or(u64::MAX),
            peak_memory: mapped.peak_memory,
        })
    }
}

impl Candidate {
    /// Whether it is given a stored record: deletions only when it maps them.
    pub(super) fn takes(&self, record: &StoredRecord) -> bool {
        !record.deleted || self.plugin.description().maps_deletions
    }

    /// Its name, version and digest in a few words.
    pub(super) fn shown(&self) -> String {
        let note = self.plugin.note();
        let digest: String = note.digest.chars().take(12).collect();
        format!("{} {} ({digest})", note.name, note.version)
    }
}

/// What is stored of a record, to be compared.
pub(super) fn before(record: &StoredRecord) -> Before {
    let output = |one: &crate::web::view::Document| Output {
        kind: one.kind.as_str().into(),
        key: one.key.clone(),
        body: one.body.get().to_owned().into(),
    };
    Before {
        state: match &record.outcome {
            State::Mapped => BeforeState::Mapped,
            State::Skipped { reason } => BeforeState::Skipped(reason.clone()),
            State::Failed { rejection } => BeforeState::Failed(rejection.clone()),
        },
        outputs: record.outputs.iter().map(output).collect(),
    }
}

/// Stored outputs, looked up by the host that holds them.
struct There {
    client: Client,
    runtime: Handle,
    trouble: Arc<Mutex<Option<Failure>>>,
}

/// Keys that are asked for at once.
const KEYS: usize = 1000;

impl Lookup for There {
    fn lookup(&self, kind: &str, keys: &[String]) -> Vec<Option<String>> {
        let mut bodies = Vec::with_capacity(keys.len());
        for keys in keys.chunks(KEYS) {
            match self.runtime.block_on(ask(&self.client, kind, keys)) {
                Ok(found) => bodies.extend(found),
                Err(error) => {
                    let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
                    trouble.get_or_insert(error.into());
                    break;
                }
            }
        }
        bodies.resize(keys.len(), None);
        bodies
    }
}

async fn ask(
    client: &Client,
    kind: &str,
    keys: &[String],
) -> Result<Vec<Option<String>>, client::Error> {
    let body = serde_json::json!({ "kind": kind, "keys": keys });
    let found: crate::web::view::Found = client.post_with("/api/v1/lookup", &body).await?;
    Ok(found.bodies.into_iter().map(|body| body.map(|body| body.get().to_owned())).collect())
}

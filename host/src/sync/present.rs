//! The plugin of a sync as it is at present: it may be another one from one batch to the next. And what it has done since.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::model::{Batch, Outcome, Stamp};
use crate::plugin::{self, Level, Plugin, Settings};

/// Log lines that are remembered.
const LINES: usize = 50;

/// A plugin with settings that it takes.
#[derive(Debug, Clone)]
pub struct Mapper {
    /// The plugin.
    pub plugin: Plugin,
    /// The settings.
    pub settings: Settings,
}

/// The present mapper of a sync. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Present(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    mapper: RwLock<Mapper>,
    done: Mutex<Done>,
}

/// What a plugin has done since it became the present one, in this process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// Batches that it mapped.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// The time that they took, in microseconds.
    pub took_us: u64,
    /// The time that the last one took, in microseconds.
    pub last_us: u64,
    /// The most memory that an instance had, in bytes.
    pub peak_memory: u64,
    /// Records that broke it, by code.
    pub traps: BTreeMap<String, u64>,
    /// The last lines that it logged, the oldest first.
    pub lines: VecDeque<Line>,
}

/// A line that a plugin logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When its batch was mapped.
    pub at: Stamp,
    /// How much it matters.
    pub level: Level,
    /// What it says, safe to show.
    pub message: String,
}

impl Present {
    /// This plugin, which has done nothing yet.
    pub fn new(plugin: Plugin, settings: Settings) -> Self {
        let mapper = RwLock::new(Mapper { plugin, settings });
        Self(Arc::new(Shared { mapper, done: Mutex::default() }))
    }

    /// The plugin of this moment.
    pub fn get(&self) -> Mapper {
        self.0.mapper.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another plugin from the next batch on.
    pub fn set(&self, mapper: Mapper) {
        *self.0.mapper.write().unwrap_or_else(PoisonError::into_inner) = mapper;
        *self.done_mut() = Done::default();
    }

    /// What it has done.
    pub fn done(&self) -> Done {
        self.done_mut().clone()
    }

    /// Remembers what it made of a batch.
    pub(super) fn heard(&self, batch: &Batch, answer: &plugin::Mapped, now: Stamp) {
        let took_us = u64::try_from(answer.took.as_micros()).unwrap_or(u64::MAX);
        let mut done = self.done_mut();
        done.batches += 1;
        done.records += batch.len() as u64;
        done.took_us = done.took_us.saturating_add(took_us);
        done.last_us = took_us;
        done.peak_memory = done.peak_memory.max(answer.peak_memory);
        for outcome in &answer.outcomes {
            if let Outcome::Failed(why) = outcome
                && plugin::is_trap(&why.code)
            {
                *done.traps.entry(why.code.clone()).or_default() += 1;
            }
        }
        for line in answer.logs.iter().rev().take(LINES).rev() {
            let (level, message) = (line.level, line.message.clone());
            done.lines.push_back(Line { at: now, level, message });
        }
        let over = done.lines.len().saturating_sub(LINES);
        done.lines.drain(..over);
    }

    fn done_mut(&self) -> std::sync::MutexGuard<'_, Done> {
        self.0.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mapper {
    /// Whether it is that very component with settings that are alike.
    pub fn is(&self, plugin: &Plugin, settings: &Settings) -> bool {
        self.plugin.digest() == plugin.digest() && self.settings == *settings
    }

    /// Whether it can go on with records of which these fields were fetched for another plugin.
    pub fn reads_only(&self, fields: &[String]) -> bool {
        let reads = &self.plugin.description().reads;
        let has = |name: &str| fields.iter().any(|field| field.eq_ignore_ascii_case(name));
        !reads.is_empty() && reads.iter().all(|read| has(&read.name))
    }
}

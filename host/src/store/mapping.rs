//! Which plugins made what is stored of a sync, and how far a remap has come.
//!
//! One small value a sync, moved by the commit that it tells of. Stores from before it was kept are read as if it had
//! been: the newest runs say which plugin mapped.

use serde::{Deserialize, Serialize};

use super::Store;
use super::disk::Writes;
use super::error::Error;
use super::layout::Space;
use super::meta::{from_json, to_json};
use super::runs::RunFilter;
use crate::model::{Maker, RecordId, RunId, Stamp, SyncName};

/// Makers that are told apart; of more, the oldest are forgotten.
const MAKERS: usize = 16;

/// A remap that has not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remap {
    /// The run that began it.
    pub run: RunId,
    /// What maps the records anew.
    pub maker: Maker,
    /// Only records that changed at this time or later, by the org's clock; none: all.
    pub since: Option<Stamp>,
    /// Everything up to this record has been seen; none: nothing yet.
    pub after: Option<RecordId>,
    /// Records seen so far.
    pub seen: u64,
    /// Records among them without a stored text, which keep what they have.
    pub without: u64,
}

/// What made the stored records of a sync.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mapping {
    /// Whose work is stored, the oldest first.
    pub makers: Vec<Maker>,
    /// The remap in hand, or that was stopped in the middle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remap: Option<Remap>,
}

impl Mapping {
    /// The newest maker whose stored work this one would not have done.
    pub fn other_than(&self, maker: &Maker) -> Option<&Maker> {
        self.makers.iter().rev().find(|other| !other.is_like(maker))
    }

    /// Adds a maker; false when it was known.
    fn add(&mut self, maker: &Maker) -> bool {
        if self.makers.contains(maker) {
            return false;
        }
        // What was known without its settings is known with them now.
        self.makers.retain(|other| other.settings.is_some() || other.plugin != maker.plugin);
        self.makers.push(maker.clone());
        let over = self.makers.len().saturating_sub(MAKERS);
        self.makers.drain(..over);
        true
    }
}

impl Store {
    /// What made the stored records of a sync.
    pub fn mapping(&self, sync: &SyncName) -> Result<Mapping, Error> {
        let Some(number) = self.sync_number(sync) else { return Ok(Mapping::default()) };
        let key = key(number);
        match self.0.disk.get(&key)? {
            Some(payload) => from_json(&key, &payload),
            None => self.mapping_of_runs(sync),
        }
    }

    /// Remembers that a remap has begun, or with none that there is none any more; durable when this returns.
    pub fn set_remap(&self, sync: &SyncName, remap: Option<Remap>) -> Result<(), Error> {
        self.change_mapping(sync, |mapping| mapping.remap = remap)
    }

    /// Ends a remap: all that is stored is this maker's work now. Durable when this returns.
    pub fn end_remap(&self, sync: &SyncName, maker: &Maker) -> Result<(), Error> {
        self.change_mapping(sync, |mapping| {
            *mapping = Mapping { makers: vec![maker.clone()], remap: None };
        })
    }

    fn change_mapping(
        &self,
        sync: &SyncName,
        change: impl FnOnce(&mut Mapping),
    ) -> Result<(), Error> {
        let _writer = self.writer();
        let Some(number) = self.sync_number(sync) else { return Ok(()) };
        let mut mapping = self.mapping(sync)?;
        change(&mut mapping);
        let mut writes = Writes::default();
        writes.put(key(number), &to_json("a mapping", &mapping)?);
        self.0.disk.apply(writes)?;
        self.0.disk.flush()
    }

    /// What a commit changes of it: `maker` mapped some of its records, and a remap stands there now.
    pub(super) fn write_mapping(
        &self,
        (sync, number): (&SyncName, u16),
        maker: Option<&Maker>,
        remap: Option<&Remap>,
        writes: &mut Writes,
    ) -> Result<(), Error> {
        if maker.is_none() && remap.is_none() {
            return Ok(());
        }
        let mut mapping = self.mapping(sync)?;
        let mut changed = maker.is_some_and(|maker| mapping.add(maker));
        if remap.is_some() && mapping.remap.as_ref() != remap {
            mapping.remap = remap.cloned();
            changed = true;
        }
        if changed {
            writes.put(key(number), &to_json("a mapping", &mapping)?);
        }
        Ok(())
    }

    fn mapping_of_runs(&self, sync: &SyncName) -> Result<Mapping, Error> {
        const RUNS: usize = 20;
        let runs = self.runs(&RunFilter {
            sync: Some(sync.clone()),
            limit: RUNS,
            ..RunFilter::default()
        })?;
        let mut mapping = Mapping::default();
        for run in runs.iter().rev().filter(|run| run.ended.is_some()) {
            let counts = &run.counts;
            if counts.mapped + counts.skipped + counts.failed > 0
                && let Some(plugin) = &run.plugin
            {
                mapping.add(&Maker { plugin: plugin.digest.clone(), settings: None });
            }
        }
        Ok(mapping)
    }
}

fn key(sync: u16) -> Vec<u8> {
    Space::Mapping.key(&[&sync.to_be_bytes()])
}

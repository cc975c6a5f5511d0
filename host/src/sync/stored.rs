//! What stored texts hold for a plugin: which of its fields were fetched, and how they are found. Pure but for one look
//! at the store.

use super::Error;
use crate::model::{Run, Selection, SyncName};
use crate::plugin::Field;
use crate::store::{self, RunFilter, Store};

/// How a plugin reads stored texts.
#[derive(Debug, Clone)]
pub struct StoredSelection {
    /// What to find in each text.
    pub selection: Selection,
    /// The fields that the plugin is given.
    pub fields: Vec<String>,
    /// Fields that it reads and the last run did not fetch: they are null.
    pub missing: Vec<String>,
}

/// What a plugin that reads these fields finds in the texts that `fetched`, the newest run that asked Salesforce, and those
/// before it stored. Fails when it cannot do without a field that was not fetched.
pub fn stored_selection(
    sync: &SyncName,
    reads: &[Field],
    fetched: Option<&Run>,
) -> Result<StoredSelection, Error> {
    let held = fetched.map_or(&[][..], |run| &run.fields);
    let has = |name: &str| {
        name.eq_ignore_ascii_case("Id") || held.iter().any(|own| own.eq_ignore_ascii_case(name))
    };
    let mut missing = Vec::new();
    for read in reads.iter().filter(|read| fetched.is_some() && !has(&read.name)) {
        if read.required {
            let (sync, field) = (sync.clone(), read.name.clone());
            return Err(Error::NeverFetched { sync, field });
        }
        missing.push(read.name.clone());
    }
    let fields = match reads {
        [] => held.to_vec(),
        reads => reads.iter().map(|read| read.name.clone()).collect(),
    };
    let stamp = fetched.and_then(|run| run.stamp_field.as_deref());
    Ok(StoredSelection { selection: Selection::new(&fields, stamp), fields, missing })
}

/// The newest run of a sync that asked Salesforce and came so far as to know its fields.
pub fn last_reading(store: &Store, sync: &SyncName) -> Result<Option<Run>, store::Error> {
    let mut filter = RunFilter { sync: Some(sync.clone()), ..RunFilter::default() };
    loop {
        let runs = store.runs(&filter)?;
        let Some(oldest) = runs.last().map(|run| run.id) else { return Ok(None) };
        if let Some(found) = runs.into_iter().find(has_fields) {
            return Ok(Some(found));
        }
        filter.before = Some(oldest);
    }
}

/// Whether a run asked Salesforce and knows its fields.
pub fn has_fields(run: &Run) -> bool {
    run.trigger.reads() && !run.fields.is_empty()
}

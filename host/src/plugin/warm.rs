//! For the benchmark alone: an instance that maps batch after batch, to hold against what the host does, which is a fresh
//! one each time.

use wasmtime::Store;

use super::call::{Batching, Instance, Plugin, new_store};
use super::error::Error;
use super::inert::Inert;
use super::mapped::{Call, Spent};
use super::state::{Logs, State};
use crate::model::{Batch, Outcome};

/// An instance that is used again. Not for use: what one batch leaves in it, the next one meets.
#[doc(hidden)]
pub struct Warm<'a> {
    plugin: &'a Plugin,
    call: &'a Call<'a>,
    store: Store<State>,
    instance: Instance,
}

impl std::fmt::Debug for Warm<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Warm").field("plugin", self.plugin).finish_non_exhaustive()
    }
}

impl Plugin {
    /// An instance to be used again.
    #[doc(hidden)]
    pub fn warm<'a>(&'a self, call: &'a Call<'a>) -> Result<Warm<'a>, Error> {
        let inner = &self.0;
        let limits = &inner.engine.limits;
        let millis = u64::try_from(call.read_at.0).unwrap_or_default();
        let state = State::new(limits, Logs::new(limits), None, Inert::new(millis, 0));
        let mut store = new_store(&inner.engine, state);
        let instance = inner.configured(&mut store, call.settings, &inner.subject)?;
        Ok(Warm { plugin: self, call, store, instance })
    }
}

impl Warm<'_> {
    /// Maps a batch, as [`Plugin::map`] does when nothing breaks; none when something did.
    #[doc(hidden)]
    pub fn map(&mut self, batch: &Batch) -> Option<Vec<Outcome>> {
        let inner = &self.plugin.0;
        let (columns, names) = inner.columns(&batch.fields, &inner.subject).ok()?;
        let mut batching = Batching {
            call: self.call,
            batch,
            columns: &columns,
            names,
            subject: inner.subject.clone(),
            logs: Logs::new(&inner.engine.limits),
            lookups: None,
            peak: 0,
            spent: Spent::default(),
        };
        inner.map_on(&self.instance, &mut self.store, &mut batching, 0..batch.len()).ok()
    }
}

//! Runs, their pages, and the cursors that they move.

use super::disk::{Disk, Writes};
use super::error::Error;
use super::layout::Space;
use super::meta::{Meta, SyncState, from_json, to_json};
use super::names::Class;
use super::{Store, Stored, block, brief};
use crate::model::{
    ConnectionName, Counts, Cursor, Ending, PageNote, PluginNote, Run, RunId, Stamp, Standing,
    SyncName, Timing, Trigger, Usage,
};

/// What is known of a run when it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// Its sync.
    pub sync: SyncName,
    /// The sync's object.
    pub object: String,
    /// The connection that it uses.
    pub connection: ConnectionName,
    /// What started it.
    pub trigger: Trigger,
    /// When, by the local clock.
    pub started: Stamp,
    /// Where the sync stands.
    pub cursor_before: Cursor,
    /// The plugin.
    pub plugin: Option<PluginNote>,
    /// The org's day.
    pub quota_before: Option<Usage>,
}

/// Which runs to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFilter {
    /// Only runs of this sync.
    pub sync: Option<SyncName>,
    /// Only runs that stand so; empty: however they stand.
    pub standings: Vec<Standing>,
    /// Only runs that started at this time or later.
    pub from: Option<Stamp>,
    /// Only runs that started before this time.
    pub until: Option<Stamp>,
    /// Only runs with a smaller number.
    pub before: Option<RunId>,
    /// At most so many.
    pub limit: usize,
}

impl Default for RunFilter {
    fn default() -> Self {
        Self { sync: None, standings: Vec::new(), from: None, until: None, before: None, limit: 50 }
    }
}

impl Store {
    /// Begins a run, which gets the next number; durable when this returns.
    pub fn begin_run(&self, run: NewRun) -> Result<Run, Error> {
        let mut writer = self.writer();
        let mut writes = Writes::default();
        let mut names = self.names().clone();
        let sync = names.give(Class::Sync, run.sync.as_str(), &mut writes)?;
        let id = RunId(writer.meta.next_run);
        let run = Run {
            id,
            sync: run.sync,
            object: run.object,
            connection: run.connection,
            trigger: run.trigger,
            started: run.started,
            ended: None,
            ending: None,
            counts: Counts::default(),
            calls: 0,
            pages: 0,
            window: None,
            soql: String::new(),
            fields: Vec::new(),
            stamp_field: None,
            cursor_before: run.cursor_before,
            cursor_after: run.cursor_before,
            expected: None,
            plugin: run.plugin,
            quota_before: run.quota_before,
            quota_after: None,
            retries: Vec::new(),
            failures: Default::default(),
            timing: Timing::default(),
            notes: Vec::new(),
            schema: None,
            without_text: 0,
            later_plugins: Vec::new(),
        };
        let meta = Meta { next_run: id.0 + 1, ..writer.meta };
        writes.put(Meta::key(), &meta.write());
        write_run(&run, &mut writer.packer, &mut writes)?;
        writes.put(Space::RunOf.key(&[&sync.to_be_bytes(), &id.0.to_be_bytes()]), &[]);
        writes.put(Space::Open.number(id.0), &[]);
        let folding = self.fold_into(&mut writes)?;
        self.0.disk.apply(writes)?;
        writer.meta = meta;
        self.set_names(names);
        self.0.disk.flush()?;
        self.folded(folding);
        self.active_mut().insert(id, run.clone());
        Ok(run)
    }

    /// Changes a run that has not ended: seen by readers at once, durable with its next commit or its end.
    pub fn update_run(&self, id: RunId, change: impl FnOnce(&mut Run)) -> Result<Run, Error> {
        // Under the writer's lock, so that a commit in hand does not undo it.
        let _writer = self.writer();
        let mut active = self.active_mut();
        let run = active.get_mut(&id).ok_or(Error::NoRun { run: id })?;
        change(run);
        run.id = id;
        Ok(run.clone())
    }

    /// Ends a run after a last change to it; durable when this returns.
    pub fn end_run(
        &self,
        id: RunId,
        ending: Ending,
        at: Stamp,
        change: impl FnOnce(&mut Run),
    ) -> Result<Run, Error> {
        let mut writer = self.writer();
        let mut run = self.active().get(&id).cloned().ok_or(Error::NoRun { run: id })?;
        change(&mut run);
        run.id = id;
        run.ended = Some(at);
        run.ending = Some(ending);
        let mut writes = Writes::default();
        write_run(&run, &mut writer.packer, &mut writes)?;
        writes.remove(Space::Open.number(id.0));
        if let Some(sync) = self.sync_number(&run.sync) {
            brief::index(sync, &run, &mut writes);
        }
        let folding = self.fold_into(&mut writes)?;
        self.0.disk.apply(writes)?;
        self.active_mut().remove(&id);
        self.0.disk.flush()?;
        self.folded(folding);
        Ok(run)
    }

    /// Ends the runs that a dead process left open, as interrupted; called once, before any run is begun.
    pub fn recover(&self) -> Result<Vec<RunId>, Error> {
        let mut open: Vec<RunId> = self.active().keys().copied().collect();
        open.sort_unstable();
        for &id in &open {
            // The last sign of life.
            let last = self.0.disk.last(&Space::Page.number(id.0))?;
            let at = match last {
                Some((key, payload)) => from_json::<PageNote>(&key, &payload)?.at,
                None => self.active().get(&id).map(|run| run.started).unwrap_or_default(),
            };
            self.end_run(id, Ending::Interrupted, at, |_| {})?;
        }
        Ok(open)
    }

    /// Where a sync stands.
    pub fn cursor(&self, sync: &SyncName) -> Result<Cursor, Error> {
        Ok(self.state(sync)?.cursor)
    }

    /// How much of a sync is stored; kept up by every commit, so this costs one read.
    pub fn counts(&self, sync: &SyncName) -> Result<Stored, Error> {
        Ok(self.state(sync)?.stored)
    }

    /// Sets a sync back to its beginning: the next run reads everything. What is stored stays, and a record that did not
    /// change counts as unchanged. Durable when this returns.
    pub fn reset(&self, sync: &SyncName) -> Result<(), Error> {
        let mut writer = self.writer();
        let Some(number) = self.sync_number(sync) else { return Ok(()) };
        let mut meta = writer.meta;
        meta.number += 1;
        meta.sync = Some(number);
        let state =
            SyncState { number: meta.number, cursor: Cursor::default(), ..self.state(sync)? };
        let mut writes = Writes::default();
        writes.put(SyncState::key(number), &state.write()?);
        writes.put(Meta::key(), &meta.write());
        self.0.disk.apply(writes)?;
        writer.meta = meta;
        self.0.disk.flush()?;
        self.acknowledge(meta.number);
        Ok(())
    }

    pub(super) fn state(&self, sync: &SyncName) -> Result<SyncState, Error> {
        match self.sync_number(sync) {
            Some(number) => read_state(&self.0.disk, number),
            None => Ok(SyncState::default()),
        }
    }

    /// The syncs that the store has heard of, in the order in which it did.
    pub fn syncs(&self) -> Vec<SyncName> {
        let names = self.names();
        (0..=u16::MAX)
            .map_while(|number| names.name(Class::Sync, number).ok())
            .filter_map(|name| SyncName::new(&name).ok())
            .collect()
    }

    /// A run; one without an ending as it stands now.
    pub fn run(&self, id: RunId) -> Result<Option<Run>, Error> {
        if let Some(run) = self.active().get(&id) {
            return Ok(Some(run.clone()));
        }
        read_run(&self.0.disk, id)
    }

    /// The pages of a run with a greater number than `after`, in order.
    pub fn pages(
        &self,
        run: RunId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<PageNote>, Error> {
        let prefix = Space::Page.number(run.0);
        let from = Space::Page.pair(run.0, after.map_or(0, |page| page.saturating_add(1)));
        let walk = self.0.disk.from(&prefix, &from).take(limit);
        walk.map(|item| item.and_then(|(key, payload)| from_json(&key, &payload))).collect()
    }
}

pub(super) fn read_state(disk: &Disk, sync: u16) -> Result<SyncState, Error> {
    let key = SyncState::key(sync);
    match disk.get(&key)? {
        Some(payload) => SyncState::read(&key, &payload),
        None => Ok(SyncState::default()),
    }
}

/// A run with a long query or long notes is packed.
pub(super) fn write_run(
    run: &Run,
    packer: &mut block::Packer,
    writes: &mut Writes,
) -> Result<(), Error> {
    const LONG: usize = 4096;
    let json = to_json("a run", run)?;
    let mut payload = Vec::with_capacity(json.len() + 1);
    if json.len() > LONG {
        payload.push(1);
        payload.extend_from_slice(&packer.pack(&json)?);
    } else {
        payload.push(0);
        payload.extend_from_slice(&json);
    }
    writes.put_long(Space::Run.number(run.id.0), &payload);
    Ok(())
}

pub(super) fn read_run(disk: &Disk, id: RunId) -> Result<Option<Run>, Error> {
    let key = Space::Run.number(id.0);
    let Some(payload) = disk.get_long(&key)? else { return Ok(None) };
    match payload.split_first() {
        Some((0, json)) => from_json(&key, json).map(Some),
        Some((1, packed)) => from_json(&key, &block::unpack(&key, packed)?).map(Some),
        _ => Err(super::codec::unfit(&key, "it cannot be read")),
    }
}

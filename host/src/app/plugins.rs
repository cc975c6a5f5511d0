//! The plugins of all syncs: which one each uses, and how it comes to use another: because its file changed, or because an
//! operator said so. Another one is loaded, shown its settings and tried on stored records before it takes the place of the
//! present one, from the next batch on; one that fails leaves the present one where it is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::{Error, outputs, plugin_source, take_settings};
use crate::clock::Clock;
use crate::config::{Config, PluginRef, SyncConfig};
use crate::events::{Bus, Event};
use crate::model::{Maker, Outcome, RunId, SyncName};
use crate::plugin::{self, Chosen, Engine, Lookup, Plugin, Shelf, Source};
use crate::store::{self, Pick, Store};
use crate::sync::stored::{last_reading, stored_selection};
use crate::sync::{self, Mapper, Present};
use crate::web::reader::named;
use crate::web::view;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Stored records that another plugin is tried on.
const TRIED: usize = 200;

/// The plugins of all syncs. Cheap to clone. Its functions block, for seconds when something must be compiled.
#[derive(Clone)]
pub struct Plugins(Arc<Shared>);

struct Shared {
    store: Store,
    engine: Engine,
    shelf: Shelf,
    lookup: Arc<dyn Lookup>,
    bus: Bus,
    clock: Clock,
    slots: BTreeMap<SyncName, Slot>,
}

/// The plugin of one sync.
struct Slot {
    sync: SyncConfig,
    /// Not there: it could not be loaded.
    present: OnceLock<Present>,
    live: Mutex<Live>,
    /// One change at a time.
    changing: Mutex<()>,
}

/// What changes of a slot besides its plugin.
#[derive(Default)]
struct Live {
    watch: Watch,
    refused: Option<view::Refused>,
    problem: Option<view::Trouble>,
}

/// Why a sync uses another plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    File,
    Enabled,
    RolledBack,
}

impl How {
    fn as_str(self) -> &'static str {
        match self {
            Self::File => "its file changed",
            Self::Enabled => "it was enabled",
            Self::RolledBack => "it was rolled back to",
        }
    }
}

impl Plugins {
    /// Loads the plugin of every enabled sync. Those that cannot be loaded come with the reason; whoever must have all of
    /// them looks there.
    pub fn open(
        config: &Arc<Config>,
        store: &Store,
        engine: Engine,
        bus: &Bus,
        clock: &Clock,
    ) -> Result<(Self, BTreeMap<SyncName, Error>), Error> {
        let shelf = Shelf::open(&super::beside(config, "plugins")).map_err(Error::Engine)?;
        let (mut slots, mut failed) = (BTreeMap::new(), BTreeMap::new());
        for sync in config.syncs.iter().filter(|sync| sync.enabled) {
            let mut live = Live::default();
            // Before it is read, so that no change is missed.
            live.watch.settled = print(&sync.plugin);
            let present = OnceLock::new();
            match load(&engine, &shelf, sync) {
                Ok(mapper) => {
                    present.get_or_init(|| Present::new(mapper.plugin, mapper.settings));
                }
                Err(error) => {
                    live.problem = Some(view::Trouble::of(error.code(), &error));
                    failed.insert(sync.name.clone(), error);
                }
            }
            let changing = Mutex::default();
            let slot = Slot { sync: sync.clone(), present, live: Mutex::new(live), changing };
            slots.insert(sync.name.clone(), slot);
        }
        let lookup = outputs(store, config);
        let plugins = Self(Arc::new(Shared {
            store: store.clone(),
            engine,
            shelf,
            lookup,
            bus: bus.clone(),
            clock: clock.clone(),
            slots,
        }));
        Ok((plugins, failed))
    }

    /// Keeps what is used now, so that it can be gone back to.
    pub fn remember(&self) -> Result<(), Error> {
        let most = self.0.engine.limits().component_bytes;
        for slot in self.0.slots.values() {
            let (Some(present), name) = (slot.present.get(), &slot.sync.name) else { continue };
            let note = present.get().plugin.note();
            let failed = |source| slot.failed(source);
            if !self.0.shelf.has(&note.digest) {
                // A file that has changed since is told of by the next look.
                self.0.shelf.keep(&plugin_source(&slot.sync.plugin), most).map_err(failed)?;
            }
            let mut held = self.0.shelf.held(name).map_err(failed)?;
            if held.using(&note, self.0.clock.now()) {
                self.0.shelf.hold(name, &held).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// The present plugin of a sync, live.
    pub fn present(&self, sync: &SyncName) -> Option<Present> {
        self.0.slots.get(sync)?.present.get().cloned()
    }

    /// With what a sync would be mapped now.
    pub fn maker(&self, sync: &SyncName) -> Option<Maker> {
        let Mapper { plugin, settings } = self.present(sync)?.get();
        Some(plugin.maker(&settings))
    }

    /// Looks at the files of plugins until it is stopped.
    pub async fn watch(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let plugins = self.clone();
            if let Err(error) = tokio::task::spawn_blocking(move || plugins.look()).await {
                tracing::error!(%error, "Looking for changed plugins failed");
            }
        }
    }

    /// Looks at every plugin's file once, and takes those that changed and have been the same for two looks.
    pub fn look(&self) {
        for slot in self.0.slots.values() {
            let now = print(&slot.sync.plugin);
            if slot.live().watch.step(now) && self.follows(slot) {
                self.file_changed(slot);
            }
        }
    }

    /// Whether a sync uses what its file holds.
    fn follows(&self, slot: &Slot) -> bool {
        let held = self.0.shelf.held(&slot.sync.name).unwrap_or_default();
        slot.sync.plugin_digest.is_none() && held.chosen_for(&named(&slot.sync.plugin)).is_none()
    }

    fn file_changed(&self, slot: &Slot) {
        let mut digest = String::new();
        let Err(error) = self.take_file(slot, &mut digest) else {
            slot.live().refused = None;
            return;
        };
        let (code, reason) = (error.code().to_owned(), error.to_string());
        let (sync, at) = (slot.sync.name.clone(), self.0.clock.now());
        let refused = view::Refused { digest, code, reason, at };
        slot.live().refused = Some(refused.clone());
        let view::Refused { digest, code, reason, .. } = refused;
        self.0.bus.emit(Event::PluginRefused { sync, digest, code, reason });
    }

    /// Takes what is in the file; tells its digest as soon as it was read.
    fn take_file(&self, slot: &Slot, digest: &mut String) -> Result<(), Error> {
        let most = self.0.engine.limits().component_bytes;
        let read = Shelf::read(&plugin_source(&slot.sync.plugin), most);
        let (source, found) = read.map_err(|source| slot.failed(source))?;
        digest.clone_from(&found);
        match slot.present.get() {
            Some(present) if present.get().plugin.digest() == found => Ok(()),
            _ => self.change(slot, &source, &found, How::File),
        }
    }

    /// Lets a sync use a component that is kept, whatever the configuration names; with none, it uses again what the
    /// configuration names.
    pub fn enable(&self, sync: &SyncName, digest: Option<&str>) -> Result<view::PluginUse, Error> {
        let slot = self.slot(sync)?;
        slot.is_free()?;
        let most = self.0.engine.limits().component_bytes;
        let named = plugin_source(&slot.sync.plugin);
        let (source, digest) = match digest {
            Some(digest) if self.0.shelf.has(digest) => {
                (self.0.shelf.source(digest), digest.to_owned())
            }
            Some(digest) => return Err(Error::NotKept { digest: digest.to_owned() }),
            None => Shelf::read(&named, most).map_err(|source| slot.failed(source))?,
        };
        self.change(slot, &source, &digest, How::Enabled)?;
        self.view(slot)
    }

    /// Lets a sync use again what it used before its present plugin.
    pub fn roll_back(&self, sync: &SyncName) -> Result<view::PluginUse, Error> {
        let slot = self.slot(sync)?;
        slot.is_free()?;
        let held = self.0.shelf.held(sync).map_err(|source| slot.failed(source))?;
        let present = slot.present.get().map(|present| present.get().plugin.digest().to_owned());
        let present = present.or_else(|| Some(held.chosen.as_ref()?.digest.clone()));
        // One that could not even be loaded was never used: the last use is what to go back to.
        let before = held.before(present.as_deref().unwrap_or_default());
        let before = before.filter(|one| self.0.shelf.has(&one.digest));
        let Some(before) = before else { return Err(Error::NoFormer(sync.clone())) };
        let digest = before.digest.clone();
        self.change(slot, &self.0.shelf.source(&digest), &digest, How::RolledBack)?;
        self.view(slot)
    }

    /// Loads, checks and tries a component, and puts it in the place of the present one.
    fn change(&self, slot: &Slot, source: &Source, digest: &str, how: How) -> Result<(), Error> {
        let _one = slot.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (sync, shared) = (&slot.sync, &self.0);
        let failed = |source| slot.failed(source);
        let plugin = shared.engine.load_pinned(source, Some(digest)).map_err(failed)?;
        let about = plugin.description();
        if !about.maps(&sync.object) {
            return Err(Error::Object {
                plugin: about.name.clone(),
                object: sync.object.clone(),
                maps: about.objects.join(", "),
            });
        }
        let settings = take_settings(&plugin, sync)?;
        let mapper = Mapper { plugin, settings };
        self.try_out(slot, &mapper)?;
        let most = shared.engine.limits().component_bytes;
        shared.shelf.keep(source, most).map_err(failed)?;
        let now = shared.clock.now();
        let mut held = shared.shelf.held(&sync.name).map_err(failed)?;
        let named = named(&sync.plugin);
        match how {
            How::File => {}
            How::RolledBack => held.back_to(digest),
            How::Enabled => held.chosen = None,
        }
        // What the configuration names needs no choice.
        let configured = how == How::File
            || plugin::digest(&plugin_source(&sync.plugin)).is_ok_and(|named| named == digest);
        held.chosen =
            (!configured).then(|| Chosen { digest: digest.to_owned(), instead_of: named, at: now });
        let note = mapper.plugin.note();
        held.using(&note, now);
        shared.shelf.hold(&sync.name, &held).map_err(failed)?;
        let mut before = None;
        match slot.present.get() {
            Some(present) => {
                before = Some(present.get().plugin.digest().to_owned());
                if before.as_deref() != Some(digest) {
                    present.set(mapper);
                }
            }
            None => {
                slot.present.get_or_init(|| Present::new(mapper.plugin, mapper.settings));
            }
        }
        slot.live().problem = None;
        slot.live().refused = None;
        shared.bus.emit(Event::PluginChanged {
            sync: sync.name.clone(),
            name: note.name,
            version: note.version,
            digest: note.digest,
            before,
            why: how.as_str().to_owned(),
        });
        Ok(())
    }

    /// Maps some stored records and stores nothing: a plugin that breaks on one of them, or that fails all of them though
    /// not all of them failed before, is not taken.
    fn try_out(&self, slot: &Slot, mapper: &Mapper) -> Result<(), Error> {
        let (sync, store) = (&slot.sync, &self.0.store);
        let about = mapper.plugin.description();
        let fetched = last_reading(store, &sync.name)?;
        let selection = match stored_selection(&sync.name, &about.reads, fetched.as_ref()) {
            Ok(found) => found.selection,
            // The next run fetches it; nothing stored can be mapped with it.
            Err(sync::Error::NeverFetched { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let found = store.raw_batches(&sync.name, Pick::All, None, TRIED).next().transpose()?;
        let Some(raw) = found.filter(|raw| !raw.spans.is_empty()) else { return Ok(()) };
        let batch = selection.read_records(&raw.text, &raw.spans).map_err(sync::Error::from)?;
        let lives = |i: &usize| about.maps_deletions || !batch.records[*i].deleted;
        let batch = batch.select(&(0..batch.len()).filter(lives).collect::<Vec<_>>());
        if batch.is_empty() {
            return Ok(());
        }
        let call = plugin::Call {
            object: &sync.object,
            sync: &sync.name,
            run: RunId(0),
            batch: 0,
            read_at: self.0.clock.now(),
            settings: &mapper.settings,
            lookup: self.0.lookup.clone(),
        };
        let mapped = mapper.plugin.map(&call, &batch).map_err(|source| slot.failed(source))?;
        let mut failed =
            batch.records.iter().zip(&mapped.outcomes).filter_map(|(one, outcome)| match outcome {
                Outcome::Failed(why) => Some((one.id, why)),
                _ => None,
            });
        let (tried, plugin) = (batch.len(), about.name.clone());
        let refused = |(record, why): (_, &crate::model::Rejection), how: String| Error::TriedOut {
            plugin: plugin.clone(),
            how,
            record,
            why: format!("{} [{}]", why.message, why.code),
        };
        if mapped.traps > 0 {
            let first = failed.find(|(_, why)| plugin::is_trap(&why.code));
            let how = format!("breaks on {} of {tried} stored records", mapped.traps);
            return first.map_or(Ok(()), |first| Err(refused(first, how)));
        }
        let first = failed.next();
        if failed.count() + 1 < tried || !self.some_were_mapped(sync, &batch)? {
            return Ok(());
        }
        let how = format!("fails all of {tried} stored records");
        first.map_or(Ok(()), |first| Err(refused(first, how)))
    }

    fn some_were_mapped(
        &self,
        sync: &SyncConfig,
        batch: &crate::model::Batch,
    ) -> Result<bool, store::Error> {
        for record in &batch.records {
            let stored = self.0.store.record(&sync.name, record.id)?;
            if stored.is_some_and(|one| !matches!(one.state, store::State::Failed(_))) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn slot(&self, sync: &SyncName) -> Result<&Slot, Error> {
        self.0.slots.get(sync).ok_or_else(|| Error::UnknownSync(sync.clone()))
    }

    /// What there is, for people.
    pub fn views(&self) -> Result<view::Plugins, Error> {
        let plugins =
            self.0.slots.values().map(|slot| self.view(slot)).collect::<Result<_, _>>()?;
        Ok(view::Plugins { plugins })
    }

    fn view(&self, slot: &Slot) -> Result<view::PluginUse, Error> {
        let sync = &slot.sync;
        let held = self.0.shelf.held(&sync.name).map_err(|source| slot.failed(source))?;
        let named = named(&sync.plugin);
        let mapper = slot.present.get().map(Present::get);
        let note = mapper.as_ref().map(|mapper| mapper.plugin.note());
        let digest = note.as_ref().map_or("", |note| note.digest.as_str());
        let live = slot.live();
        Ok(view::PluginUse {
            sync: sync.name.clone(),
            object: sync.object.clone(),
            configured: named.clone(),
            pinned: sync.plugin_digest.clone(),
            chosen: held.chosen_for(&named).map(|chosen| chosen.at),
            since: held.uses.last().filter(|last| last.digest == digest).map(|last| last.since),
            before: held.before(digest).filter(|one| self.0.shelf.has(&one.digest)).cloned(),
            description: mapper
                .as_ref()
                .and_then(|mapper| serde_json::to_value(mapper.plugin.description()).ok()),
            settings: sync.plugin_config.clone(),
            secrets: sync.plugin_secrets.keys().cloned().collect(),
            work: slot.present.get().map(|present| present.done().into()),
            refused: live.refused.clone(),
            problem: live.problem.clone(),
            plugin: note,
        })
    }

    /// Keeps a component that somebody has in a file, and checks and tries it for a sync; tells its digest.
    pub fn keep(&self, source: &Source) -> Result<String, Error> {
        let most = self.0.engine.limits().component_bytes;
        self.0.shelf.keep(source, most).map_err(Error::Engine)
    }
}

/// Keeps a component for a host that is asked to use it then.
pub fn keep(config: &Config, source: &Source) -> Result<String, Error> {
    let shelf = Shelf::open(&super::beside(config, "plugins")).map_err(Error::Engine)?;
    shelf.keep(source, config.plugins.component_bytes).map_err(Error::Engine)
}

/// The plugin that a sync is to use, with its settings.
pub fn load_present(
    engine: &Engine,
    config: &Config,
    sync: &SyncConfig,
) -> Result<(Plugin, plugin::Settings), Error> {
    let shelf = Shelf::open(&super::beside(config, "plugins")).map_err(Error::Engine)?;
    load(engine, &shelf, sync).map(|mapper| (mapper.plugin, mapper.settings))
}

/// SHA-256 of the component that a sync is to use, in hexadecimal; none when it cannot be read. Loads nothing.
pub fn present_digest(config: &Config, sync: &SyncConfig) -> Option<String> {
    let folder = super::beside(config, "plugins");
    if sync.plugin_digest.is_none() && folder.exists() {
        let held = Shelf::open(&folder).ok()?.held(&sync.name).ok()?;
        if let Some(chosen) = held.chosen_for(&named(&sync.plugin)) {
            return Some(chosen.digest.clone());
        }
    }
    plugin::digest(&plugin_source(&sync.plugin)).ok()
}

fn load(engine: &Engine, shelf: &Shelf, sync: &SyncConfig) -> Result<Mapper, Error> {
    let failed = |source| Error::Plugin { sync: sync.name.clone(), source: Box::new(source) };
    let held = shelf.held(&sync.name).map_err(failed)?;
    let chosen = held.chosen_for(&named(&sync.plugin)).filter(|_| sync.plugin_digest.is_none());
    let (source, digest) = match chosen {
        Some(chosen) => (shelf.source(&chosen.digest), Some(chosen.digest.as_str())),
        None => (plugin_source(&sync.plugin), sync.plugin_digest.as_deref()),
    };
    let plugin = engine.load_pinned(&source, digest).map_err(failed)?;
    let settings = take_settings(&plugin, sync)?;
    Ok(Mapper { plugin, settings })
}

impl Slot {
    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, source: plugin::Error) -> Error {
        Error::Plugin { sync: self.sync.name.clone(), source: Box::new(source) }
    }

    /// Whether an operator may choose: not when the configuration pins a digest.
    fn is_free(&self) -> Result<(), Error> {
        match &self.sync.plugin_digest {
            None => Ok(()),
            Some(_) => Err(Error::Pinned(self.sync.name.clone())),
        }
    }
}

/// What tells that a file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Print {
    len: u64,
    modified: Option<SystemTime>,
}

/// The print of a plugin's file; none when it has none, or the file is not there.
fn print(plugin: &PluginRef) -> Option<Print> {
    let PluginRef::File(path) = plugin else { return None };
    let about = std::fs::metadata(path).ok()?;
    Some(Print { len: about.len(), modified: about.modified().ok() })
}

/// Finds out when a file has changed and is written to no more. Pure.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Watch {
    /// As it was when it was last taken.
    settled: Option<Print>,
    /// As it was at the last look.
    seen: Option<Print>,
}

impl Watch {
    /// Whether to take the file now. One that is not there changes nothing.
    fn step(&mut self, now: Option<Print>) -> bool {
        let stable = now.is_some() && self.seen == now;
        self.seen = now;
        if !stable || self.settled == now {
            return false;
        }
        self.settled = now;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_taken_once_it_rests() {
        let at = |len| Some(Print { len, modified: None });
        let mut watch = Watch { settled: at(1), seen: None };
        let looks =
            [at(1), at(1), at(2), at(3), at(3), at(3), None, None, at(3), at(3), at(1), at(1)];
        let taken: Vec<bool> = looks.into_iter().map(|look| watch.step(look)).collect();
        let t = true;
        let f = false;
        assert_eq!(taken, [f, f, f, f, t, f, f, f, f, f, f, t]);
    }
}

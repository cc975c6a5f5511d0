//! A loaded plugin, and how it is called.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::Store;
use wasmtime::component::InstancePre;

use super::compile::Compiled;
use super::describe::Description;
use super::engine::{Engine, Shared, TICK, check_version};
use super::error::{Error, Subject};
use super::facts::{Facts, Given, Import, micros};
use super::fault::Fault;
use super::inert::Inert;
use super::mapped::{Call, Mapped, Spent};
use super::poison::{Plan, Verdict};
use super::settings::{self, Problem, Settings};
use super::state::{Logs, Lookups, State};
use super::text::clean;
use super::v1::{
    self, Columns, JsonMapper, JsonMapperPre, Kind, Sizes, TableMapper, TableMapperPre, types,
};
use crate::model::{Batch, Maker, Outcome, PluginNote};

/// How often a batch is mapped from its start because what it looks up changed meanwhile.
const MOVES: u32 = 16;

/// A loaded and described plugin. Cheap to clone; may be used by many threads.
#[derive(Clone)]
pub struct Plugin(pub(super) Arc<Inner>);

/// The two forms of the contract.
enum Form {
    Table(TableMapperPre<State>),
    Json(JsonMapperPre<State>),
}

/// An instance of either form.
pub(super) enum Instance {
    Table(TableMapper),
    Json(JsonMapper),
}

/// A plugin before anyone holds it.
pub(super) struct Inner {
    pub(super) engine: Arc<Shared>,
    form: Form,
    description: Description,
    kinds: Vec<Kind>,
    digest: String,
    api: String,
    pub(super) subject: Subject,
}

/// What goes from one attempt at a slice of a batch to the next.
pub(super) struct Batching<'a> {
    pub(super) call: &'a Call<'a>,
    pub(super) batch: &'a Batch,
    pub(super) columns: &'a Columns,
    pub(super) names: Vec<String>,
    pub(super) subject: Subject,
    pub(super) logs: Logs,
    pub(super) lookups: Option<Lookups>,
    pub(super) peak: u64,
    pub(super) spent: Spent,
}

/// Why a slice was not mapped.
pub(super) enum Stop {
    /// One of its records may be to blame; the plugin perhaps named it.
    Broke(Fault, Option<usize>),
    /// No record is to blame.
    Failed(Box<Error>),
}

impl Inner {
    /// Links a component, and asks it what it is.
    pub(super) fn start(
        engine: &Engine,
        compiled: Compiled,
        digest: String,
        facts: &mut Facts,
    ) -> Result<Self, Error> {
        let Compiled { component, mut subject, .. } = compiled;
        let shared = engine.0.clone();
        let kind = component.component_type();
        let mut refused = None;
        for (name, _) in kind.imports(&shared.engine) {
            let given = engine.import(&subject, name).unwrap_or_else(|error| {
                refused.get_or_insert(error);
                Given::Refused
            });
            facts.imports.push(Import { name: clean(name, 120), given });
        }
        facts.exports = kind.exports(&shared.engine).map(|(name, _)| clean(name, 120)).collect();
        if let Some(error) = refused {
            return Err(error);
        }
        let mut api = None;
        let mut about = false;
        for (name, _) in kind.exports(&shared.engine) {
            let (interface, version) = name.split_once('@').unwrap_or((name, ""));
            let Some(short) = interface.strip_prefix("kilofold:mapping/") else { continue };
            check_version(&subject, interface, version)?;
            about |= short == "about";
            // A plugin that speaks both is called in the quicker form.
            if short == "table" || (short == "json" && api.is_none()) {
                api = Some((short == "table", clean(name, 80)));
            }
        }
        let Some((table, api)) = api.filter(|_| about) else {
            return Err(Error::NoMapper { subject });
        };
        facts.api = Some(api.clone());
        let mismatch = |error: &wasmtime::Error| {
            let reason = format!("{error:#}");
            if reason.contains("function implementation is missing") {
                let wants = clean(&reason, 200);
                return Error::ApiVersion { subject: subject.clone(), wants, offers: v1::OFFERS };
            }
            Error::ApiMismatch { subject: subject.clone(), reason: clean(&reason, 400) }
        };
        let pre: InstancePre<State> =
            shared.linker.instantiate_pre(&component).map_err(|error| mismatch(&error))?;
        let form = if table {
            TableMapperPre::new(pre).map(Form::Table)
        } else {
            JsonMapperPre::new(pre).map(Form::Json)
        }
        .map_err(|error| mismatch(&error))?;
        let told = {
            let _slot = shared.slots.take();
            describe(&shared, &form, &subject, facts)?
        };
        let description = Description::check(told)
            .map_err(|reason| Error::Description { subject: subject.clone(), reason })?;
        facts.description = Some(description.clone());
        subject.name.clone_from(&description.name);
        let kinds =
            description.outputs.iter().map(|kind| Kind::new(&kind.name, &kind.fields)).collect();
        Ok(Self { engine: shared, form, description, kinds, digest, api, subject })
    }

    /// A fresh instance that has taken its settings.
    pub(super) fn configured(
        &self,
        store: &mut Store<State>,
        settings: &Settings,
        subject: &Subject,
    ) -> Result<Instance, Error> {
        let instance = self.form.instantiate(store, &self.engine, subject)?;
        store.data_mut().secrets = settings.secrets().clone();
        let ms = self.engine.limits.start_ms;
        set_deadline(store, Duration::from_millis(ms));
        let taken = match &instance {
            Instance::Table(it) => {
                it.kilofold_mapping_about().call_configure(&mut *store, settings.json())
            }
            Instance::Json(it) => {
                it.kilofold_mapping_about().call_configure(&mut *store, settings.json())
            }
        };
        match taken {
            Ok(Ok(())) => Ok(instance),
            Ok(Err(problems)) => {
                let problems = problems.into_iter().take(20).map(told_problem).collect();
                Err(Error::Settings { subject: subject.clone(), problems })
            }
            Err(error) => Err(Error::Start {
                subject: subject.clone(),
                doing: "took its settings",
                fault: Fault::of(&error, store.data(), ms),
            }),
        }
    }

    /// Maps a slice of a batch on a fresh instance.
    fn attempt(
        &self,
        batching: &mut Batching<'_>,
        slice: Range<usize>,
    ) -> Result<Vec<Outcome>, Stop> {
        let (call, limits) = (batching.call, &self.engine.limits);
        let millis = u64::try_from(call.read_at.0).unwrap_or_default();
        let seed = xxhash_rust::xxh3::xxh3_64(
            format!("{}/{}/{}/{}", call.sync, call.run, call.batch, slice.start).as_bytes(),
        );
        if let Some(lookups) = &mut batching.lookups {
            lookups.renew();
        }
        let (logs, lookups) = (std::mem::take(&mut batching.logs), batching.lookups.take());
        let state = State::new(limits, logs, lookups, Inert::new(millis, seed));
        let mut store = new_store(&self.engine, state);
        let result = self.attempt_in(&mut store, batching, slice);
        let state = store.into_data();
        batching.logs = state.logs;
        batching.lookups = state.lookups;
        batching.peak = batching.peak.max(state.limiter.bytes);
        result
    }

    fn attempt_in(
        &self,
        store: &mut Store<State>,
        batching: &mut Batching<'_>,
        slice: Range<usize>,
    ) -> Result<Vec<Outcome>, Stop> {
        let begun = Instant::now();
        let instance = self
            .configured(store, batching.call.settings, &batching.subject)
            .map_err(|error| Stop::Failed(Box::new(error)))?;
        batching.spent.start += begun.elapsed();
        if !self.engine.metered {
            return self.map_on(&instance, store, batching, slice);
        }
        let before = store.get_fuel().unwrap_or_default();
        let mapped = self.map_on(&instance, store, batching, slice);
        batching.spent.fuel += before.saturating_sub(store.get_fuel().unwrap_or_default());
        mapped
    }

    /// Maps a slice of a batch on this instance.
    pub(super) fn map_on(
        &self,
        instance: &Instance,
        store: &mut Store<State>,
        batching: &mut Batching<'_>,
        slice: Range<usize>,
    ) -> Result<Vec<Outcome>, Stop> {
        let mut watch = Watch::start();
        let (call, subject) = (batching.call, &batching.subject);
        let failed = |error: Error| Stop::Failed(Box::new(error));
        let unfit = |reason| failed(Error::Batch { subject: subject.clone(), reason });
        let limits = &self.engine.limits;
        let sizes = Sizes::new(limits);
        let context = types::Context {
            object: call.object.to_owned(),
            sync: call.sync.to_string(),
            run: call.run.to_string(),
            batch: call.batch,
            read_at: u64::try_from(call.read_at.0).unwrap_or_default(),
            fields: batching.names.clone(),
        };
        let records = slice.len();
        let deadline = limits.deadline(records);
        let broke = |error: &wasmtime::Error, store: &Store<State>| {
            let state = store.data();
            let allowed = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
            let named = state.panicked.as_ref().and_then(|(index, _)| *index);
            Stop::Broke(Fault::of(error, state, allowed), named.map(|index| index as usize))
        };
        let read = match instance {
            Instance::Table(instance) => {
                let encoded =
                    v1::encode_table(batching.batch, batching.columns, slice).map_err(unfit)?;
                batching.spent.encode += watch.lap();
                set_deadline(store, deadline);
                let answer = instance
                    .kilofold_mapping_table()
                    .call_map_batch(&mut *store, &context, &encoded)
                    .map_err(|error| broke(&error, store))?;
                batching.spent.guest += watch.lap();
                v1::read_table(&answer, &encoded, &self.kinds, sizes)
            }
            Instance::Json(instance) => {
                let encoded =
                    v1::encode_json(batching.batch, batching.columns, slice).map_err(unfit)?;
                batching.spent.encode += watch.lap();
                set_deadline(store, deadline);
                let answer = instance
                    .kilofold_mapping_json()
                    .call_map_batch(&mut *store, &context, &encoded)
                    .map_err(|error| broke(&error, store))?;
                batching.spent.guest += watch.lap();
                v1::read_json(&answer, records, &self.kinds, sizes)
            }
        };
        batching.spent.decode += watch.lap();
        read.map_err(|fault| Stop::Broke(fault, None))
    }

    /// Which field of a batch each field of the plugin is, and the names that the plugin is told.
    pub(super) fn columns(
        &self,
        fields: &[String],
        subject: &Subject,
    ) -> Result<(Vec<Option<usize>>, Vec<String>), Error> {
        let reads = &self.description.reads;
        if reads.is_empty() {
            return Ok(((0..fields.len()).map(Some).collect(), fields.to_vec()));
        }
        let mut columns = Vec::with_capacity(reads.len());
        for (i, read) in reads.iter().enumerate() {
            let same = |name: &String| name.eq_ignore_ascii_case(&read.name);
            let found = if fields.get(i).is_some_and(same) {
                Some(i)
            } else {
                fields.iter().position(same)
            };
            if found.is_none() && read.required {
                let field = read.name.clone();
                return Err(Error::MissingField { subject: subject.clone(), field });
            }
            columns.push(found);
        }
        Ok((columns, reads.iter().map(|field| field.name.clone()).collect()))
    }
}

impl Plugin {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self(inner)
    }

    /// What it is, reads and makes.
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// SHA-256 of the component, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// What a run's record keeps of it.
    pub fn note(&self) -> PluginNote {
        PluginNote {
            name: self.0.description.name.clone(),
            version: self.0.description.version.clone(),
            digest: self.0.digest.clone(),
            api: self.0.api.clone(),
        }
    }

    /// It with these settings, as the store remembers whose work it holds.
    pub fn maker(&self, settings: &Settings) -> Maker {
        Maker { plugin: self.0.digest.clone(), settings: Some(settings.digest().to_owned()) }
    }

    /// Checks settings against what the plugin declares, fills in defaults, and asks the plugin itself. Blocks.
    pub fn check_settings(
        &self,
        given: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Settings, Vec<Problem>> {
        let inner = &self.0;
        let settings = settings::check(&inner.description.settings, given)?;
        let _slot = inner.engine.slots.take();
        let mut store = scratch(&inner.engine);
        match inner.configured(&mut store, &settings, &inner.subject) {
            Ok(_) => Ok(settings),
            Err(Error::Settings { problems, .. }) => Err(problems),
            Err(error) => Err(vec![Problem::new("", error.to_string())]),
        }
    }

    /// Maps a batch on a fresh instance. Records that break the plugin fail, and the others are mapped; an error means
    /// that nothing of the batch may be stored. Blocks for at most the time that the limits give.
    pub fn map(&self, call: &Call<'_>, batch: &Batch) -> Result<Mapped, Error> {
        let begun = Instant::now();
        let inner = &self.0;
        let limits = &inner.engine.limits;
        let subject = Subject { sync: Some(call.sync.clone()), ..inner.subject.clone() };
        let (columns, names) = inner.columns(&batch.fields, &subject)?;
        let mut batching = Batching {
            call,
            batch,
            columns: &columns,
            names,
            logs: Logs::new(limits),
            lookups: Some(Lookups::new(call.lookup.clone(), limits)),
            peak: 0,
            spent: Spent::default(),
            subject,
        };
        let _slot = inner.engine.slots.take();
        for _ in 0..MOVES {
            let mapped = inner.map_batch(&mut batching);
            let moved = batching.lookups.take_if(|lookups| lookups.moved());
            let Some(moved) = moved else {
                let (outcomes, traps) = mapped?;
                return Ok(Mapped {
                    outcomes,
                    traps,
                    logs: batching.logs.lines,
                    logs_dropped: batching.logs.dropped,
                    peak_memory: batching.peak,
                    took: begun.elapsed(),
                    spent: batching.spent,
                });
            };
            // All of the batch sees one moment of what is stored.
            batching.lookups = Some(moved.anew(limits));
            batching.logs = Logs::new(limits);
        }
        Err(Error::LookupMoved { subject: batching.subject, times: MOVES })
    }
}

impl Inner {
    /// Maps a batch, and finds those of its records that break the plugin; stops when what was looked up has changed.
    fn map_batch(&self, batching: &mut Batching<'_>) -> Result<(Vec<Outcome>, u32), Error> {
        let (limits, records) = (&self.engine.limits, batching.batch.len());
        let patience = Duration::from_millis(limits.isolation_ms);
        let mut plan = Plan::new(records, limits.traps, patience);
        let mut outcomes: Vec<Option<Outcome>> = vec![None; records];
        let mut traps = 0;
        while let Some(slice) = plan.next() {
            let started = Instant::now();
            let attempt = self.attempt(batching, slice.clone());
            if batching.lookups.as_ref().is_some_and(Lookups::moved) {
                break;
            }
            let (fault, named) = match attempt {
                // As nearly always.
                Ok(mapped) if slice == (0..records) => return Ok((mapped, 0)),
                Ok(mapped) => {
                    plan.mapped(started.elapsed());
                    for (outcome, mapped) in outcomes[slice].iter_mut().zip(mapped) {
                        *outcome = Some(mapped);
                    }
                    continue;
                }
                Err(Stop::Broke(fault, named)) => (fault, named),
                Err(Stop::Failed(error)) => return Err(*error),
            };
            let subject = || batching.subject.clone();
            match plan.broke(slice, named, started.elapsed()) {
                Verdict::Divided => {}
                Verdict::Guilty(i) => {
                    traps += 1;
                    outcomes[i] = Some(Outcome::Failed(fault.rejection()));
                }
                Verdict::TooMany(_) => {
                    return Err(Error::TooManyTraps {
                        subject: subject(),
                        guilty: traps + 1,
                        records,
                        most: limits.traps,
                        last: Box::new(fault.rejection()),
                    });
                }
                Verdict::OutOfTime => {
                    let (ms, last) = (limits.isolation_ms, Box::new(fault.rejection()));
                    return Err(Error::IsolationTimeout { subject: subject(), ms, last });
                }
            }
        }
        let none =
            || Outcome::Failed(Fault::Invalid(String::from("it gave no answer")).rejection());
        let outcomes = outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(none));
        Ok((outcomes.collect(), traps))
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Plugin").field(&self.0.subject).finish()
    }
}

impl Form {
    fn instantiate(
        &self,
        store: &mut Store<State>,
        engine: &Shared,
        subject: &Subject,
    ) -> Result<Instance, Error> {
        let ms = engine.limits.start_ms;
        set_deadline(store, Duration::from_millis(ms));
        let made = match self {
            Self::Table(pre) => pre.instantiate(&mut *store).map(Instance::Table),
            Self::Json(pre) => pre.instantiate(&mut *store).map(Instance::Json),
        };
        made.map_err(|error| {
            let subject = subject.clone();
            let fault = Fault::of(&error, store.data(), ms);
            match fault {
                Fault::Memory(most) => Error::MemoryStart { subject, most },
                fault => Error::Start { subject, doing: "started", fault },
            }
        })
    }
}

fn describe(
    engine: &Arc<Shared>,
    form: &Form,
    subject: &Subject,
    facts: &mut Facts,
) -> Result<types::Description, Error> {
    let mut store = scratch(engine);
    let begun = Instant::now();
    let instance = form.instantiate(&mut store, engine, subject)?;
    facts.start_us = Some(micros(begun.elapsed()));
    facts.start_bytes = Some(store.data().limiter.bytes);
    let ms = engine.limits.start_ms;
    set_deadline(&mut store, Duration::from_millis(ms));
    let begun = Instant::now();
    let told = match &instance {
        Instance::Table(it) => it.kilofold_mapping_about().call_describe(&mut store),
        Instance::Json(it) => it.kilofold_mapping_about().call_describe(&mut store),
    };
    facts.describe_us = Some(micros(begun.elapsed()));
    match told {
        Ok(Ok(description)) => Ok(description),
        Ok(Err(reason)) => {
            Err(Error::Description { subject: subject.clone(), reason: clean(&reason, 500) })
        }
        Err(error) => Err(Error::Start {
            subject: subject.clone(),
            doing: "described itself",
            fault: Fault::of(&error, store.data(), ms),
        }),
    }
}

/// A store for a call that is about no batch.
fn scratch(engine: &Shared) -> Store<State> {
    let limits = &engine.limits;
    new_store(engine, State::new(limits, Logs::new(limits), None, Inert::new(0, 0)))
}

pub(super) fn new_store(engine: &Shared, state: State) -> Store<State> {
    let mut store = Store::new(&engine.engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(usize::try_from(engine.limits.result_bytes).unwrap_or(usize::MAX));
    store.set_max_component_handles(1_000);
    store.epoch_deadline_trap();
    if engine.metered {
        // As much as there can be: deadlines stop a plugin, fuel only tells what it did. It fails on engines without fuel.
        store.set_fuel(u64::MAX).unwrap_or_default();
    }
    store
}

/// Tells how long each step took.
struct Watch(Instant);

impl Watch {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn lap(&mut self) -> Duration {
        let begun = std::mem::replace(&mut self.0, Instant::now());
        self.0 - begun
    }
}

/// The next call may take this long.
fn set_deadline(store: &mut Store<State>, time: Duration) {
    let ticks = time.as_millis().div_ceil(TICK.as_millis());
    // The tick that is under way does not count.
    store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX >> 1).saturating_add(1));
}

fn told_problem(problem: types::Problem) -> Problem {
    let message = clean(&problem.message, 300);
    let message = if message.is_empty() { String::from("is not accepted") } else { message };
    Problem { setting: clean(&problem.setting, 64), message }
}

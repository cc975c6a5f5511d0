//! Puts the rooms together: from a checked configuration to a host that runs.

mod held;
mod plugins;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::clock::Clock;
use crate::config::{self, Config, PluginRef, SyncConfig};
use crate::events::{Bus, Event};
use crate::forecast;
use crate::model::{Ending, Pause, Run, RunId, Stamp, SyncName, Trigger};
use crate::plugin::{self, Engine, Lookup, Source};
use crate::quota;
use crate::salesforce::{self, Org, OrgSettings, SealKey, Seat};
use crate::schedule::{self, PauseStore, RunResult, Runner, Scheduler, Work};
use crate::store::{self, RunFilter, Store};
use crate::sync::{self, Job};
use crate::traces::{self, Traces};
use crate::web::Reader;

pub use held::open_gate;
use held::{Held, expect_all, open_gate_on, retold};

/// Why the host cannot start, or a run cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The ledger.
    #[error(transparent)]
    Quota(#[from] quota::Error),
    /// Salesforce, or what is configured of it.
    #[error(transparent)]
    Salesforce(#[from] salesforce::Error),
    /// A plugin.
    #[error("sync {sync}: {source}")]
    Plugin {
        /// The sync that names it.
        sync: SyncName,
        /// What is wrong.
        source: Box<plugin::Error>,
    },
    /// The plugin host itself.
    #[error(transparent)]
    Engine(plugin::Error),
    /// Settings that the plugin does not take.
    #[error("sync {sync}: the plugin does not take its config: {}", .problems.join("; "))]
    Settings {
        /// The sync.
        sync: SyncName,
        /// What is wrong with each setting.
        problems: Vec<String>,
    },
    /// Traces.
    #[error(transparent)]
    Traces(#[from] traces::Error),
    /// The schedule.
    #[error(transparent)]
    Schedule(#[from] schedule::Error),
    /// A run.
    #[error(transparent)]
    Sync(#[from] sync::Error),
    /// The plugin does not map the sync's object.
    #[error("{plugin} does not map {object}: it maps {maps}")]
    Object {
        /// The plugin.
        plugin: String,
        /// The object.
        object: String,
        /// The objects that it maps.
        maps: String,
    },
    /// A component that was to be used is not kept.
    #[error("no component with the digest sha256:{digest} is kept")]
    NotKept {
        /// Its digest.
        digest: String,
    },
    /// There is nothing to go back to.
    #[error("sync {0} used no other component that is still kept")]
    NoFormer(SyncName),
    /// The configuration says which component it must be.
    #[error(
        "the configuration pins the plugin of sync {0} by its digest, so no other one can be chosen"
    )]
    Pinned(SyncName),
    /// A plugin does badly on what is stored.
    #[error("{plugin} {how}, the first is {record}: {why}")]
    TriedOut {
        /// The plugin.
        plugin: String,
        /// What it does.
        how: String,
        /// The first record on which it does.
        record: crate::model::RecordId,
        /// Why.
        why: String,
    },
    /// No sync has this name.
    #[error("there is no sync named '{0}' in the configuration, or it is switched off")]
    UnknownSync(SyncName),
    /// No run has this number.
    #[error("there is no run {0}")]
    UnknownRun(RunId),
}

impl Error {
    /// A stable code, for `kilofold explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Quota(error) => error.code(),
            Self::Salesforce(error) => error.code(),
            Self::Plugin { source, .. } => source.code(),
            Self::Engine(error) => error.code(),
            Self::Settings { .. } => "plugin.settings",
            Self::Object { .. } => "plugin.object",
            Self::NotKept { .. } => "plugin.not-kept",
            Self::NoFormer(_) => "plugin.no-former",
            Self::Pinned(_) => "plugin.pinned",
            Self::TriedOut { .. } => "plugin.tried-out",
            Self::Traces(error) => error.code(),
            Self::Schedule(error) => error.code(),
            Self::Sync(error) => error.code(),
            Self::UnknownSync(_) => "sync.unknown",
            Self::UnknownRun(_) => "run.unknown",
        }
    }
}

/// A host with everything open, but nothing scheduled yet.
#[derive(Clone)]
pub struct App {
    /// The configuration.
    pub config: Arc<Config>,
    /// The store.
    pub store: Store,
    /// The org.
    pub org: Org,
    /// Where is told what happens.
    pub bus: Bus,
    /// The local clock.
    pub clock: Clock,
    /// The plugins of the syncs.
    pub plugins: Plugins,
    jobs: Arc<BTreeMap<SyncName, Job>>,
    /// Of runs that are about to begin together.
    seats: Arc<Mutex<BTreeMap<SyncName, Seat>>>,
}

impl App {
    /// Opens the store, closes what a dead host left open, and loads every enabled sync's plugin. Blocks; asks nothing
    /// of Salesforce.
    pub fn open(config: Config) -> Result<Self, Error> {
        Self::open_with(config, Clock::default())
    }

    /// The same, with a clock of one's own.
    pub fn open_with(config: Config, clock: Clock) -> Result<Self, Error> {
        let store = open_store(&config)?;
        let interrupted = store.recover()?;
        if !interrupted.is_empty() {
            tracing::warn!(runs = ?interrupted, "The last host died; these runs go on at their cursors");
        }
        let traces = config.telemetry.as_ref().map(Traces::start).transpose()?;
        let bus = Bus::with_clock(clock.clone()).with_traces(traces);
        let org = open_org_telling(&config, &store, clock.clone(), Some(bus.clone()))?;
        let told = bus.clone();
        org.on_change(move |status| {
            told.emit(Event::ConnectionChanged {
                connection: status.name.clone(),
                state: status.state.as_str().to_owned(),
                reason: status.state.reason(),
            });
        });
        let told = bus.clone();
        org.on_beside(move |who, what| {
            if let Some(event) = retold(who, what) {
                told.emit(event);
            }
        });
        let (engine, config) = (open_engine(&config)?, Arc::new(config));
        let (plugins, failed) = Plugins::open(&config, &store, engine, &bus, &clock)?;
        if let Some((_, error)) = failed.into_iter().next() {
            return Err(error);
        }
        plugins.remember()?;
        let lookup = outputs(&store, &config);
        let mut jobs = BTreeMap::new();
        for sync in config.syncs.iter().filter(|sync| sync.enabled) {
            let Some(present) = plugins.present(&sync.name) else { continue };
            let sync::Mapper { plugin, settings } = present.get();
            let job = Job {
                sync: Arc::new(sync.clone()),
                org: org.clone(),
                store: store.clone(),
                plugin,
                settings,
                present,
                lookup: lookup.clone(),
                bus: bus.clone(),
            };
            jobs.insert(sync.name.clone(), job);
        }
        expect_all(org.gate(), &config, &store, |sync| can_run(&org, sync))?;
        let (jobs, seats) = (Arc::new(jobs), Arc::default());
        Ok(Self { config, store, org, bus, clock, plugins, jobs, seats })
    }

    /// Starts the schedule.
    pub async fn schedule(&self) -> Result<schedule::Handle, Error> {
        let mut jobs = Vec::new();
        for sync in &self.config.syncs {
            let runs = RunFilter { sync: Some(sync.name.clone()), ..RunFilter::default() };
            let runs = self.store.runs(&runs)?;
            let last = runs.iter().find(|run| run.trigger.reads());
            // What another plugin was to do is not gone on with unasked.
            let maker = self.plugins.maker(&sync.name);
            let remap = self.store.mapping(&sync.name)?.remap;
            let remap =
                remap.filter(|remap| maker.is_some_and(|maker| remap.maker.is_like(&maker)));
            let left = remap.map(|remap| Work::Remap(remap.since));
            jobs.push(schedule::Job { left, ..schedule::Job::new(sync, last) });
        }
        let runner = Arc::new(self.clone());
        let pauses = Arc::new(Pauses(self.clone()));
        let options =
            schedule::Options { clock: self.clock.clone(), ..schedule::Options::default() };
        Ok(Scheduler::start(jobs, runner, pauses, self.bus.clone(), options).await?)
    }

    /// Looks after the connections until `closing`: whether Salesforce still takes those that nobody uses, and how many
    /// approvals there are.
    pub async fn tend(self, closing: CancellationToken) {
        const LONGEST: Duration = Duration::from_secs(60);
        loop {
            let next = self.org.tend().await;
            let wait = next.map_or(LONGEST, |at| at.since(self.clock.now()));
            tokio::select! {
                () = closing.cancelled() => return,
                () = tokio::time::sleep(wait.clamp(Duration::from_secs(1), LONGEST)) => {}
            }
        }
    }

    /// Runs one sync now, beside any schedule: only for hosts without one.
    pub async fn run_once(
        &self,
        sync: &SyncName,
        trigger: Trigger,
        cancel: &CancellationToken,
    ) -> Result<Run, Error> {
        self.read(sync, trigger, None, cancel).await
    }

    async fn read(
        &self,
        sync: &SyncName,
        trigger: Trigger,
        seat: Option<Seat>,
        cancel: &CancellationToken,
    ) -> Result<Run, Error> {
        let job = self.job(sync)?;
        // Its connection may have come back since this was told last.
        self.expect(&job.sync).await;
        let run = sync::run(&job, trigger, seat, cancel).instrument(span(sync)).await;
        // What it cost is known now, and whether the next run is a first pass.
        self.expect(&job.sync).await;
        Ok(run?)
    }

    fn seats(&self) -> MutexGuard<'_, BTreeMap<SyncName, Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the gate what a sync is expected to need from now on.
    async fn expect(&self, sync: &Arc<SyncConfig>) {
        let (app, sync) = (self.clone(), sync.clone());
        drop(tokio::task::spawn_blocking(move || app.expect_now(&sync)).await);
    }

    /// The same; blocks.
    fn expect_now(&self, sync: &SyncConfig) {
        match forecast::need(&self.store, sync, can_run(&self.org, sync), self.clock.now()) {
            Ok(need) => self.org.gate().expect_of(need),
            // What it was told before stands.
            Err(error) => tracing::warn!(%error, "What a sync will need is not known"),
        }
    }

    /// Maps the failed records of a run again, from the store, beside any schedule: only for hosts without one.
    pub async fn retry(&self, run: RunId, cancel: &CancellationToken) -> Result<Run, Error> {
        let failed = self.store.run(run)?.ok_or(Error::UnknownRun(run))?;
        let told = span(&failed.sync);
        Ok(sync::retry(&self.job(&failed.sync)?, &failed, cancel).instrument(told).await?)
    }

    /// Maps the stored records of a sync anew, beside any schedule: only for hosts without one.
    pub async fn remap(
        &self,
        sync: &SyncName,
        since: Option<Stamp>,
        cancel: &CancellationToken,
    ) -> Result<Run, Error> {
        Ok(sync::remap(&self.job(sync)?, since, cancel).instrument(span(sync)).await?)
    }

    /// Reads the store for people, with what this host knows of its plugins.
    pub fn reader(&self) -> Reader {
        let plugins = self.plugins.clone();
        let makers = move |sync: &SyncName| plugins.maker(sync);
        Reader::new(self.store.clone(), self.config.clone()).with_makers(Arc::new(makers))
    }

    /// Why this run paused its sync, when it did.
    fn paused_by(&self, sync: &SyncName, run: RunId) -> Option<String> {
        let cause = self.store.pause(sync).ok()??.cause?;
        (cause.run == run).then_some(cause.reason)
    }

    /// For a run: with the present plugin.
    fn job(&self, sync: &SyncName) -> Result<Job, Error> {
        let job = self.jobs.get(sync).ok_or_else(|| Error::UnknownSync(sync.clone()))?;
        Ok(job.renewed())
    }
}

pub use plugins::{Plugins, keep, load_present, present_digest};

/// Whether a sync finds a connection that it may use.
fn can_run(org: &Org, sync: &SyncConfig) -> bool {
    org.can_draw(&sync.connections, sync.failover)
}

/// What stands on every log line of a run: its sync, and its number as soon as it has one.
fn span(sync: &SyncName) -> tracing::Span {
    tracing::info_span!("run", run = tracing::field::Empty, %sync)
}

/// Opens the store of a configuration. Blocks.
pub fn open_store(config: &Config) -> Result<Store, store::Error> {
    let settings = &config.store;
    let options = store::Options {
        keep_raw: settings.keep_raw,
        cache_bytes: settings.cache_bytes,
        compression: settings.compression,
        ledger_days: config.quota.history_days,
    };
    Store::open(&settings.path, &options)
}

/// Opens the plugin host of a configuration; compiled code is kept beside the store.
pub fn open_engine(config: &Config) -> Result<Engine, Error> {
    Engine::new(Some(&compiled(config)), plugin_limits(&config.plugins)).map_err(Error::Engine)
}

/// The folder of compiled plugins.
pub fn compiled(config: &Config) -> std::path::PathBuf {
    beside(config, "compiled")
}

/// The limits of plugins, as configured.
pub fn plugin_limits(limits: &config::PluginLimits) -> plugin::Limits {
    let millis = |span: std::time::Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    plugin::Limits {
        base_ms: millis(limits.base),
        per_record_us: u64::try_from(limits.per_record.as_micros()).unwrap_or(u64::MAX),
        memory_bytes: limits.memory_bytes,
        result_bytes: limits.result_bytes,
        start_ms: millis(limits.start),
        isolation_ms: millis(limits.isolation),
        body_bytes: limits.body_bytes,
        lookup_keys: limits.lookup_keys,
        log_lines: limits.log_lines,
        log_bytes: limits.log_bytes,
        component_bytes: limits.component_bytes,
        compile_ms: millis(limits.compile),
        compile_bytes: limits.compile_bytes,
        traps: limits.pause_after,
        concurrency: limits.instances,
    }
}

/// Where a plugin comes from, as the configuration names it.
pub fn plugin_source(plugin: &PluginRef) -> Source {
    match plugin {
        PluginRef::Stock(name) => Source::Stock(name.clone()),
        PluginRef::File(path) => Source::File(path.clone()),
    }
}

/// Gives a plugin the settings of a sync. Blocks.
pub fn take_settings(
    plugin: &plugin::Plugin,
    sync: &SyncConfig,
) -> Result<plugin::Settings, Error> {
    plugin.check_settings(&sync.settings()?).map_err(|problems| {
        let problems = problems.iter().map(ToString::to_string).collect();
        Error::Settings { sync: sync.name.clone(), problems }
    })
}

/// The stored outputs of all syncs, for plugins that join across objects.
pub fn outputs(store: &Store, config: &Config) -> Arc<dyn Lookup> {
    let syncs = config.syncs.iter().map(|sync| sync.name.clone()).collect();
    Arc::new(Outputs { store: store.clone(), syncs })
}

/// The org of a configuration, with its ledger and tokens in the store. Asks nothing of Salesforce.
pub fn open_org(config: &Config, store: &Store, clock: Clock) -> Result<Org, Error> {
    open_org_telling(config, store, clock, None)
}

fn open_org_telling(
    config: &Config,
    store: &Store,
    clock: Clock,
    bus: Option<Bus>,
) -> Result<Org, Error> {
    let held = Arc::new(Held(store.clone(), bus));
    let gate = open_gate_on(config, held.clone(), clock)?;
    let key = match &config.store.key {
        Some(config::Secret::Env(name)) => SealKey::from_env(name)?,
        Some(config::Secret::File(path)) => SealKey::from_file(path)?,
        Some(command @ config::Secret::Command { .. }) => {
            SealKey::from_text(&command.to_string(), &command.read()?)?
        }
        None => SealKey::from_file(&beside(config, "key"))?,
    };
    let mut connections = Vec::new();
    for connection in &config.connections {
        let grant = match &connection.grant {
            config::Grant::Code { client_secret, username, app, approvals_elsewhere, .. } => {
                salesforce::Grant::Code {
                    secret: client_secret.as_ref().map(config::Secret::read).transpose()?,
                    user: username.clone(),
                    app: app.clone(),
                    elsewhere: usize::try_from(*approvals_elsewhere).unwrap_or(usize::MAX),
                }
            }
            config::Grant::Jwt { username, private_key } => salesforce::Grant::Jwt {
                user: username.clone(),
                key: private_key.read()?,
                audience: None,
            },
            config::Grant::ClientCredentials { client_secret } => {
                salesforce::Grant::ClientCredentials { secret: client_secret.read()? }
            }
        };
        connections.push(salesforce::ConnectionSettings {
            name: connection.name.clone(),
            client_id: connection.client_id.clone(),
            grant,
        });
    }
    let version = config.org.api_version.trim_start_matches('v').to_owned();
    let settings = OrgSettings {
        version,
        allowed_hosts: config.org.allowed_hosts.clone(),
        describe_age: config.org.describe_age,
        ..OrgSettings::new(config.org.login.as_str(), connections)
    };
    Ok(Org::new(settings, gate, held, key)?)
}

/// Where a host that asks for tokens or passwords leaves a token for the command line beside it: who can read the store's
/// own files may do everything with it anyway.
pub fn local_token(config: &Config) -> std::path::PathBuf {
    beside(config, "token")
}

/// A path beside the store's folder, named after it: `kilofold.data` has `kilofold.data.key`.
fn beside(config: &Config, what: &str) -> std::path::PathBuf {
    let mut name = config.store.path.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    name.into()
}

impl Runner for App {
    fn run<'a>(
        &'a self,
        sync: &'a SyncName,
        work: Work,
        cancel: CancellationToken,
    ) -> BoxFuture<'a, RunResult> {
        Box::pin(async move {
            let ran = match work {
                Work::Read(trigger) => {
                    let seat = self.seats().remove(sync);
                    self.read(sync, trigger, seat, &cancel).await
                }
                Work::Remap(since) => self.remap(sync, since, &cancel).await,
                Work::Retry(run) => self.retry(run, &cancel).await,
            };
            match ran {
                Ok(run) => RunResult {
                    quiet: self
                        .config
                        .sync(sync)
                        .is_some_and(|sync| schedule::is_quiet(&run, sync.page_size)),
                    ended: run.ending.unwrap_or(Ending::Interrupted),
                    run: Some(run.id),
                    paused: self.paused_by(sync, run.id),
                },
                Err(error) => {
                    tracing::error!(%sync, %error, "The run could not be stored");
                    let (code, message) = (error.code().to_owned(), error.to_string());
                    let ended = Ending::Failed { code, message };
                    RunResult { ended, run: None, paused: None, quiet: false }
                }
            }
        })
    }

    fn ready(&self, sync: &SyncName) -> bool {
        self.config.sync(sync).is_some_and(|sync| can_run(&self.org, sync))
    }

    fn together(&self, syncs: &[SyncName]) {
        self.seats().extend(syncs.iter().cloned().zip(salesforce::seats(syncs.len())));
    }
}

/// Pauses, kept in the store.
struct Pauses(App);

impl PauseStore for Pauses {
    fn load(&self) -> Result<Vec<SyncName>, String> {
        let mut paused = Vec::new();
        for sync in &self.0.config.syncs {
            if self.0.store.pause(&sync.name).map_err(|error| error.to_string())?.is_some() {
                paused.push(sync.name.clone());
            }
        }
        Ok(paused)
    }

    fn set(&self, sync: &SyncName, paused: bool) -> Result<(), String> {
        let pause = paused.then(|| Pause { at: Some(self.0.clock.now()), cause: None });
        self.0.store.set_pause(sync, pause.as_ref()).map_err(|error| error.to_string())?;
        if let Some(job) = self.0.jobs.get(sync) {
            self.0.expect_now(&job.sync);
        }
        Ok(())
    }
}

/// Stored outputs of all syncs, for plugins that join across objects.
struct Outputs {
    store: Store,
    syncs: Vec<SyncName>,
}

impl Lookup for Outputs {
    fn lookup(&self, kind: &str, keys: &[String]) -> Vec<Option<String>> {
        let one = |key: &String| {
            self.syncs.iter().find_map(|sync| match self.store.output(sync, kind, key) {
                Ok(output) => output.map(|output| output.body.into()),
                Err(error) => {
                    tracing::error!(%sync, kind, %error, "A stored output cannot be read");
                    None
                }
            })
        };
        keys.iter().map(one).collect()
    }

    /// The feed tells every change of an output, in the commit that makes it.
    fn version(&self) -> u64 {
        self.store.feed_end().unwrap_or_else(|error| {
            tracing::error!(%error, "The end of the feed cannot be read");
            0
        })
    }
}

//! A folder with a configuration, an org, and the host opened in this process.

use std::fmt::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kilofold::app::{self, App};
use kilofold::clock::Clock;
use kilofold::config::Config;
use kilofold::events::Event;
use kilofold::model::{ConnectionName, RecordId, Run, Stamp, SyncName, Trigger};
use kilofold::salesforce::Redirect;
use kilofold::store;
use org_sim::{Fault, FaultId, FaultKind, RequestClass, RequestNote, Sim, SimConfig, Sizes, When};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::process::{Child, Output, free_port, shared_code};

/// How an environment is to be.
pub struct Setup {
    /// The org.
    pub sim: SimConfig,
    /// `client-credentials`, or `code`.
    pub grant: &'static str,
    /// Lines under `[quota]`.
    pub quota: String,
    /// `[[sync]]` sections; see [`sync`].
    pub syncs: Vec<String>,
    /// Further `[[connection]]` sections; see [`connection`].
    pub connections: Vec<String>,
}

impl Setup {
    /// An org with these many records and no daily limit to speak of.
    pub fn new(counts: &[(&str, usize)]) -> Self {
        let sim = SimConfig {
            sizes: sizes(counts),
            auto_approve: true,
            daily_limit: 10_000_000,
            ..SimConfig::default()
        };
        Self {
            sim,
            grant: "client-credentials",
            quota: String::new(),
            syncs: Vec::new(),
            connections: Vec::new(),
        }
    }

    /// Adds a sync.
    pub fn sync(mut self, object: &str, plugin: &str, lines: &str) -> Self {
        self.syncs.push(sync(object, plugin, lines));
        self
    }

    /// Starts the org and writes the configuration; opens nothing yet.
    pub async fn start(self) -> TestEnv {
        let sim = Sim::start(self.sim).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let env = TestEnv {
            app: None,
            listen: free_port(),
            grant: self.grant,
            quota: self.quota,
            syncs: self.syncs,
            connections: self.connections,
            folder,
            sim,
        };
        std::fs::write(env.path("secret"), &env.sim.config().client_secret).unwrap();
        env.write_config();
        env
    }

    /// The same, with the host opened in this process.
    pub async fn open(self) -> TestEnv {
        let mut env = self.start().await;
        env.open().await;
        env
    }
}

/// Record counts of objects; those left out are empty.
pub fn sizes(counts: &[(&str, usize)]) -> Sizes {
    let mut all: Vec<(String, usize)> =
        ["Contact", "Account", "Lead", "Opportunity", "Task", "Invoice__c"]
            .map(|object| (object.to_owned(), 0))
            .into();
    all.extend(counts.iter().map(|(object, count)| ((*object).to_owned(), *count)));
    Sizes(all)
}

/// A `[[sync]]` section. Windows reach as near to the present as they may, so that a test need not wait for changes.
pub fn sync(object: &str, plugin: &str, lines: &str) -> String {
    format!("[[sync]]\nobject = \"{object}\"\nplugin = \"{plugin}\"\nlag = \"0s\"\n{lines}\n")
}

/// A `[[connection]]` section of a user who consents.
pub fn connection(name: &str, user: &str, lines: &str) -> String {
    format!("[[connection]]\nname = \"{name}\"\ngrant = \"code\"\nusername = \"{user}\"\n{lines}\n")
}

/// A sync's name.
pub fn name(text: &str) -> SyncName {
    SyncName::new(text).unwrap()
}

/// A record's id.
pub fn id(text: &str) -> RecordId {
    RecordId::parse(text).unwrap()
}

/// An org, a folder, and mostly a host.
pub struct TestEnv {
    // Before the org and the folder, so that it is dropped before them.
    app: Option<App>,
    /// Where the API of a host process listens.
    pub listen: u16,
    /// The grant of the connection `main`.
    pub grant: &'static str,
    /// Lines under `[quota]`.
    pub quota: String,
    /// `[[sync]]` sections.
    pub syncs: Vec<String>,
    /// Further `[[connection]]` sections.
    pub connections: Vec<String>,
    /// Everything of the host.
    pub folder: TempDir,
    /// The org.
    pub sim: Sim,
}

impl TestEnv {
    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration file.
    pub fn config_path(&self) -> PathBuf {
        self.path("kilofold.toml")
    }

    /// Runs a command to its end.
    pub async fn command(&self, arguments: &[&str]) -> Output {
        Child::start(&self.config_path(), arguments).ended().await
    }

    /// Starts `kilofold serve`, and waits until it says where it listens.
    pub async fn serve(&self) -> Child {
        let mut host = Child::start(&self.config_path(), &["serve"]);
        let told = tokio::task::spawn_blocking(move || {
            host.says("http://");
            host
        });
        told.await.unwrap()
    }

    /// Writes the configuration anew, after a change of `quota` or `syncs`.
    pub fn write_config(&self) {
        let sim = self.sim.config();
        let mut text = format!(
            "[org]\nlogin = \"{}\"\n\n[[connection]]\nname = \"main\"\ngrant = \"{}\"\nclient_id = \"{}\"\n\
             client_secret = {{ file = \"secret\" }}\n\n[quota]\n{}\n\n[store]\npath = \"kilofold.data\"\n\n\
             [web]\nlisten = \"127.0.0.1:{}\"\n\n[plugins]\ntime = \"60s\"\n\n[defaults]\nevery = \"manual\"\n\n",
            self.sim.url(),
            self.grant,
            sim.client_id,
            self.quota,
            self.listen
        );
        for connection in &self.connections {
            let id = &sim.client_id;
            writeln!(
                text,
                "{connection}client_id = \"{id}\"\nclient_secret = {{ file = \"secret\" }}\n"
            )
            .unwrap();
        }
        for sync in &self.syncs {
            writeln!(text, "{sync}").unwrap();
        }
        std::fs::write(self.config_path(), text).unwrap();
    }

    /// The configuration as it is written.
    pub fn config(&self) -> Config {
        Config::load(&self.config_path()).unwrap()
    }

    /// Opens the host in this process.
    pub async fn open(&mut self) {
        self.open_with(Clock::default()).await;
    }

    /// Opens the host in this process on the org's clock, so that a test moves both at once.
    pub async fn open_on_org_time(&mut self) {
        let now = self.sim.clock();
        self.open_with(Clock::new(move || Stamp(now().as_millisecond()))).await;
    }

    async fn open_with(&mut self, clock: Clock) {
        self.close();
        let config = self.config();
        let code = self.path("kilofold.data.compiled");
        lend_code(&code);
        // The lock goes with the last thread that still had the store in hand.
        let app = loop {
            let (again, clock) = (config.clone(), clock.clone());
            match tokio::task::spawn_blocking(move || App::open_with(again, clock)).await.unwrap() {
                Ok(app) => break app,
                Err(app::Error::Store(store::Error::Locked { .. })) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(error) => panic!("{error}"),
            }
        };
        take_code(&code);
        self.app = Some(app);
    }

    /// Lets the host in this process go.
    pub fn close(&mut self) {
        self.app = None;
    }

    /// The host.
    pub fn app(&self) -> &App {
        self.app.as_ref().expect("the host is open")
    }

    /// Consents to a connection as its user does in a browser.
    pub async fn consent(&self, name: &str) {
        let name = ConnectionName::new(name).unwrap();
        let org = &self.app().org;
        let pending = org.begin(&name, Redirect::Loopback { port: 0 }, true).await.unwrap();
        let url = pending.url.to_string();
        let user = tokio::spawn(async move { org_sim::user::visit(&url).await.unwrap() });
        org.finish(pending).await.unwrap();
        assert_eq!(user.await.unwrap(), 200);
    }

    /// Runs a sync once.
    pub async fn run(&self, sync: &str) -> Run {
        let (sync, cancel) = (name(sync), CancellationToken::new());
        self.app().run_once(&sync, Trigger::Manual, &cancel).await.unwrap()
    }

    /// Runs a sync, which must succeed.
    pub async fn run_well(&self, sync: &str) -> Run {
        let run = self.run(sync).await;
        let ending = run.ending.as_ref().unwrap();
        assert!(ending.is_success(), "{sync}: {ending:?}");
        assert!(run.counts.balanced(), "{:?}", run.counts);
        assert_eq!(run.expected.unwrap_or(0), run.counts.fetched, "{run:?}");
        run
    }

    /// Runs a sync and stops it after so many committed batches; it may be done before that.
    pub async fn run_until(&self, sync: &str, batches: u64) -> Run {
        let mut events = self.app().bus.subscribe();
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        let watch = tokio::spawn(async move {
            let mut seen = 0;
            while seen < batches {
                match events.recv().await {
                    Ok(told) if matches!(told.event, Event::BatchCommitted { .. }) => seen += 1,
                    Ok(_) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            stop.cancel();
        });
        let run = self.app().run_once(&name(sync), Trigger::Manual, &cancel).await.unwrap();
        watch.abort();
        run
    }

    /// Every sync of the configuration, one after the other.
    pub async fn sync_all(&self) -> Vec<Run> {
        let mut runs = Vec::new();
        for sync in &self.config().syncs {
            runs.push(self.run_well(sync.name.as_str()).await);
        }
        runs
    }

    /// Switches a fault on for the next so many requests of a class.
    pub fn fault(&self, class: RequestClass, kind: FaultKind, times: u64) -> FaultId {
        self.fault_when(class, kind, When::Times(times))
    }

    /// Switches a fault on.
    pub fn fault_when(&self, class: RequestClass, kind: FaultKind, when: When) -> FaultId {
        self.sim.set_fault(Fault { class, object: None, kind, when })
    }

    /// Moves the org's clock on, so that what has changed lies within the next window.
    pub fn later(&self, seconds: u64) {
        self.sim.advance_clock(Duration::from_secs(seconds));
    }

    /// The requests of one class that the org received.
    pub fn received(&self, class: RequestClass) -> Vec<RequestNote> {
        self.sim.requests().into_iter().filter(|note| note.class == class).collect()
    }

    /// Edits so many records; gives their ids.
    pub fn touch(&self, object: &str, records: usize, seed: u64) -> Vec<String> {
        self.sim.org().write().unwrap().touch(object, records, seed, self.sim.now())
    }

    /// Adds so many records; gives their ids.
    pub fn insert(&self, object: &str, records: usize) -> Vec<String> {
        self.sim.org().write().unwrap().insert(object, records, 7, self.sim.now())
    }

    /// Moves records to the recycle bin.
    pub fn delete(&self, object: &str, ids: &[String]) {
        self.sim.org().write().unwrap().delete(object, ids, self.sim.now());
    }

    /// The ids of an object's records, in order.
    pub fn ids(&self, object: &str) -> Vec<String> {
        let truth = self.sim.org().read().unwrap().truth(object);
        truth.rows.into_iter().map(|(id, ..)| id).collect()
    }
}

/// Puts code that another test compiled where the host looks for it: compiling is not what these tests are about.
fn lend_code(to: &Path) {
    // The host refuses a folder that others can use.
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(to).unwrap();
    link_all(&shared_code(), to);
}

fn take_code(from: &Path) {
    let shared = shared_code();
    std::fs::create_dir_all(&shared).unwrap();
    link_all(from, &shared);
}

fn link_all(from: &Path, to: &Path) {
    let Ok(entries) = std::fs::read_dir(from) else { return };
    for entry in entries.flatten() {
        if entry.path().extension().is_some_and(|kind| kind == "bin") {
            // It is there already, or the system has no links: then it is compiled.
            drop(std::fs::hard_link(entry.path(), to.join(entry.file_name())));
        }
    }
}

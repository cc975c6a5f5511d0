//! A host that only answers, over a store of the test's own.
#![allow(dead_code, reason = "each test file uses its part")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

#[path = "../stored/mod.rs"]
mod stored;

use futures::future::BoxFuture;
use kilofold::app;
use kilofold::clock::Clock;
use kilofold::config::Config;
use kilofold::events::Bus;
use kilofold::model::{Ending, Outcome, Pause, Rejection, Run, Stamp, SyncName};
use kilofold::schedule::{Handle, Job, Options, PauseStore, RunResult, Runner, Scheduler, Work};
use kilofold::store::Store;
use kilofold::web::{Access, Client, Listener, Parts, Problem, Reader, Role, client, tls};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

pub use stored::{begin, commit, person};

pub const CONFIG: &str = r#"
[org]
login = "http://127.0.0.1:9"
[[connection]]
name = "main"
grant = "code"
client_id = "x"
[store]
path = "data"
[[sync]]
object = "Contact"
plugin = "contact-to-person"
every = "15m"
[[sync]]
object = "Lead"
plugin = "lead-to-person"
every = "1h"
enabled = false
[[deliver]]
name = "hook"
url = "http://127.0.0.1:9/a-secret-path?token=secret"
kinds = ["person"]
"#;

/// What the schedule was asked to run.
#[derive(Default)]
pub struct Recorder(pub Mutex<Vec<SyncName>>);

impl Runner for Recorder {
    fn run<'a>(
        &'a self,
        sync: &'a SyncName,
        _: Work,
        _: CancellationToken,
    ) -> BoxFuture<'a, RunResult> {
        self.0.lock().unwrap().push(sync.clone());
        Box::pin(async {
            RunResult { ended: Ending::Succeeded, run: None, paused: None, quiet: false }
        })
    }

    fn ready(&self, _: &SyncName) -> bool {
        true
    }
}

pub struct Pauses(pub Store);

impl PauseStore for Pauses {
    fn load(&self) -> Result<Vec<SyncName>, String> {
        Ok(Vec::new())
    }

    fn set(&self, sync: &SyncName, paused: bool) -> Result<(), String> {
        let pause = paused.then_some(Pause { at: None, cause: None });
        self.0.set_pause(sync, pause.as_ref()).map_err(|error| error.to_string())
    }
}

pub struct Env {
    pub _folder: tempfile::TempDir,
    pub store: Store,
    pub reader: Reader,
    pub scheduler: Handle,
    pub ran: Arc<Recorder>,
    pub bus: Bus,
    pub address: SocketAddr,
    pub client: Client,
    pub stopping: CancellationToken,
    pub serving: tokio::task::JoinHandle<()>,
}

impl Env {
    pub async fn new(token: Option<&str>) -> Self {
        let access = match token {
            Some(token) => Access::default().with_token(Role::Operate, token.into()),
            None => Access::default(),
        };
        Self::with(access, token, None).await
    }

    pub async fn with(
        access: Access,
        token: Option<&str>,
        certificate: Option<(&Path, &Path)>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::parse(CONFIG, &folder.path().join("kilofold.toml")).unwrap();
        let config = Arc::new(config);
        let store = app::open_store(&config).unwrap();
        let org = app::open_org(&config, &store, Clock::default()).unwrap();
        let bus = Bus::new();
        let ran = Arc::new(Recorder::default());
        // The last run was a moment ago, so that nothing is due by itself.
        let jobs = config.syncs.iter().map(|sync| {
            let run = begin(&store, sync.name.as_str());
            Job::new(
                sync,
                Some(&store.end_run(run.id, Ending::Succeeded, Stamp::now(), |_| ()).unwrap()),
            )
        });
        let pauses = Arc::new(Pauses(store.clone()));
        let scheduler =
            Scheduler::start(jobs.collect(), ran.clone(), pauses, bus.clone(), Options::default())
                .await
                .unwrap();
        // No plugin is mapped with here, so none is compiled.
        let idle = Arc::new(Config { syncs: Vec::new(), ..(*config).clone() });
        let engine = app::open_engine(&idle).unwrap();
        let (plugins, _) =
            app::Plugins::open(&idle, &store, engine, &bus, &Clock::default()).unwrap();
        let reader = Reader::new(store.clone(), config);
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.address();
        let stopping = CancellationToken::new();
        let parts = Parts {
            reader: reader.clone(),
            org,
            scheduler: scheduler.clone(),
            bus: bus.clone(),
            access,
            tls: certificate.map(|(certificate, key)| tls::server(certificate, key).unwrap()),
            clock: Clock::default(),
            plugins,
        };
        let stop = stopping.clone();
        let serving = tokio::spawn(async move { listener.serve(parts, stop).await.unwrap() });
        let pinned = certificate.map(|(certificate, _)| certificate);
        let client = Client::new(address, token.map(Into::into), pinned).unwrap();
        Self {
            _folder: folder,
            store,
            reader,
            scheduler,
            ran,
            bus,
            address,
            client,
            stopping,
            serving,
        }
    }

    pub async fn problem(&self, path: &str, parameters: &[(&str, String)]) -> Problem {
        match self.client.get::<Value>(path, parameters).await {
            Err(client::Error::Problem(problem)) => *problem,
            other => panic!("{path}: {other:?}"),
        }
    }

    /// Sends these lines as they are; the status and the whole answer.
    pub async fn raw(&self, lines: &str) -> (u16, String) {
        self.raw_with(lines, "").await
    }

    pub async fn raw_with(&self, lines: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request =
            format!("{}\r\nConnection: close\r\n\r\n{body}", lines.trim().replace('\n', "\r\n"));
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        (answer[9..12].parse().unwrap(), answer)
    }

    pub async fn close(self) {
        self.stopping.cancel();
        self.serving.await.unwrap();
        self.scheduler.stop().await;
    }
}

/// A run of three records: mapped, skipped, failed.
pub fn imported(store: &Store) -> Run {
    let run = begin(store, "Contact");
    let ids = ["0034C00000VaYfKQAV", "0034C00000VaYfL", "0034C00000VaYfM"];
    let rejection = Rejection {
        code: "email.invalid".to_owned(),
        message: "<script>alert(1)</script>".to_owned(),
        field: Some("Email".to_owned()),
    };
    let outcomes = [
        person(ids[0], r#"{"n":10046.0}"#),
        Outcome::Skipped("no name".to_owned()),
        Outcome::Failed(rejection),
    ];
    let came = ids.iter().zip(outcomes);
    let came = came.map(|(id, became)| ((*id).to_owned(), r#""<b>\u001b[2J""#, became));
    commit(store, &run, 15, came.collect());
    store.end_run(run.id, Ending::SucceededWithFailures, Stamp::now(), |_| ()).unwrap()
}

pub fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

/// A header of an answer.
pub fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let line = answer.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("no {name}: {answer}"))
}

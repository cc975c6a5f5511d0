//! A host that only answers, over a store of the test's own.
#![allow(dead_code, reason = "each test file uses its part")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::BoxFuture;
use kilofold::app;
use kilofold::clock::Clock;
use kilofold::config::Config;
use kilofold::events::Bus;
use kilofold::model::{
    Counts, Cursor, Ending, Outcome, Output, PageNote, Pause, Rejection, Run, Selection, Stamp,
    SyncName, Timing, Trigger,
};
use kilofold::schedule::{Handle, Job, Options, PauseStore, RunResult, Runner, Scheduler, Work};
use kilofold::store::{Commit, NewRun, Store, Verdict};
use kilofold::web::{Access, Client, Listener, Parts, Problem, Reader, Role, client, tls};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

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
            let run = run(&store, sync.name.as_str());
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

pub fn run(store: &Store, sync: &str) -> Run {
    store
        .begin_run(NewRun {
            sync: SyncName::new(sync).unwrap(),
            object: sync.to_owned(),
            connection: kilofold::model::ConnectionName::new("main").unwrap(),
            trigger: Trigger::Manual,
            started: Stamp::now(),
            cursor_before: Cursor::default(),
            plugin: None,
            quota_before: None,
        })
        .unwrap()
}

/// A run of three records: mapped, skipped, failed.
pub fn imported(store: &Store) -> Run {
    let sync = SyncName::new("Contact").unwrap();
    let run = run(store, "Contact");
    let ids = ["0034C00000VaYfKQAV", "0034C00000VaYfL", "0034C00000VaYfM"];
    let records: Vec<String> = ids
        .iter()
        .map(|id| {
            let rest = r#""Email":"<b>\u001b[2J","SystemModstamp":"2022-02-15T06:21:19.000+0000""#;
            format!(r#"{{"attributes":{{"type":"Contact"}},"Id":"{id}",{rest}}}"#)
        })
        .collect();
    let text = format!(r#"{{"totalSize":3,"done":true,"records":[{}]}}"#, records.join(","));
    let selection = Selection::new(&["Email".to_owned()], Some("SystemModstamp"));
    let batch = selection.read_answer(&Bytes::from(text)).unwrap().batch;
    let known = store.known(&sync, &batch).unwrap();
    let output =
        Output { kind: "person".into(), key: ids[0].to_owned(), body: r#"{"n":10046.0}"#.into() };
    let rejection = Rejection {
        code: "email.invalid".to_owned(),
        message: "<script>alert(1)</script>".to_owned(),
        field: Some("Email".to_owned()),
    };
    let outcomes = vec![
        Verdict::Became(Outcome::Mapped(vec![output])),
        Verdict::Became(Outcome::Skipped("no name".to_owned())),
        Verdict::Became(Outcome::Failed(rejection)),
    ];
    let page = PageNote {
        page: 0,
        at: Stamp::now(),
        bytes: 100,
        counts: Counts::default(),
        timing: Timing::default(),
        request_id: None,
    };
    let cursor = Cursor::default();
    let (id, keep_raw) = (run.id, true);
    let commit = Commit {
        run: id,
        sync: &sync,
        batch: &batch,
        known,
        outcomes,
        cursor,
        page,
        calls: 1,
        maker: None,
        remap: None,
        keep_raw,
    };
    store.commit(commit).unwrap();
    store.end_run(id, Ending::SucceededWithFailures, Stamp::now(), |_| ()).unwrap()
}

pub fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

/// A header of an answer.
pub fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let line = answer.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("no {name}: {answer}"))
}

//! The API over real sockets, with a real store.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::BoxFuture;
use kilofold::app;
use kilofold::clock::Clock;
use kilofold::config::Config;
use kilofold::events::{Bus, Event};
use kilofold::model::{
    Counts, Cursor, Ending, Outcome, Output, PageNote, Pause, Rejection, Run, RunId, Selection,
    Stamp, SyncName, Timing, Trigger,
};
use kilofold::schedule::{Handle, Job, Options, PauseStore, RunResult, Runner, Scheduler, Work};
use kilofold::store::{Commit, NewRun, Store, Verdict};
use kilofold::web::{
    Access, Client, Listener, Parts, Problem, Reader, Role, client, guard, tls, view,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

const CONFIG: &str = r#"
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
struct Recorder(Mutex<Vec<SyncName>>);

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

struct Pauses(Store);

impl PauseStore for Pauses {
    fn load(&self) -> Result<Vec<SyncName>, String> {
        Ok(Vec::new())
    }

    fn set(&self, sync: &SyncName, paused: bool) -> Result<(), String> {
        let pause = paused.then_some(Pause { at: None, cause: None });
        self.0.set_pause(sync, pause.as_ref()).map_err(|error| error.to_string())
    }
}

struct Env {
    _folder: tempfile::TempDir,
    store: Store,
    reader: Reader,
    scheduler: Handle,
    ran: Arc<Recorder>,
    bus: Bus,
    address: SocketAddr,
    client: Client,
    stopping: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Env {
    async fn new(token: Option<&str>) -> Self {
        let access = match token {
            Some(token) => Access::default().with_token(Role::Operate, token.into()),
            None => Access::default(),
        };
        Self::with(access, token, None).await
    }

    async fn with(
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

    async fn problem(&self, path: &str, parameters: &[(&str, String)]) -> Problem {
        match self.client.get::<Value>(path, parameters).await {
            Err(client::Error::Problem(problem)) => *problem,
            other => panic!("{path}: {other:?}"),
        }
    }

    /// Sends these lines as they are; the status and the whole answer.
    async fn raw(&self, lines: &str) -> (u16, String) {
        self.raw_with(lines, "").await
    }

    async fn raw_with(&self, lines: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request =
            format!("{}\r\nConnection: close\r\n\r\n{body}", lines.trim().replace('\n', "\r\n"));
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        (answer[9..12].parse().unwrap(), answer)
    }

    async fn close(self) {
        self.stopping.cancel();
        self.serving.await.unwrap();
        self.scheduler.stop().await;
    }
}

fn run(store: &Store, sync: &str) -> Run {
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
fn imported(store: &Store) -> Run {
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

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_what_the_store_says() {
    let env = Env::new(None).await;
    let run = imported(&env.store);
    let sync = SyncName::new("Contact").unwrap();
    let get = async |path: String| env.client.get::<Value>(&path, &[]).await.unwrap();

    assert_eq!(
        get(format!("/api/v1/runs/{}", run.id)).await,
        json(&env.reader.run(run.id).unwrap())
    );
    let pages = get(format!("/api/v1/runs/{}/pages", run.id)).await;
    assert_eq!(pages, json(&env.reader.pages(run.id, None, None).unwrap()));
    assert_eq!(pages["pages"][0]["counts"]["failed"], 1);

    let failures = get(format!("/api/v1/runs/{}/failures", run.id)).await;
    assert_eq!(failures, json(&env.reader.failures(run.id, None, None).unwrap()));
    assert_eq!(failures["failures"][0]["rejection"]["code"], "email.invalid");
    assert_eq!(failures["failures"][0]["raw"]["Email"], "<b>\u{1b}[2J");

    let records = get(format!("/api/v1/syncs/{sync}/records")).await;
    assert_eq!(records, json(&env.reader.records(&sync, None, None).unwrap()));
    let states =
        records["records"].as_array().unwrap().iter().map(|r| r["outcome"]["state"].clone());
    assert_eq!(states.collect::<Vec<_>>(), ["mapped", "skipped", "failed"]);
    let one = get(format!("/api/v1/syncs/{sync}/records/0034C00000VaYfKQAV")).await;
    assert_eq!(one["outputs"][0]["body"]["n"].to_string(), "10046.0");

    let feed = get("/api/v1/feed".to_owned()).await;
    assert_eq!((&feed["next"], &feed["end"]), (&Value::from(1), &Value::from(1)));
    assert_eq!(feed["start"], 1);
    assert_eq!(feed["changes"][0]["op"], "upsert");
    let after: view::Feed =
        env.client.get("/api/v1/feed", &[("after", "1".to_owned())]).await.unwrap();
    assert!(after.changes.is_empty() && after.next == 1);

    let syncs = get("/api/v1/syncs".to_owned()).await;
    assert_eq!(
        (&syncs["syncs"][0]["records"], &syncs["syncs"][0]["outputs"]),
        (&3.into(), &1.into())
    );
    assert_eq!(syncs["syncs"][1]["enabled"], false);
    let limits = get("/api/v1/limits".to_owned()).await;
    assert_eq!((&limits["counted"], &limits["reading"]), (&0.into(), &Value::Null));
    let connections = get("/api/v1/connections".to_owned()).await;
    assert_eq!(connections["connections"][0]["state"], "not connected");
    assert_eq!(get("/healthz".to_owned()).await["status"], "ok");
    assert_eq!(get("/readyz".to_owned()).await["status"], "ready");
    env.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_go_on_where_they_ended() {
    let env = Env::new(None).await;
    for _ in 0..7 {
        run(&env.store, "Contact");
    }
    let mut seen = Vec::new();
    let mut before: Option<RunId> = None;
    loop {
        let mut parameters = vec![("limit", "3".to_owned())];
        parameters.extend(before.map(|run| ("before", run.to_string())));
        let page: view::Runs = env.client.get("/api/v1/runs", &parameters).await.unwrap();
        assert!(page.runs.len() <= 3);
        seen.extend(page.runs.iter().map(|run| run.id.0));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, [9, 8, 7, 6, 5, 4, 3, 2, 1]);
    let of: view::Runs =
        env.client.get("/api/v1/runs", &[("sync", "Lead".to_owned())]).await.unwrap();
    assert_eq!(of.runs.len(), 1);
    env.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn problems_say_what_to_do() {
    let env = Env::new(None).await;
    for (path, parameters, status, code) in [
        ("/api/v1/runs/99", vec![], 404, "run.unknown"),
        ("/api/v1/runs/99/pages", vec![], 404, "run.unknown"),
        ("/api/v1/runs/x", vec![], 400, "web.request"),
        ("/api/v1/runs", vec![("limit", "many".to_owned())], 400, "web.request"),
        ("/api/v1/runs", vec![("limits", "3".to_owned())], 400, "web.request"),
        ("/api/v1/runs", vec![("limit", "0".to_owned())], 400, "web.request"),
        ("/api/v1/runs", vec![("limit", "1001".to_owned())], 400, "web.request"),
        ("/api/v1/syncs/Nobody/records", vec![], 404, "sync.unknown"),
        ("/api/v1/syncs/a%20b/records", vec![], 400, "web.request"),
        ("/api/v1/syncs/Contact/records/0034C00000VaYfZ", vec![], 404, "record.unknown"),
        ("/api/v1/nothing", vec![], 404, "web.path"),
    ] {
        let problem = env.problem(path, &parameters).await;
        assert_eq!((problem.status, problem.code.as_str()), (status, code), "{path}");
        assert!(
            !problem.title.is_empty() && !problem.detail.is_empty() && !problem.cure.is_empty()
        );
    }
    let (status, answer) = env.raw("GET /api/v1/runs/99 HTTP/1.1\nHost: localhost").await;
    assert_eq!(status, 404);
    assert!(answer.contains("content-type: application/problem+json"), "{answer}");
    env.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actions_go_through_the_schedule() {
    let env = Env::new(None).await;
    let sync = SyncName::new("Contact").unwrap();
    let post = async |path: &str| env.client.post::<view::Accepted>(path).await;
    assert_eq!(post("/api/v1/syncs/Contact/run").await.unwrap().action, "run");
    env.scheduler.wait_idle().await.unwrap();
    assert_eq!(*env.ran.0.lock().unwrap(), std::slice::from_ref(&sync));
    post("/api/v1/syncs/Contact/pause").await.unwrap();
    assert!(env.store.pause(&sync).unwrap().is_some());
    let code =
        |answer: Result<view::Accepted, client::Error>| answer.unwrap_err().code().to_owned();
    assert_eq!(code(post("/api/v1/syncs/Contact/run").await), "sync.paused");
    post("/api/v1/syncs/Contact/resume").await.unwrap();
    assert!(env.store.pause(&sync).unwrap().is_none());
    assert_eq!(code(post("/api/v1/syncs/Lead/run").await), "sync.disabled");
    assert_eq!(code(post("/api/v1/syncs/Nobody/run").await), "sync.unknown");
    // A GET changes nothing.
    let refused = env.problem("/api/v1/syncs/Contact/run", &[]).await;
    assert_eq!((refused.status, refused.code.as_str()), (405, "web.method"));
    let own = env.address;
    let (status, answer) =
        env.raw(&format!("DELETE /api/v1/syncs/Contact/run HTTP/1.1\nHost: {own}")).await;
    assert!(status == 405 && answer.contains("allow: POST"), "{answer}");
    env.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_sites_stay_out() {
    let env = Env::new(None).await;
    let own = env.address;
    for (lines, wanted) in [
        (format!("GET /api/v1/runs HTTP/1.1\nHost: {own}"), 200),
        ("GET /api/v1/runs HTTP/1.1\nHost: evil.example".to_owned(), 421),
        (format!("GET / HTTP/1.1\nHost: evil.example:{}", own.port()), 421),
        (
            format!(
                "POST /api/v1/syncs/Contact/run HTTP/1.1\nHost: {own}\nOrigin: http://evil.example\nContent-Length: 0"
            ),
            403,
        ),
        (
            format!(
                "POST /api/v1/syncs/Contact/run HTTP/1.1\nHost: {own}\nOrigin: null\nContent-Length: 0"
            ),
            403,
        ),
        (
            format!(
                "POST /api/v1/syncs/Contact/run HTTP/1.1\nHost: {own}\nOrigin: http://{own}\nContent-Length: 0"
            ),
            202,
        ),
    ] {
        assert_eq!(env.raw(&lines).await.0, wanted, "{lines}");
    }
    env.scheduler.wait_idle().await.unwrap();
    assert_eq!(env.ran.0.lock().unwrap().len(), 1);
    env.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_is_wanted() {
    let env = Env::new(Some("s3cret")).await;
    let own = env.address;
    assert!(env.client.get::<view::Runs>("/api/v1/runs", &[]).await.is_ok());
    let stranger = Client::new(own, Some("other".into()), None).unwrap();
    let refused = stranger.get::<view::Runs>("/api/v1/runs", &[]).await.unwrap_err();
    assert_eq!(refused.code(), "web.token");
    let (status, answer) = env.raw(&format!("GET /api/v1/runs HTTP/1.1\nHost: {own}")).await;
    assert_eq!(status, 401);
    assert!(answer.contains("www-authenticate: Bearer"), "{answer}");
    assert_eq!(env.raw(&format!("GET /healthz HTTP/1.1\nHost: {own}")).await.0, 200);
    env.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_runs_and_trusts_no_text() {
    let env = Env::new(None).await;
    let failed = run(&env.store, "Contact");
    let message = "</td><script>alert(1)</script>{{nonce}}".to_owned();
    let ending = Ending::Failed { code: "org.refused".to_owned(), message };
    env.store.end_run(failed.id, ending, Stamp::now(), |_| ()).unwrap();
    let (status, page) = env.raw(&format!("GET / HTTP/1.1\nHost: {}", env.address)).await;
    assert_eq!(status, 200);
    assert!(page.contains("content-security-policy: default-src 'none'"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script>alert"), "{page}");
    assert!(page.contains("org.refused"));
    // Nothing comes from elsewhere.
    let own = page.matches("src=\"/assets/").count() + page.matches("href=\"/").count();
    let all = page.matches("src=").count() + page.matches("href=\"").count();
    assert!(
        !page.contains("https://") && own + 1 == all && page.contains("href=\"#main\""),
        "{page}"
    );
    env.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_told_as_they_happen() {
    let env = Env::new(None).await;
    let mut stream = TcpStream::connect(env.address).await.unwrap();
    let request = "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut heard = String::new();
    let mut buffer = [0; 4096];
    // The head comes once the stream is subscribed.
    while !heard.contains("text/event-stream") {
        let n = stream.read(&mut buffer).await.unwrap();
        heard.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
    }
    env.bus.emit(Event::LimitSeen { used: 17, max: 15_000 });
    while !heard.contains("15000") {
        let n = stream.read(&mut buffer).await.unwrap();
        assert!(n > 0, "{heard}");
        heard.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
    }
    assert!(heard.contains(r#""event":"limit-seen""#), "{heard}");
    // There are places for 64 readers; one that left makes room.
    let mut others = Vec::new();
    for _ in 0..63 {
        let mut other = TcpStream::connect(env.address).await.unwrap();
        other.write_all(request.as_bytes()).await.unwrap();
        let n = other.read(&mut buffer).await.unwrap();
        assert!(buffer[..n].starts_with(b"HTTP/1.1 200"));
        others.push(other);
    }
    assert_eq!(env.problem("/api/v1/events", &[]).await.code, "web.busy");
    // An open stream does not keep the host from stopping.
    env.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_address_is_named() {
    let env = Env::new(None).await;
    let error = Listener::bind(env.address).await.unwrap_err();
    assert_eq!(error.code(), "web.bind");
    assert!(error.to_string().contains(&env.address.to_string()));
    let nobody = Client::new("127.0.0.1:1".parse().unwrap(), None, None).unwrap();
    let error = nobody.get::<Value>("/healthz", &[]).await.unwrap_err();
    assert_eq!(error.code(), "web.unreachable");
    env.close().await;
}

/// A header of an answer.
fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let line = answer.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("no {name}: {answer}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_signs_in_and_out() {
    let hash = |text: &str| guard::Hash::parse(&guard::hash(&text.into()).unwrap()).unwrap();
    let access = Access::default()
        .with_password(Role::Operate, hash("all of it!"))
        .with_password(Role::View, hash("only a look"));
    let env = Env::with(access, None, None).await;
    let own = env.address;
    let browse = async |method: &str, path: &str, more: &str, body: &str| {
        let length = body.len();
        env.raw_with(
            &format!(
                "{method} {path} HTTP/1.1\nHost: {own}\nAccept: text/html\nContent-Length: {length}\n{more}"
            ),
            body,
        )
        .await
    };
    const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
    let (status, answer) = browse("GET", "/?before=7", "", "").await;
    assert_eq!((status, header(&answer, "location")), (303, "/login?to=%2F%3Fbefore%3D7"));
    let (status, door) = browse("GET", "/login?to=%2F%3Fbefore%3D7", "", "").await;
    assert!(status == 200 && door.contains("value=\"/?before=7\""), "{door}");
    assert!(header(&door, "content-security-policy").starts_with("default-src 'none'"));

    let enter = async |password: &str| {
        let body = format!("password={}&to=%2F%3Fbefore%3D7", password.replace(' ', "+"));
        browse("POST", "/login", FORM, &body).await
    };
    let (status, answer) = enter("All of it!").await;
    assert!(status == 401 && answer.contains("not the password"), "{answer}");
    let cookie = async |password: &str| {
        let (status, answer) = enter(password).await;
        assert_eq!((status, header(&answer, "location")), (303, "/?before=7"));
        let set = header(&answer, "set-cookie");
        assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{set}");
        format!("Cookie: {}", set.split(';').next().unwrap())
    };
    let (all, look) = (cookie("all of it!").await, cookie("only a look").await);
    for who in [&all, &look] {
        assert_eq!(browse("GET", "/api/v1/runs", who, "").await.0, 200);
        assert_eq!(browse("GET", "/", who, "").await.0, 200);
    }
    let pause = "/api/v1/syncs/Contact/pause";
    let (status, answer) = browse("POST", pause, &look, "").await;
    assert!(status == 403 && answer.contains("web.role"), "{answer}");
    let (status, answer) = browse("POST", pause, &all, "").await;
    assert!(status == 403 && answer.contains("web.csrf"), "{answer}");
    assert!(env.store.pause(&SyncName::new("Contact").unwrap()).unwrap().is_none());

    // Wrong passwords, time after time, make everybody at that address wait.
    for _ in 0..4 {
        assert_eq!(enter("wrong").await.0, 401);
    }
    let (status, answer) = enter("all of it!").await;
    assert_eq!(status, 429);
    assert!(header(&answer, "retry-after").parse::<u64>().unwrap() >= 1);
    // Who is in stays in.
    assert_eq!(browse("GET", "/api/v1/runs", &all, "").await.0, 200);
    env.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn speaks_tls_to_who_knows_the_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let mut pairs = Vec::new();
    for name in ["own", "other"] {
        let made = rcgen::generate_simple_self_signed(vec!["box.example".to_owned()]).unwrap();
        let (cert, key) =
            (folder.path().join(format!("{name}.pem")), folder.path().join(format!("{name}.key")));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        pairs.push((cert, key));
    }
    let (cert, key) = &pairs[0];
    let access = Access::default().with_token(Role::Operate, "s3cret".into());
    let env = Env::with(access, Some("s3cret"), Some((cert, key))).await;
    // Somebody who never shakes hands hinders nobody.
    let _silent = TcpStream::connect(env.address).await.unwrap();
    assert!(env.client.get::<view::Runs>("/api/v1/runs", &[]).await.is_ok());
    let stranger = Client::new(env.address, Some("s3cret".into()), Some(&pairs[1].0)).unwrap();
    let refused = stranger.get::<view::Runs>("/api/v1/runs", &[]).await.unwrap_err();
    assert_eq!(refused.code(), "web.unreachable");
    assert!(refused.to_string().contains("not the configured one"), "{refused}");
    assert!(tls::server(cert, &pairs[1].1).is_err(), "a key of another certificate");
    let error = tls::server(key, key).unwrap_err().to_string();
    assert!(error.contains("own.key") && error.contains("no certificate"), "{error}");
    env.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_has_its_policy() {
    let env = Env::new(None).await;
    let own = env.address;
    for (line, wanted) in [
        ("GET /api/v1/runs", 200),
        ("GET /api/v1/openapi.json", 200),
        ("GET /healthz", 200),
        ("GET /", 200),
        ("GET /nothing", 404),
        ("PUT /api/v1/runs", 405),
    ] {
        let (status, answer) = env.raw(&format!("{line} HTTP/1.1\nHost: {own}")).await;
        assert_eq!(status, wanted, "{line}");
        assert!(header(&answer, "content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
    }
    let (status, answer) = env.raw("GET /api/v1/runs HTTP/1.1\nHost: evil.example").await;
    assert!(status == 421 && answer.contains("content-security-policy: default-src 'none'"));
    env.close().await;
}

/// The lines of an answer's body, which is sent in pieces.
fn lines(answer: &str) -> Vec<Value> {
    let parsed = answer.lines().filter(|line| line.starts_with('{')).map(serde_json::from_str);
    parsed.map(|line| line.unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_is_read_by_names_and_acknowledged() {
    let env = Env::new(None).await;
    let own = env.address;
    let ask = async |line: &str, more: &str, body: &str| {
        let length = body.len();
        let head = format!("{line} HTTP/1.1\nHost: {own}\nContent-Length: {length}\n{more}");
        env.raw_with(&head, body).await
    };
    // Waits until there is something, and answers at once when there is.
    let waiting = ask("GET /api/v1/feed?after=0&wait=60s", "", "");
    let begun = std::time::Instant::now();
    let commit = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let store = env.store.clone();
        tokio::task::spawn_blocking(move || imported(&store)).await.unwrap()
    };
    let ((status, answer), _) = tokio::join!(waiting, commit);
    assert_eq!(status, 200);
    assert!(begun.elapsed() < std::time::Duration::from_secs(30), "a commit ends the wait");
    assert_eq!(header(&answer, "content-type"), "application/x-ndjson");
    assert_eq!((header(&answer, "kilofold-next"), header(&answer, "kilofold-end")), ("1", "1"));
    let changes = lines(&answer);
    assert_eq!(
        (changes.len(), &changes[0]["seq"], &changes[0]["kind"]),
        (1, &1.into(), &"person".into())
    );
    let (_, answer) = ask("GET /api/v1/feed?kinds=event,object&wait=0s", "", "").await;
    assert_eq!((lines(&answer).len(), header(&answer, "kilofold-next")), (0, "1"));
    for bad in ["wait=61s", "kinds=", "after=x", "limit=0", "consumer=a%20b", "more=1"] {
        assert_eq!(ask(&format!("GET /api/v1/feed?{bad}"), "", "").await.0, 400, "{bad}");
    }

    let one = "/api/v1/consumers/warehouse";
    assert_eq!(ask(&format!("GET {one}"), "", "").await.0, 404);
    const JSON: &str = "Content-Type: application/json";
    let put = async |body: &str| ask(&format!("PUT {one}"), JSON, body).await;
    assert_eq!(lines(&put(r#"{"acknowledged":0}"#).await.1)[0]["lag"], 1);
    let mine = "GET /api/v1/feed?consumer=warehouse";
    assert_eq!(lines(&ask(mine, "", "").await.1).len(), 1);
    assert_eq!(lines(&put(r#"{"acknowledged":1}"#).await.1)[0]["lag"], 0);
    assert_eq!(lines(&ask(mine, "", "").await.1).len(), 0);
    for (body, status) in [
        (r#"{"acknowledged":2}"#, 409),
        (r#"{"acknowledged":0}"#, 409),
        (r#"{"acknowledged":0,"rewind":true}"#, 200),
        (r#"{"acknowledged":-1}"#, 400),
        (r#"{"acknowledged":1,"x":2}"#, 400),
        ("{", 400),
        ("", 400),
    ] {
        let (found, answer) = put(body).await;
        assert_eq!(found, status, "{body}");
        assert!(status == 200 || answer.contains("application/problem+json"), "{answer}");
    }
    assert_eq!(ask(&format!("PUT {one}"), "Content-Type: text/plain", "{}").await.0, 415);
    let large = format!("{{\"acknowledged\":{}1}}", " ".repeat(2 << 20));
    let (status, answer) = put(&large).await;
    assert!(status == 413 && answer.contains("web.too-large"), "{answer}");
    let all: view::Consumers = env.client.get("/api/v1/consumers", &[]).await.unwrap();
    assert_eq!((all.consumers.len(), all.start, all.end), (1, 1, 1));
    assert!(all.consumers[0].live && !all.consumers[0].behind);
    assert_eq!(ask(&format!("DELETE {one}"), "", "").await.0, 200);
    assert_eq!(ask(&format!("DELETE {one}"), "", "").await.0, 404);

    // A snapshot, and where to go on.
    let (status, answer) = ask("GET /api/v1/snapshot", "", "").await;
    assert_eq!(status, 200);
    let told = lines(&answer);
    let kinds: Vec<&str> = told.iter().map(|line| line["line"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["begin", "output", "end"]);
    assert_eq!((&told[2]["next"], &told[2]["lines"]), (&1.into(), &1.into()));

    // What is no longer kept cannot be gone on from.
    let (store, reader) = (env.store.clone(), env.reader.clone());
    tokio::task::spawn_blocking(move || {
        let day = std::time::Duration::from_secs(86_400);
        let rules = kilofold::store::FeedRules { age: day, entries: 1, hold: day, quiet: day };
        let run = run(&store, "Contact");
        store.end_run(run.id, Ending::Succeeded, Stamp::now(), |_| ()).unwrap();
        again(&store);
        assert_eq!(store.trim_feed(&rules, Stamp::now().plus(day * 2)).unwrap(), 1);
        assert_eq!(reader.store().feed_start().unwrap(), 2);
    })
    .await
    .unwrap();
    let problem = env.problem("/api/v1/feed", &[("after", "0".to_owned())]).await;
    assert_eq!((problem.status, problem.code.as_str()), (410, "feed.gone"));
    assert_eq!(problem.see.as_deref(), Some("/api/v1/snapshot"));
    let all: view::Feed = env.client.get("/api/v1/feed", &[]).await.unwrap();
    assert_eq!((all.changes.len(), all.start), (1, 2));
    env.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_tell_what_is_and_what_happened() {
    let env = Env::new(Some("s3cret")).await;
    let own = env.address;
    imported(&env.store);
    env.bus.emit(Event::StoreTidied { changes: 5, history: 0, took_ms: 1 });
    assert_eq!(env.raw(&format!("GET /metrics HTTP/1.1\nHost: {own}")).await.0, 401);
    let bearer = "Authorization: Bearer s3cret";
    let (status, answer) = env.raw(&format!("GET /metrics HTTP/1.1\nHost: {own}\n{bearer}")).await;
    assert_eq!(status, 200);
    assert!(header(&answer, "content-type").starts_with("application/openmetrics-text"));
    for line in [
        "kilofold_stored_records{sync=\"Contact\"} 3",
        "kilofold_failed_records{sync=\"Contact\"} 1",
        "kilofold_feed_changes_removed_total 5",
        "kilofold_feed_end 1",
    ] {
        assert!(answer.lines().any(|one| one == line), "no {line} in {answer}");
    }
    env.close().await;
}

/// A second change of the output that [`imported`] made.
fn again(store: &Store) {
    let sync = SyncName::new("Contact").unwrap();
    let run = run(store, "Contact");
    let text = r#"{"totalSize":1,"done":true,"records":[{"attributes":{"type":"Contact"},"Id":"0034C00000VaYfKQAV","Email":"a@b","SystemModstamp":"2022-02-16T06:21:19.000+0000"}]}"#;
    let selection = Selection::new(&["Email".to_owned()], Some("SystemModstamp"));
    let batch = selection.read_answer(&Bytes::from(text)).unwrap().batch;
    let known = store.known(&sync, &batch).unwrap();
    let output = Output {
        kind: "person".into(),
        key: "0034C00000VaYfKQAV".to_owned(),
        body: r#"{"n":2}"#.into(),
    };
    let page = PageNote {
        page: 0,
        at: Stamp::now(),
        bytes: 100,
        counts: Counts::default(),
        timing: Timing::default(),
        request_id: None,
    };
    store
        .commit(Commit {
            run: run.id,
            sync: &sync,
            batch: &batch,
            known,
            outcomes: vec![Verdict::Became(Outcome::Mapped(vec![output]))],
            cursor: Cursor::default(),
            page,
            calls: 1,
            maker: None,
            remap: None,
            keep_raw: true,
        })
        .unwrap();
}

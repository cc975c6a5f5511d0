//! Deliveries over real sockets, from a real store to a receiver that fails as it is told.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "stored/mod.rs"]
mod stored;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use kilofold::alerts::{Alerts, What};
use kilofold::app;
use kilofold::clock::Clock;
use kilofold::config::{AlertConfig, Config, DeliverConfig, DeliverForm, Secret};
use kilofold::deliver;
use kilofold::events::{Bus, Event};
use kilofold::model::{ConsumerName, Counts, Ending, Stamp};
use kilofold::store::{FeedRules, Options, Store};
use kilofold::web::Reader;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What came, and how it is answered.
#[derive(Default)]
struct Receiver {
    got: Mutex<Vec<Request>>,
    /// Statuses of the next answers; 200 when there are none left.
    next: Mutex<Vec<u16>>,
    /// A body with this word is refused with 422.
    poison: Option<&'static str>,
}

struct Request {
    path: String,
    headers: HeaderMap,
    bytes: Bytes,
    body: Value,
    status: u16,
}

impl Request {
    fn seqs(&self) -> Vec<u64> {
        let changes = self.body["changes"].as_array().unwrap();
        changes.iter().map(|change| change["seq"].as_u64().unwrap()).collect()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn take(
    State(receiver): State<Arc<Receiver>>,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> (StatusCode, &'static str) {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let next = receiver.next.lock().unwrap().pop();
    let status = match receiver.poison {
        Some(word) if text.contains(word) => 422,
        _ => next.unwrap_or(200),
    };
    let body = serde_json::from_slice(&bytes).unwrap();
    let path = uri.path().to_owned();
    receiver.got.lock().unwrap().push(Request { path, headers, bytes, body, status });
    (StatusCode::from_u16(status).unwrap(), "said so")
}

async fn receive(receiver: Receiver) -> (Arc<Receiver>, String) {
    let receiver = Arc::new(receiver);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let routes = axum::Router::new().fallback(take).with_state(receiver.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    (receiver, url)
}

impl Receiver {
    /// The numbers of all changes that were taken, in the order in which they came.
    fn taken(&self) -> Vec<u64> {
        let got = self.got.lock().unwrap();
        got.iter().filter(|one| one.status == 200).flat_map(Request::seqs).collect()
    }

    /// Waits until so many requests came.
    async fn came(&self, count: usize) {
        until(|| self.got.lock().unwrap().len() >= count).await;
    }
}

async fn until(mut done: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come within 20 s");
}

fn name() -> ConsumerName {
    ConsumerName::new("deliver.hook").unwrap()
}

fn hook(url: &str) -> DeliverConfig {
    DeliverConfig {
        name: name(),
        form: DeliverForm::Webhook(None),
        url: url.parse().unwrap(),
        kinds: Vec::new(),
        syncs: Vec::new(),
        batch: 100,
        timeout: Duration::from_secs(10),
        give_up: None,
        from_start: true,
    }
}

/// A host that only delivers.
struct Host {
    store: Store,
    bus: Bus,
    stop: CancellationToken,
    tasks: tokio::task::JoinSet<()>,
}

impl Host {
    fn start(store: &Store, clock: &Clock, config: DeliverConfig) -> Self {
        let (bus, stop) = (Bus::new(), CancellationToken::new());
        let tasks = deliver::start(&[config], store, clock, &bus, &stop).unwrap();
        Self { store: store.clone(), bus, stop, tasks }
    }

    async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }

    fn place(&self) -> u64 {
        self.store.consumer(&name()).unwrap().map_or(0, |one| one.acknowledged)
    }

    async fn at(&self, place: u64) {
        until(|| self.place() >= place).await;
    }
}

fn open(folder: &std::path::Path) -> Store {
    Store::open(folder, &Options::default()).unwrap()
}

/// Commits a batch of people with these bodies; numbers go on from those of the batch before.
fn commit(store: &Store, first: usize, bodies: &[&str]) {
    let run = stored::begin(store, "Contact");
    let came = (first..).zip(bodies).map(|(n, body)| {
        let id = format!("0034C0000{n:06}");
        let became = stored::person(&id, body);
        (id, "null", became)
    });
    stored::commit(store, &run, 15, came.collect());
    store.end_run(run.id, Ending::Succeeded, Stamp::now(), |_| ()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_in_order_signed_and_again_until_taken() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
    let store = open(&folder.path().join("data"));
    commit(&store, 1, &["{\"n\":1.10}", "{}", "{}"]);
    let (receiver, url) =
        receive(Receiver { next: Mutex::new(vec![503]), ..Receiver::default() }).await;
    let form = DeliverForm::Webhook(Some(Secret::File(folder.path().join("key"))));
    let host =
        Host::start(&store, &Clock::default(), DeliverConfig { form, batch: 2, ..hook(&url) });
    let mut events = host.bus.subscribe();
    host.at(3).await;
    commit(&store, 4, &["{}", "{}"]);
    host.at(5).await;

    assert!(matches!(&events.recv().await.unwrap().event,
        Event::DeliveryFailed { attempts: 1, reason, .. } if reason.contains("503") && reason.contains("said so")));
    assert!(matches!(
        &events.recv().await.unwrap().event,
        Event::Delivered { changes: 2, last: 2, .. }
    ));
    host.stop().await;

    assert_eq!(receiver.taken(), [1, 2, 3, 4, 5]);
    let got = receiver.got.lock().unwrap();
    assert_eq!((got[0].status, got[0].seqs()), (503, vec![1, 2]));
    assert_eq!(got[0].bytes, got[1].bytes);
    assert_eq!(got[0].header("webhook-id"), got[1].header("webhook-id"));
    assert_eq!(got[0].path, "/hook");
    // As Salesforce's number was mapped: nothing is read and written anew on the way.
    assert!(std::str::from_utf8(&got[0].bytes).unwrap().contains("\"n\":1.10"));
    for one in &*got {
        let key = base64::Engine::decode(
            &base64::prelude::BASE64_STANDARD,
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        );
        let seconds: i64 = one.header("webhook-timestamp").parse().unwrap();
        assert!((Stamp::now().0 / 1000 - seconds).abs() < 60);
        let signed =
            deliver::signature(&key.unwrap(), one.header("webhook-id"), seconds, &one.bytes);
        assert_eq!(one.header("webhook-signature"), signed);
    }
    let state = store.delivery(&name()).unwrap();
    assert_eq!((state.taken, state.attempts, state.failing_since), (5, 0, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_refused_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let bodies = ["{}", "{}", "{\"a\":\"poison\"}", "{}", "{}", "{}", "{\"b\":\"poison\"}"];
    commit(&store, 1, &bodies);
    let (receiver, url) = receive(Receiver { poison: Some("poison"), ..Receiver::default() }).await;
    let host = Host::start(&store, &Clock::default(), hook(&url));
    host.at(7).await;
    assert_eq!(receiver.taken(), [1, 2, 4, 5, 6]);
    let dead = store.dead_letters(&name(), None, 9).unwrap();
    let seqs: Vec<u64> = dead.iter().map(|one| one.seq).collect();
    assert_eq!(seqs, [3, 7]);
    assert!(dead[0].change.get().contains("poison") && dead[0].reason.contains("422"));
    // Back to whole batches, and a place that was moved by hand has changes sent again.
    commit(&store, 8, &["{}", "{}"]);
    host.at(9).await;
    store.move_consumer(&name(), 7, true, Stamp::now()).unwrap().unwrap();
    commit(&store, 10, &["{}"]);
    host.at(10).await;
    assert_eq!(receiver.taken(), [1, 2, 4, 5, 6, 8, 9, 8, 9, 10]);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_sent_again_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let bodies = [
        "{\"a\":\"poison\"}",
        "{\"b\":\"poison\"}",
        "{}",
        "{\"d\":\"poison\"}",
        "{\"e\":\"poison\"}",
    ];
    commit(&store, 1, &bodies);
    let (strict, url) = receive(Receiver { poison: Some("poison"), ..Receiver::default() }).await;
    let host = Host::start(&store, &Clock::default(), hook(&url));
    host.at(5).await;
    let dead = |store: &Store| -> Vec<u64> {
        store.dead_letters(&name(), None, 99).unwrap().iter().map(|one| one.seq).collect()
    };
    let asked = |store: &Store| store.asked_again(&name()).unwrap().len();
    assert_eq!(dead(&store), [1, 2, 4, 5]);
    // It refuses one of them as before: that stays, with the hour and the words of the second time.
    let before = store.dead_letters(&name(), None, 1).unwrap()[0].at;
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(store.send_again(&name(), Some(3)).unwrap(), 0, "it was taken");
    assert_eq!(store.send_again(&name(), Some(1)).unwrap(), 1);
    until(|| asked(&store) == 0).await;
    assert_eq!(dead(&store), [1, 2, 4, 5]);
    assert!(store.dead_letters(&name(), None, 1).unwrap()[0].at > before);
    assert_eq!(strict.taken(), [3]);
    host.stop().await;
    // Asked for while no host is there; the destination is mended. One at first, then all; what has changed since is not
    // sent, for what it became went by itself.
    let (kind, url) = receive(Receiver::default()).await;
    assert_eq!(store.send_again(&name(), Some(4)).unwrap(), 1);
    let host = Host::start(&store, &Clock::default(), hook(&url));
    until(|| asked(&store) == 0).await;
    assert_eq!((kind.taken(), dead(&store)), (vec![4], vec![1, 2, 5]));
    commit(&store, 2, &["{\"b\":\"mended\"}"]);
    host.at(6).await;
    let taken = store.delivery(&name()).unwrap().taken;
    assert_eq!(store.send_again(&name(), None).unwrap(), 3);
    until(|| asked(&store) == 0).await;
    until(|| dead(&store).is_empty()).await;
    assert_eq!(kind.taken(), [4, 6, 1, 5]);
    assert_eq!(store.delivery(&name()).unwrap().taken, taken + 2);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_that_is_away_keeps_its_dead_letters() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    commit(&store, 1, &["{\"a\":\"poison\"}", "{\"b\":\"poison\"}"]);
    let receiver = Receiver { poison: Some("poison"), ..Receiver::default() };
    let (_, url) = receive(receiver).await;
    let host = Host::start(&store, &Clock::default(), hook(&url));
    host.at(2).await;
    host.stop().await;
    assert_eq!(store.send_again(&name(), None).unwrap(), 2);
    let host = Host::start(&store, &Clock::default(), hook("http://127.0.0.1:9/"));
    until(|| store.asked_again(&name()).unwrap().is_empty()).await;
    let dead = store.dead_letters(&name(), None, 9).unwrap();
    assert!(dead.len() == 2 && dead[0].reason.contains("no answer"), "{dead:?}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goes_on_after_a_restart_where_it_stood() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    commit(&store, 1, &["{}", "{}", "{}"]);
    let (receiver, url) =
        receive(Receiver { next: Mutex::new(vec![500, 200]), ..Receiver::default() }).await;
    let config = DeliverConfig { batch: 1, ..hook(&url) };
    let host = Host::start(&store, &Clock::default(), config.clone());
    receiver.came(2).await;
    until(|| store.delivery(&name()).unwrap().failing_since.is_some()).await;
    host.stop().await;
    let state = store.delivery(&name()).unwrap();
    assert!(state.attempts == 1 && state.next.is_some() && state.taken == 1, "{state:?}");
    let wait = state.next.unwrap();
    drop(store);

    let store = open(folder.path());
    assert_eq!(store.delivery(&name()).unwrap(), state);
    let host = Host::start(&store, &Clock::default(), config);
    host.at(3).await;
    assert_eq!(receiver.taken(), [1, 2, 3]);
    assert!(Stamp::now() >= wait, "the wait outlives the process");
    host.stop().await;

    // A destination of another name begins with what comes.
    let late = ConsumerName::new("deliver.late").unwrap();
    let config = DeliverConfig { name: late.clone(), from_start: false, ..hook(&url) };
    let host = Host::start(&store, &Clock::default(), config);
    until(|| store.consumer(&late).unwrap().is_some()).await;
    commit(&store, 4, &["{}"]);
    until(|| store.consumer(&late).unwrap().unwrap().acknowledged == 4).await;
    assert_eq!(receiver.taken(), [1, 2, 3, 4]);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gives_up_after_the_time_that_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    commit(&store, 1, &["{}", "{}"]);
    let hour = Arc::new(AtomicI64::new(Stamp::now().0));
    let told = hour.clone();
    let clock = Clock::new(move || Stamp(told.load(Ordering::Relaxed)));
    let (receiver, url) =
        receive(Receiver { next: Mutex::new(vec![404, 404]), ..Receiver::default() }).await;
    let give_up = Some(Duration::from_secs(3 * 86_400));
    let host = Host::start(&store, &clock, DeliverConfig { give_up, ..hook(&url) });
    until(|| store.delivery(&name()).unwrap().failing_since.is_some()).await;
    assert_eq!(host.place(), 0);
    hour.fetch_add(4 * 86_400_000, Ordering::Relaxed);
    host.at(2).await;
    assert_eq!(store.count_dead(&name()).unwrap(), 2);
    commit(&store, 3, &["{}"]);
    host.at(3).await;
    assert_eq!(receiver.taken(), [3]);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_what_was_gone_before_it_could_be_sent() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.move_consumer(&name(), 0, false, Stamp::now()).unwrap().unwrap();
    for n in 1..4 {
        commit(&store, n, &["{}"]);
    }
    let (age, hold, quiet) = (Duration::ZERO, Duration::ZERO, Duration::from_secs(60));
    let later = Stamp::now().plus(Duration::from_secs(1));
    let gone = store.trim_feed(&FeedRules { age, entries: 1, hold, quiet }, later).unwrap();
    assert_eq!(gone, 2);
    let (receiver, url) = receive(Receiver::default()).await;
    let host = Host::start(&store, &Clock::default(), hook(&url));
    host.at(3).await;
    assert_eq!(receiver.taken(), [3]);
    let dead = store.dead_letters(&name(), None, 9).unwrap();
    assert!(dead.len() == 1 && dead[0].reason.contains("1 to 2"), "{dead:?}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn speaks_segments_language() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "writekey").unwrap();
    let store = open(&folder.path().join("data"));
    commit(&store, 1, &[r#"{"email":"a@example.com","account_id":"001A"}"#, "{}"]);
    let (receiver, url) =
        receive(Receiver { next: Mutex::new(vec![500]), ..Receiver::default() }).await;
    let url = url.replace("/hook", "");
    let form = DeliverForm::Segment(Secret::File(folder.path().join("key")));
    let host = Host::start(&store, &Clock::default(), DeliverConfig { form, ..hook(&url) });
    host.at(2).await;
    host.stop().await;
    let got = receiver.got.lock().unwrap();
    assert_eq!(got.len(), 2);
    assert_eq!(got[1].path, "/v1/batch");
    // `writekey:` in base64.
    assert_eq!(got[1].header("authorization"), "Basic d3JpdGVrZXk6");
    let calls = got[1].body["batch"].as_array().unwrap();
    let types: Vec<&str> = calls.iter().map(|call| call["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["identify", "group", "identify"]);
    assert_eq!(calls[0]["traits"]["email"], "a@example.com");
    // The same calls again, by their ids.
    let ids = |one: &Request| -> Vec<Value> {
        let calls = one.body["batch"].as_array().unwrap();
        calls.iter().map(|call| call["messageId"].clone()).collect()
    };
    assert_eq!(ids(&got[0]), ids(&got[1]));
}

const CONFIG: &str = r#"
[org]
login = "http://127.0.0.1:9"
[[connection]]
client_id = "x"
[store]
path = "data"
[[sync]]
object = "Contact"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_once_and_again_when_it_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::parse(CONFIG, &folder.path().join("kilofold.toml")).unwrap();
    let store = app::open_store(&config).unwrap();
    let org = app::open_org(&config, &store, Clock::default()).unwrap();
    let reader = Reader::new(store.clone(), Arc::new(config));
    let (receiver, url) =
        receive(Receiver { next: Mutex::new(vec![503]), ..Receiver::default() }).await;
    let config = AlertConfig {
        url: url.parse().unwrap(),
        secret: None,
        on: What::ALL.to_vec(),
        stale: Duration::from_secs(3600),
    };
    let start = |bus: &Bus, stop: &CancellationToken| {
        let alerts = Alerts::new(&config, reader.clone(), org.clone(), Clock::default(), bus);
        tokio::spawn(alerts.unwrap().run(stop.clone()))
    };
    let end = |bus: &Bus, ending: Ending| {
        let run = stored::begin(&store, "Contact");
        store.end_run(run.id, ending.clone(), Stamp::now(), |_| ()).unwrap();
        let (sync, counts) = (run.sync, Counts::default());
        bus.emit(Event::RunEnded { run: run.id, sync, ending, counts, calls: 1, took_ms: 1 });
    };
    let failed = || Ending::Failed {
        code: "auth.reconnect".to_owned(),
        message: "it was revoked".to_owned(),
    };

    let (bus, stop) = (Bus::new(), CancellationToken::new());
    let running = start(&bus, &stop);
    end(&bus, failed());
    end(&bus, failed());
    // The first is answered with 503, and sent again.
    receiver.came(2).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.cancel();
    running.await.unwrap();

    // Another process knows what was told.
    let (bus, stop) = (Bus::new(), CancellationToken::new());
    let running = start(&bus, &stop);
    end(&bus, failed());
    end(&bus, Ending::Succeeded);
    receiver.came(3).await;
    stop.cancel();
    running.await.unwrap();

    let got = receiver.got.lock().unwrap();
    let told: Vec<(&Value, &Value)> =
        got.iter().map(|one| (&one.body["alert"], &one.body["recovered"])).collect();
    let (what, no, yes) = (Value::from("failed"), Value::from(false), Value::from(true));
    assert_eq!(told, [(&what, &no), (&what, &no), (&what, &yes)]);
    assert_eq!(got[0].header("webhook-id"), got[1].header("webhook-id"));
    let text = got[1].body["text"].as_str().unwrap();
    assert_eq!(text, "kilofold: sync Contact failed: it was revoked [auth.reconnect]");
}

//! Traces of runs, as a collector on loopback receives them; and what a log line of a run says.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use kilofold::clock::Clock;
use kilofold::deliver;
use kilofold::events::Event;
use kilofold::model::ConsumerName;
use kilofold::traces::Traces;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Code;
use org_sim::{FaultKind, RequestClass, When};
use prost::Message as _;
use support::{Receiver, Setup, TestEnv};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const PLAIN: &str = "fields = [\"LastName\", \"Email\"]\npage_size = 200";

/// What came, and how it is answered.
struct Collector {
    status: u16,
    got: Mutex<Vec<(HeaderMap, Bytes)>>,
}

impl Collector {
    async fn start(status: u16) -> (Arc<Self>, String) {
        async fn take(
            State(collector): State<Arc<Collector>>,
            uri: Uri,
            headers: HeaderMap,
            bytes: Bytes,
        ) -> StatusCode {
            assert_eq!(uri.path(), "/v1/traces");
            collector.got.lock().unwrap().push((headers, bytes));
            StatusCode::from_u16(collector.status).unwrap()
        }
        let collector = Arc::new(Self { status, got: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = axum::Router::new().fallback(take).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        (collector, url)
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let got = self.got.lock().unwrap();
        got.iter()
            .map(|(_, bytes)| ExportTraceServiceRequest::decode(&bytes[..]).unwrap())
            .collect()
    }

    fn spans(&self) -> Vec<Span> {
        let all = self.requests().into_iter().flat_map(|request| request.resource_spans);
        all.flat_map(|one| one.scope_spans).flat_map(|one| one.spans).collect()
    }
}

async fn host(sync: &str, url: &str) -> TestEnv {
    let lines = format!("name = \"{sync}\"\n{PLAIN}");
    let mut setup = Setup::new(&[("Contact", 1_000)]).sync("Contact", "passthrough", &lines);
    setup.syncs.push(format!(
        "[telemetry]\nendpoint = \"{url}\"\nservice = \"pull\"\ntimeout = \"1s\"\n\
         headers = {{ authorization = {{ file = \"auth\" }} }}"
    ));
    let mut env = setup.start().await;
    std::fs::write(env.path("auth"), "Bearer top-secret-of-the-collector").unwrap();
    env.open().await;
    env
}

async fn close(env: &TestEnv) {
    let traces: Traces = env.app().bus.traces().unwrap().clone();
    tokio::task::spawn_blocking(move || traces.close()).await.unwrap();
}

/// An attribute as a text.
fn attribute(attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|one| one.key == key);
    match found.and_then(|one| one.value.clone()).and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{key}: {other:?} of {attributes:?}"),
    }
}

/// All log lines of this process, as `--log-format json` writes them.
fn lines() -> Vec<serde_json::Value> {
    log().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What this process has logged so far.
fn log() -> String {
    let sink = sink();
    let mut bytes = vec![0; usize::try_from(sink.metadata().unwrap().len()).unwrap()];
    sink.read_exact_at(&mut bytes, 0).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn sink() -> &'static File {
    static SINK: OnceLock<File> = OnceLock::new();
    SINK.get_or_init(|| {
        let file = tempfile::tempfile().unwrap();
        tracing_subscriber::fmt()
            .with_env_filter("kilofold=debug")
            .json()
            .flatten_event(true)
            .with_writer(file.try_clone().unwrap())
            .init();
        file
    })
}

/// What a line says of its run, sync and page, by itself or by the spans around it.
fn said(line: &serde_json::Value, key: &str) -> Option<String> {
    let spans = line["spans"].as_array().into_iter().flatten();
    let found = spans.chain([line]).filter_map(|one| one.get(key)).next_back()?;
    Some(found.as_str().map_or_else(|| found.to_string(), str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_a_trace_with_its_pages_below() {
    sink();
    let (collector, url) = Collector::start(200).await;
    let env = host("traced", &url).await;
    let fault = FaultKind::ServerError { status: 503, html: false };
    env.fault_when(RequestClass::QueryMore, fault, When::After { skip: 1, times: 1 });
    let run = env.run_well("traced").await;
    assert_eq!((run.counts.fetched, run.pages), (1_000, 5));
    close(&env).await;

    let requests = collector.requests();
    let resource = requests[0].resource_spans[0].resource.clone().unwrap();
    assert_eq!(attribute(&resource.attributes, "service.name"), "pull");
    let spans = collector.spans();
    let traces: BTreeSet<_> = spans.iter().map(|span| span.trace_id.clone()).collect();
    assert_eq!(traces.len(), 1, "{spans:#?}");
    let named = |name: &str| -> Vec<&Span> { spans.iter().filter(|s| s.name == name).collect() };
    let root = named("run traced")[0];
    assert!(root.parent_span_id.is_empty());
    let of = |key: &str| attribute(&root.attributes, key);
    assert_eq!(of("kilofold.run"), run.id.0.to_string());
    assert_eq!((of("kilofold.sync"), of("kilofold.object")), ("traced".into(), "Contact".into()));
    assert_eq!(
        (of("kilofold.outcome"), of("kilofold.trigger")),
        ("succeeded".into(), "manual".into())
    );
    assert_eq!(of("kilofold.records.fetched"), "1000");
    assert_eq!(of("kilofold.calls"), run.calls.to_string());
    let again = &root.events[0];
    assert_eq!(again.name, "request made again");
    assert_eq!(attribute(&again.attributes, "kilofold.page"), "2");

    let pages = named("page");
    let numbers: BTreeSet<_> =
        pages.iter().map(|page| attribute(&page.attributes, "kilofold.page")).collect();
    assert_eq!(numbers, ["0", "1", "2", "3", "4"].map(str::to_owned).into());
    let mut below: BTreeMap<&[u8], BTreeSet<&str>> = BTreeMap::new();
    for span in spans.iter().filter(|span| !span.parent_span_id.is_empty()) {
        below.entry(&span.parent_span_id).or_default().insert(&span.name);
        // Within its parent, but for the millisecond to which the clock is read.
        let parent = spans.iter().find(|one| one.span_id == span.parent_span_id).unwrap();
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
        assert!(span.start_time_unix_nano + 2_000_000 >= parent.start_time_unix_nano, "{span:?}");
        assert!(span.end_time_unix_nano <= parent.end_time_unix_nano + 2_000_000, "{span:?}");
    }
    assert_eq!(below[&root.span_id[..]], ["describe", "page", "refresh"].into());
    for page in pages {
        assert_eq!(attribute(&page.attributes, "kilofold.records.fetched"), "200");
        assert_eq!(below[&page.span_id[..]], ["commit", "fetch", "map"].into());
    }

    // The collector is shown its own secret in a header, and nobody's elsewhere; and nothing of a record.
    let got = collector.got.lock().unwrap();
    assert!(got.iter().all(|(h, _)| h["authorization"] == "Bearer top-secret-of-the-collector"));
    assert!(got.iter().all(|(h, _)| h["content-type"] == "application/x-protobuf"));
    let sent: Vec<u8> = got.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
    let sent = String::from_utf8_lossy(&sent).into_owned();
    for word in [
        "top-secret",
        &env.sim.config().client_secret,
        "Bearer",
        "@example",
        &env.ids("Contact")[3],
    ] {
        assert!(!sent.contains(word), "{word}");
    }
    drop(got);
    // So are the log's lines: the page that was asked for again is named by each.
    let mut lines = lines();
    // Those of the other tests are not meant.
    lines.retain(|line| said(line, "sync").as_deref() == Some("traced"));
    let about = |message: &'static str| lines.iter().filter(move |line| line["message"] == message);
    let again = about("asking again").find(|line| said(line, "page").as_deref() == Some("2"));
    let again = again.expect("a line of the request made again, with its page");
    assert_eq!(said(again, "run"), Some(run.id.0.to_string()));
    assert_eq!(said(again, "sync").as_deref(), Some("traced"));
    let spent = about("Call spent").filter(|line| line["purpose"] == "query-more");
    let spent: Vec<_> = spent.filter_map(|line| said(line, "page")).collect();
    assert_eq!(spent.iter().filter(|page| *page == "2").count(), 2, "{spent:?}");
    for page in ["1", "2", "3", "4"] {
        assert!(spent.iter().any(|one| one == page), "{page}: {spent:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_run_is_a_failed_trace() {
    sink();
    let (collector, url) = Collector::start(200).await;
    let env = host("failing", &url).await;
    let fault = FaultKind::TruncatedJson;
    env.fault_when(RequestClass::QueryMore, fault, When::After { skip: 1, times: 99 });
    let run = env.run("failing").await;
    assert!(!run.ending.as_ref().unwrap().is_success(), "{run:?}");
    close(&env).await;
    let spans = collector.spans();
    let root = spans.iter().find(|span| span.name == "run failing").unwrap();
    let status = root.status.clone().unwrap();
    assert_eq!(status.code(), Code::Error);
    assert_eq!(status.message, attribute(&root.attributes, "error.type"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_fails_disturbs_nothing() {
    sink();
    // One that refuses, and one that is not there at all.
    let (refusing, url) = Collector::start(500).await;
    for url in [url.as_str(), "http://127.0.0.1:9"] {
        let env = host("alone", url).await;
        env.run_well("alone").await;
        env.assert_mirrors_org(&["alone"]);
        env.run_well("alone").await;
        let begun = Instant::now();
        close(&env).await;
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
    assert!(!refusing.got.lock().unwrap().is_empty());
    let said = lines()
        .iter()
        .filter(|line| {
            line["message"]
                .as_str()
                .is_some_and(|text| text.starts_with("The collector takes no traces"))
        })
        .count();
    assert_eq!(said, 2, "once for each host");
    let told = serde_json::to_string(&lines()).unwrap();
    assert!(told.contains("HTTP 500") && told.contains("Connection refused"), "why is told");
    assert!(!log().contains("top-secret-of-the-collector"));
}

/// What this says comes as one batch a page; an answer is one, or two when it has more than a thousand records.
const LARGE: &str = "fields = [\"LastName\"]\npage_size = 2000";

/// Answers are shorter and longer than was asked for: a line names the page that came of its request all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_a_request_names_the_page_that_came() {
    sink();
    let lines_of_sync = format!("name = \"ragged\"\n{LARGE}");
    let setup = Setup::new(&[("Contact", 9_000)]).sync("Contact", "passthrough", &lines_of_sync);
    let env = setup.open().await;
    let shape = |class, fault, skip| {
        env.fault_when(class, fault, When::After { skip, times: 1 });
    };
    shape(RequestClass::Query, FaultKind::ShortPage { rows: 700 }, 0);
    shape(RequestClass::QueryMore, FaultKind::ShortPage { rows: 1_001 }, 1);
    shape(RequestClass::QueryMore, FaultKind::ShortPage { rows: 3 }, 2);
    let run = env.run_well("ragged").await;
    assert_eq!(run.counts.fetched, 9_000);
    let mut lines = lines();
    lines.retain(|line| said(line, "sync").as_deref() == Some("ragged"));
    let numbers = |wanted: &dyn Fn(&serde_json::Value) -> bool| -> Vec<u64> {
        let found = lines.iter().filter(|line| wanted(line));
        let mut found: Vec<u64> =
            found.map(|line| said(line, "page").unwrap().parse().unwrap()).collect();
        found.sort_unstable();
        found
    };
    // Of an answer in several batches the first one tells how long it took.
    let came =
        numbers(&|line| line["message"] == "Page fetched" && line["took_us"].as_u64() > Some(0));
    let asked = numbers(&|line| {
        line["message"] == "Call spent" && line["purpose"].as_str().unwrap().starts_with("query")
    });
    assert_eq!(asked, came);
    assert!(came.len() >= 6 && came.windows(2).any(|two| two[1] == two[0] + 2), "{came:?}");
    assert_eq!(&came[..2], [0, 1], "the first was short");
}

/// A delivery is a trace of its own, with a code when it was not taken, and nothing of what was sent.
#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_traces() {
    sink();
    let (collector, url) = Collector::start(200).await;
    let receiver = Receiver::start().await;
    let mut setup = Setup::new(&[("Contact", 20)]).sync("Contact", "passthrough", PLAIN);
    setup.syncs.push(receiver.section("hook", ""));
    setup.syncs.push(format!("[telemetry]\nendpoint = \"{url}\"\n"));
    let mut env = setup.start().await;
    let refused = env.ids("Contact")[7].clone();
    receiver.refuse(&[&refused], &format!("no {refused}"));
    env.open().await;
    env.run_well("Contact").await;
    let (app, stop) = (env.app(), CancellationToken::new());
    let mut tasks =
        deliver::start(&app.config.deliver, &app.store, &Clock::default(), &app.bus, &stop)
            .unwrap();
    let hook = ConsumerName::new("deliver.hook").unwrap();
    while app.store.consumer(&hook).unwrap().is_none_or(|one| one.acknowledged < 20) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    receiver.answer(Some(503));
    let mut events = app.bus.subscribe();
    env.touch("Contact", 3, 1);
    env.later(60);
    env.run_well("Contact").await;
    // What the bus has told, the traces have heard; the store has it earlier.
    while !matches!(events.recv().await.unwrap().event, Event::DeliveryFailed { .. }) {}
    stop.cancel();
    while tasks.join_next().await.is_some() {}
    close(&env).await;
    let spans = collector.spans();
    let sent: Vec<&Span> = spans.iter().filter(|one| one.name == "deliver deliver.hook").collect();
    // The second run knows its object, and so asks for the hour alone.
    assert!(spans.iter().any(|one| one.name == "clock" && !one.parent_span_id.is_empty()));
    assert!(sent.iter().all(|one| one.parent_span_id.is_empty()));
    let failed = |one: &Span| one.status.clone().is_some_and(|status| status.code() == Code::Error);
    let taken = sent.iter().filter(|one| !failed(one));
    let taken: u64 = taken
        .map(|one| attribute(&one.attributes, "kilofold.changes").parse::<u64>().unwrap())
        .sum();
    assert_eq!(taken, 19);
    let codes: BTreeSet<String> = sent
        .iter()
        .filter(|one| failed(one))
        .map(|one| attribute(&one.attributes, "error.type"))
        .collect();
    assert_eq!(codes, ["deliver.busy", "deliver.refused"].map(str::to_owned).into());
    let got = collector.got.lock().unwrap();
    let bytes: Vec<u8> = got.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
    assert!(!String::from_utf8_lossy(&bytes).contains(&refused), "its words are not told");
}

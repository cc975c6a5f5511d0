//! The feed, the events and the metrics over real sockets, with a real store.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "web/env.rs"]
mod env;

use env::{Env, begin, commit, header, imported, person};
use kilofold::events::Event;
use kilofold::model::{Ending, Stamp};
use kilofold::store::Store;
use kilofold::web::view;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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
        let run = begin(&store, "Contact");
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
    let id = "0034C00000VaYfKQAV";
    let came = (id.to_owned(), "\"a@b\"", person(id, r#"{"n":2}"#));
    commit(store, &begin(store, "Contact"), 16, vec![came]);
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

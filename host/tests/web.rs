//! The API and the page over real sockets, with a real store.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "web/env.rs"]
mod env;

use env::{Env, begin, header, imported, json};
use kilofold::model::{Ending, RunId, Stamp, SyncName};
use kilofold::web::{Access, Client, Listener, Role, client, guard, tls, view};
use serde_json::Value;
use tokio::net::TcpStream;

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
        begin(&env.store, "Contact");
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
    let failed = begin(&env.store, "Contact");
    let message = "</td><script>alert(1)</script>{{nonce}}".to_owned();
    let ending = Ending::Failed { code: "org.refused".to_owned(), message };
    env.store.end_run(failed.id, ending, Stamp::now(), |_| ()).unwrap();
    let (status, there) = env.raw(&format!("GET /imports HTTP/1.1\nHost: {}", env.address)).await;
    assert_eq!((status, header(&there, "location")), (308, "/"));
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

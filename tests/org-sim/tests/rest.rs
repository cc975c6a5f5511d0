//! The data API, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

mod common;

use std::time::Duration;

use common::{Env, config, header, ids, keys};
use org_sim::SimConfig;
use serde_json::{Value, json};

const CONTACTS: &str = "SELECT Id, LastName FROM Contact ORDER BY Id";

#[tokio::test]
async fn versions_need_no_login_and_count_nothing() {
    let env = Env::usual().await;
    let answer = env.http.get(env.url("/services/data/")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "date"), Some("Wed, 06 May 2026 09:00:00 GMT"));
    assert!(header(&answer, "sforce-limit-info").is_none());
    let id = header(&answer, "x-sfdc-request-id").unwrap();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let versions: Value = answer.json().await.unwrap();
    assert_eq!(keys(&versions[0]), ["label", "url", "version"]);
    assert_eq!(
        versions[22],
        json!({"label": "Winter '22", "url": "/services/data/v53.0", "version": "53.0"})
    );
    assert_eq!(env.sim.api_calls(), 0);
}

#[tokio::test]
async fn pages_follow_by_locator_until_done() {
    let env = Env::usual().await;
    let ask = || env.ask(CONTACTS).header("Sforce-Query-Options", "batchSize=1000");
    let first: Value = ask().send().await.unwrap().json().await.unwrap();
    assert_eq!(keys(&first), ["totalSize", "done", "nextRecordsUrl", "records"]);
    assert_eq!((&first["totalSize"], &first["done"]), (&json!(2_500), &json!(false)));
    assert_eq!(keys(&first["records"][0]), ["attributes", "Id", "LastName"]);
    let next = first["nextRecordsUrl"].as_str().unwrap();
    let (path, locator) = next.rsplit_once('/').unwrap();
    assert_eq!(path, "/services/data/v62.0/query");
    let (cursor, offset) = locator.split_once('-').unwrap();
    assert!(cursor.len() == 18 && cursor.starts_with("0r8") && offset == "1000", "{locator}");

    let mut all = ids(&first);
    let mut url = next.to_owned();
    loop {
        let page: Value = env
            .get(&url)
            .header("Sforce-Query-Options", "batchSize=1000")
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(page["totalSize"], 2_500);
        all.extend(ids(&page));
        match page["nextRecordsUrl"].as_str() {
            Some(next) => {
                assert!(next.contains(cursor), "the cursor is the same on all pages");
                url = next.to_owned();
            }
            None => {
                assert_eq!(page["done"], true);
                break;
            }
        }
    }
    let truth = env.sim.org().read().unwrap().truth("Contact");
    let expected: Vec<String> =
        truth.rows.iter().filter(|(_, _, deleted)| !deleted).map(|(id, ..)| id.clone()).collect();
    assert_eq!(all.len(), 2_500);
    let (mut all, mut expected) = (all, expected);
    all.sort();
    expected.sort();
    assert_eq!(all, expected);
    assert_eq!(env.sim.api_calls(), 3);
    let notes = env.sim.requests();
    assert_eq!(
        notes.iter().map(|note| note.offset).collect::<Vec<_>>(),
        [Some(0), Some(1_000), Some(2_000)]
    );
    assert!(
        notes.iter().all(|note| note.query.as_deref() == Some(CONTACTS)
            && note.object.as_deref() == Some("Contact"))
    );
    assert_eq!(notes.iter().map(|note| note.records).sum::<usize>(), 2_500);
    assert_eq!(notes[2].user.as_deref(), Some(env.sim.config().username.as_str()));
}

#[tokio::test]
async fn batch_size_is_bounded() {
    let env = Env::usual().await;
    for (size, rows) in [("1", 200), ("200", 200), ("1500", 1_500), ("5000", 2_000)] {
        let page: Value = env
            .ask(CONTACTS)
            .header("Sforce-Query-Options", format!("batchSize={size}"))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(ids(&page).len(), rows, "batchSize={size}");
    }
    assert_eq!(ids(&env.query(CONTACTS).await.1).len(), 2_000);
    let env = Env::start(SimConfig { page_cap: 250, ..config() }).await;
    assert_eq!(ids(&env.query(CONTACTS).await.1).len(), 250);
}

#[tokio::test]
async fn locators_can_be_altered_and_go_stale() {
    let env = Env::usual().await;
    let (_, first) = env.query(CONTACTS).await;
    let next = first["nextRecordsUrl"].as_str().unwrap();
    let (cursor, _) = next.rsplit_once('-').unwrap();
    let (_, page) = env.fetch(&format!("{cursor}-2499")).await;
    assert_eq!((ids(&page).len(), page["done"].as_bool()), (1, Some(true)));
    let (_, end) = env.fetch(&format!("{cursor}-2500")).await;
    assert_eq!(end, json!({"totalSize": 2_500, "done": true, "records": []}));
    let (status, _) = env.fetch(&next.replace("/query/", "/queryAll/")).await;
    assert_eq!(status, 200);

    let bad = json!([{"message": "invalid query locator", "errorCode": "INVALID_QUERY_LOCATOR"}]);
    for path in [
        format!("{cursor}-2501"),
        format!("{cursor}-x"),
        "/services/data/v62.0/query/0r8000000000000000-200".into(),
    ] {
        assert_eq!(env.fetch(&path).await, (400, bad.clone()), "{path}");
    }
    env.sim.advance_clock(Duration::from_secs(2 * 86_400 + 1));
    let env =
        Env { token: env.credentials().await["access_token"].as_str().unwrap().to_owned(), ..env };
    assert_eq!(env.fetch(next).await, (400, bad));
}

#[tokio::test]
async fn query_all_shows_deleted_records_on_every_page() {
    let env = Env::usual().await;
    let gone = env.control("delete", json!({"object": "Contact", "records": 3})).await;
    assert_eq!(gone["ids"].as_array().unwrap().len(), 3);
    assert_eq!(
        env.query("SELECT COUNT() FROM Contact").await.1,
        json!({"totalSize": 2_497, "done": true, "records": []})
    );
    let all =
        |soql: &'static str| env.get("/services/data/v62.0/queryAll").query(&[("q", soql)]).send();
    let page: Value = all("SELECT Id, IsDeleted FROM Contact ORDER BY IsDeleted, Id")
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(page["totalSize"], 2_500);
    let next = page["nextRecordsUrl"].as_str().unwrap();
    assert!(next.contains("/query/"), "queryAll points to /query/ too");
    let (_, rest) = env.fetch(next).await;
    let deleted: Vec<&Value> = rest["records"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|record| record["IsDeleted"] == true)
        .collect();
    assert_eq!(deleted.len(), 3);
}

#[tokio::test]
async fn errors_have_salesforce_shapes_and_are_counted_as_there() {
    let env = Env::usual().await;
    let bad = env.ask("SELECT Nope FROM Contact").send().await.unwrap();
    assert_eq!(bad.status(), 400);
    assert_eq!(header(&bad, "sforce-limit-info"), Some("api-usage=1/15000"));
    let body: Value = bad.json().await.unwrap();
    assert_eq!(keys(&body[0]), ["message", "errorCode"]);
    assert_eq!(body[0]["errorCode"], "INVALID_FIELD");

    let (status, body) = env.fetch("/services/data/v62.0/sobjects/Nope/describe").await;
    assert_eq!((status, keys(&body[0])), (404, vec!["errorCode", "message"]));
    assert_eq!(body[0]["message"], "The requested resource does not exist");
    for (path, expected) in [
        ("/services/data/v62.0/nowhere", 404),
        ("/services/data/v99.0/limits", 404),
        ("/services/data/v20.0/limits", 410),
    ] {
        assert_eq!(env.fetch(path).await.0, expected, "{path}");
    }
    let post = env
        .http
        .post(env.url("/services/data/v62.0/query"))
        .bearer_auth(&env.token)
        .send()
        .await
        .unwrap();
    assert_eq!(post.status(), 405);
    assert_eq!(post.json::<Value>().await.unwrap()[0]["errorCode"], "METHOD_NOT_ALLOWED");
    let counted = env.sim.api_calls();
    assert_eq!(counted, 6);

    for (request, code) in [
        (env.http.get(env.url("/services/data/v62.0/limits")), "INVALID_SESSION_ID"),
        (env.get_with("/services/data/v62.0/limits", "00Dbad!bad"), "INVALID_SESSION_ID"),
        (
            env.http.get(env.url("/services/data/v62.0/limits")).basic_auth("a", Some("b")),
            "INVALID_AUTH_HEADER",
        ),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 401);
        assert!(header(&answer, "sforce-limit-info").is_none());
        assert_eq!(answer.json::<Value>().await.unwrap()[0]["errorCode"], code);
    }
    let oauth = env
        .http
        .get(env.url("/services/data/v62.0/limits"))
        .header("Authorization", format!("OAuth {}", env.token));
    assert_eq!(oauth.send().await.unwrap().status(), 200);
    assert_eq!(env.sim.api_calls(), counted + 1);
}

#[tokio::test]
async fn long_addresses_and_headers_are_refused() {
    let env = Env::usual().await;
    let long = format!("SELECT Id FROM Contact WHERE LastName = '{}'", "x".repeat(16_384));
    assert_eq!(env.ask(&long).send().await.unwrap().status(), 414);
    let headers = env
        .ask("SELECT Id FROM Contact")
        .header("X-Long", "x".repeat(16_384))
        .send()
        .await
        .unwrap();
    assert_eq!(headers.status(), 431);
    assert_eq!(env.sim.api_calls(), 0);
}

#[tokio::test]
async fn the_daily_limit_rolls_over_24_hours() {
    let env = Env::start(SimConfig {
        daily_limit: 100,
        limit_header_lag: 5,
        access_token_life: Duration::from_secs(200_000),
        ..config()
    })
    .await;
    env.sim.consume_calls(98);
    let answer = env.get("/services/data/v62.0/limits").send().await.unwrap();
    assert_eq!(header(&answer, "sforce-limit-info"), Some("api-usage=94/100"));
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["DailyApiRequests"], json!({"Max": 100, "Remaining": 1}));
    env.sim.advance_clock(Duration::from_secs(3_600));
    assert_eq!(env.query("SELECT COUNT() FROM Contact").await.0, 200);
    assert_eq!(
        env.query("SELECT COUNT() FROM Contact").await,
        (
            403,
            json!([{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}])
        )
    );
    assert_eq!(env.sim.api_calls(), 100, "a refused call is not counted");
    env.sim.advance_clock(Duration::from_secs(23 * 3_600));
    assert_eq!(env.sim.api_calls(), 1);
    assert_eq!(env.query("SELECT COUNT() FROM Contact").await.0, 200);
}

#[tokio::test]
async fn describe_is_conditional() {
    let env = Env::usual().await;
    for path in ["/services/data/v62.0/sobjects/Contact/describe", "/services/data/v62.0/sobjects"]
    {
        let answer = env.get(path).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let modified = header(&answer, "last-modified").unwrap().to_owned();
        let tag = header(&answer, "etag").unwrap().to_owned();
        assert!(tag.ends_with("--gzip\""), "{tag}");
        let again = env.get(path).header("If-Modified-Since", &modified).send().await.unwrap();
        assert_eq!(again.status(), 304);
        assert_eq!(header(&again, "etag"), Some(tag.as_str()));
        assert_eq!(again.text().await.unwrap(), "");
        let older = env
            .get(path)
            .header("If-Modified-Since", "Thu, 01 Jan 2015 00:00:00 GMT")
            .send()
            .await
            .unwrap();
        assert_eq!(older.status(), 200);
    }
    env.sim.advance_clock(Duration::from_secs(60));
    let path = "/services/data/v62.0/sobjects/Contact/describe";
    let modified =
        header(&env.get(path).send().await.unwrap(), "last-modified").unwrap().to_owned();
    env.control("hide-field", json!({"object": "Contact", "field": "Email"})).await;
    let changed = env.get(path).header("If-Modified-Since", modified).send().await.unwrap();
    assert_eq!(changed.status(), 200);
    let body: Value = changed.json().await.unwrap();
    assert!(body["fields"].as_array().unwrap().iter().all(|field| field["name"] != "Email"));
    assert_eq!(env.query("SELECT Email FROM Contact").await.1[0]["errorCode"], "INVALID_FIELD");
}

#[tokio::test]
async fn resources_record_counts_and_replication() {
    let env = Env::usual().await;
    let (_, resources) = env.fetch("/services/data/v62.0").await;
    assert_eq!(resources["query"], "/services/data/v62.0/query");
    assert!(resources["identity"].as_str().unwrap().starts_with(&env.url("/id/00D")));
    let (_, counts) =
        env.fetch("/services/data/v62.0/limits/recordCount?sObjects=Contact,Nope").await;
    assert_eq!(counts, json!({"sObjects": [{"count": 2_500, "name": "Contact"}]}));

    env.sim.advance_clock(Duration::from_secs(600));
    let gone = env.control("delete", json!({"object": "Contact", "records": 2})).await;
    env.sim.advance_clock(Duration::from_secs(600));
    let window = "start=2026-05-06T09:05:00%2B00:00&end=2026-05-06T09:20:00+00:00";
    let (status, deleted) =
        env.fetch(&format!("/services/data/v62.0/sobjects/Contact/deleted/?{window}")).await;
    assert_eq!(status, 200, "{deleted}");
    let mut seen: Vec<&Value> =
        deleted["deletedRecords"].as_array().unwrap().iter().map(|entry| &entry["id"]).collect();
    seen.sort_by_key(|id| id.as_str());
    assert_eq!(json!(seen), gone["ids"]);
    let (status, updated) =
        env.fetch(&format!("/services/data/v62.0/sobjects/Contact/updated/?{window}")).await;
    assert_eq!((status, &updated["ids"]), (200, &json!([])));
    let (status, error) = env.fetch("/services/data/v62.0/sobjects/Contact/updated/?start=x").await;
    assert_eq!((status, &error[0]["errorCode"]), (400, &json!("INVALID_REPLICATION_DATE")));
}

#[tokio::test]
async fn a_composite_call_counts_once() {
    let env = Env::usual().await;
    let post = async |parts: Vec<Value>| {
        let request =
            env.http.post(env.url("/services/data/v62.0/composite")).bearer_auth(&env.token);
        let answer = request.json(&json!({"compositeRequest": parts})).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let part = |name: &str, url: &str| json!({"method": "GET", "url": url, "referenceId": name});
    let query = "/services/data/v62.0/query/?q=SELECT+Id+FROM+Contact+ORDER+BY+Id";
    let mut small = part("a", query);
    small["httpHeaders"] = json!({"Sforce-Query-Options": "batchSize=200"});
    let (status, body) = post(vec![
        small,
        part("b", "/services/data/v62.0/query/?q=SELECT+Nope+FROM+Contact"),
        part("c", "/services/data/v62.0/sobjects/Contact/describe"),
    ])
    .await;
    assert_eq!(status, 200);
    let parts = body["compositeResponse"].as_array().unwrap();
    assert_eq!(keys(&parts[0]), ["body", "httpHeaders", "httpStatusCode", "referenceId"]);
    assert_eq!(ids(&parts[0]["body"]).len(), 200);
    assert_eq!(
        (&parts[1]["httpStatusCode"], &parts[1]["body"][0]["errorCode"]),
        (&json!(400), &json!("INVALID_FIELD"))
    );
    assert_eq!(
        (&parts[2]["referenceId"], &parts[2]["body"]["name"]),
        (&json!("c"), &json!("Contact"))
    );
    assert_eq!(env.sim.api_calls(), 1);

    let six = (0..6).map(|n| part(&n.to_string(), query)).collect();
    assert_eq!(post(six).await.0, 400, "more than five queries");
    let many = (0..26).map(|n| part(&n.to_string(), "/services/data/v62.0/limits")).collect();
    assert_eq!(post(many).await.0, 400, "more than 25 parts");
}

#[tokio::test]
async fn gzip_is_sent_to_those_who_ask_and_reads_the_same() {
    let env = Env::usual().await;
    let zipped = env.ask(CONTACTS).send().await.unwrap();
    assert_eq!(header(&zipped, "vary"), Some("Accept-Encoding"));
    let zipped: Value = zipped.json().await.unwrap();
    let plain_client = reqwest::Client::builder().no_gzip().no_proxy().build().unwrap();
    let raw = |accept: &'static str| {
        plain_client
            .get(env.url("/services/data/v62.0/query"))
            .bearer_auth(&env.token)
            .query(&[("q", CONTACTS)])
            .header("Accept-Encoding", accept)
            .send()
    };
    let plain = raw("identity").await.unwrap();
    assert!(header(&plain, "content-encoding").is_none());
    let plain: Value = plain.json().await.unwrap();
    assert_eq!(plain["records"], zipped["records"]);
    let answer = raw("gzip").await.unwrap();
    assert_eq!(header(&answer, "content-encoding"), Some("gzip"));
    let small = raw("gzip, deflate").await.unwrap().bytes().await.unwrap().len();
    assert!(small * 2 < plain.to_string().len());

    let env = Env::start(SimConfig { gzip: false, ..config() }).await;
    let answer = plain_client
        .get(env.url("/services/data/v62.0/sobjects/Contact/describe"))
        .bearer_auth(&env.token)
        .header("Accept-Encoding", "gzip")
        .send()
        .await
        .unwrap();
    assert!(header(&answer, "content-encoding").is_none());
}

#[tokio::test]
async fn a_repeated_page_is_the_same_until_a_record_changes() {
    let env = Env::usual().await;
    let soql = "SELECT Id, SystemModstamp FROM Contact ORDER BY Id";
    let (_, first) = env.query(soql).await;
    let (_, again) = env.query(soql).await;
    assert_eq!(first["records"], again["records"]);
    let (_, second_page) = env.fetch(first["nextRecordsUrl"].as_str().unwrap()).await;
    env.sim.advance_clock(Duration::from_secs(60));
    let last = ids(&second_page).pop().unwrap();
    env.control(
        "set-field",
        json!({"object": "Contact", "id": last, "field": "LastName", "value": "Changed"}),
    )
    .await;
    let (_, fresh) = env.fetch(first["nextRecordsUrl"].as_str().unwrap()).await;
    let record = fresh["records"].as_array().unwrap().last().unwrap();
    assert_eq!(
        record["SystemModstamp"], "2026-05-06T09:01:00.000+0000",
        "values are read when the page is fetched"
    );
    let since = "SELECT Id FROM Contact WHERE SystemModstamp > 2026-05-06T09:00:30Z";
    assert_eq!(ids(&env.query(since).await.1), [last]);
}

#[tokio::test]
async fn a_query_by_relative_date_is_not_answered_from_the_past() {
    let env =
        Env::start(SimConfig { access_token_life: Duration::from_secs(30 * 86_400), ..config() })
            .await;
    let soql = "SELECT COUNT() FROM Contact WHERE SystemModstamp = TODAY";
    env.control("touch", json!({"object": "Contact", "records": 5, "seed": 1})).await;
    assert!(env.query(soql).await.1["totalSize"].as_u64().unwrap() >= 5);
    env.sim.advance_clock(Duration::from_secs(3 * 86_400));
    assert_eq!(env.query(soql).await.1["totalSize"], 0);
}

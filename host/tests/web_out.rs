//! Who reads the changes, and what was not taken: the pages and the API over real sockets, with a real store.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "web/env.rs"]
mod env;

use std::time::Duration;

use env::{Env, header, imported};
use kilofold::model::{ConsumerName, Stamp};
use kilofold::store::{DeadLetter, DeliveryState, Store};
use kilofold::web::{Access, Role, view};
use serde_json::Value;
use serde_json::value::RawValue;

fn hook() -> ConsumerName {
    ConsumerName::new("deliver.hook").unwrap()
}

/// The change that [`imported`] made was not taken, and so many others whose outputs are gone; and one that was no longer
/// kept.
fn not_taken(store: &Store, others: u64) {
    imported(store);
    store.move_consumer(&hook(), 1, false, Stamp::now()).unwrap().unwrap();
    let change = view::Change::from(store.feed(0, 1).unwrap().remove(0));
    let letter = |seq: u64, change: Box<RawValue>| DeadLetter {
        seq,
        at: Stamp::now().minus(Duration::from_secs(300)),
        code: Some("deliver.refused".to_owned()),
        reason: "422: <script>alert(1)</script>\u{202e}".to_owned(),
        change,
    };
    let raw = |change: &view::Change| serde_json::value::to_raw_value(change).unwrap();
    let mut dead = vec![letter(1, raw(&change))];
    dead.extend((2..2 + others).map(|seq| {
        letter(seq, raw(&view::Change { seq, key: format!("<b>{seq}"), ..change.clone() }))
    }));
    dead.push(letter(2 + others, Box::default()));
    store.set_delivery(&hook(), &DeliveryState::default(), &dead).unwrap();
}

async fn page(env: &Env, path: &str) -> String {
    let (status, page) = env.raw(&format!("GET {path} HTTP/1.1\nHost: {}", env.address)).await;
    assert_eq!(status, 200, "{path}: {page}");
    page
}

async fn press(env: &Env, path: &str, body: &str) -> (u16, String) {
    let (own, length) = (env.address, body.len());
    let form = "Content-Type: application/x-www-form-urlencoded";
    let lines = format!(
        "POST {path} HTTP/1.1\nHost: {own}\nOrigin: http://{own}\n{form}\nContent-Length: {length}"
    );
    env.raw_with(&lines, body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_tells_why_and_what_would_be_sent() {
    let env = Env::new(None).await;
    not_taken(&env.store, 3);
    let all: view::Consumers = env.client.get("/api/v1/consumers", &[]).await.unwrap();
    let one = &all.consumers[0];
    let delivery = one.delivery.as_ref().unwrap();
    assert_eq!((one.lag, one.waiting_since, delivery.dead, delivery.asked), (0, None, 5, 0));
    let to = delivery.to.as_ref().unwrap();
    assert_eq!((to.form.as_str(), to.host.as_str()), ("webhook", "127.0.0.1:9"));
    assert_eq!(to.kinds, ["person"]);
    let one: view::OneLetter =
        env.client.get("/api/v1/consumers/deliver.hook/dead/1", &[]).await.unwrap();
    assert_eq!(one.letter.code.as_deref(), Some("deliver.refused"));
    assert!(!one.overtaken && one.now.unwrap().get() == r#"{"n":10046.0}"#);
    // The output of the next is not there any more.
    let two: view::OneLetter =
        env.client.get("/api/v1/consumers/deliver.hook/dead/2", &[]).await.unwrap();
    assert!(two.overtaken && two.now.is_none() && !two.letter.again);
    let path = "/api/v1/consumers/deliver.hook/resend?seq=2";
    assert_eq!(env.client.post::<view::Resent>(path).await.unwrap().asked, 1);
    let two: view::OneLetter =
        env.client.get("/api/v1/consumers/deliver.hook/dead/2", &[]).await.unwrap();
    assert!(two.letter.again);
    // One is forgotten, then all.
    let path = "/api/v1/consumers/deliver.hook/bury?seq=2";
    let was = env.client.post::<view::Consumer>(path).await.unwrap();
    assert_eq!(was.delivery.map(|delivery| (delivery.dead, delivery.asked)), Some((5, 1)));
    assert!(env.store.asked_again(&hook()).unwrap().is_empty());
    let gone = env.client.post::<Value>(path).await.unwrap_err();
    assert_eq!(gone.code(), "deliver.no-letter");
    let problem = env.problem("/api/v1/consumers/deliver.hook/dead/2", &[]).await;
    assert_eq!((problem.status, problem.code.as_str()), (404, "deliver.no-letter"));
    let was: view::Consumer = env.client.post("/api/v1/consumers/deliver.hook/bury").await.unwrap();
    assert_eq!(was.delivery.unwrap().dead, 4);
    assert_eq!(env.store.count_dead(&hook()).unwrap(), 0);
    env.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_behind_says_for_how_long() {
    let env = Env::new(None).await;
    imported(&env.store);
    let slow = ConsumerName::new("warehouse").unwrap();
    env.store.move_consumer(&slow, 0, false, Stamp::now()).unwrap().unwrap();
    let one: view::Consumer = env.client.get("/api/v1/consumers/warehouse", &[]).await.unwrap();
    let made = env.store.feed(0, 1).unwrap()[0].at;
    assert_eq!((one.lag, one.waiting_since), (1, Some(made)));
    let list = page(&env, "/out").await;
    assert!(list.contains("asks by itself") && list.contains("1 change"), "{list}");
    let own = page(&env, "/out/warehouse").await;
    assert!(own.contains("the oldest waits for") && own.contains("Forget warehouse"), "{own}");
    let (status, answer) = press(&env, "/out/warehouse/forget", "").await;
    assert_eq!((status, header(&answer, "location")), (303, "/out?did=forgotten&of=warehouse"));
    assert!(env.store.consumer(&slow).unwrap().is_none());
    let list = page(&env, "/out?did=forgotten&of=warehouse").await;
    assert!(list.contains("warehouse is forgotten") && list.contains("Nobody reads the changes"));
    env.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_taken_is_shown_page_by_page_and_trusted_nowhere() {
    let env = Env::new(None).await;
    not_taken(&env.store, 60);
    let first = page(&env, "/").await;
    assert!(first.contains("62 changes") && first.contains("not taken by"), "{first}");
    let list = page(&env, "/out").await;
    assert!(list.contains("some not taken") && list.contains("webhook to"), "{list}");
    assert!(!list.contains("secret"), "the address is nobody's business: {list}");
    let one = page(&env, "/out/deliver.hook").await;
    assert!(one.contains("62 changes were not taken") && !one.contains("secret"), "{one}");
    assert!(one.contains("&lt;script&gt;") && !one.contains("<script>alert"), "{one}");
    assert!(one.contains("&lt;b&gt;2") && !one.contains("<b>2") && !one.contains('\u{202e}'));
    assert_eq!(one.matches("id=\"letter-").count(), 50);
    assert!(one.contains("href=\"/out/deliver.hook?after=50\""), "{one}");
    let more = page(&env, "/out/deliver.hook?after=50").await;
    assert_eq!(more.matches("id=\"letter-").count(), 12);
    assert!(!more.contains("rel=\"next\"") && more.contains("went from the feed before"));
    // What cannot be sent can only be discarded.
    let of = |seq: u64| {
        let begin = more.find(&format!("id=\"letter-{seq}\"")).unwrap();
        more[begin..].split("</tr>").next().unwrap()
    };
    assert!(of(61).contains("Send again") && of(61).contains("Discard"));
    assert!(!of(62).contains("Send again") && of(62).contains("Discard"));
    // One of them, with what its output is now.
    let letter = page(&env, "/out/deliver.hook/1").await;
    assert!(letter.contains("refuses this change") || letter.contains("deliver.refused"));
    assert!(letter.contains("10046.0") && letter.contains("nothing has changed it since"));
    let overtaken = page(&env, "/out/deliver.hook/2").await;
    assert!(overtaken.contains("There is no such output") && !overtaken.contains("Send again"));
    for path in ["/out/nobody", "/out/deliver.hook/99", "/out/deliver.hook/nan", "/out/a%20b"] {
        let (status, _) = env.raw(&format!("GET {path} HTTP/1.1\nHost: {}", env.address)).await;
        assert!(matches!(status, 400 | 404), "{path}: {status}");
    }
    env.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buttons_send_again_and_discard() {
    let env = Env::new(None).await;
    not_taken(&env.store, 3);
    let (status, answer) =
        press(&env, "/out/deliver.hook/resend?seq=3", "back=%2Fout%2Fdeliver.hook").await;
    let back = "/out/deliver.hook?did=resent&of=deliver.hook";
    assert_eq!((status, header(&answer, "location")), (303, back));
    assert_eq!(env.store.asked_again(&hook()).unwrap(), [3]);
    let shown = page(&env, back).await;
    assert!(shown.contains("It is sent to deliver.hook again"), "{shown}");
    assert!(shown.contains("1 to be sent again") && shown.contains("to be sent again</span>"));
    let (status, _) = press(&env, "/out/deliver.hook/resend", "").await;
    assert_eq!((status, env.store.asked_again(&hook()).unwrap().len()), (303, 5));
    let (status, _) = press(&env, "/out/deliver.hook/discard?seq=3", "").await;
    assert_eq!((status, env.store.count_dead(&hook()).unwrap()), (303, 4));
    let (status, answer) = press(&env, "/out/deliver.hook/discard?seq=3", "").await;
    assert!(status == 404 && answer.contains("deliver.no-letter"), "{answer}");
    let (status, _) = press(&env, "/out/deliver.hook/discard", "").await;
    assert_eq!((status, env.store.count_dead(&hook()).unwrap()), (303, 0));
    let empty = page(&env, "/out/deliver.hook").await;
    assert!(empty.contains("No change was given up") && !empty.contains("Discard all"));
    env.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_only_look_sees_no_button() {
    let access = Access::default()
        .with_token(Role::View, "look".into())
        .with_token(Role::Operate, "operate".into());
    let env = Env::with(access, Some("operate"), None).await;
    not_taken(&env.store, 1);
    let own = env.address;
    let ask = async |line: &str, token: &str| {
        env.raw(&format!("{line} HTTP/1.1\nHost: {own}\nAuthorization: Bearer {token}")).await
    };
    for path in ["/out", "/out/deliver.hook", "/out/deliver.hook/1"] {
        let (status, page) = ask(&format!("GET {path}"), "look").await;
        assert_eq!(status, 200);
        for button in ["Send again", "Send all again", "Discard"] {
            assert!(!page.contains(button), "{path}: {button}");
        }
        let (_, page) = ask(&format!("GET {path}"), "operate").await;
        assert!(path == "/out" || page.contains("Discard"), "{path}");
    }
    for what in ["resend", "discard", "forget"] {
        let (status, answer) = ask(&format!("POST /out/deliver.hook/{what}"), "look").await;
        assert!(status == 403 && answer.contains("web.role"), "{what}: {answer}");
    }
    assert_eq!(env.store.count_dead(&hook()).unwrap(), 3);
    env.close().await;
}

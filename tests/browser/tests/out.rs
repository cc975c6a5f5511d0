//! What is sent to other systems, and what a person does with what they did not take, in a real browser.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use browser::{Browser, World};
use support::{Receiver, Setup};

/// Accounts that are sent to a webhook, three of which it refuses.
async fn world(receiver: &Receiver) -> World {
    let mut setup = Setup::new(&[("Account", 40)]).sync("Account", "account-to-object", "");
    setup.syncs.push(receiver.section("hook", "batch = 10"));
    let world = World::start(setup).await;
    let ids = world.env.ids("Account");
    // Others name them as their parents.
    let words = [3, 17, 31].map(|n: usize| format!("\"key\":\"{}\"", ids[n]));
    receiver.refuse(&words.each_ref().map(String::as_str), "no such region");
    world.command(&["sync", "now", "Account"]).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_taken_is_seen_sent_again_and_discarded() {
    let Some(browser) = Browser::start().await else { return };
    let receiver = Receiver::start().await;
    let world = world(&receiver).await;
    browser.open(&world.page("/")).await;
    browser.says("3 changes were not taken by deliver.hook").await;
    browser.open(&world.page("/out")).await;
    browser.says("some not taken").await;
    browser.press("#reader-deliver\\.hook", "deliver.hook").await;
    browser.says("3 changes were not taken").await;
    // Marked so that the rows below are known to have gone without the page being loaded anew.
    browser.run("window.mark = 'still here'").await;
    let first = browser.text("tr[id^=letter-] td.n a").await;
    browser.press("tr[id^=letter-]", &first).await;
    browser.says("What was sent").await;
    browser.says("no such region").await;
    browser.says("nothing has changed it since").await;
    // Sent again to one that still refuses it, it comes back with another hour and the same words.
    browser.press("main", "Send again").await;
    browser.says("It is sent to deliver.hook again; what is taken leaves the list.").await;
    browser
        .until("it came back", "return !document.body.innerText.includes('to be sent again')")
        .await;
    browser.says("3 changes were not taken").await;
    browser.run("window.mark = 'still here'").await;
    // Then it is mended.
    receiver.refuse(&[], "");
    let before = receiver.taken().len();
    browser.press("tr[id^=letter-]", "Send again").await;
    browser.says("2 changes were not taken").await;
    browser.press("tr[id^=letter-]", "Discard").await;
    browser.says("It is discarded; deliver.hook will not get it.").await;
    browser.says("1 change was not taken").await;
    browser.press("#not-taken", "Send all again").await;
    browser.says("No change was given up").await;
    assert_eq!(browser.run("return window.mark").await, "still here");
    let again = receiver.taken()[before..].to_vec();
    assert_eq!(again.len(), 2, "{again:?}");
    browser.quiet().await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_away_is_told_of_with_its_cure() {
    let Some(browser) = Browser::start().await else { return };
    let receiver = Receiver::start().await;
    let world = world(&receiver).await;
    receiver.answer(Some(401));
    world.env.touch("Account", 5, 1);
    world.env.later(60);
    world.command(&["sync", "now", "Account"]).await;
    browser.open(&world.page("/out/deliver.hook")).await;
    browser.says("It does not take what is sent").await;
    browser.says("deliver.secret").await;
    browser.says("To do: Set `secret` of the [[deliver]] anew").await;
    // An account may be more than one output.
    let tiles = browser.text(".tiles").await;
    assert!(tiles.contains("the oldest waits for") && tiles.contains(" changes"), "{tiles}");
    // It is tried again by itself, and the page tells when that went well.
    receiver.answer(None);
    browser.until("it is well again", "return !document.querySelector('.notice.bad')").await;
    browser.says("no change waits").await;
    browser.quiet().await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_without_scripts() {
    let Some(browser) = Browser::start().await else { return };
    let receiver = Receiver::start().await;
    let world = world(&receiver).await;
    browser.scripts(false).await;
    browser.open(&world.page("/out/deliver.hook")).await;
    browser.press("tr[id^=letter-]", "Discard").await;
    browser.scripts(true).await;
    // The press does not wait for the answer's page.
    browser.until("it is said", "return document.querySelector('#said p')").await;
    assert!(browser.text("#said").await.starts_with("It is discarded"));
    assert_eq!(browser.count("tr[id^=letter-]").await, 2);
    browser.scripts(false).await;
    browser.open(&world.page("/out/deliver.hook")).await;
    // What is asked twice opens by itself, as browsers do it.
    browser.click("#not-taken details > summary").await;
    browser.press("#not-taken details", "Discard 2 changes").await;
    browser.scripts(true).await;
    browser.until("they are gone", "return document.querySelector('#not-taken .empty')").await;
    browser.close().await;
}

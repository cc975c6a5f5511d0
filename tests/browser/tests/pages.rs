//! What a person does with the pages, in a real browser.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use browser::{Browser, World};
use serde_json::Value;
use support::Setup;

/// Contacts of which some cannot be mapped, and accounts.
fn usual() -> Setup {
    Setup::new(&[("Contact", 1_200), ("Account", 300)])
        .sync("Contact", "contact-to-person", "page_size = 200")
        .sync("Account", "account-to-object", "")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_import_advances_by_itself() {
    let Some(browser) = Browser::start().await else { return };
    let world = World::start(usual()).await;
    browser.open(&world.page("/")).await;
    browser.says("Nothing has been imported yet").await;
    world.slow(400);
    // A page that is read anew by the browser would lose this.
    browser.run("window.mark = 'still here'").await;
    browser.press("main", "Run Contact now").await;
    browser.says("Contact runs now.").await;
    let script = "return document.querySelector('.progress')?.innerText.match(/^[\\d,]+ of 1,200 records/)?.[0]";
    let first = browser.until("progress is shown", script).await;
    let changed = format!("const now = (() => {{ {script} }})(); return now !== {first} && now");
    browser.until("the progress moves", &changed).await;
    assert!(browser.count("#run-1 .badge.run").await == 1, "it is shown as running");
    browser.until("it has ended", "return document.querySelector('#run-1 .badge.warn')").await;
    assert_eq!(browser.run("return window.mark").await, "still here");
    // The page of the import does the same.
    browser.press("#run-1", "1").await;
    browser.says("Import 1 of Contact").await;
    browser.says("Salesforce counted 1,200, and as many came").await;
    browser.quiet().await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_are_filtered_in_the_address() {
    let Some(browser) = Browser::start().await else { return };
    let world = World::start(usual()).await;
    for _ in 0..3 {
        world.command(&["sync", "now"]).await;
    }
    browser.open(&world.page("/")).await;
    assert_eq!(browser.count("tr[id^=run-]").await, 6);
    let choose = "document.querySelector('select[name=outcome]').value = 'succeeded';
         document.querySelector('select[name=sync]').value = 'Account'";
    browser.run(choose).await;
    browser.press("form[action='/']", "Show").await;
    browser
        .until("the address tells", "return location.search.includes('outcome=succeeded')")
        .await;
    assert_eq!(browser.count("tr[id^=run-]").await, 3);
    let others = "return [...document.querySelectorAll('tr[id^=run-] th')].filter(th => th.innerText !== 'Account').length";
    assert_eq!(browser.run(others).await, 0);
    // What was chosen stays chosen, and a list that nothing fits says what to do.
    assert_eq!(
        browser.run("return document.querySelector('select[name=sync]').value").await,
        "Account"
    );
    browser.open(&world.page("/?outcome=failed")).await;
    browser.says("No import fits").await;
    browser.open(&world.page("/?within=2h")).await;
    browser.says("'within' is 1h, 24h, 7d, 30d or 90d").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_followed_to_its_record() {
    let Some(browser) = Browser::start().await else { return };
    let world = World::start(usual()).await;
    world.command(&["sync", "now", "Contact"]).await;
    browser.open(&world.page("/")).await;
    browser.says("could not be mapped").await;
    browser.press("#run-1", "1").await;
    browser.says("email.invalid").await;
    let sample = browser.text("details.group[open] .stack").await;
    assert!(sample.contains("As Salesforce sent it"), "{sample}");
    assert!(sample.contains("None: it has never been mapped."), "{sample}");
    // What is exported is what is shown.
    let files = browser
        .run_async(
            "const done = arguments[0];
             Promise.all(['csv', 'jsonl'].map(async (end) => (await fetch(`/imports/1/failures.${end}`)).text())).then(done)",
        )
        .await;
    let failed = world.command(&["failures", "1", "--limit", "1000"]).await;
    let failed = failed["failures"].as_array().unwrap();
    let csv: Vec<&str> = files[0].as_str().unwrap().lines().collect();
    assert_eq!((csv[0], csv.len()), ("n,record,code,field,message,raw", failed.len() + 1));
    let lines: Vec<Value> = files[1]
        .as_str()
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(&lines, failed);
    browser.press("section[aria-labelledby=failures]", "See all").await;
    browser.says("Failed records").await;
    let id = browser.text("tbody tr th a").await;
    browser.click("tbody tr th a").await;
    browser.says("It could not be mapped").await;
    browser.says("Imports that changed it").await;
    assert!(browser.address().await.ends_with(&id));
    assert_eq!(browser.text("table tbody tr td.n a").await, "1");
    browser.quiet().await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_is_paused_and_resumed() {
    let Some(browser) = Browser::start().await else { return };
    let world = World::start(usual()).await;
    browser.open(&world.page("/syncs")).await;
    browser.press("#card-Contact", "Pause").await;
    browser.says("Contact is paused; a run in hand stops after its batch.").await;
    browser
        .until("the card says so", "return document.querySelector('#card-Contact .badge.wait')")
        .await;
    let syncs = world.command(&["sync", "list"]).await;
    assert_eq!(syncs["syncs"][0]["paused"], true, "{syncs}");
    browser.open(&world.page("/")).await;
    browser.says("Contact is paused by hand").await;
    browser.press(".notices", "Resume").await;
    browser.says("Contact runs again as scheduled.").await;
    browser.until("the notice goes", "return !document.querySelector('.notices')").await;
    browser.quiet().await;
    browser.close().await;
}

/// Through the consent page of the simulated org: first refused, then given; afterwards it is lost, and given anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_made_and_made_again() {
    let Some(browser) = Browser::start().await else { return };
    let mut setup = usual();
    setup.grant = "code";
    setup.sim.auto_approve = false;
    let world = World::start(setup).await;
    let ask = async |label: &str| {
        browser.press("#connection-main", label).await;
        browser.says("Log in as that user, not as yourself").await;
        browser.press("main", "Continue at Salesforce").await;
        browser.says("Allow access?").await;
    };
    browser.open(&world.page("/")).await;
    browser.says("No record can come before Salesforce has let kilofold in.").await;
    browser.press(".notices", "See connections").await;
    browser.says("0 of 5").await;
    ask("Connect").await;
    browser.press("form", "Deny").await;
    browser.says("kilofold").await;
    browser.open(&world.page("/connections")).await;
    assert!(browser.text("#connection-main header").await.contains("not connected"));
    ask("Connect").await;
    browser.press("form", "Allow").await;
    browser.says("main is connected").await;
    browser.press("main", "To the connections").await;
    browser.says("healthy").await;
    world.command(&["sync", "now", "Account"]).await;
    // The org ends what it had allowed.
    world.env.sim.revoke_approvals(None);
    world.env.sim.expire_access_tokens();
    world.env.touch("Account", 3, 1);
    world.env.later(60);
    world.command(&["sync", "now", "Account"]).await;
    browser.open(&world.page("/")).await;
    browser.says("Reconnect main").await;
    browser.press(".notices", "See connections").await;
    browser.says("Salesforce no longer accepts it").await;
    ask("Reconnect").await;
    browser.press("form", "Allow").await;
    browser.says("main is connected").await;
    browser.open(&world.page("/")).await;
    browser.until("nothing asks for it", "return !document.querySelector('.notices .bad')").await;
    // And it is given back, after a second thought.
    browser.open(&world.page("/connections")).await;
    browser.press("#connection-main", "Disconnect…").await;
    browser.says("Disconnect main?").await;
    browser.says("until it is connected again").await;
    browser.says("revoked at Salesforce; it no longer counts").await;
    browser.press("main", "Leave it").await;
    browser.says("healthy").await;
    browser.press("#connection-main", "Disconnect…").await;
    browser.says("Disconnect main?").await;
    browser.press("main", "Disconnect main").await;
    browser.says("main is disconnected").await;
    browser.press("main", "To the connections").await;
    // What was denied in the beginning is all that still counts.
    browser.says("1 started and never finished").await;
    assert!(browser.text("#connection-main header").await.contains("not connected"));
    assert_eq!(world.env.sim.revoke_approvals(None), 0, "the org has none of it left");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_found_and_shown_as_they_arrive() {
    let Some(browser) = Browser::start().await else { return };
    let world = World::start(usual()).await;
    browser.open(&world.page("/data")).await;
    browser.says("No record has arrived yet").await;
    browser.quiet().await;
    world.command(&["sync", "now", "Account"]).await;
    // The page was open all the while.
    browser
        .until(
            "they are listed",
            "return document.querySelectorAll('tr[id^=arrival-]').length === 50",
        )
        .await;
    browser.press(".pager", "Older").await;
    browser.until("older ones are listed", "return location.search.includes('before=')").await;
    assert_eq!(browser.count("tr[id^=arrival-]").await, 50);
    let id = world.env.ids("Account")[7].clone();
    browser.enter("input[name=find]", &id[..15]).await;
    browser.press("form[role=search]", "Find").await;
    browser.until("its page comes", "return location.pathname.startsWith('/data/Account/')").await;
    assert!(browser.text("h1").await.starts_with(&id), "{}", browser.text("h1").await);
    browser.open(&world.page("/data?find=nobody")).await;
    browser.says("Nothing has this Id or key").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dark_is_what_the_system_says_or_what_is_chosen() {
    let Some(browser) = Browser::start().await else { return };
    let world = World::start(usual()).await;
    let ground = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number).reduce((a, b) => a + b)";
    let bright = async || browser.run(ground).await.as_u64().unwrap() > 380;
    browser.prefer("dark").await;
    browser.open(&world.page("/")).await;
    assert!(!bright().await);
    browser.click("button[data-theme-next]").await;
    assert!(bright().await);
    browser.open(&world.page("/syncs")).await;
    assert!(bright().await, "what was chosen stays");
    browser.prefer("light").await;
    browser.click("button[data-theme-next]").await;
    assert!(!bright().await);
    browser.quiet().await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_reached_by_the_keyboard() {
    const TAB: &str = "\u{e004}";
    const ENTER: &str = "\u{e007}";
    let Some(browser) = Browser::start().await else { return };
    let world = World::start(usual()).await;
    world.command(&["sync", "now"]).await;
    browser.open(&world.page("/")).await;
    browser.keys(TAB).await;
    let focused = "if (document.activeElement === document.body) return 'body'; return document.activeElement.innerText || document.activeElement.getAttribute('aria-label') || document.activeElement.localName";
    assert_eq!(browser.run(focused).await, "Skip to the content");
    let seen = "const at = document.activeElement.getBoundingClientRect(); return at.left >= 0 && at.width > 0";
    assert_eq!(browser.run(seen).await, true, "the skip link is seen when it has the focus");
    browser.keys(ENTER).await;
    assert_eq!(browser.run("return document.activeElement.id").await, "main");
    // From there on everything that can be clicked is reached, in order, and its focus is seen.
    let mut reached: Vec<String> = Vec::new();
    for _ in 0..60 {
        browser.keys(TAB).await;
        let place = browser.run(focused).await.as_str().unwrap().trim().to_owned();
        // Past the last one the way begins anew, with what the skip link had left out.
        if place == "body" {
            continue;
        }
        let ring = "const style = getComputedStyle(document.activeElement); return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1";
        assert_eq!(browser.run(ring).await, true, "{place} shows no focus");
        reached.push(place);
    }
    for wanted in ["See where", "Contact", "Show", "exact times", "Imports", "2"] {
        assert!(reached.iter().any(|place| place == wanted), "{wanted}: {reached:?}");
    }
    // A live page that is read again keeps the focus.
    browser.run("document.querySelector('#run-1 a').focus()").await;
    world.command(&["sync", "now", "Account"]).await;
    browser.until("the new import comes", "return document.querySelector('#run-3')").await;
    assert_eq!(browser.run("return document.activeElement.innerText").await, "1");
    browser.keys(ENTER).await;
    browser.says("Import 1 of").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_work_without_scripts() {
    let Some(browser) = Browser::start().await else { return };
    let world = World::start(usual()).await;
    browser.scripts(false).await;
    browser.open(&world.page("/syncs")).await;
    browser.press("#card-Account", "Run now").await;
    browser.scripts(true).await;
    // The press does not wait for the answer's page.
    browser.until("it is said", "return document.querySelector('#said')").await;
    let said = browser.text("#said").await;
    assert!(said.starts_with("Account runs"), "{said}");
    browser.open(&world.page("/")).await;
    browser.until("it has run", "return document.querySelector('#run-1 .badge.good')").await;
    browser.close().await;
}

/// Thousands of events later a page that was left open is no larger, and listens no more often.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_left_open_does_not_grow() {
    let Some(browser) = Browser::start().await else { return };
    let world = World::start(usual()).await;
    // The list is full before it is measured.
    for _ in 0..30 {
        world.command(&["sync", "now"]).await;
    }
    browser.open(&world.page("/")).await;
    browser.devtools("Performance.enable", serde_json::json!({})).await;
    let measure = async || {
        browser.devtools("HeapProfiler.collectGarbage", serde_json::json!({})).await;
        let metrics = browser.devtools("Performance.getMetrics", serde_json::json!({})).await;
        let of = |name: &str| {
            let found = metrics["metrics"].as_array().unwrap().iter().find(|m| m["name"] == name);
            found.unwrap()["value"].as_f64().unwrap()
        };
        let inside = browser.count("body *").await;
        (inside, of("JSEventListeners"), of("Nodes"), of("JSHeapUsedSize"))
    };
    // It has been read again a few times.
    browser.run("window.reads = 0; const real = window.fetch; window.fetch = (...a) => { window.reads++; return real(...a); }").await;
    let drive = async |events: u64| {
        let script = format!(
            "const done = arguments[0];
             (async () => {{
                 let heard = 0;
                 const source = new EventSource('/api/v1/events');
                 source.onmessage = () => heard++;
                 await new Promise((open) => source.onopen = open);
                 while (heard < {events}) {{
                     await fetch('/api/v1/syncs/Account/run', {{ method: 'POST' }});
                     await new Promise((wait) => setTimeout(wait, 4));
                 }}
                 source.close();
                 done(heard);
             }})()"
        );
        browser.run_async(&script).await.as_u64().unwrap()
    };
    drive(200).await;
    let (elements, listeners, nodes, heap) = measure().await;
    let mut heard = 0;
    while heard < 2_000 {
        heard += drive(250).await;
    }
    browser.until("it has been read again", "return window.reads > 5").await;
    let (elements_after, listeners_after, nodes_after, heap_after) = measure().await;
    assert!(elements_after <= elements + 200, "{elements} elements became {elements_after}");
    assert!(listeners_after <= listeners + 4.0, "{listeners} listeners became {listeners_after}");
    assert!(nodes_after <= nodes * 1.5 + 500.0, "{nodes} nodes became {nodes_after}");
    assert!(heap_after <= heap * 1.5 + 2e6, "a heap of {heap} became {heap_after}");
    // A sync that runs already was asked to run, again and again.
    let errors = browser.errors().await;
    assert!(errors.iter().all(|line| line.message.contains("409")), "{errors:#?}");
    browser.close().await;
}

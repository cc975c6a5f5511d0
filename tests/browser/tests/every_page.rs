//! What holds on every page: nothing hostile works, nothing is inaccessible, nothing is wider than a small phone.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::time::Duration;

use browser::{Browser, World, axe};
use serde_json::Value;
use support::{Receiver, Setup, plugin};

/// Texts that would do something if any page took them for more than text.
const HOSTILE: [&str; 12] = [
    "<script>window.hacked = 1</script>",
    "\"><img src=x onerror=\"window.hacked = 2\">",
    "'><svg onload='window.hacked = 3'>",
    "</title></style></textarea></pre><script>window.hacked = 4</script>",
    "javascript:window.hacked=5//",
    "{{constructor.constructor('window.hacked = 6')()}}",
    "<a href=\"javascript:window.hacked = 7\" id=\"lure\">click me</a>",
    "<iframe srcdoc=\"<script>parent.hacked = 8</script>\"></iframe>",
    "<meta http-equiv=\"refresh\" content=\"0;url=https://evil.example/\">",
    "\u{202e}txt.exe\u{2066}\u{200b}",
    "\u{1b}[2J\u{7}<b onmouseover=window.hacked=9>",
    "&lt;script&gt;window.hacked = 10&lt;/script&gt;<base href=https://evil.example/>",
];

/// A host whose records, messages and codes are hostile, with one import of each kind.
async fn hostile() -> World {
    let echo = plugin("json_echo.wasm");
    let lines = "fields = [\"FirstName\", \"LastName\", \"Title\"]";
    let receiver = Receiver::start().await;
    // Every body has this word, so everything is refused, in hostile words.
    receiver.refuse(&["changes"], HOSTILE[0]);
    let mut setup = Setup::new(&[("Contact", 30), ("Lead", 5)])
        .sync("Contact", echo.to_str().unwrap(), lines)
        .sync("Lead", "passthrough", "fields = [\"LastName\"]");
    setup.syncs.push(receiver.section("hook", ""));
    let world = World::start(setup).await;
    let ids = world.env.ids("Contact");
    let now = world.env.sim.now();
    let org = world.env.sim.org();
    {
        let mut org = org.write().unwrap();
        for (n, text) in HOSTILE.iter().enumerate() {
            let mut set = |id: &str, field: &str, value: &str| {
                org.set_field("Contact", id, field, Value::from(value), now).unwrap();
            };
            // One of each text is mapped, and one fails with it as message and code.
            set(&ids[n], "LastName", text);
            set(&ids[n + HOSTILE.len()], "FirstName", "fail");
            set(&ids[n + HOSTILE.len()], "LastName", text);
            set(&ids[n + HOSTILE.len()], "Title", text);
        }
    }
    // What changed a moment ago is left to the next import.
    world.env.later(60);
    // One behind the other, so that the first import is that of the Contacts.
    for sync in ["Contact", "Lead"] {
        world.command(&["sync", "now", sync]).await;
    }
    while world.command(&["consumers"]).await["consumers"][0]["lag"] != 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world
}

/// Every page of a host with this import and these records.
fn pages(world: &World) -> Vec<String> {
    let ids = world.env.ids("Contact");
    let mut paths: Vec<String> = [
        "/",
        "/?sync=Contact",
        "/data",
        "/data?outcome=failed",
        "/out",
        "/out/deliver.hook",
        "/out/deliver.hook/1",
        "/syncs",
        "/limits",
        "/connections",
        "/connections/main/disconnect",
        "/plugins",
        "/explain",
        "/explain/auth.reconnect",
        "/imports/1",
        "/imports/2",
        "/imports/1/failures",
        "/nothing-here",
        "/imports/99",
        "/data?find=nobody",
    ]
    .map(str::to_owned)
    .into();
    paths.extend(ids[..2 * HOSTILE.len()].iter().map(|id| format!("/data/Contact/{id}")));
    paths
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_texts_are_inert_on_every_page() {
    let Some(browser) = Browser::start().await else { return };
    let world = hostile().await;
    for path in pages(&world) {
        let expected = path == "/nothing-here" || path == "/imports/99";
        browser.open(&world.page(&path)).await;
        let state = browser
            .run(
                "const own = [...document.scripts].every((s) => s.src.startsWith(location.origin + '/assets/') && !s.text);
                 const made = document.querySelectorAll('img, iframe, base, object, embed, #lure, [onload], [onerror], [onmouseover], [href^=\"javascript:\" i]').length;
                 return [window.hacked ?? null, own, made, document.querySelectorAll('meta[http-equiv]').length, location.host]",
            )
            .await;
        assert_eq!(state[0], Value::Null, "{path}: a text ran");
        assert_eq!(
            (&state[1], &state[2], &state[3]),
            (&true.into(), &0.into(), &0.into()),
            "{path}"
        );
        let host = format!("127.0.0.1:{}", world.env.listen);
        assert_eq!(state[4].as_str().unwrap(), host, "{path}: it led elsewhere");
        // Nothing that turns the direction of writing or hides itself is left.
        let source = browser.run("return document.documentElement.outerHTML").await;
        let steers = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}' | '\u{1b}' | '\u{7}');
        assert!(!source.as_str().unwrap().chars().any(steers), "{path}");
        let errors = browser.errors().await;
        // A page that is an error is told so by the console, and by nothing else.
        assert!(
            errors.iter().all(|line| expected && line.message.contains("404")),
            "{path}: {errors:#?}"
        );
    }
    // They are shown, not hidden.
    browser.open(&world.page("/imports/1/failures")).await;
    browser.says("<script>window.hacked = 1</script>").await;
    browser.open(&world.page("/out/deliver.hook")).await;
    browser.says("<script>window.hacked = 1</script>").await;
    browser.open(&world.page(&format!("/data/Contact/{}", world.env.ids("Contact")[0]))).await;
    browser.says("<script>window.hacked = 1</script>").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_a_small_phone_and_a_large_zoom() {
    let Some(browser) = Browser::start().await else { return };
    let world = hostile().await;
    // 320 pixels is also what 1280 are at a zoom of four hundred per cent; 640 what they are at two hundred.
    for width in [320, 640, 1360] {
        browser.size(width, 800).await;
        for path in pages(&world).into_iter().take(22) {
            browser.open(&world.page(&path)).await;
            let wide = browser.run("return document.documentElement.scrollWidth").await;
            assert!(wide.as_u64().unwrap() <= u64::from(width), "{path} is {wide} wide at {width}");
        }
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing() {
    let (Some(browser), Some(axe)) = (Browser::start().await, axe()) else { return };
    let world = hostile().await;
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await;
        for path in pages(&world).into_iter().take(21) {
            browser.open(&world.page(&path)).await;
            browser.run(&axe).await;
            let found = browser
                .run_async(
                    "const done = arguments[0];
                     axe.run(document, { resultTypes: ['violations'] }).then((r) => done(r.violations.map((v) => [v.id, v.help, v.nodes.map((n) => n.html + ' ' + n.failureSummary)])))",
                )
                .await;
            assert_eq!(found.as_array().unwrap().len(), 0, "{path} ({scheme}): {found:#}");
        }
    }
    browser.close().await;
}

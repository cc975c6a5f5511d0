//! Pictures of every page, in both themes and on a phone: `cargo xtask screenshots`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what cannot go on says so by panicking")]

use std::path::Path;

use browser::{Browser, World};
use org_sim::{FaultKind, RequestClass, When};
use support::{Receiver, Setup, connection};

/// A host to whom much has happened.
async fn lively(browser: &Browser, shop: &Receiver, crm: &Receiver) -> World {
    let mut setup = Setup::new(&[
        ("Contact", 2_400),
        ("Account", 900),
        ("Lead", 700),
        ("Opportunity", 650),
        ("Task", 800),
        ("Invoice__c", 400),
    ])
    .sync("Contact", "contact-to-person", "connection = \"main\"\npage_size = 200")
    .sync("Account", "account-to-object", "connection = \"main\"\nevery = \"15m\"")
    .sync("Lead", "lead-to-person", "connection = \"second\"\nfailover = true\ncron = \"0 6 * * 1-5\"")
    .sync("Opportunity", "opportunity-to-object", "connection = \"main\"")
    .sync("Task", "task-to-event", "connection = \"second\"\nenabled = false")
    .sync(
        "Invoice__c",
        "passthrough",
        "connection = \"main\"\nname = \"invoices-of-all-european-subsidiaries\"\nfields = \"all\"\nwhere = \"Amount__c > 0\"",
    );
    setup.sim.daily_limit = 15_000;
    setup.quota = "allowance = 2400\nreserve = 4000".to_owned();
    setup.connections.push(connection("second", "integration@kilofold.example", ""));
    setup.syncs.push(shop.section("warehouse", "kinds = [\"person\", \"object\"]"));
    setup.syncs.push(crm.section("crm-of-the-shop", "syncs = [\"Account\"]"));
    let world = World::start(setup).await;
    let (contacts, accounts) = (world.env.ids("Contact"), world.env.ids("Account"));
    let words: Vec<&str> = contacts[..4].iter().chain(&accounts[..2]).map(String::as_str).collect();
    shop.refuse(&words, "{\"error\":\"segment 'customers-eu' has no field 'title'\"}");
    browser.open(&world.page("/connections")).await;
    browser.press("#connection-second", "Connect").await;
    browser.says("Log in as that user, not as yourself").await;
    browser.press("main", "Continue at Salesforce").await;
    browser.says("second is connected").await;
    let syncs =
        ["Contact", "Account", "Lead", "Opportunity", "invoices-of-all-european-subsidiaries"];
    for sync in syncs {
        world.sync(sync).await;
    }
    for round in 0..14usize {
        for (n, object) in
            ["Contact", "Account", "Lead", "Opportunity", "Invoice__c"].iter().enumerate()
        {
            if !(round + n).is_multiple_of(3) {
                let some = (round * 7 + n * 13) % 60 + 1;
                let ids = world.env.touch(object, some, (round * 10 + n) as u64);
                world.env.delete(object, &ids[..ids.len() / 20]);
            }
        }
        world.env.later(60);
        if round == 6 {
            let now = world.env.sim.now();
            let org = world.env.sim.org();
            org.write().unwrap().hide_field("Account", "Industry", true, now);
        }
        if round == 9 {
            let down = FaultKind::ServerError { status: 503, html: true };
            let fault = world.env.fault_when(RequestClass::Query, down, When::Nth(1));
            world.sync("Opportunity").await;
            world.env.sim.clear_fault(fault);
        }
        for sync in syncs {
            world.sync(sync).await;
        }
        world.env.sim.consume_calls(111 + round as u64 * 17);
        if round == 11 {
            crm.answer(Some(503));
            world.command(&["feed", "--consumer", "report", "--limit", "1000"]).await;
        }
    }
    world
}

/// The org's day is spent, and much has changed since.
async fn exhausted(world: &World) {
    world.env.touch("Lead", 40, 99);
    world.env.later(60);
    world.env.fault(RequestClass::Query, FaultKind::DailyLimit, 9);
    world.sync("Lead").await;
    world.env.touch("Contact", 2_000, 100);
    world.env.later(60);
}

#[tokio::main]
async fn main() -> Result<(), &'static str> {
    let browser = Browser::start().await.ok_or("pictures take a browser")?;
    let built = std::env::current_exe().unwrap();
    let folder = built.ancestors().nth(3).unwrap().join("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    let (shop, crm) = (Receiver::start().await, Receiver::start().await);
    let world = lively(&browser, &shop, &crm).await;
    pictures(&browser, &world, &folder, &[("limits", "/limits".to_owned())]).await;
    exhausted(&world).await;
    let imports = world.command(&["imports", "--limit", "200"]).await;
    let run = |what: &str, fits: &dyn Fn(&serde_json::Value) -> bool| {
        let mut runs = imports["runs"].as_array().unwrap().iter();
        runs.find(|run| fits(run)).unwrap_or_else(|| panic!("{what}: {imports}"))["id"].clone()
    };
    let ended = |sync: &str, outcome: &str| {
        run(outcome, &|run| run["sync"] == sync && run["ending"]["outcome"] == outcome)
    };
    let in_part = run("with failures", &|run| run["counts"]["failed"].as_u64() > Some(1));
    let failed = ended("Opportunity", "failed");
    let paused = ended("Lead", "paused");
    let letters = world.command(&["consumers", "--dead", "deliver.warehouse"]).await;
    let letter = letters["letters"][0]["seq"].clone();
    let contact = world.env.ids("Contact")[3].clone();
    let account = world.env.ids("Account")[3].clone();
    let pages = [
        ("imports", "/".to_owned()),
        ("imports-filtered", "/?outcome=attention&within=24h".to_owned()),
        ("import", "/imports/1".to_owned()),
        ("import-failed", format!("/imports/{failed}")),
        ("import-paused", format!("/imports/{paused}")),
        ("failures", format!("/imports/{in_part}/failures")),
        ("data", "/data".to_owned()),
        ("data-found", "/data?find=nobody".to_owned()),
        ("record", format!("/data/Contact/{contact}")),
        ("record-object", format!("/data/Account/{account}")),
        ("out", "/out".to_owned()),
        ("out-one", "/out/deliver.warehouse".to_owned()),
        ("out-failing", "/out/deliver.crm-of-the-shop".to_owned()),
        ("out-reader", "/out/report".to_owned()),
        ("out-letter", format!("/out/deliver.warehouse/{letter}")),
        ("syncs", "/syncs".to_owned()),
        ("limits-spent", "/limits".to_owned()),
        ("disconnect", "/connections/second/disconnect".to_owned()),
        ("connections", "/connections".to_owned()),
        ("plugins", "/plugins".to_owned()),
        ("explain", "/explain/auth.reconnect".to_owned()),
        ("nothing", "/nothing".to_owned()),
    ];
    // A run that is under way while the pictures are taken.
    world.slow(2_500);
    browser.open(&world.page("/syncs")).await;
    browser.press("#card-Contact", "Run now").await;
    pictures(&browser, &world, &folder, &pages).await;
    browser.close().await;
    Ok(())
}

/// Of each page in both themes, and on two phones.
async fn pictures(browser: &Browser, world: &World, folder: &Path, pages: &[(&str, String)]) {
    for (width, theme, name) in [
        (1360, "light", "light"),
        (1360, "dark", "dark"),
        (390, "light", "phone"),
        (320, "dark", "small"),
    ] {
        browser.size(width, 900).await;
        browser.prefer(theme).await;
        for (page, path) in pages {
            browser.open(&world.page(path)).await;
            browser.picture(&folder.join(format!("{page}-{name}.png"))).await;
        }
    }
}

//! Stored records are mapped anew after the plugin changed: no call is spent, and only what changed is told.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::path::Path;
use std::time::Duration;

use kilofold::model::{Ending, RunId, Trigger};
use kilofold::store::State;
use serde_json::Value;
use support::{Child, Setup, TestEnv, id, name, plugin, sync};
use tokio_util::sync::CancellationToken;

/// The same plugin as another component: with a custom section that nothing reads.
fn rebuilt(component: &Path, to: &Path) {
    let mut bytes = std::fs::read(component).unwrap();
    let name = b"build-2";
    let length = u8::try_from(name.len()).unwrap();
    bytes.extend([0, length + 1, length]);
    bytes.extend(name);
    std::fs::write(to, bytes).unwrap();
}

/// Another plugin, or other settings: the org is not asked, the cursor stays, the feed tells what changed and no more.
#[tokio::test(flavor = "multi_thread")]
async fn stored_records_are_mapped_anew_without_a_call() {
    let cancel = CancellationToken::new();
    let contact = plugin("contact_to_person.wasm");
    let setup = Setup::new(&[("Contact", 2_500)]);
    let mut env = setup.sync("Contact", contact.to_str().unwrap(), "").open().await;
    let first = env.run_well("Contact").await;
    let ids = env.ids("Contact");
    env.delete("Contact", &ids[..3]);
    env.later(3);
    env.run_well("Contact").await;
    let sync_name = name("Contact");
    let offer = |env: &TestEnv| env.app().reader().syncs(&[]).unwrap().syncs[0].remap.clone();
    assert_eq!(offer(&env), None);
    let (asked, told) = (env.sim.requests().len(), env.store().feed_end().unwrap());

    // A new build that maps the same: nothing is written but the run.
    let file = env.path("contact.wasm");
    rebuilt(&contact, &file);
    env.syncs = vec![sync("Contact", "contact.wasm", "")];
    env.write_config();
    env.open().await;
    let offered = offer(&env).unwrap();
    assert_eq!((offered.records, offered.seen), (2_500, None));
    assert_ne!(offered.made_by, offered.present);
    let before = env.records("Contact");
    let run = env.app().remap(&sync_name, None, &cancel).await.unwrap();
    assert_eq!((run.trigger, &run.ending), (Trigger::Remap, &Some(Ending::Succeeded)), "{run:?}");
    assert_eq!((run.counts.fetched, run.counts.unchanged, run.calls), (2_497, 2_497, 0));
    assert_eq!(run.expected, Some(2_497), "deleted records are left alone");
    assert_eq!(
        (run.cursor_before, run.cursor_after),
        (env.store().cursor(&sync_name).unwrap(), run.cursor_before)
    );
    assert_eq!(env.records("Contact"), before);
    assert_eq!(env.store().feed_end().unwrap(), told);
    assert_eq!(offer(&env), None);

    // Another mapping, for those that changed last.
    let passthrough = sync("Contact", "passthrough", "fields = [\"LastName\", \"Email\"]");
    env.syncs = vec![passthrough];
    env.write_config();
    env.open().await;
    let youngest = env.records("Contact").iter().map(|record| record.stamp).max().unwrap();
    let run = env.app().remap(&sync_name, Some(youngest), &cancel).await.unwrap();
    let few = run.counts.fetched;
    assert!(few < 2_497 && run.counts.mapped == few && run.expected.is_none(), "{run:?}");
    assert!(offer(&env).is_some(), "the others are still the other plugin's work");

    // And for all of them: every person goes, every record comes.
    let run = env.app().remap(&sync_name, None, &cancel).await.unwrap();
    assert_eq!(
        (run.counts.fetched, run.counts.unchanged, run.counts.mapped),
        (2_497, few, 2_497 - few)
    );
    assert_eq!(run.ending, Some(Ending::Succeeded));
    assert!(
        env.records("Contact").iter().filter(|record| !record.deleted).all(|record| {
            record.state == State::Mapped && &*record.outputs[0].kind == "record"
        })
    );
    assert_eq!(offer(&env), None);
    assert_eq!(env.sim.requests().len(), asked, "the org was asked");
    assert_eq!(env.store().cursor(&sync_name).unwrap(), run.cursor_after);
    env.assert_feed_holds();

    // Settings change what is made as well.
    env.syncs = vec![sync(
        "Contact",
        "passthrough",
        "fields = [\"LastName\"]\nconfig = { kind = \"person\" }",
    )];
    env.write_config();
    env.open().await;
    assert!(offer(&env).unwrap().why.contains("settings"));
    // The sync itself goes on where it was, on top of what was mapped anew.
    env.later(3);
    let next = env.run_well("Contact").await;
    assert!(next.id > first.id && next.counts.mapped == 0, "{next:?}");
}

/// A field that was never fetched cannot come from the store.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_needs_more_than_was_fetched_is_refused() {
    let lines = "fields = [\"LastName\"]";
    let mut env = Setup::new(&[("Contact", 50)]).sync("Contact", "passthrough", lines).open().await;
    env.run_well("Contact").await;
    env.syncs = vec![sync("Contact", "contact-to-person", "")];
    env.write_config();
    env.open().await;
    let (contact, cancel) = (name("Contact"), CancellationToken::new());
    let run = env.app().remap(&contact, None, &cancel).await.unwrap();
    let Some(Ending::Failed { code, message }) = run.ending else { panic!("{run:?}") };
    assert_eq!(code, "remap.not-fetched");
    assert!(message.contains("HasOptedOutOfEmail"), "{message}");
    assert!(kilofold::error::explain(&code).is_some());
    assert_eq!(env.store().mapping(&contact).unwrap().remap, None);
}

/// Records without a text keep what they have, and are counted and named.
#[tokio::test(flavor = "multi_thread")]
async fn records_without_a_text_are_counted_and_named() {
    let lines = "keep_raw = false\nfields = [\"LastName\"]";
    let mut env =
        Setup::new(&[("Contact", 1_200)]).sync("Contact", "passthrough", lines).open().await;
    env.run_well("Contact").await;
    env.syncs =
        vec![sync("Contact", "passthrough", &format!("{lines}\nconfig = {{ kind = \"person\" }}"))];
    env.write_config();
    env.open().await;
    let before = env.records("Contact");
    let run = env.app().remap(&name("Contact"), None, &CancellationToken::new()).await.unwrap();
    assert_eq!((run.counts.fetched, run.without_text), (0, 1_200));
    assert!(
        run.notes.iter().any(|note| note.contains("1200") && note.contains(before[0].id.as_str())),
        "{:?}",
        run.notes
    );
    assert_eq!(env.records("Contact"), before);
}

/// Killed again and again, a remap goes on where it was, and ends as one that nobody disturbed.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_remap_goes_on_where_it_was() {
    let size = 12_000;
    let lines = "fields = [\"LastName\", \"Email\"]";
    let other = format!("{lines}\nconfig = {{ kind = \"person\" }}");
    let mut setup = Setup::new(&[("Contact", size)]).sync("Contact", "passthrough", lines);
    setup.sim.clock = org_sim::ClockMode::Fixed("2026-05-06T12:00:00Z".parse().unwrap());
    let mut env = setup.open().await;
    env.run_well("Contact").await;
    let feed = env.store().feed_end().unwrap();
    env.syncs = vec![sync("Contact", "passthrough", &other)];
    env.write_config();
    env.close();

    let (config, mut kills) = (env.config_path(), 0);
    loop {
        let config = config.clone();
        let ended = tokio::task::spawn_blocking(move || {
            let mut child = Child::start(&config, &["remap", "Contact", "--log", "kilofold=debug"]);
            let mut seen = 0;
            while seen < 1 && child.alive() {
                seen = child.errors().matches("Batch committed").count();
                std::thread::sleep(Duration::from_millis(1));
            }
            if child.alive() && child.kill() { None } else { Some(()) }
        });
        if ended.await.unwrap().is_some() || kills > 20 {
            break;
        }
        kills += 1;
    }
    assert!(kills >= 1, "no kill hit");
    env.open().await;
    let contact = name("Contact");
    let last = env.app().remap(&contact, None, &CancellationToken::new()).await.unwrap();
    assert!(last.ending.unwrap().is_success());
    let runs = env.runs("Contact");
    let remaps: Vec<_> = runs.iter().filter(|run| run.trigger == Trigger::Remap).collect();
    let mapped: u64 = remaps.iter().map(|run| run.counts.mapped).sum();
    assert_eq!(mapped, size as u64, "each record once");
    assert!(
        remaps
            .iter()
            .any(|run| run.notes.iter().any(|note| note.contains("goes on with the remap")))
    );
    assert!(remaps.iter().any(|run| run.ending == Some(Ending::Interrupted)));
    assert_eq!(
        env.store().feed_end().unwrap(),
        feed + 2 * size as u64,
        "a retraction and an upsert each"
    );
    let mapping = env.store().mapping(&contact).unwrap();
    assert_eq!((mapping.makers.len(), mapping.remap), (1, None));
    env.assert_feed_holds();
}

/// While the host serves, both are done by it, in turn with the sync's own runs.
#[tokio::test(flavor = "multi_thread")]
async fn the_host_maps_again_while_it_serves() {
    let evil = plugin("kilofold_evil.wasm");
    let lines = "fields = [\"LastName\"]\nconfig = { mode = \"panic-on-marked\" }";
    let mut env = Setup::new(&[("Contact", 1_500)])
        .sync("Contact", evil.to_str().unwrap(), lines)
        .open()
        .await;
    let marked = env.ids("Contact")[700].clone();
    let (org, now) = (env.sim.org(), env.sim.now());
    org.write().unwrap().set_field("Contact", &marked, "LastName", "EVIL".into(), now).unwrap();
    env.later(3);
    let broken = env.run_well("Contact").await;
    assert_eq!(broken.counts.failed, 1);
    env.syncs = vec![sync("Contact", "passthrough", "fields = [\"LastName\"]")];
    env.write_config();
    env.close();

    let host = env.serve().await;
    let syncs = env.command(&["sync", "list", "--json"]).await.json();
    assert_eq!(syncs["syncs"][0]["remap"]["records"], 1_500, "{syncs}");
    let list = env.command(&["imports"]).await;
    assert!(list.out.contains("kilofold remap Contact"), "{list:?}");

    let asked = env.sim.requests().len();
    let retried = env.command(&["retry", &broken.id.to_string(), "--json"]).await.json();
    assert_eq!(
        (&retried[0]["trigger"], &retried[0]["counts"]["mapped"]),
        (&"retry".into(), &1.into())
    );
    let remapped = env.command(&["remap", "Contact", "--json"]).await.json();
    assert_eq!(remapped[0]["trigger"], "remap");
    assert_eq!(remapped[0]["counts"]["mapped"], 1_499, "{remapped}");
    assert_eq!(remapped[0]["counts"]["unchanged"], 1);
    let queued = env.command(&["remap", "Contact", "--since", "2020-01-01", "--no-wait"]).await;
    assert!(queued.out.contains("mapped anew"), "{queued:?}");
    assert_eq!(env.sim.requests().len(), asked, "the org was asked");
    let unknown = env.command(&["retry", "99"]).await;
    assert!(unknown.code() == 1 && unknown.err.contains("run.unknown"), "{unknown:?}");
    let unknown = env.command(&["remap", "Nobody"]).await;
    assert!(unknown.err.contains("sync.unknown"), "{unknown:?}");
    let syncs: Value = env.command(&["sync", "list", "--json"]).await.json();
    assert_eq!(syncs["syncs"][0]["remap"], Value::Null, "{syncs}");
    host.terminate();
    assert_eq!(tokio::task::spawn_blocking(move || host.wait()).await.unwrap().code(), 0);

    env.open().await;
    assert_eq!(
        env.store().record(&name("Contact"), id(&marked)).unwrap().unwrap().state,
        State::Mapped
    );
    assert!(env.runs("Contact").iter().all(|run| run.id > RunId(0) && run.ended.is_some()));
    env.assert_feed_holds();
}

//! A sync comes to use another component: because its file changed, because an operator enabled one, or went back to the
//! one before. Each is checked and tried first, and what fails leaves the present one at work.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::path::Path;
use std::time::Duration;

use kilofold::events::Event;
use kilofold::model::{Ending, Trigger};
use kilofold::web::view::PluginUse;
use serde_json::Value;
use support::{Setup, TestEnv, name, plugin, sync};

/// The same plugin as another component: with a custom section that nothing reads.
fn rebuilt(component: &Path, build: u8, to: &Path) -> String {
    let mut bytes = std::fs::read(component).unwrap();
    let name = format!("build-{build}");
    let length = u8::try_from(name.len()).unwrap();
    bytes.extend([0, length + 1, length]);
    bytes.extend(name.as_bytes());
    std::fs::write(to, &bytes).unwrap();
    kilofold::plugin::digest(&kilofold::plugin::Source::File(to.to_owned())).unwrap()
}

/// What the host knows of the plugin of the sync Contact.
fn used(env: &TestEnv) -> PluginUse {
    env.app().plugins.views().unwrap().plugins.remove(0)
}

fn digest(used: &PluginUse) -> &str {
    &used.plugin.as_ref().unwrap().digest
}

/// A look sees the change, and the next one that it is over.
async fn look_twice(env: &TestEnv) {
    let plugins = env.app().plugins.clone();
    let looked = tokio::task::spawn_blocking(move || {
        plugins.look();
        plugins.look();
    });
    looked.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_taken_at_a_batch_boundary() {
    let contact = plugin("contact_to_person.wasm");
    let mut setup = Setup::new(&[("Contact", 8_000)]);
    setup.sim.page_cap = 1000;
    // So that a run has some batches left when the file changes.
    setup.sim.latency = Duration::from_millis(100);
    let mut env = setup.sync("Contact", "contact.wasm", "").start().await;
    let file = env.path("contact.wasm");
    let first = rebuilt(&contact, 1, &file);
    env.open().await;
    look_twice(&env).await;
    assert_eq!(digest(&used(&env)), first);

    // Compiled beforehand, so that the change falls into the run on every machine.
    let (engine, warm) =
        (kilofold::app::open_engine(&env.config()).unwrap(), env.path("warm.wasm"));
    rebuilt(&contact, 2, &warm);
    engine.load(&kilofold::plugin::Source::File(warm)).unwrap();

    // In the middle of a run: the batches before are the old one's work, those after it the new one's.
    let mut bus = env.app().bus.subscribe();
    let app = env.app().clone();
    let running = tokio::spawn(async move {
        app.run_once(&name("Contact"), Trigger::Manual, &Default::default()).await
    });
    let second = loop {
        if let Event::BatchCommitted { page: 0, .. } = bus.recv().await.unwrap().event {
            break rebuilt(&contact, 2, &file);
        }
    };
    look_twice(&env).await;
    let run = running.await.unwrap().unwrap();
    assert_eq!(run.ending, Some(Ending::SucceededWithFailures), "{run:?}");
    assert_eq!(run.plugin.as_ref().unwrap().digest, first);
    let later: Vec<_> = run.later_plugins.iter().map(|note| note.digest.as_str()).collect();
    assert_eq!(later, [second.as_str()], "both are recorded");
    assert!(
        run.notes.iter().any(|note| note.contains("its plugin was changed")),
        "{:?}",
        run.notes
    );
    let mut told = None;
    while let Ok(event) = bus.try_recv() {
        if let Event::PluginChanged { digest, before, why, .. } = event.event.clone() {
            told = Some((digest, before, why));
        }
    }
    assert_eq!(told, Some((second.clone(), Some(first.clone()), "its file changed".to_owned())));
    let now = used(&env);
    assert_eq!((digest(&now), now.chosen), (second.as_str(), None));
    assert_eq!(now.before.unwrap().digest, first);
    let work = now.work.unwrap();
    assert!(work.batches >= 1 && work.peak_memory > 0 && work.mean_us.is_some());
    let mapping = env.store().mapping(&name("Contact")).unwrap();
    assert_eq!(mapping.makers.len(), 2, "a remap is offered for the older one's work");

    // What is no plugin for this sync is refused, with the reason, and the sync goes on.
    std::fs::copy(plugin("lead_to_person.wasm"), &file).unwrap();
    look_twice(&env).await;
    let now = used(&env);
    assert_eq!(digest(&now), second);
    let refused = now.refused.unwrap();
    assert_eq!(refused.code, "plugin.object");
    std::fs::write(&file, b"half a file").unwrap();
    look_twice(&env).await;
    assert_eq!(used(&env).refused.unwrap().code, "plugin.not-component");
    env.later(3);
    env.touch("Contact", 5, 1);
    env.later(3);
    assert_eq!(env.run("Contact").await.plugin.unwrap().digest, second);
    // The file as it was: nothing is wrong any more.
    rebuilt(&contact, 2, &file);
    look_twice(&env).await;
    assert_eq!(used(&env).refused, None);
    env.assert_feed_holds();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_breaks_on_stored_records_is_not_taken() {
    let evil = plugin("kilofold_evil.wasm");
    let lines = "fields = [\"LastName\"]\nconfig = { mode = \"panic-on-marked\" }";
    let mut env = Setup::new(&[("Contact", 100)]).sync("Contact", "evil.wasm", lines).start().await;
    let file = env.path("evil.wasm");
    let first = rebuilt(&evil, 1, &file);
    env.open().await;
    look_twice(&env).await;
    let marked = env.ids("Contact")[7].clone();
    let (org, now) = (env.sim.org(), env.sim.now());
    org.write().unwrap().set_field("Contact", &marked, "LastName", "EVIL".into(), now).unwrap();
    env.later(3);
    env.run_well("Contact").await;
    rebuilt(&evil, 2, &file);
    look_twice(&env).await;
    let now = used(&env);
    assert_eq!(digest(&now), first);
    let refused = now.refused.unwrap();
    assert_eq!(refused.code, "plugin.tried-out");
    assert!(
        refused.reason.contains(&marked) && refused.reason.contains("plugin.panic"),
        "{refused:?}"
    );
    assert_eq!(now.work.unwrap().traps["plugin.panic"], 1);
}

async fn list(env: &TestEnv) -> Value {
    env.command(&["plugin", "list", "--json"]).await.json()["plugins"][0].clone()
}

/// With and without a host.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_enables_a_component_and_goes_back() {
    let contact = plugin("contact_to_person.wasm");
    let mut env = Setup::new(&[("Contact", 300)]).sync("Contact", "contact.wasm", "").start().await;
    let file = env.path("contact.wasm");
    let first = rebuilt(&contact, 1, &file);
    env.open().await;
    env.run_well("Contact").await;
    env.close();
    let other = env.path("other.wasm");
    let second = rebuilt(&contact, 2, &other);
    let other = other.to_str().unwrap();

    for serving in [false, true] {
        let host = if serving { Some(env.serve().await) } else { None };
        let before = list(&env).await;
        assert_eq!(
            (&before["plugin"]["digest"], &before["chosen"]),
            (&first.as_str().into(), &Value::Null)
        );
        assert_eq!(before["description"]["name"], "contact-to-person");
        let enabled = env.command(&["plugin", "enable", other, "--sync", "Contact"]).await;
        assert!(enabled.code() == 0 && enabled.out.contains(&second[..12]), "{enabled:?}");
        let now = list(&env).await;
        assert_eq!(now["plugin"]["digest"], second);
        assert!(!now["chosen"].is_null() && now["before"]["digest"] == first, "{now}");
        let run = env.command(&["sync", "now", "Contact", "--json"]).await.json();
        assert_eq!(run[0]["plugin"]["digest"], second);
        // What does not fit is refused, and nothing changes.
        let wrong = env.command(&["plugin", "enable", "lead-to-person", "--sync", "Contact"]).await;
        assert!(wrong.code() == 1 && wrong.err.contains("plugin.object"), "{wrong:?}");
        assert_eq!(list(&env).await["plugin"]["digest"], second);

        // Back, though the file is gone: components are kept.
        let away = env.path("away.wasm");
        std::fs::rename(&file, &away).unwrap();
        let back = env.command(&["plugin", "rollback", "Contact", "--json"]).await.json();
        assert_eq!(back["plugin"]["digest"], first);
        assert!(!back["chosen"].is_null(), "the file that is configured is not there");
        let none = env.command(&["plugin", "rollback", "Contact"]).await;
        assert!(none.code() == 1 && none.err.contains("plugin.no-former"), "{none:?}");
        std::fs::rename(&away, &file).unwrap();
        // And to what the configuration names.
        let named = env.command(&["plugin", "enable", "--sync", "Contact", "--json"]).await.json();
        assert_eq!(
            (&named["plugin"]["digest"], &named["chosen"]),
            (&first.as_str().into(), &Value::Null)
        );
        let table = env.command(&["plugin", "list"]).await;
        assert!(table.out.contains(" ok") && table.out.contains(&first[..12]), "{table:?}");
        if let Some(host) = host {
            assert_eq!(host.stop().await.code(), 0);
        }
    }

    // Without its file a sync cannot run, is shown with the reason, and can still be put to rights.
    env.command(&["plugin", "enable", other, "--sync", "Contact"]).await;
    env.command(&["plugin", "enable", "--sync", "Contact"]).await;
    std::fs::remove_file(&file).unwrap();
    let broken = env.command(&["plugin", "list"]).await;
    assert!(
        broken.out.contains("plugin.unreadable") && broken.out.contains("broken"),
        "{broken:?}"
    );
    let back = env.command(&["plugin", "rollback", "Contact", "--json"]).await.json();
    assert!(back["plugin"]["digest"].is_string(), "{back}");
    env.command(&["sync", "now", "Contact", "--json"]).await.json();

    // A digest in the configuration is the last word.
    env.syncs =
        vec![sync("Contact", "other.wasm", &format!("plugin_digest = \"sha256:{second}\""))];
    env.write_config();
    let pinned = list(&env).await;
    assert_eq!(
        (&pinned["plugin"]["digest"], &pinned["pinned"]),
        (&second.as_str().into(), &second.as_str().into())
    );
    let refused = env.command(&["plugin", "rollback", "Contact"]).await;
    assert!(refused.err.contains("plugin.pinned"), "{refused:?}");
}

/// The host looks by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_looks_at_the_files_of_plugins() {
    let contact = plugin("contact_to_person.wasm");
    let env = Setup::new(&[("Contact", 10)]).sync("Contact", "contact.wasm", "").start().await;
    let file = env.path("contact.wasm");
    rebuilt(&contact, 1, &file);
    let host = env.serve().await;
    let second = rebuilt(&contact, 2, &file);
    let mut tries = 0;
    while list(&env).await["plugin"]["digest"] != second.as_str() {
        tries += 1;
        assert!(tries < 600, "{}", host.errors());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(host.errors().contains("Plugin changed"));
    assert_eq!(host.stop().await.code(), 0);
}

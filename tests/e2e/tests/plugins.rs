//! A plugin that breaks costs the records that break it, and these can be mapped again without a call.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use kilofold::model::{Ending, Trigger};
use kilofold::schedule::State;
use kilofold::store;
use support::{Setup, id, name, plugin, sync};
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn one_poisonous_record_in_a_thousand_costs_one_record() {
    let evil = plugin("kilofold_evil.wasm");
    let evil = evil.to_str().unwrap();
    let lines = |name: &str, mode: &str| {
        format!(
            "name = \"{name}\"\nfields = [\"LastName\", \"Phone\"]\nconfig = {{ mode = \"{mode}\" }}"
        )
    };
    let modes = [
        ("panics", "panic-on-marked", "plugin.panic"),
        ("aborts", "abort-on-marked", "plugin.trap"),
    ];
    let mut setup = Setup::new(&[("Contact", 3_000)]);
    for (name, mode, _) in modes {
        setup = setup.sync("Contact", evil, &lines(name, mode));
    }
    let mut env = setup.open().await;
    let ids = env.ids("Contact");
    let marked = [&ids[17], &ids[1_500], &ids[2_999]];
    for id in marked {
        let (org, now) = (env.sim.org(), env.sim.now());
        org.write().unwrap().set_field("Contact", id, "LastName", "EVIL".into(), now).unwrap();
    }
    env.later(3);
    let mut failed = Vec::new();
    for (sync, _, code) in modes {
        let run = env.run_well(sync).await;
        assert_eq!(run.ending, Some(Ending::SucceededWithFailures));
        assert_eq!((run.counts.mapped, run.counts.failed), (2_997, 3));
        let failures = env.failures(run.id);
        let broken: Vec<&str> = failures.iter().map(|failure| failure.id.as_str()).collect();
        assert_eq!(broken, marked.map(String::as_str));
        for failure in &failures {
            assert_eq!(failure.rejection.code, code, "{failure:?}");
            assert!(failure.raw.as_deref().unwrap().contains("EVIL"));
        }
        failed.push(run);
    }
    env.assert_mirrors_org(&["panics", "aborts"]);

    // The plugin is replaced; the org is not asked.
    env.syncs = modes
        .map(|(name, ..)| {
            let lines = format!("name = \"{name}\"\nfields = [\"LastName\", \"Phone\"]");
            sync("Contact", "passthrough", &lines)
        })
        .into();
    env.write_config();
    env.open().await;
    let asked = env.sim.requests().len();
    let cancel = CancellationToken::new();
    for run in failed {
        let retry = env.app().retry(run.id, &cancel).await.unwrap();
        assert_eq!((retry.trigger, &retry.ending), (Trigger::Retry, &Some(Ending::Succeeded)));
        assert_eq!((retry.counts.mapped, retry.counts.fetched, retry.calls), (3, 3, 0));
        assert_eq!(retry.plugin.unwrap().name, "passthrough");
        assert_eq!(retry.cursor_after, run.cursor_after);
        for text in marked {
            let record = env.store().record(&run.sync, id(text)).unwrap().unwrap();
            assert_eq!((&record.state, record.outputs.len()), (&store::State::Mapped, 1));
        }
        let again = env.app().retry(run.id, &cancel).await.unwrap();
        assert_eq!(again.counts.fetched, 0, "what was mapped is left alone");
    }
    assert_eq!(env.sim.requests().len(), asked, "the org was asked");
    assert_eq!(env.store().counts(&name("panics")).unwrap().failed, 0);
    env.assert_feed_holds();
}

/// A plugin that breaks on every record is stopped, and says so; nothing of its page is committed.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_always_breaks_fails_the_run() {
    let evil = plugin("kilofold_evil.wasm");
    let lines = "fields = [\"LastName\"]\nconfig = { mode = \"abort\" }";
    let mut env =
        Setup::new(&[("Contact", 500)]).sync("Contact", evil.to_str().unwrap(), lines).open().await;
    let run = env.run("Contact").await;
    let Some(Ending::Failed { code, message }) = &run.ending else { panic!("{:?}", run.ending) };
    assert!(code.starts_with("plugin.") && !message.is_empty(), "{code}: {message}");
    assert!(kilofold::error::explain(code).is_some(), "{code} is explained");
    assert_eq!((run.counts.fetched, run.pages), (0, 0));
    assert_eq!(run.cursor_after, run.cursor_before);

    // The sync is paused for that reason, over restarts, until it is resumed: it spends no call in vain.
    let contact = name("Contact");
    env.open().await;
    let pause = env.store().pause(&contact).unwrap().unwrap();
    let cause = pause.cause.unwrap();
    assert_eq!((cause.run, &cause.code, &cause.reason), (run.id, code, message));
    let schedule = env.app().schedule().await.unwrap();
    assert_eq!(schedule.status().await.unwrap()[0].state, State::Paused);
    let asked = env.sim.requests().len();
    let refused = schedule.run_now(&contact).await.unwrap_err();
    assert_eq!((refused.code(), env.sim.requests().len()), ("sync.paused", asked));
    schedule.resume(&contact).await.unwrap();
    schedule.run_now(&contact).await.unwrap();
    schedule.wait_idle().await.unwrap();
    assert_eq!(schedule.status().await.unwrap()[0].state, State::Paused, "it broke again");
    schedule.stop().await;
}

/// A component other than the pinned one is not even compiled.
#[tokio::test(flavor = "multi_thread")]
async fn another_component_than_the_pinned_one_is_refused() {
    let (_, passthrough) =
        kilofold::plugin::stock().iter().find(|(name, _)| *name == "passthrough").unwrap();
    let source = kilofold::plugin::Source::Stock("passthrough".into());
    let digest = kilofold::plugin::digest(&source).unwrap();
    let lines = format!("fields = [\"LastName\"]\nplugin_digest = \"sha256:{digest}\"");
    let mut env =
        Setup::new(&[("Contact", 20)]).sync("Contact", "./mine.wasm", &lines).start().await;
    std::fs::write(env.path("mine.wasm"), passthrough).unwrap();
    env.open().await;
    env.run_well("Contact").await;
    env.close();
    std::fs::copy(plugin("kilofold_evil.wasm"), env.path("mine.wasm")).unwrap();
    let error = kilofold::app::App::open(env.config()).err().unwrap();
    assert_eq!(error.code(), "plugin.digest");
    let other =
        kilofold::plugin::digest(&kilofold::plugin::Source::File(env.path("mine.wasm"))).unwrap();
    let told = error.to_string();
    assert!(told.contains(&digest) && told.contains(&other), "{told}");
}

//! Whose work is stored, and mapping it again.

use super::*;
use crate::model::{Maker, PluginNote};

fn maker(plugin: &str, settings: Option<&str>) -> Maker {
    Maker { plugin: plugin.to_owned(), settings: settings.map(str::to_owned) }
}

fn place(run: RunId, maker: &Maker, after: RecordId, seen: u64) -> Remap {
    Remap { run, maker: maker.clone(), since: None, after: Some(after), seen, without: 0 }
}

/// Maps a batch by `maker`; with a place, as a remap does.
fn map(
    store: &Store,
    run: RunId,
    batch: &Batch,
    outcomes: Vec<Verdict>,
    maker: &Maker,
    remap: Option<&Remap>,
) -> Committed {
    let sync = name("Contact");
    let commit = Commit {
        run,
        sync: &sync,
        batch,
        known: store.known(&sync, batch).unwrap(),
        outcomes,
        cursor: store.cursor(&sync).unwrap(),
        page: page(1),
        calls: 0,
        maker: Some(maker),
        remap,
        keep_raw: true,
    };
    store.commit(commit).unwrap()
}

#[test]
fn a_remap_touches_only_what_comes_out_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    let sync = name("Contact");
    let run = begin(&store, &sync);
    let rejection =
        |message: &str| Rejection { code: "x.y".into(), message: message.into(), field: None };
    let failed = |message: &str| Verdict::Became(Outcome::Failed(rejection(message)));
    let skipped = |reason: &str| Verdict::Became(Outcome::Skipped(reason.into()));
    let person = |n: u32, body: &str| output("person", id(n).as_str(), body);
    let records: Vec<_> =
        (1..8).map(|n| (id(n), i64::from(n), false, format!("{{\"n\":{n}}}"))).collect();
    let all = batch(&records);
    let first = vec![
        mapped(&[person(1, "{\"v\":1}")]),
        mapped(&[person(2, "{\"v\":1}"), output("tag", "t2", "{}")]),
        mapped(&[person(3, "{\"v\":1}")]),
        skipped("none"),
        failed("no"),
        failed("no"),
        mapped(&[]),
    ];
    let (old, new) = (maker("aa", Some("1")), maker("bb", Some("1")));
    map(&store, run, &all, first, &old, None);
    let end = store.feed_end().unwrap();
    let before: Vec<_> = (1..8).map(|n| store.record(&sync, id(n)).unwrap().unwrap()).collect();

    let again = begin(&store, &sync);
    let second = vec![
        mapped(&[person(1, "{\"v\":1}")]),
        mapped(&[person(2, "{\"v\":1}")]),
        mapped(&[person(3, "{\"v\":2}")]),
        skipped("none"),
        failed("no"),
        failed("still"),
        skipped("other"),
    ];
    let here = place(again, &new, id(7), 7);
    let done = map(&store, again, &all, second, &new, Some(&here));
    let counts = done.counts;
    assert_eq!((counts.unchanged, counts.mapped, counts.skipped, counts.failed), (3, 2, 1, 1));
    let feed = store.feed(end, 10).unwrap();
    let told: Vec<_> = feed.iter().map(|entry| (entry.key.as_str(), entry.op)).collect();
    assert_eq!(told, [("t2", Op::Retract), (id(3).as_str(), Op::Upsert)]);
    for (n, before) in (1..8).zip(before) {
        let after = store.record(&sync, id(n)).unwrap().unwrap();
        if [1, 4, 5].contains(&n) {
            assert_eq!(after, before, "nothing of it is written");
        } else {
            assert_eq!(after.run, again);
        }
    }
    assert_eq!(store.failures(again, None, 9).unwrap().len(), 1, "only what failed otherwise");
    let mapping = store.mapping(&sync).unwrap();
    assert_eq!((mapping.makers.as_slice(), &mapping.remap), (&[old, new.clone()][..], &Some(here)));
    store.end_remap(&sync, &new).unwrap();
    drop(store);
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    assert_eq!(store.mapping(&sync).unwrap(), Mapping { makers: vec![new], remap: None });
}

#[test]
fn remembers_whose_work_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    let sync = name("Contact");
    assert_eq!(store.mapping(&sync).unwrap(), Mapping::default());
    let run = begin(&store, &sync);
    let one = batch(&[(id(1), 1, false, "{}".into())]);
    let (a, b) = (maker("aa", Some("1")), maker("bb", Some("1")));
    map(&store, run, &one, vec![mapped(&[])], &a, None);
    // A page on which nothing was mapped says nothing of the plugin.
    map(&store, run, &one, vec![Verdict::Unchanged], &b, None);
    let mapping = store.mapping(&sync).unwrap();
    assert_eq!(mapping.makers, std::slice::from_ref(&a));
    assert_eq!(mapping.other_than(&a), None);
    assert_eq!(mapping.other_than(&b), Some(&a));
    assert_eq!(mapping.other_than(&maker("aa", None)), None, "settings that are not known agree");
    assert_eq!(mapping.other_than(&maker("aa", Some("2"))), Some(&a));
    // There and back again: the one record of the other plugin counts.
    map(&store, run, &one, vec![mapped(&[])], &b, None);
    map(&store, run, &one, vec![mapped(&[])], &a, None);
    assert_eq!(store.mapping(&sync).unwrap().other_than(&a), Some(&b));
    for n in 0..40 {
        map(&store, run, &one, vec![mapped(&[])], &maker(&format!("c{n}"), None), None);
    }
    assert_eq!(store.mapping(&sync).unwrap().makers.len(), 16);
}

/// A store from before makers were kept.
#[test]
fn the_runs_of_an_old_store_tell_whose_work_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    let sync = name("Contact");
    let note = |digest: &str| PluginNote {
        name: "p".into(),
        version: "1".into(),
        digest: digest.into(),
        api: "x".into(),
    };
    let run = |digest: &str, n: u32| {
        let run = begin(&store, &sync);
        store.update_run(run, |run| run.plugin = Some(note(digest))).unwrap();
        let one = batch(&[(id(n), 1, false, "{}".into())]);
        commit(&store, run, &sync, &one, vec![mapped(&[])], cursor(1));
        store.end_run(run, Ending::Succeeded, Stamp(2), |_| ()).unwrap();
    };
    run("aa", 1);
    run("bb", 2);
    let makers = store.mapping(&sync).unwrap().makers;
    assert_eq!(makers, [maker("aa", None), maker("bb", None)]);
    // The next commit writes it down, and learns the settings.
    let now = begin(&store, &sync);
    let one = batch(&[(id(3), 1, false, "{}".into())]);
    map(&store, now, &one, vec![mapped(&[])], &maker("bb", Some("1")), None);
    let makers = store.mapping(&sync).unwrap().makers;
    assert_eq!(makers, [maker("aa", None), maker("bb", Some("1"))]);
}

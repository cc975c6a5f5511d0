//! Damage is found and named; a store that is in use, or of a later kilofold, says so.

use std::fs;

use super::*;
use crate::store::layout::Space;

fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &Options::default()).unwrap();
    let sync = name("Contact");
    let run = begin(&store, &sync);
    for first in [0, 100] {
        let raws: Vec<_> =
            (first..first + 100).map(|n| (id(n), 1, false, format!("{{\"n\":{n}}}"))).collect();
        let outcomes = (first..first + 100)
            .map(|n| mapped(&[output("person", id(n).as_str(), &format!("{{\"n\":{n}}}"))]))
            .collect();
        commit(&store, run, &sync, &batch(&raws), outcomes, cursor(1));
    }
    folder
}

/// The sled below a store that was just closed; sled's threads may still hold it for a moment.
fn raw_sled(folder: &std::path::Path) -> sled::Db {
    let config = sled::Config::new().path(folder.join("sled")).segment_size(disk::SEGMENT);
    loop {
        match config.open() {
            Err(sled::Error::Io(_)) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// Changes one stored value behind the store's back.
fn tamper(folder: &std::path::Path, prefix: &[u8], change: impl Fn(&mut Vec<u8>)) {
    let db = raw_sled(folder);
    let tree = db.open_tree("kilofold").unwrap();
    let (key, value) = tree.scan_prefix(prefix).next().unwrap().unwrap();
    let mut value = value.to_vec();
    change(&mut value);
    tree.insert(key, value).unwrap();
    db.flush().unwrap();
}

fn open(folder: &std::path::Path) -> Result<Store, Error> {
    Store::open(folder, &Options::default())
}

fn flip(value: &mut [u8]) {
    let middle = value.len() / 2;
    value[middle] ^= 1;
}

#[test]
fn a_flipped_bit_is_named() {
    let named = |error: Error, tree: &str| {
        assert_eq!(error.code(), "store.damaged");
        let text = error.to_string();
        assert!(text.contains(&format!("damaged: {tree}, key")), "{text}");
    };
    let sync = name("Contact");
    // These are read when the store is opened.
    for (space, tree) in [
        (Space::Meta, "meta"),
        (Space::Sync, "cursors"),
        (Space::Name, "names"),
        (Space::Run, "runs"),
    ] {
        let folder = filled();
        tamper(folder.path(), &space.prefix(), |value| flip(value));
        named(open(folder.path()).unwrap_err(), tree);
    }
    // These when they are asked for.
    let folder = filled();
    tamper(folder.path(), &Space::Record.prefix(), |value| flip(value));
    let store = open(folder.path()).unwrap();
    let error = store.record(&sync, id(0)).unwrap_err();
    assert!(error.to_string().contains(&id(0).as_str()[..15]), "{error}");
    named(error, "records");
    named(store.records(&sync, None, 10).unwrap_err(), "records");
    let raw = batch(&[(id(0), 1, false, "{}".to_owned())]);
    named(store.known(&sync, &raw).unwrap_err(), "records");
    assert!(store.record(&sync, id(150)).unwrap().is_some());
    drop(store);

    let folder = filled();
    tamper(folder.path(), &Space::Block.prefix(), |value| flip(value));
    tamper(folder.path(), &Space::Page.prefix(), |value| flip(value));
    let store = open(folder.path()).unwrap();
    named(store.record(&sync, id(0)).unwrap_err(), "blocks");
    named(store.pages(RunId(1), None, 10).unwrap_err(), "pages");
    drop(store);

    let folder = filled();
    tamper(folder.path(), &Space::Feed.prefix(), |value| flip(value));
    let store = open(folder.path()).unwrap();
    named(store.feed(0, 10).unwrap_err(), "feed");
    assert_eq!(store.feed(100, 10).unwrap().len(), 10);
}

#[test]
fn a_value_of_a_later_kilofold_is_refused() {
    let folder = filled();
    tamper(folder.path(), &Space::Meta.prefix(), |value| value[0] = 2);
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 2, known: 1, .. }), "{error}");
}

#[test]
fn parts_that_do_not_fit_each_other_are_found() {
    // The feed lost its end.
    let folder = filled();
    let db = raw_sled(folder.path());
    let tree = db.open_tree("kilofold").unwrap();
    tree.remove(Space::Feed.number(101)).unwrap();
    drop((db, tree));
    let text = open(folder.path()).unwrap_err().to_string();
    assert!(text.contains("the feed should end at 200, but ends at 100"), "{text}");

    // The store went back to an earlier commit.
    let folder = filled();
    fs::write(folder.path().join("commit"), "3\n").unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("commit 3 was acknowledged"), "{error}");
    fs::remove_file(folder.path().join("commit")).unwrap();
    open(folder.path()).unwrap();
}

#[test]
fn left_over_snapshots_are_deleted() {
    let folder = filled();
    let left = folder.path().join("sled/snap.0000000000001234.generating");
    fs::write(&left, "half").unwrap();
    let store = open(folder.path()).unwrap();
    assert!(!left.exists());
    assert!(store.record(&name("Contact"), id(150)).unwrap().is_some());
}

#[test]
fn every_flush_is_a_real_sync() {
    let folder = filled();
    let store = open(folder.path()).unwrap();
    let before = guard::syncs();
    store.put_secret("a", b"b").unwrap();
    assert!(!guard::NEEDED || guard::syncs() > before, "sync_file_range is not ours");
}

#[test]
fn a_store_in_use_says_who_has_it() {
    let folder = filled();
    let _held = open(folder.path()).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert_eq!(error.code(), "store.locked");
    assert!(error.to_string().contains(&format!("by process {}", std::process::id())), "{error}");
}

#[test]
fn files_that_are_not_a_store_do_not_panic() {
    let folder = filled();
    let db = folder.path().join("sled/db");
    let mut bytes = fs::read(&db).unwrap();
    for at in (100..bytes.len()).step_by(97) {
        bytes[at] ^= 0xff;
    }
    fs::write(&db, bytes).unwrap();
    for entry in fs::read_dir(folder.path().join("sled")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains("snap.") {
            fs::remove_file(path).unwrap();
        }
    }
    // Whatever sled makes of that: an error, or an earlier state that the note of the last commit gives away.
    let error = open(folder.path()).unwrap_err();
    assert_eq!(error.code(), "store.damaged", "{error}");
}

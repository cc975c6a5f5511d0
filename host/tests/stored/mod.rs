//! Runs, and pages of Contacts that came with them, in a store.
#![allow(dead_code, reason = "each test file uses its part")]

use bytes::Bytes;
use kilofold::model::{
    ConnectionName, Counts, Cursor, Outcome, Output, PageNote, Run, Selection, Stamp, SyncName,
    Timing, Trigger,
};
use kilofold::store::{Commit, NewRun, Store, Verdict};

/// Begins a run of a sync of the object of its name.
pub fn begin(store: &Store, sync: &str) -> Run {
    store
        .begin_run(NewRun {
            sync: SyncName::new(sync).unwrap(),
            object: sync.to_owned(),
            connection: ConnectionName::new("main").unwrap(),
            trigger: Trigger::Manual,
            started: Stamp::now(),
            cursor_before: Cursor::default(),
            plugin: None,
            quota_before: None,
        })
        .unwrap()
}

/// Commits a page: of each record its id, its e-mail address as JSON, and what became of it. `day`: of their stamps.
pub fn commit(store: &Store, run: &Run, day: u8, came: Vec<(String, &str, Outcome)>) {
    let record = |(id, email, _): &(String, &str, Outcome)| {
        format!(
            r#"{{"attributes":{{"type":"Contact"}},"Id":"{id}","Email":{email},"SystemModstamp":"2022-02-{day:02}T06:21:19.000+0000"}}"#
        )
    };
    let records: Vec<String> = came.iter().map(record).collect();
    let (count, records) = (records.len(), records.join(","));
    let text = format!(r#"{{"totalSize":{count},"done":true,"records":[{records}]}}"#);
    let selection = Selection::new(&["Email".to_owned()], Some("SystemModstamp"));
    let batch = selection.read_answer(&Bytes::from(text)).unwrap().batch;
    let known = store.known(&run.sync, &batch).unwrap();
    let page = PageNote {
        page: 0,
        at: Stamp::now(),
        bytes: 100,
        counts: Counts::default(),
        timing: Timing::default(),
        request_id: None,
    };
    let commit = Commit {
        run: run.id,
        sync: &run.sync,
        batch: &batch,
        known,
        outcomes: came.into_iter().map(|(.., became)| Verdict::Became(became)).collect(),
        cursor: Cursor::default(),
        page,
        calls: 1,
        maker: None,
        remap: None,
        keep_raw: true,
    };
    store.commit(commit).unwrap();
}

/// Mapped to one person with the record's id as key.
pub fn person(id: &str, body: &str) -> Outcome {
    Outcome::Mapped(vec![Output { kind: "person".into(), key: id.to_owned(), body: body.into() }])
}

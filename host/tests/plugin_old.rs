//! Plugins that were compiled for a release of the contract run on every host of that major release: the components of
//! `tests/fixtures/plugins`, as they were built then. A new release adds its own; none is ever built anew.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod plugin_support;

use std::path::{Path, PathBuf};

use kilofold::plugin::{Limits, Source};
use plugin_support::{Bench, engine, shown};
use serde_json::{Value, json};

const RECORDS: &str = r#"[
    {"attributes":{"type":"Contact"},"Id":"0034C00000VaYfKQAV","FirstName":"Zoë \ud83d\ude80","LastName":"O\"Neil\nJr","Email":"Zoe@Example.ORG","HasOptedOutOfEmail":false,"DoNotCall":true,"Account":{"Name":"Söhne"},"CreatedDate":"2022-02-15T06:21:19.000+0000","LastModifiedDate":"2022-02-15T06:21:19.000+0000","N__c":10046.0,"Place__c":{"latitude":1.5}},
    {"attributes":{"type":"Contact"},"Id":"0034C00000VaYfLQAV","FirstName":null,"LastName":"Ito","Email":null,"HasOptedOutOfEmail":false,"DoNotCall":false,"Account":null,"CreatedDate":"2022-02-15T06:21:19.000+0000","LastModifiedDate":"2022-02-15T06:21:19.000+0000"},
    {"attributes":{"type":"Contact"},"Id":"0034C00000VaYfMQAV","FirstName":"A","LastName":"B","Email":"see notes","HasOptedOutOfEmail":true,"DoNotCall":false,"Account":null,"CreatedDate":"2022-02-15T06:21:19.000+0000","LastModifiedDate":"2022-02-15T06:21:19.000+0000"}]"#;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/plugins")
}

/// What each is given: its settings, and the fields of a batch where it takes any.
fn given(name: &str) -> (Value, &'static [&'static str]) {
    match name {
        "table-passthrough-1.0.0" => {
            (json!({ "kind": "object" }), &["Id", "N__c", "Place__c", "Account.Name"])
        }
        "json-echo-1.0.0" => (json!({}), &["Id", "LastName", "N__c", "Place__c"]),
        _ => (json!({}), &[]),
    }
}

#[test]
fn old_plugins_map_as_they_did() {
    let mut names: Vec<String> = std::fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".wasm").map(str::to_owned))
        .collect();
    names.sort();
    assert_eq!(names.len(), 4, "{names:?}");
    let engine = engine(Limits::default());
    for name in names {
        let path = fixtures().join(format!("{name}.wasm"));
        let mut bench = Bench::new(engine.clone(), Source::File(path));
        bench.store("echo", "0034C00000VaYfLQAV", r#"{"stored":"yes"}"#);
        let (settings, fields) = given(&name);
        let mapped = match fields {
            [] => bench.map(settings, RECORDS),
            fields => bench.map_fields(settings, RECORDS, fields),
        };
        let note = bench.plugin.note();
        let told = format!(
            "{} {} speaks {}\n{}",
            note.name,
            note.version,
            note.api,
            shown(&mapped.unwrap().outcomes)
        );
        insta::assert_snapshot!(name.as_str(), told);
    }
}

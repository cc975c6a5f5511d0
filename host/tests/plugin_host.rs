//! The stock plugins on real batches, and what loading refuses.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod plugin_support;

use kilofold::model::Outcome;
use kilofold::plugin::{Engine, Error, Limits, Source, explain, stock};
use plugin_support::{Bench, component, engine, shown};
use serde_json::{Value, json};

const CONTACTS: &str = r#"[
    {"attributes":{"type":"Contact"},"Id":"0034C00000VaYfKQAV","FirstName":"Zoë \ud83d\ude80","LastName":"O\"Neil\nJr","Email":"Zoe@Example.ORG","HasOptedOutOfEmail":false,"DoNotCall":true,"Account":{"Name":"Söhne"},"CreatedDate":"2022-02-15T06:21:19.000+0000","LastModifiedDate":"2022-02-15T06:21:19.000+0000","MailingCity":null},
    {"attributes":{"type":"Contact"},"Id":"0034C00000VaYfLQAV","FirstName":null,"LastName":"Ito","Email":null,"HasOptedOutOfEmail":false,"DoNotCall":false,"Account":null,"CreatedDate":"2022-02-15T06:21:19.000+0000","LastModifiedDate":"2022-02-15T06:21:19.000+0000"},
    {"attributes":{"type":"Contact"},"Id":"0034C00000VaYfMQAV","FirstName":"A","LastName":"B","Email":"see notes","HasOptedOutOfEmail":true,"DoNotCall":false,"Account":null,"CreatedDate":"2022-02-15T06:21:19.000+0000","LastModifiedDate":"2022-02-15T06:21:19.000+0000"}]"#;

#[test]
fn contacts_become_persons() {
    let bench = Bench::stock("contact-to-person");
    let mapped = bench.map(json!({}), CONTACTS).unwrap();
    insta::assert_snapshot!(plugin_support::without_lines(&shown(&mapped.outcomes)), @r#"
    person 0034C00000VaYfKQAV: {"name":"Zoë 🚀 O\"Neil\nJr","first_name":"Zoë 🚀","last_name":"O\"Neil\nJr","salutation":null,"email":"zoe@example.org","phone":null,"title":null,"department":null,"account_id":null,"account_name":"Söhne","owner_id":null,"street":null,"city":null,"state":null,"postal_code":null,"country":null,"birthdate":null,"source":null,"may_email":true,"may_call":false,"created_at":"2022-02-15T06:21:19Z","updated_at":"2022-02-15T06:21:19Z"}
    skipped: no e-mail address
    failed email.invalid Email: "see notes" is not an e-mail address
    "#);
    assert_eq!(mapped.traps, 0);
    assert!(mapped.peak_memory > 256 << 10);
}

#[test]
fn every_stock_plugin_maps_its_object() {
    for (name, _) in stock() {
        let bench = Bench::stock(name);
        let note = bench.plugin.note();
        assert_eq!(note.name, *name);
        assert_eq!(note.api, "kilofold:mapping/table@1.0.0");
        assert_eq!(note.digest.len(), 64);
        let record = |i: usize| {
            let mut record = json!({"Id": format!("0034C00000Va{i:03}")});
            for field in &bench.plugin.description().reads {
                if field.name != "Id" {
                    plugin_support::set(&mut record, &field.name, sample(&field.name));
                }
            }
            record
        };
        let records = Value::Array((0..50).map(record).collect()).to_string();
        let mapped = if bench.plugin.description().reads.is_empty() {
            bench.map_fields(json!({}), &records, &["Id"]).unwrap()
        } else {
            bench.map(json!({}), &records).unwrap()
        };
        let made = |outcome: &&Outcome| matches!(outcome, Outcome::Mapped(all) if !all.is_empty());
        let count = mapped.outcomes.iter().filter(made).count();
        assert_eq!(count, 50, "{name}: {}", shown(&mapped.outcomes[..1]));
    }
}

/// A value that fits a Salesforce field of this name.
fn sample(name: &str) -> Value {
    let own = name.rsplit('.').next().unwrap_or(name);
    match own {
        "Email" => json!("Ann@example.org"),
        _ if own.ends_with("Id") => json!("0034C00000VaYfKQAV"),
        "ActivityDate" | "Birthdate" | "CloseDate" | "ConvertedDate" => json!("2024-02-29"),
        _ if own.ends_with("Date") || own.ends_with("DateTime") || own == "SystemModstamp" => {
            json!("2022-02-15T06:21:19.000+0000")
        }
        _ if own.starts_with("Is") || own.starts_with("Has") || own == "DoNotCall" => json!(false),
        "Amount" | "AnnualRevenue" | "Probability" | "ExpectedRevenue" => json!(10.5),
        _ if own.ends_with("Latitude") || own.ends_with("Longitude") => json!(48.5),
        "NumberOfEmployees" | "DurationInMinutes" | "FiscalYear" | "CallDurationInSeconds" => {
            json!(10)
        }
        _ => json!("Text"),
    }
}

#[test]
fn passthrough_takes_the_fields_of_the_batch() {
    let bench = Bench::stock("passthrough");
    let records = r#"[{"Id":"0034C00000VaYfKQAV","N__c":10046.0,"Big__c":12345678901234567890,"Ok__c":true,"Where__c":{"city":"Ü \"q\"","lat":null},"Text__c":"a\tb","None__c":null,"Account":{"Name":"Acme"}}]"#;
    let fields =
        ["Id", "N__c", "Big__c", "Ok__c", "Where__c", "Text__c", "None__c", "Account.Name"];
    let mapped = bench.map_fields(json!({"kind": "object"}), records, &fields).unwrap();
    insta::assert_snapshot!(plugin_support::without_lines(&shown(&mapped.outcomes)), @r#"
    object 0034C00000VaYfKQAV: {"Id":"0034C00000VaYfKQAV","N__c":10046.0,"Big__c":12345678901234567890,"Ok__c":true,"Where__c":{"city":"Ü \"q\"","lat":null},"Text__c":"a\tb","None__c":null,"Account.Name":"Acme"}
    "#);
}

#[test]
fn settings_are_checked_by_host_and_plugin() {
    let passthrough = Bench::stock("passthrough");
    let problems = passthrough.settings(json!({"kind": "animal", "size": 3})).unwrap_err();
    insta::assert_snapshot!(problems.join("\n"), @r#"
    'size' is no setting of this plugin; it takes kind
    'kind' must be one of record, person, event, object, relationship
    "#);
    let evil = Bench::evil(Limits::default());
    let problems = evil.settings(json!({"mode": "refuse-settings"})).unwrap_err();
    insta::assert_snapshot!(problems.join("\n"), @r#"
    'mode' not this one�[2J<script>
    is not accepted
    "#);
}

#[test]
fn a_field_that_was_not_fetched_is_named() {
    let bench = Bench::stock("contact-to-person");
    let error = bench.map_fields(json!({}), CONTACTS, &["Id", "FirstName"]).unwrap_err();
    assert_eq!(error.code(), "plugin.missing-field");
    // Optional fields may be missing, and the order is the host's business.
    let reads = &bench.plugin.description().reads;
    let required = reads.iter().filter(|field| field.required).map(|field| field.name.as_str());
    let fields: Vec<&str> = required.rev().chain(["Email"]).collect();
    let mapped = bench.map_fields(json!({}), CONTACTS, &fields).unwrap();
    assert!(matches!(&mapped.outcomes[0], Outcome::Mapped(outputs) if outputs.len() == 1));
}

#[test]
fn the_json_form_has_the_same_outcomes() {
    let source = Source::File(env!("KILOFOLD_JSON_PLUGIN").into());
    let mut bench = Bench::new(engine(Limits::default()), source);
    bench.store("echo", "b", r#"{"stored":"yes"}"#);
    assert_eq!(bench.plugin.note().api, "kilofold:mapping/json@1.0.0");
    let names = ["a\\\"\\u00e9", "skip", "fail", "panic", "lie", "b"];
    let records: Vec<String> = names
        .iter()
        .map(|name| {
            format!(r#"{{"Id":"0034C00000VaYfKQAV","Name":"{name}","N":1.50,"J":{{"x":[null]}}}}"#)
        })
        .collect();
    let records = format!("[{}]", records.join(","));
    let mapped = bench.map_fields(json!({}), &records, &["Name", "N", "J", "Id"]).unwrap();
    assert_eq!(mapped.traps, 1);
    insta::assert_snapshot!(plugin_support::without_lines(&shown(&mapped.outcomes)), @r#"
    echo a"é: {"object":"Contact","values":["a\"é",1.5,{"x":[null]},"0034C00000VaYfKQAV"],"known":null}
    skipped: told to
    failed told.to Name: m
    failed plugin.panic -: the plugin panicked: thread '<unnamed>' (1) panicked at plugins/json-echo/src/lib.rs:LINE: told to
    failed plugin.invalid-output -: the plugin's answer is not valid: it has an output of the undeclared kind 'lie'
    echo b: {"object":"Contact","values":["b",1.5,{"x":[null]},"0034C00000VaYfKQAV"],"known":"{\"stored\":\"yes\"}"}
    "#);
}

#[test]
fn an_empty_batch_is_no_call() {
    let mapped = Bench::stock("contact-to-person").map(json!({}), "[]").unwrap();
    assert!(mapped.outcomes.is_empty());
    assert_eq!(mapped.peak_memory, 0);
}

#[test]
fn loading_refuses_what_is_no_plugin() {
    let engine = engine(Limits { component_bytes: 1 << 20, ..Limits::default() });
    let compiled = machine_code();
    let about = "kilofold:mapping/about@1.0.0";
    let sources = [
        Source::Stock("contact".into()),
        Source::File("/no/such/plugin.wasm".into()),
        Source::Bytes("text".into(), b"function map() {}".to_vec()),
        Source::Bytes("core".into(), b"\0asm\x01\0\0\0".to_vec()),
        Source::Bytes("machine code".into(), compiled),
        Source::Bytes("big".into(), vec![0; (1 << 20) + 1]),
        Source::Bytes("cut".into(), component(&["wasi:io/poll@0.2.6"], &[])[..20].to_vec()),
        Source::Bytes("files".into(), component(&["wasi:filesystem/types@0.2.6"], &[])),
        Source::Bytes("sockets".into(), component(&["wasi:sockets/tcp@0.2.0"], &[])),
        Source::Bytes("web".into(), component(&["wasi:http/outgoing-handler@0.2.0"], &[])),
        Source::Bytes("next wasi".into(), component(&["wasi:cli/environment@0.3.0"], &[])),
        Source::Bytes("own".into(), component(&["acme:db/sql"], &[])),
        Source::Bytes("next".into(), component(&["kilofold:mapping/host@2.0.0"], &[])),
        Source::Bytes("next too".into(), component(&[], &["kilofold:mapping/table@2.1.0"])),
        Source::Bytes("empty".into(), component(&[], &[])),
        Source::Bytes("half".into(), component(&[], &["kilofold:mapping/table@1.0.0"])),
        Source::Bytes("hollow".into(), component(&[], &["kilofold:mapping/table@1.0.0", about])),
    ];
    let shown = sources.map(|source| {
        let error = engine.load(&source).unwrap_err();
        assert!(error.explanation().is_some(), "{}", error.code());
        // The machine code differs from machine to machine, and so does its digest.
        let text = error.to_string();
        let text = text.split_once("machine code (").map_or(text.clone(), |(start, rest)| {
            format!("{start}machine code (DIGEST{}", &rest[12..])
        });
        format!("{}: {text}", error.code())
    });
    insta::assert_snapshot!(shown.join("\n"), @r#"
    plugin.unknown: there is no stock plugin 'contact'; there are account-to-object, contact-to-person, lead-to-person, opportunity-to-object, passthrough, task-to-event
    plugin.unreadable: plugin /no/such/plugin.wasm cannot be read: No such file or directory (os error 2)
    plugin.not-component: plugin text (1796f1a3cb62) is not a WebAssembly component
    plugin.core-module: plugin core (93a44bbb96c7) is a core WebAssembly module, not a component
    plugin.precompiled-refused: plugin machine code (DIGEST) is compiled machine code, which is never taken from users
    plugin.component-too-large: plugin big has 1048577 bytes, and 1048576 are allowed
    plugin.compile: plugin cut (f1e275e0a4fb) does not compile: failed to parse WebAssembly module: unexpected end-of-file (at offset 0xf)
    plugin.import-denied: plugin files (ded64b45c1e7) asks for wasi:filesystem/types@0.2.6, which plugins are not given
    plugin.import-denied: plugin sockets (5e1efde27b15) asks for wasi:sockets/tcp@0.2.0, which plugins are not given
    plugin.import-denied: plugin web (8cf070477560) asks for wasi:http/outgoing-handler@0.2.0, which plugins are not given
    plugin.api-version: plugin next wasi (d26fa18fa6d2) was built for wasi:cli/environment 0.3.0, and this kilofold serves WASI 0.2
    plugin.import-denied: plugin own (79dfaa1e87a3) asks for acme:db/sql, which plugins are not given
    plugin.api-version: plugin next (afd37c6513b3) was built for kilofold:mapping/host 2.0.0, and this kilofold serves kilofold:mapping 1.0
    plugin.api-version: plugin next too (4ca5200dd266) was built for kilofold:mapping/table 2.1.0, and this kilofold serves kilofold:mapping 1.0
    plugin.no-mapper: plugin empty (1ec6336b09de) is a component, but no mapping plugin: it exports neither kilofold:mapping/table nor kilofold:mapping/json with kilofold:mapping/about
    plugin.no-mapper: plugin half (b1a1f8aa1ccc) is a component, but no mapping plugin: it exports neither kilofold:mapping/table nor kilofold:mapping/json with kilofold:mapping/about
    plugin.api-mismatch: plugin hollow (420384f5887d) does not fit the contract: instance export `kilofold:mapping/about@1.0.0` does not have export `describe`
    "#);
}

/// A compiled plugin, as the cache keeps it behind 32 bytes of its own.
fn machine_code() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("compiled");
    let engine = Engine::new(Some(&path), plugin_support::patient()).unwrap();
    engine.load(&Source::Stock("passthrough".into())).unwrap();
    let entry = std::fs::read_dir(&path).unwrap().next().unwrap().unwrap().path();
    std::fs::read(entry).unwrap().split_off(32)
}

#[test]
fn a_plugin_that_cannot_start_within_its_memory_is_refused() {
    let engine = engine(Limits { memory_bytes: 256 << 10, ..Limits::default() });
    let error = engine.load(&Source::Stock("contact-to-person".into())).unwrap_err();
    assert_eq!(error.code(), "plugin.memory-start");
    assert!(
        error.to_string().ends_with("wants more memory to start than the 256 KiB that it may have")
    );
}

#[test]
fn the_same_component_is_loaded_once() {
    let engine = engine(Limits::default());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.wasm");
    std::fs::write(&path, stock()[0].1).unwrap();
    let first = engine.load(&Source::File(path)).unwrap();
    let second = engine.load(&Source::Stock(stock()[0].0.into())).unwrap();
    assert!(std::ptr::eq(first.description(), second.description()));
}

#[test]
fn compiled_plugins_are_cached_and_damage_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("compiled");
    let load = |name: &str| {
        let engine = Engine::new(Some(&path), plugin_support::patient()).unwrap();
        engine.load(&Source::Stock(name.into())).unwrap()
    };
    let entry = |digest: &str| {
        let mut entries = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
        entries.find(|entry| entry.to_string_lossy().contains(digest)).unwrap()
    };
    let lead = load("lead-to-person").note();
    let task = load("task-to-event").note();
    // The cache is used: with the entry of another plugin in its place, that other one comes.
    std::fs::copy(entry(&task.digest), entry(&lead.digest)).unwrap();
    assert_eq!(load("lead-to-person").note().name, "task-to-event");
    // A damaged entry is compiled again and replaced.
    let whole = std::fs::read(entry(&task.digest)).unwrap();
    for damage in [0, 20, 40, 5000] {
        let mut bytes = whole.clone();
        bytes[damage] ^= 1;
        std::fs::write(entry(&task.digest), &bytes).unwrap();
        assert_eq!(load("task-to-event").note(), task);
        assert_ne!(std::fs::read(entry(&task.digest)).unwrap()[..48], bytes[..48.max(damage + 1)]);
    }
    std::fs::write(entry(&task.digest), b"").unwrap();
    assert_eq!(load("task-to-event").note(), task);
}

#[cfg(unix)]
#[test]
fn a_cache_that_others_can_use_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    for mode in [0o777, 0o750, 0o702] {
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(mode)).unwrap();
        let error = Engine::new(Some(folder.path()), Limits::default()).unwrap_err();
        assert_eq!(error.code(), "plugin.cache");
    }
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
    assert!(Engine::new(Some(folder.path()), Limits::default()).is_ok());
    let link = tempfile::tempdir().unwrap();
    let path = link.path().join("link");
    std::os::unix::fs::symlink(folder.path(), &path).unwrap();
    assert!(matches!(Engine::new(Some(&path), Limits::default()), Err(Error::Cache { .. })));
}

/// Plugins are compiled in a process of their own, which ends at the limits whatever the compiler does.
#[test]
fn compiling_is_bounded() {
    kilofold::plugin::compile_in_children_of(env!("CARGO_BIN_EXE_kilofold").into());
    let bomb = |engine: &Engine, nonce| {
        let bomb = plugin_support::compile_bomb(nonce);
        engine.load(&Source::Bytes("bomb".into(), bomb)).unwrap_err()
    };
    let impatient = engine(Limits { compile_ms: 50, ..Limits::default() });
    for nonce in 0..4 {
        assert!(matches!(bomb(&impatient, nonce), Error::CompileTimeout { ms: 50, .. }));
    }
    let error = bomb(&impatient, 4);
    let poor = engine(Limits { compile_bytes: 64 << 20, ..Limits::default() });
    let errors = [error, bomb(&poor, 5)].map(|error| {
        let known = error.explanation().unwrap();
        format!("{}\n{error}\n{}\n{}", error.code(), known.meaning, known.cure)
    });
    let shown = errors.join("\n\n").replace(&digest(4), "DIGEST").replace(&digest(5), "DIGEST");
    insta::assert_snapshot!(shown, @r#"
    plugin.compile-timeout
    plugin bomb (DIGEST) was not compiled within 50 ms, and compiling was stopped
    Compiling the plugin took longer than allowed, and was stopped. It is compiled in a process of its own, so that nothing else suffers.
    Make the component smaller or split huge functions, or raise `compile_time` in [plugins].

    plugin.compile-memory
    plugin bomb (DIGEST) was not compiled: that takes more than the 64 MiB that it may take
    Compiling the plugin took more memory than allowed, and was stopped. It is compiled in a process of its own, so that nothing else suffers.
    Make the component smaller or split huge functions, or raise `compile_memory` in [plugins].
    "#);
    // What is refused is refused in the same words, and the code of an honest one is kept and used.
    let cut = component(&["wasi:io/poll@0.2.6"], &[])[..20].to_vec();
    let error = poor.load(&Source::Bytes("cut".into(), cut)).unwrap_err().to_string();
    assert!(error.contains("does not compile: failed to parse WebAssembly module"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("compiled");
    let stock = Source::Stock("contact-to-person".into());
    for kept in [false, true] {
        for start in [Engine::new, Engine::metered] {
            let engine = start(Some(&path), plugin_support::patient()).unwrap();
            let (facts, plugin) = engine.inspect(&stock);
            assert_eq!(facts.compile_us.is_none(), kept);
            let bench = Bench::of(plugin.unwrap());
            let mapped = bench.map(json!({}), CONTACTS).unwrap();
            assert_eq!(
                mapped.outcomes,
                Bench::stock("contact-to-person").map(json!({}), CONTACTS).unwrap().outcomes
            );
        }
    }
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 2);
}

/// The first twelve digits of a bomb's digest, as messages show it.
fn digest(nonce: u8) -> String {
    let bomb = Source::Bytes("bomb".into(), plugin_support::compile_bomb(nonce));
    kilofold::plugin::digest(&bomb).unwrap()[..12].to_owned()
}

#[test]
fn many_threads_share_few_slots() {
    let limits = Limits { concurrency: 2, ..Limits::default() };
    let bench = Bench::new(engine(limits), Source::Stock("contact-to-person".into()));
    let first = bench.map(json!({}), CONTACTS).unwrap().outcomes;
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(bench.map(json!({}), CONTACTS).unwrap().outcomes, first);
                }
            });
        }
    });
}

#[test]
fn every_fault_is_explained() {
    for code in ["panic", "timeout", "memory", "trap", "exit", "lookup-limit", "invalid-output"] {
        let explanation = explain(&format!("plugin.{code}")).unwrap();
        assert!(explanation.meaning.ends_with('.') && !explanation.cure.is_empty());
    }
    assert!(explain("plugin.nonsense").is_none());
}

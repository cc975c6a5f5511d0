//! What users see of a hostile plugin. After each harm the host is up, and the next good batch is mapped.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod plugin_support;

use kilofold::model::Outcome;
use kilofold::plugin::{Limits, Mapped, Source};
use plugin_support::{Bench, batch, shown};
use serde_json::{Value, json};

const FIELDS: [&str; 2] = ["Id", "Name"];

fn records(count: usize, marked: &[usize]) -> String {
    let record = |i: usize| {
        let name = if marked.contains(&i) { "EVIL" } else { "Ann" };
        json!({"Id": format!("0034C00000Va{i:03}"), "Name": format!("{name} {i}")})
    };
    Value::Array((0..count).map(record).collect()).to_string()
}

fn harm(bench: &Bench, mode: &str, records: &str) -> String {
    let text = match bench.settings(json!({ "mode": mode })) {
        Err(problems) => format!("settings: {}", problems.join("; ")),
        Ok(settings) => match bench.map_batch(&settings, &batch(records, &FIELDS)) {
            Ok(Mapped { outcomes, logs, logs_dropped, traps, .. }) => {
                let mut text = shown(&outcomes);
                for line in logs.iter().take(2) {
                    text += &format!("log {:?}: {}\n", line.level, line.message);
                }
                text + &format!(
                    "traps {traps}, log lines {} and {logs_dropped} dropped",
                    logs.len()
                )
            }
            Err(error) => {
                assert!(error.explanation().is_some(), "{}", error.code());
                format!("{}: {error}", error.code())
            }
        },
    };
    let good = bench.map_fields(json!({}), &self::records(2, &[]), &FIELDS).unwrap();
    assert_eq!((good.traps, good.outcomes.len()), (0, 2));
    assert!(good.outcomes.iter().all(|outcome| matches!(outcome, Outcome::Mapped(_))));
    // The digest changes with the plugin.
    let digest = &bench.plugin.note().digest[..12];
    format!("== {mode}\n{}", plugin_support::without_lines(&text.replace(digest, "DIGEST")))
}

#[test]
fn harm_to_every_record_stops_the_run() {
    let bench = Bench::evil(Limits { traps: 2, ..Limits::default() });
    let modes = [
        "refuse-settings",
        "memory",
        "memory-grow",
        "stack",
        "panic",
        "panic-huge",
        "abort",
        "exit",
        "last-words",
        "log-huge",
        "lookup-flood",
        "result-huge",
        "result-many-rows",
        "result-many-cells",
        "result-amplified",
    ];
    let shown = modes.map(|mode| harm(&bench, mode, &records(4, &[])));
    insta::assert_snapshot!(shown.join("\n"), @r#"
    == refuse-settings
    settings: 'mode' not this one�[2J<script>; is not accepted
    == memory
    plugin.too-many-traps: plugin kilofold-evil (DIGEST) of sync Contact broke on 3 of 4 records, which is more than the limit of 2; the last: the plugin wanted more than its 64 MiB of memory
    == memory-grow
    plugin.too-many-traps: plugin kilofold-evil (DIGEST) of sync Contact broke on 3 of 4 records, which is more than the limit of 2; the last: the plugin wanted more than its 64 MiB of memory
    == stack
    plugin.too-many-traps: plugin kilofold-evil (DIGEST) of sync Contact broke on 3 of 4 records, which is more than the limit of 2; the last: the plugin broke off: out of bounds memory access, in kilofold_evil::harm::dig < kilofold_evil::harm::dig < kilofold_evil::harm::dig < kilofold_evil::harm::dig
    == panic
    plugin.too-many-traps: plugin kilofold-evil (DIGEST) of sync Contact broke on 3 of 4 records, which is more than the limit of 2; the last: the plugin panicked: thread '<unnamed>' (1) panicked at plugins/evil/src/harm.rs:LINE: told to panic, with "quotes", 1 records and �[31mcolour
    == panic-huge
    plugin.too-many-traps: plugin kilofold-evil (DIGEST) of sync Contact broke on 3 of 4 records, which is more than the limit of 2; the last: the plugin panicked: last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words last words l…
    == abort
    plugin.too-many-traps: plugin kilofold-evil (DIGEST) of sync Contact broke on 3 of 4 records, which is more than the limit of 2; the last: the plugin broke off: wasm `unreachable` instruction executed, in abort < std::sys::pal::wasi::helpers::abort_internal < std::process::abort < <kilofold_evil::plugin::Evil as kilofold_evil::bindings::exports::kilofold::mapping::table::Guest>::map_batch
    == exit
    plugin.too-many-traps: plugin kilofold-evil (DIGEST) of sync Contact broke on 3 of 4 records, which is more than the limit of 2; the last: the plugin asked to end the process
    == last-words
    plugin.too-many-traps: plugin kilofold-evil (DIGEST) of sync Contact broke on 3 of 4 records, which is more than the limit of 2; the last: the plugin panicked: not even a record
    == log-huge
    plugin.too-many-traps: plugin kilofold-evil (DIGEST) of sync Contact broke on 3 of 4 records, which is more than the limit of 2; the last: the plugin handed over more than the 16 MiB that may cross in one call
    == lookup-flood
    plugin.too-many-traps: plugin kilofold-evil (DIGEST) of sync Contact broke on 3 of 4 records, which is more than the limit of 2; the last: the plugin handed over more than the 16 MiB that may cross in one call
    == result-huge
    plugin.too-many-traps: plugin kilofold-evil (DIGEST) of sync Contact broke on 3 of 4 records, which is more than the limit of 2; the last: the plugin wanted more than its 64 MiB of memory
    == result-many-rows
    plugin.too-many-traps: plugin kilofold-evil (DIGEST) of sync Contact broke on 3 of 4 records, which is more than the limit of 2; the last: the plugin wanted more than its 64 MiB of memory
    == result-many-cells
    plugin.too-many-traps: plugin kilofold-evil (DIGEST) of sync Contact broke on 3 of 4 records, which is more than the limit of 2; the last: the plugin handed over more than the 16 MiB that may cross in one call
    == result-amplified
    failed plugin.invalid-output -: the plugin's answer is not valid: an output 'thing' has a body of more than 1 MiB
    failed plugin.invalid-output -: the plugin's answer is not valid: an output 'thing' has a body of more than 1 MiB
    failed plugin.invalid-output -: the plugin's answer is not valid: an output 'thing' has a body of more than 1 MiB
    failed plugin.invalid-output -: the plugin's answer is not valid: an output 'thing' has a body of more than 1 MiB
    traps 0, log lines 0 and 0 dropped
    "#);
}

#[test]
fn endless_loops_are_stopped() {
    let bench =
        Bench::evil(Limits { traps: 1, base_ms: 500, start_ms: 1_000, ..Limits::default() });
    let shown =
        ["spin", "spin-copy", "spin-configure"].map(|mode| harm(&bench, mode, &records(2, &[])));
    insta::assert_snapshot!(shown.join("\n"), @r#"
    == spin
    plugin.too-many-traps: plugin kilofold-evil (DIGEST) of sync Contact broke on 2 of 2 records, which is more than the limit of 1; the last: the plugin was stopped after 505 ms
    == spin-copy
    plugin.too-many-traps: plugin kilofold-evil (DIGEST) of sync Contact broke on 2 of 2 records, which is more than the limit of 1; the last: the plugin was stopped after 505 ms
    == spin-configure
    settings: plugin kilofold-evil (DIGEST) broke while it took its settings: the plugin was stopped after 1000 ms
    "#);
}

#[test]
fn guilty_records_fail_and_the_others_are_mapped() {
    let bench = Bench::evil(Limits::default());
    let modes = ["memory-on-marked", "panic-on-marked", "abort-on-marked"];
    let shown = modes.map(|mode| harm(&bench, mode, &records(5, &[1, 4])));
    insta::assert_snapshot!(shown.join("\n"), @r#"
    == memory-on-marked
    thing 0034C00000Va000: {"name":"Ann 0"}
    failed plugin.memory -: the plugin wanted more than its 64 MiB of memory
    thing 0034C00000Va002: {"name":"Ann 2"}
    thing 0034C00000Va003: {"name":"Ann 3"}
    failed plugin.memory -: the plugin wanted more than its 64 MiB of memory
    traps 2, log lines 0 and 0 dropped
    == panic-on-marked
    thing 0034C00000Va000: {"name":"Ann 0"}
    failed plugin.panic -: the plugin panicked: record 0 is marked at src/harm.rs
    thing 0034C00000Va002: {"name":"Ann 2"}
    thing 0034C00000Va003: {"name":"Ann 3"}
    failed plugin.panic -: the plugin panicked: record 0 is marked at src/harm.rs
    traps 2, log lines 0 and 0 dropped
    == abort-on-marked
    thing 0034C00000Va000: {"name":"Ann 0"}
    failed plugin.trap -: the plugin broke off: wasm `unreachable` instruction executed, in abort < std::sys::pal::wasi::helpers::abort_internal < std::process::abort < <kilofold_evil::plugin::Evil as kilofold_evil::bindings::exports::kilofold::mapping::table::Guest>::map_batch
    thing 0034C00000Va002: {"name":"Ann 2"}
    thing 0034C00000Va003: {"name":"Ann 3"}
    failed plugin.trap -: the plugin broke off: wasm `unreachable` instruction executed, in abort < std::sys::pal::wasi::helpers::abort_internal < std::process::abort < <kilofold_evil::plugin::Evil as kilofold_evil::bindings::exports::kilofold::mapping::table::Guest>::map_batch
    traps 2, log lines 0 and 0 dropped
    "#);
}

#[test]
fn one_record_in_a_thousand_costs_one_record() {
    let bench = Bench::evil(Limits::default());
    for mode in ["abort-on-marked", "panic-on-marked", "memory-on-marked"] {
        let settings = bench.settings(json!({ "mode": mode })).unwrap();
        let mapped = bench.map_batch(&settings, &batch(&records(1000, &[617]), &FIELDS)).unwrap();
        assert_eq!(mapped.traps, 1);
        for (i, outcome) in mapped.outcomes.iter().enumerate() {
            match outcome {
                Outcome::Failed(_) => assert_eq!(i, 617, "{mode}"),
                Outcome::Mapped(outputs) => {
                    assert!(outputs[0].body.contains(&format!("Ann {i}\"")))
                }
                Outcome::Skipped(_) => panic!("{mode}: {i} is skipped"),
            }
        }
    }
}

#[test]
fn a_record_that_hangs_costs_one_record() {
    let bench = Bench::evil(Limits { base_ms: 400, per_record_us: 1_000, ..Limits::default() });
    let settings = bench.settings(json!({ "mode": "spin-on-marked" })).unwrap();
    let mapped = bench.map_batch(&settings, &batch(&records(16, &[9]), &FIELDS)).unwrap();
    let Outcome::Failed(rejection) = &mapped.outcomes[9] else { panic!("{mapped:?}") };
    insta::assert_snapshot!(format!("{}: {}", rejection.code, rejection.message), @r#"
    plugin.timeout: the plugin was stopped after 401 ms
    "#);
}

#[test]
fn lies_never_reach_the_store() {
    let bench = Bench::evil(Limits::default());
    let modes = [
        "bad-index",
        "bad-order",
        "bad-repeat",
        "bad-mixed",
        "bad-kind",
        "bad-cell-count",
        "bad-cells-missing",
        "bad-cells-extra",
        "bad-cell-bounds",
        "bad-batch-bounds",
        "bad-cell-type",
        "bad-utf8",
        "bad-char-boundary",
        "bad-number",
        "bad-json",
        "empty-key",
        "null-key",
        "number-key",
        "huge-key",
        "same-key",
        "missing-records",
        "no-records",
    ];
    let shown = modes.map(|mode| harm(&bench, mode, &records(2, &[])));
    insta::assert_snapshot!(shown.join("\n"), @r#"
    == bad-index
    failed plugin.invalid-output -: the plugin's answer is not valid: it is about record 4294967295 of 1, from 0
    failed plugin.invalid-output -: the plugin's answer is not valid: it is about record 4294967295 of 1, from 0
    traps 2, log lines 0 and 0 dropped
    == bad-order
    thing 0034C00000Va000: {"name":"Ann 0"}
    thing 0034C00000Va001: {"name":"Ann 1"}
    traps 0, log lines 0 and 0 dropped
    == bad-repeat
    thing 0034C00000Va000: {"name":"Ann 0"}
    thing 0034C00000Va001: {"name":"Ann 1"}
    failed plugin.invalid-output -: the plugin's answer is not valid: it gave no answer for this record
    traps 0, log lines 0 and 0 dropped
    == bad-mixed
    thing 0034C00000Va000: {"name":"Ann 0"}
    failed plugin.invalid-output -: the plugin's answer is not valid: it gave more than one verdict for this record
    traps 0, log lines 0 and 0 dropped
    == bad-kind
    thing 0034C00000Va000: {"name":"Ann 0"}
    failed plugin.invalid-output -: the plugin's answer is not valid: it has an output of kind 7 (from 0), which is not declared
    traps 0, log lines 0 and 0 dropped
    == bad-cell-count
    thing 0034C00000Va000: {"name":"Ann 0"}
    failed plugin.invalid-output -: the plugin's answer is not valid: an output 'thing' has 3 cells instead of 2, for the key and the declared fields
    traps 0, log lines 0 and 0 dropped
    == bad-cells-missing
    failed plugin.invalid-output -: the plugin's answer is not valid: record 0 has more cells than there are
    failed plugin.invalid-output -: the plugin's answer is not valid: record 0 has more cells than there are
    traps 2, log lines 0 and 0 dropped
    == bad-cells-extra
    failed plugin.invalid-output -: the plugin's answer is not valid: cells that belong to no row: 1
    failed plugin.invalid-output -: the plugin's answer is not valid: cells that belong to no row: 1
    traps 2, log lines 0 and 0 dropped
    == bad-cell-bounds
    thing 0034C00000Va000: {"name":"Ann 0"}
    failed plugin.invalid-output -: the plugin's answer is not valid: field 'name' of 'thing': a cell at 40 of length 1 is not within its text, or cuts a character
    traps 0, log lines 0 and 0 dropped
    == bad-batch-bounds
    thing 0034C00000Va000: {"name":"Ann 0"}
    failed plugin.invalid-output -: the plugin's answer is not valid: field 'name' of 'thing': a cell at 40 of length 1 is not within its text, or cuts a character
    traps 0, log lines 0 and 0 dropped
    == bad-cell-type
    thing 0034C00000Va000: {"name":"Ann 0"}
    failed plugin.invalid-output -: the plugin's answer is not valid: field 'name' of 'thing': a cell has the unknown type 7
    traps 0, log lines 0 and 0 dropped
    == bad-utf8
    failed plugin.invalid-output -: the plugin's answer is not valid: invalid utf-8 sequence of 1 bytes from index 20
    failed plugin.invalid-output -: the plugin's answer is not valid: invalid utf-8 sequence of 1 bytes from index 20
    traps 2, log lines 0 and 0 dropped
    == bad-char-boundary
    thing 0034C00000Va000: {"name":"Ann 0"}
    failed plugin.invalid-output -: the plugin's answer is not valid: field 'name' of 'thing': a cell at 41 of length 1 is not within its text, or cuts a character
    traps 0, log lines 0 and 0 dropped
    == bad-number
    thing 0034C00000Va000: {"name":"Ann 0"}
    failed plugin.invalid-output -: the plugin's answer is not valid: field 'name' of 'thing': '12abc' is no number
    traps 0, log lines 0 and 0 dropped
    == bad-json
    thing 0034C00000Va000: {"name":"Ann 0"}
    failed plugin.invalid-output -: the plugin's answer is not valid: field 'name' of 'thing': '{"a":' is not JSON
    traps 0, log lines 0 and 0 dropped
    == empty-key
    thing 0034C00000Va000: {"name":"Ann 0"}
    failed plugin.invalid-output -: the plugin's answer is not valid: an output 'thing' has an empty key
    traps 0, log lines 0 and 0 dropped
    == null-key
    thing 0034C00000Va000: {"name":"Ann 0"}
    failed plugin.invalid-output -: the plugin's answer is not valid: an output 'thing' has a key that is no text
    traps 0, log lines 0 and 0 dropped
    == number-key
    thing 0034C00000Va000: {"name":"Ann 0"}
    failed plugin.invalid-output -: the plugin's answer is not valid: an output 'thing' has a key that is no text
    traps 0, log lines 0 and 0 dropped
    == huge-key
    thing 0034C00000Va000: {"name":"Ann 0"}
    failed plugin.invalid-output -: the plugin's answer is not valid: an output 'thing' has a key of more than 512 bytes
    traps 0, log lines 0 and 0 dropped
    == same-key
    thing 0034C00000Va000: {"name":"Ann 0"}
    thing 0034C00000Va000: {"name":"Ann 1"}
    traps 0, log lines 0 and 0 dropped
    == missing-records
    thing 0034C00000Va000: {"name":"Ann 0"}
    failed plugin.invalid-output -: the plugin's answer is not valid: it gave no answer for this record
    traps 0, log lines 0 and 0 dropped
    == no-records
    failed plugin.invalid-output -: the plugin's answer is not valid: it gave no answer for this record
    failed plugin.invalid-output -: the plugin's answer is not valid: it gave no answer for this record
    traps 0, log lines 0 and 0 dropped
    "#);
}

/// The host writes a call's arguments where the plugin's allocator says.
#[test]
fn an_allocator_that_lies_is_found_out() {
    let bench = Bench::evil(Limits { traps: 1, ..Limits::default() });
    let shown = ["realloc-outside", "realloc-odd"].map(|mode| harm(&bench, mode, &records(2, &[])));
    insta::assert_snapshot!(shown.join("\n"), @r#"
    == realloc-outside
    plugin.too-many-traps: plugin kilofold-evil (DIGEST) of sync Contact broke on 2 of 2 records, which is more than the limit of 1; the last: the plugin's answer is not valid: realloc return: beyond end of memory
    == realloc-odd
    plugin.too-many-traps: plugin kilofold-evil (DIGEST) of sync Contact broke on 2 of 2 records, which is more than the limit of 1; the last: the plugin's answer is not valid: realloc return: result not aligned
    "#);
}

/// What can be done before a batch: while a plugin is started, and while it says what it is.
#[test]
fn harm_before_the_first_batch_is_told_and_borne() {
    let limits = Limits { start_ms: 500, ..Limits::default() };
    let engine = plugin_support::engine(limits.clone());
    let honest = std::fs::read(env!("KILOFOLD_EVIL_PLUGIN")).unwrap();
    let described = |how: &[u8; 6]| {
        let mut bytes = honest.clone();
        let word = b"describe:honest";
        let at = bytes.windows(word.len()).position(|part| part == word).unwrap();
        bytes[at + 9..at + 15].copy_from_slice(how);
        bytes
    };
    let cases = [
        ("describe spins", described(b"spin..")),
        ("describe panics", described(b"panic.")),
        ("describe fails", described(b"fails.")),
        ("start function spins", plugin_support::with_start_loop(&honest)),
        ("a hundred instances", plugin_support::with_instances(&honest, 100)),
    ];
    let shown = cases.map(|(what, bytes)| {
        let error = engine.load(&Source::Bytes("evil".into(), bytes.clone())).unwrap_err();
        let (code, known) = (error.code(), error.explanation().unwrap());
        assert!(!known.cure.is_empty());
        let digest = kilofold::plugin::digest(&Source::Bytes("evil".into(), bytes)).unwrap();
        let text = error.to_string().replace(&digest[..12], "DIGEST");
        format!("== {what}\n{code}: {}", plugin_support::without_lines(&text))
    });
    insta::assert_snapshot!(shown.join("\n"), @r#"
    == describe spins
    plugin.timeout: plugin evil (DIGEST) broke while it described itself: the plugin was stopped after 500 ms
    == describe panics
    plugin.panic: plugin evil (DIGEST) broke while it described itself: the plugin panicked: thread '<unnamed>' (1) panicked at plugins/evil/src/harm.rs:LINE: told to panic while it describes itself
    == describe fails
    plugin.description: plugin evil (DIGEST) describes itself wrongly: this plugin will not say what it is�[31m�
    == start function spins
    plugin.timeout: plugin evil (DIGEST) broke while it started: the plugin was stopped after 500 ms
    == a hundred instances
    plugin.compile: plugin evil (DIGEST) does not compile: The component transitively contains 103 core module instances, which exceeds the configured maximum of 64 in the pooling allocator
    "#);
    // The host is up: the honest one maps.
    let bench = Bench::new(engine, Source::Bytes("evil".into(), honest));
    let good = bench.map_fields(json!({}), &records(2, &[]), &FIELDS).unwrap();
    assert!(good.outcomes.iter().all(|outcome| matches!(outcome, Outcome::Mapped(_))));
}

/// Every situation in which a plugin goes wrong has a code, and `kilofold explain` knows it.
#[test]
fn every_way_to_go_wrong_is_explained() {
    let codes = [
        "not-component",
        "core-module",
        "precompiled-refused",
        "api-version",
        "import-denied",
        "api-mismatch",
        "memory-start",
        "timeout",
        "panic",
        "memory",
        "result-too-large",
        "exit",
        "trap",
        "compile",
        "compile-timeout",
        "compile-memory",
        "component-too-large",
    ];
    for code in codes {
        let code = format!("plugin.{code}");
        let known = kilofold::error::explain(&code).unwrap_or_else(|| panic!("{code}"));
        assert!(known.meaning.ends_with('.') && !known.cure.is_empty(), "{code}");
    }
}

#[test]
fn logs_are_bounded_and_cannot_forge_lines() {
    let bench = Bench::evil(Limits { log_lines: 5, ..Limits::default() });
    let shown = ["log-flood", "log-escapes"].map(|mode| harm(&bench, mode, &records(1, &[])));
    insta::assert_snapshot!(shown.join("\n"), @r#"
    == log-flood
    thing 0034C00000Va000: {"name":"Ann 0"}
    log Info: line 0
    log Info: line 1
    traps 0, log lines 5 and 999995 dropped
    == log-escapes
    thing 0034C00000Va000: {"name":"Ann 0"}
    log Warn: �]0;owned��[2J  2026 ERROR forged line�
    traps 0, log lines 1 and 0 dropped
    "#);
}

/// Whatever a plugin tries, the same batch is mapped in the same way: on every instance, by every engine, at any time.
#[test]
fn nothing_tells_one_time_from_another() {
    let first = Bench::evil(Limits::default());
    let seen = [&first, &first, &Bench::evil(Limits::default())]
        .map(|bench| harm(bench, "unsteady", &records(2, &[])));
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    // Two records of a batch may differ, but the clock stands still at the moment when the page was read.
    assert_eq!(seen[0].matches("at 1709208000000, slept 0ns").count(), 2, "{}", seen[0]);
    assert_eq!(seen[0].matches("0 variables, 0 arguments, 0 typed").count(), 2, "{}", seen[0]);
}

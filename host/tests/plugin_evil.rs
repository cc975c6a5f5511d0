//! What users see of a hostile plugin. After each harm the host is up, and the next good batch is mapped.

mod plugin_support;

use kilofold::model::Outcome;
use kilofold::plugin::{Limits, Mapped};
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
    format!("== {mode}\n{}", text.replace(digest, "DIGEST"))
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
    insta::assert_snapshot!(shown.join("\n"), @"");
}

#[test]
fn endless_loops_are_stopped() {
    let bench = Bench::evil(Limits { traps: 1, base_ms: 30, start_ms: 200, ..Limits::default() });
    let shown =
        ["spin", "spin-copy", "spin-configure"].map(|mode| harm(&bench, mode, &records(2, &[])));
    insta::assert_snapshot!(shown.join("\n"), @"");
}

#[test]
fn guilty_records_fail_and_the_others_are_mapped() {
    let bench = Bench::evil(Limits::default());
    let modes = ["memory-on-marked", "panic-on-marked", "abort-on-marked"];
    let shown = modes.map(|mode| harm(&bench, mode, &records(5, &[1, 4])));
    insta::assert_snapshot!(shown.join("\n"), @"");
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
    let bench = Bench::evil(Limits { base_ms: 50, per_record_us: 2_000, ..Limits::default() });
    let settings = bench.settings(json!({ "mode": "spin-on-marked" })).unwrap();
    let mapped = bench.map_batch(&settings, &batch(&records(64, &[9]), &FIELDS)).unwrap();
    let Outcome::Failed(rejection) = &mapped.outcomes[9] else { panic!("{mapped:?}") };
    insta::assert_snapshot!(format!("{}: {}", rejection.code, rejection.message), @"");
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
    insta::assert_snapshot!(shown.join("\n"), @"");
}

#[test]
fn logs_are_bounded_and_cannot_forge_lines() {
    let bench = Bench::evil(Limits { log_lines: 5, ..Limits::default() });
    let shown = ["log-flood", "log-escapes"].map(|mode| harm(&bench, mode, &records(1, &[])));
    insta::assert_snapshot!(shown.join("\n"), @"");
}

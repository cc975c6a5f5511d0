//! What `kilofold plugin test` shows of cases that pass, differ, are new, cost too much or break.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

struct Said {
    out: String,
    err: String,
    code: i32,
}

fn run(folder: &Path, arguments: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_kilofold"))
        .args(["plugin", "test"])
        .args(arguments)
        .current_dir(folder)
        .env_remove("KILOFOLD_CONFIG")
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .output()
        .unwrap();
    Said {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap(),
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A configuration whose limits no honest plugin meets, however busy the machine is, and these lines under `[plugins]`.
fn configure(folder: &Path, lines: &str) {
    let patient = if lines.contains("time =") { "" } else { "time = \"60s\"\n" };
    let text = format!(
        "[org]\nlogin = \"sandbox\"\n[[connection]]\nclient_id = \"x\"\n[plugins]\nstart_time = \"60s\"\n\
         compile_time = \"10m\"\n{patient}{lines}"
    );
    write(folder, "kilofold.toml", &text);
}

/// The text without what differs from build to build and from run to run: digests, fuel, times.
fn masked(text: &str) -> String {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            // case, verdict (one or two words), records, fuel, a record, memory, unit, time, ms
            [.., records, _, _, memory, unit, _, "ms"] => {
                let verdict = &words[..words.len() - 7];
                format!("{} records {records} memory {memory} {unit}", verdict.join(" "))
            }
            [name, version, digest] if digest.len() == 14 && digest.starts_with('(') => {
                format!("{name} {version} (DIGEST)")
            }
            [_, "it", "took", _, "fuel,", "over", most] => format!("it took FUEL, over {most}"),
            _ => line.to_owned(),
        }
    };
    // The heads stand over columns that are as wide as what is masked.
    let lines = text.lines().filter(|line| !line.starts_with("case ") && !line.starts_with('─'));
    lines.map(line).collect::<Vec<_>>().join("\n")
}

const RECORD: &str = r#"{"attributes":{"type":"Invoice__c"},"Id":"a004C00000VaYfKQAV","Name":"Ann","Amount__c":12.50}"#;

#[test]
fn shows_how_cases_went() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mapped = r#"[{"mapped":[{"key":"a004C00000VaYfKQAV","kind":"record","fields":{"Amount__c":12.50,"Name":"Ann","Id":"a004C00000VaYfKQAV"}}]}]"#;
    write(folder, "cases/right.input.json", &format!("[{RECORD}]"));
    write(folder, "cases/right.expected.json", mapped);
    write(folder, "cases/wrong.input.json", RECORD);
    write(folder, "cases/wrong.expected.json", &mapped.replace("12.50", "12.5"));
    write(
        folder,
        "cases/kind.input.json",
        &format!(r#"{{"records":[{RECORD}],"settings":{{"kind":"animal"}}}}"#),
    );
    write(
        folder,
        "cases/dear.input.json",
        &format!(r#"{{"records":[{RECORD}],"limits":{{"fuel":10}}}}"#),
    );
    write(
        folder,
        "cases/fat.input.json",
        &format!(r#"{{"records":[{RECORD}],"limits":{{"memory":"64 KiB"}}}}"#),
    );
    write(folder, "cases/new.input.json", &format!("[{}]", RECORD.replace("12.50", "null")));
    configure(folder, "");
    let said = run(folder, &["--plugin", "passthrough"]);
    assert_eq!((said.code, said.err.as_str()), (1, ""));
    insta::assert_snapshot!(masked(&said.out));

    // What is written is what passes, and fuel is the same each time.
    let fuel = |said: &Said| -> Vec<u64> {
        let report: Value = serde_json::from_str(&said.out).unwrap();
        let cases = report["cases"].as_array().unwrap();
        cases.iter().map(|case| case["fuel"].as_u64().unwrap()).collect()
    };
    let filter = ["--plugin", "passthrough", "--filter", "new", "--filter", "right", "--json"];
    let updated = run(folder, &[&filter[..], &["--update"]].concat());
    let again = run(folder, &filter);
    assert_eq!((updated.code, again.code), (0, 0), "{} {}", updated.out, again.out);
    assert_eq!(fuel(&updated), fuel(&again));
    assert!(fuel(&again).iter().all(|fuel| *fuel > 100));
    let written = std::fs::read_to_string(folder.join("cases/new.expected.json")).unwrap();
    assert!(written.contains("\"Amount__c\": null") && written.ends_with("]\n"), "{written}");
    let right = std::fs::read_to_string(folder.join("cases/right.expected.json")).unwrap();
    assert_eq!(right, mapped, "what passes is left as it is");
}

#[test]
fn shows_what_a_plugin_that_breaks_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let case = |mode: &str| {
        let records =
            [RECORD.to_owned(), RECORD.replace("Ann", "EVIL").replace("VaYfKQAV", "VaYfLQAV")];
        format!(r#"{{"records":[{}],"settings":{{"mode":"{mode}"}}}}"#, records.join(","))
    };
    write(folder, "panics.input.json", &case("panic-on-marked"));
    write(folder, "says.input.json", &case("log-escapes"));
    configure(folder, "pause_after = 1\n");
    let said = run(folder, &["--plugin", env!("KILOFOLD_EVIL_PLUGIN")]);
    assert_eq!(said.code, 1);
    // How much memory it has and where it lies is its build's affair.
    let digest = said.out.split(['(', ')']).nth(1).unwrap();
    insta::assert_snapshot!(
        masked(&said.out.replace(digest, "012345678901")).replace("012345678901", "DIGEST")
    );
}

#[test]
fn stops_a_plugin_that_spins() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let case = format!(r#"{{"records":[{RECORD}],"settings":{{"mode":"spin"}}}}"#);
    write(folder, "spins.input.json", &case);
    configure(folder, "pause_after = 0\ntime = \"100ms\"\n");
    let said = run(folder, &["--plugin", env!("KILOFOLD_EVIL_PLUGIN")]);
    assert_eq!(said.code, 1);
    let told = "the last: the plugin was stopped after 105 ms [plugin.too-many-traps]";
    assert!(said.out.contains(told), "{}", said.out);
}

#[test]
fn says_what_is_wrong_with_a_case_or_a_project() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut shown = Vec::new();
    let mut say = |said: Said| {
        assert_eq!(said.code, 1);
        shown.push(format!("{}{}", said.out, said.err));
    };
    say(run(folder, &[]));
    write(folder, "a.input.json", "[{]");
    say(run(folder, &["--plugin", "passthrough"]));
    write(folder, "a.input.json", r#"[{"Name":"no id"}]"#);
    say(run(folder, &["--plugin", "passthrough"]));
    say(run(folder, &[]));
    say(run(folder, &["--plugin", "missing.wasm"]));
    let shown = shown.join("\n");
    let shown: Vec<String> = shown
        .lines()
        .map(|line| {
            if line.starts_with("passthrough 0") { "passthrough".to_owned() } else { masked(line) }
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

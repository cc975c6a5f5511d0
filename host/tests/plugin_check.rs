//! What `kilofold plugin check` shows, and how it ends.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod plugin_support;

use std::path::Path;
use std::process::Command;

use plugin_support::component;

/// Standard output, what is said of an error, and the exit code; what differs from machine to machine is masked.
fn check(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_kilofold"))
        .args(["plugin", "check"])
        .args(arguments)
        .current_dir(folder)
        .env_remove("KILOFOLD_CONFIG")
        .output()
        .unwrap();
    let text = format!(
        "{}{}exit {}",
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
        output.status.code().unwrap()
    );
    let line = |line: &str| match line.split_whitespace().next() {
        Some("sha256") => "sha256     DIGEST".to_owned(),
        Some("size") => format!("size       SIZE{}", &line[line.find(" of at most").unwrap()..]),
        Some("compiled") => "compiled   in TIME of at most 2m00s".to_owned(),
        Some("starts") => "starts     in TIME".to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn shows_what_a_plugin_is_and_may_use() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(check(folder.path(), &["passthrough"]));
}

#[test]
fn says_why_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let wasi = ["kilofold:mapping/host@1.0.0", "wasi:cli/exit@0.2.0", "wasi:sockets/tcp@0.2.0"];
    let files = [
        ("core.wasm", b"\0asm\x01\0\0\0".to_vec()),
        ("text.wasm", b"function map() {}".to_vec()),
        ("sockets.wasm", component(&wasi, &[])),
        ("next.wasm", component(&[], &["kilofold:mapping/table@2.0.0"])),
    ];
    let shown = files.map(|(name, bytes)| {
        std::fs::write(folder.path().join(name), bytes).unwrap();
        check(folder.path(), &[name])
    });
    insta::assert_snapshot!(plugin_support::without_digests(&shown.join("\n\n")));
}

#[test]
fn tells_programs_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let json = |name: &str| -> serde_json::Value {
        let shown = check(folder.path(), &[name, "--json"]);
        serde_json::from_str(shown.rsplit_once("\nexit").unwrap().0).unwrap()
    };
    let good = json("contact-to-person");
    assert_eq!((&good["sound"], &good["problem"]), (&true.into(), &().into()));
    assert_eq!(good["description"]["outputs"][0]["name"], "person");
    assert_eq!(good["limits"]["per-record-us"], 5000);
    assert!(good["compile-us"].as_u64().unwrap() > 0 && good["start-us"].is_u64());
    let bad = json("missing.wasm");
    assert_eq!(
        (&bad["sound"], &bad["problem"]["code"]),
        (&false.into(), &"plugin.unreadable".into())
    );
    assert!(bad["problem"]["cure"].is_string());
}

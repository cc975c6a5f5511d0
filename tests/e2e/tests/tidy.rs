//! Keeps the edges between the rooms, and the order of the tree.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// Every Rust file below a folder: its path from the root, and its text.
fn sources(below: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(below), &mut found);
    found.sort();
    let place = |path: &Path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    found.iter().map(|path| (place(path), std::fs::read_to_string(path).unwrap())).collect()
}

/// Lines of code: no comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Whether the line names the crate (`name::`, `use name`), and not a word that merely has it inside.
fn names(line: &str, krate: &str) -> bool {
    line.match_indices(krate).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let rest = &line[at + krate.len()..];
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '"' || c == ':')
            && (rest.starts_with("::") || (line.contains("use ") && rest.starts_with([';', ' '])))
    })
}

#[test]
fn libraries_stay_in_their_rooms() {
    let edges: [(&str, &[&str]); 9] = [
        ("wasmtime", &["host/src/plugin/"]),
        ("sled", &["host/src/store/"]),
        // Calls of Salesforce want a pass of the gate; what is sent elsewhere has its own room, so that the two never mix.
        ("reqwest", &["host/src/salesforce/", "host/src/deliver/"]),
        ("oauth2", &["host/src/salesforce/"]),
        ("clap", &["host/src/cli/"]),
        ("opentelemetry", &["host/src/traces/"]),
        ("opentelemetry_http", &["host/src/traces/"]),
        ("opentelemetry_otlp", &["host/src/traces/"]),
        ("opentelemetry_sdk", &["host/src/traces/"]),
    ];
    let mut crossed = Vec::new();
    let mut used = BTreeSet::new();
    for (path, text) in sources("host/src") {
        for (number, line) in code(&text) {
            for (krate, rooms) in edges {
                if names(line, krate) {
                    used.insert(krate);
                    if !rooms.iter().any(|room| path.starts_with(room)) {
                        crossed.push(format!("{path}:{number}: {krate} belongs to {rooms:?}"));
                    }
                }
            }
        }
    }
    assert!(crossed.is_empty(), "{}", crossed.join("\n"));
    assert_eq!(used.len(), edges.len(), "an edge that guards nothing: only {used:?} are used");
}

#[test]
fn only_the_command_line_prints() {
    let mut found = Vec::new();
    for (path, text) in sources("host/src") {
        for (number, line) in code(&text) {
            let prints = ["println!", "eprintln!", "print!(", "io::stdout()", "io::stderr()"];
            let may = path.starts_with("host/src/cli/") || path.contains("/tests/");
            if !may && prints.iter().any(|word| line.contains(word)) {
                found.push(format!("{path}:{number}"));
            }
        }
    }
    assert!(found.is_empty(), "printing outside host/src/cli: {found:?}");
}

#[test]
fn files_are_of_readable_length() {
    let mut found = Vec::new();
    for folder in ["host/src", "plugins", "tests/org-sim/src", "tests/e2e", "tests/support"] {
        for (path, text) in sources(folder) {
            let lines = text.lines().count();
            if lines > 600 {
                found.push(format!("{path}: {lines} lines"));
            }
        }
    }
    assert!(found.is_empty(), "longer than 600 lines: {found:?}");
}

#[test]
fn nothing_is_left_undone() {
    // Spelled so that this file does not find itself.
    let words = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
    ];
    let mut found = Vec::new();
    for folder in ["host", "plugins", "tests"] {
        for (path, text) in sources(folder) {
            for (number, line) in (1..).zip(text.lines()) {
                if words.iter().any(|word| line.contains(word)) {
                    found.push(format!("{path}:{number}"));
                }
            }
        }
    }
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_top_level_is_fixed() {
    let known: BTreeSet<&str> = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "host",
        "plugins",
        "rust-toolchain.toml",
        "tests",
        "wit",
        // What a build leaves.
        "target",
    ]
    .into();
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name.starts_with('.') || known.contains(name.as_str()), "{name} is new at the top");
    }
}

/// The codes that the functions `code` of the host give, and those that failures and limits are made with.
#[test]
fn every_code_is_explained() {
    let mut unknown = BTreeSet::new();
    let mut seen = 0;
    for (path, text) in sources("host/src") {
        if path.ends_with("tests.rs") || path.contains("/tests/") {
            continue;
        }
        // Unit tests stand at the end of a file.
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let mut depth = 0;
        for (_, line) in code(text) {
            let gives = line.contains("fn code(&self) -> &'static str");
            if gives {
                depth = 1;
            } else if depth > 0 && (line == "    }" || line == "}") {
                depth = 0;
            }
            let made = ["Failure::new(\"", "code: \"", "wait(None, \"", "problem(\"", "\"limit."];
            if depth == 0 && !made.iter().any(|word| line.contains(word)) {
                continue;
            }
            for text in line.split('"').skip(1).step_by(2) {
                if is_code(text) {
                    seen += 1;
                    if kilofold::error::explain(text).is_none() {
                        unknown.insert(format!("{text} ({path})"));
                    }
                }
            }
        }
    }
    assert!(seen > 60, "only {seen} codes were found");
    assert!(unknown.is_empty(), "codes without an explanation: {unknown:?}");
}

/// `room.what-is-wrong`.
fn is_code(text: &str) -> bool {
    let word = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || "-_".contains(c))
    };
    text.split_once('.').is_some_and(|(room, what)| word(room) && word(what))
        && !["toml", "md", "rs", "wasm", "json", "com"].contains(&text.rsplit('.').next().unwrap())
}

//! What an author reads who makes a mistake: the compiler's words for every file of `mistakes/`, one snapshot a file.
//!
//! The compiler is called as it is, once a file, with the library that this test was built with: a second after it, all of
//! them are done, where a cargo of its own would build everything anew.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// The library, newest first: cargo has just built it, or left it because it is as its sources are.
fn library(folder: &Path) -> PathBuf {
    let found = std::fs::read_dir(folder).unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name()?.to_str()?;
        let ours = name.starts_with("libkilofold_plugin-") && name.ends_with(".rlib");
        ours.then(|| (modified(&path), path))
    });
    found.max().expect("the library lies beside this test").1
}

fn modified(path: &Path) -> SystemTime {
    path.metadata().and_then(|it| it.modified()).unwrap()
}

fn compile(name: &str) -> (bool, String) {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR"));
    let deps = std::env::current_exe().unwrap();
    let deps = deps.parent().unwrap();
    let file = format!("tests/mistakes/{name}.rs");
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.current_dir(sdk).args([
        "--edition=2024",
        "--crate-type=lib",
        "--emit=metadata",
        "-Adead_code",
    ]);
    // What `mapper!` asks of cargo.
    rustc.envs([
        ("CARGO_PKG_NAME", name),
        ("CARGO_PKG_VERSION", "0.1.0"),
        ("CARGO_PKG_DESCRIPTION", ""),
    ]);
    rustc.arg("-o").arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.rmeta")));
    rustc.arg("-L").arg(format!("dependency={}", deps.display()));
    rustc.arg("--extern").arg(format!("kilofold_plugin={}", library(deps).display()));
    let output = rustc.arg(&file).output().unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

/// Without what changes from machine to machine: places in the library and the list of all types that would do.
fn told(text: &str) -> String {
    let mut shown = Vec::new();
    let mut others = false;
    for line in text.lines() {
        let note = line.trim_start().starts_with("= ");
        if line.contains("the following other types implement trait") {
            others = true;
            continue;
        }
        others &= !note
            && !line.trim().is_empty()
            && !line.starts_with("note")
            && !line.trim_start().starts_with('|');
        if !others {
            shown.push(line);
        }
    }
    let text = shown.join("\n");
    // Notes that show the library's own code help no author.
    let blocks = text.split("\n\n").map(|block| {
        let end = block.find("\nnote: required by").or_else(|| block.find("\nhelp: the trait"));
        block[..end.unwrap_or(block.len())].trim_end()
    });
    blocks
        .filter(|block| !block.starts_with("For more information"))
        .collect::<Vec<_>>()
        .join("\n\n")
}

#[test]
fn mistakes_are_named() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            entry.unwrap().file_name().to_str()?.strip_suffix(".rs").map(str::to_owned)
        })
        .collect();
    names.sort();
    assert!(names.len() > 10);
    for name in names {
        let (compiles, words) = compile(&name);
        assert!(!compiles, "{name} compiles");
        insta::assert_snapshot!(name.as_str(), told(&words));
    }
}

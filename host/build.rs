//! Builds the stock plugins, so that the program carries them inside it.
//!
//! They are built by a cargo of their own into a folder of their own (`plugins` in the target folder), which the outer
//! cargo's locks do not cover, and which all profiles and clippy share.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

/// The built-in plugins.
const STOCK: [&str; 6] = [
    "account-to-object",
    "contact-to-person",
    "lead-to-person",
    "opportunity-to-object",
    "passthrough",
    "task-to-event",
];

/// Built beside them for the host's tests, because a build script cannot tell a test from a build.
const TESTS: [&str; 2] = ["kilofold-evil", "json-echo"];

fn main() {
    if let Err(error) = run() {
        // One line an error: cargo shows them in red.
        for line in error.to_string().lines() {
            println!("cargo::error={line}");
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env("CARGO_MANIFEST_DIR")?);
    let root = root.parent().ok_or("the host's folder has no parent")?;
    for watched in [".cargo", "plugins", "wit", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    check_target()?;
    let out = PathBuf::from(env("OUT_DIR")?);
    // OUT_DIR is TARGET/PROFILE/build/NAME-HASH/out.
    let target = out.ancestors().nth(4).ok_or("OUT_DIR is not where cargo puts it")?;
    let target = target.join("plugins");
    build(root, &target)?;
    let built = target.join(TARGET).join("plugin");
    let mut stock = String::from("/// Name and component of every built-in plugin.\n");
    stock.push_str("pub(super) static STOCK: &[(&str, &[u8])] = &[\n");
    for name in STOCK {
        let copy = copy(&built, name, &out)?;
        writeln!(stock, "    ({name:?}, include_bytes!({copy:?})),")?;
    }
    stock.push_str("];\n");
    write_if_changed(&out.join("stock.rs"), stock.as_bytes())?;
    write_if_changed(&out.join("sdks.rs"), sdks(root)?.as_bytes())?;
    for (variable, name) in ["KILOFOLD_EVIL_PLUGIN", "KILOFOLD_JSON_PLUGIN"].iter().zip(TESTS) {
        println!("cargo::rustc-env={variable}={}", copy(&built, name, &out)?.display());
    }
    Ok(())
}

/// The sources of the SDKs and the contract, for the projects that `kilofold plugin new` begins.
fn sdks(root: &Path) -> Result<String, Box<dyn Error>> {
    let mut files = Vec::new();
    for name in ["sdk", "sdk-derive", "sdk-py", "sdk-ts"] {
        walk(&root.join("plugins").join(name), name, &mut files)?;
    }
    walk(&root.join("wit"), "wit", &mut files)?;
    files.sort();
    let mut text = String::from("/// Path and text of every file of the SDKs.\n");
    text.push_str("pub(super) static SDKS: &[(&str, &str)] = &[\n");
    for (name, path) in files {
        writeln!(text, "    ({name:?}, include_str!({path:?})),")?;
    }
    text.push_str("];\n/// The workspace's manifest, from which theirs inherit.\n");
    writeln!(
        text,
        "pub(super) static WORKSPACE: &str = include_str!({:?});",
        root.join("Cargo.toml")
    )?;
    Ok(text)
}

/// Every file below a folder but tests and what builds leave: its name in the SDK, and its path.
fn walk(folder: &Path, name: &str, files: &mut Vec<(String, PathBuf)>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(own) = path.file_name().and_then(|own| own.to_str()) else { continue };
        let name = format!("{name}/{own}");
        match path.is_dir() {
            true if ["tests", "test", "target", "node_modules", "__pycache__", "build"]
                .contains(&own) => {}
            true => walk(&path, &name, files)?,
            false => files.push((name, path)),
        }
    }
    Ok(())
}

fn build(root: &Path, target: &Path) -> Result<(), Box<dyn Error>> {
    let mut cargo = Command::new(env("CARGO")?);
    cargo.current_dir(root).args(["build", "--quiet", "--locked", "--profile", "plugin"]);
    cargo.args(["--target", TARGET, "--target-dir"]).arg(target);
    for name in STOCK.iter().chain(&TESTS) {
        cargo.args(["--package", name]);
    }
    // What the outer cargo and its user set for the host is not meant for plugins: flags, clippy as the compiler,
    // incremental builds (which link-time optimisation refuses), the jobserver.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let inherited = text.starts_with("CARGO_PROFILE_")
            || text.starts_with("CARGO_BUILD_")
            || text.starts_with("CARGO_TARGET_")
            || text.starts_with("CARGO_CFG_")
            || text.starts_with("CARGO_FEATURE_")
            || text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST_");
        if inherited {
            cargo.env_remove(&name);
        }
    }
    for name in [
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_INCREMENTAL",
        "CARGO_MAKEFLAGS",
        "CLIPPY_ARGS",
        "MAKEFLAGS",
        "OUT_DIR",
        "RUSTC",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTFLAGS",
        "TARGET",
    ] {
        cargo.env_remove(name);
    }
    let output = cargo.output()?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("the stock plugins do not build:\n{errors}").into())
}

/// Whether the plugins' target is installed; without it the compiler's own words would be about a missing crate `std`.
fn check_target() -> Result<(), Box<dyn Error>> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output =
        Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output()?;
    let folder = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    Err(format!("the plugins need the target {TARGET}; run: rustup target add {TARGET}").into())
}

/// Takes a component out of the shared folder, where the next build may replace it.
fn copy(built: &Path, name: &str, out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let file = format!("{}.wasm", name.replace('-', "_"));
    let bytes = std::fs::read(built.join(&file)).map_err(|error| format!("{file}: {error}"))?;
    let copy = out.join(file);
    write_if_changed(&copy, &bytes)?;
    Ok(copy)
}

/// Leaves files with the same content alone, so that nothing is compiled again for them.
fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    Ok(std::fs::write(path, bytes)?)
}

fn env(name: &str) -> Result<String, Box<dyn Error>> {
    std::env::var(name).map_err(|error| format!("{name}: {error}").into())
}

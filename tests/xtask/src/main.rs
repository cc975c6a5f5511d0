//! The project's own commands: `cargo xtask demo`, `cargo xtask test` and `cargo xtask screenshots`.
#![expect(clippy::print_stderr, reason = "a command line tool tells what it does")]

use std::process::{Command, ExitCode};
use std::time::Instant;

const TARGET: &str = "wasm32-wasip2";
const USAGE: &str = "usage: cargo xtask demo [--stay] [further options of kilofold demo]
       cargo xtask test
       cargo xtask screenshots";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.split_first() {
        Some((command, rest)) if command == "demo" => demo(rest),
        Some((command, [])) if command == "test" => test(),
        Some((command, [])) if command == "screenshots" => screenshots(),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the plugins and the host, then shows the whole road against a simulated org.
fn demo(args: &[String]) -> Result<(), String> {
    add_target()?;
    // The build script of the host builds the stock plugins and puts them into the program. All is built of the whole
    // workspace, so that libraries have the features that they have in `test`, and are built once for both.
    step("build", &["build", "--release", "--workspace", "--bin", "kilofold"])?;
    let mut run_args = vec!["demo"];
    run_args.extend(args.iter().map(String::as_str));
    run(&built(&format!("kilofold{}", std::env::consts::EXE_SUFFIX))?, &run_args)
}

/// Everything that must hold before a change is taken. One profile for all, so that wasmtime is built once.
fn test() -> Result<(), String> {
    add_target()?;
    step("format", &["fmt", "--all", "--check"])?;
    let lints = ["--", "--deny", "warnings"];
    let clippy = ["clippy", "--release", "--workspace", "--all-targets"];
    step("lints", &[clippy.as_slice(), lints.as_slice()].concat())?;
    step("build", &["build", "--release", "--workspace", "--all-targets"])?;
    // All of them, so that one run tells all that fails.
    step("tests", &["test", "--release", "--workspace", "--no-fail-fast"])
}

/// Pictures of every page, in the target folder: both themes, and on a phone.
fn screenshots() -> Result<(), String> {
    add_target()?;
    step(
        "build",
        &["build", "--release", "--workspace", "--bin", "kilofold", "--example", "screenshots"],
    )?;
    run(&built(&format!("examples/screenshots{}", std::env::consts::EXE_SUFFIX))?, &[])?;
    eprintln!("xtask: they are in the folder 'screenshots' of the target folder");
    Ok(())
}

/// A program that cargo built into the folder that it built this one into.
fn built(name: &str) -> Result<String, String> {
    let own = std::env::current_exe()
        .map_err(|error| format!("the folder of built programs is not known: {error}"))?;
    Ok(own.with_file_name(name).to_string_lossy().into_owned())
}

/// Adds the plugins' target where it is missing; rustup is asked only then, so that this works offline.
fn add_target() -> Result<(), String> {
    let listed = Command::new("rustup").args(["target", "list", "--installed"]).output();
    let listed = listed
        .map_err(|error| format!("rustup cannot be started ({error}); install it from its site"))?;
    if String::from_utf8_lossy(&listed.stdout).lines().any(|line| line == TARGET) {
        return Ok(());
    }
    run("rustup", &["target", "add", TARGET])
}

fn step(name: &str, args: &[&str]) -> Result<(), String> {
    let begun = Instant::now();
    eprintln!("xtask: {name}: cargo {}", args.join(" "));
    cargo(args)?;
    eprintln!("xtask: {name}: {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

fn cargo(args: &[&str]) -> Result<(), String> {
    run(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()), args)
}

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let status = Command::new(program)
        .args(args)
        .status()
        .map_err(|error| format!("{program} cannot be started: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("'{program} {}' ended with {status}", args.join(" ")))
}

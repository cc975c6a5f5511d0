//! Schemathesis asks the API whatever its OpenAPI document allows, and much that it does not. It comes from Python's
//! package index into a folder of the build; where that cannot be, the test is skipped and the reason printed.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::Setup;

/// Pinned, so that a new release finds its new things in a change of its own.
const RELEASE: &str = "schemathesis==4.32.5";

/// Runs a command; why not, when it cannot be or fails.
fn run(command: &mut Command) -> Result<String, String> {
    let name = format!("{:?}", command.get_program());
    let done = command.output().map_err(|error| format!("{name}: {error}"))?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    if done.status.success() {
        return Ok(text);
    }
    let errors = String::from_utf8_lossy(&done.stderr).into_owned();
    let last = errors.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Err(format!("{name} failed: {last}"))
}

/// The program, installed when it is not yet.
fn schemathesis() -> Result<PathBuf, String> {
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let folder = target.join("tools/schemathesis");
    let program = folder.join("bin/st");
    let has = |program: &Path| run(Command::new(program).arg("--version")).is_ok();
    if !has(&program) {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        let pip = folder.join("bin/pip");
        run(Command::new(pip).args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            RELEASE,
        ]))?;
    }
    Ok(program)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_does_what_its_document_says() {
    let found = tokio::task::spawn_blocking(schemathesis).await.unwrap();
    let program = match found {
        Ok(program) => program,
        Err(reason) => {
            let text = format!("skipped: the API is not asked by schemathesis here: {reason}\n");
            std::io::stderr().write_all(text.as_bytes()).unwrap();
            return;
        }
    };
    let mut env =
        Setup::new(&[("Contact", 300)]).sync("Contact", "contact-to-person", "").open().await;
    env.run("Contact").await;
    env.close();
    let host = env.serve().await;
    let url = format!("http://127.0.0.1:{}/api/v1/openapi.json", env.listen);
    let folder = env.folder.path().to_owned();
    let asked = move || {
        Command::new(program)
            .args(["run", &url, "--no-color", "--workers", "1", "--max-examples", "4"])
            .args(["--seed", "1", "--request-timeout", "30", "--max-time", "30"])
            // It never ends by itself.
            .args(["--exclude-path", "/api/v1/events"])
            .env("SCHEMATHESIS_HOOKS", "hooks")
            .env("PYTHONPATH", env!("CARGO_MANIFEST_DIR"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(folder)
            .output()
            .unwrap()
    };
    let asked = tokio::task::spawn_blocking(asked).await.unwrap();
    let told = String::from_utf8_lossy(&asked.stdout);
    let errors = String::from_utf8_lossy(&asked.stderr);
    assert!(asked.status.success(), "{told}\n{errors}\n{}", host.errors());
    assert!(told.contains("generated"), "it asked nothing: {told}");
    host.terminate();
}

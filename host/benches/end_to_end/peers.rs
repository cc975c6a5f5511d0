//! The other clients: installed on demand beside the build, left out with a reason when they cannot be.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::child::{self, Sample};
use super::org::Org;
use super::{PAGE, Result, tell};

/// Their scripts and requirements.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/peers");

/// An installed client.
pub struct Peer {
    /// Its name.
    pub name: &'static str,
    interpreter: PathBuf,
    script: PathBuf,
}

/// What a script prints.
#[derive(Debug, Deserialize)]
struct Told {
    records: usize,
    seconds: f64,
}

/// Installs both, or says of each why not.
pub fn install(cache: &Path) -> [std::result::Result<Peer, String>; 2] {
    let cache = cache.join("peers");
    let why = |name: &str, error: Box<dyn std::error::Error>| format!("{name}: {error}");
    [
        jsforce(&cache).map_err(|error| why("jsforce", error)),
        simple_salesforce(&cache).map_err(|error| why("simple-salesforce", error)),
    ]
}

fn jsforce(cache: &Path) -> Result<Peer> {
    let home = cache.join("node");
    std::fs::create_dir_all(&home)?;
    // A script finds its packages in the folder that it lies in.
    for name in ["package.json", "jsforce_pull.mjs"] {
        std::fs::copy(Path::new(SCRIPTS).join(name), home.join(name))?;
    }
    if !home.join("node_modules/jsforce").exists() {
        tell("installing jsforce from npm");
        let options = ["--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund"];
        let mut install = Command::new("npm");
        install.current_dir(&home).arg("install").args(options);
        child::run(&mut install, &home.join("install.log"))?;
    }
    Ok(Peer { name: "jsforce", interpreter: "node".into(), script: home.join("jsforce_pull.mjs") })
}

fn simple_salesforce(cache: &Path) -> Result<Peer> {
    std::fs::create_dir_all(cache)?;
    let (home, log) = (cache.join("venv"), cache.join("venv.log"));
    let python = home.join("bin/python");
    let mut probe = Command::new(&python);
    if child::run(probe.args(["-c", "import simple_salesforce"]), &log).is_err() {
        tell("installing simple-salesforce from PyPI");
        child::run(Command::new("python3").args(["-m", "venv"]).arg(&home), &log)?;
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
        install.arg(Path::new(SCRIPTS).join("requirements.txt"));
        child::run(&mut install, &log)?;
    }
    Ok(Peer {
        name: "simple-salesforce",
        interpreter: python,
        script: Path::new(SCRIPTS).join("simple_salesforce_pull.py"),
    })
}

impl Peer {
    /// Pulls the query into a file of JSON lines.
    pub fn pull(&self, org: &Org, soql: &str, output: &Path) -> Result<Sample> {
        let mut command = Command::new(&self.interpreter);
        command.arg(&self.script).args([&org.about.url, &org.token, soql, &PAGE.to_string()]);
        let ended = child::run(command.arg(output), &output.with_extension("log"))?;
        let told: Told = serde_json::from_slice(&ended.output)?;
        Ok(Sample { records: told.records, seconds: told.seconds, ..ended.sample })
    }
}

//! `kilofold plugin new NAME`: a project that builds, with the object's real fields and a test case.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args as ClapArgs, ValueEnum};
use serde::Serialize;

use crate::app;
use crate::cli::out::Out;
use crate::cli::{Failure, Globals, sync};
use crate::clock::Clock;
use crate::error::Exit;
use crate::model::{Caller, ConnectionName};
use crate::plugin::scaffold::{File, Lang, Object, Project, check_name};
use crate::salesforce::Describe;

/// Begins a mapping: a project with the object's fields, a test case and the SDK. Overwrites nothing.
///
/// The fields are those of the org, for one API call, when a configuration is there; of a saved describe; or of the
/// standard object as every org has it.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The project's name, which is also that of its folder
    #[arg(value_name = "NAME")]
    name: String,
    /// The object that it maps, by its API name
    #[arg(long, value_name = "OBJECT")]
    object: String,
    /// The language that it is written in
    #[arg(long, value_name = "LANG", default_value = "rust")]
    lang: Language,
    /// A describe of the object as Salesforce answers it, saved in a file; the org is not asked
    #[arg(long, value_name = "FILE")]
    describe: Option<PathBuf>,
    /// The connection to ask [default: the first of the configuration]
    #[arg(long, value_name = "NAME", conflicts_with = "describe")]
    connection: Option<ConnectionName>,
    /// Asks nothing of Salesforce: the fields of the standard object
    #[arg(long, conflicts_with_all = ["describe", "connection"])]
    offline: bool,
    /// Reads every field at first, not only those that most mappings want
    #[arg(long)]
    all_fields: bool,
    /// The folder to make the project's folder in [default: this one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// Quickest to run, and the most checks before it does
    Rust,
    /// TypeScript, or JavaScript; needs Node.js
    Ts,
    /// Python
    Python,
}

impl From<Language> for Lang {
    fn from(language: Language) -> Self {
        match language {
            Language::Rust => Self::Rust,
            Language::Ts => Self::TypeScript,
            Language::Python => Self::Python,
        }
    }
}

#[derive(Serialize)]
struct Report {
    folder: PathBuf,
    object: String,
    fields_from: String,
    fields: usize,
    read: usize,
    files: Vec<String>,
    missing: Vec<String>,
    next: Vec<String>,
}

/// Writes the project.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    check_name(&args.name).map_err(|why| {
        Failure::new(
            "usage.plugin-name",
            format!("'{}' cannot be a plugin's name: {why}", args.name),
        )
    })?;
    let folder = args.dir.as_deref().unwrap_or(Path::new("")).join(&args.name);
    if folder.exists() {
        let what = format!("{} is there already", folder.display());
        return Err(Failure::new("usage.plugin-exists", what));
    }
    let (object, from) = object(args, globals).await?;
    let project = Project { name: args.name.clone(), lang: args.lang.into(), object };
    let files = project.files();
    for file in &files {
        write(&folder, file)?;
    }
    let missing = missing(args.lang);
    let mut next = vec![format!("cd {}", folder.display())];
    next.extend(project.commands().into_iter().map(str::to_owned));
    next.push(String::from("kilofold plugin test"));
    let report = Report {
        object: project.object.name.clone(),
        fields_from: from,
        fields: project.object.fields.len(),
        read: project.object.fields.iter().filter(|field| field.chosen).count(),
        files: files.iter().map(|file| file.path.clone()).collect(),
        folder,
        missing,
        next,
    };
    if out.json {
        out.value(&report)?;
    } else {
        print(&out, &report, args.lang)?;
    }
    Ok(Exit::Done)
}

fn print(out: &Out, report: &Report, lang: Language) -> Result<(), Failure> {
    let Report { folder, object, fields_from, fields, read, missing, next, .. } = report;
    out.line(&format!("Wrote {}.", folder.display()))?;
    out.pair("object", &format!("{object}: {fields} fields, {read} of them read at first"))?;
    out.pair("fields", fields_from)?;
    let mapping = match lang {
        Language::Rust => "src/lib.rs",
        Language::Ts => "src/index.ts",
        Language::Python => "mapping.py",
    };
    out.pair("mapping", &folder.join(mapping).display().to_string())?;
    out.pair("guide", &folder.join("README.md").display().to_string())?;
    if !missing.is_empty() {
        out.line("\nFirst install what is missing:")?;
        for line in missing {
            out.line(&format!("  {line}"))?;
        }
    }
    out.line("\nNext:")?;
    for line in next {
        out.line(&format!("  {line}"))?;
    }
    Ok(())
}

/// The object with its fields, and where they are from.
async fn object(args: &Args, globals: &Globals) -> Result<(Object, String), Failure> {
    if let Some(path) = &args.describe {
        let wrong = |why: String| {
            let what = format!("{} is no describe of an object: {why}", path.display());
            Failure::new("usage.describe", what)
        };
        let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let describe: Describe =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if !describe.name.eq_ignore_ascii_case(&args.object) {
            return Err(wrong(format!("it is of {}, not of {}", describe.name, args.object)));
        }
        return Ok((
            of(&describe, args.all_fields),
            format!("of the describe in {}", path.display()),
        ));
    }
    let standard = || {
        let object = Object::standard(&args.object, args.all_fields)?;
        Some((object, String::from("of the standard object; your org's own are not among them")))
    };
    let unknown = || {
        let what = format!("{} is not among the standard objects that kilofold knows", args.object);
        let known = Object::standard_names().join(", ");
        Failure::new("usage.object", what).cure(format!(
            "give a saved describe (--describe FILE), or run this beside a kilofold.toml with a connection; known are {known}"
        ))
    };
    if args.offline || (!globals.config.exists() && args.connection.is_none()) {
        return standard().ok_or_else(unknown);
    }
    match asked(args, globals).await {
        Ok(found) => Ok(found),
        // A new author need not have a connection for an object that every org has.
        Err(failure) => match standard() {
            Some((object, from)) if args.connection.is_none() => {
                Ok((object, format!("{from} ({})", failure.what)))
            }
            _ => Err(failure),
        },
    }
}

/// What the org tells, for one call.
async fn asked(args: &Args, globals: &Globals) -> Result<(Object, String), Failure> {
    let config = globals.load()?;
    if sync::host(&config).await?.is_some() {
        let what = "the host process holds the store, and with it the ledger of API calls";
        return Err(Failure::new("store.locked", what)
            .cure("stop `kilofold serve`, or use --describe FILE or --offline"));
    }
    let connection = match &args.connection {
        Some(name) => config.connection(name),
        None => config.connections.first(),
    };
    let connection = connection.ok_or_else(|| {
        Failure::new("connection.unknown", "there is no such connection in the configuration")
    })?;
    let who = Caller { connection: connection.name.clone(), sync: None, run: None, page: None };
    let store = app::open_store(&config)?;
    let org = app::open_org(&config, &store, Clock::default())?;
    let describe = org.describe(&who, &args.object).await?;
    let from = format!("of the org, by the connection {}, for one API call", connection.name);
    Ok((of(&describe, args.all_fields), from))
}

fn of(describe: &Describe, all: bool) -> Object {
    let fields = describe.fields.iter();
    let fields = fields.map(|it| (it.name.as_str(), it.kind.as_str(), it.nillable));
    Object::new(&describe.name, fields, all)
}

fn write(folder: &Path, file: &File) -> Result<(), Failure> {
    let path = folder.join(&file.path);
    let written = || -> std::io::Result<()> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        if file.program {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o755);
        }
        options.open(&path)?.write_all(file.text.as_bytes())
    };
    written().map_err(|error| {
        let code = match error.kind() {
            ErrorKind::AlreadyExists => "usage.plugin-exists",
            _ => "plugin.write",
        };
        Failure::new(code, format!("cannot write {}: {error}", path.display()))
    })
}

/// What must be installed for a language and is not, with how to.
fn missing(language: Language) -> Vec<String> {
    let mut lines = Vec::new();
    let mut need = |there: bool, line: &str| {
        if !there {
            lines.push(line.to_owned());
        }
    };
    match language {
        Language::Rust => {
            need(said("cargo", &["--version"]).is_some(), "rustup, with Rust 1.95 or newer");
            let targets = said("rustup", &["target", "list", "--installed"]);
            let there = targets.is_none_or(|list| list.lines().any(|it| it == "wasm32-wasip2"));
            need(there, "the target: rustup target add wasm32-wasip2");
        }
        Language::Ts => {
            let node =
                said("node", &["--version"]).and_then(|text| number(text.trim_start_matches('v')));
            need(node.is_some_and(|(major, _)| major >= 20), "Node.js 20 or newer");
            need(said("npm", &["--version"]).is_some(), "npm, which comes with Node.js");
        }
        Language::Python => {
            let python = said("python3", &["--version"]);
            let version =
                python.as_deref().and_then(|text| number(text.trim_start_matches("Python ")));
            need(version.is_some_and(|it| it >= (3, 11)), "Python 3.11 or newer, as python3");
            let tools = said("python3", &["-c", "import ensurepip, venv"]).is_some();
            need(tools, "pip and venv (on Debian: apt install python3-venv)");
        }
    }
    lines
}

/// What a program prints, if it is there and does its work.
fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first two parts of a version.
fn number(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions() {
        assert_eq!(number("20.20.2\n"), Some((20, 20)));
        assert_eq!(number("3.11.7"), Some((3, 11)));
        assert_eq!(number("three"), None);
    }

    #[test]
    fn overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = |text: &str| File { path: "a/b.txt".into(), text: text.into(), program: true };
        write(folder.path(), &file("one")).unwrap();
        let failure = write(folder.path(), &file("two")).unwrap_err();
        assert_eq!((failure.code.as_str(), failure.exit), ("usage.plugin-exists", Exit::Usage));
        assert_eq!(std::fs::read(folder.path().join("a/b.txt")).unwrap(), b"one");
    }
}

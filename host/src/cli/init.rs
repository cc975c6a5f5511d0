//! `kilofold init`: writes a configuration to begin with.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::out::Out;
use super::{Failure, Globals};
use crate::config;
use crate::error::Exit;

/// Writes a commented kilofold.toml, and its JSON Schema for editors beside it. Overwrites nothing.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The file, or the folder for a kilofold.toml [default: the --config file]
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
}

/// Writes the template.
pub fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let path = match &args.path {
        Some(path) if path.is_dir() => path.join("kilofold.toml"),
        Some(path) => path.clone(),
        None => globals.config.clone(),
    };
    write_new(&path, config::template().as_bytes())?;
    let schema = path.with_extension("schema.json");
    let text = serde_json::to_string_pretty(&config::schema())
        .map_err(|error| Failure::new("cli.output", format!("cannot write JSON: {error}")))?;
    // The schema is ours, not the user's: an older one is no loss, and a newer kilofold wants the newer one.
    std::fs::write(&schema, text + "\n").map_err(|error| cannot_write(&schema, &error))?;
    if out.json {
        out.value(&serde_json::json!({ "config": path, "schema": schema }))?;
    } else {
        let (path, schema) = (path.display(), schema.display());
        out.line(&format!("Wrote {path}, and {schema} for editors."))?;
        out.line(
            "Fill in the org and a sync, then: kilofold check, kilofold connect, kilofold serve",
        )?;
    }
    Ok(Exit::Done)
}

fn write_new(path: &Path, text: &[u8]) -> Result<(), Failure> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(text)?;
        file.sync_all()
    });
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::new("config.exists", format!("{} is there already", path.display()))
        }
        _ => cannot_write(path, &error),
    })
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new("config.write", format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kilofold.toml");
        write_new(&path, b"one").unwrap();
        let error = write_new(&path, b"two").unwrap_err();
        assert_eq!((error.code.as_str(), error.exit), ("config.exists", Exit::Usage));
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
    }
}

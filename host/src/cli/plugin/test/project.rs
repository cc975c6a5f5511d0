//! Builds the plugin of a project with the project's own tools, and finds the component that came of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cli::Failure;

/// A project of a language whose build is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Project {
    /// Rust: the folder has a `Cargo.toml`.
    Cargo,
    /// TypeScript or JavaScript: it has a `package.json` with a script `build`.
    Npm,
    /// Python: it has a `mapping.py` or a `pyproject.toml`.
    Python,
}

impl Project {
    /// What a folder is.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        let has = |name: &str| folder.join(name).is_file();
        if has("Cargo.toml") {
            Some(Self::Cargo)
        } else if has("package.json") {
            Some(Self::Npm)
        } else if has("mapping.py") || has("pyproject.toml") {
            Some(Self::Python)
        } else {
            None
        }
    }

    /// The program and its arguments.
    fn command(&self, folder: &Path) -> (PathBuf, Vec<&'static str>) {
        match self {
            Self::Cargo => (
                "cargo".into(),
                vec![
                    "build",
                    "--release",
                    "--target",
                    "wasm32-wasip2",
                    "--message-format=json-render-diagnostics",
                ],
            ),
            Self::Npm => ("npm".into(), vec!["run", "--silent", "build"]),
            Self::Python => {
                let own = folder.join(".venv/bin/python");
                let python = if own.is_file() {
                    // Relative to the folder in which it runs.
                    ".venv/bin/python".into()
                } else {
                    "python3".into()
                };
                (python, vec!["-m", "kilofold_plugin", "build"])
            }
        }
    }

    /// The command as its user would type it.
    pub(super) fn shown(&self, folder: &Path) -> String {
        let (program, arguments) = self.command(folder);
        let typed = arguments.into_iter().filter(|one| !one.starts_with("--message-format"));
        std::iter::once(program.display().to_string())
            .chain(typed.map(str::to_owned))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// What must be done before the first build, when it was not done.
    fn to_install(&self, folder: &Path) -> Option<&'static str> {
        match self {
            Self::Npm if !folder.join("node_modules").exists() => {
                Some("run `npm install` in the project's folder first")
            }
            Self::Python if !folder.join(".venv").exists() => Some(
                "first, in the project's folder: `python3 -m venv .venv`, then `.venv/bin/pip install -r requirements.txt`",
            ),
            _ => None,
        }
    }

    /// Builds, and gives the component. What the tools say of mistakes goes to standard error, where it belongs. Blocks.
    pub(super) fn build(&self, folder: &Path) -> Result<PathBuf, Failure> {
        let (program, arguments) = self.command(folder);
        let shown = self.shown(folder);
        let mut command = Command::new(&program);
        command.args(arguments).current_dir(folder).stdin(Stdio::null()).stderr(Stdio::inherit());
        let output = command.output().map_err(|error| {
            Failure::new("plugin.build", format!("`{shown}` cannot be run: {error}"))
        })?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            // npm's tools say what is wrong on standard output.
            let tail: Vec<&str> =
                said.lines().rev().filter(|line| !line.starts_with('{')).take(20).collect();
            let mut failure =
                Failure::new("plugin.build", format!("`{shown}` failed ({})", output.status));
            failure.causes.extend(tail.into_iter().rev().map(str::to_owned));
            return Err(match self.to_install(folder) {
                Some(cure) => failure.cure(cure),
                None => failure,
            });
        }
        let found = match self {
            Self::Cargo => built_by_cargo(&said, folder),
            Self::Npm | Self::Python => only_component(&folder.join("dist")),
        };
        found.map_err(|what| {
            Failure::new("plugin.build", format!("`{shown}` went well, but {what}"))
                .cure("name the component with --plugin FILE")
        })
    }
}

/// The component among what cargo says that it built: that of the package in the folder.
fn built_by_cargo(said: &str, folder: &Path) -> Result<PathBuf, String> {
    let manifest = folder.join("Cargo.toml");
    let manifest = manifest.canonicalize().unwrap_or(manifest);
    let artifacts = said
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact");
    let mut others = Vec::new();
    for artifact in artifacts {
        let files = artifact["filenames"].as_array().into_iter().flatten();
        let component = files.filter_map(Value::as_str).find(|file| file.ends_with(".wasm"));
        let Some(component) = component.map(PathBuf::from) else { continue };
        let own = artifact["manifest_path"].as_str().map(Path::new);
        if own.is_some_and(|own| own.canonicalize().is_ok_and(|own| own == manifest)) {
            return Ok(component);
        }
        others.push(component);
    }
    match others.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err("it made no .wasm: is crate-type = [\"cdylib\"] in Cargo.toml?".to_owned()),
        many => Err(format!("it made {} components", many.len())),
    }
}

/// The one component in a folder.
fn only_component(folder: &Path) -> Result<PathBuf, String> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| format!("{} cannot be read: {error}", folder.display()))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind == "wasm"))
        .collect();
    found.sort();
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(format!("there is no .wasm in {}", folder.display())),
        many => Err(format!("there are {} components in {}", many.len(), folder.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_own_component_among_what_cargo_built() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        let own = folder.path().join("Cargo.toml");
        let artifact = |manifest: &str, file: &str| {
            serde_json::json!({"reason": "compiler-artifact", "manifest_path": manifest, "filenames": [file]}).to_string()
        };
        let said = [
            "not json".to_owned(),
            artifact("/elsewhere/Cargo.toml", "/t/other.wasm"),
            artifact(own.to_str().unwrap(), "/t/mine.wasm"),
            artifact("/elsewhere/Cargo.toml", "/t/lib.rlib"),
        ];
        let found = built_by_cargo(&said.join("\n"), folder.path());
        assert_eq!(found, Ok(PathBuf::from("/t/mine.wasm")));
        assert_eq!(built_by_cargo(&said[1], folder.path()), Ok(PathBuf::from("/t/other.wasm")));
        assert!(built_by_cargo("", folder.path()).unwrap_err().contains("cdylib"));
        assert_eq!(Project::of(folder.path()), Some(Project::Cargo));
        assert_eq!(
            Project::Cargo.shown(folder.path()),
            "cargo build --release --target wasm32-wasip2"
        );
    }

    #[test]
    fn one_component_is_enough_and_two_are_too_many() {
        let folder = tempfile::tempdir().unwrap();
        assert!(only_component(folder.path()).unwrap_err().contains("no .wasm"));
        std::fs::write(folder.path().join("a.wasm"), "").unwrap();
        std::fs::write(folder.path().join("a.js"), "").unwrap();
        assert_eq!(only_component(folder.path()), Ok(folder.path().join("a.wasm")));
        std::fs::write(folder.path().join("b.wasm"), "").unwrap();
        assert!(only_component(folder.path()).unwrap_err().contains("2 components"));
        std::fs::write(folder.path().join("mapping.py"), "").unwrap();
        assert_eq!(Project::of(folder.path()), Some(Project::Python));
        assert!(Project::Python.shown(folder.path()).starts_with("python3 -m"));
        let missing = |project: Project| project.to_install(folder.path());
        assert!(missing(Project::Python).is_some_and(|cure| cure.contains("-m venv")));
        assert!(missing(Project::Npm).is_some_and(|cure| cure.contains("npm install")));
        assert_eq!(missing(Project::Cargo), None);
        std::fs::create_dir(folder.path().join("node_modules")).unwrap();
        assert_eq!(missing(Project::Npm), None);
    }
}

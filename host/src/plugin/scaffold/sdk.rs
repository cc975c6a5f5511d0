//! The SDKs, which are inside the program, so that an installed one needs no repository.

use toml::{Table, Value};

use super::{File, Lang};

mod built {
    include!(concat!(env!("OUT_DIR"), "/sdks.rs"));
}

/// The SDK of a language, as it lies in a project's `vendor`.
pub(super) fn files(lang: Lang) -> Vec<File> {
    let wanted: &[&str] = match lang {
        Lang::Rust => &["sdk/", "sdk-derive/", "wit/"],
        Lang::TypeScript => &["sdk-ts/", "wit/"],
        Lang::Python => &["sdk-py/", "wit/"],
    };
    let found = built::SDKS.iter().filter(|(path, _)| wanted.iter().any(|it| path.starts_with(it)));
    let file = |(path, text): &(&str, &str)| {
        let text = match *path {
            path if path.ends_with("/Cargo.toml") => alone(text),
            // From `vendor` the contract is one folder nearer.
            "sdk/src/guest.rs" => text.replace("\"../../wit\"", "\"../wit\""),
            _ => (*text).to_owned(),
        };
        let mut file = match path.strip_prefix("wit/") {
            // The package for Python is installed, so the contract lies within it.
            Some(name) if lang == Lang::Python => {
                File::new(format!("vendor/sdk-py/kilofold_plugin/wit/{name}"), text)
            }
            _ => File::new(format!("vendor/{path}"), text),
        };
        file.program = text_is_program(&file.text);
        file
    };
    found.map(file).collect()
}

fn text_is_program(text: &str) -> bool {
    text.starts_with("#!")
}

/// A manifest of the workspace as one that stands alone: what it inherits is written out, and what only the workspace's
/// own checks need is left out. One that does not read is handed on as it is; a test proves that ours do.
fn alone(manifest: &str) -> String {
    let read = |text: &str| text.parse::<Table>();
    let (Ok(mut table), Ok(workspace)) = (read(manifest), read(built::WORKSPACE)) else {
        return manifest.to_owned();
    };
    let shared =
        |section: &str, name: &str| workspace.get("workspace")?.get(section)?.get(name).cloned();
    for section in ["dev-dependencies", "lints"] {
        table.remove(section);
    }
    if let Some(Value::Table(package)) = table.get_mut("package") {
        inherit(package, |name| shared("package", name));
    }
    if let Some(Value::Table(list)) = table.get_mut("dependencies") {
        inherit(list, |name| shared("dependencies", name));
    }
    if let Some(Value::Table(targets)) = table.get_mut("target") {
        for (_, target) in targets.iter_mut() {
            if let Some(Value::Table(list)) = target.get_mut("dependencies") {
                inherit(list, |name| shared("dependencies", name));
            }
        }
    }
    toml::to_string(&table).unwrap_or_else(|_| manifest.to_owned())
}

fn inherit(table: &mut Table, shared: impl Fn(&str) -> Option<Value>) {
    for (name, value) in table.iter_mut() {
        let inherits = value.get("workspace").and_then(Value::as_bool) == Some(true);
        if let (true, Some(said)) = (inherits, shared(name)) {
            *value = said;
        }
    }
}

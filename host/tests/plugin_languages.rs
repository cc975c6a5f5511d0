//! The SDKs for TypeScript and Python: built with the languages' own tools, tested by them, and run in the host.
//!
//! Where a tool is missing, or a package cannot be fetched, the language is skipped and the reason printed. All that is
//! built lies below the target folder; what has not changed is not built again.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod plugin_support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kilofold::model::Outcome;
use kilofold::plugin::scaffold::{Lang, Object, Project};
use kilofold::plugin::{Engine, Source};
use plugin_support::{Bench, patient, shown};
use serde_json::json;
use sha2::{Digest, Sha256};

const CONTACTS: &str = r#"[
    {"attributes":{"type":"Contact"},"Id":"0034C00000VaYfKQAV","FirstName":"Zoë \ud83d\ude80","LastName":"O\"Neil\nJr","Salutation":"Dr.","Email":"Zoe@Example.ORG","Phone":null,"MobilePhone":"+44 20","AccountId":"001D000000IRFmaIAH","HasOptedOutOfEmail":false,"DoNotCall":true,"Account":{"Name":"Söhne"},"Birthdate":"1980-02-29","CreatedDate":"2022-02-15T06:21:19.000+0000","LastModifiedDate":"2022-02-15T06:21:19.123+0000","MailingCity":null},
    {"attributes":{"type":"Contact"},"Id":"0034C00000VaYfLQAV","FirstName":null,"LastName":"Ito","Email":null,"HasOptedOutOfEmail":false,"DoNotCall":false,"Account":null,"CreatedDate":"2022-02-15T06:21:19.000+0000","LastModifiedDate":"2022-02-15T06:21:19.000+0000"},
    {"attributes":{"type":"Contact"},"Id":"0034C00000VaYfMQAV","FirstName":"A","LastName":null,"Email":"a@example.org","HasOptedOutOfEmail":true,"DoNotCall":false,"Account":null,"CreatedDate":"2022-02-15T06:21:19.000+0000","LastModifiedDate":"2022-02-15T06:21:19.000+0000"},
    {"attributes":{"type":"Contact"},"Id":"0034C00000VaYfMQAV","FirstName":"A","LastName":"B","Email":"see notes","HasOptedOutOfEmail":true,"DoNotCall":false,"Account":null,"CreatedDate":"2022-02-15T06:21:19.000+0000","LastModifiedDate":"2022-02-15T06:21:19.000+0000"}]"#;

/// Why a language is not tested here.
struct Skip(String);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Where a project is built.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages").join(name)
}

fn run(program: &Path, args: &[&str], folder: &Path) -> std::io::Result<Output> {
    Command::new(program)
        .args(args)
        .current_dir(folder)
        .env("PYTHONPATH", "vendor/sdk-py")
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
}

/// A step that must succeed.
fn must(program: &Path, args: &[&str], folder: &Path) {
    let output = run(program, args, folder).unwrap();
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{} {args:?} in {}:\n{told}",
        program.display(),
        folder.display()
    );
}

/// A step that fetches what may not be had here.
fn fetch(program: &Path, args: &[&str], folder: &Path) -> Result<(), Skip> {
    let failed =
        |why: String| Skip(format!("{} {} failed: {why}", program.display(), args.join(" ")));
    let output = run(program, args, folder).map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(failed(told.lines().last().unwrap_or_default().to_owned()))
}

/// Copies a folder's files, and tells a digest of them all.
fn copy(from: &Path, to: &Path, digest: &mut Sha256) {
    std::fs::create_dir_all(to).unwrap();
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(from).unwrap().map(|it| it.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        match path.is_dir() {
            true if ["node_modules", "dist", "__pycache__"].contains(&name) => {}
            true => copy(&path, &to.join(name), digest),
            false => {
                digest.update(name);
                digest.update(std::fs::read(&path).unwrap());
                std::fs::copy(&path, to.join(name)).unwrap();
            }
        }
    }
}

/// Lays a project out as `kilofold plugin new` does, the SDK beside it. Tells its folder, and whether its sources are other
/// than those of the last build.
fn lay_out(name: &str, from: &str, sdk: &str) -> (PathBuf, bool) {
    let folder = folder(name);
    let mut digest = Sha256::new();
    copy(&root().join(from), &folder, &mut digest);
    copy(&root().join("plugins").join(sdk), &folder.join("vendor").join(sdk), &mut digest);
    let wit = if sdk == "sdk-py" { "vendor/sdk-py/kilofold_plugin/wit" } else { "vendor/wit" };
    copy(&root().join("wit"), &folder.join(wit), &mut digest);
    if sdk == "sdk-ts" {
        let package = folder.join("package.json");
        let text = std::fs::read_to_string(&package).unwrap();
        std::fs::write(&package, text.replace("file:../../sdk-ts", "file:vendor/sdk-ts")).unwrap();
        let config = root().join("plugins/examples/ts/tsconfig.json");
        std::fs::copy(config, folder.join("tsconfig.json")).unwrap();
    }
    let changed = stamped(&folder, digest);
    (folder, changed)
}

/// Whether the sources are other than those of the last build that ended well.
fn stamped(folder: &Path, digest: Sha256) -> bool {
    let now: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let before = std::fs::read_to_string(folder.join("built")).ok();
    let changed = before.as_deref() != Some(&now);
    std::fs::write(folder.join("building"), now).unwrap();
    changed
}

/// What was laid out is built.
fn built(folder: &Path) {
    std::fs::rename(folder.join("building"), folder.join("built")).unwrap();
}

fn npm_install(folder: &Path) -> Result<(), Skip> {
    fetch(Path::new("node"), &["--version"], &root())?;
    let arguments = ["install", "--no-audit", "--no-fund", "--omit-lockfile-registry-resolved"];
    fetch(Path::new("npm"), &arguments, folder)
}

fn typescript(name: &str, from: &str) -> Result<PathBuf, Skip> {
    let (folder, changed) = lay_out(name, from, "sdk-ts");
    if changed {
        npm_install(&folder)?;
        must(Path::new("npm"), &["test"], &folder);
        must(Path::new("npm"), &["run", "build"], &folder);
        built(&folder);
    }
    Ok(folder)
}

fn python(name: &str, from: &str) -> Result<PathBuf, Skip> {
    let check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
    fetch(Path::new("python3"), &["-c", check], &root())?;
    let (project, changed) = lay_out(name, from, "sdk-py");
    // One environment for all: it holds the componentizer, and takes the longest.
    let environment = folder("venv");
    let python = environment.join("bin/python");
    if changed {
        if !python.exists() {
            fetch(Path::new("python3"), &["-m", "venv", environment.to_str().unwrap()], &root())?;
        }
        fetch(&python, &["-m", "pip", "install", "--quiet", "-r", "requirements.txt"], &project)?;
        must(&python, &["-m", "unittest", "discover", "tests"], &project);
        must(&python, &["-m", "kilofold_plugin", "build"], &project);
        built(&project);
    }
    Ok(project)
}

/// The plugin that a project was built into; compiled once, because Python takes seconds.
fn bench(folder: &Path, component: &str) -> Bench {
    let cache = folder.parent().unwrap().join("compiled");
    let engine = Engine::new(Some(&cache), patient()).unwrap();
    Bench::new(engine, Source::File(folder.join("dist").join(component)))
}

/// Tells why a language is left out, past the test runner, which keeps back what a test that passes prints.
fn skipped(language: &str, Skip(reason): Skip) {
    let text = format!("skipped: the SDK for {language} is not tested here: {reason}\n");
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}

fn contacts_are_mapped_as_in_rust(folder: &Path, component: &str) {
    let bench = bench(folder, component);
    let mapped = bench.map(json!({}), CONTACTS).unwrap();
    let rust = Bench::stock("contact-to-person").map(json!({}), CONTACTS).unwrap();
    assert_eq!(shown(&mapped.outcomes), shown(&rust.outcomes));
    assert_eq!(mapped.outcomes.len(), 4);
    assert_eq!(bench.plugin.note().api, "kilofold:mapping/json@1.0.0");
    assert_eq!(
        bench.plugin.description().reads,
        Bench::stock("contact-to-person").plugin.description().reads
    );
    assert_eq!(
        bench.plugin.description().outputs,
        Bench::stock("contact-to-person").plugin.description().outputs
    );
}

const LINES: &str = r#"[
    {"Id":"a01D000000IRFma","Kind__c":"one","Tags__c":"a;ü","Size__c":12.0,"At__c":"2024-02-29T08:30:00.000+0000","Where__c":{"city":"Paris"}},
    {"Id":"a01D000000IRFmb","Kind__c":"skip"},
    {"Id":"a01D000000IRFmc","Kind__c":"fail"},
    {"Id":"a01D000000IRFmd","Kind__c":"throw reject"},
    {"Id":"a01D000000IRFme","Kind__c":"throw"},
    {"Id":"a01D000000IRFmf","Kind__c":"none"},
    {"Id":"a01D000000IRFmg","Kind__c":"two"},
    {"Id":"a01D000000IRFmh","Kind__c":"log","Size__c":1.5},
    {"Id":"a01D000000IRFmi","Kind__c":"log"},
    {"Id":"a01D000000IRFmj","Kind__c":"clock"},
    {"Id":"a01D000000IRFmk","Kind__c":"partly"},
    {"Id":"a01D000000IRFml","Kind__c":"undeclared"},
    {"Id":"a01D000000IRFmm","Kind__c":"renamed"}]"#;

fn does_everything(folder: &Path, component: &str) -> String {
    let mut bench = bench(folder, component);
    bench.store("line", "a01D000000IRFma", r#"{"stored":"yes"}"#);
    let refused = bench.settings(json!({ "least": -1 })).unwrap_err().join("\n");
    let mapped = bench.map(json!({ "home": "us" }), LINES).unwrap();
    assert_eq!(mapped.traps, 2, "what throws costs its record");
    let thrown = &mapped.outcomes[4];
    assert!(matches!(thrown, Outcome::Failed(it) if it.code == "plugin.panic"), "{thrown:?}");
    let logs: Vec<_> =
        mapped.logs.iter().map(|line| format!("{:?} {}", line.level, line.message)).collect();
    let settings = &bench.plugin.description().settings;
    let settings: Vec<_> = settings
        .iter()
        .map(|it| format!("{} {:?} {:?} {}", it.name, it.kind, it.default, it.required))
        .collect();
    // What was stored for a batch is looked up again after a record broke it: its logs come twice.
    format!(
        "{}\n{refused}\n{}logs: {}",
        settings.join("\n"),
        without_places(&shown(&mapped.outcomes)),
        logs.last().unwrap()
    )
}

/// Without the numbers of lines, which move with every change of an SDK.
fn without_places(text: &str) -> String {
    let mut parts = text.split_inclusive([':', ' ', ')']);
    let mut plain = String::new();
    let mut source = false;
    for part in parts.by_ref() {
        let number = part.trim_end_matches([':', ' ', ')']);
        match source && !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit()) {
            true => plain.push_str(&part.replace(number, "N")),
            false => {
                source = part.ends_with(".js:") || part.ends_with(".py:");
                plain.push_str(part);
            }
        }
    }
    plain
}

#[test]
fn typescript_maps_as_rust_does() {
    match typescript("ts", "plugins/examples/ts") {
        Ok(folder) => contacts_are_mapped_as_in_rust(&folder, "contact-to-person-ts.wasm"),
        Err(skip) => skipped("TypeScript", skip),
    }
}

#[test]
fn typescript_does_everything() {
    match typescript("everything-ts", "host/tests/languages/ts") {
        Ok(folder) => insta::assert_snapshot!(does_everything(&folder, "everything-ts.wasm")),
        Err(skip) => skipped("TypeScript", skip),
    }
}

/// An object with a field of every kind that there is, as `kilofold plugin new` is told of one.
fn every_kind() -> Object {
    let kinds = [
        "string",
        "picklist",
        "textarea",
        "email",
        "boolean",
        "int",
        "double",
        "currency",
        "date",
        "datetime",
        "time",
        "multipicklist",
        "address",
        "location",
        "reference",
        "anyType",
        "base64",
    ];
    let own: Vec<String> = kinds.iter().map(|kind| format!("A_{kind}__c")).collect();
    let own = own.iter().zip(kinds).map(|(name, kind)| (name.as_str(), kind, kind != "boolean"));
    let usual = [
        ("Id", "id", false),
        ("Name", "string", false),
        ("Type", "picklist", true),
        ("SICDesc", "string", true),
        ("CreatedDate", "datetime", false),
    ];
    Object::new("Every_Kind__c", usual.into_iter().chain(own), true)
}

/// Writes a new project, as the command does, and lays the last build's leavings beside it.
fn begin(lang: Lang, name: &str) -> (Project, PathBuf, bool) {
    let project = Project { name: name.to_owned(), lang, object: every_kind() };
    let folder = folder(name);
    let mut digest = Sha256::new();
    for file in project.files() {
        let path = folder.join(&file.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        digest.update(&file.text);
        std::fs::write(&path, file.text).unwrap();
        #[cfg(unix)]
        if file.program {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    let changed = stamped(&folder, digest);
    (project, folder, changed)
}

/// A new project's component does with its case what the case expects.
fn meets_its_case(project: &Project, folder: &Path) {
    let component = folder.join(project.component());
    let engine = Engine::new(Some(&folder.parent().unwrap().join("compiled")), patient()).unwrap();
    let bench = Bench::new(engine, Source::File(component));
    let read = |what: &str| {
        std::fs::read_to_string(folder.join(format!("cases/every-kind.{what}.json"))).unwrap()
    };
    let mapped = bench.map(json!({}), &read("input")).unwrap();
    let expected: Vec<serde_json::Value> = serde_json::from_str(&read("expected")).unwrap();
    let made: Vec<serde_json::Value> = mapped
        .outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Mapped(outputs) => {
                let output = |it: &kilofold::model::Output| {
                    let fields: serde_json::Value = serde_json::from_str(&it.body).unwrap();
                    json!({ "kind": it.kind, "key": it.key, "fields": fields })
                };
                json!({ "mapped": outputs.iter().map(output).collect::<Vec<_>>() })
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(made, expected);
}

#[test]
fn a_new_project_in_rust_builds_and_meets_its_case() {
    let (project, folder, changed) = begin(Lang::Rust, "new-rust");
    if changed {
        // The workspace's versions, which are here already: nothing is fetched.
        std::fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        let cargo = PathBuf::from(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        must(&cargo, &["test", "--quiet", "--offline"], &folder);
        must(
            &cargo,
            &["build", "--quiet", "--offline", "--release", "--target", "wasm32-wasip2"],
            &folder,
        );
        built(&folder);
    }
    meets_its_case(&project, &folder);
}

#[test]
fn a_new_project_in_typescript_builds_and_meets_its_case() {
    let (project, folder, changed) = begin(Lang::TypeScript, "new-ts");
    if changed {
        if let Err(skip) = npm_install(&folder) {
            return skipped("TypeScript", skip);
        }
        must(Path::new("npm"), &["test"], &folder);
        must(Path::new("npm"), &["run", "build"], &folder);
        built(&folder);
    }
    meets_its_case(&project, &folder);
}

/// All projects in one test: they share an environment, which only one may install into.
#[test]
fn python_maps_as_rust_does_and_does_everything_and_begins() {
    match python("py", "plugins/examples/py") {
        Ok(folder) => contacts_are_mapped_as_in_rust(&folder, "contact-to-person-py.wasm"),
        Err(skip) => return skipped("Python", skip),
    }
    match python("everything-py", "host/tests/languages/py") {
        Ok(folder) => insta::assert_snapshot!(does_everything(&folder, "everything-py.wasm")),
        Err(skip) => return skipped("Python", skip),
    }
    let (project, folder, changed) = begin(Lang::Python, "new-py");
    if changed {
        let python = self::folder("venv").join("bin/python");
        must(&python, &["-m", "unittest", "discover", "tests"], &folder);
        must(&python, &["-m", "kilofold_plugin", "build"], &folder);
        built(&folder);
    }
    meets_its_case(&project, &folder);
}

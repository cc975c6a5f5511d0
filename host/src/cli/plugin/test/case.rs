//! The test cases of a plugin: `NAME.input.json` and `NAME.expected.json`, found and read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::json::Json;
use crate::config;
use crate::model::{Batch, Outcome, Selection, Span, Stamp, Text};
use crate::plugin::Description;

const INPUT: &str = ".input.json";
const EXPECTED: &str = ".expected.json";
/// How deep folders are looked through.
const DEEP: usize = 6;
/// Folders that hold what tools have put there.
const FOREIGN: [&str; 6] = ["target", "node_modules", "vendor", "dist", "build", "__pycache__"];
/// When the page of a case was read, unless it says.
pub(super) const READ_AT: &str = "2024-02-29T12:00:00Z";

/// What is wrong with a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The file.
    pub(super) file: PathBuf,
    /// What is wrong in it.
    pub(super) what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.what)
    }
}

/// One case.
#[derive(Debug)]
pub(super) struct Case {
    /// Its name: the path below the folder without the ending.
    pub(super) name: String,
    /// Where what is expected stands, or would.
    pub(super) expected_file: PathBuf,
    /// What the plugin is given.
    pub(super) input: Input,
    /// What is to become of the records; none when nobody has said yet.
    pub(super) expected: Option<Json>,
}

/// What a case gives to the plugin.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The records as Salesforce sends them.
    pub(super) records: Vec<Box<RawValue>>,
    /// The settings of the sync.
    #[serde(default)]
    pub(super) settings: Map<String, Value>,
    /// Stored outputs that the plugin may look up: kind, key, body.
    #[serde(default)]
    pub(super) lookup: BTreeMap<String, BTreeMap<String, Box<RawValue>>>,
    /// The object.
    pub(super) object: Option<String>,
    /// The fields of the batch, for a plugin that takes any.
    pub(super) fields: Option<Vec<String>>,
    /// When the page was read.
    pub(super) read_at: Option<String>,
    /// What it may take.
    #[serde(default)]
    pub(super) limits: Ceilings,
    /// What stands beside the records in an answer of Salesforce.
    #[serde(rename = "totalSize")]
    _total: Option<Box<RawValue>>,
    #[serde(rename = "done")]
    _done: Option<Box<RawValue>>,
    #[serde(rename = "nextRecordsUrl")]
    _next: Option<Box<RawValue>>,
}

/// What a case may take at most.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ceilings {
    /// Fuel.
    pub(super) fuel: Option<u64>,
    /// Memory, in bytes or as `"2 MiB"`.
    #[serde(default, deserialize_with = "size")]
    pub(super) memory: Option<u64>,
}

fn size<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = match Value::deserialize(deserializer)? {
        Value::Null => return Ok(None),
        Value::String(text) => text,
        other => other.to_string(),
    };
    config::size(&text).map(Some).map_err(serde::de::Error::custom)
}

/// The cases below a folder whose names contain one of the words, by name; all, without words.
pub(super) fn find(folder: &Path, words: &[String]) -> Result<Vec<Case>, Wrong> {
    let mut files = BTreeSet::new();
    walk(folder, DEEP, &mut files)?;
    let mut cases = Vec::new();
    for file in files {
        let below = file.strip_prefix(folder).unwrap_or(&file).to_string_lossy().into_owned();
        let name = below.trim_end_matches(INPUT).replace('\\', "/");
        if words.is_empty() || words.iter().any(|word| name.contains(word)) {
            cases.push(Case::read(name, &file)?);
        }
    }
    Ok(cases)
}

fn walk(folder: &Path, deep: usize, found: &mut BTreeSet<PathBuf>) -> Result<(), Wrong> {
    let wrong = |error: std::io::Error| Wrong { file: folder.to_owned(), what: error.to_string() };
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if deep > 0 && !name.starts_with('.') && !FOREIGN.contains(&name.as_str()) {
                walk(&path, deep - 1, found)?;
            }
        } else if name.ends_with(INPUT) {
            found.insert(path);
        }
    }
    Ok(())
}

impl Case {
    fn read(name: String, file: &Path) -> Result<Self, Wrong> {
        let wrong = |file: &Path, what: String| Wrong { file: file.to_owned(), what };
        let text = std::fs::read_to_string(file).map_err(|error| wrong(file, error.to_string()))?;
        let input = Input::read(&text).map_err(|what| wrong(file, what))?;
        let path = file.to_string_lossy();
        let expected_file = PathBuf::from(format!("{}{EXPECTED}", path.trim_end_matches(INPUT)));
        let expected = match std::fs::read_to_string(&expected_file) {
            Ok(text) => {
                Some(expected(&text).map_err(|error| wrong(&expected_file, error.to_string()))?)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(wrong(&expected_file, error.to_string())),
        };
        Ok(Self { name, expected_file, input, expected })
    }
}

impl Input {
    /// Reads a list of records, one record, an answer of Salesforce, or records with what belongs to them.
    fn read(text: &str) -> Result<Self, String> {
        let plain = |error: serde_json::Error| error.to_string();
        if text.trim_start().starts_with('[') {
            let records = serde_json::from_str(text).map_err(plain)?;
            return Ok(Self { records, ..Self::default() });
        }
        let shape: Map<String, Value> = serde_json::from_str(text).map_err(plain)?;
        if !shape.contains_key("records") && shape.contains_key("Id") {
            let record = serde_json::from_str(text).map_err(plain)?;
            return Ok(Self { records: vec![record], ..Self::default() });
        }
        serde_json::from_str(text).map_err(plain)
    }

    /// The object: what the case says, what its first record says, or what the plugin maps.
    pub(super) fn object(&self, about: &Description) -> String {
        #[derive(Deserialize)]
        struct Typed {
            attributes: Attributes,
        }
        #[derive(Deserialize)]
        struct Attributes {
            r#type: String,
        }
        let typed = self.records.first().and_then(|record| serde_json::from_str(record.get()).ok());
        let typed = typed.map(|typed: Typed| typed.attributes.r#type);
        let own = self.object.clone().or(typed).or_else(|| about.objects.first().cloned());
        own.unwrap_or_else(|| "Record".to_owned())
    }

    /// When the page was read.
    pub(super) fn read_at(&self) -> Result<Stamp, String> {
        let text = self.read_at.as_deref().unwrap_or(READ_AT);
        Stamp::parse(text).map_err(|error| format!("read_at: {error}"))
    }

    /// The records as a batch with the fields that the plugin reads; for one that reads any, with those that the case
    /// names or its records have.
    pub(super) fn batch(&self, about: &Description) -> Result<Batch, String> {
        let fields = match (about.reads.as_slice(), &self.fields) {
            ([], Some(fields)) => fields.clone(),
            ([], None) => self.all_fields()?,
            (reads, _) => reads.iter().map(|read| read.name.clone()).collect(),
        };
        let (mut text, mut places) = (String::new(), Vec::new());
        for record in &self.records {
            let place = |at: usize| u32::try_from(at).map_err(|_| "it is too long".to_owned());
            places.push(Span { start: place(text.len())?, len: place(record.get().len())? });
            text.push_str(record.get());
        }
        let selection = Selection::new(&fields, Some("SystemModstamp"));
        selection.read_records(&Text::from(text), &places).map_err(|error| error.to_string())
    }

    /// Every field of the records, parents' fields as `Parent.Field`, in the order in which they come.
    fn all_fields(&self) -> Result<Vec<String>, String> {
        fn add(prefix: &str, record: &Map<String, Value>, fields: &mut Vec<String>) {
            for (name, value) in record.iter().filter(|(name, _)| *name != "attributes") {
                let path = format!("{prefix}{name}");
                match value {
                    Value::Object(parent) if parent.contains_key("attributes") => {
                        add(&format!("{path}."), parent, fields);
                    }
                    _ if fields.contains(&path) => {}
                    _ => fields.push(path),
                }
            }
        }
        let mut fields = Vec::new();
        for record in &self.records {
            let record: Map<String, Value> =
                serde_json::from_str(record.get()).map_err(|error| error.to_string())?;
            add("", &record, &mut fields);
        }
        // A parent that is null in one record and there in another is read field by field.
        let parents: Vec<String> = fields
            .iter()
            .filter_map(|path| path.rsplit_once('.').map(|(parent, _)| parent.to_owned()))
            .collect();
        fields.retain(|path| !parents.contains(path));
        Ok(fields)
    }
}

/// What is expected, without what says nothing.
fn expected(text: &str) -> Result<Json, serde_json::Error> {
    let mut read = Json::read(text)?;
    if let Json::List(outcomes) = &mut read {
        for failed in outcomes.iter_mut().filter_map(|outcome| outcome.field_mut("failed")) {
            failed.drop_null("field");
        }
    }
    Ok(read)
}

/// An outcome as cases spell it: as the json form of the contract does.
pub(super) fn spelled(outcome: &Outcome) -> Json {
    match outcome {
        Outcome::Mapped(outputs) => {
            let output = |output: &crate::model::Output| {
                let fields = Json::read(&output.body).unwrap_or_else(|_| Json::text(&output.body));
                Json::object([
                    ("kind", Json::text(&output.kind)),
                    ("key", Json::text(&output.key)),
                    ("fields", fields),
                ])
            };
            Json::object([("mapped", Json::List(outputs.iter().map(output).collect()))])
        }
        Outcome::Skipped(reason) => Json::object([("skipped", Json::text(reason))]),
        Outcome::Failed(rejection) => {
            let field = rejection.field.as_deref().map(|field| ("field", Json::text(field)));
            let told = [
                ("code", Json::text(&rejection.code)),
                ("message", Json::text(&rejection.message)),
            ];
            Json::object([("failed", Json::object(told.into_iter().chain(field)))])
        }
    }
}

/// A record that is deleted, and that the plugin does not map: its outputs are retracted.
pub(super) fn deleted() -> Json {
    Json::object([("deleted", Json::Atom("true".to_owned()))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Output, Rejection};

    fn about(reads: &[&str]) -> Description {
        Description {
            name: "p".into(),
            version: "1".into(),
            summary: String::new(),
            objects: vec!["Contact".into()],
            reads: reads
                .iter()
                .map(|name| crate::plugin::Field { name: (*name).into(), required: true })
                .collect(),
            outputs: Vec::new(),
            settings: Vec::new(),
            maps_deletions: false,
        }
    }

    #[test]
    fn reads_every_shape_of_input() {
        let record = r#"{"attributes":{"type":"Lead"},"Id":"00Q4C00000VaYfK","N":1.50}"#;
        for text in [
            format!("[{record}]"),
            record.to_owned(),
            format!(r#"{{"totalSize":1,"done":true,"records":[{record}]}}"#),
            format!(r#"{{"records":[{record}],"settings":{{"a":1}},"limits":{{"fuel":5}}}}"#),
        ] {
            let input = Input::read(&text).unwrap();
            assert_eq!(input.object(&about(&[])), "Lead", "{text}");
            let batch = input.batch(&about(&[])).unwrap();
            assert_eq!(
                (&*batch.fields, batch.value(batch.row(0)[1])),
                (&["Id".into(), "N".into()][..], "1.50".into())
            );
        }
        assert_eq!(Input::default().object(&about(&[])), "Contact");
        let wrong = [
            "[",
            "7",
            r#"{"record":[]}"#,
            r#"{"records":[],"setings":{}}"#,
            r#"{"records":7}"#,
            r#"{"records":[],"limits":{"time":1}}"#,
            r#"{"records":[],"limits":{"memory":"2 miles"}}"#,
        ];
        let told = wrong.map(|text| Input::read(text).unwrap_err());
        insta::assert_snapshot!(told.join("\n"));
        let memory = |text: &str| {
            let text = format!(r#"{{"records":[],"limits":{{"memory":{text}}}}}"#);
            Input::read(&text).unwrap().limits.memory
        };
        assert_eq!((memory("\"2 MiB\""), memory("4096")), (Some(2 << 20), Some(4096)));
        let input = Input::read(r#"[{"Name":"x"}]"#).unwrap();
        assert_eq!(input.batch(&about(&["Name"])).unwrap_err(), "record 0 of the page has no Id");
        assert_eq!(input.read_at().unwrap().to_string(), "2024-02-29T12:00:00.000Z");
    }

    #[test]
    fn parents_are_fields_of_their_own() {
        let text = r#"[{"Id":"00Q4C00000VaYfK","Account":{"attributes":{},"Name":"A","Owner":{"attributes":{},"Email":"e"}},"Place":{"city":"X"}},
            {"Id":"00Q4C00000VaYfL","Account":null,"Late":1}]"#;
        let fields = Input::read(text).unwrap().all_fields().unwrap();
        assert_eq!(fields, ["Id", "Account.Name", "Account.Owner.Email", "Place", "Late"]);
    }

    #[test]
    fn outcomes_are_spelled_as_the_contract_does() {
        let rejection = Rejection { code: "a.b".into(), message: "m\u{1b}".into(), field: None };
        let outcomes = [
            Outcome::Mapped(vec![Output {
                kind: "k".into(),
                key: "1".into(),
                body: "{\"n\":1.0}".into(),
            }]),
            Outcome::Skipped("why".into()),
            Outcome::Failed(rejection),
        ];
        let made = Json::List(outcomes.iter().map(spelled).collect());
        let wanted = r#"[{"mapped":[{"key":"1","kind":"k","fields":{"n":1.0}}]},{"skipped":"why"},
            {"failed":{"code":"a.b","message":"m\u001b","field":null}}]"#;
        assert!(made.same(&expected(wanted).unwrap()), "{}", made.pretty());
    }

    #[test]
    fn finds_cases_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for file in [
            "cases/a.input.json",
            "cases/deep/b.input.json",
            "node_modules/c.input.json",
            ".git/d.input.json",
        ] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "[]").unwrap();
        }
        std::fs::write(folder.path().join("cases/a.expected.json"), "[]").unwrap();
        let names = |words: &[&str]| -> Vec<String> {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            find(folder.path(), &words).unwrap().into_iter().map(|case| case.name).collect()
        };
        assert_eq!(names(&[]), ["cases/a", "cases/deep/b"]);
        assert_eq!(names(&["deep"]), ["cases/deep/b"]);
        assert!(names(&["nothing"]).is_empty());
        let cases = find(folder.path(), &[]).unwrap();
        assert_eq!(
            cases.iter().map(|case| case.expected.is_some()).collect::<Vec<_>>(),
            [true, false]
        );
        std::fs::write(folder.path().join("cases/a.expected.json"), "[1,").unwrap();
        assert!(find(folder.path(), &[]).unwrap_err().to_string().contains("a.expected.json: EOF"));
    }
}

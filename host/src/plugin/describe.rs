//! What a plugin tells of itself, checked.

use std::collections::HashSet;

use serde::Serialize;

use super::settings::default_value;
use super::text::clean;
use super::v1::types;

/// A Salesforce field that a plugin reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// API name, parents as `Account.Name`.
    pub name: String,
    /// Whether it cannot do without it.
    pub required: bool,
}

/// A kind of output that a plugin makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutputKind {
    /// Its name.
    pub name: String,
    /// The fields of its bodies; exactly `*` when the plugin makes whole bodies.
    pub fields: Vec<String>,
}

/// What a setting holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SettingKind {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// One of these texts.
    Choice(Vec<String>),
    /// A text that is never shown.
    Secret,
}

/// A setting that the user gives per sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Setting {
    /// Its name in `config`.
    pub name: String,
    /// A short name for people.
    pub title: String,
    /// What it does.
    pub help: String,
    /// What it holds.
    pub kind: SettingKind,
    /// Whether it must be given.
    pub required: bool,
    /// What it is when it is not given, as text.
    pub default: Option<String>,
}

/// What a plugin is, reads and makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does, in a sentence.
    pub summary: String,
    /// API names of the objects that it can map; empty: any.
    pub objects: Vec<String>,
    /// The fields that it reads, in the order in which cells come; empty: every field that the sync selects.
    pub reads: Vec<Field>,
    /// The kinds of output that it makes.
    pub outputs: Vec<OutputKind>,
    /// The settings that it takes.
    pub settings: Vec<Setting>,
    /// Whether it maps deleted records; the host retracts their outputs itself otherwise.
    pub maps_deletions: bool,
}

impl Description {
    /// Whether it can map an object of this name.
    pub fn maps(&self, object: &str) -> bool {
        self.objects.is_empty() || self.objects.iter().any(|name| name.eq_ignore_ascii_case(object))
    }

    /// Takes what a plugin told. An error says what is wrong with it.
    pub(super) fn check(told: types::Description) -> Result<Self, String> {
        let name = told.name;
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            let shown = clean(&name, 80);
            return Err(format!(
                "the name '{shown}' is not 1 to 64 letters, digits, '_', '-', '.'"
            ));
        }
        let version = short("version", &told.version, 40)?;
        count("objects", told.objects.len(), 200)?;
        count("fields to read", told.reads.len(), 1000)?;
        count("kinds of output", told.outputs.len(), 100)?;
        count("settings", told.settings.len(), 100)?;
        let objects = told
            .objects
            .into_iter()
            .map(|name| api_name("object", name))
            .collect::<Result<Vec<_>, _>>()?;
        let reads = told
            .reads
            .into_iter()
            .map(|field| {
                Ok(Field { name: api_name("field", field.name)?, required: field.required })
            })
            .collect::<Result<Vec<_>, String>>()?;
        once("field to read", reads.iter().map(|field| field.name.to_ascii_lowercase()))?;
        if told.outputs.is_empty() {
            return Err(String::from("it declares no kind of output"));
        }
        let outputs = told.outputs.into_iter().map(output_kind).collect::<Result<Vec<_>, _>>()?;
        once("kind of output", outputs.iter().map(|kind| kind.name.clone()))?;
        let settings = told.settings.into_iter().map(setting).collect::<Result<Vec<_>, _>>()?;
        once("setting", settings.iter().map(|setting| setting.name.clone()))?;
        Ok(Self {
            name,
            version,
            summary: clean(&told.summary, 500),
            objects,
            reads,
            outputs,
            settings,
            maps_deletions: told.maps_deletions,
        })
    }
}

fn output_kind(told: types::OutputKind) -> Result<OutputKind, String> {
    let name = word("kind of output", told.name)?;
    count(&format!("fields of '{name}'"), told.fields.len(), 1000)?;
    let open = told.fields == ["*"];
    for field in &told.fields {
        let odd = field.is_empty() || field.len() > 255 || field.chars().any(char::is_control);
        if odd || (field == "*" && !open) {
            return Err(format!("'{name}' has a field '{}'", clean(field, 80)));
        }
    }
    once(&format!("field of '{name}'"), told.fields.iter().cloned())?;
    Ok(OutputKind { name, fields: told.fields })
}

fn setting(told: types::Setting) -> Result<Setting, String> {
    let name = word("setting", told.name)?;
    let kind = match told.kind {
        types::SettingKind::Text => SettingKind::Text,
        types::SettingKind::Integer => SettingKind::Integer,
        types::SettingKind::Number => SettingKind::Number,
        types::SettingKind::Boolean => SettingKind::Boolean,
        types::SettingKind::Choice(choices) => {
            count(&format!("choices of '{name}'"), choices.len(), 200)?;
            let texts = choices.iter().map(|choice| short("choice", choice, 200));
            SettingKind::Choice(texts.collect::<Result<_, _>>()?)
        }
        types::SettingKind::Secret => SettingKind::Secret,
    };
    let setting = Setting {
        title: clean(&told.title, 100),
        help: clean(&told.help, 1000),
        required: told.required,
        default: told.default_value,
        name,
        kind,
    };
    if let Some(default) = &setting.default {
        default_value(&setting.kind, default).map_err(|wanted| {
            format!("the default of setting '{}' is no {wanted}", setting.name)
        })?;
    }
    Ok(setting)
}

fn api_name(what: &str, name: String) -> Result<String, String> {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if name.len() <= 255 && name.split('.').all(part) && name.split('.').count() <= 6 {
        Ok(name)
    } else {
        Err(format!("'{}' is no API name of an {what}", clean(&name, 80)))
    }
}

fn word(what: &str, name: String) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        let shown = clean(&name, 80);
        return Err(format!(
            "the {what} '{shown}' is not 1 to 64 letters, digits, '_', '-' or '.'"
        ));
    }
    Ok(name)
}

fn short(what: &str, text: &str, most: usize) -> Result<String, String> {
    if text.is_empty() || text.len() > most {
        return Err(format!("a {what} is empty or has more than {most} bytes"));
    }
    Ok(clean(text, most))
}

fn count(what: &str, count: usize, most: usize) -> Result<(), String> {
    if count <= most { Ok(()) } else { Err(format!("it has {count} {what}; {most} are allowed")) }
}

fn once(what: &str, names: impl Iterator<Item = String>) -> Result<(), String> {
    let mut seen = HashSet::new();
    for name in names {
        if seen.contains(&name) {
            return Err(format!("the {what} '{}' is declared twice", clean(&name, 80)));
        }
        seen.insert(name);
    }
    Ok(())
}

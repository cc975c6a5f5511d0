//! The settings of a sync, checked against what its plugin declares.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_64;

use super::describe::{Setting, SettingKind};
use super::text::clean;

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting; empty when it is about all of them.
    pub setting: String,
    /// What is wrong with it.
    pub message: String,
}

impl Problem {
    pub(super) fn new(setting: &str, message: impl Into<String>) -> Self {
        Self { setting: setting.to_owned(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.setting.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "'{}' {}", self.setting, self.message)
        }
    }
}

/// Settings that fit the plugin, defaults filled in. They may hold secrets, so they do not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    json: Arc<str>,
    digest: Arc<str>,
    secrets: Arc<[String]>,
}

impl Settings {
    /// As the JSON object that the plugin is given.
    pub(super) fn json(&self) -> &str {
        &self.json
    }

    /// The values of secret settings, which what the plugin says must not have in it.
    pub(super) fn secrets(&self) -> &Arc<[String]> {
        &self.secrets
    }

    /// Tells settings apart; secret ones are left out, so that nothing of them is ever stored.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Settings(..)")
    }
}

/// Checks what the user gave against what is declared.
pub(super) fn check(
    declared: &[Setting],
    given: &Map<String, Value>,
) -> Result<Settings, Vec<Problem>> {
    let mut problems = Vec::new();
    for name in given.keys().filter(|name| declared.iter().all(|known| known.name != **name)) {
        let known: Vec<&str> = declared.iter().map(|setting| setting.name.as_str()).collect();
        let known = if known.is_empty() { String::from("none") } else { known.join(", ") };
        problems
            .push(Problem::new(name, format!("is no setting of this plugin; it takes {known}")));
    }
    let mut taken = Map::new();
    for setting in declared {
        let value = match (given.get(&setting.name), &setting.default) {
            (Some(Value::Null) | None, Some(default)) => default_value(&setting.kind, default),
            (Some(Value::Null) | None, None) => {
                if setting.required {
                    problems.push(Problem::new(&setting.name, "is required"));
                }
                continue;
            }
            (Some(value), _) => fit(&setting.kind, value),
        };
        match value {
            Ok(value) => drop(taken.insert(setting.name.clone(), value)),
            Err(wanted) => problems.push(Problem::new(&setting.name, format!("must be {wanted}"))),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let secret = |setting: &Setting| setting.kind == SettingKind::Secret;
    let open: Vec<(&str, Option<&Value>)> = declared
        .iter()
        .filter(|setting| !secret(setting))
        .map(|setting| (setting.name.as_str(), taken.get(&setting.name)))
        .collect();
    let digest = xxh3_64(serde_json::to_string(&open).unwrap_or_default().as_bytes());
    let digest = format!("{digest:016x}").into();
    let secrets = declared.iter().filter(|setting| secret(setting));
    let secrets = secrets.filter_map(|setting| taken.get(&setting.name)?.as_str());
    let secrets = secrets.map(str::to_owned).collect();
    Ok(Settings { json: Value::Object(taken).to_string().into(), digest, secrets })
}

/// The value of this kind that a default spells; an error says what is wanted.
pub(super) fn default_value(kind: &SettingKind, text: &str) -> Result<Value, String> {
    let value = match kind {
        SettingKind::Text | SettingKind::Secret | SettingKind::Choice(_) => Value::from(text),
        _ => serde_json::from_str(text).map_err(|_| wanted(kind))?,
    };
    fit(kind, &value)
}

fn fit(kind: &SettingKind, value: &Value) -> Result<Value, String> {
    let fits = match (kind, value) {
        (SettingKind::Text | SettingKind::Secret, Value::String(text)) => text.len() <= 64 << 10,
        (SettingKind::Choice(choices), Value::String(text)) => choices.contains(text),
        (SettingKind::Integer, Value::Number(number)) => number.is_i64(),
        (SettingKind::Number, Value::Number(_)) | (SettingKind::Boolean, Value::Bool(_)) => true,
        _ => false,
    };
    if fits { Ok(value.clone()) } else { Err(wanted(kind)) }
}

fn wanted(kind: &SettingKind) -> String {
    match kind {
        SettingKind::Text | SettingKind::Secret => String::from("a text of at most 64 KiB"),
        SettingKind::Integer => String::from("a whole number"),
        SettingKind::Number => String::from("a number"),
        SettingKind::Boolean => String::from("true or false"),
        SettingKind::Choice(choices) => format!("one of {}", clean(&choices.join(", "), 300)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> Vec<Setting> {
        let setting = |name: &str, kind, required, default: Option<&str>| Setting {
            name: name.into(),
            title: String::new(),
            help: String::new(),
            kind,
            required,
            default: default.map(str::to_owned),
        };
        let choices = vec![String::from("red"), String::from("blue")];
        vec![
            setting("prefix", SettingKind::Text, true, None),
            setting("count", SettingKind::Integer, false, Some("5")),
            setting("colour", SettingKind::Choice(choices), false, Some("red")),
            setting("token", SettingKind::Secret, false, None),
            setting("on", SettingKind::Boolean, false, None),
            setting("share", SettingKind::Number, false, None),
        ]
    }

    fn given(text: &str) -> Result<Settings, Vec<Problem>> {
        check(&declared(), &serde_json::from_str(text).unwrap())
    }

    #[test]
    fn fills_in_defaults_and_hides_values() {
        let settings = given(r#"{"prefix":"x","token":"hunter2","count":null}"#).unwrap();
        let json = r#"{"prefix":"x","count":5,"colour":"red","token":"hunter2"}"#;
        assert_eq!(settings.json(), json);
        assert_eq!(format!("{settings:?}"), "Settings(..)");
        let digest = |text: &str| given(text).unwrap().digest().to_owned();
        assert_eq!(settings.digest(), digest(r#"{"prefix":"x","colour":"red"}"#));
        assert_ne!(settings.digest(), digest(r#"{"prefix":"y","token":"hunter2"}"#));
    }

    #[test]
    fn names_every_problem_and_no_value() {
        let given = r#"{"count":1.5,"colour":"green","token":["hunter2"],"on":"yes","share":"0.5","sise":1}"#;
        let problems = super::tests::given(given).unwrap_err();
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        'sise' is no setting of this plugin; it takes prefix, count, colour, token, on, share
        'prefix' is required
        'count' must be a whole number
        'colour' must be one of red, blue
        'token' must be a text of at most 64 KiB
        'on' must be true or false
        'share' must be a number
        "#);
    }
}

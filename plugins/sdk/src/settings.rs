//! What a user sets per sync.

use std::fmt;

use serde_json::Value;

/// What a setting's value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Boolean,
    /// One of these texts.
    Choice(Vec<String>),
    /// A text that is never shown.
    Secret,
}

/// One setting that the user gives per sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name in `config = { name = value }`.
    pub name: &'static str,
    /// A title for people.
    pub title: &'static str,
    /// What it does.
    pub help: &'static str,
    /// What its value is.
    pub kind: SettingKind,
    /// Whether it must be given.
    pub required: bool,
    /// What it is when it is not given, as text.
    pub default: Option<&'static str>,
}

/// What is wrong with one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting's name; empty when it is about all of them.
    pub setting: String,
    /// What is wrong, for people.
    pub message: String,
}

/// A struct that settings are read into; `#[derive(Settings)]` writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot hold settings",
    label = "needs `#[derive(Settings)]`"
)]
pub trait Settings: Sized + Send + Sync + 'static {
    /// The settings that there are.
    fn declare() -> Vec<Setting>;

    /// Reads what the user gave; says in `source` what is wrong.
    fn read(source: &mut Source) -> Option<Self>;

    /// Settings from a JSON object.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first.
    fn from_json(json: &str) -> Result<Self, Vec<Problem>> {
        let mut source = Source::new(json, &Self::declare())?;
        let settings = Self::read(&mut source);
        match settings {
            Some(settings) if source.problems.is_empty() => Ok(settings),
            _ => Err(source.problems),
        }
    }
}

impl Settings for () {
    fn declare() -> Vec<Setting> {
        Vec::new()
    }

    fn read(_: &mut Source) -> Option<Self> {
        Some(())
    }

    fn from_json(json: &str) -> Result<Self, Vec<Problem>> {
        // The usual answer, without pulling a JSON parser into a plugin that has no settings.
        let empty = json.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match empty {
            Some(inside) if inside.trim().is_empty() => Ok(()),
            _ => Err(vec![Problem {
                setting: String::new(),
                message: "the plugin takes no settings".to_owned(),
            }]),
        }
    }
}

/// The settings that a user gave, and what was found wrong with them.
#[derive(Debug)]
pub struct Source {
    given: serde_json::Map<String, Value>,
    problems: Vec<Problem>,
}

impl Source {
    fn new(json: &str, declared: &[Setting]) -> Result<Self, Vec<Problem>> {
        let given: serde_json::Map<String, Value> =
            serde_json::from_str(json).map_err(|error| {
                vec![Problem {
                    setting: String::new(),
                    message: format!("settings must be a JSON object: {error}"),
                }]
            })?;
        let mut problems = Vec::new();
        for name in given.keys().filter(|name| declared.iter().all(|setting| setting.name != *name))
        {
            let known: Vec<_> = declared.iter().map(|setting| setting.name).collect();
            let message = format!("there is no such setting; there are: {}", known.join(", "));
            problems.push(Problem { setting: name.clone(), message });
        }
        Ok(Self { given, problems })
    }

    /// The value of one setting: given, else its default; `choices` are all that it can be, if there are any.
    pub fn take<T: FromSetting>(
        &mut self,
        name: &str,
        default: Option<Value>,
        choices: &[&str],
    ) -> Option<T> {
        let given = self.given.get(name).filter(|value| !value.is_null()).cloned().or(default);
        let read = match given {
            None => T::absent().ok_or_else(|| "must be set".to_owned()),
            Some(value) => chosen(&value, choices).and_then(|()| T::from_setting(&value)),
        };
        read.map_err(|message| self.problems.push(Problem { setting: name.to_owned(), message }))
            .ok()
    }
}

fn chosen(value: &Value, choices: &[&str]) -> Result<(), String> {
    if choices.is_empty() || value.as_str().is_some_and(|text| choices.contains(&text)) {
        return Ok(());
    }
    Err(format!("must be one of: {}", choices.join(", ")))
}

/// A type that a setting can have.
#[diagnostic::on_unimplemented(
    message = "a setting cannot be a `{Self}`",
    note = "use String, bool, i64, f64 or Secret, in an Option where it may be left out"
)]
pub trait FromSetting: Sized {
    /// Whether the setting must be given, unless it has a default.
    const REQUIRED: bool = true;

    /// What its value is.
    fn kind() -> SettingKind;

    /// Reads what was given.
    ///
    /// # Errors
    /// What it must be instead.
    fn from_setting(value: &Value) -> Result<Self, String>;

    /// The value when nothing was given, if there can be one.
    fn absent() -> Option<Self> {
        None
    }
}

impl<T: FromSetting> FromSetting for Option<T> {
    const REQUIRED: bool = false;

    fn kind() -> SettingKind {
        T::kind()
    }

    fn from_setting(value: &Value) -> Result<Self, String> {
        T::from_setting(value).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

macro_rules! from_setting {
    ($($type:ty, $kind:ident, $expected:literal, $read:expr;)*) => {$(
        impl FromSetting for $type {
            fn kind() -> SettingKind {
                SettingKind::$kind
            }

            fn from_setting(value: &Value) -> Result<Self, String> {
                let read: fn(&Value) -> Option<Self> = $read;
                read(value).ok_or_else(|| concat!("must be ", $expected).to_owned())
            }
        }
    )*};
}
from_setting! {
    String, Text, "a text", |value| value.as_str().map(str::to_owned);
    bool, Boolean, "true or false", Value::as_bool;
    i64, Integer, "a whole number", Value::as_i64;
    f64, Number, "a number", Value::as_f64;
    Secret, Secret, "a text", |value| value.as_str().map(|it| Secret(it.to_owned()));
}

/// A text that does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

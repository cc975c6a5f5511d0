//! From text to [`File`]: finds every mistake of form, not only the first, and never repeats a secret.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::error::Problem;
use super::file::{At, File, SECRET_HERE};
use super::values::nearest;

const SECTIONS: [&str; 12] = [
    "org",
    "connection",
    "quota",
    "store",
    "keep",
    "web",
    "plugins",
    "defaults",
    "sync",
    "deliver",
    "alerts",
    "telemetry",
];

/// What was read, and what could not be.
pub struct Read {
    /// What was read; what has a mistake is left out.
    pub file: File,
    /// The text with anything that may be a secret blotted out.
    pub shown: String,
    /// The mistakes, in no order.
    pub problems: Vec<Problem>,
}

/// Reads a text.
pub fn read(text: &str) -> Read {
    let (root, errors) = DeTable::parse_recoverable(text);
    let root = root.into_inner();
    let mut reader = Reader { shown: blot(text, &root), problems: Vec::new() };
    for error in errors {
        reader.problems.push(Problem {
            code: "config.syntax",
            key: String::new(),
            value: None,
            what: format!("this is not TOML: {}", one_line(error.message())),
            cure: "mend the line; https://toml.io shows how TOML is written".into(),
            span: error.span(),
        });
    }
    let mut file = File::default();
    for (key, value) in root {
        let span = value.span();
        match key.get_ref().as_ref() {
            "org" => file.org = reader.section("org", value),
            "quota" => file.quota = reader.section("quota", value),
            "store" => file.store = reader.section("store", value),
            "keep" => file.keep = reader.section("keep", value),
            "web" => file.web = reader.section("web", value),
            "plugins" => file.plugins = reader.section("plugins", value),
            "defaults" => file.defaults = reader.section("defaults", value),
            "connection" => file.connection = reader.sections("connection", value),
            "alerts" => file.alerts = reader.section("alerts", value),
            "telemetry" => file.telemetry = reader.section("telemetry", value),
            "deliver" => file.deliver = reader.sections("deliver", value),
            "sync" => file.sync = reader.sections("sync", value),
            other => {
                let cure = match nearest(other, SECTIONS.into_iter()) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("the sections are {}", SECTIONS.join(", ")),
                };
                let at = if value.get_ref().is_table() { key.span() } else { span };
                reader.problem("config.key", other, None, "there is no such section", cure, at);
            }
        }
    }
    Read { file, shown: reader.shown, problems: reader.problems }
}

struct Reader {
    shown: String,
    problems: Vec<Problem>,
}

impl Reader {
    fn problem(
        &mut self,
        code: &'static str,
        key: &str,
        value: Option<Range<usize>>,
        what: impl Into<String>,
        cure: impl Into<String>,
        span: Range<usize>,
    ) {
        let value = value.map(|at| cut(self.shown.get(at).unwrap_or_default()));
        let (what, cure) = (what.into(), cure.into());
        let key = key.to_owned();
        self.problems.push(Problem { code, key, value, what, cure, span: Some(span) });
    }

    /// `[[name]]`, each entry for itself.
    fn sections<T: DeserializeOwned>(
        &mut self,
        name: &str,
        value: Spanned<DeValue<'_>>,
    ) -> Vec<At<T>> {
        let span = value.span();
        let DeValue::Array(entries) = value.into_inner() else {
            let cure = format!("write [[{name}]], in double brackets: there may be several");
            self.problem("config.value", name, None, "is not a list of tables", cure, span);
            return Vec::new();
        };
        let mut found = Vec::new();
        for (i, entry) in entries.into_iter().enumerate() {
            let span = entry.span();
            let place = label(name, &entry).unwrap_or_else(|| match name {
                "connection" => "connection.main".to_owned(),
                _ => format!("{name}[{}]", i + 1),
            });
            if let Some(value) = self.section(&place, entry) {
                found.push(At { value, span });
            }
        }
        found
    }

    /// `[place]`: every key that cannot be read is reported and left out, and the rest is read again.
    fn section<T: DeserializeOwned>(
        &mut self,
        place: &str,
        mut value: Spanned<DeValue<'_>>,
    ) -> Option<T> {
        loop {
            let error = match T::deserialize(ValueDeserializer::from(value.clone())) {
                Ok(section) => return Some(section),
                Err(error) => error,
            };
            let span = value.span();
            let at = error.span().unwrap_or_else(|| span.clone());
            let DeValue::Table(table) = value.get_ref() else {
                let cure = format!("write [{place}] and its keys below");
                self.problem("config.value", place, None, "is not a table", cure, span);
                return None;
            };
            let holds = |range: Range<usize>| range.start <= at.start && at.end <= range.end;
            let guilty = table.iter().find(|(key, value)| holds(key.span()) || holds(value.span()));
            let Some((key, field)) = guilty else {
                self.problem("config.value", place, None, one_line(error.message()), "mend it", at);
                return None;
            };
            let (name, full) = (key.get_ref().to_string(), format!("{place}.{}", key.get_ref()));
            // The error may be about a part of the value, which is the better place.
            let inner =
                field.span().start <= at.start && at.end <= field.span().end && !at.is_empty();
            let (key_at, field_at) = (key.span(), if inner { at } else { field.span() });
            self.explain(&full, &name, error.message(), field.get_ref(), key_at, field_at);
            let DeValue::Table(table) = value.get_mut() else { return None };
            table.remove(name.as_str());
        }
    }

    /// Turns what serde says of one key into a problem with a cure.
    fn explain(
        &mut self,
        full: &str,
        name: &str,
        message: &str,
        field: &DeValue<'_>,
        key_at: Range<usize>,
        field_at: Range<usize>,
    ) {
        let message = one_line(message);
        let expected: Vec<&str> = message
            .split_once("expected ")
            .map(|(_, list)| list.split('`').skip(1).step_by(2).collect())
            .unwrap_or_default();
        if message.starts_with(&format!("unknown field `{name}`")) {
            let cure = match nearest(name, expected.iter().copied()) {
                Some(key) => format!("did you mean `{key}`?"),
                None => format!("the keys here are {}", expected.join(", ")),
            };
            return self.problem("config.key", full, None, "there is no such key", cure, key_at);
        }
        if is_secret(name) && !field.is_table() {
            let cure = format!(
                "write {name} = {{ env = \"NAME\" }}, {{ file = \"path\" }} or {{ command = [\"program\"] }}, and change the secret: it has been in a file"
            );
            let what = "a secret must not stand in this file";
            return self.problem("config.secret-in-file", full, None, what, cure, field_at);
        }
        if message.starts_with(SECRET_HERE) {
            let cure = "write { env = \"NAME\" }, { file = \"path\" } or { command = [\"program\"] } for it, and change the secret: it has been in a file";
            let what = "a secret must not stand in this file";
            return self.problem("config.secret-in-file", full, None, what, cure, field_at);
        }
        if message.starts_with("unknown variant") {
            let cure = format!("write one of \"{}\"", expected.join("\", \""));
            let at = field_at.clone();
            return self.problem("config.value", full, Some(at), "is not known", cure, field_at);
        }
        let at = Some(field_at.clone());
        if is_secret(name) {
            let cure = format!(
                "write {name} = {{ env = \"NAME\" }}, {{ file = \"path\" }} or {{ command = [\"program\"] }}"
            );
            let what = "does not say where the secret is";
            return self.problem("config.value", full, at, what, cure, field_at);
        }
        let (what, cure) = match message.split_once("expected ") {
            Some((_, wanted)) => {
                let wanted = in_toml(wanted);
                (format!("is not {wanted}"), format!("write {wanted}"))
            }
            None => (message, "mend the value".to_owned()),
        };
        self.problem("config.value", full, at, what, cure, field_at);
    }
}

/// What serde expects, in the words of the file.
fn in_toml(wanted: &str) -> &str {
    match wanted {
        "i64" => "a whole number",
        "a boolean" => "true or false",
        "a string" | "string" => "a text in quotes",
        "a map" => "a table such as { name = \"value\" }",
        other => other,
    }
}

/// What to call an entry: by its name, or by its object.
fn label(section: &str, entry: &Spanned<DeValue<'_>>) -> Option<String> {
    let table = entry.get_ref().as_table()?;
    let text = |key: &str| table.get(key).and_then(|value| value.get_ref().as_str());
    let name = text("name").or_else(|| text("object"))?;
    Some(format!("{section}.{}", cut(name)))
}

/// The first line, cut to 60 characters.
pub fn cut(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut cut: String = line.chars().take(60).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join("; ")
}

/// Whether a value under this key may be a secret.
pub fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let marks = ["secret", "password", "passphrase", "token", "private_key", "api_key", "apikey"];
    key == "key" || marks.iter().any(|mark| key.contains(mark))
}

/// The text with stars for what may be a secret, of the same length in bytes, so that places stay true.
fn blot(text: &str, root: &DeTable<'_>) -> String {
    let mut spans = Vec::new();
    collect(root, &mut spans);
    // A line that is not TOML is not in the tree, and is the one that will be shown.
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if let Some((key, value)) = line.split_once('=')
            && is_secret(key.trim())
            && !value.trim_start().starts_with('{')
        {
            let from = start + key.len() + 1;
            spans.push(from..start + line.trim_end().len().max(key.len() + 1));
        }
        start += line.len();
    }
    let mut bytes = text.as_bytes().to_vec();
    for span in spans {
        for byte in bytes.get_mut(span).unwrap_or_default() {
            if !byte.is_ascii_whitespace() {
                *byte = b'*';
            }
        }
    }
    // Whole characters were replaced, so this stays UTF-8; if ever not, nothing is shown rather than too much.
    String::from_utf8(bytes).unwrap_or_else(|_| "*".repeat(text.len()))
}

fn collect(table: &DeTable<'_>, spans: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        match value.get_ref() {
            DeValue::Table(inner) if key.get_ref() == "headers" => {
                let values = inner.values().filter(|value| !value.get_ref().is_table());
                spans.extend(values.map(Spanned::span));
                collect(inner, spans);
            }
            DeValue::Table(inner) => collect(inner, spans),
            _ if is_secret(key.get_ref()) => spans.push(value.span()),
            DeValue::Array(entries) => {
                for entry in entries.iter() {
                    if let DeValue::Table(inner) = entry.get_ref() {
                        collect(inner, spans);
                    }
                }
            }
            _ => {}
        }
    }
}

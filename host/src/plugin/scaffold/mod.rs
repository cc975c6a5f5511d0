//! Projects for those who begin a mapping: sources, a test case and the SDK, in the author's language. Pure: texts come
//! out, and whoever called writes them.

mod object;
mod python;
mod rust;
mod sdk;
mod text;
mod typescript;

use serde_json::{Value, json};

pub use object::{Field, Kind, Object};

/// The author's language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lang {
    /// Rust, over the table form.
    Rust,
    /// TypeScript, over the json form.
    TypeScript,
    /// Python, over the json form.
    Python,
}

/// A project to be written.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// The author's language.
    pub lang: Lang,
    /// What it maps.
    pub object: Object,
}

/// A file of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it lies in the project, with `/` between folders.
    pub path: String,
    /// What is in it.
    pub text: String,
    /// Whether it is a program.
    pub program: bool,
}

impl File {
    fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into(), program: false }
    }
}

/// Whether a project may be called so; if not, why. It becomes a folder, a crate, a package and a file.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    let letters =
        name.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-');
    if !begins || !letters || name.ends_with('-') || name.contains("--") {
        return Err(
            "a name is of small letters, digits and single hyphens, and begins with a letter",
        );
    }
    if name.len() > 60 {
        return Err("a name has at most 60 letters");
    }
    // Modules of the languages and of the SDK, which a project of this name would hide.
    if ["test", "core", "std", "alloc", "kilofold-plugin", "kilofold-plugin-derive", "mapping"]
        .contains(&name)
    {
        return Err("this name belongs to something that the project needs");
    }
    Ok(())
}

impl Project {
    /// The kind of output that the project makes at first.
    fn kind(&self) -> &'static str {
        match self.object.name.as_str() {
            "Contact" | "Lead" | "User" | "CampaignMember" => "person",
            "Task" | "Event" => "event",
            _ => "object",
        }
    }

    /// One sentence for people.
    fn summary(&self) -> String {
        format!("Records of {} as outputs of kind {}.", self.object.name, self.kind())
    }

    /// The name of the test case.
    fn case(&self) -> String {
        text::snake(&self.object.name).replace('_', "-")
    }

    /// Every file of the project.
    pub fn files(&self) -> Vec<File> {
        let mut files = match self.lang {
            Lang::Rust => rust::files(self),
            Lang::TypeScript => typescript::files(self),
            Lang::Python => python::files(self),
        };
        let case = self.case();
        let input = json!([self.object.sample(true), self.object.sample(false)]);
        let expected = json!([self.expected(true), self.expected(false)]);
        files.push(File::new(format!("cases/{case}.input.json"), pretty(&input)));
        files.push(File::new(format!("cases/{case}.expected.json"), pretty(&expected)));
        files.push(File::new("README.md", self.readme()));
        files.extend(sdk::files(self.lang));
        files
    }

    /// What becomes of a sample.
    fn expected(&self, full: bool) -> Value {
        let sample = self.object.sample(full);
        let fields: Vec<&Field> = self.object.chosen().filter(|field| field.name != "Id").collect();
        let names = text::distinct(fields.iter().map(|field| field.name.as_str()));
        let fields = fields.iter().zip(names).map(|(field, name)| {
            let empty = sample[&field.name].is_null();
            (name, if empty { Value::Null } else { field.kind.made(&field.name, self.lang) })
        });
        let fields: serde_json::Map<String, Value> = fields.collect();
        json!({ "mapped": [{ "kind": self.kind(), "key": sample["Id"], "fields": fields }] })
    }

    /// The commands of the author's language, in order: what to install, to build and to test.
    pub fn commands(&self) -> Vec<&'static str> {
        match self.lang {
            Lang::Rust => vec!["cargo test", "cargo build --release --target wasm32-wasip2"],
            Lang::TypeScript => vec!["npm install", "npm test", "npm run build"],
            Lang::Python => vec![
                "python3 -m venv .venv",
                ".venv/bin/pip install -r requirements.txt",
                ".venv/bin/python -m unittest discover tests",
                ".venv/bin/python -m kilofold_plugin build",
            ],
        }
    }

    /// Where the build leaves the component.
    pub fn component(&self) -> String {
        match self.lang {
            Lang::Rust => {
                format!("target/wasm32-wasip2/release/{}.wasm", self.name.replace('-', "_"))
            }
            Lang::TypeScript | Lang::Python => format!("dist/{}.wasm", self.name),
        }
    }

    fn readme(&self) -> String {
        let (source, needs) = match self.lang {
            Lang::Rust => ("src/lib.rs", "rustup, and once: `rustup target add wasm32-wasip2`"),
            Lang::TypeScript => ("src/index.ts", "Node.js 20 or newer, with npm"),
            Lang::Python => ("mapping.py", "Python 3.11 or newer, with pip and venv"),
        };
        let (name, summary, object, component, case) =
            (&self.name, self.summary(), &self.object.name, self.component(), self.case());
        let commands = self.commands().join("\n");
        format!(
            "# {name}
{summary} A mapping plugin for kilofold.

The mapping is `{source}`: what is read, what is made, and one function. You need {needs}.

```console
{commands}
kilofold plugin check {component}
kilofold plugin test
```

`cases/{case}.input.json` has records as Salesforce sends them, `cases/{case}.expected.json` what is to become of them.
Put your own beside them. After a change on purpose, `kilofold plugin test --update` writes what becomes of them now.

To run it, name it in `kilofold.toml`:

```toml
[[sync]]
object = \"{object}\"
plugin = \"./{component}\"
every = \"15m\"
```

`vendor/` is kilofold's SDK, as the kilofold that made this project has it; `kilofold plugin new` of a newer one writes a
newer one. Leave it as it is.
"
        )
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests;

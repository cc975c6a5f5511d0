//! A project in Rust.

use super::object::{Field, Kind};
use super::{File, Project, text};

const KEYWORDS: [&str; 12] = [
    "type", "ref", "match", "move", "use", "where", "self", "in", "for", "final", "override",
    "abstract",
];

pub(super) fn files(project: &Project) -> Vec<File> {
    let name = &project.name;
    let manifest = format!(
        "[package]
name = \"{name}\"
version = \"0.1.0\"
edition = \"2024\"
description = \"{}\" # shown as the plugin's summary
publish = false

[lib]
crate-type = [\"cdylib\"]

[dependencies]
kilofold-plugin = {{ path = \"vendor/sdk\" }}

[profile.release]
lto = true
strip = \"debuginfo\" # not \"symbols\": names make a trap readable

# The project stands alone, wherever it lies.
[workspace]
",
        project.summary()
    );
    // As ours are built.
    let flags = "# 256 KiB of stack instead of 1 MiB: all memory of a plugin is cleared behind every batch. Take more if you recurse.
[target.wasm32-wasip2]
rustflags = [\"-C\", \"link-arg=-zstack-size=262144\"]
";
    vec![
        File::new("Cargo.toml", manifest),
        File::new(".cargo/config.toml", flags),
        File::new(".gitignore", "/target\n"),
        File::new("src/lib.rs", source(project)),
    ]
}

fn source(project: &Project) -> String {
    let record = text::camel(&project.object.name);
    let made = match project.kind() {
        "person" => "Person",
        "event" => "Happening",
        _ => "Made",
    };
    let fields = &project.object.fields;
    // The key is beside the body: its name is taken first.
    let names = text::distinct(fields.iter().map(|field| field.name.as_str()));
    let (mut reads, mut more, mut makes, mut sets) =
        (String::new(), String::new(), String::new(), String::new());
    let chosen = text::distinct(
        project.object.chosen().filter(|it| it.name != "Id").map(|it| it.name.as_str()),
    );
    let mut chosen = chosen.into_iter();
    for (field, name) in fields.iter().zip(&names) {
        let line = reads_line(field, name);
        if !field.chosen {
            for line in line.lines() {
                more.push_str(&format!("    // {}\n", line.trim_start()));
            }
            continue;
        }
        reads.push_str(&line);
        if field.name == "Id" {
            makes.push_str("    #[key]\n    id: Id<'a>,\n");
            sets.push_str("        id: record.id,\n");
            continue;
        }
        let as_made = chosen.next().unwrap_or_default();
        let (out, name) = (ident(&as_made), ident(name));
        makes.push_str(&format!("    {out}: {},\n", output_type(field)));
        let value = match (field.kind, field.nullable) {
            (Kind::Email, true) => format!("record.{name}.map(str::to_lowercase)"),
            (Kind::Email, false) => format!("record.{name}.to_lowercase()"),
            _ => format!("record.{name}"),
        };
        sets.push_str(&format!("        {out}: {value},\n"));
    }
    let more = if more.is_empty() {
        more
    } else {
        format!(
            "    // Further fields of {}; take away the slashes of those that you need.\n{more}",
            project.object.name
        )
    };
    let (object, kind, case) = (&project.object.name, project.kind(), project.case());
    let summary = project.summary();
    // A type of the SDK may not be hidden by the record's.
    let record = if ["Record", "Output", "Id", "Date", "Time", "Row", "Address", "Location", made]
        .contains(&record.as_str())
    {
        format!("{record}Record")
    } else {
        record
    };
    format!(
        "//! {summary}

use kilofold_plugin::prelude::*;

/// What is read: these fields are selected from Salesforce, and no others.
#[derive(Record)]
struct {record}<'a> {{
{reads}{more}}}

/// What is made. The key tells one from all others; the rest is the body.
#[derive(Output)]
#[kind(\"{kind}\")]
struct {made}<'a> {{
{makes}}}

/// `Err(Reject::skip(\"why\"))` leaves a record out, and `Err(Reject::new(\"code\", \"message\").field(\"Name\"))` fails it.
fn map(record: {record}<'_>) -> Result<{made}<'_>, Reject> {{
    Ok({made} {{
{sets}    }})
}}

mapper!({record} => {made}, map, objects: [\"{object}\"]);

#[cfg(test)]
mod tests {{
    use super::*;

    #[test]
    fn maps_every_record_of_the_case() {{
        let outcomes = testing::Run::<Plugin>::new().map(include_str!(\"../cases/{case}.input.json\"));
        for outcome in outcomes {{
            assert_eq!(outcome.made(\"{kind}\").len(), 1, \"{{outcome:?}}\");
        }}
    }}
}}
"
    )
}

fn ident(name: &str) -> String {
    match name {
        "self" => "self_".to_owned(),
        keyword if KEYWORDS.contains(&keyword) => format!("r#{keyword}"),
        name => name.to_owned(),
    }
}

fn reads_line(field: &Field, name: &str) -> String {
    let said = if spelled(&field.name) && *name == text::snake(&field.name) {
        String::new()
    } else {
        format!("    #[field(\"{}\")]\n", field.name)
    };
    let plain = record_type(field.kind);
    let kind = if field.nullable { format!("Option<{plain}>") } else { plain.to_owned() };
    format!("{said}    {}: {kind},\n", ident(name))
}

/// Whether the SDK finds the field by its Rust name alone.
fn spelled(name: &str) -> bool {
    let capitals = name.as_bytes().windows(2).any(|two| two.iter().all(u8::is_ascii_uppercase));
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && !capitals
        && name.bytes().all(|it| it.is_ascii_alphanumeric())
}

fn record_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Id => "Id<'a>",
        Kind::Text | Kind::Email => "&'a str",
        Kind::Boolean => "bool",
        Kind::Integer => "i64",
        Kind::Number => "Number<'a>",
        Kind::Date => "Date",
        Kind::DateTime => "DateTime",
        Kind::Time => "Time",
        Kind::Choices => "MultiPicklist<'a>",
        Kind::Address => "Address<'a>",
        Kind::Location => "Location<'a>",
        Kind::Json => "Json<'a>",
    }
}

fn output_type(field: &Field) -> String {
    let plain = match field.kind {
        Kind::Email => "String",
        other => record_type(other),
    };
    if field.nullable { format!("Option<{plain}>") } else { plain.to_owned() }
}

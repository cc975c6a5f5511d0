//! A project in Python.

use super::object::{Field, Kind};
use super::{File, Project, text};

pub(super) fn files(project: &Project) -> Vec<File> {
    let manifest = format!(
        "[project]
name = \"{}\"
version = \"0.1.0\"
description = \"{}\"
requires-python = \">=3.11\"
",
        project.name,
        project.summary()
    );
    vec![
        File::new("pyproject.toml", manifest),
        File::new("requirements.txt", "componentize-py==0.25.1\n./vendor/sdk-py\n"),
        File::new(
            ".gitignore",
            "/.venv/\n/dist/\n/vendor/sdk-py/build/\n*.egg-info/\n__pycache__/\n",
        ),
        File::new("mapping.py", source(project)),
        File::new("tests/test_mapping.py", test(project)),
    ]
}

fn source(project: &Project) -> String {
    let object = &project.object;
    let (mut record, kind) = (text::camel(&object.name), project.kind());
    let (made, own) = match kind {
        "person" => ("Person", "person"),
        "event" => ("Happening", "event"),
        _ => ("Made", "made"),
    };
    if [made, "Id", "Outcome", "TypedDict", "Address", "Location", "Date", "Time"]
        .contains(&record.as_str())
    {
        record.push_str("Record");
    }
    let (mut reads, mut more, mut makes, mut sets) =
        (String::new(), String::new(), String::new(), String::new());
    let mut types = vec!["Outcome", "mapper", "output"];
    for field in &object.fields {
        let line = format!("{}: {}", field.name, hint(field));
        if field.chosen {
            if let Some(name) = imported(field.kind) {
                types.push(name);
            }
            reads.push_str(&format!("    {line}\n"));
        } else {
            more.push_str(&format!("    # {line}\n"));
        }
    }
    let chosen: Vec<_> = object.chosen().filter(|field| field.name != "Id").collect();
    let names = text::distinct(chosen.iter().map(|field| field.name.as_str()));
    for (field, name) in chosen.iter().zip(&names) {
        makes.push_str(&format!("    {name}: {}\n", hint(field)));
        let it = format!("it[\"{}\"]", field.name);
        let value = match (field.kind, field.nullable) {
            (Kind::Email, true) => format!("{it}.lower() if {it} else None"),
            (Kind::Email, false) => format!("{it}.lower()"),
            _ => it,
        };
        sets.push_str(&format!("            \"{name}\": {value},\n"));
    }
    if !more.is_empty() {
        more = format!(
            "    # Further fields of {}; take away the signs of those that you need.\n{more}",
            object.name
        );
    }
    types.sort_by_key(|name| (name.starts_with(|it: char| it.is_ascii_lowercase()), *name));
    types.dedup();
    let (summary, imports) = (project.summary(), types.join(", "));
    format!(
        "\"\"\"{summary}\"\"\"

from typing import TypedDict

from kilofold_plugin import {imports}


class {record}(TypedDict):
    \"\"\"What is read: these fields are selected from Salesforce, and no others. Those with None may be empty.\"\"\"

{reads}{more}

class {made}(TypedDict):
    \"\"\"What is made.\"\"\"

{makes}

{own} = output(\"{kind}\", {made})


@mapper(objects=[\"{object}\"], outputs=[{own}])
def plugin(it: {record}) -> Outcome:
    \"\"\"Return `skip(\"why\")` to leave a record out, and `reject(\"code\", \"message\", \"Field\")` to fail it.\"\"\"
    return {own}(
        it[\"Id\"],
        {{
{sets}        }},
    )
",
        object = object.name,
    )
}

fn test(project: &Project) -> String {
    let case = project.case();
    format!(
        "import json
import unittest
from pathlib import Path

from kilofold_plugin.testing import run

from mapping import plugin

CASES = Path(__file__).parent.parent / \"cases\"


class Mapping(unittest.TestCase):
    def test_maps_the_case(self) -> None:
        records = json.loads((CASES / \"{case}.input.json\").read_text(\"utf-8\"))
        expected = json.loads((CASES / \"{case}.expected.json\").read_text(\"utf-8\"))
        self.assertEqual(run(plugin, records), expected)


if __name__ == \"__main__\":
    unittest.main()
"
    )
}

fn hint(field: &Field) -> String {
    let plain = match field.kind {
        Kind::Text | Kind::Email => "str",
        Kind::Boolean => "bool",
        Kind::Integer => "int",
        Kind::Number => "float",
        other => imported(other).unwrap_or("str"),
    };
    if field.nullable { format!("{plain} | None") } else { plain.to_owned() }
}

fn imported(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Id => Some("Id"),
        Kind::Date => Some("Date"),
        Kind::DateTime => Some("DateTime"),
        Kind::Time => Some("Time"),
        Kind::Choices => Some("Choices"),
        Kind::Address => Some("Address"),
        Kind::Location => Some("Location"),
        Kind::Json => Some("Json"),
        Kind::Text | Kind::Email | Kind::Boolean | Kind::Integer | Kind::Number => None,
    }
}

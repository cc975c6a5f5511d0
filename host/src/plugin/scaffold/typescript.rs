//! A project in TypeScript.

use serde_json::json;

use super::object::Kind;
use super::{File, Project, pretty, text};

pub(super) fn files(project: &Project) -> Vec<File> {
    let package = json!({
        "name": project.name,
        "version": "0.1.0",
        "description": project.summary(),
        "private": true,
        "type": "module",
        "main": "src/index.ts",
        "scripts": { "build": "tsc --noEmit && kilofold-plugin build", "test": "kilofold-plugin test" },
        "dependencies": { "kilofold-plugin": "file:vendor/sdk-ts" },
        "devDependencies": {
            "@types/node": "20.19.25",
            "componentize-qjs": "0.4.5",
            "esbuild": "0.28.2",
            "typescript": "5.9.3",
        },
    });
    vec![
        File::new("package.json", pretty(&package)),
        File::new("tsconfig.json", include_str!("../../../../plugins/examples/ts/tsconfig.json")),
        File::new(".gitignore", "/node_modules/\n/dist/\n"),
        File::new("src/index.ts", source(project)),
        File::new("test/mapping.test.ts", test(project)),
    ]
}

fn source(project: &Project) -> String {
    let object = &project.object;
    let (record, kind) = (text::camel(&object.name), project.kind());
    let (mut reads, mut more, mut makes, mut sets) =
        (String::new(), String::new(), String::new(), String::new());
    let mut tokens = vec!["type RecordOf", "mapper", "output", "record"];
    let chosen: Vec<_> = object.chosen().filter(|field| field.name != "Id").collect();
    let names = text::distinct(chosen.iter().map(|field| field.name.as_str()));
    for field in &object.fields {
        let token = token(field.kind);
        let shown = format!("{token}{}", if field.nullable { ".optional" } else { "" });
        if field.chosen {
            tokens.push(token);
            reads.push_str(&format!("  {}: {shown},\n", field.name));
        } else {
            more.push_str(&format!("  // {}: {shown},\n", field.name));
        }
    }
    for (field, name) in chosen.iter().zip(&names) {
        let shown =
            format!("{}{}", token(field.kind), if field.nullable { ".optional" } else { "" });
        makes.push_str(&format!("  {name}: {shown},\n"));
        let value = match (field.kind, field.nullable) {
            (Kind::Email, true) => format!("it.{}?.toLowerCase() ?? null", field.name),
            (Kind::Email, false) => format!("it.{}.toLowerCase()", field.name),
            _ => format!("it.{}", field.name),
        };
        sets.push_str(&format!("    {name}: {value},\n"));
    }
    if !more.is_empty() {
        more = format!(
            "  // Further fields of {}; take away the slashes of those that you need, and import their types.\n{more}",
            object.name
        );
    }
    tokens.sort_by_key(|token| token.trim_start_matches("type ").to_lowercase());
    tokens.dedup();
    let (summary, imports) = (project.summary(), tokens.join(", "));
    format!(
        "// {summary}
import {{ {imports} }} from \"kilofold-plugin\";

/** What is read: these fields are selected from Salesforce, and no others. `optional` ones may be null. */
const {record} = record({{
{reads}{more}}});
type {record} = RecordOf<typeof {record}>;

/** What is made. */
const {kind} = output(\"{kind}\", {{
{makes}}});

/** Return `skip(\"why\")` to leave a record out, and `reject(\"code\", \"message\", \"Field\")` to fail it. */
function map(it: {record}) {{
  return {kind}(it.Id, {{
{sets}  }});
}}

export default mapper({{ record: {record}, outputs: [{kind}], objects: [\"{object}\"], map }});
",
        object = object.name,
    )
}

fn test(project: &Project) -> String {
    let case = project.case();
    format!(
        "import assert from \"node:assert/strict\";
import {{ readFileSync }} from \"node:fs\";
import {{ test }} from \"node:test\";

import {{ run }} from \"kilofold-plugin/testing\";

import plugin from \"../src/index.ts\";

const read = (name: string) => JSON.parse(readFileSync(`cases/{case}.${{name}}.json`, \"utf8\"));

test(\"maps the case\", () => {{
  assert.deepEqual(run(plugin, read(\"input\")), read(\"expected\"));
}});
"
    )
}

fn token(kind: Kind) -> &'static str {
    match kind {
        Kind::Id => "id",
        Kind::Text | Kind::Email => "text",
        Kind::Boolean => "bool",
        Kind::Integer => "integer",
        Kind::Number => "number",
        Kind::Date => "date",
        Kind::DateTime => "dateTime",
        Kind::Time => "time",
        Kind::Choices => "choices",
        Kind::Address => "address",
        Kind::Location => "location",
        Kind::Json => "json",
    }
}

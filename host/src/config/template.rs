//! The first `kilofold.toml`, and the schema by which editors complete it.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::file::File;

/// The commented file that `kilofold init` writes.
pub fn template() -> &'static str {
    include_str!("template.toml")
}

/// The JSON Schema of `kilofold.toml`, in the draft that editors of TOML know.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<File>().to_value();
    without_null(&mut schema);
    if let Some(top) = schema.as_object_mut() {
        top.insert("title".into(), "kilofold.toml".into());
        let about = "What kilofold pulls from Salesforce, how often, and what it may spend.";
        top.insert("description".into(), about.into());
    }
    schema
}

/// TOML has no null: a key is there or it is not.
pub(crate) fn without_null(schema: &mut Value) {
    let null = json!({ "type": "null" });
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| *choice != null);
                // A single choice stays wrapped: what stands beside a reference would be ignored.
                if let [only] = choices.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    object.insert("allOf".into(), json!([only]));
                }
            }
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|one| one != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".into(), only);
                }
            }
            object.values_mut().for_each(without_null);
        }
        Value::Array(list) => list.iter_mut().for_each(without_null),
        _ => {}
    }
}

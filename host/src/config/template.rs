//! The first `kilofold.toml`, and the schema by which editors complete it.

use serde_json::Value;

use super::file::File;

/// The commented file that `kilofold init` writes.
pub fn template() -> &'static str {
    include_str!("template.toml")
}

/// The JSON Schema of `kilofold.toml`.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(File).to_value();
    if let Some(top) = schema.as_object_mut() {
        top.insert("title".into(), "kilofold.toml".into());
        top.insert(
            "description".into(),
            "What kilofold pulls from Salesforce, how often, and what it may spend.".into(),
        );
    }
    schema
}

//! A plugin that speaks the json form, as plugins in other languages do: for the host's tests.
//!
//! Each record becomes an output `echo` with the text of its first field as key and all fields in a list. A first field
//! `skip`, `fail`, `panic` or `lie` does what it says. A further field `fail` fails with the field behind it as message and
//! the one behind that as code, whatever they hold.

#[cfg(target_arch = "wasm32")]
mod bindings {
    #![allow(missing_docs, clippy::all, reason = "generated")]
    wit_bindgen::generate!({ path: "../../wit", world: "json-mapper" });
}

#[cfg(target_arch = "wasm32")]
mod plugin {
    use serde_json::{Value, json};

    use crate::bindings::exports::kilofold::mapping::{about, json};
    use crate::bindings::kilofold::mapping::host;
    use crate::bindings::kilofold::mapping::types::{Context, Description, OutputKind, Problem};

    struct Echo;

    impl about::Guest for Echo {
        fn describe() -> Result<Description, String> {
            let fields = ["object", "values", "known"];
            Ok(Description {
                name: "json-echo".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                summary: "Hands back what it is given.".to_owned(),
                objects: Vec::new(),
                reads: Vec::new(),
                outputs: vec![OutputKind {
                    name: "echo".to_owned(),
                    fields: fields.map(str::to_owned).to_vec(),
                }],
                settings: Vec::new(),
                maps_deletions: false,
            })
        }

        fn configure(_settings: String) -> Result<(), Vec<Problem>> {
            Ok(())
        }
    }

    impl json::Guest for Echo {
        fn map_batch(context: Context, batch: String) -> String {
            let Ok(records) = serde_json::from_str::<Vec<Vec<Value>>>(&batch) else {
                return "the host sent no list of lists".to_owned();
            };
            let outcomes: Vec<Value> = records.iter().map(|record| map(&context, record)).collect();
            json!(outcomes).to_string()
        }
    }

    fn map(context: &Context, record: &[Value]) -> Value {
        let key = record.first().and_then(Value::as_str).unwrap_or_default();
        let told = record.iter().skip(1).position(|value| value.as_str() == Some("fail"));
        if let Some(at) = told {
            let text = |n: usize| record.get(at + n).and_then(Value::as_str).unwrap_or_default();
            let (message, code) = (text(2), text(3));
            return json!({ "failed": { "code": code, "message": message, "field": message } });
        }
        match key {
            "skip" => json!({ "skipped": "told to" }),
            "fail" => json!({ "failed": { "code": "told.to", "message": "m", "field": "Name" } }),
            "lie" => json!({ "mapped": [{ "key": key, "kind": "lie", "fields": {} }] }),
            "panic" => panic!("told to"),
            _ => {
                let known = host::lookup("echo", &[key.to_owned()]).remove(0);
                let fields = json!({ "object": context.object, "values": record, "known": known });
                json!({ "mapped": [{ "key": key, "kind": "echo", "fields": fields }] })
            }
        }
    }

    crate::bindings::export!(Echo with_types_in crate::bindings);
}

//! A hostile plugin for the host's tests: its setting `mode` says what it does.
//!
//! It speaks the raw bindings, because the SDK would not let it lie. Any object can be mapped; without a mode, or with
//! `none`, it makes one output of kind `thing` a record, so that a test can go on after the harm.

#[cfg(target_arch = "wasm32")]
mod harm;
#[cfg(target_arch = "wasm32")]
mod lies;

#[cfg(target_arch = "wasm32")]
mod bindings {
    #![allow(missing_docs, clippy::all, reason = "generated")]
    wit_bindgen::generate!({ path: "../../wit", world: "table-mapper" });
}

#[cfg(target_arch = "wasm32")]
mod plugin {
    use std::sync::OnceLock;

    use crate::bindings::exports::kilofold::mapping::{about, table};
    use crate::bindings::kilofold::mapping::types::{
        Context, Description, OutputKind, Problem, Setting, SettingKind, Verdict,
    };
    use crate::{harm, lies};

    static MODE: OnceLock<String> = OnceLock::new();

    struct Evil;

    impl about::Guest for Evil {
        fn describe() -> Result<Description, String> {
            harm::on_describe()?;
            let modes = harm::MODES.iter().chain(lies::MODES).map(|mode| (*mode).to_owned());
            Ok(Description {
                name: "kilofold-evil".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                summary: "Does harm, for tests.".to_owned(),
                objects: Vec::new(),
                reads: Vec::new(),
                outputs: vec![OutputKind {
                    name: "thing".to_owned(),
                    fields: vec!["name".to_owned()],
                }],
                settings: vec![Setting {
                    name: "mode".to_owned(),
                    title: "Mode".to_owned(),
                    help: "The harm to do.".to_owned(),
                    kind: SettingKind::Choice(modes.collect()),
                    required: false,
                    default_value: Some("none".to_owned()),
                }],
                maps_deletions: false,
            })
        }

        fn configure(settings: String) -> Result<(), Vec<Problem>> {
            // The settings are an object with one text, whose letters need no escapes; a JSON parser would be idle here.
            let mode = settings.split('"').nth(3).unwrap_or("none").to_owned();
            let mode = MODE.get_or_init(|| mode);
            harm::on_configure(mode)
        }
    }

    impl table::Guest for Evil {
        fn map_batch(context: Context, batch: table::Batch) -> table::Outcomes {
            let mode = MODE.get().map_or("none", String::as_str);
            let records = harm::Records::new(&context, &batch);
            harm::on_batch(mode, &records);
            let mut out = honest(mode, &records);
            lies::tell(mode, &records, &mut out);
            out
        }
    }

    /// One output a record: its Id as the key, its Name as the name, or what the plugin sees of the world.
    fn honest(mode: &str, records: &harm::Records<'_>) -> table::Outcomes {
        let mut out = table::Outcomes { rows: Vec::new(), text: String::new(), cells: Vec::new() };
        for index in 0..records.len() {
            let key =
                records.text(index, "Id").map_or_else(|| format!("row-{index}"), str::to_owned);
            let name = match mode {
                "unsteady" => harm::world(),
                _ => records.text(index, "Name").unwrap_or_default().to_owned(),
            };
            for text in [key, name] {
                out.cells.push((out.text.len() as u64) << 32 | (text.len() as u64) << 4 | 1);
                out.text.push_str(&text);
            }
            out.rows.push(table::OutRow {
                index: index as u32,
                verdict: Verdict::Mapped,
                kind: 0,
                cells: 2,
            });
        }
        out
    }

    crate::bindings::export!(Evil with_types_in crate::bindings);
}

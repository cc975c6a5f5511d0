//! The component's side: the generated bindings, and the way from their types to ours.
#![allow(missing_docs, clippy::all, reason = "mostly generated")]

use std::sync::OnceLock;

use crate::{DateTime, Mapper, SettingKind, Settings, Verdict, host};

wit_bindgen::generate!({
    path: "../../wit",
    world: "table-mapper",
    pub_export_macro: true,
    default_bindings_module: "kilofold_plugin::guest",
});

use exports::kilofold::mapping::table;
use kilofold::mapping::types;

pub fn describe<M: Mapper>() -> Result<types::Description, String> {
    host::hook_panics();
    let description = M::describe()?;
    let texts = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let setting = |setting: crate::Setting| types::Setting {
        name: setting.name.to_owned(),
        title: setting.title.to_owned(),
        help: setting.help.to_owned(),
        kind: match setting.kind {
            SettingKind::Text => types::SettingKind::Text,
            SettingKind::Integer => types::SettingKind::Integer,
            SettingKind::Number => types::SettingKind::Number,
            SettingKind::Boolean => types::SettingKind::Boolean,
            SettingKind::Choice(choices) => types::SettingKind::Choice(choices),
            SettingKind::Secret => types::SettingKind::Secret,
        },
        required: setting.required,
        default_value: setting.default.map(str::to_owned),
    };
    Ok(types::Description {
        name: description.name.to_owned(),
        version: description.version.to_owned(),
        summary: description.summary.to_owned(),
        objects: texts(description.objects),
        reads: description
            .reads
            .iter()
            .map(|field| types::Field { name: field.name.to_owned(), required: field.required })
            .collect(),
        outputs: description
            .outputs
            .iter()
            .map(|kind| types::OutputKind {
                name: kind.name.to_owned(),
                fields: texts(kind.fields),
            })
            .collect(),
        settings: description.settings.into_iter().map(setting).collect(),
        maps_deletions: description.maps_deletions,
    })
}

pub fn configure<M: Mapper>(
    settings: &OnceLock<M::Settings>,
    json: &str,
) -> Result<(), Vec<types::Problem>> {
    host::hook_panics();
    match M::Settings::from_json(json) {
        Ok(read) => {
            settings.get_or_init(|| read);
            Ok(())
        }
        Err(problems) => Err(problems
            .into_iter()
            .map(|problem| types::Problem { setting: problem.setting, message: problem.message })
            .collect()),
    }
}

pub fn map_batch<M: Mapper>(
    settings: &OnceLock<M::Settings>,
    context: types::Context,
    batch: table::Batch,
) -> table::Outcomes {
    host::hook_panics();
    let read_at = i64::try_from(context.read_at).ok().and_then(DateTime::from_millis);
    let context = crate::Context {
        object: context.object,
        sync: context.sync,
        run: context.run,
        batch: context.batch,
        read_at: read_at.expect("the host sent a time beyond the year 9999"),
        fields: context.fields,
    };
    let input = crate::Batch::new(&context, batch.rows, &batch.text, &batch.cells);
    let settings = settings.get().expect("the host maps before it configured the plugin");
    let (_, rows, text, cells) = M::map(settings, &input).into_parts();
    let rows = rows
        .into_iter()
        .map(|row| table::OutRow {
            index: row.index,
            verdict: match row.verdict {
                Verdict::Mapped => types::Verdict::Mapped,
                Verdict::Skipped => types::Verdict::Skipped,
                Verdict::Failed => types::Verdict::Failed,
            },
            kind: row.kind,
            cells: row.cells,
        })
        .collect();
    table::Outcomes { rows, text, cells }
}

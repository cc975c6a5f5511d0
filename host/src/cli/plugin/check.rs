//! `kilofold plugin check FILE`: whether kilofold takes a component, by the loader that a run uses, and why not.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::{blocking, limits, source};
use crate::cli::out::Out;
use crate::cli::sheet::{Column, Sheet};
use crate::cli::{Failure, Globals};
use crate::error::{self, Exit};
use crate::plugin::{Description, Engine, Facts, Given, Limits, SettingKind, size};
use crate::web::text::{bytes, grouped, took};

/// Checks a component: what it is, asks for, reads and makes, what it costs to load, and what it may use.
///
/// It is loaded just as a run loads it. The limits are those of the configuration when there is one.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The component, or the name of a stock plugin
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Serialize)]
struct Report<'a> {
    /// Whether a run would take it.
    sound: bool,
    file: String,
    #[serde(flatten)]
    facts: &'a Facts,
    limits: &'a Limits,
    problem: Option<Problem>,
}

#[derive(Serialize)]
struct Problem {
    code: String,
    error: String,
    meaning: Option<&'static str>,
    cure: Option<&'static str>,
}

/// Checks.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let (limits, source) = (limits(globals)?, source(&args.file));
    let file = source.to_string();
    let bounds = limits.clone();
    // Without the cache: what it costs to compile is one of the answers.
    let (facts, loaded) = blocking(move || {
        Ok::<_, crate::plugin::Error>(Engine::new(None, bounds)?.inspect(&source))
    })
    .await??;
    if out.json {
        let problem = loaded.as_ref().err().map(|error| {
            let known = error::explain(error.code());
            Problem {
                code: error.code().to_owned(),
                error: error.to_string(),
                meaning: known.map(|known| known.meaning),
                cure: known.map(|known| known.cure),
            }
        });
        let sound = problem.is_none();
        out.value(&Report { sound, file, facts: &facts, limits: &limits, problem })?;
        return if sound { Ok(Exit::Done) } else { Err(Failure::said(Exit::Failed)) };
    }
    print(&out, &file, &facts, &limits)?;
    loaded?;
    out.line("\nkilofold takes this plugin.")?;
    Ok(Exit::Done)
}

fn print(out: &Out, file: &str, facts: &Facts, limits: &Limits) -> Result<(), Failure> {
    out.pair("file", file)?;
    let Some(len) = facts.bytes else { return Ok(()) };
    out.pair("size", &format!("{} of at most {}", bytes(len), size(limits.component_bytes)))?;
    if let Some(digest) = &facts.digest {
        // Whole on its line, to be copied into the configuration.
        out.pair("sha256", digest)?;
    }
    if let Some(us) = facts.compile_us {
        let most = took(Duration::from_millis(limits.compile_ms));
        out.pair("compiled", &format!("in {} of at most {most}", time(us)))?;
    }
    if let Some(api) = &facts.api {
        out.pair("speaks", api)?;
    }
    if let (Some(us), Some(memory)) = (facts.start_us, facts.start_bytes) {
        let described = facts
            .describe_us
            .map_or(String::new(), |us| format!("; described itself in {}", time(us)));
        let memory = bytes(memory);
        out.pair("starts", &format!("in {} with {memory} of memory{described}", time(us)))?;
    }
    if let Some(about) = &facts.description {
        describe(out, about)?;
    }
    for (given, what) in
        [(Given::Contract, "asks for"), (Given::Inert, "inert"), (Given::Refused, "REFUSED")]
    {
        let of = facts.imports.iter().filter(|import| import.given == given);
        let names: Vec<&str> = of.map(|import| import.name.as_str()).collect();
        if !names.is_empty() {
            out.pair(what, &names.join(", "))?;
        }
    }
    if let Some(about) = &facts.description {
        settings(out, about)?;
    }
    if facts.api.is_none() {
        return Ok(());
    }
    out.line("")?;
    out.sheet(&bounds(limits), "")
}

fn describe(out: &Out, about: &Description) -> Result<(), Failure> {
    out.pair("name", &format!("{} {}", about.name, about.version))?;
    if !about.summary.is_empty() {
        out.pair("about", &about.summary)?;
    }
    let objects =
        if about.objects.is_empty() { "any".to_owned() } else { about.objects.join(", ") };
    out.pair("objects", &objects)?;
    let reads: Vec<String> = about
        .reads
        .iter()
        .map(|field| format!("{}{}", field.name, if field.required { "*" } else { "" }))
        .collect();
    if reads.is_empty() {
        out.pair("reads", "every field that the sync selects")?;
    } else {
        out.pair("reads", &format!("{} (* required)", reads.join(", ")))?;
    }
    for kind in &about.outputs {
        let fields = match kind.fields.as_slice() {
            [star] if star == "*" => "a body of its own making".to_owned(),
            fields => fields.join(", "),
        };
        out.pair("makes", &format!("{}: {fields}", kind.name))?;
    }
    let deletions = if about.maps_deletions { "maps them" } else { "left to kilofold" };
    out.pair("deletions", deletions)?;
    Ok(())
}

fn settings(out: &Out, about: &Description) -> Result<(), Failure> {
    if about.settings.is_empty() {
        return Ok(());
    }
    out.line("")?;
    let mut sheet = Sheet::new(&[
        Column::giving("setting"),
        Column::giving("holds"),
        Column::giving("default"),
        Column::giving("help"),
    ]);
    for setting in &about.settings {
        let default = match (&setting.default, setting.required) {
            (Some(default), _) => default.as_str(),
            (None, true) => "required",
            (None, false) => "-",
        };
        let help = if setting.help.is_empty() { &setting.title } else { &setting.help };
        sheet.row(vec![
            setting.name.as_str().into(),
            holds(&setting.kind).into(),
            default.into(),
            help.as_str().into(),
        ]);
    }
    out.sheet(&sheet, "")
}

fn holds(kind: &SettingKind) -> String {
    match kind {
        SettingKind::Text => "a text".to_owned(),
        SettingKind::Integer => "a whole number".to_owned(),
        SettingKind::Number => "a number".to_owned(),
        SettingKind::Boolean => "true or false".to_owned(),
        SettingKind::Choice(choices) => choices.join(" | "),
        SettingKind::Secret => "a secret".to_owned(),
    }
}

/// What it may use: for a batch of a thousand, and what that is for one record.
fn bounds(limits: &Limits) -> Sheet {
    let mut sheet = Sheet::new(&[
        Column::text("may use"),
        Column::number("a batch of 1000"),
        Column::number("a record"),
        Column::giving("set in [plugins]"),
    ]);
    let mut row = |what: &str, batch: String, record: String, key: &str| {
        sheet.row(vec![what.into(), batch.into(), record.into(), key.into()]);
    };
    let deadline = took(limits.deadline(1000));
    row("time", deadline, time(limits.per_record_us), "time, time_per_record");
    row("memory", size(limits.memory_bytes), "-".to_owned(), "memory");
    let share = |whole: u64| size(whole / 1000);
    row("answer", size(limits.result_bytes), share(limits.result_bytes), "result");
    row("one body", "-".to_owned(), size(limits.body_bytes), "body");
    row("log lines", grouped(u64::from(limits.log_lines)), "-".to_owned(), "log_lines");
    row("log text", size(limits.log_bytes), "-".to_owned(), "log_size");
    let keys = u64::from(limits.lookup_keys);
    row("lookups", grouped(keys), grouped(keys / 1000), "lookup_keys");
    row("broken", grouped(u64::from(limits.traps)), "-".to_owned(), "pause_after");
    sheet
}

/// Microseconds for people.
fn time(us: u64) -> String {
    match us {
        0..10_000 => format!("{}.{:02} ms", us / 1000, us % 1000 / 10),
        _ => took(Duration::from_micros(us)),
    }
}

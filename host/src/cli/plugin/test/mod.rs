//! `kilofold plugin test [DIR]`: maps test cases with the plugin as the host does, and compares what comes of them.

mod case;
mod json;
mod project;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args as ClapArgs;
use console::style;
use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use super::{Cached, blocking, limits, source};
use crate::cli::out::Out;
use crate::cli::sheet::{Cell, Column, Paint, Sheet};
use crate::cli::{Failure, Globals};
use crate::error::Exit;
use crate::model::{Outcome, PluginNote, RunId, SyncName};
use crate::plugin::{self, Engine, Limits, LogLine, Lookup, Plugin, Source, size};
use crate::web::text::{grouped, plain};

use case::{Case, Wrong};
use json::Json;
use project::Project;

/// Runs a plugin's test cases: `NAME.input.json`, compared with `NAME.expected.json`.
///
/// An input is a list of records as Salesforce sends them, or an object with `records` and what belongs to them: `settings`,
/// `lookup` ({kind: {key: body}}), `object`, `fields`, `read_at`, and `limits` ({fuel, memory}) that the case must keep.
/// Each case is mapped twice, on the host's engine and on one that counts: fuel is the same on every machine.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The project, which is built first, or a folder of cases
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Tests this component, or stock plugin, instead of building the project
    #[arg(long, value_name = "FILE")]
    plugin: Option<PathBuf>,
    /// Only cases whose name contains this; may be given more than once
    #[arg(long, value_name = "TEXT")]
    filter: Vec<String>,
    /// Writes what comes of the cases as what is expected of them
    #[arg(long)]
    update: bool,
    /// Shows what the plugin logs, also in cases that pass
    #[arg(long)]
    logs: bool,
}

/// How a case went.
struct Tested {
    name: String,
    verdict: Verdict,
    records: usize,
    took: Duration,
    fuel: u64,
    memory: u64,
    logs: Vec<LogLine>,
    /// Where what is expected stands, and what came of the records.
    made: Option<(PathBuf, Json)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Passed,
    /// What is expected, and what came of the records.
    Differs(Json, Json),
    /// Nobody has said yet what is expected.
    New(Json),
    /// It went beyond a ceiling of its own.
    Beyond(String),
    /// It could not be run, or not be trusted.
    Broken {
        code: &'static str,
        what: String,
    },
    /// What is expected was written.
    Updated,
}

/// Tests.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let limits = limits(globals)?;
    let (dir, filter) = (args.dir.clone(), args.filter.clone());
    let cases = blocking(move || case::find(&dir, &filter)).await?;
    let cases = cases.map_err(|wrong| Failure::new("plugin.case", wrong.to_string()))?;
    if cases.is_empty() {
        let what = format!("there is no case to test below {}", args.dir.display());
        return Err(Failure::new("plugin.no-cases", what));
    }
    let component = component(args, &out).await?;
    let cache = Cached::open(globals)?;
    let update = args.update;
    let tested = blocking(move || test_all(&component, &limits, &cache, cases, update)).await??;
    let (plugin, tested) = tested;
    if out.json {
        out.value(&report(&plugin, &tested))?;
    } else {
        print(&out, &plugin, &tested, args.logs)?;
    }
    let passed = |one: &Tested| matches!(one.verdict, Verdict::Passed | Verdict::Updated);
    if tested.iter().all(passed) { Ok(Exit::Done) } else { Err(Failure::said(Exit::Failed)) }
}

/// The component: the one that is named, or the one that the project builds.
async fn component(args: &Args, out: &Out) -> Result<Source, Failure> {
    if let Some(file) = &args.plugin {
        return Ok(source(file));
    }
    let Some(project) = Project::of(&args.dir) else {
        let what = format!(
            "{} is no project that kilofold can build: it has no Cargo.toml, package.json or mapping.py",
            args.dir.display()
        );
        return Err(Failure::new("plugin.build", what)
            .cure("name the project's folder, or the component with --plugin FILE"));
    };
    if !out.json {
        out.line(&format!("building: {}", project.shown(&args.dir)))?;
    }
    let dir = args.dir.clone();
    Ok(Source::File(blocking(move || project.build(&dir)).await??))
}

fn test_all(
    source: &Source,
    limits: &Limits,
    cache: &Cached,
    cases: Vec<Case>,
    update: bool,
) -> Result<(PluginNote, Vec<Tested>), plugin::Error> {
    let folder = cache.folder();
    // Both compile at once; a component that is refused is refused by both in the same words.
    let (usual, metered) = std::thread::scope(|scope| {
        let metered = scope.spawn(|| Engine::metered(folder, limits.clone())?.load(source));
        let usual = Engine::new(folder, limits.clone()).and_then(|engine| engine.load(source));
        (usual, metered.join())
    });
    let usual = usual?;
    let metered = match metered {
        Ok(loaded) => loaded?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    let tested = cases.into_iter().map(|case| test(&usual, &metered, case, update)).collect();
    Ok((usual.note(), tested))
}

fn test(usual: &Plugin, metered: &Plugin, case: Case, update: bool) -> Tested {
    let mut tested = Tested {
        name: case.name.clone(),
        verdict: Verdict::Passed,
        records: case.input.records.len(),
        took: Duration::ZERO,
        fuel: 0,
        memory: 0,
        logs: Vec::new(),
        made: None,
    };
    let made = match map(usual, metered, &case, &mut tested) {
        Ok(made) => made,
        Err((code, what)) => {
            tested.verdict = Verdict::Broken { code, what };
            return tested;
        }
    };
    let file = case.expected_file.clone();
    tested.verdict = match case.expected {
        _ if beyond(&case.input.limits, &tested).is_some() => {
            Verdict::Beyond(beyond(&case.input.limits, &tested).unwrap_or_default())
        }
        Some(expected) if expected.same(&made) => Verdict::Passed,
        _ if update => match std::fs::write(&file, format!("{}\n", made.pretty())) {
            Ok(()) => Verdict::Updated,
            Err(error) => {
                let what = Wrong { file: file.clone(), what: error.to_string() }.to_string();
                Verdict::Broken { code: "plugin.case", what }
            }
        },
        Some(expected) => Verdict::Differs(expected.ordered_like(&made), made.clone()),
        None => Verdict::New(made.clone()),
    };
    tested.made = Some((file, made));
    tested
}

/// What comes of a case; an error has a code and says why nothing can.
fn map(
    usual: &Plugin,
    metered: &Plugin,
    case: &Case,
    tested: &mut Tested,
) -> Result<Json, (&'static str, String)> {
    let about = usual.description();
    let wrong = |what: String| ("plugin.case", what);
    let batch = case.input.batch(about).map_err(wrong)?;
    let object = case.input.object(about);
    let read_at = case.input.read_at().map_err(wrong)?;
    let given: Vec<usize> =
        (0..batch.len()).filter(|&i| about.maps_deletions || !batch.records[i].deleted).collect();
    let picked = batch.select(&given);
    let sync = SyncName::new("test").map_err(|error| wrong(error.to_string()))?;
    let lookup: Arc<dyn Lookup> = Arc::new(Stored::of(&case.input));
    let mut answers = Vec::with_capacity(2);
    for plugin in [usual, metered] {
        let settings = plugin.check_settings(&case.input.settings).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            ("plugin.settings", problems.join("; "))
        })?;
        let call = plugin::Call {
            object: &object,
            sync: &sync,
            run: RunId(1),
            batch: 0,
            read_at,
            settings: &settings,
            lookup: lookup.clone(),
        };
        answers
            .push(plugin.map(&call, &picked).map_err(|error| (error.code(), error.to_string()))?);
    }
    let (Some(counted), Some(answer)) = (answers.pop(), answers.pop()) else {
        return Err(wrong("it was not mapped".to_owned()));
    };
    (tested.took, tested.memory, tested.logs) = (answer.took, answer.peak_memory, answer.logs);
    tested.fuel = counted.spent.fuel;
    if answer.outcomes != counted.outcomes {
        let what = "the same records came out otherwise the second time";
        return Err(("plugin.nondeterministic", what.to_owned()));
    }
    Ok(spelled(batch.len(), &given, &answer.outcomes))
}

/// One outcome a record, in order; deleted ones that the plugin does not map among them.
fn spelled(records: usize, given: &[usize], outcomes: &[Outcome]) -> Json {
    let mut spelled: Vec<Json> = std::iter::repeat_with(case::deleted).take(records).collect();
    for (place, outcome) in given.iter().zip(outcomes) {
        if let Some(slot) = spelled.get_mut(*place) {
            *slot = case::spelled(outcome);
        }
    }
    Json::List(spelled)
}

fn beyond(ceilings: &case::Ceilings, tested: &Tested) -> Option<String> {
    match (ceilings.fuel, ceilings.memory) {
        (Some(most), _) if tested.fuel > most => {
            Some(format!("it took {} fuel, over {}", grouped(tested.fuel), grouped(most)))
        }
        (_, Some(most)) if tested.memory > most => {
            Some(format!("it had {} of memory, over {}", size(tested.memory), size(most)))
        }
        _ => None,
    }
}

/// The stored outputs of a case.
struct Stored(BTreeMap<String, BTreeMap<String, String>>);

impl Stored {
    fn of(input: &case::Input) -> Self {
        let bodies = |of: &BTreeMap<String, Box<serde_json::value::RawValue>>| {
            of.iter().map(|(key, body)| (key.clone(), body.get().to_owned())).collect()
        };
        Self(input.lookup.iter().map(|(kind, of)| (kind.clone(), bodies(of))).collect())
    }
}

impl Lookup for Stored {
    fn lookup(&self, kind: &str, keys: &[String]) -> Vec<Option<String>> {
        let kind = self.0.get(kind);
        keys.iter().map(|key| kind.and_then(|bodies| bodies.get(key)).cloned()).collect()
    }
}

fn print(out: &Out, plugin: &PluginNote, tested: &[Tested], logs: bool) -> Result<(), Failure> {
    let digest: String = plugin.digest.chars().take(12).collect();
    out.line(&format!("{} {} ({digest})\n", plugin.name, plugin.version))?;
    let mut sheet = Sheet::new(&[
        Column::giving("case"),
        Column::text("verdict"),
        Column::number("records"),
        Column::number("fuel"),
        Column::number("a record"),
        Column::number("memory"),
        Column::number("time"),
    ]);
    for one in tested {
        let (word, paint) = word(&one.verdict);
        let each = one.fuel / u64::try_from(one.records.max(1)).unwrap_or(1);
        sheet.row(vec![
            one.name.as_str().into(),
            Cell::new(word, paint),
            one.records.to_string().into(),
            grouped(one.fuel).into(),
            grouped(each).into(),
            size(one.memory).into(),
            format!("{:.2} ms", one.took.as_secs_f64() * 1e3).into(),
        ]);
    }
    out.sheet(&sheet, "")?;
    for one in tested {
        tell(out, one)?;
        if !one.logs.is_empty() && (logs || !matches!(one.verdict, Verdict::Passed)) {
            out.line(&format!("\n{}: the plugin logged", one.name))?;
            for line in &one.logs {
                let level = format!("{:?}", line.level).to_lowercase();
                out.line(&format!("  {level:<5} {}", plain(&line.message)))?;
            }
        }
    }
    let failed = tested.iter().filter(|one| word(&one.verdict).1 == Paint::Bad).count();
    let new = tested.iter().filter(|one| matches!(one.verdict, Verdict::New(_))).count();
    out.line(&format!("\n{} passed, {failed} failed, {new} new", tested.len() - failed - new))?;
    let differs = |one: &Tested| matches!(one.verdict, Verdict::New(_) | Verdict::Differs(..));
    if tested.iter().any(differs) {
        out.line("If this is what is meant: kilofold plugin test --update")?;
    }
    Ok(())
}

fn word(verdict: &Verdict) -> (&'static str, Paint) {
    match verdict {
        Verdict::Passed => ("passed", Paint::Good),
        Verdict::Updated => ("updated", Paint::Warn),
        Verdict::New(_) => ("new", Paint::Warn),
        Verdict::Differs(..) => ("differs", Paint::Bad),
        Verdict::Beyond(_) => ("too much", Paint::Bad),
        Verdict::Broken { .. } => ("broken", Paint::Bad),
    }
}

/// What a case has to say beyond its line.
fn tell(out: &Out, one: &Tested) -> Result<(), Failure> {
    match &one.verdict {
        Verdict::Passed | Verdict::Updated => Ok(()),
        Verdict::Beyond(what) => out.line(&format!("\n{}: {}", one.name, plain(what))),
        Verdict::Broken { code, what } => {
            out.line(&format!("\n{}: {} [{code}]", one.name, plain(what)))
        }
        Verdict::New(made) => {
            out.line(&format!("\n{}: nothing is expected yet; what came of it:", one.name))?;
            made.pretty().lines().try_for_each(|line| out.line(&format!("  {}", plain(line))))
        }
        Verdict::Differs(expected, made) => {
            out.line(&format!("\n{}: - expected, + made", one.name))?;
            for line in difference(&expected.pretty(), &made.pretty(), out.look.colour) {
                out.line(&line)?;
            }
            Ok(())
        }
    }
}

/// What differs, line by line, with three lines around it.
fn difference(expected: &str, made: &str, colour: bool) -> Vec<String> {
    let diff = TextDiff::from_lines(expected, made);
    let mut lines = Vec::new();
    for (i, group) in diff.grouped_ops(3).iter().enumerate() {
        if i > 0 {
            lines.push("  ...".to_owned());
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let text = plain(change.value().trim_end_matches('\n'));
            let drawn = match change.tag() {
                ChangeTag::Equal => style(format!("    {text}")).dim(),
                ChangeTag::Delete => style(format!("  - {text}")).red(),
                ChangeTag::Insert => style(format!("  + {text}")).green(),
            };
            lines.push(drawn.force_styling(colour).to_string());
        }
    }
    lines
}

#[derive(Serialize)]
struct Report<'a> {
    plugin: &'a PluginNote,
    passed: usize,
    failed: usize,
    cases: Vec<OneCase<'a>>,
}

#[derive(Serialize)]
struct OneCase<'a> {
    case: &'a str,
    verdict: &'static str,
    /// Why it did not pass.
    why: Option<String>,
    records: usize,
    fuel: u64,
    memory_bytes: u64,
    took_us: u64,
    expected_file: Option<String>,
    made: Option<Box<serde_json::value::RawValue>>,
}

fn report<'a>(plugin: &'a PluginNote, tested: &'a [Tested]) -> Report<'a> {
    let case = |one: &'a Tested| OneCase {
        case: &one.name,
        verdict: word(&one.verdict).0,
        why: match &one.verdict {
            Verdict::Differs(expected, made) => {
                Some(difference(&expected.pretty(), &made.pretty(), false).join("\n"))
            }
            Verdict::Beyond(what) => Some(what.clone()),
            Verdict::Broken { code, what } => Some(format!("{what} [{code}]")),
            _ => None,
        },
        records: one.records,
        fuel: one.fuel,
        memory_bytes: one.memory,
        took_us: u64::try_from(one.took.as_micros()).unwrap_or(u64::MAX),
        expected_file: one.made.as_ref().map(|(file, _)| file.display().to_string()),
        made: one.made.as_ref().map(|(_, made)| crate::web::view::json(made.pretty())),
    };
    let passed = |one: &&Tested| matches!(one.verdict, Verdict::Passed | Verdict::Updated);
    let passed = tested.iter().filter(passed).count();
    let failed = tested.len() - passed;
    Report { plugin, passed, failed, cases: tested.iter().map(case).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_shown_with_what_is_around_them() {
        let expected = Json::read(r#"{"a":1,"b":[1,2,3,4,5,6,7,8],"c":"x"}"#).unwrap();
        let made = Json::read(r#"{"a":2,"b":[1,2,3,4,5,6,7,8],"c":"\u001b[31m"}"#).unwrap();
        let shown = difference(&expected.pretty(), &made.pretty(), false).join("\n");
        insta::assert_snapshot!(shown);
        assert!(difference("a\n", "b\n", true)[0].contains("\u{1b}[31m"));
        assert!(difference("a", "a", true).is_empty());
    }
}

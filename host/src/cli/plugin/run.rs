//! `kilofold plugin run FILE --sync NAME`: what a plugin makes of real records, beside what is stored of them; nothing is
//! written.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use console::style;
use serde::Serialize;
use serde_json::value::RawValue;

use super::trial::{Candidate, Made, Taken, Trial, before};
use crate::app;
use crate::cli::out::Out;
use crate::cli::source::Source;
use crate::cli::{Failure, Globals};
use crate::clock::Clock;
use crate::error::Exit;
use crate::model::{Outcome, Output, PluginNote, RecordId, Rejection, Selection, SyncName};
use crate::plugin::size;
use crate::sync::compare::{Before, BeforeState, Difference, FieldChange, compare};
use crate::sync::stored::StoredSelection;
use crate::web::SampleWish;
use crate::web::text::{grouped, plain};
use crate::web::view::{self, Document, Sampled, StoredRecord};

/// Shows what a plugin makes of a sync's records, beside what is stored of them. Nothing is written.
///
/// The records come from the store, by id, also while `kilofold serve` runs; with --live straight from the org.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The component, or the name of a stock plugin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The sync whose records and settings it is given
    #[arg(long, value_name = "NAME")]
    sync: SyncName,
    /// How many records
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Only those after this id
    #[arg(long, value_name = "ID", conflicts_with = "live")]
    after: Option<RecordId>,
    /// Reads them from the org: this spends an API call, and another one when the object's fields are not known yet
    #[arg(long)]
    live: bool,
    /// Shows outputs that stay as they are too, field by field
    #[arg(long)]
    all: bool,
}

/// A record before and after.
struct Row {
    id: RecordId,
    before: Option<Before>,
    after: Outcome,
    found: Difference,
}

/// What was run and what came of it.
struct Ran {
    plugin: PluginNote,
    rows: Vec<Row>,
    /// Records without a stored text, and deletions that the plugin does not map.
    left_out: (u64, u64),
    /// Fields that the stored texts do not have.
    missing: Vec<String>,
    made: Made,
    /// Calls that were spent on it.
    calls: u64,
    next: Option<RecordId>,
}

/// Runs it.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let trial = Trial::open(&args.sync, globals).await?;
    let candidate = trial.candidate(&args.file).await?;
    if !out.json {
        let (sync, shown) = (&args.sync, candidate.shown());
        let from = if args.live {
            format!("{shown} on records of {sync} straight from the org, which costs an API call;")
        } else {
            format!("{shown} on stored records of {sync};")
        };
        out.say(&format!("{from} nothing is written."))?;
    }
    let ran = if args.live {
        live(&trial, &candidate, args.limit).await?
    } else {
        stored(&trial, &candidate, args).await?
    };
    if out.json {
        out.value(&report(&args.sync, args.live, &ran))?;
    } else {
        print(&out, &ran, args)?;
    }
    Ok(Exit::Done)
}

async fn stored(trial: &Trial, candidate: &Candidate, args: &Args) -> Result<Ran, Failure> {
    let selection = trial.selection(candidate).await?;
    let found = trial.source.records(&args.sync, args.after, usize::from(args.limit)).await?;
    let (mut records, mut left_out) = (Vec::new(), (0, 0));
    for record in found.records {
        match &record.raw {
            _ if !candidate.takes(&record) => left_out.1 += 1,
            None => left_out.0 += 1,
            Some(raw) => records.push((Taken { id: record.id, raw: raw.clone() }, Some(record))),
        }
    }
    let missing = selection.missing.clone();
    let ran = rows(trial, candidate, &selection, records).await?;
    Ok(Ran { left_out, missing, next: found.next, ..ran })
}

async fn live(trial: &Trial, candidate: &Candidate, limit: u16) -> Result<Ran, Failure> {
    let reads = &candidate.plugin.description().reads;
    let sample = match &trial.source {
        Source::Store(reader) => {
            let org = app::open_org(&trial.config, reader.store(), Clock::default())?;
            let taken = view::Sample::take(&org, reader.store(), &trial.sync, reads, limit).await;
            taken.map_err(app::Error::Sync)?
        }
        Source::Api(client) => {
            let path = format!("/api/v1/syncs/{}/sample", trial.sync.name);
            client.post_with(&path, &SampleWish::new(reads, limit)).await?
        }
    };
    let fields = match reads.as_slice() {
        [] => sample.fields,
        reads => reads.iter().map(|read| read.name.clone()).collect(),
    };
    let selection = StoredSelection {
        selection: Selection::new(&fields, sample.stamp_field.as_deref()),
        fields,
        missing: Vec::new(),
    };
    let mut records = Vec::with_capacity(sample.records.len());
    for Sampled { id, raw } in sample.records {
        let known = match trial.source.record(&trial.sync.name, id).await {
            Ok(record) => Some(record),
            Err(failure) if failure.code == "record.unknown" => None,
            Err(failure) => return Err(failure),
        };
        records.push((Taken { id, raw }, known));
    }
    let ran = rows(trial, candidate, &selection, records).await?;
    Ok(Ran { calls: sample.calls, ..ran })
}

async fn rows(
    trial: &Trial,
    candidate: &Candidate,
    selection: &StoredSelection,
    records: Vec<(Taken, Option<StoredRecord>)>,
) -> Result<Ran, Failure> {
    let (taken, known): (Vec<Taken>, Vec<Option<StoredRecord>>) = records.into_iter().unzip();
    let mut made = trial.map(candidate, selection, &taken, 0).await?;
    let outcomes = std::mem::take(&mut made.outcomes);
    let nothing = Before { state: BeforeState::Mapped, outputs: Vec::new() };
    let rows = taken.iter().zip(known).zip(outcomes).map(|((taken, known), after)| {
        let before = known.as_ref().map(before);
        let found = compare(before.as_ref().unwrap_or(&nothing), &after);
        Row { id: taken.id, before, after, found }
    });
    Ok(Ran {
        plugin: candidate.plugin.note(),
        rows: rows.collect(),
        left_out: (0, 0),
        missing: Vec::new(),
        made,
        calls: 0,
        next: None,
    })
}

fn print(out: &Out, ran: &Ran, args: &Args) -> Result<(), Failure> {
    for name in &ran.missing {
        out.say(&format!("{name} was not fetched by the last run: the plugin gets null"))?;
    }
    let mut same = 0;
    for row in &ran.rows {
        if row.found.is_none() && row.before.is_some() {
            same += 1;
            if !args.all {
                continue;
            }
        }
        out.line("")?;
        record(out, row, args.all)?;
    }
    out.line("")?;
    summary(out, ran, same)?;
    for line in &ran.made.logs {
        let level = format!("{:?}", line.level).to_lowercase();
        out.say(&format!("log {level}: {}", plain(&line.message)))?;
    }
    if let Some(next) = ran.next {
        out.line(&format!("More: the same with --after {next}"))?;
    }
    Ok(())
}

/// One record: what becomes of it, and its outputs side by side.
fn record(out: &Out, row: &Row, all: bool) -> Result<(), Failure> {
    let now = became(&row.after);
    let was = row.before.as_ref().map(|before| match &before.state {
        BeforeState::Mapped => "mapped".to_owned(),
        BeforeState::Skipped(reason) => format!("skipped: {reason}"),
        BeforeState::Failed(why) => failed(why),
    });
    let head = match was {
        None => format!("{}  {now} (not stored yet)", row.id),
        Some(was) if row.found.verdict => format!("{}  {now} (stored: {was})", row.id),
        Some(_) => format!("{}  {now}", row.id),
    };
    let bold = |line: &str| style(line).bold().force_styling(out.look.colour).to_string();
    out.say_in(&plain(&head), bold)?;
    let own = Column::of(out.look.width);
    for output in &row.found.new {
        head_of(out, "+", &output.kind, &output.key)?;
        for (field, value) in fields(&output.body) {
            out.line(&own.line(&field, None, Some(&value), out.look.colour))?;
        }
    }
    for changed in &row.found.changed {
        head_of(out, "~", &changed.kind, &changed.key)?;
        for FieldChange { field, before, after } in &changed.fields {
            let line = own.line(field, before.as_deref(), after.as_deref(), out.look.colour);
            out.line(&line)?;
        }
    }
    for output in &row.found.gone {
        head_of(out, "-", &output.kind, &output.key)?;
        for (field, value) in fields(&output.body) {
            out.line(&own.line(&field, Some(&value), None, out.look.colour))?;
        }
    }
    for output in &row.found.same {
        head_of(out, "=", &output.kind, &output.key)?;
        if all {
            for (field, value) in fields(&output.body) {
                out.line(&own.line(&field, Some(&value), Some(&value), false))?;
            }
        }
    }
    Ok(())
}

fn became(after: &Outcome) -> String {
    match after {
        Outcome::Mapped(outputs) if outputs.is_empty() => "mapped to nothing".to_owned(),
        Outcome::Mapped(_) => "mapped".to_owned(),
        Outcome::Skipped(reason) => format!("skipped: {reason}"),
        Outcome::Failed(why) => failed(why),
    }
}

fn failed(why: &Rejection) -> String {
    format!("failed: {} [{}]", why.message, why.code)
}

fn summary(out: &Out, ran: &Ran, same: u64) -> Result<(), Failure> {
    let of = |wanted: fn(&Outcome) -> bool| {
        grouped(ran.rows.iter().filter(|row| wanted(&row.after)).count() as u64)
    };
    let mapped = of(|one| matches!(one, Outcome::Mapped(_)));
    let skipped = of(|one| matches!(one, Outcome::Skipped(_)));
    let failed = of(|one| matches!(one, Outcome::Failed(_)));
    let all = grouped(ran.rows.len() as u64);
    out.say(&format!(
        "{all} records: {mapped} mapped, {skipped} skipped, {failed} failed; {} as they are stored.",
        grouped(same)
    ))?;
    let (millis, memory) = (ran.made.took_us as f64 / 1000.0, size(ran.made.peak_memory));
    out.line(&format!("Mapped in {millis:.1} ms, with {memory} of memory at most."))?;
    if ran.calls > 0 {
        out.line(&format!("API calls spent: {}", grouped(ran.calls)))?;
    }
    for (count, why) in [
        (ran.left_out.0, "without a stored text, so they cannot be mapped again"),
        (ran.left_out.1, "deleted, which this plugin leaves to kilofold"),
    ] {
        if count > 0 {
            out.say(&format!("Left out: {} {why}.", grouped(count)))?;
        }
    }
    Ok(())
}

/// The fields of a body, each as JSON.
pub(super) fn fields(body: &str) -> Vec<(String, String)> {
    let read = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(body);
    match read {
        Ok(fields) => fields.into_iter().map(|(name, value)| (name, value.to_string())).collect(),
        Err(_) => vec![("(body)".to_owned(), body.to_owned())],
    }
}

/// Widths of the columns of fields that stand side by side.
pub(super) struct Column {
    name: usize,
    value: usize,
}

impl Column {
    /// That fit a terminal of this width.
    pub(super) fn of(width: u16) -> Self {
        let width = usize::from(width).clamp(60, 160) - 11;
        let name = (width / 4).min(28);
        Self { name, value: (width - name) / 2 }
    }

    /// A field: as it is stored, and as it would be.
    pub(super) fn line(
        &self,
        field: &str,
        before: Option<&str>,
        after: Option<&str>,
        colour: bool,
    ) -> String {
        let cut = |text: &str, width| {
            let text = console::truncate_str(&plain(text), width, "…").into_owned();
            let room = width - console::measure_text_width(&text).min(width);
            format!("{text}{}", " ".repeat(room))
        };
        let sign = match (before, after) {
            (None, _) => "+",
            (_, None) => "-",
            (Some(before), Some(after)) if before == after => "=",
            _ => "~",
        };
        let arrow = if sign == "=" { "  " } else { "->" };
        let text = format!(
            "      {} {} {arrow} {}",
            cut(field, self.name),
            cut(before.unwrap_or("-"), self.value),
            cut(after.unwrap_or("-"), self.value)
        );
        painted(sign, text.trim_end(), colour)
    }
}

/// The head of an output: what happens to it, its kind and key.
pub(super) fn head_of(out: &Out, sign: &str, kind: &str, key: &str) -> Result<(), Failure> {
    let text = plain(&format!("  {sign} {kind} {key}"));
    out.say_in(&text, |line| painted(sign, line, out.look.colour))
}

fn painted(sign: &str, text: &str, colour: bool) -> String {
    let styled = style(text).force_styling(colour);
    match sign {
        "+" => styled.green(),
        "-" => styled.red(),
        "~" => styled.yellow(),
        _ => styled.dim(),
    }
    .to_string()
}

/// What programs are told.
#[derive(Serialize)]
struct Report<'a> {
    plugin: &'a PluginNote,
    sync: &'a SyncName,
    live: bool,
    calls: u64,
    took_us: u64,
    peak_memory: u64,
    without_text: u64,
    deleted: u64,
    missing_fields: &'a [String],
    records: Vec<Told<'a>>,
    logs: Vec<String>,
    next: Option<RecordId>,
}

#[derive(Serialize)]
struct Told<'a> {
    id: RecordId,
    before: Option<Became>,
    after: Became,
    /// Whether it would stay as it is stored.
    same: bool,
    changed: Vec<ToldChange<'a>>,
}

#[derive(Serialize)]
struct ToldChange<'a> {
    kind: &'a str,
    key: &'a str,
    fields: &'a [FieldChange],
}

#[derive(Serialize)]
struct Became {
    #[serde(flatten)]
    outcome: view::State,
    outputs: Vec<Document>,
}

impl Became {
    fn of(outcome: view::State, outputs: &[Output]) -> Self {
        let document = |output: &Output| Document {
            kind: output.kind.to_string(),
            key: output.key.clone(),
            body: body(&output.body),
        };
        Self { outcome, outputs: outputs.iter().map(document).collect() }
    }
}

fn body(text: &str) -> Box<RawValue> {
    view::json(text.to_owned())
}

fn report<'a>(sync: &'a SyncName, live: bool, ran: &'a Ran) -> Report<'a> {
    let told = |row: &'a Row| Told {
        id: row.id,
        before: row.before.as_ref().map(|before| {
            let outcome = match before.state.clone() {
                BeforeState::Mapped => view::State::Mapped,
                BeforeState::Skipped(reason) => view::State::Skipped { reason },
                BeforeState::Failed(rejection) => view::State::Failed { rejection },
            };
            Became::of(outcome, &before.outputs)
        }),
        after: match row.after.clone() {
            Outcome::Mapped(outputs) => Became::of(view::State::Mapped, &outputs),
            Outcome::Skipped(reason) => Became::of(view::State::Skipped { reason }, &[]),
            Outcome::Failed(rejection) => Became::of(view::State::Failed { rejection }, &[]),
        },
        same: row.before.is_some() && row.found.is_none(),
        changed: row
            .found
            .changed
            .iter()
            .map(|one| ToldChange { kind: &one.kind, key: &one.key, fields: &one.fields })
            .collect(),
    };
    Report {
        plugin: &ran.plugin,
        sync,
        live,
        calls: ran.calls,
        took_us: ran.made.took_us,
        peak_memory: ran.made.peak_memory,
        without_text: ran.left_out.0,
        deleted: ran.left_out.1,
        missing_fields: &ran.missing,
        records: ran.rows.iter().map(told).collect(),
        logs: ran.made.logs.iter().map(|line| line.message.clone()).collect(),
        next: ran.next,
    }
}

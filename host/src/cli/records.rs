//! `kilofold records SYNC`: what is stored of a sync, and what became of each record.

use clap::Args as ClapArgs;

use super::out::Out;
use super::sheet::{Cell, Column, Paint, Sheet};
use super::source::Source;
use super::{Failure, Globals};
use crate::error::Exit;
use crate::model::{RecordId, SyncName};
use crate::web::view::{State, StoredRecord};

/// Lists the stored records of a sync, or shows one.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The sync's name
    #[arg(value_name = "SYNC")]
    sync: SyncName,
    /// Only this record, with everything known of it
    #[arg(long, value_name = "ID", conflicts_with_all = ["after", "limit"])]
    id: Option<RecordId>,
    /// Only those after this id
    #[arg(long, value_name = "ID")]
    after: Option<RecordId>,
    /// How many, at most 1000
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

/// Lists records.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let source = Source::open(globals).await?;
    if let Some(id) = args.id {
        let record = source.record(&args.sync, id).await?;
        if out.json {
            out.value(&record)?
        } else {
            one(&out, &record)?
        }
        return Ok(Exit::Done);
    }
    let found = source.records(&args.sync, args.after, usize::from(args.limit)).await?;
    if out.json {
        out.value(&found)?;
        return Ok(Exit::Done);
    }
    let mut sheet = Sheet::new(&[
        Column::text("record"),
        Column::text("changed"),
        Column::text("state"),
        Column::number("run"),
        Column::giving("outputs"),
    ]);
    for record in &found.records {
        let (state, paint) = state(record);
        let outputs: Vec<String> =
            record.outputs.iter().map(|output| format!("{} {}", output.kind, output.key)).collect();
        let words = match &record.outcome {
            State::Skipped { reason } => reason.clone(),
            State::Failed { rejection } => rejection.code.clone(),
            State::Mapped => outputs.join(", "),
        };
        sheet.row(vec![
            record.id.as_str().into(),
            record.stamp.timestamp().strftime("%Y-%m-%d %H:%M").to_string().into(),
            Cell::new(state, paint),
            record.run.to_string().into(),
            words.into(),
        ]);
    }
    out.sheet(&sheet, "No record is stored of this sync.")?;
    if let Some(next) = found.next {
        out.hint("More:", &format!("kilofold records {} --after {next}", args.sync))?;
    }
    Ok(Exit::Done)
}

fn state(record: &StoredRecord) -> (&'static str, Paint) {
    match (&record.outcome, record.deleted) {
        (State::Failed { .. }, _) => ("failed", Paint::Warn),
        (_, true) => ("deleted", Paint::Dim),
        (State::Skipped { .. }, _) => ("skipped", Paint::Dim),
        (State::Mapped, _) => ("mapped", Paint::Good),
    }
}

fn one(out: &Out, record: &StoredRecord) -> Result<(), Failure> {
    out.pair("record", record.id.as_str())?;
    out.pair("changed", &record.stamp.to_string())?;
    out.pair("state", state(record).0)?;
    match &record.outcome {
        State::Skipped { reason } => out.pair("why", reason)?,
        State::Failed { rejection } => {
            out.pair("why", &format!("{} [{}]", rejection.message, rejection.code))?;
            if let Some(field) = &rejection.field {
                out.pair("field", field)?;
            }
        }
        State::Mapped => {}
    }
    out.pair("run", &record.run.to_string())?;
    for output in &record.outputs {
        out.pair("output", &format!("{} {} {}", output.kind, output.key, output.body.get()))?;
    }
    out.pair("raw", record.raw.as_ref().map_or("not kept", |raw| raw.get()))
}

//! `kilofold failures RUN`: the records that could not be mapped, and why.

use clap::Args as ClapArgs;

use super::out::Out;
use super::sheet::{Cell, Column, Paint, Sheet};
use super::source::Source;
use super::{Failure, Globals};
use crate::error::Exit;
use crate::model::RunId;

/// Lists the records of a run that could not be mapped, and why.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The run's number
    #[arg(value_name = "RUN")]
    run: u64,
    /// Only those after this number of the list
    #[arg(long, value_name = "N")]
    after: Option<u64>,
    /// How many, at most 1000
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Shows the records as Salesforce sent them
    #[arg(long)]
    raw: bool,
}

/// Lists failures.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let source = Source::open(globals).await?;
    let found = source.failures(RunId(args.run), args.after, usize::from(args.limit)).await?;
    if out.json {
        out.value(&found)?;
        return Ok(Exit::Done);
    }
    let mut sheet = Sheet::new(&[
        Column::number("n"),
        Column::text("record"),
        Column::giving("code"),
        Column::giving("field"),
        Column::giving("message"),
    ]);
    for failure in &found.failures {
        sheet.row(vec![
            failure.n.to_string().into(),
            failure.id.as_str().into(),
            Cell::new(&failure.rejection.code, Paint::Warn),
            failure.rejection.field.as_deref().unwrap_or("-").into(),
            failure.rejection.message.as_str().into(),
        ]);
    }
    out.sheet(&sheet, "No record of this run failed.")?;
    if args.raw {
        for failure in &found.failures {
            let raw = failure.raw.as_ref().map_or("not kept", |raw| raw.get());
            out.pair(&format!("\n{}", failure.id), raw)?;
        }
    }
    if let Some(next) = found.next {
        out.hint("More:", &format!("kilofold failures {} --after {next}", args.run))?;
    }
    Ok(Exit::Done)
}

//! `kilofold limits`: what is known of the org's API calls, without spending one.

use super::out::Out;
use super::sheet::{Cell, Column, Paint, Sheet};
use super::source::Source;
use super::{Failure, Globals};
use crate::error::Exit;
use crate::model::Stamp;
use crate::web::text::{about, grouped};

/// Shows what is known.
pub async fn run(globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let source = Source::open(globals).await?;
    let limits = source.limits().await?;
    if out.json {
        out.value(&limits)?;
        return Ok(Exit::Done);
    }
    let now = Stamp::now();
    match &limits.reading {
        Some(usage) => {
            let percent = (usage.used * 100).checked_div(usage.max).unwrap_or(0);
            let (used, max) = (grouped(usage.used), grouped(usage.max));
            let age = about(now.since(usage.at));
            out.pair(
                "org",
                &format!("{used} of {max} calls in 24 h ({percent} %), read {age} ago"),
            )?;
        }
        None => out.pair("org", "not known: the org has not answered yet")?,
    }
    out.pair("kilofold", &format!("{} calls in 24 h", grouped(limits.counted)))?;
    out.pair("allowance", limits.allowance.as_deref().unwrap_or("all that the reserve leaves"))?;
    out.pair("reserve", &format!("{} calls for other applications", grouped(limits.reserve)))?;
    let per_run = limits.per_run.map_or("no bound".to_owned(), |n| format!("{} calls", grouped(n)));
    out.pair("per run", &per_run)?;
    out.line("")?;
    let mut sheet = Sheet::new(&[
        Column::giving("connection"),
        Column::giving("sync"),
        Column::text("purpose"),
        Column::text("counted"),
        Column::number("calls"),
    ]);
    for line in &limits.spent {
        let paint = if line.counted { Paint::Plain } else { Paint::Dim };
        sheet.row(vec![
            Cell::new(line.connection.as_str(), paint),
            Cell::new(line.sync.as_ref().map_or("-", |sync| sync.as_str()), paint),
            Cell::new(line.purpose.as_str(), paint),
            Cell::new(if line.counted { "yes" } else { "no" }, paint),
            Cell::new(&grouped(line.calls), paint),
        ]);
    }
    out.sheet(&sheet, "No call was made in the last 24 hours.")?;
    Ok(Exit::Done)
}

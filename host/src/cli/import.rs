//! `kilofold import RUN`: everything known of one run.

use clap::Args as ClapArgs;
use jiff::tz::TimeZone;

use super::out::Out;
use super::sheet::{Cell, Column, Paint, Sheet};
use super::source::Source;
use super::{Failure, Globals};
use crate::error::Exit;
use crate::model::{Cursor, Ending, PageNote, Run, RunId, Scan, Stamp, Trigger, Usage, Window};
use crate::web::text::{ahead, bytes, grouped, lasted, moment, outcome, plain, took};
use crate::web::view;

/// Shows one import: window, query, pages, retries, counts, failures, plugin and quota.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The run's number
    #[arg(value_name = "RUN")]
    run: u64,
    /// How many pages to list, at most 1000
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pages: u16,
}

#[derive(serde::Serialize)]
struct Shown<'a> {
    run: &'a Run,
    #[serde(flatten)]
    pages: &'a view::Pages,
}

/// Shows one import.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let source = Source::open(globals).await?;
    let run = source.run(RunId(args.run)).await?;
    let pages = if args.pages == 0 {
        view::Pages { pages: Vec::new(), next: None }
    } else {
        source.pages(run.id, None, usize::from(args.pages)).await?
    };
    if out.json {
        out.value(&Shown { run: &run, pages: &pages })?;
        return Ok(Exit::Done);
    }
    facts(&out, &run, Stamp::now(), &TimeZone::system())?;
    if !run.failures.is_empty() {
        out.line("\nfailures by reason")?;
        let mut sheet = Sheet::new(&[Column::number("records"), Column::giving("code")]);
        for (code, n) in &run.failures {
            sheet.row(vec![grouped(*n).into(), Cell::new(code, Paint::Warn)]);
        }
        out.sheet(&sheet, "")?;
        out.hint("Each:", &format!("kilofold failures {}", run.id))?;
    }
    if !run.retries.is_empty() {
        out.line("\nrequests made again")?;
        let mut sheet = Sheet::new(&[
            Column::text("at"),
            Column::number("page"),
            Column::number("waited"),
            Column::giving("reason"),
        ]);
        for retry in &run.retries {
            sheet.row(vec![
                moment(retry.at, run.started, &TimeZone::system()).into(),
                retry.page.map(|page| page.to_string()).unwrap_or_default().into(),
                took(std::time::Duration::from_millis(retry.waited_ms)).into(),
                retry.reason.as_str().into(),
            ]);
        }
        out.sheet(&sheet, "")?;
    }
    if !pages.pages.is_empty() {
        out.line("\npages")?;
        out.sheet(&page_sheet(&pages.pages), "")?;
        let rest = run.pages.saturating_sub(pages.pages.len() as u64);
        if rest > 0 {
            out.line(&format!("{} more: --pages 1000", grouped(rest)))?;
        }
    }
    Ok(Exit::Done)
}

fn facts(out: &Out, run: &Run, now: Stamp, zone: &TimeZone) -> Result<(), Failure> {
    let trigger = match run.trigger {
        Trigger::Schedule => "by schedule",
        Trigger::Manual => "by hand",
        Trigger::Resume => "after a pause",
        Trigger::Retry => "to retry failures",
        Trigger::Remap => "to map what is stored anew",
    };
    out.pair("run", &format!("{} of {} ({}), {trigger}", run.id, run.sync, run.object))?;
    out.pair("outcome", outcome(run))?;
    match &run.ending {
        Some(Ending::Paused { code, reason, resumes_at }) => {
            out.pair("why", &format!("{reason} [{code}]"))?;
            let when = resumes_at.map_or("not known when".to_owned(), |at| ahead(at, now, zone));
            out.pair("goes on", &when)?;
        }
        Some(Ending::Failed { code, message }) => {
            out.pair("why", &format!("{message} [{code}]"))?;
            out.pair("more", &format!("kilofold explain {code}"))?;
        }
        Some(Ending::Interrupted) => {
            out.pair("why", "the host stopped or died; the next run goes on there")?;
        }
        _ => {}
    }
    let took = took(lasted(run, now));
    out.pair("started", &format!("{}, took {took}", moment(run.started, now, zone)))?;
    let c = &run.counts;
    let expected = run.expected.map_or(String::new(), |total| format!(" of {}", grouped(total)));
    out.pair("fetched", &format!("{}{expected}", grouped(c.fetched)))?;
    out.pair(
        "of these",
        &format!(
            "{} mapped, {} unchanged, {} skipped, {} failed, {} deleted",
            grouped(c.mapped),
            grouped(c.unchanged),
            grouped(c.skipped),
            grouped(c.failed),
            grouped(c.deleted),
        ),
    )?;
    let per_thousand = match c.fetched {
        0 => String::new(),
        records => {
            format!(", {:.1} for a thousand records", run.calls as f64 * 1000.0 / records as f64)
        }
    };
    out.pair("calls", &format!("{} by {}{per_thousand}", grouped(run.calls), run.connection))?;
    out.pair("quota", &quota(run.quota_before.as_ref(), run.quota_after.as_ref()))?;
    if let Some(window) = &run.window {
        out.pair("window", &spelled(window))?;
    }
    out.pair("cursor", &format!("{} -> {}", place(&run.cursor_before), place(&run.cursor_after)))?;
    if !run.soql.is_empty() {
        out.pair("query", &run.soql)?;
    }
    match &run.plugin {
        Some(plugin) => {
            out.pair("plugin", &format!("{} {} ({})", plugin.name, plugin.version, plugin.api))?;
            out.pair("digest", &plugin.digest)?;
        }
        None => out.pair("plugin", "-")?,
    }
    let ms = |us: u64| crate::web::text::took(std::time::Duration::from_micros(us));
    let t = &run.timing;
    out.pair(
        "time",
        &format!("{} fetching, {} mapping, {} committing", ms(t.fetch), ms(t.map), ms(t.commit)),
    )?;
    for note in &run.notes {
        out.pair("note", note)?;
    }
    Ok(())
}

fn quota(before: Option<&Usage>, after: Option<&Usage>) -> String {
    let spell = |usage: &Usage| format!("{} of {}", grouped(usage.used), grouped(usage.max));
    match (before, after) {
        (None, None) => "not known".to_owned(),
        (Some(one), None) | (None, Some(one)) => spell(one),
        (Some(before), Some(after)) => format!("{} -> {}", spell(before), spell(after)),
    }
}

fn spelled(window: &Window) -> String {
    let order = match window.scan {
        Scan::ById => "by Id",
        Scan::ByStamp => "by stamp and Id",
    };
    match window.from {
        Some(from) => format!("{from} to {}, {order}", window.to),
        None => format!("everything to {}, {order}", window.to),
    }
}

fn place(cursor: &Cursor) -> String {
    let covered = cursor.covered.map_or("nothing".to_owned(), |at| at.to_string());
    match cursor.open.and_then(|window| window.at) {
        Some(at) => format!("{covered}, then up to {} {}", at.stamp, at.id),
        None => covered,
    }
}

fn page_sheet(pages: &[PageNote]) -> Sheet {
    let mut sheet = Sheet::new(&[
        Column::number("page"),
        Column::number("size"),
        Column::number("records"),
        Column::number("mapped"),
        Column::number("same"),
        Column::number("skip"),
        Column::number("fail"),
        Column::number("del"),
        Column::number("fetch"),
        Column::number("map"),
        Column::number("commit"),
    ]);
    let ms = |us: u64| took(std::time::Duration::from_micros(us));
    for page in pages {
        let c = &page.counts;
        let number = |n: u64, paint| Cell::count(n.to_string(), n, paint);
        sheet.row(vec![
            page.page.to_string().into(),
            bytes(page.bytes).into(),
            number(c.fetched, Paint::Plain),
            number(c.mapped, Paint::Plain),
            number(c.unchanged, Paint::Plain),
            number(c.skipped, Paint::Plain),
            number(c.failed, Paint::Warn),
            number(c.deleted, Paint::Plain),
            ms(page.timing.fetch).into(),
            ms(page.timing.map).into(),
            ms(page.timing.commit).into(),
        ]);
    }
    sheet
}

/// Why a run did not end well, in one plain line; none when it did.
pub fn why(run: &Run) -> Option<String> {
    match &run.ending {
        Some(Ending::Paused { code, reason, .. }) => Some(plain(&format!("{reason} [{code}]"))),
        Some(Ending::Failed { code, message }) => Some(plain(&format!("{message} [{code}]"))),
        Some(Ending::Interrupted) => {
            Some("the host stopped; the next run goes on there [run.interrupted]".to_owned())
        }
        _ => None,
    }
}

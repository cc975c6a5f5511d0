//! `kilofold imports`: the runs, newest first.

use clap::Args as ClapArgs;

use super::out::Out;
use super::sheet::{Cell, Column, Look, Paint, Sheet};
use super::source::Source;
use super::{Failure, Globals, sync};
use crate::error::Exit;
use crate::model::{Run, RunId, Stamp, SyncName};
use crate::web::text::{about, count, grouped, lasted, moment, took};

/// Lists imports, newest first.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Only this sync's
    #[arg(long, value_name = "NAME")]
    sync: Option<SyncName>,
    /// How many, at most 1000
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Only runs older than this one
    #[arg(long, value_name = "RUN")]
    before: Option<u64>,
}

/// Lists imports.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let source = Source::open(globals).await?;
    let before = args.before.map(RunId);
    let runs = source.runs(args.sync.as_ref(), before, usize::from(args.limit)).await?;
    if out.json {
        out.value(&runs)?;
        return Ok(Exit::Done);
    }
    let sheet = sheet(&runs.runs, Stamp::now(), &out.look);
    out.sheet(&sheet, "Nothing has been imported yet.")?;
    if let Some(next) = runs.next {
        out.hint("More:", &format!("kilofold imports --before {next}"))?;
    }
    let mut syncs = source.syncs().await?;
    syncs.syncs.retain(|sync| args.sync.as_ref().is_none_or(|name| sync.name == *name));
    sync::offers(&syncs, &out)?;
    Ok(Exit::Done)
}

/// Columns from which on the long heads and whole numbers fit.
const WIDE: u16 = 116;

/// The imports table, fitted to the terminal.
pub fn sheet(runs: &[Run], now: Stamp, look: &Look) -> Sheet {
    let wide = look.width >= WIDE;
    let head = |short, long| if wide { long } else { short };
    let mut sheet = Sheet::new(&[
        Column::number("run"),
        Column::giving("sync"),
        Column::number(head("ago", "started")),
        Column::number(head("took", "duration")),
        Column::number("calls"),
        Column::number(head("fetch", "fetched")),
        Column::number("mapped"),
        Column::number(head("same", "unchanged")),
        Column::number(head("skip", "skipped")),
        Column::number(head("fail", "failed")),
        Column::number(head("del", "deleted")),
        Column::text("outcome"),
    ]);
    let zone = jiff::tz::TimeZone::system();
    let number = |n: u64, paint| Cell::count(if wide { grouped(n) } else { count(n) }, n, paint);
    for run in runs {
        let c = &run.counts;
        sheet.row(vec![
            run.id.to_string().into(),
            run.sync.as_str().into(),
            if wide { moment(run.started, now, &zone) } else { about(now.since(run.started)) }
                .into(),
            took(lasted(run, now)).into(),
            number(run.calls, Paint::Plain),
            number(c.fetched, Paint::Plain),
            number(c.mapped, Paint::Plain),
            number(c.unchanged, Paint::Plain),
            number(c.skipped, Paint::Plain),
            number(c.failed, Paint::Warn),
            number(c.deleted, Paint::Plain),
            Cell::outcome(run),
        ]);
    }
    sheet
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::Ending;
    pub(crate) use crate::model::example::run as example;

    fn examples() -> Vec<Run> {
        let paused = Ending::Paused {
            code: "limit.daily".into(),
            reason: "the org's day is spent".into(),
            resumes_at: None,
        };
        let failed = Ending::Failed { code: "auth.reconnect".into(), message: "revoked".into() };
        let mut large = example(1107, "Task", Some(Ending::Succeeded));
        large.counts.mapped = 1_234_567;
        large.counts.failed = 0;
        vec![
            example(1112, "Contact", None),
            example(1111, "Opportunity", Some(Ending::SucceededWithFailures)),
            example(1110, "Account", Some(paused)),
            example(1109, "Lead", Some(failed)),
            example(1108, "a-sync-with-a-long-name", Some(Ending::Interrupted)),
            large,
        ]
    }

    fn drawn(width: u16) -> String {
        let now = Stamp::parse("2026-11-23T14:03:00Z").unwrap();
        let look = Look { width, colour: false };
        sheet(&examples(), now, &look).render(&look)
    }

    #[test]
    fn fits_80_columns() {
        let drawn = drawn(80);
        assert!(drawn.lines().all(|line| line.chars().count() <= 80), "{drawn}");
        insta::assert_snapshot!(drawn, @r"
         run sync            ago  took calls fetch mapped same skip fail del outcome
        ────────────────────────────────────────────────────────────────────────────────
        1112 Contact          3m 3m00s    25 24812  24700   50   40   12  10 running
        1111 Opportunity      3m 12.3s    25 24812  24700   50   40   12  10 some failed
        1110 Account          3m 12.3s    25 24812  24700   50   40   12  10 paused
        1109 Lead             3m 12.3s    25 24812  24700   50   40   12  10 failed
        1108 a-sync-with-a-…  3m 12.3s    25 24812  24700   50   40   12  10 interrupted
        1107 Task             3m 12.3s    25 24812  1.23M   50   40    0  10 succeeded
        ");
    }

    #[test]
    fn says_more_where_there_is_room() {
        let drawn = drawn(130);
        assert!(drawn.contains("unchanged") && drawn.contains("1,234,567"), "{drawn}");
        assert!(drawn.lines().all(|line| line.chars().count() <= 130));
    }
}

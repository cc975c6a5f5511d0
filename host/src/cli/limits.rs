//! `kilofold limits`: what is known of the org's API calls, without spending one.

use jiff::tz::TimeZone;

use super::out::Out;
use super::sheet::{Cell, Column, Paint, Sheet};
use super::source::Source;
use super::{Failure, Globals};
use crate::error::Exit;
use crate::web::text::{about, ahead, grouped};
use crate::web::view;

/// Shows what is known.
pub async fn run(globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let source = Source::open(globals).await?;
    let limits = source.limits().await?;
    if out.json {
        out.value(&limits)?;
        return Ok(Exit::Done);
    }
    summary(&limits, &out)?;
    out.line("")?;
    spent(&limits, &out)?;
    let Some(day) = &limits.day else { return Ok(Exit::Done) };
    if !day.kept.is_empty() {
        out.line("")?;
        kept(&day.kept, &out)?;
    }
    if !day.syncs.is_empty() {
        out.line("")?;
        forecast(day, &out)?;
    }
    Ok(Exit::Done)
}

fn summary(limits: &view::Limits, out: &Out) -> Result<(), Failure> {
    let Some(day) = &limits.day else { return Ok(()) };
    let percent = (day.used * 100).checked_div(day.max).unwrap_or(0);
    let (used, max) = (grouped(day.used), grouped(day.max));
    match &limits.reading {
        Some(usage) if !day.assumed => {
            let age = about(day.now.since(usage.at));
            out.pair(
                "org",
                &format!("{used} of {max} calls in 24 h ({percent} %), read {age} ago"),
            )?;
        }
        _ => out.pair("org", &format!("not known yet; taken for {used} of {max} calls in 24 h"))?,
    }
    let left = grouped(day.left);
    let ours = grouped(limits.counted);
    out.pair("kilofold", &format!("{ours} calls in 24 h, {left} may be spent now"))?;
    let others = match day.others_since {
        Some(since) if day.now.since(since) < crate::quota::DAY => {
            let age = about(day.now.since(since));
            format!("{} calls in 24 h, seen by the hour for {age}", grouped(day.others))
        }
        Some(_) => format!("{} calls in 24 h", grouped(day.others)),
        None => "not known yet".to_owned(),
    };
    out.pair("others", &others)?;
    out.pair(
        "allowance",
        &match (day.allowance, &limits.allowance) {
            (Some(calls), Some(words)) if words.ends_with('%') => {
                format!("{} calls ({words} of the org's day)", grouped(calls))
            }
            (Some(calls), _) => format!("{} calls", grouped(calls)),
            _ => "all that the reserve leaves".to_owned(),
        },
    )?;
    out.pair("reserve", &format!("{} calls for other applications", grouped(limits.reserve)))?;
    let per_run = limits.per_run.map_or("no bound".to_owned(), |n| format!("{} calls", grouped(n)));
    out.pair("per run", &per_run)?;
    let (spent, share) = (grouped(day.first_passes_spent), grouped(day.first_passes));
    out.pair("first pass", &format!("{spent} of the {share} calls that first passes may spend"))?;
    if let Some(text) = &day.refused {
        let again = day.asks_again.map_or(String::new(), |at| {
            format!("; asked again {}", ahead(at, day.now, &TimeZone::system()))
        });
        out.pair("REFUSED", &format!("Salesforce grants no calls (\"{text}\"){again}"))?;
    }
    spark(day, out)?;
    let per_thousand = day.per_thousand.map_or(String::new(), |calls| {
        format!("; {calls:.1} calls for a thousand of {} records", grouped(day.records))
    });
    out.pair("saved", &format!("{} calls by asking together{per_thousand}", grouped(day.saved)))?;
    out.pair("forecast", &outlook(day))
}

/// A line for all calls by the hour, and one for ours.
fn spark(day: &view::Day, out: &Out) -> Result<(), Failure> {
    let most = day.hours.iter().map(|hour| hour.ours + hour.others).max().unwrap_or(0);
    let line = |of: &dyn Fn(&view::Hour) -> u64| -> String {
        day.hours.iter().map(|hour| bar(of(hour), most)).collect()
    };
    let all = line(&|hour| hour.ours + hour.others);
    out.pair("24 hours", &format!("{all}  of all, at most {} an hour", grouped(most)))?;
    out.pair("", &format!("{}  of kilofold", line(&|hour| hour.ours)))
}

/// One of eight heights; a dot for nothing.
fn bar(calls: u64, most: u64) -> char {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let height = (u128::from(calls) * 8).div_ceil(u128::from(most.max(1)));
    match usize::try_from(height) {
        Ok(0) => '·',
        Ok(height) => BARS.get(height - 1).copied().unwrap_or('█'),
        Err(_) => '█',
    }
}

fn outlook(day: &view::Day) -> String {
    let zone = TimeZone::system();
    let when = |at| ahead(at, day.now, &zone);
    let rate = format!("at {} calls an hour of all", grouped(day.rate));
    let org = match day.runs_out {
        Some(at) if at <= day.now => "the org's calls are spent".to_owned(),
        Some(at) => format!("{rate} the org runs out {}", when(at)),
        None => format!("{rate} the org does not run out"),
    };
    let own = match (day.allowance, day.allowance_out) {
        (None, _) => String::new(),
        (Some(_), Some(at)) if at <= day.now => "; the allowance is spent".to_owned(),
        (Some(_), Some(at)) => {
            format!("; at {} of ours the allowance is spent {}", grouped(day.our_rate), when(at))
        }
        (Some(_), None) => format!("; at {} of ours the allowance lasts", grouped(day.our_rate)),
    };
    format!("{org}{own}")
}

fn spent(limits: &view::Limits, out: &Out) -> Result<(), Failure> {
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
    out.sheet(&sheet, "No call was made in the last 24 hours.")
}

/// What is kept back for whom when calls are scarce.
fn kept(kept: &[view::Kept], out: &Out) -> Result<(), Failure> {
    let mut sheet = Sheet::new(&[
        Column::giving("kept back for"),
        Column::number("priority"),
        Column::number("needs a day"),
        Column::number("always left"),
        Column::number("spent"),
        Column::number("kept back"),
    ]);
    for line in kept {
        let name = line.sync.as_ref().map_or("first passes", |sync| sync.as_str());
        let priority = line.priority.map_or("-".to_owned(), |priority| priority.to_string());
        let [needs, floor, spent] = [line.expected, line.floor, line.spent].map(grouped);
        let plain = |text: &str| Cell::new(text, Paint::Plain);
        sheet.row(vec![
            plain(name),
            plain(&priority),
            plain(&needs),
            plain(&floor),
            plain(&spent),
            plain(&grouped(line.kept)),
        ]);
    }
    out.sheet(&sheet, "Nothing is kept back.")
}

/// What each sync costs a day, and what it would cost at other intervals.
fn forecast(day: &view::Day, out: &Out) -> Result<(), Failure> {
    let mut sheet = Sheet::new(&[
        Column::giving("calls a day of"),
        Column::giving("schedule"),
        Column::number("now"),
        Column::number("5m"),
        Column::number("15m"),
        Column::number("1h"),
        Column::number("6h"),
        Column::number("24h"),
    ]);
    for sync in &day.syncs {
        let paint = if sync.paused { Paint::Dim } else { Paint::Plain };
        let at_least = if sync.learnt == 0 { ">= " } else { "" };
        let mut row = vec![
            Cell::new(sync.sync.as_str(), paint),
            Cell::new(if sync.paused { "paused" } else { &sync.schedule }, paint),
            Cell::new(&format!("{at_least}{}", grouped(sync.calls)), paint),
        ];
        row.extend(sync.at.iter().map(|at| Cell::new(&grouped(at.calls), Paint::Dim)));
        sheet.row(row);
    }
    out.sheet(&sheet, "No sync is on.")?;
    for sync in &day.syncs {
        if let Some(why) = &sync.small_pages {
            out.pair(sync.sync.as_str(), why)?;
        }
        if let Some(calls) = sync.first_pass {
            let first = format!("its first pass needs {} more calls", grouped(calls));
            out.pair(sync.sync.as_str(), &first)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_say_what_is_most_and_what_is_nothing() {
        let line: String = [0, 1, 4, 8, 7].map(|calls| bar(calls, 8)).into_iter().collect();
        assert_eq!(line, "·▁▄█▇");
        assert_eq!((bar(0, 0), bar(1, 1_000_000), bar(u64::MAX, u64::MAX)), ('·', '▁', '█'));
    }
}

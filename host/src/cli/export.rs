//! `kilofold export`: what is stored, as a file for another program.

use std::fs::File;
use std::io::{BufWriter, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::out::Out;
use super::progress::template;
use super::source::Source;
use super::{Failure, Globals};
use crate::error::Exit;
use crate::export::{Export, Filter, Format, Where, Written};
use crate::model::{Stamp, SyncName};
use crate::store::Wanted;
use crate::web::export::What;
use crate::web::text::grouped;

/// Writes outputs, or records as Salesforce sent them, as JSON lines, CSV or Parquet.
///
/// CSV and Parquet have a column for every field that any row has; those that begin with _ are kilofold's own. In Parquet a
/// column of whole numbers is INT64, one of numbers of at most 15 digits DOUBLE, one of true and false BOOLEAN, one of lists
/// and objects JSON; everything else is text, as it is spelled.
///
/// Each row is as it is when it is read. While a host goes on, that is not one moment for all: the end tells the number of the
/// feed up to which every change is in the file, and the one up to which changes may be. A reader that goes on with
/// `kilofold feed --after` the first number misses nothing, and meets some changes twice. One moment for all rows is what
/// /api/v1/snapshot gives.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Only of this sync; of all when left out
    #[arg(value_name = "SYNC")]
    sync: Option<SyncName>,
    /// Only outputs of these kinds
    #[arg(long, value_name = "KIND,...", value_delimiter = ',', conflicts_with = "raw")]
    kind: Vec<String>,
    /// Records as Salesforce sent them, instead of outputs
    #[arg(long)]
    raw: bool,
    /// How the file is written; by the file's ending when left out, otherwise as JSON lines
    #[arg(long, value_name = "FORMAT")]
    format: Option<FormatArg>,
    /// The file; standard output when left out. It appears when it is whole
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only rows whose field has this value, or has not: FIELD=VALUE, FIELD!=VALUE; may be given several times
    #[arg(long = "where", value_name = "FIELD=VALUE")]
    conditions: Vec<Where>,
    /// Only what changed then or later in the org, for example 2024-01-31 or 2024-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Stamp>,
    /// With --raw: only records in these states
    #[arg(long, value_name = "STATE,...", value_delimiter = ',', requires = "raw")]
    state: Vec<StateArg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    Jsonl,
    Csv,
    Parquet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StateArg {
    Mapped,
    Skipped,
    Failed,
    Deleted,
}

impl StateArg {
    fn word(self) -> String {
        let word = match self {
            Self::Mapped => "mapped",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Deleted => "deleted",
        };
        word.to_owned()
    }
}

/// A day, or a moment.
fn moment(text: &str) -> Result<Stamp, String> {
    let whole = match text.parse::<jiff::civil::Date>() {
        Ok(day) if text.len() == 10 => format!("{day}T00:00:00Z"),
        _ => text.to_owned(),
    };
    Stamp::parse(&whole)
        .map_err(|_| "write a day (2024-01-31) or a moment (2024-01-31T12:00:00Z)".to_owned())
}

/// By the file's ending, unless it is said.
fn format(args: &Args) -> Format {
    let ending =
        args.output.as_deref().and_then(Path::extension).and_then(|ending| ending.to_str());
    match (args.format, ending) {
        (Some(FormatArg::Jsonl), _) => Format::JsonLines,
        (Some(FormatArg::Csv), _) | (None, Some("csv")) => Format::Csv,
        (Some(FormatArg::Parquet), _) | (None, Some("parquet")) => Format::Parquet,
        (None, _) => Format::JsonLines,
    }
}

/// Exports.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let format = format(args);
    if args.output.is_none() && format == Format::Parquet && std::io::stdout().is_terminal() {
        let what = "Parquet is no text for a terminal: name a file with --output";
        return Err(Failure::new("export.terminal", what.to_owned()));
    }
    let source = Source::open(globals).await?;
    let syncs = source.syncs().await?.syncs;
    if let Some(name) = &args.sync
        && !syncs.iter().any(|sync| sync.name == *name)
    {
        let what = format!("the configuration has no sync '{name}'");
        return Err(Failure::new("sync.unknown", what));
    }
    let meant = |sync: &SyncName| args.sync.as_ref().is_none_or(|name| name == sync);
    let counts = syncs.iter().filter(|sync| meant(&sync.name));
    let total: u64 = counts.map(|sync| if args.raw { sync.records } else { sync.outputs }).sum();
    let filter = Filter {
        conditions: args.conditions.clone(),
        since: args.since,
        states: args.state.iter().map(|state| state.word()).collect(),
    };
    let wanted = Wanted { syncs: args.sync.iter().cloned().collect(), kinds: args.kind.clone() };
    let what = if args.raw { What::Records } else { What::Outputs };
    // Every change up to here is read; what is committed meanwhile may be.
    let from = source.consumers().await?.end;
    let bar = bar(total);
    let telling = bar.clone();
    let tell = move |seen| telling.set_position(seen);
    let written = match &args.output {
        None => {
            let export = Export::new(out.stream(), format, filter, tell).map_err(unwritten)?;
            source.export(what, &wanted, export).await?.1
        }
        Some(path) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))
                .map_err(|error| at(path, &error))?;
            let to: BufWriter<File> =
                BufWriter::new(file.reopen().map_err(|error| at(path, &error))?);
            let export = Export::new(to, format, filter, tell).map_err(unwritten)?;
            let (to, written) = source.export(what, &wanted, export).await?;
            let whole = to.into_inner().map_err(|error| at(path, error.error()))?;
            whole.sync_all().map_err(|error| at(path, &error))?;
            file.persist(path).map_err(|error| at(path, &error.error))?;
            written
        }
    };
    bar.finish_and_clear();
    if let Some(path) = &args.output {
        let to = source.consumers().await?.end;
        tell_end(&out, path, written, (from, to))?;
    }
    Ok(Exit::Done)
}

/// `feed`: its end before and behind the reading.
fn tell_end(out: &Out, path: &Path, written: Written, feed: (u64, u64)) -> Result<(), Failure> {
    let (from, to) = feed;
    if out.json {
        return out.value(&serde_json::json!({
            "file": path, "seen": written.seen, "rows": written.rows, "columns": written.columns,
            "feed": { "whole_to": from, "parts_to": to },
        }));
    }
    let of = match written.seen == written.rows {
        true => String::new(),
        false => format!(" of {}", grouped(written.seen)),
    };
    let columns = match written.columns {
        0 => String::new(),
        columns => format!(", {columns} columns"),
    };
    let path = crate::web::text::plain(&path.display().to_string());
    out.say(&format!("{}{of} rows{columns} in {path}", grouped(written.rows)))?;
    out.say(&match from == to {
        true => format!("As of change {} of the feed.", grouped(from)),
        false => format!(
            "Every change up to {} of the feed is in it, and some of those up to {}: kilofold feed --after {from} has the rest.",
            grouped(from),
            grouped(to)
        ),
    })
}

/// A bar on standard error, where a terminal is.
fn bar(total: u64) -> ProgressBar {
    let target = match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr_with_hz(10),
        false => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    bar.set_style(template("{bar:24.cyan/dim} {human_pos}/{human_len} rows {rate} {eta}"));
    bar
}

fn at(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new("cli.output", format!("cannot write {}: {error}", path.display()))
}

fn unwritten(error: std::io::Error) -> Failure {
    Failure::new("cli.output", format!("rows cannot wait in a temporary file: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_days_and_moments() {
        assert_eq!(moment("2024-01-31"), moment("2024-01-31T00:00:00Z"));
        assert_eq!(moment("2024-01-31T01:00:00+01:00"), moment("2024-01-31T00:00:00Z"));
        assert!(moment("yesterday").is_err() && moment("2024-13-01").is_err());
    }
}

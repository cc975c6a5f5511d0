//! `kilofold plugin diff [OLD] NEW --sync NAME`: what would change in stored outputs; nothing is written.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::run::{Column as Side, head_of};
use super::trial::{Candidate, Taken, Trial, before};
use crate::cli::out::Out;
use crate::cli::sheet::{Cell, Column, Paint, Sheet};
use crate::cli::{Failure, Globals};
use crate::error::Exit;
use crate::model::{Outcome, PluginNote, SyncName};
use crate::sync::compare::{Before, BeforeState, compare};
use crate::sync::stored::StoredSelection;
use crate::sync::tally::Tally;
use crate::web::text::grouped;
use crate::web::view::StoredRecord;

/// Tells what another plugin would change in the stored outputs of a sync. Nothing is written, no API call is spent.
///
/// Every stored record is mapped again, batch by batch. The new plugin is compared with what is stored, or with what an
/// old one makes of the same records when two are named.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The new component, or an old one and the new one; a stock plugin goes by its name
    #[arg(value_name = "[OLD] NEW", num_args = 1..=2, required = true)]
    files: Vec<PathBuf>,
    /// The sync whose records and settings they are given
    #[arg(long, value_name = "NAME")]
    sync: SyncName,
    /// Only so many records, by id
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// How many changes of each sort are shown
    #[arg(long, value_name = "N", default_value_t = 3)]
    samples: u8,
}

/// Records that are in memory at once.
const BATCH: usize = 500;

/// What was compared.
struct Compared {
    old: Option<PluginNote>,
    new: PluginNote,
    tally: Tally,
    without_text: u64,
    deleted: u64,
    missing: Vec<String>,
}

/// Compares.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let trial = Trial::open(&args.sync, globals).await?;
    let (old, new) = match args.files.as_slice() {
        [old, new] => (Some(trial.candidate(old).await?), new),
        files => (None, files.first().ok_or_else(Failure::quiet)?),
    };
    let new = trial.candidate(new).await?;
    if !out.json {
        let against = old.as_ref().map_or("what is stored".to_owned(), Candidate::shown);
        out.say(&format!("{} against {against}, of {}", new.shown(), args.sync))?;
    }
    let compared = compare_all(&trial, old.as_ref(), &new, args).await?;
    if out.json {
        out.value(&Report {
            sync: &args.sync,
            old: compared.old.as_ref(),
            new: &compared.new,
            without_text: compared.without_text,
            deleted: compared.deleted,
            missing_fields: &compared.missing,
            turns: turns(&compared.tally),
            tally: &compared.tally,
        })?;
    } else {
        print(&out, &compared, args)?;
    }
    Ok(Exit::Done)
}

async fn compare_all(
    trial: &Trial,
    old: Option<&Candidate>,
    new: &Candidate,
    args: &Args,
) -> Result<Compared, Failure> {
    let selection = trial.selection(new).await?;
    let old_selection = match old {
        Some(old) => Some(trial.selection(old).await?),
        None => None,
    };
    let bar = bar(trial, args).await?;
    let mut compared = Compared {
        old: old.map(|one| one.plugin.note()),
        new: new.plugin.note(),
        tally: Tally::new(usize::from(args.samples)),
        without_text: 0,
        deleted: 0,
        missing: selection.missing.clone(),
    };
    let mut left = args.limit.unwrap_or(u64::MAX);
    let (mut after, mut number) = (None, 0);
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(BATCH).min(BATCH);
        let found = trial.source.records(&args.sync, after, wanted).await?;
        let seen = found.records.len() as u64;
        let (mut taken, mut stored) = (Vec::new(), Vec::new());
        for record in found.records {
            match &record.raw {
                _ if !new.takes(&record) => compared.deleted += 1,
                None => compared.without_text += 1,
                Some(raw) => {
                    taken.push(Taken { id: record.id, raw: raw.clone() });
                    stored.push(record);
                }
            }
        }
        let olds = match (old, &old_selection) {
            (Some(old), Some(selection)) => {
                afresh(trial, old, selection, &taken, &stored, number).await?
            }
            _ => stored.iter().map(before).collect(),
        };
        let made = trial.map(new, &selection, &taken, number).await?;
        for ((record, old), new) in stored.iter().zip(&olds).zip(&made.outcomes) {
            compared.tally.add(record.id, old, new, &compare(old, new));
        }
        bar.inc(seen);
        left -= seen;
        number += 1;
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    bar.finish_and_clear();
    Ok(compared)
}

/// What the old plugin makes of the same records, as if that were stored.
async fn afresh(
    trial: &Trial,
    old: &Candidate,
    selection: &StoredSelection,
    taken: &[Taken],
    stored: &[StoredRecord],
    number: u32,
) -> Result<Vec<Before>, Failure> {
    let made = trial.map(old, selection, taken, number).await?;
    let olds = made.outcomes.into_iter().zip(stored).map(|(outcome, record)| match outcome {
        Outcome::Mapped(outputs) => Before { state: BeforeState::Mapped, outputs },
        Outcome::Skipped(reason) => {
            Before { state: BeforeState::Skipped(reason), outputs: Vec::new() }
        }
        // A record that fails keeps what it has.
        Outcome::Failed(why) => {
            Before { state: BeforeState::Failed(why), outputs: before(record).outputs }
        }
    });
    Ok(olds.collect())
}

async fn bar(trial: &Trial, args: &Args) -> Result<ProgressBar, Failure> {
    let known = trial.source.syncs().await?.syncs;
    let stored = known.iter().find(|one| one.name == args.sync).map_or(0, |one| one.records);
    let bar = ProgressBar::with_draw_target(
        Some(stored.min(args.limit.unwrap_or(u64::MAX))),
        ProgressDrawTarget::stderr_with_hz(10),
    );
    let style = ProgressStyle::with_template("{bar:30} {human_pos} of {human_len} records, {eta}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    Ok(bar)
}

fn print(out: &Out, compared: &Compared, args: &Args) -> Result<(), Failure> {
    for name in &compared.missing {
        out.say(&format!("{name} was not fetched by the last run: the plugin gets null"))?;
    }
    let tally = &compared.tally;
    let mut sheet = Sheet::new(&[
        Column::giving("kind"),
        Column::number("new"),
        Column::number("changed"),
        Column::number("gone"),
        Column::number("same"),
        Column::giving("fields that change"),
    ]);
    for (name, kind) in &tally.kinds {
        let mut fields: Vec<(&String, &u64)> = kind.fields.iter().collect();
        fields.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
        let fields: Vec<String> =
            fields.iter().map(|(name, count)| format!("{name} {}", grouped(**count))).collect();
        let count = |n, paint| Cell::count(grouped(n), n, paint);
        sheet.row(vec![
            name.as_str().into(),
            count(kind.new, Paint::Good),
            count(kind.changed, Paint::Warn),
            count(kind.gone, Paint::Bad),
            count(kind.same, Paint::Plain),
            fields.join(", ").into(),
        ]);
    }
    out.sheet(&sheet, "No output, then or now.")?;
    let mut records = Sheet::new(&[
        Column::number("records"),
        Column::giving("were"),
        Column::giving("would be"),
        Column::text("first"),
        Column::giving("because"),
    ]);
    for (turn, turned) in &tally.turns {
        let paint = if turn.to.starts_with("failed") { Paint::Bad } else { Paint::Plain };
        records.row(vec![
            grouped(turned.records).into(),
            turn.from.as_str().into(),
            Cell::new(&turn.to, paint),
            turned.first.as_str().into(),
            turned.why.as_deref().unwrap_or("-").into(),
        ]);
    }
    if !records.is_empty() {
        out.line("")?;
        out.sheet(&records, "")?;
    }
    samples(out, tally)?;
    let (all, touched) = (grouped(tally.records), grouped(tally.touched));
    out.line(&format!("\n{touched} of {all} records would change."))?;
    for (count, why) in [
        (compared.without_text, "without a stored text, so they cannot be mapped again"),
        (compared.deleted, "deleted, which the new plugin leaves to kilofold"),
    ] {
        if count > 0 {
            out.say(&format!("Left out: {} {why}.", grouped(count)))?;
        }
    }
    if tally.touched > 0 && compared.old.is_none() {
        let name = &args.sync;
        out.hint("Once it is the sync's plugin:", &format!("kilofold remap {name}"))?;
    }
    Ok(())
}

fn samples(out: &Out, tally: &Tally) -> Result<(), Failure> {
    let side = Side::of(out.look.width);
    for sample in &tally.samples {
        let sign = match sample.what {
            "new" => "+",
            "gone" => "-",
            _ => "~",
        };
        out.line("")?;
        head_of(out, sign, &sample.kind, &sample.key)?;
        for change in &sample.fields {
            let (before, after) = (change.before.as_deref(), change.after.as_deref());
            out.line(&side.line(&change.field, before, after, out.look.colour))?;
        }
    }
    Ok(())
}

/// What programs are told.
#[derive(Serialize)]
struct Report<'a> {
    sync: &'a SyncName,
    /// None: what is stored.
    old: Option<&'a PluginNote>,
    new: &'a PluginNote,
    without_text: u64,
    deleted: u64,
    missing_fields: &'a [String],
    turns: Vec<ToldTurn<'a>>,
    #[serde(flatten)]
    tally: &'a Tally,
}

#[derive(Serialize)]
struct ToldTurn<'a> {
    from: &'a str,
    to: &'a str,
    #[serde(flatten)]
    turned: &'a crate::sync::tally::Turned,
}

fn turns(tally: &Tally) -> Vec<ToldTurn<'_>> {
    let told = tally.turns.iter();
    told.map(|(turn, turned)| ToldTurn { from: &turn.from, to: &turn.to, turned }).collect()
}

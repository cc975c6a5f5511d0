//! `kilofold feed`: the changes of outputs, in order.

use std::time::Duration;

use clap::Args as ClapArgs;

use super::out::Out;
use super::sheet::{Cell, Column, Paint, Sheet};
use super::source::Source;
use super::{Failure, Globals};
use crate::error::Exit;
use crate::web::view::{Change, Operation};

/// Lists the changes of outputs, in order.
///
/// With --follow it goes on with what comes until Ctrl-C; with --json as well, each change is one line.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Only those after this number
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: u64,
    /// How many, at most 1000
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Goes on with what comes
    #[arg(long)]
    follow: bool,
}

/// How long nothing is asked after nothing new came.
const PAUSE: Duration = Duration::from_millis(500);

/// Lists the feed.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    if args.follow {
        return follow(args, globals, &out).await;
    }
    let source = Source::open(globals).await?;
    let feed = source.feed(args.after, usize::from(args.limit)).await?;
    if out.json {
        out.value(&feed)?;
        return Ok(Exit::Done);
    }
    let mut sheet = Sheet::new(&[
        Column::number("seq"),
        Column::text("change"),
        Column::giving("sync"),
        Column::text("kind"),
        Column::giving("key"),
        Column::giving("body"),
    ]);
    for change in &feed.changes {
        let (op, paint) = operation(change);
        sheet.row(vec![
            change.seq.to_string().into(),
            Cell::new(op, paint),
            change.sync.as_str().into(),
            change.kind.as_str().into(),
            change.key.as_str().into(),
            change.body.as_ref().map_or("-", |body| body.get()).into(),
        ]);
    }
    out.sheet(&sheet, "Nothing has changed after that.")?;
    if feed.next < feed.end {
        out.line(&format!("More: kilofold feed --after {}", feed.next))?;
    }
    Ok(Exit::Done)
}

fn operation(change: &Change) -> (&'static str, Paint) {
    match change.op {
        Operation::Upsert => ("upsert", Paint::Good),
        Operation::Retract => ("retract", Paint::Warn),
    }
}

/// Writes what comes, a line each. The store is let go between two looks, so that a host can start meanwhile.
async fn follow(args: &Args, globals: &Globals, out: &Out) -> Result<Exit, Failure> {
    let mut after = args.after;
    loop {
        let source = Source::open(globals).await?;
        let feed = source.feed(after, usize::from(args.limit)).await?;
        drop(source);
        for change in &feed.changes {
            if out.json {
                out.value_line(change)?;
            } else {
                let body = change.body.as_ref().map_or("", |body| body.get());
                let line = format!(
                    "{} {} {} {} {} {body}",
                    change.seq,
                    operation(change).0,
                    change.sync,
                    change.kind,
                    change.key
                );
                out.line(&crate::web::text::plain(&line))?;
            }
        }
        after = feed.next;
        if feed.changes.is_empty() {
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                _ = tokio::signal::ctrl_c() => return Ok(Exit::Done),
            }
        }
    }
}

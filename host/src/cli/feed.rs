//! `kilofold feed`: the changes of outputs, in order.

use std::time::Duration;

use clap::Args as ClapArgs;

use super::out::Out;
use super::sheet::{Cell, Column, Paint, Sheet};
use super::source::Source;
use super::{Failure, Globals};
use crate::error::Exit;
use crate::model::{ConsumerName, SyncName};
use crate::store::{FeedQuery, Wanted};
use crate::web::view::{Change, Feed, Operation};

/// Lists the changes of outputs, in order.
///
/// With --follow it goes on with what comes until Ctrl-C; with --json as well, each change is one line. A consumer's place is
/// kept in the store: what was shown is acknowledged.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Only those after this number; without it and without --consumer from the first that is kept
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// Goes on where this consumer stands, and acknowledges what was shown
    #[arg(long, value_name = "NAME")]
    consumer: Option<ConsumerName>,
    /// Only outputs of these kinds
    #[arg(long, value_name = "KIND,...", value_delimiter = ',')]
    kinds: Vec<String>,
    /// Only outputs of this sync
    #[arg(long, value_name = "SYNC")]
    sync: Option<SyncName>,
    /// How many, at most 1000
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Goes on with what comes
    #[arg(long)]
    follow: bool,
    /// Writes everything that is stored as JSON lines, the last of which tells the number to go on from
    #[arg(long, conflicts_with_all = ["after", "consumer", "follow", "limit"])]
    snapshot: bool,
}

/// How long a store that no host holds is let go, when nothing new came.
const PAUSE: Duration = Duration::from_millis(500);

/// Lists the feed.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    if args.snapshot {
        let wanted =
            Wanted { syncs: args.sync.iter().cloned().collect(), kinds: args.kinds.clone() };
        Source::open(globals).await?.snapshot(&wanted, &mut out.stream()).await?;
        return Ok(Exit::Done);
    }
    if args.follow {
        return follow(args, globals, &out).await;
    }
    let source = Source::open(globals).await?;
    let feed = ask(&source, args, args.after, false).await?;
    if out.json {
        out.value(&feed)?;
    } else {
        list(&feed, args, &out)?;
    }
    acknowledge(&source, args, &feed).await?;
    Ok(Exit::Done)
}

async fn ask(
    source: &Source,
    args: &Args,
    after: Option<u64>,
    wait: bool,
) -> Result<Feed, Failure> {
    let after = match (after, &args.consumer) {
        (None, Some(name)) => Some(source.consumer_place(name).await?),
        (after, _) => after,
    };
    let query = FeedQuery {
        after,
        until: None,
        limit: usize::from(args.limit),
        syncs: args.sync.iter().cloned().collect(),
        kinds: args.kinds.clone(),
    };
    source.feed(&query, wait).await
}

/// What was shown need not be shown again.
async fn acknowledge(source: &Source, args: &Args, feed: &Feed) -> Result<(), Failure> {
    match &args.consumer {
        Some(name) => source.acknowledge(name, feed.next).await,
        None => Ok(()),
    }
}

fn list(feed: &Feed, args: &Args, out: &Out) -> Result<(), Failure> {
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
    match &args.consumer {
        Some(name) if feed.next < feed.end => {
            out.hint("More:", &format!("kilofold feed --consumer {name}"))
        }
        None if feed.next < feed.end => {
            out.hint("More:", &format!("kilofold feed --after {}", feed.next))
        }
        _ => Ok(()),
    }
}

fn operation(change: &Change) -> (&'static str, Paint) {
    match change.op {
        Operation::Upsert => ("upsert", Paint::Good),
        Operation::Retract => ("retract", Paint::Warn),
    }
}

/// Writes what comes, a line each. A host is asked to answer as soon as something comes; a store that no host holds is let
/// go between two looks, so that a host can start meanwhile.
async fn follow(args: &Args, globals: &Globals, out: &Out) -> Result<Exit, Failure> {
    let mut after = args.after;
    loop {
        let source = Source::open(globals).await?;
        let asked = tokio::select! {
            feed = ask(&source, args, after, true) => feed?,
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Done),
        };
        for change in &asked.changes {
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
                out.say(&line)?;
            }
        }
        if after != Some(asked.next) {
            acknowledge(&source, args, &asked).await?;
        }
        after = Some(asked.next);
        let waits = source.waits();
        drop(source);
        if asked.changes.is_empty() && asked.next >= asked.end && !waits {
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                _ = tokio::signal::ctrl_c() => return Ok(Exit::Done),
            }
        }
    }
}

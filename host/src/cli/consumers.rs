//! `kilofold consumers`: the named readers of the feed, and how far each is behind.

use clap::{ArgGroup, Args as ClapArgs};

use super::out::Out;
use super::sheet::{Cell, Column, Paint, Sheet};
use super::source::Source;
use super::{Failure, Globals};
use crate::error::Exit;
use crate::model::{ConsumerName, Stamp};
use crate::web::text::{about, grouped};
use crate::web::view::Abreast;

/// Lists the named readers of the feed, and how far each is behind.
#[derive(Debug, ClapArgs)]
#[command(group(ArgGroup::new("letters").args(["resend", "drop_dead"])))]
pub struct Args {
    /// Forgets this one: nothing is kept for it any more
    #[arg(long, value_name = "NAME")]
    forget: Option<ConsumerName>,
    /// Lists the changes that this destination did not take
    #[arg(long, value_name = "NAME", conflicts_with = "forget")]
    dead: Option<ConsumerName>,
    /// With --dead: only those after this number
    #[arg(long, value_name = "SEQ", requires = "dead")]
    after: Option<u64>,
    /// Sends the changes again that this destination did not take
    ///
    /// A change whose output has changed since is not sent: it would set the destination back. What is refused anew stays.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["forget", "dead"])]
    resend: Option<ConsumerName>,
    /// With --resend or --drop-dead: only the change of this number
    #[arg(long, value_name = "SEQ", requires = "letters")]
    seq: Option<u64>,
    /// Forgets the changes that this destination did not take
    #[arg(long, value_name = "NAME", conflicts_with_all = ["forget", "dead"])]
    drop_dead: Option<ConsumerName>,
}

/// Lists or forgets.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let source = Source::open(globals).await?;
    if let Some(name) = &args.forget {
        let was = source.forget(name).await?;
        if out.json {
            out.value(&was)?;
        } else {
            out.line(&format!(
                "{name} is forgotten; it had come to {}.",
                grouped(was.acknowledged)
            ))?;
        }
        return Ok(Exit::Done);
    }
    if let Some(name) = &args.dead {
        return dead(&source, name, args.after, &out).await;
    }
    if let Some(name) = &args.resend {
        let resent = source.resend(name, args.seq).await?;
        if out.json {
            out.value(&resent)?;
        } else {
            let when = match source {
                Source::Api(_) => "",
                Source::Store(_) => " once a host serves",
            };
            out.say(&match resent.asked {
                0 => "Everything was taken.".to_owned(),
                1 => format!("1 change is sent again{when}."),
                asked => format!("{} changes are sent again{when}.", grouped(asked)),
            })?;
        }
        return Ok(Exit::Done);
    }
    if let Some(name) = &args.drop_dead {
        let was = source.bury(name, args.seq).await?;
        let all = was.delivery.as_ref().map_or(0, |delivery| delivery.dead);
        if out.json {
            out.value(&was)?;
        } else {
            out.line(&match args.seq.map_or(all, |_| 1) {
                1 => "1 change is forgotten.".to_owned(),
                count => format!("{} changes are forgotten.", grouped(count)),
            })?;
        }
        return Ok(Exit::Done);
    }
    let found = source.consumers().await?;
    if out.json {
        out.value(&found)?;
        return Ok(Exit::Done);
    }
    let now = Stamp::now();
    let mut sheet = Sheet::new(&[
        Column::giving("consumer"),
        Column::number("acknowledged"),
        Column::number("lag"),
        Column::text("waits"),
        Column::text("heard of"),
        Column::text("state"),
    ]);
    for one in &found.consumers {
        let waits = one.waiting_since.map_or(String::new(), |since| about(now.since(since)));
        let abreast = one.abreast();
        sheet.row(vec![
            one.name.as_str().into(),
            grouped(one.acknowledged).into(),
            Cell::count(grouped(one.lag), one.lag, Paint::Plain),
            waits.into(),
            format!("{} ago", about(now.since(one.seen))).into(),
            Cell::new(abreast.label(), paint(abreast)),
        ]);
    }
    out.sheet(&sheet, "Nobody reads the feed by name yet: kilofold feed --consumer NAME")?;
    let kept = match found.start > found.end {
        true => "Nothing is in the feed.".to_owned(),
        false => format!("The feed has {} to {}.", grouped(found.start), grouped(found.end)),
    };
    out.line(&kept)?;
    for one in &found.consumers {
        let Some(delivery) = &one.delivery else { continue };
        if let Some(trouble) = &delivery.trouble {
            let code = delivery.code.as_ref().map_or_else(String::new, |code| format!(" [{code}]"));
            let next = delivery.next.map_or_else(String::new, |next| {
                let wait = about(next.since(now));
                format!(", sent {} times, again in {wait}", delivery.attempts)
            });
            out.pair(one.name.as_str(), &format!("{trouble}{code}{next}"))?;
        }
        if delivery.dead > 0 {
            let dead = grouped(delivery.dead);
            let command = format!("kilofold consumers --dead {}", one.name);
            out.hint(&format!("{dead} not taken:"), &command)?;
        }
    }
    Ok(Exit::Done)
}

/// How many dead letters are listed at once.
const DEAD: usize = 50;

async fn dead(
    source: &Source,
    name: &ConsumerName,
    after: Option<u64>,
    out: &Out,
) -> Result<Exit, Failure> {
    let found = source.dead_letters(name, after, DEAD).await?;
    if out.json {
        out.value(&found)?;
        return Ok(Exit::Done);
    }
    let mut sheet = Sheet::new(&[
        Column::number("seq"),
        Column::text("given up"),
        Column::text("code"),
        Column::giving("why"),
        Column::giving("change"),
    ]);
    for one in &found.letters {
        sheet.row(vec![
            one.seq.to_string().into(),
            one.at.timestamp().strftime("%Y-%m-%d %H:%M").to_string().into(),
            one.code.as_deref().unwrap_or("-").into(),
            Cell::new(&one.reason, Paint::Bad),
            one.change.get().into(),
        ]);
    }
    out.sheet(&sheet, "Everything was taken.")?;
    if !found.letters.is_empty() {
        out.hint("To send them again:", &format!("kilofold consumers --resend {name}"))?;
    }
    if let Some(next) = found.next {
        out.hint("More:", &format!("kilofold consumers --dead {name} --after {next}"))?;
    }
    Ok(Exit::Done)
}

fn paint(abreast: Abreast) -> Paint {
    match abreast {
        Abreast::Failing | Abreast::TooFarBehind => Paint::Bad,
        Abreast::Silent | Abreast::SomeNotTaken => Paint::Warn,
        Abreast::UpToDate => Paint::Good,
        Abreast::Behind => Paint::Live,
    }
}

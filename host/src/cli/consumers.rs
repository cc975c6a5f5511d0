//! `kilofold consumers`: the named readers of the feed, and how far each is behind.

use clap::Args as ClapArgs;

use super::out::Out;
use super::sheet::{Cell, Column, Paint, Sheet};
use super::source::Source;
use super::{Failure, Globals};
use crate::error::Exit;
use crate::model::{ConsumerName, Stamp};
use crate::web::text::{about, grouped};
use crate::web::view::Consumer;

/// Lists the named readers of the feed, and how far each is behind.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Forgets this one: nothing is kept for it any more
    #[arg(long, value_name = "NAME")]
    forget: Option<ConsumerName>,
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
        Column::text("heard of"),
        Column::text("state"),
    ]);
    for one in &found.consumers {
        let (state, paint) = state(one);
        sheet.row(vec![
            one.name.as_str().into(),
            grouped(one.acknowledged).into(),
            Cell::count(grouped(one.lag), one.lag, Paint::Plain),
            format!("{} ago", about(now.since(one.seen))).into(),
            Cell::new(state, paint),
        ]);
    }
    out.sheet(&sheet, "Nobody reads the feed by name yet: kilofold feed --consumer NAME")?;
    let kept = match found.start > found.end {
        true => "Nothing is in the feed.".to_owned(),
        false => format!("The feed has {} to {}.", grouped(found.start), grouped(found.end)),
    };
    out.line(&kept)?;
    Ok(Exit::Done)
}

fn state(one: &Consumer) -> (&'static str, Paint) {
    if one.behind {
        ("too far behind", Paint::Bad)
    } else if !one.live {
        ("not heard of", Paint::Warn)
    } else if one.lag == 0 {
        ("up to date", Paint::Good)
    } else {
        ("behind", Paint::Live)
    }
}

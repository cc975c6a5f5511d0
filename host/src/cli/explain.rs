//! `kilofold explain CODE`: what a code means and what to do about it.

use clap::Args as ClapArgs;
use serde::Serialize;

use super::out::Out;
use super::{Failure, Globals};
use crate::error::{self, Exit};
use crate::web::text::plain;

/// Explains an error code; without one, lists them all.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The code, as errors and imports show it
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

#[derive(Serialize)]
struct Said<'a> {
    code: &'a str,
    title: &'a str,
    meaning: &'a str,
    cure: &'a str,
    exit: u8,
}

impl Said<'static> {
    fn of(known: &error::Explained) -> Self {
        let exit = Exit::of(known.code) as u8;
        Self {
            code: known.code,
            title: known.title,
            meaning: known.meaning,
            cure: known.cure,
            exit,
        }
    }
}

/// Explains.
pub fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let Some(code) = &args.code else {
        if out.json {
            out.value(&error::all().map(|known| Said::of(&known)).collect::<Vec<_>>())?;
        } else {
            for known in error::all() {
                out.pair_behind(24, known.code, known.title)?;
            }
        }
        return Ok(Exit::Done);
    };
    let Some(known) = error::explain(code) else {
        let near = error::similar(code);
        let failure = Failure::new("usage.code", format!("there is no code '{}'", plain(code)));
        return Err(if near.is_empty() {
            failure
        } else {
            failure.cure(format!("did you mean: {}", near.join(", ")))
        });
    };
    if out.json {
        out.value(&Said::of(&known))?;
    } else {
        out.say(&format!("{}: {}", known.code, known.title))?;
        out.say(&format!("\n{}\n\nTo do: {}", known.meaning, known.cure))?;
    }
    Ok(Exit::Done)
}

//! `kilofold plugin ...`: for those who write plugins, and those who run them. One file a subcommand.

mod check;
mod diff;
mod enable;
mod list;
mod new;
mod run;
mod test;
mod trial;

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::{Failure, Globals};
use crate::app;
use crate::error::Exit;
use crate::plugin::{Limits, Source, stock};

/// Begins, checks, tests and tries plugins, and says which one each sync uses.
#[derive(Debug, Subcommand)]
pub enum Command {
    Check(check::Args),
    New(new::Args),
    Test(test::Args),
    Run(run::Args),
    Diff(diff::Args),
    /// Lists which plugin maps each sync, since when, and what it did
    List,
    Enable(enable::Args),
    Rollback(enable::Rollback),
}

/// Does it.
pub async fn run(command: &Command, globals: &Globals) -> Result<Exit, Failure> {
    match command {
        Command::Check(args) => check::run(args, globals).await,
        Command::New(args) => new::run(args, globals).await,
        Command::Test(args) => test::run(args, globals).await,
        Command::Run(args) => run::run(args, globals).await,
        Command::Diff(args) => diff::run(args, globals).await,
        Command::List => list::run(globals).await,
        Command::Enable(args) => enable::run(args, globals).await,
        Command::Rollback(args) => enable::roll_back(args, globals).await,
    }
}

/// The limits of the configuration, or the usual ones where there is none: an author need not have one.
fn limits(globals: &Globals) -> Result<Limits, Failure> {
    if !globals.config.exists() {
        return Ok(Limits::default());
    }
    Ok(app::plugin_limits(&globals.load()?.plugins))
}

/// Where an author's compiled plugins are kept: beside the store of the configuration, or in the user's cache folder.
/// Without either they are compiled each time.
struct Cached(Option<PathBuf>);

impl Cached {
    fn open(globals: &Globals) -> Result<Self, Failure> {
        if globals.config.exists() {
            return Ok(Self(Some(app::compiled(&globals.load()?))));
        }
        let folder = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty());
        let cache = folder("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| folder("HOME").map(|home| PathBuf::from(home).join(".cache")));
        Ok(Self(cache.map(|cache| cache.join("kilofold/compiled"))))
    }

    fn folder(&self) -> Option<&Path> {
        self.0.as_deref()
    }
}

/// A plugin as the command line names it: a file, or else a stock plugin.
fn source(file: &Path) -> Source {
    let name = file.to_string_lossy();
    let known = !file.exists() && stock().iter().any(|(known, _)| *known == name);
    if known { Source::Stock(name.into_owned()) } else { Source::File(file.to_owned()) }
}

/// Does blocking work beside the async runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::new("host.task", error.to_string()))
}

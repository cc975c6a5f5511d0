//! `kilofold plugin enable [FILE] --sync NAME` and `kilofold plugin rollback SYNC`: which component a sync uses, chosen by
//! an operator.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{blocking, list, source};
use crate::app;
use crate::cli::out::Out;
use crate::cli::source::Source;
use crate::cli::{Failure, Globals};
use crate::error::Exit;
use crate::model::SyncName;
use crate::web::view::{Choice, PluginUse};

/// Lets a sync use a component from its next batch on, in place of what the configuration names.
///
/// The component is checked, shown the sync's settings and tried on stored records first; then it is kept beside the store by
/// its digest, and so is the one before, so that `kilofold plugin rollback` works when the files are gone. Once the
/// configuration names another plugin, this choice is void.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The component, or the name of a stock plugin; without it, what the configuration names is used again
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The sync
    #[arg(long, value_name = "NAME")]
    sync: SyncName,
}

/// Lets a sync use again what it used before its present plugin.
#[derive(Debug, ClapArgs)]
pub struct Rollback {
    /// The sync
    #[arg(value_name = "SYNC")]
    sync: SyncName,
}

/// Enables: in the host when one runs, else here.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let sync = args.sync.clone();
    let component = args.file.as_deref().map(source);
    let used: PluginUse = match Source::open(globals).await? {
        Source::Api(client) => {
            let digest = match component {
                // The host takes it from the folder beside its store, which only its owner can write.
                Some(component) => {
                    let config = globals.load()?;
                    Some(blocking(move || app::keep(&config, &component)).await??)
                }
                None => None,
            };
            client.post_with(&format!("/api/v1/syncs/{sync}/plugin"), &Choice { digest }).await?
        }
        Source::Store(reader) => {
            let plugins = list::here(reader.config().clone(), reader.store().clone()).await?;
            let enabled = blocking(move || {
                let digest = component.map(|one| plugins.keep(&one)).transpose()?;
                plugins.enable(&sync, digest.as_deref())
            });
            enabled.await??
        }
    };
    told(&used, globals)
}

/// Rolls back: in the host when one runs, else here.
pub async fn roll_back(args: &Rollback, globals: &Globals) -> Result<Exit, Failure> {
    let sync = args.sync.clone();
    let used: PluginUse = match Source::open(globals).await? {
        Source::Api(client) => {
            client.post(&format!("/api/v1/syncs/{sync}/plugin/rollback")).await?
        }
        Source::Store(reader) => {
            let plugins = list::here(reader.config().clone(), reader.store().clone()).await?;
            blocking(move || plugins.roll_back(&sync)).await??
        }
    };
    told(&used, globals)
}

fn told(used: &PluginUse, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    if out.json {
        out.value(used)?;
        return Ok(Exit::Done);
    }
    let sync = &used.sync;
    if let Some(note) = &used.plugin {
        let digest: String = note.digest.chars().take(12).collect();
        let (name, version) = (&note.name, &note.version);
        let what = format!("{sync} uses {name} {version} ({digest}) from its next batch on.");
        out.say(&what)?;
    }
    let how = match used.chosen {
        Some(_) => format!("The configuration names {}; this stands in for it.", used.configured),
        None => format!("It is what the configuration names: {}", used.configured),
    };
    out.say(&how)?;
    if let Some(before) = &used.before {
        let (name, version) = (&before.name, &before.version);
        let what = format!("Before it: {name} {version}; kilofold plugin rollback {sync}");
        out.say(&what)?;
    }
    out.line(&format!("What is stored stays as it is: kilofold remap {sync} maps it anew."))?;
    Ok(Exit::Done)
}

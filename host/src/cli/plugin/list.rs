//! `kilofold plugin list`: which plugin maps each sync, since when, and what it did.

use std::sync::Arc;
use std::time::Duration;

use super::blocking;
use crate::app::{self, Plugins};
use crate::cli::out::Out;
use crate::cli::sheet::{Cell, Column, Paint, Sheet};
use crate::cli::source::Source;
use crate::cli::{Failure, Globals};
use crate::clock::Clock;
use crate::error::Exit;
use crate::events::Bus;
use crate::model::Stamp;
use crate::web::text::{about, grouped, took};
use crate::web::view::{self, PluginUse};

/// Lists them.
pub async fn run(globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let found: view::Plugins = match Source::open(globals).await? {
        Source::Api(client) => client.get("/api/v1/plugins", &[]).await?,
        Source::Store(reader) => {
            let plugins = here(reader.config().clone(), reader.store().clone()).await?;
            blocking(move || plugins.views()).await??
        }
    };
    if out.json {
        out.value(&found)?;
        return Ok(Exit::Done);
    }
    print(&out, &found)?;
    Ok(Exit::Done)
}

/// The plugins of a store that no host holds; one that cannot be loaded is shown with the reason.
pub(super) async fn here(
    config: Arc<crate::config::Config>,
    store: crate::store::Store,
) -> Result<Plugins, Failure> {
    let opened = blocking(move || {
        let engine = app::open_engine(&config)?;
        Plugins::open(&config, &store, engine, &Bus::new(), &Clock::default())
    });
    let (plugins, _) = opened.await??;
    Ok(plugins)
}

fn print(out: &Out, found: &view::Plugins) -> Result<(), Failure> {
    let mut sheet = Sheet::new(&[
        Column::giving("sync"),
        Column::giving("plugin"),
        Column::text("digest"),
        Column::giving("comes from"),
        Column::number("since"),
        Column::number("a batch"),
        Column::number("traps"),
        Column::text("state"),
    ]);
    let now = Stamp::now();
    for one in &found.plugins {
        let note = one.plugin.as_ref();
        let named = note.map_or("-".to_owned(), |note| format!("{} {}", note.name, note.version));
        let digest: String = note.map_or("-", |note| &note.digest).chars().take(12).collect();
        let since = one.since.map_or("-".to_owned(), |since| about(now.since(since)));
        let work = one.work.as_ref();
        let mean = work.and_then(|work| work.mean_us).map(|us| took(Duration::from_micros(us)));
        let traps = work.map_or(0, |work| work.traps.values().sum());
        let (state, paint) = match one {
            PluginUse { problem: Some(_), .. } => ("broken", Paint::Bad),
            PluginUse { refused: Some(_), .. } => ("refused", Paint::Warn),
            PluginUse { pinned: Some(_), .. } => ("pinned", Paint::Good),
            PluginUse { chosen: Some(_), .. } => ("enabled", Paint::Good),
            _ => ("ok", Paint::Good),
        };
        // A stock plugin goes by its own name.
        let stock = note.is_some_and(|note| note.name == one.configured);
        let from = if stock { "stock" } else { one.configured.as_str() };
        sheet.row(vec![
            one.sync.as_str().into(),
            named.into(),
            digest.into(),
            from.into(),
            since.into(),
            mean.unwrap_or("-".to_owned()).into(),
            Cell::count(grouped(traps), traps, Paint::Warn),
            Cell::new(state, paint),
        ]);
    }
    out.sheet(&sheet, "No sync is enabled.")?;
    for one in &found.plugins {
        told(out, one)?;
    }
    Ok(())
}

/// What a person should know of a plugin beside the table.
pub(super) fn told(out: &Out, one: &PluginUse) -> Result<(), Failure> {
    let sync = &one.sync;
    if let Some(problem) = &one.problem {
        let what = format!("{sync} cannot run: {} [{}]", problem.reason, problem.code);
        out.say(&what)?;
        if let Some(before) = &one.before {
            let (name, version) = (&before.name, &before.version);
            let what = format!("{name} {version} is kept: kilofold plugin rollback {sync}");
            out.say(&what)?;
        }
    }
    if let Some(refused) = &one.refused {
        let digest: String = refused.digest.chars().take(12).collect();
        let what = format!(
            "{sync} does not take its changed file ({digest}) and goes on with what it has: {} [{}]",
            refused.reason, refused.code
        );
        out.say(&what)?;
    }
    Ok(())
}

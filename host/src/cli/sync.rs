//! `kilofold sync now|pause|resume NAME`: through the host when one runs, else here.

use std::time::Duration;

use clap::Subcommand;
use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::out::Out;
use super::progress::Progress;
use super::sheet::{Cell, Column, Paint, Sheet};
use super::source::{Source, client};
use super::{Failure, Globals, follow, import, imports, open, serve};
use crate::app;
use crate::config::Config;
use crate::error::Exit;
use crate::model::{Ending, Pause, PauseCause, Run, RunId, Stamp, SyncName, Trigger};
use crate::web::text::{about, count, grouped};
use crate::web::{Client, client, reader, view};

/// Starts, pauses or resumes a sync.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lists the syncs, how they stand and when they run next
    List,
    /// Runs syncs now: in the host when one runs, else here with a progress bar
    Now {
        /// The syncs' names; none: all that are enabled
        #[arg(value_name = "NAME")]
        names: Vec<SyncName>,
        /// Does not wait for the end of runs in the host
        #[arg(long)]
        no_wait: bool,
    },
    /// Keeps a sync from running until it is resumed, over restarts as well
    Pause {
        /// The sync's name
        #[arg(value_name = "NAME")]
        name: SyncName,
    },
    /// Lets a paused sync run again
    Resume {
        /// The sync's name
        #[arg(value_name = "NAME")]
        name: SyncName,
    },
}

/// How many syncs run side by side here.
const AT_ONCE: usize = 4;

/// Does it.
pub async fn run(command: &Command, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let config = globals.load()?;
    match command {
        Command::List => list(globals, &out).await,
        Command::Now { names, no_wait } => {
            let names = chosen(&config, names)?;
            match host(&config).await? {
                Some(client) => there(&client, &names, !no_wait, &out).await,
                None => here(config, &names, &out).await,
            }
        }
        Command::Pause { name } => set(&config, name, true, &out).await,
        Command::Resume { name } => set(&config, name, false, &out).await,
    }
}

async fn list(globals: &Globals, out: &Out) -> Result<Exit, Failure> {
    let source = Source::open(globals).await?;
    let found = source.syncs().await?;
    if out.json {
        out.value(&found)?;
        return Ok(Exit::Done);
    }
    let mut sheet = Sheet::new(&[
        Column::giving("sync"),
        Column::giving("object"),
        Column::giving("plugin"),
        Column::text("schedule"),
        Column::text("state"),
        Column::number("next"),
        Column::number("records"),
        Column::number("outputs"),
    ]);
    let now = Stamp::now();
    for sync in &found.syncs {
        let state = match (sync.enabled, sync.paused, sync.running, &sync.last) {
            (_, _, Some(_), _) => Cell::new("running", Paint::Live),
            (false, ..) => Cell::new("off", Paint::Dim),
            (_, true, ..) => Cell::new("paused", Paint::Wait),
            (.., Some(run)) => Cell::outcome(run),
            (.., None) => Cell::new("new", Paint::Plain),
        };
        let next = sync.next.map_or("-".to_owned(), |at| match at.since(now) {
            Duration::ZERO => "now".to_owned(),
            wait => about(wait),
        });
        sheet.row(vec![
            sync.name.as_str().into(),
            sync.object.as_str().into(),
            sync.plugin.as_str().into(),
            sync.schedule.as_str().into(),
            state,
            next.into(),
            count(sync.records).into(),
            count(sync.outputs).into(),
        ]);
    }
    out.sheet(&sheet, "No sync is configured.")?;
    offers(&found, out)?;
    Ok(Exit::Done)
}

/// Tells which syncs want something of their user: to be resumed, to be mapped anew.
pub fn offers(found: &view::Syncs, out: &Out) -> Result<(), Failure> {
    for sync in &found.syncs {
        if let Some(cause) = sync.pause.as_ref().and_then(|pause| pause.cause.as_ref()) {
            let (name, PauseCause { run, code, reason }) = (&sync.name, cause);
            out.say(&format!("{name} was paused by run {run}: {reason} [{code}]"))?;
            out.hint("Once that is mended:", &format!("kilofold sync resume {name}"))?;
        }
        let Some(remap) = &sync.remap else { continue };
        let seen = remap.seen.map_or(String::new(), |seen| {
            format!("; a remap has come to {} of {}", grouped(seen), grouped(remap.records))
        });
        let name = &sync.name;
        out.say(&format!("{name}: {}{seen}: kilofold remap {name}", remap.why))?;
    }
    Ok(())
}

fn chosen(config: &Config, names: &[SyncName]) -> Result<Vec<SyncName>, Failure> {
    for name in names {
        if config.sync(name).is_none() {
            return Err(reader::Error::NoSync(name.clone()).into());
        }
    }
    if names.is_empty() {
        let enabled = config.syncs.iter().filter(|sync| sync.enabled);
        return Ok(enabled.map(|sync| sync.name.clone()).collect());
    }
    Ok(names.to_vec())
}

/// The host's API, when a host runs.
pub async fn host(config: &Config) -> Result<Option<Client>, Failure> {
    let client = client(config)?;
    match client.get::<serde_json::Value>("/healthz", &[]).await {
        Ok(_) => Ok(Some(client)),
        Err(client::Error::Unreachable { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn here(config: Config, names: &[SyncName], out: &Out) -> Result<Exit, Failure> {
    let app = open(config).await?;
    let progress = Progress::start(&app.bus);
    let cancel = CancellationToken::new();
    let watch = tokio::spawn(serve::signals(cancel.clone()));
    let ran: Vec<_> = stream::iter(names)
        .map(|name| app.run_once(name, Trigger::Manual, &cancel))
        .buffered(AT_ONCE)
        .collect()
        .await;
    watch.abort();
    progress.finish().await;
    serve::settle(&app).await;
    let mut runs = Vec::with_capacity(ran.len());
    let mut failed = None;
    for result in ran {
        match result {
            Ok(run) => runs.push(run),
            Err(error) => failed = Some(error),
        }
    }
    let exit = told(&runs, out)?;
    failed.map_or(Ok(exit), |error| Err(error.into()))
}

async fn there(
    client: &Client,
    names: &[SyncName],
    wait: bool,
    out: &Out,
) -> Result<Exit, Failure> {
    let mut begun: Vec<(SyncName, RunId)> = Vec::new();
    let mut accepted = Vec::new();
    for name in names {
        begun.push((
            name.clone(),
            follow::newest(client, name).await?.map_or(RunId(0), |run| run.id),
        ));
        let answer: view::Accepted = client.post(&format!("/api/v1/syncs/{name}/run")).await?;
        accepted.push(answer);
    }
    if !wait {
        return self::accepted(&accepted, out);
    }
    let mut runs = Vec::new();
    for (name, before) in begun {
        runs.push(follow::ended(client, &name, before, |run| run.trigger.reads()).await?);
    }
    told(&runs, out)
}

/// Shows that wishes were taken.
pub fn accepted(accepted: &[view::Accepted], out: &Out) -> Result<Exit, Failure> {
    if out.json {
        out.value(&accepted)?;
        return Ok(Exit::Done);
    }
    for answer in accepted {
        out.say(&answer.message)?;
    }
    Ok(Exit::Done)
}

/// Shows how runs ended. The exit is that of the worst.
pub fn told(runs: &[Run], out: &Out) -> Result<Exit, Failure> {
    if out.json {
        out.value(&runs)?;
    } else {
        out.sheet(&imports::sheet(runs, Stamp::now(), &out.look), "Nothing was to be run.")?;
        for run in runs {
            if let Some(why) = import::why(run) {
                out.say(&format!("run {} of {}: {why}", run.id, run.sync))?;
            }
        }
    }
    Ok(runs.iter().map(exit).max_by_key(|exit| weight(*exit)).unwrap_or(Exit::Done))
}

fn exit(run: &Run) -> Exit {
    match &run.ending {
        Some(Ending::Succeeded | Ending::SucceededWithFailures) => Exit::Done,
        Some(Ending::Paused { code, .. }) if Exit::of(code) == Exit::NotConnected => {
            Exit::NotConnected
        }
        Some(Ending::Paused { .. }) => Exit::Paused,
        Some(Ending::Failed { code, .. }) => Exit::of(code),
        Some(Ending::Interrupted) | None => Exit::Interrupted,
    }
}

fn weight(exit: Exit) -> u8 {
    match exit {
        Exit::Done => 0,
        Exit::Paused => 1,
        Exit::Interrupted => 2,
        Exit::Failed => 3,
        Exit::Usage => 4,
        Exit::NotConnected => 5,
        Exit::Store => 6,
    }
}

async fn set(config: &Config, name: &SyncName, pause: bool, out: &Out) -> Result<Exit, Failure> {
    chosen(config, std::slice::from_ref(name))?;
    let action = if pause { "pause" } else { "resume" };
    let answer = match host(config).await? {
        Some(client) => client.post(&format!("/api/v1/syncs/{name}/{action}")).await?,
        None => {
            let store = app::open_store(config)?;
            let paused = pause.then(|| Pause { at: Some(Stamp::now()), cause: None });
            store.set_pause(name, paused.as_ref())?;
            let message = if pause {
                format!("{name} is paused")
            } else {
                format!("{name} runs again as scheduled, once a host serves")
            };
            view::Accepted { sync: name.clone(), action: action.to_owned(), message }
        }
    };
    if out.json {
        out.value(&answer)?
    } else {
        out.say(&answer.message)?
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::super::imports::tests::example;
    use super::*;

    #[test]
    fn the_worst_run_decides() {
        let paused =
            Ending::Paused { code: "limit.daily".into(), reason: "x".into(), resumes_at: None };
        let failed = Ending::Failed { code: "field.missing".into(), message: "x".into() };
        let lost =
            Ending::Paused { code: "auth.reconnect".into(), reason: "x".into(), resumes_at: None };
        let endings = [Ending::Succeeded, Ending::SucceededWithFailures, paused, failed, lost];
        let wanted = [Exit::Done, Exit::Done, Exit::Paused, Exit::Failed, Exit::NotConnected];
        for (ending, wanted) in endings.into_iter().zip(wanted) {
            assert_eq!(exit(&example(1, "Contact", Some(ending))), wanted);
        }
        assert_eq!(exit(&example(1, "Contact", None)), Exit::Interrupted);
    }
}

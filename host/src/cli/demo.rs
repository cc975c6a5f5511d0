//! `kilofold demo`: the whole road against a simulated org, with nothing else to install.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use org_sim::{Plan, Sim, SimConfig};
use tokio_util::sync::CancellationToken;

use super::out::Out;
use super::progress::Progress;
use super::serve::{host, signals};
use super::{Failure, Globals, imports, open};
use crate::app::App;
use crate::config::Config;
use crate::error::Exit;
use crate::events::Event;
use crate::model::{ConnectionName, Ending, SyncName};
use crate::salesforce::Redirect;
use crate::store::RunFilter;
use crate::web::Listener;
use crate::web::text::{grouped, plain};

/// Shows the whole road: a simulated org, OAuth, six syncs on a schedule, and what came of them.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Goes on until Ctrl-C, with the page and the API
    #[arg(long)]
    stay: bool,
    /// Keeps the configuration and the data in this folder, which must not exist yet [default: a folder that goes away]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where the page and the API listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Runs of each sync that are waited for
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
}

/// The object, its plugin, and how often its records change during the demo (in milliseconds).
const SYNCS: [(&str, &str, u64); 6] = [
    ("Contact", "contact-to-person", 150),
    ("Account", "account-to-object", 700),
    ("Lead", "lead-to-person", 400),
    ("Opportunity", "opportunity-to-object", 500),
    ("Task", "task-to-event", 300),
    ("Invoice__c", "passthrough", 900),
];

/// Runs the demo.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let stopping = CancellationToken::new();
    let watch = tokio::spawn(signals(stopping.clone()));
    let folder = Folder::make(args.dir.as_deref())?;

    let sim = SimConfig { auto_approve: true, require_pkce: true, ..SimConfig::default() };
    let (client_id, secret) = (sim.client_id.clone(), sim.client_secret.clone());
    let sizes = sim.sizes.0.clone();
    let sim = Sim::start(sim).await.map_err(|error| demo("start the simulated org", &error))?;
    let wanted = |name: &str| SYNCS.iter().any(|(object, ..)| *object == name);
    let records: usize = sizes.iter().filter(|(name, _)| wanted(name)).map(|(_, n)| n).sum();
    tell(&format!(
        "A simulated Salesforce org with {} records of 6 objects listens at {}.",
        grouped(records as u64),
        sim.url()
    ));

    let listener = Listener::bind(args.listen).await?;
    let address = listener.address();
    let path = configure(folder.path(), address, &sim.url(), &client_id, &secret)
        .map_err(|error| demo("write the configuration", &error))?;
    let app = open(Config::load(&path)?).await?;
    connect(&app).await?;

    tell(&format!(
        "\nThe first run of each sync takes everything; {} later takes what changed.\n",
        rounds(args.rounds)
    ));
    let progress = Progress::start(&app.bus);
    let seen = count_runs(&app, args.rounds);
    for (object, _, every_ms) in SYNCS {
        sim.auto_change(Plan {
            object: object.to_owned(),
            every_ms,
            touch: 3,
            insert: 1,
            delete: usize::from(every_ms < 450),
            rounds: None,
        });
    }
    let running = host(&app, listener).await?;
    tokio::select! {
        () = stopping.cancelled() => {}
        seen = seen => seen.map_err(|error| demo("count the runs", &error))?,
    }
    progress.finish().await;
    if args.stay && !stopping.is_cancelled() {
        table(&app, &out)?;
        tell(&format!("\nThe page: http://{}   Ctrl-C ends the demo.", address));
        stopping.cancelled().await;
    }
    running.stop().await?;
    sim.stop_auto_change();
    table(&app, &out)?;
    summary(&app, &out, &folder, &path)?;
    drop(app);
    sim.shutdown().await.map_err(|error| demo("end the simulated org", &error))?;
    watch.abort();
    Ok(Exit::Done)
}

fn rounds(rounds: u8) -> String {
    match rounds.saturating_sub(1) {
        1 => "a round".to_owned(),
        n => format!("{n} rounds"),
    }
}

/// Writes `kilofold.toml` as a user would, and the app's secret in a file beside it.
fn configure(
    folder: &Path,
    listen: SocketAddr,
    org: &str,
    client_id: &str,
    secret: &str,
) -> std::io::Result<PathBuf> {
    std::fs::write(folder.join("client.secret"), secret)?;
    let mut text = format!(
        "[org]\nlogin = \"{org}\"\n\n\
         [[connection]]\nname = \"main\"\ngrant = \"code\"\nclient_id = \"{client_id}\"\n\
         client_secret = {{ file = \"client.secret\" }}\n\n\
         [quota]\nallowance = \"50%\"\nreserve = 1000\n\n\
         [web]\nlisten = \"{}\"\n\n\
         # The simulated org commits at once, so the windows may end close to the present.\n\
         [defaults]\nevery = \"4s\"\nlag = \"1s\"\noverlap = \"5s\"\n",
        listen
    );
    for (object, plugin, _) in SYNCS {
        text.push_str(&format!("\n[[sync]]\nobject = \"{object}\"\nplugin = \"{plugin}\"\n"));
        if plugin == "passthrough" {
            text.push_str("fields = \"all\"\n");
        }
    }
    let path = folder.join("kilofold.toml");
    std::fs::write(&path, text)?;
    Ok(path)
}

/// Authorisation code with PKCE; the simulator's user opens the address and approves.
async fn connect(app: &App) -> Result<(), Failure> {
    let name = app.config.connections.first().map(|connection| connection.name.clone());
    let name = name.unwrap_or(ConnectionName::new("main").map_err(|e| demo("connect", &e))?);
    let pending = app.org.begin(&name, Redirect::Loopback { port: 0 }, false).await?;
    let url = pending.url.to_string();
    let (visited, status) = tokio::join!(org_sim::user::visit(&url), app.org.finish(pending));
    visited.map_err(|error| demo("open the consent page", &error))?;
    let status = status?;
    tell(&plain(&format!(
        "Connected by authorisation code with PKCE as {}, org {}.",
        status.user.unwrap_or_default(),
        status.org_id.unwrap_or_default(),
    )));
    Ok(())
}

/// Resolves when every sync has ended so many runs well.
fn count_runs(app: &App, rounds: u8) -> tokio::task::JoinHandle<()> {
    let mut told = app.bus.subscribe();
    let names: Vec<SyncName> = app.config.syncs.iter().map(|sync| sync.name.clone()).collect();
    let mut left: BTreeMap<SyncName, u8> = names.into_iter().map(|name| (name, rounds)).collect();
    tokio::spawn(async move {
        while !left.is_empty() {
            let event = match told.recv().await {
                Ok(told) => told,
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => continue,
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
            };
            if let Event::RunEnded { sync, ending, .. } = &event.event
                && *ending != Ending::Interrupted
                && let Some(n) = left.get_mut(sync)
            {
                *n -= 1;
                if *n == 0 {
                    left.remove(sync);
                }
            }
        }
    })
}

fn table(app: &App, out: &Out) -> Result<(), Failure> {
    let runs = app.store.runs(&RunFilter { limit: 1000, ..RunFilter::default() })?;
    if out.json {
        return out.value(&runs);
    }
    out.line("")?;
    out.sheet(&imports::sheet(&runs, crate::model::Stamp::now(), &out.look), "Nothing came.")
}

/// What to look at next.
fn summary(app: &App, out: &Out, folder: &Folder, path: &Path) -> Result<(), Failure> {
    if out.json {
        return Ok(());
    }
    let runs = app.store.runs(&RunFilter { limit: 1000, ..RunFilter::default() })?;
    if let Some(run) = runs.iter().find(|run| run.counts.failed > 0)
        && let Some(failure) = app.store.failures(run.id, None, 1)?.first()
    {
        out.line("")?;
        out.line(&plain(&format!(
            "The plugin rejected {} of the {} records of run {} ({}), for example {}: {} [{}]",
            run.counts.failed,
            run.counts.fetched,
            run.id,
            run.sync,
            failure.id,
            failure.rejection.message,
            failure.rejection.code,
        )))?;
    }
    let (records, outputs) =
        app.config.syncs.iter().try_fold((0, 0), |(records, outputs), sync| {
            let stored = app.store.counts(&sync.name)?;
            Ok::<_, crate::store::Error>((records + stored.records, outputs + stored.outputs))
        })?;
    out.line(&format!(
        "Stored: {} records and {} outputs in {} API calls; the feed has {} entries.",
        grouped(records),
        grouped(outputs),
        grouped(app.org.gate().day()),
        grouped(app.store.feed_end()?),
    ))?;
    match folder {
        Folder::Kept(_) => out.line(&format!(
            "Look on: kilofold --config {} imports | import 1 | failures 1 | records Contact | feed",
            path.display()
        )),
        Folder::Gone(_) => out.line("Keep the data with --dir DIR, or go on with --stay."),
    }
}

enum Folder {
    Kept(PathBuf),
    Gone(tempfile::TempDir),
}

impl Folder {
    fn make(wanted: Option<&Path>) -> Result<Self, Failure> {
        let made = match wanted {
            Some(path) => std::fs::create_dir(path).map(|()| Self::Kept(path.to_owned())),
            None => tempfile::Builder::new().prefix("kilofold-demo-").tempdir().map(Self::Gone),
        };
        made.map_err(|error| demo("make the folder of the demo", &error))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Gone(folder) => folder.path(),
        }
    }
}

fn demo(what: &str, why: &dyn std::fmt::Display) -> Failure {
    Failure::new("demo", format!("the demo cannot {what}: {why}"))
}

#[expect(clippy::print_stderr, reason = "the demo tells what it does, apart from its results")]
fn tell(text: &str) {
    eprintln!("{text}");
}

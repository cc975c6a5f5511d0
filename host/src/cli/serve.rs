//! `kilofold serve`: the host process.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use secrecy::SecretString;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use tokio::task::{JoinError, JoinHandle, JoinSet};

use super::{Failure, Globals, open};
use crate::alerts::Alerts;
use crate::app::{self, App};
use crate::config::Config;
use crate::deliver;
use crate::error::Exit;
use crate::events::Event;
use crate::schedule;
use crate::upkeep;
use crate::web::{self, Access, Listener, Parts, Role, tls};

/// Serves until a signal comes; a second one leaves at once.
pub async fn run(globals: &Globals) -> Result<Exit, Failure> {
    let config = globals.load()?;
    // The address before the store, the store before the org: mistakes show in the first second.
    let listener = Listener::bind(config.web.listen).await?;
    let stopping = CancellationToken::new();
    let watch = tokio::spawn(signals(stopping.clone()));
    let app = open(config).await?;
    let mut running = host(&app, listener).await?;
    tokio::select! {
        () = stopping.cancelled() => {}
        // A host that nobody can ask is stopped, not left to run unseen.
        () = running.ended() => {}
    }
    running.stop().await?;
    watch.abort();
    Ok(Exit::Done)
}

/// How long a renewal of tokens is waited for at the end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A host at work: its schedule and its API.
pub struct Running {
    scheduler: schedule::Handle,
    closing: CancellationToken,
    serving: JoinHandle<Result<(), web::Error>>,
    upkeep: JoinHandle<()>,
    senders: JoinSet<()>,
    app: App,
    tending: JoinHandle<()>,
    ended: Option<Result<Result<(), web::Error>, JoinError>>,
}

/// Starts the schedule, and answers on the listener.
pub async fn host(app: &App, listener: Listener) -> Result<Running, Failure> {
    let web = &app.config.web;
    let mut access = Access::read(web).map_err(web::Error::from)?;
    if !access.is_open() {
        access = access.with_token(Role::Operate, leave_token(&app.config)?);
    }
    let tls = web.tls.as_ref().map(|tls| tls::server(&tls.certificate, &tls.key));
    let tls = tls.transpose().map_err(web::Error::from)?;
    let address = listener.address();
    if tls.is_none() && !address.ip().is_loopback() {
        tracing::warn!(
            %address,
            "Without TLS everybody on the way can read what is shown, and the tokens: set tls_certificate and tls_key in [web]"
        );
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    let alerts = app.config.alerts.as_ref().map(|config| {
        Alerts::new(config, app.reader(), app.org.clone(), app.clock.clone(), &app.bus)
    });
    let alerts = alerts.transpose()?;
    let scheduler = app.schedule().await?;
    let closing = CancellationToken::new();
    let parts = Parts {
        reader: app.reader(),
        org: app.org.clone(),
        scheduler: scheduler.clone(),
        bus: app.bus.clone(),
        access,
        tls,
        clock: app.clock.clone(),
        plugins: app.plugins.clone(),
    };
    // It ends with the API, and nobody waits for it: a look that is under way changes nothing that is not whole.
    tokio::spawn(app.plugins.clone().watch(closing.clone()));
    let serving = tokio::spawn(listener.serve(parts, closing.clone()));
    let mut senders =
        deliver::start(&app.config.deliver, &app.store, &app.clock, &app.bus, &closing)?;
    if let Some(alerts) = alerts {
        senders.spawn(alerts.run(closing.clone()));
    }
    let upkeep = upkeep::run(
        app.store.clone(),
        app.config.keep,
        app.clock.clone(),
        app.bus.clone(),
        closing.clone(),
    );
    let upkeep = tokio::spawn(upkeep);
    app.bus.emit(Event::HostStarted {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        listen: Some(format!("{scheme}://{address}")),
    });
    let tending = tokio::spawn(app.clone().tend(closing.clone()));
    let app = app.clone();
    Ok(Running { scheduler, closing, serving, upkeep, senders, app, tending, ended: None })
}

/// Leaves a token that only the owner of the store can read, new at every start.
fn leave_token(config: &Config) -> Result<SecretString, Failure> {
    let path = app::local_token(config);
    let token = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
    let left = (|| {
        // A file that is there keeps its rights when it is written again, so it goes first.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(token.as_bytes())
    })();
    left.map_err(|error| {
        Failure::new("store.io", format!("cannot write {}: {error}", path.display()))
    })?;
    Ok(SecretString::from(token))
}

impl Running {
    /// Waits until the API answers no more, which it should not do by itself.
    pub async fn ended(&mut self) {
        self.ended = Some((&mut self.serving).await);
    }

    /// Lets every run finish the batch in hand, then ends the API: who asks sees the end of it.
    pub async fn stop(mut self) -> Result<(), Failure> {
        self.scheduler.stop().await;
        self.closing.cancel();
        while let Some(ended) = self.senders.join_next().await {
            if let Err(error) = ended {
                tracing::warn!(%error, "what sends to others ended early");
            }
        }
        if let Err(error) = (&mut self.upkeep).await {
            tracing::warn!(%error, "upkeep ended early");
        }
        if self.ended.is_none() {
            self.ended().await;
        }
        // What is being looked after comes to its end.
        drop(tokio::time::timeout(PATIENCE, self.tending).await);
        settle(&self.app).await;
        match self.ended {
            Some(Ok(result)) => Ok(result?),
            Some(Err(error)) => {
                Err(Failure::new("web.internal", format!("the API ended early: {error}")))
            }
            None => Ok(()),
        }
    }
}

/// Waits, for a while, for tokens that are just being renewed: one that rotates must not be lost on its way. Then sends the
/// last traces.
pub async fn settle(app: &App) {
    if tokio::time::timeout(PATIENCE, app.org.settle()).await.is_err() {
        tracing::warn!("a token was still being renewed; its connection may have to be made again");
    }
    if let Some(traces) = app.bus.traces().cloned() {
        // It waits for the collector, a few seconds at most; what it says of it, it says itself.
        drop(tokio::task::spawn_blocking(move || traces.close()).await);
    }
}

/// The first signal asks to stop after the batch in hand; the second does not ask.
pub async fn signals(stopping: CancellationToken) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::warn!("signals cannot be heard, so only a kill stops the host");
        return;
    };
    let mut next = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    next().await;
    stopping.cancel();
    next().await;
    tracing::warn!("left at once: what was committed stays, the runs in hand show as interrupted");
    std::process::exit(Exit::Interrupted as i32);
}

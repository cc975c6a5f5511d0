//! `kilofold serve`: the host process.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use tokio::task::{JoinError, JoinHandle};

use super::{Failure, Globals, open};
use crate::app::App;
use crate::error::Exit;
use crate::events::Event;
use crate::schedule;
use crate::web::{self, Listener, Parts};

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

/// A host at work: its schedule and its API.
pub struct Running {
    scheduler: schedule::Handle,
    closing: CancellationToken,
    serving: JoinHandle<Result<(), web::Error>>,
    ended: Option<Result<Result<(), web::Error>, JoinError>>,
}

/// Starts the schedule, and answers on the listener.
pub async fn host(app: &App, listener: Listener) -> Result<Running, Failure> {
    let token = app.config.web.token.as_ref().map(|token| token.read()).transpose()?;
    let address = listener.address();
    let scheduler = app.schedule().await?;
    let closing = CancellationToken::new();
    let parts = Parts {
        reader: app.reader(),
        org: app.org.clone(),
        scheduler: scheduler.clone(),
        bus: app.bus.clone(),
        token,
    };
    let serving = tokio::spawn(listener.serve(parts, closing.clone()));
    app.bus.emit(Event::HostStarted {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        listen: Some(format!("http://{address}")),
    });
    Ok(Running { scheduler, closing, serving, ended: None })
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
        if self.ended.is_none() {
            self.ended().await;
        }
        match self.ended {
            Some(Ok(result)) => Ok(result?),
            Some(Err(error)) => {
                Err(Failure::new("web.internal", format!("the API ended early: {error}")))
            }
            None => Ok(()),
        }
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

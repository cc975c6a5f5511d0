//! `kilofold serve`: the host process.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Failure, Globals, open};
use crate::error::Exit;
use crate::events::Event;
use crate::web::{Listener, Parts, Reader};

/// Serves until a signal comes; a second one leaves at once.
pub async fn run(globals: &Globals) -> Result<Exit, Failure> {
    let config = globals.load()?;
    let token = config.web.token.as_ref().map(|token| token.read()).transpose()?;
    // The address before the store, the store before the org: mistakes show in the first second.
    let listener = Listener::bind(config.web.listen).await?;
    let address = listener.address();
    let stopping = CancellationToken::new();
    let closing = CancellationToken::new();
    let watch = tokio::spawn(signals(stopping.clone()));
    let app = open(config).await?;
    let scheduler = app.schedule().await?;
    let parts = Parts {
        reader: Reader::new(app.store.clone(), app.config.clone()),
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
    stopping.cancelled().await;
    scheduler.stop().await;
    closing.cancel();
    // The API answers until the batch in hand is durable: who asks sees the end of it.
    let served = serving.await;
    watch.abort();
    match served {
        Ok(result) => result?,
        Err(error) => {
            return Err(Failure::new("web.internal", format!("the API ended early: {error}")));
        }
    }
    Ok(Exit::Done)
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

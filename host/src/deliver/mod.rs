//! Sends what changed to other systems: each destination is a consumer of the feed, with a task and a place of its own.
//!
//! A batch is sent until it is taken, so that the order is kept and nothing is skipped unseen: what a destination refuses for
//! its content, or does not take for too long, is kept among its dead letters. The place moves, durably, only behind what was
//! taken or buried, so a change may come twice after a crash and never not at all; its number tells.

mod again;
mod body;
mod plan;
mod post;
mod segment;
mod sign;
mod worker;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use again::{calls, stands};
pub use body::Form;
pub use plan::{Answered, Reason, Step, back_off, step};
pub use post::{Client, Error};
pub use sign::{Signer, signature};

use crate::clock::Clock;
use crate::config::{self, DeliverConfig};
use crate::events::Bus;
use crate::store::Store;
use worker::Worker;

/// The dead letters of one destination: with so many it waits, instead of filling the disk.
pub const MOST_DEAD: usize = 10_000;

/// Starts a task for each destination; they end with `stop`. Secrets are read now, so that a missing one shows at once.
pub fn start(
    list: &[DeliverConfig],
    store: &Store,
    clock: &Clock,
    bus: &Bus,
    stop: &CancellationToken,
) -> Result<JoinSet<()>, Error> {
    let mut tasks = JoinSet::new();
    for config in list {
        let form = Form::read(&config.form).map_err(Error::Secret)?;
        let worker = Worker {
            name: config.name.clone(),
            client: Client::new(&config.url, config.timeout)?,
            config: config.clone(),
            form,
            store: store.clone(),
            clock: clock.clone(),
            bus: bus.clone(),
        };
        tasks.spawn(worker.run(stop.clone()));
    }
    Ok(tasks)
}

/// Where requests of a destination go to.
pub fn address(config: &DeliverConfig) -> String {
    let mut url = config.url.clone();
    if matches!(config.form, config::DeliverForm::Segment(_)) {
        url.set_path(&format!("{}/v1/batch", url.path().trim_end_matches('/')));
    }
    url.to_string()
}

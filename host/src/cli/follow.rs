//! Waits for the end of a run that the host was asked for, with a bar while it lasts.

use std::time::Duration;

use super::Failure;
use super::progress::Bar;
use crate::model::{Run, RunId, SyncName};
use crate::web::{Client, view};

/// How often the host is asked whether a run has ended.
const PAUSE: Duration = Duration::from_millis(300);

/// How often in a row a sync may be found idle before its run is given up.
const PATIENCE: u32 = 10;

/// The newest run of a sync.
pub async fn newest(client: &Client, name: &SyncName) -> Result<Option<Run>, Failure> {
    Ok(runs(client, name, 1).await?.into_iter().next())
}

async fn runs(client: &Client, name: &SyncName, limit: usize) -> Result<Vec<Run>, Failure> {
    let parameters = [("sync", name.to_string()), ("limit", limit.to_string())];
    let runs: view::Runs = client.get("/api/v1/runs", &parameters).await?;
    Ok(runs.runs)
}

/// Waits for the end of the first run after `before` that is meant.
pub async fn ended(
    client: &Client,
    name: &SyncName,
    before: RunId,
    meant: impl Fn(&Run) -> bool,
) -> Result<Run, Failure> {
    // Between the wish and its run there may be another run, hardly more.
    const LOOK: usize = 10;
    let (mut idle, mut bar) = (0, Bar::new(name));
    loop {
        let runs = runs(client, name, LOOK).await?;
        let found = runs.into_iter().rev().find(|run| run.id > before && meant(run));
        if let Some(run) = found {
            bar.show(&run);
            if run.ended.is_some() {
                bar.done();
                return Ok(run);
            }
        }
        let syncs: view::Syncs = client.get("/api/v1/syncs", &[]).await?;
        let state = syncs.syncs.iter().find(|sync| sync.name == *name);
        let busy = |state: &str| state == "running" || state == "due";
        if state.and_then(|sync| sync.state.as_deref()).is_some_and(busy) {
            idle = 0;
        } else if idle < PATIENCE {
            idle += 1;
        } else {
            let what = format!("the host took the wish to run {name}, but shows no run of it");
            return Err(Failure::new("run.lost", what));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

//! `kilofold retry RUN`: maps the failed records of a run again, from the store, without an API call.

use clap::Args as ClapArgs;
use tokio_util::sync::CancellationToken;

use super::out::Out;
use super::progress::Progress;
use super::{Failure, Globals, follow, open, serve, sync};
use crate::error::Exit;
use crate::model::{Run, RunId, Trigger};
use crate::web::view;

/// Maps the failed records of a run again, from the store: no API call is spent.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The run's number
    #[arg(value_name = "RUN")]
    run: u64,
    /// Does not wait for its end in the host
    #[arg(long)]
    no_wait: bool,
}

/// Retries: in the host when one runs, else here.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let config = globals.load()?;
    let Some(client) = sync::host(&config).await? else {
        let app = open(config).await?;
        let cancel = CancellationToken::new();
        let watch = tokio::spawn(serve::signals(cancel.clone()));
        let progress = Progress::start(&app.bus);
        let retried = app.retry(RunId(args.run), &cancel).await;
        watch.abort();
        progress.finish().await;
        serve::settle(&app).await;
        return sync::told(&[retried?], &out);
    };
    let failed: Run = client.get(&format!("/api/v1/runs/{}", args.run), &[]).await?;
    let before = follow::newest(&client, &failed.sync).await?.map_or(RunId(0), |run| run.id);
    let accepted: view::Accepted = client.post(&format!("/api/v1/runs/{}/retry", args.run)).await?;
    if args.no_wait {
        return sync::accepted(&[accepted], &out);
    }
    let meant = |run: &Run| run.trigger == Trigger::Retry;
    sync::told(&[follow::ended(&client, &failed.sync, before, meant).await?], &out)
}

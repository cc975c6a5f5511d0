//! `kilofold retry RUN`: maps the failed records of a run again, from the store, without an API call.

use clap::Args as ClapArgs;

use super::out::Out;
use super::progress::Progress;
use super::{Failure, Globals, open, sync};
use crate::error::Exit;
use crate::model::RunId;

/// Maps the failed records of a run again, from the store: no API call is spent.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The run's number
    #[arg(value_name = "RUN")]
    run: u64,
}

/// Retries.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let app = open(globals.load()?).await?;
    let progress = Progress::start(&app.bus);
    let retried = app.retry(RunId(args.run)).await;
    progress.finish().await;
    sync::told(&[retried?], &out)
}

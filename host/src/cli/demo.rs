//! Local stand-in, never committed.
use super::{Exit, Failure, Globals};
/// x
#[derive(Debug, clap::Args)]
pub struct Args {}
/// x
pub async fn run(_args: &Args, _globals: &Globals) -> Result<Exit, Failure> {
    tokio::task::yield_now().await;
    Ok(Exit::Done)
}

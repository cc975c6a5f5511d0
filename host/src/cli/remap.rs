//! `kilofold remap SYNC`: maps the stored records anew with the present plugin, without an API call.

use clap::Args as ClapArgs;
use tokio_util::sync::CancellationToken;

use super::out::Out;
use super::progress::Progress;
use super::{Failure, Globals, follow, open, serve, sync};
use crate::error::Exit;
use crate::model::{Run, RunId, Stamp, SyncName, Trigger};
use crate::web::{reader, view};

/// Maps the stored records of a sync anew with its present plugin: no API call is spent.
///
/// Only what comes out otherwise is written and told in the feed. Stopped in the middle, it goes on there when it is asked
/// for again.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The sync's name
    #[arg(value_name = "SYNC")]
    sync: SyncName,
    /// Only records that changed in the org at this time or later, for example 2026-11-01
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Stamp>,
    /// Does not wait for its end in the host
    #[arg(long)]
    no_wait: bool,
}

/// Maps anew: in the host when one runs, else here.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let config = globals.load()?;
    if config.sync(&args.sync).is_none() {
        return Err(reader::Error::NoSync(args.sync.clone()).into());
    }
    let Some(client) = sync::host(&config).await? else {
        let app = open(config).await?;
        let cancel = CancellationToken::new();
        let watch = tokio::spawn(serve::signals(cancel.clone()));
        let progress = Progress::start(&app.bus);
        let ran = app.remap(&args.sync, args.since, &cancel).await;
        watch.abort();
        progress.finish().await;
        serve::settle(&app).await;
        return sync::told(&[ran?], &out);
    };
    let name = &args.sync;
    let before = follow::newest(&client, name).await?.map_or(RunId(0), |run| run.id);
    let since = args.since.map_or(String::new(), |since| format!("?since={since}"));
    let accepted: view::Accepted =
        client.post(&format!("/api/v1/syncs/{name}/remap{since}")).await?;
    if args.no_wait {
        return sync::accepted(&[accepted], &out);
    }
    let meant = |run: &Run| run.trigger == Trigger::Remap;
    sync::told(&[follow::ended(&client, name, before, meant).await?], &out)
}

fn moment(text: &str) -> Result<Stamp, String> {
    // A day alone begins at midnight in UTC.
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    Stamp::parse(&whole).map_err(|_| "write it like 2026-11-01 or 2026-11-01T08:00:00Z".to_owned())
}

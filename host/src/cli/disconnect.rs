//! `kilofold disconnect`: forgets a connection's tokens and gives its approval back.

use std::sync::Arc;

use clap::Args as ClapArgs;

use super::out::Out;
use super::{Failure, Globals, sync};
use crate::app;
use crate::clock::Clock;
use crate::error::Exit;
use crate::model::ConnectionName;
use crate::web::{Reader, view};

/// Forgets a connection's tokens and revokes its approval in Salesforce, so that it counts no longer.
///
/// Its syncs are paused until it is connected again. A connection that needs no browser connects by itself when a sync
/// uses it: remove it from the configuration instead.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The connection's name
    #[arg(value_name = "NAME")]
    name: ConnectionName,
}

/// Disconnects.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let config = globals.load()?;
    let name = &args.name;
    let unknown = || Failure::new("connection.unknown", format!("there is no connection '{name}'"));
    config.connection(name).ok_or_else(unknown)?;
    let connection: view::Connection = match sync::host(&config).await? {
        Some(client) => client.post(&format!("/api/v1/connections/{name}/disconnect")).await?,
        None => {
            let config = Arc::new(config);
            let store = app::open_store(&config)?;
            let org = app::open_org(&config, &store, Clock::default())?;
            org.disconnect(name).await?;
            let all = Reader::new(store, config).connections(&org)?.connections;
            all.into_iter().find(|connection| connection.name == *name).ok_or_else(unknown)?
        }
    };
    if out.json {
        out.value(&connection)?;
    } else {
        out.line(&format!("{name} is disconnected, and its approval was given back"))?;
    }
    Ok(Exit::Done)
}

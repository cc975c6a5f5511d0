//! `kilofold connect`: authorises a connection, in the browser or by its own secret.

use std::io::{BufRead, Write};
use std::time::Duration;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::out::Out;
use super::{Failure, Globals, sync};
use crate::app;
use crate::clock::Clock;
use crate::config::{Config, ConnectionConfig, Grant};
use crate::error::Exit;
use crate::model::ConnectionName;
use crate::salesforce::{ConnectionState, ConnectionStatus, Org, Redirect};
use crate::web::text::plain;

/// Authorises a connection: in the browser, or for jwt and client-credentials by asking for a token.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The connection's name; none: the only one, or all that need no browser
    #[arg(value_name = "NAME")]
    name: Option<ConnectionName>,
    /// Prints the address only, and opens no browser
    #[arg(long)]
    no_browser: bool,
    /// Reads the address of the page that the browser ends at from standard input, for use over ssh
    #[arg(long)]
    paste: bool,
    /// The callback address for --paste, one of the app's [default: the loopback one]
    #[arg(long, value_name = "URL", requires = "paste")]
    callback: Option<String>,
    /// Also when it would be the sixth approval, for which Salesforce revokes the oldest
    #[arg(long)]
    anyway: bool,
    /// How long the browser is waited for, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    wait: u64,
}

/// Where the browser comes back to on this machine: to the app's port, or to where the page is when a host runs.
fn local(config: &Config, redirect_port: Option<u16>) -> Redirect {
    match redirect_port {
        Some(port) => Redirect::Loopback { port },
        None => Redirect::Page { port: config.web.listen.port() },
    }
}

#[derive(Serialize)]
struct Connected {
    connections: Vec<ConnectionStatus>,
}

/// Connects.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let config = globals.load()?;
    let chosen = chosen(&config, args.name.as_ref())?;
    if sync::host(&config).await?.is_some() {
        // The host holds the store and the tokens in memory; two keepers of one rotating token would lose it.
        let what = "the host process holds the store, and tokens are kept there";
        return Err(Failure::new("store.locked", what)
            .cure("stop `kilofold serve`, run `kilofold connect` again, and start it anew"));
    }
    let store = app::open_store(&config)?;
    let org = app::open_org(&config, &store, Clock::default())?;
    let mut connections = Vec::new();
    let mut result = Ok(());
    for connection in &chosen {
        match authorise(&org, &config, connection, args, &out).await {
            Ok(status) => connections.push(status),
            Err(failure) => {
                result = Err(failure);
                break;
            }
        }
    }
    result?;
    if out.json {
        out.value(&Connected { connections })?;
    } else {
        for status in &connections {
            out.line(&said(status))?;
        }
    }
    Ok(Exit::Done)
}

fn said(status: &ConnectionStatus) -> String {
    let user = status.user.as_deref().unwrap_or("a user whose name was not told");
    let org = status.org_id.as_deref().unwrap_or("not told");
    let at = status.instance.as_deref().unwrap_or("an unknown address");
    let state = match status.state {
        ConnectionState::Healthy => "is connected",
        _ => "is not connected",
    };
    plain(&format!("{} {state}: {user}, org {org} at {at}", status.name))
}

fn chosen(
    config: &Config,
    name: Option<&ConnectionName>,
) -> Result<Vec<ConnectionConfig>, Failure> {
    if let Some(name) = name {
        let found = config.connection(name).cloned();
        return found.map(|found| vec![found]).ok_or_else(|| {
            Failure::new("connection.unknown", format!("there is no connection '{name}'"))
        });
    }
    if config.connections.len() == 1 {
        return Ok(config.connections.clone());
    }
    let machines: Vec<_> = config
        .connections
        .iter()
        .filter(|connection| !matches!(connection.grant, Grant::Code { .. }))
        .cloned()
        .collect();
    if machines.is_empty() {
        let what = "there are several connections that need a browser, one at a time";
        return Err(Failure::new("usage.connection", what));
    }
    Ok(machines)
}

async fn authorise(
    org: &Org,
    config: &Config,
    connection: &ConnectionConfig,
    args: &Args,
    out: &Out,
) -> Result<ConnectionStatus, Failure> {
    let Grant::Code { redirect_port, .. } = &connection.grant else {
        return Ok(org.connect(&connection.name).await?);
    };
    let how = if args.paste {
        let local = || local(config, *redirect_port).address();
        Redirect::Paste { callback: args.callback.clone().unwrap_or_else(local) }
    } else {
        local(config, *redirect_port)
    };
    let pending = org.begin(&connection.name, how, args.anyway).await?;
    if let Some(warning) = &pending.warning {
        tell(&plain(warning))?;
    }
    // To standard error, so that the result on standard output stays clean.
    tell(&format!("Open this address and approve:\n\n{}\n", pending.url))?;
    if args.paste {
        tell(
            "Then paste the address of the page that the browser ends at (it may say that it cannot be shown):",
        )?;
        let read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map(|_| line)
        });
        let line = read
            .await
            .map_err(|error| error.to_string())
            .and_then(|line| line.map_err(|error| error.to_string()));
        let address = line.map_err(|error| {
            Failure::new("auth.consent", format!("the address could not be read: {error}"))
        })?;
        return Ok(org.finish_pasted(pending, &address).await?);
    }
    if !args.no_browser && !out.json && webbrowser::open(pending.url.as_str()).is_err() {
        tell("No browser could be opened here. Over ssh, use --paste.")?;
    }
    let wait = Duration::from_secs(args.wait);
    match tokio::time::timeout(wait, org.finish(pending)).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Failure::new(
            "auth.consent",
            format!("the browser did not come back within {} seconds", args.wait),
        )),
    }
}

fn tell(text: &str) -> Result<(), Failure> {
    writeln!(std::io::stderr(), "{text}")
        .map_err(|error| Failure::new("cli.output", format!("cannot write: {error}")))
}

//! `kilofold connect`: authorises a connection, in the browser or by its own secret; through the host when one runs.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

use clap::Args as ClapArgs;
use serde::Serialize;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::out::Out;
use super::{Failure, Globals, sync};
use crate::app;
use crate::clock::Clock;
use crate::config::{Config, ConnectionConfig, Grant};
use crate::error::Exit;
use crate::model::ConnectionName;
use crate::salesforce::{Org, Redirect};
use crate::web::text::plain;
use crate::web::{Client, Reader, client, view};

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
    /// The callback address for --paste, one of the app's [default: the one on this machine]
    #[arg(long, value_name = "URL", requires = "paste")]
    callback: Option<String>,
    /// Also when it would be the sixth approval, for which Salesforce ends another one
    #[arg(long)]
    anyway: bool,
    /// How long the browser is waited for, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    wait: u64,
}

/// How often the host is asked whether the browser came back.
const PAUSE: Duration = Duration::from_millis(300);

#[derive(Serialize)]
struct Connected {
    connections: Vec<view::Connection>,
}

/// Connects.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let config = globals.load()?;
    let chosen = chosen(&config, args.name.as_ref())?;
    let mut connections = Vec::new();
    match sync::host(&config).await? {
        // The host holds the store and the tokens: two keepers of one rotating token would lose it.
        Some(client) => {
            for connection in &chosen {
                connections.push(there(&client, connection, args, &out).await?);
            }
        }
        None => {
            let config = Arc::new(config);
            let store = app::open_store(&config)?;
            let org = app::open_org(&config, &store, Clock::default())?;
            for connection in &chosen {
                here(&org, &config, connection, args, &out).await?;
            }
            let names: Vec<_> = chosen.iter().map(|connection| &connection.name).collect();
            let all = Reader::new(store, config).connections(&org)?.connections;
            connections.extend(all.into_iter().filter(|one| names.contains(&&one.name)));
        }
    }
    if out.json {
        out.value(&Connected { connections })?;
    } else {
        for connection in &connections {
            out.line(&said(connection))?;
            if let Some(to_do) = &connection.to_do {
                out.pair("to do", to_do)?;
            }
        }
    }
    Ok(Exit::Done)
}

fn said(connection: &view::Connection) -> String {
    let user = connection.user.as_deref().unwrap_or("a user whose name was not told");
    let org = connection.org.as_deref().unwrap_or("an org that was not told");
    let state = if connection.state == "healthy" { "is connected" } else { "is not connected" };
    let approvals = connection.approvals.as_ref().map_or_else(String::new, |approvals| {
        format!(", approval {} of {}", approvals.number, approvals.most)
    });
    plain(&format!("{} {state}: {user}, org {org}{approvals}", connection.name))
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

/// Connects in the host that runs.
async fn there(
    client: &Client,
    connection: &ConnectionConfig,
    args: &Args,
    out: &Out,
) -> Result<view::Connection, Failure> {
    let path = format!("/api/v1/connections/{}", connection.name);
    let mut query = form_urlencoded::Serializer::new(String::new());
    if args.anyway {
        query.append_pair("anyway", "true");
    }
    if let Some(callback) = &args.callback {
        query.append_pair("callback", callback);
    }
    let asked: view::Connecting =
        client.post(&format!("{path}/connect?{}", query.finish())).await?;
    let Some(address) = &asked.open else { return Ok(asked.status) };
    show(address, asked.warning.as_deref(), args, out)?;
    if args.paste {
        #[derive(Serialize)]
        struct Ended<'a> {
            address: &'a str,
        }
        let address = pasted().await?;
        return Ok(client
            .post_with(&format!("{path}/answer"), &Ended { address: &address })
            .await?);
    }
    let waiting = async {
        loop {
            let now: view::Connecting = client.get(&format!("{path}/connect"), &[]).await?;
            match now.state.as_str() {
                "waiting" => tokio::time::sleep(PAUSE).await,
                _ => return Ok::<_, client::Error>(now),
            }
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(args.wait), waiting).await;
    let ended = ended.map_err(|_| too_late(args))??;
    match ended.problem {
        Some(problem) => Err(client::Error::Problem(Box::new(problem)).into()),
        None => Ok(ended.status),
    }
}

/// Connects without a host.
async fn here(
    org: &Org,
    config: &Config,
    connection: &ConnectionConfig,
    args: &Args,
    out: &Out,
) -> Result<(), Failure> {
    let Grant::Code { redirect_port, .. } = &connection.grant else {
        org.connect(&connection.name).await?;
        return Ok(());
    };
    // The app's port, or where the page is when a host runs: one callback address serves both.
    let (port, tls) = (config.web.listen.port(), config.web.tls.is_some());
    let local = match redirect_port {
        Some(port) => Redirect::Loopback { port: *port },
        None if tls => Redirect::Served { port, tls },
        None => Redirect::Page { port },
    };
    if tls && redirect_port.is_none() && !args.paste {
        let what = "only the host answers at the callback address, since [web] has a certificate";
        return Err(Failure::new("auth.consent", what).cure(
            "run `kilofold serve` and connect then, or use --paste, or set `redirect_port`",
        ));
    }
    let how = if args.paste {
        Redirect::Paste { callback: args.callback.clone().unwrap_or_else(|| local.address()) }
    } else {
        local
    };
    let pending = org.begin(&connection.name, how, args.anyway).await?;
    show(pending.url.as_str(), pending.warning.as_deref(), args, out)?;
    if args.paste {
        org.finish_pasted(pending, &pasted().await?).await?;
        return Ok(());
    }
    match tokio::time::timeout(Duration::from_secs(args.wait), org.finish(pending)).await {
        Ok(result) => result.map(drop).map_err(Failure::from),
        Err(_) => Err(too_late(args)),
    }
}

fn too_late(args: &Args) -> Failure {
    let what = format!("the browser did not come back within {} seconds", args.wait);
    Failure::new("auth.consent", what)
}

/// Shows the address of the consent, to standard error, so that the result on standard output stays clean.
fn show(address: &str, warning: Option<&str>, args: &Args, out: &Out) -> Result<(), Failure> {
    if let Some(warning) = warning {
        tell(&plain(warning))?;
    }
    tell(&format!("Open this address and approve:\n\n{}\n", plain(address)))?;
    if args.paste {
        let words = "Then paste the address of the page that the browser ends at (it may say that it cannot be shown):";
        return tell(words);
    }
    if !args.no_browser && !out.json && webbrowser::open(address).is_err() {
        tell("No browser could be opened here. Over ssh, use --paste.")?;
    }
    Ok(())
}

/// The address that the user pastes. It holds a code that can be exchanged for tokens. A slip is asked about again: the
/// consent counts as an approval already.
async fn pasted() -> Result<Zeroizing<String>, Failure> {
    let read = tokio::task::spawn_blocking(|| {
        loop {
            let mut line = Zeroizing::new(String::with_capacity(4096));
            let read = std::io::stdin().lock().read_line(&mut line)?;
            if read == 0 || is_answer(&line) {
                return Ok(line);
            }
            writeln!(
                std::io::stderr(),
                "That is not it: the whole address is wanted, with `code=` in it. Paste it here:"
            )?;
        }
    });
    let line = read
        .await
        .map_err(|error| error.to_string())
        .and_then(|line: std::io::Result<_>| line.map_err(|error| error.to_string()));
    line.map_err(|error| {
        Failure::new("auth.consent", format!("the address could not be read: {error}"))
    })
}

/// Whether it is an address that an answer of Salesforce's is in, be it a refusal.
fn is_answer(line: &str) -> bool {
    url::Url::parse(line.trim()).is_ok_and(|address| {
        address.query_pairs().any(|(name, _)| matches!(&*name, "code" | "error"))
    })
}

fn tell(text: &str) -> Result<(), Failure> {
    writeln!(std::io::stderr(), "{text}")
        .map_err(|error| Failure::new("cli.output", format!("cannot write: {error}")))
}

#[cfg(test)]
mod tests {
    use super::is_answer;

    #[test]
    fn knows_an_answer_from_a_slip() {
        let callback = "http://localhost:4350/connections/callback";
        assert!(is_answer(&format!(" {callback}?code=aPrx&state=x\n")));
        assert!(is_answer(&format!("{callback}?error=access_denied&state=x\n")));
        for slip in [
            "\n",
            "yes",
            callback,
            "https://login.salesforce.com/authorize?code_challenge=x&state=y",
        ] {
            assert!(!is_answer(slip), "{slip}");
        }
    }
}

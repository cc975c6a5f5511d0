//! Where reading commands read: the store itself, or the API of the host that holds it. Both give the same views.

use std::sync::Arc;
use std::time::Duration;

use super::{Failure, Globals};
use crate::app;
use crate::clock::Clock;
use crate::config::{Config, Secret};
use crate::export::{Export, Written};
use crate::model::{ConsumerName, RecordId, Run, RunId, Stamp, SyncName};
use crate::store::{self, FeedQuery, Store, Wanted};
use crate::web::export::What;
use crate::web::{self, Client, Reader, client, view};

/// How often a store in use is tried again when no host answers: another command may be about to let it go.
const TRIES: u32 = 10;

/// How long is waited between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// A way to what is stored.
pub enum Source {
    /// The store, held by this process.
    Store(Box<Reader>),
    /// The API of the host that holds the store.
    Api(Box<Client>),
}

/// Reads a store that no host holds. A run that is open in it was interrupted.
fn alone(store: Store, config: Arc<Config>) -> Result<Reader, Failure> {
    store.recover()?;
    Ok(Reader::new(store, config))
}

/// The host's API, as the configuration says.
pub fn client(config: &Config) -> Result<Client, Failure> {
    let web = &config.web;
    let token = match web.token.as_ref().or(web.view_token.as_ref()) {
        Some(token) => Some(token.read()?),
        // Who can read the store's own files may do everything anyway.
        None => Secret::File(app::local_token(config)).read().ok(),
    };
    let certificate = web.tls.as_ref().map(|tls| tls.certificate.as_path());
    Ok(Client::new(web.listen, token, certificate).map_err(web::Error::from)?)
}

impl Source {
    /// Opens the store; when a host holds it, asks the host.
    pub async fn open(globals: &Globals) -> Result<Self, Failure> {
        let config = Arc::new(globals.load()?);
        let path = &config.store.path;
        if !path.exists() {
            let what = format!("there is no store at {} yet", path.display());
            return Err(Failure::new("store.none", what));
        }
        let mut tries = TRIES;
        loop {
            let locked = match app::open_store(&config) {
                Ok(store) => return Ok(Self::Store(Box::new(alone(store, config)?))),
                Err(error @ store::Error::Locked { .. }) => error,
                Err(error) => return Err(error.into()),
            };
            let client = client(&config)?;
            match client.get::<serde_json::Value>("/healthz", &[]).await {
                Ok(_) => return Ok(Self::Api(Box::new(client))),
                Err(client::Error::Unreachable { .. }) if tries > 0 => tries -= 1,
                Err(error) => {
                    let mut failure = Failure::from(error);
                    failure.causes.push(locked.to_string());
                    return Err(failure);
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Runs, newest first.
    pub async fn runs(
        &self,
        sync: Option<&SyncName>,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<view::Runs, Failure> {
        match self {
            Self::Store(reader) => Ok(reader.runs(sync, before, Some(limit))?),
            Self::Api(client) => {
                let mut parameters = vec![("limit", limit.to_string())];
                parameters.extend(sync.map(|sync| ("sync", sync.to_string())));
                parameters.extend(before.map(|run| ("before", run.to_string())));
                Ok(client.get("/api/v1/runs", &parameters).await?)
            }
        }
    }

    /// One run.
    pub async fn run(&self, id: RunId) -> Result<Run, Failure> {
        match self {
            Self::Store(reader) => Ok(reader.run(id)?),
            Self::Api(client) => Ok(client.get(&format!("/api/v1/runs/{id}"), &[]).await?),
        }
    }

    /// The pages of a run.
    pub async fn pages(
        &self,
        run: RunId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<view::Pages, Failure> {
        match self {
            Self::Store(reader) => Ok(reader.pages(run, after, Some(limit))?),
            Self::Api(client) => {
                Ok(client.get(&format!("/api/v1/runs/{run}/pages"), &list(after, limit)).await?)
            }
        }
    }

    /// The failures of a run.
    pub async fn failures(
        &self,
        run: RunId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<view::Failures, Failure> {
        match self {
            Self::Store(reader) => Ok(reader.failures(run, after, Some(limit))?),
            Self::Api(client) => {
                Ok(client.get(&format!("/api/v1/runs/{run}/failures"), &list(after, limit)).await?)
            }
        }
    }

    /// The stored records of a sync.
    pub async fn records(
        &self,
        sync: &SyncName,
        after: Option<RecordId>,
        limit: usize,
    ) -> Result<view::Records, Failure> {
        match self {
            Self::Store(reader) => Ok(reader.records(sync, after, Some(limit))?),
            Self::Api(client) => {
                let path = format!("/api/v1/syncs/{sync}/records");
                Ok(client.get(&path, &list(after, limit)).await?)
            }
        }
    }

    /// One stored record.
    pub async fn record(
        &self,
        sync: &SyncName,
        id: RecordId,
    ) -> Result<view::StoredRecord, Failure> {
        match self {
            Self::Store(reader) => Ok(reader.record(sync, id)?),
            Self::Api(client) => {
                Ok(client.get(&format!("/api/v1/syncs/{sync}/records/{id}"), &[]).await?)
            }
        }
    }

    /// Whether a question for changes waits until there are some.
    pub fn waits(&self) -> bool {
        matches!(self, Self::Api(_))
    }

    /// Changes of outputs; a host that is asked to wait answers as soon as there are some.
    pub async fn feed(&self, query: &FeedQuery, wait: bool) -> Result<view::Feed, Failure> {
        match self {
            Self::Store(reader) => Ok(reader.feed(query)?),
            Self::Api(client) => {
                let mut parameters = list(query.after, query.limit);
                parameters.extend(part(&query.syncs, &query.kinds));
                if wait {
                    parameters.push(("wait", "20s".to_owned()));
                }
                Ok(client.get("/api/v1/feed", &parameters).await?)
            }
        }
    }

    /// Everything that is stored at one number of the feed, as JSON lines.
    pub async fn snapshot(
        &self,
        wanted: &Wanted,
        to: &mut (dyn std::io::Write + Send),
    ) -> Result<(), Failure> {
        match self {
            Self::Store(reader) => {
                let written = reader.snapshot(wanted, Stamp::now(), &mut |line| {
                    serde_json::to_writer(&mut *to, line)?;
                    to.write_all(b"\n")
                })?;
                written.and_then(|()| to.flush()).map_err(unwritten)
            }
            Self::Api(client) => {
                let parameters = part(&wanted.syncs, &wanted.kinds);
                client.download("/api/v1/snapshot", &parameters, to).await?;
                to.flush().map_err(unwritten)
            }
        }
    }

    /// Writes what is stored through an export, and finishes it.
    pub async fn export<W: std::io::Write + Send>(
        &self,
        what: What,
        wanted: &Wanted,
        mut export: Export<W>,
    ) -> Result<(W, Written), Failure> {
        match self {
            Self::Store(reader) => {
                reader.export(what, wanted, &mut export)?.map_err(unwritten)?;
            }
            Self::Api(client) => {
                let path = match what {
                    What::Outputs => "/api/v1/outputs",
                    What::Records => "/api/v1/records",
                };
                let parameters = part(&wanted.syncs, &wanted.kinds);
                client.download(path, &parameters, &mut export).await?;
            }
        }
        export.finish().map_err(unwritten)
    }

    /// Where a consumer stands; one that nobody knows stands before the first change.
    pub async fn consumer_place(&self, name: &ConsumerName) -> Result<u64, Failure> {
        match self {
            Self::Store(reader) => Ok(reader.consumer_asks(name, Stamp::now())?),
            Self::Api(_) => {
                let all = self.consumers().await?;
                let known = all.consumers.iter().find(|one| one.name == *name);
                Ok(known.map_or(all.start.saturating_sub(1), |one| one.acknowledged))
            }
        }
    }

    /// Notes that a consumer has everything up to a number.
    pub async fn acknowledge(&self, name: &ConsumerName, to: u64) -> Result<(), Failure> {
        match self {
            Self::Store(reader) => drop(reader.acknowledge(name, to, false, Stamp::now())?),
            Self::Api(client) => {
                let path = format!("/api/v1/consumers/{name}");
                let body = serde_json::json!({ "acknowledged": to });
                drop(client.put::<view::Consumer>(&path, &body).await?);
            }
        }
        Ok(())
    }

    /// The named readers of the feed.
    pub async fn consumers(&self) -> Result<view::Consumers, Failure> {
        match self {
            Self::Store(reader) => Ok(reader.consumers(Stamp::now())?),
            Self::Api(client) => Ok(client.get("/api/v1/consumers", &[]).await?),
        }
    }

    /// Forgets a consumer; gives what was known of it.
    pub async fn forget(&self, name: &ConsumerName) -> Result<view::Consumer, Failure> {
        match self {
            Self::Store(reader) => Ok(reader.forget(name, Stamp::now())?),
            Self::Api(client) => Ok(client.delete(&format!("/api/v1/consumers/{name}")).await?),
        }
    }

    /// What a destination did not take.
    pub async fn dead_letters(
        &self,
        name: &ConsumerName,
        after: Option<u64>,
        limit: usize,
    ) -> Result<view::DeadLetters, Failure> {
        match self {
            Self::Store(reader) => Ok(reader.dead_letters(name, after, Some(limit))?),
            Self::Api(client) => {
                let path = format!("/api/v1/consumers/{name}/dead");
                Ok(client.get(&path, &list(after, limit)).await?)
            }
        }
    }

    /// Has what a destination did not take sent again: one change, or all.
    pub async fn resend(
        &self,
        name: &ConsumerName,
        seq: Option<u64>,
    ) -> Result<view::Resent, Failure> {
        match self {
            Self::Store(reader) => Ok(reader.resend(name, seq)?),
            Self::Api(client) => {
                Ok(client.post(&format!("/api/v1/consumers/{name}/resend{}", which(seq))).await?)
            }
        }
    }

    /// Forgets what a destination did not take: one change, or all. Gives how it stood.
    pub async fn bury(
        &self,
        name: &ConsumerName,
        seq: Option<u64>,
    ) -> Result<view::Consumer, Failure> {
        match self {
            Self::Store(reader) => Ok(reader.bury(name, seq, Stamp::now())?),
            Self::Api(client) => {
                Ok(client.post(&format!("/api/v1/consumers/{name}/bury{}", which(seq))).await?)
            }
        }
    }

    /// The configured syncs.
    pub async fn syncs(&self) -> Result<view::Syncs, Failure> {
        match self {
            Self::Store(reader) => Ok(reader.syncs(&[])?),
            Self::Api(client) => Ok(client.get("/api/v1/syncs", &[]).await?),
        }
    }

    /// What is known of the org's API calls.
    pub async fn limits(&self) -> Result<view::Limits, Failure> {
        match self {
            Self::Store(reader) => {
                let gate = app::open_gate(reader.config(), reader.store(), Clock::default())?;
                Ok(reader.whole_limits(&gate.report())?)
            }
            Self::Api(client) => Ok(client.get("/api/v1/limits", &[]).await?),
        }
    }

    /// How the connections stand.
    pub async fn connections(&self) -> Result<view::Connections, Failure> {
        match self {
            Self::Store(reader) => {
                let org = app::open_org(reader.config(), reader.store(), Clock::default())?;
                Ok(reader.connections(&org)?)
            }
            Self::Api(client) => Ok(client.get("/api/v1/connections", &[]).await?),
        }
    }

    /// Reads Salesforce's list of approvals, and tells how the connections stand then.
    pub async fn census(&self) -> Result<view::Connections, Failure> {
        match self {
            Self::Store(reader) => {
                let org = app::open_org(reader.config(), reader.store(), Clock::default())?;
                org.census().await?;
                Ok(reader.connections(&org)?)
            }
            Self::Api(client) => Ok(client.post("/api/v1/connections/census").await?),
        }
    }
}

/// Who reads what is written has seen enough, or there is no room for it.
fn unwritten(error: std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => Failure::quiet(),
        _ => Failure::new("cli.output", format!("the answer cannot be written: {error}")),
    }
}

/// The parameters of a part of all outputs. The API takes one sync.
fn part(syncs: &[SyncName], kinds: &[String]) -> Vec<(&'static str, String)> {
    let mut parameters: Vec<(&'static str, String)> =
        syncs.iter().take(1).map(|sync| ("sync", sync.to_string())).collect();
    if !kinds.is_empty() {
        parameters.push(("kinds", kinds.join(",")));
    }
    parameters
}

/// One change, or all.
fn which(seq: Option<u64>) -> String {
    seq.map_or(String::new(), |seq| format!("?seq={seq}"))
}

fn list(after: Option<impl ToString>, limit: usize) -> Vec<(&'static str, String)> {
    let mut parameters = vec![("limit", limit.to_string())];
    parameters.extend(after.map(|after| ("after", after.to_string())));
    parameters
}

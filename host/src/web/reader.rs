//! Reads the store into views: behind the API, and for the command line when no host runs.

mod consumers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::view;
use crate::app;
use crate::config::{Allowance, Config, PluginRef};
use crate::metrics;
use crate::model::{
    ConnectionName, ConsumerName, Maker, Purpose, RecordId, Run, RunId, Stamp, Standing, SyncName,
    Usage,
};
use crate::salesforce::Org;
use crate::schedule::{State, SyncStatus};
use crate::store::{self, Store};

/// The most entries that one answer holds.
pub const LIMIT: usize = 1000;

/// How many entries an answer holds when nobody says.
const USUAL: usize = 50;

/// How many of the newest runs are looked at for when a connection was last used.
const USED_IN: usize = 200;

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such run.
    #[error("the store has no run {0}")]
    NoRun(RunId),
    /// There is no such sync.
    #[error("the configuration has no sync '{0}'")]
    NoSync(SyncName),
    /// There is no such record.
    #[error("the store has no record {id} of {sync}")]
    NoRecord {
        /// The sync.
        sync: SyncName,
        /// The record.
        id: RecordId,
    },
    /// There is no such consumer.
    #[error("nobody reads the feed by the name '{0}'")]
    NoConsumer(ConsumerName),
    /// There is no such dead letter.
    #[error("change {seq} is not among those that '{name}' did not take")]
    NoLetter {
        /// The destination.
        name: ConsumerName,
        /// The change.
        seq: u64,
    },
    /// A consumer said something that cannot be.
    #[error(transparent)]
    Refused(#[from] store::Refused),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// A stable code, for `kilofold explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoRun(_) => "run.unknown",
            Self::NoSync(_) => "sync.unknown",
            Self::NoRecord { .. } => "record.unknown",
            Self::NoConsumer(_) => "feed.consumer-unknown",
            Self::NoLetter { .. } => "deliver.no-letter",
            Self::Refused(_) => "feed.acknowledged",
            Self::Store(error) => error.code(),
        }
    }
}

/// Reads the store for people. Its functions wait for the disk.
#[derive(Clone)]
pub struct Reader {
    store: Store,
    config: Arc<Config>,
    makers: Makers,
}

/// Tells with which plugin and settings a sync would be mapped now; none when that cannot be known.
pub type Makers = Arc<dyn Fn(&SyncName) -> Option<Maker> + Send + Sync>;

impl Reader {
    /// Reads this store. Which plugins there are is read from their files each time.
    pub fn new(store: Store, config: Arc<Config>) -> Self {
        let configured = config.clone();
        let makers = move |name: &SyncName| {
            // A file that cannot be read is told of by whoever runs it.
            let plugin = app::present_digest(&configured, configured.sync(name)?)?;
            Some(Maker { plugin, settings: None })
        };
        Self { store, config, makers: Arc::new(makers) }
    }

    /// The same, told by a host which plugins it holds.
    #[must_use]
    pub fn with_makers(self, makers: Makers) -> Self {
        Self { makers, ..self }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The configuration.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Runs of one sync or of all, newest first, older than `before`.
    pub fn runs(
        &self,
        sync: Option<&SyncName>,
        before: Option<RunId>,
        limit: Option<usize>,
    ) -> Result<view::Runs, Error> {
        let limit = capped(limit);
        let filter =
            store::RunFilter { sync: sync.cloned(), before, limit, ..store::RunFilter::default() };
        let runs = self.store.runs(&filter)?;
        let next = if runs.len() < limit { None } else { runs.last().map(|run| run.id) };
        Ok(view::Runs { runs, next })
    }

    /// One run.
    pub fn run(&self, id: RunId) -> Result<Run, Error> {
        self.store.run(id)?.ok_or(Error::NoRun(id))
    }

    /// The pages of a run, after page `after`.
    pub fn pages(
        &self,
        run: RunId,
        after: Option<u64>,
        limit: Option<usize>,
    ) -> Result<view::Pages, Error> {
        self.run(run)?;
        let limit = capped(limit);
        let pages = self.store.pages(run, after, limit)?;
        let next = if pages.len() < limit { None } else { pages.last().map(|page| page.page) };
        Ok(view::Pages { pages, next })
    }

    /// The failures of a run, after number `after`.
    pub fn failures(
        &self,
        run: RunId,
        after: Option<u64>,
        limit: Option<usize>,
    ) -> Result<view::Failures, Error> {
        self.run(run)?;
        let limit = capped(limit);
        let found = self.store.failures(run, after, limit)?;
        let next = if found.len() < limit { None } else { found.last().map(|failure| failure.n) };
        let failures = found.into_iter().map(view::FailedRecord::from).collect();
        Ok(view::Failures { failures, next })
    }

    /// The stored records of a sync, by id, after `after`.
    pub fn records(
        &self,
        sync: &SyncName,
        after: Option<RecordId>,
        limit: Option<usize>,
    ) -> Result<view::Records, Error> {
        self.known(sync)?;
        let limit = capped(limit);
        let found = self.store.records(sync, after, limit)?;
        let next = if found.len() < limit { None } else { found.last().map(|record| record.id) };
        Ok(view::Records { records: found.into_iter().map(record).collect(), next })
    }

    /// One stored record.
    pub fn record(&self, sync: &SyncName, id: RecordId) -> Result<view::StoredRecord, Error> {
        self.known(sync)?;
        let found = self.store.record(sync, id)?;
        found.map(record).ok_or_else(|| Error::NoRecord { sync: sync.clone(), id })
    }

    /// Changes of outputs. Those whose body went with a later change of the same output are left out: that one follows.
    pub fn feed(&self, query: &store::FeedQuery) -> Result<view::Feed, Error> {
        let query = store::FeedQuery { limit: query.limit.clamp(1, LIMIT), ..query.clone() };
        let store::FeedPage { entries, next, start, end } = self.store.feed_page(&query)?;
        let changes =
            entries.into_iter().filter(|entry| !entry.is_faded()).map(view::Change::from).collect();
        Ok(view::Feed { changes, next, end, start })
    }

    /// Everything that is stored at one number of the feed, line by line.
    pub fn snapshot(
        &self,
        wanted: &store::Wanted,
        now: Stamp,
        write: &mut dyn FnMut(&view::SnapshotLine) -> std::io::Result<()>,
    ) -> Result<std::io::Result<()>, Error> {
        let snapshot = self.store.snapshot(wanted)?;
        let begin = view::SnapshotLine::Begin { from: snapshot.from(), at: now };
        if let Err(error) = write(&begin) {
            return Ok(Err(error));
        }
        for (lines, line) in (0..).zip(snapshot) {
            let line = match line? {
                store::Line::Output(row) => view::SnapshotLine::Output {
                    sync: row.sync,
                    kind: row.kind.to_string(),
                    key: row.key,
                    record: row.record,
                    body: view::json(row.body),
                },
                store::Line::Change(entry) => view::SnapshotLine::Change(entry.into()),
                store::Line::End(next) => view::SnapshotLine::End { next, lines },
            };
            if let Err(error) = write(&line) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    /// What the metrics tell besides what happened.
    pub fn facts(&self, now: Stamp, usage: Option<Usage>) -> Result<metrics::Facts, Error> {
        let mut syncs = Vec::with_capacity(self.config.syncs.len());
        for sync in &self.config.syncs {
            let counts = self.store.counts(&sync.name)?;
            let filter = store::RunFilter {
                sync: Some(sync.name.clone()),
                standings: vec![Standing::Succeeded, Standing::SomeFailed],
                limit: 1,
                ..store::RunFilter::default()
            };
            syncs.push(metrics::SyncFacts {
                name: sync.name.clone(),
                records: counts.records,
                outputs: counts.outputs,
                failed: counts.failed,
                covered: self.store.cursor(&sync.name)?.covered,
                succeeded: self.store.runs(&filter)?.first().and_then(|run| run.ended),
                paused: self.store.pause(&sync.name)?.is_some(),
            });
        }
        let consumers = self.consumers(now)?;
        Ok(metrics::Facts {
            now,
            syncs,
            usage,
            feed: (consumers.start, consumers.end),
            dead: consumers
                .consumers
                .iter()
                .filter_map(|one| Some((one.name.clone(), one.delivery.as_ref()?.dead)))
                .collect(),
            lags: consumers.consumers.into_iter().map(|one| (one.name, one.lag)).collect(),
            store_bytes: self.store.size(),
        })
    }

    /// The configured syncs and how they stand; `live` is what the schedule says, empty when none runs.
    pub fn syncs(&self, live: &[SyncStatus]) -> Result<view::Syncs, Error> {
        let mut syncs = Vec::with_capacity(self.config.syncs.len());
        for sync in &self.config.syncs {
            let status = live.iter().find(|status| status.name == sync.name);
            let counts = self.store.counts(&sync.name)?;
            let pause = self.store.pause(&sync.name)?;
            syncs.push(view::Sync {
                name: sync.name.clone(),
                object: sync.object.clone(),
                connections: sync.connections.iter().cloned().collect(),
                failover: sync.failover,
                plugin: named(&sync.plugin),
                schedule: sync.schedule.to_string(),
                enabled: sync.enabled,
                state: status.map(|status| doing(&status.state).to_owned()),
                paused: pause.is_some(),
                pause,
                running: status.and_then(|status| match status.state {
                    State::Running { run, .. } => run,
                    _ => None,
                }),
                next: status.and_then(|status| status.next_due),
                last: self.runs(Some(&sync.name), None, Some(1))?.runs.pop(),
                records: counts.records,
                outputs: counts.outputs,
                cursor: self.store.cursor(&sync.name)?,
                remap: self.remap(&sync.name, counts.records)?,
            });
        }
        Ok(view::Syncs { syncs })
    }

    /// Whether what is stored of a sync should be mapped anew.
    fn remap(&self, sync: &SyncName, records: u64) -> Result<Option<view::Remap>, Error> {
        if records == 0 {
            return Ok(None);
        }
        let Some(present) = (self.makers)(sync) else { return Ok(None) };
        let mapping = self.store.mapping(sync)?;
        let Some(other) = mapping.other_than(&present) else { return Ok(None) };
        let what =
            if other.plugin == present.plugin { "its plugin's settings" } else { "its plugin" };
        let in_hand = mapping.remap.as_ref().filter(|remap| remap.maker.is_like(&present));
        Ok(Some(view::Remap {
            why: format!("{what} changed after records were mapped"),
            made_by: other.plugin.clone(),
            present: present.plugin,
            records,
            seen: in_hand.map(|remap| remap.seen),
        }))
    }

    /// How the connections stand. A run of an earlier process tells when one was last used.
    pub fn connections(&self, org: &Org) -> Result<view::Connections, Error> {
        let mut used = BTreeMap::<ConnectionName, Stamp>::new();
        for run in self.runs(None, None, Some(USED_IN))?.runs.iter().filter(|run| run.calls > 0) {
            let last = used.entry(run.connection.clone()).or_default();
            *last = run.ended.unwrap_or(run.started).max(*last);
        }
        let connections = org.connections().into_iter().map(|mut status| {
            status.last_used = status.last_used.max(used.get(&status.name).copied());
            let tally = org.approvals(&status.name);
            let syncs = self.config.syncs.iter().filter(|sync| sync.connections.has(&status.name));
            let syncs = syncs.map(|sync| sync.name.clone()).collect();
            view::Connection::new(status, tally, syncs)
        });
        let org_id = org.home().map(|home| home.org_id);
        Ok(view::Connections { connections: connections.collect(), org: org_id })
    }

    /// What is known of the org's API calls: the newest reading (`live`, or what a run kept), and the journal.
    pub fn limits(&self, live: Option<Usage>) -> Result<view::Limits, Error> {
        let since = Stamp::now().minus(Duration::from_secs(24 * 3600));
        let mut sums: BTreeMap<(ConnectionName, Option<SyncName>, Purpose), u64> = BTreeMap::new();
        for call in self.store.calls_since(since)? {
            let key = (call.caller.connection, call.caller.sync, call.purpose);
            *sums.entry(key).or_default() += 1;
        }
        let spent: Vec<view::Spent> = sums
            .into_iter()
            .map(|((connection, sync, purpose), calls)| view::Spent {
                connection,
                sync,
                purpose,
                counted: purpose.counted(),
                calls,
            })
            .collect();
        let runs = self.runs(None, None, Some(USUAL))?.runs;
        let reading = runs
            .iter()
            .filter_map(|run| run.quota_after.or(run.quota_before))
            .chain(live)
            .max_by_key(|usage| usage.at);
        let quota = &self.config.quota;
        Ok(view::Limits {
            reading,
            allowance: quota.allowance.map(|allowance| match allowance {
                Allowance::Calls(calls) => format!("{calls} calls"),
                Allowance::Percent(percent) => format!("{percent} %"),
            }),
            reserve: quota.reserve,
            per_run: quota.per_run,
            since,
            counted: spent.iter().filter(|line| line.counted).map(|line| line.calls).sum(),
            spent,
            day: None,
        })
    }

    fn known(&self, sync: &SyncName) -> Result<(), Error> {
        self.config.sync(sync).map(|_| ()).ok_or_else(|| Error::NoSync(sync.clone()))
    }
}

/// A plugin as the configuration names it.
pub fn named(plugin: &PluginRef) -> String {
    match plugin {
        PluginRef::Stock(name) => name.clone(),
        PluginRef::File(path) => path.display().to_string(),
    }
}

fn doing(state: &State) -> &'static str {
    match state {
        State::Idle => "idle",
        State::Due => "due",
        State::Running { .. } => "running",
        State::Paused => "paused",
        State::LimitPaused { .. } => "limit-paused",
        State::AwaitingConnection => "awaiting-connection",
        State::Disabled => "disabled",
    }
}

fn capped(limit: Option<usize>) -> usize {
    limit.unwrap_or(USUAL).clamp(1, LIMIT)
}

fn record(found: store::RecordView) -> view::StoredRecord {
    view::StoredRecord {
        id: found.id,
        stamp: found.stamp,
        deleted: found.deleted,
        outcome: match found.state {
            store::State::Mapped => view::State::Mapped,
            store::State::Skipped(reason) => view::State::Skipped { reason },
            store::State::Failed(rejection) => view::State::Failed { rejection },
        },
        outputs: found
            .outputs
            .into_iter()
            .map(|output| view::Document {
                kind: output.kind.to_string(),
                key: output.key,
                body: view::json(output.body.into()),
            })
            .collect(),
        run: found.run,
        raw: view::json_opt(found.raw),
    }
}

//! Starts runs when they are due: [`plan`] decides, one task owns what is live, everybody else holds a [`Handle`].

mod error;
mod live;
pub mod plan;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use error::Error;

use crate::clock::Clock;
use crate::config::{SyncConfig, When};
use crate::events::Bus;
use crate::model::{Ending, Run, RunId, Scan, Stamp, SyncName, Trigger};
use crate::salesforce::MOST_TOGETHER;

/// What a run of a sync does. There is one run of a sync at a time, whatever it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Reads what changed in the org.
    Read(Trigger),
    /// Maps the stored records anew: all, or those that changed at this time or later.
    Remap(Option<Stamp>),
    /// Maps the failed records of this run again.
    Retry(RunId),
}

/// What executes a sync.
pub trait Runner: Send + Sync + 'static {
    /// Runs a sync to an end. When `cancel` is cancelled it finishes the batch in hand and ends as interrupted.
    fn run<'a>(
        &'a self,
        sync: &'a SyncName,
        work: Work,
        cancel: CancellationToken,
    ) -> BoxFuture<'a, RunResult>;

    /// Whether a sync that waits for a connection to be authorised would find one now.
    fn ready(&self, sync: &SyncName) -> bool;

    /// Hears that these syncs are about to be run at one moment, the most important first, and that each is expected to
    /// find next to nothing: they may ask together.
    fn together(&self, _syncs: &[SyncName]) {}
}

/// How an execution went.
#[derive(Debug, Clone, PartialEq)]
pub struct RunResult {
    /// How it ended.
    pub ended: Ending,
    /// Its number; none when it failed before it had one.
    pub run: Option<RunId>,
    /// Why the sync is paused from now on, when the run found that it must be; it is remembered already.
    pub paused: Option<String>,
    /// Whether it found next to nothing; see [`is_quiet`].
    pub quiet: bool,
}

/// Whether a run asked what is new and found next to nothing: so little that what [`MOST_TOGETHER`] such runs find
/// fits into one page of this many records. Of the next one that is expected as well.
pub fn is_quiet(run: &Run, page_size: u16) -> bool {
    let asked = run.window.is_some_and(|window| window.scan == Scan::ByStamp);
    let share = u64::from(page_size) / MOST_TOGETHER as u64;
    asked && run.trigger.reads() && run.pages <= 1 && run.counts.fetched <= share
}

/// Where pauses are remembered. Called off the async threads, so it may block.
pub trait PauseStore: Send + Sync + 'static {
    /// The paused syncs.
    fn load(&self) -> Result<Vec<SyncName>, String>;
    /// Remembers that a sync is paused, or not any more; durable when it returns.
    fn set(&self, sync: &SyncName, paused: bool) -> Result<(), String>;
}

/// A sync as the schedule needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its name.
    pub name: SyncName,
    /// Its object.
    pub object: String,
    /// When it runs by itself.
    pub when: When,
    /// Larger goes first.
    pub priority: i32,
    /// Whether it runs at all.
    pub enabled: bool,
    /// How long a run may take before it is told to finish.
    pub timeout: Option<Duration>,
    /// Its last run, so that a restart does not run everything again.
    pub last: Option<LastRun>,
    /// What was left unfinished beside that, to be done first.
    pub left: Option<Work>,
}

impl Job {
    /// The job of a configured sync and its last run in the store that asked the org.
    pub fn new(sync: &SyncConfig, last: Option<&Run>) -> Self {
        let last = last.map(|run| LastRun {
            run: Some(run.id),
            ending: run.ending.clone().unwrap_or(Ending::Interrupted),
            started: run.started,
            ended: run.ended.unwrap_or(run.started),
            quiet: is_quiet(run, sync.page_size),
        });
        Self {
            name: sync.name.clone(),
            object: sync.object.clone(),
            when: sync.schedule.clone(),
            priority: sync.priority,
            enabled: sync.enabled,
            timeout: sync.timeout,
            last,
            left: None,
        }
    }
}

/// The last run of a sync.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastRun {
    /// Its number; none when it failed before it had one.
    pub run: Option<RunId>,
    /// How it ended.
    pub ending: Ending,
    /// When it began.
    pub started: Stamp,
    /// When it ended.
    pub ended: Stamp,
    /// Whether it found next to nothing.
    #[serde(skip)]
    pub quiet: bool,
}

/// What a sync is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// Waiting for its time.
    Idle,
    /// Due, and waiting for a free place.
    Due,
    /// Running.
    Running {
        /// The run; none until it has its number.
        run: Option<RunId>,
        /// Since when.
        since: Stamp,
    },
    /// Paused, until it is resumed.
    Paused,
    /// Waiting for API calls to be possible again.
    LimitPaused {
        /// When it goes on, when that is known.
        until: Option<Stamp>,
    },
    /// Waiting for a person to authorise its connection again.
    AwaitingConnection,
    /// Switched off in the configuration.
    Disabled,
}

/// A sync as the page shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncStatus {
    /// Its name.
    pub name: SyncName,
    /// Its object.
    pub object: String,
    /// What it is doing.
    #[serde(flatten)]
    pub state: State,
    /// Its last run that ended; none before the first.
    pub last: Option<LastRun>,
    /// When it runs next by itself; none when it does not.
    pub next_due: Option<Stamp>,
}

/// What became of the wish to run a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// It runs.
    Started,
    /// It runs as soon as a place is free.
    Queued,
}

/// How the schedule works.
#[derive(Clone)]
pub struct Options {
    /// How many runs there may be at once; at least 1.
    pub concurrency: usize,
    /// What jitter follows from.
    pub seed: u64,
    /// The clock.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self { concurrency: 4, seed: 0, clock: Clock::default() }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Options {{ concurrency: {}, seed: {} }}", self.concurrency, self.seed)
    }
}

/// Starts schedules.
#[derive(Debug)]
pub struct Scheduler;

impl Scheduler {
    /// Starts the task that owns the syncs' live state. It stops after [`Handle::stop`], or when no handle is left.
    pub async fn start(
        jobs: Vec<Job>,
        runner: Arc<dyn Runner>,
        pauses: Arc<dyn PauseStore>,
        bus: Bus,
        options: Options,
    ) -> Result<Handle, Error> {
        let store = pauses.clone();
        let paused = tokio::task::spawn_blocking(move || store.load())
            .await
            .map_err(|error| Error::Pauses(error.to_string()))?
            .map_err(Error::Pauses)?;
        let (sender, commands) = mpsc::channel(64);
        let live = live::Live::new(jobs, &paused, runner, pauses, bus, options);
        tokio::spawn(live.work(commands));
        Ok(Handle { sender })
    }
}

/// What is asked of the task.
enum Command {
    Ask(SyncName, Work, oneshot::Sender<Result<Asked, Error>>),
    Pause(SyncName, bool, oneshot::Sender<Result<(), Error>>),
    Status(oneshot::Sender<Vec<SyncStatus>>),
    Idle(oneshot::Sender<()>),
    Look(oneshot::Sender<Option<Stamp>>),
    Stop(oneshot::Sender<()>),
}

/// A hold on a running schedule; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    sender: mpsc::Sender<Command>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

impl Handle {
    /// Runs a sync as soon as a place is free, whatever its schedule says.
    pub async fn run_now(&self, sync: &SyncName) -> Result<Asked, Error> {
        self.wish(sync, Work::Read(Trigger::Manual)).await
    }

    /// Does this work as soon as a place is free and the sync's run in hand, if there is one, has ended.
    pub async fn wish(&self, sync: &SyncName, work: Work) -> Result<Asked, Error> {
        self.ask(|answer| Command::Ask(sync.clone(), work, answer)).await?
    }

    /// Pauses a sync until it is resumed; a run in progress finishes the batch in hand. Survives restarts.
    pub async fn pause(&self, sync: &SyncName) -> Result<(), Error> {
        self.ask(|answer| Command::Pause(sync.clone(), true, answer)).await?
    }

    /// Lets a paused sync run again; what its last run left is done at once.
    pub async fn resume(&self, sync: &SyncName) -> Result<(), Error> {
        self.ask(|answer| Command::Pause(sync.clone(), false, answer)).await?
    }

    /// Every sync, in the order of the configuration.
    pub async fn status(&self) -> Result<Vec<SyncStatus>, Error> {
        self.ask(Command::Status).await
    }

    /// Looks at the clock now: starts what is due, and tells when the next sync will be. For clocks that jump.
    pub async fn look(&self) -> Result<Option<Stamp>, Error> {
        self.ask(Command::Look).await
    }

    /// Waits until nothing runs and nothing is due.
    pub async fn wait_idle(&self) -> Result<(), Error> {
        self.ask(Command::Idle).await
    }

    /// Starts nothing more, lets every run finish the batch in hand, and returns when all have ended.
    pub async fn stop(&self) {
        // An error means that it has stopped already.
        drop(self.ask(Command::Stop).await);
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Error> {
        let (sender, answer) = oneshot::channel();
        self.sender.send(command(sender)).await.map_err(|_| Error::Stopped)?;
        answer.await.map_err(|_| Error::Stopped)
    }
}

#[cfg(test)]
mod tests;

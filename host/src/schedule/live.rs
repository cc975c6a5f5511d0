//! The task that owns the live state: acts on what [`plan`](super::plan) decides, and on nothing else.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::plan::{self, Candidate, Choice, Due, Last};
use super::{
    Asked, Command, Error, Job, LastRun, Options, PauseStore, RunResult, Runner, State, SyncStatus,
    Work,
};
use crate::events::{Bus, Event, Told};
use crate::model::{Ending, RunId, Stamp, SyncName, Trigger};

/// The clock may be set while a timer waits, so no wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Wishes of one sync that wait at once.
const MOST_ASKED: usize = 16;

struct Slot {
    job: Job,
    seed: u64,
    paused: bool,
    /// What somebody has asked for, and since when; the first goes first.
    asked: VecDeque<(Work, Stamp)>,
    running: Option<Running>,
    due: Option<Due>,
    /// From when on it may start with others.
    together: Option<Stamp>,
}

struct Running {
    work: Work,
    run: Option<RunId>,
    since: Stamp,
    cancel: CancellationToken,
    /// The group that it started in.
    group: Option<u64>,
}

impl Slot {
    /// Nothing is started any more; a remap that was asked for is done when the sync is resumed.
    fn pause(&mut self) {
        self.paused = true;
        self.asked.retain(|(work, _)| matches!(work, Work::Remap(_)));
    }
}

pub(super) struct Live {
    slots: Vec<Slot>,
    runner: Arc<dyn Runner>,
    pauses: Arc<dyn PauseStore>,
    bus: Bus,
    options: Options,
    tasks: JoinSet<RunResult>,
    owners: HashMap<Id, usize>,
    groups: u64,
    idle: Vec<oneshot::Sender<()>>,
    stopping: Vec<oneshot::Sender<()>>,
    stopped: bool,
    deserted: bool,
}

impl Live {
    pub(super) fn new(
        jobs: Vec<Job>,
        paused: &[SyncName],
        runner: Arc<dyn Runner>,
        pauses: Arc<dyn PauseStore>,
        bus: Bus,
        options: Options,
    ) -> Self {
        let now = options.clock.now();
        let slot = |job: Job| {
            let seed = plan::seed(options.seed, job.name.as_str());
            let last = job.last.as_ref().map(|last| Last {
                started: last.started,
                ending: last.ending.clone(),
                seen: false,
                quiet: last.quiet,
            });
            let due = plan::due(&job.when, last.as_ref(), now, seed);
            let together = plan::with_others(&job.when, last.as_ref(), now);
            let paused = paused.contains(&job.name);
            let asked = job.left.map(|work| (work, now)).into_iter().collect();
            Slot { job, seed, paused, asked, running: None, due, together }
        };
        let slots = jobs.into_iter().map(slot).collect();
        Self {
            slots,
            runner,
            pauses,
            bus,
            options,
            tasks: JoinSet::new(),
            owners: HashMap::new(),
            groups: 0,
            idle: Vec::new(),
            stopping: Vec::new(),
            stopped: false,
            deserted: false,
        }
    }

    pub(super) async fn work(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut events = self.bus.subscribe();
        loop {
            let wait = self.tick();
            if self.stopped && self.tasks.is_empty() {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep_until(Instant::now() + wait) => {}
                command = commands.recv(), if !self.deserted => match command {
                    Some(command) => self.obey(command).await,
                    None => {
                        self.deserted = true;
                        self.stop();
                    }
                },
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                event = events.recv() => self.hear(event),
            }
        }
        for waiting in self.stopping.drain(..).chain(self.idle.drain(..)) {
            waiting.send(()).ok();
        }
    }

    fn now(&self) -> Stamp {
        self.options.clock.now()
    }

    fn candidates(&self) -> Vec<Candidate> {
        let candidate = |(index, slot): (usize, &Slot)| Candidate {
            index,
            running: slot.running.is_some(),
            group: slot.running.as_ref().and_then(|running| running.group),
            free: slot.job.enabled && !slot.paused,
            asked: slot.asked.front().map(|(_, since)| *since),
            due: slot.due,
            together: slot.together,
            priority: slot.job.priority,
        };
        self.slots.iter().enumerate().map(candidate).collect()
    }

    /// Starts what is due and returns how long nothing more will be.
    fn tick(&mut self) -> Duration {
        if self.stopped {
            return LONGEST_WAIT;
        }
        let now = self.now();
        self.reconnect(now);
        let bound = self.options.concurrency.max(1);
        let Choice { start, groups, waiting, wake } = plan::choose(&self.candidates(), now, bound);
        if !start.is_empty() {
            let name = |index: usize| self.slots.get(index).map(|slot| slot.job.name.clone());
            self.bus.emit(Event::ScheduleTick {
                started: start.iter().filter_map(|(index, _)| name(*index)).collect(),
                waiting: waiting.iter().filter_map(|index| name(*index)).collect(),
                next: wake,
            });
        }
        for group in &groups {
            let names = group.iter().filter_map(|index| self.slots.get(*index));
            self.runner.together(&names.map(|slot| slot.job.name.clone()).collect::<Vec<_>>());
        }
        for (index, trigger) in start {
            let group = groups.iter().zip(self.groups..).find(|(group, _)| group.contains(&index));
            self.start(index, trigger, now, group.map(|(_, number)| number));
        }
        self.groups += groups.len() as u64;
        if self.tasks.is_empty() && waiting.is_empty() {
            for waiter in self.idle.drain(..) {
                waiter.send(()).ok();
            }
        }
        wake.map_or(LONGEST_WAIT, |at| at.since(now).min(LONGEST_WAIT))
    }

    /// Lets syncs go on that waited for a connection which is there now.
    fn reconnect(&mut self, now: Stamp) {
        for slot in &mut self.slots {
            let last = slot.job.last.as_ref();
            let waits = last.filter(|last| plan::waits_for_connection(&last.ending));
            if let Some(last) = waits
                && slot.due.is_none()
                && slot.running.is_none()
                && self.runner.ready(&slot.job.name)
            {
                slot.due = Some(plan::reconnected(last.ended, now));
            }
        }
    }

    /// Starts what is due by the clock as it stands, and tells when the next sync is.
    fn look(&mut self) -> Option<Stamp> {
        self.tick();
        let free = self.slots.iter().filter(|slot| slot.job.enabled && !slot.paused);
        free.filter(|slot| slot.running.is_none())
            .filter_map(|slot| slot.due)
            .map(|due| due.at)
            .min()
    }

    fn start(&mut self, index: usize, trigger: Trigger, now: Stamp, group: Option<u64>) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let cancel = CancellationToken::new();
        let work = match (trigger, slot.asked.pop_front()) {
            (Trigger::Manual, Some((work, _))) => work,
            (trigger, asked) => {
                slot.asked.extend(asked);
                Work::Read(trigger)
            }
        };
        slot.running = Some(Running { work, run: None, since: now, cancel: cancel.clone(), group });
        let (runner, name) = (self.runner.clone(), slot.job.name.clone());
        // The bound is one of reading; what is mapped from the store takes as long as there is of it.
        let timeout = slot.job.timeout.filter(|_| matches!(work, Work::Read(_)));
        let task = self.tasks.spawn(async move {
            let mut run = runner.run(&name, work, cancel.clone());
            if let Some(timeout) = timeout {
                match tokio::time::timeout(timeout, &mut run).await {
                    Ok(result) => return result,
                    Err(_) => cancel.cancel(),
                }
            }
            run.await
        });
        self.owners.insert(task.id(), index);
    }

    fn ended(&mut self, ended: Result<(Id, RunResult), JoinError>) {
        let (id, result) = match ended {
            Ok((id, result)) => (id, Some(result)),
            Err(error) => (error.id(), None),
        };
        let now = self.now();
        let Some(slot) = self.owners.remove(&id).and_then(|index| self.slots.get_mut(index)) else {
            return;
        };
        let Some(running) = slot.running.take() else { return };
        // A panic has been reported by the panic hook; here it must only not stop the others.
        let result = result.unwrap_or_else(|| RunResult {
            paused: None,
            quiet: false,
            run: running.run,
            ended: Ending::Failed {
                code: "run.panic".to_owned(),
                message: "kilofold itself failed; the log has the place".to_owned(),
            },
        });
        if let Some(reason) = result.paused {
            slot.pause();
            let sync = slot.job.name.clone();
            self.bus.emit(Event::SyncPaused { sync, reason: Some(reason) });
        }
        let (started, ending, quiet) = (running.since, result.ended, result.quiet);
        if !matches!(running.work, Work::Read(_)) {
            // The sync's own times do not change by it. What a pause stopped goes on before anything else.
            if ending == Ending::Interrupted && matches!(running.work, Work::Remap(_)) {
                slot.asked.push_front((running.work, now));
            }
            return;
        }
        let last = Last { started, ending: ending.clone(), seen: true, quiet };
        slot.due = plan::due(&slot.job.when, Some(&last), now, slot.seed);
        slot.together = plan::with_others(&slot.job.when, Some(&last), now);
        let run = result.run.or(running.run);
        slot.job.last = Some(LastRun { run, ending, started, ended: now, quiet });
    }

    /// Learns the numbers of runs, which their own code allocates.
    fn hear(&mut self, event: Result<Arc<Told>, broadcast::error::RecvError>) {
        // Behind: a number stays unknown until the run ends, which hurts nobody.
        let Ok(told) = event else { return };
        if let Event::RunStarted { run, sync, .. } = &told.event
            && let Some(slot) = self.slots.iter_mut().find(|slot| slot.job.name == *sync)
            && slot.job.last.as_ref().and_then(|last| last.run).is_none_or(|last| *run > last)
            && let Some(running) = &mut slot.running
        {
            running.run = Some(*run);
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Ask(name, work, answer) => {
                let asked = self.wish(&name, work);
                drop(answer.send(asked));
            }
            Command::Pause(name, paused, answer) => {
                let done = self.set_paused(&name, paused).await;
                drop(answer.send(done));
            }
            Command::Status(answer) => drop(answer.send(self.status())),
            Command::Idle(answer) => self.idle.push(answer),
            Command::Look(answer) => drop(answer.send(self.look())),
            Command::Stop(answer) => {
                self.stopping.push(answer);
                self.stop();
            }
        }
    }

    fn find(&self, name: &SyncName) -> Result<usize, Error> {
        let found = self.slots.iter().position(|slot| slot.job.name == *name);
        found.ok_or_else(|| Error::Unknown(name.clone()))
    }

    fn wish(&mut self, name: &SyncName, work: Work) -> Result<Asked, Error> {
        let (index, now) = (self.find(name)?, self.now());
        let Some(slot) = self.slots.get_mut(index) else {
            return Err(Error::Unknown(name.clone()));
        };
        if self.stopped {
            return Err(Error::Stopped);
        }
        if !slot.job.enabled {
            return Err(Error::Disabled(name.clone()));
        }
        let running = slot.running.as_ref().is_some_and(|running| running.work == work);
        let asked = slot.asked.iter().any(|(asked, _)| *asked == work);
        // A wish to read is met by the run in hand, whatever started that.
        let read = matches!(work, Work::Read(_)) && slot.running.is_some();
        if running || asked || read || slot.asked.len() >= MOST_ASKED {
            return Err(Error::Running(name.clone()));
        }
        if slot.paused {
            return Err(Error::Paused(name.clone()));
        }
        let busy = slot.running.is_some();
        slot.asked.push_back((work, now));
        self.tick();
        let started = self.slots.get(index).is_some_and(|slot| {
            !busy && slot.running.as_ref().is_some_and(|running| running.work == work)
        });
        Ok(if started { Asked::Started } else { Asked::Queued })
    }

    async fn set_paused(&mut self, name: &SyncName, paused: bool) -> Result<(), Error> {
        let index = self.find(name)?;
        let (store, key) = (self.pauses.clone(), name.clone());
        // Remembered first: a pause that a restart forgets is worse than one that is late.
        tokio::task::spawn_blocking(move || store.set(&key, paused))
            .await
            .map_err(|error| Error::Pauses(error.to_string()))?
            .map_err(Error::Pauses)?;
        let now = self.now();
        let Some(slot) = self.slots.get_mut(index) else { return Ok(()) };
        if slot.paused == paused {
            return Ok(());
        }
        slot.paused = paused;
        if paused {
            slot.pause();
            if let Some(running) = &slot.running {
                running.cancel.cancel();
            }
            self.bus.emit(Event::SyncPaused { sync: name.clone(), reason: None });
        } else {
            let broken =
                slot.job.last.as_ref().is_some_and(|last| last.ending == Ending::Interrupted);
            if broken && slot.running.is_none() {
                slot.due = Some(Due { at: now, trigger: Trigger::Resume });
            }
            self.bus.emit(Event::SyncResumed { sync: name.clone() });
        }
        Ok(())
    }

    fn status(&self) -> Vec<SyncStatus> {
        let now = self.now();
        let status = |slot: &Slot| {
            let free = slot.job.enabled && !slot.paused;
            let due = slot.due.filter(|_| free && slot.running.is_none());
            let state = match (&slot.running, slot.job.last.as_ref().map(|last| &last.ending)) {
                (Some(running), _) => State::Running { run: running.run, since: running.since },
                (None, _) if !slot.job.enabled => State::Disabled,
                (None, _) if slot.paused => State::Paused,
                (None, _) if !slot.asked.is_empty() => State::Due,
                (None, _) if due.is_some_and(|due| due.at <= now) => State::Due,
                (None, Some(ending)) if plan::waits_for_connection(ending) => {
                    State::AwaitingConnection
                }
                (None, Some(Ending::Paused { resumes_at, .. })) => {
                    State::LimitPaused { until: *resumes_at }
                }
                (None, _) => State::Idle,
            };
            SyncStatus {
                name: slot.job.name.clone(),
                object: slot.job.object.clone(),
                state,
                last: slot.job.last.clone(),
                next_due: due.map(|due| due.at),
            }
        };
        self.slots.iter().map(status).collect()
    }

    fn stop(&mut self) {
        if !self.stopped {
            self.stopped = true;
            self.bus.emit(Event::HostStopping);
        }
        for running in self.slots.iter().filter_map(|slot| slot.running.as_ref()) {
            running.cancel.cancel();
        }
    }
}

//! Lists of runs: newest first, by sync, outcome and time, and each sync's last runs in brief.
//!
//! A list costs what it shows: with `s` syncs and `o` wanted outcomes, `limit` runs out of `n` take
//! O((s·o + limit) · log n) reads, however many runs do not fit. The brief of a run lies beside its number, so a strip of
//! fifty runs is one walk over fifty small values.

use std::collections::BinaryHeap;
use std::time::Duration;

use super::Store;
use super::codec::{self, Put, Take};
use super::disk::{Disk, Walk, Writes};
use super::error::Error;
use super::layout::{Space, number_at};
use super::names::{Class, Names};
use super::runs::{RunFilter, read_run};
use crate::model::{Run, RunId, Stamp, Standing, SyncName};

/// What a run reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// What is stored: it asks nobody.
    Store,
    /// The whole object.
    All,
    /// What changed.
    Changes,
}

/// A run in as few words as a bar of a strip needs, and a forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brief {
    /// Its number.
    pub run: RunId,
    /// How it stands.
    pub standing: Standing,
    /// When it started, by the local clock.
    pub started: Stamp,
    /// How long it took; zero while it runs.
    pub took: Duration,
    /// Records that arrived.
    pub fetched: u64,
    /// Records that could not be mapped.
    pub failed: u64,
    /// Calls that it spent itself.
    pub calls: u64,
    /// Pages that it read.
    pub pages: u64,
    /// What it reads.
    pub reads: Reads,
}

impl Brief {
    /// A run in brief.
    pub fn of(run: &Run) -> Self {
        Self {
            run: run.id,
            standing: run.standing(),
            started: run.started,
            took: run.ended.map_or(Duration::ZERO, |ended| ended.since(run.started)),
            fetched: run.counts.fetched,
            failed: run.counts.failed,
            calls: run.calls,
            pages: run.pages,
            reads: match run.cursor_before.covered {
                _ if !run.trigger.reads() => Reads::Store,
                None => Reads::All,
                Some(_) => Reads::Changes,
            },
        }
    }

    fn write(&self) -> Vec<u8> {
        let mut to = vec![code(self.standing)];
        to.signed(self.started.0);
        to.number(u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX));
        to.number(self.fetched);
        to.number(self.failed);
        to.number(self.calls);
        to.number(self.pages);
        to.push(match self.reads {
            Reads::Store => 0,
            Reads::All => 1,
            Reads::Changes => 2,
        });
        to
    }

    /// None for what cannot be read, and for the runs of older stores, whose value is empty or tells less.
    fn read(run: RunId, payload: &[u8]) -> Option<Self> {
        let mut take = Take(payload);
        let &[standing] = take.exactly(1)? else { return None };
        Some(Self {
            run,
            standing: Standing::ALL.into_iter().find(|known| code(*known) == standing)?,
            started: Stamp(take.signed()?),
            took: Duration::from_millis(take.number()?),
            fetched: take.number()?,
            failed: take.number()?,
            calls: take.number()?,
            pages: take.number()?,
            reads: match take.exactly(1)? {
                [0] => Reads::Store,
                [1] => Reads::All,
                [2] => Reads::Changes,
                _ => return None,
            },
        })
    }
}

/// The byte of a standing in keys and values; never to be changed.
fn code(standing: Standing) -> u8 {
    match standing {
        Standing::Running => 0,
        Standing::Succeeded => 1,
        Standing::SomeFailed => 2,
        Standing::Paused => 3,
        Standing::Failed => 4,
        Standing::Interrupted => 5,
    }
}

/// Takes an ended run from the lists.
pub(super) fn unindex(sync: u16, run: &Run, writes: &mut Writes) {
    let (sync, id) = (sync.to_be_bytes(), run.id.0.to_be_bytes());
    writes.remove(Space::RunOf.key(&[&sync, &id]));
    writes.remove(Space::RunAs.key(&[&sync, &[code(run.standing())], &id]));
}

/// Enters an ended run into the lists.
pub(super) fn index(sync: u16, run: &Run, writes: &mut Writes) {
    let (sync, id) = (sync.to_be_bytes(), run.id.0.to_be_bytes());
    writes.put(Space::RunOf.key(&[&sync, &id]), &Brief::of(run).write());
    writes.put(Space::RunAs.key(&[&sync, &[code(run.standing())], &id]), &[]);
}

/// Enters the runs of a store that was written before there were these lists, once.
pub(super) fn index_old(disk: &Disk, names: &Names) -> Result<(), Error> {
    let done = Space::RunAs.prefix();
    if disk.get(&done)?.is_some() {
        return Ok(());
    }
    let mut writes = Writes::default();
    for item in Space::Run.walk(disk) {
        let (key, _) = item?;
        if key.len() != KEY {
            continue;
        }
        let id = number_at(&key, 1).ok_or_else(|| codec::unfit(&key, "it is no run"))?;
        let run = read_run(disk, RunId(id))?;
        let run = run.ok_or_else(|| codec::unfit(&key, "its run is missing"))?;
        if run.ending.is_some()
            && let Some(sync) = names.number(Class::Sync, run.sync.as_str())
        {
            index(sync, &run, &mut writes);
        }
    }
    writes.put(done, &[]);
    disk.apply(writes)?;
    disk.flush()
}

/// A key of [`Space::Run`]; longer ones are further parts of a long run.
const KEY: usize = 9;

impl Store {
    /// Runs, the newest first.
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>, Error> {
        let mut before = filter.before.map_or(u64::MAX, |run| run.0);
        if let Some(until) = filter.until {
            before = before.min(self.first_since(until)?);
        }
        let mut heads = self.heads(filter, before)?;
        let mut runs: Vec<Run> = Vec::new();
        while let Some(Head { id, mut rest }) = heads.pop() {
            if runs.len() >= filter.limit {
                break;
            }
            if let Some(next) = rest.next().transpose()? {
                heads.push(Head { id: next, rest });
            }
            if runs.last().is_some_and(|run| run.id.0 == id) {
                continue;
            }
            // It may have been removed since its number was listed.
            let Some(run) = self.run(RunId(id))? else { continue };
            if filter.from.is_some_and(|from| run.started < from) {
                break;
            }
            // It may have ended since its number was listed.
            if filter.standings.is_empty() || filter.standings.contains(&run.standing()) {
                runs.push(run);
            }
        }
        Ok(runs)
    }

    /// The lists that a filter draws from, each newest first.
    fn heads(&self, filter: &RunFilter, before: u64) -> Result<BinaryHeap<Head<'_>>, Error> {
        let mut lists: Vec<Numbers<'_>> = Vec::new();
        let syncs: Vec<u16> = match &filter.sync {
            Some(sync) => self.sync_number(sync).into_iter().collect(),
            None => self.syncs().iter().filter_map(|sync| self.sync_number(sync)).collect(),
        };
        if filter.standings.is_empty() {
            match (&filter.sync, syncs.first()) {
                (None, _) => lists.push(self.numbers(Space::Run.prefix(), before)),
                (Some(_), Some(sync)) => {
                    lists.push(self.numbers(Space::RunOf.key(&[&sync.to_be_bytes()]), before));
                }
                (Some(_), None) => {}
            }
        }
        for standing in &filter.standings {
            if *standing == Standing::Running {
                let fits = |run: &&Run| {
                    run.id.0 < before && filter.sync.as_ref().is_none_or(|sync| run.sync == *sync)
                };
                let mut ids: Vec<u64> =
                    self.active().values().filter(fits).map(|run| run.id.0).collect();
                ids.sort_unstable_by(|a, b| b.cmp(a));
                lists.push(Box::new(ids.into_iter().map(Ok)));
                continue;
            }
            for sync in &syncs {
                let prefix = Space::RunAs.key(&[&sync.to_be_bytes(), &[code(*standing)]]);
                lists.push(self.numbers(prefix, before));
            }
        }
        let mut heads = BinaryHeap::new();
        for mut rest in lists {
            if let Some(id) = rest.next().transpose()? {
                heads.push(Head { id, rest });
            }
        }
        Ok(heads)
    }

    /// The run numbers under a prefix below `before`, the greatest first.
    fn numbers(&self, prefix: Vec<u8>, before: u64) -> Numbers<'_> {
        let end = [&prefix[..], &before.to_be_bytes()].concat();
        let at = prefix.len();
        let walk: Walk<'_> = self.0.disk.below(&prefix, &end);
        Box::new(walk.rev().filter_map(move |item| match item {
            // A further part of a long run.
            Ok((key, _)) if key.len() != at + 8 => None,
            Ok((key, _)) => {
                Some(number_at(&key, at).ok_or_else(|| codec::unfit(&key, "it is no run")))
            }
            Err(error) => Some(Err(error)),
        }))
    }

    /// The number of the first run that started at this time or later; above all when none did. Numbers rise with time, but
    /// for a clock that was set back, where a run may be listed a little too early or too late.
    fn first_since(&self, at: Stamp) -> Result<u64, Error> {
        let (mut low, mut high) = (1, self.writer().meta.next_run);
        while low < high {
            let middle = low + (high - low) / 2;
            let probe = Space::Run.number(middle);
            let found = self.0.disk.from(&Space::Run.prefix(), &probe).next().transpose()?;
            let run = match found.and_then(|(key, _)| number_at(&key, 1)) {
                Some(id) => self.run(RunId(id))?,
                None => None,
            };
            match run {
                Some(run) if run.started < at => low = run.id.0 + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// The next run of a sync after this one.
    pub fn run_after(&self, sync: &SyncName, run: RunId) -> Result<Option<RunId>, Error> {
        let Some(number) = self.sync_number(sync) else { return Ok(None) };
        let prefix = Space::RunOf.key(&[&number.to_be_bytes()]);
        let from = [&prefix[..], &run.0.saturating_add(1).to_be_bytes()].concat();
        let next = self.0.disk.from(&prefix, &from).next().transpose()?;
        Ok(next.and_then(|(key, _)| number_at(&key, prefix.len())).map(RunId))
    }

    /// The last runs of a sync in brief, the newest first.
    pub fn strip(&self, sync: &SyncName, limit: usize) -> Result<Vec<Brief>, Error> {
        self.strip_since(sync, Stamp(i64::MIN), limit)
    }

    /// The runs of a sync that started at this time or later in brief, the newest first, at most `limit`.
    pub fn strip_since(
        &self,
        sync: &SyncName,
        since: Stamp,
        limit: usize,
    ) -> Result<Vec<Brief>, Error> {
        let Some(number) = self.sync_number(sync) else { return Ok(Vec::new()) };
        let prefix = Space::RunOf.key(&[&number.to_be_bytes()]);
        let mut briefs = Vec::new();
        for item in self.0.disk.all(&prefix).rev() {
            if briefs.len() >= limit {
                break;
            }
            let (key, payload) = item?;
            let id = number_at(&key, prefix.len())
                .map(RunId)
                .ok_or_else(|| codec::unfit(&key, "it is no run"))?;
            let brief = match Brief::read(id, &payload) {
                Some(brief) => brief,
                None => match self.run(id)? {
                    Some(run) => Brief::of(&run),
                    None => continue,
                },
            };
            if brief.started < since {
                break;
            }
            briefs.push(brief);
        }
        Ok(briefs)
    }
}

/// Run numbers, the greatest first.
type Numbers<'a> = Box<dyn Iterator<Item = Result<u64, Error>> + 'a>;

/// The next number of a list, and what follows it.
struct Head<'a> {
    id: u64,
    rest: Numbers<'a>,
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Head<'_> {}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.id.cmp(&other.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_store_wrote_is_read_from_the_run() {
        let brief = Brief {
            run: RunId(7),
            standing: Standing::SomeFailed,
            started: Stamp(-5),
            took: Duration::from_millis(300),
            fetched: 1000,
            failed: 2,
            calls: 128,
            pages: 1,
            reads: Reads::Changes,
        };
        let written = brief.write();
        assert_eq!(Brief::read(RunId(7), &written), Some(brief));
        for shorter in 0..written.len() {
            assert_eq!(Brief::read(RunId(7), &written[..shorter]), None);
        }
    }
}

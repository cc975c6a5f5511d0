//! What is kept of history, and how the rest goes: in small steps, beside commits.

use std::time::Duration;

use super::Store;
use super::codec;
use super::disk::{Disk, Writes};
use super::error::Error;
use super::feed::{Chunk, KEY};
use super::layout::{Space, number_at};
use super::runs::read_run;
use crate::model::{RunId, Stamp};

/// How much of the feed is kept. What is older than `age` or beyond `entries` goes, but not before every live consumer has
/// it, and then at the latest when it is older than `hold`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedRules {
    /// Changes are kept for so long.
    pub age: Duration,
    /// So many are kept at most.
    pub entries: u64,
    /// The longest that a live consumer can hold changes back.
    pub hold: Duration,
    /// A consumer that was not heard of for so long is not live.
    pub quiet: Duration,
}

/// How long a run's history is kept after its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunRules {
    /// The notes of its pages.
    pub pages: Duration,
    /// Its failed records.
    pub failures: Duration,
    /// The run itself.
    pub runs: Duration,
    /// The newest so many runs of a sync stay whole, whatever their age.
    pub newest: usize,
}

/// Whether changes up to `last`, committed at `at`, may go. `slowest`: how far the slowest live consumer has come.
pub fn may_go(
    rules: &FeedRules,
    (last, at): (u64, Stamp),
    end: u64,
    now: Stamp,
    slowest: Option<u64>,
) -> bool {
    let age = now.since(at);
    let surplus = age > rules.age || end.saturating_sub(last) >= rules.entries;
    let wanted = slowest.is_some_and(|slowest| slowest < last);
    surplus && (!wanted || age > rules.hold)
}

/// Keys that one step removes at most.
const STEP: usize = 256;

impl Store {
    /// Removes the oldest changes that may go, as many as one step takes; tells how many. The last batch stays always.
    pub fn trim_feed(&self, rules: &FeedRules, now: Stamp) -> Result<u64, Error> {
        let disk = &self.0.disk;
        let end = self.feed_end()?;
        let live = self.consumers()?.into_iter().filter(|one| now.since(one.seen) <= rules.quiet);
        let slowest = live.map(|one| one.acknowledged).min();
        let mut writes = Writes::default();
        let (mut keys, mut gone) = (0, 0);
        let mut chunks = Space::Feed.walk(disk).peekable();
        while let Some(item) = chunks.next() {
            let (key, head) = item?;
            if key.len() != KEY {
                continue;
            }
            let chunk = Chunk::read(disk, &key, &head)?;
            let last = chunk.last();
            let pinned = self.pinned().is_some_and(|pinned| pinned < last);
            if pinned
                || last >= end
                || keys >= STEP
                || !may_go(rules, (last, chunk.at), end, now, slowest)
            {
                break;
            }
            gone += last + 1 - chunk.first;
            keys += 1;
            writes.remove(key.to_vec());
            while let Some(Ok((part, _))) = chunks.next_if(|next| is_part(next, &key)) {
                keys += 1;
                writes.remove(part.to_vec());
            }
        }
        if keys > 0 {
            disk.apply(writes)?;
            disk.flush()?;
        }
        Ok(gone)
    }

    /// Removes history of runs that ended long ago, beginning behind `after`: a step looks at a hundred runs and removes at
    /// most some hundred keys. Gives what it removed, and where the next step begins; none at the end.
    pub fn trim_runs(
        &self,
        rules: &RunRules,
        after: Option<RunId>,
        now: Stamp,
    ) -> Result<(u64, Option<RunId>), Error> {
        const RUNS: usize = 100;
        let disk = &self.0.disk;
        let from = after.map_or(0, |run| run.0.saturating_add(1));
        let prefix = Space::Run.prefix();
        let mut writes = Writes::default();
        let (mut keys, mut seen, mut next) = (0, 0, None);
        for item in disk.from(&prefix, &Space::Run.number(from)) {
            let (key, _) = item?;
            if key.len() != KEY {
                continue;
            }
            let id = number_at(&key, 1).ok_or_else(|| codec::unfit(&key, "it is no run"))?;
            if seen >= RUNS || keys >= STEP {
                next = Some(RunId(id.saturating_sub(1)));
                break;
            }
            seen += 1;
            let Some(run) = read_run(disk, RunId(id))? else { continue };
            let Some(ended) = run.ended else { continue };
            let age = now.since(ended);
            if age <= rules.pages.min(rules.failures).min(rules.runs) || self.is_new(&run, rules)? {
                continue;
            }
            let whole = age > rules.runs;
            let mut left = false;
            for (space, rule) in [(Space::Page, rules.pages), (Space::Failure, rules.failures)] {
                if whole || age > rule {
                    left |= remove_some(disk, &space.number(id), STEP, &mut keys, &mut writes)?;
                }
            }
            if left {
                // The rest of this run comes with the next step.
                next = Some(RunId(id.saturating_sub(1)));
                break;
            }
            if whole {
                remove_some(disk, &Space::Run.number(id), usize::MAX, &mut keys, &mut writes)?;
                if let Some(sync) = self.sync_number(&run.sync) {
                    super::brief::unindex(sync, &run, &mut writes);
                }
            }
        }
        if keys > 0 {
            disk.apply(writes)?;
            disk.flush()?;
        }
        Ok((keys as u64, next))
    }

    /// Whether a run is among the newest of its sync.
    fn is_new(&self, run: &crate::model::Run, rules: &RunRules) -> Result<bool, Error> {
        let Some(sync) = self.sync_number(&run.sync) else { return Ok(false) };
        let prefix = Space::RunOf.key(&[&sync.to_be_bytes()]);
        let own = [&prefix[..], &run.id.0.to_be_bytes()].concat();
        let newer = self.0.disk.after(&prefix, &own).take(rules.newest);
        Ok(newer.collect::<Result<Vec<_>, _>>()?.len() < rules.newest)
    }
}

/// Whether this key goes on with the value of that one.
fn is_part(next: &Result<(sled::IVec, sled::IVec), Error>, key: &[u8]) -> bool {
    next.as_ref().is_ok_and(|(part, _)| part.len() > key.len() && part.starts_with(key))
}

/// Removes keys of a prefix until a step has removed `most`; tells whether some are left.
fn remove_some(
    disk: &Disk,
    prefix: &[u8],
    most: usize,
    keys: &mut usize,
    writes: &mut Writes,
) -> Result<bool, Error> {
    for item in disk.all(prefix) {
        if *keys >= most {
            return Ok(true);
        }
        writes.remove(item?.0.to_vec());
        *keys += 1;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    proptest::proptest! {
        /// A live consumer loses nothing that is younger than the bound; what is young and within the count stays for
        /// everybody; and beyond the bound nobody holds anything.
        #[test]
        fn nothing_goes_too_early(
            last in 1..1000_u64, more in 0..1000_u64, days in 0..200_u64, slowest: Option<u16>, entries in 1..1500_u64,
        ) {
            let rules = FeedRules { age: DAY * 30, entries, hold: DAY * 90, quiet: DAY * 7 };
            let now = Stamp(0).plus(DAY * 1000);
            let (end, at) = (last + more, now.minus(DAY * u32::try_from(days).unwrap()));
            let slowest = slowest.map(u64::from);
            let goes = may_go(&rules, (last, at), end, now, slowest);
            let needed = slowest.is_some_and(|slowest| slowest < last);
            if goes {
                proptest::prop_assert!(days > 30 || more >= entries);
                proptest::prop_assert!(!needed || days > 90);
            } else {
                proptest::prop_assert!((days <= 30 && more < entries) || (needed && days <= 90));
            }
        }
    }
}

//! What each sync costs a day, from its runs in the store or, before it has run, from its schedule.

use crate::config::SyncConfig;
use crate::model::{Stamp, Standing, SyncName};
use crate::quota::{DAY, Need, PastRun, Usual};
use crate::salesforce::kept_describe;
use crate::schedule::plan;
use crate::store::{Error, Reads, RunFilter, Store};
use crate::sync::small_pages;

/// So many runs of late are learnt from.
const RUNS: usize = 50;

/// What one sync costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// The sync.
    pub sync: SyncName,
    /// What it usually costs.
    pub usual: Usual,
    /// Whether the object was not read whole yet.
    pub first_pass: bool,
    /// Records of the first pass that are left, as far as Salesforce has told.
    pub left: Option<u64>,
    /// Whether a person or a fault paused it.
    pub paused: bool,
}

/// What a sync costs. Looks at its runs of late, in brief.
pub fn of(store: &Store, sync: &SyncConfig, now: Stamp) -> Result<Cost, Error> {
    let past: Vec<PastRun> = store
        .strip(&sync.name, RUNS)?
        .iter()
        .filter(|run| run.reads == Reads::Changes && run.standing != Standing::Running)
        // One that was stopped before it asked for anything says nothing.
        .filter(|run| {
            matches!(run.standing, Standing::Succeeded | Standing::SomeFailed) || run.pages > 0
        })
        .map(|run| PastRun { started: run.started, calls: run.calls, records: run.fetched })
        .collect();
    let first_pass = store.cursor(&sync.name)?.covered.is_none();
    Ok(Cost {
        sync: sync.name.clone(),
        usual: Usual::of(&past, plan::runs_a_day(&sync.schedule, now), now),
        first_pass,
        left: if first_pass { left(store, sync)? } else { None },
        paused: store.pause(&sync.name)?.is_some(),
    })
}

/// Records that the last run which was told of a number has not read.
fn left(store: &Store, sync: &SyncConfig) -> Result<Option<u64>, Error> {
    let filter = RunFilter { sync: Some(sync.name.clone()), limit: RUNS, ..RunFilter::default() };
    let runs = store.runs(&filter)?;
    Ok(runs.iter().find_map(|run| Some(run.expected?.saturating_sub(run.counts.fetched))))
}

/// The most calls a day that are left to a sync whatever more important ones need.
const MOST_FLOOR: u64 = 10;

/// What a run may need beside its queries: a description of the object, and a question in vain with a session that has ended.
const BESIDE: u64 = 2;

/// What a sync is expected to need of the next 24 hours: a tenth more than it usually costs, and at the least the calls of one
/// run over the changes of a day, ten at most. One that cannot run now (`runs` is false: nobody can use its connection; or it
/// is paused) needs nothing, and so does one whose object was not read whole yet: its first pass has a share of its own.
pub fn need(store: &Store, sync: &SyncConfig, runs: bool, now: Stamp) -> Result<Need, Error> {
    let cost = of(store, sync, now)?;
    let runs = runs && !cost.paused;
    let regular = |calls: u64| if runs && !cost.first_pass { calls } else { 0 };
    let usual = cost.usual;
    let a_day = usual.at(DAY, sync.page_size.into()).max(usual.a_run());
    Ok(Need {
        sync: cost.sync,
        priority: sync.priority,
        day: regular(usual.calls.saturating_add(usual.calls.div_ceil(10))),
        floor: regular(a_day.saturating_add(BESIDE).min(MOST_FLOOR)),
        first_pass: runs && cost.first_pass,
    })
}

/// How large the pages of a sync are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pages {
    /// Records of one, at most.
    pub most: u16,
    /// Why they are smaller than was asked for, when they are.
    pub why: Option<String>,
}

/// How large a sync's pages are, as far as its last runs and what is kept of the object's description tell.
pub fn pages(store: &Store, sync: &SyncConfig) -> Result<Pages, Error> {
    let wanted = sync.page_size;
    let mut fields = Vec::new();
    for brief in store.strip(&sync.name, RUNS)? {
        fields = store.run(brief.run)?.map(|run| run.fields).unwrap_or_default();
        if !fields.is_empty() {
            break;
        }
    }
    let object = kept_describe(&sync.connections.first, &sync.object, |name| {
        // Without it nothing is known; it saves calls, no more.
        store.cached(name).ok().flatten().map(|cached| cached.bytes)
    });
    let ceiling = object.and_then(|object| object.ceiling(fields.iter().map(String::as_str)));
    let ceiling = ceiling.filter(|ceiling| ceiling.most < wanted);
    Ok(Pages {
        most: ceiling.as_ref().map_or(wanted, |ceiling| ceiling.most),
        why: ceiling.map(|ceiling| small_pages(&ceiling, wanted)),
    })
}

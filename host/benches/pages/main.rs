//! `cargo bench --bench pages`: how long each page takes over a store of a million records and ten thousand runs.
//!
//! The store is filled through its own commits, with pages of Contacts that the stock plugin mapped; then the program
//! serves it, and each page is asked for over a connection of its own, as a browser's first look is.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

mod serving;

use std::sync::Arc;
use std::time::{Duration, Instant};

use kilofold::model::{
    ConnectionName, ConsumerName, Cursor, Ending, Outcome, PageNote, RecordId, Run, RunId, Stamp,
    SyncName, Timing, Trigger,
};
use kilofold::plugin::{self, Engine, Limits, NoLookup, Plugin, Settings, Source};
use kilofold::store::{Commit, DeadLetter, DeliveryState, NewRun, Options, Store, Verdict};
use kilofold::web::view::Change;

use native::Page;
use serving::Serving;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const RECORDS: usize = 1_000_000;
const RUNS: usize = 10_000;
const SYNCS: usize = 10;
/// Different pages; the others are the same with Ids of their own.
const PAGES: usize = 10;
/// Records that a run of changes brings.
const CHANGED: usize = 12;
/// Changes that the destination did not take: as many as are kept.
const DEAD: usize = kilofold::deliver::MOST_DEAD;
/// Readers of the feed: as many as a store keeps the places of.
const READERS: usize = 999;
/// Times that each page is asked for.
const ROUNDS: usize = 30;
/// What a page may take.
const LIMIT: Duration = Duration::from_millis(50);

fn main() -> Result<()> {
    // `cargo test` asks every benchmark to show that it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let names: Vec<SyncName> = (0..SYNCS).map(name).collect::<Result<_>>()?;
    let begun = Instant::now();
    let store = Store::open(&folder.path().join("store"), &Options::default())?;
    let last = fill(&store, &names)?;
    readers(&store)?;
    drop(store);
    println!(
        "{RECORDS} records and {RUNS} runs of {SYNCS} syncs, stored in {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    let serving = Serving::start(folder.path(), &names)?;
    let first = name(0)?;
    let mut slow = Vec::new();
    for (what, path) in paths(&first, &last) {
        let mut times = Vec::with_capacity(ROUNDS);
        let mut size = 0;
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            size = serving.get(&path)?;
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        let (median, worst) = (times[ROUNDS / 2], times[ROUNDS - 1]);
        println!(
            "{what:<34} median {:>6.1} ms, worst {:>6.1} ms, {:>4} kB",
            median.as_secs_f64() * 1e3,
            worst.as_secs_f64() * 1e3,
            size / 1000
        );
        if median > LIMIT {
            slow.push(what);
        }
    }
    match slow.as_slice() {
        [] => Ok(()),
        slow => Err(format!("slower than {LIMIT:?}: {}", slow.join(", ")).into()),
    }
}

fn name(number: usize) -> Result<SyncName> {
    Ok(SyncName::new(&format!("Contact-{number}"))?)
}

/// What is measured.
fn paths(sync: &SyncName, last: &Last) -> Vec<(&'static str, String)> {
    let Last { first, run, record } = last;
    let half = RUNS / 2;
    vec![
        ("imports", "/".to_owned()),
        ("imports, in the middle", format!("/?before={half}")),
        ("imports of one sync", format!("/?sync={sync}")),
        ("imports, one outcome", "/?outcome=some-failed".to_owned()),
        ("imports, an outcome that none had", "/?outcome=interrupted".to_owned()),
        ("imports of the last hour", "/?within=1h".to_owned()),
        ("an import of 100 pages", format!("/imports/{first}")),
        ("its failed records", format!("/imports/{first}/failures")),
        ("the last import", format!("/imports/{run}")),
        ("data in", "/data".to_owned()),
        ("data in, one sync", format!("/data?sync={sync}")),
        ("data in, failed", "/data?outcome=failed".to_owned()),
        ("data in, found by Id", format!("/data?find={record}")),
        ("data in, found by nothing", "/data?find=nobody".to_owned()),
        ("a record", format!("/data/{sync}/{record}")),
        ("data out, a thousand readers", "/out".to_owned()),
        ("a reader", "/out/reader-500".to_owned()),
        ("ten thousand not taken", "/out/deliver.hook".to_owned()),
        ("not taken, in the middle", format!("/out/deliver.hook?after={}", DEAD / 2)),
        ("one that was not taken", format!("/out/deliver.hook/{}", DEAD / 2)),
        ("syncs", "/syncs".to_owned()),
        ("limits", "/limits".to_owned()),
        ("connections", "/connections".to_owned()),
        ("plugins", "/plugins".to_owned()),
        ("explain", "/explain".to_owned()),
    ]
}

/// The contact plugin, ready to be called.
struct Mapper {
    plugin: Plugin,
    settings: Settings,
}

impl Mapper {
    fn map(&self, page: &Page, sync: &SyncName) -> Result<Vec<Outcome>> {
        let call = plugin::Call {
            object: "Contact",
            sync,
            run: RunId(1),
            batch: 0,
            read_at: Stamp::now(),
            settings: &self.settings,
            lookup: Arc::new(NoLookup),
        };
        Ok(self.plugin.map(&call, &page.batch)?.outcomes)
    }
}

/// Places in the store that are looked at.
struct Last {
    /// The first run of the first sync.
    first: RunId,
    /// The last run of all.
    run: RunId,
    /// A record that many runs changed.
    record: RecordId,
}

/// A first run of each sync that takes its share of the records, then runs that bring a few changes each.
fn fill(store: &Store, names: &[SyncName]) -> Result<Last> {
    let engine = Engine::new(None, Limits::default())?;
    let plugin = engine.load(&Source::Stock("contact-to-person".to_owned()))?;
    let settings = plugin.check_settings(&serde_json::Map::new());
    let settings = settings.map_err(|problems| format!("{problems:?}"))?;
    let fields: Vec<String> =
        plugin.description().reads.iter().map(|read| read.name.clone()).collect();
    let mapper = Mapper { plugin, settings };
    let pages = native::make(&fields, PAGES)?;
    let mapped = |page: &Page| mapper.map(page, &names[0]);
    let whole: Vec<(Page, Vec<Outcome>)> = pages
        .into_iter()
        .map(|page| Ok((mapped(&page)?, page)))
        .map(|made: Result<(Vec<Outcome>, Page)>| made.map(|(outcomes, page)| (page, outcomes)))
        .collect::<Result<_>>()?;
    let changed = whole[0].0.changed()?;
    let sides = [(&whole[0].0, &whole[0].1.clone()), (&changed, &mapped(&changed)?)];
    let mut last = None;
    for (n, sync) in names.iter().enumerate() {
        let run = begin(store, &mapper, sync)?;
        for number in 0..RECORDS / SYNCS / native::SIZE {
            let (page, outcomes) = &whole[number % PAGES];
            commit(store, &run, number, page, outcomes, native::SIZE)?;
        }
        end(store, &run)?;
        if n == 0 {
            last = Some((run.id, id(0, 0)?));
        }
    }
    let (first, record) = last.ok_or("no sync")?;
    let mut run = first;
    for round in 1..RUNS / SYNCS {
        for sync in names {
            let (page, outcomes) = sides[round % 2];
            let opened = begin(store, &mapper, sync)?;
            commit(store, &opened, 0, page, outcomes, CHANGED)?;
            end(store, &opened)?;
            run = opened.id;
        }
    }
    Ok(Last { first, run, record })
}

/// A destination that did not take the first changes, and many readers, each somewhere else in the feed.
fn readers(store: &Store) -> Result<()> {
    let end = store.feed_end()?;
    for n in 0..READERS {
        let name = ConsumerName::new(&format!("reader-{n}"))?;
        let place = end / READERS as u64 * n as u64;
        store.move_consumer(&name, place, false, Stamp::now())??;
    }
    let hook = ConsumerName::new("deliver.hook")?;
    store.move_consumer(&hook, end, false, Stamp::now())??;
    let mut after = 0;
    while after < DEAD as u64 {
        let dead = store.feed(after, 1000)?.into_iter().map(|entry| {
            let (seq, change) = (entry.seq, Change::from(entry));
            let change = serde_json::value::to_raw_value(&change)?;
            let (code, reason) = (Some("deliver.refused".to_owned()), "422: no".to_owned());
            Ok(DeadLetter { seq, at: Stamp::now(), code, reason, change })
        });
        let dead = dead.collect::<Result<Vec<DeadLetter>>>()?;
        after = dead.last().ok_or("the feed is too short")?.seq;
        store.set_delivery(&hook, &DeliveryState::default(), &dead)?;
    }
    Ok(())
}

/// The Id of a record: the page's number and its own, in the way of Salesforce.
fn id(page: usize, record: usize) -> Result<RecordId> {
    Ok(RecordId::parse(&format!("003{page:06}{record:06}"))?)
}

fn begin(store: &Store, mapper: &Mapper, sync: &SyncName) -> Result<Run> {
    Ok(store.begin_run(NewRun {
        sync: sync.clone(),
        object: "Contact".to_owned(),
        connection: ConnectionName::new("main")?,
        trigger: Trigger::Schedule,
        started: Stamp::now(),
        cursor_before: store.cursor(sync)?,
        plugin: Some(mapper.plugin.note()),
        quota_before: None,
    })?)
}

/// Commits the first records of a page under Ids of their own.
fn commit(
    store: &Store,
    run: &Run,
    number: usize,
    page: &Page,
    outcomes: &[Outcome],
    records: usize,
) -> Result<()> {
    let picked: Vec<usize> = (0..records).collect();
    let mut batch =
        if records == page.batch.len() { page.batch.clone() } else { page.batch.select(&picked) };
    let mut verdicts = Vec::with_capacity(records);
    for (n, (record, outcome)) in batch.records.iter_mut().zip(outcomes).enumerate() {
        record.id = id(number, n)?;
        let mut outcome = outcome.clone();
        if let Outcome::Mapped(outputs) = &mut outcome {
            outputs.iter_mut().for_each(|output| output.key = record.id.to_string());
        }
        verdicts.push(outcome);
    }
    let known = store.known(&run.sync, &batch)?;
    let verdicts = verdicts.into_iter().enumerate().map(|(n, outcome)| {
        if known.unchanged(n) { Verdict::Unchanged } else { Verdict::Became(outcome) }
    });
    let timing = Timing { fetch: 90_000, map: 9_000, commit: 12_000 };
    let note = PageNote {
        page: u64::try_from(number)?,
        at: Stamp::now(),
        bytes: page.text.len() as u64,
        counts: Default::default(),
        timing,
        request_id: None,
    };
    store.commit(Commit {
        run: run.id,
        sync: &run.sync,
        outcomes: verdicts.collect(),
        batch: &batch,
        known,
        cursor: Cursor::default(),
        page: note,
        calls: 1,
        maker: None,
        remap: None,
        keep_raw: true,
    })?;
    Ok(())
}

fn end(store: &Store, run: &Run) -> Result<()> {
    let failed = store.run(run.id)?.is_some_and(|run| run.counts.failed > 0);
    let ending = if failed { Ending::SucceededWithFailures } else { Ending::Succeeded };
    store.end_run(run.id, ending, Stamp::now(), |run| run.expected = Some(run.counts.fetched))?;
    Ok(())
}

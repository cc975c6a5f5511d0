//! `cargo bench --bench rooms`: what each room costs for one page of 1000 Contacts of about 1.2 KB.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

mod hostile;
mod ledger;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use kilofold::model::{
    ConnectionName, Counts, Cursor, Outcome, PageNote, Run, RunId, Stamp, SyncName, Timing, Trigger,
};
use kilofold::plugin::{self, Engine, Limits, NoLookup, Plugin, Settings, Source};
use kilofold::store::{Commit, NewRun, Options, Store, Verdict};

use native::Page;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Pages that the store gets one after the other before it begins anew.
const PAGES: usize = 20;

fn main() -> Result<()> {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .configure_from_args();
    let mut group = criterion.benchmark_group("page");
    group.throughput(Throughput::Elements(native::SIZE as u64));

    let mapper = Mapper::new()?;
    let pages = native::make(&mapper.fields(), PAGES)?;
    let first = pages.first().ok_or("no page")?;
    println!("{} records, {} bytes", first.batch.len(), first.text.len());
    group.bench_function("read an answer", |b| {
        b.iter(|| first.selection.read_answer(black_box(&first.text)));
    });
    mapping(&mut group, &mapper, first)?;
    storing(&mut group, &mapper, &pages)?;
    group.finish();
    ledger::bench(&mut criterion)?;
    hostile::bench(&mut criterion)?;
    Ok(())
}

/// The contact plugin, ready to be called.
struct Mapper {
    plugin: Plugin,
    settings: Settings,
    sync: SyncName,
}

impl Mapper {
    fn new() -> Result<Self> {
        let engine = Engine::new(None, Limits::default())?;
        let plugin = engine.load(&Source::Stock("contact-to-person".to_owned()))?;
        let settings = plugin.check_settings(&serde_json::Map::new());
        let settings = settings.map_err(|problems| format!("{problems:?}"))?;
        Ok(Self { plugin, settings, sync: SyncName::new("Contact")? })
    }

    fn fields(&self) -> Vec<String> {
        self.plugin.description().reads.iter().map(|read| read.name.clone()).collect()
    }

    fn map(&self, page: &Page) -> Result<Vec<Outcome>> {
        let call = plugin::Call {
            object: "Contact",
            sync: &self.sync,
            run: RunId(1),
            batch: 0,
            read_at: Stamp::now(),
            settings: &self.settings,
            lookup: Arc::new(NoLookup),
        };
        Ok(self.plugin.map(&call, &page.batch)?.outcomes)
    }
}

/// The plugin beside native code that does the same, both from the answer's text to stored bodies.
fn mapping(group: &mut BenchmarkGroup<'_, WallTime>, mapper: &Mapper, page: &Page) -> Result<()> {
    let mapped = mapper.map(page)?;
    for (name, native) in
        [("serde_json", native::serde_json(page)?), ("sonic-rs", native::sonic(page)?)]
    {
        if native != mapped {
            let differs = native.iter().zip(&mapped).find(|(native, mapped)| native != mapped);
            return Err(format!("the plugin and {name} differ: {differs:#?}").into());
        }
    }
    group.bench_function("map with the plugin", |b| b.iter(|| mapper.map(black_box(page)).is_ok()));
    group.bench_function("read and map with the plugin", |b| {
        b.iter(|| (page.selection.read_answer(&page.text).is_ok(), mapper.map(page).is_ok()));
    });
    group.bench_function("read and map natively with serde_json", |b| {
        b.iter(|| native::serde_json(black_box(page)).is_ok());
    });
    group.bench_function("read and map natively with sonic-rs", |b| {
        b.iter(|| native::sonic(black_box(page)).is_ok());
    });

    let map = quickest(|| mapper.map(page).is_ok());
    let whole =
        quickest(|| page.selection.read_answer(&page.text).is_ok() && mapper.map(page).is_ok());
    for (name, took) in [
        ("serde_json", quickest(|| native::serde_json(page).is_ok())),
        ("sonic-rs", quickest(|| native::sonic(page).is_ok())),
    ] {
        println!(
            "to native {name} ({} us a page): the plugin's part {:.2} ({} us), reading and mapping {:.2} ({} us)",
            took.as_micros(),
            map.as_secs_f64() / took.as_secs_f64(),
            map.as_micros(),
            whole.as_secs_f64() / took.as_secs_f64(),
            whole.as_micros(),
        );
    }
    Ok(())
}

/// The least of many: what the work takes when nothing disturbs it.
fn quickest(mut work: impl FnMut() -> bool) -> Duration {
    let times = (0..100).map(|_| {
        let begun = Instant::now();
        assert!(black_box(work()), "the work fails");
        begun.elapsed()
    });
    times.min().unwrap_or_default()
}

/// One commit of a page: looking up what is known of it, and the durable step.
fn storing(
    group: &mut BenchmarkGroup<'_, WallTime>,
    mapper: &Mapper,
    pages: &[Page],
) -> Result<()> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let store = Store::open(folder.path(), &Options::default())?;
    let mut mapped = Vec::new();
    for page in pages {
        // The same records once more, each of them changed.
        let changed = page.changed()?;
        mapped.push([
            (page.batch.clone(), mapper.map(page)?),
            (changed.batch.clone(), mapper.map(&changed)?),
        ]);
    }
    let commit = |run: &Run, page: usize, side: usize| -> Result<(Duration, Counts)> {
        let (batch, outcomes) = &mapped[page % PAGES][side % 2];
        let begun = Instant::now();
        let known = store.known(&run.sync, batch)?;
        let outcomes = outcomes.iter().enumerate().map(|(i, outcome)| match known.unchanged(i) {
            true => Verdict::Unchanged,
            false => Verdict::Became(outcome.clone()),
        });
        let outcomes = outcomes.collect();
        let note = PageNote {
            page: 0,
            at: Stamp::now(),
            bytes: 0,
            counts: Default::default(),
            timing: Timing::default(),
            request_id: None,
        };
        let committed = store.commit(Commit {
            run: run.id,
            sync: &run.sync,
            batch,
            known,
            outcomes,
            cursor: Cursor::default(),
            page: note,
            calls: 0,
            maker: None,
            remap: None,
            keep_raw: true,
        })?;
        Ok((begun.elapsed(), committed.counts))
    };

    let mut passes = 0;
    group.bench_function("commit new records", |b| {
        b.iter_custom(|n| {
            let n = usize::try_from(n).unwrap_or(usize::MAX);
            let passes = (0..n).step_by(PAGES).map(|from| {
                // A sync of which nothing is stored yet.
                passes += 1;
                let run = opened(begin(&store, mapper, passes));
                let pages = from..n.min(from + PAGES);
                pages
                    .map(|page| told(commit(&run, page, 0), |counts| counts.unchanged == 0))
                    .sum::<Duration>()
            });
            passes.sum::<Duration>()
        });
    });
    let run = begin(&store, mapper, 0)?;
    for page in 0..PAGES {
        commit(&run, page, 0)?;
    }
    group.bench_function("commit unchanged records", |b| {
        b.iter_custom(|n| {
            let pages = 0..usize::try_from(n).unwrap_or(usize::MAX);
            let commits = pages.map(|page| {
                told(commit(&run, page, 0), |counts| counts.unchanged == counts.fetched)
            });
            commits.sum()
        });
    });
    let mut rounds = 0..;
    group.bench_function("commit changed records", |b| {
        b.iter_custom(|n| {
            let rounds = rounds.by_ref().take(usize::try_from(n).unwrap_or(usize::MAX));
            // Each pass over the pages turns them to their other side.
            rounds
                .map(|round| commit(&run, round, 1 + round / PAGES))
                .map(|committed| told(committed, |counts| counts.unchanged == 0))
                .sum()
        });
    });
    Ok(())
}

/// A run of a sync of its own.
fn begin(store: &Store, mapper: &Mapper, number: usize) -> Result<Run> {
    Ok(store.begin_run(NewRun {
        sync: SyncName::new(&format!("Contact-{number}"))?,
        object: "Contact".to_owned(),
        connection: ConnectionName::new("main")?,
        trigger: Trigger::Manual,
        started: Stamp::now(),
        cursor_before: Cursor::default(),
        plugin: Some(mapper.plugin.note()),
        quota_before: None,
    })?)
}

fn opened(run: Result<Run>) -> Run {
    run.unwrap_or_else(|error| panic!("{error}"))
}

fn told(committed: Result<(Duration, Counts)>, wanted: fn(&Counts) -> bool) -> Duration {
    match committed {
        Ok((took, counts)) if wanted(&counts) => took,
        other => panic!("not the commit that was to be measured: {other:?}"),
    }
}

//! The ledger of API calls: a permit, and a day of 100,000 calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::Criterion;
use kilofold::model::{Call, Caller, ConnectionName, Purpose, RunId, Stamp, SyncName};
use kilofold::quota::{Gate, Journal, Need, Pass, Room, Rules};
use kilofold::store::{self, Options, Store};

use super::Result;

const SYNCS: u64 = 20;
const CALLS: i64 = 100_000;

/// Measures.
pub fn bench(criterion: &mut Criterion) -> Result<()> {
    permits(criterion)?;
    day(criterion)
}

/// The journal of a host, with the store behind it or without.
struct Book(Option<Store>);

impl Journal for Book {
    fn begin(&self, call: &Call) -> std::result::Result<Room, String> {
        let room = self.0.as_ref().map_or(Ok(store::Room::Plenty), |store| store.enter_call(call));
        room.map_err(|error| error.to_string()).map(|room| match room {
            store::Room::Plenty => Room::Plenty,
            store::Room::Little => Room::Little,
            store::Room::None => Room::None,
        })
    }

    fn void(&self, call: &Call) {
        if let Some(Err(error)) = self.0.as_ref().map(|store| store.take_back_call(call)) {
            panic!("{error}");
        }
    }

    fn fold(&self) -> std::result::Result<(), String> {
        let folded = self.0.as_ref().map_or(Ok(()), Store::fold_calls);
        folded.map_err(|error| error.to_string())
    }

    fn since(&self, at: Stamp) -> std::result::Result<Vec<Call>, String> {
        let calls = self.0.as_ref().map_or(Ok(Vec::new()), |store| store.calls_since(at));
        calls.map_err(|error| error.to_string())
    }
}

fn caller(sync: u64) -> Result<Caller> {
    let sync = Some(SyncName::new(&format!("sync-{sync}"))?);
    Ok(Caller { connection: ConnectionName::new("main")?, sync, run: Some(RunId(1)), page: None })
}

/// A permit for one call that is then spent, among twenty syncs that are expected to need some.
fn permits(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("permit");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let caller = caller(3)?;
    let needs: Result<Vec<Need>> = (0..SYNCS)
        .map(|n| {
            let sync = SyncName::new(&format!("sync-{n}"))?;
            let first_pass = n == 7;
            Ok(Need { sync, priority: i32::try_from(n)?, day: 100, floor: 2, first_pass })
        })
        .collect();
    let needs = needs?;
    for (name, durable) in [("in memory", false), ("on record", true)] {
        group.bench_function(name, |b| {
            b.iter_custom(|n| {
                let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).ok();
                let store = folder.as_ref().filter(|_| durable).map(|folder| {
                    Store::open(folder.path(), &Options::default())
                        .unwrap_or_else(|error| panic!("{error}"))
                });
                let rules = Rules { entitlement: Some(u64::MAX / 4), ..Rules::default() };
                let gate = Gate::new(rules, Arc::new(Book(store)))
                    .unwrap_or_else(|error| panic!("{error}"));
                gate.expect(needs.clone());
                runtime.block_on(async {
                    let begun = Instant::now();
                    for _ in 0..n {
                        match gate.permit(&caller, Purpose::QueryMore).await {
                            Ok(permit) => Pass::from(permit).sending(),
                            Err(refused) => panic!("{refused}"),
                        }
                    }
                    begun.elapsed()
                })
            });
        });
    }
    group.finish();
    Ok(())
}

/// A day of calls: how large it is on disk, and how long a host takes to know it again.
fn day(criterion: &mut Criterion) -> Result<()> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let store = Store::open(folder.path(), &Options::default())?;
    let before = size(folder.path());
    let now = Stamp::now();
    let begun = Instant::now();
    for n in 0..CALLS {
        let call = Call {
            at: now.minus(Duration::from_millis(u64::try_from((CALLS - n) * 860)?)),
            caller: caller(u64::try_from(n)? % SYNCS)?,
            purpose: if n % 3 == 0 { Purpose::Query } else { Purpose::QueryMore },
            backfill: false,
            saved: 0,
        };
        while store.enter_call(&call)? == store::Room::None {
            store.fold_calls()?;
        }
        // As the runs of a day would: one stores something every few calls.
        if n % 40 == 0 {
            store.fold_calls()?;
        }
    }
    store.fold_calls()?;
    let kept: u64 = store.ledger_bytes()?;
    println!(
        "{CALLS} calls of a day: {kept} bytes of values, {} kB of files, written in {:.1} s",
        (size(folder.path()) - before) / 1000,
        begun.elapsed().as_secs_f64(),
    );
    let mut group = criterion.benchmark_group("a day of 100,000 calls");
    let book = Arc::new(Book(Some(store.clone())));
    group.bench_function("open the gate", |b| {
        b.iter(|| Gate::new(Rules::default(), book.clone()).map(|gate| gate.day()).ok());
    });
    group.bench_function("sum by the hour", |b| {
        b.iter(|| {
            store.hours_of_calls(now.minus(Duration::from_secs(86_400))).map(|h| h.len()).ok()
        });
    });
    drop((book, store));
    group.bench_function("open the store", |b| {
        b.iter(|| Store::open(folder.path(), &Options::default()).is_ok());
    });
    group.finish();
    Ok(())
}

fn size(folder: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

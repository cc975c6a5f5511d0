//! `cargo bench --bench mapping`: one batch of 1000 Contacts of 0.5, 1 and 2 KB through the plugin host, step by step, in
//! Rust, TypeScript and Python, held against native code that does the same with serde_json and with sonic-rs.
//!
//! The TypeScript and Python plugins are those that the test `plugin_languages` built; without them they are left out.
//! `-- FILE.wasm ...` measures these instead, which must map as `contact-to-person` does. Times are of the thread's CPU, so
//! that a busy machine disturbs them less; the steps of a batch are on the clock.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kilofold::model::{Outcome, RunId, Stamp, SyncName};
use kilofold::plugin::{Call, Engine, Limits, NoLookup, Plugin, Settings, Source, Spent, stock};
use native::Page;
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Sizes of a record on the wire, in bytes.
const SIZES: [usize; 3] = [512, 1024, 2048];
/// Rounds: of times the quickest counts, what the work takes when nothing disturbs it, and of ratios the median.
const ROUNDS: usize = 20;
/// Turns of the same work in a round.
const TURNS: usize = 4;
const RUST: &str = "contact-to-person";

fn main() -> Result<()> {
    let mut languages = vec![(String::from("Rust"), Source::Stock(RUST.to_owned()))];
    let named: Vec<String> =
        std::env::args().skip(1).filter(|arg| arg.ends_with(".wasm")).collect();
    if named.is_empty() {
        languages.push((String::from("TypeScript"), Source::File(built("ts"))));
        languages.push((String::from("Python"), Source::File(built("py"))));
    }
    for path in named.iter().map(PathBuf::from) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        languages.push((name, Source::File(path)));
    }
    let cache = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut loaded = Vec::new();
    println!("{:<12} {:>9} {:>12} {:>12}", "plugin", "KB", "compile ms", "load ms");
    for (name, source) in &languages {
        if let Source::File(path) = source
            && !path.exists()
        {
            println!("{name:<12} not built; run the test plugin_languages first");
            continue;
        }
        let (bytes, compile, load) = loading(source, &cache.path().join(name))?;
        println!(
            "{name:<12} {:>9} {:>12.1} {:>12.2}",
            bytes.div_ceil(1024),
            millis(compile),
            millis(load)
        );
        loaded.push((name.as_str(), Mapper::new(source)?));
    }
    let rust = loaded.first().map(|(_, mapper)| mapper).ok_or("no plugin")?;
    let usual = native::make(&rust.fields(), 1)?;
    let usual = usual.first().ok_or("no page")?;
    for size in SIZES {
        compare(&loaded, &sized(usual, size)?, size)?;
    }
    Ok(())
}

/// Where the test of the languages leaves its components.
fn built(language: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages").join(language);
    folder.join("dist").join(format!("contact-to-person-{language}.wasm"))
}

/// Size of a component, the time to compile it, and the time to load it from the cache: to read it, prove its digest,
/// take its code, link it and ask it what it is.
fn loading(source: &Source, cache: &Path) -> Result<(usize, Duration, Duration)> {
    let bytes = match source {
        Source::File(path) => std::fs::metadata(path)?.len() as usize,
        _ => stock().iter().find(|(name, _)| *name == RUST).map_or(0, |(_, bytes)| bytes.len()),
    };
    let limits = || Limits { compile_ms: 600_000, ..Limits::default() };
    let begun = Instant::now();
    Engine::new(Some(cache), limits())?.load(source)?;
    let compile = begun.elapsed();
    let engine = Engine::new(Some(cache), limits())?;
    let load = quickest(|| engine.load(source).is_ok());
    Ok((bytes, compile, load))
}

/// A plugin, ready to be called.
struct Mapper {
    plugin: Plugin,
    settings: Settings,
    sync: SyncName,
}

impl Mapper {
    fn new(source: &Source) -> Result<Self> {
        let limits = Limits { compile_ms: 600_000, ..Limits::default() };
        let plugin = Engine::new(None, limits)?.load(source)?;
        let settings = plugin.check_settings(&serde_json::Map::new());
        let settings = settings.map_err(|problems| format!("{problems:?}"))?;
        Ok(Self { plugin, settings, sync: SyncName::new("Contact")? })
    }

    fn fields(&self) -> Vec<String> {
        self.plugin.description().reads.iter().map(|read| read.name.clone()).collect()
    }

    fn call(&self) -> Call<'_> {
        Call {
            object: "Contact",
            sync: &self.sync,
            run: RunId(1),
            batch: 0,
            read_at: Stamp(1_780_000_000_000),
            settings: &self.settings,
            lookup: Arc::new(NoLookup),
        }
    }
}

/// What one plugin took in every round.
#[derive(Default)]
struct Rounds {
    fresh: Vec<Duration>,
    reused: Vec<Duration>,
    /// The steps of the quickest call.
    least: Option<(Duration, Spent)>,
}

/// One page through every plugin and through native code, in turn: what disturbs a round disturbs all of it.
fn compare(plugins: &[(&str, Mapper)], page: &Page, size: usize) -> Result<()> {
    let records = page.batch.len();
    println!("\n{records} records of {size} bytes ({} bytes in all)", page.text.len());
    let wanted = native::serde_json(page)?;
    let mut all: Vec<Rounds> = plugins.iter().map(|_| Rounds::default()).collect();
    let calls: Vec<Call<'_>> = plugins.iter().map(|(_, mapper)| mapper.call()).collect();
    let mut warm = Vec::new();
    for ((name, mapper), call) in plugins.iter().zip(&calls) {
        same(name, &mapper.plugin.map(call, &page.batch)?.outcomes, &wanted)?;
        warm.push(mapper.plugin.warm(call)?);
    }
    let (mut read, mut serde, mut sonic) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        read.push(timed(|| page.selection.read_answer(black_box(&page.text)).is_ok()));
        serde.push(timed(|| native::serde_json(black_box(page)).is_ok()));
        sonic.push(timed(|| native::sonic(black_box(page)).is_ok()));
        for (i, (rounds, warm)) in all.iter_mut().zip(&mut warm).enumerate() {
            rounds.fresh.push(timed(|| {
                let mapped = plugins[i].1.plugin.map(&calls[i], black_box(&page.batch));
                let Ok(mapped) = &mapped else { return false };
                if rounds.least.is_none_or(|(least, _)| mapped.took < least) {
                    rounds.least = Some((mapped.took, mapped.spent));
                }
                true
            }));
            rounds.reused.push(timed(|| warm.map(black_box(&page.batch)).is_some()));
        }
    }
    println!(
        "  native, from the answer's text to bodies: serde_json {:.2?}, sonic-rs {:.2?}",
        least(&serde),
        least(&sonic)
    );
    println!("  the host's reading of the answer, before any plugin: {:.2?}", least(&read));
    println!(
        "  {:<11} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7} {:>8} {:>7}",
        "us", "start", "encode", "guest", "decode", "fresh", "reused", "fresh/", "whole/", "whole/"
    );
    println!("  {:>71} {:>8} {:>7} {:>8} {:>7}", "", "", "reused", "serde", "sonic");
    for ((name, _), Rounds { fresh, reused, least: quickest }) in plugins.iter().zip(&all) {
        let (_, spent) = quickest.ok_or("nothing was measured")?;
        let whole: Vec<Duration> = read.iter().zip(fresh).map(|(read, map)| *read + *map).collect();
        println!(
            "  {name:<11} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7.2} {:>8.2} {:>7.2}",
            spent.start.as_micros(),
            spent.encode.as_micros(),
            spent.guest.as_micros(),
            spent.decode.as_micros(),
            least(fresh).as_micros(),
            least(reused).as_micros(),
            ratio(fresh, reused),
            ratio(&whole, &serde),
            ratio(&whole, &sonic),
        );
    }
    Ok(())
}

/// Whether a plugin does what native code does; otherwise there is nothing to compare.
fn same(name: &str, mapped: &[Outcome], wanted: &[Outcome]) -> Result<()> {
    let differs = mapped.iter().zip(wanted).find(|(mapped, wanted)| mapped != wanted);
    match differs {
        Some(differs) => Err(format!("{name} and native code differ: {differs:#?}").into()),
        None => Ok(()),
    }
}

/// The page with records of so many bytes: fields that the mapping only hands on are emptied, or the description, which
/// no mapping reads, grows.
fn sized(page: &Page, size: usize) -> Result<Page> {
    const EMPTIED: [&str; 13] = [
        "Description",
        "MailingStreet",
        "Title",
        "Department",
        "MailingCountry",
        "MailingCity",
        "MobilePhone",
        "MailingPostalCode",
        "Salutation",
        "MailingState",
        "LeadSource",
        "External_Ref__c",
        "Account",
    ];
    let answer: Value = serde_json::from_slice(&page.text)?;
    let mut records = answer["records"].as_array().ok_or("no records")?.clone();
    for record in &mut records {
        for name in EMPTIED {
            if record.to_string().len() <= size {
                break;
            }
            record[name] = Value::Null;
        }
        if let Some(room) = size.checked_sub(record.to_string().len() + 2) {
            let description = record["Description"].as_str().unwrap_or_default();
            record["Description"] =
                Value::from(format!("{description}{}", "lorem ipsum ".repeat(room / 12)));
        }
    }
    Page::new(serde_json::to_string(&records)?.as_bytes(), &page.selection)
}

/// What this thread has worked.
#[cfg(unix)]
fn cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on every Unix, and the pointer is to a value of its type that outlives the call.
    let told = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert!(told == 0, "no clock of the thread");
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The clock, where there is none of the thread.
#[cfg(not(unix))]
fn cpu() -> Duration {
    static BEGUN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    BEGUN.get_or_init(Instant::now).elapsed()
}

/// What a piece of work takes: the least of some turns, of which the first brings back to the caches what others drove out.
fn timed(mut work: impl FnMut() -> bool) -> Duration {
    let turn = |_| {
        let begun = cpu();
        assert!(black_box(work()), "the work fails");
        cpu() - begun
    };
    (0..TURNS).map(turn).min().unwrap_or_default()
}

/// The least of many.
fn quickest(mut work: impl FnMut() -> bool) -> Duration {
    let times: Vec<Duration> = (0..ROUNDS).map(|_| timed(&mut work)).collect();
    least(&times)
}

fn least(times: &[Duration]) -> Duration {
    times.iter().min().copied().unwrap_or_default()
}

/// The median of what the rounds of one took to those of another.
fn ratio(of: &[Duration], to: &[Duration]) -> f64 {
    let mut ratios: Vec<f64> =
        of.iter().zip(to).map(|(of, to)| of.as_secs_f64() / to.as_secs_f64()).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

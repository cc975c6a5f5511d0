//! How soon the next batch is mapped after a plugin did harm, and how soon a compiled plugin is loaded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::Criterion;
use kilofold::model::{Batch, Outcome, RunId, Selection, Stamp, SyncName};
use kilofold::plugin::{Call, Engine, Error, Limits, NoLookup, Plugin, Source};
use serde_json::{Map, json};

use super::Result;

/// What is borne after harm.
const SOON: Duration = Duration::from_millis(5);

/// Harm that ends quickly, so that many rounds can be made.
const HARM: [&str; 6] =
    ["panic", "abort", "stack", "memory-grow", "realloc-outside", "result-many-cells"];

/// Measures both, and fails when the next batch comes late in the best of its rounds.
pub fn bench(criterion: &mut Criterion) -> Result<()> {
    let limits = Limits { traps: 0, ..Limits::default() };
    let evil = Source::File(env!("KILOFOLD_EVIL_PLUGIN").into());
    let plugin = Engine::new(None, limits)?.load(&evil)?;
    let batch = batch()?;
    let mut group = criterion.benchmark_group("hostile");
    for mode in HARM {
        let mut least = Duration::MAX;
        group.bench_function(format!("a batch after {mode}"), |b| {
            b.iter_custom(|rounds| {
                let mut all = Duration::ZERO;
                for _ in 0..rounds {
                    let harm = map(&plugin, mode, &batch);
                    assert!(
                        matches!(harm, Ok(Err(Error::TooManyTraps { .. }))),
                        "{mode}: {harm:?}"
                    );
                    let begun = Instant::now();
                    let good = map(&plugin, "none", &batch);
                    let took = begun.elapsed();
                    let mapped = |one: &Outcome| matches!(one, Outcome::Mapped(_));
                    assert!(good.is_ok_and(|good| good.is_ok_and(|all| all.iter().all(mapped))));
                    least = least.min(took);
                    all += took;
                }
                all
            });
        });
        if least != Duration::MAX && least > SOON {
            return Err(format!("the batch after {mode} took {least:?}").into());
        }
    }
    group.finish();
    cached(criterion)
}

/// Loading from the cache: what a start of the host pays for each plugin, beside the engine itself.
fn cached(criterion: &mut Criterion) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("compiled");
    let stock = Source::Stock("contact-to-person".to_owned());
    Engine::new(Some(&path), Limits::default())?.load(&stock)?;
    criterion.bench_function("load a compiled plugin", |b| {
        b.iter_custom(|rounds| {
            let mut all = Duration::ZERO;
            for _ in 0..rounds {
                // An engine loads a component once, so each round has its own.
                let Ok(engine) = Engine::new(Some(&path), Limits::default()) else { continue };
                let begun = Instant::now();
                let loaded = engine.load(&stock);
                all += begun.elapsed();
                assert!(loaded.is_ok());
            }
            all
        });
    });
    Ok(())
}

type Mapped = std::result::Result<Vec<Outcome>, Error>;

fn map(plugin: &Plugin, mode: &str, batch: &Batch) -> Result<Mapped> {
    let mut given = Map::new();
    given.insert("mode".to_owned(), json!(mode));
    let settings = plugin.check_settings(&given).map_err(|problems| format!("{problems:?}"))?;
    let sync = SyncName::new("Contact")?;
    let call = Call {
        object: "Contact",
        sync: &sync,
        run: RunId(1),
        batch: 0,
        read_at: Stamp::now(),
        settings: &settings,
        lookup: Arc::new(NoLookup),
    };
    Ok(plugin.map(&call, batch).map(|mapped| mapped.outcomes))
}

/// A record: harm is found in one attempt.
fn batch() -> Result<Batch> {
    let text = r#"{"totalSize":1,"done":true,"records":[{"Id":"0034C00000VaYfK","Name":"Ann"}]}"#;
    let fields = ["Id", "Name"].map(str::to_owned);
    Ok(Selection::new(&fields, None).read_answer(&Bytes::from(text))?.batch)
}

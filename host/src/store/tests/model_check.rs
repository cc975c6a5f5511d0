//! Any sequence of batches leaves the store as it leaves a plain map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What a step does to a record.
#[derive(Debug, Clone)]
enum Act {
    Map(Vec<(u8, u8)>),
    Skip,
    Fail,
    Delete,
    Reread,
}

/// Keys: a few shared ones, and the ids of records.
fn key(n: u8) -> String {
    if n < 4 { format!("shared-{n}") } else { id(u32::from(n) - 4).as_str().to_owned() }
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Plain {
    raw: String,
    failed: bool,
    outputs: BTreeMap<String, String>,
}

fn acts() -> impl Strategy<Value = Vec<(u8, Act)>> {
    let act = prop_oneof![
        5 => prop::collection::vec((0u8..10, 0u8..3), 0..3).prop_map(Act::Map),
        1 => Just(Act::Skip),
        1 => Just(Act::Fail),
        1 => Just(Act::Delete),
        2 => Just(Act::Reread),
    ];
    prop::collection::btree_map(0u8..6, act, 1..5)
        .prop_map(|acts| acts.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
}

fn step(model: &mut BTreeMap<u8, Plain>, acts: &[(u8, Act, String)]) -> Counts {
    let mut counts = Counts { fetched: acts.len() as u64, ..Counts::default() };
    let twice = |outputs: &[(u8, u8)]| {
        let keys: std::collections::BTreeSet<u8> = outputs.iter().map(|&(key, _)| key).collect();
        keys.len() < outputs.len()
    };
    // All keys are given up first.
    for (n, act, _) in acts {
        let Some(plain) = model.get_mut(n) else { continue };
        match act {
            Act::Map(outputs) if twice(outputs) => {}
            Act::Map(outputs) => {
                plain.outputs.retain(|held, _| outputs.iter().any(|&(n, _)| key(n) == *held));
            }
            Act::Skip | Act::Delete => plain.outputs.clear(),
            Act::Fail | Act::Reread => {}
        }
    }
    for (n, act, raw) in acts {
        let taken = |wanted: &str| {
            model.iter().any(|(other, plain)| other != n && plain.outputs.contains_key(wanted))
        };
        let conflict = match act {
            Act::Map(outputs) => twice(outputs) || outputs.iter().any(|&(n, _)| taken(&key(n))),
            _ => false,
        };
        let plain = model.entry(*n).or_default();
        plain.raw.clone_from(raw);
        plain.failed = conflict || matches!(act, Act::Fail);
        match act {
            _ if plain.failed => counts.failed += 1,
            Act::Map(outputs) => {
                counts.mapped += 1;
                plain.outputs =
                    outputs.iter().map(|&(n, v)| (key(n), format!("{{\"v\":{v}}}"))).collect();
            }
            Act::Skip => counts.skipped += 1,
            Act::Delete => counts.deleted += 1,
            Act::Reread => counts.unchanged += 1,
            Act::Fail => {}
        }
    }
    counts
}

fn outputs_of(model: &BTreeMap<u8, Plain>) -> BTreeMap<(String, String), String> {
    let all = model.values().flat_map(|plain| plain.outputs.clone());
    all.map(|(key, body)| (("S/k".to_owned(), key), body)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_store_is_a_map(batches in prop::collection::vec((acts(), any::<bool>()), 1..12)) {
        let folder = tempfile::tempdir().unwrap();
        let sync = name("S");
        let mut store = Store::open(folder.path(), &Options::default()).unwrap();
        let run = begin(&store, &sync);
        let mut model: BTreeMap<u8, Plain> = BTreeMap::new();
        let mut total = Counts::default();
        for (nth, (acts, reopen)) in batches.into_iter().enumerate() {
            // A record that is read again must have come before, and not have failed.
            let known = |n: &u8| model.get(n).is_some_and(|plain| !plain.failed);
            let acts: Vec<_> = acts
                .into_iter()
                .filter(|(n, act)| !matches!(act, Act::Reread) || known(n))
                .map(|(n, act)| {
                    let raw = match act {
                        Act::Reread => model[&n].raw.clone(),
                        _ => format!("{{\"n\":{n},\"nth\":{nth},\"deleted\":{}}}", matches!(act, Act::Delete)),
                    };
                    (n, act, raw)
                })
                .collect();
            let records: Vec<_> = acts
                .iter()
                .map(|(n, _, raw)| (id(u32::from(*n)), 1, raw.contains("true"), raw.clone()))
                .collect();
            let batch = batch(&records);
            let known = store.known(&sync, &batch).unwrap();
            let outcomes = acts
                .iter()
                .enumerate()
                .map(|(i, (_, act, _))| {
                    assert_eq!(known.unchanged(i), matches!(act, Act::Reread));
                    match act {
                        Act::Reread => Verdict::Unchanged,
                        Act::Skip => Verdict::Became(Outcome::Skipped("s".into())),
                        Act::Delete => Verdict::Deleted,
                        Act::Fail => Verdict::Became(Outcome::Failed(Rejection {
                            code: "c".into(),
                            message: "m".into(),
                            field: Some("f".into()),
                        })),
                        Act::Map(outputs) => {
                            let outputs: Vec<_> = outputs
                                .iter()
                                .map(|&(n, v)| output("k", &key(n), &format!("{{\"v\":{v}}}")))
                                .collect();
                            mapped(&outputs)
                        }
                    }
                })
                .collect();
            let counts = step(&mut model, &acts);
            let done = commit(&store, run, &sync, &batch, outcomes, cursor(nth as i64));
            prop_assert_eq!(done.counts, counts);
            total.add(&counts);
            prop_assert_eq!(done.run.counts, total);
            if reopen {
                drop(store);
                store = Store::open(folder.path(), &Options::default()).unwrap();
            }

            let wanted = outputs_of(&model);
            prop_assert_eq!(&replay(&store, 0).0, &wanted);
            let views = store.records(&sync, None, 100).unwrap();
            prop_assert_eq!(views.len(), model.len());
            for (view, (n, plain)) in views.iter().zip(&model) {
                prop_assert_eq!(view.id, id(u32::from(*n)));
                prop_assert_eq!(view.raw.as_ref(), Some(&plain.raw));
                prop_assert_eq!(matches!(view.state, State::Failed(_)), plain.failed);
                let held: BTreeMap<String, String> =
                    view.outputs.iter().map(|o| (o.key.clone(), o.body.clone().into())).collect();
                prop_assert_eq!(&held, &plain.outputs);
            }
            for ((_, key), body) in &wanted {
                let found = store.output(&sync, "k", key).unwrap().map(|output| output.body.into());
                prop_assert_eq!(found.as_ref(), Some(body));
            }
            let stored = store.counts(&sync).unwrap();
            let failed = model.values().filter(|plain| plain.failed).count();
            prop_assert_eq!(stored.outputs, wanted.len() as u64);
            prop_assert_eq!(stored.records, model.len() as u64);
            prop_assert_eq!(stored.failed, failed as u64);
            let retry: usize =
                store.raw_batches(&sync, Pick::Failed, None, 2).map(|b| b.unwrap().spans.len()).sum();
            prop_assert_eq!(retry, failed);
            prop_assert_eq!(store.failures(run, None, 1000).unwrap().len() as u64, total.failed);
        }
    }
}

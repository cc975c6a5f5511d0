use std::collections::BTreeSet;

use super::*;
use crate::model::{ConnectionName, ConsumerName, Purpose, RunId, Stamp, Timing, Trigger, Usage};

fn sync() -> SyncName {
    SyncName::new("Contact").unwrap()
}

fn facts() -> Facts {
    Facts {
        now: Stamp(100_000),
        syncs: vec![SyncFacts {
            name: sync(),
            records: 7,
            outputs: 6,
            failed: 1,
            covered: Some(Stamp(40_000)),
            succeeded: Some(Stamp(50_000)),
            paused: false,
        }],
        usage: Some(Usage { used: 12, max: 15_000, at: Stamp(1) }),
        feed: (3, 9),
        lags: vec![(ConsumerName::new("warehouse").unwrap(), 4)],
        dead: vec![(ConsumerName::new("deliver.hook").unwrap(), 3)],
        store_bytes: 4096,
    }
}

fn heard() -> Metrics {
    let metrics = Metrics::default();
    let (run, sync) = (RunId(1), sync());
    let counts = Counts { fetched: 10, mapped: 7, failed: 3, ..Counts::default() };
    let timing = Timing { fetch: 300_000, map: 2_000, commit: 20_000 };
    let connection = ConnectionName::new("main").unwrap();
    let ended = |ending: Ending| Event::RunEnded {
        run,
        sync: sync.clone(),
        ending,
        counts,
        calls: 1,
        took_ms: 400,
    };
    for event in [
        Event::RunStarted {
            run,
            sync: sync.clone(),
            object: "Contact".into(),
            trigger: Trigger::Manual,
        },
        Event::CallSpent {
            connection: connection.clone(),
            sync: Some(sync.clone()),
            run: Some(run),
            page: Some(0),
            purpose: Purpose::Query,
        },
        Event::PageFetched {
            run,
            sync: sync.clone(),
            page: 0,
            records: 10,
            bytes: 5000,
            expected: None,
            took_us: 300_000,
            waited_us: 0,
            request_id: None,
        },
        Event::BatchMapped {
            run,
            sync: sync.clone(),
            page: 0,
            mapped: 7,
            skipped: 0,
            failed: 3,
            peak_memory: 1 << 20,
            took_us: 2000,
        },
        Event::BatchCommitted {
            run,
            sync: sync.clone(),
            page: 0,
            counts,
            total: counts,
            calls: 1,
            expected: None,
            feed_end: 7,
            timing,
        },
        Event::Delivered {
            destination: ConsumerName::new("deliver.hook").unwrap(),
            changes: 5,
            last: 5,
            took_ms: 1,
        },
        Event::RunRetry {
            run,
            sync: sync.clone(),
            page: Some(0),
            reason: "x".into(),
            waited_ms: 1,
        },
        Event::PluginTrapped {
            run,
            sync: sync.clone(),
            page: 0,
            record: crate::model::RecordId::parse("0034C00000VaYfK").unwrap(),
            code: "plugin.panic".into(),
            message: "x".into(),
        },
        Event::PluginLogged {
            run,
            sync: sync.clone(),
            page: 0,
            level: crate::events::Level::Info,
            message: "x".into(),
        },
        ended(Ending::SucceededWithFailures),
        Event::ConnectionChanged { connection, state: "reconnect-needed".into(), reason: None },
        Event::StoreTidied { changes: 2, history: 1, took_ms: 1 },
    ] {
        metrics.hear(&event);
    }
    metrics.hear(&ended(Ending::Failed { code: "org.refused".into(), message: "x".into() }));
    metrics
}

#[test]
fn counts_what_happened_and_tells_what_is() {
    let text = heard().write(&facts()).unwrap();
    for line in [
        r#"kilofold_runs_total{sync="Contact",outcome="succeeded-with-failures"} 1"#,
        r#"kilofold_run_stops_total{sync="Contact",code="org.refused"} 1"#,
        r#"kilofold_records_total{sync="Contact",outcome="mapped"} 7"#,
        r#"kilofold_records_total{sync="Contact",outcome="failed"} 3"#,
        r#"kilofold_page_bytes_total{sync="Contact"} 5000"#,
        r#"kilofold_stage_seconds_count{sync="Contact",stage="commit"} 1"#,
        r#"kilofold_stage_seconds_bucket{le="0.025",sync="Contact",stage="commit"} 1"#,
        r#"kilofold_stage_seconds_bucket{le="0.01",sync="Contact",stage="commit"} 0"#,
        r#"kilofold_calls_total{connection="main",sync="Contact",purpose="query"} 1"#,
        r#"kilofold_plugin_traps_total{sync="Contact",code="plugin.panic"} 1"#,
        r#"kilofold_connection_healthy{connection="main"} 0"#,
        r#"kilofold_freshness_seconds{sync="Contact"} 60.0"#,
        r#"kilofold_last_success_seconds{sync="Contact"} 50.0"#,
        "kilofold_org_calls_used 12",
        "kilofold_org_calls_max 15000",
        "kilofold_feed_end 9",
        r#"kilofold_consumer_lag{consumer="warehouse"} 4"#,
        r#"kilofold_dead_letters{consumer="deliver.hook"} 3"#,
        r#"kilofold_delivered_changes_total{destination="deliver.hook",outcome="taken"} 5"#,
        "kilofold_store_bytes 4096",
        r#"kilofold_stored_records{sync="Contact"} 7"#,
    ] {
        assert!(text.lines().any(|one| one == line), "no {line} in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn what_is_gone_is_no_longer_told() {
    let metrics = heard();
    metrics.write(&facts()).unwrap();
    let text = metrics.write(&Facts::default()).unwrap();
    assert!(!text.contains("consumer=") && !text.contains("kilofold_freshness_seconds{"), "{text}");
}

/// The names that a text of metrics knows, as queries spell them.
fn names(text: &str) -> BTreeSet<String> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect()
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    let known = names(&heard().write(&facts()).unwrap());
    let board: serde_json::Value = serde_json::from_str(crate::metrics::DASHBOARD).unwrap();
    let mut asked = BTreeSet::new();
    let mut panels = 0;
    for panel in board["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            panels += 1;
            let query = target["expr"].as_str().unwrap();
            let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            asked.extend(words.filter(|word| word.starts_with("kilofold_")).map(str::to_owned));
        }
    }
    assert!(panels >= 12, "{panels} questions");
    let unknown: Vec<_> = asked.difference(&known).collect();
    assert!(unknown.is_empty(), "nobody tells {unknown:?}; known are {known:?}");
}

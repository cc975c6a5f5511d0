//! Values for tests.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ConnectionName, Counts, Cursor, Ending, Run, Stamp, Timing, Trigger};

/// A run with some of everything, started at 14:00 on 23 November 2026.
pub(crate) fn run(id: u64, sync: &str, ending: Option<Ending>) -> Run {
    let started = Stamp::parse("2026-11-23T14:00:00Z").unwrap();
    let ended = ending.as_ref().map(|_| started.plus(Duration::from_millis(12_345)));
    let json = serde_json::json!({
        "id": id, "sync": sync, "object": sync, "connection": ConnectionName::new("main").unwrap(),
        "trigger": Trigger::Schedule, "started": started, "ended": ended, "ending": ending,
        "counts": Counts { fetched: 24_812, mapped: 24_700, unchanged: 50, skipped: 40, failed: 12, deleted: 10 },
        "calls": 25, "pages": 25, "window": null, "soql": "SELECT Id FROM Contact",
        "fields": [], "stamp_field": null,
        "cursor_before": Cursor::default(), "cursor_after": Cursor::default(), "expected": 30_000,
        "plugin": null, "quota_before": null, "quota_after": null, "retries": [],
        "failures": BTreeMap::from([("email.invalid", 12)]), "timing": Timing::default(), "notes": []
    });
    serde_json::from_value(json).unwrap()
}

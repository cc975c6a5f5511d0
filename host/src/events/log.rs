//! Events as log lines.

use super::{Event, Level};
use crate::model::{Counts, Ending, SyncName};

/// One log line an event. Texts that others wrote are quoted, so that they cannot steer a terminal.
/// What tells its run by itself stands without the spans around it, which would tell it once more.
pub(super) fn log(event: &Event) {
    use tracing::{debug, error, info, warn};
    let name = |sync: &Option<SyncName>| sync.as_ref().map(ToString::to_string);
    match event {
        Event::RunStarted { run, sync, object, trigger } => {
            info!(parent: None, run = run.0, %sync, object, ?trigger, "Run started");
        }
        Event::PageFetched {
            run,
            sync,
            page,
            records,
            bytes,
            expected,
            took_us,
            waited_us,
            request_id,
        } => {
            debug!(parent: None, run = run.0, %sync, page, records, bytes, expected, took_us, waited_us, request_id, "Page fetched");
        }
        Event::BatchMapped { run, sync, page, mapped, skipped, failed, peak_memory, took_us } => {
            debug!(parent: None, run = run.0, %sync, page, mapped, skipped, failed, peak_memory, took_us, "Batch mapped");
        }
        Event::BatchCommitted {
            run, sync, page, counts, total, calls, feed_end, timing, ..
        } => {
            debug!(parent: None, run = run.0, %sync, page, fetched = counts.fetched, total = total.fetched, calls, feed_end, took_us = timing.commit, "Batch committed");
        }
        Event::RunRetry { run, sync, page, reason, waited_ms } => {
            warn!(parent: None, run = run.0, %sync, page, ?reason, waited_ms, "Request made again");
        }
        Event::RunNoted { run, sync, note } => {
            info!(parent: None, run = run.0, %sync, ?note, "Run noted")
        }
        Event::RunEnded { run, sync, ending, counts, calls, took_ms } => {
            let Counts { fetched, mapped, unchanged, skipped, failed, deleted } = counts;
            match ending {
                Ending::Failed { code, message } => {
                    error!(parent: None, run = run.0, %sync, code, ?message, fetched, calls, took_ms, "Run failed");
                }
                Ending::Paused { code, reason, resumes_at } => {
                    let resumes_at = resumes_at.map(|at| at.to_string());
                    warn!(parent: None, run = run.0, %sync, code, ?reason, resumes_at, fetched, calls, took_ms, "Run paused");
                }
                Ending::Interrupted => {
                    warn!(parent: None, run = run.0, %sync, fetched, calls, took_ms, "Run interrupted");
                }
                Ending::Succeeded | Ending::SucceededWithFailures => {
                    info!(parent: None, run = run.0, %sync, fetched, mapped, unchanged, skipped, failed, deleted, calls, took_ms, "Run {}", ending.label());
                }
            }
        }
        Event::CallSpent { connection, sync, run, page, purpose } => {
            let run = run.map(|run| run.0);
            debug!(parent: None, run, sync = name(sync), page, %connection, purpose = purpose.as_str(), "Call spent");
        }
        Event::Answered { connection, sync, run, purpose, code, took_us } => {
            let run = run.map(|run| run.0);
            debug!(parent: None, run, sync = name(sync), %connection, purpose = purpose.as_str(), code, took_us, "Answered");
        }
        Event::TokenRenewed { connection, sync, run, code, took_us } => {
            let run = run.map(|run| run.0);
            debug!(parent: None, run, sync = name(sync), %connection, code, took_us, "Token renewed");
        }
        Event::LimitSeen { used, max } => debug!(used, max, "Limit seen"),
        Event::LimitHit { connection, sync, code, reason, until } => {
            let until = until.map(|at| at.to_string());
            warn!(%connection, sync = name(sync), code, ?reason, until, "Limit hit");
        }
        Event::ConnectionChanged { connection, state, reason } if state == "healthy" => {
            info!(%connection, state, ?reason, "Connection changed");
        }
        Event::ConnectionChanged { connection, state, reason } => {
            warn!(%connection, state, ?reason, "Connection changed");
        }
        Event::SyncMoved { run, sync, from, to, reason } => {
            warn!(parent: None, run = run.0, %sync, %from, %to, ?reason, "Sync moved");
        }
        Event::PluginTrapped { run, sync, page, record, code, message } => {
            warn!(parent: None, run = run.0, %sync, page, %record, code, ?message, "Plugin trapped");
        }
        Event::PluginLogged { run, sync, page, level, message } => {
            let run = run.0;
            match level {
                Level::Debug => debug!(parent: None, run, %sync, page, ?message, "Plugin logged"),
                Level::Info => info!(parent: None, run, %sync, page, ?message, "Plugin logged"),
                Level::Warn => warn!(parent: None, run, %sync, page, ?message, "Plugin logged"),
                Level::Error => error!(parent: None, run, %sync, page, ?message, "Plugin logged"),
            }
        }
        Event::PluginChanged { sync, name, version, digest, before, why } => {
            info!(%sync, name, version, digest, before, why, "Plugin changed");
        }
        Event::PluginRefused { sync, digest, code, reason } => {
            warn!(%sync, digest, code, ?reason, "Plugin not taken");
        }
        Event::SyncPaused { sync, reason } => warn!(%sync, ?reason, "Sync paused"),
        Event::SyncResumed { sync } => info!(%sync, "Sync resumed"),
        Event::ScheduleTick { started, waiting, next } => {
            let next = next.map(|at| at.to_string());
            debug!(started = started.len(), waiting = waiting.len(), next, "Schedule ticked");
        }
        Event::StoreTidied { changes, history, took_ms } => {
            info!(changes, history, took_ms, "Store tidied");
        }
        Event::Delivered { destination, changes, last, took_ms } => {
            debug!(%destination, changes, last, took_ms, "Changes delivered");
        }
        Event::DeliveryFailed { destination, code, reason, attempts, changes, took_ms, until } => {
            warn!(%destination, code, ?reason, attempts, changes, took_ms, %until, "Delivery failed");
        }
        Event::DeliveryBuried { destination, changes, code, reason, took_ms } => {
            warn!(%destination, changes, code, ?reason, took_ms, "Changes put among the dead letters");
        }
        Event::HostStarted { version, listen } => info!(version, listen, "Host started"),
        Event::HostStopping => info!("Host stops after the batches in hand"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Bus;
    use super::*;
    use crate::model::RunId;

    #[test]
    fn logs_cannot_steer_a_terminal() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let writer = file.reopen().unwrap();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(writer).finish();
        tracing::subscriber::with_default(subscriber, || {
            Bus::new().emit(Event::PluginLogged {
                run: RunId(1),
                sync: SyncName::new("Contact").unwrap(),
                page: 0,
                level: Level::Error,
                message: "\u{1b}[2J\nERROR forged".into(),
            });
        });
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains('\u{1b}'));
        assert!(text.contains("run=1") && text.contains("sync=Contact"), "{text}");
    }
}

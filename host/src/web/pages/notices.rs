//! What needs a person, decided from how everything stands: the first thing that a reader sees.

use std::time::Duration;

use maud::{Markup, html};

use super::ctx::Ctx;
use super::parts::{act, ago, code, coming, text};
use super::problem::sentence;
use crate::model::{ConsumerName, Ending, PauseCause, Run, Stamp, SyncName};
use crate::web::text::grouped;
use crate::web::view;

/// The grant that a person gives.
const CONSENT: &str = "authorization-code";

/// One thing that needs a person, or that a person should know.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Notice {
    /// A connection must be made again.
    Reconnect { connection: String, why: String },
    /// Nothing can come before a connection is made.
    Connect { connection: String },
    /// The last run of a sync failed.
    Failed { sync: SyncName, run: Box<Run> },
    /// The last run of a sync stopped at a limit.
    Limited { sync: SyncName, run: Box<Run>, next: Option<Stamp> },
    /// A sync is paused, by a person or for this cause.
    Paused { sync: SyncName, cause: Option<PauseCause> },
    /// A destination has not taken what is sent for a while.
    Failing { destination: ConsumerName, code: Option<String>, why: String, next: Option<Stamp> },
    /// A destination did not take some changes.
    NotTaken { destination: ConsumerName, dead: u64 },
    /// Records of a sync stand as failed.
    Records { sync: SyncName, failed: u64, run: Box<Run> },
}

/// A destination that fails for no longer is left to the next attempts.
const FAILS: Duration = Duration::from_secs(60);

/// What needs a person, the most urgent first. `failed` tells how many records of a sync stand as failed.
pub(super) fn notices(
    syncs: &[view::Sync],
    connections: &[view::Connection],
    destinations: &[view::Consumer],
    now: Stamp,
    failed: impl Fn(&SyncName) -> u64,
) -> Vec<Notice> {
    let mut found = Vec::new();
    for connection in connections {
        let used =
            syncs.iter().any(|sync| sync.enabled && sync.connections.contains(&connection.name));
        // Every grant but the one with a consent connects by itself.
        let asks = connection.grant == CONSENT;
        match (&connection.why, connection.state.as_str()) {
            (Some(why), _) => found.push(Notice::Reconnect {
                connection: connection.name.to_string(),
                why: why.clone(),
            }),
            (None, "not connected") if used && asks => {
                found.push(Notice::Connect { connection: connection.name.to_string() });
            }
            _ => {}
        }
    }
    let mut later = Vec::new();
    for one in destinations {
        let Some(delivery) = &one.delivery else { continue };
        if delivery.failing_since.is_some_and(|since| now.since(since) >= FAILS) {
            found.push(Notice::Failing {
                destination: one.name.clone(),
                code: delivery.code.clone(),
                why: delivery.trouble.clone().unwrap_or_default(),
                next: delivery.next,
            });
        }
        if delivery.dead > 0 {
            later.push(Notice::NotTaken { destination: one.name.clone(), dead: delivery.dead });
        }
    }
    for sync in syncs.iter().filter(|sync| sync.enabled) {
        if sync.paused {
            let cause = sync.pause.as_ref().and_then(|pause| pause.cause.clone());
            // What broke wants somebody; what a person paused wants nobody.
            let list = if cause.is_some() { &mut found } else { &mut later };
            list.push(Notice::Paused { sync: sync.name.clone(), cause });
            continue;
        }
        let Some(run) = &sync.last else { continue };
        let name = sync.name.clone();
        match &run.ending {
            Some(Ending::Failed { .. }) => {
                found.push(Notice::Failed { sync: name, run: Box::new(run.clone()) });
            }
            // Its connection says so for itself.
            Some(Ending::Paused { code, .. }) if code.starts_with("auth.") => {}
            Some(Ending::Paused { .. }) => found.push(Notice::Limited {
                sync: name,
                run: Box::new(run.clone()),
                next: sync.next,
            }),
            _ => {
                let failed = failed(&sync.name);
                if failed > 0 {
                    later.push(Notice::Records { sync: name, failed, run: Box::new(run.clone()) });
                }
            }
        }
    }
    found.extend(later);
    found
}

/// The notices as a list; nothing when there are none.
pub(super) fn list(notices: &[Notice], ctx: &Ctx) -> Markup {
    html! {
        @if !notices.is_empty() {
            section aria-label="What needs you" {
                ul.notices { @for notice in notices { (one(notice, ctx)) } }
            }
        }
    }
}

/// Whether a run stopped because its connection was lost.
fn lost(run: &Run) -> bool {
    matches!(&run.ending, Some(Ending::Paused { code, .. }) if code.starts_with("auth."))
}

fn one(notice: &Notice, ctx: &Ctx) -> Markup {
    match notice {
        Notice::Reconnect { connection, why } => html! {
            li.notice.bad {
                div {
                    p { b.bad { "Reconnect " (connection) } " " (code("auth.reconnect")) }
                    p { (text(why)) }
                }
                a.btn href="/connections" { "See connections" }
            }
        },
        Notice::Connect { connection } => html! {
            li.notice.warn {
                div {
                    p { b { "Connect " (connection) } }
                    p { "No record can come before Salesforce has let kilofold in." }
                }
                a.btn href="/connections" { "See connections" }
            }
        },
        Notice::Failed { sync, run } => html! {
            li.notice.bad {
                div {
                    p {
                        b { (sync) " failed" } " "
                        @if let Some(ended) = run.ended { span.soft { (ago(ended, ctx)) } }
                        @if let Some(Ending::Failed { code: told, .. }) = &run.ending { " " (code(told)) }
                    }
                    @if let Some(Ending::Failed { message, .. }) = &run.ending { p { (text(message)) } }
                }
                div.row {
                    a.btn href={ "/imports/" (run.id) } { "See import " (run.id) }
                    (act(ctx, &format!("/syncs/{sync}/run"), "Run now", ""))
                }
            }
        },
        Notice::Limited { sync, run, next } => html! {
            li.notice.wait {
                div {
                    p {
                        b { (sync) @if lost(run) { " waits for its connection" } @else { " waits for API calls" } }
                        @if let Some(Ending::Paused { code: told, .. }) = &run.ending { " " (code(told)) }
                    }
                    @if let Some(Ending::Paused { reason, resumes_at, .. }) = &run.ending {
                        p {
                            (text(&sentence(reason))) " "
                            @if let Some(at) = next.or(*resumes_at) { "It goes on by itself " (coming(at, ctx)) "." }
                        }
                    }
                }
                a.btn href={ "/imports/" (run.id) } { "See import " (run.id) }
            }
        },
        Notice::Paused { sync, cause: Some(cause) } => html! {
            li.notice.bad {
                div {
                    p { b { (sync) " is paused: its plugin broke" } " " (code(&cause.code)) }
                    p { (text(&sentence(&cause.reason))) " Once that is mended, let it run again." }
                }
                (act(ctx, &format!("/syncs/{sync}/resume"), "Resume", ""))
            }
        },
        Notice::Paused { sync, cause: None } => html! {
            li.notice.wait {
                div { p { b { (sync) " is paused by hand" } } p { "It does not run until it is resumed." } }
                (act(ctx, &format!("/syncs/{sync}/resume"), "Resume", ""))
            }
        },
        Notice::Failing { destination, code: told, why, next } => html! {
            li.notice.bad {
                div {
                    p { b.break { (destination) " does not take what is sent" } @if let Some(told) = told { " " (code(told)) } }
                    p { (text(&sentence(why))) @if let Some(next) = next { " It is sent again " (coming(*next, ctx)) "." } }
                }
                a.btn href={ "/out/" (destination) } { "See why" }
            }
        },
        Notice::NotTaken { destination, dead } => html! {
            li.notice.warn {
                div {
                    p.break { b { (grouped(*dead)) @if *dead == 1 { " change" } @else { " changes" } } @if *dead == 1 { " was" } @else { " were" } " not taken by " b { (destination) } }
                    p { "They are kept, to be sent again or discarded." }
                }
                a.btn href={ "/out/" (destination) "#not-taken" } { "See them" }
            }
        },
        Notice::Records { sync, failed, run } => html! {
            li.notice.warn {
                div {
                    p {
                        b { (grouped(*failed)) @if *failed == 1 { " record of " } @else { " records of " } (sync) }
                        " could not be mapped"
                    }
                    p { "Their last good outputs stay. Mend them in Salesforce, or the plugin, and retry." }
                }
                a.btn href={ "/?sync=" (run.sync) "&outcome=some-failed" } { "See where" }
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::example;
    use crate::model::{ConnectionName, Cursor};
    use crate::store::DeliveryState;

    fn sync(name: &str, ending: Option<Ending>) -> view::Sync {
        view::Sync {
            name: SyncName::new(name).unwrap(),
            object: name.to_owned(),
            connections: vec![ConnectionName::new("main").unwrap()],
            failover: false,
            plugin: "passthrough".to_owned(),
            schedule: "15m".to_owned(),
            enabled: true,
            state: None,
            paused: false,
            pause: None,
            running: None,
            next: None,
            last: Some(example::run(1, name, ending)),
            records: 0,
            outputs: 0,
            cursor: Cursor::default(),
            remap: None,
        }
    }

    #[test]
    fn the_most_urgent_comes_first() {
        let failed = Ending::Failed { code: "x.y".into(), message: "m".into() };
        let mut paused = sync("A", Some(Ending::Succeeded));
        paused.paused = true;
        let mut off = sync("Off", Some(failed.clone()));
        off.enabled = false;
        let syncs = [paused, sync("B", Some(Ending::Succeeded)), sync("C", Some(failed)), off];
        let found = notices(&syncs, &[], &[], Stamp(0), |name| u64::from(name.as_str() == "B"));
        assert!(matches!(&found[0], Notice::Failed { sync, .. } if sync.as_str() == "C"));
        assert!(matches!(&found[1], Notice::Paused { sync, .. } if sync.as_str() == "A"));
        assert!(
            matches!(&found[2], Notice::Records { sync, failed: 1, .. } if sync.as_str() == "B")
        );
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn nothing_is_said_when_all_is_well() {
        assert!(
            notices(&[sync("A", Some(Ending::Succeeded))], &[], &[], Stamp(0), |_| 0).is_empty()
        );
        assert!(notices(&[sync("A", None)], &[], &[], Stamp(0), |_| 0).is_empty());
    }

    #[test]
    fn a_destination_is_told_of_when_it_fails_for_a_while() {
        let now = Stamp(1_000_000);
        let one = |ago: u64, dead| {
            let state = DeliveryState {
                failing_since: Some(now.minus(Duration::from_secs(ago))),
                trouble: Some("503".to_owned()),
                ..DeliveryState::default()
            };
            view::Consumer {
                name: ConsumerName::new("deliver.hook").unwrap(),
                acknowledged: 1,
                lag: 0,
                waiting_since: None,
                created: now,
                seen: now,
                live: true,
                behind: false,
                delivery: Some(view::Delivery::of(state, None, dead, 0)),
            }
        };
        let found = |one| notices(&[], &[], &[one], now, |_| 0);
        assert!(found(one(59, 0)).is_empty());
        assert!(matches!(&found(one(60, 0))[..], [Notice::Failing { why, .. }] if why == "503"));
        assert!(matches!(&found(one(0, 3))[..], [Notice::NotTaken { dead: 3, .. }]));
    }
}

//! Which spans the events are: a run, its pages, what was done with each, and what was asked besides; a delivery is a trace of
//! its own.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::SdkTracer;

use crate::events::Event;
use crate::model::{ConsumerName, Counts, Ending, Purpose, RunId, Stamp, Trigger};

/// What of a reason is shown.
const WORDS: usize = 200;

/// The spans that are not yet ended: those of the runs in hand.
pub(super) struct Spans {
    tracer: SdkTracer,
    runs: BTreeMap<RunId, Open>,
}

struct Open {
    context: Context,
    pages: BTreeMap<u64, Context>,
}

impl Open {
    /// A page's span, begun with the first thing that was done for it.
    fn page(&mut self, tracer: &SdkTracer, page: u64, begun: SystemTime) -> &Context {
        self.pages.entry(page).or_insert_with(|| {
            let attributes = vec![whole("kilofold.page", page)];
            start(tracer, "page", &self.context, begun, attributes)
        })
    }
}

impl Spans {
    pub(super) fn new(tracer: SdkTracer) -> Self {
        Self { tracer, runs: BTreeMap::new() }
    }

    pub(super) fn hear(&mut self, at: Stamp, event: &Event) {
        let tracer = &self.tracer;
        let now = time(at);
        match event {
            Event::RunStarted { run, sync, object, trigger } => {
                let attributes = vec![
                    whole("kilofold.run", run.0),
                    text("kilofold.sync", sync.as_str()),
                    text("kilofold.object", object),
                    text("kilofold.trigger", word(*trigger)),
                ];
                let name = format!("run {sync}");
                let context = start(tracer, &name, &Context::new(), now, attributes);
                self.runs.insert(*run, Open { context, pages: BTreeMap::new() });
            }
            Event::PageFetched {
                run,
                page,
                records,
                bytes,
                took_us,
                waited_us,
                request_id,
                ..
            } => {
                let Some(open) = self.runs.get_mut(run) else { return };
                let came = before(now, *waited_us);
                let begun = before(came, *took_us);
                let mut attributes =
                    vec![whole("kilofold.records", *records), whole("kilofold.bytes", *bytes)];
                attributes.extend(request_id.as_ref().map(|id| text("salesforce.request_id", id)));
                let page = open.page(tracer, *page, begun);
                // A page that came as several batches was fetched with the first.
                if *took_us > 0 {
                    end(&start(tracer, "fetch", page, begun, attributes), came);
                }
            }
            Event::BatchMapped {
                run, page, mapped, skipped, failed, peak_memory, took_us, ..
            } => {
                let Some(open) = self.runs.get_mut(run) else { return };
                let begun = before(now, *took_us);
                let attributes = vec![
                    whole("kilofold.mapped", *mapped),
                    whole("kilofold.skipped", *skipped),
                    whole("kilofold.failed", *failed),
                    whole("kilofold.plugin.peak_memory", *peak_memory),
                ];
                end(&start(tracer, "map", open.page(tracer, *page, begun), begun, attributes), now);
            }
            Event::BatchCommitted { run, page, counts, timing, feed_end, .. } => {
                let Some(open) = self.runs.get_mut(run) else { return };
                let begun = before(now, timing.commit);
                let attributes = vec![whole("kilofold.feed_end", *feed_end)];
                let context = open.page(tracer, *page, begun).clone();
                end(&start(tracer, "commit", &context, begun, attributes), now);
                count(&context, counts);
                end(&context, now);
                open.pages.remove(page);
            }
            Event::RunRetry { run, page, reason, waited_ms, .. } => {
                let Some(open) = self.runs.get(run) else { return };
                let reason: String = reason.chars().take(WORDS).collect();
                let mut attributes =
                    vec![text("kilofold.reason", &reason), whole("kilofold.waited_ms", *waited_ms)];
                attributes.extend(page.map(|page| whole("kilofold.page", page)));
                open.context.span().add_event_with_timestamp("request made again", now, attributes);
            }
            Event::TokenRenewed { connection, sync, run, code, took_us } => {
                let mut attributes = vec![text("kilofold.connection", connection.as_str())];
                attributes.extend(sync.as_ref().map(|sync| text("kilofold.sync", sync.as_str())));
                let asked = Done { begun: before(now, *took_us), now, code: code.as_deref() };
                self.beside("refresh", *run, attributes, &asked);
            }
            Event::Answered { connection, sync, run, purpose, code, took_us } => {
                let mut attributes = vec![text("kilofold.connection", connection.as_str())];
                attributes.extend(sync.as_ref().map(|sync| text("kilofold.sync", sync.as_str())));
                let asked = Done { begun: before(now, *took_us), now, code: code.as_deref() };
                self.beside(question(*purpose), *run, attributes, &asked);
            }
            Event::Delivered { destination, changes, last, took_ms } => {
                let begun = before(now, took_ms.saturating_mul(1000));
                let attributes =
                    vec![whole("kilofold.changes", *changes), whole("kilofold.feed_end", *last)];
                self.delivery(destination, attributes, &Done { begun, now, code: None });
            }
            // The words of a destination may repeat what is in a record; the code does not.
            Event::DeliveryFailed { destination, code, attempts, changes, took_ms, .. } => {
                let begun = before(now, took_ms.saturating_mul(1000));
                let attributes = vec![
                    whole("kilofold.changes", *changes),
                    whole("kilofold.attempts", u64::from(*attempts)),
                ];
                self.delivery(destination, attributes, &Done { begun, now, code: Some(code) });
            }
            Event::DeliveryBuried { destination, changes, code, took_ms, .. } => {
                let begun = before(now, took_ms.unwrap_or(0).saturating_mul(1000));
                let attributes = vec![
                    whole("kilofold.changes", *changes),
                    KeyValue::new("kilofold.given_up", true),
                ];
                self.delivery(destination, attributes, &Done { begun, now, code: Some(code) });
            }
            Event::RunEnded { run, ending, counts, calls, .. } => {
                let Some(open) = self.runs.remove(run) else { return };
                for page in open.pages.values() {
                    fail(page, "not-committed");
                    end(page, now);
                }
                count(&open.context, counts);
                let span = open.context.span();
                span.set_attribute(whole("kilofold.calls", *calls));
                span.set_attribute(text("kilofold.outcome", ending.label()));
                match ending {
                    Ending::Failed { code, .. } => fail(&open.context, code),
                    Ending::Paused { code, .. } => {
                        span.set_attribute(text("kilofold.code", code));
                    }
                    Ending::Succeeded | Ending::SucceededWithFailures | Ending::Interrupted => {}
                }
                end(&open.context, now);
            }
            _ => {}
        }
    }

    /// A span of what was asked besides a run's pages: below the run, or alone when nothing runs.
    fn beside(&self, name: &str, run: Option<RunId>, attributes: Vec<KeyValue>, asked: &Done<'_>) {
        let open = run.and_then(|run| self.runs.get(&run));
        let parent = open.map(|open| open.context.clone()).unwrap_or_default();
        asked.span(&self.tracer, name, &parent, attributes);
    }

    /// A trace of one request to a destination.
    fn delivery(&self, to: &ConsumerName, mut attributes: Vec<KeyValue>, sent: &Done<'_>) {
        attributes.push(text("kilofold.destination", to.as_str()));
        sent.span(&self.tracer, &format!("deliver {to}"), &Context::new(), attributes);
    }
}

/// Something that is over.
struct Done<'a> {
    begun: SystemTime,
    now: SystemTime,
    /// Why it failed.
    code: Option<&'a str>,
}

impl Done<'_> {
    fn span(&self, tracer: &SdkTracer, name: &str, parent: &Context, attributes: Vec<KeyValue>) {
        let context = start(tracer, name, parent, self.begun, attributes);
        if let Some(code) = self.code {
            fail(&context, code);
        }
        end(&context, self.now);
    }
}

/// The name of a span of a question that brings no records.
fn question(purpose: Purpose) -> &'static str {
    match purpose {
        // The list of versions is asked for the hour.
        Purpose::Versions => "clock",
        purpose => purpose.as_str(),
    }
}

fn start(
    tracer: &SdkTracer,
    name: &str,
    parent: &Context,
    at: SystemTime,
    attributes: Vec<KeyValue>,
) -> Context {
    let builder = tracer.span_builder(name.to_owned()).with_start_time(at);
    let span = builder.with_attributes(attributes).start_with_context(tracer, parent);
    Context::new().with_span(span)
}

fn end(context: &Context, at: SystemTime) {
    context.span().end_with_timestamp(at);
}

fn fail(context: &Context, code: &str) {
    let span = context.span();
    span.set_attribute(text("error.type", code));
    span.set_status(Status::error(code.to_owned()));
}

fn count(context: &Context, counts: &Counts) {
    let Counts { fetched, mapped, unchanged, skipped, failed, deleted } = *counts;
    let all = [
        ("kilofold.records.fetched", fetched),
        ("kilofold.records.mapped", mapped),
        ("kilofold.records.unchanged", unchanged),
        ("kilofold.records.skipped", skipped),
        ("kilofold.records.failed", failed),
        ("kilofold.records.deleted", deleted),
    ];
    for (name, number) in all {
        context.span().set_attribute(whole(name, number));
    }
}

fn text(name: &'static str, value: &str) -> KeyValue {
    KeyValue::new(name, value.to_owned())
}

fn whole(name: &'static str, value: u64) -> KeyValue {
    KeyValue::new(name, Value::I64(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn word(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Schedule => "schedule",
        Trigger::Manual => "manual",
        Trigger::Resume => "resume",
        Trigger::Retry => "retry",
        Trigger::Remap => "remap",
    }
}

fn time(at: Stamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(at.0).unwrap_or(0))
}

fn before(at: SystemTime, micros: u64) -> SystemTime {
    at.checked_sub(Duration::from_micros(micros)).unwrap_or(UNIX_EPOCH)
}

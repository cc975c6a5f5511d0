//! Data in: records as they arrive, newest first, and the way to any of them.

mod record;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

pub(super) use record::show;

use super::address::Asking;
use super::ctx::{self, Ctx};
use super::parts::{ago, badge, became, code, empty, text};
use super::problem::Refused;
use super::shell::{Live, Page, Tab, respond};
use crate::model::{RecordId, SyncName};
use crate::store::{
    Arrival, ArrivalFilter, ArrivalPlace, Arrivals, Became, Found, RecordView, State as Stored,
};
use crate::web::{Problem, Shared, api};

/// Records on a page.
const SHOWN: usize = 50;
/// Fields of an output that a line tells.
const TOLD: usize = 4;

/// What the address asks for; a form sends what was not chosen as an empty text.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    sync: String,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    before: String,
    /// A Salesforce id, or the key of an output.
    #[serde(default)]
    find: String,
}

impl Asked {
    fn filter(&self) -> Result<ArrivalFilter, String> {
        let sync = (!self.sync.is_empty()).then(|| SyncName::new(&self.sync)).transpose();
        let became = match self.outcome.as_str() {
            "" => None,
            word => Some(Became::ALL.into_iter().find(|became| became.word() == word).ok_or_else(
                || format!("'outcome' is mapped, skipped, failed or deleted, not '{word}'"),
            )?),
        };
        let before = match self.before.as_str() {
            "" => None,
            text => Some(
                text.split_once('.')
                    .and_then(|(batch, index)| {
                        Some(ArrivalPlace {
                            batch: batch.parse().ok()?,
                            index: index.parse().ok()?,
                        })
                    })
                    .ok_or_else(|| format!("'before' is a place like 12.34, not '{text}'"))?,
            ),
        };
        Ok(ArrivalFilter { sync: sync.map_err(|error| error.to_string())?, became, before })
    }

    fn narrowed(&self) -> bool {
        !self.sync.is_empty() || !self.outcome.is_empty()
    }

    fn address(&self, before: Option<ArrivalPlace>) -> String {
        let mut pairs = Serializer::new(String::new());
        for (name, value) in [("sync", &self.sync), ("outcome", &self.outcome)] {
            if !value.is_empty() {
                pairs.append_pair(name, value);
            }
        }
        if let Some(place) = before {
            pairs.append_pair("before", &format!("{}.{}", place.batch, place.index));
        }
        let query = pairs.finish();
        if query.is_empty() { "/data".to_owned() } else { format!("/data?{query}") }
    }
}

/// An arrival with the record as it is stored now; none when it is gone.
type Line = (Arrival, Option<RecordView>);

/// What the page shows.
struct Shown {
    lines: Vec<Line>,
    next: Option<ArrivalPlace>,
    syncs: Vec<SyncName>,
    records: u64,
    found: Vec<Found>,
}

/// The page; with `find` it leads to the one record that is found, or lists those that are.
pub(super) async fn list(
    State(shared): State<Shared>,
    ctx: Ctx,
    Asking(asked): Asking<Asked>,
) -> Result<Response, Refused> {
    let refuse = |problem: Problem| Refused::new(&ctx, problem);
    let filter = asked.filter().map_err(|wrong| refuse(Problem::bad_request(wrong)))?;
    let wanted = asked.find.trim().to_owned();
    let shown = api::read(&shared, move |reader| {
        let store = reader.store();
        let found = if wanted.is_empty() { Vec::new() } else { store.search(&wanted)? };
        let Arrivals { list, next } =
            if wanted.is_empty() { store.arrivals(&filter, SHOWN)? } else { Arrivals::default() };
        let mut lines = Vec::with_capacity(list.len());
        for arrival in list {
            let stored = store.record(&arrival.sync, arrival.id)?;
            lines.push((arrival, stored));
        }
        let mut records = 0;
        for sync in store.syncs() {
            records += store.counts(&sync)?.records;
        }
        let syncs = reader.config().syncs.iter().map(|sync| sync.name.clone()).collect();
        Ok(Shown { lines, next, syncs, records, found })
    })
    .await
    .map_err(refuse)?;
    if let [Found { sync, id, .. }] = shown.found.as_slice() {
        return Ok(ctx::see(&format!("/data/{sync}/{id}")));
    }
    let live = if asked.before.is_empty() && asked.find.is_empty() { Live::All } else { Live::No };
    let body = body(&asked, &shown, &ctx);
    Ok(respond(
        &ctx,
        StatusCode::OK,
        &Page { title: "Data in".to_owned(), tab: Tab::Data, live, body },
    ))
}

fn body(asked: &Asked, shown: &Shown, ctx: &Ctx) -> Markup {
    html! {
        div.head {
            div { h1 { "Data in" } p { "Records as they arrive, newest first." } }
            form.fields method="get" action="/data" role="search" data-keep {
                label { span.hide { "Find a record" }
                    input type="search" name="find" value=(asked.find) placeholder="Salesforce Id or output key" autocomplete="off" spellcheck="false";
                }
                button.btn { "Find" }
            }
        }
        @if !asked.find.is_empty() { (results(asked, &shown.found)) }
        @else { (arrived(asked, shown, ctx)) }
    }
}

/// What was found, when it is not exactly one.
fn results(asked: &Asked, found: &[Found]) -> Markup {
    html! {
        section.card {
            header { h2 { "Found for " (text(&asked.find)) } a href="/data" { "All records" } }
            @if found.is_empty() {
                (empty("Nothing has this Id or key", &html! {
                    "An Id has 15 or 18 characters; a key must be whole. A record that was never read is in no sync's filter, "
                    "or not visible to the connection's user."
                }))
            } @else {
                table.fold {
                    thead { tr { th scope="col" { "Record" } th scope="col" { "Sync" } th scope="col" { "Found by" } } }
                    tbody {
                        @for Found { sync, id, kind } in found {
                            tr {
                                th.mono.two-thirds scope="row" { a href={ "/data/" (sync) "/" (id) } { (id) } }
                                td data-label="Sync" { (sync) }
                                td.wide data-label="Found by" { @match kind { None => "its Id", Some(kind) => { "the key of its " (text(kind)) } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn arrived(asked: &Asked, shown: &Shown, ctx: &Ctx) -> Markup {
    html! {
        section.card aria-label="Arrivals" {
            div.in { (form(asked, shown)) }
            @if shown.lines.is_empty() {
                @if asked.narrowed() || !asked.before.is_empty() {
                    (empty("Nothing here fits", &html! {
                        @if let Some(next) = shown.next { "Nothing among the last batches. " a.btn href=(asked.address(Some(next))) { "Look further back" } }
                        @else { "Widen the filter. " a.btn href="/data" { "Show all" } }
                    }))
                } @else if shown.records > 0 {
                    (empty("Nothing has arrived lately", &html! {
                        "The store holds " (crate::web::text::grouped(shown.records)) " records; the list begins with the next one that changes. Find any of them above."
                    }))
                } @else {
                    (empty("No record has arrived yet", &html! { "They appear here as soon as a sync runs. " a.btn href="/syncs" { "See the syncs" } }))
                }
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Records" {
                    table.fold {
                        thead {
                            tr {
                                th scope="col" { "Arrived" } th scope="col" { "Sync" } th scope="col" { "Record" }
                                th scope="col" { "Became" } th scope="col" { "What" } th scope="col" .n { "Import" }
                            }
                        }
                        tbody { @for line in &shown.lines { (row(line, ctx)) } }
                    }
                }
                @if !asked.before.is_empty() || shown.next.is_some() {
                    nav.pager aria-label="More records" {
                        span { @if !asked.before.is_empty() { a.btn href=(asked.address(None)) { "Newest" } } }
                        span { @if let Some(next) = shown.next { a.btn rel="next" href=(asked.address(Some(next))) { "Older" } } }
                    }
                }
            }
        }
    }
}

fn form(asked: &Asked, shown: &Shown) -> Markup {
    html! {
        form.fields method="get" action="/data" data-keep {
            label { "Sync"
                select name="sync" {
                    option value="" selected[asked.sync.is_empty()] { "all syncs" }
                    @for sync in &shown.syncs { option value=(sync) selected[sync.as_str() == asked.sync] { (sync) } }
                }
            }
            label { "Became"
                select name="outcome" {
                    option value="" selected[asked.outcome.is_empty()] { "anything" }
                    @for became in Became::ALL { option value=(became.word()) selected[became.word() == asked.outcome] { (became.word()) } }
                }
            }
            button.btn { "Show" }
            @if asked.narrowed() { a.btn href="/data" { "All" } }
        }
    }
}

fn row((arrival, stored): &Line, ctx: &Ctx) -> Markup {
    let Arrival { place, at, sync, run, id, .. } = arrival;
    html! {
        tr id={ "arrival-" (place.batch) "-" (place.index) } {
            td.nowrap data-label="Arrived" { (ago(*at, ctx)) }
            td.break data-label="Sync" { (sync) }
            th.mono.nowrap.lead scope="row" data-label="Record" { a href={ "/data/" (sync) "/" (id) } { (id) } }
            td data-label="Became" { (badge(became(arrival.became), arrival.became.word())) }
            td.break.wide.what data-label="What" {
                @match stored {
                    None => span.soft { "no longer stored" },
                    Some(record) if record.run != *run => span.soft { "has changed since" },
                    Some(record) => (what(record)),
                }
            }
            td.n data-label="Import" { a href={ "/imports/" (run) } { (run) } }
        }
    }
}

/// What became of a record, in a line.
fn what(record: &RecordView) -> Markup {
    match &record.state {
        _ if record.deleted => {
            html! { span.soft { "deleted in the org; its outputs are retracted" } }
        }
        Stored::Skipped(reason) => html! { span.clip { (text(reason)) } },
        Stored::Failed(rejection) => html! {
            (code(&rejection.code)) " " span.clip { (text(&rejection.message)) }
        },
        Stored::Mapped => html! {
            @for (i, output) in record.outputs.iter().take(3).enumerate() {
                @if i > 0 { br; }
                span.tag { (text(&output.kind)) } " "
                @if output.key != record.id.as_str() { span.mono { (text(&output.key)) } " " }
                span.soft { @for (i, value) in told(&output.body).iter().enumerate() { @if i > 0 { " · " } (text(value)) } }
            }
            @if record.outputs.len() > 3 { br; span.soft { (record.outputs.len() - 3) " more" } }
            @if record.outputs.is_empty() { span.soft { "no output" } }
        },
    }
}

/// The first plain values of an output's body that are no Ids: enough to know it by.
fn told(body: &str) -> Vec<String> {
    /// The longest value that is told, in characters.
    const LONGEST: usize = 32;
    let Ok(fields) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(body)
    else {
        return Vec::new();
    };
    let values = fields.values().filter_map(|value| match value {
        serde_json::Value::String(text)
            if !(text.trim().is_empty() || text.len() == 18 && RecordId::parse(text).is_ok()) =>
        {
            let mut short: String = text.trim().chars().take(LONGEST).collect();
            if short.len() < text.trim().len() {
                short.push('…');
            }
            Some(short)
        }
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    values.take(TOLD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_an_output_is_known_by() {
        let body = r#"{"a":null,"name":"Ada","mail":"ada@example.org","n":3,"x":{"y":1},"b":" ","last":true}"#;
        assert_eq!(told(body), ["Ada", "ada@example.org", "3"]);
        assert_eq!(told(r#"{"Id":"0013w000006SqSdAAK","Name":"Acme"}"#), ["Acme"]);
        assert!(told("not json").is_empty());
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(100));
        assert_eq!(told(&long)[0].chars().count(), 33);
    }

    #[test]
    fn the_address_is_read_and_written() {
        let asked = Asked { sync: "A".into(), outcome: "failed".into(), ..Asked::default() };
        let place = ArrivalPlace { batch: 12, index: 34 };
        let address = asked.address(Some(place));
        assert_eq!(address, "/data?sync=A&outcome=failed&before=12.34");
        let filter = Asked { before: "12.34".into(), ..asked }.filter().unwrap();
        assert_eq!((filter.before, filter.became), (Some(place), Some(Became::Failed)));
        for wrong in ["12", "a.b", "1.2.3"] {
            assert!(Asked { before: wrong.into(), ..Asked::default() }.filter().is_err());
        }
        assert!(Asked { outcome: "fine".into(), ..Asked::default() }.filter().is_err());
    }
}

//! Plugins: what maps each sync, how long it takes, and what it could not do.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::ctx::Ctx;
use super::parts::{badge, code, empty, text};
use super::problem::Refused;
use super::shell::{Live, Page, Tab, respond};
use crate::model::{PluginNote, RunId, SyncName};
use crate::plugin::is_trap;
use crate::store::{RunFilter, Store};
use crate::web::reader::{self, named};
use crate::web::text::{grouped, took};
use crate::web::{Shared, api, view};

/// Runs of a sync that are looked back for its plugin's times and traps.
const BACK: usize = 20;

/// A plugin as the configuration names it, with what the last runs tell of it.
struct Card {
    name: String,
    uses: Vec<Use>,
}

/// One sync that uses it.
struct Use {
    sync: SyncName,
    object: String,
    settings: Vec<(String, String)>,
    secrets: Vec<String>,
    /// What the last run that mapped something noted, and which run that was.
    note: Option<(PluginNote, RunId)>,
    batches: u64,
    map: Duration,
    records: u64,
    traps: BTreeMap<String, u64>,
    remap: Option<view::Remap>,
}

/// The page.
pub(super) async fn list(State(shared): State<Shared>, ctx: Ctx) -> Result<Response, Refused> {
    let live = api::status(&shared).await.map_err(|problem| Refused::new(&ctx, problem))?;
    let cards = api::read(&shared, move |reader| {
        let views = reader.syncs(&live)?.syncs;
        let mut cards: Vec<Card> = Vec::new();
        for sync in &reader.config().syncs {
            let name = named(&sync.plugin);
            let remap = views.iter().find(|view| view.name == sync.name);
            let mut one = used(reader.store(), &sync.name)?;
            one.object = sync.object.clone();
            one.remap = remap.and_then(|view| view.remap.clone());
            one.settings = sync
                .plugin_config
                .iter()
                .map(|(name, value)| (name.clone(), value.to_string()))
                .collect();
            one.secrets = sync.plugin_secrets.keys().cloned().collect();
            match cards.iter_mut().find(|card| card.name == name) {
                Some(card) => card.uses.push(one),
                None => cards.push(Card { name, uses: vec![one] }),
            }
        }
        Ok(cards)
    })
    .await
    .map_err(|problem| Refused::new(&ctx, problem))?;
    let body = body(&cards);
    let page = Page { title: "Plugins".to_owned(), tab: Tab::Plugins, live: Live::All, body };
    Ok(respond(&ctx, StatusCode::OK, &page))
}

/// What the last runs of a sync tell of its plugin.
fn used(store: &Store, sync: &SyncName) -> Result<Use, reader::Error> {
    let filter = RunFilter { sync: Some(sync.clone()), limit: BACK, ..RunFilter::default() };
    let runs = store.runs(&filter)?;
    let noted = runs.iter().find_map(|run| Some((run.plugin.clone()?, run.id)));
    let digest = noted.as_ref().map(|(note, _)| note.digest.clone());
    let mut one = Use {
        sync: sync.clone(),
        object: String::new(),
        settings: Vec::new(),
        secrets: Vec::new(),
        note: noted,
        batches: 0,
        map: Duration::ZERO,
        records: 0,
        traps: BTreeMap::new(),
        remap: None,
    };
    // Only what the present component did.
    let own = |digest: &Option<String>, of: &Option<PluginNote>| {
        of.as_ref().map(|n| &n.digest) == digest.as_ref()
    };
    for run in runs.iter().filter(|run| own(&digest, &run.plugin)) {
        one.batches += run.pages;
        one.map += Duration::from_micros(run.timing.map);
        one.records += run.counts.mapped + run.counts.skipped + run.counts.failed;
        for (code, n) in run.failures.iter().filter(|(code, _)| is_trap(code)) {
            *one.traps.entry(code.clone()).or_default() += n;
        }
    }
    Ok(one)
}

fn body(cards: &[Card]) -> Markup {
    html! {
        div.head { div { h1 { "Plugins" } p { "Each maps the records of its syncs, a batch at a time, in a sandbox of its own." } } }
        @if cards.is_empty() { section.card { (empty("No plugin is used", &html! { "A sync names one as its " code { "plugin" } "." })) } }
        div.cards { @for card in cards { (one(card)) } }
    }
}

fn one(card: &Card) -> Markup {
    let traps: u64 = card.uses.iter().flat_map(|one| one.traps.values()).sum();
    let note = card.uses.iter().filter_map(|one| one.note.as_ref()).max_by_key(|(_, run)| *run);
    html! {
        section.card {
            header {
                h2.break { (text(&card.name)) }
                @if traps > 0 { (badge("bad", &format!("{} trapped", grouped(traps)))) }
                @else if note.is_some() { (badge("good", "no trap")) }
                @else { (badge("off", "not run yet")) }
            }
            div.in.stack {
                dl.facts {
                    @match note {
                        Some((note, _)) => {
                            dt { "Version" } dd { (text(&note.name)) " " (text(&note.version)) }
                            dt { "Contract" } dd.mono { (text(&note.api)) }
                            dt { "SHA-256" } dd.mono { (text(&note.digest)) }
                        },
                        None => { dt { "Version" } dd.soft { "told by the first run" } },
                    }
                }
                @for one in &card.uses { (usage(one)) }
            }
        }
    }
}

fn usage(one: &Use) -> Markup {
    let each = u32::try_from(one.batches).ok().filter(|n| *n > 0).map(|n| one.map / n);
    html! {
        div.use {
            h3 { a href={ "/syncs#card-" (one.sync) } { (one.sync) } @if one.object != one.sync.as_str() { span.soft { " " (text(&one.object)) } } }
            dl.facts {
                dt { "A batch" }
                dd {
                    @match each {
                        Some(each) => { (took(each)) span.soft { " on average, over the last " (grouped(one.batches)) " batches of " (grouped(one.records)) " mapped records" } },
                        None => span.soft { "nothing was mapped lately" },
                    }
                }
                @for (told, n) in &one.traps { dt { "Trapped" } dd { (grouped(*n)) " × " (code(told)) } }
                @for (name, value) in &one.settings { dt { "Setting " (text(name)) } dd.mono { (text(value)) } }
                @for name in &one.secrets { dt { "Setting " (text(name)) } dd.soft { "kept secret" } }
                @if let Some(remap) = &one.remap { dt { "Remap" } dd { (text(&remap.why)) ": " a href={ "/syncs#card-" (one.sync) } { "map its records anew" } } }
            }
        }
    }
}

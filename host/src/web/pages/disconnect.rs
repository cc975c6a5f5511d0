//! Disconnecting: says what it means, asks, and shows what came of it.

use std::future::{Ready, ready};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::address::Named;
use super::ctx::Ctx;
use super::parts::{code, form, text};
use super::problem::{Refused, sentence};
use super::shell::{Live, Page, Tab, respond};
use crate::config::Config;
use crate::model::ConnectionName;
use crate::salesforce::{self, ConnectionState, ConnectionStatus};
use crate::web::Shared;

/// The syncs that only this connection serves, and those that go on with another one.
struct Syncs<'a> {
    wait: Vec<&'a str>,
    go_on: Vec<&'a str>,
}

impl<'a> Syncs<'a> {
    /// `works`: whether the connection of this name can be used.
    fn of(
        config: &'a Config,
        name: &ConnectionName,
        works: impl Fn(&ConnectionName) -> bool,
    ) -> Self {
        let mut found = Self { wait: Vec::new(), go_on: Vec::new() };
        for sync in config.syncs.iter().filter(|sync| sync.enabled && sync.connections.has(name)) {
            let other = |one: &ConnectionName| one != name && works(one);
            let others = sync.connections.iter().any(other)
                || (sync.failover && config.connections.iter().any(|one| other(&one.name)));
            let list = if others { &mut found.go_on } else { &mut found.wait };
            list.push(sync.name.as_str());
        }
        found
    }
}

fn status(shared: &Shared, name: &ConnectionName) -> Result<ConnectionStatus, salesforce::Error> {
    let mut all = shared.org.connections().into_iter();
    let found = all.find(|status| status.name == *name);
    found.ok_or_else(|| salesforce::Error::UnknownConnection(name.clone()))
}

fn page(ctx: &Ctx, status: StatusCode, title: &str, body: Markup) -> Response {
    let title = title.to_owned();
    respond(ctx, status, &Page { title, tab: Tab::Connections, live: Live::No, body })
}

/// What it means, and whether it is meant.
pub(super) fn asks(
    State(shared): State<Shared>,
    ctx: Ctx,
    Named(name): Named<ConnectionName>,
) -> Ready<Result<Response, Refused>> {
    let status = match status(&shared, &name) {
        Ok(status) => status,
        Err(error) => return ready(Err(Refused::new(&ctx, error))),
    };
    let all = shared.org.connections();
    let works = |name: &ConnectionName| {
        all.iter().any(|one| one.name == *name && one.state == ConnectionState::Healthy)
    };
    let consents = shared.org.approvals(&name).is_some();
    let syncs = Syncs::of(shared.reader.config(), &name, works);
    let body = question(&status, &syncs, consents, &ctx);
    ready(Ok(page(&ctx, StatusCode::OK, &format!("Disconnect {name}"), body)))
}

fn question(status: &ConnectionStatus, syncs: &Syncs<'_>, consents: bool, ctx: &Ctx) -> Markup {
    let name = &status.name;
    let names = |list: &[&str]| list.join(", ");
    html! {
        div.head { div { p.crumbs { a href="/connections" { "Connections" } } h1.break { "Disconnect " (name) "?" } } }
        section.card aria-labelledby="means" {
            header { h2 #means { "What it means" } }
            div.in.stack {
                dl.facts {
                    dt { "Tokens" } dd { "kilofold forgets them" }
                    dt { "Approval" }
                    dd {
                        @if consents { "revoked at Salesforce; it no longer counts as one of five" }
                        @else { "none: this grant connects by itself when a sync next uses it. Remove it from the configuration to keep it from that" }
                    }
                    @if !syncs.wait.is_empty() {
                        dt { "Waiting" } dd.break { b { (names(&syncs.wait)) } " until it is connected again; then on at the cursor. A run in hand stops after its batch" }
                    }
                    @if !syncs.go_on.is_empty() {
                        dt { "Going on" } dd.break { b { (names(&syncs.go_on)) } " through another connection" }
                    }
                    dt { "What is stored" } dd { "stays" }
                }
                div.row {
                    (form(ctx, &format!("/connections/{name}/disconnect"), &html! { button.btn.bad { "Disconnect " (name) } }))
                    a.btn href="/connections" { "Leave it" }
                }
            }
        }
    }
}

/// Disconnects.
pub(super) async fn disconnect(
    State(shared): State<Shared>,
    ctx: Ctx,
    Named(name): Named<ConnectionName>,
) -> Result<Response, Refused> {
    let consents = shared.org.approvals(&name).is_some();
    let revoked = shared.org.disconnect(&name).await;
    let now = status(&shared, &name).map_err(|error| Refused::new(&ctx, error))?;
    match revoked {
        Ok(()) => {
            let body = html! {
                (head())
                section.notice.good {
                    div {
                        p { b { (name) " is disconnected" } }
                        p { "Its tokens are forgotten" @if consents { ", and its approval at Salesforce is revoked" } ". Its syncs wait until it is connected again." }
                    }
                    a.btn href="/connections" { "To the connections" }
                }
            };
            Ok(page(&ctx, StatusCode::OK, "Disconnected", body))
        }
        // Forgotten here, but not there.
        Err(error) if now.state == ConnectionState::NotConnected => {
            let body = html! {
                (head())
                section.notice.warn {
                    div {
                        p { b { (name) " is disconnected, but its approval stands" } " " (code(error.code())) }
                        p { "Its tokens are forgotten here. Salesforce could not be told: " (text(&sentence(&error.to_string()))) }
                        p { "The approval counts as one of five until it is revoked there: Setup, Connected Apps OAuth Usage, Revoke." }
                    }
                    a.btn href="/connections" { "To the connections" }
                }
            };
            Ok(page(&ctx, StatusCode::BAD_GATEWAY, "Disconnected", body))
        }
        Err(error) => Err(Refused::new(&ctx, error)),
    }
}

fn head() -> Markup {
    html! { div.head { div { p.crumbs { a href="/connections" { "Connections" } } h1 { "Disconnected" } } } }
}

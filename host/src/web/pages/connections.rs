//! Connections: who is let in by Salesforce and how that stands; connecting and reconnecting through the browser.

use std::collections::HashMap;
use std::future::{Ready, ready};

use axum::Form;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::address::Named;
use super::ctx::{self, Ctx};
use super::parts::{ago, at, badge, code, coming, form, text};
use super::problem::{Refused, sentence};
use super::shell::{Live, Page, Tab, respond};
use crate::model::ConnectionName;
use crate::salesforce::approvals::{MOST, Tally};
use crate::salesforce::{self, ConnectionState, ConnectionStatus, Invited, Redirect};
use crate::web::Shared;

/// The page.
pub(super) fn list(State(shared): State<Shared>, ctx: Ctx) -> Ready<Response> {
    let connections: Vec<(ConnectionStatus, Option<Tally>)> = shared
        .org
        .connections()
        .into_iter()
        .map(|status| {
            let tally = shared.org.approvals(&status.name);
            (status, tally)
        })
        .collect();
    let body = html! {
        div.head { div { h1 { "Connections" } p { "Each is one integration user whom Salesforce has let kilofold act for." } } }
        div.cards { @for (status, tally) in &connections { (one(status, tally.as_ref(), &ctx)) } }
    };
    let page =
        Page { title: "Connections".to_owned(), tab: Tab::Connections, live: Live::All, body };
    ready(respond(&ctx, StatusCode::OK, &page))
}

fn state(state: &ConnectionState) -> Markup {
    match state {
        ConnectionState::NotConnected => badge("off", "not connected"),
        ConnectionState::Healthy => badge("good", "healthy"),
        ConnectionState::ReconnectNeeded { .. } => badge("bad", "reconnect needed"),
        ConnectionState::Refused { .. } => badge("bad", "refused"),
    }
}

fn one(status: &ConnectionStatus, tally: Option<&Tally>, ctx: &Ctx) -> Markup {
    html! {
        section.card id={ "connection-" (status.name) } aria-labelledby={ "name-" (status.name) } {
            header { h2.break id={ "name-" (status.name) } { (status.name) } (state(&status.state)) }
            div.in.stack {
                (why(&status.state, ctx))
                dl.facts {
                    dt { "User" } dd { @match &status.user { Some(user) => (text(user)), None => span.soft { "not known yet" } } }
                    dt { "Org" } dd.mono { @match &status.org_id { Some(org) => (text(org)), None => span.soft { "not known yet" } } }
                    @if let Some(instance) = &status.instance { dt { "Address" } dd { (text(instance)) } }
                    dt { "Grant" } dd { (text(status.grant)) }
                    dt { "Authorised" } dd { @match status.authorised { Some(when) => { (ago(when, ctx)) span.soft { " (" (at(when, ctx)) ")" } }, None => "never" } }
                    dt { "Last used" }
                    dd {
                        @match status.last_used.max(status.verified) {
                            Some(when) => (ago(when, ctx)),
                            None => span.soft { "not since the host started" },
                        }
                        @if status.runs > 0 { span.soft { ", " (status.runs) @if status.runs == 1 { " run" } @else { " runs" } " in hand" } }
                    }
                    dt { "Approvals" }
                    dd { @match tally { Some(tally) => (approvals(tally, ctx)), None => "none needed: this grant asks for no consent" } }
                }
                (buttons(status, tally.is_some(), ctx))
            }
        }
    }
}

/// Why a connection cannot be used, and what to do.
fn why(state: &ConnectionState, ctx: &Ctx) -> Markup {
    match state {
        ConnectionState::NotConnected | ConnectionState::Healthy => html! {},
        ConnectionState::ReconnectNeeded { why, cause } => html! {
            div.notice.bad {
                div {
                    p { b { "Salesforce no longer accepts it" } " " (code("auth.reconnect")) }
                    p { (text(&sentence(why))) }
                    @if let Some(cause) = cause { p { (text(&sentence(cause))) } }
                    p { "Its syncs wait, and go on at their cursors once it is connected again." }
                }
            }
        },
        ConnectionState::Refused { why, again } => html! {
            div.notice.bad {
                div {
                    p { b { "Salesforce refuses it as it is set up" } }
                    p { (text(&sentence(why))) }
                    p { "It is tried again " (coming(*again, ctx)) "." }
                }
            }
        },
    }
}

/// How many of the five approvals are in use, and by whom.
fn approvals(tally: &Tally, ctx: &Ctx) -> Markup {
    let tone = match tally.number {
        n if n >= MOST => "bad",
        n if n + 1 >= MOST => "warn",
        _ => "good",
    };
    html! {
        svg.pips viewBox="0 0 80 12" role="img" aria-label={ (tally.number) " of " (MOST) " approvals" } {
            @for n in 0..MOST.max(tally.number.min(6)) {
                rect class={ "f-" (if n < tally.number { tone } else { "line" }) } x=(n * 13) width="10" height="10" y="1" rx="2" {}
            }
        }
        span.warn[tone == "warn"].bad[tone == "bad"] { (tally.number) " of " (MOST) }
        span.sub { (salesforce::approvals_in_words(tally)) }
        @if tone != "good" {
            span.sub { "Salesforce keeps five for each user and app, and ends the oldest of six without a word. "
                @if let Some(oldest) = &tally.oldest {
                    @match &oldest.connection {
                        Some(name) => { "The oldest is that of " b { (name) } ", since " (at(oldest.since, ctx)) "." },
                        None => { "The oldest was started " (at(oldest.since, ctx)) " and never finished." },
                    }
                }
            }
        }
        @if let Some(note) = &tally.note { span.sub { (text(&sentence(note))) } }
    }
}

fn buttons(status: &ConnectionStatus, consents: bool, ctx: &Ctx) -> Markup {
    let action = format!("/connections/{}/connect", status.name);
    html! {
        @if consents {
            div.row {
                (form(ctx, &action, &match status.state {
                    ConnectionState::NotConnected => html! { button.btn.main { "Connect" } },
                    ConnectionState::Healthy => html! { button.btn { "Connect again" } },
                    _ => html! { button.btn.main { "Reconnect" } },
                }))
                @if ctx.operates && !matches!(status.state, ConnectionState::NotConnected) {
                    a.btn href={ "/connections/" (status.name) "/disconnect" } { "Disconnect…" }
                }
            }
        } @else if matches!(status.state, ConnectionState::NotConnected) {
            p.small.soft { "It connects by itself when a sync first uses it, or with " code { "kilofold connect " (status.name) } "." }
        }
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Consent {
    /// `yes`: also when it would be the sixth approval.
    #[serde(default)]
    anyway: String,
}

/// The port at which the browser reaches the host: what it comes back to must be an address of the connected app.
fn port(headers: &HeaderMap, shared: &Shared) -> u16 {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let port = host.and_then(|host| host.rsplit_once(':')).and_then(|(_, port)| port.parse().ok());
    port.unwrap_or_else(|| shared.reader.config().web.listen.port())
}

/// Begins a consent, and shows how to give it.
pub(super) async fn connect(
    State(shared): State<Shared>,
    ctx: Ctx,
    Named(name): Named<ConnectionName>,
    headers: HeaderMap,
    Form(consent): Form<Consent>,
) -> Result<Response, Refused> {
    let how = Redirect::Served { port: port(&headers, &shared), tls: shared.tls };
    match shared.org.invite(&name, how, consent.anyway == "yes").await {
        Ok(_) => Ok(ctx::see(&format!("/connections/{name}/connect"))),
        Err(error @ salesforce::Error::TooManyApprovals { .. }) => {
            Ok(too_many(&ctx, &name, &error))
        }
        Err(error) => Err(Refused::new(&ctx, error)),
    }
}

/// A sixth approval is refused with the reason; it is there for those who insist.
fn too_many(ctx: &Ctx, name: &ConnectionName, error: &salesforce::Error) -> Response {
    let body = html! {
        div.head { div { p.crumbs { a href="/connections" { "Connections" } } h1 { "One approval too many" } } }
        section.notice.bad {
            div {
                p data-words { (text(&sentence(&error.to_string()))) }
                p { "Code " (code(error.code())) }
            }
            div.row {
                a.btn href="/connections" { "Leave it" }
                (form(ctx, &format!("/connections/{name}/connect"), &html! {
                    input type="hidden" name="anyway" value="yes";
                    button.btn { "Connect anyway" }
                }))
            }
        }
    };
    let title = "One approval too many".to_owned();
    let page = Page { title, tab: Tab::Connections, live: Live::No, body };
    respond(ctx, StatusCode::CONFLICT, &page)
}

/// How to give the consent that was asked for, and what came of it.
pub(super) fn consent(
    State(shared): State<Shared>,
    ctx: Ctx,
    Named(name): Named<ConnectionName>,
) -> Ready<Response> {
    // Nothing is asked of Salesforce by looking.
    let Some(invited) = shared.org.invited(&name) else {
        return ready(ctx::see("/connections"));
    };
    let live = if invited.outcome.is_none() { Live::All } else { Live::No };
    let body = asked(&invited, &ctx);
    let page = Page { title: format!("Connect {name}"), tab: Tab::Connections, live, body };
    ready(respond(&ctx, StatusCode::OK, &page))
}

fn asked(invited: &Invited, ctx: &Ctx) -> Markup {
    let name = &invited.connection;
    html! {
        div.head { div { p.crumbs { a href="/connections" { "Connections" } } h1.break { "Connect " (name) } } }
        @match &invited.outcome {
            Some(Ok(status)) => (connected(status)),
            Some(Err(error)) => {
                section.notice.bad {
                    div { p { b { "It was not connected" } " " (code(error.code())) } p { (text(&sentence(&error.to_string()))) } }
                    (form(ctx, &format!("/connections/{name}/connect"), &html! { button.btn { "Ask again" } }))
                }
            },
            None if ctx.now >= invited.until => {
                section.notice.warn {
                    div { p { b { "The consent was not given in time" } } p { "It counts as an approval all the same, until Salesforce forgets it." } }
                    (form(ctx, &format!("/connections/{name}/connect"), &html! { button.btn { "Ask again" } }))
                }
            },
            None => {
                @if let Some(warning) = &invited.warning { section.notice.warn { div { p { (text(warning)) } } } }
                section.card {
                    div.in.stack {
                        p { "Salesforce asks the integration user whether kilofold may act for them. Log in as that user, not as yourself." }
                        div.row { a.btn.main href=(invited.url) rel="noreferrer" { "Continue at Salesforce" } }
                        p.soft { "It can be answered until " (at(invited.until, ctx)) ". Salesforce sends the browser back to " span.mono.break { (invited.callback) } "." }
                        details {
                            summary { "The browser runs on another machine" }
                            (form(ctx, &format!("/connections/{name}/answer"), &html! {
                                div.stack {
                                    p.small { "After the consent it ends at an address on " code { "localhost" } " that it cannot open. Paste that address here:" }
                                    label { span.hide { "The address that the browser ended at" } input type="url" name="address" required size="60"; }
                                    div.row { button.btn { "Finish" } }
                                }
                            }))
                        }
                    }
                }
            },
        }
    }
}

fn connected(status: &ConnectionStatus) -> Markup {
    html! {
        section.notice.good {
            div {
                p { b { (status.name) " is connected" } }
                p { "As " (text(status.user.as_deref().unwrap_or("a user whose name is not known"))) @if let Some(org) = &status.org_id { ", org " span.mono { (text(org)) } } ". Syncs that waited for it go on by themselves." }
            }
            a.btn href="/connections" { "To the connections" }
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Pasted {
    #[serde(default)]
    address: String,
}

/// Takes the address that the browser ended at.
pub(super) async fn answer(
    State(shared): State<Shared>,
    ctx: Ctx,
    Named(name): Named<ConnectionName>,
    Form(Pasted { address }): Form<Pasted>,
) -> Result<Response, Refused> {
    match shared.org.answered_at(&name, address.trim()).await {
        // What came of it stands on the page of the consent.
        Ok(_) => Ok(ctx::see(&format!("/connections/{name}/connect"))),
        Err(error) => Err(Refused::new(&ctx, error)),
    }
}

/// Where Salesforce sends the browser back to.
pub(super) async fn callback(
    State(shared): State<Shared>,
    ctx: Ctx,
    Query(answer): Query<HashMap<String, String>>,
) -> Result<Response, Refused> {
    let status = shared.org.answered(&answer).await;
    let status = status.map_err(|error| Refused::new(&ctx, error))?;
    let body = html! {
        div.head { div { p.crumbs { a href="/connections" { "Connections" } } h1 { "Connected" } } }
        (connected(&status))
    };
    let page = Page { title: "Connected".to_owned(), tab: Tab::Connections, live: Live::No, body };
    Ok(respond(&ctx, StatusCode::OK, &page))
}

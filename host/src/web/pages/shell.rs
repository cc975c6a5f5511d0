//! The frame of every page, and its headers.

use std::fmt::Write as _;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::assets;
use super::ctx::Ctx;
use super::parts::icon;
use crate::model::RunId;
use crate::web::text::steers;

/// The pages that the navigation names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Imports,
    Data,
    Out,
    Syncs,
    Limits,
    Connections,
    Plugins,
    /// A page that the navigation does not name.
    None,
}

const TABS: [(Tab, &str, &str); 7] = [
    (Tab::Imports, "/", "Imports"),
    (Tab::Data, "/data", "Data in"),
    (Tab::Out, "/out", "Data out"),
    (Tab::Syncs, "/syncs", "Syncs"),
    (Tab::Limits, "/limits", "Limits"),
    (Tab::Connections, "/connections", "Connections"),
    (Tab::Plugins, "/plugins", "Plugins"),
];

/// What of the events concerns a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Live {
    /// Nothing.
    No,
    /// Everything.
    All,
    /// What happens to this run, and what is of no run.
    Run(RunId),
}

/// A page to be framed.
pub(super) struct Page {
    /// In the title of the window, before the program's name.
    pub title: String,
    pub tab: Tab,
    pub live: Live,
    /// What stands in the middle.
    pub body: Markup,
}

/// Only our own sheet, script and icon are loaded, and only our own host is asked. Nothing inline runs or colours.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The page as an answer.
pub(super) fn respond(ctx: &Ctx, status: StatusCode, page: &Page) -> Response {
    let headers: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        // Pages show what is the org's; they are not left behind in a cache.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ];
    (status, headers, Html(inert(document(ctx, page).into_string()))).into_response()
}

/// The text with everything that could turn the direction of writing or hide itself spelled as an escape; lines and tabs
/// stay. maud has escaped the markup, so this cannot make any.
fn inert(text: String) -> String {
    let harmful = |c: char| steers(c) || (c.is_control() && !matches!(c, '\n' | '\t'));
    if !text.chars().any(harmful) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if harmful(c) {
            // Writing to a String cannot fail.
            write!(out, "\\u{{{:x}}}", u32::from(c)).unwrap_or_default();
        } else {
            out.push(c);
        }
    }
    out
}

fn document(ctx: &Ctx, page: &Page) -> Markup {
    let run = match page.live {
        Live::Run(run) => Some(run),
        _ => None,
    };
    html! {
        (DOCTYPE)
        html lang="en" data-theme=[ctx.theme] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (page.title) " · kilofold" }
                link rel="icon" href=(assets::icon()) type="image/svg+xml";
                link rel="stylesheet" href=(assets::sheet());
                script src=(assets::script()) defer {}
                @if page.live != Live::No {
                    // Without the script the browser reads the page again.
                    noscript { meta http-equiv="refresh" content="10"; }
                }
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                (top(ctx, page))
                div #said role="status" {
                    @if let Some(said) = &ctx.said { p { (said) } }
                }
                main #main tabindex="-1" data-live[page.live != Live::No] data-run=[run] { (page.body) }
                footer {
                    span { "kilofold " (env!("CARGO_PKG_VERSION")) }
                    span { "Times are in " (zone(ctx)) }
                }
            }
        }
    }
}

fn zone(ctx: &Ctx) -> String {
    let zoned = ctx.now.timestamp().to_zoned_datetime(ctx.zone.clone());
    match ctx.zone.iana_name() {
        Some(name) => format!("{name} ({})", zoned.offset()),
        None => format!("UTC{}", zoned.offset()),
    }
}

fn top(ctx: &Ctx, page: &Page) -> Markup {
    // Without the script the button asks for the theme that is not the one of the cookie.
    let next = if ctx.theme == Some("dark") { "light" } else { "dark" };
    html! {
        header.top {
            div {
                a.brand href="/" { (icon::LOGO) span { "kilofold" } }
                span.org title=(ctx.org) { (ctx.org) }
                nav aria-label="Pages" {
                    ul {
                        @for (tab, path, name) in TABS {
                            li {
                                a href=(path) aria-current=[(tab == page.tab).then_some("page")] { (name) }
                            }
                        }
                    }
                }
                div.tools {
                    span.pulse #pulse hidden data-state="" { span {} }
                    form method="get" action="/theme" {
                        input type="hidden" name="theme" value=(next);
                        input type="hidden" name="back" value=(ctx.here);
                        button.icon data-theme-next title="Light or dark" aria-label="Switch between light and dark" {
                            (icon::THEME)
                        }
                    }
                    @if ctx.csrf.is_some() {
                        form method="post" action="/logout" {
                            (ctx.csrf())
                            button.btn { "Sign out" }
                        }
                    }
                }
            }
        }
    }
}

/// Markup that is known to be sound: drawings of our own.
pub(super) const fn drawing(svg: &'static str) -> PreEscaped<&'static str> {
    PreEscaped(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_leaves() {
        let text =
            html! { p title="a\u{202e}b" { "<b>\u{1b}[2J\u{0}\u{200b}\n\tc" } }.into_string();
        let sent = inert(text);
        assert_eq!(sent, "<p title=\"a\\u{202e}b\">&lt;b&gt;\\u{1b}[2J\\u{0}\\u{200b}\n\tc</p>");
    }
}

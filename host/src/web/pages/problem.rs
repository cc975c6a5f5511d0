//! Errors as pages: what happened, what it means, what to do.

use axum::http::StatusCode;
use axum::response::Response;
use maud::html;

use super::ctx::Ctx;
use super::parts::{code, text};
use super::shell::{Live, Page, Tab, respond};
use crate::error;
use crate::web::Problem;

/// A problem, with what a page needs to show it.
pub(in crate::web) struct Refused(Box<(Ctx, Problem)>);

impl Refused {
    pub(in crate::web) fn new(ctx: &Ctx, problem: impl Into<Problem>) -> Self {
        Self(Box::new((ctx.clone(), problem.into())))
    }
}

impl axum::response::IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (ctx, problem) = *self.0;
        let meaning = error::explain(&problem.code).map(|known| known.meaning);
        let body = html! {
            div.head { h1 { (capital(&problem.title)) } }
            section.card {
                div.in.stack {
                    // The script shows these where a button was pressed.
                    p data-words { (text(&sentence(&problem.detail))) }
                    @if let Some(meaning) = meaning { p.soft { (meaning) } }
                    p data-words { b { "To do: " } (text(&sentence(&problem.cure))) }
                    p.soft { "Code " (code(&problem.code)) }
                    div.row {
                        a.btn href="/" { "To the imports" }
                    }
                }
            }
        };
        let page = Page { title: capital(&problem.title), tab: Tab::None, live: Live::No, body };
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        respond(&ctx, status, &page)
    }
}

/// A text that begins a line.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// A text as a sentence of its own.
pub(super) fn sentence(text: &str) -> String {
    let text = capital(text.trim_end());
    if text.ends_with(['.', '!', '?']) { text } else { format!("{text}.") }
}

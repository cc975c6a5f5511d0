//! What every code means and what to do: the same text as `kilofold explain`.

use std::future::{Ready, ready};

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use maud::html;

use super::ctx::Ctx;
use super::parts::text;
use super::problem::{Refused, capital, sentence};
use super::shell::{Live, Page, Tab, respond};
use crate::error;
use crate::web::Problem;

/// Every code.
pub(super) fn all(ctx: Ctx) -> Ready<Response> {
    let body = html! {
        div.head { div { h1 { "What errors mean" } p { "The same texts as " code { "kilofold explain CODE" } "." } } }
        section.card {
            table.fold {
                thead { tr { th scope="col" { "Code" } th scope="col" { "Meaning" } } }
                tbody {
                    @for known in error::all() {
                        tr {
                            th.wide scope="row" { a.err href={ "/explain/" (known.code) } { (known.code) } }
                            td.wide { (capital(known.title)) }
                        }
                    }
                }
            }
        }
    };
    let page = Page { title: "What errors mean".to_owned(), tab: Tab::None, live: Live::No, body };
    ready(respond(&ctx, StatusCode::OK, &page))
}

/// One code.
pub(super) fn one(ctx: Ctx, Path(code): Path<String>) -> Ready<Result<Response, Refused>> {
    let Some(known) = error::explain(&code) else {
        let near = error::similar(&code);
        let mut detail = format!("there is no code '{}'", crate::web::text::plain(&code));
        if !near.is_empty() {
            detail.push_str(&format!("; did you mean {}?", near.join(", ")));
        }
        return ready(Err(Refused::new(&ctx, Problem::not_found("usage.code", detail))));
    };
    let body = html! {
        div.head {
            div {
                p.crumbs { a href="/explain" { "What errors mean" } }
                h1 { (capital(known.title)) }
            }
        }
        section.card {
            div.in.stack {
                div { h2 { "What it means" } p { (text(&sentence(known.meaning))) } }
                div { h2 { "What to do" } p { (text(&sentence(known.cure))) } }
                p.soft { "Code " span.err { (known.code) } }
            }
        }
    };
    let page = Page { title: capital(known.title), tab: Tab::None, live: Live::No, body };
    ready(Ok(respond(&ctx, StatusCode::OK, &page)))
}

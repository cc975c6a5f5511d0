//! The pages: HTML made on the host, in the order in which a reader meets them.
//!
//! maud checks the markup when it is compiled and escapes every text; [`shell::document`] then makes sure that nothing
//! which steers a terminal or turns the direction of writing leaves in any page, whatever a page forgot.

mod actions;
mod address;
mod assets;
mod chart;
mod connections;
mod ctx;
mod data;
mod disconnect;
mod explain;
mod import;
mod imports;
mod json;
mod limits;
mod notices;
mod out;
mod parts;
mod plugins;
mod problem;
mod shell;
mod strip;
mod syncs;

use axum::Router;
use axum::response::Redirect;
use axum::routing::{get, post};

use super::Shared;
use crate::salesforce::CALLBACK_PATH;
pub(super) use assets::{icon, sheet};
pub(super) use ctx::Ctx;
pub(super) use problem::Refused;

/// All pages.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(imports::list))
        // What somebody would type who has seen an import's address.
        .route("/imports", get(async || Redirect::permanent("/")))
        .route("/imports/{run}", get(import::show))
        .route("/imports/{run}/failures", get(import::list))
        .route("/imports/{run}/{file}", get(import::export))
        .route("/data", get(data::list))
        .route("/data/{sync}/{id}", get(data::show))
        .route("/out", get(out::list))
        .route("/out/{name}", get(out::one))
        .route("/out/{name}/{seq}", get(out::letter))
        .route("/out/{name}/resend", post(out::resend))
        .route("/out/{name}/discard", post(out::discard))
        .route("/out/{name}/forget", post(out::forget))
        .route("/syncs", get(syncs::list))
        .route("/limits", get(limits::show))
        .route("/plugins", get(plugins::list))
        .route("/connections", get(connections::list))
        .route(
            "/connections/{connection}/connect",
            get(connections::consent).post(connections::connect),
        )
        .route(
            "/connections/{connection}/disconnect",
            get(disconnect::asks).post(disconnect::disconnect),
        )
        .route("/connections/{connection}/answer", post(connections::answer))
        .route(CALLBACK_PATH, get(connections::callback))
        .route("/explain", get(explain::all))
        .route("/explain/{code}", get(explain::one))
        .route("/syncs/{sync}/run", post(actions::run))
        .route("/syncs/{sync}/remap", post(actions::remap))
        .route("/imports/{run}/retry", post(actions::retry))
        .route("/syncs/{sync}/pause", post(actions::pause))
        .route("/syncs/{sync}/resume", post(actions::resume))
        .route("/theme", get(ctx::theme))
        .route("/assets/{file}", get(assets::asset))
}

//! The routes of plugins: which one each sync uses and what it did, and how an operator lets a sync use another.

use axum::http::StatusCode;

use super::Shared;
use super::ask::{Answer, Ask, Json};
use super::problem::Problem;
use super::routes::{Routes, Verb};
use super::view::{Choice, PluginUse, Plugins};
use crate::app;
use crate::model::SyncName;

/// Adds its routes.
pub(super) fn add(routes: Routes) -> Routes {
    routes
        .on(Verb::Get, "/api/v1/plugins", "The plugins of the syncs, and what they did.", list)
        .on(
            Verb::Post,
            "/api/v1/syncs/{sync}/plugin",
            "Lets a sync use a component that is kept beside the store, once it was checked and tried.",
            enable,
        )
        .on(
            Verb::Post,
            "/api/v1/syncs/{sync}/plugin/rollback",
            "Lets a sync use again what it used before its present plugin.",
            roll_back,
        )
}

async fn list(shared: Shared, _: Ask) -> Answer<Json<Plugins>> {
    work(&shared, |plugins| plugins.views()).await.map(Json)
}

async fn enable(shared: Shared, ask: Ask<SyncName, (), Json<Choice>>) -> Answer<Json<PluginUse>> {
    let (sync, Json(Choice { digest })) = (ask.path, ask.body);
    work(&shared, move |plugins| plugins.enable(&sync, digest.as_deref())).await.map(Json)
}

async fn roll_back(shared: Shared, ask: Ask<SyncName>) -> Answer<Json<PluginUse>> {
    work(&shared, move |plugins| plugins.roll_back(&ask.path)).await.map(Json)
}

/// Works in the blocking pool: components are read, compiled and tried.
pub(super) async fn work<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce(&app::Plugins) -> Result<T, app::Error> + Send + 'static,
) -> Result<T, Problem> {
    let plugins = shared.plugins.clone();
    match tokio::task::spawn_blocking(move || work(&plugins)).await {
        Ok(done) => done.map_err(Problem::from),
        Err(error) => {
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "web.internal", error.to_string()))
        }
    }
}

impl From<app::Error> for Problem {
    fn from(error: app::Error) -> Self {
        let status = match &error {
            app::Error::UnknownSync(_) => StatusCode::NOT_FOUND,
            app::Error::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::CONFLICT,
        };
        Self::new(status, error.code(), error.to_string())
    }
}

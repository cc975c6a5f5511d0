//! The sheet, the script and the icon: inside the program, named by their digest, so that browsers keep them for ever.

use std::future::{Ready, ready};
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use xxhash_rust::xxh3::xxh3_64;

struct Asset {
    name: String,
    kind: &'static str,
    text: &'static str,
}

impl Asset {
    fn new(stem: &str, ending: &str, kind: &'static str, text: &'static str) -> Self {
        Self { name: format!("{stem}.{:016x}.{ending}", xxh3_64(text.as_bytes())), kind, text }
    }
}

static SHEET: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("app", "css", "text/css; charset=utf-8", include_str!("../../../assets/app.css"))
});
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "app",
        "js",
        "text/javascript; charset=utf-8",
        include_str!("../../../assets/app.js"),
    )
});
static ICON: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("icon", "svg", "image/svg+xml", include_str!("../../../assets/icon.svg"))
});

/// The address of the sheet.
pub(in crate::web) fn sheet() -> String {
    format!("/assets/{}", SHEET.name)
}

/// The address of the script.
pub(super) fn script() -> String {
    format!("/assets/{}", SCRIPT.name)
}

/// The address of the icon.
pub(in crate::web) fn icon() -> String {
    format!("/assets/{}", ICON.name)
}

/// Answers with an asset. They hold nothing of any org.
pub(super) fn asset(Path(file): Path<String>) -> Ready<Response> {
    let found = [&*SHEET, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.name == file);
    ready(match found {
        Some(asset) => (
            [
                (header::CONTENT_TYPE, asset.kind),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ],
            asset.text,
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

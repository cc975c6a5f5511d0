//! What every code means, by room; the plugins' own are explained in theirs.

mod deliver;
mod host;
mod org;
mod plugins;
mod quota;
mod store;
mod web;

use super::Explained;

const fn of(
    code: &'static str,
    title: &'static str,
    meaning: &'static str,
    cure: &'static str,
) -> Explained {
    Explained { code, title, meaning, cure }
}

/// Every code, room by room.
pub(super) fn all() -> impl Iterator<Item = Explained> {
    [org::ALL, quota::ALL, plugins::ALL, store::ALL, deliver::ALL, host::ALL, web::ALL]
        .into_iter()
        .flatten()
        .copied()
}

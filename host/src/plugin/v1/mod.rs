//! Version 1 of the contract: its bindings, and the one place where its data is made and checked.

mod answer;
mod encode;
mod json;
mod table;

use wasmtime::component::Linker;

use super::state::State;

pub(super) use answer::{Kind, Sizes};
pub(super) use encode::{Columns, encode_json, encode_table};
pub(super) use json::read as read_json;
pub(super) use table::read as read_table;

/// The contract's package.
pub(super) const PACKAGE: &str = "kilofold:mapping";
/// The releases of it that this host serves.
pub(super) const OFFERS: &str = "kilofold:mapping 1.0";
/// The major release that this host serves.
pub(super) const MAJOR: &str = "1";

#[allow(clippy::all, clippy::unwrap_used, missing_docs, reason = "generated")]
mod table_world {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "table-mapper",
        imports: { default: trappable },
    });
}

#[allow(clippy::all, clippy::unwrap_used, missing_docs, reason = "generated")]
mod json_world {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "json-mapper",
        imports: { default: trappable },
        with: {
            "kilofold:mapping/types": super::table_world::kilofold::mapping::types,
            "kilofold:mapping/host": super::table_world::kilofold::mapping::host,
        },
    });
}

pub(super) use json_world::{JsonMapper, JsonMapperPre};
pub(super) use table_world::exports::kilofold::mapping::table as wire;
pub(super) use table_world::kilofold::mapping::{host, types};
pub(super) use table_world::{TableMapper, TableMapperPre};

impl types::Host for State {}

/// Links `host`, which is all that a plugin can reach.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    host::add_to_linker::<State, wasmtime::component::HasSelf<State>>(linker, |state| state)
}

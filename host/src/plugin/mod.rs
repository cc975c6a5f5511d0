//! Mapping plugins: WebAssembly components that cannot hurt the host.
//!
//! A plugin is loaded once ([`Engine::load`]) and then maps batches ([`Plugin::map`]), each on a fresh instance that can
//! reach its log, stored outputs and nothing else. What it answers is checked once, in `v1`; nothing outside of this
//! module knows which form of the contract a plugin speaks, or that wasmtime runs it. All functions block.

mod cache;
mod call;
mod catalog;
mod child;
mod compile;
mod describe;
mod engine;
mod error;
mod explain;
mod facts;
mod fault;
mod inert;
mod limits;
mod mapped;
mod pieces;
mod poison;
mod private;
pub mod scaffold;
mod settings;
mod shelf;
mod state;
mod text;
mod v1;
mod warm;

pub use call::Plugin;
pub use catalog::{Source, digest, stock};
pub use child::{COMMAND as COMPILE_COMMAND, compile_child};
pub use compile::compile_in_children_of;
pub use describe::{Description, Field, OutputKind, Setting, SettingKind};
pub use engine::Engine;
pub use error::{Error, Subject};
pub use explain::{EXPLANATIONS, Explanation, explain};
pub use facts::{Facts, Given, Import};
pub use fault::{Fault, is_trap, size};
pub use limits::Limits;
pub use mapped::{Call, Mapped, Spent};
pub use settings::{Problem, Settings};
pub use shelf::{Chosen, Held, Shelf, Use};
pub use state::{Level, LogLine, Lookup, NoLookup};
#[doc(hidden)]
pub use warm::Warm;

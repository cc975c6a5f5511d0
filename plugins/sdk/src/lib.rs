//! Write a kilofold mapping in Rust: two derived structs and one function.
//!
//! ```
//! use kilofold_plugin::prelude::*;
//!
//! #[derive(Record)]
//! struct Contact<'a> {
//!     id: &'a str,
//!     first_name: Option<&'a str>,
//!     email: Option<&'a str>,
//! }
//!
//! #[derive(Output)]
//! #[kind("person")]
//! struct Person<'a> {
//!     #[key]
//!     id: &'a str,
//!     first_name: Option<&'a str>,
//!     email: String,
//! }
//!
//! fn map(contact: Contact<'_>) -> Result<Person<'_>, Reject> {
//!     let email = contact.email.or_skip("no e-mail")?;
//!     Ok(Person { id: contact.id, first_name: contact.first_name, email: email.to_lowercase() })
//! }
//!
//! mapper!(Contact => Person, map, objects: ["Contact"]);
//!
//! let outcomes = testing::Run::<Plugin>::new().map(r#"[{"Id": "003", "FirstName": "Ada", "Email": "ADA@example.org"}]"#);
//! assert_eq!(outcomes[0].body("person"), testing::json!({"first_name": "Ada", "email": "ada@example.org"}));
//! ```
//!
//! The same code becomes a component with `cargo build --release --target wasm32-wasip2`. Values that a mapping hands on
//! unchanged are never copied: they go back to the host as references into the text that it sent.

extern crate self as kilofold_plugin;

mod batch;
mod describe;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
mod host;
mod kinds;
mod outcome;
pub mod person;
mod read;
mod reject;
#[doc(hidden)]
pub mod run;
mod settings;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod values;
mod write;

pub use batch::{Batch, Cell, Context, Fields, Row};
pub use describe::{Description, Field, Kinds, OutputKind};
#[doc(hidden)]
pub use host::log;
pub use host::{Level, lookup, lookup_one};
pub use kilofold_plugin_derive::{Output, Outputs, Record, Settings, mapper};
pub use kinds::{Relationship, event_key, kind_of};
pub use outcome::{CellType, Cells, OutRow, Outcomes, Verdict};
pub use read::{FromCell, Mismatch, Record};
pub use reject::{OrReject, Reject};
pub use run::Mapper;
pub use settings::{FromSetting, Problem, Secret, Setting, SettingKind, Settings, Source};
pub use values::{
    Address, Date, DateTime, Id, Json, Location, MultiPicklist, Number, Object, Time,
};
pub use write::{Output, Outputs, ToCell};

#[doc(hidden)]
pub use serde_json;

/// Everything that a mapping usually needs.
pub mod prelude {
    #[cfg(not(target_arch = "wasm32"))]
    pub use crate::testing;
    pub use crate::{
        Address, Context, Date, DateTime, Id, Json, Location, MultiPicklist, Number, Object,
        OrReject, Output, Outputs, Record, Reject, Relationship, Row, Secret, Settings, Time,
        lookup, lookup_one, mapper,
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:ident, $($text:tt)+) => { $crate::log($crate::Level::$level, &::std::format!($($text)+)) };
}

/// Logs for developers, formatted as `format!` does; the host bounds lines and bytes a batch.
#[macro_export]
macro_rules! debug { ($($text:tt)+) => { $crate::__log!(Debug, $($text)+) }; }

/// Logs what a user may want to know, formatted as `format!` does.
#[macro_export]
macro_rules! info { ($($text:tt)+) => { $crate::__log!(Info, $($text)+) }; }

/// Logs what a user should look at, formatted as `format!` does.
#[macro_export]
macro_rules! warn { ($($text:tt)+) => { $crate::__log!(Warn, $($text)+) }; }

/// Logs what went wrong, formatted as `format!` does; a record that cannot be mapped is a `Reject` instead.
#[macro_export]
macro_rules! error { ($($text:tt)+) => { $crate::__log!(Error, $($text)+) }; }

//! Salesforce's values, typed.

mod id;
mod json;
mod number;
mod picklist;
mod time;

pub use id::Id;
pub(crate) use json::write_text;
pub use json::{Json, Object};
pub use number::Number;
pub use picklist::MultiPicklist;
pub use time::{Date, DateTime};

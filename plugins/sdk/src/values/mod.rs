//! Salesforce's values, typed.

mod daytime;
mod id;
mod json;
mod number;
mod picklist;
mod place;
mod time;

pub use daytime::Time;
pub use id::Id;
pub(crate) use json::write_text;
pub use json::{Json, Object};
pub use number::Number;
pub use picklist::MultiPicklist;
pub use place::{Address, Location};
pub use time::{Date, DateTime};

//! One sync, from window to committed records: [`run`] tells the story.

mod committing;
mod error;
mod hold;
mod job;
mod reader;
mod remap;
mod retry;
mod run;
mod select;
mod stored;
pub mod window;

pub use error::Error;
pub use job::Job;
pub use reader::BATCH;
pub use remap::remap;
pub use retry::retry;
pub use run::run;
pub use select::{Selected, select};

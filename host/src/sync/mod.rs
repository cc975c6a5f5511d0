//! One sync, from window to committed records: [`run`] tells the story.

mod committing;
pub mod compare;
mod error;
mod hold;
mod job;
mod present;
mod reader;
mod remap;
mod retry;
mod run;
mod sample;
mod select;
pub mod stored;
mod stride;
pub mod tally;
pub mod window;

pub use error::Error;
pub use job::Job;
pub use present::{Done, Line, Mapper, Present};
pub use reader::BATCH;
pub use remap::remap;
pub use retry::retry;
pub use run::run;
pub use sample::{Sample, sample};
pub use select::{Selected, select, small_pages};

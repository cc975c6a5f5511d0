//! The words of the design as plain values: no I/O, no clock, no library's types.

mod batch;
mod call;
mod cursor;
#[cfg(test)]
pub(crate) mod example;
mod id;
mod json;
mod outcome;
mod run;
mod scan;
mod schema;
mod stamp;
mod text;

pub use batch::{Batch, Cell, CellKind, Record, Span};
pub use call::{Call, Caller, HourOfCalls, Purpose, Usage};
pub use cursor::{Cursor, Position, Scan, Window};
pub use id::{ConnectionName, ConsumerName, IdError, NameError, RecordId, RunId, SyncName};
pub use json::{first_special, leaves, specials};
pub use outcome::{Bodies, Body, Outcome, Output, Rejection};
pub use run::{
    Counts, Ending, Maker, PageNote, Pause, PauseCause, PluginNote, RetryNote, Run, Standing,
    StandingError, Timing, Trigger,
};
pub use scan::{Answer, ScanError, Selection, next_address};
pub use schema::{FieldChange, Schema};
pub use stamp::{Stamp, StampError};
pub use text::Text;

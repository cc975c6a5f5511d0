//! How far a sync has come.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RecordId, Stamp};

/// The place of the last committed record: the pair that orders a window.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Position {
    /// Its stamp (ignored in a scan by Id).
    pub stamp: Stamp,
    /// Its id.
    pub id: RecordId,
}

/// In which order a window is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scan {
    /// Everything there is, by Id: the first run, and every run of an object without a usable stamp.
    ById,
    /// What changed, by (stamp, Id).
    ByStamp,
}

/// A stretch of the org's time that is being read, and how far that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// The order of reading.
    pub scan: Scan,
    /// Records stamped earlier are not read; none: from the beginning.
    pub from: Option<Stamp>,
    /// Records stamped later are left for the next window.
    pub to: Stamp,
    /// The last committed record; none: nothing yet.
    pub at: Option<Position>,
}

/// The point that a sync has reached, committed with every batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Cursor {
    /// Everything stamped up to here has been read; none: no window was ever finished.
    pub covered: Option<Stamp>,
    /// The window in hand, when the last run did not finish it.
    pub open: Option<Window>,
}

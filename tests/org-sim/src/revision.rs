//! Tells whether anything in the org has changed since it was last asked.

use crate::org::Org;

impl Org {
    /// Grows with every change of any record or object.
    pub(crate) fn revision(&self) -> u64 {
        self.tables.iter().map(|table| table.revision).sum()
    }
}

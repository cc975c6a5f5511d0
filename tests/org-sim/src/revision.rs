//! Tells whether anything in the org has changed since it was last asked.

use std::fmt;

use crate::org::Org;

impl Org {
    /// Grows with every change of any record or object.
    pub(crate) fn revision(&self) -> u64 {
        self.tables.iter().map(|table| table.revision).sum()
    }
}

impl fmt::Debug for Org {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Org")
            .field("id", &self.org_id())
            .field("revision", &self.revision())
            .finish_non_exhaustive()
    }
}

//! Finding a record by its id, or by the key of what it yields, in whatever sync it lies.

use super::Store;
use super::error::Error;
use super::names::Class;
use crate::model::{RecordId, SyncName};

/// A record that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its sync.
    pub sync: SyncName,
    /// The record.
    pub id: RecordId,
    /// The kind of the output whose key was asked for; none when the id was.
    pub kind: Option<std::sync::Arc<str>>,
}

impl Store {
    /// The records whose id this text is, and those that yield an output with this key. Costs a few reads for each sync and
    /// kind that the store has heard of, however many records there are.
    pub fn search(&self, text: &str) -> Result<Vec<Found>, Error> {
        let mut found = Vec::new();
        let id = RecordId::parse(text).ok();
        let kinds: Vec<_> = {
            let names = self.names();
            (0..=u16::MAX)
                .map_while(|n| names.name(Class::Kind, n).ok().map(|name| (n, name)))
                .collect()
        };
        for sync in self.syncs() {
            let Some(number) = self.sync_number(&sync) else { continue };
            if let Some(id) = id
                && self.entry(number, &id)?.is_some()
            {
                found.push(Found { sync: sync.clone(), id, kind: None });
            }
            for (kind, name) in &kinds {
                if let Some((owner, _)) = self.find(number, *kind, text)?
                    && Some(owner) != id
                {
                    let kind = Some(name.clone());
                    found.push(Found { sync: sync.clone(), id: owner, kind });
                }
            }
        }
        Ok(found)
    }
}

//! Names of syncs, kinds and connections, stored once and known by small numbers.

use std::collections::HashMap;
use std::sync::Arc;

use super::codec::{self, Put, Take};
use super::disk::{Disk, Writes};
use super::error::Error;
use super::layout::Space;

/// What a name names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Class {
    /// A sync.
    Sync = b's',
    /// A kind of output.
    Kind = b'k',
    /// A connection.
    Connection = b'c',
}

/// The names of one class.
#[derive(Debug, Clone, Default)]
struct Table {
    numbers: HashMap<Arc<str>, u16>,
    names: Vec<Arc<str>>,
}

/// All names.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    syncs: Table,
    kinds: Table,
    connections: Table,
}

impl Names {
    /// Reads all names.
    pub(super) fn load(disk: &Disk) -> Result<Self, Error> {
        let mut names = Self::default();
        for class in [Class::Sync, Class::Kind, Class::Connection] {
            let mut found = Vec::new();
            for item in disk.all(&Space::Name.key(&[&[class as u8]])) {
                let (key, payload) = item?;
                let number = Take(&payload).short();
                let name = key.get(2..).and_then(|name| std::str::from_utf8(name).ok());
                let (Some(number), Some(name)) = (number, name) else {
                    return Err(codec::unfit(&key, "it cannot be read"));
                };
                found.push((number, Arc::<str>::from(name)));
            }
            found.sort_unstable();
            let table = names.table_mut(class);
            for (number, name) in found {
                if usize::from(number) != table.names.len() {
                    return Err(Error::damaged(format!(
                        "names: '{name}' has number {number} out of order"
                    )));
                }
                table.names.push(name.clone());
                table.numbers.insert(name, number);
            }
        }
        Ok(names)
    }

    fn table(&self, class: Class) -> &Table {
        match class {
            Class::Sync => &self.syncs,
            Class::Kind => &self.kinds,
            Class::Connection => &self.connections,
        }
    }

    fn table_mut(&mut self, class: Class) -> &mut Table {
        match class {
            Class::Sync => &mut self.syncs,
            Class::Kind => &mut self.kinds,
            Class::Connection => &mut self.connections,
        }
    }

    /// The number of a name, when it has one.
    pub(super) fn number(&self, class: Class, name: &str) -> Option<u16> {
        self.table(class).numbers.get(name).copied()
    }

    /// The name of a number.
    pub(super) fn name(&self, class: Class, number: u16) -> Result<Arc<str>, Error> {
        let found = self.table(class).names.get(usize::from(number)).cloned();
        found.ok_or_else(|| Error::damaged(format!("names: number {number} has no name")))
    }

    /// The number of a name, given to it now when it has none.
    pub(super) fn give(
        &mut self,
        class: Class,
        name: &str,
        writes: &mut Writes,
    ) -> Result<u16, Error> {
        if let Some(number) = self.number(class, name) {
            return Ok(number);
        }
        let table = self.table_mut(class);
        let number = u16::try_from(table.names.len()).map_err(|_| Error::Unfit {
            what: format!("the name '{name}'"),
            reason: "there are 65536 names already".to_owned(),
        })?;
        let name: Arc<str> = name.into();
        table.names.push(name.clone());
        table.numbers.insert(name.clone(), number);
        let mut payload = Vec::new();
        payload.number(u64::from(number));
        writes.put(Space::Name.key(&[&[class as u8], name.as_bytes()]), &payload);
        Ok(number)
    }
}

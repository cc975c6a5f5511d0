//! What a plugin is, reads and makes.

use crate::Setting;

/// A Salesforce field that the plugin reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// API name, parents as `Account.Name`.
    pub name: &'static str,
    /// Whether the mapping cannot do without it.
    pub required: bool,
}

/// One kind of output and its fields, in the order in which output cells come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputKind {
    /// Name of the kind, such as `person`.
    pub name: &'static str,
    /// Field names; exactly `["*"]` when one cell is the whole body.
    pub fields: &'static [&'static str],
}

/// The kinds of output that a plugin declares, each once.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    list: Vec<OutputKind>,
    clash: Option<&'static str>,
}

impl Kinds {
    /// Adds a kind; the same kind may be added again with the same fields.
    pub fn add(&mut self, name: &'static str, fields: &'static [&'static str]) {
        match self.list.iter().find(|kind| kind.name == name) {
            None => self.list.push(OutputKind { name, fields }),
            Some(known) if known.fields == fields => {}
            Some(_) => self.clash = Some(name),
        }
    }

    /// The kinds, in the order in which they were first added.
    pub fn as_slice(&self) -> &[OutputKind] {
        &self.list
    }

    /// Where a kind stands in the list.
    #[inline]
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.list.iter().position(|kind| kind.name == name)
    }

    /// The kinds, or what is wrong with them.
    pub(crate) fn checked(self) -> Result<Vec<OutputKind>, String> {
        match self.clash {
            Some(name) => Err(format!("two outputs are of kind '{name}', but their fields differ")),
            None if self.list.len() > usize::from(u16::MAX) => {
                Err("too many kinds of output".to_owned())
            }
            None => Ok(self.list),
        }
    }
}

/// What a plugin is, reads and makes, as the host hears it.
#[derive(Clone, Debug)]
pub struct Description {
    /// The plugin's name; by default that of its crate.
    pub name: &'static str,
    /// The plugin's version; by default that of its crate.
    pub version: &'static str,
    /// One sentence for people; by default the crate's description.
    pub summary: &'static str,
    /// API names of the objects that it can map; empty: any.
    pub objects: &'static [&'static str],
    /// The fields that it reads; empty: all that the sync selects.
    pub reads: Vec<Field>,
    /// The kinds of output that it makes.
    pub outputs: Vec<OutputKind>,
    /// The settings that it takes.
    pub settings: Vec<Setting>,
    /// Whether it maps deleted records itself.
    pub maps_deletions: bool,
}

//! Which fields an object had when a run read it, and what changed since another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The fields of an object that a connection's user may see, by name, each with its type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schema(pub BTreeMap<String, String>);

/// What became of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum FieldChange {
    /// It was not there before.
    New {
        /// Its name.
        field: String,
        /// Its type.
        kind: String,
    },
    /// It is no longer there, or no longer visible.
    Vanished {
        /// Its name.
        field: String,
        /// The type that it had.
        kind: String,
    },
    /// It has another type.
    Retyped {
        /// Its name.
        field: String,
        /// The type that it had.
        from: String,
        /// Its type.
        to: String,
    },
}

impl Schema {
    /// Sixteen hexadecimal digits that stand for the names and types.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (name, kind) in &self.0 {
            for text in [name, kind] {
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text.as_bytes());
            }
        }
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// What changed since `before`, by name.
    pub fn changes_since(&self, before: &Self) -> Vec<FieldChange> {
        let mut changes = Vec::new();
        for (field, kind) in &self.0 {
            match before.0.get(field) {
                None => changes.push(FieldChange::New { field: field.clone(), kind: kind.clone() }),
                Some(from) if from != kind => changes.push(FieldChange::Retyped {
                    field: field.clone(),
                    from: from.clone(),
                    to: kind.clone(),
                }),
                Some(_) => {}
            }
        }
        for (field, kind) in before.0.iter().filter(|(field, _)| !self.0.contains_key(*field)) {
            changes.push(FieldChange::Vanished { field: field.clone(), kind: kind.clone() });
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schema(fields: &[(&str, &str)]) -> Schema {
        Schema(fields.iter().map(|(name, kind)| ((*name).into(), (*kind).into())).collect())
    }

    #[test]
    fn tells_new_vanished_and_retyped_fields() {
        let before = schema(&[("Id", "id"), ("Fax", "phone"), ("Score__c", "double")]);
        let after = schema(&[("Id", "id"), ("Email", "email"), ("Score__c", "string")]);
        let (email, fax, score) = ("Email".into(), "Fax".into(), "Score__c".into());
        let changes = [
            FieldChange::New { field: email, kind: "email".into() },
            FieldChange::Retyped { field: score, from: "double".into(), to: "string".into() },
            FieldChange::Vanished { field: fax, kind: "phone".into() },
        ];
        assert_eq!(after.changes_since(&before), changes);
        assert_ne!(before.digest(), after.digest());
        assert_eq!(before.digest().len(), 16);
    }

    proptest! {
        #[test]
        fn equal_digests_mean_no_change(
            a in proptest::collection::btree_map("[a-c]{1,2}", "[x-y]", 0..4),
            b in proptest::collection::btree_map("[a-c]{1,2}", "[x-y]", 0..4),
        ) {
            let (a, b) = (Schema(a), Schema(b));
            prop_assert_eq!(a.digest() == b.digest(), a.changes_since(&b).is_empty());
        }
    }
}

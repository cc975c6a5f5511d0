//! Deliveries to other systems: how each destination stands, and the changes that it refused.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Store;
use super::codec;
use super::disk::Writes;
use super::error::Error;
use super::layout::{Space, number_at};
use super::meta::{from_json, to_json};
use crate::model::{ConsumerName, Stamp};

/// How a destination stands. Its place in the feed is that of the consumer of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeliveryState {
    /// Since when the batch in hand has failed; none: nothing fails.
    #[serde(default)]
    pub failing_since: Option<Stamp>,
    /// How often the batch in hand was tried in vain.
    #[serde(default)]
    pub attempts: u32,
    /// What went wrong last, for a person.
    #[serde(default)]
    pub trouble: Option<String>,
    /// When the batch in hand is tried again.
    #[serde(default)]
    pub next: Option<Stamp>,
    /// When it last took a batch.
    #[serde(default)]
    pub delivered: Option<Stamp>,
    /// Changes that it has taken.
    #[serde(default)]
    pub taken: u64,
}

/// A change that a destination did not take.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its number in the feed.
    pub seq: u64,
    /// When it was given up.
    pub at: Stamp,
    /// What the destination said.
    pub reason: String,
    /// The change, as it was to be delivered.
    pub change: Box<RawValue>,
}

/// The keys of a destination's dead letters begin so.
fn letters(name: &ConsumerName) -> Vec<u8> {
    Space::Dead.name(name.as_str())
}

fn letter(name: &ConsumerName, seq: u64) -> Vec<u8> {
    [letters(name), seq.to_be_bytes().to_vec()].concat()
}

impl Store {
    /// How a destination stands; as new when it is not known.
    pub fn delivery(&self, name: &ConsumerName) -> Result<DeliveryState, Error> {
        let key = Space::Delivery.name(name.as_str());
        let found = self.0.disk.get(&key)?;
        found.map_or_else(|| Ok(DeliveryState::default()), |payload| from_json(&key, &payload))
    }

    /// Notes how a destination stands, and what it did not take; durable when this returns.
    pub fn set_delivery(
        &self,
        name: &ConsumerName,
        state: &DeliveryState,
        dead: &[DeadLetter],
    ) -> Result<(), Error> {
        let mut writes = Writes::default();
        let key = Space::Delivery.name(name.as_str());
        writes.put(key, &to_json("how a destination stands", state)?);
        for one in dead {
            writes.put_long(letter(name, one.seq), &to_json("a dead letter", one)?);
        }
        self.0.disk.apply(writes)?;
        self.0.disk.flush()
    }

    /// What a destination did not take, behind number `after`, in order.
    pub fn dead_letters(
        &self,
        name: &ConsumerName,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        let (disk, prefix) = (&self.0.disk, letters(name));
        let from = letter(name, after.map_or(0, |after| after.saturating_add(1)));
        let mut found = Vec::new();
        for item in disk.from(&prefix, &from) {
            let (key, head) = item?;
            if key.len() != prefix.len() + 8 {
                continue;
            }
            if found.len() >= limit {
                break;
            }
            found.push(from_json(&key, &disk.rest(&key, &head)?)?);
        }
        Ok(found)
    }

    /// How many changes a destination did not take, counted up to `most`.
    pub fn count_dead(&self, name: &ConsumerName, most: usize) -> Result<usize, Error> {
        let prefix = letters(name);
        let mut count = 0;
        for item in self.0.disk.all(&prefix) {
            count += usize::from(item?.0.len() == prefix.len() + 8);
            if count >= most {
                break;
            }
        }
        Ok(count)
    }

    /// Forgets these dead letters; all of the destination when none are named. Tells how many. Durable when this returns.
    pub fn bury(&self, name: &ConsumerName, only: Option<&[u64]>) -> Result<u64, Error> {
        let (disk, prefix) = (&self.0.disk, letters(name));
        let mut writes = Writes::default();
        let mut gone = 0;
        for item in disk.all(&prefix) {
            let (key, _) = item?;
            let seq = number_at(&key, prefix.len())
                .ok_or_else(|| codec::unfit(&key, "it has no number"))?;
            if only.is_some_and(|only| !only.contains(&seq)) {
                continue;
            }
            gone += u64::from(key.len() == prefix.len() + 8);
            writes.remove(key.to_vec());
        }
        disk.apply(writes)?;
        disk.flush()?;
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::*;

    #[test]
    fn what_was_not_taken_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Store::open(folder.path(), &Options::default()).unwrap();
        let (name, other) =
            (ConsumerName::new("hook").unwrap(), ConsumerName::new("hook2").unwrap());
        let long = format!("\"{}\"", "x".repeat(700_000));
        let dead = |seq, text: &str| DeadLetter {
            seq,
            at: Stamp(seq.cast_signed()),
            reason: "400".to_owned(),
            change: RawValue::from_string(text.to_owned()).unwrap(),
        };
        let store = open();
        assert_eq!(store.delivery(&name).unwrap(), DeliveryState::default());
        let state = DeliveryState { attempts: 2, taken: 9, ..DeliveryState::default() };
        store.set_delivery(&name, &state, &[dead(3, &long), dead(300, "1")]).unwrap();
        store.set_delivery(&other, &state, &[dead(4, "2")]).unwrap();
        drop(store);
        let store = open();
        assert_eq!(store.delivery(&name).unwrap(), state);
        let seqs = |after, limit| -> Vec<u64> {
            let found = store.dead_letters(&name, after, limit).unwrap();
            found.iter().map(|one| one.seq).collect()
        };
        assert_eq!(
            (seqs(None, 9), seqs(Some(3), 9), seqs(None, 1)),
            (vec![3, 300], vec![300], vec![3])
        );
        assert_eq!(store.dead_letters(&name, None, 1).unwrap()[0].change.get(), long);
        assert_eq!(store.count_dead(&name, 9).unwrap(), 2);
        assert_eq!(store.bury(&name, Some(&[3, 4])).unwrap(), 1);
        assert_eq!(seqs(None, 9), [300]);
        assert_eq!(store.bury(&name, None).unwrap(), 1);
        assert_eq!(
            (store.count_dead(&name, 9).unwrap(), store.count_dead(&other, 9).unwrap()),
            (0, 1)
        );
    }
}

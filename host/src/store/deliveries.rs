//! Deliveries to other systems: how each destination stands, and the changes that it refused.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::codec;
use super::disk::Writes;
use super::error::Error;
use super::layout::{Space, number_at};
use super::meta::{from_json, to_json};
use super::{Store, lock};
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
    /// The stable code of what went wrong last.
    #[serde(default)]
    pub code: Option<String>,
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
    /// The stable code of why; none in stores of before codes were kept.
    #[serde(default)]
    pub code: Option<String>,
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

/// Where the numbers are of those that are to be sent again: no name has this end.
fn asked(name: &ConsumerName) -> Vec<u8> {
    [Space::Delivery.name(name.as_str()), b"\0again".to_vec()].concat()
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
        if !dead.is_empty() {
            self.count_anew(name);
        }
        self.0.disk.flush()
    }

    /// What is remembered of how many dead letters a destination has no longer holds.
    fn count_anew(&self, name: &ConsumerName) {
        lock(&self.0.dead).remove(name.as_str());
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

    /// The dead letters of these numbers, as far as they are there, in order.
    pub fn letters(&self, name: &ConsumerName, seqs: &[u64]) -> Result<Vec<DeadLetter>, Error> {
        let disk = &self.0.disk;
        let mut found = Vec::new();
        for seq in seqs {
            let key = letter(name, *seq);
            if let Some(head) = disk.get(&key)? {
                found.push(from_json(&key, &disk.rest(&key, &head)?)?);
            }
        }
        Ok(found)
    }

    /// Asks for dead letters to be sent again: for one, or for all. Tells how many were asked for; they stay until they are
    /// taken. Durable when this returns.
    pub fn send_again(&self, name: &ConsumerName, only: Option<u64>) -> Result<u64, Error> {
        let _one = lock(&self.0.consuming);
        let prefix = letters(name);
        let mut asked = self.asked_again(name)?;
        let mut count = 0;
        for item in self.0.disk.all(&prefix) {
            let (key, _) = item?;
            let seq = number_at(&key, prefix.len()).filter(|_| key.len() == prefix.len() + 8);
            if let Some(seq) = seq.filter(|seq| only.is_none_or(|only| only == *seq)) {
                count += 1;
                asked.push(seq);
            }
        }
        asked.sort_unstable();
        asked.dedup();
        self.put_asked(name, &asked)?;
        self.0.letters_asked.send_modify(|asked| *asked += 1);
        Ok(count)
    }

    /// The numbers of the dead letters that are to be sent again, in order.
    pub fn asked_again(&self, name: &ConsumerName) -> Result<Vec<u64>, Error> {
        let key = asked(name);
        let found = self.0.disk.get(&key)?;
        let found = found.map(|head| self.0.disk.rest(&key, &head)).transpose()?;
        found.map_or_else(|| Ok(Vec::new()), |payload| from_json(&key, &payload))
    }

    /// These were sent again, or are not to be any more; all when none are named. Durable when this returns.
    pub fn answered_again(&self, name: &ConsumerName, seqs: Option<&[u64]>) -> Result<(), Error> {
        let _one = lock(&self.0.consuming);
        let mut left = self.asked_again(name)?;
        left.retain(|seq| seqs.is_some_and(|seqs| !seqs.contains(seq)));
        self.put_asked(name, &left)
    }

    fn put_asked(&self, name: &ConsumerName, seqs: &[u64]) -> Result<(), Error> {
        let mut writes = Writes::default();
        writes.put_long(asked(name), &to_json("what is sent again", &seqs)?);
        self.0.disk.apply(writes)?;
        self.0.disk.flush()
    }

    /// Hears when dead letters are asked to be sent again.
    pub fn letters_asked(&self) -> tokio::sync::watch::Receiver<u64> {
        self.0.letters_asked.subscribe()
    }

    /// How many changes a destination did not take. They are counted when somebody first asks, and after each change of
    /// them.
    pub fn count_dead(&self, name: &ConsumerName) -> Result<usize, Error> {
        // Held while they are counted: what is written meanwhile has them counted anew afterwards.
        let mut counts = lock(&self.0.dead);
        if let Some(count) = counts.get(name.as_str()) {
            return Ok(*count);
        }
        let prefix = letters(name);
        let mut count = 0;
        for item in self.0.disk.all(&prefix) {
            count += usize::from(item?.0.len() == prefix.len() + 8);
        }
        counts.insert(name.as_str().to_owned(), count);
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
        self.count_anew(name);
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
            code: Some("deliver.refused".to_owned()),
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
        assert_eq!(store.count_dead(&name).unwrap(), 2);
        assert_eq!(store.bury(&name, Some(&[3, 4])).unwrap(), 1);
        assert_eq!(seqs(None, 9), [300]);
        assert_eq!(store.bury(&name, None).unwrap(), 1);
        assert_eq!((store.count_dead(&name).unwrap(), store.count_dead(&other).unwrap()), (0, 1));
    }
}

//! Named readers of the feed, and how far each has come.

use serde::{Deserialize, Serialize};

use super::Store;
use super::disk::Writes;
use super::error::Error;
use super::layout::Space;
use super::meta::{from_json, to_json};
use crate::model::{ConsumerName, Stamp};

/// Readers that a store keeps the places of.
const MOST: usize = 1000;

/// A reader of the feed that comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumer {
    /// Its name.
    pub name: ConsumerName,
    /// It has everything up to this number and will not ask for it again.
    pub acknowledged: u64,
    /// When it was first heard of, by the local clock.
    pub created: Stamp,
    /// When it was last heard of, to the minute.
    pub seen: Stamp,
}

/// Why an acknowledgement is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is ahead of the feed.
    #[error("{asked} was acknowledged, but the feed ends at {end}")]
    Ahead {
        /// The number.
        asked: u64,
        /// The last number of the feed.
        end: u64,
    },
    /// It would go back, which nobody does by mistake.
    #[error("{asked} was acknowledged, but the consumer had come to {now} before")]
    Back {
        /// The number.
        asked: u64,
        /// Where the consumer stands.
        now: u64,
    },
    /// What comes after it is no longer kept.
    #[error("{asked} was acknowledged, but the feed begins at {start}")]
    Gone {
        /// The number.
        asked: u64,
        /// The first number that is kept.
        start: u64,
    },
    /// There are too many already.
    #[error("there are {MOST} consumers already")]
    Many,
}

/// Where a consumer stands after an acknowledgement; `rewind` allows it to go back. `feed` is the first and the last number
/// that the feed keeps.
pub fn acknowledge(
    known: Option<&Consumer>,
    name: &ConsumerName,
    asked: u64,
    rewind: bool,
    feed: (u64, u64),
    now: Stamp,
) -> Result<Consumer, Refused> {
    let (start, end) = feed;
    if asked > end {
        return Err(Refused::Ahead { asked, end });
    }
    if let Some(known) = known
        && asked < known.acknowledged
        && !rewind
    {
        return Err(Refused::Back { asked, now: known.acknowledged });
    }
    // A new consumer may begin with 0 whatever the feed still has: its first question tells it to take a snapshot.
    if known.is_some() && asked.saturating_add(1) < start && rewind {
        return Err(Refused::Gone { asked, start });
    }
    let created = known.map_or(now, |known| known.created);
    Ok(Consumer { name: name.clone(), acknowledged: asked, created, seen: now })
}

impl Store {
    /// All consumers, by name.
    pub fn consumers(&self) -> Result<Vec<Consumer>, Error> {
        let all = Space::Consumer.walk(&self.0.disk);
        all.map(|item| item.and_then(|(key, payload)| from_json(&key, &payload))).collect()
    }

    /// One consumer.
    pub fn consumer(&self, name: &ConsumerName) -> Result<Option<Consumer>, Error> {
        let key = Space::Consumer.name(name.as_str());
        self.0.disk.get(&key)?.map(|payload| from_json(&key, &payload)).transpose()
    }

    /// Moves a consumer, or makes it; durable when this returns. The inner error says why it is not taken.
    pub fn move_consumer(
        &self,
        name: &ConsumerName,
        asked: u64,
        rewind: bool,
        now: Stamp,
    ) -> Result<Result<Consumer, Refused>, Error> {
        let _one = self.consuming();
        let known = self.consumer(name)?;
        if known.is_none() && self.consumers()?.len() >= MOST {
            return Ok(Err(Refused::Many));
        }
        let feed = (self.feed_start()?, self.feed_end()?);
        match acknowledge(known.as_ref(), name, asked, rewind, feed, now) {
            Ok(consumer) => {
                self.put_consumer(&consumer)?;
                self.0.disk.flush()?;
                Ok(Ok(consumer))
            }
            refused => Ok(refused),
        }
    }

    /// Notes that a consumer was heard of: at most once a minute, and durable with the next thing that is.
    pub fn consumer_seen(&self, name: &ConsumerName, now: Stamp) -> Result<(), Error> {
        let _one = self.consuming();
        match self.consumer(name)? {
            Some(known) if now.since(known.seen).as_secs() >= 60 => {
                self.put_consumer(&Consumer { seen: now, ..known })
            }
            _ => Ok(()),
        }
    }

    /// Forgets a consumer; tells whether there was one. Durable when this returns.
    pub fn forget_consumer(&self, name: &ConsumerName) -> Result<bool, Error> {
        let _one = self.consuming();
        let key = Space::Consumer.name(name.as_str());
        let known = self.0.disk.get(&key)?.is_some();
        let mut writes = Writes::default();
        writes.remove(key);
        self.0.disk.apply(writes)?;
        self.0.disk.flush()?;
        Ok(known)
    }

    fn put_consumer(&self, consumer: &Consumer) -> Result<(), Error> {
        let mut writes = Writes::default();
        let key = Space::Consumer.name(consumer.name.as_str());
        writes.put(key, &to_json("a consumer", consumer)?);
        self.0.disk.apply(writes)
    }

    /// One writer of consumers at a time.
    fn consuming(&self) -> std::sync::MutexGuard<'_, ()> {
        self.0.consuming.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> ConsumerName {
        ConsumerName::new("warehouse").unwrap()
    }

    proptest::proptest! {
        /// Whatever is asked: a consumer never stands ahead of the feed, and goes back only when it says so.
        #[test]
        fn stands_where_it_may(start in 1..50_u64, more in 0..50_u64, asked in 0..120_u64, rewind: bool, at: Option<u8>) {
            let end = start + more;
            let known = at.map(|at| Consumer {
                name: name(), acknowledged: u64::from(at) % (end + 1), created: Stamp(1), seen: Stamp(2),
            });
            match acknowledge(known.as_ref(), &name(), asked, rewind, (start, end), Stamp(9)) {
                Ok(now) => {
                    proptest::prop_assert!(now.acknowledged == asked && asked <= end && now.seen == Stamp(9));
                    if let Some(known) = known {
                        proptest::prop_assert!(rewind || asked >= known.acknowledged);
                        proptest::prop_assert_eq!(now.created, Stamp(1));
                    }
                }
                Err(Refused::Ahead { .. }) => proptest::prop_assert!(asked > end),
                Err(Refused::Back { now, .. }) => proptest::prop_assert!(!rewind && asked < now),
                Err(Refused::Gone { .. }) => proptest::prop_assert!(rewind && asked + 1 < start),
                Err(Refused::Many) => proptest::prop_assert!(false),
            }
        }
    }
}

//! The named readers of the feed, and what destinations did not take.

use super::{Error, Reader, capped};
use crate::config::{DeliverConfig, DeliverForm};
use crate::deliver;
use crate::model::{ConsumerName, Stamp};
use crate::store::{self, FeedQuery};
use crate::web::view;

impl Reader {
    /// The named readers of the feed.
    pub fn consumers(&self, now: Stamp) -> Result<view::Consumers, Error> {
        let (start, end) = (self.store.feed_start()?, self.store.feed_end()?);
        let all = self.store.consumers()?.into_iter();
        let consumers = all.map(|one| self.as_consumer(one, (start, end), now));
        Ok(view::Consumers { consumers: consumers.collect::<Result<_, _>>()?, start, end })
    }

    /// Those that changes are sent to.
    pub fn destinations(&self, now: Stamp) -> Result<Vec<view::Consumer>, Error> {
        let feed = (self.store.feed_start()?, self.store.feed_end()?);
        let mut found = Vec::with_capacity(self.config.deliver.len());
        for destination in &self.config.deliver {
            if let Some(one) = self.store.consumer(&destination.name)? {
                found.push(self.as_consumer(one, feed, now)?);
            }
        }
        Ok(found)
    }

    /// One named reader of the feed.
    pub fn consumer(&self, name: &ConsumerName, now: Stamp) -> Result<view::Consumer, Error> {
        let feed = (self.store.feed_start()?, self.store.feed_end()?);
        let found = self.known_consumer(name)?;
        self.as_consumer(found, feed, now)
    }

    /// Where a consumer that asks for changes stands; one that nobody knows begins at the first.
    pub fn consumer_asks(&self, name: &ConsumerName, now: Stamp) -> Result<u64, Error> {
        match self.store.consumer(name)? {
            Some(known) => {
                self.store.consumer_seen(name, now)?;
                Ok(known.acknowledged)
            }
            None => Ok(self.store.feed_start()?.saturating_sub(1)),
        }
    }

    /// Moves a consumer, or makes it.
    pub fn acknowledge(
        &self,
        name: &ConsumerName,
        acknowledged: u64,
        rewind: bool,
        now: Stamp,
    ) -> Result<view::Consumer, Error> {
        let moved = self.store.move_consumer(name, acknowledged, rewind, now)??;
        let feed = (self.store.feed_start()?, self.store.feed_end()?);
        self.as_consumer(moved, feed, now)
    }

    /// Forgets a consumer; tells how it stood.
    pub fn forget(&self, name: &ConsumerName, now: Stamp) -> Result<view::Consumer, Error> {
        let was = self.consumer(name, now)?;
        self.store.forget_consumer(name)?;
        Ok(was)
    }

    /// What a destination did not take, after number `after`.
    pub fn dead_letters(
        &self,
        name: &ConsumerName,
        after: Option<u64>,
        limit: Option<usize>,
    ) -> Result<view::DeadLetters, Error> {
        self.known_consumer(name)?;
        let limit = capped(limit);
        let asked = self.store.asked_again(name)?;
        let found = self.store.dead_letters(name, after, limit)?;
        let next = if found.len() < limit { None } else { found.last().map(|one| one.seq) };
        let letters = found.into_iter().map(|one| {
            let again = asked.binary_search(&one.seq).is_ok();
            view::DeadLetter::of(one, again)
        });
        Ok(view::DeadLetters { letters: letters.collect(), next })
    }

    /// One change that a destination did not take, beside what its output is now.
    pub fn dead_letter(&self, name: &ConsumerName, seq: u64) -> Result<view::OneLetter, Error> {
        self.known_consumer(name)?;
        let found = self.store.letters(name, &[seq])?.pop();
        let found = found.ok_or_else(|| Error::NoLetter { name: name.clone(), seq })?;
        let again = self.store.asked_again(name)?.binary_search(&seq).is_ok();
        let letter = view::DeadLetter::of(found, again);
        let Some(change) = letter.change() else {
            return Ok(view::OneLetter { letter, calls: None, overtaken: false, now: None });
        };
        let segment =
            |one: &&DeliverConfig| one.name == *name && matches!(one.form, DeliverForm::Segment(_));
        let calls = self.config.deliver.iter().find(segment);
        let calls = calls.and_then(|_| deliver::calls(name, change.clone()));
        let (overtaken, now) = deliver::stands(&self.store, change)?;
        Ok(view::OneLetter { letter, calls, overtaken, now: now.map(view::json) })
    }

    /// Has what a destination did not take sent again: one change, or all.
    pub fn resend(&self, name: &ConsumerName, seq: Option<u64>) -> Result<view::Resent, Error> {
        self.known_consumer(name)?;
        match (self.store.send_again(name, seq)?, seq) {
            (0, Some(seq)) => Err(Error::NoLetter { name: name.clone(), seq }),
            (asked, _) => Ok(view::Resent { asked }),
        }
    }

    /// Forgets what a destination did not take: one change, or all. Tells how it stood.
    pub fn bury(
        &self,
        name: &ConsumerName,
        seq: Option<u64>,
        now: Stamp,
    ) -> Result<view::Consumer, Error> {
        let was = self.consumer(name, now)?;
        let one = seq.map(|seq| [seq]);
        let only = one.as_ref().map(|one| &one[..]);
        match (self.store.bury(name, only)?, seq) {
            (0, Some(seq)) => Err(Error::NoLetter { name: name.clone(), seq }),
            _ => {
                self.store.answered_again(name, only)?;
                Ok(was)
            }
        }
    }

    fn known_consumer(&self, name: &ConsumerName) -> Result<store::Consumer, Error> {
        self.store.consumer(name)?.ok_or_else(|| Error::NoConsumer(name.clone()))
    }

    fn as_consumer(
        &self,
        one: store::Consumer,
        feed: (u64, u64),
        now: Stamp,
    ) -> Result<view::Consumer, Error> {
        let (start, end) = feed;
        let to = self.config.deliver.iter().find(|destination| destination.name == one.name);
        let dead = self.store.count_dead(&one.name, deliver::MOST_DEAD)? as u64;
        let delivery = match to.is_some() || dead > 0 {
            true => {
                let asked = self.store.asked_again(&one.name)?.len() as u64;
                let state = self.store.delivery(&one.name)?;
                Some(view::Delivery::of(state, to.map(destination), dead, asked.min(dead)))
            }
            false => None,
        };
        let behind = one.acknowledged.saturating_add(1) < start;
        let waiting_since = match one.acknowledged < end && !behind {
            true => self.committed_after(one.acknowledged)?,
            false => None,
        };
        Ok(view::Consumer {
            lag: end.saturating_sub(one.acknowledged),
            waiting_since,
            live: now.since(one.seen) <= self.config.keep.consumer_quiet,
            behind,
            name: one.name,
            acknowledged: one.acknowledged,
            created: one.created,
            seen: one.seen,
            delivery,
        })
    }

    /// When the change behind this number was committed.
    fn committed_after(&self, seq: u64) -> Result<Option<Stamp>, Error> {
        let query = FeedQuery { after: Some(seq), limit: 1, ..FeedQuery::default() };
        Ok(self.store.feed_page(&query)?.entries.first().map(|entry| entry.at))
    }
}

/// Where changes go to, for everybody to see: an address may hold a secret in its path or its query.
fn destination(config: &DeliverConfig) -> view::Destination {
    let host = config.url.host_str().unwrap_or_default();
    view::Destination {
        form: match config.form {
            DeliverForm::Webhook(_) => "webhook",
            DeliverForm::Segment(_) => "segment",
        }
        .to_owned(),
        host: match config.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        },
        kinds: config.kinds.clone(),
        syncs: config.syncs.iter().map(ToString::to_string).collect(),
    }
}

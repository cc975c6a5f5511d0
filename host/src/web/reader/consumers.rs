//! The named readers of the feed, and what destinations did not take.

use super::{Error, Reader, capped};
use crate::config::{DeliverConfig, DeliverForm};
use crate::deliver;
use crate::model::{ConsumerName, Stamp};
use crate::store;
use crate::web::view;

impl Reader {
    /// The named readers of the feed.
    pub fn consumers(&self, now: Stamp) -> Result<view::Consumers, Error> {
        let (start, end) = (self.store.feed_start()?, self.store.feed_end()?);
        let all = self.store.consumers()?.into_iter();
        let consumers = all.map(|one| self.as_consumer(one, (start, end), now));
        Ok(view::Consumers { consumers: consumers.collect::<Result<_, _>>()?, start, end })
    }

    /// The same for a page of so many behind a name: only of these, and of the one that is furthest behind, it is looked up
    /// since when they wait.
    pub fn consumers_page(
        &self,
        after: &str,
        shown: usize,
        now: Stamp,
    ) -> Result<view::Consumers, Error> {
        let (start, end) = (self.store.feed_start()?, self.store.feed_end()?);
        let all = self.store.consumers()?.into_iter();
        let consumers = all.map(|one| self.standing(one, (start, end), now));
        let mut consumers: Vec<view::Consumer> = consumers.collect::<Result<_, _>>()?;
        let behind = consumers.iter_mut().filter(|one| one.name.as_str() > after);
        behind.take(shown).try_for_each(|one| self.wait(one))?;
        let mut all = view::Consumers { consumers, start, end };
        if let Some(furthest) = all.furthest() {
            self.wait(&mut all.consumers[furthest])?;
        }
        Ok(all)
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
        let mut one = self.standing(one, feed, now)?;
        self.wait(&mut one)?;
        Ok(one)
    }

    /// Looks up since when a reader waits.
    fn wait(&self, one: &mut view::Consumer) -> Result<(), Error> {
        if one.lag > 0 && !one.behind && one.waiting_since.is_none() {
            one.waiting_since = self.store.changed_after(one.acknowledged)?;
        }
        Ok(())
    }

    /// Where a reader stands, but not since when it waits.
    fn standing(
        &self,
        one: store::Consumer,
        feed: (u64, u64),
        now: Stamp,
    ) -> Result<view::Consumer, Error> {
        let (start, end) = feed;
        let to = self.config.deliver.iter().find(|destination| destination.name == one.name);
        let dead = self.store.count_dead(&one.name)? as u64;
        let delivery = match to.is_some() || dead > 0 {
            true => {
                let asked = self.store.asked_again(&one.name)?.len() as u64;
                let state = self.store.delivery(&one.name)?;
                Some(view::Delivery::of(state, to.map(destination), dead, asked.min(dead)))
            }
            false => None,
        };
        let behind = one.acknowledged.saturating_add(1) < start;
        Ok(view::Consumer {
            lag: end.saturating_sub(one.acknowledged),
            waiting_since: None,
            live: now.since(one.seen) <= self.config.keep.consumer_quiet,
            behind,
            name: one.name,
            acknowledged: one.acknowledged,
            created: one.created,
            seen: one.seen,
            delivery,
        })
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

//! Who reads the feed, and what was not taken.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Change;
use crate::model::{ConsumerName, Stamp};
use crate::store;

/// A named reader of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Consumer {
    /// Its name.
    pub name: ConsumerName,
    /// It has everything up to this number.
    pub acknowledged: u64,
    /// How many changes it does not have yet.
    pub lag: u64,
    /// Since when the oldest of them waits; none when it has all, or when that one is no longer kept.
    #[serde(default)]
    pub waiting_since: Option<Stamp>,
    /// When it was first heard of.
    pub created: Stamp,
    /// When it was last heard of, to the minute.
    pub seen: Stamp,
    /// Whether changes are kept for it: it was heard of lately.
    pub live: bool,
    /// Whether changes that it does not have are no longer kept, so that it must take a snapshot.
    pub behind: bool,
    /// How its delivery stands, when changes are sent to it.
    #[serde(default)]
    pub delivery: Option<Delivery>,
}

/// How a consumer stands, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abreast {
    /// What is sent to it is not taken now.
    Failing,
    /// Changes that it does not have are no longer kept.
    TooFarBehind,
    /// It was not heard of for so long that nothing is kept for it.
    Silent,
    /// It goes on, and did not take some changes.
    SomeNotTaken,
    /// It has everything.
    UpToDate,
    /// It reads what came.
    Behind,
}

impl Abreast {
    /// For a reader.
    pub fn label(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::TooFarBehind => "too far behind",
            Self::Silent => "not heard of",
            Self::SomeNotTaken => "some not taken",
            Self::UpToDate => "up to date",
            Self::Behind => "behind",
        }
    }
}

impl Consumer {
    /// How it stands; the most urgent when several hold.
    pub fn abreast(&self) -> Abreast {
        let delivery = self.delivery.as_ref();
        if delivery.is_some_and(|delivery| delivery.failing_since.is_some()) {
            Abreast::Failing
        } else if self.behind {
            Abreast::TooFarBehind
        } else if !self.live {
            Abreast::Silent
        } else if delivery.is_some_and(|delivery| delivery.dead > 0) {
            Abreast::SomeNotTaken
        } else if self.lag == 0 {
            Abreast::UpToDate
        } else {
            Abreast::Behind
        }
    }
}

/// Where changes are sent to, as the configuration has it: no path and no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Destination {
    /// `webhook` or `segment`.
    pub form: String,
    /// The host, and the port when it is not the usual one.
    pub host: String,
    /// Only outputs of these kinds; empty: of all.
    pub kinds: Vec<String>,
    /// Only outputs of these syncs; empty: of all.
    pub syncs: Vec<String>,
}

/// How the delivery to a destination stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Delivery {
    /// Where to; none when it is no longer configured.
    #[serde(default)]
    pub to: Option<Destination>,
    /// Since when the batch in hand has not been taken.
    pub failing_since: Option<Stamp>,
    /// How often it was sent in vain.
    pub attempts: u32,
    /// The stable code of what went wrong last.
    #[serde(default)]
    pub code: Option<String>,
    /// What went wrong last.
    pub trouble: Option<String>,
    /// When it is sent again.
    pub next: Option<Stamp>,
    /// When a batch was taken last.
    pub delivered: Option<Stamp>,
    /// Changes that were taken.
    pub taken: u64,
    /// Changes that were not, and are kept.
    pub dead: u64,
    /// Of those, changes that are asked to be sent again and were not yet.
    #[serde(default)]
    pub asked: u64,
}

impl Delivery {
    /// From what is stored and configured.
    pub fn of(state: store::DeliveryState, to: Option<Destination>, dead: u64, asked: u64) -> Self {
        let store::DeliveryState { failing_since, attempts, code, trouble, next, delivered, taken } =
            state;
        Self { to, failing_since, attempts, code, trouble, next, delivered, taken, dead, asked }
    }
}

/// A change that a destination did not take.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetter {
    /// Its number in the feed.
    pub seq: u64,
    /// When it was given up.
    pub at: Stamp,
    /// The stable code of why.
    #[serde(default)]
    pub code: Option<String>,
    /// Why.
    pub reason: String,
    /// Whether it is asked to be sent again, and was not yet.
    #[serde(default)]
    pub again: bool,
    /// The change; null for changes that were no longer kept.
    #[schemars(with = "Option<Change>")]
    pub change: Box<RawValue>,
}

impl DeadLetter {
    /// From what is stored.
    pub fn of(one: store::DeadLetter, again: bool) -> Self {
        let store::DeadLetter { seq, at, code, reason, change } = one;
        Self { seq, at, code, reason, again, change }
    }

    /// The change; none when it was no longer kept, and so cannot be sent.
    pub fn change(&self) -> Option<Change> {
        serde_json::from_str(self.change.get()).ok()
    }
}

/// One change that a destination did not take, beside what its output is now.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OneLetter {
    /// What was not taken.
    pub letter: DeadLetter,
    /// The calls of Segment's API that it makes, when those are sent.
    #[schemars(with = "Option<serde_json::Value>")]
    pub calls: Option<Box<RawValue>>,
    /// Whether the output has changed since, so that this is not sent again: it would set the destination back.
    pub overtaken: bool,
    /// The output's fields as they are stored now; none when it is gone.
    #[schemars(with = "Option<serde_json::Value>")]
    pub now: Option<Box<RawValue>>,
}

/// What a destination did not take, in order.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetters {
    /// The changes.
    pub letters: Vec<DeadLetter>,
    /// Pass this as `after` for more; none at the end.
    pub next: Option<u64>,
}

/// What is sent again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resent {
    /// Changes that were asked for; they stay until they are taken.
    pub asked: u64,
}

/// The named readers of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Consumers {
    /// The readers, by name.
    pub consumers: Vec<Consumer>,
    /// The first number that the feed keeps.
    pub start: u64,
    /// The newest number of the feed.
    pub end: u64,
}

impl Consumers {
    /// Which of those that changes are kept for is furthest behind; none when all of them have everything.
    pub fn furthest(&self) -> Option<usize> {
        let waiting = self.consumers.iter().enumerate().filter(|(_, one)| one.live && one.lag > 0);
        waiting.max_by_key(|(_, one)| one.lag).map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_urgent_is_said() {
        let at = Stamp(1_000);
        let mut one = Consumer {
            name: ConsumerName::new("deliver.hook").unwrap(),
            acknowledged: 9,
            lag: 0,
            waiting_since: None,
            created: at,
            seen: at,
            live: true,
            behind: false,
            delivery: None,
        };
        assert_eq!(one.abreast(), Abreast::UpToDate);
        one.lag = 3;
        assert_eq!(one.abreast(), Abreast::Behind);
        let state = store::DeliveryState::default();
        one.delivery = Some(Delivery::of(state.clone(), None, 2, 0));
        assert_eq!(one.abreast(), Abreast::SomeNotTaken);
        one.live = false;
        assert_eq!(one.abreast(), Abreast::Silent);
        one.behind = true;
        assert_eq!(one.abreast(), Abreast::TooFarBehind);
        let failing = store::DeliveryState { failing_since: Some(at), ..state };
        one.delivery = Some(Delivery::of(failing, None, 2, 0));
        assert_eq!(one.abreast(), Abreast::Failing);
    }
}

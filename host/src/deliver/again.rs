//! Sends dead letters again that a person wants to be sent again, beside the changes that come by themselves.
//!
//! A letter goes only behind an answer that took it. One whose output has changed since is not sent, for that would set the
//! destination back: the later change went, or lies among the letters itself. What is refused anew stays a letter.

use serde_json::value::RawValue;

use super::plan::Answered;
use super::worker::{Worker, millis};
use super::{plan, segment};
use crate::events::Event;
use crate::model::ConsumerName;
use crate::store::{self, DeadLetter, DeliveryState, FeedEntry, Op, Store};
use crate::web::view::{Change, Operation};

/// What is to become of the letters that were asked for, before anything is sent.
#[derive(Default)]
struct Sorted {
    /// To be sent, in order.
    send: Vec<(FeedEntry, DeadLetter)>,
    /// Overtaken by a later change of the same output.
    overtaken: Vec<u64>,
    /// No letters any more, or without a change that could be sent.
    unsendable: Vec<u64>,
}

impl Worker {
    /// Sends what was asked for, until it is sent or refused. Trouble with the destination ends it: what is left stays
    /// among the letters, and can be asked for again.
    pub(super) async fn again(
        &self,
        place: u64,
        state: &mut DeliveryState,
    ) -> Result<(), store::Error> {
        let mut size = self.config.batch;
        loop {
            let sorted = self
                .blocking(move |store, name, _| {
                    let asked = store.asked_again(name)?;
                    sort(store, store.letters(name, asked.get(..size).unwrap_or(&asked))?, &asked)
                })
                .await?;
            let Some(Sorted { send, overtaken, unsendable }) = sorted else { return Ok(()) };
            self.blocking(move |store, name, _| {
                if !overtaken.is_empty() {
                    store.bury(name, Some(&overtaken))?;
                }
                store.answered_again(name, Some(&[overtaken, unsendable].concat()))
            })
            .await?;
            let (entries, letters): (Vec<FeedEntry>, Vec<DeadLetter>) = send.into_iter().unzip();
            if !entries.is_empty()
                && !self.once_more(place, state, &mut size, &entries, letters).await?
            {
                return Ok(());
            }
        }
    }

    /// Sends a batch once; false: nothing more can be sent now.
    async fn once_more(
        &self,
        place: u64,
        state: &mut DeliveryState,
        size: &mut usize,
        entries: &[FeedEntry],
        mut letters: Vec<DeadLetter>,
    ) -> Result<bool, store::Error> {
        let begun = std::time::Instant::now();
        let now = self.clock.now();
        let (answered, covers) = self.ask(entries, now).await;
        let took_ms = millis(begun);
        letters.truncate(covers);
        let seqs: Vec<u64> = letters.iter().map(|letter| letter.seq).collect();
        let changes = seqs.len() as u64;
        let (reason, more) = match answered {
            Answered::Taken => {
                *size = size.saturating_mul(2).min(self.config.batch);
                state.taken = state.taken.saturating_add(changes);
                state.delivered = Some(now);
                let noted = state.clone();
                let destination = self.name.clone();
                let event = Event::Delivered { destination, changes, last: place, took_ms };
                self.note(event, move |store, name| {
                    store.set_delivery(name, &noted, &[])?;
                    store.bury(name, Some(&seqs))?;
                    store.answered_again(name, Some(&seqs))
                })
                .await?;
                return Ok(true);
            }
            Answered::Refused(_) if letters.len() > 1 => {
                *size = letters.len() / 2;
                return Ok(true);
            }
            Answered::Refused(reason) => (reason, true),
            Answered::Trouble(reason, _) => (reason, false),
        };
        for letter in &mut letters {
            letter.at = now;
            letter.code = Some(reason.code.to_owned());
            letter.reason.clone_from(&reason.words);
        }
        let noted = state.clone();
        let event = Event::DeliveryBuried {
            destination: self.name.clone(),
            changes,
            code: reason.code.to_owned(),
            reason: reason.words,
            took_ms: Some(took_ms),
        };
        self.note(event, move |store, name| {
            store.set_delivery(name, &noted, &letters)?;
            store.answered_again(name, more.then_some(&seqs[..]))
        })
        .await?;
        Ok(more)
    }
}

/// None: nothing is asked for.
fn sort(
    store: &Store,
    letters: Vec<DeadLetter>,
    asked: &[u64],
) -> Result<Option<Sorted>, store::Error> {
    if asked.is_empty() {
        return Ok(None);
    }
    let mut sorted = Sorted::default();
    let last = letters.last().map(|letter| letter.seq);
    // Those up to the last one that is there, and are not there themselves; all when none is.
    let gone = |seq: &&u64| {
        last.is_none_or(|last| **seq <= last) && letters.iter().all(|letter| letter.seq != **seq)
    };
    sorted.unsendable = asked.iter().filter(gone).copied().collect();
    for letter in letters {
        let Ok(change) = serde_json::from_str::<Change>(letter.change.get()) else {
            sorted.unsendable.push(letter.seq);
            continue;
        };
        let now = output(store, &change)?;
        let entry = entry(change);
        if plan::overtaken(&entry, now.as_deref()) {
            sorted.overtaken.push(letter.seq);
        } else {
            sorted.send.push((entry, letter));
        }
    }
    Ok(Some(sorted))
}

/// Whether a change is not sent again because its output has changed since, and what that output is now; none when it is
/// gone.
pub fn stands(store: &Store, change: Change) -> Result<(bool, Option<String>), store::Error> {
    let now = output(store, &change)?;
    Ok((plan::overtaken(&entry(change), now.as_deref()), now))
}

/// The calls of Segment's API that a change makes.
pub fn calls(name: &ConsumerName, change: Change) -> Option<Box<RawValue>> {
    segment::preview(name, &entry(change))
}

/// The body of a change's output as it is stored now.
fn output(store: &Store, change: &Change) -> Result<Option<String>, store::Error> {
    let now = store.output(&change.sync, &change.kind, &change.key)?;
    Ok(now.map(|output| output.body.into()))
}

fn entry(change: Change) -> FeedEntry {
    let Change { seq, at, sync, run, op, kind, key, record, body } = change;
    let op = match op {
        Operation::Upsert => Op::Upsert,
        Operation::Retract => Op::Retract,
    };
    let body = body.map(|body| body.get().to_owned());
    FeedEntry { seq, at, sync, run, op, kind: kind.into(), key, record, body }
}

//! What was done for a caller besides its pages: requests made again, new tokens, and questions of other kinds. Told at once to who listens;
//! what a run had to ask again is kept until it is taken for the run's record, also when the run fails of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::Error;
use super::org::{Org, Shared};
use crate::model::{Caller, Purpose, RetryNote, RunId};

/// What a run keeps of its requests made again.
pub const RETRIES_KEPT: usize = 100;

/// Something that was done besides.
#[derive(Debug)]
pub enum Beside<'a> {
    /// A request is made again after the wait that the note tells.
    Again(&'a RetryNote),
    /// Salesforce was asked for a new token.
    Renewed {
        /// From the question to the answer, and its saving.
        took: Duration,
        /// Why there is none.
        failed: Option<&'a Error>,
    },
    /// A question that brings no records was answered, or given up.
    Answered {
        /// What was asked.
        purpose: Purpose,
        /// From the question to the answer, with what was asked again and waited for.
        took: Duration,
        /// Why there is no answer.
        failed: Option<&'a Error>,
    },
}

type Listener = Box<dyn Fn(&Caller, Beside<'_>) + Send + Sync>;

/// Who listens, and what nobody has taken yet.
#[derive(Default)]
pub(super) struct Told {
    listener: OnceLock<Listener>,
    retries: Mutex<BTreeMap<RunId, Vec<RetryNote>>>,
}

impl Told {
    pub(super) fn renewed(&self, who: &Caller, took: Duration, failed: Option<&Error>) {
        if let Some(listener) = self.listener.get() {
            listener(who, Beside::Renewed { took, failed });
        }
    }

    /// Pages and tokens are told of by themselves.
    pub(super) fn answered(
        &self,
        who: &Caller,
        purpose: Purpose,
        took: Duration,
        failed: Option<&Error>,
    ) {
        use Purpose::{Poll, Query, QueryMore, Token};
        match self.listener.get() {
            Some(listener) if !matches!(purpose, Query | QueryMore | Poll | Token) => {
                listener(who, Beside::Answered { purpose, took, failed });
            }
            _ => {}
        }
    }
}

impl Shared {
    /// Notes that a request is made again after `pause`.
    pub(super) fn again(&self, who: &Caller, reason: String, pause: Duration) {
        let waited_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        let note = RetryNote { at: self.gate.now(), page: who.page, reason, waited_ms };
        if let Some(listener) = self.told.listener.get() {
            listener(who, Beside::Again(&note));
        }
        if let Some(run) = who.run {
            let mut kept = self.told.retries.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = kept.entry(run).or_default();
            if kept.len() < RETRIES_KEPT {
                kept.push(note);
            }
        }
    }
}

impl Org {
    /// Names who hears what is done besides; the first stays.
    pub fn on_beside(&self, listener: impl Fn(&Caller, Beside<'_>) + Send + Sync + 'static) {
        drop(self.shared().told.listener.set(Box::new(listener)));
    }

    /// The requests of a run that were made again since they were last taken, the first hundred of them.
    pub fn take_retries(&self, run: RunId) -> Vec<RetryNote> {
        let mut kept = self.shared().told.retries.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&run).unwrap_or_default()
    }
}

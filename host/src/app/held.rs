//! The store as the ledger and the vault see it, and the gate on it.

use std::sync::Arc;

use super::Error;
use crate::clock::Clock;
use crate::config::{self, Config, SyncConfig};
use crate::events::{Bus, Event};
use crate::forecast;
use crate::model::{Call, Caller, Stamp};
use crate::quota::{self, Gate, Journal};
use crate::salesforce::{Beside, Vault};
use crate::store::{self, Store};

/// The gate of a configuration, with its ledger in the store, that knows what the syncs are expected to need.
pub fn open_gate(config: &Config, store: &Store, clock: Clock) -> Result<Gate, Error> {
    let gate = open_gate_on(config, Arc::new(Held(store.clone(), None)), clock)?;
    expect_all(&gate, config, store, |_| true)?;
    Ok(gate)
}

/// Tells a gate what all syncs are expected to need. `runs` tells whether one can run now. Reads the late runs of each.
pub(super) fn expect_all(
    gate: &Gate,
    config: &Config,
    store: &Store,
    runs: impl Fn(&SyncConfig) -> bool,
) -> Result<(), store::Error> {
    let enabled = config.syncs.iter().filter(|sync| sync.enabled);
    let needs = enabled.map(|sync| forecast::need(store, sync, runs(sync), gate.now()));
    gate.expect(needs.collect::<Result<_, _>>()?);
    Ok(())
}

pub(super) fn open_gate_on(
    config: &Config,
    held: Arc<Held>,
    clock: Clock,
) -> Result<Gate, quota::Error> {
    let share = |share| match share {
        config::Allowance::Calls(calls) => quota::Share::Calls(calls),
        config::Allowance::Percent(percent) => quota::Share::Percent(percent),
    };
    let rules = quota::Rules {
        allowance: config.quota.allowance.map(share),
        reserve: config.quota.reserve,
        per_run: config.quota.per_run,
        backfill: share(config.quota.backfill),
        entitlement: config.org.entitlement,
        ..quota::Rules::default()
    };
    Gate::with_clock(rules, held, clock)
}

/// The store as the ledger and the vault see it, and where is told of each call.
pub(super) struct Held(pub(super) Store, pub(super) Option<Bus>);

/// What was done for a caller besides what it asked for, as an event.
pub(super) fn retold(who: &Caller, what: Beside<'_>) -> Option<Event> {
    match (what, who.run, &who.sync) {
        (Beside::Again(note), Some(run), Some(sync)) => Some(Event::RunRetry {
            run,
            sync: sync.clone(),
            page: note.page,
            reason: note.reason.clone(),
            waited_ms: note.waited_ms,
        }),
        (Beside::Again(_), ..) => None,
        (Beside::Renewed { took, failed }, run, sync) => Some(Event::TokenRenewed {
            connection: who.connection.clone(),
            sync: sync.clone(),
            run,
            code: failed.map(|error| error.code().to_owned()),
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        }),
        (Beside::Answered { purpose, took, failed }, run, sync) => Some(Event::Answered {
            connection: who.connection.clone(),
            sync: sync.clone(),
            run,
            purpose,
            code: failed.map(|error| error.code().to_owned()),
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        }),
    }
}

impl Journal for Held {
    fn begin(&self, call: &Call) -> Result<quota::Room, String> {
        let room = self.0.enter_call(call).map_err(|error| error.to_string())?;
        let room = match room {
            store::Room::Plenty => quota::Room::Plenty,
            store::Room::Little => quota::Room::Little,
            store::Room::None => quota::Room::None,
        };
        if let (Some(bus), true) = (&self.1, room != quota::Room::None) {
            let Caller { connection, sync, run, page } = call.caller.clone();
            bus.emit(Event::CallSpent { connection, sync, run, page, purpose: call.purpose });
        }
        Ok(room)
    }

    fn void(&self, call: &Call) {
        match self.0.take_back_call(call) {
            // The call stays counted: the safe side.
            Ok(store::Room::None) => tracing::warn!("A call that was not made stays counted"),
            Err(error) => tracing::warn!(%error, "A call that was not made stays counted"),
            Ok(_) => {}
        }
    }

    fn amend(&self, call: &Call, to: &Call) {
        // The new line first: a process that dies in between counts one call too many, and not one too few.
        let amended = match self.0.enter_call(to) {
            Ok(store::Room::None) => return,
            Ok(_) => self.0.take_back_call(call),
            Err(error) => Err(error),
        };
        match amended {
            Ok(store::Room::None) => tracing::warn!("A call that was amended is counted twice"),
            Err(error) => tracing::warn!(%error, "What a call saved cannot be kept"),
            Ok(_) => {}
        }
    }

    fn fold(&self) -> Result<(), String> {
        self.0.fold_calls().map_err(|error| error.to_string())
    }

    fn since(&self, at: Stamp) -> Result<Vec<Call>, String> {
        self.0.calls_since(at).map_err(|error| error.to_string())
    }

    fn remember(&self, kept: Vec<u8>, others: &[(Stamp, u64)]) {
        self.0.remember_quota(kept, others);
    }

    fn remembered(&self, since: Stamp) -> Result<quota::Remembered, String> {
        let read = || {
            let (kept, others) = (self.0.remembered_quota()?, self.0.others_since(since)?);
            Ok::<_, store::Error>(quota::Remembered { kept, others })
        };
        read().map_err(|error| error.to_string())
    }
}

impl Vault for Held {
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        self.0.get_secret(name).map_err(|error| error.to_string())
    }

    fn save(&self, name: &str, sealed: &[u8]) -> Result<(), String> {
        self.0.put_secret(name, sealed).map_err(|error| error.to_string())
    }

    fn note(&self, name: &str, text: &[u8]) -> Result<(), String> {
        self.0.put_note(name, text).map_err(|error| error.to_string())
    }

    fn noted(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        self.0.note(name).map_err(|error| error.to_string())
    }

    fn keep_answer(&self, name: &str, answer: &[u8]) -> Result<(), String> {
        let cached = store::Cached { bytes: answer.to_vec(), last_modified: None };
        self.0.put_cached(name, &cached).map_err(|error| error.to_string())
    }

    fn kept_answer(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let cached = self.0.cached(name).map_err(|error| error.to_string())?;
        Ok(cached.map(|cached| cached.bytes))
    }
}

//! What is stored of one record, small: the texts lie in blocks.

use super::arrivals::Became;
use super::block::Place;
use super::codec::{self, Put, Take};
use super::error::Error;
use crate::model::{Rejection, RunId, Stamp};

/// What became of a record when it was last mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It was mapped; its outputs are stored.
    Mapped,
    /// The plugin left it out, for this reason.
    Skipped(String),
    /// It could not be mapped; the outputs of the last time that it could are still stored.
    Failed(Rejection),
}

/// One output of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// The number of its kind.
    pub(super) kind: u16,
    /// Its key; none when that is the record's id.
    pub(super) key: Option<String>,
    /// Where its body lies.
    pub(super) place: Place,
    /// Digest of its body.
    pub(super) digest: u64,
}

/// A run that changed a record, and what the record became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touch {
    /// The run.
    pub run: RunId,
    /// What the record became.
    pub became: Became,
}

/// What is stored of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) state: State,
    pub(super) deleted: bool,
    pub(super) stamp: Stamp,
    /// Digest of the record as Salesforce sent it.
    pub(super) digest: u64,
    /// The run that wrote this.
    pub(super) run: RunId,
    /// Where the record as Salesforce sent it lies, when it was kept.
    pub(super) raw: Option<Place>,
    pub(super) outputs: Vec<Held>,
    /// The runs that changed it before `run`, the newest first.
    pub(super) history: Vec<Touch>,
}

/// How many runs before the last one a record remembers.
const REMEMBERED: usize = 15;

const SKIPPED: u8 = 1;
const FAILED: u8 = 2;
const STATE: u8 = 3;
const DELETED: u8 = 4;
const RAW: u8 = 8;
const FIELD: u8 = 16;
const HISTORY: u8 = 32;

impl Entry {
    /// Its payload.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(64);
        self.write_to(&mut to);
        to
    }

    /// Appends its payload.
    pub(super) fn write_to(&self, to: &mut Vec<u8>) {
        let mut flags = match &self.state {
            State::Mapped => 0,
            State::Skipped(_) => SKIPPED,
            State::Failed(Rejection { field: None, .. }) => FAILED,
            State::Failed(_) => FAILED | FIELD,
        };
        flags |= if self.deleted { DELETED } else { 0 };
        flags |= if self.raw.is_some() { RAW } else { 0 };
        flags |= if self.history.is_empty() { 0 } else { HISTORY };
        to.push(flags);
        to.signed(self.stamp.0);
        to.extend_from_slice(&self.digest.to_le_bytes());
        to.number(self.run.0);
        if let Some(place) = self.raw {
            to.number(place.block);
            to.number(u64::from(place.index));
        }
        match &self.state {
            State::Mapped => {}
            State::Skipped(reason) => to.bytes(reason.as_bytes()),
            State::Failed(rejection) => {
                to.bytes(rejection.code.as_bytes());
                to.bytes(rejection.message.as_bytes());
                if let Some(field) = &rejection.field {
                    to.bytes(field.as_bytes());
                }
            }
        }
        to.number(self.outputs.len() as u64);
        for output in &self.outputs {
            // The lowest bit tells whether a key follows.
            to.number(u64::from(output.kind) << 1 | u64::from(output.key.is_some()));
            if let Some(key) = &output.key {
                to.bytes(key.as_bytes());
            }
            to.number(output.place.block);
            to.number(u64::from(output.place.index));
            to.extend_from_slice(&output.digest.to_le_bytes());
        }
        if !self.history.is_empty() {
            to.number(self.history.len() as u64);
            for touch in &self.history {
                to.number(touch.run.0);
                to.push(touch.became.code());
            }
        }
    }

    /// The entry under this key.
    pub(super) fn read(key: &[u8], payload: &[u8]) -> Result<Self, Error> {
        Self::parse(payload).ok_or_else(|| codec::unfit(key, "it cannot be read"))
    }

    pub(super) fn parse(payload: &[u8]) -> Option<Self> {
        let mut take = Take(payload);
        let &[flags] = take.exactly(1)? else { return None };
        let stamp = Stamp(take.signed()?);
        let digest = take.fixed()?;
        let run = RunId(take.number()?);
        let raw = match flags & RAW {
            0 => None,
            _ => Some(Place { block: take.number()?, index: take.small()? }),
        };
        let state = match flags & STATE {
            0 => State::Mapped,
            SKIPPED => State::Skipped(take.text()?.to_owned()),
            FAILED => State::Failed(Rejection {
                code: take.text()?.to_owned(),
                message: take.text()?.to_owned(),
                field: match flags & FIELD {
                    0 => None,
                    _ => Some(take.text()?.to_owned()),
                },
            }),
            _ => return None,
        };
        let count = take.number()?;
        let mut outputs = Vec::new();
        for _ in 0..count {
            let kind = take.number()?;
            let key = match kind & 1 {
                0 => None,
                _ => Some(take.text()?.to_owned()),
            };
            outputs.push(Held {
                kind: u16::try_from(kind >> 1).ok()?,
                key,
                place: Place { block: take.number()?, index: take.small()? },
                digest: take.fixed()?,
            });
        }
        let mut history = Vec::new();
        if flags & HISTORY != 0 {
            for _ in 0..take.number()? {
                let run = RunId(take.number()?);
                let &[code] = take.exactly(1)? else { return None };
                history.push(Touch { run, became: Became::from_code(code)? });
            }
        }
        let deleted = flags & DELETED != 0;
        let entry = Self { state, deleted, stamp, digest, run, raw, outputs, history };
        take.0.is_empty().then_some(entry)
    }

    /// The runs that changed the record, the newest first, `run` among them.
    pub(super) fn touches(&self) -> Vec<Touch> {
        let last = Touch { run: self.run, became: Became::of(&self.state, self.deleted) };
        std::iter::once(last).chain(self.history.iter().copied()).collect()
    }

    /// What its successor remembers when `run` changes it: a run that comes back to a record counts once.
    pub(super) fn remembered(&self, run: RunId) -> Vec<Touch> {
        let mut touches = self.touches();
        touches.retain(|touch| touch.run != run);
        touches.truncate(REMEMBERED);
        touches
    }

    /// The output of this kind and key (none: the record's id).
    pub(super) fn held(&self, kind: u16, key: Option<&str>) -> Option<&Held> {
        self.outputs.iter().find(|output| output.kind == kind && output.key.as_deref() == key)
    }
}

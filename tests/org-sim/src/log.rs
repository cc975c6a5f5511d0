//! What the org was asked: a bounded log of every request it received.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Serialize;

use crate::faults::RequestClass;

/// Requests kept; the oldest go first.
const KEPT: usize = 100_000;

/// One request that the org received and how it answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RequestNote {
    /// Counts up from 1 over the org's life, so a reader sees a gap when old notes are gone.
    pub number: u64,
    /// The org's time when it answered.
    pub at: Timestamp,
    /// The HTTP method.
    pub method: String,
    /// The path without the query string.
    pub path: String,
    /// The SOQL text; on a further page, that of the query it continues.
    pub query: Option<String>,
    /// The object's API name.
    pub object: Option<String>,
    /// What was asked for.
    pub class: RequestClass,
    /// The grant type of a token request.
    pub grant: Option<String>,
    /// The HTTP status of the answer.
    pub status: u16,
    /// True if it used up one API call.
    pub counted: bool,
    /// API calls of the last 24 hours with this one, everybody's, if it was counted.
    pub used: Option<u64>,
    /// The user that the access token stands for.
    pub user: Option<String>,
    /// The page's first record within the whole result.
    pub offset: Option<usize>,
    /// Records in the answer.
    pub records: usize,
    /// Names of the faults that hit it.
    pub faults: Vec<String>,
}

/// The newest requests.
#[derive(Debug, Default)]
pub(crate) struct Log {
    notes: VecDeque<RequestNote>,
    received: u64,
}

impl Log {
    /// Keeps a note and gives it its number.
    pub(crate) fn push(&mut self, mut note: RequestNote) {
        self.received += 1;
        note.number = self.received;
        if self.notes.len() == KEPT {
            self.notes.pop_front();
        }
        self.notes.push_back(note);
    }

    /// Requests since the org started.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// The notes after a number, oldest first, at most `limit`.
    pub(crate) fn after(&self, number: u64, limit: usize) -> Vec<RequestNote> {
        self.notes.iter().filter(|note| note.number > number).take(limit).cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.notes.clear();
    }
}

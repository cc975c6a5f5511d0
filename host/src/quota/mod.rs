//! Grants API calls: keeps the ledger of what was spent, decides what may be spent, and hands out permits.
//!
//! A request cannot be made without a [`Permit`] or, for the few that Salesforce does not count, a [`Free`] pass; both
//! are written to the journal before they are handed out. Nothing here sends anything.

mod breaker;
mod budget;
mod crowd;
mod edition;
mod forecast;
mod gate;
mod ledger;
mod needs;
mod others;
mod reading;
mod state;

pub use breaker::Breaker;
pub use budget::{
    Ask, Bound, Caps, Decision, LOOK_EVERY, OrgDay, Outlook, Rules, SMALLEST_DAY, Share, Spent,
    decide, when_fits,
};
pub use crowd::Crowd;
pub use edition::{Edition, entitlement, licences};
pub use forecast::{PastRun, Usual, first_pass, runs_a_day, runs_out};
pub use gate::{Free, Gate, Journal, Pass, Permit, Refused, Remembered, Room};
pub use ledger::{DAY, Ledger, Release, SpentBy, UNDER_WAY};
pub use needs::{Claim, FIRST_PASSES, Need, claims, kept_back, kept_for};
pub use others::Others;
pub use reading::{LimitInfo, LimitKind};
pub use state::{KeptBack, Report};

/// Why a gate cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The journal of earlier calls cannot be read.
    #[error("the journal of API calls cannot be read: {0}")]
    Journal(String),
}

impl Error {
    /// The stable code, for `kilofold explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Journal(_) => "quota.journal",
        }
    }
}

//! API calls as the ledger and the limits see them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConnectionName, RunId, Stamp, SyncName};

/// What a request to Salesforce is for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The first page of a query.
    Query,
    /// A further page of a query.
    QueryMore,
    /// A count.
    Count,
    /// Fields of an object, or the list of objects.
    Describe,
    /// The limits resource.
    Limits,
    /// A cheap question whether calls are possible again.
    Probe,
    /// Salesforce's list of tokens, to count approvals.
    Census,
    /// A token, revocation or user-info request (Salesforce does not count it).
    Token,
    /// The list of versions, asked for the org's clock (Salesforce does not count it).
    Versions,
}

impl Purpose {
    /// Whether Salesforce counts such a request against the org's day.
    pub fn counted(self) -> bool {
        !matches!(self, Self::Token | Self::Versions)
    }

    /// The purpose in one word, as tables and metrics show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::QueryMore => "query-more",
            Self::Count => "count",
            Self::Describe => "describe",
            Self::Limits => "limits",
            Self::Probe => "probe",
            Self::Census => "census",
            Self::Token => "token",
            Self::Versions => "versions",
        }
    }
}

/// On whose behalf a request is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Caller {
    /// The connection that authorises it.
    pub connection: ConnectionName,
    /// The sync, when one asks.
    pub sync: Option<SyncName>,
    /// The run, when one asks.
    pub run: Option<RunId>,
}

/// One line of the ledger: a request that was sent, or was about to be when the process died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Call {
    /// When, by the local clock.
    pub at: Stamp,
    /// On whose behalf.
    pub caller: Caller,
    /// What for.
    pub purpose: Purpose,
}

/// One reading of the org's daily API calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Calls that the org has made in the last 24 hours, as Salesforce told (it lags).
    pub used: u64,
    /// Calls that the org may make in 24 hours.
    pub max: u64,
    /// When this was read, by the local clock.
    pub at: Stamp,
}

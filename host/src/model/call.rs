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
    /// The first pages of several syncs in one composite call.
    Poll,
}

impl Purpose {
    /// All purposes, each at the place of its number in stored ledgers: new ones go to the end.
    pub const ALL: [Self; 10] = [
        Self::Query,
        Self::QueryMore,
        Self::Count,
        Self::Describe,
        Self::Limits,
        Self::Probe,
        Self::Census,
        Self::Token,
        Self::Versions,
        Self::Poll,
    ];

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
            Self::Poll => "poll",
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
    /// The number of the run's page that is asked for, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u64>,
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
    /// Whether a sync's first pass over its object made it.
    #[serde(default)]
    pub backfill: bool,
    /// Calls that it made unnecessary, because several syncs shared it.
    #[serde(default)]
    pub saved: u16,
}

/// Calls of one hour that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourOfCalls {
    /// When the hour began.
    pub hour: Stamp,
    /// The connection.
    pub connection: ConnectionName,
    /// The sync, when one asked.
    pub sync: Option<SyncName>,
    /// What for.
    pub purpose: Purpose,
    /// Whether a first pass made them.
    pub backfill: bool,
    /// How many.
    pub calls: u64,
    /// How many they made unnecessary.
    pub saved: u64,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_has_its_number_for_ever() {
        let names = Purpose::ALL.map(Purpose::as_str);
        let wanted = [
            "query",
            "query-more",
            "count",
            "describe",
            "limits",
            "probe",
            "census",
            "token",
            "versions",
            "poll",
        ];
        assert_eq!(names, wanted);
        assert!(Purpose::ALL.iter().enumerate().all(|(i, purpose)| *purpose as usize == i));
    }
}

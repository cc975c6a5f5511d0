//! A moment in the org's time.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A moment in UTC, in milliseconds since 1970: as fine as Salesforce spells one.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Default,
    JsonSchema,
)]
#[serde(transparent)]
pub struct Stamp(pub i64);

/// A text that is not a moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a date-time as Salesforce spells one (2024-01-02T03:04:05.000+0000)")]
pub struct StampError(String);

impl Stamp {
    /// Reads a Salesforce date-time (`2022-02-15T06:21:19.000+0000`), or one ending in `Z` or `+01:00`.
    pub fn parse(text: &str) -> Result<Self, StampError> {
        text.parse::<Timestamp>()
            .map(|moment| Self(moment.as_millisecond()))
            .map_err(|_| StampError(text.chars().take(60).collect()))
    }

    /// The local clock, now.
    pub fn now() -> Self {
        Self(Timestamp::now().as_millisecond())
    }

    /// As jiff has it; the ends of time are cut to what jiff can hold.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.0).unwrap_or(if self.0 < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        })
    }

    /// This moment, earlier by `span`.
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This moment, later by `span`.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The last whole second at or before this moment: audit stamps have no milliseconds.
    pub fn floor_second(self) -> Self {
        Self(self.0.div_euclid(1000) * 1000)
    }
}

/// As a SOQL literal: `2022-02-15T06:21:19.000Z`.
impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.3}", self.timestamp()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_spelling() {
        let stamp = Stamp::parse("2022-02-15T06:21:19.000+0000").unwrap();
        assert_eq!(stamp, Stamp::parse("2022-02-15T06:21:19Z").unwrap());
        assert_eq!(stamp, Stamp::parse("2022-02-15T07:21:19.000+01:00").unwrap());
        assert_eq!(stamp.to_string(), "2022-02-15T06:21:19.000Z");
        assert!(Stamp::parse("yesterday").is_err());
    }
}

//! When a sync runs by itself.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use croner::errors::CronError as Croner;
use croner::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, ZonedDateTime, civil};

use crate::model::Stamp;

/// When a sync runs by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// This long after its last run began.
    Every(Duration),
    /// At the times of a cron expression.
    Cron(Cron),
    /// Only when somebody asks.
    Manual,
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(interval) => {
                write!(f, "every {}", super::values::spell_duration(*interval))
            }
            Self::Cron(cron) => write!(f, "cron {cron}"),
            Self::Manual => f.write_str("when asked"),
        }
    }
}

/// A cron expression in a time zone.
#[derive(Clone)]
pub struct Cron {
    text: String,
    cron: Arc<croner::Cron>,
    zone: TimeZone,
    zone_name: String,
}

/// Why a text is not a cron expression that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// The expression cannot be read.
    #[error("{0}")]
    Expression(String),
    /// There is no such time zone.
    #[error("there is no time zone '{0}'")]
    Zone(String),
    /// It has no time in the years to come.
    #[error("it never comes due")]
    Never,
}

impl Cron {
    /// Reads an expression of five fields (six with seconds first) and a time zone's IANA name.
    pub fn new(text: &str, zone_name: &str) -> Result<Self, CronError> {
        let cron = text
            .parse::<croner::Cron>()
            .map(Arc::new)
            .map_err(|error| CronError::Expression(error.to_string()))?;
        let zone = TimeZone::get(zone_name).map_err(|_| CronError::Zone(zone_name.to_owned()))?;
        let cron =
            Self { text: text.trim().to_owned(), cron, zone, zone_name: zone_name.to_owned() };
        // A fixed moment, so that the same file is read alike on every day.
        let probe = Stamp(1_704_067_200_000);
        cron.after(probe).map(|_| cron.clone()).ok_or(CronError::Never)
    }

    /// The first time of the expression after `moment`; none when there is none in the years to come.
    pub fn after(&self, moment: Stamp) -> Option<Stamp> {
        let from = Moment(moment.timestamp().to_zoned_datetime(self.zone.clone()));
        let next = self.cron.find_next_occurrence(&from, false).ok()?;
        Some(Stamp(next.0.timestamp().as_millisecond())).filter(|next| *next > moment)
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The IANA name of the time zone that it is read in.
    pub fn zone(&self) -> &str {
        &self.zone_name
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.zone_name == other.zone_name
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({self})")
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.zone_name)
    }
}

/// A jiff date-time as croner walks over it; croner's own bridge is for an older jiff.
#[derive(Debug, Clone)]
struct Moment(ZonedDateTime);

impl CronDateTime for Moment {
    fn to_civil(&self) -> CivilDateTime {
        let at = self.0.datetime();
        let part = |value: i8| u32::from(value.unsigned_abs());
        CivilDateTime::new(
            CivilDate::from_parts_unchecked(i32::from(at.year()), part(at.month()), part(at.day())),
            CivilTime::from_parts_unchecked(part(at.hour()), part(at.minute()), part(at.second())),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        let day = self.0.weekday().to_sunday_zero_offset();
        Weekday::from_days_from_sunday(u32::from(day.unsigned_abs()))
    }

    fn resolve_civil(&self, at: CivilDateTime) -> Result<Resolution<Self>, Croner> {
        let part = |value: u32| i8::try_from(value).map_err(|_| Croner::InvalidDate);
        let year = i16::try_from(at.year()).map_err(|_| Croner::InvalidDate)?;
        let civil = civil::DateTime::new(
            year,
            part(at.month())?,
            part(at.day())?,
            part(at.hour())?,
            part(at.minute())?,
            part(at.second())?,
            0,
        )
        .map_err(|_| Croner::InvalidDate)?;
        let ambiguous = self.0.time_zone().to_ambiguous_zoned_datetime(civil);
        let invalid = |_| Croner::InvalidTime;
        Ok(match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => {
                Resolution::Single(Self(ambiguous.unambiguous().map_err(invalid)?))
            }
            AmbiguousOffset::Fold { .. } => Resolution::Ambiguous(
                Self(ambiguous.clone().earlier().map_err(invalid)?),
                Self(ambiguous.later().map_err(invalid)?),
            ),
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.timestamp().cmp(&other.0.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(cron: &str, zone: &str, from: &str) -> String {
        let cron = Cron::new(cron, zone).unwrap();
        cron.after(Stamp::parse(from).unwrap()).unwrap().to_string()
    }

    #[test]
    fn knows_time_zones() {
        let from = "2024-01-05T12:00:00Z";
        assert_eq!(after("0 6 * * 1-5", "UTC", from), "2024-01-08T06:00:00.000Z");
        assert_eq!(after("0 6 * * 1-5", "Europe/Berlin", from), "2024-01-08T05:00:00.000Z");
        let from = "2024-07-05T12:00:00Z";
        assert_eq!(after("0 6 * * 1-5", "Europe/Berlin", from), "2024-07-08T04:00:00.000Z");
    }

    #[test]
    fn does_not_stall_where_clocks_change() {
        // 02:30 does not exist on 31 March 2024 in Berlin, and happens twice on 27 October.
        for day in ["2024-03-30T12:00:00Z", "2024-10-26T12:00:00Z"] {
            let cron = Cron::new("30 2 * * *", "Europe/Berlin").unwrap();
            let mut at = Stamp::parse(day).unwrap();
            for _ in 0..4 {
                let next = cron.after(at).unwrap();
                assert!(next > at);
                assert!(next.since(at) < Duration::from_secs(49 * 3600), "{at} {next}");
                at = next;
            }
        }
    }

    #[test]
    fn is_after_and_never_at() {
        let at = "2024-01-05T12:00:00Z";
        assert_eq!(after("0 12 * * *", "UTC", at), "2024-01-06T12:00:00.000Z");
        assert_eq!(after("*/5 * * * *", "UTC", at), "2024-01-05T12:05:00.000Z");
    }

    #[test]
    fn refuses_what_cannot_be() {
        assert!(matches!(Cron::new("every day", "UTC"), Err(CronError::Expression(_))));
        assert!(matches!(Cron::new("0 6 * * *", "Mars/Base"), Err(CronError::Zone(_))));
        assert_eq!(Cron::new("0 0 31 2 *", "UTC"), Err(CronError::Never));
    }
}

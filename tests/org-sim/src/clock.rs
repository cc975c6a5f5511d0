//! The org's clock: the system's, or one that a test sets and moves.

use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::sync::lock;

/// Where the org's time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClockMode {
    /// The machine's clock; advancing it adds an offset.
    #[default]
    System,
    /// Stands still at this time until it is set or advanced.
    Fixed(Timestamp),
}

/// One clock for every part of the org, so that stamps, token lives, the call counter and the `Date` header agree.
#[derive(Debug)]
pub(crate) struct Clock(Mutex<(ClockMode, SignedDuration)>);

impl Clock {
    pub(crate) fn new(mode: ClockMode) -> Self {
        Clock(Mutex::new((mode, SignedDuration::ZERO)))
    }

    pub(crate) fn now(&self) -> Timestamp {
        let (mode, offset) = *lock(&self.0);
        let base = match mode {
            ClockMode::System => Timestamp::now(),
            ClockMode::Fixed(at) => at,
        };
        base.checked_add(offset).unwrap_or(base)
    }

    pub(crate) fn advance(&self, by: Duration) {
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::ZERO);
        let mut inner = lock(&self.0);
        inner.1 = inner.1.checked_add(by).unwrap_or(inner.1);
    }

    pub(crate) fn set(&self, mode: ClockMode) {
        *lock(&self.0) = (mode, SignedDuration::ZERO);
    }
}

/// A time as HTTP headers spell it: `Wed, 06 May 2026 09:49:20 GMT`.
pub(crate) fn http_date(at: Timestamp) -> String {
    jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&at)
        .unwrap_or_else(|_| "Thu, 01 Jan 1970 00:00:00 GMT".to_owned())
}

/// Reads a time that an HTTP header spells.
pub(crate) fn parse_http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let start: Timestamp = "2026-05-06T09:49:20Z".parse().unwrap();
        let clock = Clock::new(ClockMode::Fixed(start));
        assert_eq!(clock.now(), start);
        clock.advance(Duration::from_secs(90));
        assert_eq!(clock.now(), start + SignedDuration::from_secs(90));
        clock.set(ClockMode::Fixed(start));
        assert_eq!(clock.now(), start);
    }

    #[test]
    fn http_dates_go_both_ways() {
        let at: Timestamp = "2026-05-06T09:49:20Z".parse().unwrap();
        assert_eq!(http_date(at), "Wed, 06 May 2026 09:49:20 GMT");
        assert_eq!(parse_http_date(&http_date(at)), Some(at));
    }
}

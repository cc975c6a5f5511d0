//! Values as people read them: short, on one line, and harmless to a terminal.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::model::{Run, Stamp};

/// The text on one line, with everything that could steer a terminal or reorder a line spelled as an escape.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || steers(c) => {
                // Writing to a String cannot fail.
                write!(out, "\\u{{{:x}}}", u32::from(c)).unwrap_or_default();
            }
            c => out.push(c),
        }
    }
    out
}

/// Line separators, invisible marks and the marks that turn the direction of writing.
pub(super) fn steers(c: char) -> bool {
    matches!(
        c,
        '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// A stretch of time in at most five characters: `0.4ms`, `840ms`, `12.3s`, `3m12s`, `1h04m`, `2d03h`.
pub fn took(span: Duration) -> String {
    let ms = span.as_millis();
    let s = span.as_secs();
    match s {
        // What is told in microseconds: a batch, a page.
        0 if ms < 10 && !span.as_micros().is_multiple_of(1000) => {
            format!("{}.{}ms", ms, span.as_micros() % 1000 / 100)
        }
        0 => format!("{ms}ms"),
        1..60 => format!("{}.{}s", s, (ms % 1000) / 100),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d{:02}h", s / 86_400, s % 86_400 / 3600),
    }
}

/// A stretch of time as one number and one unit: `12s`, `3m`, `5h`, `2d`.
pub fn about(span: Duration) -> String {
    let s = span.as_secs();
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m", s / 60),
        3600..172_800 => format!("{}h", s / 3600),
        _ => format!("{}d", s / 86_400),
    }
}

/// A moment in the local time zone: `14:02:11` today, `2026-11-22 14:02` on other days.
pub fn moment(at: Stamp, now: Stamp, zone: &TimeZone) -> String {
    let local = at.timestamp().to_zoned_datetime(zone.clone());
    if local.date() == now.timestamp().to_zoned_datetime(zone.clone()).date() {
        local.strftime("%H:%M:%S").to_string()
    } else {
        local.strftime("%Y-%m-%d %H:%M").to_string()
    }
}

/// When something that is to come happens: `in 3m (14:05:00)`.
pub fn ahead(at: Stamp, now: Stamp, zone: &TimeZone) -> String {
    if at <= now {
        return "now".to_owned();
    }
    format!("in {} ({})", about(at.since(now)), moment(at, now, zone))
}

/// A count in at most five characters: `99999`, `123k`, `1.23M`, `45.6G`.
pub fn count(n: u64) -> String {
    let scaled = |unit: u64, letter: char| {
        let (whole, part) = (n / unit, n % unit * 1000 / unit);
        match whole {
            0..10 => format!("{whole}.{:02}{letter}", part / 10),
            10..100 => format!("{whole}.{:01}{letter}", part / 100),
            _ => format!("{whole}{letter}"),
        }
    };
    match n {
        0..100_000 => n.to_string(),
        100_000..1_000_000 => format!("{}k", n / 1000),
        1_000_000..1_000_000_000 => scaled(1_000_000, 'M'),
        _ => scaled(1_000_000_000, 'G'),
    }
}

/// A count with its thousands apart: `1,234,567`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Bytes with a unit: `912 B`, `1.2 MB`.
pub fn bytes(n: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", n / unit, n % unit * 10 / unit);
    match n {
        0..1000 => format!("{n} B"),
        1000..1_000_000 => format!("{} kB", tenths(1000)),
        1_000_000..1_000_000_000 => format!("{} MB", tenths(1_000_000)),
        _ => format!("{} GB", tenths(1_000_000_000)),
    }
}

/// How a run stands, in a word or two: never a word of success for one that stopped.
pub fn outcome(run: &Run) -> &'static str {
    run.standing().label()
}

/// How long a run took, or has taken so far.
pub fn lasted(run: &Run, now: Stamp) -> Duration {
    run.ended.unwrap_or(now).since(run.started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_text_cannot_steer_a_terminal() {
        let text = "a\u{1b}[2J\u{7}b\nc\u{202e}d\u{9b}31m\u{2028}é\u{1f600}\u{7f}";
        assert_eq!(
            plain(text),
            "a\\u{1b}[2J\\u{7}b\\nc\\u{202e}d\\u{9b}31m\\u{2028}é\u{1f600}\\u{7f}"
        );
    }

    #[test]
    fn spells_times_and_counts() {
        let ms = Duration::from_millis;
        let spans = [0, 840, 12_345, 192_000, 3_840_000, 183_600_000];
        assert_eq!(
            spans.map(|n| took(ms(n))),
            ["0ms", "840ms", "12.3s", "3m12s", "1h04m", "2d03h"]
        );
        assert_eq!(spans.map(|n| about(ms(n))), ["0s", "0s", "12s", "3m", "1h", "2d"]);
        let counts = [0, 99_999, 100_000, 999_999, 1_234_567, 45_678_901, 1_500_000_000];
        assert_eq!(counts.map(count), ["0", "99999", "100k", "999k", "1.23M", "45.6M", "1.50G"]);
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([12, 1234, 5_600_000].map(bytes), ["12 B", "1.2 kB", "5.6 MB"]);
        let now = Stamp::parse("2026-11-23T14:02:11Z").unwrap();
        assert_eq!(moment(now, now, &TimeZone::UTC), "14:02:11");
        let before = Stamp::parse("2026-11-22T14:02:11Z").unwrap();
        assert_eq!(moment(before, now, &TimeZone::UTC), "2026-11-22 14:02");
        assert_eq!(ahead(now.plus(ms(180_000)), now, &TimeZone::UTC), "in 3m (14:05:11)");
    }

    proptest::proptest! {
        #[test]
        fn short_stays_short(n: u64, ms in 0..8_000_000_000_u64) {
            proptest::prop_assert!(count(n).len() <= 12);
            if n < 1_000_000_000_000 { proptest::prop_assert!(count(n).len() <= 5) }
            proptest::prop_assert!(took(Duration::from_millis(ms)).len() <= 6);
        }

        #[test]
        fn plain_text_has_no_control(text: String) {
            proptest::prop_assert!(!plain(&text).chars().any(|c| c.is_control() || steers(c)));
        }
    }
}

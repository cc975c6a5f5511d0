//! Times of the day.

use std::fmt;

/// A time of the day, to the millisecond, in UTC; written as `08:30:00Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u32);

impl Time {
    /// A time spelled `08:30:00.000Z`; the `Z` and the fraction may be missing.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('Z').unwrap_or(text);
        let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let [h1, h2, b':', m1, m2, b':', s1, s2] = *clock.as_bytes() else { return None };
        let two = |a: u8, b: u8| {
            let digits = a.is_ascii_digit() && b.is_ascii_digit();
            digits.then(|| u32::from(a - b'0') * 10 + u32::from(b - b'0'))
        };
        let (hour, minute, second) = (two(h1, h2)?, two(m1, m2)?, two(s1, s2)?);
        let digits =
            (1..=9).contains(&fraction.len()) && fraction.bytes().all(|it| it.is_ascii_digit());
        if hour > 23 || minute > 59 || second > 59 || !digits {
            return None;
        }
        let millis = fraction.bytes().chain(*b"00").take(3);
        let millis = millis.fold(0, |number, it| number * 10 + u32::from(it - b'0'));
        Some(Self(((hour * 60 + minute) * 60 + second) * 1000 + millis))
    }

    /// Milliseconds since midnight.
    pub fn as_millis(&self) -> u32 {
        self.0
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0 / 1000, self.0 % 1000);
        write!(f, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
        if millis > 0 {
            write!(f, ".{millis:03}")?;
        }
        f.write_str("Z")
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_salesforce_s_spelling() {
        assert_eq!(Time::parse("08:30:00.000Z").unwrap().to_string(), "08:30:00Z");
        assert_eq!(Time::parse("23:59:59.5Z").unwrap().as_millis(), 86_399_500);
        assert_eq!(Time::parse("00:00:00").unwrap().as_millis(), 0);
        for text in
            ["", "8:30:00Z", "24:00:00Z", "08:60:00Z", "08:30:00.Z", "08:30:00.0x", "é8:30:00"]
        {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn comes_back_as_it_was(millis in 0_u32..86_400_000) {
            prop_assert_eq!(Time::parse(&Time(millis).to_string()), Some(Time(millis)));
        }
    }
}

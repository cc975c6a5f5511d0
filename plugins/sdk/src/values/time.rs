//! Dates and date-times as Salesforce spells them.
//!
//! Own code, because a calendar library would double the size of a plugin; proved against one in the tests.

use std::fmt;

const DAY: i64 = 86_400_000;
/// Days from 1 March of the year 0 to 1970-01-01.
const MARCH_0: i32 = 719_468;
/// The first and the last millisecond of the years 1 to 9999.
const FIRST: i64 = -62_135_596_800_000;
const LAST: i64 = 253_402_300_799_999;

/// A day of the calendar, from the year 1 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// A date, if there is such a day.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let there_is = (1..=9999).contains(&year)
            && (1..=12).contains(&month)
            && day >= 1
            && day <= days(year, month);
        there_is.then_some(Self { year, month, day })
    }

    /// A date spelled `2024-02-29`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::of(text.as_bytes().try_into().ok()?)
    }

    #[inline]
    fn of(bytes: &[u8; 10]) -> Option<Self> {
        let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = bytes else { return None };
        let year = u16::from(two(y1, y2)?) * 100 + u16::from(two(y3, y4)?);
        Self::new(year, two(m1, m2)?, two(d1, d2)?)
    }

    /// The year.
    pub fn year(&self) -> u16 {
        self.year
    }

    /// The month, from 1.
    pub fn month(&self) -> u8 {
        self.month
    }

    /// The day of the month, from 1.
    pub fn day(&self) -> u8 {
        self.day
    }

    /// Days since 1970-01-01.
    pub fn days_since_1970(&self) -> i32 {
        // Years are counted from March, so that the leap day is a year's last.
        let month = (i32::from(self.month) + 9) % 12;
        let year = i32::from(self.year) - i32::from(month >= 10);
        let of_year = (153 * month + 2) / 5 + i32::from(self.day) - 1;
        365 * year + year / 4 - year / 100 + year / 400 + of_year - MARCH_0
    }

    /// The day that lies so many days after 1 March of the year 0, if it is one of ours.
    fn from_days(days: u32) -> Option<Self> {
        let of_era = days % 146_097;
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let year = year_of_era + days / 146_097 * 400 + u32::from(month >= 10);
        let month = if month < 10 { month + 3 } else { month - 9 };
        Some(Self { year: u16::try_from(year).ok()?, month: month as u8, day: day as u8 })
    }

    fn spell(&self) -> [u8; 10] {
        let mut out = *b"0000-00-00";
        put_two(&mut out, 0, (self.year / 100) as u8);
        put_two(&mut out, 2, (self.year % 100) as u8);
        put_two(&mut out, 5, self.month);
        put_two(&mut out, 8, self.day);
        out
    }

    pub(crate) fn write(&self, out: &mut String) {
        push(out, &self.spell());
    }
}

/// A moment, to the millisecond; written in UTC as `2024-02-29T08:30:00Z`.
///
/// Kept as day and milliseconds of the day, so that what is only handed on is never turned into a count and back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime {
    date: Date,
    clock: u32,
}

impl DateTime {
    /// A moment from milliseconds since 1970, if it lies in the years 1 to 9999.
    pub fn from_millis(millis: i64) -> Option<Self> {
        if !(FIRST..=LAST).contains(&millis) {
            return None;
        }
        let since_year_0 = (millis + i64::from(MARCH_0) * DAY) as u64;
        let date = Date::from_days((since_year_0 / DAY as u64) as u32)?;
        Some(Self { date, clock: (since_year_0 % DAY as u64) as u32 })
    }

    /// A moment spelled `2024-02-29T08:30:00.000+0000`; `Z`, `+01:00` and no fraction are read as well.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, clock) = text.as_bytes().split_first_chunk()?;
        let (&[b'T', h1, h2, b':', m1, m2, b':', s1, s2], rest) = clock.split_first_chunk()? else {
            return None;
        };
        let date = Date::of(date)?;
        let (hour, minute, second) = (two(h1, h2)?, two(m1, m2)?, two(s1, s2)?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let (fraction, zone) = match rest {
            b".000+0000" => (0, 0),
            rest => {
                let (fraction, zone) = fraction(rest)?;
                (fraction, offset(zone)?)
            }
        };
        let clock =
            ((u32::from(hour) * 60 + u32::from(minute)) * 60 + u32::from(second)) * 1000 + fraction;
        let local = Self { date, clock };
        match zone {
            0 => Some(local),
            east => Self::from_millis(local.as_millis() - east * 60_000),
        }
    }

    /// Milliseconds since 1970.
    pub fn as_millis(&self) -> i64 {
        i64::from(self.date.days_since_1970()) * DAY + i64::from(self.clock)
    }

    /// The day, in UTC.
    pub fn date(&self) -> Date {
        self.date
    }

    pub(crate) fn write(&self, out: &mut String) {
        let (seconds, millis) = (self.clock / 1000, self.clock % 1000);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        text[..10].copy_from_slice(&self.date.spell());
        put_two(&mut text, 11, (seconds / 3600) as u8);
        put_two(&mut text, 14, (seconds / 60 % 60) as u8);
        put_two(&mut text, 17, (seconds % 60) as u8);
        if millis == 0 {
            text[19] = b'Z';
            return push(out, &text[..20]);
        }
        text[20] += (millis / 100) as u8;
        put_two(&mut text, 21, (millis % 100) as u8);
        push(out, &text);
    }
}

fn days(year: u16, month: u8) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The number of two digits, if they are.
#[inline]
fn two(tens: u8, ones: u8) -> Option<u8> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| tens * 10 + ones)
}

/// Milliseconds of a fraction, if there is one, and what follows it.
fn fraction(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let Some((b'.', rest)) = bytes.split_first() else {
        return Some((0, bytes));
    };
    let length = rest.iter().take_while(|it| it.is_ascii_digit()).count();
    if length == 0 || length > 9 {
        return None;
    }
    let millis = (0..3).fold(0, |number, at| {
        number * 10 + if at < length { u32::from(rest[at] - b'0') } else { 0 }
    });
    Some((millis, &rest[length..]))
}

/// Minutes east of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match zone {
        b"Z" | b"+0000" => return Some(0),
        &[sign, h1, h2, b':', m1, m2] | &[sign, h1, h2, m1, m2] => {
            (sign, two(h1, h2)?, two(m1, m2)?)
        }
        _ => return None,
    };
    let east = i64::from(hours) * 60 + i64::from(minutes);
    match sign {
        _ if hours > 23 || minutes > 59 => None,
        b'+' => Some(east),
        b'-' => Some(-east),
        _ => None,
    }
}

#[inline]
fn put_two(out: &mut [u8], at: usize, number: u8) {
    out[at] = b'0' + number / 10;
    out[at + 1] = b'0' + number % 10;
}

#[inline]
fn push(out: &mut String, ascii: &[u8]) {
    out.push_str(std::str::from_utf8(ascii).unwrap_or_default());
}

macro_rules! shown {
    ($($type:ty),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = String::with_capacity(24);
                self.write(&mut text);
                f.write_str(&text)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}
shown!(Date, DateTime);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_salesforce_s_spelling() {
        let moment = DateTime::parse("2022-02-15T06:21:19.000+0000").unwrap();
        assert_eq!(moment.to_string(), "2022-02-15T06:21:19Z");
        assert_eq!(moment.date(), Date::new(2022, 2, 15).unwrap());
        for same in
            ["2022-02-15T06:21:19Z", "2022-02-15T07:51:19.000+0130", "2022-02-15T04:21:19-02:00"]
        {
            assert_eq!(DateTime::parse(same), Some(moment), "{same}");
        }
        assert_eq!(
            DateTime::parse("2022-02-15T06:21:19.0451Z").unwrap().to_string(),
            "2022-02-15T06:21:19.045Z"
        );
    }

    #[test]
    fn knows_its_bounds() {
        for (millis, text) in [(FIRST, "0001-01-01T00:00:00Z"), (LAST, "9999-12-31T23:59:59.999Z")]
        {
            assert_eq!(DateTime::from_millis(millis).unwrap().to_string(), text);
            assert_eq!(DateTime::parse(text).unwrap().as_millis(), millis);
        }
        assert_eq!(
            (DateTime::from_millis(FIRST - 1), DateTime::from_millis(LAST + 1)),
            (None, None)
        );
    }

    #[test]
    fn refuses_what_is_no_day_or_moment() {
        for text in [
            "",
            "2023-02-29",
            "1900-02-29",
            "2024-13-01",
            "2024-00-10",
            "2024-1-01",
            "0000-01-01",
            "2024/01/01",
            "２024-01-1",
        ] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
        for text in [
            "2024-02-29",
            "2024-02-29T24:00:00Z",
            "2024-02-29T08:30:00",
            "2024-02-29 08:30:00Z",
            "2024-02-29T08:30:00.Z",
            "2024-02-29T08:30:00.000+00",
            "2024-02-29T08:30:00.000*0000",
            "2024-02-29T08:30:00.000+9900",
            "0001-01-01T00:00:00+0100",
            "2024-02-29T08:30:00Zé",
        ] {
            assert_eq!(DateTime::parse(text), None, "{text}");
        }
    }

    fn trimmed(text: &str) -> String {
        text.replace(".000Z", "Z")
    }

    proptest! {
        #[test]
        fn agrees_with_a_calendar_library(millis in FIRST..253_402_207_200_000) {
            let other = jiff::Timestamp::from_millisecond(millis).unwrap();
            let moment = DateTime::from_millis(millis).unwrap();
            prop_assert_eq!(moment.to_string(), trimmed(&other.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()));
            let spelled = other.strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string();
            prop_assert_eq!(DateTime::parse(&spelled), Some(moment));
            prop_assert_eq!(moment.date().days_since_1970(), millis.div_euclid(DAY) as i32);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9TZ:.+é-]{0,30}") {
            if let Some(moment) = DateTime::parse(&text) {
                prop_assert_eq!(DateTime::parse(&moment.to_string()), Some(moment));
            }
            if let Some(date) = Date::parse(&text) {
                prop_assert_eq!(date.to_string(), text);
            }
        }
    }
}

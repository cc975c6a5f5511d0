//! Numbers that keep their spelling.

use std::fmt;

/// A number with its text kept, so that `10046.0` stays `10046.0` and no digit is lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Number<'a>(&'a str);

impl<'a> Number<'a> {
    pub(crate) fn trusted(text: &'a str) -> Self {
        Self(text)
    }

    /// A number from its JSON spelling, if it is one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let first = text.bytes().next()?;
        let last = text.bytes().next_back()?;
        let edges = (first == b'-' || first.is_ascii_digit()) && last.is_ascii_digit();
        (edges && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok())
            .then_some(Self(text))
    }

    /// The number as it was spelled.
    #[inline]
    pub fn as_str(&self) -> &'a str {
        self.0
    }

    /// The number as a double, if one can hold it.
    #[inline]
    pub fn as_f64(&self) -> Option<f64> {
        self.0.parse().ok().filter(|it: &f64| it.is_finite())
    }

    /// The number as an integer, if it is a whole one: `12`, `12.0` and `1.2E1` are.
    #[inline]
    pub fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok().or_else(|| self.whole())
    }

    fn whole(&self) -> Option<i64> {
        if let Some((whole, fraction)) = self.0.split_once('.')
            && fraction.bytes().all(|it| it == b'0')
        {
            return whole.parse().ok();
        }
        // Every whole double of this size is exact; beyond it a digit might be invented.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let value = self.as_f64()?;
        (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i64)
    }
}

impl fmt::Debug for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_spelling_and_reads_it() {
        let number = Number::parse("10046.0").unwrap();
        assert_eq!(
            (number.as_str(), number.as_i64(), number.as_f64()),
            ("10046.0", Some(10046), Some(10046.0))
        );
        assert_eq!(Number::parse("1.39E8").unwrap().as_i64(), Some(139_000_000));
        assert_eq!(Number::parse("-7").unwrap().as_i64(), Some(-7));
        assert_eq!(Number::parse("1.4").unwrap().as_i64(), None);
        assert_eq!(Number::parse("9223372036854775807.0").unwrap().as_i64(), Some(i64::MAX));
        assert_eq!(Number::parse("1e30").unwrap().as_i64(), None);
        assert_eq!(Number::parse("1e999").unwrap().as_f64(), None);
    }

    #[test]
    fn refuses_what_json_would_not_call_a_number() {
        for text in ["", "-", "01", "1.", "+1", " 1", "1 ", "NaN", "\"1\"", "[1]", "1,2", "0x1"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }
}

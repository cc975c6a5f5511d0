//! Relative dates: `TODAY`, `LAST_N_DAYS:7`, ... to the days they cover, in UTC.

use jiff::civil::{Date, Weekday};
use jiff::{Span, ToSpan};

#[derive(Clone, Copy)]
enum Unit {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

/// Which units of a calendar, counted from the one that holds today.
struct Shape {
    unit: Unit,
    first: i64,
    units: i64,
}

/// Whether a word is a date literal, and if so whether it wants `:n`.
pub fn known(word: &str) -> Option<bool> {
    let word = word.to_ascii_uppercase();
    if shape(&word, None).is_some() {
        return Some(false);
    }
    shape(&word, Some(1)).map(|_| true)
}

/// The days a date literal covers, the end exclusive; none if it is not one.
pub fn range(word: &str, count: Option<u32>, today: Date) -> Option<(Date, Date)> {
    let shape = shape(&word.to_ascii_uppercase(), count)?;
    let start = start(shape.unit, today);
    Some((
        step(shape.unit, start, shape.first),
        step(shape.unit, start, shape.first.saturating_add(shape.units)),
    ))
}

fn shape(word: &str, count: Option<u32>) -> Option<Shape> {
    // The fiscal year of this org is the calendar year.
    let word = word.replace("FISCAL_", "");
    let Some(count) = count else {
        let (unit, first) = match word.as_str() {
            "YESTERDAY" => (Unit::Day, -1),
            "TODAY" => (Unit::Day, 0),
            "TOMORROW" => (Unit::Day, 1),
            "LAST_90_DAYS" => {
                return Some(Shape { unit: Unit::Day, first: -90, units: 91 });
            }
            "NEXT_90_DAYS" => {
                return Some(Shape { unit: Unit::Day, first: 1, units: 90 });
            }
            other => {
                let (when, unit) = other.split_once('_')?;
                let first = match when {
                    "LAST" => -1,
                    "THIS" => 0,
                    "NEXT" => 1,
                    _ => return None,
                };
                let unit = match unit {
                    "WEEK" => Unit::Week,
                    "MONTH" => Unit::Month,
                    "QUARTER" => Unit::Quarter,
                    "YEAR" => Unit::Year,
                    _ => return None,
                };
                (unit, first)
            }
        };
        return Some(Shape { unit, first, units: 1 });
    };
    let n = i64::from(count);
    let units = |text: &str| match text {
        "DAYS" => Some(Unit::Day),
        "WEEKS" => Some(Unit::Week),
        "MONTHS" => Some(Unit::Month),
        "QUARTERS" => Some(Unit::Quarter),
        "YEARS" => Some(Unit::Year),
        _ => None,
    };
    if let Some(unit) = word.strip_prefix("LAST_N_") {
        // Days include today; the larger units are whole and end before the present one.
        return units(unit).map(|unit| Shape {
            unit,
            first: -n,
            units: if matches!(unit, Unit::Day) { n + 1 } else { n },
        });
    }
    if let Some(unit) = word.strip_prefix("NEXT_N_") {
        return units(unit).map(|unit| Shape { unit, first: 1, units: n });
    }
    let unit = word.strip_prefix("N_")?.strip_suffix("_AGO")?;
    units(unit).map(|unit| Shape { unit, first: -n, units: 1 })
}

fn start(unit: Unit, today: Date) -> Date {
    match unit {
        Unit::Day => today,
        Unit::Week => {
            today.saturating_sub(i64::from(today.weekday().since(Weekday::Sunday)).days())
        }
        Unit::Month => today.first_of_month(),
        Unit::Quarter => {
            Date::new(today.year(), (today.month() - 1) / 3 * 3 + 1, 1).unwrap_or(today)
        }
        Unit::Year => today.first_of_year(),
    }
}

fn step(unit: Unit, from: Date, count: i64) -> Date {
    let end = if count < 0 { Date::MIN } else { Date::MAX };
    let span = match unit {
        Unit::Day => Span::new().try_days(count),
        Unit::Week => Span::new().try_weeks(count),
        Unit::Month => Span::new().try_months(count),
        Unit::Quarter => Span::new().try_months(count.saturating_mul(3)),
        Unit::Year => Span::new().try_years(count),
    };
    span.ok().and_then(|span| from.checked_add(span).ok()).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn literals_cover_the_documented_days() {
        // A Wednesday.
        let today = date(2024, 5, 15);
        let table = [
            ("TODAY", None, date(2024, 5, 15), date(2024, 5, 16)),
            ("yesterday", None, date(2024, 5, 14), date(2024, 5, 15)),
            ("TOMORROW", None, date(2024, 5, 16), date(2024, 5, 17)),
            ("LAST_WEEK", None, date(2024, 5, 5), date(2024, 5, 12)),
            ("THIS_WEEK", None, date(2024, 5, 12), date(2024, 5, 19)),
            ("LAST_MONTH", None, date(2024, 4, 1), date(2024, 5, 1)),
            ("THIS_MONTH", None, date(2024, 5, 1), date(2024, 6, 1)),
            ("NEXT_MONTH", None, date(2024, 6, 1), date(2024, 7, 1)),
            ("LAST_90_DAYS", None, date(2024, 2, 15), date(2024, 5, 16)),
            ("THIS_QUARTER", None, date(2024, 4, 1), date(2024, 7, 1)),
            ("LAST_FISCAL_QUARTER", None, date(2024, 1, 1), date(2024, 4, 1)),
            ("THIS_YEAR", None, date(2024, 1, 1), date(2025, 1, 1)),
            ("LAST_N_DAYS", Some(7), date(2024, 5, 8), date(2024, 5, 16)),
            ("NEXT_N_DAYS", Some(2), date(2024, 5, 16), date(2024, 5, 18)),
            ("LAST_N_MONTHS", Some(2), date(2024, 3, 1), date(2024, 5, 1)),
            ("N_DAYS_AGO", Some(3), date(2024, 5, 12), date(2024, 5, 13)),
            ("LAST_N_YEARS", Some(4_000_000_000), Date::MIN, date(2024, 1, 1)),
        ];
        for (word, count, from, to) in table {
            assert_eq!(range(word, count, today), Some((from, to)), "{word}");
        }
        assert_eq!(range("SOMEDAY", None, today), None);
        assert_eq!(known("last_n_days"), Some(true));
        assert_eq!(known("today"), Some(false));
        assert_eq!(known("Name"), None);
    }
}

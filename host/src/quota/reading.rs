//! What Salesforce says of its limits: the header of every answer, and the words of a refusal.

/// The numbers of one `Sforce-Limit-Info` header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitInfo {
    /// Calls used and allowed in 24 hours, when told.
    pub api_usage: Option<(u64, u64)>,
    /// Every other pair of numbers, by name (`api-bursts`, `per-app-api-usage`).
    pub others: Vec<(String, u64, u64)>,
}

impl LimitInfo {
    /// Reads `api-usage=10018/100000; api-bursts=1/750`; parts that have another form are left out, never an error.
    pub fn parse(header: &str) -> Self {
        let mut info = Self::default();
        for part in header.split([';', ',']) {
            let Some((name, numbers)) = part.split_once('=') else { continue };
            let Some((used, max)) = numbers.split_once('/') else { continue };
            let name = name.trim();
            // `per-app-api-usage=17/250(appName=x)` has a remark after the number.
            let digits = max.trim().split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            let (Ok(used), Ok(max)) = (used.trim().parse::<u64>(), digits.parse::<u64>()) else {
                continue;
            };
            if name.eq_ignore_ascii_case("api-usage") {
                info.api_usage = (max > 0).then_some((used, max)).or(info.api_usage);
            } else if !name.is_empty() {
                info.others.push((name.to_owned(), used, max));
            }
        }
        info
    }
}

/// Which of the limits behind `REQUEST_LIMIT_EXCEEDED` was hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// The calls of 24 hours are spent.
    Daily,
    /// Too many requests at one moment.
    Concurrent,
    /// Too many requests that run for 20 seconds or longer.
    LongRunning,
}

impl LimitKind {
    /// The limit that this message of Salesforce's tells of; an unknown text is taken for the daily one.
    pub fn of(message: &str) -> Self {
        let text = message.to_ascii_lowercase();
        if text.contains("longtxn")
            || text.contains("long running")
            || text.contains("long-running")
        {
            Self::LongRunning
        } else if text.contains("concurrent") {
            Self::Concurrent
        } else {
            Self::Daily
        }
    }

    /// The stable code of the limit.
    pub fn code(self) -> &'static str {
        match self {
            Self::Daily => "limit.daily",
            Self::Concurrent => "limit.concurrent",
            Self::LongRunning => "limit.long-running",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_known_spelling() {
        for (header, usage) in [
            ("api-usage=73994/305000", Some((73_994, 305_000))),
            ("api-usage=10018/100000; api-bursts=1/750", Some((10_018, 100_000))),
            (
                "api-usage=25/5000; per-app-api-usage=17/250(appName=sample-connected-app)",
                Some((25, 5000)),
            ),
            ("per-app-api-usage=17/250(appName=x);api-usage = 1 / 2 ", Some((1, 2))),
            ("API-Usage=7/15000(soft)", Some((7, 15_000))),
            ("api-usage=7/0", None),
            ("api-usage=x/15000", None),
            ("api-usage", None),
            ("", None),
            (";;==//", None),
        ] {
            assert_eq!(LimitInfo::parse(header).api_usage, usage, "{header}");
        }
        let info = LimitInfo::parse("api-usage=10018/100000; api-bursts=1/750");
        assert_eq!(info.others, [("api-bursts".to_owned(), 1, 750)]);
    }

    #[test]
    fn tells_the_limits_apart_by_their_message() {
        for (text, kind) in [
            ("TotalRequests Limit exceeded.", LimitKind::Daily),
            ("ConcurrentRequests (Concurrent API Requests) Limit exceeded.", LimitKind::Concurrent),
            ("ConcurrentPerOrgLongTxn Limit exceeded.", LimitKind::LongRunning),
            ("something new", LimitKind::Daily),
        ] {
            assert_eq!(LimitKind::of(text), kind, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(header in ".{0,80}") {
            LimitInfo::parse(&header);
        }
    }
}

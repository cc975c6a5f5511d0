//! What to do after a request, as pure decisions.

use std::time::Duration;

use crate::store::{FeedEntry, Op};

/// Why changes were not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// A stable code, for `kilofold explain`.
    pub code: &'static str,
    /// What the destination said, or what went wrong, for a person.
    pub words: String,
}

impl Reason {
    /// Nothing was heard of the destination.
    pub fn unreachable(words: String) -> Self {
        Self { code: "deliver.unreachable", words }
    }

    /// The change cannot be put into the form that the destination takes.
    pub fn unfit(words: String) -> Self {
        Self { code: "deliver.unfit", words }
    }

    /// Changes went from the feed before they could be sent.
    pub fn gone(words: String) -> Self {
        Self { code: "deliver.gone", words }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} [{}]", self.words, self.code)
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// It was taken.
    Taken,
    /// It was refused for what is in it: the same again will be refused again.
    Refused(Reason),
    /// It may be taken another time: at the earliest after so long, when the destination said.
    Trouble(Reason, Option<Duration>),
}

impl Answered {
    /// What an HTTP status means. What is wrong with the address or the secret is not the changes' fault.
    pub fn of(status: u16, words: String, retry_after: Option<Duration>) -> Self {
        let because = |code| Reason { code, words };
        match status {
            200..=299 => Self::Taken,
            400 | 413 | 422 => Self::Refused(because("deliver.refused")),
            401 | 403 => Self::Trouble(because("deliver.secret"), retry_after),
            300..=399 | 404 | 405 | 410 => Self::Trouble(because("deliver.address"), retry_after),
            _ => Self::Trouble(because("deliver.busy"), retry_after),
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The batch is done: the next.
    Next,
    /// Send the first half alone, to find what is refused.
    Halve,
    /// Put the batch among the dead letters, then the next.
    Bury,
    /// Send it again after so long.
    Wait(Duration),
}

/// The longest wait between two attempts that nobody asked for.
const LONGEST: Duration = Duration::from_secs(600);
/// The longest wait that a destination may ask for.
const PATIENT: Duration = Duration::from_secs(3600);

/// What to do after the `attempts`-th attempt (from 1) in vain at a batch of `changes`, which has failed for `failing`;
/// `jitter`: from 0 to 1.
pub fn step(
    answered: &Answered,
    changes: usize,
    attempts: u32,
    failing: Duration,
    give_up: Option<Duration>,
    jitter: f64,
) -> Step {
    match answered {
        Answered::Taken => Step::Next,
        Answered::Refused(_) if changes > 1 => Step::Halve,
        Answered::Refused(_) => Step::Bury,
        Answered::Trouble(..) if give_up.is_some_and(|give_up| failing >= give_up) => Step::Bury,
        Answered::Trouble(_, asked) => {
            let own = back_off(attempts, jitter);
            Step::Wait(own.max(asked.unwrap_or_default().min(PATIENT)))
        }
    }
}

/// Whether the output is another one by now than this change made it; `body`: what it is now, none when it is gone.
pub fn overtaken(change: &FeedEntry, body: Option<&str>) -> bool {
    match change.op {
        Op::Upsert => body != change.body.as_deref(),
        Op::Retract => body.is_some(),
    }
}

/// How long to wait after the `attempts`-th attempt: a second, doubled each time up to ten minutes, and of that between the
/// half and the whole, so that many senders do not come at once.
pub fn back_off(attempts: u32, jitter: f64) -> Duration {
    let doubled = 1_u64.checked_shl(attempts.saturating_sub(1)).unwrap_or(u64::MAX);
    let whole = Duration::from_secs(doubled).min(LONGEST);
    whole.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// Waits grow, stay within bounds, and a destination's wish is kept within reason.
        #[test]
        fn waits_are_bounded(attempts in 1..2000_u32, jitter in 0.0..1.0_f64, asked: Option<u32>) {
            let wait = back_off(attempts, jitter);
            proptest::prop_assert!(wait >= Duration::from_millis(500) && wait <= LONGEST);
            proptest::prop_assert!(back_off(attempts + 1, jitter) >= wait);
            let asked = asked.map(|seconds| Duration::from_secs(seconds.into()));
            let answered = Answered::of(503, "503".to_owned(), asked);
            let next = step(&answered, 9, attempts, Duration::ZERO, None, jitter);
            let Step::Wait(next) = next else { panic!("{next:?}") };
            proptest::prop_assert!(next >= wait && next <= PATIENT);
            proptest::prop_assert!(asked.is_none_or(|asked| next >= asked.min(PATIENT)));
        }

        /// However many of a batch are refused: halving ends, buries exactly those, and keeps the order.
        #[test]
        fn finds_what_is_refused(bad in proptest::collection::vec(proptest::bool::ANY, 1..60)) {
            let (mut at, mut size, mut asked) = (0, bad.len(), 0);
            let (mut buried, mut taken) = (Vec::new(), Vec::new());
            while at < bad.len() {
                asked += 1;
                let batch = at..(at + size).min(bad.len());
                let refused = bad[batch.clone()].iter().any(|bad| *bad);
                let answered = match refused {
                    true => Answered::of(400, "400".to_owned(), None),
                    false => Answered::Taken,
                };
                match step(&answered, batch.len(), 1, Duration::ZERO, None, 0.5) {
                    Step::Next => {
                        taken.extend(batch.clone());
                        at = batch.end;
                        size *= 2;
                    }
                    Step::Halve => size = batch.len() / 2,
                    Step::Bury => {
                        buried.extend(batch.clone());
                        at = batch.end;
                    }
                    Step::Wait(_) => unreachable!(),
                }
            }
            let expected: Vec<usize> = (0..bad.len()).filter(|i| bad[*i]).collect();
            proptest::prop_assert_eq!(buried, expected);
            proptest::prop_assert_eq!(taken.len(), bad.iter().filter(|bad| !**bad).count());
            proptest::prop_assert!(taken.is_sorted() && asked < 8 * bad.len() + 8);
        }
    }

    #[test]
    fn gives_up_in_time() {
        let day = Duration::from_secs(86_400);
        let trouble = Answered::of(503, "503".to_owned(), None);
        assert_eq!(step(&trouble, 9, 3, day * 3, Some(day * 3), 0.0), Step::Bury);
        assert!(matches!(step(&trouble, 9, 3, day * 2, Some(day * 3), 0.0), Step::Wait(_)));
        assert!(matches!(step(&trouble, 9, 3, day * 300, None, 0.0), Step::Wait(_)));
        for (status, code) in [
            (301, "deliver.address"),
            (401, "deliver.secret"),
            (403, "deliver.secret"),
            (404, "deliver.address"),
            (408, "deliver.busy"),
            (410, "deliver.address"),
            (429, "deliver.busy"),
            (500, "deliver.busy"),
            (503, "deliver.busy"),
        ] {
            let Answered::Trouble(reason, _) = Answered::of(status, String::new(), None) else {
                panic!("{status}");
            };
            assert_eq!(reason.code, code, "{status}");
        }
    }
}

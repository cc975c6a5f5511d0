//! How many requests may be under way at once: fewer after the org complains of too many, slowly more again. Pure.

use std::time::Duration;

use crate::model::Stamp;

/// Refusals so near to each other are one complaint.
const ONE: Duration = Duration::from_secs(5);

/// After so long without a complaint there may be one more.
const CALM: Duration = Duration::from_secs(60);

/// The bound on requests at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crowd {
    most: usize,
    now: usize,
    changed: Option<Stamp>,
}

impl Crowd {
    /// At most `most` (at least 1), and so many from the start.
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        Self { most, now: most, changed: None }
    }

    /// The bound.
    pub fn now(&self) -> usize {
        self.now
    }

    /// After the org complained: half as many.
    #[must_use]
    pub fn complained(self, at: Stamp) -> Self {
        if self.changed.is_some_and(|changed| at.since(changed) < ONE && self.now < self.most) {
            return self;
        }
        Self { now: (self.now / 2).max(1), changed: Some(at), ..self }
    }

    /// After a request was answered without a complaint.
    #[must_use]
    pub fn answered(self, at: Stamp) -> Self {
        match self.changed {
            Some(changed) if self.now < self.most && at.since(changed) >= CALM => {
                Self { now: self.now + 1, changed: Some(at), ..self }
            }
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_at_once_and_recovers_slowly() {
        let at = |seconds: i64| Stamp(seconds * 1000);
        let mut crowd = Crowd::new(8).complained(at(0)).complained(at(1)).complained(at(4));
        assert_eq!(crowd.now(), 4, "one crowd, one complaint");
        crowd = crowd.complained(at(10));
        assert_eq!(crowd.now(), 2);
        assert_eq!(crowd.answered(at(69)).now(), 2);
        for (minute, bound) in [(2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 8), (8, 8)] {
            crowd = crowd.answered(at(minute * 60)).answered(at(minute * 60));
            assert_eq!(crowd.now(), bound);
        }
        let mut least = Crowd::new(0);
        for n in 0..9 {
            least = least.complained(at(n * 60));
        }
        assert_eq!(least.now(), 1, "never none");
    }
}

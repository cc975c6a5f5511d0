//! Which connection a run draws: the healthy one of its pool with the fewest runs in hand.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::connection::Connection;
use super::{ConnectionState, Org};
use crate::config::Pool;
use crate::model::{ConnectionName, Stamp};

/// A connection, as far as drawing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Whether Salesforce takes it, as far as is known.
    pub usable: bool,
    /// Whether the sync names it.
    pub named: bool,
    /// Runs that use it now.
    pub runs: usize,
}

/// The place of the one to draw: of the usable ones that the sync names the one with the fewest runs, the first of
/// several such. When none of those can be used, and with `failover`, the same of all others. None: no one can be used.
pub fn draw(candidates: &[Candidate], failover: bool) -> Option<usize> {
    let best = |named: bool| {
        let usable = candidates.iter().enumerate().filter(|(_, one)| one.usable);
        usable.filter(|(_, one)| one.named == named).min_by_key(|(at, one)| (one.runs, *at))
    };
    best(true).or_else(|| best(false).filter(|_| failover)).map(|(at, _)| at)
}

/// A connection in the hand of a run: it counts as one run more of it until this is dropped.
pub struct Lease {
    connection: Arc<Connection>,
    /// The connection that it stands in for, when the sync does not name it.
    pub instead_of: Option<ConnectionName>,
}

impl Lease {
    /// The connection's name.
    pub fn name(&self) -> &ConnectionName {
        &self.connection.settings.name
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.connection.runs.fetch_sub(1, Ordering::SeqCst);
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lease({})", self.name())
    }
}

impl Org {
    /// Draws a connection for a run of a sync that names these, leaving out those that were tried already. None when no
    /// other can be used; but a first draw always gives one, which then tells why it cannot be used.
    pub fn draw(&self, pool: &Pool, failover: bool, tried: &[ConnectionName]) -> Option<Lease> {
        let shared = self.shared();
        let (own, others): (Vec<_>, Vec<_>) = shared
            .connections
            .iter()
            .filter(|(name, _)| !tried.contains(name))
            .partition(|(name, _)| pool.has(name));
        let place = |name: &ConnectionName| pool.iter().position(|one| one == name);
        let mut listed: Vec<_> = own.into_iter().map(|(_, one)| one.clone()).collect();
        listed.sort_by_key(|one| place(&one.settings.name));
        let named = listed.len();
        listed.extend(others.into_iter().map(|(_, one)| one.clone()));
        // One draw at a time, so that two runs do not both take the one that was idle.
        let _drawing = shared.drawing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = shared.gate.now();
        let candidate = |(at, one): (usize, &Arc<Connection>)| Candidate {
            usable: one.usable(now),
            named: at < named,
            runs: one.runs.load(Ordering::SeqCst),
        };
        let candidates: Vec<_> = listed.iter().enumerate().map(candidate).collect();
        let at = draw(&candidates, failover).or_else(|| tried.is_empty().then_some(0))?;
        let instead_of = (at >= named).then(|| pool.first.clone());
        let connection = listed.into_iter().nth(at)?;
        connection.runs.fetch_add(1, Ordering::SeqCst);
        Some(Lease { connection, instead_of })
    }

    /// When a connection is tried again that Salesforce refuses as it is set up.
    pub fn tries_again(&self, name: &ConnectionName) -> Option<Stamp> {
        match self.shared().connection(name).ok()?.status().state {
            ConnectionState::Refused { again, .. } => Some(again),
            _ => None,
        }
    }

    /// Whether a run of a sync that names these connections would find one that can be used.
    pub fn can_draw(&self, pool: &Pool, failover: bool) -> bool {
        let now = self.gate().now();
        let connections = self.shared().connections.iter();
        connections
            .filter(|(name, _)| failover || pool.has(name))
            .any(|(_, connection)| connection.usable(now))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
        let one = (any::<bool>(), any::<bool>(), 0..5_usize)
            .prop_map(|(usable, named, runs)| Candidate { usable, named, runs });
        prop::collection::vec(one, 0..8)
    }

    proptest! {
        #[test]
        fn draws_the_idlest_usable_one_and_its_own_first(list in candidates(), failover: bool) {
            let drawn = draw(&list, failover).map(|at| list[at]);
            let usable = |named: bool| list.iter().filter(move |one| one.usable && one.named == named);
            match drawn {
                Some(one) => {
                    prop_assert!(one.usable);
                    prop_assert!(one.named || failover && usable(true).count() == 0);
                    prop_assert!(usable(one.named).all(|other| other.runs >= one.runs));
                }
                None => {
                    prop_assert_eq!(usable(true).count(), 0);
                    prop_assert!(!failover || usable(false).count() == 0);
                }
            }
        }

        /// Runs that are drawn one after the other spread evenly, however many there are.
        #[test]
        fn load_is_even(connections in 1..6_usize, runs in 0..40_usize) {
            let mut list = vec![Candidate { usable: true, named: true, runs: 0 }; connections];
            for _ in 0..runs {
                let at = draw(&list, false).unwrap();
                list[at].runs += 1;
            }
            let least = list.iter().map(|one| one.runs).min().unwrap();
            prop_assert!(list.iter().all(|one| one.runs <= least + 1));
        }
    }
}

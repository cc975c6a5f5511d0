//! What queries leave behind: open cursors, and rendered pages kept for when they are asked for again.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::gzip::Deflated;
use crate::oauth::random_text;
use crate::org::ResultSet;

/// Salesforce keeps a cursor for two days.
const CURSOR_LIFE: SignedDuration = SignedDuration::from_hours(48);
/// Salesforce sets no limit on open cursors. These keep memory bounded; the ones unused for longest go first.
const CURSORS: usize = 1_000;
/// Rows that all open cursors may hold together, at four bytes each.
const CURSOR_ROWS: usize = 40_000_000;
/// Rows of the results kept for when the same text is asked again.
const RESULT_ROWS: usize = 4_000_000;

/// A query's result, as long as a cursor or the cache holds it.
#[derive(Debug)]
pub(crate) struct Found {
    /// Different for every query that was run, so pages of one are never taken for another's.
    pub(crate) serial: u64,
    pub(crate) set: ResultSet,
    pub(crate) text: String,
}

impl Found {
    fn weight(&self) -> usize {
        self.set.total + 1
    }
}

/// The rendered records of a page: `[{...},...]`.
#[derive(Debug)]
pub(crate) struct Page {
    plain: Bytes,
    deflated: OnceLock<Deflated>,
}

impl Page {
    pub(crate) fn new(plain: Bytes) -> Self {
        Page { plain, deflated: OnceLock::new() }
    }

    pub(crate) fn plain(&self) -> &Bytes {
        &self.plain
    }

    /// The compressed records, made on first use.
    pub(crate) fn deflated(&self) -> &Deflated {
        self.deflated.get_or_init(|| Deflated::new(&self.plain))
    }
}

/// The cursors that `nextRecordsUrl` points to.
#[derive(Debug, Default)]
pub(crate) struct Cursors {
    open: HashMap<String, (Arc<Found>, Timestamp)>,
    /// Names, the one unused for longest first.
    order: VecDeque<String>,
    rows: usize,
}

impl Cursors {
    /// Opens a cursor and gives its 18 characters.
    pub(crate) fn open(&mut self, found: Arc<Found>, now: Timestamp) -> String {
        self.rows += found.weight();
        let name = format!("0r8{}", random_text(15));
        self.open.insert(name.clone(), (found, now));
        self.order.push_back(name.clone());
        while (self.order.len() > CURSORS || self.rows > CURSOR_ROWS)
            && self.order.len() > 1
            && let Some(unused) = self.order.pop_front()
        {
            self.close(&unused);
        }
        name
    }

    /// The result behind a cursor that is not too old.
    pub(crate) fn get(&mut self, name: &str, now: Timestamp) -> Option<Arc<Found>> {
        let (found, opened) = self.open.get(name)?;
        let found = Arc::clone(found);
        let stale = now.duration_since(*opened) > CURSOR_LIFE;
        self.order.retain(|other| other != name);
        if stale {
            self.close(name);
            return None;
        }
        self.order.push_back(name.to_owned());
        Some(found)
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    fn close(&mut self, name: &str) {
        if let Some((found, _)) = self.open.remove(name) {
            self.rows -= found.weight();
        }
    }
}

/// What makes a rendered page another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PageKey {
    pub(crate) serial: u64,
    pub(crate) revision: u64,
    pub(crate) offset: usize,
    pub(crate) rows: usize,
    pub(crate) version: String,
}

type ResultKey = (u64, bool, String);

/// Results and rendered pages, the oldest dropped when there are too many.
#[derive(Debug)]
pub(crate) struct Pages {
    results: Fifo<ResultKey, Arc<Found>>,
    pages: Fifo<PageKey, Arc<Page>>,
    last_serial: u64,
}

impl Pages {
    pub(crate) fn new(most_bytes: usize) -> Self {
        Pages { results: Fifo::new(RESULT_ROWS), pages: Fifo::new(most_bytes), last_serial: 0 }
    }

    pub(crate) fn result(&self, revision: u64, all: bool, text: &str) -> Option<Arc<Found>> {
        self.results.get(&(revision, all, text.to_owned())).cloned()
    }

    /// Names a fresh result; with `keep`, the same text gets it again as long as the org does not change.
    pub(crate) fn add_result(
        &mut self,
        revision: u64,
        all: bool,
        text: &str,
        set: ResultSet,
        keep: bool,
    ) -> Arc<Found> {
        self.last_serial += 1;
        let found = Arc::new(Found { serial: self.last_serial, set, text: text.to_owned() });
        if keep {
            self.results.insert(
                (revision, all, text.to_owned()),
                Arc::clone(&found),
                found.weight(),
            );
        }
        found
    }

    pub(crate) fn page(&self, key: &PageKey) -> Option<Arc<Page>> {
        self.pages.get(key).cloned()
    }

    pub(crate) fn add_page(&mut self, key: PageKey, page: &Arc<Page>) {
        self.pages.insert(key, Arc::clone(page), page.plain.len());
    }
}

/// A map that drops what was put in first when it grows too heavy.
#[derive(Debug)]
struct Fifo<K, V> {
    map: HashMap<K, (V, usize)>,
    order: VecDeque<K>,
    weight: usize,
    most: usize,
}

impl<K: Hash + Eq + Clone, V> Fifo<K, V> {
    fn new(most: usize) -> Self {
        Fifo { map: HashMap::new(), order: VecDeque::new(), weight: 0, most }
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key).map(|(value, _)| value)
    }

    fn insert(&mut self, key: K, value: V, weight: usize) {
        if weight > self.most {
            return;
        }
        if let Some((_, old)) = self.map.insert(key.clone(), (value, weight)) {
            self.weight -= old;
        } else {
            self.order.push_back(key);
        }
        self.weight += weight;
        while self.weight > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            if let Some((_, old)) = self.map.remove(&oldest) {
                self.weight -= old;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::org::{Org, Sizes};

    #[test]
    fn of_too_many_cursors_the_one_unused_for_longest_goes() {
        let now = Timestamp::UNIX_EPOCH;
        let org = Org::new(1, &Sizes(vec![("Contact".into(), 3)]), now);
        let set = org.query("SELECT Id FROM Contact", false, now).unwrap();
        let found = Arc::new(Found { serial: 1, set, text: String::new() });
        let mut cursors = Cursors::default();
        let names: Vec<String> =
            (0..CURSORS).map(|_| cursors.open(Arc::clone(&found), now)).collect();
        assert!(cursors.get(&names[0], now).is_some());
        cursors.open(Arc::clone(&found), now);
        assert_eq!((cursors.len(), cursors.rows), (CURSORS, CURSORS * 4));
        assert!(cursors.get(&names[0], now).is_some());
        assert!(cursors.get(&names[1], now).is_none());
        let stale = now + CURSOR_LIFE + SignedDuration::from_secs(1);
        assert!(cursors.get(&names[0], stale).is_none());
        assert_eq!(cursors.rows, (CURSORS - 1) * 4);
    }

    proptest! {
        #[test]
        fn the_cache_never_weighs_more_than_allowed(entries in prop::collection::vec((0_u8..20, 0_usize..40), 0..200)) {
            let mut cache = Fifo::new(100);
            for (key, weight) in entries {
                cache.insert(key, weight, weight);
                let sum: usize = cache.map.values().map(|(_, weight)| weight).sum();
                prop_assert_eq!(sum, cache.weight);
                prop_assert!(cache.weight <= 100);
                prop_assert_eq!(cache.order.len(), cache.map.len());
            }
        }
    }
}

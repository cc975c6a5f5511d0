//! Faults that a test switches on: what goes wrong, for which requests, and when.
//!
//! Pure: deciding which faults fire for a request has no effect but on their own counters.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The kinds of request that a fault can be aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestClass {
    /// The first page of a query or queryAll.
    Query,
    /// A further page, by locator.
    QueryMore,
    /// One object's describe, or the list of objects.
    Describe,
    /// The token endpoint.
    Token,
    /// `/limits` and the record counts.
    Limits,
    /// `/composite`, whatever it carries.
    Composite,
    /// The list of versions.
    Versions,
    /// `deleted` and `updated`.
    Replication,
    /// Anything else: consent page, userinfo, identity, revoke, resource list, unknown paths.
    Other,
    /// In a fault: every request of the classes above.
    Any,
}

/// A fault, with the requests that it hits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// The class of request that it hits.
    pub class: RequestClass,
    /// Only requests for this object (API name), if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// What goes wrong.
    pub kind: FaultKind,
    /// Which of the matching requests it hits.
    #[serde(default)]
    pub when: When,
}

/// Which of the requests that match a fault are hit by it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// The next n, then no more.
    Times(u64),
    /// Every n-th; 1 is every one.
    Nth(u64),
    /// Each with this probability, drawn from the seed.
    Probability {
        /// From 0 to 1.
        p: f64,
        /// The same seed hits the same requests.
        seed: u64,
    },
    /// None of the first `skip`, then the next `times`.
    After {
        /// Requests left alone.
        skip: u64,
        /// Requests hit after those.
        times: u64,
    },
}

impl Default for When {
    fn default() -> Self {
        When::Times(1)
    }
}

/// What goes wrong. The comment of each says whether Salesforce would count the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// This status (500, 502, 503), as JSON from the instance (counted) or as HTML from the edge (not counted).
    ServerError {
        /// The HTTP status.
        status: u16,
        /// True: an HTML page, as a load balancer sends it.
        #[serde(default)]
        html: bool,
    },
    /// The connection is reset after half of the body. Counted.
    ResetMidBody,
    /// Half of the JSON, sent as if it were whole. Counted.
    TruncatedJson,
    /// The body in small parts. Counted.
    Drip {
        /// Bytes in a part.
        bytes: usize,
        /// Milliseconds between parts.
        every_ms: u64,
    },
    /// No answer for a while, or for ever. Counted.
    Stall {
        /// Milliseconds; for ever if absent.
        #[serde(default)]
        ms: Option<u64>,
        /// True: headers and half of the body come first.
        #[serde(default)]
        mid_body: bool,
    },
    /// 401 INVALID_SESSION_ID. Counted as `count_ended_sessions` says.
    Unauthorized {
        /// True: the access token is dead from now on, so only a refresh helps.
        #[serde(default)]
        expire: bool,
    },
    /// 401 with the text of a session that is good, but not for the REST API. Counted likewise.
    NotForApi,
    /// 429 with a JSON error. Not counted.
    TooManyRequests,
    /// This status (406, 420) with no body. Not counted.
    EmptyStatus {
        /// The HTTP status.
        status: u16,
    },
    /// 403 `TotalRequests Limit exceeded.` Not counted.
    DailyLimit,
    /// 403 with the text of the limit on concurrent long requests. Not counted.
    ConcurrentLimit,
    /// 403 REQUEST_LIMIT_EXCEEDED with a text that no client knows. Not counted.
    UnknownLimit {
        /// The text.
        message: String,
    },
    /// 400 QUERY_TIMEOUT. Counted.
    QueryTimeout,
    /// 400 QUERY_TIMEOUT for each query that finds more than this many records, as if each took its time. Counted.
    SlowQuery {
        /// The most records that a query may find.
        most: usize,
    },
    /// 400 INVALID_QUERY_LOCATOR. Counted.
    InvalidLocator,
    /// A page of at most this many records, with more to follow. Counted.
    ShortPage {
        /// Records in the page.
        rows: usize,
    },
    /// A page without records that says more follow. Counted.
    EmptyPage,
    /// A page of this many records, though fewer were asked for. Counted.
    OversizePage {
        /// Records in the page.
        rows: usize,
    },
    /// No `Sforce-Limit-Info`. Counted.
    LimitHeaderMissing,
    /// An unreadable or untrue `Sforce-Limit-Info`. Counted.
    LimitHeader {
        /// The header's value, as it is sent.
        value: String,
    },
    /// The longer form: `; api-bursts=1/750; per-app-api-usage=17/250(appName=kilofold)` after the usual one. Counted.
    LimitHeaderExtended,
    /// After the page was read, this many records of its object change. Counted.
    ChangeBetweenPages {
        /// Records to change.
        records: usize,
    },
    /// After the page was read, records appear with an older SystemModstamp. Counted.
    LateCommit {
        /// Records to add.
        records: usize,
        /// How many seconds before now their stamps lie.
        seconds: i64,
    },
    /// The refresh token that is presented is revoked first.
    RevokeToken,
    /// 400 `token request is already being processed`, and the token stays good.
    TokenBusy,
}

/// Names a fault that was switched on, to switch it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultId(pub u64);

/// A fault that is switched on, and what it has done so far.
#[derive(Debug, Clone, Serialize)]
pub struct ArmedFault {
    /// Its name.
    pub id: FaultId,
    /// The fault.
    #[serde(flatten)]
    pub fault: Fault,
    /// Matching requests seen.
    pub seen: u64,
    /// Requests hit.
    pub hits: u64,
    #[serde(skip)]
    draws: Option<ChaCha8Rng>,
}

/// The faults that are switched on.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Vec<ArmedFault>,
    last_id: u64,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) -> FaultId {
        self.last_id += 1;
        let id = FaultId(self.last_id);
        let draws = match fault.when {
            When::Probability { seed, .. } => Some(ChaCha8Rng::seed_from_u64(seed)),
            _ => None,
        };
        self.armed.push(ArmedFault { id, fault, seen: 0, hits: 0, draws });
        id
    }

    pub(crate) fn remove(&mut self, id: FaultId) -> bool {
        let before = self.armed.len();
        self.armed.retain(|armed| armed.id != id);
        self.armed.len() < before
    }

    pub(crate) fn clear(&mut self) {
        self.armed.clear();
    }

    pub(crate) fn list(&self) -> Vec<ArmedFault> {
        self.armed.clone()
    }

    /// The faults that hit a request of this class and object, in the order in which they were switched on.
    pub(crate) fn hit(&mut self, class: RequestClass, object: Option<&str>) -> Vec<FaultKind> {
        self.armed.iter_mut().filter_map(|armed| armed.hit(class, object)).collect()
    }
}

impl Faults {
    /// The same for a part of a composite request: only faults that name its class, since others have hit the whole.
    pub(crate) fn hit_part(&mut self, class: RequestClass, object: Option<&str>) -> Vec<FaultKind> {
        let armed = self.armed.iter_mut().filter(|armed| armed.fault.class != RequestClass::Any);
        armed.filter_map(|armed| armed.hit(class, object)).collect()
    }
}

impl ArmedFault {
    fn hit(&mut self, class: RequestClass, object: Option<&str>) -> Option<FaultKind> {
        if self.fault.class != RequestClass::Any && self.fault.class != class {
            return None;
        }
        if let Some(wanted) = &self.fault.object
            && !object.is_some_and(|object| object.eq_ignore_ascii_case(wanted))
        {
            return None;
        }
        self.seen += 1;
        let hits = match self.fault.when {
            When::Times(n) => self.hits < n,
            When::Nth(n) => n > 0 && self.seen.is_multiple_of(n),
            When::After { skip, times } => self.seen > skip && self.hits < times,
            When::Probability { p, .. } => {
                self.draws.as_mut().is_some_and(|draws| draws.random_range(0.0..1.0) < p)
            }
        };
        if !hits {
            return None;
        }
        self.hits += 1;
        Some(self.fault.kind.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(when: When, requests: usize) -> String {
        let mut faults = Faults::default();
        faults.add(Fault {
            class: RequestClass::Query,
            object: None,
            kind: FaultKind::QueryTimeout,
            when,
        });
        (0..requests)
            .map(|_| {
                if faults.hit(RequestClass::Query, Some("Contact")).is_empty() { '.' } else { 'x' }
            })
            .collect()
    }

    #[test]
    fn each_rule_hits_the_requests_it_names() {
        assert_eq!(pattern(When::Times(2), 5), "xx...");
        assert_eq!(pattern(When::Nth(3), 7), "..x..x.");
        assert_eq!(pattern(When::Nth(0), 3), "...");
        assert_eq!(pattern(When::After { skip: 2, times: 2 }, 6), "..xx..");
        assert_eq!(pattern(When::Probability { p: 0.0, seed: 1 }, 4), "....");
        assert_eq!(pattern(When::Probability { p: 1.0, seed: 1 }, 4), "xxxx");
    }

    #[test]
    fn the_same_seed_hits_the_same_requests() {
        let one = pattern(When::Probability { p: 0.3, seed: 7 }, 200);
        assert_eq!(one, pattern(When::Probability { p: 0.3, seed: 7 }, 200));
        assert_ne!(one, pattern(When::Probability { p: 0.3, seed: 8 }, 200));
        let hits = one.matches('x').count();
        assert!((30..90).contains(&hits), "{hits} of 200");
    }

    #[test]
    fn class_and_object_narrow_a_fault() {
        let mut faults = Faults::default();
        let id = faults.add(Fault {
            class: RequestClass::Any,
            object: Some("Lead".into()),
            kind: FaultKind::DailyLimit,
            when: When::Nth(1),
        });
        assert!(faults.hit(RequestClass::Query, Some("Contact")).is_empty());
        assert!(faults.hit(RequestClass::Token, None).is_empty());
        assert_eq!(faults.hit(RequestClass::QueryMore, Some("lead")), [FaultKind::DailyLimit]);
        assert!(faults.remove(id));
        assert!(!faults.remove(id));
    }

    #[test]
    fn faults_read_as_written_in_the_documentation() {
        let fault: Fault = serde_json::from_str(
            r#"{"class":"query_more","object":"Contact","kind":{"server_error":{"status":503,"html":true}},"when":{"after":{"skip":1,"times":2}}}"#,
        )
        .unwrap();
        assert_eq!(fault.kind, FaultKind::ServerError { status: 503, html: true });
        let short: Fault = serde_json::from_str(r#"{"class":"any","kind":"daily_limit"}"#).unwrap();
        assert_eq!(short.when, When::Times(1));
    }
}

//! What every request shares.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::SimConfig;
use crate::control_change::AutoChange;
use crate::faults::Faults;
use crate::http::pages::{Cursors, Pages};
use crate::limits::Usage;
use crate::log::Log;
use crate::oauth::Auth;
use crate::org::Org;

/// The org of the foreign users.
const FOREIGN_ORG: &str = "00D9Z00000FOREiUAN";

/// One running org.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: SimConfig,
    pub(crate) addr: SocketAddr,
    pub(crate) org: Arc<RwLock<Org>>,
    pub(crate) org_id: String,
    /// The consumer secret; it can be rotated.
    pub(crate) secret: Mutex<String>,
    /// Token requests that were granted; an answer is counted before its first byte is sent.
    pub(crate) granted: AtomicU64,
    pub(crate) clock: Clock,
    pub(crate) auth: Mutex<Auth>,
    pub(crate) usage: Mutex<Usage>,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) log: Mutex<Log>,
    pub(crate) cursors: Mutex<Cursors>,
    pub(crate) pages: Mutex<Pages>,
    pub(crate) auto_changes: Mutex<Vec<AutoChange>>,
    pub(crate) stop: CancellationToken,
    latency_ms: AtomicU64,
}

impl State {
    pub(crate) fn new(config: SimConfig, addr: SocketAddr) -> Self {
        let clock = Clock::new(config.clock);
        let mut org = Org::new(config.seed, &config.sizes, clock.now());
        org.set_page_room(config.page_cache_bytes);
        let org_id = org.org_id().to_owned();
        let auth = Auth::new(&org_id, &config);
        State {
            addr,
            org: Arc::new(RwLock::new(org)),
            clock,
            auth: Mutex::new(auth),
            usage: Mutex::default(),
            faults: Mutex::default(),
            log: Mutex::default(),
            cursors: Mutex::default(),
            pages: Mutex::new(Pages::new(config.page_cache_bytes)),
            auto_changes: Mutex::default(),
            stop: CancellationToken::new(),
            secret: Mutex::new(config.client_secret.clone()),
            granted: AtomicU64::new(0),
            latency_ms: AtomicU64::new(millis(config.latency)),
            org_id,
            config,
        }
    }

    /// The org's own address, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The org that a user belongs to.
    pub(crate) fn org_of(&self, user: &str) -> &str {
        let foreign = self.config.foreign_usernames.iter().any(|one| one == user);
        if foreign { FOREIGN_ORG } else { &self.org_id }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn latency(&self) -> Duration {
        Duration::from_millis(self.latency_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn set_latency(&self, latency: Duration) {
        self.latency_ms.store(millis(latency), Ordering::Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

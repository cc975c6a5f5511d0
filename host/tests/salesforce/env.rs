//! A simulated org and a client of it, with a journal and a vault in memory.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kilofold::clock::Clock;
use kilofold::model::{Call, Caller, ConnectionName, RunId, Selection, Stamp, SyncName};
use kilofold::quota::{Gate, Journal, Room, Rules};
use kilofold::salesforce::{
    ConnectionSettings, Error, Grant, Org, OrgSettings, Page, Policy, Redirect, SealKey, Timeouts,
    Vault,
};
use org_sim::{Fault, FaultKind, RequestClass, Sim, SimConfig, Sizes, When};

pub const CONTACTS: &str =
    "SELECT Id, SystemModstamp, IsDeleted, LastName FROM Contact ORDER BY Id";
pub const SIZE: usize = 2_500;

/// A journal in memory.
#[derive(Default)]
pub struct Book(pub Mutex<Vec<Call>>);

impl Book {
    pub fn counted(&self) -> u64 {
        self.0.lock().unwrap().iter().filter(|call| call.purpose.counted()).count() as u64
    }
    pub fn all(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Journal for Book {
    fn begin(&self, call: &Call) -> Result<Room, String> {
        self.0.lock().unwrap().push(call.clone());
        Ok(Room::Plenty)
    }
    fn void(&self, call: &Call) {
        let mut calls = self.0.lock().unwrap();
        let at = calls.iter().rposition(|other| other == call).unwrap();
        calls.remove(at);
    }
    fn since(&self, at: Stamp) -> Result<Vec<Call>, String> {
        let calls = self.0.lock().unwrap();
        Ok(calls.iter().filter(|call| call.at >= at).cloned().collect())
    }
}

/// A vault in memory that can refuse to save.
#[derive(Default)]
pub struct Safe {
    pub sealed: Mutex<HashMap<String, Vec<u8>>>,
    pub notes: Mutex<HashMap<String, Vec<u8>>>,
    pub full: AtomicBool,
}

impl Safe {
    /// What lies there of the usual connection.
    pub fn main(&self) -> Vec<u8> {
        self.sealed.lock().unwrap()["connection/main"].clone()
    }
}

impl Vault for Safe {
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(self.sealed.lock().unwrap().get(name).cloned())
    }
    fn save(&self, name: &str, sealed: &[u8]) -> Result<(), String> {
        if self.full.load(Ordering::SeqCst) {
            return Err("disk full".to_owned());
        }
        self.sealed.lock().unwrap().insert(name.to_owned(), sealed.to_vec());
        Ok(())
    }
    fn note(&self, name: &str, text: &[u8]) -> Result<(), String> {
        self.notes.lock().unwrap().insert(name.to_owned(), text.to_vec());
        Ok(())
    }
    fn noted(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(self.notes.lock().unwrap().get(name).filter(|text| !text.is_empty()).cloned())
    }
}

pub struct Env {
    pub sim: Sim,
    pub org: Org,
    pub book: Arc<Book>,
    pub safe: Arc<Safe>,
    pub key: SealKey,
    /// Seconds that the gate's clock is ahead.
    pub ahead: Arc<AtomicU64>,
    /// Changes the settings before a restart.
    pub tweak: fn(&mut OrgSettings),
    grant: Grant,
    rules: Rules,
}

pub fn name() -> ConnectionName {
    ConnectionName::new("main").unwrap()
}

pub fn who() -> Caller {
    let sync = Some(SyncName::new("Contact").unwrap());
    Caller { connection: name(), sync, run: Some(RunId(1)), page: None }
}

pub fn selection() -> Selection {
    Selection::new(&["LastName".to_owned()], Some("SystemModstamp"))
}

pub fn config() -> SimConfig {
    let sizes = [("Contact", SIZE), ("Account", 10), ("Task", 0)];
    let sizes = sizes.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    SimConfig {
        auto_approve: true,
        require_pkce: true,
        sizes: Sizes(sizes),
        ..SimConfig::default()
    }
}

pub fn code(config: &SimConfig) -> Grant {
    Grant::code(Some(config.client_secret.clone().into()))
}

impl Env {
    /// An org and a client that is not connected.
    pub async fn start(config: SimConfig, grant: Grant, rules: Rules) -> Self {
        let sim = Sim::start(config).await.unwrap();
        let (book, safe) = (Arc::<Book>::default(), Arc::<Safe>::default());
        let key = SealKey::random();
        let ahead = Arc::<AtomicU64>::default();
        let gate = gate(rules, &book, &ahead);
        let org = open(&sim, &grant, gate, &safe, &key, |_| ()).unwrap();
        Self { sim, org, book, safe, key, ahead, tweak: |_| (), grant, rules }
    }

    /// An org and a client that is connected by a user's consent.
    pub async fn connected(config: SimConfig) -> Self {
        let grant = code(&config);
        let env = Self::start(config, grant, Rules::default()).await;
        env.consent().await;
        env
    }

    /// Goes through the consent as a user's browser does.
    pub async fn consent(&self) {
        self.consent_to(&name(), false).await.unwrap();
    }

    /// The same for any connection.
    pub async fn consent_to(&self, name: &ConnectionName, anyway: bool) -> Result<(), Error> {
        let pending = self.org.begin(name, Redirect::Loopback { port: 0 }, anyway).await?;
        let url = pending.url.clone();
        let browser =
            tokio::spawn(async move { browser().get(url).send().await.unwrap().status() });
        self.org.finish(pending).await?;
        assert_eq!(browser.await.unwrap(), 200);
        Ok(())
    }

    /// The client after a restart: the same journal, vault and key.
    pub fn restart(&mut self) -> Result<(), Error> {
        let gate = gate(self.rules, &self.book, &self.ahead);
        self.org = open(&self.sim, &self.grant, gate, &self.safe, &self.key, self.tweak)?;
        Ok(())
    }

    pub async fn first(&self) -> Result<Page, Error> {
        self.org.query(&who(), CONTACTS, true, &selection(), 1000, None).await
    }

    pub async fn next(&self, page: &Page) -> Result<Page, Error> {
        let locator = page.next.as_ref().expect("there is a further page");
        self.org.more(&who(), locator, &selection(), 1000, None).await
    }

    pub fn fault(&self, class: RequestClass, kind: FaultKind) {
        self.faults(class, kind, 1);
    }

    pub fn faults(&self, class: RequestClass, kind: FaultKind, times: u64) {
        self.sim.set_fault(Fault { class, object: None, kind, when: When::Times(times) });
    }

    /// Requests of one class that the org received.
    pub fn received(&self, class: RequestClass) -> usize {
        self.sim.requests().iter().filter(|note| note.class == class).count()
    }

    /// The stored tokens: access, refresh.
    pub fn tokens(&self) -> Vec<String> {
        let sealed = self.safe.main();
        let plain = self.key.open("connection/main", &sealed).unwrap();
        let kept: serde_json::Value = serde_json::from_slice(&plain).unwrap();
        ["access_token", "refresh_token"]
            .iter()
            .filter_map(|name| Some(kept[name].as_str()?.to_owned()))
            .collect()
    }
}

pub fn browser() -> reqwest::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn gate(rules: Rules, book: &Arc<Book>, ahead: &Arc<AtomicU64>) -> Gate {
    let ahead = ahead.clone();
    let clock = move || Stamp::now().plus(Duration::from_secs(ahead.load(Ordering::SeqCst)));
    Gate::with_clock(rules, book.clone(), Clock::new(clock)).unwrap()
}

fn open(
    sim: &Sim,
    grant: &Grant,
    gate: Gate,
    safe: &Arc<Safe>,
    key: &SealKey,
    tweak: fn(&mut OrgSettings),
) -> Result<Org, Error> {
    let client_id = sim.config().client_id.clone();
    let connection = ConnectionSettings { name: name(), client_id, grant: grant.clone() };
    let mut settings = OrgSettings::new(sim.url(), vec![connection]);
    let millis = Duration::from_millis;
    settings.retry = Policy { attempts: 3, first: millis(5), longest: millis(20) };
    settings.timeouts =
        Timeouts { connect: millis(2000), first_byte: millis(5000), idle: millis(300) };
    tweak(&mut settings);
    Org::new(settings, gate, safe.clone(), key.clone())
}

//! A running org, for the process that started it. Everything here is also reachable under `/__sim/`.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::clock::ClockMode;
use crate::config::SimConfig;
use crate::control_change::{self, Plan};
use crate::faults::{ArmedFault, Fault, FaultId};
use crate::http;
use crate::http::socket::{Peer, Sockets};
use crate::log::RequestNote;
use crate::oauth::Loss;
use crate::org::Org;
use crate::state::State;
use crate::sync::lock;

/// Why an org did not start or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken or not this machine's.
    #[error("the org cannot listen on {addr}: {source}")]
    Listen {
        /// Where it was to listen.
        addr: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The public key for assertions is no RSA key.
    #[error("the public key for the JWT bearer grant is not an RSA key in PEM: {0}")]
    JwtKey(jsonwebtoken::errors::Error),
    /// A part of the simulator broke off; its message is in the log.
    #[error("a part of the simulator failed: {0}")]
    Broken(#[from] tokio::task::JoinError),
    /// The server ended by an error of the system.
    #[error("the org's server ended: {0}")]
    Serve(#[from] std::io::Error),
}

/// A running org. Dropping it ends it without waiting; [`Sim::shutdown`] waits.
#[derive(Debug)]
pub struct Sim {
    state: Arc<State>,
    server: JoinHandle<std::io::Result<()>>,
    _ends: DropGuard,
}

impl Sim {
    /// Makes the records, binds the address and starts to answer. Fails if the address or the JWT key is of no use.
    pub async fn start(config: SimConfig) -> Result<Sim, Error> {
        if let Some(pem) = &config.jwt_public_key_pem {
            jsonwebtoken::DecodingKey::from_rsa_pem(pem.as_bytes()).map_err(Error::JwtKey)?;
        }
        let addr = config.listen;
        let listener =
            TcpListener::bind(addr).await.map_err(|source| Error::Listen { addr, source })?;
        let addr = listener.local_addr().map_err(|source| Error::Listen { addr, source })?;
        let state = Arc::new(tokio::task::spawn_blocking(move || State::new(config, addr)).await?);
        let service: IntoMakeServiceWithConnectInfo<_, Peer> =
            http::router(Arc::clone(&state)).into_make_service_with_connect_info();
        let stop = state.stop.clone();
        let server = tokio::spawn(async move {
            axum::serve(Sockets(listener), service)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await
        });
        let ends = state.stop.clone().drop_guard();
        Ok(Sim { state, server, _ends: ends })
    }

    /// The org's address without a slash at the end: its login host, My Domain and instance in one.
    pub fn url(&self) -> String {
        self.state.url()
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.state.addr
    }

    /// How it was set up.
    pub fn config(&self) -> &SimConfig {
        &self.state.config
    }

    /// The records themselves.
    pub fn org(&self) -> Arc<RwLock<Org>> {
        Arc::clone(&self.state.org)
    }

    /// The requests received so far, oldest first; the last 100,000 are kept.
    pub fn requests(&self) -> Vec<RequestNote> {
        lock(&self.state.log).after(0, usize::MAX)
    }

    /// Forgets the requests received so far; their numbers go on.
    pub fn clear_requests(&self) {
        lock(&self.state.log).clear();
    }

    /// Switches a fault on.
    pub fn set_fault(&self, fault: Fault) -> FaultId {
        lock(&self.state.faults).add(fault)
    }

    /// Switches a fault off; false if it was not on.
    pub fn clear_fault(&self, id: FaultId) -> bool {
        lock(&self.state.faults).remove(id)
    }

    /// Switches every fault off.
    pub fn clear_faults(&self) {
        lock(&self.state.faults).clear();
    }

    /// The faults that are on, with how often each has hit.
    pub fn faults(&self) -> Vec<ArmedFault> {
        lock(&self.state.faults).list()
    }

    /// Spends API calls as another application would.
    pub fn consume_calls(&self, calls: u64) {
        let now = self.state.now();
        lock(&self.state.usage).add(now, calls);
    }

    /// API calls counted in the last 24 hours of the org's clock.
    pub fn api_calls(&self) -> u64 {
        let now = self.state.now();
        lock(&self.state.usage).used(now)
    }

    /// Waits this long before every answer from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.state.set_latency(latency);
    }

    /// The org's time.
    pub fn now(&self) -> Timestamp {
        self.state.now()
    }

    /// The org's clock, for whoever must tell the same time; it stays readable when the org has ended.
    pub fn clock(&self) -> impl Fn() -> Timestamp + Clone + Send + Sync + 'static {
        let state = Arc::clone(&self.state);
        move || state.now()
    }

    /// Moves the org's clock forward.
    pub fn advance_clock(&self, by: Duration) {
        self.state.clock.advance(by);
    }

    /// Sets the org's clock.
    pub fn set_clock(&self, mode: ClockMode) {
        self.state.clock.set(mode);
    }

    /// Makes every access token stop working; gives how many.
    pub fn expire_access_tokens(&self) -> usize {
        lock(&self.state.auth).expire_all()
    }

    /// Ends every approval of a user, or of all users; gives how many.
    pub fn revoke_approvals(&self, user: Option<&str>) -> usize {
        lock(&self.state.auth).revoke_all(user)
    }

    /// Ends every approval of our app by a user, or by all users, for this reason; gives how many.
    pub fn lose_approvals(&self, user: Option<&str>, loss: Loss) -> usize {
        lock(&self.state.auth).lose(user, loss)
    }

    /// Another program gets an approval of this user: of our app, or of one of its own.
    pub fn approve_elsewhere(&self, user: &str, app: Option<&str>) {
        let now = self.state.now();
        lock(&self.state.auth).approve_elsewhere(user, app, now);
    }

    /// Changes the consumer secret, which ends every approval of our app; gives how many.
    pub fn rotate_secret(&self, secret: &str) -> usize {
        secret.clone_into(&mut lock(&self.state.secret));
        let mut auth = lock(&self.state.auth);
        auth.expire_all();
        auth.revoke_all(None)
    }

    /// Lets nobody see OauthToken, or everybody their own again.
    pub fn hide_token_list(&self, hidden: bool) {
        lock(&self.state.auth).hide_list(hidden);
    }

    /// How many approvals of our app a user has, those that were only started among them where such are counted.
    pub fn approvals(&self, user: &str) -> usize {
        let app = &self.state.config.app_name;
        lock(&self.state.auth).list(|one| one.user == user && one.app == *app).len()
    }

    /// Every token and code that was ever given, for tests that look for them where they must not be.
    pub fn secrets(&self) -> Vec<String> {
        lock(&self.state.auth).ever().to_vec()
    }

    /// Token requests that were granted. An answer is counted before its first byte is sent.
    pub fn tokens_granted(&self) -> u64 {
        self.state.granted.load(Ordering::SeqCst)
    }

    /// Whether this refresh token would be taken now.
    pub fn takes(&self, refresh_token: &str) -> bool {
        lock(&self.state.auth).approval_of(refresh_token).is_some()
    }

    /// Changes records over and over until the plan's rounds are done or the org ends; replaces the object's plan.
    /// Must be called within a tokio runtime.
    pub fn auto_change(&self, plan: Plan) {
        let mut running = lock(&self.state.auto_changes);
        running.retain(|change| change.plan.object != plan.object);
        running.push(control_change::start(&self.state, plan));
    }

    /// Ends all plans that change records.
    pub fn stop_auto_change(&self) {
        lock(&self.state.auto_changes).clear();
    }

    /// Fires when the org is asked to end, over the wire or by [`Sim::shutdown`].
    pub fn stopped(&self) -> CancellationToken {
        self.state.stop.clone()
    }

    /// Ends the org: requests under way are answered, stalled ones broken off.
    pub async fn shutdown(self) -> Result<(), Error> {
        self.state.stop.cancel();
        Ok(self.server.await??)
    }
}

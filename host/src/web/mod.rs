//! The API and the pages. Reads the store and handles; changes nothing but through the scheduler and the org's
//! connections.

mod api;
pub mod ask;
pub mod client;
mod connect;
pub mod export;
mod feed;
pub mod guard;
mod outlook;
mod pages;
mod plugins;
mod problem;
pub mod reader;
mod rework;
mod routes;
mod stream;
pub mod text;
pub mod tls;
pub mod view;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::middleware;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use client::Client;
pub use guard::{Access, Guard, Role, Viewer};
pub use problem::Problem;
pub use reader::Reader;
pub use rework::SampleWish;

use crate::app::Plugins;
use crate::clock::Clock;
use crate::events::Bus;
use crate::salesforce::Org;
use crate::schedule;
use tls::{Peer, TlsListener};

/// The longest body of a request, in bytes.
const BODY: usize = 1 << 20;

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is in use, or not this machine's.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The listener failed.
    #[error("the listener failed: {0}")]
    Serve(std::io::Error),
    /// The secrets that open cannot be used.
    #[error(transparent)]
    Access(#[from] guard::Error),
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::Error),
}

impl Error {
    /// A stable code, for `kilofold explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Bind { .. } => "web.bind",
            Self::Serve(_) => "web.serve",
            Self::Access(error) => error.code(),
            Self::Tls(_) => "web.tls",
        }
    }
}

/// What the routes read and ask.
#[derive(Clone)]
pub struct Parts {
    /// Reads the store.
    pub reader: Reader,
    /// Tells how the connections stand; nothing is asked of Salesforce.
    pub org: Org,
    /// Is asked to run, pause and resume syncs.
    pub scheduler: schedule::Handle,
    /// Tells what happens.
    pub bus: Bus,
    /// What callers must show to be let in.
    pub access: Access,
    /// What TLS needs, when it is spoken.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// The local clock.
    pub clock: Clock,
    /// The plugins of the syncs.
    pub plugins: Plugins,
}

/// What every route shares.
#[derive(Clone)]
struct Shared {
    reader: Reader,
    org: Org,
    scheduler: schedule::Handle,
    bus: Bus,
    /// Where it listens.
    address: SocketAddr,
    /// Whether it speaks TLS.
    tls: bool,
    stopping: CancellationToken,
    clock: Clock,
    plugins: Plugins,
    /// A place for each reader of events.
    watchers: Arc<Semaphore>,
    /// A place for each reader that waits for the feed.
    waiters: Arc<Semaphore>,
    /// A place for each long answer.
    streams: Arc<Semaphore>,
}

/// A listener that is bound and does not answer yet: bound early, so that a wrong address shows at once.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds the address; port 0 takes a free one.
    pub async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let wrong = |source| Error::Bind { address, source };
        let tcp = TcpListener::bind(address).await.map_err(wrong)?;
        let address = tcp.local_addr().map_err(wrong)?;
        Ok(Self { tcp, address })
    }

    /// The address that was bound, with its port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stopping`; answers in hand are finished first.
    pub async fn serve(self, parts: Parts, stopping: CancellationToken) -> Result<(), Error> {
        let guard =
            Guard::new(self.address.ip(), parts.tls.is_some(), parts.access, parts.clock.clone());
        let shared = Shared {
            reader: parts.reader,
            org: parts.org,
            scheduler: parts.scheduler,
            bus: parts.bus,
            address: self.address,
            tls: parts.tls.is_some(),
            stopping: stopping.clone(),
            clock: parts.clock,
            plugins: parts.plugins,
            watchers: Arc::new(Semaphore::new(api::WATCHERS)),
            waiters: Arc::new(Semaphore::new(feed::WAITERS)),
            streams: Arc::new(Semaphore::new(stream::STREAMS)),
        };
        let routes = pages::routes()
            .merge(api::routes(guard.asks()))
            .with_state(shared)
            .merge(guard::routes(guard.clone()))
            .layer(DefaultBodyLimit::max(BODY))
            .layer(middleware::from_fn_with_state(guard, guard::stand))
            .into_make_service_with_connect_info::<Peer>();
        let stopped = stopping.cancelled_owned();
        let served = match parts.tls {
            None => axum::serve(self.tcp, routes).with_graceful_shutdown(stopped).await,
            Some(config) => {
                let listener = TlsListener::new(self.tcp, config);
                axum::serve(listener, routes).with_graceful_shutdown(stopped).await
            }
        };
        served.map_err(Error::Serve)
    }
}

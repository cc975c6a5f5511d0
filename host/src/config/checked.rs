//! The configuration as it is used: checked, with every default filled in and every path resolved.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use super::{Error, Secret, When};
use crate::alerts;
use crate::model::{ConnectionName, ConsumerName, SyncName};

/// The plugins that are inside the program, by name.
pub const STOCK_PLUGINS: &[&str] = &[
    "account-to-object",
    "contact-to-person",
    "lead-to-person",
    "opportunity-to-object",
    "passthrough",
    "task-to-event",
];

/// A checked configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file that it was read from.
    pub path: PathBuf,
    /// The organisation.
    pub org: OrgConfig,
    /// Its connections, in the order of the file.
    pub connections: Vec<ConnectionConfig>,
    /// What may be spent.
    pub quota: QuotaConfig,
    /// Where the data is kept.
    pub store: StoreConfig,
    /// How long history is kept.
    pub keep: KeepConfig,
    /// The page and the API.
    pub web: WebConfig,
    /// What plugins may use.
    pub plugins: PluginLimits,
    /// The syncs, in the order of the file, disabled ones among them.
    pub syncs: Vec<SyncConfig>,
    /// Where changes are sent to, in the order of the file.
    pub deliver: Vec<DeliverConfig>,
    /// Where is told what is wrong; none: nowhere.
    pub alerts: Option<AlertConfig>,
    /// Where traces are sent to; none: nowhere.
    pub telemetry: Option<TelemetryConfig>,
}

impl Config {
    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Checks a text as if it stood in the file `path`, whose folder relative paths start from.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        super::check::config(text, path)
    }

    /// The sync of this name.
    pub fn sync(&self, name: &SyncName) -> Option<&SyncConfig> {
        self.syncs.iter().find(|sync| sync.name == *name)
    }

    /// The connection of this name.
    pub fn connection(&self, name: &ConnectionName) -> Option<&ConnectionConfig> {
        self.connections.iter().find(|connection| connection.name == *name)
    }
}

/// The organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgConfig {
    /// Where authorisation and token requests go: scheme, host and port, without path.
    pub login: Url,
    /// The REST API version, for example `v62.0`.
    pub api_version: String,
    /// Further hosts that may see credentials: `name` or `name:port`, in lower case.
    pub allowed_hosts: Vec<String>,
    /// Daily API calls that the org is entitled to, by its edition and licences; none: not said.
    pub entitlement: Option<u64>,
    /// How long an object's description is used before Salesforce is asked whether it has changed.
    pub describe_age: Duration,
}

/// One authorisation of one integration user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionConfig {
    /// Its name, unique.
    pub name: ConnectionName,
    /// The consumer key of the connected app.
    pub client_id: String,
    /// How it is authorised.
    pub grant: Grant,
}

/// How a connection is authorised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// Authorization code with PKCE and a loopback redirect.
    Code {
        /// The consumer secret, for apps that want one.
        client_secret: Option<Secret>,
        /// The port of the loopback redirect; that of the web address when none.
        redirect_port: Option<u16>,
        /// The user who approves; anybody when none.
        username: Option<String>,
        /// The connected app's label; recognised when none.
        app: Option<String>,
        /// Approvals of this app and user that other programs hold.
        approvals_elsewhere: u32,
    },
    /// JWT bearer.
    Jwt {
        /// The user to act as.
        username: String,
        /// The private key, in PEM.
        private_key: Secret,
    },
    /// Client credentials.
    ClientCredentials {
        /// The consumer secret.
        client_secret: Secret,
    },
}

/// What may be spent of the org's daily API calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaConfig {
    /// The most that kilofold may spend in 24 hours; none: whatever the reserve leaves.
    pub allowance: Option<Allowance>,
    /// Calls that must stay free for others.
    pub reserve: u64,
    /// The most that one run may spend; none: no bound.
    pub per_run: Option<u64>,
    /// The most that first passes may spend in 24 hours; a share is one of the allowance.
    pub backfill: Allowance,
    /// For how many days the sums of calls by the hour are kept.
    pub history_days: u32,
}

impl Default for QuotaConfig {
    fn default() -> Self {
        let backfill = Allowance::Percent(50);
        Self { allowance: None, reserve: 0, per_run: None, backfill, history_days: 35 }
    }
}

/// A share of the org's daily API calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// So many calls.
    Calls(u64),
    /// So many hundredths of the org's day, 1 to 100.
    Percent(u8),
}

/// Where the data is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// The folder.
    pub path: PathBuf,
    /// Whether records are kept as Salesforce sent them.
    pub keep_raw: bool,
    /// Memory for the cache, in bytes.
    pub cache_bytes: u64,
    /// How hard raw records are compressed, 1 to 19.
    pub compression: i32,
    /// The key that seals tokens; none: a file beside the store, made at first use.
    pub key: Option<Secret>,
}

/// How long history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepConfig {
    /// Changes of the feed.
    pub feed: Duration,
    /// The most changes of the feed.
    pub feed_entries: u64,
    /// Changes that a consumer has not acknowledged.
    pub feed_hold: Duration,
    /// A consumer that was not heard of for so long holds nothing back.
    pub consumer_quiet: Duration,
    /// Notes of an import's pages.
    pub pages: Duration,
    /// An import's failures.
    pub failures: Duration,
    /// Imports.
    pub runs: Duration,
}

impl Default for KeepConfig {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Self {
            feed: days(30),
            feed_entries: 10_000_000,
            feed_hold: days(90),
            consumer_quiet: days(7),
            pages: days(30),
            failures: days(90),
            runs: days(400),
        }
    }
}

/// The page and the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The token of programs that may do everything. Without any of these four, which only loopback allows, everybody may.
    pub token: Option<Secret>,
    /// The token of programs that may read only.
    pub view_token: Option<Secret>,
    /// The hash of the password of people who may do everything.
    pub password: Option<Secret>,
    /// The hash of the password of people who may look only.
    pub view_password: Option<Secret>,
    /// What TLS is spoken with; none: it is not.
    pub tls: Option<TlsConfig>,
}

/// What TLS is spoken with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The file of the certificate with its chain.
    pub certificate: PathBuf,
    /// The file of its private key.
    pub key: PathBuf,
}

/// What a plugin may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginLimits {
    /// Where named plugins are looked for after the stock ones.
    pub dir: Option<PathBuf>,
    /// Time for a batch.
    pub base: Duration,
    /// Time for each record besides.
    pub per_record: Duration,
    /// Time to start an instance, to describe itself and to take its settings, each.
    pub start: Duration,
    /// Time to find the records that break the plugin, for each batch.
    pub isolation: Duration,
    /// Memory of an instance, in bytes.
    pub memory_bytes: u64,
    /// The most that a batch's results may hold, in bytes.
    pub result_bytes: u64,
    /// The JSON body of one output, in bytes.
    pub body_bytes: u64,
    /// Keys that may be looked up in a batch.
    pub lookup_keys: u32,
    /// Log lines that are kept of a batch.
    pub log_lines: u32,
    /// The most that these may hold, in bytes.
    pub log_bytes: u64,
    /// The largest component that is loaded, in bytes.
    pub component_bytes: u64,
    /// Time for compiling a component.
    pub compile: Duration,
    /// Memory for compiling a component, in bytes.
    pub compile_bytes: u64,
    /// Records of one batch that may break the plugin before the sync is paused.
    pub pause_after: u32,
    /// Batches that are mapped at one moment.
    pub instances: u32,
    /// How often a plugin's file is looked at; none: never.
    pub reload: Option<Duration>,
}

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            dir: None,
            base: Duration::from_millis(250),
            per_record: Duration::from_millis(5),
            start: Duration::from_secs(2),
            isolation: Duration::from_secs(60),
            memory_bytes: 64 << 20,
            result_bytes: 16 << 20,
            body_bytes: 1 << 20,
            lookup_keys: 20_000,
            log_lines: 100,
            log_bytes: 16 << 10,
            component_bytes: 32 << 20,
            compile: Duration::from_secs(120),
            compile_bytes: 1 << 30,
            pause_after: 20,
            instances: 4,
            reload: Some(Duration::from_secs(2)),
        }
    }
}

/// One object that is pulled.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncConfig {
    /// Its name, unique.
    pub name: SyncName,
    /// The API name of the object.
    pub object: String,
    /// What is selected.
    pub fields: Fields,
    /// A SOQL condition, without the word WHERE.
    pub filter: Option<String>,
    /// When it runs by itself.
    pub schedule: When,
    /// The connections that its runs draw from.
    pub connections: Pool,
    /// Whether it moves to any other connection when none of these can be used.
    pub failover: bool,
    /// What maps its records.
    pub plugin: PluginRef,
    /// SHA-256 of the only component that may, in hexadecimal; none: whatever is there.
    pub plugin_digest: Option<String>,
    /// The plugin's settings as written; see [`SyncConfig::settings`].
    pub plugin_config: Map<String, Value>,
    /// Settings that are kept elsewhere.
    pub plugin_secrets: BTreeMap<String, Secret>,
    /// Whether it runs at all.
    pub enabled: bool,
    /// How long before the org's present a window ends.
    pub lag: Duration,
    /// How far a window reaches back into the last one.
    pub overlap: Duration,
    /// Records asked for in one call, 200 to 2000.
    pub page_size: u16,
    /// Whether its records are kept as Salesforce sent them.
    pub keep_raw: bool,
    /// How long one run may take; none: no bound.
    pub timeout: Option<Duration>,
    /// Which sync goes first when several are due: the larger.
    pub priority: i32,
}

impl SyncConfig {
    /// The plugin's settings with the secret ones read from where they are kept.
    pub fn settings(&self) -> Result<Map<String, Value>, Error> {
        let mut settings = self.plugin_config.clone();
        for (name, secret) in &self.plugin_secrets {
            let value = secret.read()?;
            let plain = secrecy::ExposeSecret::expose_secret(&value).to_owned();
            settings.insert(name.clone(), Value::String(plain));
        }
        Ok(settings)
    }
}

/// Connections of a sync: at least one, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// The first that it names.
    pub first: ConnectionName,
    /// The others, in the order of the file.
    pub others: Vec<ConnectionName>,
}

impl Pool {
    /// These connections; none when there is none.
    pub fn new(names: impl IntoIterator<Item = ConnectionName>) -> Option<Self> {
        let mut names = names.into_iter();
        Some(Self { first: names.next()?, others: names.collect() })
    }

    /// All of them, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &ConnectionName> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Whether this one is among them.
    pub fn has(&self, name: &ConnectionName) -> bool {
        self.iter().any(|one| one == name)
    }
}

/// Which fields are selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fields {
    /// These, in this order.
    List(Vec<String>),
    /// Those that the plugin reads.
    Plugin,
    /// Every one that the object has.
    All,
}

/// Which plugin maps a sync's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginRef {
    /// One that is inside the program.
    Stock(String),
    /// The component in this file.
    File(PathBuf),
}

/// A destination that changes are sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliverConfig {
    /// Its name as a consumer, unique: `deliver.` and the name in the file.
    pub name: ConsumerName,
    /// What is sent, and with which secret.
    pub form: DeliverForm,
    /// Where requests go to.
    pub url: Url,
    /// Only outputs of these kinds; empty: of all.
    pub kinds: Vec<String>,
    /// Only outputs of these syncs; empty: of all.
    pub syncs: Vec<SyncName>,
    /// Changes of one request at most.
    pub batch: usize,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long a batch is tried; none: for ever.
    pub give_up: Option<Duration>,
    /// Whether a new one begins with the first change that is kept, and not with what comes next.
    pub from_start: bool,
}

/// Where is told what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertConfig {
    /// Where to.
    pub url: Url,
    /// The key of the signatures.
    pub secret: Option<Secret>,
    /// What is told.
    pub on: Vec<alerts::What>,
    /// How old a sync's data may be.
    pub stale: Duration,
}

/// Where traces of runs are sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// Where spans are posted to, path and all.
    pub endpoint: Url,
    /// Headers of the requests, in lower case, and where their values are.
    pub headers: Vec<(String, Secret)>,
    /// The name of this service.
    pub service: String,
    /// How long one request may take.
    pub timeout: Duration,
}

/// What is sent to a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliverForm {
    /// Changes as they are in the feed, signed when there is a key.
    Webhook(Option<Secret>),
    /// Calls of Segment's HTTP API, with this write key.
    Segment(Secret),
}

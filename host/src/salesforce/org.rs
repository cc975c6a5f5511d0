//! One org: its connections, the HTTP client and the gate, and the road of every request.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use secrecy::ExposeSecret as _;
use url::Url;

use super::book::Book;
use super::connection::{Connection, ConnectionStatus, Session};
use super::describe::Cache;
use super::http::{self, Answer, Fault, Http};
use super::invite::Invitations;
use super::keep::Vault;
use super::retry::Trouble;
use super::told::Told;
use super::{Error, OrgSettings, Refusal, SealKey, host, soql};
use crate::model::{Call, Caller, ConnectionName, Purpose, Stamp, SyncName};
use crate::quota::{Gate, LOOK_EVERY, LimitKind, Pass};

/// One org, its connections, one HTTP client, the gate. Clones share everything.
#[derive(Clone)]
pub struct Org(Arc<Shared>);

pub(super) struct Shared {
    pub settings: OrgSettings,
    pub login: Url,
    /// Further hosts that may see credentials.
    pub allowed: Vec<String>,
    pub http: Http,
    pub gate: Gate,
    pub vault: Arc<dyn Vault>,
    pub key: SealKey,
    pub connections: BTreeMap<ConnectionName, Arc<Connection>>,
    pub describes: Cache,
    /// What is kept of the org as a whole.
    pub book: Mutex<Book>,
    /// Held while the book is saved.
    pub writing: tokio::sync::Mutex<()>,
    /// Consents that were asked for on behalf of others.
    pub invitations: Invitations,
    /// Held while connections are looked after.
    pub tending: tokio::sync::Mutex<()>,
    /// Held while a connection is drawn for a run.
    pub drawing: Mutex<()>,
    /// Hears of connections whose health changed.
    pub heard: OnceLock<Heard>,
    /// Hears of what is done besides what was asked for.
    pub told: Told,
    /// Whether the last counted answer told nothing of the org's day.
    silent: AtomicBool,
    blind: Mutex<Blind>,
    /// Connections whose syncs ask one by one, and until when.
    pub apart: Mutex<BTreeMap<ConnectionName, Stamp>>,
}

/// Looks that were taken because answers told nothing of the org's day.
#[derive(Default)]
struct Blind {
    last: Option<Stamp>,
    /// How many in a row told nothing either.
    looks: u32,
}

/// Hears of a connection whose health changed.
pub(super) type Heard = Box<dyn Fn(&ConnectionStatus) + Send + Sync>;

/// A request for data, beside its form.
pub(super) struct Ask<'a> {
    pub who: &'a Caller,
    pub purpose: Purpose,
    /// The object, for the words of errors.
    pub object: &'a str,
    /// The session that it belongs to, when it does.
    pub epoch: Option<u64>,
    /// The syncs that share it, when several do.
    pub behalf: &'a [SyncName],
}

impl<'a> Ask<'a> {
    /// One of no session in particular, for one caller.
    pub(super) fn new(who: &'a Caller, purpose: Purpose, object: &'a str) -> Self {
        Self { who, purpose, object, epoch: None, behalf: &[] }
    }
}

/// What a request brought.
pub(super) struct Got<T> {
    pub value: T,
    pub epoch: u64,
    pub date: Option<Stamp>,
    pub bytes: u64,
    pub took: Duration,
    pub request_id: Option<String>,
    pub calls: u64,
    /// The call as the ledger has it, when several share it.
    pub call: Option<Call>,
}

/// Why the body of a good answer cannot be read.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// It is damaged; asking again may help.
    Damaged(String),
    /// It is whole, but of no use.
    Useless(Error),
    /// A part of it, which is what was asked for, is a refusal.
    Refused(Refusal),
}

impl From<Error> for Unreadable {
    fn from(error: Error) -> Self {
        Self::Useless(error)
    }
}

/// What to do about an answer that is none.
pub(super) enum Next {
    Again(Trouble),
    Renew,
    Stop(Error),
}

impl Org {
    /// Checks the settings and loads the connections' tokens. Reads the vault; sends nothing.
    pub fn new(
        settings: OrgSettings,
        gate: Gate,
        vault: Arc<dyn Vault>,
        key: SealKey,
    ) -> Result<Self, Error> {
        let login = host::login(&settings.login, &settings.allowed_hosts)?;
        let version = settings.version.trim_start_matches('v');
        if version.split_once('.').is_none_or(|(major, minor)| {
            major.parse::<u32>().is_err() || minor.parse::<u32>().is_err()
        }) {
            let why = format!("'{version}' is not a version such as 62.0");
            return Err(Error::Setting { setting: "version".to_owned(), why });
        }
        let http = Http::new(settings.timeouts, settings.answer_cap, host::is_loopback(&login));
        let http = http.map_err(|why| Error::Setting { setting: "http".to_owned(), why })?;
        let mut shared = Shared {
            login,
            allowed: settings.allowed_hosts.clone(),
            http,
            gate,
            book: Mutex::new(Book::load(&*vault)?),
            writing: tokio::sync::Mutex::default(),
            invitations: Invitations::default(),
            tending: tokio::sync::Mutex::default(),
            vault,
            key,
            connections: BTreeMap::new(),
            describes: Cache::default(),
            drawing: Mutex::default(),
            heard: OnceLock::new(),
            told: Told::default(),
            silent: AtomicBool::new(false),
            blind: Mutex::default(),
            apart: Mutex::default(),
            settings,
        };
        for one in shared.settings.connections.clone() {
            let name = one.name.clone();
            let connection = Arc::new(shared.load(one)?);
            if shared.connections.insert(name.clone(), connection).is_some() {
                let why = format!("two connections are named '{name}'");
                return Err(Error::Setting { setting: "connections".to_owned(), why });
            }
        }
        shared.catch_up()?;
        Ok(Self(Arc::new(shared)))
    }

    /// The gate that all requests pass.
    pub fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// Names who hears when a connection's health changes; the first stays.
    pub fn on_change(&self, heard: impl Fn(&ConnectionStatus) + Send + Sync + 'static) {
        drop(self.0.heard.set(Box::new(heard)));
    }

    /// All connections, by name.
    pub fn connections(&self) -> Vec<ConnectionStatus> {
        self.0.connections.values().map(|connection| connection.status()).collect()
    }

    /// The org's clock, from an answer that Salesforce does not count.
    pub async fn server_time(&self, who: &Caller) -> Result<Stamp, Error> {
        let begun = Instant::now();
        let time = self.ask_time(who).await;
        self.0.told.answered(who, Purpose::Versions, begun.elapsed(), time.as_ref().err());
        time
    }

    async fn ask_time(&self, who: &Caller) -> Result<Stamp, Error> {
        let shared = &self.0;
        let session = shared.connection(&who.connection)?.session(shared.gate.now())?;
        let mut url = session.map_or_else(|| shared.login.clone(), |session| session.instance);
        url.set_path("/services/data/");
        let what = || Purpose::Versions.as_str().to_owned();
        let started = Instant::now();
        let mut failed = 0;
        loop {
            let request = shared.http.request(Method::GET, url.clone()).build();
            let request = request.map_err(|error| unsendable(what(), error))?;
            let pass = shared.gate.free(who, Purpose::Versions).await.map_err(Error::NoPermit)?;
            let (trouble, why, wanted) = match shared.http.send(pass.into(), request).await {
                Ok(answer) => match (answer.date, Trouble::of_status(answer.status)) {
                    (_, Some(trouble)) => {
                        (trouble, format!("HTTP {}", answer.status), answer.retry_after)
                    }
                    (Some(date), None) => return Ok(date),
                    (None, None) => {
                        let why = "it has no usable Date header".to_owned();
                        return Err(Error::Answer { what: what(), why });
                    }
                },
                Err(Fault::Passing(trouble, why)) => (trouble, why, None),
                Err(Fault::TooLarge) => {
                    return Err(Error::TooLarge { what: what(), most: shared.settings.answer_cap });
                }
            };
            failed += 1;
            let Some(pause) = shared.settings.retry.pause(trouble, failed, rand::random(), wanted)
            else {
                let took = started.elapsed();
                return Err(Error::Unreachable { what: what(), attempts: failed, why, took });
            };
            shared.again(who, why, pause);
            tokio::time::sleep(pause).await;
        }
    }

    /// How long to wait after the org refused so many requests in a row because too many were under way; none: give up.
    pub fn pause_for_crowd(&self, refused: u32) -> Option<Duration> {
        self.0.settings.retry.pause(Trouble::Crowded, refused, rand::random(), None)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl fmt::Debug for Org {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Org").field("login", &self.0.login.as_str()).finish_non_exhaustive()
    }
}

fn unsendable(what: String, error: reqwest::Error) -> Error {
    Error::Answer { what, why: error.without_url().to_string() }
}

impl Shared {
    pub(super) fn connection(&self, name: &ConnectionName) -> Result<&Arc<Connection>, Error> {
        self.connections.get(name).ok_or_else(|| Error::UnknownConnection(name.clone()))
    }

    /// An address under `/services/data/vXX.X/`.
    pub(super) fn data_path(&self, session: &Session, path: &str) -> Url {
        let mut url = session.instance.clone();
        let version = self.settings.version.trim_start_matches('v');
        url.set_path(&format!("/services/data/v{version}/{path}"));
        url
    }

    pub(super) fn request(
        &self,
        session: &Session,
        method: Method,
        url: Url,
        headers: &[(&str, &str)],
    ) -> Result<reqwest::Request, Error> {
        let bearer = http::bearer(session.bearer.expose_secret())
            .map_err(|error| Error::Answer { what: "data".to_owned(), why: error.to_string() })?;
        let mut request = self
            .http
            .request(method, url)
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, HeaderValue::from_static("application/json"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.build().map_err(|error| unsendable("data".to_owned(), error))
    }

    /// A permit for a counted call. When the gate's numbers are old it is allowed one look, and asked again.
    async fn permit(self: &Arc<Self>, ask: &Ask<'_>) -> Result<Pass, Error> {
        let permit = || self.gate.permit_shared(ask.who, ask.purpose, ask.behalf);
        match permit().await {
            Ok(permit) => Ok(permit.into()),
            Err(refused) if refused.look => {
                self.look(ask.who).await?;
                Ok(permit().await.map_err(Error::NoPermit)?.into())
            }
            Err(refused) => Err(Error::NoPermit(refused)),
        }
    }

    /// Asks for the limits when answers stopped telling them: a guard without numbers guards nothing.
    async fn look_if_blind(self: &Arc<Self>, who: &Caller, purpose: Purpose) -> Result<(), Error> {
        if matches!(purpose, Purpose::Limits | Purpose::Probe)
            || !self.silent.load(Ordering::Relaxed)
        {
            return Ok(());
        }
        let fresh = |at: Stamp| self.gate.now().since(at) < LOOK_EVERY;
        if self.gate.usage().is_some_and(|usage| fresh(usage.at)) {
            return Ok(());
        }
        {
            let mut blind = self.blind.lock().unwrap_or_else(PoisonError::into_inner);
            let now = self.gate.now();
            // Where looking does not help either, less and less often.
            let pause = LOOK_EVERY.saturating_mul(1 << blind.looks.min(5));
            if blind.last.is_some_and(|at| at <= now && now.since(at) < pause) {
                return Ok(());
            }
            *blind = Blind { last: Some(now), looks: blind.looks + 1 };
        }
        tracing::warn!("answers do not tell the org's API usage; asking the limits resource");
        self.look(who).await?;
        if self.gate.usage().is_some_and(|usage| fresh(usage.at)) {
            self.blind.lock().unwrap_or_else(PoisonError::into_inner).looks = 0;
        }
        Ok(())
    }

    /// The road of every counted request: session, permit, sending, reading; made again, with a permit of its own,
    /// when the trouble may pass, and with a new session when the old one has ended.
    pub(super) async fn data<T>(
        self: &Arc<Self>,
        ask: Ask<'_>,
        build: impl Fn(&Session) -> Result<reqwest::Request, Error>,
        read: impl Fn(&Answer) -> Result<T, Unreadable>,
    ) -> Result<Got<T>, Error> {
        let (who, purpose, begun) = (ask.who, ask.purpose, Instant::now());
        let got = self.until_answered(ask, build, read).await;
        self.told.answered(who, purpose, begun.elapsed(), got.as_ref().err());
        got
    }

    async fn until_answered<T>(
        self: &Arc<Self>,
        ask: Ask<'_>,
        build: impl Fn(&Session) -> Result<reqwest::Request, Error>,
        read: impl Fn(&Answer) -> Result<T, Unreadable>,
    ) -> Result<Got<T>, Error> {
        let Ask { who, purpose, object, epoch, behalf } = ask;
        let what = || purpose.as_str().to_owned();
        let started = Instant::now();
        let connection = self.connection(&who.connection)?;
        let (mut failed, mut renewed, mut calls) = (0, 0, 0);
        self.look_if_blind(who, purpose).await?;
        loop {
            let session = self.session(who).await?;
            if epoch.is_some_and(|epoch| epoch != session.epoch) {
                let why = "the session that it belongs to has ended".to_owned();
                return Err(Error::Locator { object: object.to_owned(), why });
            }
            let request = build(&session)?;
            let pass = self.permit(&ask).await?;
            let now = connection.session(self.gate.now())?;
            if now.is_none_or(|now| now.generation != session.generation) {
                // Renewed while this one waited for its permit, which goes back unspent.
                continue;
            }
            connection.used(self.gate.now());
            let call = (behalf.len() > 1).then(|| pass.call().clone());
            let (next, why, wanted) = match self.http.send(pass, request).await {
                Ok(answer) => {
                    calls += 1;
                    self.silent.store(answer.limit.api_usage.is_none(), Ordering::Relaxed);
                    match self.judge(&ask, &answer, &read) {
                        Ok(value) => {
                            if connection.worked() {
                                self.tell(connection);
                            }
                            let Answer { date, body, took, request_id, .. } = answer;
                            let (bytes, epoch) = (body.len() as u64, session.epoch);
                            return Ok(Got {
                                value,
                                epoch,
                                date,
                                bytes,
                                took,
                                request_id,
                                calls,
                                call,
                            });
                        }
                        Err((next, why)) => (next, why, answer.retry_after),
                    }
                }
                Err(Fault::Passing(trouble, why)) => {
                    calls += u64::from(trouble != Trouble::NotSent);
                    (Next::Again(trouble), why, None)
                }
                Err(Fault::TooLarge) => {
                    return Err(Error::TooLarge { what: what(), most: self.settings.answer_cap });
                }
            };
            let trouble = match next {
                Next::Stop(error) => {
                    if error.is_refusal() {
                        self.refuse(connection, &error);
                    }
                    return Err(error);
                }
                Next::Renew if renewed < 2 => {
                    renewed += 1;
                    tracing::info!(connection = %who.connection, why, "the session has ended");
                    self.again(who, why, Duration::ZERO);
                    self.renew(who, Some(session.generation)).await?;
                    continue;
                }
                Next::Renew => {
                    // Fresh tokens are refused as well; more of them would not help.
                    let name = who.connection.clone();
                    let error = Error::NotForApi { connection: name, message: why };
                    self.refuse(connection, &error);
                    return Err(error);
                }
                Next::Again(trouble) => trouble,
            };
            failed += 1;
            let pause = self.settings.retry.pause(trouble, failed, rand::random(), wanted);
            let Some(pause) = pause else {
                if trouble == Trouble::Crowded {
                    let kind = match LimitKind::of(&why) {
                        LimitKind::LongRunning => LimitKind::LongRunning,
                        _ => LimitKind::Concurrent,
                    };
                    return Err(Error::Limit { kind, text: why });
                }
                let took = started.elapsed();
                return Err(Error::Unreachable { what: what(), attempts: failed, why, took });
            };
            tracing::info!(what = purpose.as_str(), object, why, pause_ms = %pause.as_millis(), "asking again");
            self.again(who, why, pause);
            tokio::time::sleep(pause).await;
        }
    }

    fn judge<T>(
        &self,
        ask: &Ask<'_>,
        answer: &Answer,
        read: impl Fn(&Answer) -> Result<T, Unreadable>,
    ) -> Result<T, (Next, String)> {
        if matches!(answer.status, 200..=299 | 304) {
            return read(answer).map_err(|unreadable| match unreadable {
                Unreadable::Damaged(why) => {
                    (Next::Again(Trouble::Damaged), format!("the answer is damaged: {why}"))
                }
                Unreadable::Useless(error) => (Next::Stop(error), String::new()),
                Unreadable::Refused(refusal) => self.understood(ask, refusal),
            });
        }
        Err(self.understood(ask, Refusal::read(answer.status, &answer.body)))
    }

    pub(super) fn understood(&self, ask: &Ask<'_>, refusal: Refusal) -> (Next, String) {
        let why = match refusal.code.as_str() {
            "" => format!("HTTP {}: {}", refusal.status, refusal.message),
            code => format!("HTTP {} {code}: {}", refusal.status, refusal.message),
        };
        (self.meaning(ask, refusal), why)
    }

    /// What a refusal means for the one who asked.
    fn meaning(&self, ask: &Ask<'_>, refusal: Refusal) -> Next {
        let object = || ask.object.to_owned();
        let connection = || ask.who.connection.clone();
        let Refusal { status, code, message } = refusal;
        let error = match code.as_str() {
            _ if status == 429 => return Next::Again(Trouble::Crowded),
            "REQUEST_LIMIT_EXCEEDED" => {
                let kind = LimitKind::of(&message);
                self.gate.limit_hit(kind, &message, self.gate.now());
                // Who reads pages may ask for less.
                let pages = matches!(ask.purpose, Purpose::Query | Purpose::QueryMore);
                if kind == LimitKind::Concurrent || (kind == LimitKind::LongRunning && !pages) {
                    return Next::Again(Trouble::Crowded);
                }
                Error::Limit { kind, text: message }
            }
            "INVALID_SESSION_ID"
                if message.contains("not valid for use with the REST API")
                    || message.contains("not attached to Agent") =>
            {
                Error::NotForApi { connection: connection(), message }
            }
            "API_DISABLED_FOR_ORG" | "API_CURRENTLY_DISABLED" => {
                Error::NotForApi { connection: connection(), message }
            }
            "INVALID_QUERY_LOCATOR" => Error::Locator { object: object(), why: message },
            "QUERY_TIMEOUT" => Error::QueryTimeout { object: object() },
            "INVALID_FIELD" => {
                self.describes.doubt(&ask.who.connection, ask.object);
                let field = between(&message, "No such column '", "'").map(str::to_owned);
                Error::InvalidField { object: object(), field, message }
            }
            "INVALID_TYPE"
            | "INVALID_TYPE_FOR_OPERATION"
            | "EXTERNAL_OBJECT_UNSUPPORTED_EXCEPTION" => {
                Error::InvalidObject { object: object(), message }
            }
            "NOT_FOUND" if ask.purpose == Purpose::Describe => {
                Error::InvalidObject { object: object(), message }
            }
            _ if status == 401 || message == "Bad_OAuth_Token" => return Next::Renew,
            _ if matches!(status, 414 | 431) => {
                Error::QueryTooLong { length: soql::LONGEST_QUERY + 1, most: soql::LONGEST_QUERY }
            }
            _ => match Trouble::of_status(status) {
                Some(trouble) => return Next::Again(trouble),
                None => {
                    let what = ask.purpose.as_str().to_owned();
                    Error::Refused { what, status, code, message }
                }
            },
        };
        Next::Stop(error)
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

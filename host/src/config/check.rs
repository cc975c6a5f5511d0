//! From [`File`] to [`Config`]: every mistake of meaning, with its place and cure.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use miette::NamedSource;

use super::checked::*;
use super::error::{Error, Invalid, Problem};
use super::file::{self, At, GrantKind, Key, SecretRef};
use super::sync::Sync;
use super::values::{self, Fault, fault};
use super::{Secret, read};
use crate::model::ConnectionName;
use crate::quota::{self, Edition};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const DAY: Duration = Duration::from_secs(86_400);
pub(super) const YEAR: Duration = Duration::from_secs(366 * 86_400);

/// Reads and checks a text; all problems come at once.
pub fn config(text: &str, path: &Path) -> Result<Config, Error> {
    let read::Read { file, shown, problems } = read::read(text);
    // An empty folder name stands for the current folder.
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    // What a line that is not TOML leaves behind would only be confused.
    let readable = problems.iter().all(|problem| problem.code != "config.syntax");
    let mut check = Check { shown, base, problems };
    let config = check.file(&file, path).filter(|_| readable);
    let Check { shown, mut problems, .. } = check;
    if !readable {
        problems.retain(|problem| problem.code == "config.syntax");
    }
    let place = |problem: &Problem| problem.span.clone().map_or((0, 0), |at| (at.start, at.end));
    problems.sort_by_key(place);
    // A mistake in [defaults] is met once by every sync.
    problems.dedup_by(|a, b| a.span == b.span && a.what == b.what);
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => {
            let name = path.display().to_string();
            let shown = NamedSource::new(name, shown).with_language("TOML");
            Err(Error::Invalid(Box::new(Invalid { path: path.to_owned(), shown, problems })))
        }
    }
}

/// What has been found wrong so far, and what is needed to say so.
pub(super) struct Check {
    pub(super) shown: String,
    pub(super) base: PathBuf,
    pub(super) problems: Vec<Problem>,
}

impl Check {
    /// Reports a value.
    pub(super) fn wrong(&mut self, key: &str, span: &Range<usize>, fault: Fault) {
        let value = read::cut(self.shown.get(span.clone()).unwrap_or_default());
        self.problems.push(Problem {
            code: "config.value",
            key: key.to_owned(),
            value: Some(value),
            what: fault.what,
            cure: fault.cure,
            span: Some(span.clone()),
        });
    }

    /// Reports a key that is not there.
    pub(super) fn missing(&mut self, key: &str, span: Option<Range<usize>>, fault: Fault) {
        self.problems.push(Problem {
            code: "config.missing",
            key: key.to_owned(),
            value: None,
            what: fault.what,
            cure: fault.cure,
            span,
        });
    }

    /// Reads a value; reports it and gives none when it cannot be.
    pub(super) fn take<T, U>(
        &mut self,
        key: &str,
        at: &Key<T>,
        read: impl FnOnce(&T) -> Result<U, Fault>,
    ) -> Option<U> {
        let at = at.as_ref()?;
        read(&at.value).map_err(|fault| self.wrong(key, &at.span, fault)).ok()
    }

    pub(super) fn number<N: TryFrom<i64>>(
        &mut self,
        key: &str,
        at: &Key<i64>,
        least: i64,
        most: i64,
    ) -> Option<N> {
        self.take(key, at, |value| {
            let value = values::number(*value, least, most)?;
            N::try_from(value).map_err(|_| fault("is out of range", "write a smaller number"))
        })
    }

    fn path(&self, text: &str) -> PathBuf {
        self.base.join(text)
    }

    pub(super) fn secret(&mut self, key: &str, at: &Key<SecretRef>) -> Option<Secret> {
        let at = at.as_ref()?;
        self.secret_ref(&at.value).map_err(|fault| self.wrong(key, &at.span, fault)).ok()
    }

    pub(super) fn secret_ref(&self, secret: &SecretRef) -> Result<Secret, Fault> {
        match secret {
            SecretRef::Env(name) if name.is_empty() || name.contains(['=', '\0']) => Err(fault(
                "names no environment variable",
                "write its name, for example { env = \"SF_SECRET\" }",
            )),
            SecretRef::Env(name) => Ok(Secret::Env(name.clone())),
            SecretRef::File(path) if path.is_empty() => {
                Err(fault("names no file", "write its path, for example { file = \"secret.txt\" }"))
            }
            SecretRef::File(path) => Ok(Secret::File(self.path(path))),
            SecretRef::Command(words) => match words.split_first() {
                Some((program, arguments)) if !program.is_empty() => {
                    // A bare name is looked for as the system does.
                    let path = program.contains('/').then(|| self.path(program));
                    let program = path.unwrap_or_else(|| program.into());
                    Ok(Secret::Command { program, arguments: arguments.to_vec() })
                }
                _ => Err(fault(
                    "names no program",
                    "write it with its arguments, for example { command = [\"secret-tool\", \"lookup\", \"app\", \"kilofold\"] }",
                )),
            },
        }
    }

    fn file(&mut self, file: &file::File, path: &Path) -> Option<Config> {
        let org = self.org(file.org.as_ref());
        let connections = self.connections(&file.connection, org.as_ref());
        let quota = self.quota(file.quota.as_ref());
        let store = self.store(file.store.as_ref());
        let keep = self.keep(file.keep.as_ref());
        let web = self.web(file.web.as_ref());
        let plugins = self.plugins(file.plugins.as_ref());
        let defaults = file::Defaults::default();
        let defaults = file.defaults.as_ref().unwrap_or(&defaults);
        let syncs = self.syncs(&file.sync, defaults, &connections, &store, &plugins);
        let deliver = self.deliver(&file.deliver, &syncs);
        let alerts = self.alerts(file.alerts.as_ref());
        let telemetry = self.telemetry(file.telemetry.as_ref());
        Some(Config {
            path: path.to_owned(),
            org: org?,
            connections,
            quota,
            store,
            keep,
            web: web?,
            plugins,
            syncs,
            deliver,
            alerts,
            telemetry,
        })
    }

    fn org(&mut self, org: Option<&file::Org>) -> Option<OrgConfig> {
        let Some(org) = org else {
            let cure = "write [org] and below it login = \"production\"";
            self.missing("org", None, fault("there is no section [org]", cure));
            return None;
        };
        if org.login.is_none() {
            let cure =
                "write \"production\", \"sandbox\" or \"https://my-domain.my.salesforce.com\"";
            self.missing("org.login", None, fault("is missing", cure));
        }
        let mut allowed_hosts = Vec::new();
        for host in org.allowed_hosts.iter().flat_map(|at| &at.value) {
            match values::host(&host.value) {
                Ok(name) => allowed_hosts.push(name),
                Err(fault) => self.wrong("org.allowed_hosts", &host.span, fault),
            }
        }
        let login = self.take("org.login", &org.login, |text| values::login(text, &allowed_hosts));
        let version =
            self.take("org.api_version", &org.api_version, |text| values::api_version(text));
        let entitlement = self.entitlement(org);
        let api_version = version.unwrap_or_else(|| "v62.0".into());
        let describe_age = self
            .take("org.describe_age", &org.describe_age, |text| {
                values::duration(text, Duration::ZERO, 31 * DAY)
            })
            .unwrap_or(6 * 60 * 60 * SECOND);
        let login = login?;
        Some(OrgConfig { login, api_version, allowed_hosts, entitlement, describe_age })
    }

    fn entitlement(&mut self, org: &file::Org) -> Option<u64> {
        let edition = self.take("org.edition", &org.edition, |text| {
            let found = Edition::ALL.iter().find(|(name, _)| name == text);
            found.map(|(_, edition)| *edition).ok_or_else(|| {
                let names: Vec<&str> = Edition::ALL.iter().map(|(name, _)| *name).collect();
                fault("is not an edition", values::one_of(text, &names))
            })
        });
        let bought = self.number("org.extra_calls", &org.extra_calls, 0, 1_000_000_000);
        let mut licences = Vec::new();
        for (name, count) in org.licences.iter().flat_map(|at| &at.value) {
            let key = format!("org.licences.{name}");
            if !quota::licences().any(|known| known == name) {
                let names: Vec<&str> = quota::licences().collect();
                self.wrong(
                    &key,
                    &count.span,
                    fault("is not a licence", values::one_of(name, &names)),
                );
            }
            let count = self.number(&key, &Some(count.clone()), 0, 10_000_000);
            licences.push((name.as_str(), count.unwrap_or(0)));
        }
        for (key, at) in [
            ("org.licences", org.licences.as_ref().map(|at| &at.span)),
            ("org.extra_calls", org.extra_calls.as_ref().map(|at| &at.span)),
        ] {
            if let (None, Some(span)) = (&org.edition, at) {
                let cure = "write edition = \"enterprise\", or which it is, beside it";
                self.wrong(key, span, fault("has no meaning without the edition", cure));
            }
        }
        Some(quota::entitlement(edition?, licences, bought.unwrap_or(0)))
    }

    fn connections(
        &mut self,
        list: &[At<file::Connection>],
        org: Option<&OrgConfig>,
    ) -> Vec<ConnectionConfig> {
        let mut found: Vec<ConnectionConfig> = Vec::new();
        for at in list {
            let written = &at.value;
            let label = written.name.as_ref().map_or("main", |name| name.value.as_str());
            let place = format!("connection.{label}");
            let key = |name: &str| format!("{place}.{name}");
            let name = match &written.name {
                Some(_) => self.take(&key("name"), &written.name, |text| {
                    ConnectionName::new(text).map_err(|_| name_fault())
                }),
                None => ConnectionName::new("main").ok(),
            };
            if let Some(name) = &name
                && found.iter().any(|other| other.name == *name)
            {
                let span = written.name.as_ref().map_or(&at.span, |name| &name.span);
                self.wrong(
                    &key("name"),
                    span,
                    fault("is there twice", "give each connection a name of its own"),
                );
                continue;
            }
            if written.client_id.is_none() {
                let cure = "write the consumer key of the connected app";
                self.missing(&key("client_id"), Some(at.span.clone()), fault("is missing", cure));
            }
            let client_id = self.take(&key("client_id"), &written.client_id, |text| {
                let fits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_graphic());
                if fits {
                    Ok(text.clone())
                } else {
                    Err(fault("is not a consumer key", "copy it from the connected app"))
                }
            });
            let grant = self.grant(&place, at, org);
            if let (Some(name), Some(client_id), Some(grant)) = (name, client_id, grant) {
                found.push(ConnectionConfig { name, client_id, grant });
            }
        }
        found
    }

    fn grant(
        &mut self,
        place: &str,
        at: &At<file::Connection>,
        org: Option<&OrgConfig>,
    ) -> Option<Grant> {
        let written = &at.value;
        let key = |name: &str| format!("{place}.{name}");
        let kind = written.grant.as_ref().map_or(GrantKind::Code, |grant| grant.value);
        let client_secret = self.secret(&key("client_secret"), &written.client_secret);
        let private_key = self.secret(&key("private_key"), &written.private_key);
        let redirect_port = self.number(&key("redirect_port"), &written.redirect_port, 1, 65_535);
        let absent = |check: &mut Self, name: &str, cure: &str| {
            check.missing(
                &key(name),
                Some(at.span.clone()),
                fault("is missing for this grant", cure),
            );
        };
        let wants: &[&str] = match kind {
            GrantKind::Code => {
                &["client_secret", "redirect_port", "username", "app", "approvals_elsewhere"]
            }
            GrantKind::Jwt => &["private_key", "username"],
            GrantKind::ClientCredentials => &["client_secret"],
        };
        for (name, span) in [
            ("client_secret", written.client_secret.as_ref().map(|at| &at.span)),
            ("private_key", written.private_key.as_ref().map(|at| &at.span)),
            ("username", written.username.as_ref().map(|at| &at.span)),
            ("redirect_port", written.redirect_port.as_ref().map(|at| &at.span)),
            ("app", written.app.as_ref().map(|at| &at.span)),
            ("approvals_elsewhere", written.approvals_elsewhere.as_ref().map(|at| &at.span)),
        ] {
            if let Some(span) = span
                && !wants.contains(&name)
            {
                let cure = "leave it out, or change the grant";
                self.wrong(&key(name), span, fault("has no meaning for this grant", cure));
            }
        }
        match kind {
            GrantKind::Code => Some(Grant::Code {
                client_secret,
                redirect_port,
                username: self.take(&key("username"), &written.username, |text| not_empty(text)),
                app: self.take(&key("app"), &written.app, |text| not_empty(text)),
                approvals_elsewhere: self
                    .number(&key("approvals_elsewhere"), &written.approvals_elsewhere, 0, 1000)
                    .unwrap_or(0),
            }),
            GrantKind::Jwt => {
                if written.private_key.is_none() {
                    absent(self, "private_key", "write private_key = { file = \"key.pem\" }");
                }
                if written.username.as_ref().is_none_or(|name| name.value.is_empty()) {
                    absent(self, "username", "write the user name of the integration user");
                }
                let username = written.username.as_ref()?.value.clone();
                Some(Grant::Jwt { username, private_key: private_key? })
            }
            GrantKind::ClientCredentials => {
                if written.client_secret.is_none() {
                    absent(self, "client_secret", "write client_secret = { env = \"NAME\" }");
                }
                if org.is_some_and(|org| values::is_shared_login(&org.login))
                    && let Some(grant) = &written.grant
                {
                    let cure = "write login = \"https://my-domain.my.salesforce.com\" in [org]";
                    self.wrong(
                        &key("grant"),
                        &grant.span,
                        fault("works at the org's own address only", cure),
                    );
                }
                Some(Grant::ClientCredentials { client_secret: client_secret? })
            }
        }
    }

    fn quota(&mut self, quota: Option<&file::Quota>) -> QuotaConfig {
        let usual = QuotaConfig::default();
        let Some(quota) = quota else { return usual };
        QuotaConfig {
            allowance: self.take("quota.allowance", &quota.allowance, values::allowance),
            reserve: self.number("quota.reserve", &quota.reserve, 0, 1_000_000_000).unwrap_or(0),
            per_run: self.number("quota.per_run", &quota.per_run, 1, 1_000_000_000),
            backfill: self
                .take("quota.backfill", &quota.backfill, values::allowance)
                .unwrap_or(usual.backfill),
            history_days: self
                .take("quota.history", &quota.history, |text| {
                    values::duration(text, DAY, 10 * YEAR)
                        .map(|span| span.as_secs().div_ceil(86_400))
                })
                .and_then(|days| u32::try_from(days).ok())
                .unwrap_or(usual.history_days),
        }
    }

    fn store(&mut self, store: Option<&file::Store>) -> StoreConfig {
        let empty = file::Store::default();
        let store = store.unwrap_or(&empty);
        let path = self.take("store.path", &store.path, |path| {
            if path.is_empty() {
                Err(fault("is empty", "write a folder, for example \"kilofold.data\""))
            } else {
                Ok(path.clone())
            }
        });
        StoreConfig {
            path: self.path(path.as_deref().unwrap_or("kilofold.data")),
            keep_raw: store.keep_raw.as_ref().is_none_or(|at| at.value),
            cache_bytes: self
                .take("store.cache", &store.cache, |size| values::size(size, 1 << 20))
                .unwrap_or(32 << 20),
            compression: self.number("store.compression", &store.compression, 1, 19).unwrap_or(1),
            key: self.secret("store.key", &store.key),
        }
    }

    fn keep(&mut self, keep: Option<&file::Keep>) -> KeepConfig {
        let usual = KeepConfig::default();
        let Some(keep) = keep else { return usual };
        let mut time = |name: &str, at: &Key<String>, usual: Duration| {
            let key = format!("keep.{name}");
            self.take(&key, at, |text| values::duration(text, SECOND, YEAR * 100)).unwrap_or(usual)
        };
        let kept = KeepConfig {
            feed: time("feed", &keep.feed, usual.feed),
            feed_hold: time("feed_for_consumers", &keep.feed_for_consumers, usual.feed_hold),
            consumer_quiet: time("consumer_quiet", &keep.consumer_quiet, usual.consumer_quiet),
            pages: time("pages", &keep.pages, usual.pages),
            failures: time("failures", &keep.failures, usual.failures),
            runs: time("runs", &keep.runs, usual.runs),
            ..usual
        };
        let entries = self.number("keep.feed_entries", &keep.feed_entries, 1, i64::MAX);
        KeepConfig { feed_entries: entries.unwrap_or(usual.feed_entries), ..kept }
    }

    fn web(&mut self, web: Option<&file::Web>) -> Option<WebConfig> {
        let empty = file::Web::default();
        let web = web.unwrap_or(&empty);
        let default = std::net::SocketAddr::from(([127, 0, 0, 1], 4350));
        let listen = self.take("web.listen", &web.listen, |text| values::listen(text));
        let token = self.secret("web.token", &web.token);
        let view_token = self.secret("web.view_token", &web.view_token);
        let password = self.secret("web.password", &web.password);
        let view_password = self.secret("web.view_password", &web.view_password);
        let guards = [&web.token, &web.view_token, &web.password, &web.view_password];
        if let (Some(address), Some(at)) = (listen, &web.listen)
            && !address.ip().is_loopback()
            && guards.iter().all(|guard| guard.is_none())
        {
            let cure = "write token = { env = \"NAME\" } or password = { file = \"path\" } in [web], or listen on \"127.0.0.1:4350\"";
            self.wrong(
                "web.listen",
                &at.span,
                fault("can be reached from elsewhere, and there is no token or password", cure),
            );
        }
        let tls = match (&web.tls_certificate, &web.tls_key) {
            (Some(certificate), Some(key)) => Some(TlsConfig {
                certificate: self.path(&certificate.value),
                key: self.path(&key.value),
            }),
            (Some(alone), None) => {
                let cure = "write tls_key = \"key.pem\" beside it";
                let fault = fault("has no private key", cure);
                self.wrong("web.tls_certificate", &alone.span, fault);
                None
            }
            (None, Some(alone)) => {
                let cure = "write tls_certificate = \"cert.pem\" beside it";
                self.wrong("web.tls_key", &alone.span, fault("has no certificate", cure));
                None
            }
            (None, None) => None,
        };
        let listen = listen.unwrap_or(default);
        Some(WebConfig { listen, token, view_token, password, view_password, tls })
    }

    fn plugins(&mut self, plugins: Option<&file::Plugins>) -> PluginLimits {
        let empty = file::Plugins::default();
        let written = plugins.unwrap_or(&empty);
        let usual = PluginLimits::default();
        let millisecond = Duration::from_millis(1);
        let mut time = |name: &str, at: &Key<String>, least: Duration, usual: Duration| {
            self.take(&format!("plugins.{name}"), at, |text| values::duration(text, least, DAY))
                .unwrap_or(usual)
        };
        let base = time("time", &written.time, millisecond, usual.base);
        let per_record = time(
            "time_per_record",
            &written.time_per_record,
            Duration::from_micros(1),
            usual.per_record,
        );
        let compile = time("compile_time", &written.compile_time, SECOND, usual.compile);
        let start = time("start_time", &written.start_time, millisecond, usual.start);
        let isolation = time("isolation_time", &written.isolation_time, SECOND, usual.isolation);
        let mut size = |name: &str, at: &Key<file::NumberOrText>, least: u64, usual: u64| {
            self.take(&format!("plugins.{name}"), at, |value| values::size(value, least))
                .unwrap_or(usual)
        };
        let memory_bytes = size("memory", &written.memory, 1 << 20, usual.memory_bytes);
        let result_bytes = size("result", &written.result, 1 << 10, usual.result_bytes);
        let log_bytes = size("log_size", &written.log_size, 0, usual.log_bytes);
        let component_bytes = size("component", &written.component, 1 << 10, usual.component_bytes);
        let body_bytes = size("body", &written.body, 1 << 10, usual.body_bytes);
        let compile_bytes =
            size("compile_memory", &written.compile_memory, 64 << 20, usual.compile_bytes);
        let reload = self.take("plugins.reload", &written.reload, |text| match text.as_str() {
            "off" => Ok(None),
            text => values::duration(text, millisecond * 100, DAY)
                .map(Some)
                .map_err(|found| fault(found.what, "write a duration such as \"2s\", or \"off\"")),
        });
        let dir = written.dir.as_ref().map(|at| self.path(&at.value));
        let mut number = |name: &str, at: &Key<i64>, least: i64, most: i64, usual: u32| {
            self.number(&format!("plugins.{name}"), at, least, most).unwrap_or(usual)
        };
        PluginLimits {
            dir,
            base,
            per_record,
            memory_bytes,
            result_bytes,
            log_lines: number("log_lines", &written.log_lines, 0, 100_000, usual.log_lines),
            lookup_keys: number("lookup_keys", &written.lookup_keys, 0, 1 << 30, usual.lookup_keys),
            pause_after: number("pause_after", &written.pause_after, 0, 1 << 30, usual.pause_after),
            instances: number("instances", &written.instances, 1, 256, usual.instances),
            start,
            isolation,
            log_bytes,
            body_bytes,
            component_bytes,
            compile,
            compile_bytes,
            reload: reload.unwrap_or(usual.reload),
        }
    }

    fn syncs(
        &mut self,
        list: &[At<file::Sync>],
        defaults: &file::Defaults,
        connections: &[ConnectionConfig],
        store: &StoreConfig,
        plugins: &PluginLimits,
    ) -> Vec<SyncConfig> {
        let mut names = HashSet::new();
        let mut found = Vec::new();
        for (i, at) in list.iter().enumerate() {
            let label = at.value.name.as_ref().or(at.value.object.as_ref());
            let label =
                label.map_or_else(|| format!("[{}]", i + 1), |text| format!(".{}", text.value));
            let mut one = Sync { check: self, place: format!("sync{label}"), at, defaults };
            let sync = one.read(connections, store, plugins);
            // A sync that has another mistake still takes its name.
            if !names.insert(label) {
                let name = at.value.name.as_ref().or(at.value.object.as_ref());
                let span = name.map_or(&at.span, |name| &name.span);
                let cure = "give each sync a name of its own: name = \"...\"";
                one.check.wrong(
                    &format!("{}.name", one.place),
                    span,
                    fault("is there twice", cure),
                );
                continue;
            }
            found.extend(sync);
        }
        found
    }
}

fn not_empty(text: &str) -> Result<String, Fault> {
    let text = text.trim();
    if text.is_empty() { Err(fault("is empty", "leave it out")) } else { Ok(text.to_owned()) }
}

/// A name that breaks the rule for names.
pub(super) fn name_fault() -> Fault {
    fault("cannot be a name", "use 1 to 64 letters, digits, '_', '-' or '.'")
}

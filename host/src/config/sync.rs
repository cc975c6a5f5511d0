//! One `[[sync]]`: what it says, with the `[defaults]` behind it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde_json::{Map, Value};

use super::check::{Check, DAY, SECOND, YEAR, name_fault};
use super::checked::*;
use super::error::Problem;
use super::file::{self, At, FieldList, Key, NameList, SecretRef};
use super::values::{self, Fault, fault};
use super::{Cron, CronError, Secret, When, filter, read};
use crate::model::{ConnectionName, SyncName};

/// One `[[sync]]` with the `[defaults]` behind it.
pub(super) struct Sync<'a> {
    pub(super) check: &'a mut Check,
    pub(super) place: String,
    pub(super) at: &'a At<file::Sync>,
    pub(super) defaults: &'a file::Defaults,
}

impl Sync<'_> {
    pub(super) fn read(
        &mut self,
        connections: &[ConnectionConfig],
        store: &StoreConfig,
        plugins: &PluginLimits,
    ) -> Option<SyncConfig> {
        let (written, defaults) = (&self.at.value, self.defaults);
        let object = self.object();
        let name = match &written.name {
            Some(_) => self.take("name", &written.name, &None, |text| {
                SyncName::new(text).map_err(|_| name_fault())
            }),
            None => object.as_deref().and_then(|object| SyncName::new(object).ok()),
        };
        let fields = self.fields();
        let filter = self.filter();
        let schedule = self.schedule();
        let pool = self.connections(connections);
        let plugin = self.plugin(plugins);
        let digest =
            self.take("plugin_digest", &written.plugin_digest, &None, |text| values::digest(text));
        let (plugin_config, plugin_secrets) = self.settings();
        let mut time = |name: &str,
                        own: &Key<String>,
                        default: &Key<String>,
                        least: Duration,
                        most: Duration| {
            self.take(name, own, default, |text| values::duration(text, least, most))
        };
        let lag = time("lag", &written.lag, &defaults.lag, Duration::ZERO, DAY);
        let overlap =
            time("overlap", &written.overlap, &defaults.overlap, Duration::ZERO, 31 * DAY);
        let timeout = time("timeout", &written.timeout, &defaults.timeout, SECOND, 31 * DAY);
        let page_size = self.take("page_size", &written.page_size, &defaults.page_size, |size| {
            let size = values::number(*size, 200, 2000)?;
            u16::try_from(size).map_err(|_| fault("is out of range", "write 1000"))
        });
        let priority =
            self.check.number(&format!("{}.priority", self.place), &written.priority, -1000, 1000);
        let keep_raw = written.keep_raw.as_ref().or(defaults.keep_raw.as_ref());
        let failover = written.failover.as_ref().or(defaults.failover.as_ref());
        Some(SyncConfig {
            name: name?,
            object: object?,
            fields: fields?,
            filter,
            schedule: schedule?,
            connections: pool?,
            failover: failover.is_some_and(|at| at.value),
            plugin: plugin?,
            plugin_digest: digest,
            plugin_config,
            plugin_secrets,
            enabled: written.enabled.as_ref().is_none_or(|at| at.value),
            lag: lag.unwrap_or(Duration::from_secs(60)),
            overlap: overlap.unwrap_or(Duration::from_secs(600)),
            page_size: page_size.unwrap_or(1000),
            keep_raw: keep_raw.map_or(store.keep_raw, |at| at.value),
            timeout,
            priority: priority.unwrap_or(0),
        })
    }

    /// The sync's own value, or the default; reported under the section that it stands in.
    fn take<T, U>(
        &mut self,
        name: &str,
        own: &Key<T>,
        default: &Key<T>,
        read: impl FnOnce(&T) -> Result<U, Fault>,
    ) -> Option<U> {
        if own.is_some() {
            self.check.take(&format!("{}.{name}", self.place), own, read)
        } else {
            self.check.take(&format!("defaults.{name}"), default, read)
        }
    }

    fn object(&mut self) -> Option<String> {
        let written = &self.at.value.object;
        if written.is_none() {
            let cure = "write the API name of an object, for example object = \"Contact\"";
            let key = format!("{}.object", self.place);
            self.check.missing(&key, Some(self.at.span.clone()), fault("is missing", cure));
        }
        self.take("object", written, &None, |text| values::api_name(text).map(|()| text.clone()))
    }

    fn fields(&mut self) -> Option<Fields> {
        let own = self.at.value.fields.is_some();
        let Some(at) = self.at.value.fields.as_ref().or(self.defaults.fields.as_ref()) else {
            return Some(Fields::Plugin);
        };
        let key = if own { format!("{}.fields", self.place) } else { "defaults.fields".to_owned() };
        let cure = "write \"plugin\", \"all\", or a list such as [\"Name\", \"Email\"]";
        match &at.value {
            FieldList::Word(word) if word == "plugin" => Some(Fields::Plugin),
            FieldList::Word(word) if word == "all" => Some(Fields::All),
            FieldList::Word(_) => {
                self.check.wrong(&key, &at.span, fault("is not a list of fields", cure));
                None
            }
            FieldList::List(list) if list.is_empty() => {
                self.check.wrong(&key, &at.span, fault("names no field", cure));
                None
            }
            FieldList::List(list) => {
                let mut seen = BTreeMap::new();
                for field in list {
                    if let Err(fault) = values::field_path(&field.value) {
                        self.check.wrong(&key, &field.span, fault);
                    } else if seen.insert(field.value.to_ascii_lowercase(), ()).is_some() {
                        let cure = "leave one of them out";
                        self.check.wrong(&key, &field.span, fault("is there twice", cure));
                    }
                }
                Some(Fields::List(list.iter().map(|field| field.value.clone()).collect()))
            }
        }
    }

    fn filter(&mut self) -> Option<String> {
        let at = self.at.value.filter.as_ref()?;
        if let Err(found) = filter::check(&at.value) {
            // The place within the value is true for plain texts, which are as long as they look.
            let plain = at.span.len() == at.value.len() + 2;
            let span = if plain && !found.at.is_empty() {
                at.span.start + 1 + found.at.start..at.span.start + 1 + found.at.end
            } else {
                at.span.clone()
            };
            let key = format!("{}.where", self.place);
            let value = read::cut(self.check.shown.get(at.span.clone()).unwrap_or_default());
            self.check.problems.push(Problem {
                code: "config.filter",
                key,
                value: Some(value),
                what: found.what,
                cure: found.cure.to_owned(),
                span: Some(span),
            });
        }
        Some(at.value.clone())
    }

    fn schedule(&mut self) -> Option<When> {
        let (own, defaults) = (&self.at.value, self.defaults);
        // What a sync says of its own replaces both of the defaults.
        let (place, every, cron) = if own.every.is_some() || own.cron.is_some() {
            (self.place.clone(), &own.every, &own.cron)
        } else {
            ("defaults".to_owned(), &defaults.every, &defaults.cron)
        };
        let zone = own.time_zone.as_ref().or(defaults.time_zone.as_ref());
        match (every, cron) {
            (None, None) => Some(When::Manual),
            (Some(_), Some(cron)) => {
                let cure = "keep `every` or `cron`, not both";
                self.check.wrong(
                    &format!("{place}.cron"),
                    &cron.span,
                    fault("stands beside `every`", cure),
                );
                None
            }
            (Some(_), None) => self.check.take(&format!("{place}.every"), every, |text| {
                if text == "manual" {
                    return Ok(When::Manual);
                }
                values::duration(text, SECOND, YEAR).map(When::Every)
            }),
            (None, Some(at)) => {
                let zone_name = zone.map_or("UTC", |zone| zone.value.as_str());
                match Cron::new(&at.value, zone_name) {
                    Ok(cron) => Some(When::Cron(cron)),
                    Err(CronError::Zone(_)) => {
                        let span = zone.map_or(&at.span, |zone| &zone.span);
                        let cure = "write an IANA name such as \"Europe/Berlin\"";
                        self.check.wrong(
                            &format!("{place}.time_zone"),
                            span,
                            fault("is not a time zone", cure),
                        );
                        None
                    }
                    Err(error) => {
                        let what = format!("is not a cron expression: {error}");
                        let cure = "write five fields: minute, hour, day, month, weekday; \"0 6 * * 1-5\" is six o'clock on working days";
                        self.check.wrong(&format!("{place}.cron"), &at.span, fault(what, cure));
                        None
                    }
                }
            }
        }
    }

    fn connections(&mut self, known: &[ConnectionConfig]) -> Option<Pool> {
        let (own, default) = (&self.at.value.connection, &self.defaults.connection);
        let at = own.as_ref().or(default.as_ref());
        if let Some(at) = at {
            let place = if own.is_some() { self.place.as_str() } else { "defaults" };
            let key = format!("{place}.connection");
            let one =
                |text: &str, span: &Range<usize>| At { value: text.to_owned(), span: span.clone() };
            let names = match &at.value {
                NameList::One(name) => vec![one(name, &at.span)],
                NameList::Several(names) => names.clone(),
            };
            if names.is_empty() {
                let cure = "name at least one connection";
                self.check.wrong(&key, &at.span, fault("names no connection", cure));
            }
            let mut pool: Vec<ConnectionName> = Vec::new();
            for name in &names {
                match find(known, &name.value) {
                    Ok(found) if pool.contains(found) => {
                        let cure = "leave one of them out";
                        self.check.wrong(&key, &name.span, fault("is there twice", cure));
                    }
                    Ok(found) => pool.push(found.clone()),
                    Err(fault) => self.check.wrong(&key, &name.span, fault),
                }
            }
            return Pool::new(pool);
        }
        if let [only] = known {
            return Pool::new([only.name.clone()]);
        }
        let key = format!("{}.connection", self.place);
        let span = Some(self.at.span.clone());
        if known.is_empty() {
            // One connection that could not be read has been reported already.
            if self.check.problems.iter().all(|problem| !problem.key.starts_with("connection")) {
                let cure = "add a [[connection]] with its client_id";
                self.check.missing(&key, span, fault("there is no connection", cure));
            }
        } else {
            let cure = "name one of them, or several: connection = \"...\" or [\"...\", \"...\"]";
            self.check.missing(&key, span, fault("there are several connections", cure));
        }
        None
    }

    fn plugin(&mut self, limits: &PluginLimits) -> Option<PluginRef> {
        let (own, default) = (&self.at.value.plugin, &self.defaults.plugin);
        if own.is_none() && default.is_none() {
            return Some(PluginRef::Stock("passthrough".to_owned()));
        }
        let base = self.check.base.clone();
        self.take("plugin", own, default, |text| {
            if STOCK_PLUGINS.contains(&text.as_str()) {
                return Ok(PluginRef::Stock(text.clone()));
            }
            if text.ends_with(".wasm") || text.contains(['/', '\\']) {
                return Ok(PluginRef::File(base.join(text)));
            }
            let named = limits.dir.as_ref().map(|dir| dir.join(format!("{text}.wasm")));
            if let Some(path) = named.filter(|path| path.is_file()) {
                return Ok(PluginRef::File(path));
            }
            Err(fault(
                "is not a plugin",
                match values::nearest(text, STOCK_PLUGINS.iter().copied()) {
                    Some(name) => format!("did you mean \"{name}\"?"),
                    None => format!(
                        "write one of \"{}\", or a path such as \"./{text}.wasm\"",
                        STOCK_PLUGINS.join("\", \"")
                    ),
                },
            ))
        })
    }

    fn settings(&mut self) -> (Map<String, Value>, BTreeMap<String, Secret>) {
        let (mut plain, mut secrets) = (Map::new(), BTreeMap::new());
        let Some(at) = &self.at.value.config else { return (plain, secrets) };
        for (name, value) in &at.value {
            let key = format!("{}.config.{name}", self.place);
            let reference = value.as_table().filter(|table| table.len() == 1).and_then(|table| {
                let text = |key: &str| table.get(key)?.as_str().map(str::to_owned);
                let words = || table.get("command")?.clone().try_into().ok();
                let named = text("env").map(SecretRef::Env);
                let named = named.or_else(|| text("file").map(SecretRef::File));
                named.or_else(|| words().map(SecretRef::Command))
            });
            match reference {
                Some(reference) => match self.check.secret_ref(&reference) {
                    Ok(secret) => drop(secrets.insert(name.clone(), secret)),
                    Err(fault) => self.check.wrong(&key, &at.span, fault),
                },
                None => match json(value) {
                    Some(value) => drop(plain.insert(name.clone(), value)),
                    None => {
                        let cure = "write a number that JSON can hold";
                        self.check.wrong(&key, &at.span, fault("is not finite", cure));
                    }
                },
            }
        }
        (plain, secrets)
    }
}

/// The connection of this name.
fn find<'a>(known: &'a [ConnectionConfig], text: &str) -> Result<&'a ConnectionName, Fault> {
    let found = known.iter().find(|connection| connection.name.as_str() == text);
    found.map(|connection| &connection.name).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|one| one.name.as_str()).collect();
        let cure = match values::nearest(text, names.iter().copied()) {
            Some(name) => format!("did you mean \"{name}\"?"),
            None if names.is_empty() => "add a [[connection]] of this name".to_owned(),
            None => format!("the connections are \"{}\"", names.join("\", \"")),
        };
        fault("is not a connection of this file", cure)
    })
}

/// The same value in JSON; dates become text. None for numbers that JSON does not have.
fn json(value: &toml::Value) -> Option<Value> {
    Some(match value {
        toml::Value::String(text) => Value::String(text.clone()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) => Value::Number(serde_json::Number::from_f64(*number)?),
        toml::Value::Boolean(flag) => Value::Bool(*flag),
        toml::Value::Datetime(moment) => Value::String(moment.to_string()),
        toml::Value::Array(list) => Value::Array(list.iter().map(json).collect::<Option<_>>()?),
        toml::Value::Table(table) => Value::Object(
            table
                .iter()
                .map(|(key, value)| Some((key.clone(), json(value)?)))
                .collect::<Option<_>>()?,
        ),
    })
}

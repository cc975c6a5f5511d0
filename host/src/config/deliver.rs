//! `[[deliver]]`, `[alerts]` and `[telemetry]`, checked.

use std::time::Duration;

use url::{Host, Url};

use super::check::{Check, SECOND, YEAR, name_fault};
use super::checked::{AlertConfig, DeliverConfig, DeliverForm, SyncConfig, TelemetryConfig};
use super::file::{self, At, DeliverFrom, Key};
use super::values::{self, Fault, fault, nearest};
use crate::alerts::What;
use crate::model::ConsumerName;

/// Where Segment takes calls.
const SEGMENT: &str = "https://api.segment.io";

impl Check {
    pub(super) fn deliver(
        &mut self,
        list: &[At<file::Deliver>],
        syncs: &[SyncConfig],
    ) -> Vec<DeliverConfig> {
        let mut found: Vec<DeliverConfig> = Vec::new();
        for (i, at) in list.iter().enumerate() {
            let label = at.value.name.as_ref();
            let label =
                label.map_or_else(|| format!("[{}]", i + 1), |name| format!(".{}", name.value));
            let Some(one) = self.destination(&format!("deliver{label}"), at, syncs) else {
                continue;
            };
            if found.iter().any(|other| other.name == one.name) {
                let span = at.value.name.as_ref().map_or(&at.span, |name| &name.span);
                let fault = fault("is there twice", "give each destination a name of its own");
                self.wrong(&format!("deliver{label}.name"), span, fault);
                continue;
            }
            found.push(one);
        }
        found
    }

    fn destination(
        &mut self,
        place: &str,
        at: &At<file::Deliver>,
        syncs: &[SyncConfig],
    ) -> Option<DeliverConfig> {
        let written = &at.value;
        let key = |name: &str| format!("{place}.{name}");
        let missing = |check: &mut Self, name: &str, cure: &str| {
            check.missing(&key(name), Some(at.span.clone()), fault("is missing", cure));
        };
        if written.name.is_none() {
            missing(self, "name", "write a name of your choice, for example name = \"warehouse\"");
        }
        let name = self.take(&key("name"), &written.name, |text| {
            ConsumerName::new(&format!("deliver.{text}")).map_err(|_| name_fault())
        });
        let segment =
            written.form.as_ref().is_some_and(|form| form.value == file::DeliverForm::Segment);
        let secret = self.secret(&key("secret"), &written.secret);
        let form = match (segment, secret) {
            (false, secret) => Some(DeliverForm::Webhook(secret)),
            (true, Some(secret)) => Some(DeliverForm::Segment(secret)),
            (true, None) => {
                if written.secret.is_none() {
                    missing(
                        self,
                        "secret",
                        "write secret = { env = \"NAME\" }, where the write key is",
                    );
                }
                None
            }
        };
        if written.url.is_none() && !segment {
            missing(self, "url", "write the address that takes the changes");
        }
        let url = match (&written.url, segment) {
            (None, true) => Url::parse(SEGMENT).ok(),
            (written, _) => self.take(&key("url"), written, |text| receiver(text)),
        };
        let mut named = Vec::new();
        for sync in written.syncs.iter().flat_map(|at| &at.value) {
            match syncs.iter().find(|known| known.name.as_str() == sync.value) {
                Some(known) => named.push(known.name.clone()),
                None => {
                    let names = syncs.iter().map(|known| known.name.as_str());
                    let cure = nearest(&sync.value, names).map_or_else(
                        || "write the names of syncs of this file".to_owned(),
                        |name| format!("did you mean \"{name}\"?"),
                    );
                    self.wrong(&key("syncs"), &sync.span, fault("is no sync", cure));
                }
            }
        }
        let kinds = written.kinds.iter().flat_map(|at| &at.value);
        let give_up = self.take(&key("give_up"), &written.give_up, |text| match text.as_str() {
            "never" => Ok(None),
            text => values::duration(text, SECOND, YEAR).map(Some).map_err(|found| {
                fault(found.what, "write a duration such as \"3d\", or \"never\"")
            }),
        });
        Some(DeliverConfig {
            name: name?,
            form: form?,
            url: url?,
            kinds: kinds.map(|kind| kind.value.clone()).collect(),
            syncs: named,
            batch: self.number(&key("batch"), &written.batch, 1, 1000).unwrap_or(100),
            timeout: self.span(&key("timeout"), &written.timeout).unwrap_or(SECOND * 30),
            give_up: give_up.unwrap_or(Some(SECOND * 3 * 86_400)),
            from_start: written.from.as_ref().is_none_or(|from| from.value == DeliverFrom::Start),
        })
    }

    /// `[alerts]`; none when it is not there, or cannot be used.
    pub(super) fn alerts(&mut self, written: Option<&file::Alerts>) -> Option<AlertConfig> {
        let written = written?;
        if written.url.is_none() {
            let cure = "write the address that takes the messages";
            self.missing("alerts.url", None, fault("is missing", cure));
        }
        let names = What::ALL.map(What::as_str);
        let mut on = Vec::new();
        for word in written.on.iter().flat_map(|at| &at.value) {
            match What::ALL.into_iter().find(|what| what.as_str() == word.value) {
                Some(what) => on.push(what),
                None => {
                    let cure = values::one_of(&word.value, &names);
                    self.wrong("alerts.on", &word.span, fault("is nothing to tell of", cure));
                }
            }
        }
        let stale = self
            .take("alerts.stale", &written.stale, |text| values::duration(text, SECOND * 60, YEAR));
        let secret = self.secret("alerts.secret", &written.secret);
        let url = self.take("alerts.url", &written.url, |text| receiver(text))?;
        Some(AlertConfig {
            url,
            secret,
            on: if written.on.is_none() { What::ALL.to_vec() } else { on },
            stale: stale.unwrap_or(SECOND * 86_400),
        })
    }

    /// `[telemetry]`; none when it is not there, or cannot be used.
    pub(super) fn telemetry(
        &mut self,
        written: Option<&file::Telemetry>,
    ) -> Option<TelemetryConfig> {
        let written = written?;
        if written.endpoint.is_none() {
            let cure = "write the address of the collector, for example \"http://127.0.0.1:4318\"";
            self.missing("telemetry.endpoint", None, fault("is missing", cure));
        }
        let mut headers = Vec::new();
        for (name, at) in written.headers.iter().flat_map(|at| &at.value) {
            let key = format!("telemetry.headers.{name}");
            let name = name.to_ascii_lowercase();
            let fits = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
            if name.is_empty() || !name.bytes().all(fits) {
                let cure = "use letters, digits and '-'";
                self.wrong(&key, &at.span, fault("cannot be the name of a header", cure));
            } else if ["host", "content-type", "content-length"].contains(&name.as_str()) {
                let fault = fault("is set by kilofold itself", "leave it out");
                self.wrong(&key, &at.span, fault);
            } else if let Some(secret) = self.secret(&key, &Some(at.clone())) {
                headers.push((name, secret));
            }
        }
        let service = self.take("telemetry.service", &written.service, |text| {
            let text = text.trim();
            let fits = (1..=255).contains(&text.len()) && !text.contains(char::is_control);
            if fits {
                Ok(text.to_owned())
            } else {
                Err(fault("is not a name", "write a short one, or leave it out"))
            }
        });
        let timeout = self.span("telemetry.timeout", &written.timeout);
        let mut endpoint =
            self.take("telemetry.endpoint", &written.endpoint, |text| receiver(text))?;
        if endpoint.path() == "/" {
            endpoint.set_path("/v1/traces");
        }
        Some(TelemetryConfig {
            endpoint,
            headers,
            service: service.unwrap_or_else(|| "kilofold".to_owned()),
            timeout: timeout.unwrap_or(SECOND * 10),
        })
    }

    fn span(&mut self, key: &str, at: &Key<String>) -> Option<Duration> {
        self.take(key, at, |text| values::duration(text, SECOND, SECOND * 600))
    }
}

/// An address that may be sent to: over TLS, or on this machine; without credentials in it.
pub(super) fn receiver(text: &str) -> Result<Url, Fault> {
    let cure = "write for example \"https://example.com/hooks/kilofold\"";
    let url = Url::parse(text).map_err(|_| fault("is not an address", cure))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault(
            "holds credentials",
            "keep them elsewhere: the file is no place for them",
        ));
    }
    let local = match url.host() {
        Some(Host::Ipv4(host)) => host.is_loopback(),
        Some(Host::Ipv6(host)) => host.is_loopback(),
        Some(Host::Domain(host)) => host == "localhost",
        None => return Err(fault("has no host", cure)),
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if local => Ok(url),
        "http" => Err(fault("is not encrypted", "write https:// for http://")),
        _ => Err(fault("is neither https nor http", cure)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_over_tls_or_not_far() {
        for good in [
            "https://example.com/hook?a=b",
            "http://127.0.0.1:9/x",
            "http://localhost",
            "http://[::1]:1/",
        ] {
            assert!(receiver(good).is_ok(), "{good}");
        }
        for bad in
            ["http://example.com", "ftp://localhost", "https://u:p@example.com", "hook", "data:,x"]
        {
            assert!(receiver(bad).is_err(), "{bad}");
        }
    }
}

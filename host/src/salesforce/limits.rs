//! The limits resource, and the probes that ask it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::connection::Session;
use super::http::Answer;
use super::org::{Ask, Org, Shared, Unreadable};
use super::{Error, Refusal, soql};
use crate::model::{Caller, Purpose, Stamp, Usage};
use crate::quota::LimitKind;

/// How long after a probe without an answer the next may be made.
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Limit {
    max: u64,
    remaining: u64,
}

/// The org's day in the body of a limits answer. Other limits may have any form.
fn day(body: &[u8], at: Stamp) -> Result<Usage, Unreadable> {
    let limits: HashMap<String, Value> =
        serde_json::from_slice(body).map_err(|error| Unreadable::Damaged(error.to_string()))?;
    let limit = limits.get("DailyApiRequests").and_then(|value| Limit::deserialize(value).ok());
    let Limit { max, remaining } = limit.ok_or_else(|| {
        let why = "it has no member 'DailyApiRequests'".to_owned();
        Unreadable::from(Error::Answer { what: Purpose::Limits.as_str().to_owned(), why })
    })?;
    Ok(Usage { used: max.saturating_sub(remaining), max, at })
}

impl Org {
    /// Asks for the org's day; the gate learns it too.
    pub async fn limits(&self, who: &Caller) -> Result<Usage, Error> {
        let shared = self.shared();
        let build = |session: &Session| shared.limits_request(session);
        let ask = Ask::new(who, Purpose::Limits, "limits");
        let got =
            shared.data(ask, build, |answer: &Answer| day(&answer.body, self.gate().now())).await?;
        self.gate().observe(got.value);
        Ok(got.value)
    }
}

impl Org {
    /// How many records objects have, in one call: as Salesforce last counted them, which it does now and then. Objects that
    /// it does not tell of are left out.
    pub async fn record_counts(
        &self,
        who: &Caller,
        objects: &[&str],
    ) -> Result<BTreeMap<String, u64>, Error> {
        #[derive(Deserialize)]
        struct Counts {
            #[serde(rename = "sObjects")]
            objects: Vec<Count>,
        }
        #[derive(Deserialize)]
        struct Count {
            name: String,
            count: u64,
        }
        for object in objects {
            soql::object_name(object)?;
        }
        let shared = self.shared();
        let build = |session: &Session| {
            let mut url = shared.data_path(session, "limits/recordCount");
            url.query_pairs_mut().append_pair("sObjects", &objects.join(","));
            shared.request(session, Method::GET, url, &[])
        };
        let ask = Ask::new(who, Purpose::Limits, "record counts");
        let read = |answer: &Answer| {
            let counts: Counts = serde_json::from_slice(&answer.body)
                .map_err(|error| Unreadable::Damaged(error.to_string()))?;
            Ok(counts.objects.into_iter().map(|one| (one.name, one.count)).collect())
        };
        Ok(shared.data(ask, build, read).await?.value)
    }
}

impl Shared {
    fn limits_request(&self, session: &Session) -> Result<reqwest::Request, Error> {
        self.request(session, Method::GET, self.data_path(session, "limits"), &[])
    }

    /// Asks once whether calls are possible again, and tells the gate. Errors other than of the authorisation are for
    /// the gate alone, which then decides again.
    pub(super) async fn look(self: &std::sync::Arc<Self>, who: &Caller) -> Result<(), Error> {
        let mut session = self.session(who).await?;
        for _ in 0..2 {
            let Ok(pass) = self.gate.permit(who, Purpose::Probe).await else { return Ok(()) };
            let request = match self.limits_request(&session) {
                Ok(request) => request,
                Err(error) => {
                    self.gate.not_probed(MINUTE);
                    return Err(error);
                }
            };
            let Ok(answer) = self.http.send(pass.into(), request).await else {
                self.gate.not_probed(MINUTE);
                return Ok(());
            };
            let refusal = Refusal::read(answer.status, &answer.body);
            let kind = LimitKind::of(&refusal.message);
            if refusal.code == "REQUEST_LIMIT_EXCEEDED" && kind == LimitKind::Daily {
                self.gate.limit_hit(kind, &refusal.message, self.gate.now());
                return Ok(());
            }
            if answer.status >= 500 {
                self.gate.not_probed(MINUTE);
                return Ok(());
            }
            if answer.status == 401 {
                // It says nothing about calls, and was not counted: once more, with a good token.
                self.gate.not_probed(Duration::ZERO);
                session = self.renew(who, Some(session.generation)).await?;
                continue;
            }
            if answer.status == 200
                && let Ok(usage) = day(&answer.body, self.gate.now())
            {
                self.gate.observe(usage);
            }
            self.gate.probed();
            return Ok(());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_day_beside_limits_of_other_forms() {
        let body = br#"{"DailyApiRequests":{"Max":15000,"Remaining":14998,"App":{"Max":0,"Remaining":0}},"Odd":[1]}"#;
        let Ok(usage) = day(body, Stamp(0)) else { panic!("readable") };
        assert_eq!((usage.used, usage.max), (2, 15_000));
        assert!(day(br#"{"DailyApiRequests":{"Max":-1,"Remaining":2}}"#, Stamp(0)).is_err());
        assert!(day(b"{}", Stamp(0)).is_err());
    }
}

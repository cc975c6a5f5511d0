//! Queries: one page of records to a call.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::{Url, form_urlencoded};

use super::connection::Session;
use super::http::Answer;
use super::org::{Ask, Got, Org, Unreadable};
use super::together::SharedCall;
use super::{Error, Refusal, soql};
use crate::model::{self, Batch, Caller, Purpose, ScanError, Selection, Stamp, next_address};

/// Where the next page of a query lies. It is good for one session of one run, and never stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locator {
    path: String,
    epoch: u64,
    object: String,
}

impl Locator {
    /// How many records of the query come before the page, when the locator tells: Salesforce writes it behind the last
    /// hyphen. Nothing is asked for by this number.
    pub fn offset(&self) -> Option<u64> {
        let (_, offset) = self.path.rsplit_once('-')?;
        Some(offset).filter(|text| text.bytes().all(|c| c.is_ascii_digit()))?.parse().ok()
    }
}

/// The records that one call brought.
#[derive(Debug, Clone)]
pub struct Page {
    /// The records, however many came; see [`Page::split`].
    pub batch: Batch,
    /// How many records the whole query has.
    pub total: u64,
    /// Whether this is the last page.
    pub done: bool,
    /// The next page; none on the last one.
    pub next: Option<Locator>,
    /// The org's clock when it answered; the local one when it did not tell.
    pub date: Stamp,
    /// Bytes of the answer, unpacked.
    pub bytes: u64,
    /// From request to last byte, of the attempt that succeeded.
    pub took: Duration,
    /// Salesforce's id of the request.
    pub request_id: Option<String>,
    /// Counted calls spent on it.
    pub calls: u64,
    /// With whom it shared its call, when it did.
    pub shared: Option<SharedCall>,
}

/// Hears where the next page lies as soon as an answer is here, before its records are read. An answer that turns out
/// damaged may have told it wrong: the page says so in the end.
pub type Ahead = Box<dyn Fn(Locator) + Send + Sync>;

impl Page {
    /// Takes the records out, in batches of at most `most` (at least 1), in order; the text is shared. An empty page is
    /// one empty batch.
    pub fn take_batches(&mut self, most: usize) -> Vec<Batch> {
        let (most, whole) = (most.max(1), std::mem::take(&mut self.batch));
        if whole.len() <= most {
            return vec![whole];
        }
        let all: Vec<usize> = (0..whole.len()).collect();
        all.chunks(most).map(|part| whole.select(part)).collect()
    }
}

impl Org {
    /// Sends a query and reads its first page. `all`: deleted and archived records too. `page_size` is a wish within
    /// 200 to 2000; pages may be smaller or larger. `ahead` hears early where the next one lies.
    pub async fn query(
        &self,
        who: &Caller,
        soql: &str,
        all: bool,
        selection: &Selection,
        page_size: u16,
        ahead: Option<&Ahead>,
    ) -> Result<Page, Error> {
        let object = object_of(soql);
        let path = if all { "queryAll" } else { "query" };
        let text = Text::new(path, soql)?;
        let build = |session: &Session| self.query_request(session, &text, page_size);
        let ask = Ask::new(who, Purpose::Query, object);
        self.page(ask, build, selection, text.long, ahead).await
    }

    /// Reads a further page. When the session changed since the locator was given, or Salesforce no longer knows it,
    /// the error is [`Error::Locator`]: query again from the last committed record.
    pub async fn more(
        &self,
        who: &Caller,
        locator: &Locator,
        selection: &Selection,
        page_size: u16,
        ahead: Option<&Ahead>,
    ) -> Result<Page, Error> {
        let object = &locator.object;
        let build = |session: &Session| {
            let why = "the address of the next page leads to another host".to_owned();
            let url = session.instance.join(&locator.path).ok();
            let url = url.filter(|url| url.origin() == session.instance.origin());
            let url = url.ok_or(Error::Answer { what: "query-more".to_owned(), why })?;
            self.records_request(session, url, page_size)
        };
        let epoch = Some(locator.epoch);
        let ask = Ask { epoch, ..Ask::new(who, Purpose::QueryMore, object) };
        self.page(ask, build, selection, false, ahead).await
    }

    /// How many records a `SELECT COUNT()` query counts.
    pub async fn count(&self, who: &Caller, soql: &str) -> Result<u64, Error> {
        let text = Text::new("query", soql)?;
        let build = |session: &Session| self.query_request(session, &text, 2000);
        let ask = Ask::new(who, Purpose::Count, object_of(soql));
        let read = |answer: &Answer| {
            let found = Selection::new(&[], None).read_answer(&body(answer, text.long)?);
            Ok(found.map_err(|error| Unreadable::Damaged(error.to_string()))?.total)
        };
        Ok(self.shared().data(ask, build, read).await?.value)
    }

    fn query_request(
        &self,
        session: &Session,
        text: &Text<'_>,
        page_size: u16,
    ) -> Result<reqwest::Request, Error> {
        let shared = self.shared();
        let mut url = shared.data_path(session, text.path);
        url.set_query(Some(&text.query));
        if !text.long {
            return self.records_request(session, url, page_size);
        }
        // As the only part of a composite request, which is one call whatever it holds, and has no such bound.
        self.composite_request(session, [(text.path, text.query.as_str(), page_size)].into_iter())
    }

    /// Queries as the parts of one request: resource, parameters and page size of each.
    pub(super) fn composite_request<'a>(
        &self,
        session: &Session,
        queries: impl Iterator<Item = (&'a str, &'a str, u16)>,
    ) -> Result<reqwest::Request, Error> {
        let shared = self.shared();
        let part = |(number, (path, query, page_size)): (usize, (&str, &str, u16))| {
            serde_json::json!({
                "method": "GET",
                "url": format!("{}?{query}", shared.data_path(session, path).path()),
                "referenceId": format!("page{number}"),
                // It is not written down whether Salesforce heeds this in a part: pages may be larger then.
                "httpHeaders": { "Sforce-Query-Options": options(page_size) },
            })
        };
        let parts: Vec<_> = queries.enumerate().map(part).collect();
        let parts = serde_json::json!({ "compositeRequest": parts }).to_string();
        let url = shared.data_path(session, "composite");
        let mut request = shared.request(session, Method::POST, url, &[])?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(parts.into());
        Ok(request)
    }

    fn records_request(
        &self,
        session: &Session,
        url: Url,
        page_size: u16,
    ) -> Result<reqwest::Request, Error> {
        let options = options(page_size);
        self.shared().request(session, Method::GET, url, &[("sforce-query-options", &options)])
    }

    async fn page(
        &self,
        ask: Ask<'_>,
        build: impl Fn(&Session) -> Result<reqwest::Request, Error>,
        selection: &Selection,
        long: bool,
        ahead: Option<&Ahead>,
    ) -> Result<Page, Error> {
        let (what, object) = (ask.purpose.as_str(), ask.object);
        // Of the session that asked last.
        let epoch = AtomicU64::new(0);
        let build = |session: &Session| {
            epoch.store(session.epoch, Ordering::Relaxed);
            build(session)
        };
        let read = |answer: &Answer| {
            let body = body(answer, long)?;
            found(&body, what, object, epoch.load(Ordering::Relaxed), selection, ahead)
        };
        Ok(Page::new(self.shared().data(ask, build, read).await?, object))
    }
}

/// Reads the answer to a query in this session. `ahead` hears first where the next page lies.
pub(super) fn found(
    body: &Bytes,
    what: &str,
    object: &str,
    epoch: u64,
    selection: &Selection,
    ahead: Option<&Ahead>,
) -> Result<model::Answer, Unreadable> {
    if let Some(ahead) = ahead
        && let Some(path) = next_address(body)
    {
        ahead(Locator { path, epoch, object: object.to_owned() });
    }
    let found = selection.read_answer(body).map_err(|source| match source {
        ScanError::Json(_) => Unreadable::Damaged(source.to_string()),
        source => Error::Records { object: object.to_owned(), source }.into(),
    })?;
    if !found.done && found.next.is_none() {
        return Err(missing(what, "nextRecordsUrl"));
    }
    Ok(found)
}

impl Page {
    /// What a request brought, as a page.
    pub(super) fn new(got: Got<model::Answer>, object: &str) -> Self {
        let model::Answer { total, done, next, batch } = got.value;
        let next = next.filter(|_| !done);
        let locator = |path| Locator { path, epoch: got.epoch, object: object.to_owned() };
        Self {
            batch,
            total,
            done,
            next: next.map(locator),
            date: got.date.unwrap_or_else(Stamp::now),
            bytes: got.bytes,
            took: got.took,
            request_id: got.request_id,
            calls: got.calls,
            shared: None,
        }
    }
}

/// A query as it is sent.
pub(super) struct Text<'a> {
    pub path: &'a str,
    pub query: String,
    /// Whether it is too long for an address.
    long: bool,
}

impl<'a> Text<'a> {
    pub(super) fn new(path: &'a str, soql: &str) -> Result<Self, Error> {
        let length = soql.chars().count();
        if length > soql::LONGEST_QUERY {
            return Err(Error::QueryTooLong { length, most: soql::LONGEST_QUERY });
        }
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("q", soql).finish();
        // The rest is `/services/data/v62.0/`, the resource and a question mark.
        let long = 40 + path.len() + query.len() > soql::LONGEST_URI;
        Ok(Self { path, query, long })
    }
}

fn options(page_size: u16) -> String {
    format!("batchSize={}", page_size.clamp(200, 2000))
}

/// What answers the query itself: the only part of the answer, when it was sent as one.
fn body(answer: &Answer, long: bool) -> Result<Bytes, Unreadable> {
    if !long {
        return Ok(answer.body.clone());
    }
    match parts(answer)?.as_slice() {
        [(200..=299, body)] => Ok(body.clone()),
        [(status, body)] => Err(Unreadable::Refused(Refusal::read(*status, body))),
        _ => Err(missing("query", "compositeResponse")),
    }
}

/// Status and body of each part of a composite answer, in order; they share its memory.
pub(super) fn parts(answer: &Answer) -> Result<Vec<(u16, Bytes)>, Unreadable> {
    #[derive(Deserialize)]
    struct Parts<'a> {
        #[serde(rename = "compositeResponse", borrow)]
        parts: Vec<Part<'a>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Part<'a> {
        #[serde(borrow)]
        body: &'a RawValue,
        http_status_code: u16,
    }
    let parts: Parts<'_> = serde_json::from_slice(&answer.body)
        .map_err(|error| Unreadable::Damaged(error.to_string()))?;
    let part =
        |part: Part<'_>| (part.http_status_code, answer.body.slice_ref(part.body.get().as_bytes()));
    Ok(parts.parts.into_iter().map(part).collect())
}

pub(super) fn missing(what: &str, member: &str) -> Unreadable {
    let why = format!("it has no usable member '{member}'");
    Error::Answer { what: what.to_owned(), why }.into()
}

/// The object of a query of ours, for the words of errors.
pub(super) fn object_of(soql: &str) -> &str {
    soql.split_once(" FROM ")
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .unwrap_or("the query")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_object() {
        assert_eq!(object_of("SELECT Id FROM Contact ORDER BY Id"), "Contact");
        assert_eq!(object_of("x"), "the query");
    }
}

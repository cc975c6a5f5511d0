//! Queries: one page of records to a call.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use sonic_rs::JsonValueTrait as _;
use url::Url;

use super::connection::Session;
use super::http::Answer;
use super::org::{Ask, Got, Org, Unreadable};
use super::{Error, soql};
use crate::model::{Batch, Caller, Purpose, RetryNote, ScanError, Selection, Span, Stamp};

/// Where the next page of a query lies. It is good for one session of one run, and never stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locator {
    path: String,
    epoch: u64,
    object: String,
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
    /// Why it had to be asked for again, if it had to.
    pub retries: Vec<RetryNote>,
    /// Counted calls spent on it.
    pub calls: u64,
}

impl Page {
    /// The records in batches of at most `most` (at least 1), in order; the text is shared. An empty page is one
    /// empty batch.
    pub fn split(&self, most: usize) -> Vec<Batch> {
        let most = most.max(1);
        if self.batch.len() <= most {
            return vec![self.batch.clone()];
        }
        let all: Vec<usize> = (0..self.batch.len()).collect();
        all.chunks(most).map(|part| self.batch.select(part)).collect()
    }
}

/// What the top level of an answer to a query holds.
#[derive(Debug, Default)]
struct Top {
    total: Option<u64>,
    done: Option<bool>,
    next: Option<String>,
    records: Option<Span>,
}

impl Org {
    /// Sends a query and reads its first page. `all`: deleted and archived records too. `page_size` is a wish within
    /// 200 to 2000; pages may be smaller or larger.
    pub async fn query(
        &self,
        who: &Caller,
        soql: &str,
        all: bool,
        selection: &Selection,
        page_size: u16,
    ) -> Result<Page, Error> {
        let object = object_of(soql);
        let path = if all { "queryAll" } else { "query" };
        let build = |session: &Session| self.query_request(session, path, soql, page_size);
        let ask = Ask { who, purpose: Purpose::Query, object, epoch: None };
        self.page(ask, build, selection).await
    }

    /// Reads a further page. When the session changed since the locator was given, or Salesforce no longer knows it,
    /// the error is [`Error::Locator`]: query again from the last committed record.
    pub async fn more(
        &self,
        who: &Caller,
        locator: &Locator,
        selection: &Selection,
        page_size: u16,
    ) -> Result<Page, Error> {
        let object = &locator.object;
        let build = |session: &Session| {
            let why = "the address of the next page leads to another host".to_owned();
            let url = session.instance.join(&locator.path).ok();
            let url = url.filter(|url| url.origin() == session.instance.origin());
            let url = url.ok_or(Error::Answer { what: "query-more".to_owned(), why })?;
            self.records_request(session, url, page_size)
        };
        let ask = Ask { who, purpose: Purpose::QueryMore, object, epoch: Some(locator.epoch) };
        self.page(ask, build, selection).await
    }

    /// How many records a `SELECT COUNT()` query counts.
    pub async fn count(&self, who: &Caller, soql: &str) -> Result<u64, Error> {
        let build = |session: &Session| self.query_request(session, "query", soql, 2000);
        let ask = Ask { who, purpose: Purpose::Count, object: object_of(soql), epoch: None };
        let read = |answer: &Answer| {
            let total = top(&answer.body)?.total;
            total.ok_or_else(|| missing("count", "totalSize"))
        };
        Ok(self.shared().data(ask, build, read).await?.value)
    }

    fn query_request(
        &self,
        session: &Session,
        path: &str,
        soql: &str,
        page_size: u16,
    ) -> Result<reqwest::Request, Error> {
        let mut url = self.shared().data_path(session, path);
        url.query_pairs_mut().append_pair("q", soql);
        let length = url.as_str().len() - url.origin().ascii_serialization().len();
        if length > soql::LONGEST_URI {
            return Err(Error::QueryTooLong { length, most: soql::LONGEST_URI });
        }
        self.records_request(session, url, page_size)
    }

    fn records_request(
        &self,
        session: &Session,
        url: Url,
        page_size: u16,
    ) -> Result<reqwest::Request, Error> {
        let options = format!("batchSize={}", page_size.clamp(200, 2000));
        self.shared().request(session, Method::GET, url, &[("sforce-query-options", &options)])
    }

    async fn page(
        &self,
        ask: Ask<'_>,
        build: impl Fn(&Session) -> Result<reqwest::Request, Error>,
        selection: &Selection,
    ) -> Result<Page, Error> {
        let (what, object) = (ask.purpose.as_str(), ask.object);
        let read = |answer: &Answer| {
            let top = top(&answer.body)?;
            let total = top.total.ok_or_else(|| missing(what, "totalSize"))?;
            let done = top.done.ok_or_else(|| missing(what, "done"))?;
            let records = top.records.ok_or_else(|| missing(what, "records"))?;
            if !done && top.next.is_none() {
                return Err(missing(what, "nextRecordsUrl"));
            }
            let batch =
                selection.read_list(&answer.body, records).map_err(|source| match source {
                    ScanError::Json { .. } => Unreadable::Damaged(source.to_string()),
                    source => Error::Records { object: object.to_owned(), source }.into(),
                })?;
            Ok((batch, total, done, top.next))
        };
        let got: Got<_> = self.shared().data(ask, build, read).await?;
        let (batch, total, done, next) = got.value;
        let next = next.filter(|_| !done);
        let epoch = got.epoch;
        Ok(Page {
            batch,
            total,
            done,
            next: next.map(|path| Locator { path, epoch, object: object.to_owned() }),
            date: got.date.unwrap_or_else(Stamp::now),
            bytes: got.bytes,
            took: got.took,
            request_id: got.request_id,
            retries: got.retries,
            calls: got.calls,
        })
    }
}

fn missing(what: &str, member: &str) -> Unreadable {
    let why = format!("it has no usable member '{member}'");
    Error::Answer { what: what.to_owned(), why }.into()
}

/// Reads the top level of an answer; the records are found, not read.
fn top(body: &Bytes) -> Result<Top, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|error| Unreadable::Damaged(error.to_string()))?;
    let mut top = Top::default();
    for member in sonic_rs::to_object_iter(text) {
        let (name, value) = member.map_err(|error| {
            let words = error.to_string();
            Unreadable::Damaged(words.lines().next().unwrap_or_default().to_owned())
        })?;
        match name.as_ref() {
            "totalSize" => top.total = value.as_u64(),
            "done" => top.done = value.as_bool(),
            "nextRecordsUrl" => top.next = value.as_str().map(str::to_owned),
            "records" if value.is_array() => {
                let raw = value.as_raw_str();
                let start = (raw.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
                let (start, len) = (u32::try_from(start).ok(), u32::try_from(raw.len()).ok());
                top.records = start.zip(len).map(|(start, len)| Span { start, len });
            }
            _ => {}
        }
    }
    // A body that breaks off between two members reads well up to there.
    if !text.trim_end().ends_with('}') {
        return Err(Unreadable::Damaged("it breaks off".to_owned()));
    }
    Ok(top)
}

/// The object of a query of ours, for the words of errors.
fn object_of(soql: &str) -> &str {
    soql.split_once(" FROM ")
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .unwrap_or("the query")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_members_in_any_order() {
        let body = r#"{"records":[{"Id":"x}]"}],"done":false,"nextRecordsUrl":"\/services\/x","totalSize":1505,"more":{}}"#;
        let body = Bytes::from_static(body.as_bytes());
        let top = top(&body).unwrap();
        assert_eq!(
            (top.total, top.done, top.next.as_deref()),
            (Some(1505), Some(false), Some("/services/x"))
        );
        assert_eq!(&body[top.records.unwrap().range()], br#"[{"Id":"x}]"}]"#);
    }

    #[test]
    fn every_cut_is_noticed() {
        let body = r#"{"totalSize":1,"done":true,"records":[{"attributes":{},"Id":"0034C00000VaYfKQAV"}]}"#;
        assert!(top(&Bytes::from_static(body.as_bytes())).is_ok());
        for at in 0..body.len() {
            let cut = Bytes::copy_from_slice(&body.as_bytes()[..at]);
            assert!(matches!(top(&cut), Err(Unreadable::Damaged(_))), "{}", &body[..at]);
        }
    }

    #[test]
    fn names_the_object() {
        assert_eq!(object_of("SELECT Id FROM Contact ORDER BY Id"), "Contact");
        assert_eq!(object_of("x"), "the query");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in ".{0,200}") {
            drop(top(&Bytes::from(text.clone())));
            drop(top(&Bytes::from(format!("{{\"records\":[{text}]}}"))));
        }
    }
}

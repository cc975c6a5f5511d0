//! query, queryAll and the pages that follow.

use std::sync::Arc;

use axum::http::StatusCode;
use bytes::Bytes;

use super::answer::Answer;
use super::pages::{Found, Page, PageKey};
use super::route::{Route, Target};
use super::{Ask, effects};
use crate::data::tokens::{self, TokenRow};
use crate::faults::FaultKind;
use crate::org::ApiError;
use crate::state::State;
use crate::sync::{lock, read, write};

/// Salesforce's bounds and default for `batchSize`.
const SMALLEST: usize = 200;
const LARGEST: usize = 2_000;

/// The first page of a query.
pub(crate) fn first(
    state: &State,
    ask: &Ask,
    version: &str,
    all: bool,
    user: &str,
    hits: &[FaultKind],
) -> Answer {
    let Some(text) = ask.param("q") else {
        return Answer::error(
            StatusCode::BAD_REQUEST,
            "MALFORMED_QUERY",
            "A query string has to be specified",
        );
    };
    let refused = |error: ApiError| {
        let mut answer = Answer::from(error);
        answer.facts.query = Some(text.to_owned());
        answer
    };
    if from_clause(text).is_some_and(|object| object.eq_ignore_ascii_case(tokens::OBJECT)) {
        return token_list(state, text, version, user).unwrap_or_else(refused);
    }
    let found = match run(state, text, all) {
        Ok(found) => found,
        Err(error) => return refused(error),
    };
    let too_slow =
        |hit: &&FaultKind| matches!(hit, FaultKind::SlowQuery { most } if found.set.total > *most);
    if hits.iter().any(|hit| too_slow(&hit)) {
        let mut answer = effects::query_timeout();
        answer.facts.query = Some(text.to_owned());
        return answer;
    }
    page(state, ask, version, &found, None, 0, hits)
}

/// Salesforce's list of approvals, as this user may see it, in one page.
fn token_list(state: &State, text: &str, version: &str, user: &str) -> Result<Answer, ApiError> {
    let lines = {
        let auth = lock(&state.auth);
        if auth.list_hidden() {
            let message = format!(
                "\n{text}\n^\nERROR at Row:1:Column:1\nsObject type '{}' is not supported.",
                tokens::OBJECT
            );
            return Err(ApiError::bad("INVALID_TYPE", message));
        }
        let all = state.config.token_admins.iter().any(|admin| admin == user);
        auth.list(|approval| all || approval.user == user)
    };
    let mut org = write(&state.org);
    let lines: Vec<TokenRow> = lines
        .into_iter()
        .map(|approval| TokenRow {
            app: approval.app.clone(),
            user_id: org.user_id(&approval.user),
            token: approval.token().to_owned(),
            made: approval.made,
            last_used: approval.last_used,
            uses: approval.refreshes,
        })
        .collect();
    org.set_tokens(&lines);
    let set = org.query(text, false, state.now())?;
    let rows = if set.count_only { 0 } else { set.total };
    let head = format!(r#"{{"totalSize":{},"done":true,"records":"#, set.total);
    let records = org.page(&set, 0, rows, version);
    let records = if rows == 0 { Bytes::from_static(b"[]") } else { records };
    let mut answer = Answer::page(head, Arc::new(Page::new(records)));
    answer.facts.object = Some(set.object.clone());
    answer.facts.query = Some(text.to_owned());
    answer.facts.offset = Some(0);
    answer.facts.records = rows;
    Ok(answer)
}

/// A further page, by locator.
pub(crate) fn more(
    state: &State,
    ask: &Ask,
    version: &str,
    locator: &str,
    hits: &[FaultKind],
) -> Answer {
    match locate(state, locator) {
        Some((found, cursor, offset)) => {
            page(state, ask, version, &found, Some(cursor), offset, hits)
        }
        None => bad_locator(),
    }
}

/// What Salesforce says to a locator that is unknown, too old or points past the end.
pub(crate) fn bad_locator() -> Answer {
    Answer::error(StatusCode::BAD_REQUEST, "INVALID_QUERY_LOCATOR", "invalid query locator")
}

/// The object that a request reads, as far as can be told before it is answered.
pub(crate) fn object_of(state: &State, ask: &Ask, target: &Target) -> Option<String> {
    match &target.route {
        Route::Describe(object) | Route::Deleted(object) | Route::Updated(object) => {
            Some(object.clone())
        }
        Route::Query { .. } => from_clause(ask.param("q")?),
        Route::More(locator) => locate(state, locator).map(|(found, ..)| found.set.object.clone()),
        _ => None,
    }
}

fn from_clause(soql: &str) -> Option<String> {
    let mut words =
        soql.split_whitespace().skip_while(|word| !word.eq_ignore_ascii_case("from")).skip(1);
    words.next().map(str::to_owned)
}

fn locate<'a>(state: &State, locator: &'a str) -> Option<(Arc<Found>, &'a str, usize)> {
    let (cursor, offset) = locator.rsplit_once('-')?;
    let offset: usize = offset.parse().ok()?;
    let found = lock(&state.cursors).get(cursor, state.now())?;
    (offset <= found.set.total).then_some((found, cursor, offset))
}

fn run(state: &State, text: &str, all: bool) -> Result<Arc<Found>, ApiError> {
    let org = read(&state.org);
    let revision = org.revision();
    let keep = !depends_on_time(text);
    if keep && let Some(found) = lock(&state.pages).result(revision, all, text) {
        return Ok(found);
    }
    let set = org.query(text, all, state.now())?;
    Ok(lock(&state.pages).add_result(revision, all, text, set, keep))
}

/// Whether the text may hold a date literal such as TODAY, whose answer changes by itself.
fn depends_on_time(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    ["TODAY", "TOMORROW", "YESTERDAY", "LAST_", "NEXT_", "THIS_", "_AGO"]
        .iter()
        .any(|word| upper.contains(word))
}

/// What is left of the wish in the header after Salesforce's bounds and the org's own cap.
fn batch_size(ask: &Ask, cap: usize) -> usize {
    let wished = ask
        .header("sforce-query-options")
        .into_iter()
        .flat_map(|options| options.split([',', ';']))
        .filter_map(|option| option.trim().split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("batchSize"))
        .and_then(|(_, size)| size.trim().parse::<usize>().ok());
    wished.map_or(LARGEST, |size| size.clamp(SMALLEST, LARGEST)).min(cap.max(1))
}

fn page(
    state: &State,
    ask: &Ask,
    version: &str,
    found: &Arc<Found>,
    cursor: Option<&str>,
    offset: usize,
    hits: &[FaultKind],
) -> Answer {
    let set = &found.set;
    let mut rows = batch_size(ask, state.config.page_cap.min(set.page_ceiling()));
    let mut promise_more = false;
    for hit in hits {
        match hit {
            FaultKind::ShortPage { rows: short } => rows = rows.min((*short).max(1)),
            FaultKind::OversizePage { rows: many } => rows = (*many).max(1),
            FaultKind::EmptyPage => {
                rows = 0;
                promise_more = true;
            }
            _ => {}
        }
    }
    let left = if set.count_only { 0 } else { set.total.saturating_sub(offset) };
    let rows = rows.min(left);
    let done = rows == left && !promise_more;

    let head = if done {
        format!(r#"{{"totalSize":{},"done":true,"records":"#, set.total)
    } else {
        let cursor = match cursor {
            Some(cursor) => cursor.to_owned(),
            None => lock(&state.cursors).open(Arc::clone(found), state.now()),
        };
        format!(
            r#"{{"totalSize":{},"done":false,"nextRecordsUrl":"/services/data/{version}/query/{cursor}-{}","records":"#,
            set.total,
            offset + rows
        )
    };
    let mut answer = Answer::page(head, rendered(state, found, offset, rows, version));
    answer.facts.object = Some(set.object.clone());
    answer.facts.query = Some(found.text.clone());
    answer.facts.offset = Some(offset);
    answer.facts.records = rows;
    answer
}

fn rendered(state: &State, found: &Found, offset: usize, rows: usize, version: &str) -> Arc<Page> {
    if rows == 0 {
        return Arc::new(Page::new(Bytes::from_static(b"[]")));
    }
    let org = read(&state.org);
    let key = PageKey {
        serial: found.serial,
        revision: org.revision(),
        offset,
        rows,
        version: version.to_owned(),
    };
    if let Some(page) = lock(&state.pages).page(&key) {
        return page;
    }
    let page = Arc::new(Page::new(org.page(&found.set, offset, rows, version)));
    lock(&state.pages).add_page(key, &page);
    page
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, Method};

    use super::*;

    fn asked(options: &str) -> Ask {
        let mut headers = HeaderMap::new();
        headers.insert("Sforce-Query-Options", options.parse().unwrap());
        Ask {
            method: Method::GET,
            path: String::new(),
            params: Vec::new(),
            headers,
            body: Bytes::new(),
        }
    }

    #[test]
    fn batch_size_is_clamped_and_capped() {
        for (options, cap, expected) in [
            ("batchSize=1000", 2_000, 1_000),
            ("batchSize=1", 2_000, 200),
            ("batchSize=9999", 2_000, 2_000),
            ("batchsize = 500", 2_000, 500),
            ("other=1, batchSize=300", 2_000, 300),
            ("batchSize=x", 2_000, 2_000),
            ("batchSize=1000", 250, 250),
        ] {
            assert_eq!(batch_size(&asked(options), cap), expected, "{options}");
        }
    }

    #[test]
    fn from_is_found_in_any_case() {
        assert_eq!(from_clause("select Id\nFrom Contact where X = 1").as_deref(), Some("Contact"));
        assert_eq!(from_clause("select Id"), None);
    }
}

//! Runs that begin at one moment ask their first pages in one composite call, which Salesforce counts once.
//!
//! Each part of its answer is a page like any other, with the address of the next one, so no answer is asked for in vain.
//! Where Salesforce's documents are silent this is careful: it holds five queries at most, and only of runs that expect next
//! to nothing, since it is not known whether the page size that is wished for counts in a part, and all parts are one body.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tracing::Instrument as _;

use super::connection::Session;
use super::http::Answer;
use super::org::{Ask, Got, Next, Org, Unreadable};
use super::query::{Ahead, Page, Text, found, missing, object_of, parts};
use super::{Error, Refusal};
use crate::model::{Caller, ConnectionName, Purpose, Selection, SyncName};
use crate::quota::LimitKind;

/// The most queries that one call may hold, and so the most syncs that start as one.
pub const MOST_TOGETHER: usize = 5;

/// How long the others are waited for: a run may have to describe its object first, or to renew a session.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a connection's syncs ask one by one after Salesforce refused a composite call.
const APART: Duration = Duration::from_secs(24 * 60 * 60);

/// With whom a page shared its call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedCall {
    /// The other syncs.
    pub others: Vec<SyncName>,
    /// The run that the ledger has the call with.
    pub counted: Caller,
}

impl fmt::Display for SharedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.others.iter().map(SyncName::as_str).collect();
        let n = names.len();
        let others = if n == 1 { "1 other".to_owned() } else { format!("{n} others") };
        write!(f, "its first page shared one API call with {others} ({})", names.join(", "))?;
        match (&self.counted.sync, self.counted.run) {
            (Some(sync), Some(run)) => write!(f, ", counted with run {run} of {sync}"),
            _ => Ok(()),
        }
    }
}

/// A place among runs that may ask together. Whoever drops it is not waited for.
pub struct Seat {
    party: Arc<Mutex<Party>>,
    place: usize,
    open: bool,
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seat({})", self.place)
    }
}

/// So many places, the most important first.
pub fn seats(n: usize) -> Vec<Seat> {
    let party = Arc::new(Mutex::new(Party { missing: n, asked: Vec::new(), gone: false }));
    (0..n).map(|place| Seat { party: party.clone(), place, open: true }).collect()
}

/// Those who wait, and for how many others.
struct Party {
    missing: usize,
    asked: Vec<Asked>,
    gone: bool,
}

/// A first page that is wanted.
#[derive(Clone)]
struct Question {
    place: usize,
    who: Caller,
    object: String,
    /// The parameters of the request.
    query: String,
    page_size: u16,
}

struct Asked {
    question: Question,
    reply: oneshot::Sender<Told>,
}

enum Told {
    /// Nobody else asks, or it must ask again by itself.
    Alone,
    /// It is to ask for these too.
    Lead(Vec<Asked>),
    /// Salesforce's answer, good or bad.
    Part(Box<Result<(Got<Bytes>, SharedCall), Error>>),
}

/// Resource of a query that finds deleted and archived records too.
const QUERY_ALL: &str = "queryAll";

fn party(party: &Mutex<Party>) -> MutexGuard<'_, Party> {
    // Every change leaves it whole, so a panic elsewhere does not spoil it.
    party.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Party {
    fn came(&mut self) {
        self.missing = self.missing.saturating_sub(1);
        if self.missing == 0 {
            self.leave();
        }
    }

    /// Waits for nobody any longer.
    fn leave(&mut self) {
        if !self.gone {
            self.depart();
        }
    }

    /// Parts those who are there into calls; who comes later asks alone.
    fn depart(&mut self) {
        self.gone = true;
        let mut asked = std::mem::take(&mut self.asked);
        asked.sort_by_key(|asked| asked.question.place);
        let mut by = BTreeMap::<ConnectionName, Vec<Asked>>::new();
        for one in asked {
            by.entry(one.question.who.connection.clone()).or_default().push(one);
        }
        for mut group in by.into_values() {
            while !group.is_empty() {
                let rest = group.split_off(group.len().min(MOST_TOGETHER));
                appoint(group);
                group = rest;
            }
        }
    }
}

/// Lets the first of a group ask for all; one that has gone away is passed over.
fn appoint(mut group: Vec<Asked>) {
    while !group.is_empty() {
        let leader = group.remove(0);
        let told = if group.is_empty() { Told::Alone } else { Told::Lead(group) };
        match leader.reply.send(told) {
            Err(Told::Lead(others)) => group = others,
            _ => return,
        }
    }
}

impl Seat {
    /// None: the others are gone.
    fn ask(mut self, mut question: Question) -> Option<oneshot::Receiver<Told>> {
        question.place = self.place;
        self.open = false;
        let mut party = party(&self.party);
        if party.gone {
            return None;
        }
        let (reply, told) = oneshot::channel();
        party.asked.push(Asked { question, reply });
        party.came();
        Some(told)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.open {
            party(&self.party).came();
        }
    }
}

impl Org {
    /// The first page of a query that finds deleted and archived records too, asked together with the others of the seat's
    /// party where that saves a call, and alone where it does not. See [`Org::query`].
    pub async fn query_together(
        &self,
        seat: Seat,
        who: &Caller,
        soql: &str,
        selection: &Selection,
        page_size: u16,
        ahead: Option<&Ahead>,
    ) -> Result<Page, Error> {
        let Some((got, shared)) = self.share(seat, who, soql, page_size).await? else {
            return self.query(who, soql, true, selection, page_size, ahead).await;
        };
        let (what, object) = (Purpose::Poll.as_str(), object_of(soql));
        let value = found(&got.value, what, object, got.epoch, selection, ahead);
        let value = value.map_err(|unreadable| match unreadable {
            Unreadable::Useless(error) => error,
            Unreadable::Damaged(why) => Error::Answer { what: what.to_owned(), why },
            Unreadable::Refused(Refusal { status, code, message }) => {
                Error::Refused { what: what.to_owned(), status, code, message }
            }
        })?;
        let page = Page::new(with(got, value), object);
        Ok(Page { shared: Some(shared), ..page })
    }

    /// None: it must ask alone.
    async fn share(
        &self,
        seat: Seat,
        who: &Caller,
        soql: &str,
        page_size: u16,
    ) -> Result<Option<(Got<Bytes>, SharedCall)>, Error> {
        if self.asks_apart(&who.connection) {
            return Ok(None);
        }
        let question = Question {
            place: 0,
            who: who.clone(),
            object: object_of(soql).to_owned(),
            query: Text::new(QUERY_ALL, soql)?.query,
            page_size,
        };
        let others = seat.party.clone();
        let Some(mut told) = seat.ask(question.clone()) else { return Ok(None) };
        let mut answer = match tokio::time::timeout(PATIENCE, &mut told).await {
            Ok(answer) => answer,
            Err(_) => {
                party(&others).leave();
                told.await
            }
        };
        if let Ok(Told::Lead(mut group)) = answer {
            let (reply, told) = oneshot::channel();
            group.insert(0, Asked { question, reply });
            // A task of its own: what is asked for others goes on when this run is stopped.
            tokio::spawn(ask_for(self.clone(), group).in_current_span());
            answer = told.await;
        }
        match answer {
            Ok(Told::Part(part)) => part.map(Some),
            // An error: who asked for this one is gone.
            Ok(Told::Alone | Told::Lead(_)) | Err(_) => Ok(None),
        }
    }

    fn asks_apart(&self, connection: &ConnectionName) -> bool {
        let apart = self.shared().apart.lock().unwrap_or_else(PoisonError::into_inner);
        apart.get(connection).is_some_and(|until| self.gate().now() < *until)
    }

    /// Takes in that a composite call was refused.
    fn ask_apart(&self, connection: &ConnectionName, error: &Error) {
        tracing::warn!(%connection, %error, "Salesforce takes no composite call; syncs ask one by one for a day");
        let mut apart = self.shared().apart.lock().unwrap_or_else(PoisonError::into_inner);
        apart.insert(connection.clone(), self.gate().now().plus(APART));
    }
}

/// Sends for all of them at once and gives each its answer.
async fn ask_for(org: Org, group: Vec<Asked>) {
    let Some(first) = group.first() else { return };
    let counted = first.question.who.clone();
    let syncs: Vec<SyncName> =
        group.iter().filter_map(|asked| asked.question.who.sync.clone()).collect();
    let ask = Ask { behalf: &syncs, ..Ask::new(&counted, Purpose::Poll, "several objects") };
    let build = |session: &Session| {
        let questions = group.iter().map(|asked| &asked.question);
        let queries = questions.map(|one| (QUERY_ALL, one.query.as_str(), one.page_size));
        org.composite_request(session, queries)
    };
    let read = |answer: &Answer| {
        let parts = parts(answer)?;
        let whole = parts.len() == group.len();
        if whole { Ok(parts) } else { Err(missing("poll", "compositeResponse")) }
    };
    let got = match org.shared().data(ask, build, read).await {
        Ok(got) => got,
        Err(error) => {
            let meant = meaning(&error);
            if meant == Meaning::NotToBeHad {
                org.ask_apart(&counted.connection, &error);
            }
            for asked in group {
                let told = match meant {
                    Meaning::ForAll => Told::Part(Box::new(Err(error.clone()))),
                    _ => Told::Alone,
                };
                drop(asked.reply.send(told));
            }
            return;
        }
    };
    let (mut answered, mut unfit) = (0_u16, None);
    let (call, parts) = (got.call.clone(), &got.value);
    for (asked, (status, body)) in group.into_iter().zip(parts) {
        let question = &asked.question;
        let told = if matches!(status, 200..=299) {
            let own = question.who.sync.as_ref();
            let others = syncs.iter().filter(|sync| Some(*sync) != own).cloned().collect();
            let shared = SharedCall { others, counted: counted.clone() };
            Told::Part(Box::new(Ok((part(&got, body.clone()), shared))))
        } else {
            let ask = Ask::new(&question.who, Purpose::Query, &question.object);
            match org.shared().understood(&ask, Refusal::read(*status, body)).0 {
                // It may be that the resource is refused only as a part: its own answer tells.
                Next::Stop(error) if meaning(&error) == Meaning::NotToBeHad && *status != 400 => {
                    unfit = Some(error);
                    Told::Alone
                }
                Next::Stop(error) => Told::Part(Box::new(Err(error))),
                // It may pass: that one asks again.
                Next::Again(_) | Next::Renew => Told::Alone,
            }
        };
        answered += u16::from(!matches!(told, Told::Alone));
        drop(asked.reply.send(told));
    }
    match (answered, call, unfit) {
        (0, _, Some(error)) => org.ask_apart(&counted.connection, &error),
        (2.., Some(call), _) => org.gate().saved(&call, answered - 1),
        _ => {}
    }
}

/// What the end of the whole call means for each.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    /// It would have met the same.
    ForAll,
    /// It asks by itself.
    Alone,
    /// The same, and the next ones as well.
    NotToBeHad,
}

fn meaning(error: &Error) -> Meaning {
    match error {
        Error::Refused { .. } | Error::Answer { .. } => Meaning::NotToBeHad,
        // What is too much for one call need not be for each, and the cap of one run is not that of the others.
        Error::TooLarge { .. } | Error::QueryTimeout { .. } => Meaning::Alone,
        Error::Limit { kind: LimitKind::LongRunning, .. } => Meaning::Alone,
        Error::NoPermit(refused) if refused.code == "limit.run" => Meaning::Alone,
        _ => Meaning::ForAll,
    }
}

/// One part as an answer of its own.
fn part<T>(whole: &Got<T>, body: Bytes) -> Got<Bytes> {
    Got {
        epoch: whole.epoch,
        date: whole.date,
        bytes: body.len() as u64,
        took: whole.took,
        request_id: whole.request_id.clone(),
        calls: whole.calls,
        call: None,
        value: body,
    }
}

fn with<T, U>(got: Got<T>, value: U) -> Got<U> {
    let Got { epoch, date, bytes, took, request_id, calls, call, .. } = got;
    Got { value, epoch, date, bytes, took, request_id, calls, call }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Refused;

    fn question(connection: &str) -> Question {
        let who = Caller {
            connection: ConnectionName::new(connection).unwrap(),
            sync: None,
            run: None,
            page: None,
        };
        let (object, query) = ("Contact".to_owned(), "q=x".to_owned());
        Question { place: 0, who, object, query, page_size: 1000 }
    }

    /// How many a told one asks for, itself among them; 0: it waits for another's answer.
    fn told(told: &mut oneshot::Receiver<Told>) -> usize {
        match told.try_recv() {
            Ok(Told::Alone) => 1,
            Ok(Told::Lead(others)) => {
                let places: Vec<usize> = others.iter().map(|one| one.question.place).collect();
                assert!(places.is_sorted());
                // Whoever they are, they still wait.
                std::mem::forget(others);
                1 + places.len()
            }
            Ok(Told::Part(_)) => panic!("nothing was sent"),
            Err(_) => 0,
        }
    }

    #[test]
    fn those_who_are_there_leave_when_nobody_is_missing() {
        let mut seats = seats(8).into_iter();
        let mut waiting: Vec<_> =
            seats.by_ref().take(6).map(|seat| seat.ask(question("main")).unwrap()).collect();
        assert!(waiting.iter_mut().all(|one| told(one) == 0), "two are missing");
        let mut other = seats.next().unwrap().ask(question("other")).unwrap();
        // The last one has nothing to ask.
        drop(seats.next());
        let asked: Vec<usize> = waiting.iter_mut().map(told).collect();
        assert_eq!(asked, [5, 0, 0, 0, 0, 1], "five to a call, and what is left alone");
        assert_eq!(told(&mut other), 1, "another connection");
    }

    #[test]
    fn who_went_away_is_passed_over() {
        let mut three = seats(4).into_iter();
        let first = three.next().unwrap().ask(question("main")).unwrap();
        let mut second = three.next().unwrap().ask(question("main")).unwrap();
        drop(first);
        let mut third = three.next().unwrap().ask(question("main")).unwrap();
        let last = three.next().unwrap();
        party(&last.party).depart();
        assert_eq!((told(&mut second), told(&mut third)), (2, 0));
        assert!(last.ask(question("main")).is_none(), "they are gone");
        let mut alone = seats(1).remove(0).ask(question("main")).unwrap();
        assert_eq!(told(&mut alone), 1);
    }

    #[test]
    fn a_refusal_of_the_whole_is_told_from_one_of_composite_calls() {
        let refused = |status| Error::Refused {
            what: "poll".into(),
            status,
            code: String::new(),
            message: String::new(),
        };
        assert_eq!(meaning(&refused(404)), Meaning::NotToBeHad);
        assert_eq!(meaning(&refused(403)), Meaning::NotToBeHad);
        let no = |code| {
            Error::NoPermit(Refused { code, reason: String::new(), until: None, look: false })
        };
        assert_eq!(meaning(&no("limit.run")), Meaning::Alone);
        assert_eq!(meaning(&no("limit.allowance")), Meaning::ForAll);
        let daily = Error::Limit { kind: LimitKind::Daily, text: String::new() };
        assert_eq!(meaning(&daily), Meaning::ForAll);
    }

    #[test]
    fn says_with_whom() {
        let sync = |name: &str| SyncName::new(name).unwrap();
        let who = question("main").who;
        let counted = Caller { sync: Some(sync("Lead")), run: Some(crate::model::RunId(7)), ..who };
        let shared = SharedCall { others: vec![sync("Lead"), sync("Task")], counted };
        assert_eq!(
            shared.to_string(),
            "its first page shared one API call with 2 others (Lead, Task), counted with run 7 of Lead"
        );
    }
}

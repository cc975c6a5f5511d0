//! What to alert of, as a pure decision.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{ConnectionName, Ending, Pause, Stamp, SyncName};
use crate::web::text::about;

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A sync's last run failed.
    Failed,
    /// A sync is paused: by a limit, or by itself.
    Paused,
    /// A connection must be authorised again, or is refused.
    Reconnect,
    /// A sync's data are older than they should be.
    Stale,
}

impl What {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Failed, Self::Paused, Self::Reconnect, Self::Stale];

    /// In a word, as the configuration spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Paused => "paused",
            Self::Reconnect => "reconnect",
            Self::Stale => "stale",
        }
    }
}

/// A message to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The same whenever it is sent.
    pub id: String,
    /// What is wrong.
    pub alert: What,
    /// Whether it is over.
    pub recovered: bool,
    /// The sync or the connection.
    pub subject: String,
    /// A stable code, for `kilofold explain`.
    pub code: String,
    /// What happened.
    pub message: String,
    /// Since when.
    pub since: Stamp,
    /// When this was decided.
    pub at: Stamp,
    /// All of that in a sentence: chat services show this.
    pub text: String,
}

/// A trouble that was told and is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// What.
    pub alert: What,
    /// The sync or the connection.
    pub subject: String,
    /// Its code.
    pub code: String,
    /// What happened.
    pub message: String,
    /// Since when.
    pub since: Stamp,
}

/// What was told, and what is still to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Book {
    /// What is wrong, as far as it was told.
    pub open: Vec<Open>,
    /// Messages that were not sent yet, in order.
    pub pending: Vec<Alert>,
}

/// How everything stands.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The enabled syncs.
    pub syncs: Vec<SyncStanding>,
    /// The connections, and the code and words of what is wrong with each.
    pub connections: Vec<(ConnectionName, Option<(String, String)>)>,
}

/// How a sync stands.
#[derive(Debug, Clone)]
pub struct SyncStanding {
    /// Its name.
    pub name: SyncName,
    /// Whether it runs by itself.
    pub scheduled: bool,
    /// Why it is paused, when it is.
    pub pause: Option<Pause>,
    /// How its last run ended.
    pub last: Option<Ending>,
    /// Up to when everything in the org has been read.
    pub covered: Option<Stamp>,
}

/// What is to be told.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// These.
    pub on: &'a [What],
    /// Data may be this old.
    pub stale: Duration,
}

/// The most messages that wait to be sent; the oldest go when there are more.
const PENDING: usize = 1000;

/// Compares how things stand with what was told, and adds what is to be sent; tells whether there is any.
pub fn decide(book: &mut Book, standing: &Standing, rules: &Rules<'_>, now: Stamp) -> bool {
    let wrong = wrong(standing, rules, now);
    let mut told = Vec::new();
    let mut still = Vec::new();
    for open in book.open.drain(..) {
        match wrong.get(&(open.alert, open.subject.clone())) {
            Some((code, _)) if *code == open.code => still.push(open),
            // Of another kind now: told below as a trouble of its own, without an all-clear.
            Some(_) => {}
            None => told.push(alert(&open, true, now)),
        }
    }
    for ((what, subject), (code, message)) in wrong {
        if still.iter().any(|open| open.alert == what && open.subject == subject) {
            continue;
        }
        let open = Open { alert: what, subject, code, message, since: now };
        told.push(alert(&open, false, now));
        still.push(open);
    }
    book.open = still;
    let any = !told.is_empty();
    book.pending.extend(told);
    let surplus = book.pending.len().saturating_sub(PENDING);
    book.pending.drain(..surplus);
    any
}

/// Everything that is wrong and is to be told, with its code and words.
fn wrong(
    standing: &Standing,
    rules: &Rules<'_>,
    now: Stamp,
) -> BTreeMap<(What, String), (String, String)> {
    let mut wrong = BTreeMap::new();
    let mut add = |what: What, subject: &str, code: &str, message: String| {
        if rules.on.contains(&what) {
            wrong.insert((what, subject.to_owned()), (code.to_owned(), message));
        }
    };
    for sync in &standing.syncs {
        let name = sync.name.as_str();
        match &sync.last {
            Some(Ending::Failed { code, message }) => {
                add(What::Failed, name, code, message.clone());
            }
            Some(Ending::Paused { code, reason, .. }) => {
                add(What::Paused, name, code, reason.clone());
            }
            _ => {}
        }
        if let Some(cause) = sync.pause.as_ref().and_then(|pause| pause.cause.as_ref()) {
            add(What::Paused, name, &cause.code, cause.reason.clone());
        }
        // A person who paused it knows.
        let meant = sync.pause.as_ref().is_some_and(|pause| pause.cause.is_none());
        if let Some(covered) = sync.covered
            && sync.scheduled
            && !meant
            && now.since(covered) > rules.stale
        {
            let age = about(rules.stale);
            let message = format!(
                "everything up to {covered} has been read, and that is more than {age} ago"
            );
            add(What::Stale, name, "sync.stale", message);
        }
    }
    for (name, trouble) in &standing.connections {
        if let Some((code, why)) = trouble {
            add(What::Reconnect, name.as_str(), code, why.clone());
        }
    }
    wrong
}

fn alert(open: &Open, recovered: bool, now: Stamp) -> Alert {
    let Open { alert, subject, code, message, since } = open.clone();
    let (what, state) = match alert {
        What::Failed => ("sync", "failed"),
        What::Paused => ("sync", "is paused"),
        What::Reconnect => ("connection", "must be authorised again"),
        What::Stale => ("sync", "grows old"),
    };
    let text = match recovered {
        true => {
            format!("kilofold: {what} {subject} is well again, after {}", about(now.since(since)))
        }
        false => format!("kilofold: {what} {subject} {state}: {message} [{code}]"),
    };
    let end = if recovered { "over" } else { "begun" };
    let id = format!("alert-{}-{subject}-{}-{end}", alert.as_str(), since.0);
    Alert { id, alert, recovered, subject, code, message, since, at: now, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules<'_> = Rules { on: &What::ALL, stale: Duration::from_secs(3600) };

    fn sync(last: Option<Ending>, covered: i64) -> SyncStanding {
        SyncStanding {
            name: SyncName::new("Contact").unwrap(),
            scheduled: true,
            pause: None,
            last,
            covered: Some(Stamp(covered)),
        }
    }

    fn of(sync: SyncStanding) -> Standing {
        Standing { syncs: vec![sync], connections: Vec::new() }
    }

    fn failed(code: &str) -> Ending {
        Ending::Failed { code: code.into(), message: "why".into() }
    }

    fn told(book: &mut Book, standing: &Standing, now: i64) -> Vec<String> {
        decide(book, standing, &RULES, Stamp(now));
        let told = book.pending.drain(..);
        told.map(|alert| format!("{} {} {}", alert.alert.as_str(), alert.code, alert.recovered))
            .collect()
    }

    #[test]
    fn tells_once_and_when_it_is_over() {
        let mut book = Book::default();
        let bad = of(sync(Some(failed("auth.reconnect")), 0));
        assert_eq!(told(&mut book, &bad, 10), ["failed auth.reconnect false"]);
        assert!(told(&mut book, &bad, 20).is_empty());
        assert_eq!(
            told(&mut book, &of(sync(Some(failed("org.gone")), 0)), 30),
            ["failed org.gone false"]
        );
        // Over a restart.
        let kept = serde_json::to_vec(&book).unwrap();
        let mut book: Book = serde_json::from_slice(&kept).unwrap();
        let good = of(sync(Some(Ending::Succeeded), 0));
        decide(&mut book, &good, &RULES, Stamp(120_030));
        let last = book.pending.pop().unwrap();
        assert_eq!(last.text, "kilofold: sync Contact is well again, after 2m");
        assert!(last.recovered && book.open.is_empty());
        assert!(!decide(&mut book, &good, &RULES, Stamp(130_000)));
    }

    #[test]
    fn what_grows_old_is_told_unless_a_person_wanted_it() {
        let mut book = Book::default();
        let old = || sync(None, 0);
        assert!(told(&mut book, &of(old()), 3_600_000).is_empty());
        assert_eq!(told(&mut book, &of(old()), 3_600_001), ["stale sync.stale false"]);
        assert_eq!(
            told(&mut book, &of(sync(None, 3_600_000)), 3_700_000),
            ["stale sync.stale true"]
        );
        let paused = SyncStanding { pause: Some(Pause { at: None, cause: None }), ..old() };
        let manual = SyncStanding { scheduled: false, ..old() };
        let none = Rules { on: &[What::Failed], ..RULES };
        assert!(told(&mut book, &of(paused), 9_000_000).is_empty());
        assert!(told(&mut book, &of(manual), 9_000_000).is_empty());
        assert!(!decide(&mut book, &of(old()), &none, Stamp(9_000_000)));
    }

    proptest::proptest! {
        /// However things go: begun and over take turns for each subject, and at the end exactly what is wrong is open.
        #[test]
        fn begun_and_over_take_turns(steps in proptest::collection::vec((0..3_usize, 0..3_usize), 1..40)) {
            let name = |i: usize| ConnectionName::new(&format!("c{i}")).unwrap();
            let mut state = [false; 3];
            let mut book = Book::default();
            for (at, (which, bad)) in (0..).zip(steps) {
                state[which] = bad == 1;
                let connections = (0..3).map(|i| {
                    (name(i), state[i].then(|| ("auth.reconnect".to_owned(), "why".to_owned())))
                });
                let standing = Standing { syncs: Vec::new(), connections: connections.collect() };
                decide(&mut book, &standing, &RULES, Stamp(at));
            }
            for (i, bad) in state.iter().enumerate() {
                let told: Vec<bool> = book.pending.iter().filter(|one| one.subject == format!("c{i}")).map(|one| one.recovered).collect();
                let turns = (0..told.len()).map(|n| n % 2 == 1).collect::<Vec<_>>();
                proptest::prop_assert_eq!(&told, &turns);
                proptest::prop_assert_eq!(told.len() % 2 == 1, *bad);
            }
        }
    }
}

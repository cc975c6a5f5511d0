//! The approvals that Salesforce counts: five for a user and an app. Values and counting only; nothing here asks anybody.
//!
//! An approval counts from the moment when its consent was asked for, whether the user ever finished it or not. What
//! other programs hold is told by the configuration, or by a census of Salesforce's own list of tokens.

use serde::{Deserialize, Serialize};

use crate::model::{ConnectionName, Stamp};

/// How many approvals Salesforce keeps of a user and an app.
pub const MOST: usize = 5;

/// From how many on the user is warned.
pub const WARN: usize = 4;

/// A consent that was not finished after so many milliseconds will not be: its code could not be exchanged any more.
const UNFINISHED: i64 = 60 * 60 * 1000;

/// What has ended is remembered for so long, in milliseconds.
const REMEMBERED: i64 = 90 * 24 * 60 * 60 * 1000;

/// Who approves, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Who {
    /// The user's id.
    pub id: Option<String>,
    /// The user's name.
    pub name: Option<String>,
}

impl Who {
    /// Whether the two are one user; none when that cannot be told.
    fn same(&self, other: &Self) -> Option<bool> {
        match (&self.id, &other.id, &self.name, &other.name) {
            (Some(one), Some(other), ..) => Some(same_id(one, other)),
            (.., Some(one), Some(other)) => Some(one.eq_ignore_ascii_case(other)),
            _ => None,
        }
    }

    fn known(&self) -> bool {
        self.id.is_some() || self.name.is_some()
    }
}

/// Whether two ids of 15 or 18 characters are of one thing.
pub(super) fn same_id(one: &str, other: &str) -> bool {
    let short = |id: &str| id.get(..15).unwrap_or(id).to_owned();
    short(one) == short(other)
}

/// Why an approval counts no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// kilofold revoked it.
    Revoked,
    /// Salesforce no longer takes it.
    Lost,
    /// It was never finished, and Salesforce's list has no token of it.
    Unseen,
    /// It was never finished, and newer ones have taken its place.
    PushedOut,
}

/// One authorisation, from its start on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Its number in the list.
    pub id: u64,
    /// The connection that asked for it.
    pub connection: ConnectionName,
    /// The app.
    pub client_id: String,
    /// Who approves.
    pub who: Who,
    /// When the consent was asked for.
    pub started: Stamp,
    /// When it was given; none: never, or not yet.
    pub given: Option<Stamp>,
    /// When it ended, and why; none: it counts.
    pub ended: Option<(Stamp, End)>,
}

impl Approval {
    fn counts_at(&self, at: Stamp) -> bool {
        self.started <= at && self.ended.is_none_or(|(ended, _)| ended > at)
    }

    fn given_at(&self, at: Stamp) -> bool {
        self.given.is_some_and(|given| given <= at)
    }
}

/// The tokens of one app in Salesforce's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// The app's label.
    pub app: String,
    /// How many there are.
    pub tokens: usize,
    /// When the one that was used the longest time ago was used.
    pub least_used: Option<Stamp>,
    /// When one of them was last used.
    pub last_used: Option<Stamp>,
}

/// What Salesforce's list of tokens said of one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// The user.
    pub user_id: String,
    /// When it was read.
    pub at: Stamp,
    /// The user's tokens by app.
    pub apps: Vec<Tokens>,
    /// Why it says nothing, when the list could not be read.
    pub unread: Option<String>,
}

/// Which of the apps in a census is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ours<'a> {
    /// This one.
    App(&'a Tokens),
    /// There is no token of any app.
    None,
    /// It cannot be told: it may be any of these.
    Unclear(Vec<&'a str>),
}

impl Census {
    /// The app that is ours: the one that the configuration names, or the only one that has as many tokens as we hold.
    pub fn ours(&self, named: Option<&str>, held: usize) -> Ours<'_> {
        if let Some(named) = named {
            let found = self.apps.iter().find(|tokens| tokens.app.eq_ignore_ascii_case(named));
            return found.map_or(Ours::None, Ours::App);
        }
        let mut fit = self.apps.iter().filter(|tokens| tokens.tokens >= held.max(1));
        match (fit.next(), fit.next()) {
            (Some(only), None) => Ours::App(only),
            (None, _) if self.apps.is_empty() => Ours::None,
            _ => Ours::Unclear(self.apps.iter().map(|tokens| tokens.app.as_str()).collect()),
        }
    }
}

/// What the configuration says of a connection whose approvals are counted.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The app.
    pub client_id: &'a str,
    /// Who approves.
    pub who: &'a Who,
    /// The app's label, when it is configured.
    pub app: Option<&'a str>,
    /// Approvals that other programs hold, as configured.
    pub declared: usize,
}

/// Where the number of approvals elsewhere is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "source")]
pub enum Evidence {
    /// Nothing is known of other programs.
    Nothing,
    /// The configuration.
    Declared,
    /// Salesforce's list of tokens.
    Census {
        /// When it was read.
        at: Stamp,
        /// The app's label in it.
        app: String,
    },
}

/// The approval that Salesforce would probably end for another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Victim {
    /// The connection that would be lost; none when it is a start that was never finished.
    pub connection: Option<ConnectionName>,
    /// When it was given, or started.
    pub since: Stamp,
}

/// How many approvals of an app and a user are known, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Who approves; none when that is not known before the consent.
    pub user: Option<String>,
    /// All of them.
    pub number: usize,
    /// Those that our connections hold.
    pub ours: usize,
    /// Those that were started and never finished.
    pub started: usize,
    /// Those that other programs hold.
    pub elsewhere: usize,
    /// How those elsewhere are known.
    pub evidence: Evidence,
    /// The one that another approval would probably end: of ours the oldest.
    pub oldest: Option<Victim>,
    /// When the token that was used the longest time ago was used, as Salesforce's list told.
    pub least_used: Option<Stamp>,
    /// What could not be found out, and how it could.
    pub note: Option<String>,
}

/// All approvals that kilofold has asked for, and the censuses. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Approvals {
    next: u64,
    list: Vec<Approval>,
    censuses: Vec<Census>,
}

impl Approvals {
    /// All that are remembered, in the order of their start.
    pub fn list(&self) -> &[Approval] {
        &self.list
    }

    /// The last census of a user.
    pub fn census(&self, user_id: &str) -> Option<&Census> {
        self.censuses.iter().find(|census| same_id(&census.user_id, user_id))
    }

    /// Enters an authorisation that is started now; gives its number.
    pub fn start(&mut self, connection: &ConnectionName, asked: Asked<'_>, now: Stamp) -> u64 {
        self.forget(now);
        let id = self.enter(connection, asked, now, None);
        // Beyond five Salesforce ends one. A start that was never finished is nobody's loss, so it is taken for that one
        // when it is the oldest; a connection is not, since another may have been chosen.
        loop {
            let over = self.tally(asked, now).number > MOST;
            let oldest =
                self.of(asked).filter(|one| one.counts_at(now)).min_by_key(|one| one.started);
            match oldest.map(|one| (one.id, one.given)) {
                Some((oldest, None)) if over && oldest != id => {
                    self.end(oldest, End::PushedOut, now)
                }
                _ => return id,
            }
        }
    }

    /// Enters an authorisation that was given before this list was kept.
    pub fn had(&mut self, connection: &ConnectionName, asked: Asked<'_>, given: Stamp) -> u64 {
        self.enter(connection, asked, given, Some(given))
    }

    fn enter(
        &mut self,
        connection: &ConnectionName,
        asked: Asked<'_>,
        started: Stamp,
        given: Option<Stamp>,
    ) -> u64 {
        self.next += 1;
        let id = self.next;
        let (client_id, who) = (asked.client_id.to_owned(), asked.who.clone());
        let connection = connection.clone();
        self.list.push(Approval { id, connection, client_id, who, started, given, ended: None });
        id
    }

    /// The user has given one, and is now known.
    pub fn give(&mut self, id: u64, who: &Who, now: Stamp) {
        if let Some(one) = self.list.iter_mut().find(|one| one.id == id) {
            one.given = Some(now);
            one.who = who.clone();
        }
        self.learn(who);
    }

    /// Fills in what is known of a user where a part of it was.
    fn learn(&mut self, who: &Who) {
        for one in self.list.iter_mut().filter(|one| one.who.same(who) == Some(true)) {
            one.who.id = one.who.id.take().or_else(|| who.id.clone());
            one.who.name = one.who.name.take().or_else(|| who.name.clone());
        }
    }

    /// One counts no longer.
    pub fn end(&mut self, id: u64, end: End, now: Stamp) {
        if let Some(one) = self.list.iter_mut().find(|one| one.id == id && one.ended.is_none()) {
            one.ended = Some((now, end));
        }
    }

    /// Takes in what Salesforce's list says. Starts that were never finished and that the list has no token for are
    /// settled: they do not count.
    pub fn observe(&mut self, census: Census, asked: &[Asked<'_>]) {
        if census.unread.is_none() {
            for one in asked.iter().filter(|one| is_user(one.who, &census.user_id)) {
                self.settle(&census, *one);
            }
        }
        self.censuses.retain(|old| !same_id(&old.user_id, &census.user_id));
        self.censuses.push(census);
    }

    fn settle(&mut self, census: &Census, asked: Asked<'_>) {
        let at = census.at;
        let counting = |one: &&Approval| one.counts_at(at);
        let held = self.of(asked).filter(counting).filter(|one| one.given_at(at)).count();
        let tokens = match census.ours(asked.app, held) {
            Ours::App(tokens) => tokens.tokens,
            Ours::None => 0,
            Ours::Unclear(_) => return,
        };
        let old = |one: &&Approval| one.given.is_none() && one.started.0 + UNFINISHED <= at.0;
        let mut unfinished: Vec<(Stamp, u64)> =
            self.of(asked).filter(counting).filter(old).map(|one| (one.started, one.id)).collect();
        unfinished.sort_unstable();
        let unseen = unfinished.len().saturating_sub(tokens.saturating_sub(held));
        for (_, id) in unfinished.into_iter().take(unseen) {
            self.end(id, End::Unseen, at);
        }
    }

    fn forget(&mut self, now: Stamp) {
        let long_ago = |at: Stamp| now.0.saturating_sub(at.0) > REMEMBERED;
        self.list.retain(|one| one.ended.is_none_or(|(at, _)| !long_ago(at)));
    }

    /// The approvals of this app by this user, or perhaps by them.
    fn of<'a>(&'a self, asked: Asked<'a>) -> impl Iterator<Item = &'a Approval> {
        self.list
            .iter()
            .filter(move |one| one.client_id == asked.client_id)
            .filter(move |one| one.who.same(asked.who) != Some(false))
    }

    /// Counts the approvals of an app and a user. When the user is not known yet, those of the user who has the most.
    pub fn tally(&self, asked: Asked<'_>, now: Stamp) -> Tally {
        if asked.who.known() {
            return self.tally_of(asked, now);
        }
        let users = self.list.iter().filter(|one| one.client_id == asked.client_id);
        let users = users.map(|one| &one.who).filter(|who| who.known());
        let worst = users
            .map(|who| self.tally_of(Asked { who, ..asked }, now))
            .max_by_key(|tally| tally.number);
        let mut tally = worst.unwrap_or_else(|| self.tally_of(asked, now));
        if tally.number > 0 {
            let words =
                "who approves is not known before the consent: write `username` for an exact count";
            tally.note = Some(words.to_owned());
        }
        tally.user = None;
        tally
    }

    fn tally_of(&self, asked: Asked<'_>, now: Stamp) -> Tally {
        let counting: Vec<&Approval> = self.of(asked).filter(|one| one.counts_at(now)).collect();
        let ours = counting.iter().filter(|one| one.given.is_some()).count();
        let started = counting.len() - ours;
        let oldest = counting.iter().min_by_key(|one| one.given.unwrap_or(one.started));
        let oldest = oldest.map(|one| Victim {
            connection: one.given.map(|_| one.connection.clone()),
            since: one.given.unwrap_or(one.started),
        });
        let (mut elsewhere, mut evidence) = (asked.declared, Evidence::Declared);
        if asked.declared == 0 {
            evidence = Evidence::Nothing;
        }
        let (mut least_used, mut note) = (None, None);
        let census = self.id_of(asked.who).and_then(|id| self.census(id));
        let read = census.filter(|census| census.unread.is_none());
        if let Some(census) = read {
            let then: Vec<&Approval> =
                self.of(asked).filter(|one| one.counts_at(census.at)).collect();
            let held = then.iter().filter(|one| one.given_at(census.at)).count();
            match census.ours(asked.app, held) {
                Ours::App(tokens) => {
                    least_used = tokens.least_used;
                    let more = tokens.tokens.saturating_sub(then.len());
                    if more >= elsewhere {
                        elsewhere = more;
                        evidence = Evidence::Census { at: census.at, app: tokens.app.clone() };
                    }
                }
                Ours::None => {}
                Ours::Unclear(apps) => {
                    note = Some(format!(
                        "Salesforce's list has tokens of several apps of this user ({}); say which is ours with `app`",
                        apps.join(", ")
                    ));
                }
            }
        } else if let Some(why) = census.and_then(|census| census.unread.as_ref()) {
            note = Some(format!(
                "Salesforce's list of tokens could not be read ({why}); declare others with `approvals_elsewhere`"
            ));
        }
        Tally {
            user: asked.who.name.clone().or_else(|| asked.who.id.clone()),
            number: counting.len() + elsewhere,
            ours,
            started,
            elsewhere,
            evidence,
            oldest,
            least_used,
            note,
        }
    }

    /// A user's id, also when only the name is known and another approval has both.
    fn id_of<'a>(&'a self, who: &'a Who) -> Option<&'a str> {
        let same = self.list.iter().filter(|one| one.who.same(who) == Some(true));
        who.id.as_deref().or_else(|| same.filter_map(|one| one.who.id.as_deref()).next())
    }

    /// How many approvals of the same app and user were started after this one was given.
    pub fn newer(&self, id: u64) -> usize {
        let Some(this) = self.list.iter().find(|one| one.id == id) else { return 0 };
        let since = this.given.unwrap_or(this.started);
        let same = self.list.iter().filter(|one| one.client_id == this.client_id && one.id != id);
        same.filter(|one| one.who.same(&this.who) == Some(true) && one.started >= since).count()
    }
}

fn is_user(who: &Who, user_id: &str) -> bool {
    who.id.as_deref().is_some_and(|id| same_id(id, user_id))
}

#[cfg(test)]
#[path = "approvals_tests.rs"]
mod tests;

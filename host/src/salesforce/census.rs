//! The census: what Salesforce's own list says of the approvals of a user. It costs one counted call.

use std::collections::BTreeMap;
use std::sync::Arc;

use reqwest::Method;
use serde::Deserialize;

use super::approvals::{Asked, Census, Tokens};
use super::connection::{Connection, Session};
use super::http::Answer;
use super::org::{Ask, Org, Shared, Unreadable};
use super::{Error, Grant, soql};
use crate::model::{Caller, ConnectionName, Purpose, Stamp};

const OBJECT: &str = "OauthToken";

/// One row of the list. The columns that hold tokens are never asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    #[serde(default)]
    app_name: Option<String>,
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default)]
    last_used_date: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Rows {
    records: Vec<Row>,
}

/// A user's tokens by app.
fn by_app(rows: &[Row]) -> Vec<Tokens> {
    let mut apps = BTreeMap::<&str, Tokens>::new();
    for row in rows {
        let app = row.app_name.as_deref().unwrap_or_default();
        let used = row.last_used_date.as_deref().and_then(|text| Stamp::parse(text).ok());
        let tokens = apps.entry(app).or_insert_with(|| Tokens {
            app: app.to_owned(),
            tokens: 0,
            least_used: used,
            last_used: used,
        });
        tokens.tokens += 1;
        // One that was never used is the one that was used the longest time ago.
        tokens.least_used = tokens.least_used.min(used);
        tokens.last_used = tokens.last_used.max(used);
    }
    apps.into_values().collect()
}

fn query(users: &[String]) -> String {
    let users: Vec<String> = users.iter().map(|user| soql::quote(user)).collect();
    format!(
        "SELECT AppName, UserId, LastUsedDate, UseCount FROM {OBJECT} WHERE UserId IN ({})",
        users.join(", ")
    )
}

impl Org {
    /// Reads Salesforce's list of tokens now, for the users of all connections that consent: one counted call for each
    /// of these users, fewer where one of them may see the others'. Gives how many calls were made.
    pub async fn census(&self) -> Result<usize, Error> {
        let shared = self.shared();
        let users = shared.users();
        if users.is_empty() {
            return Ok(0);
        }
        let (mut calls, mut seen, mut failed) = (0, Vec::<String>::new(), None);
        for (name, user_id) in &users {
            if seen.contains(user_id) {
                continue;
            }
            match shared.census(name, user_id).await {
                Ok(found) => seen.extend(found),
                Err(error) => failed = Some(error),
            }
            calls += 1;
        }
        match failed {
            Some(error) if seen.is_empty() => Err(error),
            _ => Ok(calls),
        }
    }
}

impl Shared {
    /// Connections that consent, with the user of each, as far as it is known.
    fn consenting(&self) -> Vec<(&Arc<Connection>, String)> {
        let consents = |one: &&Arc<Connection>| matches!(one.settings.grant, Grant::Code { .. });
        let consenting = self.connections.values().filter(consents);
        consenting.filter_map(|one| Some((one, one.who().id?))).collect()
    }

    /// A healthy connection of each user whose approvals are counted.
    pub(super) fn users(&self) -> BTreeMap<ConnectionName, String> {
        let mut users = BTreeMap::<String, ConnectionName>::new();
        for (connection, user) in self.consenting() {
            if connection.usable(self.gate.now()) {
                users.entry(user).or_insert_with(|| connection.settings.name.clone());
            }
        }
        users.into_iter().map(|(user, name)| (name, user)).collect()
    }

    /// Asks with a connection of this user for the tokens of all users. Gives those of whom something is known now.
    pub(super) async fn census(
        self: &Arc<Self>,
        name: &ConnectionName,
        own: &str,
    ) -> Result<Vec<String>, Error> {
        let mut all: Vec<String> = self.consenting().into_iter().map(|(_, user)| user).collect();
        all.sort_unstable();
        all.dedup();
        let who = Caller { connection: name.clone(), sync: None, run: None, page: None };
        let soql = query(&all);
        let build = |session: &Session| {
            let mut url = self.data_path(session, "query/");
            url.query_pairs_mut().append_pair("q", &soql);
            self.request(session, Method::GET, url, &[])
        };
        let read = |answer: &Answer| {
            serde_json::from_slice::<Rows>(&answer.body)
                .map_err(|error| Unreadable::Damaged(error.to_string()))
        };
        let ask = Ask::new(&who, Purpose::Census, OBJECT);
        let (rows, unread) = match self.data(ask, build, read).await {
            Ok(got) => (got.value.records, None),
            // The user has no right to it, or the org has no such list: it is said, and asked again a day later.
            Err(
                error @ (Error::InvalidObject { .. }
                | Error::InvalidField { .. }
                | Error::Refused { status: 400..=499, .. }),
            ) => (Vec::new(), Some(error.to_string())),
            Err(error) => return Err(error),
        };
        let at = self.gate.now();
        let mut found = Vec::new();
        for user_id in all {
            let of = |row: &&Row| {
                let user = row.user_id.as_deref().unwrap_or(own);
                super::approvals::same_id(user, &user_id)
            };
            let rows: Vec<Row> = rows.iter().filter(of).cloned().collect();
            // Everybody sees their own tokens; that there are none of others may mean that they are not shown.
            if super::approvals::same_id(&user_id, own) || !rows.is_empty() {
                let apps = by_app(&rows);
                found.push(Census { user_id, at, apps, unread: unread.clone() });
            }
        }
        let users = found.iter().map(|census| census.user_id.clone()).collect();
        self.write_book(|book| {
            for census in found {
                self.with_asked(|asked| book.approvals.observe(census, asked));
            }
        })
        .await?;
        Ok(users)
    }

    /// Works with what is asked of every connection's approvals.
    fn with_asked<T>(&self, work: impl FnOnce(&[Asked<'_>]) -> T) -> T {
        let list = self.consenting();
        let whos: Vec<_> = list.iter().map(|(connection, _)| connection.who()).collect();
        let asked: Vec<Asked<'_>> = list
            .iter()
            .zip(&whos)
            .map(|((connection, _), who)| Self::asked(connection, who))
            .collect();
        work(&asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_for_no_token_and_counts_by_app() {
        let users = ["005000000000001AAA".to_owned(), "it's".to_owned()];
        let soql = query(&users);
        assert!(!soql.contains("AccessToken") && !soql.contains("RequestToken"), "{soql}");
        assert!(soql.ends_with("IN ('005000000000001AAA', 'it\\'s')"), "{soql}");
        let row = |app: Option<&str>, used: Option<&str>| Row {
            app_name: app.map(str::to_owned),
            user_id: None,
            last_used_date: used.map(str::to_owned),
        };
        let (early, late) = ("2026-01-01T00:00:00.000+0000", "2026-05-01T00:00:00.000+0000");
        let apps = by_app(&[
            row(Some("kilofold"), Some(late)),
            row(Some("other"), Some(late)),
            row(Some("kilofold"), Some(early)),
            row(None, None),
        ]);
        let short: Vec<_> = apps.iter().map(|one| (one.app.as_str(), one.tokens)).collect();
        assert_eq!(short, [("", 1), ("kilofold", 2), ("other", 1)]);
        let stamp = |text| Some(Stamp::parse(text).unwrap());
        assert_eq!((apps[1].least_used, apps[1].last_used), (stamp(early), stamp(late)));
        let never = by_app(&[row(Some("a"), Some(late)), row(Some("a"), None)]);
        assert_eq!((never[0].least_used, never[0].last_used), (None, stamp(late)));
    }
}

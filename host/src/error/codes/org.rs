//! Codes of Salesforce: its connections, its answers, its objects and fields.

use super::{Explained, of};

/// In alphabetical order.
pub(super) const ALL: &[Explained] = &[
    of(
        "auth.approvals",
        "one approval too many",
        "Salesforce keeps five approvals of one app and user, and ends one of them without a word when a sixth is given: the oldest, or the one that was used the longest time ago (its own pages disagree). Each consent counts from the moment it is asked for, finished or not. kilofold does not ask for a sixth unless told to.",
        "see `kilofold connections`; remove a connection with `kilofold disconnect`, revoke one in Salesforce (Connected Apps OAuth Usage) and look again with `kilofold connections --ask`, use another integration user, or ask for it with `kilofold connect --anyway`",
    ),
    of(
        "auth.book",
        "the list of approvals cannot be kept",
        "Every consent is written down before it is asked for, since Salesforce counts it from then on. Without that none is asked for.",
        "look at the store and at the disk",
    ),
    of(
        "auth.consent",
        "the consent was not given",
        "The browser came back without consent, with an answer to another question, or not at all. No connection was changed; the start counts as an approval until it is known that Salesforce has no token of it.",
        "run `kilofold connect` again; over ssh, with --paste",
    ),
    of(
        "auth.denied",
        "Salesforce refuses to authorise",
        "The app or its user is set up in another way than the connection needs. It is tried again rarely, and its syncs are paused meanwhile.",
        "compare client id, secret or key and the app's policies (permitted users, IP ranges, enabled flows) with Salesforce's setup",
    ),
    of(
        "auth.host",
        "not a Salesforce host",
        "Credentials are sent to Salesforce's hosts only, to this machine for the simulator, or to a host that the configuration allows by name.",
        "correct `login` under [org], or name the host in `allowed_hosts`",
    ),
    of(
        "auth.key",
        "the key that protects tokens cannot be used",
        "Tokens rest sealed, and cannot be read without the key that sealed them.",
        "put the key back, or run `kilofold connect` to authorise anew",
    ),
    of(
        "auth.not-connected",
        "the connection was never authorised",
        "Nothing was asked of Salesforce yet.",
        "run `kilofold connect`",
    ),
    of(
        "auth.not-for-api",
        "no right to the REST API",
        "The session is good, but the user or the app has no right to the API. It is tried again rarely, and its syncs are paused meanwhile.",
        "give the user 'API Enabled' and the app the scope 'api', then run `kilofold connect`",
    ),
    of(
        "auth.other-org",
        "another org than the store's",
        "A store holds the records of one org, and the consent was given by a user of another one. Nothing of it was stored, and the approval was given back.",
        "log in as a user of the store's org (log out of the other one in the browser first); for another org use another configuration with a store of its own. A sandbox has a new id after each refresh, and its records too: give it a new store",
    ),
    of(
        "auth.other-user",
        "another user than the configuration names",
        "The consent was given by another user than `username` of the connection. Nothing of it was stored, and the approval was given back.",
        "log in as the user that the configuration names, or correct `username`",
    ),
    of(
        "auth.reconnect",
        "the connection must be authorised again",
        "Salesforce no longer takes the authorisation; the message tells the probable cause. It is not asked with again, and its syncs are paused.",
        "run `kilofold connect`, or use the page: the syncs then go on by themselves where they stopped",
    ),
    of(
        "auth.vault",
        "tokens cannot be kept",
        "Without a safe place for the tokens nothing is asked of Salesforce.",
        "look at the store and at the disk",
    ),
    of(
        "connection.unknown",
        "there is no such connection",
        "The configuration has no [[connection]] of that name.",
        "list them with `kilofold connections`",
    ),
    of(
        "count.mismatch",
        "not all records came",
        "Salesforce told how many records the query has, and another number arrived. What came is stored; the next run reads the window again.",
        "nothing; if it happens again, report it with the run's request ids",
    ),
    of(
        "field.missing",
        "a needed field is not there",
        "The plugin cannot do without a field that does not exist, or that field-level security hides from the connection's user.",
        "give the user access to the field, or use another plugin",
    ),
    of(
        "object.not-queryable",
        "the object cannot be queried",
        "Salesforce does not let this object be queried through the API.",
        "choose another object",
    ),
    of(
        "org.answer",
        "an answer that cannot be understood",
        "It does not look like Salesforce's: a proxy may be in between.",
        "try again; if it stays, report it",
    ),
    of(
        "org.answer-too-large",
        "an answer that is too large",
        "A page is larger than is read at once.",
        "lower the sync's page size, or select fewer long fields",
    ),
    of(
        "org.records",
        "a record that cannot be read",
        "A record in an answer has no Id, or a date that is none.",
        "report it, with the run's request ids",
    ),
    of(
        "org.refused",
        "Salesforce refuses the request",
        "Its own words tell the reason; rights of the connection's user are the most frequent one.",
        "see the message",
    ),
    of(
        "org.setting",
        "a setting that cannot be used",
        "A setting of the org or a connection is not what it must be.",
        "correct it in the configuration",
    ),
    of(
        "org.unreachable",
        "no good answer came",
        "The network, or Salesforce itself, has a fault at the moment. It was tried several times.",
        "see status.salesforce.com; it is tried again at the next run",
    ),
    of(
        "query.bad",
        "the query cannot be used",
        "A part of the sync is not what SOQL takes. Nothing was sent.",
        "correct the sync's fields or filter",
    ),
    of(
        "query.field",
        "a field cannot be read",
        "It does not exist, or the connection's user may not see it.",
        "correct its name, or give the permission",
    ),
    of(
        "query.locator",
        "the next page is gone",
        "Salesforce forgot the query. Nothing is lost: it is made again from the last committed record.",
        "nothing",
    ),
    of(
        "query.object",
        "the object cannot be read",
        "It does not exist, cannot be queried, or the connection's user may not see it.",
        "correct its name, or give the permission",
    ),
    of(
        "query.timeout",
        "the query ran for too long",
        "Salesforce stopped a query after its two minutes. kilofold then asked for less and less at once, down to the changes of one second or to 200 records, and even that took too long: as a rule because the sync's filter makes Salesforce look at too much. What was read is stored, and the next run goes on there.",
        "filter by an indexed field, or leave the filter out",
    ),
    of(
        "query.too-long",
        "the query is too long",
        "Salesforce takes no longer address. Nothing was sent.",
        "select fewer fields, or shorten the filter",
    ),
];

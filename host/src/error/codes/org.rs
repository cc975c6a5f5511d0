//! Codes of Salesforce: its connections, its answers, its objects and fields.

use super::{Explained, of};

/// In alphabetical order.
pub(super) const ALL: &[Explained] = &[
    of(
        "auth.approvals",
        "one approval too many",
        "Salesforce keeps five approvals of one app and user, and revokes the oldest without a word when a sixth is given. kilofold does not give it unless told to.",
        "revoke an approval in Salesforce (Connected Apps OAuth Usage), remove a connection here, or ask for it expressly",
    ),
    of(
        "auth.consent",
        "the consent was not given",
        "The browser came back without consent, with an answer to another question, or not at all. Nothing was changed.",
        "run `kilofold connect` again; over ssh, with --paste",
    ),
    of(
        "auth.denied",
        "Salesforce refuses to authorise",
        "The app or its user is set up in another way than the connection needs.",
        "compare client id, secret or key and the app's policies (permitted users, IP ranges, enabled flows) with Salesforce's setup",
    ),
    of(
        "auth.host",
        "not a Salesforce host",
        "Credentials are sent to Salesforce's hosts only, or to this machine for the simulator.",
        "correct `login` under [org]",
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
        "The session is good, but the user or the app has no right to the API.",
        "give the user 'API Enabled' and the app the scope 'api', then run `kilofold connect`",
    ),
    of(
        "auth.reconnect",
        "the connection must be authorised again",
        "The authorisation was revoked, has expired, or was pushed out by a sixth approval of the same app and user. Nothing more is asked with it.",
        "run `kilofold connect`; syncs go on where they stopped",
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
        "The filter makes Salesforce read too much.",
        "filter by an indexed field, or leave the filter out",
    ),
    of(
        "query.too-long",
        "the query is too long",
        "Salesforce takes no longer address. Nothing was sent.",
        "select fewer fields, or shorten the filter",
    ),
];

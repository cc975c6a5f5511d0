//! Connections as the API answers them and the command line shows them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{ConnectionName, Stamp, SyncName};
use crate::salesforce::approvals::{Evidence, MOST, Tally, WARN};
use crate::salesforce::{ConnectionState, ConnectionStatus, Invited};
use crate::web::Problem;

/// How many approvals of an app and a user are known, of the five that Salesforce keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approvals {
    /// All that are known.
    pub number: usize,
    /// How many Salesforce keeps.
    pub most: usize,
    /// Those that kilofold's connections hold.
    pub ours: usize,
    /// Those that were started and never finished: they count as well.
    pub started: usize,
    /// Those that other programs hold.
    pub elsewhere: usize,
    /// How those elsewhere are known: `census`, `declared` or `nothing`.
    pub evidence: String,
    /// When Salesforce's list of tokens was read, when that is the evidence.
    pub counted_at: Option<Stamp>,
    /// The app's label in that list.
    pub app: Option<String>,
    /// The connection that one more would probably end; none when that would be nobody's loss, or is not known.
    pub victim: Option<ConnectionName>,
    /// What could not be found out, and how it could.
    pub note: Option<String>,
}

impl From<Tally> for Approvals {
    fn from(tally: Tally) -> Self {
        let (evidence, counted_at, app) = match tally.evidence {
            Evidence::Nothing => ("nothing", None, None),
            Evidence::Declared => ("declared", None, None),
            Evidence::Census { at, app } => ("census", Some(at), Some(app)),
        };
        Self {
            number: tally.number,
            most: MOST,
            ours: tally.ours,
            started: tally.started,
            elsewhere: tally.elsewhere,
            evidence: evidence.to_owned(),
            counted_at,
            app,
            victim: tally.oldest.and_then(|oldest| oldest.connection),
            note: tally.note,
        }
    }
}

/// How a connection stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Connection {
    /// Its name.
    pub name: ConnectionName,
    /// Its grant.
    pub grant: String,
    /// The user, when known.
    pub user: Option<String>,
    /// The org's id, when known.
    pub org: Option<String>,
    /// `not connected`, `healthy`, `reconnect needed` or `refused`.
    pub state: String,
    /// Why it is not healthy: Salesforce's words and the probable cause.
    pub why: Option<String>,
    /// What to do about it.
    pub to_do: Option<String>,
    /// When it is tried again, when Salesforce refuses it as it is set up.
    pub again: Option<Stamp>,
    /// When it was last authorised.
    pub authorised: Option<Stamp>,
    /// When its last token came.
    pub renewed: Option<Stamp>,
    /// When it was used last.
    pub last_used: Option<Stamp>,
    /// Runs that use it now.
    pub runs: usize,
    /// The syncs that name it.
    pub syncs: Vec<SyncName>,
    /// The approvals of its app and user; none for grants that need none.
    pub approvals: Option<Approvals>,
}

impl Connection {
    /// The connection as its status and the count of its approvals say.
    pub fn new(status: ConnectionStatus, tally: Option<Tally>, syncs: Vec<SyncName>) -> Self {
        let approvals = tally.map(Approvals::from);
        let consents = approvals.is_some();
        let to_do = to_do(&status, consents, approvals.as_ref());
        let (state, again) = match status.state {
            ConnectionState::NotConnected => ("not connected", None),
            ConnectionState::Healthy => ("healthy", None),
            ConnectionState::ReconnectNeeded { .. } => ("reconnect needed", None),
            ConnectionState::Refused { again, .. } => ("refused", Some(again)),
        };
        Self {
            grant: status.grant.to_owned(),
            state: state.to_owned(),
            why: status.state.reason(),
            to_do,
            again,
            authorised: status.authorised,
            renewed: status.renewed,
            last_used: status.last_used,
            runs: status.runs,
            name: status.name,
            user: status.user,
            org: status.org_id,
            syncs,
            approvals,
        }
    }
}

/// What to do about a connection; nothing when all is well.
fn to_do(
    status: &ConnectionStatus,
    consents: bool,
    approvals: Option<&Approvals>,
) -> Option<String> {
    let connect = || format!("run `kilofold connect {}`, or connect it on the page", status.name);
    match &status.state {
        ConnectionState::NotConnected if consents => Some(connect()),
        ConnectionState::ReconnectNeeded { .. } => {
            Some(format!("{}; its syncs then go on by themselves", connect()))
        }
        ConnectionState::Refused { .. } => Some(format!(
            "compare its client id, secret or key and the app's policies with Salesforce's setup, then run \
             `kilofold connect {}`",
            status.name
        )),
        _ => {
            let approvals = approvals.filter(|approvals| approvals.number >= WARN)?;
            Some(match approvals.number.cmp(&MOST) {
                std::cmp::Ordering::Less => format!(
                    "{} of {MOST} approvals are in use: use another integration user for further connections",
                    approvals.number
                ),
                std::cmp::Ordering::Equal => format!(
                    "all {MOST} approvals are in use: one more, here or elsewhere, ends {}",
                    approvals.victim.as_ref().map_or_else(
                        || "one of them".to_owned(),
                        |name| format!("probably '{name}'")
                    )
                ),
                std::cmp::Ordering::Greater => format!(
                    "{} approvals are known and Salesforce keeps {MOST}: one has been ended, and which one shows when \
                     it is used next",
                    approvals.number
                ),
            })
        }
    }
}

/// The configured connections.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Connections {
    /// The connections.
    pub connections: Vec<Connection>,
    /// The id of the org whose records the store holds; none before the first connection.
    pub org: Option<String>,
}

/// How a consent stands that was asked for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Connecting {
    /// The connection.
    pub connection: ConnectionName,
    /// `waiting`, `connected` or `failed`.
    pub state: String,
    /// The page that the user must open; none for grants that need none.
    pub open: Option<String>,
    /// Where the browser comes back to: one of the app's callback addresses.
    pub callback: Option<String>,
    /// Which approval of its app and user it is.
    pub number: Option<usize>,
    /// What the user should know before.
    pub warning: Option<String>,
    /// Until when it can be answered.
    pub until: Option<Stamp>,
    /// What went wrong, when it failed.
    pub problem: Option<Problem>,
    /// The connection as it is now.
    pub status: Connection,
}

impl Connecting {
    /// A consent that was asked for, and how its connection stands.
    pub fn new(invited: Invited, status: Connection) -> Self {
        let (state, problem) = match invited.outcome {
            None => ("waiting", None),
            Some(Ok(_)) => ("connected", None),
            Some(Err(error)) => ("failed", Some(Problem::from(error))),
        };
        Self {
            connection: invited.connection,
            state: state.to_owned(),
            open: Some(invited.url.into()),
            callback: Some(invited.callback),
            number: Some(invited.number),
            warning: invited.warning,
            until: Some(invited.until),
            problem,
            status,
        }
    }

    /// A connection that needs no consent and was connected.
    pub fn done(status: Connection) -> Self {
        Self {
            connection: status.name.clone(),
            state: "connected".to_owned(),
            open: None,
            callback: None,
            number: None,
            warning: None,
            until: None,
            problem: None,
            status,
        }
    }
}

//! Speaks with Salesforce: authorises connections, sends requests that the quota gate permitted, reads the answers.
//!
//! Credentials go to Salesforce's hosts only, tokens rest sealed, and nothing secret is ever printed.

pub mod approvals;
mod auth;
mod book;
mod cause;
mod census;
mod connection;
mod consent;
mod describe;
mod error;
mod host;
mod http;
mod invite;
mod keep;
mod limits;
mod org;
mod pool;
mod query;
mod redirect;
mod renew;
mod retry;
mod seal;
mod settings;
pub mod soql;
mod tend;
mod together;
mod told;

pub use book::Home;
pub use cause::parts as approvals_in_words;
pub use connection::{ConnectionState, ConnectionStatus};
pub use consent::Pending;
pub use describe::{Ceiling, Describe, FieldInfo, ObjectInfo, kept_describe};
pub use error::{Error, Refusal};
pub use http::Timeouts;
pub use invite::Invited;
pub use keep::Vault;
pub use org::Org;
pub use pool::Lease;
pub use query::{Ahead, Locator, Page};
pub use redirect::{PAGE as CALLBACK_PATH, Redirect};
pub use retry::{Policy, Trouble};
pub use seal::SealKey;
pub use settings::{ConnectionSettings, Grant, OrgSettings};
pub use together::{MOST_TOGETHER, Seat, SharedCall, seats};
pub use told::{Beside, RETRIES_KEPT};

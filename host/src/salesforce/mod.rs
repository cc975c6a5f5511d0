//! Speaks with Salesforce: authorises connections, sends requests that the quota gate permitted, reads the answers.
//!
//! Credentials go to Salesforce's hosts only, tokens rest sealed, and nothing secret is ever printed.

mod auth;
mod connection;
mod consent;
mod describe;
mod error;
mod host;
mod http;
mod limits;
mod org;
mod query;
mod retry;
mod seal;
mod settings;
pub mod soql;

pub use connection::{ConnectionState, ConnectionStatus, Vault};
pub use consent::{Pending, Redirect};
pub use describe::{Describe, FieldInfo, ObjectInfo};
pub use error::{Error, Refusal};
pub use host::login as login_host;
pub use http::Timeouts;
pub use org::Org;
pub use query::{Locator, Page};
pub use retry::{Policy, Trouble};
pub use seal::SealKey;
pub use settings::{ConnectionSettings, Grant, OrgSettings};

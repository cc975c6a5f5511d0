//! A Salesforce org on loopback: OAuth, REST, SOQL, API limits and faults, on real sockets.
//!
//! Not a mock: real Salesforce clients can use it. Start one in a test with [`Sim::start`], or run the program
//! `kilofold-org`. What it answers follows recordings of real orgs; see the modules for what is simulated.
//!
//! # The control interface
//! Everything that [`Sim`]'s methods do can be done over the wire, as JSON, under `/__sim/`. If a control token is
//! set, every request needs `Authorization: Bearer <token>`. Errors are `{"error": "..."}` with 400, 401 or 404.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /__sim/` | | clock, calls, limits, record counts, faults, approvals |
//! | `GET /__sim/faults` | | `{"faults":[{"id","class","kind","when","seen","hits"}]}` |
//! | `POST /__sim/faults` | a [`Fault`]: `{"class":"query","object":"Contact","kind":{"server_error":{"status":503,"html":true}},"when":{"times":2}}` | `{"id"}` |
//! | `DELETE /__sim/faults`, `DELETE /__sim/faults/<id>` | | switches all off, or one |
//! | `POST /__sim/consume` | `{"calls":500}` | `{"api_calls"}` |
//! | `POST /__sim/touch`, `/insert` | `{"object","records","seed"?}` | `{"ids"}` |
//! | `POST /__sim/delete`, `/undelete`, `/purge` | `{"object","ids":[..]}`, or `{"object","records":n}` for the first n | `{"ids"}` |
//! | `POST /__sim/late` | `{"object","records","seconds"}` or `"at"` instead of `"seconds"` | `{"ids","stamp"}` |
//! | `POST /__sim/set-field` | `{"object","id","field","value"}` | `{}` |
//! | `POST /__sim/restamp` | `{"object","at"?}`: one SystemModstamp for all records | `{}` |
//! | `POST /__sim/hide-field` | `{"object","field","hidden"?}` | `{}` |
//! | `GET /__sim/truth/<object>?rows=true` | | `{"object","count","live","deleted","digest","rows":[[id,stamp,deleted],..]?}` |
//! | `GET /__sim/requests?after=<number>&limit=<n>` | | `{"received","requests":[`[`RequestNote`]`,..]}` |
//! | `DELETE /__sim/requests` | | forgets the log |
//! | `GET /__sim/clock` | | `{"now"}` |
//! | `POST /__sim/clock` | `{"advance_ms":n}`, `{"at":"2026-05-06T00:00:00Z"}` or `{"system":true}` | `{"now"}` |
//! | `POST /__sim/latency` | `{"ms":300}` | `{"ms"}` |
//! | `POST /__sim/tokens/expire` | | `{"expired"}`: every access token |
//! | `POST /__sim/tokens/revoke` | `{"user"?,"loss"?}`, a [`Loss`] | `{"revoked"}`: approvals |
//! | `POST /__sim/tokens/elsewhere` | `{"user","app"?}`: another program gets an approval | `{}` |
//! | `POST /__sim/tokens/list` | `{"hidden"}`: whether nobody may see OauthToken | `{}` |
//! | `POST /__sim/tokens/secret` | `{"secret"}`: rotates the consumer secret | `{"revoked"}`: approvals |
//! | `GET /__sim/approvals` | | `{"approvals":[{"id","app","user","given","scope","made","last_used","refreshes"}]}` |
//! | `POST /__sim/auto-change` | a [`Plan`]: `{"object","every_ms","touch"?,"insert"?,"delete"?,"rounds"?}` | the plans under way |
//! | `GET`, `DELETE /__sim/auto-change?object=` | | the plans; ends one or all |
//! | `POST /__sim/shutdown` | | ends the org |

mod clock;
mod config;
mod control;
mod control_change;
pub mod data;
mod faults;
mod http;
mod limits;
mod log;
mod oauth;
mod oauth_authorize;
mod oauth_token;
mod oauth_user;
pub mod org;
pub mod render;
mod revision;
mod sim;
pub mod soql;
mod state;
mod sync;
pub mod user;

pub use config::{ClockMode, Evict, RefreshPolicy, SimConfig};
pub use control_change::Plan;
pub use faults::{ArmedFault, Fault, FaultId, FaultKind, RequestClass, When};
pub use log::RequestNote;
pub use oauth::Loss;
pub use org::{ApiError, Org, ResultSet, Sizes};
pub use sim::{Error, Sim};

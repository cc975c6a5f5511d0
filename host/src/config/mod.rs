//! `kilofold.toml`: as written ([`file`]), as used ([`Config`]), and what is wrong with one, with places.

mod check;
mod checked;
mod deliver;
mod error;
pub mod file;
mod filter;
mod read;
mod secret;
mod sync;
mod template;
mod values;
mod when;

pub use checked::{
    AlertConfig, Allowance, Config, ConnectionConfig, DeliverConfig, DeliverForm, Fields, Grant,
    KeepConfig, OrgConfig, PluginLimits, PluginRef, Pool, QuotaConfig, STOCK_PLUGINS, StoreConfig,
    SyncConfig, TelemetryConfig, TlsConfig, WebConfig,
};
pub use error::{Error, Invalid, Problem};
pub use secret::Secret;
pub(crate) use template::without_null;
pub use template::{schema, template};
pub use when::{Cron, CronError, When};

#[cfg(test)]
mod tests;

/// A number of bytes as a person writes it: `65536`, `64 KiB`, `1.5 MB`. An error says what is wrong.
pub fn size(text: &str) -> Result<u64, String> {
    let read = values::size(&file::NumberOrText::Text(text.to_owned()), 0);
    read.map_err(|fault| format!("'{text}' {}: {}", fault.what, fault.cure))
}

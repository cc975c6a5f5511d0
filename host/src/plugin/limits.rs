//! What a plugin may use.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a plugin may use; every figure can be set, and every default is safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Time for a batch whatever its size, in milliseconds.
    pub base_ms: u64,
    /// Time for each record on top of that, in microseconds.
    pub per_record_us: u64,
    /// Time to start an instance, to describe itself and to take its settings, each, in milliseconds.
    pub start_ms: u64,
    /// Memory of an instance, summed over its memories, in bytes.
    pub memory_bytes: u64,
    /// What may cross the boundary in one call, in bytes.
    pub result_bytes: u64,
    /// The JSON body of one output, in bytes.
    pub body_bytes: u64,
    /// Log lines kept of a batch.
    pub log_lines: u32,
    /// Text of log lines kept of a batch, in bytes.
    pub log_bytes: u64,
    /// Keys that may be looked up in a batch.
    pub lookup_keys: u32,
    /// Records of a batch that may break the plugin before the run is stopped.
    pub traps: u32,
    /// Time for finding the records that break it, for each batch, in milliseconds.
    pub isolation_ms: u64,
    /// A component, in bytes.
    pub component_bytes: u64,
    /// Time to compile it, in milliseconds.
    pub compile_ms: u64,
    /// Memory to compile it, in bytes.
    pub compile_bytes: u64,
    /// Batches that are mapped at one moment.
    pub concurrency: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            base_ms: 250,
            per_record_us: 5_000,
            start_ms: 2_000,
            memory_bytes: 64 << 20,
            result_bytes: 16 << 20,
            body_bytes: 1 << 20,
            log_lines: 100,
            log_bytes: 16 << 10,
            lookup_keys: 20_000,
            traps: 20,
            isolation_ms: 60_000,
            component_bytes: 32 << 20,
            compile_ms: 120_000,
            compile_bytes: 1 << 30,
            concurrency: 4,
        }
    }
}

impl Limits {
    /// How long a batch of so many records may take.
    pub fn deadline(&self, records: usize) -> Duration {
        let each = Duration::from_micros(self.per_record_us);
        Duration::from_millis(self.base_ms) + each * u32::try_from(records).unwrap_or(u32::MAX)
    }
}

//! kilofold pulls Salesforce objects into an embedded store, on a schedule, through mapping plugins.
//!
//! The rooms, in the order of a batch's road:

/// The command line; the only room that prints.
pub mod cli;

/// `kilofold.toml`, as it is written and as it is used.
pub mod config;

/// Puts the rooms together.
pub mod app;

/// 1. Finds the sync that is due and starts its run.
pub mod schedule;

/// 2. Grants a permit for one API call, or says until when not.
pub mod quota;

/// 3. Spends the permit: one page of at most 1000 records.
pub mod salesforce;

/// 4. Maps the batch in a WebAssembly component.
pub mod plugin;

/// 5. Commits the batch in one atomic, durable step.
pub mod store;

/// The road itself: one run of one sync.
pub mod sync;

/// 6. Tells once what happened.
pub mod events;

/// Counts it, for Prometheus.
pub mod metrics;

/// Makes traces of it, for OpenTelemetry.
pub mod traces;

/// Sends what changed to other systems.
pub mod deliver;

/// Tells a person what is wrong, and when it is over.
pub mod alerts;

/// Makes files of what is stored.
pub mod export;

/// What each sync costs a day, from its runs in the store or from its schedule.
pub mod forecast;

/// Shows it: the API and the page.
pub mod web;

/// Keeps the store from growing without end.
pub mod upkeep;

/// Every code that a user can meet, with its meaning and cure.
pub mod error;

/// The local clock, as a value.
pub mod clock;

/// The words of the design as plain values.
pub mod model;

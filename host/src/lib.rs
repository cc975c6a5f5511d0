//! kilofold pulls Salesforce objects into an embedded store through mapping plugins.

pub mod model;
pub mod plugin;
pub mod sync;

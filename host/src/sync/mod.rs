//! One sync, from window to committed records.

pub mod window;

//! org-sim.
pub mod data;
pub mod org;
pub mod render;
pub mod soql;

//! What the end-to-end tests share: an org on loopback, a configured host, and comparisons of the one with the other.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

mod check;
mod env;
mod process;
mod receiver;

pub use check::{Dump, Replay};
pub use env::{Setup, TestEnv, connection, id, name, sizes, sync};
pub use process::{Child, Output, free_port, kilofold, plugin};
pub use receiver::Receiver;

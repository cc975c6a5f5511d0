//! `kilofold grafana`: the dashboard of the metrics, ready to be imported.

use super::out::Out;
use super::{Failure, Globals};
use crate::error::Exit;
use crate::metrics::DASHBOARD;

/// Prints the dashboard.
pub fn run(globals: &Globals) -> Result<Exit, Failure> {
    Out::new(globals).line(DASHBOARD.trim_end())?;
    Ok(Exit::Done)
}

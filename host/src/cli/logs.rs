//! Where `tracing` goes: to standard error, for people or as JSON lines.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use super::Failure;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Terminal,
    /// One JSON object a line.
    Json,
}

/// Starts logging. `filter` is that of `--log`; without one, `usual` holds.
pub fn start(filter: Option<&str>, usual: &str, format: LogFormat) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter.unwrap_or(usual))
        .map_err(|error| Failure::new("usage.log", format!("--log cannot be read: {error}")))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_span_events(FmtSpan::NONE);
    let started = match format {
        LogFormat::Terminal => {
            let ansi = std::io::stderr().is_terminal() && console::colors_enabled_stderr();
            lines.with_ansi(ansi).with_target(false).try_init()
        }
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Failure::new("cli.log", format!("logging cannot start: {error}")))
}

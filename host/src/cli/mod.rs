//! The command line: one file a command, and the only place that prints.

mod check;
mod connect;
mod connections;
mod consumers;
pub mod demo;
mod disconnect;
mod explain;
mod export;
mod failure;
mod failures;
mod feed;
mod follow;
mod grafana;
mod import;
pub mod imports;
mod init;
mod limits;
mod logs;
pub mod out;
mod password;
mod plugin;
pub mod progress;
mod records;
mod remap;
mod retry;
mod serve;
pub mod sheet;
mod source;
mod sync;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub use failure::Failure;
pub use logs::LogFormat;

use crate::app::App;
use crate::config::Config;
pub use crate::error::Exit;
use crate::plugin as plugin_room;

/// Pulls Salesforce objects into an embedded store through mapping plugins.
#[derive(Debug, Parser)]
#[command(name = "kilofold", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, clap::Args)]
pub struct Globals {
    /// The configuration
    #[arg(
        long,
        global = true,
        env = "KILOFOLD_CONFIG",
        value_name = "FILE",
        default_value = "kilofold.toml"
    )]
    pub config: PathBuf,
    /// Writes JSON for programs instead of text for people
    #[arg(long, global = true)]
    pub json: bool,
    /// What is logged to standard error, for example `info` or `kilofold::sync=debug`
    #[arg(long, global = true, env = "KILOFOLD_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How log lines look
    #[arg(long, global = true, value_name = "FORMAT", default_value = "terminal")]
    pub log_format: LogFormat,
}

impl Globals {
    /// Reads and checks the configuration.
    pub fn load(&self) -> Result<Config, Failure> {
        Ok(Config::load(&self.config)?)
    }
}

/// Opens everything, off the async threads: the store waits for the disk, plugins are compiled.
pub async fn open(config: Config) -> Result<App, Failure> {
    let opened = tokio::task::spawn_blocking(move || App::open(config)).await;
    let opened = opened.map_err(|error| Failure::new("host.task", error.to_string()))?;
    Ok(opened?)
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Check(check::Args),
    Connect(connect::Args),
    Disconnect(disconnect::Args),
    Connections(connections::Args),
    /// Runs the syncs on their schedules, and answers at the web address, until it is stopped
    Serve,
    /// Starts, pauses or resumes a sync
    #[command(subcommand)]
    Sync(sync::Command),
    Imports(imports::Args),
    Import(import::Args),
    Failures(failures::Args),
    Records(records::Args),
    Feed(feed::Args),
    Consumers(consumers::Args),
    Export(export::Args),
    /// Shows what is known of the org's API calls, without spending one
    Limits,
    Retry(retry::Args),
    Remap(remap::Args),
    /// Prints a Grafana dashboard of the metrics at /metrics
    Grafana,
    /// Makes the hash of a password that lets people onto the page
    Password,
    /// Begins, checks, tests and tries plugins, and says which one each sync uses
    #[command(subcommand)]
    Plugin(plugin::Command),
    Explain(explain::Args),
    Demo(demo::Args),
    /// Compiles a plugin for the process that started it
    #[command(name = plugin_room::COMPILE_COMMAND, hide = true)]
    CompilePlugin,
}

/// Does what the command line says.
pub fn run(cli: &Cli) -> Result<Exit, Failure> {
    let globals = &cli.globals;
    if matches!(cli.command, Command::CompilePlugin) {
        return compile_plugin();
    }
    let usual = match cli.command {
        Command::Serve => "info",
        // Their progress bars tell the same events.
        Command::Sync(_) | Command::Retry(_) | Command::Remap(_) | Command::Demo(_) => {
            "warn,kilofold::events=off"
        }
        _ => "warn",
    };
    logs::start(globals.log.as_deref(), usual, globals.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("cli.runtime", format!("cannot start threads: {error}")))?;
    runtime.block_on(async {
        match &cli.command {
            Command::Init(args) => init::run(args, globals),
            Command::Check(args) => check::run(args, globals).await,
            Command::Connect(args) => connect::run(args, globals).await,
            Command::Disconnect(args) => disconnect::run(args, globals).await,
            Command::Connections(args) => connections::run(args, globals).await,
            Command::Serve => serve::run(globals).await,
            Command::Sync(command) => sync::run(command, globals).await,
            Command::Imports(args) => imports::run(args, globals).await,
            Command::Import(args) => import::run(args, globals).await,
            Command::Failures(args) => failures::run(args, globals).await,
            Command::Records(args) => records::run(args, globals).await,
            Command::Feed(args) => feed::run(args, globals).await,
            Command::Consumers(args) => consumers::run(args, globals).await,
            Command::Export(args) => export::run(args, globals).await,
            Command::Limits => limits::run(globals).await,
            Command::Grafana => grafana::run(globals),
            Command::Password => password::run(globals),
            Command::Retry(args) => retry::run(args, globals).await,
            Command::Remap(args) => remap::run(args, globals).await,
            Command::Plugin(command) => plugin::run(command, globals).await,
            Command::Explain(args) => explain::run(args, globals),
            Command::Demo(args) => demo::run(args, globals).await,
            Command::CompilePlugin => compile_plugin(),
        }
    })
}

/// A child of a host: compiles what comes on standard input. Its parent reads what it says.
fn compile_plugin() -> Result<Exit, Failure> {
    let compiled = plugin_room::compile_child(std::io::stdin().lock(), std::io::stdout().lock());
    if let Err(words) = compiled {
        report(&words);
        return Err(Failure::said(Exit::Failed));
    }
    Ok(Exit::Done)
}

/// The program: parses, runs, says what went wrong, and gives the exit code.
pub fn main() -> ExitCode {
    plugin_room::compile_in_children_of(own_program());
    let command = Cli::command().after_help(exit_codes());
    let parsed = command
        .try_get_matches()
        .and_then(|matches| <Cli as clap::FromArgMatches>::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        // clap knows to which stream its help and its errors go, and ends with 0 or 2.
        Err(error) => error.exit(),
    };
    match run(&cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            report(&failure.render(cli.globals.json));
            failure.exit.into()
        }
    }
}

/// This program, also when its file was replaced while it runs.
fn own_program() -> PathBuf {
    if cfg!(target_os = "linux") {
        return PathBuf::from("/proc/self/exe");
    }
    std::env::current_exe().unwrap_or_else(|_| PathBuf::from("kilofold"))
}

#[expect(clippy::print_stderr, reason = "the command line tells its user what went wrong")]
fn report(text: &str) {
    if !text.is_empty() {
        eprintln!("{text}");
    }
}

/// The table of exit codes at the end of `--help`.
fn exit_codes() -> String {
    let lines = Exit::ALL.map(|(exit, means)| format!("  {:>3}  {means}", exit as u8));
    format!(
        "Exit codes:\n{}\n\n`kilofold explain CODE` tells more of an error's code.",
        lines.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        let help = Cli::command().after_help(exit_codes()).render_help().to_string();
        for (exit, means) in Exit::ALL {
            assert!(help.contains(&format!("{:>3}  {means}", exit as u8)), "{help}");
        }
    }

    #[test]
    fn options_may_follow_the_command() {
        let cli = Cli::try_parse_from(["kilofold", "imports", "--json", "--config", "x.toml"]);
        let cli = cli.unwrap();
        assert!(cli.globals.json);
        assert_eq!(cli.globals.config, PathBuf::from("x.toml"));
    }
}

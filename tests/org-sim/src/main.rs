//! `kilofold-org`: a simulated Salesforce org as a program.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use org_sim::{ClockMode, Evict, RefreshPolicy, Sim, SimConfig, Sizes};

/// A Salesforce org on this machine: OAuth, REST, SOQL, limits and faults, for tests, demos and plugin authors.
#[derive(Debug, Parser)]
#[command(name = "kilofold-org", version)]
struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8787")]
    listen: SocketAddr,
    /// The same seed and sizes give the same records
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many records an object starts with, as Contact=10000; may be repeated
    #[arg(long = "records", value_name = "OBJECT=N", value_parser = size)]
    records: Vec<(String, usize)>,
    /// Grant every authorisation without the consent page
    #[arg(long)]
    auto_approve: bool,
    /// Give a new refresh token on every refresh
    #[arg(long)]
    rotate_refresh_tokens: bool,
    /// Seconds an access token works
    #[arg(long, default_value_t = 7_200, value_name = "SECONDS")]
    access_token_life: u64,
    /// API calls in 24 hours
    #[arg(long, default_value_t = 15_000)]
    daily_limit: u64,
    /// The most records in one answer
    #[arg(long, default_value_t = 2_000)]
    page_cap: usize,
    /// Seconds after which a refresh token that was not used is refused
    #[arg(long, value_name = "SECONDS", conflicts_with = "refresh_life")]
    refresh_idle: Option<u64>,
    /// Seconds after which a refresh token is refused
    #[arg(long, value_name = "SECONDS")]
    refresh_life: Option<u64>,
    /// Consumer key of the connected app
    #[arg(long)]
    client_id: Option<String>,
    /// Label of the connected app, as OauthToken has it
    #[arg(long, value_name = "NAME")]
    app_name: Option<String>,
    /// Consumer secret of the connected app
    #[arg(long, env = "KILOFOLD_ORG_CLIENT_SECRET")]
    client_secret: Option<String>,
    /// Let the code and refresh grants do without the consumer secret
    #[arg(long)]
    no_secret: bool,
    /// Refuse authorisations without PKCE
    #[arg(long)]
    require_pkce: bool,
    /// The integration user; repeat for further users
    #[arg(long = "user", value_name = "USERNAME")]
    users: Vec<String>,
    /// A user of another org who logs in at the same host; may be repeated
    #[arg(long = "foreign-user", value_name = "USERNAME")]
    foreign_users: Vec<String>,
    /// A user who sees everybody's tokens in OauthToken; may be repeated
    #[arg(long = "token-admin", value_name = "USERNAME")]
    token_admins: Vec<String>,
    /// PEM file with the public key for the JWT bearer grant
    #[arg(long, value_name = "FILE")]
    jwt_public_key: Option<PathBuf>,
    /// Which approval the sixth one ends
    #[arg(long, value_enum, default_value_t = EvictArg::Oldest)]
    evict: EvictArg,
    /// Count a consent from the moment when its page is opened
    #[arg(long)]
    count_started: bool,
    /// Do not count calls that are answered with 401 because their session has ended
    #[arg(long)]
    free_401: bool,
    /// Send answers uncompressed
    #[arg(long)]
    no_gzip: bool,
    /// How many calls the usage header lags behind
    #[arg(long, default_value_t = 0)]
    limit_header_lag: u64,
    /// Milliseconds to wait before every answer
    #[arg(long, default_value_t = 0, value_name = "MS")]
    latency: u64,
    /// Ask for this token on /__sim/
    #[arg(long, env = "KILOFOLD_ORG_CONTROL_TOKEN")]
    control_token: Option<String>,
    /// Stop the clock at this time, such as 2026-05-06T09:00:00Z
    #[arg(long)]
    clock: Option<jiff::Timestamp>,
    /// Print what it prints as one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EvictArg {
    Oldest,
    LeastRecentlyUsed,
}

fn size(text: &str) -> Result<(String, usize), String> {
    let (object, count) = text.split_once('=').ok_or("write OBJECT=N, such as Contact=10000")?;
    let count = count
        .replace('_', "")
        .parse()
        .map_err(|error| format!("{count:?} is not a number: {error}"))?;
    Ok((object.to_owned(), count))
}

impl Args {
    fn config(self) -> Result<SimConfig, std::io::Error> {
        let usual = SimConfig::default();
        let mut users = self.users.into_iter();
        Ok(SimConfig {
            seed: self.seed,
            sizes: if self.records.is_empty() { usual.sizes } else { Sizes(self.records) },
            listen: self.listen,
            auto_approve: self.auto_approve,
            rotate_refresh_tokens: self.rotate_refresh_tokens,
            access_token_life: Duration::from_secs(self.access_token_life),
            refresh_policy: match (self.refresh_idle, self.refresh_life) {
                (Some(idle), _) => RefreshPolicy::Idle(Duration::from_secs(idle)),
                (None, Some(life)) => RefreshPolicy::Life(Duration::from_secs(life)),
                (None, None) => RefreshPolicy::Forever,
            },
            daily_limit: self.daily_limit,
            page_cap: self.page_cap,
            client_id: self.client_id.unwrap_or(usual.client_id),
            app_name: self.app_name.unwrap_or(usual.app_name),
            client_secret: self.client_secret.unwrap_or(usual.client_secret),
            require_secret: !self.no_secret,
            require_pkce: self.require_pkce,
            username: users.next().unwrap_or(usual.username),
            more_usernames: users.collect(),
            foreign_usernames: self.foreign_users,
            token_admins: self.token_admins,
            count_started: self.count_started,
            count_ended_sessions: !self.free_401,
            jwt_public_key_pem: self.jwt_public_key.map(std::fs::read_to_string).transpose()?,
            evict: match self.evict {
                EvictArg::Oldest => Evict::Oldest,
                EvictArg::LeastRecentlyUsed => Evict::LeastRecentlyUsed,
            },
            gzip: !self.no_gzip,
            limit_header_lag: self.limit_header_lag,
            latency: Duration::from_millis(self.latency),
            control_token: self.control_token,
            clock: self.clock.map_or(ClockMode::System, ClockMode::Fixed),
            ..usual
        })
    }
}

#[tokio::main]
#[expect(clippy::print_stderr, reason = "the program's last words")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kilofold-org: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let json = args.json;
    let sim = Sim::start(args.config()?).await?;
    announce(&sim, json);
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended?,
        () = sim.stopped().cancelled_owned() => {}
    }
    sim.shutdown().await?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what a user or a script needs to connect")]
fn announce(sim: &Sim, json: bool) {
    let config = sim.config();
    if json {
        let block = serde_json::json!({
            "url": sim.url(),
            "client_id": config.client_id,
            "client_secret": config.client_secret,
            "username": config.username,
            "control": format!("{}/__sim/", sim.url()),
        });
        println!("{block}");
        return;
    }
    println!("Simulated Salesforce org");
    println!("  URL            {}", sim.url());
    println!("  client id      {}", config.client_id);
    println!("  client secret  {}", config.client_secret);
    println!("  user           {}", config.username);
    println!("  control        {}/__sim/", sim.url());
    println!("Ctrl-C ends it.");
}

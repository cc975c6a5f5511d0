//! The simulated org: this program started once more, as a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use org_sim::{ClockMode, Sim, SimConfig, Sizes};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{PAGE, Result};

/// Is the org until standard input ends.
pub fn serve(records: usize, gzip: bool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // All records are older than the present, so every window takes them all.
        let now = Timestamp::now();
        let sizes = [("Contact", records), ("Account", records / 20 + 1)];
        let sim = Sim::start(SimConfig {
            sizes: Sizes(sizes.map(|(name, size)| (name.to_owned(), size)).to_vec()),
            clock: ClockMode::Fixed(now - SignedDuration::from_mins(10)),
            daily_limit: 100_000_000,
            gzip,
            page_cache_bytes: 300 << 20,
            ..SimConfig::default()
        })
        .await?;
        sim.set_clock(ClockMode::Fixed(now));
        let config = sim.config();
        println!(
            "{}",
            json!({"url": sim.url(), "id": config.client_id, "secret": config.client_secret})
        );
        tokio::task::spawn_blocking(|| {
            std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())
        })
        .await??;
        sim.shutdown().await?;
        Ok(())
    })
}

/// The running org. Dropping it ends it.
pub struct Org {
    child: Child,
    input: Option<ChildStdin>,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    /// Where it is, and what the connected app is called.
    pub about: About,
    /// A token for programs that want one.
    pub token: String,
}

/// What the org says of itself.
#[derive(Debug, Deserialize)]
pub struct About {
    /// Its address.
    pub url: String,
    /// The consumer key.
    pub id: String,
    /// The consumer secret.
    pub secret: String,
}

/// Calls of the kinds that this benchmark counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Calls {
    /// Pages asked for.
    pub query: usize,
    /// All that used up a call of the allowance.
    pub counted: usize,
}

/// The same query, its pages thrown away.
pub struct Raw {
    /// Bytes of the pages, unpacked.
    pub bytes: usize,
    /// How long it took.
    pub took: Duration,
}

impl Org {
    /// Starts it and takes a token.
    pub fn start(records: usize, gzip: bool) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--org", &records.to_string()]);
        if gzip {
            command.arg("--gzip");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let mut line = String::new();
        BufReader::new(output.ok_or("no output")?).read_line(&mut line)?;
        let about: About = serde_json::from_str(&line)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // A process has one TLS provider; it does not matter who installed it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder().no_proxy().build()?;
        let mut org = Self { child, input, runtime, client, about, token: String::new() };
        let grant = [
            ("grant_type", "client_credentials"),
            ("client_id", &org.about.id),
            ("client_secret", &org.about.secret),
        ];
        let request = org.client.post(org.address("/services/oauth2/token")).form(&grant);
        let answer = org.json(request)?;
        org.token = answer["access_token"].as_str().ok_or("no token")?.to_owned();
        Ok(org)
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.about.url)
    }

    fn json(&self, request: reqwest::RequestBuilder) -> Result<Value> {
        Ok(self
            .runtime
            .block_on(async { request.send().await?.error_for_status()?.json::<Value>().await })?)
    }

    /// Waits so long before every answer from now on.
    pub fn set_latency(&self, latency: Duration) -> Result<()> {
        let body = json!({"ms": u64::try_from(latency.as_millis())?});
        self.json(self.client.post(self.address("/__sim/latency")).json(&body)).map(drop)
    }

    /// Empties the log of requests.
    pub fn forget_requests(&self) -> Result<()> {
        self.json(self.client.delete(self.address("/__sim/requests"))).map(drop)
    }

    fn log(&self) -> Result<Vec<Value>> {
        let address = self.address("/__sim/requests?limit=100000");
        let mut answer = self.json(self.client.get(address))?;
        let log = answer.get_mut("requests").and_then(Value::as_array_mut);
        Ok(std::mem::take(log.ok_or("no log")?))
    }

    /// How many requests it received since the log was emptied.
    pub fn requests(&self) -> Result<usize> {
        Ok(self.log()?.len())
    }

    /// The calls among them.
    pub fn calls(&self) -> Result<Calls> {
        let log = self.log()?;
        let query = |note: &&Value| matches!(note["class"].as_str(), Some("query" | "query_more"));
        Ok(Calls {
            query: log.iter().filter(query).count(),
            counted: log.iter().filter(|note| note["counted"] == true).count(),
        })
    }

    /// Pages through a query and throws the pages away: no client can be quicker.
    pub fn page_through(&self, soql: &str) -> Result<Raw> {
        let options = format!("batchSize={PAGE}");
        let begun = Instant::now();
        let mut bytes = 0;
        let first = self.client.get(self.address("/services/data/v62.0/queryAll"));
        let mut request = first.query(&[("q", soql)]);
        loop {
            request = request.bearer_auth(&self.token).header("Sforce-Query-Options", &options);
            let body = self
                .runtime
                .block_on(async { request.send().await?.error_for_status()?.bytes().await })?;
            bytes += body.len();
            let head = String::from_utf8_lossy(body.get(..300).unwrap_or(&body));
            let next =
                head.split_once("\"nextRecordsUrl\":\"").and_then(|(_, url)| url.split_once('"'));
            match next {
                Some((url, _)) => request = self.client.get(self.address(url)),
                None => return Ok(Raw { bytes, took: begun.elapsed() }),
            }
        }
    }
}

impl Drop for Org {
    fn drop(&mut self) {
        drop(self.input.take());
        if let Err(error) = self.child.wait() {
            eprintln!("end_to_end: the org: {error}");
        }
    }
}

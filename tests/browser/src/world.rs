//! A simulated org, a configured host process, and its address.

use std::time::Duration;

use serde_json::Value;
use support::{Child, Output, Setup, TestEnv};

/// An org and a serving host. Both end when this is dropped.
pub struct World {
    /// The host; before the org, so that it ends first.
    pub host: Child,
    /// The org, the folder and the configuration.
    pub env: TestEnv,
}

impl World {
    /// Starts the org, then the host, and waits until it answers.
    pub async fn start(setup: Setup) -> Self {
        let env = setup.start().await;
        let config = env.config_path();
        let host = tokio::task::spawn_blocking(move || {
            let mut host = Child::start(&config, &["serve"]);
            host.says("Host started");
            host
        });
        Self { host: host.await.unwrap(), env }
    }

    /// The address of a page.
    pub fn page(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.env.listen)
    }

    /// Runs a command against the host; gives its standard output as JSON.
    pub async fn command(&self, arguments: &[&str]) -> Value {
        let output = self.output(arguments).await;
        serde_json::from_str(&output.out).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// Runs a sync now; one that its schedule has just started is waited for, and then run again.
    pub async fn sync(&self, name: &str) {
        loop {
            let output = self.output(&["sync", "now", name]).await;
            if !output.err.contains("sync.running") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn output(&self, arguments: &[&str]) -> Output {
        let config = self.env.config_path();
        let arguments: Vec<String> = arguments
            .iter()
            .map(|argument| (*argument).to_owned())
            .chain(["--json".to_owned()])
            .collect();
        let output = tokio::task::spawn_blocking(move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            Child::start(&config, &arguments).wait()
        });
        output.await.unwrap()
    }

    /// Lets the org wait this long before every answer.
    pub fn slow(&self, millis: u64) {
        self.env.sim.set_latency(Duration::from_millis(millis));
    }
}

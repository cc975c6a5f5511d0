//! Whatever the Salesforce client tells, in logs, errors or debug output, holds no secret. A test program of its own:
//! it listens to everything that the process logs.

#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

#[path = "salesforce/env.rs"]
mod env;

use std::io::Write;
use std::sync::{Arc, Mutex};

use env::{Env, config};
use org_sim::{FaultKind, RequestClass, SimConfig};

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_secret_is_told() {
    let sink = Sink::default();
    let lines = sink.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || lines.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let env = Env::connected(SimConfig { rotate_refresh_tokens: true, ..config() }).await;
    let mut secrets = env.tokens();
    env.first().await.unwrap();
    env.sim.expire_access_tokens();
    let page = env.first().await.unwrap();
    secrets.extend(env.tokens());
    secrets.push(env.sim.config().client_secret.clone());
    env.fault(RequestClass::Query, FaultKind::ResetMidBody);
    env.first().await.unwrap();
    env.sim.revoke_approvals(None);
    let error = env.first().await.unwrap_err();
    let told = format!("{error} {error:?} {:?} {page:?} {:?}", env.org, env.org.connections());
    sink.0.lock().unwrap().extend_from_slice(told.as_bytes());
    let told = String::from_utf8_lossy(&sink.0.lock().unwrap()).into_owned();
    assert!(told.contains("request answered") && told.contains("the session has ended"));
    assert!(secrets.len() >= 5, "two pairs of tokens and the secret");
    let sealed = env.safe.main();
    for secret in secrets {
        assert!(!told.contains(&secret), "a secret is told");
        assert!(!sealed.windows(secret.len()).any(|part| part == secret.as_bytes()));
    }
}

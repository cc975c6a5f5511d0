//! Sends spans to the collector, and says now and then when it takes none.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanExporter as Export};
use secrecy::ExposeSecret as _;
use tokio::runtime::Handle;

use super::Error;
use crate::config::TelemetryConfig;
use crate::deliver::Client;

/// A collector that takes nothing is told of so often.
const SAY_EVERY: Duration = Duration::from_secs(600);

/// Batches spans, on a thread of its own, and sends them as OTLP over HTTP.
pub(super) fn processor(config: &TelemetryConfig) -> Result<BatchSpanProcessor, Error> {
    let wrong = |why: String| Error::Exporter(why);
    let runtime = Handle::try_current().map_err(|error| wrong(error.to_string()))?;
    let client = Client::new(&config.endpoint, config.timeout)?;
    let mut headers = HashMap::new();
    for (name, secret) in &config.headers {
        headers.insert(name.clone(), secret.read()?.expose_secret().to_owned());
    }
    let why = Arc::<Mutex<String>>::default();
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Through { client, runtime, why: why.clone() })
        .with_endpoint(config.endpoint.as_str())
        .with_timeout(config.timeout)
        .with_headers(headers)
        .build()
        .map_err(|error| wrong(error.to_string()))?;
    Ok(BatchSpanProcessor::builder(Watched { exporter, why, trouble: Mutex::default() }).build())
}

/// Our own client, with our TLS; its requests run in the async runtime, whoever asks.
struct Through {
    client: Client,
    runtime: Handle,
    /// What went wrong last: the exporter tells no more than that something did.
    why: Arc<Mutex<String>>,
}

impl fmt::Debug for Through {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Through")
    }
}

impl HttpClient for Through {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move { client.forward(request).await });
        Box::pin(async move {
            let answer = sent.await?;
            let why = match &answer {
                Ok(answer) => format!("HTTP {}", answer.status().as_u16()),
                Err(why) => why.clone(),
            };
            *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
            Ok(answer?)
        })
    }
}

/// The exporter, with an eye on whether it is heard.
struct Watched {
    exporter: SpanExporter,
    why: Arc<Mutex<String>>,
    trouble: Mutex<Trouble>,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

impl Export for Watched {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let sent = self.exporter.export(batch).await;
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble.after(sent.is_ok(), spans, Instant::now()) {
            Some(Say::Lost(lost)) => {
                let why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
                let why: String = why.chars().take(300).collect();
                tracing::warn!(spans = lost, why = ?why, "The collector takes no traces; nothing else is disturbed");
            }
            Some(Say::Again(lost)) => {
                tracing::info!(spans_lost = lost, "The collector takes traces again");
            }
            None => {}
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Since when nothing is taken, and what was said of it.
#[derive(Debug, Default)]
struct Trouble {
    lost: u64,
    said: Option<Instant>,
}

/// What is to be said.
#[derive(Debug, PartialEq, Eq)]
enum Say {
    /// So many spans were lost since something was last taken.
    Lost(u64),
    /// It is over; so many were lost.
    Again(u64),
}

impl Trouble {
    /// What to say after a request with so many spans.
    fn after(&mut self, taken: bool, spans: u64, now: Instant) -> Option<Say> {
        if taken {
            let over = std::mem::take(self);
            return over.said.map(|_| Say::Again(over.lost));
        }
        self.lost = self.lost.saturating_add(spans);
        if self.said.is_some_and(|said| now.duration_since(said) < SAY_EVERY) {
            return None;
        }
        self.said = Some(now);
        Some(Say::Lost(self.lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_it_once_in_a_while() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut trouble = Trouble::default();
        assert_eq!(trouble.after(true, 9, at(0)), None);
        assert_eq!(trouble.after(false, 4, at(5)), Some(Say::Lost(4)));
        for second in 6..600 {
            assert_eq!(trouble.after(false, 1, at(second)), None);
        }
        assert_eq!(trouble.after(false, 1, at(605)), Some(Say::Lost(599)));
        assert_eq!(trouble.after(true, 1, at(606)), Some(Say::Again(599)));
        assert_eq!(trouble.after(true, 1, at(607)), None);
        assert_eq!(trouble.after(false, 2, at(608)), Some(Say::Lost(2)));
    }
}

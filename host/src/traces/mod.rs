//! Runs as traces, for OpenTelemetry: made from the events, and sent by a thread of their own, so that no run waits for a
//! collector.
//!
//! Spans hold names of the configuration, numbers, stable codes and the reasons of requests made again: nothing of a record,
//! and no words of a plugin.

mod send;
mod spans;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::config::{self, TelemetryConfig};
use crate::deliver;
use crate::events::Event;
use crate::model::Stamp;
use spans::Spans;

/// How long the last spans are waited for when the process ends.
const LAST: Duration = Duration::from_secs(3);

/// Why no traces can be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The value of a header cannot be read.
    #[error("[telemetry] {0}")]
    Secret(#[from] config::Error),
    /// There is no client.
    #[error("[telemetry] {0}")]
    Client(#[from] deliver::Error),
    /// The exporter does not take what is configured, here or in the variables `OTEL_...` of the environment.
    #[error("traces cannot be sent: {0}")]
    Exporter(String),
}

impl Error {
    /// A stable code, for `kilofold explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Secret(error) => error.code(),
            Self::Client(error) => error.code(),
            Self::Exporter(_) => "telemetry.exporter",
        }
    }
}

/// Makes traces of events. Clones share them.
#[derive(Clone)]
pub struct Traces(Arc<Inner>);

struct Inner {
    provider: SdkTracerProvider,
    spans: Mutex<Spans>,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Traces")
    }
}

impl Traces {
    /// Begins; must be called within the async runtime, which then carries the requests. Secrets are read now.
    pub fn start(config: &TelemetryConfig) -> Result<Self, Error> {
        let processor = send::processor(config)?;
        let resource = Resource::builder()
            .with_service_name(config.service.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_resource(resource)
            .build();
        let spans = Mutex::new(Spans::new(provider.tracer("kilofold")));
        Ok(Self(Arc::new(Inner { provider, spans })))
    }

    /// Makes of an event what it is in a trace.
    pub fn hear(&self, at: Stamp, event: &Event) {
        self.0.spans.lock().unwrap_or_else(PoisonError::into_inner).hear(at, event);
    }

    /// Sends what is left, for a few seconds at most. Blocks. What is heard afterwards is lost.
    pub fn close(&self) {
        if let Err(error) = self.0.provider.shutdown_with_timeout(LAST) {
            tracing::warn!(%error, "The last traces could not be sent");
        }
    }
}

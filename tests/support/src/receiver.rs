//! A destination of deliveries, on loopback.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;
use tokio::net::TcpListener;

/// Takes what is delivered, or refuses it as it is told.
#[derive(Clone)]
pub struct Receiver {
    /// Where to.
    pub url: String,
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    rules: Mutex<Rules>,
    taken: Mutex<Vec<Value>>,
}

#[derive(Default)]
struct Rules {
    /// A body with one of these words is refused with 422.
    words: Vec<String>,
    /// Everything is answered with this.
    status: Option<u16>,
    /// What is said of a refusal.
    says: String,
}

impl Receiver {
    /// Listens, until the process ends.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let inner = Arc::<Inner>::default();
        let routes = axum::Router::new().fallback(take).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, inner }
    }

    /// A `[[deliver]]` section that sends here.
    pub fn section(&self, name: &str, lines: &str) -> String {
        format!("[[deliver]]\nname = \"{name}\"\nurl = \"{}\"\n{lines}\n", self.url)
    }

    /// From now on a body with one of these words is refused, in these words.
    pub fn refuse(&self, words: &[&str], says: &str) {
        let mut rules = self.inner.rules.lock().unwrap();
        rules.words = words.iter().map(|word| (*word).to_owned()).collect();
        says.clone_into(&mut rules.says);
    }

    /// From now on everything is answered with this status; none: as usual.
    pub fn answer(&self, status: Option<u16>) {
        self.inner.rules.lock().unwrap().status = status;
    }

    /// The bodies that were taken, in the order in which they came.
    pub fn taken(&self) -> Vec<Value> {
        self.inner.taken.lock().unwrap().clone()
    }
}

async fn take(State(inner): State<Arc<Inner>>, bytes: Bytes) -> (StatusCode, String) {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let (status, says) = {
        let rules = inner.rules.lock().unwrap();
        let refused = rules.words.iter().any(|word| text.contains(word.as_str()));
        (rules.status.or(refused.then_some(422)), rules.says.clone())
    };
    match status {
        Some(status) => (StatusCode::from_u16(status).unwrap(), says),
        None => {
            inner.taken.lock().unwrap().push(serde_json::from_str(&text).unwrap());
            (StatusCode::OK, String::new())
        }
    }
}

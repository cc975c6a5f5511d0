//! Puts an answer on the wire, with the headers that Salesforce sends and the faults of the transport.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use jiff::Timestamp;
use rand::RngExt;

use super::answer::Answer;
use super::effects;
use super::socket::Peer;
use crate::clock::http_date;
use crate::faults::FaultKind;
use crate::state::State;

const USUAL: [(&str, &str); 8] = [
    ("cache-control", "no-cache,must-revalidate,max-age=0,no-store,private"),
    ("strict-transport-security", "max-age=63072000; includeSubDomains"),
    ("x-content-type-options", "nosniff"),
    ("x-robots-tag", "none"),
    ("set-cookie", "CookieConsentPolicy=0:1; path=/"),
    ("server", "sfdcedge"),
    ("x-sfdc-edge-cache", "none"),
    ("vary", "Accept-Encoding"),
];

/// One thing to do while a body is sent.
#[derive(Debug)]
enum Step {
    Send(Bytes),
    Wait(Duration),
    /// Lets the transport send what it has.
    Flush,
    /// Until the org is shut down.
    WaitForEver,
    /// Ends the connection with a TCP reset.
    Reset,
}

/// The response to an answer that was made at this time.
pub(crate) async fn send(
    state: &Arc<State>,
    peer: &Peer,
    mut answer: Answer,
    hits: &[FaultKind],
    gzip: bool,
    at: Timestamp,
) -> Response {
    let mut truncated = false;
    for hit in hits {
        match hit {
            FaultKind::Stall { ms, mid_body: false } => {
                wait(state, ms.map(Duration::from_millis)).await
            }
            FaultKind::TruncatedJson => {
                effects::truncate(&mut answer);
                truncated = true;
            }
            _ => {}
        }
    }
    let (parts, compressed) = answer.payload.parts(gzip && !truncated);
    let steps = steps(parts, hits);
    let mut response =
        Response::new(if steps.is_empty() { Body::empty() } else { body(state, peer, steps) });
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    for (name, value) in USUAL {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let id = format!("{:032x}", rand::rng().random::<u128>());
    for (name, value) in
        [("date", http_date(at)), ("x-sfdc-request-id", id.clone()), ("x-request-id", id)]
    {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    if compressed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    for (name, value) in answer.headers {
        headers.insert(name, value);
    }
    response
}

/// What to do for a body in these parts. Without a fault: send them.
fn steps(parts: Vec<Bytes>, hits: &[FaultKind]) -> VecDeque<Step> {
    let mut steps: VecDeque<Step> =
        parts.into_iter().filter(|part| !part.is_empty()).map(Step::Send).collect();
    for hit in hits {
        match hit {
            FaultKind::ResetMidBody => steps = halved(steps, [Step::Flush, Step::Reset], false),
            FaultKind::Stall { ms: Some(ms), mid_body: true } => {
                steps = halved(steps, [Step::Flush, Step::Wait(Duration::from_millis(*ms))], true);
            }
            FaultKind::Stall { ms: None, mid_body: true } => {
                steps = halved(steps, [Step::Flush, Step::WaitForEver], true)
            }
            FaultKind::Drip { bytes, every_ms } => {
                let body = flat(&steps);
                let every = Duration::from_millis(*every_ms);
                steps = (0..body.len())
                    .step_by((*bytes).max(1))
                    .flat_map(|from| {
                        let part = body.slice(from..(from + (*bytes).max(1)).min(body.len()));
                        [Step::Send(part), Step::Wait(every)]
                    })
                    .collect();
            }
            _ => {}
        }
    }
    steps
}

/// Half of the body, then these steps, then the other half if asked for.
fn halved(steps: VecDeque<Step>, between: [Step; 2], rest: bool) -> VecDeque<Step> {
    let body = flat(&steps);
    let (first, second) = (body.slice(..body.len() / 2), body.slice(body.len() / 2..));
    let mut halved: VecDeque<Step> = VecDeque::from([Step::Send(first)]);
    halved.extend(between);
    if rest {
        halved.push_back(Step::Send(second));
    }
    halved
}

fn flat(steps: &VecDeque<Step>) -> Bytes {
    let parts: Vec<&[u8]> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Send(part) => Some(part.as_ref()),
            _ => None,
        })
        .collect();
    parts.concat().into()
}

fn body(state: &Arc<State>, peer: &Peer, steps: VecDeque<Step>) -> Body {
    let start = (steps, Arc::clone(state), peer.clone());
    Body::from_stream(stream::unfold(start, |(mut steps, state, peer)| async move {
        loop {
            let sent: io::Result<Bytes> = match steps.pop_front()? {
                Step::Send(part) => Ok(part),
                Step::Wait(time) => {
                    wait(&state, Some(time)).await;
                    continue;
                }
                Step::Flush => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Step::WaitForEver => {
                    wait(&state, None).await;
                    Err(io::ErrorKind::ConnectionAborted.into())
                }
                Step::Reset => {
                    peer.reset_when_dropped();
                    Err(io::ErrorKind::ConnectionReset.into())
                }
            };
            return Some((sent, (steps, state, peer)));
        }
    }))
}

/// Waits this long, or for ever, but never past the org's end.
async fn wait(state: &State, time: Option<Duration>) {
    match time {
        Some(time) => {
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = state.stop.cancelled() => {}
            }
        }
        None => state.stop.cancelled().await,
    }
}

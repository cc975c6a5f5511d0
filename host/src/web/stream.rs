//! Long answers: written by a thread that blocks, sent while they are written, a few pieces in memory at a time.

use std::io::{self, Write};

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures::stream;
use tokio::sync::mpsc;

use super::Shared;
use super::problem::Problem;

/// Long answers under way at a time; each has a thread of its own.
pub(super) const STREAMS: usize = 8;
/// Bytes of a piece.
const PIECE: usize = 64 << 10;
/// Pieces that wait to be sent.
const WAITING: usize = 4;

/// Answers with what `work` writes. An error in the middle breaks the answer off, so that nobody takes it for whole.
pub(super) fn stream(
    shared: &Shared,
    media: &'static str,
    work: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
) -> Result<Response, Problem> {
    let place = shared.streams.clone().try_acquire_owned().map_err(|_| {
        let what = format!("{STREAMS} long answers are under way already");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "web.busy", what)
    })?;
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut pieces = Pieces { sender, held: Vec::with_capacity(PIECE) };
        if let Err(error) = work(&mut pieces).and_then(|()| pieces.flush())
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            tracing::warn!(%error, "A long answer broke off");
            // Who has left does not hear it.
            drop(pieces.sender.blocking_send(Err(error)));
        }
    });
    let held = (receiver, shared.stopping.clone(), Some(place));
    let pieces = stream::unfold(held, |(mut receiver, stopping, place)| async move {
        // After the end of an answer that broke off nothing more is sent.
        place.as_ref()?;
        let piece = tokio::select! {
            biased;
            () = stopping.cancelled() => Err(io::Error::other("the host is stopping")),
            piece = receiver.recv() => piece?,
        };
        let place = place.filter(|_| piece.is_ok());
        Some((piece, (receiver, stopping, place)))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    Ok(response)
}

/// Gathers what is written into pieces.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    held: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::replace(&mut self.held, Vec::with_capacity(PIECE)));
        self.sender.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

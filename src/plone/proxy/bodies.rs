//! Passes bodies through the proxy. Bodies are streamed through bounded buffers. Error bodies are passed on only if
//! they contain no tracebacks.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::dev::Payload;
use actix_web::http::{Method, StatusCode};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::plone::proxy::error::ProxyError;
use crate::plone::proxy::own_sign_in::Search;
use crate::plone::rest::{CLIENT_IDLE, PIECES_MAX, Pace, Piece, Upload};

/// Maximum length of an error body that is passed on, in bytes. Plone's own messages are much shorter.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// Streams the body of a request. If the client aborts it, pauses longer than [`CLIENT_IDLE`], or is slower than
/// [`Pace`] allows, the stream ends without an end marker, which its reader treats as an error.
///
/// With `guard`, the stream also ends when the body contains a password.
pub(super) fn upload(mut payload: Payload, length: Option<u64>, mut guard: Option<PasswordGuard>) -> Upload {
    let (pieces, received) = mpsc::channel::<Piece>(PIECES_MAX);
    actix_web::rt::spawn(async move {
        let mut pace = Pace::begin();
        loop {
            let piece = tokio::select! {
                () = pieces.closed() => return,
                piece = timeout(CLIENT_IDLE, payload.next()) => piece,
            };
            let piece = match piece {
                Ok(Some(Ok(piece))) if pace.keeps_up(piece.len()) => Some(piece),
                Ok(None) => None,
                Ok(Some(_)) | Err(_) => return,
            };
            if let (Some(guard), Some(piece)) = (&mut guard, &piece)
                && guard.finds_in(piece)
            {
                return;
            }
            let is_end = piece.is_none();
            if pieces.send(piece).await.is_err() || is_end {
                return;
            }
        }
    });
    Upload { length, pieces: received }
}

/// A search for a password field in the body of a request.
pub(super) struct PasswordGuard {
    search: Search,
    is_found: Arc<AtomicBool>,
}

impl PasswordGuard {
    /// Creates a guard, and the flag that it sets when it has found a password.
    pub(super) fn new() -> (Self, Arc<AtomicBool>) {
        let is_found = Arc::<AtomicBool>::default();
        (Self { search: Search::for_password(), is_found: is_found.clone() }, is_found)
    }

    fn finds_in(&mut self, piece: &[u8]) -> bool {
        let is_found = self.search.feed(piece) > 0;
        if is_found {
            self.is_found.store(true, Ordering::Release);
        }
        is_found
    }
}

/// Streams the body of a response. If Plone does not send all of it, the stream ends with an error, so that the client
/// can detect the incomplete body.
pub(super) fn download(pieces: mpsc::Receiver<Piece>) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold(Some(pieces), async |pieces| {
        let mut pieces = pieces?;
        match pieces.recv().await {
            Some(Some(piece)) => Some((Ok(piece), Some(pieces))),
            Some(None) => None,
            None => Some((Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the response is incomplete")), None)),
        }
    })
}

/// The members of a REST error that may contain a traceback: `{traceback, …}` or `{"error": {traceback, …}}`.
#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorBody {
    Object {
        #[serde(default, deserialize_with = "is_present")]
        traceback: bool,
        #[serde(default)]
        error: Option<Box<ErrorBody>>,
    },
    Other(IgnoredAny),
}

fn is_present<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

impl ErrorBody {
    fn has_traceback(&self) -> bool {
        match self {
            Self::Object { traceback, error } => {
                *traceback || error.as_ref().is_some_and(|error| error.has_traceback())
            }
            Self::Other(_) => false,
        }
    }
}

/// Reads a complete JSON error of Plone. Returns `None` if the body must not be passed on: it is incomplete, too long,
/// not JSON, or contains a traceback.
pub(super) async fn read_error_body(mut pieces: mpsc::Receiver<Piece>) -> Option<Bytes> {
    let mut body = BytesMut::new();
    while let Some(piece) = pieces.recv().await? {
        if body.len() + piece.len() > ERROR_BYTES_MAX {
            return None;
        }
        body.extend_from_slice(&piece);
    }
    let error: ErrorBody = serde_json::from_slice(&body).ok()?;
    let is_clean = !error.has_traceback() && !body.windows(9).any(|word| word == b"Traceback");
    is_clean.then(|| body.freeze())
}

/// Returns the error that replaces a response with this status whose body must not be passed on.
pub(super) fn replacement_error(status: StatusCode, method: &Method) -> ProxyError {
    if status.is_client_error() {
        ProxyError::Refused(status)
    } else {
        ProxyError::Failed { status, method: method.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn passed(pieces: &[&'static str], is_complete: bool) -> Option<Bytes> {
        let (send, receive) = mpsc::channel(8);
        for piece in pieces {
            send.send(Some(Bytes::from_static(piece.as_bytes()))).await.unwrap();
        }
        if is_complete {
            send.send(None).await.unwrap();
        }
        drop(send);
        read_error_body(receive).await
    }

    #[actix_web::test]
    async fn error_bodies_with_tracebacks_are_not_passed_on() {
        let plain = passed(&["{\"type\": \"NotFound\",", " \"message\": \"m\"}"], true).await;
        assert_eq!(plain.as_deref(), Some(b"{\"type\": \"NotFound\", \"message\": \"m\"}".as_slice()));
        assert!(passed(&["{\"error\": \"text\"}"], true).await.is_some());
        for bad in [
            "{\"type\": \"X\", \"traceback\": [\"File\"]}",
            "{\"type\": \"X\", \"traceback\": null}",
            "{\"error\": {\"type\": \"X\", \"traceback\": \"File\"}}",
            "{\"message\": \"Traceback (most recent call last)\"}",
            "<html>",
        ] {
            assert_eq!(passed(&[bad], true).await, None, "{bad}");
        }
        assert_eq!(passed(&["{}"], false).await, None, "incomplete");
    }

    #[actix_web::test]
    async fn only_an_incomplete_response_ends_in_an_error() {
        for is_complete in [true, false] {
            let (send, receive) = mpsc::channel(8);
            send.send(Some(Bytes::from_static(b"half"))).await.unwrap();
            if is_complete {
                send.send(None).await.unwrap();
            }
            drop(send);
            let items: Vec<_> = download(receive).collect().await;
            assert_eq!(items.last().is_some_and(Result::is_ok), is_complete);
            assert_eq!(items.len(), if is_complete { 1 } else { 2 });
        }
    }
}

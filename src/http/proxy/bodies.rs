//! Bodies on their way through the proxy: a few pieces at a time, and errors of Plone without what is nobody's business.

use std::io;

use actix_web::dev::Payload;
use actix_web::http::{Method, StatusCode};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::http::error::Problem;
use crate::http::problem::ProblemCode;
use crate::plone::rest::{CLIENT_IDLE, PIECES_MAX, Pace, Piece, Upload};

/// The longest error answer that is looked into, in bytes; a longer one is a traceback.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// The body of a request as it comes, piece by piece. What does not come whole never ends well for whoever reads it.
pub fn upload(mut payload: Payload, length: Option<u64>) -> Upload {
    let (pieces, received) = mpsc::channel::<Piece>(PIECES_MAX);
    actix_web::rt::spawn(async move {
        let mut pace = Pace::begin();
        loop {
            let piece = tokio::select! {
                () = pieces.closed() => return,
                piece = timeout(CLIENT_IDLE, payload.next()) => piece,
            };
            let piece = match piece {
                Ok(Some(Ok(piece))) if pace.moves(piece.len()) => Some(piece),
                Ok(None) => None,
                Ok(Some(_)) | Err(_) => return,
            };
            let is_end = piece.is_none();
            if pieces.send(piece).await.is_err() || is_end {
                return;
            }
        }
    });
    Upload { length, pieces: received }
}

/// The body of an answer as it comes. Where it breaks off, so does the answer: its receiver sees that it is not whole.
pub fn download(pieces: mpsc::Receiver<Piece>) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold(Some(pieces), async |pieces| {
        let mut pieces = pieces?;
        match pieces.recv().await {
            Some(Some(piece)) => Some((Ok(piece), Some(pieces))),
            Some(None) => None,
            None => Some((Err(io::Error::new(io::ErrorKind::UnexpectedEof, "Plone broke off")), None)),
        }
    })
}

/// A refusal of Plone in JSON, whole, if it may be passed on: none for one with a traceback.
pub async fn refusal(mut pieces: mpsc::Receiver<Piece>) -> Option<Bytes> {
    let mut body = BytesMut::new();
    while let Some(piece) = pieces.recv().await? {
        if body.len() + piece.len() > ERROR_BYTES_MAX {
            return None;
        }
        body.extend_from_slice(&piece);
    }
    let json: Value = serde_json::from_slice(&body).ok()?;
    let has_traceback = |json: &Value| json.get("traceback").is_some();
    let is_clean = !has_traceback(&json)
        && !json.get("error").is_some_and(has_traceback)
        && !body.windows(9).any(|word| word == b"Traceback");
    is_clean.then(|| body.freeze())
}

/// What stands for a fault of Plone, or for a refusal that cannot be passed on.
#[must_use]
pub fn instead_of(status: StatusCode, method: &Method) -> Problem {
    if status.is_client_error() {
        return match status.as_u16() {
            401 | 403 => Problem::forbidden("Plone does not allow this."),
            404 | 410 => Problem::not_found("Plone has nothing at this address."),
            _ => Problem::bad_request("Plone refuses this request."),
        };
    }
    let detail = if method.is_safe() {
        "The college's Plone has failed at this."
    } else {
        "The college's Plone has failed at this. Please look whether it was done before you ask again."
    };
    let problem = Problem::new(ProblemCode::PloneUnavailable, detail);
    problem.caused_by(format_args!("Plone answered {status} to a proxied {method}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn passed(pieces: &[&'static str], is_whole: bool) -> Option<Bytes> {
        let (send, receive) = mpsc::channel(8);
        for piece in pieces {
            send.send(Some(Bytes::from_static(piece.as_bytes()))).await.unwrap();
        }
        if is_whole {
            send.send(None).await.unwrap();
        }
        drop(send);
        refusal(receive).await
    }

    #[actix_web::test]
    async fn a_refusal_passes_when_it_tells_nothing_internal() {
        let plain = passed(&["{\"type\": \"NotFound\",", " \"message\": \"m\"}"], true).await;
        assert_eq!(plain.as_deref(), Some(b"{\"type\": \"NotFound\", \"message\": \"m\"}".as_slice()));
        for bad in [
            "{\"type\": \"X\", \"traceback\": [\"File\"]}",
            "{\"error\": {\"type\": \"X\", \"traceback\": \"File\"}}",
            "{\"message\": \"Traceback (most recent call last)\"}",
            "<html>",
        ] {
            assert_eq!(passed(&[bad], true).await, None, "{bad}");
        }
        assert_eq!(passed(&["{}"], false).await, None, "cut short");
    }

    #[actix_web::test]
    async fn an_answer_that_breaks_off_ends_in_an_error_and_a_whole_one_does_not() {
        for is_whole in [true, false] {
            let (send, receive) = mpsc::channel(8);
            send.send(Some(Bytes::from_static(b"half"))).await.unwrap();
            if is_whole {
                send.send(None).await.unwrap();
            }
            drop(send);
            let items: Vec<_> = download(receive).collect().await;
            assert_eq!(items.last().is_some_and(Result::is_ok), is_whole);
            assert_eq!(items.len(), if is_whole { 1 } else { 2 });
        }
    }
}

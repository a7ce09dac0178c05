//! Bodies that are sent in pieces. actix copies each chunk of a body into the write buffer of its connection, and a
//! body of bytes is one chunk. Without pieces, a list of 2 MB is in memory once for each client that reads it slowly.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

/// The longest piece, in bytes.
pub const PIECE_LEN_MAX: usize = 8 * 1024;
/// The length at which actix stops filling the write buffer of a connection, in bytes: no response is produced while
/// this much waits to be sent. The buffer is at most as long as this plus one piece or burst of a live session, and an
/// idle connection keeps it: with actix's default length, 10,000 connections would keep 640 MB. It is more than the
/// head of a response, so that a head is sent together with its body, and less than a burst, so that each burst has
/// been sent before the next is produced.
pub const WRITE_BUFFER_FULL: usize = 4 * 1024;

/// A body that is sent in pieces. The pieces share the memory of the body.
#[derive(Debug)]
pub(super) struct Pieces {
    rest: Bytes,
    /// Counts the memory of the body until it is sent.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Pieces {
    /// Creates a body; `permit` is released when it is sent or its connection is lost.
    pub(super) const fn new(body: Bytes, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self { rest: body, _permit: permit }
    }
}

impl MessageBody for Pieces {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.rest.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let len = self.rest.len().min(PIECE_LEN_MAX);
        Poll::Ready((len > 0).then(|| Ok(self.rest.split_to(len))))
    }
}

/// Returns the body, in pieces if it is long and in memory.
pub(super) fn in_pieces(body: BoxBody) -> BoxBody {
    match body.size() {
        BodySize::Sized(len) if len > PIECE_LEN_MAX as u64 => match body.try_into_bytes() {
            Ok(bytes) => BoxBody::new(Pieces::new(bytes, None)),
            Err(body) => body,
        },
        _ => body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    async fn pieces_of(bytes: &Bytes) -> Vec<Bytes> {
        let mut body = in_pieces(BoxBody::new(bytes.clone()));
        assert_eq!(body.size(), BodySize::Sized(bytes.len() as u64));
        let mut pieces = Vec::new();
        while let Some(piece) = poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
            pieces.push(piece.unwrap());
        }
        pieces
    }

    #[actix_web::test]
    async fn a_long_body_is_sent_in_pieces_that_share_its_memory() {
        let body: Bytes = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let pieces = pieces_of(&body).await;
        assert_eq!(pieces.concat(), body);
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE_LEN_MAX));
        assert!(pieces.iter().all(|piece| body.as_ptr_range().contains(&piece.as_ptr())), "no piece is a copy");
    }

    #[actix_web::test]
    async fn a_short_body_stays_whole() {
        let body = Bytes::from(vec![7; PIECE_LEN_MAX]);
        assert_eq!(pieces_of(&body).await, [body]);
    }
}

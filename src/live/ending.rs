//! The end of a WebSocket's TCP connection (RFC 6455, section 7.1.1).

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;

use crate::live::frame_guard::GuardStatus;
use crate::logging::CONNECTION_DONE;

/// The body of the response that carries a WebSocket. When both close frames have been sent, it fails instead of
/// ending, and actix closes the TCP connection at once.
///
/// After a body that ends, actix keeps open a connection whose incoming stream has no end, to read what the client is
/// still sending: for a WebSocket until the client closes it, or until the disconnect timeout. A client waits for the
/// server to close, so each close would take the whole timeout.
pub(super) struct EndingBody {
    inner: BoxBody,
    status: Rc<GuardStatus>,
    is_flushed: bool,
}

impl EndingBody {
    /// Wraps the body of a WebSocket.
    pub(super) fn new(inner: BoxBody, status: Rc<GuardStatus>) -> Self {
        Self { inner, status, is_flushed: false }
    }
}

impl MessageBody for EndingBody {
    type Error = actix_web::Error;

    fn size(&self) -> BodySize {
        self.inner.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if !self.is_flushed {
            if let Some(chunk) = ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                return Poll::Ready(Some(chunk.map_err(actix_web::error::ErrorInternalServerError)));
            }
            if !(self.status.is_closing.get() && self.status.is_close_received.get()) {
                return Poll::Ready(None);
            }
            // actix writes what it was given, the close frame last, before it polls again.
            self.is_flushed = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(Done.into())))
    }
}

/// The error with which the body fails when both close frames have been sent.
struct Done;

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CONNECTION_DONE)
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl actix_web::ResponseError for Done {}

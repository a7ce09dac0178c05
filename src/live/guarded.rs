//! A connection's incoming bytes, one frame at a time. The WebSocket stream of actix takes in all that its source has
//! before it decodes a frame, and decodes a frame only when it has all of it; this source looks at each header first,
//! refuses what is not to be taken in, and ends each frame with a pause, in which it is decoded.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::error::PayloadError;
use bytes::{Buf, Bytes};
use futures_util::Stream;

use crate::live::close::Close;
use crate::live::frame_guard::{FrameGuard, Seen};

/// What the stream and its session tell each other.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Why the stream failed, when a frame was refused.
    pub(super) refused: Cell<Option<Close>>,
    /// Whether the transport itself failed.
    pub(super) is_broken: Cell<bool>,
    /// Set by the session once it has hung up: from then on only the client's goodbye counts.
    pub(super) is_closing: Cell<bool>,
}

/// The guarded stream.
pub(super) struct Guarded<S> {
    inner: S,
    chunk: Bytes,
    guard: FrameGuard,
    gate: Rc<Gate>,
    pause: bool,
}

impl<S> Guarded<S> {
    pub(super) fn new(inner: S, gate: Rc<Gate>) -> Self {
        Self { inner, chunk: Bytes::new(), guard: FrameGuard::default(), gate, pause: false }
    }
}

impl<S> Stream for Guarded<S>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if std::mem::take(&mut this.pause) {
            // A whole frame has just been handed over: it is decoded now, and then this is polled again.
            return Poll::Pending;
        }
        loop {
            if this.chunk.is_empty() {
                match Pin::new(&mut this.inner).poll_next(cx) {
                    Poll::Ready(Some(Ok(chunk))) => this.chunk = chunk,
                    Poll::Ready(Some(Err(error))) => {
                        this.gate.is_broken.set(true);
                        return Poll::Ready(Some(Err(error)));
                    }
                    Poll::Ready(None) => return Poll::Ready(None),
                    Poll::Pending => return Poll::Pending,
                }
                continue;
            }
            let is_closing = this.gate.is_closing.get();
            match this.guard.look(&this.chunk) {
                Seen::Part(len) | Seen::Refused(len, _) if is_closing => this.chunk.advance(len),
                Seen::End(_) if is_closing && this.guard.was_close() => return Poll::Ready(None),
                Seen::End(len) if is_closing => this.chunk.advance(len),
                Seen::Part(len) => return Poll::Ready(Some(Ok(this.chunk.split_to(len)))),
                Seen::End(len) => {
                    this.pause = true;
                    return Poll::Ready(Some(Ok(this.chunk.split_to(len))));
                }
                Seen::Refused(len, close) => {
                    this.chunk.advance(len);
                    this.gate.refused.set(Some(close));
                    return Poll::Ready(Some(Err(PayloadError::Incomplete(None))));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::task::noop_waker;

    fn next(
        stream: &mut Guarded<impl Stream<Item = Result<Bytes, PayloadError>> + Unpin>,
    ) -> Poll<Option<Result<usize, ()>>> {
        let waker = noop_waker();
        let polled = Pin::new(stream).poll_next(&mut Context::from_waker(&waker));
        polled.map(|item| item.map(|bytes| bytes.map(|b| b.len()).map_err(|_| ())))
    }

    #[test]
    fn frames_that_arrive_together_are_handed_on_one_by_one_with_a_pause_after_each() {
        let two_pings: &[u8] = &[0x89, 0x80, 1, 2, 3, 4, 0x89, 0x80, 1, 2, 3, 4];
        let source = futures_util::stream::iter([Ok(Bytes::from_static(two_pings))]);
        let mut stream = Guarded::new(source, Rc::default());
        assert_eq!(next(&mut stream), Poll::Ready(Some(Ok(6))));
        assert_eq!(next(&mut stream), Poll::Pending);
        assert_eq!(next(&mut stream), Poll::Ready(Some(Ok(6))));
        assert_eq!(next(&mut stream), Poll::Pending);
        assert_eq!(next(&mut stream), Poll::Ready(None));
    }

    #[test]
    fn a_refused_frame_is_not_handed_on_and_the_goodbye_behind_it_ends_the_stream() {
        let mut bytes = vec![0x82, 0x83, 1, 2, 3, 4, 9, 9, 9];
        bytes.extend([0x88, 0x80, 1, 2, 3, 4]);
        let source = futures_util::stream::iter([Ok(Bytes::from(bytes))]);
        let gate: Rc<Gate> = Rc::default();
        let mut stream = Guarded::new(source, gate.clone());
        assert_eq!(next(&mut stream), Poll::Ready(Some(Err(()))));
        assert_eq!(gate.refused.get(), Some(Close::Binary));
        gate.is_closing.set(true);
        assert_eq!(next(&mut stream), Poll::Ready(None));
    }
}

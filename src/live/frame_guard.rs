//! Limits of what a WebSocket client may send, enforced before a frame is buffered (RFC 6455, section 5.2).
//!
//! actix's codec checks the length of a frame only after it has buffered the whole frame, and its stream reads
//! everything that the socket has. [`FrameGuard`] reads each header first: it rejects frames that are not allowed, adds
//! up the fragments of a message, and finds where a frame ends. [`GuardedPayload`] uses it to pass on single frames.
//!
//! A header is passed on only when it is complete and checked, because the codec rejects some headers after two bytes,
//! and reports reserved bits with the same error as text that is not UTF-8. Text is checked as it arrives, because the
//! codec checks it only when its frame is complete.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::error::PayloadError;
use bytes::{Buf, Bytes};
use futures_util::Stream;

use crate::live::close::Close;
use crate::live::text_check::{NotUtf8, TextCheck};

/// The longest message of a client, all its fragments together, in bytes.
pub const MESSAGE_LEN_MAX: u64 = 64 * 1024;
/// The longest payload of a control frame, in bytes (RFC 6455, section 5.5).
const CONTROL_LEN_MAX: u64 = 125;
/// The longest header, in bytes: 2, 8 for the length, and 4 for the mask.
const HEADER_LEN_MAX: usize = 14;

/// The result of [`FrameGuard::scan`]. The first field is the number of scanned bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scan {
    /// A part of a header that continues.
    Header(usize),
    /// The end of a header, or a part of a payload that continues.
    Part(usize),
    /// The end of a frame.
    End(usize),
    /// The header of a frame that is not allowed, or text that is not UTF-8.
    Rejected(usize, Close),
}

/// A scanner of a stream of frames.
#[derive(Debug, Default)]
struct FrameGuard {
    header: [u8; HEADER_LEN_MAX],
    header_len: u8,
    /// The length of the header that the last scan has accepted, if earlier scans have returned a part of it; else 0.
    kept_header_len: u8,
    /// Bytes of the current frame's payload that were not scanned yet.
    payload_left: u64,
    /// Bytes of the current message so far; `None` between messages.
    message_len: Option<u64>,
    /// Whether the current frame is a close frame.
    is_close: bool,
    /// Whether the current frame is a part of a message.
    is_data: bool,
    mask: [u8; 4],
    /// Bytes of the current frame's payload that were scanned.
    payload_at: u64,
    text: TextCheck,
}

impl FrameGuard {
    /// Scans the next bytes, which must not be empty. Scanning can continue after a rejection: the payload of the
    /// rejected frame yields [`Scan::Part`] and [`Scan::End`].
    fn scan(&mut self, bytes: &[u8]) -> Scan {
        self.kept_header_len = 0;
        if self.payload_left > 0 {
            let here = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(bytes.len());
            self.payload_left -= here as u64;
            if self.check_text(&bytes[..here]).is_err() {
                return Scan::Rejected(here, Close::NotUtf8);
            }
            return if self.payload_left == 0 { Scan::End(here) } else { Scan::Part(here) };
        }
        let mut used = 0;
        while let Some(missing) = self.header_missing() {
            let here = missing.min(bytes.len() - used);
            if here == 0 {
                return Scan::Header(used);
            }
            let at = usize::from(self.header_len);
            self.header[at..at + here].copy_from_slice(&bytes[used..used + here]);
            // At most HEADER_LEN_MAX.
            self.header_len += u8::try_from(here).unwrap_or(0);
            used += here;
        }
        let checked = self.check_header();
        let header_len = std::mem::take(&mut self.header_len);
        if usize::from(header_len) > used {
            self.kept_header_len = header_len;
        }
        match checked {
            Err(close) => Scan::Rejected(used, close),
            Ok(()) if self.check_text(&[]).is_err() => Scan::Rejected(used, Close::NotUtf8),
            Ok(()) if self.payload_left == 0 => Scan::End(used),
            Ok(()) => Scan::Part(used),
        }
    }

    /// Checks the next part of the current frame's payload, and at the end of a message that it is complete.
    fn check_text(&mut self, payload: &[u8]) -> Result<(), NotUtf8> {
        if !self.is_data {
            return Ok(());
        }
        self.text.check(payload, self.mask, self.payload_at)?;
        self.payload_at += payload.len() as u64;
        let is_complete = self.payload_left == 0 && self.message_len.is_none();
        if is_complete { self.text.end() } else { Ok(()) }
    }

    /// Returns the bytes to pass on for the scanned ones: at the end of a header, the whole header.
    fn passed_on(&self, scanned: Bytes) -> Bytes {
        match usize::from(self.kept_header_len) {
            0 => scanned,
            len => Bytes::copy_from_slice(&self.header[..len]),
        }
    }

    /// Returns whether the last frame that ended is a close frame.
    const fn was_close(&self) -> bool {
        self.is_close
    }

    /// Returns how many bytes the header still needs, judged by its bytes so far; `None` when it is complete.
    fn header_missing(&self) -> Option<usize> {
        let have = usize::from(self.header_len);
        let need = if have < 2 {
            2
        } else {
            let length = match self.header[1] & 0x7f {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            let mask = if self.header[1] & 0x80 == 0 { 0 } else { 4 };
            2 + length + mask
        };
        (need > have).then(|| need - have)
    }

    /// Checks a complete header, and sets the state of its frame.
    fn check_header(&mut self) -> Result<(), Close> {
        let [first, second, ..] = self.header;
        let length = match second & 0x7f {
            126 => u64::from(u16::from_be_bytes([self.header[2], self.header[3]])),
            127 => {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(&self.header[2..10]);
                u64::from_be_bytes(bytes)
            }
            short => u64::from(short),
        };
        self.payload_left = length;
        let (is_final, opcode) = (first & 0x80 != 0, first & 0x0f);
        (self.is_close, self.is_data, self.payload_at) = (opcode == 8, false, 0);
        let is_masked = second & 0x80 != 0;
        if let Some(mask) = self.header[..usize::from(self.header_len)].last_chunk() {
            self.mask = *mask;
        }
        if first & 0x70 != 0 || !is_masked || length > i64::MAX as u64 {
            return Err(Close::Protocol);
        }
        match opcode {
            // A close frame has no payload, or at least a code.
            8 if length == 1 => return Err(Close::Protocol),
            8..=10 if is_final && length <= CONTROL_LEN_MAX => return Ok(()),
            0 if self.message_len.is_some() => {}
            1 if self.message_len.is_none() => {}
            2 if self.message_len.is_none() => return Err(Close::Binary),
            _ => return Err(Close::Protocol),
        }
        let total = self.message_len.unwrap_or(0).saturating_add(length);
        self.message_len = (!is_final).then_some(total);
        self.is_data = true;
        if total > MESSAGE_LEN_MAX { Err(Close::TooBig) } else { Ok(()) }
    }
}

/// The state that a [`GuardedPayload`] and the actor that reads it share.
#[derive(Debug, Default)]
pub(super) struct GuardStatus {
    /// The reason why a frame was rejected, which makes the stream fail.
    pub(super) rejected: Cell<Option<Close>>,
    /// Whether the transport failed.
    pub(super) is_broken: Cell<bool>,
    /// Whether the actor has sent its close frame. After that, everything but the client's close frame is discarded.
    pub(super) is_closing: Cell<bool>,
    /// Whether the client's close frame has arrived.
    pub(super) is_close_received: Cell<bool>,
}

/// A stream of the incoming bytes of a connection, which yields at most one frame per poll.
pub(super) struct GuardedPayload<S> {
    inner: S,
    chunk: Bytes,
    guard: FrameGuard,
    status: Rc<GuardStatus>,
    pause: bool,
}

impl<S> GuardedPayload<S> {
    /// Guards `inner`.
    pub(super) fn new(inner: S, status: Rc<GuardStatus>) -> Self {
        Self { inner, chunk: Bytes::new(), guard: FrameGuard::default(), status, pause: false }
    }
}

impl<S> Stream for GuardedPayload<S>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if std::mem::take(&mut this.pause) {
            // The end of a frame was just passed on. The reader decodes the frame before it polls again.
            return Poll::Pending;
        }
        loop {
            if this.chunk.is_empty() {
                match Pin::new(&mut this.inner).poll_next(cx) {
                    Poll::Ready(Some(Ok(chunk))) => this.chunk = chunk,
                    Poll::Ready(Some(Err(error))) => {
                        this.status.is_broken.set(true);
                        return Poll::Ready(Some(Err(error)));
                    }
                    Poll::Ready(None) => return Poll::Ready(None),
                    Poll::Pending => return Poll::Pending,
                }
                continue;
            }
            let is_closing = this.status.is_closing.get();
            match this.guard.scan(&this.chunk) {
                Scan::Part(len) | Scan::Rejected(len, _) if is_closing => this.chunk.advance(len),
                Scan::Header(len) => this.chunk.advance(len),
                Scan::End(_) if is_closing && this.guard.was_close() => {
                    this.status.is_close_received.set(true);
                    return Poll::Ready(None);
                }
                Scan::End(len) if is_closing => this.chunk.advance(len),
                Scan::Part(len) => {
                    let scanned = this.chunk.split_to(len);
                    return Poll::Ready(Some(Ok(this.guard.passed_on(scanned))));
                }
                Scan::End(len) => {
                    this.pause = true;
                    this.status.is_close_received.set(this.guard.was_close());
                    let scanned = this.chunk.split_to(len);
                    return Poll::Ready(Some(Ok(this.guard.passed_on(scanned))));
                }
                Scan::Rejected(len, close) => {
                    this.chunk.advance(len);
                    this.status.rejected.set(Some(close));
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

    fn header(first: u8, length: u64) -> Vec<u8> {
        let mut bytes = vec![first];
        match length {
            0..=125 => bytes.push(0x80 | u8::try_from(length).unwrap()),
            126..=0xffff => {
                bytes.push(0x80 | 126);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend(length.to_be_bytes());
            }
        }
        bytes.extend([1, 2, 3, 4]);
        bytes
    }

    fn frame(first: u8, length: u64) -> Vec<u8> {
        let mut bytes = header(first, length);
        bytes.resize(bytes.len() + usize::try_from(length).unwrap(), b'x');
        bytes
    }

    /// Returns the lengths of the frames in `bytes`, fed in pieces of `step`, or why they are rejected.
    fn run(bytes: &[u8], step: usize) -> Result<Vec<usize>, Close> {
        let mut guard = FrameGuard::default();
        let (mut frames, mut here) = (Vec::new(), 0);
        for mut piece in bytes.chunks(step) {
            while !piece.is_empty() {
                let used = match guard.scan(piece) {
                    Scan::Header(used) | Scan::Part(used) => {
                        here += used;
                        used
                    }
                    Scan::End(used) => {
                        frames.push(here + used);
                        here = 0;
                        used
                    }
                    Scan::Rejected(_, close) => return Err(close),
                };
                piece = &piece[used..];
            }
        }
        Ok(frames)
    }

    #[test]
    fn ends_of_frames_are_found_in_pieces_of_any_length() {
        let bytes = [frame(0x81, 5), frame(0x89, 0), frame(0x01, 300), frame(0x8a, 3), frame(0x80, 0)].concat();
        for step in [1, 2, 3, 7, 64, bytes.len()] {
            assert_eq!(run(&bytes, step), Ok(vec![11, 6, 308, 9, 6]), "in pieces of {step}");
        }
    }

    #[test]
    fn a_message_over_the_limit_is_rejected_at_its_header() {
        assert_eq!(run(&header(0x81, 1 << 32), 14), Err(Close::TooBig));
        assert_eq!(run(&header(0x81, MESSAGE_LEN_MAX + 1), 1), Err(Close::TooBig));
        assert_eq!(run(&frame(0x81, MESSAGE_LEN_MAX), 4096).map(|f| f.len()), Ok(1));
        let fragments = [frame(0x01, 40_000), frame(0x89, 100), header(0x80, 30_000)].concat();
        assert_eq!(run(&fragments, 1000), Err(Close::TooBig));
        let fits = [frame(0x01, 40_000), frame(0x89, 100), frame(0x80, 25_000)].concat();
        assert_eq!(run(&fits, 1000).map(|f| f.len()), Ok(3));
    }

    #[test]
    fn protocol_errors_are_rejected_with_their_close_code() {
        let unmasked = vec![0x81, 0x01, b'x'];
        let cases: [(&str, Vec<u8>, Close); 9] = [
            ("binary", frame(0x82, 1), Close::Binary),
            ("fragmented binary", frame(0x02, 1), Close::Binary),
            ("unmasked", unmasked, Close::Protocol),
            ("reserved bit", frame(0xc1, 1), Close::Protocol),
            ("unknown opcode", frame(0x83, 1), Close::Protocol),
            ("a continuation without a message", frame(0x80, 1), Close::Protocol),
            ("a message within a message", [frame(0x01, 1), frame(0x81, 1)].concat(), Close::Protocol),
            ("a fragmented ping", frame(0x09, 1), Close::Protocol),
            ("a ping of 126 bytes", frame(0x89, 126), Close::Protocol),
        ];
        for (what, bytes, close) in cases {
            assert_eq!(run(&bytes, bytes.len()), Err(close), "{what}");
        }
        assert_eq!(run(&header(0x81, u64::MAX), 3), Err(Close::Protocol), "a length of 64 bits");
    }

    /// Returns a frame whose payload is masked.
    fn text(first: u8, text: &[u8]) -> Vec<u8> {
        let mask = [1_u8, 2, 3, 4];
        let masked = text.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        header(first, text.len() as u64).into_iter().chain(masked).collect()
    }

    #[test]
    fn text_is_checked_across_fragments_and_before_its_frame_ends() {
        let (begin, end) = ("κόσμε".as_bytes().split_at(3), b"\xf4\x90\x80\x80");
        let fragments = [text(0x01, begin.0), text(0x89, b"\xff\xfe"), text(0x80, begin.1)].concat();
        for step in [1, 2, 5, 100] {
            assert!(run(&fragments, step).is_ok(), "in pieces of {step}; a ping is not text");
            assert_eq!(run(&text(0x81, end), step), Err(Close::NotUtf8), "in pieces of {step}");
        }
        let whole = text(0x81, end);
        let header_len = whole.len() - end.len();
        assert!(run(&whole[..header_len + 1], 1).is_ok());
        assert_eq!(run(&whole[..header_len + 2], 1), Err(Close::NotUtf8), "before the end of the frame");
        let split = [text(0x01, begin.0), text(0x80, b"")].concat();
        assert_eq!(run(&split, 1), Err(Close::NotUtf8), "the message ends within a character");
        assert!(run(&[text(0x01, b"a"), text(0x80, b""), text(0x81, b"b")].concat(), 1).is_ok());
    }

    #[test]
    fn after_a_rejection_the_next_close_frame_is_found() {
        let bytes = [frame(0x82, 500), frame(0x88, 2)].concat();
        let mut guard = FrameGuard::default();
        let mut rest = &bytes[..];
        let mut ends = Vec::new();
        while !rest.is_empty() {
            let (Scan::Header(used) | Scan::Part(used) | Scan::End(used) | Scan::Rejected(used, _)) = guard.scan(rest);
            rest = &rest[used..];
            ends.push(guard.was_close() && guard.payload_left == 0);
        }
        assert_eq!(ends.last(), Some(&true));
    }

    fn next(
        stream: &mut GuardedPayload<impl Stream<Item = Result<Bytes, PayloadError>> + Unpin>,
    ) -> Poll<Option<Result<usize, ()>>> {
        let waker = noop_waker();
        let polled = Pin::new(stream).poll_next(&mut Context::from_waker(&waker));
        polled.map(|item| item.map(|bytes| bytes.map(|b| b.len()).map_err(|_| ())))
    }

    #[test]
    fn frames_in_one_chunk_are_passed_on_one_by_one() {
        let two_pings: &[u8] = &[0x89, 0x80, 1, 2, 3, 4, 0x89, 0x80, 1, 2, 3, 4];
        let source = futures_util::stream::iter([Ok(Bytes::from_static(two_pings))]);
        let mut stream = GuardedPayload::new(source, Rc::default());
        assert_eq!(next(&mut stream), Poll::Ready(Some(Ok(6))));
        assert_eq!(next(&mut stream), Poll::Pending);
        assert_eq!(next(&mut stream), Poll::Ready(Some(Ok(6))));
        assert_eq!(next(&mut stream), Poll::Pending);
        assert_eq!(next(&mut stream), Poll::Ready(None));
    }

    /// Reads a stream to its end or to its failure, and returns the pieces that were passed on.
    fn pieces(bytes: &[u8], step: usize) -> Vec<Vec<u8>> {
        let chunks: Vec<_> = bytes.chunks(step).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        let mut stream = GuardedPayload::new(futures_util::stream::iter(chunks), Rc::default());
        let waker = noop_waker();
        let mut pieces = Vec::new();
        loop {
            match Pin::new(&mut stream).poll_next(&mut Context::from_waker(&waker)) {
                Poll::Ready(Some(Ok(piece))) => pieces.push(piece.to_vec()),
                Poll::Ready(Some(Err(_)) | None) => return pieces,
                Poll::Pending => {}
            }
        }
    }

    #[test]
    fn a_header_in_parts_is_passed_on_whole_and_only_when_it_is_allowed() {
        let bytes = [frame(0x81, 2), frame(0x89, 0), frame(0x01, 200)].concat();
        for step in 1..=8 {
            let pieces = pieces(&bytes, step);
            assert_eq!(pieces.concat(), bytes, "in pieces of {step}");
            assert!(pieces[0].starts_with(&header(0x81, 2)), "in pieces of {step}");
        }
        for (what, rejected) in [("reserved bit", frame(0xa1, 5)), ("unknown opcode", frame(0x85, 0))] {
            assert_eq!(pieces(&[frame(0x81, 1), rejected].concat(), 1).concat(), frame(0x81, 1), "{what}");
        }
    }

    #[test]
    fn a_close_frame_after_a_rejected_frame_ends_the_stream() {
        let mut bytes = vec![0x82, 0x83, 1, 2, 3, 4, 9, 9, 9];
        bytes.extend([0x88, 0x80, 1, 2, 3, 4]);
        let source = futures_util::stream::iter([Ok(Bytes::from(bytes))]);
        let status: Rc<GuardStatus> = Rc::default();
        let mut stream = GuardedPayload::new(source, status.clone());
        assert_eq!(next(&mut stream), Poll::Ready(Some(Err(()))));
        assert_eq!(status.rejected.get(), Some(Close::Binary));
        status.is_closing.set(true);
        assert_eq!(next(&mut stream), Poll::Ready(None));
    }
}

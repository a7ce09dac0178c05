//! Reads the headers of incoming WebSocket frames (RFC 6455, section 5.2), before anything behind them is kept.
//!
//! The codec of actix checks a frame's length only once all of it is in memory, and takes in whatever the socket has.
//! This one sees each header first: it adds up a message's fragments, and says where a frame ends, so that no more
//! than one frame is handed on at a time.

use crate::live::close::Close;

/// The longest message from a client, in bytes, all its fragments together.
pub const MESSAGE_LEN_MAX: u64 = 64 * 1024;
/// The longest payload of a control frame (RFC 6455, section 5.5).
const CONTROL_LEN_MAX: u64 = 125;
/// The longest header: 2 bytes, 8 of length, 4 of mask.
const HEADER_LEN_MAX: usize = 14;

/// What a piece of the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// These bytes belong to a frame that goes on.
    Part(usize),
    /// These bytes end a frame.
    End(usize),
    /// The client must go: its frame is not to be looked at. These bytes are looked at already.
    Refused(usize, Close),
}

/// Where in the stream of frames it is.
#[derive(Debug, Default)]
pub struct FrameGuard {
    header: [u8; HEADER_LEN_MAX],
    header_len: u8,
    /// Bytes of the present frame's payload that are still to come.
    payload_left: u64,
    /// Bytes of the present message so far; none when no message is open.
    message_len: Option<u64>,
    /// Whether the present frame is a close frame.
    is_close: bool,
}

impl FrameGuard {
    /// Looks at the next bytes, which must not be empty, and says how many of them belong together. After a refusal
    /// the guard is still in step: the refused frame's payload passes as [`Seen::Part`] and [`Seen::End`].
    pub fn look(&mut self, bytes: &[u8]) -> Seen {
        if self.payload_left > 0 {
            let here = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(bytes.len());
            self.payload_left -= here as u64;
            return if self.payload_left == 0 { Seen::End(here) } else { Seen::Part(here) };
        }
        let mut used = 0;
        while let Some(missing) = self.header_missing() {
            let here = missing.min(bytes.len() - used);
            if here == 0 {
                return Seen::Part(used);
            }
            let at = usize::from(self.header_len);
            self.header[at..at + here].copy_from_slice(&bytes[used..used + here]);
            // At most HEADER_LEN_MAX.
            self.header_len += u8::try_from(here).unwrap_or(0);
            used += here;
        }
        let verdict = self.judge();
        self.header_len = 0;
        match verdict {
            Err(close) => Seen::Refused(used, close),
            Ok(()) if self.payload_left == 0 => Seen::End(used),
            Ok(()) => Seen::Part(used),
        }
    }

    /// Whether the frame that ended last is a close frame.
    #[must_use]
    pub const fn was_close(&self) -> bool {
        self.is_close
    }

    /// How many bytes the header still needs, as far as is known; none when it is complete.
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

    /// Judges a complete header, and sets what it announces.
    fn judge(&mut self) -> Result<(), Close> {
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
        self.is_close = opcode == 8;
        let is_masked = second & 0x80 != 0;
        if first & 0x70 != 0 || !is_masked || length > i64::MAX as u64 {
            return Err(Close::Protocol);
        }
        match opcode {
            8..=10 if is_final && length <= CONTROL_LEN_MAX => return Ok(()),
            0 if self.message_len.is_some() => {}
            1 if self.message_len.is_none() => {}
            2 if self.message_len.is_none() => return Err(Close::Binary),
            _ => return Err(Close::Protocol),
        }
        let total = self.message_len.unwrap_or(0).saturating_add(length);
        self.message_len = (!is_final).then_some(total);
        if total > MESSAGE_LEN_MAX { Err(Close::TooBig) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// The lengths of the frames in `bytes`, fed in pieces of `step`, or why they are refused.
    fn run(bytes: &[u8], step: usize) -> Result<Vec<usize>, Close> {
        let mut guard = FrameGuard::default();
        let (mut frames, mut here) = (Vec::new(), 0);
        for mut piece in bytes.chunks(step) {
            while !piece.is_empty() {
                let used = match guard.look(piece) {
                    Seen::Part(used) => {
                        here += used;
                        used
                    }
                    Seen::End(used) => {
                        frames.push(here + used);
                        here = 0;
                        used
                    }
                    Seen::Refused(_, close) => return Err(close),
                };
                piece = &piece[used..];
            }
        }
        Ok(frames)
    }

    #[test]
    fn frames_are_told_apart_however_the_bytes_arrive() {
        let bytes = [frame(0x81, 5), frame(0x89, 0), frame(0x01, 300), frame(0x8a, 3), frame(0x80, 0)].concat();
        for step in [1, 2, 3, 7, 64, bytes.len()] {
            assert_eq!(run(&bytes, step), Ok(vec![11, 6, 308, 9, 6]), "in pieces of {step}");
        }
    }

    #[test]
    fn a_message_over_the_limit_is_refused_from_its_header() {
        assert_eq!(run(&header(0x81, 1 << 32), 14), Err(Close::TooBig));
        assert_eq!(run(&header(0x81, MESSAGE_LEN_MAX + 1), 1), Err(Close::TooBig));
        assert_eq!(run(&frame(0x81, MESSAGE_LEN_MAX), 4096).map(|f| f.len()), Ok(1));
        let fragments = [frame(0x01, 40_000), frame(0x89, 100), header(0x80, 30_000)].concat();
        assert_eq!(run(&fragments, 1000), Err(Close::TooBig));
        let fits = [frame(0x01, 40_000), frame(0x89, 100), frame(0x80, 25_000)].concat();
        assert_eq!(run(&fits, 1000).map(|f| f.len()), Ok(3));
    }

    #[test]
    fn what_breaks_the_protocol_is_refused_with_its_code() {
        let unmasked = vec![0x81, 0x01, b'x'];
        let cases: [(&str, Vec<u8>, Close); 9] = [
            ("binary", frame(0x82, 1), Close::Binary),
            ("fragmented binary", frame(0x02, 1), Close::Binary),
            ("unmasked", unmasked, Close::Protocol),
            ("reserved bit", frame(0xc1, 1), Close::Protocol),
            ("unknown opcode", frame(0x83, 1), Close::Protocol),
            ("continuation of nothing", frame(0x80, 1), Close::Protocol),
            ("a message within a message", [frame(0x01, 1), frame(0x81, 1)].concat(), Close::Protocol),
            ("a fragmented ping", frame(0x09, 1), Close::Protocol),
            ("a ping of 126 bytes", frame(0x89, 126), Close::Protocol),
        ];
        for (what, bytes, close) in cases {
            assert_eq!(run(&bytes, bytes.len()), Err(close), "{what}");
        }
        assert_eq!(run(&header(0x81, u64::MAX), 3), Err(Close::Protocol), "a length of 64 bits");
    }

    #[test]
    fn after_a_refusal_the_guard_finds_the_close_frame_behind_it() {
        let bytes = [frame(0x82, 500), frame(0x88, 2)].concat();
        let mut guard = FrameGuard::default();
        let mut rest = &bytes[..];
        let mut ends = Vec::new();
        while !rest.is_empty() {
            let (Seen::Part(used) | Seen::End(used) | Seen::Refused(used, _)) = guard.look(rest);
            rest = &rest[used..];
            ends.push(guard.was_close() && guard.payload_left == 0);
        }
        assert_eq!(ends.last(), Some(&true));
    }
}

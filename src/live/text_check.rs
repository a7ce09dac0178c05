//! Checks that a client's text is UTF-8 while it arrives (RFC 6455, section 8.1), before the frame is complete.

/// Number of bytes that are unmasked at once.
const PIECE_LEN: usize = 256;
/// Maximum number of bytes of a character that are not its last.
const PENDING_LEN_MAX: usize = 3;

/// The error when a text is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotUtf8;

/// The state between two pieces of a message.
#[derive(Debug, Default)]
pub(super) struct TextCheck {
    /// The first bytes of a character that is not complete.
    pending: [u8; PENDING_LEN_MAX],
    pending_len: usize,
}

impl TextCheck {
    /// Checks the next bytes of a message. `masked_at` is the position of the first of them in the payload of its
    /// frame, which is masked with `mask`.
    pub(super) fn check(&mut self, bytes: &[u8], mask: [u8; 4], mut masked_at: u64) -> Result<(), NotUtf8> {
        for piece in bytes.chunks(PIECE_LEN) {
            let mut text = [0; PENDING_LEN_MAX + PIECE_LEN];
            let len = self.pending_len + piece.len();
            text[..self.pending_len].copy_from_slice(&self.pending[..self.pending_len]);
            for (to, byte) in text[self.pending_len..len].iter_mut().zip(piece) {
                *to = byte ^ mask[(masked_at % 4) as usize];
                masked_at += 1;
            }
            self.pending_len = 0;
            if let Err(error) = std::str::from_utf8(&text[..len]) {
                let rest = &text[error.valid_up_to()..len];
                if error.error_len().is_some() || rest.len() > PENDING_LEN_MAX {
                    return Err(NotUtf8);
                }
                self.pending[..rest.len()].copy_from_slice(rest);
                self.pending_len = rest.len();
            }
        }
        Ok(())
    }

    /// Checks that the message does not end within a character.
    pub(super) fn end(&mut self) -> Result<(), NotUtf8> {
        if std::mem::take(&mut self.pending_len) == 0 { Ok(()) } else { Err(NotUtf8) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    /// Checks a masked text in pieces, and returns after how many bytes it was rejected.
    fn rejected_after(text: &[u8], step: usize) -> Option<usize> {
        let masked: Vec<u8> = text.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        let mut check = TextCheck::default();
        for (index, piece) in masked.chunks(step).enumerate() {
            if check.check(piece, MASK, (index * step) as u64).is_err() {
                return Some(index * step + piece.len());
            }
        }
        check.end().is_err().then_some(text.len())
    }

    #[test]
    fn text_is_rejected_at_the_byte_that_makes_it_invalid() {
        let valid = "κόσμε 🎉 text ".repeat(100);
        for step in [1, 2, 3, 7, 255, 256, 257, 5_000] {
            assert_eq!(rejected_after(valid.as_bytes(), step), None, "in pieces of {step}");
        }
        let begin = "κόσμε".len();
        assert_eq!(rejected_after("κόσμε\u{0}".as_bytes(), 1), None);
        // The second byte makes a code point over U+10FFFF.
        assert_eq!(rejected_after(&["κόσμε".as_bytes(), b"\xf4\x90\x80\x80edited"].concat(), 1), Some(begin + 2));
        assert_eq!(rejected_after(b"a\xed\xa0\x80", 1), Some(3), "a surrogate");
        assert_eq!(rejected_after(b"abc\xce", 1), Some(4), "the end within a character");
    }

    proptest! {
        #[test]
        fn the_result_is_that_of_the_standard_library(
            text in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'a'), Just(0xf0), Just(0x9f), Just(0x8e)], 0..600),
            step in 1_usize..300,
        ) {
            prop_assert_eq!(rejected_after(&text, step).is_none(), std::str::from_utf8(&text).is_ok());
        }
    }
}

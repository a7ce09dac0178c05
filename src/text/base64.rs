//! Decodes base64 (RFC 4648) with the standard alphabet, with or without padding.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Accepts missing padding, because Zope and cookies of browsers may omit it.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Returns the bytes that `text` encodes; `None` if it is not base64.
#[must_use]
pub fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    ENGINE.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_optional_and_other_alphabets_are_rejected() {
        for text in ["ZGVhbjp4/+8=", "ZGVhbjp4/+8"] {
            assert_eq!(decode(text).as_deref(), Some(b"dean:x\xff\xef".as_slice()), "{text}");
        }
        for bad in ["a b", "a=b", "%3D", "ZGVhbjp4_-8"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}

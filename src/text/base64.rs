//! Base64 (RFC 4648) as Plone writes it: the standard alphabet, with or without padding.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Zope cuts the padding off in places, and so do browsers' cookies.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Returns the bytes that `text` encodes; none when it is not base64.
#[must_use]
pub fn decoded(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    ENGINE.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_optional_and_only_the_standard_alphabet_is_read() {
        for text in ["ZGVhbjp4/+8=", "ZGVhbjp4/+8"] {
            assert_eq!(decoded(text).as_deref(), Some(b"dean:x\xff\xef".as_slice()), "{text}");
        }
        for bad in ["a b", "a=b", "%3D", "ZGVhbjp4_-8"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }
}

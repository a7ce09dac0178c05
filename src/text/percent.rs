//! Percent-encoding of URLs (RFC 3986, section 2.1). [`decode`] accepts only well-formed text, and [`decode_lossy`] any
//! text.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, percent_decode_str, utf8_percent_encode};

/// Characters to encode in a path segment: all but the unreserved ones (RFC 3986, section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Characters to encode in a path: as in a segment, but not the separator `/` and the `@` before Plone's views.
const PATH: &AsciiSet = &SEGMENT.remove(b'/').remove(b'@');

/// Encodes one segment of a path, or a value in a query.
#[must_use]
pub fn encode_segment(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, SEGMENT)
}

/// Encodes a path of several segments.
#[must_use]
pub fn encode_path(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, PATH)
}

/// Decodes percent-encoded text once. Returns `None` if a `%` is not followed by two hexadecimal digits, if the result
/// is not UTF-8, or if an encoded byte is one for which `is_allowed` returns false.
#[must_use]
pub fn decode(text: &str, is_allowed: impl Fn(u8) -> bool) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let byte = u8::try_from(digit()? * 16 + digit()?).ok()?;
        if !is_allowed(byte) {
            return None;
        }
        decoded.push(byte);
    }
    String::from_utf8(decoded).ok()
}

/// Decodes a field name in a query as a lenient server does: leaves malformed sequences unchanged, replaces bytes that
/// are not UTF-8 with U+FFFD, and decodes `+` as a space.
#[must_use]
pub fn decode_lossy(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_text_decodes_to_the_original() {
        let text = "/a b/\u{fc}/50%?x#y+z@-_.~\0\u{1f600}";
        assert_eq!(encode_segment(text).to_string(), "%2Fa%20b%2F%C3%BC%2F50%25%3Fx%23y%2Bz%40-_.~%00%F0%9F%98%80");
        assert_eq!(encode_path(text).to_string(), "/a%20b/%C3%BC/50%25%3Fx%23y%2Bz@-_.~%00%F0%9F%98%80");
        for encoded in [encode_segment(text), encode_path(text)] {
            assert_eq!(decode(&encoded.to_string(), |_| true).as_deref(), Some(text));
        }
    }

    #[test]
    fn paths_keep_their_separators_and_segments_do_not() {
        assert_eq!(encode_path("/news/lot-c_2.html").to_string(), "/news/lot-c_2.html");
        assert_eq!(encode_path("/news/caf\u{e9} ?#%\"<").to_string(), "/news/caf%C3%A9%20%3F%23%25%22%3C");
        assert_eq!(encode_segment("anna.k-1_~").to_string(), "anna.k-1_~");
        assert_eq!(encode_segment("josé/é@x").to_string(), "jos%C3%A9%2F%C3%A9%40x");
    }

    #[test]
    fn malformed_text_is_rejected() {
        assert_eq!(decode("a%2fB%2Fc+", |_| true).as_deref(), Some("a/B/c+"));
        for bad in ["%", "a%", "%4", "%zz", "%4g", "%+1", "%-1", "% 1", "%%41", "%ff", "%C3", "%\u{fc}"] {
            assert_eq!(decode(bad, |_| true), None, "{bad}");
        }
    }

    #[test]
    fn disallowed_bytes_are_rejected_only_if_they_are_encoded() {
        let no_slash = |byte| byte != b'/';
        assert_eq!(decode("a/b%20c", no_slash).as_deref(), Some("a/b c"));
        assert_eq!(decode("a%2fb", no_slash), None);
    }
}

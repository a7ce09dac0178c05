//! Percent-encoding (RFC 3986, 2.1): everything is encoded that need not be plain, and only what is well-formed is
//! decoded.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, percent_decode_str, utf8_percent_encode};

/// Everything but the characters that are never encoded (RFC 3986, 2.3).
const PIECE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The same for a whole path: what parts its pieces stays, and Plone's `@` before a view.
const PATH: &AsciiSet = &PIECE.remove(b'/').remove(b'@');

/// One piece of a path, or a value in a query.
#[must_use]
pub fn piece(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, PIECE)
}

/// A path of several pieces.
#[must_use]
pub fn path(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, PATH)
}

/// Percent-encoding undone, once. None for a `%` without two hexadecimal digits, for what is no UTF-8, and where a byte
/// was encoded that `may_be` none.
#[must_use]
pub fn decoded(text: &str, may_be: impl Fn(u8) -> bool) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let byte = u8::try_from(digit()? * 16 + digit()?).ok()?;
        if !may_be(byte) {
            return None;
        }
        decoded.push(byte);
    }
    String::from_utf8(decoded).ok()
}

/// A field's name in a query, decoded as a lenient server does it: what is not well-formed stays, a `+` is a space.
#[must_use]
pub fn decoded_loosely(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_comes_back() {
        let text = "/a b/\u{fc}/50%?x#y+z@-_.~\0\u{1f600}";
        assert_eq!(piece(text).to_string(), "%2Fa%20b%2F%C3%BC%2F50%25%3Fx%23y%2Bz%40-_.~%00%F0%9F%98%80");
        assert_eq!(path(text).to_string(), "/a%20b/%C3%BC/50%25%3Fx%23y%2Bz@-_.~%00%F0%9F%98%80");
        for encoded in [piece(text), path(text)] {
            assert_eq!(decoded(&encoded.to_string(), |_| true).as_deref(), Some(text));
        }
    }

    #[test]
    fn an_address_is_spelled_out() {
        assert_eq!(path("/news/lot-c_2.html").to_string(), "/news/lot-c_2.html");
        assert_eq!(path("/news/caf\u{e9} ?#%\"<").to_string(), "/news/caf%C3%A9%20%3F%23%25%22%3C");
        assert_eq!(piece("anna.k-1_~").to_string(), "anna.k-1_~");
        assert_eq!(piece("josé/é@x").to_string(), "jos%C3%A9%2F%C3%A9%40x");
    }

    #[test]
    fn what_is_malformed_is_not_guessed_at() {
        assert_eq!(decoded("a%2fB%2Fc+", |_| true).as_deref(), Some("a/B/c+"));
        for bad in ["%", "a%", "%4", "%zz", "%4g", "%+1", "%-1", "% 1", "%%41", "%ff", "%C3", "%\u{fc}"] {
            assert_eq!(decoded(bad, |_| true), None, "{bad}");
        }
    }

    #[test]
    fn only_what_was_encoded_is_asked_about() {
        let no_slash = |byte| byte != b'/';
        assert_eq!(decoded("a/b%20c", no_slash).as_deref(), Some("a/b c"));
        assert_eq!(decoded("a%2fb", no_slash), None);
    }
}

//! Base64 (RFC 4648), read: of Plone's cookies and tokens.

/// Base64 in either alphabet, with or without padding (RFC 4648, 4 and 5).
#[must_use]
pub fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        held = (held << 6 | u32::from(value)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alphabets_are_read_and_nothing_else() {
        for text in ["ZGVhbjp4/+8=", "ZGVhbjp4_-8"] {
            assert_eq!(decoded(text).as_deref(), Some(b"dean:x\xff\xef".as_slice()), "{text}");
        }
        for bad in ["a b", "a=b", "%3D"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }
}

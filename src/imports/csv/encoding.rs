//! Detects a file's encoding by reading it once, and decodes it to UTF-8. A file that is not valid UTF-8 is taken to be
//! Windows-1252 (WHATWG Encoding Standard), unless it is UTF-16, which Excel calls "Unicode text".

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use encoding_rs::{CoderResult, Decoder, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// Size of the output buffer: a byte of Windows-1252, or two of UTF-16, decode to at most three bytes of UTF-8.
const DECODED_BYTES: usize = 3 * CHUNK_BYTES;

const UTF8_BOM: &[u8] = b"\xEF\xBB\xBF";
const UTF16_LE_BOM: &[u8] = b"\xFF\xFE";
const UTF16_BE_BOM: &[u8] = b"\xFE\xFF";
/// How many bytes show whether a file without a byte order mark is UTF-16.
const UTF16_SAMPLE_BYTES: usize = 1_024;
/// The minimum number of characters that show that a file is UTF-16.
const UTF16_CHARS_MIN: usize = 4;

/// A file's encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// UTF-8, with or without a byte order mark.
    Utf8 { bom: bool },
    /// Windows-1252, which Excel writes on Windows.
    Windows1252,
    /// UTF-16, with or without a byte order mark.
    Utf16 { big_endian: bool, bom: bool },
}

impl Encoding {
    /// Returns the name of the encoding, for staff.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Utf8 { .. } => "UTF-8",
            Self::Windows1252 => "Windows-1252",
            Self::Utf16 { .. } => "UTF-16",
        }
    }
}

/// Detects the encoding from the whole file, then rewinds it.
pub(super) fn detect(file: &mut File) -> io::Result<Encoding> {
    file.seek(SeekFrom::Start(0))?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut pending = 0; // bytes of a character that the previous chunk split
    let mut bom = false;
    let mut first = true;
    let encoding = loop {
        let got = read_full(file, &mut chunk[pending..])?;
        let filled = pending + got;
        if first {
            if let Some(utf16) = utf16(&chunk[..filled]) {
                break utf16;
            }
            bom = chunk[..filled].starts_with(UTF8_BOM);
            first = false;
        }
        pending = match std::str::from_utf8(&chunk[..filled]) {
            Ok(_) => 0,
            Err(e) if e.error_len().is_some() => break Encoding::Windows1252,
            Err(e) => filled - e.valid_up_to(),
        };
        if got == 0 {
            break if pending == 0 { Encoding::Utf8 { bom } } else { Encoding::Windows1252 };
        }
        chunk.copy_within(filled - pending..filled, 0);
    };
    file.seek(SeekFrom::Start(0))?;
    Ok(encoding)
}

/// Recognizes UTF-16. Without a byte order mark, the NUL bytes of Latin letters, digits and delimiters show it.
fn utf16(head: &[u8]) -> Option<Encoding> {
    if head.starts_with(UTF16_LE_BOM) || head.starts_with(UTF16_BE_BOM) {
        return Some(Encoding::Utf16 { big_endian: head.starts_with(UTF16_BE_BOM), bom: true });
    }
    let pairs = || head[..head.len().min(UTF16_SAMPLE_BYTES)].chunks_exact(2);
    let (chars, first, second) =
        (pairs().count(), pairs().filter(|pair| pair[0] == 0).count(), pairs().filter(|pair| pair[1] == 0).count());
    let is_most = |count: usize| chars >= UTF16_CHARS_MIN && 10 * count >= 6 * chars;
    match () {
        () if is_most(first) && second == 0 => Some(Encoding::Utf16 { big_endian: true, bom: false }),
        () if is_most(second) && first == 0 => Some(Encoding::Utf16 { big_endian: false, bom: false }),
        () => None,
    }
}

fn read_full(file: &mut File, mut buffer: &mut [u8]) -> io::Result<usize> {
    let mut total = 0;
    while !buffer.is_empty() {
        let got = file.read(buffer)?;
        if got == 0 {
            break;
        }
        total += got;
        buffer = &mut buffer[got..];
    }
    Ok(total)
}

/// Returns a reader of the file's text as UTF-8, without a byte order mark.
pub(super) fn utf8(mut file: File, encoding: Encoding) -> io::Result<Box<dyn Read>> {
    let (skip, decoder) = match encoding {
        Encoding::Utf8 { bom } => (if bom { UTF8_BOM.len() } else { 0 }, None),
        Encoding::Windows1252 => (0, Some(WINDOWS_1252)),
        Encoding::Utf16 { big_endian, bom } => {
            (if bom { UTF16_LE_BOM.len() } else { 0 }, Some(if big_endian { UTF_16BE } else { UTF_16LE }))
        }
    };
    file.seek(SeekFrom::Start(skip as u64))?;
    let Some(decoder) = decoder else { return Ok(Box::new(file)) };
    Ok(Box::new(Decoded {
        source: BufReader::with_capacity(CHUNK_BYTES, file),
        decoder: decoder.new_decoder_without_bom_handling(),
        raw: vec![0; CHUNK_BYTES],
        text: vec![0; DECODED_BYTES],
        at: 0,
        end: 0,
        done: false,
    }))
}

struct Decoded<R> {
    source: R,
    decoder: Decoder,
    raw: Vec<u8>,
    text: Vec<u8>,
    at: usize,
    end: usize,
    done: bool,
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.end && !self.done {
            let got = self.source.read(&mut self.raw)?;
            self.done = got == 0;
            let (result, _, written, _) = self.decoder.decode_to_utf8(&self.raw[..got], &mut self.text, self.done);
            debug_assert_eq!(result, CoderResult::InputEmpty, "the output buffer has three bytes for each input byte");
            (self.at, self.end) = (0, written);
        }
        let n = out.len().min(self.end - self.at);
        out[..n].copy_from_slice(&self.text[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(bytes: &[u8]) -> (Encoding, String) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let encoding = detect(&mut file).unwrap();
        let mut text = String::new();
        utf8(file, encoding).unwrap().read_to_string(&mut text).unwrap_or_default();
        (encoding, text)
    }

    #[test]
    fn invalid_utf8_is_read_as_windows_1252() {
        assert_eq!(read(b"a,b"), (Encoding::Utf8 { bom: false }, "a,b".into()));
        assert_eq!(read(b"\xEF\xBB\xBFcaf\xC3\xA9"), (Encoding::Utf8 { bom: true }, "café".into()));
        assert_eq!(read(b"caf\xE9 \x96 \x80"), (Encoding::Windows1252, "café – €".into()));
        assert_eq!(read(b"").0, Encoding::Utf8 { bom: false });
        assert_eq!(read(b"ends in half a character \xC3").0, Encoding::Windows1252);
    }

    #[test]
    fn utf16_is_read_with_and_without_a_byte_order_mark() {
        let text = "crn\tcourse\r\n1\tcafé –\u{1F4DA}\r\n".repeat(20_000);
        for (big_endian, bom) in [(false, true), (true, true), (false, false), (true, false)] {
            let mark = if bom { "\u{feff}" } else { "" };
            let units = mark.encode_utf16().chain(text.encode_utf16());
            let bytes: Vec<u8> =
                units.flat_map(|unit| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect();
            let (encoding, decoded) = read(&bytes);
            assert_eq!(encoding, Encoding::Utf16 { big_endian, bom });
            assert!(decoded == text, "big endian {big_endian}, byte order mark {bom}");
        }
        assert_eq!(read(b"1,\0,\0,2\n").0, Encoding::Utf8 { bom: false }, "a few NUL bytes are not UTF-16");
    }

    #[test]
    fn characters_split_by_a_chunk_are_decoded() {
        let mut bytes = vec![b'x'; CHUNK_BYTES - 1];
        bytes.extend("é".repeat(CHUNK_BYTES).as_bytes());
        assert_eq!(read(&bytes), (Encoding::Utf8 { bom: false }, String::from_utf8(bytes.clone()).unwrap()));
        bytes.push(0xE9);
        assert_eq!(read(&bytes).0, Encoding::Windows1252, "an invalid last byte");
    }
}

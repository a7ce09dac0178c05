//! Detects a file's encoding by reading it once, and decodes it to UTF-8. A file that is not valid UTF-8 is taken to be
//! Windows-1252 (WHATWG Encoding Standard).

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use encoding_rs::{CoderResult, Decoder, WINDOWS_1252};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// Size of the output buffer: a byte of Windows-1252 decodes to at most three bytes of UTF-8.
const DECODED_BYTES: usize = 3 * CHUNK_BYTES;

const UTF8_BOM: &[u8] = b"\xEF\xBB\xBF";

/// A file's encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// UTF-8, with or without a byte order mark.
    Utf8 { bom: bool },
    /// Windows-1252, which Excel writes on Windows.
    Windows1252,
    /// UTF-16, which is not supported.
    Utf16,
}

impl Encoding {
    /// Returns the name of the encoding, for staff.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Utf8 { .. } => "UTF-8",
            Self::Windows1252 => "Windows-1252",
            Self::Utf16 => "UTF-16",
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
            if chunk[..filled].starts_with(&[0xFF, 0xFE]) || chunk[..filled].starts_with(&[0xFE, 0xFF]) {
                break Encoding::Utf16;
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
    let skip = if encoding == (Encoding::Utf8 { bom: true }) { UTF8_BOM.len() as u64 } else { 0 };
    file.seek(SeekFrom::Start(skip))?;
    Ok(match encoding {
        Encoding::Windows1252 => Box::new(Decoded {
            source: BufReader::with_capacity(CHUNK_BYTES, file),
            decoder: WINDOWS_1252.new_decoder_without_bom_handling(),
            raw: vec![0; CHUNK_BYTES],
            text: vec![0; DECODED_BYTES],
            at: 0,
            end: 0,
            done: false,
        }),
        Encoding::Utf8 { .. } | Encoding::Utf16 => Box::new(file),
    })
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
        assert_eq!(read(b"\xFF\xFEc\0r\0n\0").0, Encoding::Utf16);
        assert_eq!(read(b"ends in half a character \xC3").0, Encoding::Windows1252);
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

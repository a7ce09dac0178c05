//! A ready answer: its bytes as they are, gzip and brotli, each made at most once, with a weak ETag for all of them.

use std::io::Write;
use std::sync::{Arc, OnceLock};

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, VARY,
};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use tokio::sync::OnceCell;

/// Below this, compressing costs more than it saves.
const COMPRESS_FROM_BYTES: usize = 1_024;
/// Above this, compressing leaves the request threads.
const INLINE_BYTES_MAX: usize = 32 * 1_024;
const BROTLI_WINDOW: u32 = 20;
/// For what is made anew up to twenty times a second: these still shrink JSON to a fifth.
const FAST: Levels = Levels { gzip: 3, brotli: 3 };
/// For what is made once and sent for as long as the hub runs: a page comes a fifth smaller over a slow connection.
const SMALL: Levels = Levels { gzip: 9, brotli: 11 };

/// How hard to compress, in each coding's own numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Levels {
    gzip: u32,
    brotli: u32,
}

/// Differs from start to start: a store that was put back may count a sequence anew, and no cache may mistake it.
#[must_use]
pub fn start_tag() -> &'static str {
    static TAG: OnceLock<String> = OnceLock::new();
    TAG.get_or_init(|| format!("{:08x}", rand::random::<u32>()))
}

/// A ready answer.
#[derive(Debug)]
pub struct Encoded {
    etag: String,
    content_type: &'static str,
    cache_control: &'static str,
    levels: Levels,
    plain: Bytes,
    gzip: OnceCell<Bytes>,
    brotli: OnceCell<Bytes>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
    Brotli,
}

impl Encoded {
    /// An answer with `tag` for its weak ETag: two answers of one URL with one tag are the same.
    #[must_use]
    pub fn new(tag: &str, content_type: &'static str, cache_control: &'static str, plain: Bytes) -> Self {
        let etag = format!("W/\"{tag}\"");
        let levels = FAST;
        Self { etag, content_type, cache_control, levels, plain, gzip: OnceCell::new(), brotli: OnceCell::new() }
    }

    /// An answer that stays the same for as long as the hub runs, and is worth compressing well.
    #[must_use]
    pub fn lasting(tag: &str, content_type: &'static str, cache_control: &'static str, plain: Bytes) -> Self {
        Self { levels: SMALL, ..Self::new(tag, content_type, cache_control, plain) }
    }

    /// Answers a request: 304 when it has this already, else in the best coding that it takes.
    pub async fn respond(self: Arc<Self>, request: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::build(StatusCode::OK);
        response
            .insert_header((VARY, "Accept-Encoding"))
            .insert_header((CACHE_CONTROL, self.cache_control))
            .insert_header((ETAG, self.etag.as_str()));
        if matches_etag(request.headers().get(IF_NONE_MATCH), &self.etag) {
            return response.status(StatusCode::NOT_MODIFIED).finish();
        }
        response.insert_header((CONTENT_TYPE, self.content_type));
        let (body, name) = match self.coding(request) {
            Coding::Identity => return response.body(self.plain.clone()),
            Coding::Gzip => (self.gzip.get_or_init(|| compress(self.plain.clone(), self.levels, gzip)).await, "gzip"),
            Coding::Brotli => {
                (self.brotli.get_or_init(|| compress(self.plain.clone(), self.levels, brotli)).await, "br")
            }
        };
        response.insert_header((CONTENT_ENCODING, name)).body(body.clone())
    }

    fn coding(&self, request: &HttpRequest) -> Coding {
        if self.plain.len() < COMPRESS_FROM_BYTES {
            return Coding::Identity;
        }
        let accepted = request.headers().get(ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or("");
        best_coding(accepted)
    }
}

/// Whether one of the tags in `If-None-Match` is ours, compared weakly (RFC 9110, 8.8.3.2 and 13.1.2).
fn matches_etag(header: Option<&HeaderValue>, etag: &str) -> bool {
    let Some(tags) = header.and_then(|h| h.to_str().ok()) else { return false };
    let bare = etag.trim_start_matches("W/");
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == bare)
}

/// The coding with the highest weight, brotli before gzip where they tie (RFC 9110, 12.5.3).
fn best_coding(accepted: &str) -> Coding {
    let mut best = (Coding::Identity, 0.0_f32);
    let mut weights = [None::<f32>; 2];
    let mut any = None;
    for part in accepted.split(',') {
        let (name, weight) = part.split_once(';').unwrap_or((part, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(1.0, |q| q.parse().unwrap_or(0.0));
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => weights[0] = Some(weight),
            "br" => weights[1] = Some(weight),
            "*" => any = Some(weight),
            _ => {}
        }
    }
    for (coding, weight) in [(Coding::Brotli, weights[1]), (Coding::Gzip, weights[0])] {
        let weight = weight.or(any).unwrap_or(0.0);
        if weight > best.1 {
            best = (coding, weight);
        }
    }
    best.0
}

async fn compress(plain: Bytes, levels: Levels, how: fn(&[u8], Levels) -> Bytes) -> Bytes {
    if plain.len() <= INLINE_BYTES_MAX && levels == FAST {
        return how(&plain, levels);
    }
    let again = plain.clone();
    // The blocking pool refuses only while the process ends.
    actix_web::web::block(move || how(&plain, levels)).await.unwrap_or_else(|_| how(&again, levels))
}

fn gzip(plain: &[u8], levels: Levels) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(levels.gzip));
    // Writing to a vector does not fail.
    let _ = encoder.write_all(plain);
    encoder.finish().unwrap_or_default().into()
}

fn brotli(plain: &[u8], levels: Levels) -> Bytes {
    let mut out = Vec::new();
    {
        let mut encoder = brotli::CompressorWriter::new(&mut out, 16 * 1024, levels.brotli, BROTLI_WINDOW);
        // Writing to a vector does not fail; dropping the encoder ends its stream.
        let _ = encoder.write_all(plain);
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coding_follows_the_weights() {
        for (accepted, coding) in [
            ("", Coding::Identity),
            ("gzip", Coding::Gzip),
            ("gzip, deflate, br", Coding::Brotli),
            ("br;q=0.5, gzip", Coding::Gzip),
            ("gzip;q=0", Coding::Identity),
            ("*", Coding::Brotli),
            ("*;q=0.1, br;q=0", Coding::Gzip),
            ("identity", Coding::Identity),
        ] {
            assert_eq!(best_coding(accepted), coding, "{accepted:?}");
        }
    }

    #[test]
    fn tags_are_compared_weakly() {
        let etag = "W/\"a-1\"";
        for (header, same) in
            [("W/\"a-1\"", true), ("\"a-1\"", true), ("\"x\", W/\"a-1\"", true), ("*", true), ("\"a-2\"", false)]
        {
            assert_eq!(matches_etag(Some(&HeaderValue::from_str(header).unwrap()), etag), same, "{header}");
        }
        assert!(!matches_etag(None, etag));
    }

    #[test]
    fn both_codings_give_back_what_went_in() {
        use std::io::Read;
        let plain: Vec<u8> = b"[\"202209-10001\",30,12,0,18],".repeat(500);
        for levels in [FAST, SMALL] {
            let mut back = Vec::new();
            flate2::read::GzDecoder::new(&gzip(&plain, levels)[..]).read_to_end(&mut back).unwrap();
            assert_eq!(back, plain);
            let mut back = Vec::new();
            brotli::Decompressor::new(&brotli(&plain, levels)[..], 4096).read_to_end(&mut back).unwrap();
            assert_eq!(back, plain);
        }
    }
}

//! Pre-encoded responses: plain, gzip and brotli, each encoded at most once, with one weak ETag.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, OnceLock};

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_ENCODING, AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    Encoding, EntityTag, Header, HeaderValue, IF_NONE_MATCH, IfNoneMatch, Preference, Quality, VARY,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use tokio::sync::{OnceCell, OwnedSemaphorePermit};

use crate::http::build_threads;
use crate::http::pieces::Pieces;
use crate::http::security_headers::{PAGE_POLICY, is_page_type};

/// The shortest body that is compressed, in bytes: below this, compressing costs more than it saves.
const COMPRESS_FROM_BYTES: usize = 512;
/// The longest body that is compressed on a request thread, in bytes.
const INLINE_BYTES_MAX: usize = 32 * 1_024;
/// The longest brotli window, as a power of two. A shorter body gets a window of its length, because the encoder
/// allocates twice the window.
const BROTLI_WINDOW_MAX: u32 = 20;
/// The shortest brotli window, as a power of two (RFC 7932, section 9.1).
const BROTLI_WINDOW_MIN: u32 = 10;
/// Levels for responses that are rebuilt up to twenty times a second; they still reduce JSON to a fifth.
const FAST: Levels = Levels { gzip: 3, brotli: 3 };
/// Levels for responses that are encoded once and sent until the hub stops; pages are a fifth smaller than with
/// [`FAST`].
const SMALL: Levels = Levels { gzip: 9, brotli: 11 };

/// The compression level of each coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Levels {
    gzip: u32,
    brotli: u32,
}

/// Returns a random tag that is different after each start of the hub, for responses about this hub only.
#[must_use]
pub fn start_tag() -> &'static str {
    static TAG: OnceLock<String> = OnceLock::new();
    TAG.get_or_init(|| format!("{:08x}", rand::random::<u32>()))
}

/// Returns the hash of a document as its tag: the same at every hub of one version, and after a restart.
#[must_use]
pub fn tag_of(document: &[u8]) -> String {
    format!("{:016x}", BuildHasherDefault::<DefaultHasher>::default().hash_one(document))
}

/// A response with its body in all codings that have been requested so far.
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

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Brotli,
}

impl Coding {
    /// Returns the value of `Content-Encoding`; `None` for a body that is not encoded.
    const fn header(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }
}

/// A response with its body in one coding, for one request.
#[derive(Debug)]
pub(super) struct EncodedOnce {
    etag: String,
    content_type: &'static str,
    cache_control: &'static str,
    coding: Coding,
    body: Bytes,
}

impl EncodedOnce {
    /// Returns the length of the body in bytes.
    pub(super) const fn len(&self) -> usize {
        self.body.len()
    }

    /// Responds to the request; `permit` is released when the body is sent.
    pub(super) fn respond(self, request: &HttpRequest, permit: OwnedSemaphorePermit) -> HttpResponse {
        let mut response = head(&self.etag, self.cache_control);
        if has_etag(request, &self.etag) {
            return response.status(StatusCode::NOT_MODIFIED).finish();
        }
        response.insert_header((CONTENT_TYPE, self.content_type));
        if let Some(name) = self.coding.header() {
            response.insert_header((CONTENT_ENCODING, name));
        }
        response.body(Pieces::new(self.body, Some(permit)))
    }
}

/// Returns a 304 response if the client has the response with this tag; see [`Encoded::new`].
pub(super) fn not_modified(request: &HttpRequest, tag: &str, cache_control: &'static str) -> Option<HttpResponse> {
    let etag = format!("W/\"{tag}\"");
    has_etag(request, &etag).then(|| head(&etag, cache_control).status(StatusCode::NOT_MODIFIED).finish())
}

/// Returns the head of a response.
fn head(etag: &str, cache_control: &'static str) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(StatusCode::OK);
    response
        .insert_header((VARY, "Accept-Encoding"))
        .insert_header((CACHE_CONTROL, cache_control))
        .insert_header((ETAG, etag));
    response
}

impl Encoded {
    /// Creates a response with the weak ETag `W/"tag"`. Responses of one URL with the same `tag` must be equal.
    #[must_use]
    pub fn new(tag: &str, content_type: &'static str, cache_control: &'static str, plain: Bytes) -> Self {
        let etag = format!("W/\"{tag}\"");
        let levels = FAST;
        Self { etag, content_type, cache_control, levels, plain, gzip: OnceCell::new(), brotli: OnceCell::new() }
    }

    /// Creates a response that does not change while the hub runs; it is compressed at the highest levels.
    #[must_use]
    pub fn lasting(tag: &str, content_type: &'static str, cache_control: &'static str, plain: Bytes) -> Self {
        Self { levels: SMALL, ..Self::new(tag, content_type, cache_control, plain) }
    }

    /// Responds to a request: with 304 if the client's copy is current, otherwise with the body in the best accepted
    /// coding.
    pub async fn respond(self: Arc<Self>, request: &HttpRequest) -> HttpResponse {
        let mut response = head(&self.etag, self.cache_control);
        if is_page_type(self.content_type.as_bytes()) {
            // Also in a 304, which has no media type: browsers replace the headers of their copy with those of the 304.
            response.insert_header((CONTENT_SECURITY_POLICY, PAGE_POLICY));
        }
        if has_etag(request, &self.etag) {
            return response.status(StatusCode::NOT_MODIFIED).finish();
        }
        response.insert_header((CONTENT_TYPE, self.content_type));
        let coding = self.coding_of(coding_for(request));
        let body = match coding {
            Coding::Identity => &self.plain,
            Coding::Gzip => self.gzip.get_or_init(|| compress(self.plain.clone(), self.levels, gzip)).await,
            Coding::Brotli => self.brotli.get_or_init(|| compress(self.plain.clone(), self.levels, brotli)).await,
        };
        if let Some(name) = coding.header() {
            response.insert_header((CONTENT_ENCODING, name));
        }
        response.body(body.clone())
    }

    /// Encodes the body in `coding`, and drops it in the others. This blocks the thread for milliseconds.
    pub(super) fn into_coding(self, coding: Coding) -> EncodedOnce {
        let coding = self.coding_of(coding);
        let body = match coding {
            Coding::Identity => self.plain,
            Coding::Gzip => gzip(&self.plain, self.levels),
            Coding::Brotli => brotli(&self.plain, self.levels),
        };
        let Self { etag, content_type, cache_control, .. } = self;
        EncodedOnce { etag, content_type, cache_control, coding, body }
    }

    /// Returns the coding in which the body is sent to a client that prefers `coding`.
    fn coding_of(&self, coding: Coding) -> Coding {
        if self.plain.len() < COMPRESS_FROM_BYTES { Coding::Identity } else { coding }
    }

    /// Returns the memory of the bodies in all codings, in bytes.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        let encoded = [&self.gzip, &self.brotli].map(|body| body.get().map_or(0, Bytes::len));
        self.plain.len() + encoded.iter().sum::<usize>()
    }
}

/// Returns whether `If-None-Match` names this ETag, compared weakly (RFC 9110, 8.8.3.2 and 13.1.2).
fn has_etag(request: &HttpRequest, etag: &str) -> bool {
    let Some(header) = request.headers().get(IF_NONE_MATCH) else { return false };
    // Browsers send exactly the one ETag that they received, which needs no parsing.
    if header == etag {
        return true;
    }
    match (IfNoneMatch::parse(request), etag.parse::<EntityTag>()) {
        (Ok(IfNoneMatch::Any), _) => true,
        (Ok(IfNoneMatch::Items(tags)), Ok(etag)) => tags.iter().any(|tag| tag.weak_eq(&etag)),
        _ => false,
    }
}

/// Returns the accepted coding with the higher quality, brotli if both are equal; identity if neither is accepted
/// (RFC 9110, 12.5.3).
pub(super) fn coding_for(request: &HttpRequest) -> Coding {
    // The values that browsers and common clients send; matching them costs no allocation.
    match request.headers().get(ACCEPT_ENCODING).map(HeaderValue::as_bytes) {
        None => return Coding::Identity,
        Some(b"gzip, deflate, br, zstd" | b"gzip, deflate, br") => return Coding::Brotli,
        Some(b"gzip, deflate" | b"gzip") => return Coding::Gzip,
        Some(_) => {}
    }
    let Ok(accepted) = AcceptEncoding::parse(request) else { return Coding::Identity };
    // `AcceptEncoding::negotiate` returns identity for `*`, and allocates a set and a sorted list for each request.
    let quality = |coding: Encoding| {
        let of = |item: &Preference<Encoding>| accepted.iter().find(|it| it.item == *item).map(|it| it.quality);
        of(&Preference::Specific(coding)).or_else(|| of(&Preference::Any)).unwrap_or(Quality::ZERO)
    };
    let (brotli, gzip) = (quality(Encoding::brotli()), quality(Encoding::gzip()));
    if brotli == Quality::ZERO && gzip == Quality::ZERO {
        Coding::Identity
    } else if brotli >= gzip {
        Coding::Brotli
    } else {
        Coding::Gzip
    }
}

async fn compress(plain: Bytes, levels: Levels, how: fn(&[u8], Levels) -> Bytes) -> Bytes {
    if plain.len() <= INLINE_BYTES_MAX && levels == FAST {
        return how(&plain, levels);
    }
    let again = plain.clone();
    build_threads::run(move || how(&plain, levels)).await.unwrap_or_else(|_| how(&again, levels))
}

fn gzip(plain: &[u8], levels: Levels) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(levels.gzip));
    // Writing to a vector cannot fail.
    let _ = build_threads::write_in_parts(&mut encoder, plain);
    encoder.finish().unwrap_or_default().into()
}

fn brotli(plain: &[u8], levels: Levels) -> Bytes {
    let mut out = Vec::new();
    let window = plain.len().next_power_of_two().ilog2().clamp(BROTLI_WINDOW_MIN, BROTLI_WINDOW_MAX);
    {
        let mut encoder = brotli::CompressorWriter::new(&mut out, 16 * 1024, levels.brotli, window);
        // Writing to a vector cannot fail; dropping the encoder ends its stream.
        let _ = build_threads::write_in_parts(&mut encoder, plain);
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderName;
    use actix_web::test::TestRequest;

    fn request(header: (HeaderName, &str)) -> HttpRequest {
        TestRequest::default().insert_header(header).to_http_request()
    }

    #[test]
    fn the_coding_with_the_highest_quality_is_chosen() {
        assert_eq!(coding_for(&TestRequest::default().to_http_request()), Coding::Identity);
        for (accepted, coding) in [
            ("", Coding::Identity),
            ("gzip", Coding::Gzip),
            ("gzip, deflate", Coding::Gzip),
            ("gzip, deflate, br", Coding::Brotli),
            ("gzip, deflate, br, zstd", Coding::Brotli),
            ("br,gzip", Coding::Brotli),
            ("BR;q=1.0", Coding::Brotli),
            ("br;q=0.5, gzip", Coding::Gzip),
            ("gzip;q=0", Coding::Identity),
            ("*", Coding::Brotli),
            ("*;q=0.1, br;q=0", Coding::Gzip),
            ("identity", Coding::Identity),
        ] {
            assert_eq!(coding_for(&request((ACCEPT_ENCODING, accepted))), coding, "{accepted:?}");
        }
    }

    #[test]
    fn etags_are_compared_weakly() {
        let etag = "W/\"a-1\"";
        for (header, same) in
            [("W/\"a-1\"", true), ("\"a-1\"", true), ("\"x\", W/\"a-1\"", true), ("*", true), ("\"a-2\"", false)]
        {
            assert_eq!(has_etag(&request((IF_NONE_MATCH, header)), etag), same, "{header}");
        }
        assert!(!has_etag(&TestRequest::default().to_http_request(), etag));
    }

    #[test]
    fn compressed_bodies_decompress_to_the_original() {
        use std::io::Read;
        for rows in [0, 1, 500, 5_000] {
            let plain: Vec<u8> = b"[\"202209-10001\",30,12,0,18],".repeat(rows);
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
}

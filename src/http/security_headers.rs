//! The security headers of every response: content policies, isolation from other sites, and https only.

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// `Content-Security-Policy` of the hub's pages: resources from the hub's origin only, no inline code, no framing.
/// Scripts cannot pass text to the browser to interpret as HTML or code (Trusted Types). `connect-src 'self'` includes
/// the WebSocket of the same host.
pub(super) const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; \
     manifest-src 'self'; worker-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
);
/// `Content-Security-Policy` of everything else: a browser that shows it as a document loads and runs nothing. Short,
/// because the first view of a page has thirty such responses.
const DATA_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// `Content-Security-Policy` of Plone's pages under the hub's origin. Without scripts, forms and an origin, a page
/// cannot act as the signed-in user.
pub(super) const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox");
/// `Permissions-Policy` of the hub's pages: devices that they do not use. Only names that all current browsers support,
/// because Chromium logs a message for others.
const PERMISSIONS: HeaderValue = HeaderValue::from_static(
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
     midi=(), payment=(), usb=(), xr-spatial-tracking=()",
);
/// `Strict-Transport-Security`: one year, the least that scanners and the preload list accept. Without
/// `includeSubDomains`, because the hub must not decide for the college's other hosts.
const HTTPS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");

/// Where a response belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The hub itself.
    Hub,
    /// Plone below `/plone` of the hub's origin, and the hub's own refusals there.
    BelowPlone,
    /// Plone's own origin, which sets its own policies.
    PloneOrigin,
}

/// Adds the security headers of a response. A policy that a handler of the hub has set keeps its value.
///
/// Responses below `/plone` have neither an opener policy, with which browsers refuse to show a sandboxed page, nor a
/// resource policy, with which such a page, whose origin is opaque, could not load its own images.
pub(super) fn add(headers: &mut HeaderMap, place: Place, is_https: bool) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let is_page = is_html(headers);
    if is_page && place != Place::PloneOrigin {
        headers.insert(header::REFERRER_POLICY, SAME_ORIGIN);
    }
    match place {
        Place::PloneOrigin => return,
        Place::BelowPlone => headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX),
        Place::Hub => {
            if is_page {
                // These concern documents only.
                headers.insert(PERMISSIONS_POLICY, PERMISSIONS);
                headers.insert(OPENER_POLICY, SAME_ORIGIN);
            }
            if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
                headers.insert(header::CONTENT_SECURITY_POLICY, if is_page { PAGE_POLICY } else { DATA_POLICY });
            }
            headers.insert(RESOURCE_POLICY, SAME_ORIGIN)
        }
    };
    if is_https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HTTPS_ONLY);
    }
}

/// Returns whether a media type is that of a page.
pub(super) fn is_page_type(media_type: &[u8]) -> bool {
    media_type.starts_with(b"text/html")
}

fn is_html(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| is_page_type(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::error::header_of;

    fn added(content_type: &'static str, place: Place, is_https: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        add(&mut headers, place, is_https);
        headers
    }

    #[test]
    fn pages_may_load_only_from_the_hub_and_run_no_inline_code() {
        let headers = added("text/html; charset=utf-8", Place::Hub, false);
        let policy = header_of(&headers, header::CONTENT_SECURITY_POLICY);
        for directive in [
            "default-src 'none'",
            "script-src 'self'",
            "connect-src 'self'",
            "require-trusted-types-for 'script'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.split("; ").any(|one| one == directive), "{directive} in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for name in [OPENER_POLICY, RESOURCE_POLICY, header::REFERRER_POLICY] {
            assert_eq!(header_of(&headers, name), "same-origin");
        }
        assert!(header_of(&headers, PERMISSIONS_POLICY).contains("camera=()"));
    }

    #[test]
    fn every_other_response_of_the_hub_has_a_policy() {
        for content_type in ["application/json", "application/problem+json", "text/javascript", "text/csv", ""] {
            let headers = added(content_type, Place::Hub, true);
            let policy = header_of(&headers, header::CONTENT_SECURITY_POLICY);
            assert!(policy.starts_with("default-src 'none'; "), "{content_type}: {policy}");
            assert_eq!(header_of(&headers, RESOURCE_POLICY), "same-origin", "{content_type}");
            assert_eq!(header_of(&headers, header::STRICT_TRANSPORT_SECURITY), "max-age=31536000");
        }
        assert!(!added("text/html", Place::Hub, false).contains_key(header::STRICT_TRANSPORT_SECURITY));
    }

    #[test]
    fn below_plone_a_sandbox_replaces_every_policy() {
        let mut headers = added("text/html", Place::BelowPlone, true);
        assert!(headers.contains_key(header::STRICT_TRANSPORT_SECURITY));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("script-src *"));
        add(&mut headers, Place::BelowPlone, true);
        assert_eq!(header_of(&headers, header::CONTENT_SECURITY_POLICY), "sandbox");
        assert!(!headers.contains_key(OPENER_POLICY) && !headers.contains_key(RESOURCE_POLICY));
        let own = added("text/html", Place::PloneOrigin, true);
        assert_eq!(own.len(), 2, "the origin of Plone sets its own policies: {own:?}");
    }
}

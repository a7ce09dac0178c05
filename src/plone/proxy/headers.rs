//! Filters the header fields of proxied requests and responses (RFC 9110, 7.6). Hop-by-hop fields are removed. The hub
//! replaces the fields that describe the origin of a request. Response fields that would take effect outside of Plone
//! are removed.

use std::net::IpAddr;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

use crate::plone::proxy::cookies;
use crate::plone::proxy::management::ForwardAs;
use crate::plone::proxy::path::Mount;

/// Hop-by-hop fields, whether or not `Connection` lists them (RFC 9110, 7.6.1), and framing fields, which each
/// connection writes itself.
const HOP_BY_HOP: [&str; 11] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "expect",
];
/// Request fields that are not forwarded, because the hub writes them itself, or because servers behind the hub could
/// interpret them in a way that changes the request that the hub has checked.
const NOT_TO_PLONE: [&str; 14] = [
    "host",
    "content-type",
    "cookie",
    "forwarded",
    "via",
    "x-real-ip",
    "x-request-id",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "max-forwards",
];
/// Response fields that are not forwarded, because they take effect outside of Plone or disclose its software, or
/// because the hub writes them itself.
const NOT_TO_CLIENTS: [&str; 17] = [
    "server",
    "x-powered-by",
    "via",
    "set-cookie",
    "set-cookie2",
    "www-authenticate",
    "clear-site-data",
    "strict-transport-security",
    "alt-svc",
    "x-request-id",
    "date",
    "service-worker-allowed",
    "nel",
    "report-to",
    "reporting-endpoints",
    "content-security-policy-report-only",
    "x-content-type-options",
];
/// Further response fields that are not forwarded below the hub's own origin, where Plone must not set policies.
const NOT_UNDER_THE_HUB: [&str; 3] = ["content-security-policy", "refresh", "sourcemap"];

/// The hub's entry in `Via` (RFC 9110, 7.6.3).
const VIA: HeaderValue = HeaderValue::from_static("1.1 eduhub");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An origin at which browsers see Plone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PublicOrigin {
    /// `http` or `https`.
    pub(super) scheme: String,
    /// Host name in lower case.
    pub(super) host: String,
    /// Port, even if it is the scheme's default.
    pub(super) port: u16,
}

impl PublicOrigin {
    /// Parses an origin from the settings, such as `https://www.college.edu`.
    pub(super) fn parse(origin: &str) -> Option<Self> {
        let uri: actix_web::http::Uri = origin.parse().ok()?;
        let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme))?.to_owned();
        let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        Some(Self { host: uri.host()?.to_ascii_lowercase(), port, scheme })
    }

    /// Returns host and port in the form of `Host`: without the scheme's default port.
    pub(super) fn authority(&self) -> String {
        match (self.scheme.as_str(), self.port) {
            ("http", 80) | ("https", 443) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }

    /// Returns the origin in the form of `Origin` (RFC 6454).
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority())
    }

    /// Returns true if the value of a `Host` field is this origin.
    pub(super) fn is_host(&self, host: &str) -> bool {
        let host = host.trim().to_ascii_lowercase();
        host == self.authority() || host == format!("{}:{}", self.host, self.port)
    }
}

/// Input for the header fields of a forwarded request.
pub(super) struct RequestHeaders<'a> {
    /// Header fields of the client's request.
    pub(super) headers: &'a HeaderMap,
    /// Where the client addresses Plone.
    pub(super) mount: Mount,
    /// Origin at which the client sees Plone.
    pub(super) origin: &'a PublicOrigin,
    /// Address of the client.
    pub(super) client: IpAddr,
    /// The hub's id of the request.
    pub(super) request_id: &'a str,
    /// The sender's own Plone token; `None` to forward the request as a visitor.
    pub(super) token: Option<&'a SecretString>,
    /// Media type with which the body is forwarded.
    pub(super) content_type: Option<HeaderValue>,
    /// The identity with which the request is forwarded. A visitor has no cookies.
    pub(super) forward_as: ForwardAs,
}

impl RequestHeaders<'_> {
    /// Returns the fields that Plone receives.
    pub(super) fn fields(&self) -> Vec<(HeaderName, HeaderValue)> {
        let named = named_by_connection(self.headers);
        let mut fields: Vec<(HeaderName, HeaderValue)> = self
            .headers
            .iter()
            .filter(|(name, _)| {
                let name = name.as_str();
                let is_forwarding = name.starts_with("x-forwarded") || NOT_TO_PLONE.contains(&name);
                // Zope also reads `CGI-Authorization`.
                let is_sign_in = name.ends_with("authorization");
                !HOP_BY_HOP.contains(&name) && !is_forwarding && !is_sign_in && !named.iter().any(|one| one == name)
            })
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut put = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                fields.push((name, value));
            }
        };
        if let Some(cookies) = self.cookies() {
            put(header::COOKIE, &cookies);
        }
        if let Some(token) = self.token {
            put(header::AUTHORIZATION, &format!("Bearer {}", token.expose_secret()));
        }
        let (authority, scheme) = (self.origin.authority(), self.origin.scheme.as_str());
        // An IPv6 address is written in brackets and quotes (RFC 7239, 6).
        let by = if self.client.is_ipv6() { format!("\"[{}]\"", self.client) } else { self.client.to_string() };
        put(FORWARDED, &format!("for={by};host=\"{authority}\";proto={scheme}"));
        put(X_FORWARDED_FOR, &self.client.to_string());
        put(X_FORWARDED_HOST, &authority);
        put(X_FORWARDED_PROTO, scheme);
        put(X_REQUEST_ID, self.request_id);
        fields.push((header::VIA, VIA));
        fields.extend(self.content_type.clone().map(|content_type| (header::CONTENT_TYPE, content_type)));
        fields
    }

    /// Returns the cookies that Plone receives.
    pub(super) fn cookies(&self) -> Option<String> {
        if self.forward_as == ForwardAs::Visitor {
            return None;
        }
        let sent = self.headers.get_all(header::COOKIE).filter_map(|cookie| cookie.to_str().ok());
        cookies::to_plone(sent, self.mount, self.token.is_some())
    }
}

/// Returns the names that `Connection` lists, in lower case.
fn named_by_connection(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONNECTION).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

/// Input for the header fields of a forwarded response.
pub(super) struct ResponseHeaders<'a> {
    /// Header fields of Plone's response.
    pub(super) headers: &'a HeaderMap,
    /// Where the client addressed Plone.
    pub(super) mount: Mount,
    /// Origin at which the client sees Plone.
    pub(super) origin: &'a PublicOrigin,
    /// Address of the site in the hub's settings.
    pub(super) site_url: &'a str,
    /// True if the sender was signed in, to the hub or to Plone.
    pub(super) is_personal: bool,
}

impl ResponseHeaders<'_> {
    /// Returns the fields that the client receives.
    pub(super) fn fields(&self) -> Vec<(HeaderName, HeaderValue)> {
        let named = named_by_connection(self.headers);
        let mut fields = Vec::with_capacity(self.headers.len() + 4);
        for (name, value) in self.headers {
            let text = name.as_str();
            let is_policy =
                self.mount == Mount::Hub && (NOT_UNDER_THE_HUB.contains(&text) || text.starts_with("access-control-"));
            let is_caching = self.is_personal && [header::CACHE_CONTROL, header::EXPIRES].contains(name);
            if HOP_BY_HOP.contains(&text) || NOT_TO_CLIENTS.contains(&text) || is_policy || is_caching {
                continue;
            }
            if named.iter().any(|one| one == text) {
                continue;
            }
            if [header::LOCATION, header::CONTENT_LOCATION].contains(name) {
                fields.extend(self.location(value).map(|value| (name.clone(), value)));
                continue;
            }
            fields.push((name.clone(), value.clone()));
        }
        let is_https = self.origin.scheme == "https";
        let set = self.headers.get_all(header::SET_COOKIE).filter_map(|cookie| cookie.to_str().ok());
        let set = set.filter_map(|cookie| cookies::from_plone(cookie, self.mount, is_https, self.is_personal));
        fields.extend(set.filter_map(|cookie| Some((header::SET_COOKIE, HeaderValue::from_str(&cookie).ok()?))));
        if self.is_personal {
            fields.push((header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")));
        } else if self.mount == Mount::Hub {
            // Members and visitors may receive different responses at the same address.
            fields.push((header::VARY, HeaderValue::from_static("Cookie, Authorization")));
        }
        fields.push((header::VIA, VIA));
        fields
    }

    /// Rewrites the target of a redirect. An address within the site becomes its public address; an address on another
    /// host stays unchanged. Returns `None` for an address on Plone's host outside of the site.
    fn location(&self, value: &HeaderValue) -> Option<HeaderValue> {
        let to = value.to_str().ok()?;
        let root = match self.mount {
            Mount::Hub => "/plone",
            Mount::OwnOrigin => "",
        };
        let base = format!("{}{root}", self.origin.origin());
        let within = |rest: &str| rest.is_empty() || rest.starts_with(['/', '?', '#']);
        if to.strip_prefix(&base).is_some_and(within) {
            return Some(value.clone());
        }
        if let Some(rest) = to.strip_prefix(self.site_url).filter(|rest| within(rest)) {
            return HeaderValue::from_str(&format!("{base}{rest}")).ok();
        }
        if to.starts_with('/') && !to.starts_with("//") {
            let rest = to.strip_prefix(root).filter(|rest| !root.is_empty() && within(rest)).unwrap_or(to);
            return HeaderValue::from_str(&format!("{base}{rest}")).ok();
        }
        // Clients cannot reach Plone's own host, and its name must not be disclosed.
        let host = self.site_url.find("://").map(|at| {
            let rest = &self.site_url[at + 3..];
            &self.site_url[..at + 3 + rest.find('/').unwrap_or(rest.len())]
        });
        let is_internal = host.is_some_and(|host| to.strip_prefix(host).is_some_and(within));
        (!is_internal).then(|| value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> PublicOrigin {
        PublicOrigin::parse("http://127.0.0.1:8000").unwrap()
    }

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)));
        let mut map = HeaderMap::new();
        pairs.for_each(|(name, value)| map.append(name, value));
        map
    }

    fn text(fields: &[(HeaderName, HeaderValue)], name: &str) -> Vec<String> {
        fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn forwarded_requests_carry_the_hubs_own_forwarding_fields() {
        let headers = map(&[
            ("accept", "application/json"),
            ("connection", "keep-alive, X-Secret"),
            ("x-secret", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("host", "evil.example"),
            ("authorization", "Bearer hub"),
            ("cgi-authorization", "Basic ZGVhbjp4"),
            ("content-type", "application/json"),
            ("cookie", "eduhub_session=secret; statusmessages=m"),
            ("forwarded", "for=1.2.3.4"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-prefix", "/evil"),
            ("x-http-method-override", "DELETE"),
            ("via", "1.0 x"),
            ("range", "bytes=0-1"),
        ]);
        let token = SecretString::from("plone-token");
        let request = RequestHeaders {
            headers: &headers,
            mount: Mount::Hub,
            origin: &origin(),
            client: "192.0.2.7".parse().unwrap(),
            request_id: "an-id",
            token: Some(&token),
            content_type: Some(HeaderValue::from_static("application/json; charset=utf-8")),
            forward_as: ForwardAs::Sender,
        };
        let fields = request.fields();
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let expected = [
            "accept",
            "authorization",
            "content-type",
            "cookie",
            "forwarded",
            "range",
            "via",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-request-id",
        ];
        assert_eq!(names, expected);
        assert_eq!(text(&fields, "authorization"), ["Bearer plone-token"]);
        assert_eq!(text(&fields, "content-type"), ["application/json; charset=utf-8"]);
        assert_eq!(text(&fields, "cookie"), ["statusmessages=m"]);
        assert_eq!(text(&fields, "x-forwarded-for"), ["192.0.2.7"]);
        assert_eq!(text(&fields, "forwarded"), ["for=192.0.2.7;host=\"127.0.0.1:8000\";proto=http"]);
        assert_eq!(text(&fields, "via"), ["1.1 eduhub"]);
    }

    fn response<'a>(
        headers: &'a HeaderMap,
        origin: &'a PublicOrigin,
        mount: Mount,
        is_personal: bool,
    ) -> ResponseHeaders<'a> {
        ResponseHeaders { headers, mount, origin, site_url: "http://10.0.0.7:8080/Plone", is_personal }
    }

    #[test]
    fn response_fields_that_affect_the_hub_are_removed() {
        let headers = map(&[
            ("content-type", "text/html"),
            ("server", "waitress"),
            ("x-powered-by", "Zope"),
            ("via", "waitress"),
            ("clear-site-data", "\"*\""),
            ("content-security-policy", "script-src *"),
            ("access-control-allow-origin", "*"),
            ("www-authenticate", "Basic realm=Zope"),
            ("set-cookie", "__ac=a; Path=/"),
            ("set-cookie", "eduhub_session=mine; Path=/"),
            ("cache-control", "public, max-age=60"),
            ("connection", "close, x-y"),
            ("x-y", "1"),
            ("etag", "\"1\""),
        ]);
        let origin = origin();
        let fields = response(&headers, &origin, Mount::Hub, false).fields();
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["cache-control", "content-type", "etag", "set-cookie", "vary", "via"]);
        assert_eq!(text(&fields, "set-cookie"), ["__ac=a; Path=/plone"]);
        let personal = response(&headers, &origin, Mount::Hub, true).fields();
        assert_eq!(text(&personal, "cache-control"), ["private, no-store"]);
        assert!(text(&personal, "set-cookie").is_empty());
        let own = response(&headers, &origin, Mount::OwnOrigin, false).fields();
        assert_eq!(text(&own, "content-security-policy"), ["script-src *"]);
    }

    #[test]
    fn redirects_are_rewritten_to_the_public_origin() {
        let table = [
            ("http://127.0.0.1:8000/plone/x", Some("http://127.0.0.1:8000/plone/x")),
            ("http://10.0.0.7:8080/Plone/x?y#z", Some("http://127.0.0.1:8000/plone/x?y#z")),
            ("http://10.0.0.7:8080/Plone", Some("http://127.0.0.1:8000/plone")),
            ("http://10.0.0.7:8080/manage", None),
            ("/x", Some("http://127.0.0.1:8000/plone/x")),
            ("/plone/x", Some("http://127.0.0.1:8000/plone/x")),
            ("https://www.example.edu/", Some("https://www.example.edu/")),
            ("//www.example.edu/", Some("//www.example.edu/")),
        ];
        let (headers, origin) = (HeaderMap::new(), origin());
        for (to, expected) in table {
            let response = response(&headers, &origin, Mount::Hub, false);
            let location = response.location(&HeaderValue::from_static(to));
            assert_eq!(location.as_ref().map(|value| value.to_str().unwrap()), expected, "{to}");
        }
    }

    #[test]
    fn a_host_matches_with_and_without_the_default_port() {
        let plain = PublicOrigin::parse("https://WWW.college.edu").unwrap();
        assert_eq!((plain.authority().as_str(), plain.port), ("www.college.edu", 443));
        assert!(plain.is_host("www.College.edu") && plain.is_host("www.college.edu:443"));
        assert!(!plain.is_host("www.college.edu:8000") && !plain.is_host("evil.example"));
        assert_eq!(PublicOrigin::parse("ftp://x"), None);
    }
}

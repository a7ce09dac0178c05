//! Header fields on their way through the proxy (RFC 9110, 7.6): what belongs to one connection stays there, what says
//! where a request comes from is the hub's to say, and what Plone says to a browser must not reach beyond Plone.

use std::net::IpAddr;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

use crate::http::proxy::cookies;
use crate::http::proxy::path::Place;

/// Fields of one connection, whatever `Connection` names (RFC 9110, 7.6.1), and of framing, which each side writes anew.
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
/// Fields of a request that are not passed on: the hub says them itself, they are for the hub, or they would make Plone
/// see another request than the hub saw.
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
/// Fields of an answer that are not passed on: they reach beyond Plone, tell what runs there, or the hub says them itself.
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
/// Further ones under the hub's own origin: a page of Plone has no say there.
const NOT_UNDER_THE_HUB: [&str; 3] = ["content-security-policy", "refresh", "sourcemap"];

/// How the hub calls itself in `Via` (RFC 9110, 7.6.3).
pub const VIA: HeaderValue = HeaderValue::from_static("1.1 eduhub");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The address under which a browser sees Plone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// `http` or `https`.
    pub scheme: String,
    /// The host's name.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Seen {
    /// An origin that the settings name, such as `https://www.college.edu`.
    #[must_use]
    pub fn of_origin(origin: &str) -> Option<Self> {
        let uri: actix_web::http::Uri = origin.parse().ok()?;
        let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme))?.to_owned();
        let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        Some(Self { host: uri.host()?.to_ascii_lowercase(), port, scheme })
    }

    /// Host and port as `Host` has them.
    #[must_use]
    pub fn authority(&self) -> String {
        match (self.scheme.as_str(), self.port) {
            ("http", 80) | ("https", 443) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }

    /// As `Origin` has it.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority())
    }

    /// Whether a `Host` means this.
    #[must_use]
    pub fn is_host(&self, host: &str) -> bool {
        let host = host.trim().to_ascii_lowercase();
        host == self.authority() || host == format!("{}:{}", self.host, self.port)
    }
}

/// A request on its way to Plone.
pub struct Asked<'a> {
    /// Its fields.
    pub headers: &'a HeaderMap,
    /// Where it came in.
    pub place: Place,
    /// Where its sender sees Plone.
    pub seen: &'a Seen,
    /// Whom the hub serves.
    pub client: IpAddr,
    /// The hub's id of it.
    pub id: &'a str,
    /// Whether the hub knows the sender.
    pub is_known: bool,
    /// The sender's own token of Plone.
    pub token: Option<&'a SecretString>,
    /// What the body is, for Plone.
    pub content_type: Option<HeaderValue>,
}

impl Asked<'_> {
    /// The fields that Plone gets.
    #[must_use]
    pub fn fields(&self) -> Vec<(HeaderName, HeaderValue)> {
        let named = named_by_connection(self.headers);
        let mut fields: Vec<(HeaderName, HeaderValue)> = self
            .headers
            .iter()
            .filter(|(name, _)| {
                let name = name.as_str();
                let is_forwarding = name.starts_with("x-forwarded") || NOT_TO_PLONE.contains(&name);
                // Zope takes `CGI-Authorization`, too.
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
        let (authority, scheme) = (self.seen.authority(), self.seen.scheme.as_str());
        // RFC 7239: an IPv6 address stands in brackets and quotes.
        let by = if self.client.is_ipv6() { format!("\"[{}]\"", self.client) } else { self.client.to_string() };
        put(FORWARDED, &format!("for={by};host=\"{authority}\";proto={scheme}"));
        put(X_FORWARDED_FOR, &self.client.to_string());
        put(X_FORWARDED_HOST, &authority);
        put(X_FORWARDED_PROTO, scheme);
        put(X_REQUEST_ID, self.id);
        fields.push((header::VIA, VIA));
        fields.extend(self.content_type.clone().map(|content_type| (header::CONTENT_TYPE, content_type)));
        fields
    }

    /// The cookies that Plone gets.
    #[must_use]
    pub fn cookies(&self) -> Option<String> {
        let sent = self.headers.get_all(header::COOKIE).filter_map(|cookie| cookie.to_str().ok());
        cookies::to_plone(sent, self.place, self.token.is_some())
    }
}

/// The fields that `Connection` says belong to it, in lower case.
fn named_by_connection(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONNECTION).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

/// An answer on its way to whoever asked.
pub struct Answered<'a> {
    /// Its fields.
    pub headers: &'a HeaderMap,
    /// Where the request came in.
    pub place: Place,
    /// Where its sender sees Plone.
    pub seen: &'a Seen,
    /// The site's address as the hub knows it.
    pub site_url: &'a str,
    /// Whether it was asked for by somebody who is signed in.
    pub is_personal: bool,
}

impl Answered<'_> {
    /// The fields that the client gets.
    #[must_use]
    pub fn fields(&self) -> Vec<(HeaderName, HeaderValue)> {
        let named = named_by_connection(self.headers);
        let mut fields = Vec::with_capacity(self.headers.len() + 4);
        for (name, value) in self.headers {
            let word = name.as_str();
            let is_ours =
                self.place == Place::Hub && (NOT_UNDER_THE_HUB.contains(&word) || word.starts_with("access-control-"));
            let is_private = self.is_personal && [header::CACHE_CONTROL, header::EXPIRES].contains(name);
            if HOP_BY_HOP.contains(&word) || NOT_TO_CLIENTS.contains(&word) || is_ours || is_private {
                continue;
            }
            if named.iter().any(|one| one == word) {
                continue;
            }
            if [header::LOCATION, header::CONTENT_LOCATION].contains(name) {
                fields.extend(self.location(value).map(|value| (name.clone(), value)));
                continue;
            }
            fields.push((name.clone(), value.clone()));
        }
        let is_https = self.seen.scheme == "https";
        let set = self.headers.get_all(header::SET_COOKIE).filter_map(|cookie| cookie.to_str().ok());
        let set = set.filter_map(|cookie| cookies::from_plone(cookie, self.place, is_https, self.is_personal));
        fields.extend(set.filter_map(|cookie| Some((header::SET_COOKIE, HeaderValue::from_str(&cookie).ok()?))));
        if self.is_personal {
            fields.push((header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")));
        } else if self.place == Place::Hub {
            // One address is answered to each as whoever asks.
            fields.push((header::VARY, HeaderValue::from_static("Cookie, Authorization")));
        }
        fields.push((header::VIA, VIA));
        fields
    }

    /// Where Plone sends somebody: within the site to where the sender sees it, elsewhere as it is.
    fn location(&self, value: &HeaderValue) -> Option<HeaderValue> {
        let to = value.to_str().ok()?;
        let root = match self.place {
            Place::Hub => "/plone",
            Place::Own => "",
        };
        let base = format!("{}{root}", self.seen.origin());
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
        // Plone's own host, outside the site: nobody can go there, and its name is nobody's business.
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

    fn seen() -> Seen {
        Seen::of_origin("http://127.0.0.1:8000").unwrap()
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
    fn plone_gets_what_is_for_it_and_the_hubs_word_for_the_rest() {
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
        let asked = Asked {
            headers: &headers,
            place: Place::Hub,
            seen: &seen(),
            client: "192.0.2.7".parse().unwrap(),
            id: "an-id",
            is_known: true,
            token: Some(&token),
            content_type: Some(HeaderValue::from_static("application/json; charset=utf-8")),
        };
        let fields = asked.fields();
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

    fn answered<'a>(headers: &'a HeaderMap, seen: &'a Seen, place: Place, is_personal: bool) -> Answered<'a> {
        Answered { headers, place, seen, site_url: "http://10.0.0.7:8080/Plone", is_personal }
    }

    #[test]
    fn a_browser_gets_nothing_that_reaches_beyond_plone() {
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
        let seen = seen();
        let fields = answered(&headers, &seen, Place::Hub, false).fields();
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["cache-control", "content-type", "etag", "set-cookie", "vary", "via"]);
        assert_eq!(text(&fields, "set-cookie"), ["__ac=a; Path=/plone"]);
        let personal = answered(&headers, &seen, Place::Hub, true).fields();
        assert_eq!(text(&personal, "cache-control"), ["private, no-store"]);
        assert!(text(&personal, "set-cookie").is_empty());
        let own = answered(&headers, &seen, Place::Own, false).fields();
        assert_eq!(text(&own, "content-security-policy"), ["script-src *"]);
    }

    #[test]
    fn redirects_lead_to_where_plone_is_seen() {
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
        let (headers, seen) = (HeaderMap::new(), seen());
        for (to, expected) in table {
            let answered = answered(&headers, &seen, Place::Hub, false);
            let location = answered.location(&HeaderValue::from_static(to));
            assert_eq!(location.as_ref().map(|value| value.to_str().unwrap()), expected, "{to}");
        }
    }

    #[test]
    fn an_origin_knows_its_host_in_either_spelling() {
        let plain = Seen::of_origin("https://WWW.college.edu").unwrap();
        assert_eq!((plain.authority().as_str(), plain.port), ("www.college.edu", 443));
        assert!(plain.is_host("www.College.edu") && plain.is_host("www.college.edu:443"));
        assert!(!plain.is_host("www.college.edu:8000") && !plain.is_host("evil.example"));
        assert_eq!(Seen::of_origin("ftp://x"), None);
    }
}

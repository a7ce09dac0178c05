//! The hub as browsers reach it: its own origins, whether cookies require https, and the addresses of clients behind a
//! reverse proxy.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::Uri;
use actix_web::http::header::{HOST, HeaderMap, ORIGIN};
use ipnet::IpNet;

use crate::http::forwarded;
use crate::identity::HOST_PREFIX;

/// How a request's `Origin` (RFC 6454) relates to the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginVerdict {
    /// The request has no `Origin`. Browsers omit it only from some requests that change nothing.
    Absent,
    /// A page of the hub sent the request.
    Own,
    /// A page of another site sent the request, or its origin is opaque (`null`).
    Foreign,
}

/// An invalid `[server] public_url`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[server] public_url must be a URL such as https://hub.college.edu, not {0:?}")]
pub struct InvalidPublicUrl(pub String);

/// The hub's public origins, and the reverse proxies in front of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    origins: Vec<String>,
    is_https: bool,
    trusted_proxies: Arc<[IpNet]>,
}

impl Site {
    /// Creates the site of a hub with this `[server] public_url` and no trusted proxies. Without a URL, the origins are
    /// the loopback names with `bound_port`.
    ///
    /// # Errors
    /// When the URL is not an `http` or `https` URL with a host.
    pub fn new(public_url: Option<&str>, bound_port: u16) -> Result<Self, InvalidPublicUrl> {
        let Some(url) = public_url else {
            let names = ["localhost", "127.0.0.1", "[::1]"];
            let origins = names.map(|name| origin_of("http", name, Some(bound_port))).to_vec();
            return Ok(Self { origins, is_https: false, trusted_proxies: Arc::default() });
        };
        let bad = || InvalidPublicUrl(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme)).ok_or_else(bad)?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(bad)?;
        let origins = vec![origin_of(scheme, host, uri.port_u16())];
        Ok(Self { origins, is_https: scheme == "https", trusted_proxies: Arc::default() })
    }

    /// Trusts reverse proxies in these networks (`[server] trusted_proxies`) to state the address of a client.
    #[must_use]
    pub fn trusting(self, proxies: &[IpNet]) -> Self {
        Self { trusted_proxies: proxies.into(), ..self }
    }

    /// Compares a request's `Origin` with the hub's own. Several `Origin` headers are foreign.
    #[must_use]
    pub fn origin_verdict(&self, req: &HttpRequest) -> OriginVerdict {
        let mut origins = req.headers().get_all(ORIGIN);
        match (origins.next(), origins.next()) {
            (None, _) => OriginVerdict::Absent,
            (Some(origin), None) if self.origins.iter().any(|own| own.as_bytes() == origin.as_bytes()) => {
                OriginVerdict::Own
            }
            _ => OriginVerdict::Foreign,
        }
    }

    /// Returns the origin of the hub that a browser uses, without a trailing slash: that of `Host` if it is one of the
    /// hub's, and the first one otherwise.
    #[must_use]
    pub fn origin_used(&self, req: &HttpRequest) -> &str {
        let host = req.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let is_used =
            |origin: &&String| origin.split_once("://").is_some_and(|(_, name)| name.eq_ignore_ascii_case(host));
        self.origins.iter().find(is_used).or_else(|| self.origins.first()).map_or("", String::as_str)
    }

    /// Returns the first origin of the hub, without a trailing slash: that of `public_url`. It does not depend on how a
    /// request arrived, so that what other systems store stays the same.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.origins.first().map_or("", String::as_str)
    }

    /// Returns whether browsers must send the hub's cookies over https only.
    #[must_use]
    pub const fn is_https(&self) -> bool {
        self.is_https
    }

    /// Returns the name of a cookie of the hub: under https with the prefix `__Host-`, with which browsers refuse a
    /// cookie that another host of the college's domain, or a page without https, has set (RFC 6265bis, section
    /// 4.1.3.2).
    #[must_use]
    pub fn cookie_name<'n>(&self, name: &'n str) -> Cow<'n, str> {
        if self.is_https { format!("{HOST_PREFIX}{name}").into() } else { name.into() }
    }

    /// Returns whether a request from `peer` with these fields carries the address of its client, because a trusted
    /// proxy has forwarded it. The connection of a proxy carries the requests of many clients.
    #[must_use]
    pub fn is_forwarded(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        forwarded::is_in(&self.trusted_proxies, peer) && forwarded::is_forwarded(headers)
    }

    /// Returns the address of the client that sent a request. Limits, the audit trail, sessions and the log all use it.
    ///
    /// `X-Forwarded-For` and `Forwarded` count only as far as trusted proxies wrote them. `X-Forwarded-Proto` is never
    /// read: whether browsers use https depends on `[server] public_url` only.
    #[must_use]
    pub fn client_ip(&self, req: &HttpRequest) -> IpAddr {
        let peer = req.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        forwarded::client(peer, req.headers(), &self.trusted_proxies)
    }
}

/// Returns an origin as browsers write it: in lower case, without the default port of the scheme.
fn origin_of(scheme: &str, host: &str, port: Option<u16>) -> String {
    let host = host.to_ascii_lowercase();
    match (scheme, port) {
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn verdict(site: &Site, origin: &str) -> OriginVerdict {
        site.origin_verdict(&TestRequest::get().insert_header((ORIGIN, origin)).to_http_request())
    }

    #[test]
    fn without_a_public_url_the_loopback_origins_are_own() {
        let site = Site::new(None, 8000).unwrap();
        for own in ["http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000"] {
            assert_eq!(verdict(&site, own), OriginVerdict::Own, "{own}");
        }
        for foreign in
            ["null", "", "http://localhost", "http://localhost:8001", "https://localhost:8000", "http://evil.example"]
        {
            assert_eq!(verdict(&site, foreign), OriginVerdict::Foreign, "{foreign}");
        }
        assert_eq!(site.origin_verdict(&TestRequest::get().to_http_request()), OriginVerdict::Absent);
        assert!(!site.is_https());
    }

    #[test]
    fn with_a_public_url_only_its_origin_is_own() {
        let site = Site::new(Some("https://Hub.College.edu:443/"), 8000).unwrap();
        assert_eq!(verdict(&site, "https://hub.college.edu"), OriginVerdict::Own);
        assert_eq!(verdict(&site, "http://hub.college.edu"), OriginVerdict::Foreign);
        assert_eq!(verdict(&site, "http://localhost:8000"), OriginVerdict::Foreign);
        assert!(site.is_https());
        for bad in ["hub.college.edu", "ftp://hub.college.edu", "https://", ""] {
            assert!(Site::new(Some(bad), 8000).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn forwarded_addresses_count_only_from_trusted_proxies() {
        let nets = ["10.0.0.0/8".parse().unwrap()];
        let site = Site::new(None, 1).unwrap().trusting(&nets);
        let client = |site: &Site, peer: &str| {
            let list = ("x-forwarded-for", "198.51.100.9, 192.0.2.7");
            let req = TestRequest::get().peer_addr(peer.parse().unwrap()).insert_header(list).to_http_request();
            (site.client_ip(&req).to_string(), site.is_forwarded(req.peer_addr().unwrap().ip(), req.headers()))
        };
        assert_eq!(client(&site, "10.1.2.3:5"), ("192.0.2.7".to_owned(), true));
        assert_eq!(client(&site, "127.0.0.1:5"), ("127.0.0.1".to_owned(), false));
        assert_eq!(client(&Site::new(None, 1).unwrap(), "10.1.2.3:5"), ("10.1.2.3".to_owned(), false));
    }
}

//! Where the hub is as a browser sees it: which origins are ours, whether cookies are for https only, who a connection
//! comes from.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::HttpRequest;
use actix_web::http::Uri;
use actix_web::http::header::{HeaderName, ORIGIN};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What a request's `Origin` (RFC 6454) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginVerdict {
    /// There is none: a script, not a page.
    Absent,
    /// A page of ours.
    Ours,
    /// Somebody else's page, or one that hides where it comes from (`null`).
    Foreign,
}

/// A public address that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[server] public_url must be like https://hub.college.edu, not {0:?}")]
pub struct BadPublicUrl(pub String);

/// The hub's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    origins: Vec<String>,
    is_https: bool,
    is_proxied: bool,
}

impl Site {
    /// A hub with this `[server] public_url`, or, without one, under the loopback names of the port it is bound to.
    pub fn new(public_url: Option<&str>, bound_port: u16) -> Result<Self, BadPublicUrl> {
        let Some(url) = public_url else {
            let names = ["localhost", "127.0.0.1", "[::1]"];
            let origins = names.map(|name| origin_of("http", name, Some(bound_port))).to_vec();
            return Ok(Self { origins, is_https: false, is_proxied: false });
        };
        let bad = || BadPublicUrl(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme)).ok_or_else(bad)?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(bad)?;
        let origins = vec![origin_of(scheme, host, uri.port_u16())];
        Ok(Self { origins, is_https: scheme == "https", is_proxied: true })
    }

    /// What a request's `Origin` says.
    #[must_use]
    pub fn origin_verdict(&self, req: &HttpRequest) -> OriginVerdict {
        let mut origins = req.headers().get_all(ORIGIN);
        match (origins.next(), origins.next()) {
            (None, _) => OriginVerdict::Absent,
            (Some(origin), None) if self.origins.iter().any(|ours| ours.as_bytes() == origin.as_bytes()) => {
                OriginVerdict::Ours
            }
            _ => OriginVerdict::Foreign,
        }
    }

    /// Whether browsers must send our cookies over https only.
    #[must_use]
    pub const fn is_https(&self) -> bool {
        self.is_https
    }

    /// Whose address a request comes from. Where there is a `public_url`, a proxy may stand on this machine: from it,
    /// and from nobody else, the address it says it serves is taken (the last one; those before it anyone can write).
    #[must_use]
    pub fn client_ip(&self, req: &HttpRequest) -> IpAddr {
        let peer = req.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip()).to_canonical();
        if !self.is_proxied || !peer.is_loopback() {
            return peer;
        }
        let forwarded = req.headers().get_all(X_FORWARDED_FOR).last().and_then(|value| value.to_str().ok());
        forwarded.and_then(|list| list.rsplit(',').next()?.trim().parse().ok()).unwrap_or(peer)
    }
}

/// An origin as browsers write it: lower case, without the scheme's own port.
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
    fn without_a_public_url_the_loopback_names_of_the_port_are_ours() {
        let site = Site::new(None, 8000).unwrap();
        for ours in ["http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000"] {
            assert_eq!(verdict(&site, ours), OriginVerdict::Ours, "{ours}");
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
    fn with_a_public_url_nothing_else_is_ours() {
        let site = Site::new(Some("https://Hub.College.edu:443/"), 8000).unwrap();
        assert_eq!(verdict(&site, "https://hub.college.edu"), OriginVerdict::Ours);
        assert_eq!(verdict(&site, "http://hub.college.edu"), OriginVerdict::Foreign);
        assert_eq!(verdict(&site, "http://localhost:8000"), OriginVerdict::Foreign);
        assert!(site.is_https());
        for bad in ["hub.college.edu", "ftp://hub.college.edu", "https://", ""] {
            assert!(Site::new(Some(bad), 8000).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_a_proxy_on_this_machine_may_say_whom_it_serves() {
        let forwarded = |site: &Site, peer: &str| {
            let peer = peer.parse().unwrap();
            let list = ("x-forwarded-for", "10.9.9.9, 192.0.2.7");
            let req = TestRequest::get().peer_addr(peer).insert_header(list).to_http_request();
            site.client_ip(&req).to_string()
        };
        let (proxied, bare) = (Site::new(Some("https://hub.college.edu"), 1).unwrap(), Site::new(None, 1).unwrap());
        assert_eq!(forwarded(&proxied, "127.0.0.1:5"), "192.0.2.7");
        assert_eq!(forwarded(&proxied, "198.51.100.1:5"), "198.51.100.1");
        assert_eq!(forwarded(&bare, "127.0.0.1:5"), "127.0.0.1");
    }
}

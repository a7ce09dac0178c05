//! Reads the addresses that reverse proxies add to a request: `X-Forwarded-For`, and `Forwarded` (RFC 7239).
//!
//! A client can send these fields with any content, and each proxy appends the address from which it received the
//! request. So only the entries at the end, which trusted proxies wrote, can be trusted.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Maximum number of proxies between a client and the hub. A college has one or two. The bound limits the work for a
/// field that repeats the address of a proxy.
const HOPS_MAX: usize = 32;

/// Returns whether an address is in one of the networks.
pub(super) fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

/// Returns whether a request has a field that proxies write.
pub(super) fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(X_FORWARDED_FOR) || headers.contains_key(FORWARDED)
}

/// Returns the address of the client of a request that arrived from `peer`: the first address outside of the trusted
/// networks, from the last entry to the first. An entry without an address, such as `unknown` or `for=_hidden`, yields
/// the address of the proxy that wrote it. If all are trusted, the address in the first entry counts.
///
/// `Forwarded` is read only if there is no `X-Forwarded-For`: nearly all proxies write the latter and pass on a
/// `Forwarded` that the client has written.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut at = peer.to_canonical();
    if !is_in(trusted, at) {
        return at;
    }
    let (name, read): (_, fn(&str) -> Option<IpAddr>) =
        if headers.contains_key(X_FORWARDED_FOR) { (X_FORWARDED_FOR, node) } else { (FORWARDED, element) };
    let fields: Vec<_> = headers.get_all(name).collect();
    let entries = fields.iter().rev().flat_map(|field| match field.to_str() {
        Ok(text) => entries_from_the_end(text),
        Err(_) => vec![""],
    });
    for entry in entries.take(HOPS_MAX) {
        let Some(address) = read(entry.trim()) else { return at };
        at = address;
        if !is_in(trusted, at) {
            return at;
        }
    }
    at
}

/// Splits a field at its commas outside of quotes, the last entry first. It is read from the end, so that what a client
/// wrote at its beginning cannot change how the entries of the proxies are read.
fn entries_from_the_end(text: &str) -> Vec<&str> {
    let (mut entries, mut end, mut is_quoted) = (Vec::new(), text.len(), false);
    for (at, byte) in text.bytes().enumerate().rev() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => {
                entries.push(&text[at + 1..end]);
                end = at;
                if entries.len() > HOPS_MAX {
                    return entries;
                }
            }
            _ => {}
        }
    }
    entries.push(&text[..end]);
    entries
}

/// Reads an element of `Forwarded`: the node of its only `for`.
fn element(text: &str) -> Option<IpAddr> {
    // This also splits at semicolons in quotes, but no address contains a semicolon.
    let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    let mut nodes = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    let (_, value) = nodes.next()?;
    if nodes.next().is_some() { None } else { node(value.trim()) }
}

/// Reads a node: `IPv4`, `IPv4:port`, `IPv6`, `[IPv6]` or `[IPv6]:port`, with or without quotes. The port may be
/// obfuscated (RFC 7239, section 6.2).
fn node(text: &str) -> Option<IpAddr> {
    let text = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let address = text.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|it| it.ip()));
    let address = address.or_else(|| {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => text.split_at(text.find(':')?),
        };
        let is_ipv6 = text.starts_with('[');
        let is_obfuscated = |port: &str| {
            port.strip_prefix(":_").is_some_and(|rest| {
                !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            })
        };
        let address: IpAddr = host.parse().ok()?;
        (address.is_ipv6() == is_ipv6 && ((is_ipv6 && port.is_empty()) || is_obfuscated(port))).then_some(address)
    })?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    /// Returns the client of a request from 127.0.0.1 with these fields, behind proxies of 127.0.0.0/8, 10.0.0.0/8 and
    /// `2001:db8::/32`.
    fn client_of(fields: &[(HeaderName, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name.clone(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let trusted = ["127.0.0.0/8", "10.0.0.0/8", "2001:db8::/32"].map(|net| net.parse().unwrap());
        client("127.0.0.1".parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn nodes_are_read_in_every_spelling() {
        let table = [
            ("192.0.2.7", Some("192.0.2.7")),
            ("192.0.2.7:47011", Some("192.0.2.7")),
            ("192.0.2.7:_port", Some("192.0.2.7")),
            ("\"192.0.2.7:47011\"", Some("192.0.2.7")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:47011", Some("2001:db8::1")),
            ("\"[2001:db8::1]:_obf\"", Some("2001:db8::1")),
            ("\"[2001:DB8::1]\"", Some("2001:db8::1")),
            ("::ffff:192.0.2.7", Some("192.0.2.7")),
            ("[::ffff:192.0.2.7]:80", Some("192.0.2.7")),
            ("", None),
            ("unknown", None),
            ("_hidden", None),
            ("192.0.2", None),
            ("192.0.2.7:", None),
            ("192.0.2.7:99999", None),
            ("192.0.2.7:_", None),
            ("[192.0.2.7]:80", None),
            ("[2001:db8::1", None),
            ("[2001:db8::1]x", None),
            ("fe80::1%eth0", None),
            ("192.0.2.7 192.0.2.8", None),
            ("\"192.0.2.7", None),
        ];
        for (text, expected) in table {
            assert_eq!(node(text).map(|address| address.to_string()).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn entries_are_read_from_the_end_past_trusted_proxies() {
        let table = [
            ("192.0.2.7", "192.0.2.7"),
            ("198.51.100.1, 192.0.2.7", "192.0.2.7"),
            ("192.0.2.7, 10.0.0.3", "192.0.2.7"),
            ("198.51.100.1, 192.0.2.7:5 , [2001:db8::9]:443, 10.0.0.3", "192.0.2.7"),
            ("10.0.0.4, 10.0.0.3", "10.0.0.4"),
            ("192.0.2.7, garbage, 10.0.0.3", "10.0.0.3"),
            ("192.0.2.7, garbage", "127.0.0.1"),
            ("192.0.2.7,", "127.0.0.1"),
            ("", "127.0.0.1"),
            ("\"192.0.2.7", "127.0.0.1"),
        ];
        for (field, expected) in table {
            assert_eq!(client_of(&[(X_FORWARDED_FOR, field)]), expected, "{field:?}");
        }
        assert_eq!(client_of(&[]), "127.0.0.1");
        let several = [(X_FORWARDED_FOR, "198.51.100.1"), (X_FORWARDED_FOR, "192.0.2.7, 10.0.0.3")];
        assert_eq!(client_of(&several), "192.0.2.7");
        assert_eq!(client_of(&[several[1].clone(), (X_FORWARDED_FOR, "k\u{e4}se")]), "127.0.0.1");
        let repeated = format!("192.0.2.7{}", ", 10.0.0.3".repeat(HOPS_MAX));
        assert_eq!(client_of(&[(X_FORWARDED_FOR, &repeated)]), "10.0.0.3", "at most HOPS_MAX entries are read");
    }

    #[test]
    fn elements_of_forwarded_are_read_by_the_same_rules() {
        let table = [
            ("for=192.0.2.7", "192.0.2.7"),
            ("For=\"192.0.2.7:47011\";proto=https;by=203.0.113.43", "192.0.2.7"),
            ("by=203.0.113.43 ; for=\"[2001:db9::17]:4711\"", "2001:db9::17"),
            ("for=198.51.100.1, for=192.0.2.7, for=\"[2001:db8::9]\"", "192.0.2.7"),
            ("for=192.0.2.7, for=_hidden", "127.0.0.1"),
            ("for=192.0.2.7, for=unknown", "127.0.0.1"),
            ("for=192.0.2.7, for=_hidden, for=10.0.0.3", "10.0.0.3"),
            ("for=192.0.2.7, proto=https", "127.0.0.1"),
            ("for=192.0.2.7;for=192.0.2.8", "127.0.0.1"),
            ("for=\"198.51.100.1, for=192.0.2.7", "192.0.2.7"),
            ("host=\"a,b;for=198.51.100.1\";for=192.0.2.7", "127.0.0.1"),
        ];
        for (field, expected) in table {
            assert_eq!(client_of(&[(FORWARDED, field)]), expected, "{field:?}");
        }
        let both = [(FORWARDED, "for=198.51.100.1"), (X_FORWARDED_FOR, "192.0.2.7")];
        assert_eq!(client_of(&both), "192.0.2.7", "a client can write the field that its proxy does not");
    }

    #[test]
    fn an_untrusted_peer_is_the_client_regardless_of_its_fields() {
        let mut headers = HeaderMap::new();
        headers.append(X_FORWARDED_FOR, HeaderValue::from_static("198.51.100.1"));
        let trusted = ["127.0.0.0/8".parse().unwrap()];
        let of = |peer: &str| client(peer.parse().unwrap(), &headers, &trusted).to_string();
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:127.0.0.1"), "198.51.100.1", "mapped addresses are compared as IPv4");
    }
}

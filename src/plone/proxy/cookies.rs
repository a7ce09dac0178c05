//! Filters the cookies of proxied requests and responses. Below the hub's origin, only cookies with Plone's own names
//! pass, limited to the path `/plone`. The hub's own cookies never pass.

use crate::identity::device::DEVICE_COOKIE;
use crate::identity::{HOST_PREFIX, SESSION_COOKIE};
use crate::plone::proxy::credentials;
use crate::plone::proxy::path::Mount;

/// Names of Plone's cookies: sign-in, messages to the user, language, clipboard, form sessions, and add-ons.
const PLONE_COOKIES: [&str; 8] =
    ["__ac", "__ac_persistent", "statusmessages", "I18N_LANGUAGE", "__cp", "_ZopeId", "plone-toolbar", "authomatic"];

/// Prefix of the cookies that identify a user to Plone.
const SIGN_IN: &str = "__ac";

/// Returns true for a cookie of the hub itself, with or without the prefix that it has under https.
fn is_hub_cookie(name: &str) -> bool {
    [SESSION_COOKIE, DEVICE_COOKIE].contains(&name.strip_prefix(HOST_PREFIX).unwrap_or(name))
}

/// Returns true if a cookie with this name passes. At Plone's own origin, add-ons may use any name. The hub's cookies
/// are excluded there, too, because origins that differ only in the port share their cookies.
fn passes(name: &str, mount: Mount, is_member: bool) -> bool {
    !is_hub_cookie(name)
        && (mount == Mount::OwnOrigin || PLONE_COOKIES.contains(&name))
        && !(mount == Mount::Hub && is_member && name.starts_with(SIGN_IN))
}

/// Returns the `Cookie` field that Plone receives; `None` if no cookie passes. A request that carries a member's token
/// (`is_member`) must not carry another identity, so its sign-in cookies are removed.
pub(super) fn to_plone<'c>(headers: impl Iterator<Item = &'c str>, mount: Mount, is_member: bool) -> Option<String> {
    let pairs = headers.flat_map(|header| header.split(';')).map(str::trim);
    // A password in a cookie would be checked without limits, at both origins.
    let passes = |name: &str, value| passes(name, mount, is_member) && credentials::is_safe_cookie(name, value);
    let forwarded: Vec<&str> = pairs
        .filter(|pair| pair.split_once('=').is_some_and(|(name, value)| passes(name.trim(), value.trim())))
        .collect();
    (!forwarded.is_empty()).then(|| forwarded.join("; "))
}

/// Returns true if a `Cookie` field for Plone contains a sign-in.
pub(super) fn has_sign_in(cookies: &str) -> bool {
    cookies.split("; ").any(|pair| pair.starts_with(SIGN_IN))
}

/// Rewrites a `Set-Cookie` field of Plone (RFC 6265) for the browser: limits the cookie to Plone's path and to this
/// host, and makes it `Secure` if the origin is https. Returns `None` for a cookie that does not pass.
pub(super) fn from_plone(cookie: &str, mount: Mount, is_https: bool, is_member: bool) -> Option<String> {
    let mut parts = cookie.split(';').map(str::trim);
    let pair = parts.next()?;
    let (name, _) = pair.split_once('=')?;
    if !passes(name.trim(), mount, is_member) || pair.contains(char::is_control) {
        return None;
    }
    let mut rewritten = pair.to_owned();
    let mut is_secure = is_https;
    for part in parts {
        let attribute = part.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
        match attribute.as_str() {
            "expires" | "max-age" | "httponly" | "samesite" => {
                rewritten.push_str("; ");
                rewritten.push_str(part);
            }
            "secure" => is_secure = true,
            // The path is set below. A domain would share the cookie with other hosts.
            _ => {}
        }
    }
    rewritten.push_str(match mount {
        Mount::Hub => "; Path=/plone",
        Mount::OwnOrigin => "; Path=/",
    });
    if is_secure {
        rewritten.push_str("; Secure");
    }
    Some(rewritten)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plones_cookies_are_forwarded() {
        let ticket = "__ac=\"OiHAwcLDxMXGx8jJysvMzc7P0NHS09TV1tfY2drb3N02NTAwYWJjZGRlYW4h\"";
        let first = format!("eduhub_session=secret; {ticket}; other=1");
        let sent = [&*first, "statusmessages=abc;eduhub_session=z"];
        let both = format!("{ticket}; statusmessages=abc");
        assert_eq!(to_plone(sent.into_iter(), Mount::Hub, false), Some(both));
        assert_eq!(to_plone(sent.into_iter(), Mount::Hub, true).as_deref(), Some("statusmessages=abc"));
        assert_eq!(to_plone(["eduhub_session=a; x=__ac=b"].into_iter(), Mount::Hub, false), None);
        assert_eq!(
            to_plone([" eduhub_session =a; basket=b"].into_iter(), Mount::OwnOrigin, false).as_deref(),
            Some("basket=b")
        );
        let own = |cookie| to_plone([cookie].into_iter(), Mount::OwnOrigin, false);
        assert_eq!(own("__ac=NjQ2NTYxNmU6Nzg3ODc4"), None, "a name and a password");
        assert_eq!(own(ticket).as_deref(), Some(ticket));
        assert!(has_sign_in("statusmessages=a; __ac=b") && !has_sign_in("statusmessages=__ac"));
    }

    #[test]
    fn cookies_of_the_hub_pass_in_neither_direction() {
        for name in ["eduhub_session", "__Host-eduhub_session", "eduhub_device", "__Host-eduhub_device"] {
            for mount in [Mount::Hub, Mount::OwnOrigin] {
                assert_eq!(to_plone([format!("{name}=a").as_str()].into_iter(), mount, false), None, "{name}");
                assert_eq!(from_plone(&format!("{name}=a"), mount, true, false), None, "{name}");
            }
        }
    }

    #[test]
    fn set_cookie_is_limited_to_the_path_of_plone() {
        let hub = |cookie| from_plone(cookie, Mount::Hub, false, false);
        assert_eq!(
            hub("__ac=x; Path=/; HttpOnly; SameSite=Lax; Domain=college.edu").as_deref(),
            Some("__ac=x; HttpOnly; SameSite=Lax; Path=/plone")
        );
        assert_eq!(
            hub("statusmessages=deleted; Max-Age=0; Path=/; Expires=Wed, 31 Dec 1997 23:59:59 GMT").as_deref(),
            Some("statusmessages=deleted; Max-Age=0; Expires=Wed, 31 Dec 1997 23:59:59 GMT; Path=/plone")
        );
        assert_eq!(hub("eduhub_session=mine; Path=/"), None, "Plone must not set the hub's cookie");
        assert_eq!(hub("nothing"), None);
        assert_eq!(from_plone("__ac=x; Path=/", Mount::Hub, false, true), None);
        let renewed = from_plone("__ac=x; Path=/", Mount::OwnOrigin, false, true);
        assert_eq!(renewed.as_deref(), Some("__ac=x; Path=/"), "Plone renews and ends its own sign-ins");
        assert_eq!(
            from_plone("__ac=x; Path=/", Mount::OwnOrigin, true, false).as_deref(),
            Some("__ac=x; Path=/; Secure")
        );
    }
}

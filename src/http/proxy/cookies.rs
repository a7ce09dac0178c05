//! Plone's cookies, behind the hub: under the hub's origin its own names only, in both directions, and for the path where
//! Plone is; the hub's own cookie never.

use crate::http::auth::SESSION_COOKIE;
use crate::http::proxy::path::Place;
use crate::http::proxy::sign_ins;

/// Plone's cookies: the sign-in, messages to whoever is there, the language, the clipboard, the session of forms.
const PLONES: [&str; 8] =
    ["__ac", "__ac_persistent", "statusmessages", "I18N_LANGUAGE", "__cp", "_ZopeId", "plone-toolbar", "authomatic"];

/// The cookie by which somebody is signed in to Plone itself.
const SIGN_IN: &str = "__ac";

/// Whether a cookie of this name passes. A host of Plone's own has whatever add-ons set; but hosts that differ in their
/// port only share their cookies.
fn passes(name: &str, place: Place, is_member: bool) -> bool {
    name != SESSION_COOKIE
        && (place == Place::Own || PLONES.contains(&name))
        && !(is_member && name.starts_with(SIGN_IN))
}

/// A request's cookies as Plone may see them: none of the hub's, nor of anybody else's under the same host. Whoever is
/// asked for by name brings no other sign-in along.
pub fn to_plone<'c>(headers: impl Iterator<Item = &'c str>, place: Place, is_member: bool) -> Option<String> {
    let pairs = headers.flat_map(|header| header.split(';')).map(str::trim);
    let passes =
        |name: &str, value| passes(name, place, is_member) && (place == Place::Own || sign_ins::may_pass(name, value));
    let kept: Vec<&str> = pairs
        .filter(|pair| pair.split_once('=').is_some_and(|(name, value)| passes(name.trim(), value.trim())))
        .collect();
    (!kept.is_empty()).then(|| kept.join("; "))
}

/// Whether cookies for Plone say who somebody is.
pub fn sign_in(cookies: &str) -> bool {
    cookies.split("; ").any(|pair| pair.starts_with(SIGN_IN))
}

/// A `Set-Cookie` of Plone (RFC 6265) as a browser may get it: none for a name that is not Plone's own. Its path is where
/// Plone is, it is this host's only, and over https only where the hub is.
pub fn from_plone(cookie: &str, place: Place, is_https: bool, is_member: bool) -> Option<String> {
    let mut parts = cookie.split(';').map(str::trim);
    let pair = parts.next()?;
    let (name, _) = pair.split_once('=')?;
    if !passes(name.trim(), place, is_member) || pair.contains(char::is_control) {
        return None;
    }
    let mut kept = pair.to_owned();
    let mut is_secure = is_https;
    for part in parts {
        let attribute = part.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
        match attribute.as_str() {
            "expires" | "max-age" | "httponly" | "samesite" => {
                kept.push_str("; ");
                kept.push_str(part);
            }
            "secure" => is_secure = true,
            // The path is set below; a domain would hand it to other hosts.
            _ => {}
        }
    }
    kept.push_str(match place {
        Place::Hub => "; Path=/plone",
        Place::Own => "; Path=/",
    });
    if is_secure {
        kept.push_str("; Secure");
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plone_sees_its_own_cookies_only() {
        let sent = ["eduhub_session=secret; __ac=\"YSFi\"; other=1", "statusmessages=abc;eduhub_session=z"];
        assert_eq!(to_plone(sent.into_iter(), Place::Hub, false).as_deref(), Some("__ac=\"YSFi\"; statusmessages=abc"));
        assert_eq!(to_plone(sent.into_iter(), Place::Hub, true).as_deref(), Some("statusmessages=abc"));
        assert_eq!(to_plone(["eduhub_session=a; x=__ac=b"].into_iter(), Place::Hub, false), None);
        assert_eq!(
            to_plone([" eduhub_session =a; basket=b"].into_iter(), Place::Own, false).as_deref(),
            Some("basket=b")
        );
        assert!(sign_in("statusmessages=a; __ac=b") && !sign_in("statusmessages=__ac"));
    }

    #[test]
    fn a_browser_gets_plones_cookies_for_where_plone_is() {
        let hub = |cookie| from_plone(cookie, Place::Hub, false, false);
        assert_eq!(
            hub("__ac=x; Path=/; HttpOnly; SameSite=Lax; Domain=college.edu").as_deref(),
            Some("__ac=x; HttpOnly; SameSite=Lax; Path=/plone")
        );
        assert_eq!(
            hub("statusmessages=deleted; Max-Age=0; Path=/; Expires=Wed, 31 Dec 1997 23:59:59 GMT").as_deref(),
            Some("statusmessages=deleted; Max-Age=0; Expires=Wed, 31 Dec 1997 23:59:59 GMT; Path=/plone")
        );
        assert_eq!(hub("eduhub_session=mine; Path=/"), None, "a page of Plone sets no cookie of the hub's");
        assert_eq!(hub("nothing"), None);
        assert_eq!(from_plone("__ac=x; Path=/", Place::Hub, false, true), None);
        assert_eq!(from_plone("__ac=x; Path=/", Place::Own, true, false).as_deref(), Some("__ac=x; Path=/; Secure"));
    }
}

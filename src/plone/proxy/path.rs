//! Checks the paths of proxied requests.
//!
//! Zope decodes a path once, resolves `..` and `//` in it, reads some segments as instructions, and finds objects above
//! the site by acquisition. A path that could lead out of the site, or that the hub and Plone could parse differently,
//! is refused. An accepted path is forwarded unchanged.

use crate::plone::proxy::credentials;
use crate::plone::proxy::error::ProxyError;
use crate::text::percent;

/// Segments that are instructions to Zope, or that lead to its management pages.
const NOT_CONTENT: [&str; 6] = [".", "..", "VirtualHostBase", "VirtualHostRoot", "manage", "Control_Panel"];
/// Prefixes of further such segments.
const NOT_CONTENT_STARTS: [&str; 6] = ["_vh_", "manage_", "++vh++", "++etc++", "++skin++", "++debug++"];
/// The only path below `acl_users` that is allowed. Plone redirects to it if a page requires a sign-in.
const SIGN_IN_PAGE: [&str; 2] = ["credentials_cookie_auth", "require_login"];

/// Where clients address Plone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mount {
    /// Below `/plone/` of the hub's own origin.
    Hub,
    /// At Plone's own origin, `[plone] proxy_url`.
    OwnOrigin,
}

/// Checks the path and the query of a request. Returns the path within the site, still encoded: empty, or with a
/// leading slash and without a trailing one.
pub(super) fn checked<'p>(path: &'p str, query: Option<&str>, mount: Mount) -> Result<&'p str, ProxyError> {
    let within = match mount {
        Mount::OwnOrigin => path,
        Mount::Hub => path.strip_prefix("/plone").ok_or(ProxyError::NotFound)?,
    };
    if within.contains('\\') || !within.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ProxyError::Path);
    }
    let within = within.strip_suffix('/').unwrap_or(within);
    let names = names(within)?;
    if within.bytes().next().is_some_and(|first| first != b'/') || names.iter().any(|name| is_instruction(name)) {
        return Err(ProxyError::Path);
    }
    let mut acl_users = names.iter().skip_while(|name| *name != "acl_users");
    if acl_users.next().is_some() && !acl_users.map(String::as_str).eq(SIGN_IN_PAGE) {
        return Err(ProxyError::UserFolder);
    }
    match mount {
        Mount::Hub => credentials::check_address(&names, query)?,
        Mount::OwnOrigin if credentials::is_risky_query(query) => return Err(ProxyError::PasswordInAddress),
        Mount::OwnOrigin => {}
    }
    Ok(within)
}

/// Returns the decoded segments of a path within the site.
pub(super) fn names(within: &str) -> Result<Vec<String>, ProxyError> {
    within.split('/').skip(1).map(|segment| decoded(segment).ok_or(ProxyError::Path)).collect()
}

fn is_instruction(name: &str) -> bool {
    let name = name.trim_start_matches("@@");
    name.is_empty() || NOT_CONTENT.contains(&name) || NOT_CONTENT_STARTS.iter().any(|start| name.starts_with(start))
}

/// Percent-decodes a segment once, as Zope does. Returns `None` if the encoding is invalid, or if a slash, backslash,
/// dot, percent sign or control character is encoded.
fn decoded(segment: &str) -> Option<String> {
    percent::decode(segment, |byte| !byte.is_ascii_control() && !b"/\\.%".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the name of the error for `path`; `None` if it is forwarded.
    fn refused(path: &str, mount: Mount) -> Option<String> {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        checked(path, query, mount).err().map(|error| format!("{error:?}"))
    }

    #[test]
    fn content_and_views_are_forwarded() {
        for path in [
            "/plone",
            "/plone/",
            "/plone/courses/202701-30001",
            "/plone/courses/@search?b_size=3",
            "/plone/news/welcome/@@images/image/large",
            "/plone/++api++/courses",
            "/plone/++resource++plone.css",
            "/plone/++plone++static/plone-compiled.css",
            "/plone/%40users/dean",
            "/plone/caf%C3%A9/a%20b",
            "/plone/management",
            "/plone/@@manage-portlets",
        ] {
            assert_eq!(refused(path, Mount::Hub), None, "{path}");
        }
        let sign_in_page = "/acl_users/credentials_cookie_auth/require_login";
        assert_eq!(refused(&format!("/plone{sign_in_page}?came_from=/plone/x"), Mount::Hub).unwrap(), "SignIn");
        assert_eq!(checked("/plone/a/", None, Mount::Hub).unwrap(), "/a");
        assert_eq!(checked("/plone", None, Mount::Hub).unwrap(), "");
        assert_eq!(checked("/a/b", None, Mount::OwnOrigin).unwrap(), "/a/b");
        for path in [sign_in_page, "/login", "/@login", "/login?came_from=/x"] {
            assert_eq!(refused(path, Mount::OwnOrigin), None, "{path}");
        }
        for path in
            ["/login?__ac_name=a&__ac_password=b", "/news?%5f_ac=x", "/news?POST_application_json_@login:method="]
        {
            assert_eq!(refused(path, Mount::OwnOrigin).as_deref(), Some("PasswordInAddress"), "{path}");
        }
    }

    #[test]
    fn paths_out_of_the_site_are_refused_in_every_spelling() {
        for rest in [
            "/..",
            "/../x",
            "/a/../b",
            "/.",
            "/%2e%2e/x",
            "/%2E%2e",
            "/.%2e/x",
            "/a%2fb",
            "/a%2Fb",
            "/%5c..%5c",
            "/\\..\\",
            "/a%00",
            "/a%0d%0aX:y",
            "/%252e%252e",
            "/a//b",
            "//evil.example",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%+1",
            "/a%ff",
            "/_vh_evil/x",
            "/a/_vh_x",
            "/%5fvh_x",
            "/VirtualHostBase/http/evil:80/",
            "/VirtualHostRoot",
            "/Virtual%48ostRoot",
            "/manage",
            "/@@manage",
            "/manage_main",
            "/courses/manage_delObjects",
            "/++vh++http:evil:80/++",
            "/%2b%2bvh%2b%2bhttp:evil:80/++",
            "/++etc++site",
            "/Control_Panel",
            "/@@",
            "/a\u{e9}",
        ] {
            assert_eq!(refused(&format!("/plone{rest}"), Mount::Hub).as_deref(), Some("Path"), "{rest}");
            assert_eq!(refused(rest, Mount::OwnOrigin).as_deref(), Some("Path"), "{rest}");
        }
        for path in ["/plone/acl_users", "/plone/courses/acl_users/users", "/plone/acl%5fusers/manage-x"] {
            assert_eq!(refused(path, Mount::Hub).as_deref(), Some("UserFolder"), "{path}");
        }
        assert_eq!(refused("/plonex", Mount::Hub).as_deref(), Some("Path"));
    }

    #[test]
    fn sign_ins_to_plone_are_refused() {
        for path in [
            "/plone/@login",
            "/plone/%40login",
            "/plone/courses/@login-renew",
            "/plone/++api++/@login",
            "/plone/login",
            "/plone/@@login",
            "/plone/login_form",
            "/plone/news?__ac_name=dean&__ac_password=x",
            "/plone/news?x=1&__ac%5fname=dean",
            "/plone/news?__ac_name:utf8:ustring=dean",
            "/plone/news?__%61c_name%2e=dean",
            "/plone/news?__ac=NjQ2NTYxNmU6Nzg3ODc4",
            "/plone/POST_application_json_@login",
            "/plone/news/@@POST_application_json_%40login",
            "/plone/++view++login",
            "/plone/failsafe_login",
            "/plone/news?@login:method=",
            "/plone/news?:default_action=@login",
            "/plone/news?acl_users/manage_main%3amethod=1",
        ] {
            assert_eq!(refused(path, Mount::Hub).as_deref(), Some("SignIn"), "{path}");
        }
    }
}

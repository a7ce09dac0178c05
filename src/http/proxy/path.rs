//! Which paths of Plone may be asked for. Zope decodes a path once, resolves `..` and `//` in it, reads pieces of it as
//! instructions, and finds by acquisition what is above the site: whatever could lead out of the site, or could be read
//! otherwise by the hub than by Plone, is refused here, on the path as it came.

use crate::text::percent;

use crate::http::error::Problem;
use crate::http::proxy::sign_ins;

/// Pieces that are instructions, or the management of Zope.
const NOT_CONTENT: [&str; 6] = [".", "..", "VirtualHostBase", "VirtualHostRoot", "manage", "Control_Panel"];
/// Beginnings of such pieces.
const NOT_CONTENT_STARTS: [&str; 6] = ["_vh_", "manage_", "++vh++", "++etc++", "++skin++", "++debug++"];
/// What of `acl_users` may be asked for: where Plone sends whoever must sign in.
const SIGN_IN_PAGE: [&str; 2] = ["credentials_cookie_auth", "require_login"];
/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Under `/plone/` of the hub's own origin.
    Hub,
    /// Under the origin that Plone has for itself.
    Own,
}

/// The path within the site, as it came, if it may be asked for: empty, or with a slash before it.
pub fn checked<'p>(path: &'p str, query: Option<&str>, place: Place) -> Result<&'p str, Problem> {
    let within = match place {
        Place::Own => path,
        Place::Hub => {
            path.strip_prefix("/plone").ok_or_else(|| Problem::not_found("There is nothing at this address."))?
        }
    };
    if within.contains('\\') || !within.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(trick());
    }
    let within = within.strip_suffix('/').unwrap_or(within);
    let mut names = Vec::new();
    for piece in within.split('/').skip(1) {
        names.push(decoded(piece).ok_or_else(trick)?);
    }
    if within.bytes().next().is_some_and(|first| first != b'/') || names.iter().any(|name| is_trick(name)) {
        return Err(trick());
    }
    let mut acl_users = names.iter().skip_while(|name| *name != "acl_users");
    if acl_users.next().is_some() && !acl_users.map(String::as_str).eq(SIGN_IN_PAGE) {
        return Err(Problem::forbidden("Plone's users are managed in Plone, not through the hub."));
    }
    if place == Place::Hub {
        sign_ins::check_address(&names, query)?;
    }
    Ok(within)
}

fn trick() -> Problem {
    Problem::bad_request("This path cannot be asked for through the hub.").field("path")
}

fn is_trick(name: &str) -> bool {
    let name = name.trim_start_matches("@@");
    name.is_empty() || NOT_CONTENT.contains(&name) || NOT_CONTENT_STARTS.iter().any(|start| name.starts_with(start))
}

/// A piece of a path, decoded once as Zope does; none when decoding makes it something else than one name: a slash, a
/// dot, a control character, another encoding.
fn decoded(piece: &str) -> Option<String> {
    percent::decoded(piece, |byte| !byte.is_ascii_control() && !b"/\\.%".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(path: &str, place: Place) -> u16 {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        checked(path, query, place).map_or_else(|problem| problem.code().status(), |_| 200)
    }

    #[test]
    fn content_and_views_pass() {
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
            "/plone/acl_users/credentials_cookie_auth/require_login?came_from=/plone/courses",
            "/plone/management",
            "/plone/@@manage-portlets",
        ] {
            let expected = if path.contains("require_login") { 403 } else { 200 };
            assert_eq!(verdict(path, Place::Hub), expected, "{path}");
        }
        assert_eq!(checked("/plone/a/", None, Place::Hub).unwrap(), "/a");
        assert_eq!(checked("/plone", None, Place::Hub).unwrap(), "");
        assert_eq!(checked("/a/b", None, Place::Own).unwrap(), "/a/b");
        assert_eq!(verdict("/acl_users/credentials_cookie_auth/require_login", Place::Own), 200);
        assert_eq!(verdict("/login", Place::Own), 200);
        assert_eq!(verdict("/@login", Place::Own), 200);
    }

    #[test]
    fn tricks_are_refused_in_every_spelling() {
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
            assert_eq!(verdict(&format!("/plone{rest}"), Place::Hub), 400, "{rest}");
            assert_eq!(verdict(rest, Place::Own), 400, "{rest}");
        }
        for path in ["/plone/acl_users", "/plone/courses/acl_users/users", "/plone/acl%5fusers/manage-x"] {
            assert_eq!(verdict(path, Place::Hub), 403, "{path}");
        }
        assert_eq!(verdict("/plonex", Place::Hub), 400);
    }

    #[test]
    fn nobody_signs_in_to_plone_past_the_hub() {
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
            assert_eq!(verdict(path, Place::Hub), 403, "{path}");
        }
    }
}

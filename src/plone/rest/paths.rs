//! Paths of content. A path begins at the site's root and has a slash before each segment. It is decoded in the hub and
//! percent-encoded in requests.

use crate::plone::port::PloneError;
use crate::text::percent;

/// Segments that Zope does not read as the name of content.
const NOT_NAMES: [&str; 6] = ["..", ".", "VirtualHostBase", "VirtualHostRoot", "acl_users", "Control_Panel"];

/// Percent-encodes a path: all characters except letters, digits and `-_.~`. An empty path is the site.
///
/// # Errors
/// [`PloneError::Refused`] for a path that is not a path of content.
pub(super) fn encode(path: &str) -> Result<String, PloneError> {
    let mut encoded = String::with_capacity(path.len() + 8);
    for name in path.split('/').filter(|name| !name.is_empty()) {
        let is_other = NOT_NAMES.contains(&name)
            || ["@", "++", "_vh_"].iter().any(|start| name.starts_with(start))
            || name.chars().any(|c| c.is_control() || c == '\\');
        if is_other {
            return Err(PloneError::Refused(format!("{name:?} is not a valid name of an item")));
        }
        encoded.push('/');
        encoded.extend(percent::encode_segment(name));
    }
    Ok(encoded)
}

/// Returns the path of an address: `/Plone` of `http://127.0.0.1:8080/Plone`.
pub(super) fn path_of_url(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| rest[at..].trim_end_matches('/'))
}

/// Returns the decoded path within the site of an item's address (`@id`); `None` for an address outside of the site.
/// The host is ignored, because the hub and Plone may use different names for Plone.
pub(super) fn of_id(site_url: &str, id: &str) -> Option<String> {
    let path = id.split(['?', '#']).next().map(path_of_url)?;
    let within = path.strip_prefix(path_of_url(site_url))?;
    if !within.is_empty() && !within.starts_with('/') {
        return None;
    }
    percent::decode(within, |_| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded_segment_by_segment() {
        assert_eq!(encode("/courses/202701-30001").unwrap(), "/courses/202701-30001");
        assert_eq!(encode("/a b/ü/50%?x#y").unwrap(), "/a%20b/%C3%BC/50%25%3Fx%23y");
        assert_eq!(encode("").unwrap(), "");
        assert_eq!(encode("/").unwrap(), "");
    }

    #[test]
    fn paths_that_are_not_content_are_refused() {
        for path in [
            "/../x",
            "/courses/..",
            "/./x",
            "/@users/dean",
            "/x/@@manage",
            "/++api++",
            "/a\\b",
            "/VirtualHostRoot",
            "/\0",
        ] {
            assert!(matches!(encode(path), Err(PloneError::Refused(_))), "{path}");
        }
    }

    #[test]
    fn addresses_of_items_become_paths_within_the_site() {
        let site = "http://127.0.0.1:8080/Plone";
        let table = [
            ("http://127.0.0.1:8080/Plone/courses/a", Some("/courses/a")),
            ("https://www.college.edu/Plone/courses/a%20b?x=y", Some("/courses/a b")),
            ("http://127.0.0.1:8080/Plone", Some("")),
            ("http://127.0.0.1:8080/Plone2/x", None),
            ("http://127.0.0.1:8080/x", None),
            ("http://127.0.0.1:8080/Plone/%ff", None),
        ];
        for (id, path) in table {
            assert_eq!(of_id(site, id).as_deref(), path, "{id}");
        }
        assert_eq!(of_id("https://www.college.edu", "https://www.college.edu/x").as_deref(), Some("/x"));
    }
}

//! Sanitizes HTML from Plone for the hub's pages, and converts it to plain text.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::Ipv4Addr;

use ammonia::Builder;
use url::{Host, Url};

use crate::text::percent;

/// Path of Plone under the hub's origin.
const PROXY: &str = "/plone";
/// Allowed tags: formatting, links and images; no scripts, styles, frames, forms or media.
const TAGS: [&str; 41] = [
    "a",
    "abbr",
    "b",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "dd",
    "del",
    "div",
    "dl",
    "dt",
    "em",
    "figcaption",
    "figure",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "ins",
    "li",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "u",
    "ul",
    "time",
];
/// Allowed tags within a table.
const TABLE_TAGS: [&str; 6] = ["tbody", "td", "tfoot", "th", "thead", "tr"];
/// Tags that start a new line in plain text.
const BLOCKS: [&str; 22] = [
    "p",
    "div",
    "br",
    "li",
    "ul",
    "ol",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "tr",
    "table",
    "blockquote",
    "pre",
    "hr",
    "dd",
    "dt",
    "dl",
    "figure",
    "figcaption",
];

/// Version of the rules by which HTML is sanitized. HTML that was stored under an older version is read again.
pub(in crate::plone) const RULES: u32 = 1;

/// Sanitizes HTML: only formatting, links and images remain. Addresses of links and images are resolved relative to the
/// item at `path` of the site at `site_url`. Addresses within the site become addresses below the hub's `/plone/`.
/// Images of other sites are removed, because these sites would learn who reads the hub's pages, and when. Links to
/// Plone's own network are removed, because they disclose it and lead nowhere.
pub(super) fn safe(html: &str, site_url: &str, path: &str) -> String {
    let links = Links::of_item(site_url, path);
    let schemes: HashSet<&str> = ["http", "https", "mailto", "tel"].into();
    Builder::empty()
        .tags(TAGS.into_iter().chain(TABLE_TAGS).collect())
        .clean_content_tags(["script", "style", "title", "template", "noscript", "iframe", "object"].into())
        .generic_attributes(["title", "lang", "dir"].into())
        .add_tag_attributes("a", ["href"])
        .add_tag_attributes("img", ["src", "alt", "width", "height"])
        .add_tag_attributes("td", ["colspan", "rowspan"])
        .add_tag_attributes("th", ["colspan", "rowspan", "scope"])
        .add_tag_attributes("ol", ["start"])
        .add_tag_attributes("time", ["datetime"])
        .url_schemes(schemes)
        .link_rel(Some("noopener noreferrer"))
        .attribute_filter(move |tag, attribute, value| match (tag, attribute) {
            ("a", "href") | ("img", "src") => {
                links.as_ref().and_then(|links| links.rewrite(value, tag == "img")).map(Cow::Owned)
            }
            _ => Some(Cow::Borrowed(value)),
        })
        .clean(html)
        .to_string()
}

/// Allowed schemes of links other than http and https.
const CONTACT_SCHEMES: [&str; 2] = ["mailto", "tel"];

/// Domain names that are used in private networks only (RFC 6761, RFC 6762 appendix G, RFC 8375).
const PRIVATE_NAMES: [&str; 9] =
    ["localhost", "local", "internal", "intranet", "private", "corp", "home", "lan", "home.arpa"];

/// Returns whether a host has an address or a name that exists in private networks only.
fn is_private(host: &Host<&str>) -> bool {
    let v4 = |ip: &Ipv4Addr| {
        let is_shared = ip.octets()[0] == 100 && ip.octets()[1] & 0b1100_0000 == 64; // RFC 6598
        ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || is_shared
    };
    match host {
        Host::Ipv4(ip) => v4(ip),
        Host::Ipv6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => v4(&ip),
            None => ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local(),
        },
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let is_below =
                |top: &str| name.strip_suffix(top).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            !name.contains('.') || PRIVATE_NAMES.into_iter().any(is_below)
        }
    }
}

/// A resolver of the links of one item.
struct Links {
    /// The site's address, with a trailing slash. The base of links that begin with a slash.
    site: Url,
    /// The item's address. The base of other relative links.
    item: Url,
}

impl Links {
    fn of_item(site_url: &str, path: &str) -> Option<Self> {
        let site = Url::parse(&format!("{}/", site_url.trim_end_matches('/'))).ok()?;
        let item = site.join(&format!(".{}", percent::encode_path(path))).ok()?;
        Some(Self { site, item })
    }

    /// Returns the address that a link has on a page of the hub. Returns `None` for a link that must be removed: a
    /// script, an address in Plone's network outside of the site, an image of another site, or an invalid address.
    fn rewrite(&self, link: &str, is_image: bool) -> Option<String> {
        let link = link.trim();
        // Browsers read a backslash as a slash; `Url` does so only in http addresses.
        if link.contains('\\') {
            return None;
        }
        if link.starts_with('#') {
            return (!is_image).then(|| link.to_owned());
        }
        let url = self.resolve(link)?;
        let address = if url.origin() == self.site.origin() {
            self.within_hub(&url)?
        } else {
            let is_allowed = match url.scheme() {
                "http" | "https" => !self.is_internal(&url),
                scheme => CONTACT_SCHEMES.contains(&scheme),
            };
            (is_allowed && !is_image).then(|| url.into())?
        };
        (!self.discloses_site(&address)).then_some(address)
    }

    /// Returns whether an address outside of the site belongs to Plone's network. The host of a public site may have
    /// other pages on the default port, but its other ports are those of its own services.
    fn is_internal(&self, url: &Url) -> bool {
        let is_site_host = url.host().is_some() && url.host() == self.site.host();
        url.host().is_none_or(|host| is_private(&host)) || (is_site_host && url.port().is_some())
    }

    /// Returns whether an address contains the address of a site in a private network, for example in its query.
    fn discloses_site(&self, address: &str) -> bool {
        let is_private = self.site.host().is_some_and(|host| is_private(&host));
        is_private && percent::decode_lossy(address).contains(&self.site.origin().ascii_serialization())
    }

    fn resolve(&self, link: &str) -> Option<Url> {
        if link.starts_with("//") {
            return Url::parse(&format!("https:{link}")).ok();
        }
        if let Some(rooted) = link.strip_prefix('/') {
            // Editors write such links both with and without the path of the site.
            let site_path = self.site.path().trim_matches('/');
            let in_site =
                rooted.strip_prefix(site_path).filter(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']));
            return self.site.join(&format!("./{}", in_site.unwrap_or(rooted).trim_start_matches('/'))).ok();
        }
        // Plone resolves `resolveuid/UID` in every folder of the site.
        let is_up = |up: &str| up.split('/').all(|segment| segment.is_empty() || segment == "..");
        if let Some(at) = link.find("resolveuid/").filter(|at| is_up(&link[..*at])) {
            return self.site.join(&link[at..]).ok();
        }
        self.item.join(link).ok()
    }

    /// Returns the address below the hub's `/plone/` for an address within the site; `None` for one outside of it.
    fn within_hub(&self, url: &Url) -> Option<String> {
        let site_path = self.site.path().trim_end_matches('/');
        let within = url.path().strip_prefix(site_path).filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let fragment = url.fragment().map(|fragment| format!("#{fragment}")).unwrap_or_default();
        let segments = within.split('/').filter(|segment| !segment.is_empty());
        let path: String = segments.flat_map(|segment| ["/", segment]).collect();
        Some(format!("{PROXY}{path}{query}{fragment}"))
    }
}

/// Converts HTML to plain text with one line per paragraph.
pub(super) fn plain(html: &str) -> String {
    // The sanitizer normalizes tags and entities, so the parser below handles only this form.
    let clean = Builder::empty()
        .tags(BLOCKS.into_iter().chain(["td", "th"]).collect())
        .clean_content_tags(["script", "style", "title", "template", "noscript", "iframe", "object"].into())
        .clean(html)
        .to_string();
    let mut text = String::with_capacity(clean.len());
    let mut rest = clean.as_str();
    while let Some(start) = rest.find('<') {
        text.push_str(&unescaped(&rest[..start]));
        let Some(length) = rest[start..].find('>') else { break };
        let tag = rest[start + 1..start + length].trim_start_matches('/');
        text.push(if ["td", "th"].contains(&tag) { ' ' } else { '\n' });
        rest = &rest[start + length + 1..];
    }
    text.push_str(&unescaped(rest));
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(words).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Replaces the four entities that the sanitizer writes.
fn unescaped(text: &str) -> String {
    text.replace("&nbsp;", "\u{a0}").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(html: &str) -> String {
        safe(html, "http://127.0.0.1:8080/Plone", "/news/welcome")
    }

    #[test]
    fn active_content_is_removed() {
        let table = [
            "<script>alert(1)</script>",
            "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
            "<style>body{display:none}</style>",
            "<iframe src='https://evil.example'></iframe>",
            "<object data='x'></object><embed src='x'>",
            "<form action='/api/v1/logout'></form>",
            "<svg onload=alert(1)></svg>",
            "<math><mtext></mtext></math>",
            "<base href='https://evil.example/'>",
            "<meta http-equiv=refresh content='0;url=x'>",
            "<link rel=stylesheet href=x>",
        ];
        for html in table {
            assert_eq!(news(html), "", "{html}");
        }
        assert_eq!(news("<p onclick='x()' style='position:fixed' class='y' id='z'>a</p>"), "<p>a</p>");
        assert_eq!(news("<input value=x>a<button>b</button>"), "ab");
    }

    #[test]
    fn links_are_rewritten_and_scripts_removed() {
        let link = |href: &str| {
            let html = news(&format!("<a href=\"{href}\">x</a>"));
            html.split("href=\"").nth(1).map(|rest| rest.split('"').next().unwrap_or_default().to_owned())
        };
        let table = [
            ("http://127.0.0.1:8080/Plone/courses/a?b=1#c", Some("/plone/courses/a?b=1#c")),
            ("http://127.0.0.1:8080/Plone", Some("/plone")),
            ("resolveuid/abc/@@images/x", Some("/plone/resolveuid/abc/@@images/x")),
            ("../../../resolveuid/abc", Some("/plone/resolveuid/abc")),
            ("other", Some("/plone/news/other")),
            ("../courses", Some("/plone/courses")),
            ("/Plone/courses", Some("/plone/courses")),
            ("/courses", Some("/plone/courses")),
            ("/Plone", Some("/plone")),
            ("/Plonex", Some("/plone/Plonex")),
            ("/", Some("/plone")),
            ("?b=1", Some("/plone/news/welcome?b=1")),
            ("café menu", Some("/plone/news/caf%C3%A9%20menu")),
            ("http://127.0.0.1:8080/manage", None),
            ("http://[", None),
            ("../../api/v1/logout", None),
            ("%2e%2e/%2E%2e/api/v1/logout", None),
            ("/%2e./api/v1/logout", None),
            ("http://127.0.0.1:8080/Plone/%2e%2e/api", None),
            ("%2e/.%2e/courses/a%2eb", Some("/plone/courses/a%2eb")),
            ("#top", Some("#top")),
            ("https://www.example.edu/x", Some("https://www.example.edu/x")),
            ("//www.example.edu/x", Some("https://www.example.edu/x")),
            ("mailto:dean@example.edu", Some("mailto:dean@example.edu")),
            ("javascript:alert(1)", None),
            (" java\tscript:alert(1)", None),
            ("JaVaScRiPt:alert(1)", None),
            ("data:text/html,x", None),
            ("vbscript:x", None),
            ("\\\\evil.example", None),
            ("&#106;avascript:alert(1)", None),
        ];
        for (href, expected) in table {
            assert_eq!(link(href).as_deref(), expected, "{href}");
        }
        assert_eq!(news("<img src='x.png' alt='A' onerror='y()'>"), "<img src=\"/plone/news/x.png\" alt=\"A\">");
        assert_eq!(news("<img src='data:image/svg+xml,x'>"), "<img>");
    }

    #[test]
    fn images_of_other_sites_are_removed() {
        for src in ["https://tracker.example/pixel.gif?u=1", "//tracker.example/p.gif", "http://10.0.0.7/p.gif"] {
            assert_eq!(news(&format!("<img src='{src}' alt='A'>")), "<img alt=\"A\">", "{src}");
        }
        let own = news("<img src='http://127.0.0.1:8080/Plone/a.png'>");
        assert_eq!(own, "<img src=\"/plone/a.png\">");
        let srcset = news("<img src='/a.png' srcset='https://tracker.example/p.gif 2x'>");
        assert_eq!(srcset, "<img src=\"/plone/a.png\">");
    }

    #[test]
    fn links_into_the_network_of_plone_are_removed() {
        let is_kept = |site: &str, href: &str| {
            let html = safe(&format!("<a href=\"{href}\">x</a>"), site, "/news/welcome");
            html.contains("href")
        };
        let private = "http://10.0.0.5:8080/Plone";
        for href in [
            "http://10.0.0.5:8080/manage",
            "http://10.0.0.5:9000/",
            "https://10.0.0.5/",
            "http://10.0.0.6/wiki",
            "http://localhost:8080/Plone/a",
            "http://[::1]:8080/Plone",
            "http://[::ffff:10.0.0.5]:8080/",
            "http://[fd00::5]/",
            "http://169.254.1.1/",
            "http://100.64.0.9/",
            "http://167772165:8080/",
            "http://zeo/",
            "http://PLONE.internal./x",
            "http://db.lan/",
            "/search?came_from=http://10.0.0.5:8080/Plone/a",
            "https://www.example.edu/?to=http%3A%2F%2F10.0.0.5%3A8080%2FPlone",
        ] {
            assert!(!is_kept(private, href), "{href}");
        }
        for href in ["https://www.example.edu/", "http://8.8.8.8/", "http://lan.example.edu/", "mailto:a@b.lan", "/a"] {
            assert!(is_kept(private, href), "{href}");
        }
        let public = "https://www.college.edu/Plone";
        assert!(is_kept(public, "http://www.college.edu/library"));
        assert!(!is_kept(public, "http://www.college.edu:8080/Plone"));
        assert!(!is_kept(public, "http://10.0.0.5:8080/Plone"));
    }

    #[test]
    fn plain_text_has_one_line_per_paragraph() {
        let html = "<h2>Seats</h2><p>They are <b>live</b>:&nbsp;no &lt;refresh&gt; &amp;amp; wait.</p>\
                    <ul><li>One</li><li>Two</li></ul><script>x()</script><table><tr><td>a</td><td>b</td></tr></table>";
        assert_eq!(plain(html), "Seats\nThey are live: no <refresh> &amp; wait.\nOne\nTwo\na b");
        assert_eq!(plain(""), "");
    }
}

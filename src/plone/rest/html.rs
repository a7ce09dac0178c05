//! The HTML of the college's content: made safe to show under the hub's own origin, and as plain text.

use std::borrow::Cow;
use std::collections::HashSet;

use ammonia::Builder;

use crate::plone::rest::paths::path_of_url;

/// Where content of Plone is reached under the hub's origin.
const PROXY: &str = "/plone";
/// What formats text; links and images. No scripts, styles, frames, forms, media.
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
/// Parts of a table.
const TABLE_TAGS: [&str; 6] = ["tbody", "td", "tfoot", "th", "thead", "tr"];
/// Tags that begin and end a line of plain text.
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

/// HTML that is safe to show: only what formats text, links and images. Links and images of the site at `site_url`, which
/// stand in the item at `path`, lead to the hub's `/plone/`.
pub(super) fn safe(html: &str, site_url: &str, path: &str) -> String {
    let links = Links { site_url: site_url.to_owned(), path: path.to_owned() };
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
            ("a", "href") | ("img", "src") => links.rewritten(value, tag == "img").map(Cow::Owned),
            _ => Some(Cow::Borrowed(value)),
        })
        .clean(html)
        .to_string()
}

struct Links {
    site_url: String,
    path: String,
}

impl Links {
    /// Where a link leads from the hub; none: nowhere.
    fn rewritten(&self, link: &str, is_image: bool) -> Option<String> {
        // What browsers leave out before they look at a scheme.
        let link: String = link.trim().chars().filter(|c| !c.is_control()).collect();
        if link.contains('\\') {
            return None;
        }
        if link.starts_with('#') {
            return (!is_image).then_some(link);
        }
        if let Some(within) = within(&link, &self.site_url) {
            return proxied("", within);
        }
        if let Some(elsewhere) = link.strip_prefix("//") {
            return Some(format!("https://{elsewhere}"));
        }
        if has_scheme(&link) {
            let lower = link.to_ascii_lowercase();
            let is_web = lower.starts_with("http://") || lower.starts_with("https://");
            return (is_web || !is_image && (lower.starts_with("mailto:") || lower.starts_with("tel:")))
                .then_some(link);
        }
        if let Some(rooted) = link.strip_prefix('/') {
            let site_path = path_of_url(&self.site_url).trim_start_matches('/');
            let of_site = rooted.strip_prefix(site_path).filter(|rest| rest.is_empty() || rest.starts_with('/'));
            return proxied("", of_site.unwrap_or(rooted));
        }
        // Plone resolves these from anywhere in the site.
        if let Some(at) =
            link.find("resolveuid/").filter(|at| link[..*at].split('/').all(|up| up.is_empty() || up == ".."))
        {
            return proxied("", &link[at..]);
        }
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        proxied(folder, &link)
    }
}

/// What follows the site's address in a link.
fn within<'l>(link: &'l str, site_url: &str) -> Option<&'l str> {
    let rest = link.strip_prefix(site_url)?;
    (rest.is_empty() || rest.starts_with(['/', '?', '#'])).then_some(rest)
}

fn has_scheme(link: &str) -> bool {
    let end = link.find(['/', '?', '#']).unwrap_or(link.len());
    link[..end].contains(':')
}

/// A path of the site under the hub's `/plone`, with `..` resolved; none when it leaves the site.
fn proxied(folder: &str, link: &str) -> Option<String> {
    let end = link.find(['?', '#']).unwrap_or(link.len());
    let (path, rest) = link.split_at(end);
    let mut names: Vec<&str> = Vec::new();
    for name in folder.split('/').chain(path.split('/')) {
        // An encoded dot is a dot, to browsers too.
        match name.to_ascii_lowercase().replace("%2e", ".").as_str() {
            "" | "." => {}
            ".." => {
                names.pop()?;
            }
            _ => names.push(name),
        }
    }
    let slash = if names.is_empty() { "" } else { "/" };
    Some(format!("{PROXY}{slash}{}{rest}", names.join("/")))
}

/// The text of HTML, one paragraph a line.
pub(super) fn plain(html: &str) -> String {
    // Cleaned first: what comes out has its tags and entities in the one way that is read here.
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

/// The four characters that the serialiser escapes.
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
    fn nothing_that_acts_survives() {
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
    fn links_and_images_lead_to_the_hub_or_out_and_never_to_a_script() {
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
    fn plain_text_has_a_line_for_each_paragraph() {
        let html = "<h2>Seats</h2><p>They are <b>live</b>:&nbsp;no &lt;refresh&gt; &amp;amp; wait.</p>\
                    <ul><li>One</li><li>Two</li></ul><script>x()</script><table><tr><td>a</td><td>b</td></tr></table>";
        assert_eq!(plain(html), "Seats\nThey are live: no <refresh> &amp; wait.\nOne\nTwo\na b");
        assert_eq!(plain(""), "");
    }
}

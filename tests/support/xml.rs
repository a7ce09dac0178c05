//! XML documents as trees, and checks of CAP messages and Atom feeds against their specifications.

use std::collections::HashSet;

use quick_xml::NsReader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;

/// The namespace of CAP 1.2.
pub const CAP: &str = "urn:oasis:names:tc:emergency:cap:1.2";
/// The namespace of Atom.
pub const ATOM: &str = "http://www.w3.org/2005/Atom";

/// An element.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Element {
    /// The local name.
    pub name: String,
    /// The namespace.
    pub namespace: String,
    /// The attributes, without those that declare namespaces.
    pub attributes: Vec<(String, String)>,
    /// The elements in it.
    pub children: Vec<Element>,
    /// The text in it.
    pub text: String,
}

impl Element {
    /// Parses a document; panics when it is not well-formed.
    pub fn parse(document: &str) -> Self {
        let mut reader = NsReader::from_str(document);
        reader.config_mut().expand_empty_elements = true;
        let mut stack = vec![Self::default()];
        loop {
            let (namespace, event) = reader.read_resolved_event().expect("well-formed XML");
            let namespace = match namespace {
                ResolveResult::Bound(namespace) => namespace.0.to_owned(),
                _ => String::new(),
            };
            let top = stack.len() - 1;
            match event {
                Event::Start(start) => {
                    let attributes = start.attributes().map(|attribute| {
                        let attribute = attribute.expect("an attribute");
                        let value = quick_xml::escape::unescape(&attribute.value).expect("an attribute").into_owned();
                        (attribute.key.as_ref().to_owned(), value)
                    });
                    let attributes = attributes.filter(|(name, _)| !name.starts_with("xmlns")).collect();
                    let name = start.local_name().as_ref().to_owned();
                    stack.push(Self { name, namespace, attributes, ..Self::default() });
                }
                Event::End(_) => {
                    let element = stack.pop().expect("an open element");
                    stack[top - 1].children.push(element);
                }
                Event::Text(text) => stack[top].text.push_str(&text.xml10_content()),
                Event::GeneralRef(reference) => match reference.resolve_char_ref().expect("a character") {
                    Some(c) => stack[top].text.push(c),
                    None => stack[top].text.push_str(resolve_predefined_entity(&reference).expect("an entity")),
                },
                Event::Eof => break,
                _ => {}
            }
        }
        let mut document = stack.pop().expect("the document");
        assert!(stack.is_empty() && document.children.len() == 1, "one root element");
        document.children.remove(0)
    }

    /// Returns the elements of this name.
    pub fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Returns the first element at a path such as `info/headline`; panics when there is none.
    pub fn at(&self, path: &str) -> &Self {
        path.split('/').fold(self, |element, name| {
            element
                .children
                .iter()
                .find(|child| child.name == name)
                .unwrap_or_else(|| panic!("no {path} in {}: {self:#?}", self.name))
        })
    }

    /// Returns the text of the first element at a path.
    pub fn text_at(&self, path: &str) -> &str {
        &self.at(path).text
    }

    /// Returns an attribute; empty when it is absent.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }
}

/// An element of a sequence in the schema of CAP: its name, and the least and greatest number of times it may occur.
type Particle = (&'static str, usize, usize);

const MANY: usize = usize::MAX;
const ALERT: &[Particle] = &[
    ("identifier", 1, 1),
    ("sender", 1, 1),
    ("sent", 1, 1),
    ("status", 1, 1),
    ("msgType", 1, 1),
    ("source", 0, 1),
    ("scope", 1, 1),
    ("restriction", 0, 1),
    ("addresses", 0, 1),
    ("code", 0, MANY),
    ("note", 0, 1),
    ("references", 0, 1),
    ("incidents", 0, 1),
    ("info", 0, MANY),
];
const INFO: &[Particle] = &[
    ("language", 0, 1),
    ("category", 1, MANY),
    ("event", 1, 1),
    ("responseType", 0, MANY),
    ("urgency", 1, 1),
    ("severity", 1, 1),
    ("certainty", 1, 1),
    ("audience", 0, 1),
    ("eventCode", 0, MANY),
    ("effective", 0, 1),
    ("onset", 0, 1),
    ("expires", 0, 1),
    ("senderName", 0, 1),
    ("headline", 0, 1),
    ("description", 0, 1),
    ("instruction", 0, 1),
    ("web", 0, 1),
    ("contact", 0, 1),
    ("parameter", 0, MANY),
    ("resource", 0, MANY),
    ("area", 0, MANY),
];
const PARAMETER: &[Particle] = &[("valueName", 1, 1), ("value", 1, 1)];
const AREA: &[Particle] = &[("areaDesc", 1, 1), ("polygon", 0, MANY), ("circle", 0, MANY), ("geocode", 0, MANY)];

/// The allowed values of the elements whose values CAP lists (CAP 1.2, section 3.2).
const VALUES: &[(&str, &[&str])] = &[
    ("status", &["Actual", "Exercise", "System", "Test", "Draft"]),
    ("msgType", &["Alert", "Update", "Cancel", "Ack", "Error"]),
    ("scope", &["Public", "Restricted", "Private"]),
    (
        "category",
        &[
            "Geo",
            "Met",
            "Safety",
            "Security",
            "Rescue",
            "Fire",
            "Health",
            "Env",
            "Transport",
            "Infra",
            "CBRNE",
            "Other",
        ],
    ),
    ("urgency", &["Immediate", "Expected", "Future", "Past", "Unknown"]),
    ("severity", &["Extreme", "Severe", "Moderate", "Minor", "Unknown"]),
    ("certainty", &["Observed", "Likely", "Possible", "Unlikely", "Unknown"]),
];

/// Parses a CAP message, and checks it against the schema and the rules of CAP 1.2.
pub fn cap_message(document: &str) -> Element {
    let alert = Element::parse(document);
    assert_eq!(alert.name, "alert");
    follow(&alert, ALERT);
    for info in alert.all("info") {
        follow(info, INFO);
        info.all("parameter").for_each(|parameter| follow(parameter, PARAMETER));
        info.all("area").for_each(|area| follow(area, AREA));
    }
    for name in ["identifier", "sender"] {
        let text = alert.text_at(name);
        assert!(!text.is_empty() && !text.contains([' ', ',', '<', '&']), "{name}: {text}");
    }
    if alert.text_at("msgType") != "Alert" {
        for reference in alert.text_at("references").split_whitespace() {
            let parts: Vec<&str> = reference.split(',').collect();
            assert_eq!(parts.len(), 3, "{reference}");
            assert_cap_time(parts[2]);
        }
    }
    alert
}

/// Checks that the children of an element are those of the schema, in its order, and that each simple value is allowed.
fn follow(element: &Element, particles: &[Particle]) {
    let mut rest = element.children.as_slice();
    for (name, least, most) in particles {
        let count = rest.iter().take_while(|child| child.name == *name).count();
        assert!((*least..=*most).contains(&count), "{count} elements {name} in {element:#?}");
        rest = &rest[count..];
    }
    assert!(rest.is_empty(), "{} is out of order in {element:#?}", rest[0].name);
    for child in &element.children {
        assert_eq!(child.namespace, CAP, "{}", child.name);
        if let Some((_, allowed)) = VALUES.iter().find(|(name, _)| *name == child.name) {
            assert!(allowed.contains(&child.text.as_str()), "{}: {}", child.name, child.text);
        }
        if ["sent", "effective", "onset", "expires"].contains(&child.name.as_str()) {
            assert_cap_time(&child.text);
        }
    }
}

/// Checks a time against the pattern of the schema (`YYYY-MM-DDThh:mm:ss`, an offset, and never `Z`).
fn assert_cap_time(text: &str) {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert!(["0000-00-00T00:00:00-00:00", "0000-00-00T00:00:00+00:00"].contains(&shape.as_str()), "{text}");
    assert!(!text.ends_with("+00:00"), "UTC is -00:00: {text}");
}

/// Parses an Atom feed, and checks what RFC 4287 requires of it (sections 4.1.1 and 4.1.2).
pub fn atom_feed(document: &str) -> Element {
    let feed = Element::parse(document);
    assert_eq!((feed.name.as_str(), feed.namespace.as_str()), ("feed", ATOM));
    let mut ids = HashSet::new();
    for element in std::iter::once(&feed).chain(feed.all("entry")) {
        for name in ["id", "title", "updated"] {
            assert_eq!(element.all(name).count(), 1, "{name} in {element:#?}");
        }
        let times = element.all("updated").chain(element.all("published"));
        times.for_each(|time| assert!(time.text.parse::<jiff::Timestamp>().is_ok(), "{}", time.text));
        assert!(element.text_at("id").contains(':'), "an id is an IRI");
        assert!(ids.insert(element.text_at("id").to_owned()), "ids are unique");
        assert!(element.children.iter().all(|child| child.namespace == ATOM), "{element:#?}");
        assert!(element.all("link").all(|link| link.attribute("href").starts_with("http")));
        assert!(element.all("category").all(|category| !category.attribute("term").is_empty()));
        assert!(!element.text_at("author/name").is_empty());
    }
    assert!(feed.all("link").any(|link| link.attribute("rel") == "self"));
    feed
}

//! Reads CAP messages of other systems. The documents are not trusted: their length and depth are bounded, document
//! type declarations are refused, and no entities are expanded besides those that XML predefines.

use jiff::Timestamp;
use quick_xml::NsReader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesDecl, BytesRef, Event};
use quick_xml::name::{Namespace, ResolveResult};

use crate::alerts::cap::NAMESPACE;
use crate::domain::cap::{CapId, NAME_CHARS_MAX, is_name};

/// The longest document, in bytes. Callers must not pass a longer one to [`read`]. Messages with polygons of many
/// points are about 60 kB long.
pub const LEN_MAX: usize = 256 * 1024;
/// The deepest nesting of elements. CAP itself needs four levels; a signature adds a few.
const DEPTH_MAX: usize = 32;
/// The largest number of references. A message that corrects others refers to each of them.
const REFERENCES_MAX: usize = 100;

/// Why a message is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapError {
    /// It is not a document that can be read safely.
    #[error("{0}")]
    Malformed(String),
    /// An element is missing, or its value cannot be used.
    #[error("{detail}")]
    Invalid {
        /// The element, such as `status` or `info.headline`.
        field: &'static str,
        /// The reason.
        detail: String,
    },
}

impl CapError {
    pub(super) fn invalid(field: &'static str, detail: impl Into<String>) -> Self {
        Self::Invalid { field, detail: detail.into() }
    }

    fn malformed(detail: impl Into<String>) -> Self {
        Self::Malformed(detail.into())
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapMessage {
    /// Its identifier, sender and time, which together identify it.
    pub id: CapId,
    /// `status`, as in the document.
    pub status: String,
    /// `msgType`, as in the document.
    pub kind: String,
    /// `scope`, as in the document.
    pub scope: String,
    /// The earlier messages to which it refers.
    pub references: Vec<CapId>,
    /// Its `info` blocks, in their order.
    pub infos: Vec<CapInfo>,
}

/// An `info` block of a message. Texts are trimmed; empty ones, except categories, count as absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CapInfo {
    pub(super) language: Option<String>,
    pub(super) categories: Vec<String>,
    pub(super) event: Option<String>,
    pub(super) urgency: Option<String>,
    pub(super) severity: Option<String>,
    pub(super) certainty: Option<String>,
    pub(super) effective: Option<Timestamp>,
    pub(super) expires: Option<Timestamp>,
    pub(super) headline: Option<String>,
    pub(super) description: Option<String>,
    pub(super) instruction: Option<String>,
}

/// The elements of a message while it is read.
#[derive(Default)]
struct Elements {
    identifier: Option<String>,
    sender: Option<String>,
    sent: Option<Timestamp>,
    status: Option<String>,
    kind: Option<String>,
    scope: Option<String>,
    references: Option<String>,
    infos: Vec<CapInfo>,
}

/// Reads a message.
///
/// # Errors
/// When the document is not well-formed XML in UTF-8, has a document type declaration or an entity that XML does not
/// predefine, is nested too deeply, or is not a CAP 1.2 message; when a required element is missing; when an element is
/// given twice; when there are too many references; or when an identifier, a time or a reference cannot be read.
pub fn read(bytes: &[u8]) -> Result<CapMessage, CapError> {
    let text = std::str::from_utf8(bytes).map_err(|_| CapError::malformed("The message must be UTF-8."))?;
    let mut reader = NsReader::from_str(text.trim_start_matches('\u{feff}'));
    reader.config_mut().expand_empty_elements = true;
    let (mut elements, mut path, mut value) = (Elements::default(), Vec::new(), String::new());
    let mut has_ended = false;
    loop {
        let (namespace, event) = reader.read_resolved_event().map_err(|error| not_xml(&error))?;
        let is_cap = namespace == ResolveResult::Bound(Namespace(NAMESPACE));
        match event {
            Event::Start(start) => {
                let name = if is_cap { start.local_name().as_ref().to_owned() } else { String::new() };
                if path.is_empty() && (has_ended || name != "alert") {
                    let detail = format!("The document must be one alert element in the namespace {NAMESPACE}.");
                    return Err(CapError::malformed(detail));
                }
                path.push(name);
                if path.len() > DEPTH_MAX {
                    return Err(CapError::malformed("The message has too many levels of elements."));
                }
                if *path == ["alert", "info"] {
                    elements.infos.push(CapInfo::default());
                }
                value.clear();
            }
            Event::End(_) => {
                elements.set(&path, value.trim())?;
                value.clear();
                path.pop();
                has_ended |= path.is_empty();
            }
            Event::Text(text) => value.push_str(&text.xml10_content()),
            Event::CData(text) => value.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) => push_reference(&reference, &mut value)?,
            Event::Decl(declaration) => require_utf_8(&declaration)?,
            Event::DocType(_) => {
                return Err(CapError::malformed("The message must not have a document type declaration (DTD)."));
            }
            Event::Eof if path.is_empty() && has_ended => return elements.into_message(),
            Event::Eof => return Err(CapError::malformed("The document is incomplete.")),
            // Empty elements are expanded into a start and an end.
            Event::Empty(_) | Event::Comment(_) | Event::PI(_) => {}
        }
    }
}

fn not_xml(error: &quick_xml::Error) -> CapError {
    CapError::malformed(format!("The message is not well-formed XML: {error}."))
}

/// Appends the character of a reference. Entities that a document declares itself are never expanded.
fn push_reference(reference: &BytesRef<'_>, value: &mut String) -> Result<(), CapError> {
    match (reference.resolve_char_ref(), resolve_predefined_entity(reference)) {
        (Ok(Some(c)), _) => value.push(c),
        (Ok(None), Some(text)) => value.push_str(text),
        (Ok(None), None) | (Err(_), _) => {
            return Err(CapError::malformed("The message must not contain entities that XML does not predefine."));
        }
    }
    Ok(())
}

fn require_utf_8(declaration: &BytesDecl<'_>) -> Result<(), CapError> {
    let is_utf_8 = |name: &str| ["utf-8", "us-ascii"].iter().any(|known| name.eq_ignore_ascii_case(known));
    match declaration.encoding() {
        None => Ok(()),
        Some(Ok(name)) if is_utf_8(&name) => Ok(()),
        Some(_) => Err(CapError::malformed("The message must be UTF-8.")),
    }
}

impl Elements {
    /// Sets the value of the element at `path`, which ends.
    fn set(&mut self, path: &[String], text: &str) -> Result<(), CapError> {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["alert", name] => match *name {
                "identifier" => once("identifier", &mut self.identifier, text),
                "sender" => once("sender", &mut self.sender, text),
                "sent" => once_time("sent", &mut self.sent, text),
                "status" => once("status", &mut self.status, text),
                "msgType" => once("msgType", &mut self.kind, text),
                "scope" => once("scope", &mut self.scope, text),
                "references" => once("references", &mut self.references, text),
                _ => Ok(()),
            },
            ["alert", "info", name] => self.infos.last_mut().map_or(Ok(()), |info| info.set(name, text)),
            _ => Ok(()),
        }
    }

    fn into_message(self) -> Result<CapMessage, CapError> {
        let missing = |field| move || CapError::invalid(field, format!("{field} is missing."));
        let name = |field, text: Option<String>| {
            let text = text.ok_or_else(missing(field))?;
            let detail =
                || format!("{field} must have 1 to {NAME_CHARS_MAX} characters, without spaces, commas, < or &.");
            if is_name(&text) { Ok(text) } else { Err(CapError::invalid(field, detail())) }
        };
        let id = CapId {
            identifier: name("identifier", self.identifier)?,
            sender: name("sender", self.sender)?,
            sent: self.sent.ok_or_else(missing("sent"))?,
        };
        let references: Vec<&str> = self.references.iter().flat_map(|text| text.split_whitespace()).collect();
        if references.len() > REFERENCES_MAX {
            let detail = format!("references may name at most {REFERENCES_MAX} messages.");
            return Err(CapError::invalid("references", detail));
        }
        let reference = |text: &str| {
            let detail = "references must contain messages as sender,identifier,sent.";
            CapId::parse(text).ok_or_else(|| CapError::invalid("references", detail))
        };
        Ok(CapMessage {
            id,
            status: self.status.ok_or_else(missing("status"))?,
            kind: self.kind.ok_or_else(missing("msgType"))?,
            scope: self.scope.ok_or_else(missing("scope"))?,
            references: references.into_iter().map(reference).collect::<Result<_, _>>()?,
            infos: self.infos,
        })
    }
}

impl CapInfo {
    fn set(&mut self, name: &str, text: &str) -> Result<(), CapError> {
        match name {
            "language" => once("info.language", &mut self.language, text),
            "category" => {
                self.categories.push(text.to_owned());
                Ok(())
            }
            "event" => once("info.event", &mut self.event, text),
            "urgency" => once("info.urgency", &mut self.urgency, text),
            "severity" => once("info.severity", &mut self.severity, text),
            "certainty" => once("info.certainty", &mut self.certainty, text),
            "effective" => once_time("info.effective", &mut self.effective, text),
            "expires" => once_time("info.expires", &mut self.expires, text),
            "headline" => once("info.headline", &mut self.headline, text),
            "description" => once("info.description", &mut self.description, text),
            "instruction" => once("info.instruction", &mut self.instruction, text),
            _ => Ok(()),
        }
    }
}

/// Sets an element that a message has at most once. An empty one counts as absent.
fn once(field: &'static str, slot: &mut Option<String>, text: &str) -> Result<(), CapError> {
    if text.is_empty() {
        return Ok(());
    }
    match slot.replace(text.to_owned()) {
        None => Ok(()),
        Some(_) => Err(CapError::invalid(field, format!("{field} is given more than once."))),
    }
}

fn once_time(field: &'static str, slot: &mut Option<Timestamp>, text: &str) -> Result<(), CapError> {
    if text.is_empty() {
        return Ok(());
    }
    let detail = || format!("{field} must be a time with an offset, such as 2026-07-01T08:00:00-04:00.");
    let time = text.parse().map_err(|_| CapError::invalid(field, detail()))?;
    match slot.replace(time) {
        None => Ok(()),
        Some(_) => Err(CapError::invalid(field, format!("{field} is given more than once."))),
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;

//! Writes XML documents (XML 1.0, fifth edition).

use quick_xml::escape::escape;

/// The declaration with which a document begins.
const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// A document that is being written.
#[derive(Debug)]
pub(super) struct Document {
    text: String,
    open: Vec<&'static str>,
}

impl Document {
    /// Begins a document with its root element.
    pub(super) fn new(root: &'static str, attributes: &[(&str, &str)]) -> Self {
        let mut document = Self { text: DECLARATION.to_owned(), open: Vec::new() };
        document.open(root, attributes);
        document
    }

    /// Begins an element. Everything that is written until [`Self::close`] belongs to it.
    pub(super) fn open(&mut self, name: &'static str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.text.push_str(">\n");
        self.open.push(name);
    }

    /// Ends the element that was opened last.
    pub(super) fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.end(name);
        }
    }

    /// Writes an element with text.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.text_with(name, &[], text);
    }

    /// Writes an element with attributes and text.
    pub(super) fn text_with(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.start(name, attributes);
        self.text.push('>');
        self.text.push_str(&escape(&*allowed(text)));
        self.end(name);
    }

    /// Writes an element without content.
    pub(super) fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.text.push_str("/>\n");
    }

    /// Ends all open elements, and returns the document.
    pub(super) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.text
    }

    fn start(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.text.push('<');
        self.text.push_str(name);
        for (attribute, value) in attributes {
            self.text.push(' ');
            self.text.push_str(attribute);
            self.text.push_str("=\"");
            self.text.push_str(&escape(&*allowed(value)));
            self.text.push('"');
        }
    }

    fn end(&mut self, name: &str) {
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push_str(">\n");
    }
}

/// Returns a text with U+FFFD in place of the characters that no XML document may contain, even escaped.
fn allowed(text: &str) -> String {
    let is_allowed = |c: char| match c {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        _ => c >= ' ',
    };
    text.chars().map(|c| if is_allowed(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attributes_are_escaped_and_forbidden_characters_replaced() {
        let mut document = Document::new("a", &[("b", "1 < \"2\"")]);
        document.text("c", "x & y\u{0}\u{1b}\n<z>\u{ffff}");
        document.open("d", &[]);
        document.empty("e", &[("f", "'")]);
        assert_eq!(
            document.finish(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a b=\"1 &lt; &quot;2&quot;\">\n\
             <c>x &amp; y\u{fffd}\u{fffd}\n&lt;z&gt;\u{fffd}</c>\n<d>\n<e f=\"&apos;\"/>\n</d>\n</a>\n"
        );
    }
}

//! A tree of elements -> XML, and XML -> a bounded tree. No document type, no entities but the
//! five of XML 1.0 and character references, so nothing can be fetched or blown up.

use std::fmt;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use crate::error::{Error, ErrorKind, Result};

/// Longest MPD that is read, in bytes.
pub const MAX_MPD_BYTES: usize = 32 << 20;
/// Most elements in one MPD: ten hours of two-second segments in six unlike renditions fit.
const MAX_ELEMENTS: usize = 500_000;
/// Deepest nesting of elements.
const MAX_DEPTH: usize = 32;
/// Longest attribute value in bytes; templates and URLs are inherited, thus copied.
const MAX_VALUE_BYTES: usize = 64 << 10;

/// An element with all that stands in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// Its name; without the prefix where that is the root's, else as written.
    pub name: String,
    /// The line its tag ends on, from 1.
    pub line: usize,
    /// Attributes in order, names as written, values with references resolved.
    pub attributes: Vec<(String, String)>,
    /// The elements in it.
    pub children: Vec<Self>,
    /// The text directly in it, outside its children.
    pub text: String,
}

impl Element {
    /// An element of that name with nothing in it.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// With one more attribute.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.attributes.push((name.to_owned(), value.to_string()));
        self
    }

    /// With one more element in it, after the others.
    #[must_use]
    pub fn child(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    /// With more elements in it, after the others.
    #[must_use]
    pub fn children(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    /// With that text in it.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        text.clone_into(&mut self.text);
        self
    }

    /// The document with this as its root: an element a line, indented. An element has either
    /// text or children in it.
    pub fn to_document(&self) -> String {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        self.write(&mut xml, 0);
        xml
    }

    fn write(&self, xml: &mut String, depth: usize) {
        xml.extend(std::iter::repeat_n(' ', depth * 2));
        xml.push('<');
        xml.push_str(&self.name);
        for (name, value) in &self.attributes {
            xml.push(' ');
            xml.push_str(name);
            xml.push_str("=\"");
            push_escaped(xml, value);
            xml.push('"');
        }
        if self.children.is_empty() && self.text.is_empty() {
            xml.push_str("/>\n");
            return;
        }
        xml.push('>');
        push_escaped(xml, &self.text);
        if !self.children.is_empty() {
            xml.push('\n');
            for child in &self.children {
                child.write(xml, depth + 1);
            }
            xml.extend(std::iter::repeat_n(' ', depth * 2));
        }
        xml.push_str("</");
        xml.push_str(&self.name);
        xml.push_str(">\n");
    }

    /// The attribute of exactly that name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        find_attribute(&self.attributes, name)
    }

    /// The children of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> + 'a {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first child of that name.
    pub fn first(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// Escapes for attribute values and text alike. Characters that XML 1.0 can't hold (2.2) become
/// spaces.
fn push_escaped(xml: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => xml.push(' '),
            c => xml.push(c),
        }
    }
}

/// The value of the attribute of exactly that name.
pub(super) fn find_attribute<'a>(
    attributes: &'a [(String, String)],
    name: &str,
) -> Option<&'a str> {
    let found = attributes.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_str())
}

/// Reads a whole document; returns its root.
pub(super) fn read_tree(text: &str) -> Result<Element> {
    if text.len() > MAX_MPD_BYTES {
        return Err(limit(MAX_MPD_BYTES, "bytes"));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::from_str(text);
    let mut builder = TreeBuilder::new(text);
    loop {
        let event = reader.read_event();
        let position = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let event = event.map_err(|e| builder.ill_formed(position, e))?;
        if let Event::Eof = event {
            return builder.finish();
        }
        builder.event(event, position)?;
    }
}

fn limit(limit: usize, unit: &str) -> Error {
    let message = format!("MPD has more than the {limit} {unit} that are read");
    Error::new(ErrorKind::Exhausted, message)
}

struct TreeBuilder<'a> {
    text: &'a str,
    /// Up to where lines are counted, and how many line breaks were there.
    counted: usize,
    line_breaks: usize,
    elements: usize,
    open: Vec<Element>,
    root: Option<Element>,
    root_prefix: String,
}

impl<'a> TreeBuilder<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            counted: 0,
            line_breaks: 0,
            elements: 0,
            open: Vec::new(),
            root: None,
            root_prefix: String::new(),
        }
    }

    /// The line of a position that is not before the last one asked for.
    fn line(&mut self, position: usize) -> usize {
        let position = position.min(self.text.len());
        let passed = self.text.as_bytes().get(self.counted..position);
        self.line_breaks += passed
            .unwrap_or(&[])
            .iter()
            .filter(|b| **b == b'\n')
            .count();
        self.counted = position.max(self.counted);
        self.line_breaks + 1
    }

    fn ill_formed(&mut self, position: usize, error: impl fmt::Display) -> Error {
        let line = self.line(position);
        Error::invalid(format!("MPD line {line}: {error}"))
    }

    fn event(&mut self, event: Event<'_>, position: usize) -> Result<()> {
        match event {
            Event::Start(start) => {
                let element = self.element(&start, position)?;
                self.open.push(element);
            }
            Event::Empty(start) => {
                let element = self.element(&start, position)?;
                self.close(element);
            }
            Event::End(_) => {
                let element = self.open.pop();
                let element =
                    element.ok_or_else(|| self.ill_formed(position, "an end tag too many"))?;
                self.close(element);
            }
            Event::Text(text) => self.push_text(&text.xml10_content()),
            Event::CData(text) => self.push_text(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let character = self.resolve(&reference, position)?;
                self.push_text(character.encode_utf8(&mut [0; 4]));
            }
            Event::DocType(_) => {
                return Err(self.ill_formed(position, "a document type is not allowed in an MPD"));
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Eof => {}
        }
        Ok(())
    }

    fn element(&mut self, start: &BytesStart<'_>, position: usize) -> Result<Element> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(limit(MAX_ELEMENTS, "elements"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(limit(MAX_DEPTH, "levels of elements"));
        }
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|e| self.ill_formed(position, e))?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|e| self.ill_formed(position, e))?;
            if value.len() > MAX_VALUE_BYTES {
                return Err(limit(MAX_VALUE_BYTES, "bytes in an attribute"));
            }
            attributes.push((attribute.key.0.to_owned(), value.into_owned()));
        }
        Ok(Element {
            name: self.name(start.name().0),
            line: self.line(position),
            attributes,
            ..Element::default()
        })
    }

    /// The root's prefix stands for DASH's namespace and is dropped everywhere.
    fn name(&mut self, written: &str) -> String {
        let (prefix, local) = written.split_once(':').unwrap_or(("", written));
        if self.root.is_none() && self.open.is_empty() {
            prefix.clone_into(&mut self.root_prefix);
        }
        if prefix == self.root_prefix {
            local.to_owned()
        } else {
            written.to_owned()
        }
    }

    fn resolve(&mut self, reference: &BytesRef<'_>, position: usize) -> Result<char> {
        let resolved = reference.resolve_char_ref();
        if let Some(character) = resolved.map_err(|e| self.ill_formed(position, e))? {
            return Ok(character);
        }
        match &**reference {
            "amp" => Ok('&'),
            "lt" => Ok('<'),
            "gt" => Ok('>'),
            "quot" => Ok('"'),
            "apos" => Ok('\''),
            other => Err(self.ill_formed(position, format!("unknown entity {other:?}"))),
        }
    }

    fn push_text(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut() {
            element.text.push_str(text);
        }
    }

    fn close(&mut self, element: Element) {
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None if self.root.is_none() => self.root = Some(element),
            None => {}
        }
    }

    fn finish(mut self) -> Result<Element> {
        if let Some(open) = self.open.pop() {
            let message = format!("MPD ends inside {} of line {}", open.name, open.line);
            return Err(Error::invalid(message));
        }
        self.root
            .ok_or_else(|| Error::invalid("not an MPD: no element"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tree_keeps_names_lines_attributes_and_text() {
        let root = read_tree(
            "<?xml version=\"1.0\"?>\n<d:MPD a=\"x&amp;&#65;\">\n<d:B>u&lt;<![CDATA[<]]></d:B>\n<e:C/></d:MPD>",
        )
        .expect("reads");
        assert_eq!((root.name.as_str(), root.line), ("MPD", 2));
        assert_eq!(root.attribute("a"), Some("x&A"));
        let child = root.first("B").expect("there");
        assert_eq!((child.text.as_str(), child.line), ("u<<", 3));
        assert_eq!(root.all("e:C").count(), 1);
    }

    #[test]
    fn bombs_and_broken_documents_are_refused() {
        let deep = "<a>".repeat(MAX_DEPTH + 1);
        for text in [
            "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
            "<a>&b;</a>",
            "<a b='&c;'/>",
            "<a",
            "<a>",
            "</a>",
            "<a></b>",
            "<a b='1' b='2'/>",
            "",
            "text",
            deep.as_str(),
        ] {
            assert!(read_tree(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn written_documents_read_the_same(value in "([<>&\"' ]|\\PC){0,20}", text in "[^\\pC ]([<>&\"' ]|\\PC){0,20}") {
            let leaf = Element::new("b").with("c", &value).text(&text);
            let tree = Element::new("a").child(leaf).child(Element::new("d"));
            let read = read_tree(&tree.to_document()).expect("reads");
            let child = read.first("b").expect("there");
            prop_assert_eq!(child.attribute("c"), Some(value.as_str()));
            prop_assert_eq!(&child.text, &text);
        }

        #[test]
        fn any_text_is_survived(text in "([<>/&;a='\"! -]|\\PC){0,80}") {
            let _ = read_tree(&text);
        }
    }
}

//! Attribute lists (R 4.2): ordered, as written.

use std::fmt;

use crate::time::parse_decimal;

/// Most attributes of one tag that are read; the rest is told as a problem.
const MAX_ATTRIBUTES: usize = 256;

/// One `NAME=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The name as written.
    pub name: String,
    /// The value, without its quotes.
    pub value: String,
    /// Whether the value stood in quotes.
    pub quoted: bool,
}

/// The attributes of one tag in their order; a name may occur twice in what was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttributeList(Vec<Attribute>);

impl AttributeList {
    /// A list without attributes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a value written without quotes: a number, an enumerated string, a resolution.
    #[must_use]
    pub fn plain(self, name: &str, value: impl fmt::Display) -> Self {
        self.with(name, value.to_string(), false)
    }

    /// Appends a quoted string. What can't stand in one (R 4.2: line breaks and double quotes,
    /// and with them all control characters) becomes a space or an apostrophe.
    #[must_use]
    pub fn quoted(self, name: &str, value: impl fmt::Display) -> Self {
        let clean = |c: char| match c {
            '"' => '\'',
            c if c.is_control() => ' ',
            c => c,
        };
        self.with(name, value.to_string().chars().map(clean).collect(), true)
    }

    fn with(mut self, name: &str, value: String, quoted: bool) -> Self {
        self.0.push(Attribute {
            name: name.to_owned(),
            value,
            quoted,
        });
        self
    }

    /// Reads a list leniently; each thing that is not as R 4.2 wants it goes to `complain`.
    pub(super) fn read(text: &str, mut complain: impl FnMut(String)) -> Self {
        let mut list = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if list.len() == MAX_ATTRIBUTES {
                complain("more attributes than are read".into());
                break;
            }
            let (attribute, after) = read_one(rest, &mut complain);
            list.push(attribute);
            rest = after;
        }
        if text.is_empty() {
            complain("empty attribute list".into());
        } else if text.ends_with(',') {
            complain("comma at the end of the attribute list".into());
        }
        Self(list)
    }

    /// All attributes in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Attribute> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first attribute of that name.
    pub fn get(&self, name: &str) -> Option<&Attribute> {
        self.0.iter().find(|attribute| attribute.name == name)
    }

    /// The value of the first attribute of that name, quoted or not.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(|attribute| attribute.value.as_str())
    }

    /// A decimal integer written without quotes.
    pub fn integer(&self, name: &str) -> Option<u64> {
        let attribute = self.get(name).filter(|attribute| !attribute.quoted)?;
        let digits = attribute.value.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| attribute.value.parse().ok())?
    }

    /// A decimal number times 1000, to the nearest whole.
    pub fn thousandths(&self, name: &str) -> Option<u64> {
        parse_decimal(self.text(name)?, 3)
    }

    /// `YES` or `NO`.
    pub fn yes_no(&self, name: &str) -> Option<bool> {
        match self.text(name)? {
            "YES" => Some(true),
            "NO" => Some(false),
            _ => None,
        }
    }

    /// A resolution `WxH`.
    pub fn resolution(&self, name: &str) -> Option<(u32, u32)> {
        let (width, height) = self.text(name)?.split_once(['x', 'X'])?;
        Some((width.parse().ok()?, height.parse().ok()?))
    }

    /// Names that occur more than once, each once, in order of their second appearance.
    pub fn repeated_names(&self) -> Vec<&str> {
        let mut seen = std::collections::BTreeMap::<&str, u32>::new();
        let mut repeated = Vec::new();
        for attribute in &self.0 {
            let count = seen.entry(&attribute.name).or_default();
            *count = count.saturating_add(1);
            if *count == 2 {
                repeated.push(attribute.name.as_str());
            }
        }
        repeated
    }
}

impl<'a> IntoIterator for &'a AttributeList {
    type Item = &'a Attribute;
    type IntoIter = std::slice::Iter<'a, Attribute>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Display for AttributeList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, attribute) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let quote = if attribute.quoted { "\"" } else { "" };
            let Attribute { name, value, .. } = attribute;
            write!(f, "{comma}{name}={quote}{value}{quote}")?;
        }
        Ok(())
    }
}

/// The first attribute of `text`, and what follows its comma.
fn read_one<'a>(text: &'a str, complain: &mut impl FnMut(String)) -> (Attribute, &'a str) {
    let end = text.find(['=', ',']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let is_name_byte = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-';
    if name.is_empty() || !name.bytes().all(is_name_byte) {
        complain(format!(
            "attribute name {name:?} is not made of A-Z, 0-9 and '-'"
        ));
    }
    let (value, quoted, rest) = match rest.strip_prefix('=') {
        Some(value) => read_value(name, value, complain),
        None => {
            complain(format!("attribute {name:?} has no value"));
            ("", false, rest)
        }
    };
    let attribute = Attribute {
        name: name.trim().to_owned(),
        value: value.to_owned(),
        quoted,
    };
    (attribute, rest.strip_prefix(',').unwrap_or(rest))
}

/// The value at the start of `text`, whether it was quoted, and the rest from its comma on.
fn read_value<'a>(
    name: &str,
    text: &'a str,
    complain: &mut impl FnMut(String),
) -> (&'a str, bool, &'a str) {
    let Some(inner) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find(',').unwrap_or(text.len()));
        if value.is_empty() || value.contains(['"', ' ', '\t']) {
            complain(format!(
                "attribute {name:?} has an empty value, or a quote or space in an unquoted one"
            ));
        }
        return (value, false, rest);
    };
    let Some((value, rest)) = inner.split_once('"') else {
        complain(format!("attribute {name:?} has no closing quote"));
        return (inner, true, "");
    };
    let comma = rest.find(',').unwrap_or(rest.len());
    let (junk, rest) = rest.split_at(comma);
    if !junk.is_empty() {
        complain(format!("text {junk:?} after the value of {name:?}"));
    }
    (value, true, rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> (AttributeList, Vec<String>) {
        let mut problems = Vec::new();
        let list = AttributeList::read(text, |problem| problems.push(problem));
        (list, problems)
    }

    #[test]
    fn values_keep_order_quotes_and_inner_commas() {
        let (list, problems) =
            read(r#"BANDWIDTH=1280,CODECS="avc1.64001f,mp4a.40.2",X-A="",B=1x2"#);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(list.integer("BANDWIDTH"), Some(1280));
        assert_eq!(list.text("CODECS"), Some("avc1.64001f,mp4a.40.2"));
        assert_eq!(list.resolution("B"), Some((1, 2)));
        assert!(list.get("X-A").expect("there").quoted);
    }

    #[test]
    fn faults_are_told_and_survived() {
        for text in [
            "A",
            "=1",
            "A=",
            "A=\"x",
            "A=\"x\"y,B=1",
            "A=1,",
            " A=1",
            "a=1",
            "",
        ] {
            assert_ne!(read(text).1.len(), 0, "{text:?}");
        }
        assert_eq!(read("A=1,B=2,A=3,A=4").0.repeated_names(), ["A"]);
    }

    #[test]
    fn quoted_strings_hold_no_quote_or_line_break() {
        let list = AttributeList::new().quoted("NAME", "a\"b\r\nc");
        assert_eq!(list.to_string(), "NAME=\"a'b  c\"");
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,60}") {
            read(&text);
        }

        #[test]
        fn written_lists_read_the_same(values in prop::collection::vec(("[A-Z][A-Z0-9-]{0,9}", "\\PC{0,12}", "[A-Za-z0-9.x]{1,9}", any::<bool>()), 1..8)) {
            let mut list = AttributeList::new();
            for (name, quoted, plain, quote) in values {
                list = if quote { list.quoted(&name, quoted) } else { list.plain(&name, plain) };
            }
            let (again, problems) = read(&list.to_string());
            prop_assert_eq!(problems, Vec::<String>::new());
            prop_assert_eq!(again, list);
        }
    }
}

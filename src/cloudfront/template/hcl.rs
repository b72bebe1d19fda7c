//! HCL, the language of Terraform, as a tree and as text as `terraform fmt` lays it out.

/// What stands between the braces of a block, or in a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Body(Vec<Item>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Comment(String),
    Attribute(String, Hcl),
    Block {
        /// Type and labels.
        head: Vec<String>,
        body: Body,
    },
}

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hcl {
    Text(String),
    Number(u32),
    Flag(bool),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
    /// Text over several lines, each ending with a line break.
    Lines(String),
    /// A reference, or text with references in it, as written.
    Raw(String),
    /// `jsonencode` of an object.
    Json(Box<Self>),
}

impl Body {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// With an attribute at the end.
    pub(super) fn with(mut self, name: &str, value: impl Into<Hcl>) -> Self {
        self.0.push(Item::Attribute(name.to_owned(), value.into()));
        self
    }

    /// With an attribute at the end, if there is a value.
    pub(super) fn with_some(self, name: &str, value: Option<impl Into<Hcl>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// With a block at the end.
    pub(super) fn block(self, kind: &str, body: Self) -> Self {
        self.labelled(&[kind], body)
    }

    /// With a block at the end; `head` is its type and its labels.
    pub(super) fn labelled(mut self, head: &[&str], body: Self) -> Self {
        let head = head.iter().map(|part| (*part).to_owned()).collect();
        self.0.push(Item::Block { head, body });
        self
    }

    /// With a resource at the end.
    pub(super) fn resource(self, kind: &str, name: &str, body: Self) -> Self {
        self.labelled(&["resource", kind, name], body)
    }

    /// With words at the end.
    pub(super) fn comment(mut self, words: &str) -> Self {
        self.0.push(Item::Comment(words.to_owned()));
        self
    }

    /// With all of another at the end.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The text of a file.
    pub(super) fn to_document(&self) -> String {
        let mut text = String::new();
        push_body(&mut text, self, 0);
        text
    }
}

impl From<&str> for Hcl {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Hcl {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u32> for Hcl {
    fn from(number: u32) -> Self {
        Self::Number(number)
    }
}

impl From<u16> for Hcl {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Hcl {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Hcl {
    fn from(list: Vec<T>) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self>, const N: usize> From<[T; N]> for Hcl {
    fn from(list: [T; N]) -> Self {
        Vec::from(list).into()
    }
}

/// A reference, as written.
pub(super) fn raw(expression: impl Into<String>) -> Hcl {
    Hcl::Raw(expression.into())
}

/// An object.
pub(super) fn object<const N: usize>(entries: [(&str, Hcl); N]) -> Hcl {
    let entries = entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value));
    Hcl::Object(entries.collect())
}

fn indent(text: &mut String, depth: usize) {
    text.extend(std::iter::repeat_n("  ", depth));
}

fn push_body(text: &mut String, body: &Body, depth: usize) {
    for (place, item) in body.0.iter().enumerate() {
        let before = place.checked_sub(1).and_then(|before| body.0.get(before));
        if before.is_some_and(|before| are_apart(before, item)) {
            text.push('\n');
        }
        match item {
            Item::Comment(words) => push_comment(text, words, depth),
            Item::Attribute(name, value) => {
                indent(text, depth);
                let width = aligned_width(&body.0, place);
                text.push_str(&format!("{name:width$} = "));
                push_value(text, value, depth);
                text.push('\n');
            }
            Item::Block { head, body } => push_block(text, head, body, depth),
        }
    }
}

fn push_block(text: &mut String, head: &[String], body: &Body, depth: usize) {
    indent(text, depth);
    for (place, part) in head.iter().enumerate() {
        match place {
            0 => text.push_str(part),
            _ => text.push_str(&quoted(part)),
        }
        text.push(' ');
    }
    if body.0.is_empty() {
        text.push_str("{}\n");
        return;
    }
    text.push_str("{\n");
    push_body(text, body, depth + 1);
    indent(text, depth);
    text.push_str("}\n");
}

fn push_comment(text: &mut String, words: &str, depth: usize) {
    for line in words.lines() {
        indent(text, depth);
        text.push_str("# ");
        text.push_str(line);
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
}

/// Whether an empty line stands between two items: around blocks, but not behind words.
fn are_apart(before: &Item, item: &Item) -> bool {
    let is_block = |item: &Item| matches!(item, Item::Block { .. });
    match (before, item) {
        (Item::Comment(_), Item::Comment(_)) => true,
        (Item::Comment(_), _) => false,
        (Item::Attribute(_, value), Item::Comment(_)) => value.has_lines(),
        (before, item) => is_block(before) || is_block(item),
    }
}

/// The width of an attribute's name: that of the longest of those on adjoining lines.
fn aligned_width(items: &[Item], place: usize) -> usize {
    let width = |item: &Item| match item {
        Item::Attribute(name, value) if !value.has_lines() => Some(name.len()),
        _ => None,
    };
    let Some(own) = items.get(place).and_then(width) else {
        return 0;
    };
    let before = items.iter().take(place).rev().map_while(width);
    let after = items.iter().skip(place).map_while(width);
    before.chain(after).max().unwrap_or(own)
}

impl Hcl {
    /// Whether it is written over several lines.
    fn has_lines(&self) -> bool {
        match self {
            Self::Lines(_) | Self::Object(_) | Self::Json(_) => true,
            Self::List(list) => list.iter().any(Self::has_lines),
            _ => false,
        }
    }
}

fn push_value(text: &mut String, value: &Hcl, depth: usize) {
    match value {
        Hcl::Text(words) => text.push_str(&quoted(words)),
        Hcl::Number(number) => text.push_str(&number.to_string()),
        Hcl::Flag(flag) => text.push_str(&flag.to_string()),
        Hcl::Raw(expression) => text.push_str(expression),
        Hcl::Json(object) => {
            text.push_str("jsonencode(");
            push_value(text, object, depth);
            text.push(')');
        }
        Hcl::Lines(lines) => {
            text.push_str("<<-EOT\n");
            for line in lines.lines() {
                indent(text, depth + 1);
                text.push_str(&line.replace("${", "$${").replace("%{", "%%{"));
                text.push('\n');
            }
            indent(text, depth);
            text.push_str("EOT");
        }
        Hcl::List(list) => push_list(text, value, list, depth),
        Hcl::Object(entries) => push_object(text, entries, depth),
    }
}

fn push_list(text: &mut String, value: &Hcl, list: &[Hcl], depth: usize) {
    text.push('[');
    for (place, item) in list.iter().enumerate() {
        if value.has_lines() {
            text.push('\n');
            indent(text, depth + 1);
            push_value(text, item, depth + 1);
            text.push(',');
        } else {
            text.push_str(if place > 0 { ", " } else { "" });
            push_value(text, item, depth);
        }
    }
    if value.has_lines() {
        text.push('\n');
        indent(text, depth);
    }
    text.push(']');
}

fn push_object(text: &mut String, entries: &[(String, Hcl)], depth: usize) {
    text.push_str("{\n");
    let items = entries
        .iter()
        .map(|(key, value)| Item::Attribute(key_text(key), value.clone()));
    push_body(text, &Body(items.collect()), depth + 1);
    indent(text, depth);
    text.push('}');
}

/// A key of an object: bare where it is a name.
fn key_text(key: &str) -> String {
    let is_name = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if is_name { key.to_owned() } else { quoted(key) }
}

/// Text as a quoted template without anything to be filled in.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json.replace("${", "$${").replace("%{", "%%{")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_that_adjoin_are_aligned_and_blocks_stand_apart() {
        let body = Body::new()
            .with("a", 1_u32)
            .with("long", ["x", "y"])
            .with("o", object([("k:1", "v".into()), ("b", true.into())]))
            .with("c", raw("var.c"))
            .block("empty", Body::new())
            .comment("Why.")
            .block("b", Body::new().with("x", "${y}"));
        let expected = "a    = 1\nlong = [\"x\", \"y\"]\no = {\n  \"k:1\" = \"v\"\n  b     = true\n}\nc = var.c\n\nempty {}\n\n# Why.\nb {\n  x = \"$${y}\"\n}\n";
        assert_eq!(body.to_document(), expected);
    }
}

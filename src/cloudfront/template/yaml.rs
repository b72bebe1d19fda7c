//! YAML as a tree and as text: the small part of it that CloudFormation needs.

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Yaml {
    Text(String),
    Number(u32),
    Flag(bool),
    List(Vec<Self>),
    Map(Map),
    /// Text over several lines, each ending with a line break.
    Lines(String),
    /// A short intrinsic function such as `!Ref` with what it is applied to.
    Call(&'static str, String),
}

/// A mapping in the order written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Map(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    comment: Option<String>,
    key: String,
    value: Yaml,
}

impl Map {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// With an entry at the end.
    pub(super) fn with(mut self, key: impl Into<String>, value: impl Into<Yaml>) -> Self {
        self.0.push(Entry {
            comment: None,
            key: key.into(),
            value: value.into(),
        });
        self
    }

    /// With an entry at the end, if there is a value.
    pub(super) fn with_some(self, key: &str, value: Option<impl Into<Yaml>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// With words in front of the last entry.
    pub(super) fn explained(mut self, comment: &str) -> Self {
        if let Some(entry) = self.0.last_mut() {
            entry.comment = Some(comment.to_owned());
        }
        self
    }

    /// With all entries of another at the end.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The document, with `preface` as a comment on top.
    pub(super) fn to_document(&self, preface: &str) -> String {
        let mut text = String::new();
        push_comment(&mut text, preface, 0);
        push_map(&mut text, self, 0, true);
        text
    }
}

impl From<&str> for Yaml {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Yaml {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u32> for Yaml {
    fn from(number: u32) -> Self {
        Self::Number(number)
    }
}

impl From<u16> for Yaml {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Yaml {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<Map> for Yaml {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Yaml {
    fn from(list: Vec<T>) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self>, const N: usize> From<[T; N]> for Yaml {
    fn from(list: [T; N]) -> Self {
        Vec::from(list).into()
    }
}

/// `!Ref name`.
pub(super) fn reference(name: impl Into<String>) -> Yaml {
    Yaml::Call("!Ref", name.into())
}

/// `!GetAtt name`.
pub(super) fn attribute(name: impl Into<String>) -> Yaml {
    Yaml::Call("!GetAtt", name.into())
}

/// `!Sub text`.
pub(super) fn substituted(text: impl Into<String>) -> Yaml {
    Yaml::Call("!Sub", text.into())
}

fn indent(text: &mut String, depth: usize) {
    text.extend(std::iter::repeat_n("  ", depth));
}

fn push_comment(text: &mut String, comment: &str, depth: usize) {
    for line in comment.lines() {
        indent(text, depth);
        text.push_str("# ");
        text.push_str(line);
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
}

/// `is_first_indented` is false behind the dash of a list.
fn push_map(text: &mut String, map: &Map, depth: usize, is_first_indented: bool) {
    for (place, entry) in map.0.iter().enumerate() {
        if let Some(comment) = &entry.comment {
            push_comment(text, comment, depth);
        }
        if place > 0 || is_first_indented {
            indent(text, depth);
        }
        text.push_str(&scalar(&entry.key));
        text.push(':');
        push_value(text, &entry.value, depth);
    }
}

/// A value behind a key or a dash, with the line break that ends it.
fn push_value(text: &mut String, value: &Yaml, depth: usize) {
    match value {
        Yaml::Map(map) if map.is_empty() => text.push_str(" {}\n"),
        Yaml::Map(map) => {
            text.push('\n');
            push_map(text, map, depth + 1, true);
        }
        Yaml::List(list) if list.is_empty() => text.push_str(" []\n"),
        Yaml::List(list) => {
            text.push('\n');
            list.iter()
                .for_each(|item| push_item(text, item, depth + 1));
        }
        Yaml::Lines(lines) => {
            text.push_str(" |\n");
            for line in lines.lines() {
                indent(text, depth + 1);
                text.push_str(line);
                text.push('\n');
            }
        }
        Yaml::Text(words) => push_inline(text, &scalar(words)),
        Yaml::Number(number) => push_inline(text, &number.to_string()),
        Yaml::Flag(flag) => push_inline(text, &flag.to_string()),
        Yaml::Call(function, argument) => {
            push_inline(text, &format!("{function} {}", scalar(argument)));
        }
    }
}

fn push_item(text: &mut String, item: &Yaml, depth: usize) {
    indent(text, depth);
    text.push('-');
    match item {
        Yaml::Map(map) if !map.is_empty() => {
            text.push(' ');
            push_map(text, map, depth + 1, false);
        }
        other => push_value(text, other, depth),
    }
}

fn push_inline(text: &mut String, scalar: &str) {
    text.push(' ');
    text.push_str(scalar);
    text.push('\n');
}

/// Text as a scalar: bare where nobody can take it for anything else, quoted as in JSON otherwise.
fn scalar(text: &str) -> String {
    let is_bare = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b))
        && !["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    match is_bare {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_taken_for_something_else_is_quoted() {
        for text in [
            "", "*", "yes", "No", "404", "a: b", "a #b", "x\"y", "{{r}}", "-",
        ] {
            assert!(scalar(text).starts_with('"'), "{text}");
        }
        for text in ["v1", "GET", "gzip-and-br", "a.b/c"] {
            assert_eq!(scalar(text), text);
        }
    }

    #[test]
    fn a_tree_is_written_with_its_comments() {
        let inner = Map::new().with("A", 1_u32).with("B", ["x", "*"]);
        let list: Vec<Yaml> = vec![inner.clone().into(), reference("R")];
        let map = Map::new()
            .with("Empty", Vec::<Yaml>::new())
            .with("List", list)
            .explained("Two.\n\nOf them.")
            .with("Code", Yaml::Lines("f()\n  g()\n".into()));
        let expected = "# Top.\nEmpty: []\n# Two.\n#\n# Of them.\nList:\n  - A: 1\n    B:\n      - x\n      - \"*\"\n  - !Ref R\nCode: |\n  f()\n    g()\n";
        assert_eq!(map.to_document("Top."), expected);
    }
}

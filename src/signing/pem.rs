//! Reads PEM (RFC 7468): what lies between `BEGIN` and `END` lines.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A block: its label and the DER inside.
pub(super) struct Block {
    pub(super) label: String,
    pub(super) der: Vec<u8>,
}

/// All blocks of `text` that are whole; what is around them is passed over, as the RFC says.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines().map(str::trim) {
        if let Some(label) = between(line, "-----BEGIN ") {
            open = Some((label.to_owned(), String::new()));
        } else if let Some(end) = between(line, "-----END ") {
            let whole = open.take().filter(|(label, _)| label == end);
            found.extend(whole.and_then(|(label, body)| {
                let der = STANDARD.decode(body).ok()?;
                Some(Block { label, der })
            }));
        } else if let Some((_, body)) = &mut open {
            body.push_str(line);
        }
    }
    found
}

fn between<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    line.strip_prefix(start)?.strip_suffix("-----")
}

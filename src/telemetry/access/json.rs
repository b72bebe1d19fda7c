//! One flat JSON object, written straight into bytes: a line is made for each request.

use std::io::Write;

/// A JSON object that is being written.
#[derive(Debug)]
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> Object<'a> {
    pub(super) fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self {
            out,
            is_empty: true,
        }
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    /// Names are ours, and plain.
    fn name(&mut self, name: &str) {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// At most `limit` bytes of `value`, to the end of a character.
    pub(super) fn text(&mut self, name: &str, value: &str, limit: usize) {
        self.name(name);
        self.out.push(b'"');
        escape(self.out, &value[..value.floor_char_boundary(limit)]);
        self.out.push(b'"');
    }

    /// Something that writes no sign which JSON escapes: a number, an address, a time.
    pub(super) fn plain(&mut self, name: &str, value: impl std::fmt::Display) {
        self.name(name);
        self.write(format_args!("\"{value}\""));
    }

    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        self.write(format_args!("{value}"));
    }

    /// Microseconds as seconds.
    pub(super) fn seconds(&mut self, name: &str, micros: u64) {
        self.name(name);
        let (whole, part) = (micros / 1_000_000, micros % 1_000_000);
        self.write(format_args!("{whole}.{part:06}"));
    }

    pub(super) fn flag(&mut self, name: &str, value: bool) {
        self.name(name);
        self.out
            .extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// An object as a value.
    pub(super) fn object(&mut self, name: &str) -> Object<'_> {
        self.name(name);
        Object::begin(self.out)
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.out
            .write_fmt(text)
            .expect("nothing fails that is written to memory");
    }
}

/// The inside of a JSON string (RFC 8259 section 7).
pub(super) fn escape(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if !matches!(byte, b'"' | b'\\' | 0..=0x1f | 0x7f) {
            continue;
        }
        out.extend_from_slice(&bytes[plain..at]);
        plain = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            byte => {
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[high], HEX[low]]);
            }
        }
    }
    out.extend_from_slice(&bytes[plain..]);
}

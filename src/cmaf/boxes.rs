//! The box structure itself (ISO/IEC 14496-12 section 4.2): headers, nesting, a writer.

use std::fmt;

/// A four-character code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FourCc(pub [u8; 4]);

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            if (0x20..0x7f).contains(&byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// A box header: type and extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoxHeader {
    /// The box type.
    pub kind: FourCc,
    /// Length of the header itself: 8, 16 (64-bit size); 16 more for `uuid`.
    pub header_len: u64,
    /// Length of the whole box; `None` when it runs to the end of the file (size 0).
    pub len: Option<u64>,
}

impl BoxHeader {
    /// Reads a header from the start of `bytes` (32 are always enough). `None` when too few bytes
    /// are there or the size is smaller than the header.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let size = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
        let kind = FourCc(bytes.get(4..8)?.try_into().ok()?);
        let (mut header_len, len) = match size {
            0 => (8, None),
            1 => (
                16,
                Some(u64::from_be_bytes(bytes.get(8..16)?.try_into().ok()?)),
            ),
            n => (8, Some(u64::from(n))),
        };
        if kind.0 == *b"uuid" {
            header_len += 16;
        }
        (len.is_none_or(|len| len >= header_len)).then_some(Self {
            kind,
            header_len,
            len,
        })
    }
}

/// A box found in memory: its type, where it starts, its bytes.
#[derive(Debug, Clone, Copy)]
pub struct BoxRef<'a> {
    /// The box type.
    pub kind: FourCc,
    /// Offset of the header within the buffer first walked.
    pub offset: usize,
    /// Length of the header.
    pub header_len: usize,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// Why a walk over boxes stopped early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("box {kind} at byte {offset} does not fit: {wanted} bytes wanted, {left} left")]
pub struct Overrun {
    /// Type of the box that does not fit, as far as it could be read.
    pub kind: FourCc,
    /// Where it starts.
    pub offset: usize,
    /// The size it claims.
    pub wanted: u64,
    /// The bytes there are.
    pub left: usize,
}

/// Walks sibling boxes. `base` is the offset of `bytes` within the whole, for reports.
pub fn children(bytes: &[u8], base: usize) -> Children<'_> {
    Children { bytes, base, at: 0 }
}

/// Iterator over sibling boxes; ends after the first [`Overrun`].
#[derive(Debug, Clone)]
pub struct Children<'a> {
    bytes: &'a [u8],
    base: usize,
    at: usize,
}

impl<'a> Iterator for Children<'a> {
    type Item = Result<BoxRef<'a>, Overrun>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let left = rest.len();
        let offset = self.base + self.at;
        let Some(header) = BoxHeader::parse(rest) else {
            self.at = self.bytes.len();
            let kind = rest
                .get(4..8)
                .map_or(FourCc(*b"????"), |k| FourCc([k[0], k[1], k[2], k[3]]));
            return Some(Err(Overrun {
                kind,
                offset,
                wanted: 8,
                left,
            }));
        };
        let wanted = header.len.unwrap_or(left as u64);
        let Some(len) = usize::try_from(wanted).ok().filter(|len| *len <= left) else {
            self.at = self.bytes.len();
            return Some(Err(Overrun {
                kind: header.kind,
                offset,
                wanted,
                left,
            }));
        };
        let header_len = usize::try_from(header.header_len).expect("at most 32");
        self.at += len;
        let payload = &rest[header_len..len];
        Some(Ok(BoxRef {
            kind: header.kind,
            offset,
            header_len,
            payload,
        }))
    }
}

/// Writes boxes: nesting is a closure, sizes are filled in afterwards.
#[derive(Debug, Default)]
pub struct BoxWriter {
    bytes: Vec<u8>,
}

impl BoxWriter {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(capacity),
        }
    }

    /// A box whose payload is what `body` writes.
    ///
    /// # Panics
    /// When the payload is 4 GiB or more; no box written by this program comes near.
    pub fn nest(&mut self, kind: &[u8; 4], body: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(kind);
        body(self);
        let len = u32::try_from(self.bytes.len() - start).expect("a box of ours is under 4 GiB");
        self.bytes[start..start + 4].copy_from_slice(&len.to_be_bytes());
        self
    }

    /// A full box: version and flags in front of the payload.
    pub fn full(
        &mut self,
        kind: &[u8; 4],
        version: u8,
        flags: u32,
        body: impl FnOnce(&mut Self),
    ) -> &mut Self {
        self.nest(kind, |w| {
            w.u32(u32::from(version) << 24 | (flags & 0x00ff_ffff));
            body(w);
        })
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes.push(value);
        self
    }

    /// Big-endian 16 bits.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// Big-endian 32 bits.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// Big-endian signed 32 bits.
    pub fn i32(&mut self, value: i32) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// Big-endian 64 bits.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Number of bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Overwrites four bytes written before, for offsets known only at the end.
    pub fn patch_u32(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_boxes_read_back() {
        let mut w = BoxWriter::new();
        w.nest(b"moof", |w| {
            w.full(b"mfhd", 0, 0, |w| {
                w.u32(7);
            });
        });
        let bytes = w.into_bytes();
        let moof = children(&bytes, 0).next().expect("one").expect("whole");
        assert_eq!((moof.kind, moof.payload.len()), (FourCc(*b"moof"), 16));
        let mfhd = children(moof.payload, 8)
            .next()
            .expect("one")
            .expect("whole");
        assert_eq!(
            (mfhd.offset, mfhd.payload),
            (8, &[0, 0, 0, 0, 0, 0, 0, 7][..])
        );
    }

    #[test]
    fn a_box_longer_than_its_parent_is_an_overrun() {
        let bytes = [0, 0, 1, 0, b'm', b'd', b'a', b't', 1];
        let error = children(&bytes, 0)
            .next()
            .expect("one")
            .expect_err("too long");
        assert_eq!((error.wanted, error.left), (256, 9));
    }
}

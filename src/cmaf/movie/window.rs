//! Looks at the boxes at the top of a file without reading what they hold.

use crate::cmaf::boxes::BoxHeader;
use crate::error::Result;
use crate::read_at::ReadAt;

/// Bytes read at once: a header, and with luck the whole of a small box and the next header.
const WINDOW: usize = 4096;

/// A moving window over a file.
pub(super) struct Window<'s> {
    source: &'s dyn ReadAt,
    size: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<'s> Window<'s> {
    pub(super) fn new(source: &'s dyn ReadAt) -> Result<Self> {
        Ok(Self {
            source,
            size: source.size()?,
            start: 0,
            bytes: Vec::new(),
        })
    }

    pub(super) fn source(&self) -> &'s dyn ReadAt {
        self.source
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The bytes of the window from `offset` on: up to `count`, fewer at the end of the file.
    fn at(&mut self, offset: u64, count: usize) -> Result<&[u8]> {
        let inside = |start: u64| usize::try_from(offset.checked_sub(start)?).ok();
        let there = inside(self.start)
            .and_then(|from| self.bytes.get(from..))
            .map_or(0, <[u8]>::len);
        if there < count {
            self.bytes.resize(WINDOW, 0);
            let got = self.source.read_at(offset, &mut self.bytes)?;
            self.bytes.truncate(got);
            self.start = offset;
        }
        let from = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        let rest = self.bytes.get(from..).unwrap_or_default();
        Ok(rest.get(..count).unwrap_or(rest))
    }

    /// The header of the box at `offset`; `None` where there is none.
    pub(super) fn header(&mut self, offset: u64) -> Result<Option<BoxHeader>> {
        Ok(BoxHeader::parse(self.at(offset, 32)?))
    }

    /// Reads `buffer.len()` bytes from `offset` on, out of the window when they are in it.
    pub(super) fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        if buffer.len() <= WINDOW {
            let there = self.at(offset, buffer.len())?;
            if there.len() == buffer.len() {
                buffer.copy_from_slice(there);
                return Ok(());
            }
        }
        self.source.read_exact_at(offset, buffer)
    }
}

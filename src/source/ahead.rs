//! Reads of a source where some of it was fetched ahead: many small reads, known before, in few and
//! parallel requests.

use std::fs::File;
use std::ops::Range;

use super::{Lent, Reader};
use crate::error::Result;
use crate::read_at::ReadAt;

/// A source of which some bytes were fetched; what else is wanted is read when it is.
#[derive(Debug)]
pub struct Ahead<'s> {
    pub(super) lent: Lent<'s>,
    /// What [`Lent::Parts`] has: in order, not overlapping.
    pub(super) ranges: Vec<Range<u64>>,
    pub(super) reader: Reader<'s>,
}

impl Ahead<'_> {
    /// The file that has all bytes of `wanted`.
    fn file_with(&self, wanted: &Range<u64>) -> Option<&File> {
        let parts = match &self.lent {
            Lent::Whole(file) => return Some(file),
            Lent::Parts(file) => file,
        };
        let behind = self
            .ranges
            .partition_point(|range| range.start <= wanted.start);
        let range = self.ranges.get(behind.checked_sub(1)?)?;
        (wanted.end <= range.end).then_some(parts)
    }
}

impl ReadAt for Ahead<'_> {
    fn size(&self) -> Result<u64> {
        self.reader.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let wanted = offset..offset.saturating_add(buffer.len() as u64);
        match self.file_with(&wanted) {
            Some(file) => ReadAt::read_at(file, offset, buffer),
            None => self.reader.read_at(offset, buffer),
        }
    }
}

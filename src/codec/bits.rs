//! Bits in the order in which ISO/IEC writes syntax tables: most significant first, with the
//! Exp-Golomb codes of ISO/IEC 14496-10 section 9.1.

/// Reads bits from untrusted bytes; every read past the end is `None`.
#[derive(Debug, Clone)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    /// Position in bits.
    at: usize,
}

impl<'a> BitReader<'a> {
    /// Starts at the most significant bit of the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bits not read yet.
    pub fn left(&self) -> usize {
        (self.bytes.len() * 8).saturating_sub(self.at)
    }

    /// One bit.
    pub fn flag(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// An unsigned number of `count` bits, at most 32.
    pub fn bits(&mut self, count: u32) -> Option<u32> {
        debug_assert!(count <= 32);
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    /// An unsigned number of `count` bits, at most 8.
    pub fn byte(&mut self, count: u32) -> Option<u8> {
        u8::try_from(self.bits(count)?).ok()
    }

    /// Leaves out `count` bits. `None` when there are fewer.
    pub fn skip(&mut self, count: usize) -> Option<()> {
        (self.left() >= count).then(|| self.at += count)
    }

    /// Moves on to the next byte boundary.
    pub fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }

    /// `ue(v)`: an unsigned Exp-Golomb code.
    pub fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let rest = self.bits(zeros)?;
        Some(((1_u32 << zeros) - 1) + rest)
    }

    /// `se(v)`: a signed Exp-Golomb code.
    pub fn se(&mut self) -> Option<i32> {
        let code = self.ue()?;
        let magnitude = i32::try_from(code.div_ceil(2)).ok()?;
        Some(if code % 2 == 1 { magnitude } else { -magnitude })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_of_table_9_2_read_back() {
        // 1 010 011 00100 00101 -> 0 1 2 3 4
        let bytes = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut unsigned = BitReader::new(&bytes);
        let values: Vec<_> = (0..5).filter_map(|_| unsigned.ue()).collect();
        assert_eq!(values, [0, 1, 2, 3, 4]);
        let mut signed = BitReader::new(&bytes);
        let values: Vec<_> = (0..5).filter_map(|_| signed.se()).collect();
        assert_eq!(values, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn reading_past_the_end_is_none() {
        let mut bits = BitReader::new(&[0xff]);
        assert_eq!(bits.bits(7), Some(127));
        assert_eq!(bits.bits(2), None);
        assert_eq!(BitReader::new(&[0; 8]).ue(), None);
    }
}

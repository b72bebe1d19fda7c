//! Big-endian fields of a box, read in order; every read may find the box too short.

/// What is left of a box's payload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Self {
        Self(payload)
    }

    /// A full box (ISO/IEC 14496-12 section 4.2.2): version, flags, and the fields after them.
    pub(super) fn full(payload: &'a [u8]) -> Option<(u8, u32, Self)> {
        let mut fields = Self(payload);
        let word = fields.u32()?;
        Some(((word >> 24).try_into().ok()?, word & 0x00ff_ffff, fields))
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(|_| ())
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// 32 bits in version 0 of a box, 64 in version 1.
    pub(super) fn u32_or_u64(&mut self, version: u8) -> Option<u64> {
        if version == 1 {
            self.u64()
        } else {
            self.u32().map(u64::from)
        }
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// The `index`th big-endian 32-bit number of `bytes`.
pub(super) fn u32_at(bytes: &[u8], index: usize) -> Option<u32> {
    let start = index.checked_mul(4)?;
    let field = bytes.get(start..start.checked_add(4)?)?;
    Some(u32::from_be_bytes(field.try_into().ok()?))
}

/// The `index`th big-endian 64-bit number of `bytes`.
pub(super) fn u64_at(bytes: &[u8], index: usize) -> Option<u64> {
    let start = index.checked_mul(8)?;
    let field = bytes.get(start..start.checked_add(8)?)?;
    Some(u64::from_be_bytes(field.try_into().ok()?))
}

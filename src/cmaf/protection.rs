//! Boxes that tell of encryption: `sinf` with `tenc` in the sample entry (ISO/IEC 14496-12 section
//! 8.12, ISO/IEC 23001-7 section 8), `senc`, `saiz` and `saio` in each fragment (sections 7 and
//! 8.7 of the two).

use super::boxes::BoxWriter;
use super::encrypt::{CRYPT_BLOCKS, SKIP_BLOCKS, SampleProtection};
use crate::media::{Iv, KeyId};

/// What the header of a `cbcs` track says of its encryption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitProtection {
    /// `default_KID`.
    pub key_id: KeyId,
    /// `default_constant_IV`.
    pub iv: Iv,
    /// Whole `pssh` boxes, put at the end of `moov`.
    pub pssh: Vec<Vec<u8>>,
}

/// How much of the protected bytes is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern {
    /// One block in ten.
    Video,
    /// Every block.
    Audio,
}

/// `sinf`, at the end of a sample entry that was of type `original`.
pub(super) fn write_sinf(
    w: &mut BoxWriter,
    original: &[u8; 4],
    pattern: Pattern,
    protection: &InitProtection,
) {
    w.nest(b"sinf", |w| {
        w.nest(b"frma", |w| {
            w.raw(original);
        });
        w.full(b"schm", 0, 0, |w| {
            w.raw(b"cbcs").u32(0x0001_0000);
        });
        w.nest(b"schi", |w| write_tenc(w, pattern, protection));
    });
}

/// Version 1, which has a pattern. No initialization vectors of samples: one for all.
fn write_tenc(w: &mut BoxWriter, pattern: Pattern, protection: &InitProtection) {
    let blocks = match pattern {
        Pattern::Video => CRYPT_BLOCKS << 4 | SKIP_BLOCKS,
        // "Whole-block full sample encryption" (ISO/IEC 23001-7 section 9.7).
        Pattern::Audio => 0,
    };
    w.full(b"tenc", 1, 0, |w| {
        w.u8(0).u8(blocks).u8(1).u8(0);
        w.raw(&protection.key_id.0).u8(16).raw(&protection.iv.0);
    });
}

/// `UseSubSampleEncryption` of `senc`.
const SENC_SUBSAMPLES: u32 = 2;
/// Bytes of a subsample's row in `senc`.
const SUBSAMPLE_BYTES: usize = 6;

/// `senc`, and where samples have subsamples `saiz` and `saio` before it. `moof_start` is where the
/// `moof` starts in what is being written.
pub(super) fn write_sample_encryption(
    w: &mut BoxWriter,
    samples: &[SampleProtection],
    moof_start: usize,
) {
    let has_subsamples = samples.iter().any(|sample| !sample.is_empty());
    let count = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    let sizes: Option<Vec<u8>> = samples.iter().map(information_bytes).collect();
    let mut offset_at = None;
    // A sample of more than 42 subsamples can't be told of in `saiz`; `senc` alone does.
    if let Some(sizes) = sizes.filter(|_| has_subsamples) {
        w.full(b"saiz", 0, 0, |w| {
            w.u8(0).u32(count).raw(&sizes);
        });
        w.full(b"saio", 0, 0, |w| {
            w.u32(1);
            offset_at = Some(w.len());
            w.u32(0);
        });
    }
    let flags = if has_subsamples { SENC_SUBSAMPLES } else { 0 };
    w.full(b"senc", 0, flags, |w| {
        w.u32(count);
        if let Some(at) = offset_at {
            // From the start of the moof: that is what data offsets count from.
            let offset = u32::try_from(w.len() - moof_start).unwrap_or(u32::MAX);
            w.patch_u32(at, offset);
        }
        for sample in samples.iter().filter(|_| has_subsamples) {
            write_subsamples(w, sample);
        }
    });
}

/// Bytes of a sample's auxiliary information, if `saiz` can say so many.
fn information_bytes(sample: &SampleProtection) -> Option<u8> {
    u8::try_from(2 + SUBSAMPLE_BYTES * sample.len()).ok()
}

fn write_subsamples(w: &mut BoxWriter, sample: &SampleProtection) {
    w.u16(u16::try_from(sample.len()).unwrap_or(u16::MAX));
    for subsample in sample {
        w.u16(subsample.clear).u32(subsample.protected);
    }
}

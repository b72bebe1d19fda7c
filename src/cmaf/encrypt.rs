//! Common encryption in the scheme `cbcs` (ISO/IEC 23001-7 section 10.4): samples are encrypted in
//! place, and what a fragment says of them is collected on the way.
//!
//! Pictures: of each slice the header stays clear, then one block of 16 bytes in ten is encrypted;
//! an incomplete block at the end stays clear. Sound: every whole block. The cipher starts anew with
//! the track's constant initialization vector at each run of protected bytes.

use crate::cipher::{BLOCK_BYTES, Encrypting};
use crate::codec::avc::{AvcConfig, NAL_IDR, NAL_SLICE, nal_type};
use crate::codec::slice_header::AvcSliceHeaders;
use crate::error::{Error, Result};
use crate::media::{ContentKey, Iv};

/// Encrypted blocks of a pattern in pictures (`default_crypt_byte_block`).
pub const CRYPT_BLOCKS: u8 = 1;
/// Clear blocks of a pattern in pictures (`default_skip_byte_block`).
pub const SKIP_BLOCKS: u8 = 9;

/// A stretch of a sample (ISO/IEC 23001-7 section 7.2): clear bytes, then protected ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subsample {
    /// `BytesOfClearData`.
    pub clear: u16,
    /// `BytesOfProtectedData`.
    pub protected: u32,
}

/// What a fragment says of the encryption of one sample: its subsamples; none where all of it is
/// protected.
pub type SampleProtection = Vec<Subsample>;

/// How the samples of a track are made of what may be seen and what may not.
#[derive(Debug, Clone)]
pub enum SampleFormat {
    /// Every byte is protected: sound.
    Whole,
    /// Length-prefixed NAL units of H.264.
    Avc {
        /// Finds the ends of slice headers.
        headers: AvcSliceHeaders,
        /// Bytes of a NAL unit's length.
        length_size: usize,
    },
}

impl SampleFormat {
    /// That of H.264 with a decoder configuration.
    pub fn avc(config: &AvcConfig) -> Self {
        Self::Avc {
            headers: AvcSliceHeaders::new(config),
            length_size: config.length_size,
        }
    }
}

/// Encrypts the samples of one track.
#[derive(Debug)]
pub struct SampleEncryptor {
    cipher: Encrypting,
    iv: Iv,
    format: SampleFormat,
    /// Room for the blocks of a pattern, which lie apart.
    gathered: Vec<u8>,
}

impl SampleEncryptor {
    /// For a track of that format, key and constant initialization vector.
    ///
    /// # Errors
    /// `Internal`, when there is no cipher.
    pub fn new(key: &ContentKey, iv: Iv, format: SampleFormat) -> Result<Self> {
        Ok(Self {
            cipher: Encrypting::new(key)?,
            iv,
            format,
            gathered: Vec::new(),
        })
    }

    /// Encrypts one sample.
    ///
    /// # Errors
    /// `Invalid` or `Unsupported`, where it can't be told what to protect.
    pub fn encrypt(&mut self, sample: &mut [u8]) -> Result<SampleProtection> {
        let subsamples = match &self.format {
            SampleFormat::Whole => {
                let whole = sample.len() - sample.len() % BLOCK_BYTES;
                self.cipher.blocks(self.iv, &mut sample[..whole])?;
                return Ok(Vec::new());
            }
            SampleFormat::Avc {
                headers,
                length_size,
            } => avc_subsamples(sample, headers, *length_size)?,
        };
        let mut at = 0;
        for subsample in &subsamples {
            at += usize::from(subsample.clear);
            let end = at + subsample.protected as usize;
            self.pattern(&mut sample[at..end])?;
            at = end;
        }
        Ok(subsamples)
    }

    /// One block in ten. The encrypted ones are chained to each other (section 9.6).
    fn pattern(&mut self, protected: &mut [u8]) -> Result<()> {
        const STRIDE: usize = BLOCK_BYTES * (CRYPT_BLOCKS as usize + SKIP_BLOCKS as usize);
        self.gathered.clear();
        for stride in protected.chunks(STRIDE) {
            if let Some(block) = stride.first_chunk::<BLOCK_BYTES>() {
                self.gathered.extend_from_slice(block);
            }
        }
        self.cipher.blocks(self.iv, &mut self.gathered)?;
        let blocks = self.gathered.chunks_exact(BLOCK_BYTES);
        for (stride, block) in protected.chunks_mut(STRIDE).zip(blocks) {
            stride[..BLOCK_BYTES].copy_from_slice(block);
        }
        Ok(())
    }
}

/// What of a sample of H.264 is protected: the data of its slices. All other NAL units stay clear
/// (section 10.4.2, ISO/IEC 23000-19 section 8.2.2).
fn avc_subsamples(
    sample: &[u8],
    headers: &AvcSliceHeaders,
    length_size: usize,
) -> Result<SampleProtection> {
    let cut_off = || Error::invalid("a sample's NAL units don't fit it; the source is damaged");
    let mut subsamples = Subsamples::default();
    let mut rest = sample;
    while !rest.is_empty() {
        let (length, after) = rest.split_at_checked(length_size).ok_or_else(cut_off)?;
        let length = length.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
        let (nal, after) = after.split_at_checked(length).ok_or_else(cut_off)?;
        let clear = match nal_type(nal) {
            NAL_SLICE | NAL_IDR => headers.bytes(nal)?.min(nal.len()),
            _ => nal.len(),
        };
        subsamples.push(length_size + clear, nal.len() - clear)?;
        rest = after;
    }
    subsamples.finish()
}

/// Subsamples in the making: clear bytes are told with what follows them.
#[derive(Default)]
struct Subsamples {
    clear: usize,
    done: SampleProtection,
}

impl Subsamples {
    fn push(&mut self, clear: usize, protected: usize) -> Result<()> {
        self.clear += clear;
        if protected == 0 {
            return Ok(());
        }
        self.close(protected)
    }

    /// `BytesOfClearData` has 16 bits; more are told in pieces.
    fn close(&mut self, protected: usize) -> Result<()> {
        while self.clear > usize::from(u16::MAX) {
            self.clear -= usize::from(u16::MAX);
            self.done.push(Subsample {
                clear: u16::MAX,
                protected: 0,
            });
        }
        let too_large = |_| Error::unsupported("a sample of 4 GiB or more");
        self.done.push(Subsample {
            clear: u16::try_from(std::mem::take(&mut self.clear)).unwrap_or(u16::MAX),
            protected: u32::try_from(protected).map_err(too_large)?,
        });
        Ok(())
    }

    fn finish(mut self) -> Result<SampleProtection> {
        if self.clear > 0 || self.done.is_empty() {
            self.close(0)?;
        }
        Ok(self.done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cipher::Decrypting;

    fn key() -> ContentKey {
        ContentKey::new([0x5a; 16])
    }

    const IV: Iv = Iv([3; 16]);

    /// Decrypts block by block, each chained to the encrypted one before: the scheme as the standard
    /// tells it, with none of the code above.
    fn decrypted(sample: &[u8], subsamples: &[Subsample], crypt: usize, skip: usize) -> Vec<u8> {
        let decrypting = Decrypting::new(&key()).unwrap();
        let mut out = sample.to_vec();
        let mut at = 0;
        for subsample in subsamples {
            at += usize::from(subsample.clear);
            let end = at + subsample.protected as usize;
            let mut chain = IV;
            let mut block = 0;
            while at + 16 <= end {
                if block % (crypt + skip) < crypt {
                    let encrypted: [u8; 16] = out[at..at + 16].try_into().unwrap();
                    decrypting.blocks(chain, &mut out[at..at + 16]).unwrap();
                    chain = Iv(encrypted);
                }
                block += 1;
                at += 16;
            }
            at = end;
        }
        assert_eq!(at, sample.len(), "subsamples cover the sample");
        out
    }

    /// A sample of NAL units with four-byte lengths.
    fn sample(nals: &[Vec<u8>]) -> Vec<u8> {
        let unit = |nal: &Vec<u8>| {
            let length = u32::try_from(nal.len()).unwrap().to_be_bytes();
            [&length[..], nal].concat()
        };
        nals.iter().flat_map(unit).collect()
    }

    /// The parameter sets of a real encoder (Constrained Baseline, 426x240).
    fn avc() -> AvcConfig {
        use crate::codec::test_support::hex;
        AvcConfig::from_sets(crate::codec::avc::ParameterSets {
            sps: vec![hex(
                "6742c015da06c7f93c05a808080a000003000200000300611e2c5d40",
            )],
            pps: vec![hex("68ce3c80")],
            sps_extensions: Vec::new(),
        })
        .unwrap()
    }

    /// An IDR slice: a header of that encoder, then `data` bytes.
    fn slice(data: usize) -> Vec<u8> {
        let mut nal = vec![0x65, 0x88, 0x84, 0x1a, 0x89];
        nal.extend((0..data).map(|at| u8::try_from(at % 251).unwrap()));
        nal
    }

    #[test]
    fn one_block_in_ten_of_each_slice_is_encrypted() {
        let sei = vec![0x06; 30];
        let header = AvcSliceHeaders::new(&avc()).bytes(&slice(400)).unwrap();
        assert_eq!(header, 5);
        for data in [1, 15, 16, 17, 159, 160, 161, 176, 400] {
            let plain = sample(&[sei.clone(), slice(data), slice(33), vec![0x06; 5]]);
            let mut bytes = plain.clone();
            let format = SampleFormat::avc(&avc());
            let mut encryptor = SampleEncryptor::new(&key(), IV, format).unwrap();
            let subsamples = encryptor.encrypt(&mut bytes).unwrap();
            assert_eq!(decrypted(&bytes, &subsamples, 1, 9), plain, "{data}");
            // Everything before the data of the first slice is clear.
            assert_eq!(usize::from(subsamples[0].clear), 4 + 30 + 4 + header);
            let changed = plain.iter().zip(&bytes).filter(|(a, b)| a != b).count();
            let blocks = |bytes: usize| (bytes / 16).div_ceil(10);
            let most = 16 * (blocks(data + 5 - header) + blocks(33 + 5 - header));
            assert!(
                changed <= most && changed + 3 >= most,
                "{data}: {changed} of {most}"
            );
        }
    }

    #[test]
    fn sound_is_encrypted_but_for_its_last_bytes() {
        for length in [0, 5, 16, 300] {
            let plain: Vec<u8> = (0..length)
                .map(|at| u8::try_from(at % 256).unwrap())
                .collect();
            let mut bytes = plain.clone();
            let mut encryptor = SampleEncryptor::new(&key(), IV, SampleFormat::Whole).unwrap();
            assert_eq!(encryptor.encrypt(&mut bytes).unwrap(), []);
            let whole = length - length % 16;
            assert_eq!(bytes[whole..], plain[whole..]);
            let all = [Subsample {
                clear: 0,
                protected: u32::try_from(length).unwrap(),
            }];
            assert_eq!(decrypted(&bytes, &all, 1, 0), plain);
        }
    }

    #[test]
    fn much_clear_data_is_told_in_pieces() {
        let plain = sample(&[vec![0x06; 150_000], slice(64)]);
        let mut bytes = plain.clone();
        let format = SampleFormat::avc(&avc());
        let mut encryptor = SampleEncryptor::new(&key(), IV, format).unwrap();
        let subsamples = encryptor.encrypt(&mut bytes).unwrap();
        assert_eq!(subsamples.len(), 3);
        assert_eq!(decrypted(&bytes, &subsamples, 1, 9), plain);
    }

    #[test]
    fn damage_is_refused_and_survived() {
        let format = SampleFormat::avc(&avc());
        let mut encryptor = SampleEncryptor::new(&key(), IV, format).unwrap();
        let whole = sample(&[slice(64)]);
        for cut in 1..whole.len() {
            assert!(
                encryptor.encrypt(&mut whole[..cut].to_vec()).is_err(),
                "{cut}"
            );
        }
        // A picture parameter set that isn't there.
        assert!(
            encryptor
                .encrypt(&mut sample(&[vec![0x65, 0x88, 0x20, 0, 0]]))
                .is_err()
        );
        let nothing = encryptor.encrypt(&mut []).unwrap();
        assert_eq!(
            nothing,
            [Subsample {
                clear: 0,
                protected: 0
            }]
        );
    }
}

//! AES-128 in CBC mode (NIST SP 800-38A section 6.2): what media is encrypted with. A door to
//! aws-lc, which uses the processor's own instructions; none of its types crosses it.
//!
//! Not here: which bytes are encrypted (`cmaf::encrypt`), and where keys come from (`keys`).

use std::fmt;

use aws_lc_rs::cipher::{
    AES_128, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;

use crate::error::{Error, Result};
use crate::media::{ContentKey, Iv};

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 16;

/// Encrypts under one content key.
pub struct Encrypting(EncryptingKey);

impl Encrypting {
    /// Under `key`.
    ///
    /// # Errors
    /// `Internal`, when the library has no AES-128.
    pub fn new(key: &ContentKey) -> Result<Self> {
        let unbound = UnboundCipherKey::new(&AES_128, key.secret_bytes());
        let key = unbound.and_then(EncryptingKey::cbc).map_err(|_| fault())?;
        Ok(Self(key))
    }

    /// Encrypts whole blocks in place, the first chained to `iv`.
    ///
    /// # Errors
    /// `Internal`, when the bytes are no whole number of blocks.
    pub fn blocks(&self, iv: Iv, blocks: &mut [u8]) -> Result<()> {
        let context = EncryptionContext::Iv128(FixedLength::from(iv.0));
        let done = self.0.less_safe_encrypt(blocks, context);
        done.map(drop).map_err(|_| fault())
    }

    /// Encrypts bytes of any number, with the padding of PKCS #7 (RFC 5652 section 6.3).
    ///
    /// # Errors
    /// `Internal`, when the library fails.
    pub fn padded(&self, iv: Iv, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
        let missing = BLOCK_BYTES - bytes.len() % BLOCK_BYTES;
        let value = u8::try_from(missing).unwrap_or_default();
        bytes.resize(bytes.len() + missing, value);
        self.blocks(iv, &mut bytes)?;
        Ok(bytes)
    }
}

/// Decrypts under one content key.
pub struct Decrypting(DecryptingKey);

impl Decrypting {
    /// Under `key`.
    ///
    /// # Errors
    /// `Internal`, when the library has no AES-128.
    pub fn new(key: &ContentKey) -> Result<Self> {
        let unbound = UnboundCipherKey::new(&AES_128, key.secret_bytes());
        let key = unbound.and_then(DecryptingKey::cbc).map_err(|_| fault())?;
        Ok(Self(key))
    }

    /// Decrypts whole blocks in place, the first chained to `iv`.
    ///
    /// # Errors
    /// `Internal`, when the bytes are no whole number of blocks.
    pub fn blocks(&self, iv: Iv, blocks: &mut [u8]) -> Result<()> {
        let context = DecryptionContext::Iv128(FixedLength::from(iv.0));
        let done = self.0.decrypt(blocks, context);
        done.map(drop).map_err(|_| fault())
    }
}

/// How many of the last block's bytes are padding; `None` when they are none as PKCS #7 has it.
pub fn padding_of(last_block: &[u8]) -> Option<usize> {
    let count = usize::from(*last_block.last()?);
    let padding = last_block.len().checked_sub(count)?;
    let is_padding = (1..=BLOCK_BYTES).contains(&count)
        && last_block[padding..]
            .iter()
            .all(|byte| usize::from(*byte) == count);
    is_padding.then_some(count)
}

fn fault() -> Error {
    Error::internal("AES-128-CBC failed")
}

impl fmt::Debug for Encrypting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encrypting(..)")
    }
}

impl fmt::Debug for Decrypting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decrypting(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks in hexadecimal.
    fn blocks(digits: &[&str]) -> Vec<u8> {
        let block = |digits: &&str| Iv::parse(digits).expect("a block").0;
        digits.iter().flat_map(block).collect()
    }

    fn key() -> ContentKey {
        ContentKey::parse("2b7e151628aed2a6abf7158809cf4f3c").unwrap()
    }

    /// NIST SP 800-38A, F.2.1 and F.2.2.
    #[test]
    fn the_vectors_of_nist_come_out() {
        let iv = Iv::parse("000102030405060708090a0b0c0d0e0f").unwrap();
        let plain = blocks(&[
            "6bc1bee22e409f96e93d7e117393172a",
            "ae2d8a571e03ac9c9eb76fac45af8e51",
            "30c81c46a35ce411e5fbc1191a0a52ef",
            "f69f2445df4f9b17ad2b417be66c3710",
        ]);
        let wanted = blocks(&[
            "7649abac8119b246cee98e9b12e9197d",
            "5086cb9b507219ee95db113a917678b2",
            "73bed6b8e3c1743b7116e69e22229516",
            "3ff1caa1681fac09120eca307586e1a7",
        ]);
        let mut bytes = plain.clone();
        Encrypting::new(&key())
            .unwrap()
            .blocks(iv, &mut bytes)
            .unwrap();
        assert_eq!(bytes, wanted);
        Decrypting::new(&key())
            .unwrap()
            .blocks(iv, &mut bytes)
            .unwrap();
        assert_eq!(bytes, plain);
    }

    #[test]
    fn padding_is_there_whatever_the_length_and_is_found() {
        let (encrypting, decrypting) = (
            Encrypting::new(&key()).unwrap(),
            Decrypting::new(&key()).unwrap(),
        );
        for length in 0..50_usize {
            let mut bytes = encrypting.padded(Iv([7; 16]), vec![1; length]).unwrap();
            assert_eq!(bytes.len(), (length / 16 + 1) * 16);
            decrypting.blocks(Iv([7; 16]), &mut bytes).unwrap();
            let last = &bytes[bytes.len() - 16..];
            assert_eq!(padding_of(last), Some(bytes.len() - length));
        }
        assert_eq!(padding_of(&[0; 16]), None);
        assert_eq!(padding_of(&[17; 16]), None);
        assert_eq!(padding_of(&[3; 2]), None);
        assert_eq!(padding_of(&[]), None);
    }

    #[test]
    fn broken_blocks_are_refused() {
        let encrypting = Encrypting::new(&key()).unwrap();
        assert!(encrypting.blocks(Iv([0; 16]), &mut [0; 15]).is_err());
        assert_eq!(format!("{encrypting:?}"), "Encrypting(..)");
    }
}

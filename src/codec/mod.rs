//! Codec parameter sets and configuration records: parsed, built, and named as RFC 6381 strings.
//!
//! Everything here works on bytes in memory and knows no container: a configuration record goes
//! in as the payload of its box.

pub mod aac;
pub mod ac3;
pub mod av1;
pub mod avc;
mod bits;
pub mod captions;
pub mod dolby_vision;
pub mod hevc;
pub mod light;
mod names;
pub mod slice_header;
pub mod vp9;

pub use bits::BitReader;
pub use names::codecs_of_sample_entry;

#[cfg(test)]
pub(crate) mod test_support {
    /// Bytes from hexadecimal digits; spaces are ignored.
    pub(crate) fn hex(digits: &str) -> Vec<u8> {
        let digits: Vec<u8> = digits.bytes().filter(|digit| *digit != b' ').collect();
        let value = |digit: u8| char::from(digit).to_digit(16).expect("a hexadecimal digit");
        digits
            .chunks(2)
            .map(|pair| u8::try_from(value(pair[0]) << 4 | value(pair[1])).expect("a byte"))
            .collect()
    }

    /// The bytes with one bit flipped; the position wraps.
    pub(crate) fn flipped(mut bytes: Vec<u8>, bit: usize) -> Vec<u8> {
        let at = bit / 8 % bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << (bit % 8);
        }
        bytes
    }
}

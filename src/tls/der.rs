//! Reads DER (X.690) as far as certificates and revocation lists need it: elements one after
//! another, each with its tag and its content. Not a parser of all of ASN.1, and no judge of
//! signatures; rustls does that.

/// Tags that certificates and revocation lists are made of.
pub(super) mod tag {
    pub(in crate::tls) const INTEGER: u8 = 0x02;
    pub(in crate::tls) const UTC_TIME: u8 = 0x17;
    pub(in crate::tls) const GENERALIZED_TIME: u8 = 0x18;
    pub(in crate::tls) const SEQUENCE: u8 = 0x30;
    /// `[0]`, constructed: the version of a certificate.
    pub(in crate::tls) const CONTEXT_0: u8 = 0xa0;
}

/// The elements of a run of DER, from front to back.
#[derive(Debug, Clone)]
pub(super) struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Tag and content of the next element; `None` at the end and where it is cut off.
    pub(super) fn next_any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, after_tag) = self.rest.split_first()?;
        let (length, after_length) = length(after_tag)?;
        let content = after_length.get(..length)?;
        self.rest = &after_length[length..];
        Some((tag, content))
    }

    /// The content of the next element if it has this tag; else nothing is read.
    pub(super) fn next_if(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.rest.first() != Some(&tag) {
            return None;
        }
        self.next_any().map(|(_, content)| content)
    }

    /// The elements inside the next one, which must be a SEQUENCE.
    pub(super) fn sequence(&mut self) -> Option<Self> {
        self.next_if(tag::SEQUENCE).map(Elements::new)
    }
}

/// A length and what follows it. Up to four bytes of it: no file that is read here is longer.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((usize::from(first), rest));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return None;
    }
    let mut length = 0usize;
    for byte in rest.get(..count)? {
        length = (length << 8) | usize::from(*byte);
    }
    Some((length, &rest[count..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_lengths_are_read_and_cut_off_ones_are_none() {
        let long = [
            &[0x04, 0x82, 0x01, 0x00][..],
            &[7; 256],
            &[0x02, 0x01, 0x05],
        ]
        .concat();
        let mut elements = Elements::new(&long);
        assert_eq!(elements.next_any(), Some((0x04, &[7u8; 256][..])));
        assert_eq!(elements.next_if(tag::SEQUENCE), None);
        assert_eq!(elements.next_if(tag::INTEGER), Some(&[5u8][..]));
        assert_eq!(elements.next_any(), None);
        for cut in 0..259 {
            assert_eq!(Elements::new(&long[..cut]).next_any(), None, "{cut}");
        }
        assert_eq!(Elements::new(&[0x30, 0x80, 0, 0]).next_any(), None);
        assert_eq!(Elements::new(&[0x30, 0x85, 0, 0, 0, 0, 0]).next_any(), None);
    }
}

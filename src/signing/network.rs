//! A block of IP addresses, as CIDR writes it (RFC 4632, RFC 4291 section 2.3).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::{Error, Result};

/// All addresses that begin with the same bits. The bits after them are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    /// How many bits are the same: at most 32 for IPv4 and 128 for IPv6.
    length: u8,
}

impl Network {
    /// The block of `length` equal bits that `address` lies in; `None` for too great a length.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let first = match address {
            IpAddr::V4(address) if length <= 32 => {
                IpAddr::V4(Ipv4Addr::from_bits(first_bits(address.to_bits(), length)))
            }
            IpAddr::V6(address) if length <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
            _ => return None,
        };
        Some(Self { first, length })
    }

    /// The block in `text`: `192.0.2.0/24`, `2001:db8::/32`, or one address.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::error::ErrorKind::Invalid) for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let parsed = address.parse::<IpAddr>().ok().and_then(|address| {
            let whole = if address.is_ipv4() { 32 } else { 128 };
            let length = length.map_or(Some(whole), plain_number)?;
            Self::new(address, length)
        });
        parsed.ok_or_else(|| {
            let fix = "write one like `192.0.2.0/24` or `2001:db8::/32`";
            Error::invalid(format!("`{text}` is no block of addresses; {fix}"))
        })
    }

    /// Whether `address` lies in it. An IPv4 address within IPv6 (`::ffff:192.0.2.1`) counts as
    /// what it stands for.
    pub fn contains(&self, address: IpAddr) -> bool {
        Self::new(address.to_canonical(), self.length) == Some(*self)
    }

    /// Its first address.
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// How many bits its addresses have in common.
    pub fn length(&self) -> u8 {
        self.length
    }
}

fn first_bits(bits: u32, length: u8) -> u32 {
    bits & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

/// Digits alone, without a sign and without zeros in front.
fn plain_number(text: &str) -> Option<u8> {
    let number: u8 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_holds_the_addresses_that_begin_alike() {
        let table = [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.77/24", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db8::1", true),
        ];
        for (block, address, inside) in table {
            let block = Network::parse(block).unwrap();
            assert_eq!(
                block.contains(address.parse().unwrap()),
                inside,
                "{block} {address}"
            );
        }
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for text in [
            "",
            "192.0.2.0/33",
            "192.0.2.0/+4",
            "192.0.2.0/08",
            "192.0.2/24",
            "::/129",
            "x",
        ] {
            assert!(Network::parse(text).is_err(), "{text}");
        }
    }
}

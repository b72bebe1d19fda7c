//! Which addresses a request may go to: those that anybody on the Internet could reach, by IANA's
//! special-purpose registries (RFC 6890 and its successors). Addresses that carry an IPv4 address
//! inside are judged by that one too.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is allowed beyond public addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Also this machine, and private networks: 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7.
    pub allow_private: bool,
    /// Also this machine: 127/8, ::1.
    pub allow_loopback: bool,
}

/// Where an address leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Anywhere on the Internet.
    Public,
    /// This machine.
    Loopback,
    /// A network behind a border: private use, shared address space, unique local.
    Private,
    /// Nowhere a request should go, whatever is allowed. The reason is a word for the user.
    Never(&'static str),
}

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The address.
    pub address: IpAddr,
    /// Where it leads.
    pub reach: Reach,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.reach {
            Reach::Public => "public",
            Reach::Loopback => "this machine itself",
            Reach::Private => "in a private network",
            Reach::Never(what) => what,
        };
        let address = self.address;
        write!(f, "{address} is {what}; only public addresses are fetched")
    }
}

impl std::error::Error for Refusal {}

impl Options {
    /// Whether a request may go to `address`.
    ///
    /// # Errors
    /// Says where the address leads.
    pub fn check(&self, address: IpAddr) -> Result<(), Refusal> {
        let reach = reach(address);
        let allowed = match reach {
            Reach::Public => true,
            Reach::Loopback => self.allow_loopback || self.allow_private,
            Reach::Private => self.allow_private,
            Reach::Never(_) => false,
        };
        if allowed {
            Ok(())
        } else {
            Err(Refusal { address, reach })
        }
    }
}

/// Where `address` leads.
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

/// IANA IPv4 Special-Purpose Address Registry.
fn reach_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        [0, ..] => Reach::Never("unspecified"),
        [127, ..] => Reach::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Reach::Private,
        [100, 64..=127, ..] => Reach::Private,
        [169, 254, ..] => Reach::Never("link-local, where clouds keep their secrets"),
        [192, 0, 0, _] => Reach::Never("reserved for protocols"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Reach::Never("for documentation"),
        [192, 88, 99, _] => Reach::Never("a 6to4 relay"),
        [198, 18..=19, ..] => Reach::Never("for benchmarks"),
        [224..=239, ..] => Reach::Never("multicast"),
        [255, 255, 255, 255] => Reach::Never("broadcast"),
        [240..=255, ..] => Reach::Never("reserved"),
        _ => Reach::Public,
    }
}

/// IANA IPv6 Special-Purpose Address Registry. Only 2000::/3 is given out for the Internet.
fn reach_v6(address: Ipv6Addr) -> Reach {
    if address == Ipv6Addr::LOCALHOST {
        return Reach::Loopback;
    }
    if address == Ipv6Addr::UNSPECIFIED {
        return Reach::Never("unspecified");
    }
    if let Some(carried) = carried_v4(address) {
        return strictest(carried);
    }
    match address.segments() {
        [0xfc00..=0xfdff, ..] => Reach::Private,
        // Site-local, which unique local replaced (RFC 3879); local NAT64 (RFC 8215).
        [0xfec0..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] => Reach::Private,
        [0xfe80..=0xfebf, ..] => Reach::Never("link-local"),
        [0xff00..=0xffff, ..] => Reach::Never("multicast"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Reach::Never("for documentation"),
        // Benchmarks, ORCHID and what else IETF protocols have of 2001::/23; Teredo is above.
        [0x2001, 0..=0x1ff, ..] => Reach::Never("reserved for protocols"),
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => Reach::Never("reserved"),
    }
}

/// The IPv4 addresses inside an IPv6 address: mapped (::ffff:0:0/96), compatible (::/96),
/// translated (::ffff:0:0:0/96), NAT64 (64:ff9b::/96), 6to4 (2002::/16) and Teredo (2001::/32:
/// the server's, and the client's with its bits turned).
fn carried_v4(address: Ipv6Addr) -> Option<[Ipv4Addr; 2]> {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some([v4(high, low); 2]),
        [0x2002, high, low, ..] => Some([v4(high, low); 2]),
        [0x2001, 0, high, low, _, _, client_high, client_low] => {
            Some([v4(high, low), v4(!client_high, !client_low)])
        }
        _ => None,
    }
}

/// The least public of two.
fn strictest(addresses: [Ipv4Addr; 2]) -> Reach {
    let [first, second] = addresses.map(reach_v4);
    let rank = |reach: &Reach| match reach {
        Reach::Public => 0,
        Reach::Private => 1,
        Reach::Loopback => 2,
        Reach::Never(_) => 3,
    };
    if rank(&second) > rank(&first) {
        second
    } else {
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum To {
        Anybody,
        Here,
        Inside,
        Nowhere,
    }
    use To::{Anybody, Here, Inside, Nowhere};

    #[test]
    fn each_address_leads_where_the_registries_say() {
        let table = [
            ("8.8.8.8", Anybody),
            ("172.15.255.255", Anybody),
            ("172.32.0.0", Anybody),
            ("100.63.255.255", Anybody),
            ("192.0.1.1", Anybody),
            ("223.255.255.255", Anybody),
            ("127.0.0.1", Here),
            ("127.255.255.254", Here),
            ("10.0.0.1", Inside),
            ("172.16.0.1", Inside),
            ("172.31.255.255", Inside),
            ("192.168.1.1", Inside),
            ("100.64.0.1", Inside),
            ("100.127.255.255", Inside),
            ("0.0.0.0", Nowhere),
            ("0.1.2.3", Nowhere),
            ("169.254.169.254", Nowhere),
            ("192.0.0.192", Nowhere),
            ("192.0.2.1", Nowhere),
            ("198.51.100.1", Nowhere),
            ("203.0.113.1", Nowhere),
            ("198.18.0.1", Nowhere),
            ("198.19.255.255", Nowhere),
            ("224.0.0.1", Nowhere),
            ("239.255.255.255", Nowhere),
            ("240.0.0.1", Nowhere),
            ("255.255.255.255", Nowhere),
            ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", Anybody),
            ("2001:4860:4860::8888", Anybody),
            ("::1", Here),
            ("::", Nowhere),
            ("fc00::1", Inside),
            ("fd00:ec2::254", Inside),
            ("fec0::1", Inside),
            ("fe80::1", Nowhere),
            ("ff02::1", Nowhere),
            ("2001:db8::1", Nowhere),
            ("3fff::1", Nowhere),
            ("2001:2::1", Nowhere),
            ("2001:20::1", Nowhere),
            ("100::1", Nowhere),
            ("5f00::1", Nowhere),
            ("4000::1", Nowhere),
            // mapped, compatible, translated
            ("::ffff:8.8.8.8", Anybody),
            ("::ffff:127.0.0.1", Here),
            ("::ffff:10.0.0.1", Inside),
            ("::ffff:169.254.169.254", Nowhere),
            ("::127.0.0.1", Here),
            ("::10.0.0.1", Inside),
            ("::ffff:0:127.0.0.1", Here),
            // NAT64
            ("64:ff9b::8.8.8.8", Anybody),
            ("64:ff9b::127.0.0.1", Here),
            ("64:ff9b::10.1.1.1", Inside),
            ("64:ff9b::169.254.169.254", Nowhere),
            ("64:ff9b:1::8.8.8.8", Inside),
            // 6to4
            ("2002:808:808::1", Anybody),
            ("2002:7f00:1::1", Here),
            ("2002:a00:1::1", Inside),
            ("2002:a9fe:a9fe::1", Nowhere),
            // Teredo: the server, or the client behind its turned bits
            ("2001:0:808:808::f7f7:f7f7", Anybody),
            ("2001:0:7f00:1::f7f7:f7f7", Here),
            ("2001:0:808:808::80ff:fffe", Here),
            ("2001:0:808:808::f5ff:fffe", Inside),
            ("2001:0:808:808::5601:5601", Nowhere),
        ];
        for (text, expected) in table {
            let found = match reach(text.parse().expect(text)) {
                Reach::Public => Anybody,
                Reach::Loopback => Here,
                Reach::Private => Inside,
                Reach::Never(_) => Nowhere,
            };
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn permissions_open_what_they_name_and_no_more() {
        let allows = |options: Options, text: &str| {
            let address = text.parse().expect("an address");
            options.check(address).is_ok()
        };
        let private = Options {
            allow_private: true,
            allow_loopback: false,
        };
        let loopback = Options {
            allow_private: false,
            allow_loopback: true,
        };
        for (text, with_private, with_loopback) in [
            ("127.0.0.1", true, true),
            ("10.0.0.1", true, false),
            ("169.254.169.254", false, false),
            ("0.0.0.0", false, false),
            ("8.8.8.8", true, true),
        ] {
            assert_eq!(allows(private, text), with_private, "{text}");
            assert_eq!(allows(loopback, text), with_loopback, "{text}");
        }
    }
}

//! Who asks, behind how many proxies, and how often one may ask.
//!
//! A client's address is what the last proxy that is trusted saw; whatever stands further left in
//! `X-Forwarded-For` anybody may have written. Rates are kept per IPv4 address and per IPv6 /64,
//! which is what one subscriber has.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::{DashMapStateStore, ShrinkableKeyedStateStore};
use governor::{Quota, RateLimiter};

use super::request::{Refusal, Request};

/// The address that `request` comes from when `trusted_hops` proxies stand before this server, 0
/// for none. Where fewer proxies wrote an address, or one wrote none, the last sound one counts.
pub fn client_address(request: &Request<'_>, trusted_hops: u8) -> IpAddr {
    let mut address = request.peer;
    if trusted_hops == 0 {
        return address.to_canonical();
    }
    let named =
        |field: &&super::request::Field<'_>| field.name.eq_ignore_ascii_case("x-forwarded-for");
    let lines = request.fields.iter().rev().filter(named);
    let parts = lines.flat_map(|field| field.value.rsplit(|byte| *byte == b','));
    for part in parts.take(usize::from(trusted_hops)) {
        // A line that is no text still has its place: what is left of it was not ours to trust.
        match std::str::from_utf8(part).ok().and_then(parse) {
            Some(forwarded) => address = forwarded,
            None => break,
        }
    }
    address.to_canonical()
}

/// The address in `CloudFront-Viewer-Address`, which an origin request policy adds. To be believed
/// only where nobody but CloudFront reaches this server: others may write it too.
pub fn viewer_address(request: &Request<'_>) -> Option<IpAddr> {
    let text = request.field("cloudfront-viewer-address")?.trim();
    // CloudFront writes a port behind IPv6 addresses too, without brackets.
    let address = match text.parse::<SocketAddr>() {
        Ok(address) => Some(address.ip()),
        Err(_) => text.rsplit_once(':')?.0.parse().ok(),
    };
    address.map(|address: IpAddr| address.to_canonical())
}

/// An address with or without a port, as proxies write it.
fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
    bare.parse().ok().or_else(with_port)
}

/// How often one client may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Requests a second in the long run; `None` for no limit.
    pub requests_per_second: Option<NonZeroU32>,
    /// Requests at once after a pause.
    pub burst: NonZeroU32,
    /// For how many addresses rates are kept, about 50 bytes each.
    pub max_addresses: usize,
}

impl Default for Options {
    /// No limit: behind a CDN all requests come from the few addresses of its edge.
    fn default() -> Self {
        Self {
            requests_per_second: None,
            burst: NonZeroU32::new(200).expect("200 is not zero"),
            max_addresses: 100_000,
        }
    }
}

/// The rates of all clients.
#[derive(Debug, Clone)]
pub struct Clients {
    rates: Option<Arc<Rates<DefaultClock>>>,
}

impl Clients {
    /// Nobody has asked yet.
    pub fn new(options: Options) -> Self {
        let rates = |rate| Arc::new(Rates::new(rate, &options, DefaultClock::default()));
        Self {
            rates: options.requests_per_second.map(rates),
        }
    }

    /// Counts a request of `client`.
    ///
    /// # Errors
    /// 429 with the seconds to wait for the one that is too many.
    pub fn admit(&self, client: IpAddr) -> Result<(), Refusal> {
        match &self.rates {
            Some(rates) => rates.admit(client),
            None => Ok(()),
        }
    }
}

type Limiter<C> = RateLimiter<u128, Addresses, C, NoOpMiddleware<<C as Clock>::Instant>>;

#[derive(Debug)]
struct Rates<C: Clock> {
    limiter: Limiter<C>,
    clock: C,
    /// Requests counted since the start, to know when to look for addresses to forget.
    counted: AtomicUsize,
    /// Every how many requests that is done: memory ends at the limit and this many more.
    sweep_every: usize,
    max_addresses: usize,
}

impl<C: Clock + Clone> Rates<C> {
    fn new(rate: NonZeroU32, options: &Options, clock: C) -> Self {
        let addresses = Addresses {
            map: DashMapStateStore::default(),
            max: options.max_addresses,
        };
        let quota = Quota::per_second(rate).allow_burst(options.burst);
        Self {
            limiter: RateLimiter::new(quota, addresses, clock.clone()),
            clock,
            counted: AtomicUsize::new(1),
            sweep_every: (options.max_addresses / 4).max(1),
            max_addresses: options.max_addresses,
        }
    }

    fn admit(&self, client: IpAddr) -> Result<(), Refusal> {
        let counted = self.counted.fetch_add(1, Ordering::Relaxed);
        if counted.is_multiple_of(self.sweep_every) && self.limiter.len() > self.max_addresses {
            self.limiter.retain_recent();
        }
        let Err(until) = self.limiter.check_key(&subscriber(client)) else {
            return Ok(());
        };
        let wait = until.wait_time_from(self.clock.now()).as_secs() + 1;
        Err(Refusal {
            status: 429,
            detail: "too many requests from this address; ask again after the time given",
            retry_after: Some(u32::try_from(wait).unwrap_or(u32::MAX)),
        })
    }
}

/// What stands for the subscriber that has an address: IPv4 whole, of IPv6 the first 64 bits.
fn subscriber(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() & (u128::MAX << 64),
    }
}

/// The rates by subscriber. When too many ask at once to remember them all, everybody is
/// forgotten and starts anew: memory is bounded before it is just.
#[derive(Debug)]
struct Addresses {
    map: DashMapStateStore<u128>,
    max: usize,
}

impl StateStore for Addresses {
    type Key = u128;

    fn measure_and_replace<T, F, E>(&self, key: &u128, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.map.measure_and_replace(key, f)
    }
}

impl ShrinkableKeyedStateStore<u128> for Addresses {
    fn retain_recent(&self, drop_below: Nanos) {
        ShrinkableKeyedStateStore::retain_recent(&self.map, drop_below);
        if self.map.len() > self.max {
            self.map.clear();
        }
    }

    fn len(&self) -> usize {
        self.map.len()
    }

    fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;
    use crate::origin::request::{Field, Method};

    fn from(fields: &[(&str, &[u8])], of: impl Fn(&Request<'_>) -> String) -> String {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| Field { name, value })
            .collect();
        of(&Request {
            method: Method::Get,
            path: "/",
            query: None,
            fields: &fields,
            peer: IpAddr::from([10, 0, 0, 1]),
            is_secure: false,
            is_certified: false,
        })
    }

    fn forwarded(lines: &[&[u8]], hops: u8) -> String {
        let fields: Vec<_> = lines
            .iter()
            .map(|line| ("X-Forwarded-For", *line))
            .collect();
        from(&fields, |request| client_address(request, hops).to_string())
    }

    #[test]
    fn only_what_trusted_proxies_wrote_is_believed() {
        let lines: &[&[u8]] = &[b"6.6.6.6", b"1.1.1.1, 2.2.2.2", b"3.3.3.3"];
        assert_eq!(forwarded(lines, 0), "10.0.0.1");
        assert_eq!(forwarded(lines, 1), "3.3.3.3");
        assert_eq!(forwarded(lines, 2), "2.2.2.2");
        assert_eq!(forwarded(lines, 3), "1.1.1.1");
        assert_eq!(forwarded(&[], 3), "10.0.0.1");
    }

    #[test]
    fn nothing_left_of_garbage_is_believed() {
        assert_eq!(forwarded(&[b"6.6.6.6, unknown, 2.2.2.2"], 3), "2.2.2.2");
        assert_eq!(forwarded(&[b"6.6.6.6", b"\xff"], 2), "10.0.0.1");
        assert_eq!(forwarded(&[b"6.6.6.6", b"\xff, 2.2.2.2"], 3), "2.2.2.2");
        assert_eq!(forwarded(&[b"6.6.6.6,"], 2), "10.0.0.1");
    }

    #[test]
    fn addresses_come_with_ports_and_brackets() {
        for (line, address) in [
            ("1.1.1.1:80", "1.1.1.1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:1.1.1.1", "1.1.1.1"),
        ] {
            assert_eq!(forwarded(&[line.as_bytes()], 1), address);
        }
    }

    #[test]
    fn cloudfronts_viewer_has_a_port_without_brackets() {
        for (line, address) in [
            ("198.51.100.10:46532", "198.51.100.10"),
            ("2001:db8:0:0:0:0:0:1:46532", "2001:db8::1"),
            ("[2001:db8::1]:46532", "2001:db8::1"),
            ("nonsense", "None"),
        ] {
            let found = from(
                &[("CloudFront-Viewer-Address", line.as_bytes())],
                |request| viewer_address(request).map_or("None".into(), |a| a.to_string()),
            );
            assert_eq!(found, address, "{line}");
        }
    }

    fn rates(max_addresses: usize) -> (Rates<FakeRelativeClock>, FakeRelativeClock) {
        let one = NonZeroU32::MIN;
        let options = Options {
            requests_per_second: Some(one),
            burst: one.saturating_add(1),
            max_addresses,
        };
        let clock = FakeRelativeClock::default();
        (Rates::new(one, &options, clock.clone()), clock)
    }

    #[test]
    fn one_subscriber_too_often_is_told_when_to_come_again() {
        let (rates, clock) = rates(100);
        let address = |last: u16| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
        assert!(rates.admit(address(1)).is_ok());
        assert!(rates.admit(address(2)).is_ok());
        let refusal = rates.admit(address(3)).expect_err("the third at once");
        assert_eq!((refusal.status, refusal.retry_after), (429, Some(2)));
        let neighbour = IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1));
        assert!(rates.admit(neighbour).is_ok());
        clock.advance(Duration::from_secs(1));
        assert!(rates.admit(address(1)).is_ok());
        assert!(rates.admit(address(1)).is_err());
    }

    #[test]
    fn memory_is_bounded_however_many_ask() {
        let (rates, _clock) = rates(100);
        for address in 0..10_000_u32 {
            rates
                .admit(IpAddr::from(address.to_be_bytes()))
                .expect("the first of each");
            assert!(rates.limiter.len() <= 126);
        }
    }

    #[test]
    fn without_a_limit_nobody_is_refused() {
        let clients = Clients::new(Options::default());
        for _ in 0..1000 {
            assert!(clients.admit(IpAddr::from([1, 1, 1, 1])).is_ok());
        }
    }
}

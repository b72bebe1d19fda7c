//! For how long and for whom something is signed: flags that several commands have.

use crate::clock::{Clock, parse_rfc3339};
use crate::error::{Error, Result};
use crate::signing::Network;

#[derive(Debug, clap::Args)]
pub(super) struct When {
    /// Good before this: a time like 2026-12-31T23:59:59Z, or seconds since 1970
    #[arg(long, value_name = "TIME", required_unless_present = "seconds")]
    expires: Option<String>,
    /// Good for so many seconds from now
    #[arg(long = "in", value_name = "SECONDS", conflicts_with = "expires")]
    seconds: Option<u64>,
    /// Good only from this time on
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Good only for clients of this block of addresses, for example 192.0.2.0/24
    #[arg(long, value_name = "CIDR")]
    ip: Option<String>,
}

/// What the flags say.
#[derive(Debug)]
pub(super) struct Validity {
    /// Good before this, in seconds since 1970.
    pub(super) until: u64,
    /// Good from this on, in seconds since 1970.
    pub(super) from: Option<u64>,
    /// For whom.
    pub(super) network: Option<Network>,
}

impl When {
    /// What they say at the time of `clock`.
    pub(super) fn validity(&self, clock: &Clock) -> Result<Validity> {
        let now = u64::try_from(clock.now_millis() / 1000).unwrap_or(0);
        let until = match (&self.expires, self.seconds) {
            (Some(text), _) => time("--expires", text)?,
            (None, seconds) => now.saturating_add(seconds.unwrap_or(0)),
        };
        if until <= now {
            return Err(Error::invalid(
                "the signature would be over already; give a time to come",
            ));
        }
        let from = self.from.as_deref().map(|text| time("--from", text));
        let network = self.ip.as_deref().map(Network::parse);
        Ok(Validity {
            until,
            from: from.transpose()?,
            network: network.transpose()?,
        })
    }
}

/// Seconds since 1970 of a time in either form.
fn time(flag: &str, text: &str) -> Result<u64> {
    let seconds = text.parse().ok();
    let named = || u64::try_from(parse_rfc3339(text)? / 1000).ok();
    seconds.or_else(named).ok_or_else(|| {
        Error::invalid(format!(
            "{flag} `{text}` is no time; write 2026-12-31T23:59:59Z, or seconds since 1970"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_taken_in_either_form_and_never_from_the_past() {
        let clock = Clock::held_at(1_767_225_600_000);
        let arguments = |expires: &str| When {
            expires: Some(expires.to_owned()),
            seconds: None,
            from: None,
            ip: None,
        };
        for expires in ["1767225660", "2026-01-01T00:01:00Z"] {
            let validity = arguments(expires).validity(&clock).expect("a time");
            assert_eq!(validity.until, 1_767_225_660);
        }
        for expires in [
            "2025-12-31T00:00:00Z",
            "0",
            "tomorrow",
            "2026-13-01T00:00:00Z",
        ] {
            assert!(arguments(expires).validity(&clock).is_err(), "{expires}");
        }
    }
}

//! Looks a host name up and lets only checked addresses through.

use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::{Options, Refusal};

/// Resolves by the system, then checks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolver {
    pub(super) options: Options,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let options = self.options;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Vec<IpAddr> = found.map(|socket| socket.ip()).collect();
            check_all(&addresses, &options)?;
            // The port is a placeholder: the URL's own takes its place.
            let sockets = addresses
                .into_iter()
                .map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(sockets) as Addrs)
        })
    }
}

/// One bad address refuses the name: whoever mixes them plays with which one is taken.
fn check_all(addresses: &[IpAddr], options: &Options) -> Result<(), Refusal> {
    for address in addresses {
        options.check(*address)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_address_among_good_ones_refuses_the_name() {
        let good: IpAddr = [8, 8, 8, 8].into();
        let bad: IpAddr = [127, 0, 0, 1].into();
        let options = Options::default();
        assert!(check_all(&[good], &options).is_ok());
        let refusal = check_all(&[good, bad], &options).unwrap_err();
        assert_eq!(refusal.address, bad);
    }
}

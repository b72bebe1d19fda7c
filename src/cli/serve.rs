//! `headwater serve --data DIR`: deliver what was packaged over HTTP.

use std::net::TcpListener;
use std::path::PathBuf;

use super::say;
use crate::error::{Error, ErrorKind, Result};
use crate::origin;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The folder whose presentations are delivered; made if it isn't there
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080",
        value_parser = parse_address)]
    listen: String,
}

/// `HOST:PORT`, as text: a host name is looked up when it is listened on.
fn parse_address(text: &str) -> Result<String, String> {
    let sound = text
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if sound {
        Ok(text.to_owned())
    } else {
        Err("write HOST:PORT, for example 127.0.0.1:8080".to_owned())
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let listen = &arguments.listen;
    let unavailable = |e: std::io::Error| {
        use std::io::ErrorKind::{AddrInUse, PermissionDenied};
        let fix = match e.kind() {
            AddrInUse => "another program is there; name another port",
            PermissionDenied => "ports below 1024 need more rights; name a higher one",
            _ => "name an address of this machine",
        };
        let message = format!("can't listen on {listen}; {fix}");
        Error::new(ErrorKind::Unavailable, message).with_source(e)
    };
    let listener = TcpListener::bind(listen).map_err(unavailable)?;
    let address = listener.local_addr().map_err(unavailable)?;
    let data = arguments.data.to_string_lossy();
    let store = crate::store::Store::open(&data)?;
    say(&format!("listening on http://{address}"));
    for entry in origin::entry_points(&arguments.data) {
        say(&format!("  http://{address}/{entry}"));
    }
    origin::run(listener, store)
}

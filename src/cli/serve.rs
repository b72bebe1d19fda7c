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
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let listen = &arguments.listen;
    let unavailable = |e: std::io::Error| {
        let message = format!("can't listen on {listen}; is another program there?");
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

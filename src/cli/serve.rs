//! `headwater serve --data DIR`: take uploads, make streams of them, deliver them.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use super::say;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::origin;
use crate::server::{Listeners, Server};

/// Where a server keeps things.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// Folder of catalog, sources and streams; made if it isn't there
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where streams are kept: a directory, or s3://bucket/prefix [default: DIR]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The catalog: sqlite:///path, or postgres://USER:PASSWORD@HOST/NAME, which many machines may
    /// share [default: a file in DIR]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Configuration file (TOML); flags override it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    listen: Option<String>,
    /// Address and port that deliver streams and nothing else
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    delivery_listen: Option<String>,
    /// Background tasks at a time [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=1024))]
    workers: Option<u16>,
    /// What playback URLs begin with, for example https://video.example.com
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
}

/// `HOST:PORT`, as text: a host name is looked up when it is listened on.
pub(super) fn parse_address(text: &str) -> Result<String, String> {
    let sound = text
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if sound {
        Ok(text.to_owned())
    } else {
        Err("write HOST:PORT, for example 127.0.0.1:8080".to_owned())
    }
}

impl Place {
    /// The file, the environment over it, these flags over both.
    ///
    /// # Errors
    /// As [`Config::read`]; without a data folder.
    pub(super) fn config(&self) -> Result<Config> {
        let file = match &self.config {
            Some(file) => Config::read(file)?,
            None => Config::default(),
        };
        let mut config = file.with_environment();
        config.data = self.data.clone().or(config.data);
        config.store = self.store.clone().or(config.store);
        config.database = self.database.clone().or(config.database);
        Ok(config)
    }
}

impl Arguments {
    fn config(&self) -> Result<Config> {
        let mut config = self.place.config()?;
        config.listen = self.listen.clone().unwrap_or(config.listen);
        config.delivery_listen = self.delivery_listen.clone().or(config.delivery_listen);
        config.workers = self.workers.map(usize::from).or(config.workers);
        config.public_url = self.public_url.clone().or(config.public_url);
        Ok(config)
    }
}

pub(super) fn listen(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).map_err(|e| {
        use std::io::ErrorKind::{AddrInUse, PermissionDenied};
        let fix = match e.kind() {
            AddrInUse => "another program is there; name another port",
            PermissionDenied => "ports below 1024 need more rights; name a higher one",
            _ => "name an address of this machine",
        };
        let message = format!("can't listen on {address}; {fix}");
        Error::new(ErrorKind::Unavailable, message).with_source(e)
    })
}

pub(super) fn address(listener: &TcpListener) -> Result<std::net::SocketAddr> {
    let address = listener.local_addr();
    address.map_err(|e| Error::io("asking which address is listened on", e))
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let config = arguments.config()?;
    let Some(data) = config.data.clone() else {
        return Err(Error::invalid("no data folder; give --data DIR"));
    };
    let main = listen(&config.listen)?;
    let delivery = config.delivery_listen.as_deref().map(listen).transpose()?;
    let shown = address(&main)?;
    let shown_delivery = delivery.as_ref().map(address).transpose()?;
    let server = Server::start(&config, Listeners { main, delivery })?;
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    say(&format!("listening on {scheme}://{shown}"));
    if let Some(address) = shown_delivery {
        say(&format!("delivering on {scheme}://{address}"));
    }
    if let Some(key) = server.first_key() {
        say(&format!(
            "the API's first key, shown this once: {key}\n\
             send it as `Authorization: Bearer KEY`"
        ));
    }
    list(&data, &format!("{scheme}://{shown}"));
    server.run()
}

/// Tells what is there to play.
fn list(data: &Path, base: &str) {
    for entry in origin::entry_points(data) {
        say(&format!("  {base}/{entry}"));
    }
}

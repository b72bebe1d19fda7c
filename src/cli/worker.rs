//! `headwater worker --store URL --database URL`: do the tasks of servers that share both, on any
//! number of machines.

use std::path::PathBuf;

use super::say;
use super::serve::{Place, address, listen, parse_address};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::server::Crew;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Background tasks at a time [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// Address and port for /metrics, /healthz and /readyz [default: none]
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    metrics_listen: Option<String>,
}

impl Arguments {
    fn config(&self) -> Result<Config> {
        let mut config = self.place.config()?;
        config.workers = self.workers.map(usize::from).or(config.workers);
        Ok(config)
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let config = arguments.config()?;
    let temporary = match &config.data {
        Some(_) => None,
        None => Some(
            tempfile::Builder::new()
                .prefix("headwater-worker-")
                .tempdir()
                .map_err(|e| {
                    Error::io("making a folder for scratch files; name one by --data", e)
                })?,
        ),
    };
    let scratch = match (&config.data, &temporary) {
        (Some(data), _) => data.clone(),
        (None, Some(folder)) => folder.path().to_path_buf(),
        (None, None) => PathBuf::from("."),
    };
    let listener = arguments
        .metrics_listen
        .as_deref()
        .map(listen)
        .transpose()?;
    let shown = listener.as_ref().map(address).transpose()?;
    let crew = Crew::start(&config, &scratch, listener)?;
    say("working");
    if let Some(shown) = shown {
        say(&format!("metrics on http://{shown}/metrics"));
    }
    crew.run()
}

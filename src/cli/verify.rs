//! `headwater verify DIR|URL`: a presentation, rule by rule.

use super::{print, print_json};
use crate::error::{Error, Result};
use crate::verify::{self, Status};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A folder, a playlist or MPD in it, or the URL of one
    place: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let place = &arguments.place;
    let report = verify::verify_target(place).map_err(|e| {
        if e.to_string().contains(place.as_str()) {
            e
        } else {
            e.context(place)
        }
    })?;
    if arguments.json {
        print_json(&report)?;
    } else {
        print(&report.to_string())?;
    }
    match report.count(Status::Failed) {
        0 => Ok(()),
        1 => Err(Error::invalid(format!("{place}: 1 rule broken"))),
        n => Err(Error::invalid(format!("{place}: {n} rules broken"))),
    }
}

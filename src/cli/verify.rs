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
    let report = verify::verify_target(&arguments.place)?;
    if arguments.json {
        print_json(&report)?;
    } else {
        print(&report.to_string())?;
    }
    match report.count(Status::Failed) {
        0 => Ok(()),
        n => Err(Error::invalid(format!(
            "{}: {n} rules broken",
            arguments.place
        ))),
    }
}

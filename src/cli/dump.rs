//! `headwater dump FILE`: the boxes of an MP4 or CMAF file as text.

use std::path::PathBuf;

use crate::cmaf;
use crate::error::{Error, Result};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// An init segment, a segment, or a small MP4 file
    file: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let path = arguments.file.display();
    let bytes =
        std::fs::read(&arguments.file).map_err(|e| Error::io(format!("reading {path}"), e))?;
    super::print(&cmaf::dump::dump(&bytes))
}

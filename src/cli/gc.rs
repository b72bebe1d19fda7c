//! `headwater gc --data DIR`: what is stored without an asset that it belongs to, and its removal.

use super::serve::Place;
use super::{print, print_json};
use crate::error::Result;
use crate::server::{Leftovers, leftovers};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Show what would be removed; works while a server is running
    #[arg(long)]
    dry_run: bool,
    /// Print one result object on stdout
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let config = arguments.place.config()?;
    let found = leftovers(&config, !arguments.dry_run)?;
    if arguments.json {
        return print_json(&found);
    }
    print(&told(&found, arguments.dry_run))
}

fn told(found: &Leftovers, dry_run: bool) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    // Writing to a String can't fail.
    for (folder, bytes) in &found.objects {
        let _ = writeln!(text, "{folder}  {bytes} bytes");
    }
    for asset in &found.sources {
        let _ = writeln!(text, "src/{asset}");
    }
    for asset in &found.unlisted {
        let _ = writeln!(
            text,
            "{asset} is in the store and not in the catalog: `headwater catalog rebuild` lists it again"
        );
    }
    let count = found.objects.len() + found.sources.len();
    let verb = if dry_run {
        "would be removed"
    } else {
        "removed"
    };
    let _ = writeln!(
        text,
        "{count} folders {verb}; {} objects belong to assets",
        found.explained
    );
    text
}

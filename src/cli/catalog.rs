//! `headwater catalog`: the catalog of a server, made anew or kept safe.

use std::path::PathBuf;

use clap::Subcommand;

use super::serve::Place;
use super::{print, print_json};
use crate::error::Result;
use crate::server::{Rebuilt, back_up, rebuild};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List again all assets that the store knows and the catalog doesn't
    Rebuild(RebuildArguments),
    /// Write a copy of the catalog, also while a server is running
    Backup(BackupArguments),
}

#[derive(Debug, clap::Args)]
struct RebuildArguments {
    #[command(flatten)]
    place: Place,
    /// Show what would be listed; works while a server is running
    #[arg(long)]
    dry_run: bool,
    /// Print one result object on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct BackupArguments {
    #[command(flatten)]
    place: Place,
    /// File to write; none of that name may be there
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::Rebuild(arguments) => {
            let rebuilt = rebuild(&arguments.place.config()?, !arguments.dry_run)?;
            if arguments.json {
                return print_json(&rebuilt);
            }
            print(&told(&rebuilt, arguments.dry_run))
        }
        Command::Backup(arguments) => back_up(&arguments.place.config()?, &arguments.to),
    }
}

fn told(rebuilt: &Rebuilt, dry_run: bool) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    // Writing to a String can't fail.
    for asset in &rebuilt.complete {
        let _ = writeln!(text, "{asset}  complete");
    }
    for asset in &rebuilt.unfinished {
        let _ = writeln!(
            text,
            "{asset}  unfinished; the next server makes what it lacks"
        );
    }
    for left in &rebuilt.left_out {
        let _ = writeln!(text, "{}  left out: {}", left.folder, left.reason);
    }
    let listed = rebuilt.complete.len() + rebuilt.unfinished.len();
    let verb = if dry_run { "would be listed" } else { "listed" };
    let (known, left_out) = (rebuilt.known.len(), rebuilt.left_out.len());
    let _ = writeln!(
        text,
        "{listed} assets {verb} again, {known} were listed already, {left_out} left out"
    );
    text
}

//! The command line: one file per subcommand. Results go to stdout, everything else to stderr.
//!
//! Exit codes: 0 done; 1 the input or a rule failed; 2 wrong usage; 3 something is unavailable,
//! try again; 4 a fault of this program.

mod batch;
#[cfg(feature = "origin")]
mod catalog;
#[cfg(feature = "origin")]
mod cloudfront;
mod dump;
#[cfg(feature = "origin")]
mod gc;
mod keys;
mod package;
mod plan;
mod policy;
mod probe;
mod progress;
#[cfg(feature = "origin")]
mod serve;
#[cfg(feature = "origin")]
mod sign;
#[cfg(feature = "origin")]
mod validity;
mod verify;
#[cfg(feature = "origin")]
mod worker;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{Error, ErrorKind, Result};

/// Turns video files into HLS and DASH streams.
#[derive(Debug, Parser)]
#[command(name = "headwater", version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make HLS and DASH of a file; the same command again goes on where a run stopped
    Package(package::Arguments),
    /// Make HLS and DASH of every file in a folder; the same command again makes what is missing
    Batch(batch::Arguments),
    /// Show what would be made of a file: rungs, grid, predicted bytes and CPU time
    Plan(plan::Arguments),
    /// Say what is in a file
    Probe(probe::Arguments),
    /// Check a presentation rule by rule
    Verify(verify::Arguments),
    /// Show the content keys of what was packaged, for a licence service or a key server
    Keys(keys::Arguments),
    /// Show the boxes of an MP4 or CMAF file as text
    Dump(dump::Arguments),
    /// Take uploads, make streams of them, deliver them
    #[cfg(feature = "origin")]
    Serve(serve::Arguments),
    /// Do the tasks of servers that share a store and a database, on any number of machines
    #[cfg(feature = "origin")]
    Worker(worker::Arguments),
    /// Make a token for what is delivered under a path
    #[cfg(feature = "origin")]
    Sign(sign::Arguments),
    /// Remove what is stored without an asset that it belongs to
    #[cfg(feature = "origin")]
    Gc(gc::Arguments),
    /// Make the catalog of a server anew, or keep a copy of it
    #[cfg(feature = "origin")]
    Catalog(catalog::Arguments),
    /// Put Amazon CloudFront in front of the server: infrastructure, and a check of it
    #[cfg(feature = "origin")]
    Cloudfront(cloudfront::Arguments),
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(e) => {
            let usage = u8::from(e.use_stderr()) * 2;
            // A closed terminal is no reason to fail.
            let _ = e.print();
            return ExitCode::from(usage);
        }
    };
    let result = match arguments.command {
        Command::Package(arguments) => package::run(&arguments),
        Command::Batch(arguments) => batch::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Probe(arguments) => probe::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Keys(arguments) => keys::run(&arguments),
        Command::Dump(arguments) => dump::run(&arguments),
        #[cfg(feature = "origin")]
        Command::Serve(arguments) => serve::run(&arguments),
        #[cfg(feature = "origin")]
        Command::Worker(arguments) => worker::run(&arguments),
        #[cfg(feature = "origin")]
        Command::Sign(arguments) => sign::run(&arguments),
        #[cfg(feature = "origin")]
        Command::Gc(arguments) => gc::run(&arguments),
        #[cfg(feature = "origin")]
        Command::Catalog(arguments) => catalog::run(&arguments),
        #[cfg(feature = "origin")]
        Command::Cloudfront(arguments) => cloudfront::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("headwater: {}", one_line(&error.to_string())));
            ExitCode::from(exit_code(error.kind()))
        }
    }
}

/// An error's words in one line: what a service or a decoder says may have several.
fn one_line(words: &str) -> String {
    let lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join(" ");
    line.trim_end_matches([':', ' ']).to_owned()
}

/// The exit code of an error: the one place that decides it.
fn exit_code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Invalid
        | ErrorKind::Unsupported
        | ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::DataLoss => 1,
        ErrorKind::Exhausted | ErrorKind::Unavailable => 3,
        ErrorKind::Internal => 4,
    }
}

/// A line on stderr. A reader that went away is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// The result on stdout.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("writing to standard output", e))
        }
        _ => Ok(()),
    }
}

/// A value as one line of JSON on stdout.
fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string(value)
        .map_err(|e| Error::internal("writing the result as JSON").with_source(e))?;
    print(&format!("{text}\n"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn an_error_is_one_line_and_ends_in_words() {
        assert_eq!(one_line("a.mp4: not known: "), "a.mp4: not known");
        assert_eq!(one_line("put: <E>\n  <M/>\n</E>\n"), "put: <E> <M/> </E>");
    }

    #[test]
    fn only_what_may_work_later_exits_with_three() {
        assert_eq!(exit_code(ErrorKind::Exhausted), 3);
        assert_eq!(exit_code(ErrorKind::Unavailable), 3);
        assert_eq!(exit_code(ErrorKind::NotFound), 1);
        assert_eq!(exit_code(ErrorKind::Internal), 4);
    }
}

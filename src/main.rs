//! The command line program. Everything is in the library; see [`headwater::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    headwater::cli::run()
}

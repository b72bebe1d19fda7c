//! Lines for the operator.

use std::io::Write;

/// Writes a line for the operator to standard error, after the name of the part of the server that
/// it comes from. A reader that went away is no reason to stop.
pub fn tell_operator(part: &str, line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{part}: {line}");
}

//! The command line program. Everything is in the library; see [`headwater::cli`].

fn main() {}

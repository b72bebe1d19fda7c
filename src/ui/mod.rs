//! The pages, embedded in the program.

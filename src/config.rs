//! The server's configuration: a file, the environment and flags to each module's options.

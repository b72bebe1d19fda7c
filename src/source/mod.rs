//! A source: its ranged reads and its index.

//! Codec parameter sets and configuration records: parsed, built, and named as RFC 6381 strings.

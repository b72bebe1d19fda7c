//! The rules every presentation must satisfy, checked over its bytes.

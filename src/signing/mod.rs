//! Proofs that a request may have what it asks for: shared secrets, our own tokens, and the signed
//! URLs and signed cookies that Amazon CloudFront defines ("Serve private content with signed URLs
//! and signed cookies" in its developer guide). Makes them and verifies them.
//!
//! Not here: which requests need a proof (`origin::gate`) and who may use the API (`access`).
//! The door to aws-lc and to the `rsa` library; none of their types crosses it.

mod secret;

pub use secret::{SHORTEST_SECRET, Secret};

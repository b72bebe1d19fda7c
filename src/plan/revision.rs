//! The name of everything that a plan makes.

use crate::media::Plan;

/// 32 hexadecimal digits that change whenever the plan's bytes would: BLAKE3 over the plan's
/// JSON, whose order is that of its fields, after the format version.
pub fn revision(plan: &Plan) -> String {
    let json = serde_json::to_vec(plan).expect("a plan has only string keys and finite numbers");
    let mut hasher = blake3::Hasher::new();
    hasher.update(&plan.format_version.to_le_bytes());
    hasher.update(&json);
    let mut hex = hasher.finalize().to_hex().to_string();
    hex.truncate(32);
    hex
}

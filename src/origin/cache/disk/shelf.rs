//! What is kept on disk, in the order of its use.

use std::collections::{BTreeMap, HashMap};

/// What is kept, the longest unused first.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) kept: HashMap<String, Kept>,
    by_use: BTreeMap<u64, String>,
    uses: u64,
    bytes: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    used: u64,
    pub(super) length: u64,
    /// Whether the bytes were written or checked by this process.
    pub(super) is_sound: bool,
}

impl Shelf {
    /// Notes that `location`, of so many bytes, was used now.
    pub(super) fn use_now(&mut self, location: &str, length: u64, is_sound: bool) {
        self.forget(location);
        self.uses += 1;
        self.bytes += length;
        self.by_use.insert(self.uses, location.to_owned());
        let kept = Kept {
            used: self.uses,
            length,
            is_sound,
        };
        self.kept.insert(location.to_owned(), kept);
    }

    pub(super) fn forget(&mut self, location: &str) -> bool {
        let Some(kept) = self.kept.remove(location) else {
            return false;
        };
        self.by_use.remove(&kept.used);
        self.bytes -= kept.length;
        true
    }

    /// What has to go so that no more than `limit` bytes are kept. What `was_used` since it was
    /// asked last gets another turn.
    pub(super) fn surplus(&mut self, limit: u64, was_used: impl Fn(&str) -> bool) -> Vec<String> {
        let mut gone = Vec::new();
        let mut turns = self.kept.len();
        while self.bytes > limit {
            let Some((_, location)) = self.by_use.first_key_value() else {
                break;
            };
            let location = location.clone();
            match self.kept.get(&location).copied() {
                Some(kept) if turns > 0 && was_used(&location) => {
                    self.use_now(&location, kept.length, kept.is_sound);
                    turns -= 1;
                }
                _ => {
                    self.forget(&location);
                    gone.push(location);
                }
            }
        }
        gone
    }
}

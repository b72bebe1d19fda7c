//! When changed files are worth reading: after they have held still, so that no half of a
//! replacement is taken for the whole.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// How long files that don't fit together may stay so before the operator hears of it. Tools that
/// replace certificate and key one after the other take less than that.
const PATIENCE_MILLIS: i64 = 10_000;

/// What tells one state of a file from another; of the file that links lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    /// Seconds and nanoseconds; of the bytes, and of the inode, which no tool can set back.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// The states of all watched files at one time; `None` for one that isn't there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Stamps(Vec<Option<Stamp>>);

impl Stamps {
    /// Looks at the files.
    pub(super) fn of<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        Self(paths.into_iter().map(Stamp::of).collect())
    }
}

/// What is known of the files between two looks.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    /// The state that is in use.
    used: Stamps,
    change: Option<Change>,
}

/// A state that isn't in use.
#[derive(Debug, Clone)]
struct Change {
    stamps: Stamps,
    /// When the files first differed from those in use.
    since: i64,
    told: bool,
}

impl Watch {
    /// Watches files that were read in this state, or later.
    pub(super) fn new(used: Stamps) -> Self {
        Self { used, change: None }
    }

    /// Takes note of the files' state at `now`; true if they should be read: they aren't those in
    /// use, and they are as they were at the last look.
    pub(super) fn look(&mut self, stamps: &Stamps, now: i64) -> bool {
        if *stamps == self.used {
            self.change = None;
            return false;
        }
        match &mut self.change {
            Some(change) if change.stamps == *stamps => true,
            Some(change) => {
                change.stamps = stamps.clone();
                change.told = false;
                false
            }
            None => {
                self.change = Some(Change {
                    stamps: stamps.clone(),
                    since: now,
                    told: false,
                });
                false
            }
        }
    }

    /// The files in this state were read and are in use.
    pub(super) fn used(&mut self, stamps: Stamps) {
        *self = Self::new(stamps);
    }

    /// The files can't be used at `now`; true if it is time to say so, which is once for each
    /// state.
    pub(super) fn refused(&mut self, now: i64) -> bool {
        match &mut self.change {
            Some(change) if !change.told && now - change.since >= PATIENCE_MILLIS => {
                change.told = true;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn state(inode: u64) -> Stamps {
        let (modified, changed) = ((0, 0), (0, 0));
        let (device, length) = (0, 0);
        Stamps(vec![Some(Stamp {
            device,
            inode,
            length,
            modified,
            changed,
        })])
    }

    #[test]
    fn files_are_read_when_they_have_held_still() {
        let mut watch = Watch::new(state(1));
        assert!(!watch.look(&state(1), 0));
        assert!(!watch.look(&state(2), 2000));
        assert!(!watch.look(&state(3), 4000));
        assert!(watch.look(&state(3), 6000));
        watch.used(state(3));
        assert!(!watch.look(&state(3), 8000));
    }

    #[test]
    fn what_does_not_fit_is_told_once_after_a_while_and_tried_for_ever() {
        let mut watch = Watch::new(state(1));
        let mut told = Vec::new();
        for now in (0..60_000).step_by(2000) {
            if watch.look(&state(2), now) && watch.refused(now) {
                told.push(now);
            }
        }
        assert_eq!(told, [PATIENCE_MILLIS]);
        assert!(watch.look(&state(2), 60_000));
    }

    #[test]
    fn files_that_are_put_back_are_no_change() {
        let mut watch = Watch::new(state(1));
        watch.look(&state(2), 0);
        assert!(!watch.look(&state(1), 2000));
        assert!(!watch.refused(60_000));
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("one")).unwrap();
        std::fs::create_dir(at("two")).unwrap();
        std::fs::write(at("one/tls.crt"), "1").unwrap();
        std::fs::write(at("two/tls.crt"), "1").unwrap();
        symlink("one", at("current")).unwrap();
        symlink("current/tls.crt", at("tls.crt")).unwrap();
        let watched = at("tls.crt");
        let before = Stamps::of([watched.as_path()]);
        assert_eq!(before, Stamps::of([watched.as_path()]));
        symlink("two", at("next")).unwrap();
        std::fs::rename(at("next"), at("current")).unwrap();
        assert_ne!(before, Stamps::of([watched.as_path()]));
        std::fs::remove_file(at("two/tls.crt")).unwrap();
        assert_eq!(Stamps::of([watched.as_path()]), Stamps(vec![None]));
    }
}

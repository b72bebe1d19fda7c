//! Where account and certificate outlive the process. Each CA has a folder of its own in there, so
//! that trying a test CA first leaves nothing behind for the real one.

use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The account's key and address, as JSON.
pub(super) const ACCOUNT: &str = "account.json";
/// Key and chain, as PEM.
pub(super) const CERTIFICATE: &str = "certificate.pem";
/// When the last order was begun, in milliseconds since 1970.
pub(super) const ATTEMPT: &str = "attempt";

/// The folder of one CA.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes the folder, which only its owner may look into, for the CA with this directory.
    pub(super) fn open(folder: &Path, directory: &str) -> Result<Self> {
        let path = folder.join(name(directory));
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|e| Error::io(format!("making `acme.folder` {}", path.display()), e))?;
        Ok(Self { path })
    }

    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A file's text, if it is there.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>> {
        let path = self.path_of(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(format!("reading {}", path.display()), e)),
        }
    }

    /// Replaces a file: after a crash it holds the old text or the new one. Only its owner may
    /// read it.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path_of(name);
        let failed = |e| Error::io(format!("writing {}", path.display()), e);
        let mut part = tempfile::NamedTempFile::new_in(&self.path).map_err(failed)?;
        part.write_all(text.as_bytes()).map_err(failed)?;
        part.as_file().sync_all().map_err(failed)?;
        part.persist(&path).map_err(|e| failed(e.error))?;
        let folder = File::open(&self.path).map_err(failed)?;
        folder.sync_all().map_err(failed)
    }

    /// [`Folder::write`] where waiting for a disk would keep others waiting.
    pub(super) async fn keep(&self, name: &'static str, text: String) -> Result<()> {
        let folder = self.clone();
        let written = tokio::task::spawn_blocking(move || folder.write(name, &text)).await;
        written.map_err(|e| Error::internal(format!("writing {name}: {e}")))?
    }

    /// Removes a file that may be there.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        let path = self.path_of(name);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                Err(Error::io(format!("removing {}", path.display()), e))
            }
            _ => Ok(()),
        }
    }
}

/// A directory's URL as the name of a folder.
fn name(directory: &str) -> String {
    let rest = directory.trim_start_matches("https://");
    rest.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_kept_is_the_owners_alone_and_apart_for_each_ca() {
        let parent = tempfile::tempdir().unwrap();
        let at = parent.path().join("acme");
        let [one, other] = ["https://a.test/dir", "https://a.test/../dir"]
            .map(|directory| Folder::open(&at, directory).unwrap());
        one.write(ACCOUNT, "1").unwrap();
        one.write(ACCOUNT, "2").unwrap();
        assert_eq!(one.read(ACCOUNT).unwrap().as_deref(), Some("2"));
        assert_eq!(other.read(ACCOUNT).unwrap(), None);
        assert_eq!(one.path.parent(), Some(&*at));
        assert_eq!(other.path.parent(), Some(&*at));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&one.path_of(ACCOUNT)), 0o600);
        assert_eq!(mode(&one.path), 0o700);
        assert_eq!(std::fs::read_dir(&one.path).unwrap().count(), 1);
        one.remove(ACCOUNT).unwrap();
        one.remove(ACCOUNT).unwrap();
        assert_eq!(one.read(ACCOUNT).unwrap(), None);
    }
}

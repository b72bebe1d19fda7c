//! An opened local file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::{Error, ErrorKind, Result};
use crate::read_at::ReadAt;

/// Bytes hashed at once.
const DIGEST_BUFFER: usize = 128 << 10;

/// A local file, opened for reading. All access goes by `pread` on the one descriptor, so the
/// file stays the same one when its name is given to another.
#[derive(Debug)]
pub(super) struct LocalFile {
    path: PathBuf,
    size_bytes: u64,
    modified: Option<SystemTime>,
    file: File,
}

impl LocalFile {
    /// Opens a file.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none, [`ErrorKind::Invalid`] when it is empty, no
    /// regular file, or not readable for this user.
    pub(super) fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let shown = path.display();
        // Never blocks on a pipe without a writer: what is no regular file is refused first.
        let metadata =
            std::fs::metadata(path).map_err(|e| Error::io(format!("opening {shown}"), e))?;
        refuse_irregular(path, &metadata)?;
        let file = File::open(path).map_err(|e| Error::io(format!("opening {shown}"), e))?;
        let metadata = file
            .metadata()
            .map_err(|e| Error::io(format!("reading the length of {shown}"), e))?;
        refuse_irregular(path, &metadata)?;
        if metadata.len() == 0 {
            return Err(Error::invalid(format!(
                "{shown} is empty; copy or upload it again"
            )));
        }
        Ok(Self {
            path: path.to_path_buf(),
            size_bytes: metadata.len(),
            modified: metadata.modified().ok(),
            file,
        })
    }

    /// The path it was opened by.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Length in bytes when it was opened.
    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The open file, to be handed to a child process.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Whether nobody wrote to the file since it was opened, by its length and time of change.
    /// What was read before a yes is what was opened; what is stored under its digest depends on
    /// that.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when it changed; [`ErrorKind::Unavailable`] when it can't be asked.
    pub(super) fn check_unchanged(&self) -> Result<()> {
        let shown = self.path.display();
        let metadata = self
            .file
            .metadata()
            .map_err(|e| Error::io(format!("reading the length of {shown}"), e))?;
        if metadata.len() == self.size_bytes && metadata.modified().ok() == self.modified {
            return Ok(());
        }
        let message = format!(
            "{shown} changed while it was read; wait until it is completely written and run the \
             same command again"
        );
        Err(Error::new(ErrorKind::Conflict, message))
    }

    /// BLAKE3 digest of all bytes, 64 hexadecimal digits. `on_read` is told how many bytes are
    /// read so far, and may stop it with an error.
    ///
    /// # Errors
    /// When reading fails or `on_read` says so; [`ErrorKind::Conflict`] when the file's length
    /// changed since it was opened.
    pub(super) fn digest(&self, on_read: &mut dyn FnMut(u64) -> Result<()>) -> Result<String> {
        let (at, digest) = digest(&self.file, on_read)?;
        if at != self.size_bytes {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "{} had {} bytes when it was opened and has {at} now; wait until it is \
                     completely written",
                    self.path.display(),
                    self.size_bytes
                ),
            ));
        }
        self.check_unchanged()?;
        Ok(digest)
    }
}

/// BLAKE3 digest of all of a file's bytes, and how many they are.
pub(super) fn digest(
    file: &File,
    on_read: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<(u64, String)> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; DIGEST_BUFFER];
    let mut at = 0;
    loop {
        let got = ReadAt::read_at(file, at, &mut buffer)?;
        hasher.update(buffer.get(..got).unwrap_or_default());
        at += got as u64;
        on_read(at)?;
        if got < buffer.len() {
            return Ok((at, hasher.finalize().to_hex().to_string()));
        }
    }
}

fn refuse_irregular(path: &Path, metadata: &std::fs::Metadata) -> Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let what = if metadata.is_dir() {
        "a directory; name a file in it"
    } else {
        "no regular file; save it to a file first"
    };
    Err(Error::invalid(format!("{} is {what}", path.display())))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_cannot_be_a_source_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("scratch");
        let empty = folder.path().join("empty.mp4");
        File::create(&empty).expect("created");
        for (path, kind, says) in [
            (
                folder.path().join("none.mp4"),
                ErrorKind::NotFound,
                "none.mp4",
            ),
            (
                folder.path().to_path_buf(),
                ErrorKind::Invalid,
                "a directory",
            ),
            (empty, ErrorKind::Invalid, "is empty"),
            (
                PathBuf::from("/dev/null"),
                ErrorKind::Invalid,
                "no regular file",
            ),
        ] {
            let error = LocalFile::open(&path).expect_err("refused");
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_written_to_is_no_longer_what_was_opened() {
        let folder = tempfile::tempdir().expect("scratch");
        let path = folder.path().join("clip.mp4");
        std::fs::write(&path, b"same length").expect("written");
        let source = LocalFile::open(&path).expect("opens");
        source.check_unchanged().expect("nobody wrote");
        let other_time = SystemTime::UNIX_EPOCH;
        let file = File::options().write(true).open(&path).expect("opens");
        file.set_modified(other_time).expect("set");
        let error = source.check_unchanged().expect_err("changed");
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("clip.mp4 changed"), "{error}");
    }

    #[test]
    fn digest_is_that_of_the_bytes_and_notices_growth() {
        let folder = tempfile::tempdir().expect("scratch");
        let path = folder.path().join("clip.mp4");
        let bytes: Vec<u8> = (0..3_000_001_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut file = File::create(&path).expect("created");
        file.write_all(&bytes).expect("written");
        let source = LocalFile::open(&path).expect("opens");
        assert_eq!(source.size_bytes(), 3_000_001);
        let expected = blake3::hash(&bytes).to_hex().to_string();
        assert_eq!(source.digest(&mut |_| Ok(())).expect("read"), expected);
        file.write_all(b"more").expect("written");
        let error = source.digest(&mut |_| Ok(())).expect_err("changed");
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
}

//! Where lines of the access log go: standard output, or a file that may be renamed away.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Stdout, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Bytes that are collected before they are written.
const BUFFER: usize = 64 << 10;

/// An open place.
#[derive(Debug)]
pub(super) enum Sink {
    /// Standard output.
    Stdout(BufWriter<Stdout>),
    /// A file.
    File {
        path: PathBuf,
        writer: BufWriter<File>,
    },
}

impl Sink {
    /// `-` for standard output, anything else is a path, whose file is gone on with.
    pub(super) fn open(place: &str) -> Result<Self> {
        if place == "-" {
            let writer = BufWriter::with_capacity(BUFFER, std::io::stdout());
            return Ok(Self::Stdout(writer));
        }
        let path = PathBuf::from(place);
        let writer = open(&path).map_err(|e| {
            Error::io(
                format!("opening the access log {place}; name a file that can be written"),
                e,
            )
        })?;
        Ok(Self::File { path, writer })
    }

    pub(super) fn write(&mut self, line: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Stdout(writer) => writer.write_all(line),
            Self::File { writer, .. } => writer.write_all(line),
        }
    }

    pub(super) fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Stdout(writer) => writer.flush(),
            Self::File { writer, .. } => writer.flush(),
        }
    }

    /// Flushes; and where the file was renamed or removed begins a new one of its name, so that
    /// logs can be rotated without telling us.
    pub(super) fn beat(&mut self) -> std::io::Result<()> {
        self.flush()?;
        let Self::File { path, writer } = self else {
            return Ok(());
        };
        if !is_still(path, writer.get_ref())? {
            *writer = open(path)?;
        }
        Ok(())
    }
}

fn open(path: &Path) -> std::io::Result<BufWriter<File>> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    Ok(BufWriter::with_capacity(BUFFER, file))
}

/// Whether the path still names the open file.
fn is_still(path: &Path, file: &File) -> std::io::Result<bool> {
    let open = file.metadata()?;
    match path.metadata() {
        Ok(named) => Ok((named.dev(), named.ino()) == (open.dev(), open.ino())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_renamed_is_left_for_a_new_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("access.log");
        let moved = folder.path().join("access.log.1");
        let mut sink = Sink::open(path.to_str().expect("text")).expect("opened");
        sink.write(b"one\n").expect("written");
        std::fs::rename(&path, &moved).expect("renamed");
        sink.write(b"two\n").expect("written");
        sink.beat().expect("a beat");
        sink.write(b"three\n").expect("written");
        sink.beat().expect("a beat");
        assert_eq!(std::fs::read_to_string(&moved).expect("read"), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "three\n");
    }

    #[test]
    fn a_place_that_can_not_be_opened_is_named() {
        let error = Sink::open("/nowhere/at/all.log").expect_err("no such folder");
        assert!(error.to_string().contains("/nowhere/at/all.log"), "{error}");
    }
}

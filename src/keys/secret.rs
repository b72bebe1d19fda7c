//! The secret that content keys are derived from.

use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::rand;

use crate::error::{Error, Result};

/// 32 secret bytes. They are never shown, not by `Debug` either.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterSecret([u8; 32]);

impl MasterSecret {
    /// The secret that 64 hexadecimal digits stand for.
    pub fn parse(digits: &str) -> Option<Self> {
        let digits: &[u8; 64] = digits.as_bytes().try_into().ok()?;
        let value = |digit: u8| char::from(digit).to_digit(16);
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::try_from(value(pair[0])? << 4 | value(pair[1])?).ok()?;
        }
        Some(Self(bytes))
    }

    /// A new one.
    ///
    /// # Errors
    /// `Internal`, if the system gives no random bytes.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes)
            .map_err(|_| Error::internal("making a secret: the system gives no random bytes"))?;
        Ok(Self(bytes))
    }

    /// Reads the secret in the file `path`, which is made, for its owner alone, where there is none.
    ///
    /// # Errors
    /// When the file can't be read or made, or holds something else.
    pub fn read_or_make(path: &Path) -> Result<Self> {
        if let Some(secret) = Self::read(path)? {
            return Ok(secret);
        }
        let secret = Self::random()?;
        match secret.write_new(path) {
            Ok(()) => Ok(secret),
            // Another process was quicker.
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                let gone = || Error::internal("the file of the keys' secret comes and goes");
                Self::read(path)?.ok_or_else(gone)
            }
            Err(e) => Err(Error::io(format!("making {}", path.display()), e)),
        }
    }

    /// The secret in a file; `None` where there is no such file.
    fn read(path: &Path) -> Result<Option<Self>> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(format!("reading {}", path.display()), e)),
        };
        let wrong = || {
            Error::invalid(format!(
                "{} does not hold 64 hexadecimal digits; restore it, or what was encrypted \
                 with it can't be played",
                path.display()
            ))
        };
        Self::parse(text.trim()).map(Some).ok_or_else(wrong)
    }

    /// Appears whole or not at all: a secret that was cut off would be lost.
    fn write_new(&self, path: &Path) -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let part = folder.join(format!(".secret-{}", std::process::id()));
        // What an earlier process of that number may have left.
        let _ = std::fs::remove_file(&part);
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)?;
        let mut digits = String::with_capacity(65);
        for byte in self.0 {
            use fmt::Write;
            // Writing to a String can't fail.
            let _ = write!(digits, "{byte:02x}");
        }
        digits.push('\n');
        let written = file
            .write_all(digits.as_bytes())
            .and_then(|()| file.sync_all())
            // Fails where there is one already.
            .and_then(|()| std::fs::hard_link(&part, path));
        std::fs::remove_file(&part)?;
        written
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_secret_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.secret");
        let made = MasterSecret::read_or_make(&path).unwrap();
        assert_eq!(MasterSecret::read_or_make(&path).unwrap(), made);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_ne!(MasterSecret::random().unwrap(), made);
    }

    #[test]
    fn a_damaged_secret_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.secret");
        std::fs::write(&path, "5a5a").unwrap();
        let words = MasterSecret::read_or_make(&path).unwrap_err().to_string();
        assert!(
            words.contains("restore it") && !words.contains("5a5a"),
            "{words}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"5a5a");
    }

    #[test]
    fn the_secret_is_never_shown() {
        let secret = MasterSecret::parse(&"5A".repeat(32)).unwrap();
        assert_eq!(format!("{secret:?}"), "MasterSecret(..)");
        assert_eq!(MasterSecret::parse("5a"), None);
        assert_eq!(MasterSecret::parse(&"5g".repeat(32)), None);
    }
}

//! The one error type that crosses module borders: what the caller can do about it (`ErrorKind`),
//! one line for the user, and what caused it.
//!
//! A module may keep a small enum of what went wrong inside; at its door it becomes an [`Error`].
//! Handlers, exit codes and retries look only at the kind.

use std::fmt;

/// What a caller can do about an error. Every exit code and HTTP status follows from this alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The input is broken or makes no sense; sending it again won't help.
    Invalid,
    /// The input is sound, but this program doesn't handle it.
    Unsupported,
    /// The thing named is not there.
    NotFound,
    /// Somebody else did it first, or it changed under us.
    Conflict,
    /// A limit was reached: disk, memory, quota, a named limit of ours.
    Exhausted,
    /// A service or device is away; the same call may work later.
    Unavailable,
    /// Bytes that were there are gone or damaged.
    DataLoss,
    /// A fault of this program.
    Internal,
}

impl ErrorKind {
    /// Whether the same call, unchanged, may succeed later.
    pub fn retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::Exhausted)
    }
}

/// An error with its kind and one clear line: file, place, fix.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind`; `message` is lower case, without a full stop, and names what failed.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Shorthand for [`ErrorKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Shorthand for [`ErrorKind::Unsupported`].
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// Shorthand for [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// An I/O error met while doing `what` (for example `reading /a/b.mp4`), with the kind its
    /// code implies: a missing file is `NotFound`, a full disk is `Exhausted`.
    pub fn io(what: impl fmt::Display, error: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::PermissionDenied
            | Io::IsADirectory
            | Io::NotADirectory
            | Io::InvalidInput
            | Io::InvalidData => ErrorKind::Invalid,
            Io::ReadOnlyFilesystem => ErrorKind::Invalid,
            Io::AlreadyExists => ErrorKind::Conflict,
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge | Io::OutOfMemory => {
                ErrorKind::Exhausted
            }
            Io::UnexpectedEof => ErrorKind::DataLoss,
            _ => ErrorKind::Unavailable,
        };
        Self {
            kind,
            message: what.to_string(),
            source: Some(Box::new(error)),
        }
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The same error with `what` in front of its message.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// The same error with another cause attached.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|s| s as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_disk_is_exhausted_and_worth_a_retry() {
        let error = Error::io("writing x", std::io::Error::from_raw_os_error(28));
        assert_eq!(error.kind(), ErrorKind::Exhausted);
        assert!(error.kind().retryable());
        assert!(error.to_string().starts_with("writing x: "));
    }

    #[test]
    fn context_goes_in_front() {
        let error = Error::invalid("no moov box").context("clip.mp4");
        assert_eq!(error.to_string(), "clip.mp4: no moov box");
    }
}

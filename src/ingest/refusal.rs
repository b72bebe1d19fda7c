//! Why bytes weren't taken. Every refusal has a name; here it becomes an answer for a client, or an
//! error for a pull.

use actix_web::error::PayloadError;
use actix_web::http::StatusCode;

use super::pace::Slow;
use crate::error::{Error, ErrorKind};
use crate::problem::Problem;

/// Why bytes weren't taken.
#[derive(Debug)]
pub(super) enum Refusal {
    /// More bytes than a limit allows.
    TooLarge {
        /// The limit's name.
        limit: &'static str,
        /// Its value in bytes.
        value: u64,
    },
    /// The disk has no room for what was announced.
    NoRoom {
        /// Bytes that are needed.
        wanted: u64,
        /// Bytes that may still be promised.
        free: u64,
    },
    /// As many uploads as may run are running.
    TooMany {
        /// How many that is.
        value: u64,
    },
    /// The client sends too slowly.
    Slow(Slow),
    /// The connection broke before all bytes were there.
    Cut,
    /// The body isn't what its headers say.
    Malformed(String),
    /// There were no bytes at all.
    Empty,
    /// Reading or writing failed here.
    Failed(Error),
    /// Anything else a request was refused for.
    Problem(Problem),
}

impl Refusal {
    /// What a broken body means.
    pub(super) fn from_payload(error: PayloadError) -> Self {
        match error {
            PayloadError::Io(error) => match error.downcast::<Slow>() {
                Ok(slow) => Self::Slow(slow),
                Err(_) => Self::Cut,
            },
            PayloadError::EncodingCorrupted => {
                Self::Malformed("the body's chunked encoding is broken".to_owned())
            }
            _ => Self::Cut,
        }
    }
}

impl From<Slow> for Refusal {
    fn from(slow: Slow) -> Self {
        Self::Slow(slow)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooLarge { limit, value } => Self::too_large(limit, value),
            Refusal::NoRoom { wanted, free } => Self::out_of_space(no_room(wanted, free)),
            Refusal::TooMany { value } => Self::too_many("max_concurrent_uploads", value),
            Refusal::Slow(slow) => {
                let (limit, value) = slow.limit();
                Self::timeout(slow.to_string(), limit, value)
            }
            // Nobody is there to read it; the status is for the log.
            Refusal::Cut => Self::new(
                StatusCode::BAD_REQUEST,
                "cut-off",
                "Cut off",
                "the connection broke before all bytes were there",
            )
            .closing(),
            Refusal::Malformed(detail) => Self::bad_request(detail),
            Refusal::Empty => Self::unprocessable("the upload is empty; send the bytes of a file"),
            Refusal::Failed(error) => Self::from(error),
            Refusal::Problem(problem) => problem,
        }
    }
}

/// For a pull: what another try may mend is retryable.
impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooLarge { limit, value } => Self::unsupported(format!(
                "the source has more bytes than {limit} allows, which is {value}"
            )),
            Refusal::NoRoom { wanted, free } => {
                Self::new(ErrorKind::Exhausted, no_room(wanted, free))
            }
            Refusal::TooMany { value } => Self::new(
                ErrorKind::Exhausted,
                format!("max_concurrent_uploads allows {value} at once"),
            ),
            Refusal::Slow(slow) => Self::new(ErrorKind::Unavailable, slow.to_string()),
            Refusal::Cut => Self::new(ErrorKind::Unavailable, "the connection broke"),
            Refusal::Malformed(detail) => Self::invalid(detail),
            Refusal::Empty => Self::invalid("the source is empty"),
            Refusal::Failed(error) => error,
            Refusal::Problem(problem) => Self::invalid(problem.details().detail.clone()),
        }
    }
}

fn no_room(wanted: u64, free: u64) -> String {
    format!(
        "the disk has no room for {wanted} bytes: {free} are free beyond min_free_disk_bytes and \
         what other uploads were promised"
    )
}

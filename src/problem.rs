//! Problem details for HTTP APIs (RFC 9457): the body of every answer that isn't a success, and
//! the one place where an [`ErrorKind`] becomes a status.
//!
//! Not here: what the delivery of objects answers (see `origin`), whose errors caches may keep.

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::error::{JsonPayloadError, QueryPayloadError};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, Resource, ResponseError, web};
use serde::Serialize;

use crate::error::{Error, ErrorKind};
use crate::layout;

/// The media type of a problem.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The longest JSON body that is read, in bytes.
pub const JSON_BYTES_MAX: usize = 256 << 10;

/// Seconds after which a caller may try again what is only unavailable for the moment.
const RETRY_AFTER_S: u32 = 5;

/// How every `type` begins; what follows names the problem and never changes.
const TYPE_PREFIX: &str = "urn:headwater:problem:";

/// One fault of a request with several parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Fault {
    /// The parameter, field or header at fault.
    pub parameter: String,
    /// What is wrong with it, and what would be right.
    pub detail: String,
}

/// A limit of this server that a request ran into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Limit {
    /// Its name in the configuration.
    #[schema(examples("max_upload_bytes"))]
    pub name: String,
    /// Its value.
    pub value: u64,
}

/// Problem details, RFC 9457.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct Details {
    /// Which kind of problem it is; never changes its meaning.
    #[serde(rename = "type")]
    #[schema(examples("urn:headwater:problem:not-found"))]
    pub kind: String,
    /// The kind of problem in a few words.
    pub title: String,
    /// The HTTP status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What went wrong this time, and how to mend it.
    pub detail: String,
    /// The limit that was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub limit: Option<Limit>,
    /// The parts of the request at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<Fault>,
}

/// An answer that isn't a success.
#[derive(Debug)]
pub struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    details: Details,
    headers: Vec<(HeaderName, HeaderValue)>,
    closes: bool,
    cause: Option<Error>,
}

impl Problem {
    /// A problem of the kind `name` (a few hyphenated words).
    pub fn new(status: StatusCode, name: &str, title: &str, detail: impl Into<String>) -> Self {
        let details = Details {
            kind: format!("{TYPE_PREFIX}{name}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            limit: None,
            errors: Vec::new(),
        };
        Self(Box::new(Parts {
            status,
            details,
            headers: Vec::new(),
            closes: false,
            cause: None,
        }))
    }

    /// 400: the request can't be understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-request",
            "Bad request",
            detail,
        )
    }

    /// 401: no key, or one that isn't known.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        let status = StatusCode::UNAUTHORIZED;
        let realm = HeaderValue::from_static("Bearer realm=\"headwater\"");
        Self::new(status, "unauthorized", "A key is needed", detail)
            .with_header(header::WWW_AUTHENTICATE, realm)
    }

    /// 403: known who it is, and it may not.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
    }

    /// 404: `thing` (with its article) isn't there.
    pub fn not_found(thing: &str) -> Self {
        let detail = format!("there is no such {thing}");
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// 405: the resource has only the methods in `allow`, a list for the header of that name.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let detail = format!("this resource allows only {allow}");
        Self::new(status, "method-not-allowed", "Method not allowed", detail)
            .with_header(header::ALLOW, HeaderValue::from_static(allow))
    }

    /// 408: the body came too slowly. The connection is closed.
    pub fn timeout(detail: impl Into<String>, limit: &str, value: u64) -> Self {
        let status = StatusCode::REQUEST_TIMEOUT;
        Self::new(status, "too-slow", "Too slow", detail)
            .with_limit(limit, value)
            .closing()
    }

    /// 409: not in the state the thing is in now.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "Conflict", detail)
    }

    /// 410: it was there, and never will be again.
    pub fn gone(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "gone", "Gone", detail)
    }

    /// 413: more bytes than the limit of that name allows.
    pub fn too_large(limit: &str, value: u64) -> Self {
        let detail = format!("more bytes than {limit} allows, which is {value}");
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self::new(status, "too-large", "Too large", detail).with_limit(limit, value)
    }

    /// 415: a body of another type than the resource takes.
    pub fn unsupported_type(detail: impl Into<String>) -> Self {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(status, "unsupported-type", "Unsupported type", detail)
    }

    /// 422: understood, but it makes no sense.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::new(status, "unprocessable", "Not acceptable as it is", detail)
    }

    /// 422 with the parameter at fault.
    pub fn bad_parameter(parameter: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let mut problem = Self::unprocessable(format!("{parameter}: {detail}"));
        problem.0.details.errors.push(Fault {
            parameter: parameter.to_owned(),
            detail,
        });
        problem
    }

    /// 423: somebody else is at it.
    pub fn locked(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::LOCKED, "locked", "Locked", detail).retry_after(1)
    }

    /// 429: as many at once as the limit of that name allows.
    pub fn too_many(limit: &str, value: u64) -> Self {
        let detail = format!("{limit} allows {value} at once; try again in a moment");
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::new(status, "too-many", "Too many at once", detail)
            .with_limit(limit, value)
            .retry_after(RETRY_AFTER_S)
    }

    /// 503: not now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "unavailable", "Not available now", detail).retry_after(RETRY_AFTER_S)
    }

    /// 507: the disk has no room for it.
    pub fn out_of_space(detail: impl Into<String>) -> Self {
        let status = StatusCode::INSUFFICIENT_STORAGE;
        Self::new(status, "out-of-space", "Out of space", detail)
    }

    /// The error as a refusal of what the caller sent: 422 where it would be 400.
    pub fn from_semantics(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Invalid => Self::unprocessable(error.to_string()).caused_by(error),
            _ => Self::from(error),
        }
    }

    /// The same with another header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// The same naming the limit that was reached.
    #[must_use]
    pub fn with_limit(mut self, name: &str, value: u64) -> Self {
        let name = name.to_owned();
        self.0.details.limit = Some(Limit { name, value });
        self
    }

    /// The same asking to come back after that many seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        self.with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// The same, and the connection is closed after it.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.0.closes = true;
        self
    }

    fn caused_by(mut self, error: Error) -> Self {
        self.0.cause = Some(error);
        self
    }

    /// What the caller is told.
    pub fn details(&self) -> &Details {
        &self.0.details
    }

    /// The error behind it, for the log: its text may say more than the caller is told.
    pub fn cause(&self) -> Option<&Error> {
        self.0.cause.as_ref()
    }
}

/// One match from kind to status.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let said = error.to_string();
        let problem = match error.kind() {
            ErrorKind::Invalid => Self::bad_request(said),
            ErrorKind::Unsupported => Self::unprocessable(said),
            ErrorKind::NotFound => Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", said),
            ErrorKind::Conflict => Self::conflict(said),
            ErrorKind::Exhausted => exhausted(&error),
            ErrorKind::Unavailable => Self::unavailable("something this needs is away; try again"),
            ErrorKind::DataLoss => internal("stored bytes are missing or damaged"),
            ErrorKind::Internal => internal("a fault of this server, not of the request"),
        };
        problem.caused_by(error)
    }
}

/// A full disk is told from a limit of ours by what caused the error.
fn exhausted(error: &Error) -> Problem {
    let cause = std::error::Error::source(error);
    let io = cause.and_then(|cause| cause.downcast_ref::<std::io::Error>());
    match io.map(std::io::Error::kind) {
        Some(std::io::ErrorKind::FileTooLarge) => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "Too large",
            "longer than the file system's files may be",
        ),
        Some(_) => Problem::out_of_space("the disk is full; make room and try again"),
        None => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many",
            "Too many at once",
            error.to_string(),
        )
        .retry_after(RETRY_AFTER_S),
    }
}

fn internal(detail: &str) -> Problem {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Problem::new(status, "internal", "Internal error", detail)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.status.as_u16(), self.0.details.detail)?;
        match &self.0.cause {
            Some(cause) if cause.to_string() != self.0.details.detail => write!(f, " ({cause})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::build(self.0.status);
        response
            .insert_header((header::CONTENT_TYPE, CONTENT_TYPE))
            .insert_header((header::CACHE_CONTROL, layout::PRIVATE))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        for (name, value) in &self.0.headers {
            response.insert_header((name.clone(), value.clone()));
        }
        if self.0.closes {
            response.force_close();
        }
        let body = serde_json::to_vec(&self.0.details).expect("plain data is JSON");
        response.body(body)
    }
}

/// Makes actix's own refusals (bad JSON, bad path, bad query) problems.
pub fn configure(config: &mut web::ServiceConfig) {
    let json = web::JsonConfig::default()
        .limit(JSON_BYTES_MAX)
        .error_handler(|error, _| from_json_payload(&error).into());
    let path = web::PathConfig::default()
        .error_handler(|_, _| Problem::not_found("resource: its name in the path is none").into());
    let query = web::QueryConfig::default().error_handler(|error, _| from_query(&error).into());
    config.app_data(json).app_data(path).app_data(query);
}

/// The resource answers 405 with `allow` to every method it has no route for.
pub fn only<T>(resource: Resource<T>, allow: &'static str) -> Resource<T>
where
    T: actix_web::dev::ServiceFactory<
            actix_web::dev::ServiceRequest,
            Config = (),
            Error = actix_web::Error,
            InitError = (),
        > + 'static,
{
    resource.default_service(web::to(move || async move {
        HttpResponse::from_error(Problem::method_not_allowed(allow))
    }))
}

/// The answer to a path that is no resource.
pub async fn no_such_resource() -> HttpResponse {
    HttpResponse::from_error(Problem::not_found("resource"))
}

fn from_json_payload(error: &JsonPayloadError) -> Problem {
    match error {
        JsonPayloadError::OverflowKnownLength { .. } | JsonPayloadError::Overflow { .. } => {
            Problem::too_large("json_bytes", JSON_BYTES_MAX as u64)
        }
        JsonPayloadError::ContentType => {
            Problem::unsupported_type("the body must be JSON, sent as application/json")
        }
        JsonPayloadError::Deserialize(error) => from_json(error),
        other => Problem::bad_request(other.to_string()),
    }
}

/// 400 for what is no JSON, 422 for JSON that isn't what was asked for.
pub fn from_json(error: &serde_json::Error) -> Problem {
    match error.classify() {
        serde_json::error::Category::Data => {
            Problem::unprocessable(format!("the JSON body: {error}"))
        }
        _ => Problem::bad_request(format!("the body is no sound JSON: {error}")),
    }
}

fn from_query(error: &QueryPayloadError) -> Problem {
    Problem::unprocessable(format!("the query: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(problem: &Problem) -> u16 {
        problem.error_response().status().as_u16()
    }

    #[test]
    fn every_kind_has_its_status() {
        let table = [
            (ErrorKind::Invalid, 400),
            (ErrorKind::Unsupported, 422),
            (ErrorKind::NotFound, 404),
            (ErrorKind::Conflict, 409),
            (ErrorKind::Exhausted, 429),
            (ErrorKind::Unavailable, 503),
            (ErrorKind::DataLoss, 500),
            (ErrorKind::Internal, 500),
        ];
        for (kind, expected) in table {
            let problem = Problem::from(Error::new(kind, "said"));
            assert_eq!(status(&problem), expected, "{kind:?}");
        }
        let semantic = Problem::from_semantics(Error::invalid("said"));
        assert_eq!(status(&semantic), 422);
    }

    #[test]
    fn a_full_disk_is_507() {
        let full = Error::io("writing", std::io::Error::from_raw_os_error(28));
        assert_eq!(status(&Problem::from(full)), 507);
    }

    #[test]
    fn a_fault_of_ours_tells_the_caller_no_inner_thing() {
        let problem = Problem::from(Error::internal("table assets has no column x"));
        assert!(!problem.details().detail.contains("column"));
        assert!(problem.to_string().contains("column"));
    }

    #[test]
    fn no_problem_is_kept_by_a_cache() {
        let response = Problem::too_large("max_upload_bytes", 7).error_response();
        let header = |name| response.headers().get(name).expect("there").as_bytes();
        assert_eq!(header(header::CACHE_CONTROL), b"private, no-store");
        assert_eq!(header(header::CONTENT_TYPE), b"application/problem+json");
    }

    #[test]
    fn the_body_names_the_limit() {
        let problem = Problem::too_large("max_upload_bytes", 7);
        let body = serde_json::to_value(problem.details()).expect("JSON");
        assert_eq!(body["type"], "urn:headwater:problem:too-large");
        assert_eq!(body["status"], 413);
        assert_eq!(body["limit"]["name"], "max_upload_bytes");
        assert!(body.get("errors").is_none());
    }
}

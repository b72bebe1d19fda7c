//! Errors as RFC 9457 problem details: the one place that maps a kind to an HTTP status.

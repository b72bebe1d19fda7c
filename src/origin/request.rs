//! A request for delivery, whoever parsed it, and the refusal of one.

use std::net::IpAddr;

/// The longest head of a request in bytes, request line and all fields.
pub const HEAD_BYTES_MAX: usize = 32 << 10;
/// The longest request target in bytes.
pub const TARGET_BYTES_MAX: usize = 8 << 10;

/// One header field as it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name, in any case.
    pub name: &'a str,
    /// Its value without the white space around it; not always text.
    pub value: &'a [u8],
}

/// The methods that delivery tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// OPTIONS: a preflight.
    Options,
    /// POST: only licences are asked for so.
    Post,
    /// Any other, which is refused.
    Other,
}

/// What delivery reads of a request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What is asked.
    pub method: Method,
    /// The path as it was received, with its escapes, without the query.
    pub path: &'a str,
    /// What follows the first question mark.
    pub query: Option<&'a str>,
    /// The header fields in the order received.
    pub fields: &'a [Field<'a>],
    /// The other end of the connection: a client, or the nearest proxy.
    pub peer: IpAddr,
    /// Whether the connection is TLS.
    pub is_secure: bool,
    /// Whether the other end showed a client certificate that was verified.
    pub is_certified: bool,
}

impl<'a> Request<'a> {
    /// The value of the first field `name`, if it is visible text.
    pub fn field(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// The value of the field `name`, if there is exactly one and it is visible text.
    pub fn only(&self, name: &str) -> Option<&'a str> {
        let mut values = self.all(name);
        let value = values.next();
        value.filter(|_| values.next().is_none())
    }

    /// The values of all fields `name` that are visible text, in order.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let named = move |field: &&Field<'a>| field.name.eq_ignore_ascii_case(name);
        let text = |field: &Field<'a>| std::str::from_utf8(field.value).ok();
        self.fields.iter().filter(named).filter_map(text)
    }
}

/// Why a request gets no object: an answer with problem details (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status, 400 to 599.
    pub status: u16,
    /// What is wrong and how to mend it; tells nothing that the sender may not know.
    pub detail: &'static str,
    /// Seconds after which to ask again.
    pub retry_after: Option<u32>,
}

/// Whether a `Host` field can be a host's name, with or without a port.
pub fn is_host(text: &[u8]) -> bool {
    let sign = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:[]%~".contains(byte);
    text.iter().all(sign)
}

impl Refusal {
    /// 400: no host, several, or another than the target's.
    pub const HOST: Self = Self {
        status: 400,
        detail: "a request has exactly one Host field, the target's host",
        retry_after: None,
    };

    /// 400: the body is no request for a licence.
    pub const LICENSE: Self = Self {
        status: 400,
        detail: "a request for a ClearKey licence is JSON: {\"kids\": [\"..\"], \"type\": \"temporary\"}",
        retry_after: None,
    };

    /// 408: the body takes too long to arrive.
    pub const BODY_TOO_SLOW: Self = Self {
        status: 408,
        detail: "the body did not arrive in time",
        retry_after: None,
    };

    /// 413: the body is longer than any that is sensible.
    pub const BODY_TOO_LONG: Self = Self {
        status: 413,
        detail: "a request for a licence has at most 8 KiB",
        retry_after: None,
    };

    /// 414, see [`TARGET_BYTES_MAX`].
    pub const TARGET_TOO_LONG: Self = Self {
        status: 414,
        detail: "a URL has at most 8 KiB",
        retry_after: None,
    };

    /// 431, see [`HEAD_BYTES_MAX`].
    pub const HEAD_TOO_LONG: Self = Self {
        status: 431,
        detail: "the header fields have at most 32 KiB",
        retry_after: None,
    };

    /// 403: may not have it. The same words for every reason, so that nothing is learnt by trying.
    pub const FORBIDDEN: Self = Self {
        status: 403,
        detail: "this request is not allowed here",
        retry_after: None,
    };
}

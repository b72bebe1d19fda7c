//! What is told of each request: to the metrics, and to the access log.

use std::time::Duration;

use super::Origin;
use super::request::Request;
use crate::telemetry::{Answered, Class, CmcdFound, Entry, Source, Tls, Version};

/// What became of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The method as received.
    pub method: &'a str,
    /// The version of HTTP.
    pub version: Version,
    /// The version of TLS.
    pub tls: Tls,
    /// The status of the answer.
    pub status: u16,
    /// What it was about.
    pub class: Class,
    /// Where the object came from, if one was looked for.
    pub source: Option<Source>,
    /// Bytes of the body that were sent.
    pub bytes: u64,
    /// Whether all of it was sent.
    pub is_complete: bool,
    /// From the request's first bytes to the first of the answer.
    pub first_byte: Duration,
    /// From the request's first bytes to the last of the answer.
    pub total: Duration,
}

impl Origin {
    /// Counts a request, and logs it where a log is kept.
    pub fn tell(&self, request: &Request<'_>, told: &Told<'_>) {
        let answered = Answered {
            class: told.class,
            status: told.status,
            bytes: told.bytes,
            first_byte_micros: micros(told.first_byte),
            total_micros: micros(told.total),
            is_complete: told.is_complete,
            version: told.version,
            tls: told.tls,
        };
        self.0.metrics.answered(&answered);
        let fields = request.fields.iter().map(|field| (field.name, field.value));
        let report = CmcdFound::of(request.query, fields);
        self.0.metrics.reported(&report);
        if let Some(log) = &self.0.access_log {
            log.write(&self.entry(request, told, &answered, &report));
        }
    }

    fn entry<'a>(
        &self,
        request: &Request<'a>,
        told: &Told<'a>,
        answered: &Answered,
        report: &'a CmcdFound,
    ) -> Entry<'a> {
        let took = i64::try_from(told.total.as_millis()).unwrap_or(0);
        Entry {
            time_millis: self.0.clock.now_millis() - took,
            client: self.0.client(request),
            peer: request.peer,
            method: told.method,
            host: request.field("host"),
            path: request.path,
            query: request.query,
            version: told.version,
            tls: told.tls,
            status: told.status,
            bytes: told.bytes,
            is_complete: told.is_complete,
            first_byte_micros: answered.first_byte_micros,
            total_micros: answered.total_micros,
            range: request.field("range"),
            referer: request.field("referer"),
            user_agent: request.field("user-agent"),
            source: told.source,
            cloudfront_id: request.field("x-amz-cf-id"),
            via: request.field("via"),
            cmcd: report.report(),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

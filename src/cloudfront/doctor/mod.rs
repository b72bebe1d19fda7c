//! Asks a running CDN for a presentation and says what is well, what isn't, and how to mend it.
//!
//! Three steps that know nothing of each other: [`collect`] asks and keeps what was answered,
//! [`judge`] finds fault with it (pure), [`Report`] says it. It works for any CDN that says hit or
//! miss in one of the usual headers (RFC 9211 and those before it).

mod answer;
mod client;
mod collect;
mod evidence;
mod judge;
mod objects;
mod report;

#[cfg(test)]
mod tests;

pub use report::{Finding, Report, Verdict};

use url::Url;

use super::template::rules;
use crate::clock::Clock;
use crate::error::{Error, Result};

/// What to examine.
#[derive(Debug, Clone)]
pub struct Options {
    /// An HLS or DASH entry point, through the CDN.
    pub url: String,
    /// Header fields to send to the CDN with every request, such as signed cookies.
    pub fields: Vec<(String, String)>,
    /// The origin of a page that plays the streams.
    pub page: String,
    /// Our server, around the CDN: its lock and its connections are examined too.
    pub origin: Option<Origin>,
}

/// Our server, around the CDN.
#[derive(Debug, Clone)]
pub struct Origin {
    /// What its URLs begin with: scheme, host and port.
    pub url: String,
    /// The header field that opens its lock.
    pub secret: Option<(String, String)>,
    /// Seconds to leave a connection idle and then use it again; 0 leaves that out.
    pub idle_seconds: u32,
}

impl Origin {
    /// How long a connection is left idle unless another time is asked for: a second longer than
    /// CloudFront keeps it, as our templates have it.
    pub const IDLE_SECONDS: u32 = rules::KEEP_ALIVE_TIMEOUT + 1;
}

/// A page that is nobody's.
pub const PAGE: &str = "https://player.example";

/// Examines a presentation; `tell` hears what takes long.
///
/// # Errors
/// Invalid when a URL is none; Unavailable when the CDN can't be reached at all. What is wrong
/// with an answer is in the report.
pub fn examine(options: &Options, clock: &Clock, tell: &dyn Fn(&str)) -> Result<Report> {
    let entry = parse(&options.url)?;
    if let Some(origin) = &options.origin {
        parse(&origin.url)?;
    }
    let evidence = collect::collect(options, entry, tell)?;
    let findings = judge::judge(&evidence, clock.now_millis());
    Ok(Report::new(evidence.entry.url.clone(), findings))
}

fn parse(url: &str) -> Result<Url> {
    let parsed = Url::parse(url).ok();
    let usable = parsed.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    usable.ok_or_else(|| {
        Error::invalid(format!(
            "{url}: write a whole URL, for example https://video.example.com/v/cats/index.m3u8"
        ))
    })
}

//! What is counted of requests and connections.
//!
//! Labels have few values each: classes of objects, statuses, reasons. No path, address or
//! session is one.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use super::cmcd::Found;
use super::histogram::{Counted, Histogram, SECONDS};
use super::labels::{
    Class, DemandOutcome, Refused, STATUSES, Tls, Version, status_label, status_place,
};
use super::reports::Reports;
use super::sample::{self, Format, Sample, Value};
use super::shards::Shards;

/// A request that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// What it was for.
    pub class: Class,
    /// The status of the answer.
    pub status: u16,
    /// Bytes of the body that were sent.
    pub bytes: u64,
    /// Microseconds from the request's head to the first byte of the answer.
    pub first_byte_micros: u64,
    /// Microseconds from the request's head to the last byte of the answer.
    pub total_micros: u64,
    /// Whether all of the body was sent.
    pub is_complete: bool,
    /// The version of HTTP.
    pub version: Version,
    /// The version of TLS.
    pub tls: Tls,
}

/// What one thread counts.
#[derive(Debug)]
struct Counters {
    requests: [[AtomicU64; STATUSES.len()]; Class::COUNT],
    bytes: [AtomicU64; Class::COUNT],
    cut: [AtomicU64; Class::COUNT],
    first_byte: [Histogram; Class::COUNT],
    total: [Histogram; Class::COUNT],
    protocols: [[AtomicU64; Tls::COUNT]; Version::COUNT],
    /// May be below zero in one copy: a request may end on another thread than it began on.
    in_flight: AtomicI64,
    connections: AtomicI64,
    accepted: AtomicU64,
}

impl Counters {
    fn new() -> Self {
        Self {
            requests: Default::default(),
            bytes: Default::default(),
            cut: Default::default(),
            first_byte: std::array::from_fn(|_| Histogram::seconds()),
            total: std::array::from_fn(|_| Histogram::seconds()),
            protocols: Default::default(),
            in_flight: AtomicI64::new(0),
            connections: AtomicI64::new(0),
            accepted: AtomicU64::new(0),
        }
    }
}

type Source = Box<dyn Fn() -> Vec<Sample> + Send + Sync>;

struct Shared {
    counters: Shards<Counters>,
    refused: [AtomicU64; Refused::COUNT],
    demand: [Histogram; DemandOutcome::COUNT],
    reports: Reports,
    sources: RwLock<Vec<Source>>,
}

/// The counters of the whole server; clones count in the same ones.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Counts one while it lives.
#[derive(Debug)]
#[must_use = "it counts only while it lives"]
pub struct InFlight<'a>(&'a AtomicI64);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An open connection; to be dropped when it is closed.
pub type Connection<'a> = InFlight<'a>;

fn one_more(gauge: &AtomicI64) -> InFlight<'_> {
    gauge.fetch_add(1, Ordering::Relaxed);
    InFlight(gauge)
}

fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Metrics {
    /// Nothing is counted yet.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                counters: Shards::new(Counters::new),
                refused: Default::default(),
                demand: std::array::from_fn(|_| Histogram::seconds()),
                reports: Reports::new(),
                sources: RwLock::default(),
            }),
        }
    }

    /// A request was answered, or its answer was cut off.
    pub fn answered(&self, answered: &Answered) {
        let counters = self.shared.counters.mine();
        let class = answered.class.place();
        increment(&counters.requests[class][status_place(answered.status)]);
        counters.bytes[class].fetch_add(answered.bytes, Ordering::Relaxed);
        if !answered.is_complete {
            increment(&counters.cut[class]);
        }
        counters.first_byte[class].observe(answered.first_byte_micros);
        counters.total[class].observe(answered.total_micros);
        increment(&counters.protocols[answered.version.place()][answered.tls.place()]);
    }

    /// A request is being answered until the guard is dropped.
    pub fn in_flight(&self) -> InFlight<'_> {
        one_more(&self.shared.counters.mine().in_flight)
    }

    /// A connection was accepted and is open until the guard is dropped.
    pub fn connected(&self) -> Connection<'_> {
        let counters = self.shared.counters.mine();
        increment(&counters.accepted);
        one_more(&counters.connections)
    }

    /// A connection or a request was turned away.
    pub fn refused(&self, reason: Refused) {
        increment(&self.shared.refused[reason.place()]);
    }

    /// A request waited `micros` for its segment to be made.
    pub fn demand_waited(&self, outcome: DemandOutcome, micros: u64) {
        self.shared.demand[outcome.place()].observe(micros);
    }

    /// A request had this of a player's report.
    pub fn reported(&self, found: &Found) {
        self.shared.reports.add(found);
    }

    /// Has samples that are counted elsewhere written too: `source` is asked each time, and must
    /// not wait for anything.
    pub fn register(&self, source: impl Fn() -> Vec<Sample> + Send + Sync + 'static) {
        let sources = self.shared.sources.write();
        let mut sources = sources.unwrap_or_else(std::sync::PoisonError::into_inner);
        sources.push(Box::new(source));
    }

    /// All metrics as text, with `more` samples at the end.
    pub fn text(&self, more: Vec<Sample>, format: Format) -> String {
        let mut samples = self.of_requests();
        samples.extend(self.of_connections());
        samples.extend(self.of_demand());
        samples.extend(self.shared.reports.samples());
        let sources = self.shared.sources.read();
        for source in sources
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .iter()
        {
            samples.extend(source());
        }
        samples.extend(more);
        sample::text(samples, format)
    }

    fn sum(&self, of: impl Fn(&Counters) -> &AtomicU64) -> u64 {
        let counters = self.shared.counters.all();
        counters.map(|c| of(c).load(Ordering::Relaxed)).sum()
    }

    fn gauge(&self, of: impl Fn(&Counters) -> &AtomicI64) -> i64 {
        let counters = self.shared.counters.all();
        let sum: i64 = counters.map(|c| of(c).load(Ordering::Relaxed)).sum();
        sum.max(0)
    }

    fn histogram(&self, of: impl Fn(&Counters) -> &Histogram) -> Counted {
        let mut counted = Counted::none(&SECONDS);
        for counters in self.shared.counters.all() {
            counted.add(&of(counters).counted());
        }
        counted
    }

    /// By class and status those that there were; by class alone all.
    fn of_requests(&self) -> Vec<Sample> {
        let mut samples = Vec::new();
        let name = "headwater_http_requests";
        for class in Class::ALL {
            for place in 0..STATUSES.len() {
                let count = self.sum(|c| &c.requests[class.place()][place]);
                if count > 0 {
                    let sample = Sample::counter(name, "Requests answered.", count);
                    let sample = sample.label("class", class.label());
                    samples.push(sample.label("status", status_label(place)));
                }
            }
        }
        let mut by_class = |name, help, value: &dyn Fn(usize) -> Value| {
            for class in Class::ALL {
                let sample = Sample::new(name, help, value(class.place()));
                samples.push(sample.label("class", class.label()));
            }
        };
        by_class(
            "headwater_http_response_bytes",
            "Bytes of bodies sent.",
            &|class| Value::Counter(self.sum(|c| &c.bytes[class])),
        );
        by_class(
            "headwater_http_responses_cut",
            "Answers that ended before their bodies did.",
            &|class| Value::Counter(self.sum(|c| &c.cut[class])),
        );
        by_class(
            "headwater_http_first_byte_seconds",
            "From a request's head to the first byte of its answer.",
            &|class| Value::Histogram(self.histogram(|c| &c.first_byte[class])),
        );
        by_class(
            "headwater_http_response_seconds",
            "From a request's head to the last byte of its answer.",
            &|class| Value::Histogram(self.histogram(|c| &c.total[class])),
        );
        samples
    }

    fn of_connections(&self) -> Vec<Sample> {
        let mut samples = Vec::new();
        for version in Version::ALL {
            for tls in Tls::ALL {
                let count = self.sum(|c| &c.protocols[version.place()][tls.place()]);
                let name = "headwater_http_requests_by_protocol";
                let sample = Sample::counter(name, "Requests by protocol.", count);
                let sample = sample.label("version", version.label());
                samples.push(sample.label("tls", tls.label()));
            }
        }
        samples.extend([
            Sample::gauge(
                "headwater_http_requests_in_flight",
                "Requests being answered.",
                self.gauge(|c| &c.in_flight),
            ),
            Sample::gauge(
                "headwater_connections_open",
                "Connections that are open.",
                self.gauge(|c| &c.connections),
            ),
            Sample::counter(
                "headwater_connections_accepted",
                "Connections accepted.",
                self.sum(|c| &c.accepted),
            ),
        ]);
        for reason in Refused::ALL {
            let count = self.shared.refused[reason.place()].load(Ordering::Relaxed);
            let help = "Connections and requests turned away.";
            let sample = Sample::counter("headwater_refused", help, count);
            samples.push(sample.label("reason", reason.label()));
        }
        samples
    }

    fn of_demand(&self) -> Vec<Sample> {
        let name = "headwater_demand_wait_seconds";
        let help = "How long requests waited for a segment to be made.";
        let sample = |outcome: &DemandOutcome| {
            let waited = &self.shared.demand[outcome.place()];
            Sample::histogram(name, help, waited).label("outcome", outcome.label())
        };
        DemandOutcome::ALL.iter().map(sample).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(class: Class, status: u16) -> Answered {
        Answered {
            class,
            status,
            bytes: 1000,
            first_byte_micros: 80,
            total_micros: 400,
            is_complete: status != 206,
            version: Version::Http11,
            tls: Tls::Tls13,
        }
    }

    fn text(metrics: &Metrics) -> String {
        metrics.text(Vec::new(), Format::Prometheus)
    }

    #[track_caller]
    fn assert_has(metrics: &Metrics, lines: &[&str]) {
        let text = text(metrics);
        for line in lines {
            assert!(text.lines().any(|has| has == *line), "{line} in {text}");
        }
    }

    #[test]
    fn requests_are_counted_by_class_and_status() {
        let metrics = Metrics::new();
        for status in [200, 200, 206, 299, 599, 600, 99] {
            metrics.answered(&answered(Class::Segment, status));
        }
        let requests = "headwater_http_requests_total{class=\"segment\",status";
        assert_has(
            &metrics,
            &[
                &format!("{requests}=\"200\"}} 2"),
                &format!("{requests}=\"206\"}} 1"),
                &format!("{requests}=\"other\"}} 4"),
                "headwater_http_response_bytes_total{class=\"segment\"} 7000",
                "headwater_http_responses_cut_total{class=\"segment\"} 1",
                "headwater_http_first_byte_seconds_bucket{class=\"segment\",le=\"0.0001\"} 7",
                "headwater_http_requests_by_protocol_total{version=\"1.1\",tls=\"1.3\"} 7",
            ],
        );
    }

    #[test]
    fn what_several_threads_count_is_added_up() {
        let metrics = Metrics::new();
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| metrics.answered(&answered(Class::Entry, 304)));
            }
        });
        let line = "headwater_http_requests_total{class=\"entry\",status=\"304\"} 20";
        assert_has(&metrics, &[line]);
    }

    #[test]
    fn guards_count_what_lasts_wherever_they_end() {
        let metrics = Metrics::new();
        let (request, connection) = (metrics.in_flight(), metrics.connected());
        assert_has(
            &metrics,
            &[
                "headwater_http_requests_in_flight 1",
                "headwater_connections_open 1",
            ],
        );
        std::thread::scope(|scope| drop(scope.spawn(move || drop((request, connection)))));
        assert_has(
            &metrics,
            &[
                "headwater_http_requests_in_flight 0",
                "headwater_connections_open 0",
                "headwater_connections_accepted_total 1",
            ],
        );
    }

    #[test]
    fn players_reports_are_added_up_without_their_sessions() {
        let metrics = Metrics::new();
        let of = |query| Found::of(Some(query), std::iter::empty());
        metrics.reported(&of(
            "CMCD=ot%3Dv,sf%3Dh,bs,bl%3D700,br%3D3000,sid%3D%22secret%22",
        ));
        metrics.reported(&of("CMCD=ot%3Dnonsense"));
        metrics.reported(&of("other=1"));
        assert_has(
            &metrics,
            &[
                "headwater_cmcd_requests_total{ot=\"v\",sf=\"h\",st=\"none\"} 1",
                "headwater_cmcd_starved_total{ot=\"v\"} 1",
                "headwater_cmcd_invalid_total 1",
                "headwater_cmcd_buffer_seconds_bucket{le=\"1\"} 1",
                "headwater_cmcd_bitrate_kbps_count 1",
            ],
        );
        assert!(!text(&metrics).contains("secret"));
    }

    #[test]
    fn what_is_counted_elsewhere_is_told_too() {
        let metrics = Metrics::new();
        metrics.register(|| vec![Sample::counter("headwater_cache_hits", "Hits.", 7)]);
        metrics.refused(Refused::SlowReader);
        metrics.demand_waited(DemandOutcome::Late, 10_000_000);
        assert_has(
            &metrics,
            &[
                "headwater_cache_hits_total 7",
                "headwater_refused_total{reason=\"slow_reader\"} 1",
                "headwater_demand_wait_seconds_sum{outcome=\"late\"} 10.0",
            ],
        );
    }
}

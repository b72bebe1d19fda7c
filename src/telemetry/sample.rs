//! One value of one metric, and the text that a list of them makes.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{self, DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;

use super::histogram::{Counted, Histogram};

/// A value of a metric at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric's name with its unit: `headwater_store_read_bytes`; the text adds `_total` to
    /// a counter's. Samples of one metric follow each other.
    pub name: &'static str,
    /// What it tells, as a sentence.
    pub help: &'static str,
    /// Label names and values; of each there may only be few.
    pub labels: Vec<(&'static str, String)>,
    /// What it is.
    pub value: Value,
}

/// A value, and what kind of metric it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number that only grows.
    Counter(u64),
    /// A number that goes up and down.
    Gauge(i64),
    /// How often values lay between which bounds.
    Histogram(Counted),
}

impl Sample {
    /// A counter without labels.
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self::new(name, help, Value::Counter(value))
    }

    /// A gauge without labels.
    pub fn gauge(name: &'static str, help: &'static str, value: i64) -> Self {
        Self::new(name, help, Value::Gauge(value))
    }

    /// A histogram without labels.
    pub fn histogram(name: &'static str, help: &'static str, value: &Histogram) -> Self {
        Self::new(name, help, Value::Histogram(value.counted()))
    }

    pub(super) fn new(name: &'static str, help: &'static str, value: Value) -> Self {
        Self {
            name,
            help,
            labels: Vec::new(),
            value,
        }
    }

    /// The same with one label more.
    #[must_use]
    pub fn label(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.labels.push((name, value.into()));
        self
    }

    fn kind(&self) -> MetricType {
        match self.value {
            Value::Counter(_) => MetricType::Counter,
            Value::Gauge(_) => MetricType::Gauge,
            Value::Histogram(_) => MetricType::Histogram,
        }
    }

    fn write(&self, metric: &mut MetricEncoder<'_>) -> fmt::Result {
        let labels = self.labels.as_slice();
        let mut metric = metric.encode_family(&labels)?;
        match &self.value {
            Value::Counter(value) => metric.encode_counter(value, NO_EXEMPLAR),
            Value::Gauge(value) => metric.encode_gauge(value),
            Value::Histogram(counted) => metric.encode_histogram::<NoLabelSet>(
                counted.sum(),
                counted.count(),
                &counted.buckets(),
                None,
            ),
        }
    }
}

const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, u64>> = None;

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own text, which everything reads.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The one that `accept`, the value of an `Accept` header, asks for.
    pub fn accepted(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => encoding::prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The samples as text.
pub(super) fn text(samples: Vec<Sample>, format: Format) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Samples(samples)));
    let mut text = String::new();
    let written = match format {
        Format::Prometheus => encoding::prometheus_text::encode(&mut text, &registry),
        Format::OpenMetrics => encoding::text::encode(&mut text, &registry),
    };
    written.expect("nothing fails that is written to a string");
    text
}

#[derive(Debug)]
struct Samples(Vec<Sample>);

impl Collector for Samples {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in self.0.chunk_by(|one, next| one.name == next.name) {
            let first = &metric[0];
            let mut writer =
                encoder.encode_descriptor(first.name, first.help, None, first.kind())?;
            for sample in metric {
                sample.write(&mut writer)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_written_as_prometheus_reads_them() {
        let reads = |result| Sample::counter("x_reads", "Reads.", 3).label("result", result);
        let histogram = Histogram::seconds();
        histogram.observe(70);
        let samples = vec![
            reads("ok"),
            reads("a\"b\n"),
            Sample::gauge("x_open", "Open.", 2),
            Sample::histogram("x_wait_seconds", "Waits.", &histogram),
        ];
        let text = text(samples, Format::Prometheus);
        let begin = "# HELP x_reads_total Reads.\n# TYPE x_reads_total counter\n\
            x_reads_total{result=\"ok\"} 3\nx_reads_total{result=\"a\\\"b\\n\"} 3\n\
            # HELP x_open Open.\n# TYPE x_open gauge\n";
        assert!(text.starts_with(begin), "{text}");
        for line in [
            "x_open 2",
            "x_wait_seconds_bucket{le=\"5e-05\"} 0\n",
            "x_wait_seconds_bucket{le=\"0.0001\"} 1\n",
            "x_wait_seconds_bucket{le=\"+Inf\"} 1\n",
            "x_wait_seconds_sum 0.00007\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn open_metrics_is_written_for_who_asks_for_it() {
        let accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.4";
        assert_eq!(Format::accepted(Some(accept)), Format::OpenMetrics);
        assert_eq!(Format::accepted(Some("*/*")), Format::Prometheus);
        assert_eq!(Format::accepted(None), Format::Prometheus);
        let text = text(vec![Sample::counter("x", "X.", 1)], Format::OpenMetrics);
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}

//! `headwater batch SRC --out DIR|URL`: a whole library.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;

use super::package::stop_on_signal;
use super::policy::PolicyArguments;
use super::{print, print_json, say};
use crate::error::{Error, ErrorKind, Result};
use crate::library::{
    self, CATALOGUE_NAME, Entry, Filter, Forecast, Found, Options, Outcome, Prices, Sources, State,
    Watcher,
};
use crate::media::Failure;
use crate::package::{Event, Progress};
use crate::sandbox;
use crate::store::BlockingStore;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The folder that the titles lie in, at any depth: a directory, or s3://bucket/prefix
    source: PathBuf,
    /// Where the streams go: a directory, or s3://bucket/prefix
    #[arg(long, value_name = "DIR|URL", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    out: String,
    #[command(flatten)]
    policy: PolicyArguments,
    /// Only files whose name, or path below SRC, matches; may be given again [default: the usual
    /// names of video and audio]
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    include: Vec<String>,
    /// No files whose name, or path below SRC, matches; may be given again
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    exclude: Vec<String>,
    /// Tasks at a time, over all titles [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Begin no more titles once so many have failed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_failures: Option<u64>,
    /// Try again what failed before for what is in it
    #[arg(long)]
    retry_failed: bool,
    /// Show what would be made, and what it would cost; makes nothing
    #[arg(long)]
    dry_run: bool,
    /// Prices for --dry-run (TOML): currency, cpu_hour, storage_gb_month, puts_1000
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    prices: Option<PathBuf>,
    /// Refuse to decode where the system can't confine the decoder fully
    #[arg(long)]
    strict_sandbox: bool,
    /// Print one result object on stdout
    #[arg(long)]
    json: bool,
}

fn parse_pattern(text: &str) -> Result<String, String> {
    let pattern = [text.to_owned()];
    match Filter::new(&pattern, &[]) {
        Ok(_) => Ok(text.to_owned()),
        Err(e) => Err(e.to_string()),
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    let options = arguments.options()?;
    let filter = Filter::new(&arguments.include, &arguments.exclude)?;
    let sources = arguments.sources(&filter)?;
    for note in &sources.notes {
        say(&format!("note: {note}"));
    }
    if arguments.dry_run {
        return show_forecast(arguments, &sources, &options);
    }
    let stop = stop_on_signal()?;
    let store = BlockingStore::open(&arguments.out)?;
    let shown = Shown::new();
    let outcome = library::run(&sources.titles, &store, &options, &shown, &stop);
    shown.end();
    let outcome = outcome?;
    let result = Summary::of(arguments, &sources, &outcome, started);
    if arguments.json {
        print_json(&result)?;
    } else {
        print(&result.words())?;
    }
    result.judge()
}

impl Arguments {
    fn options(&self) -> Result<Options> {
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let jobs = self.jobs.map(usize::from).and_then(NonZeroUsize::new);
        Ok(Options {
            policy: self.policy.policy()?,
            keys: self.policy.keys()?,
            jobs: jobs.unwrap_or(cores),
            sandbox: sandbox::Options {
                strict: self.strict_sandbox,
                ..sandbox::Options::default()
            },
            max_failures: self.max_failures,
            retry_failed: self.retry_failed,
        })
    }

    fn sources(&self, filter: &Filter) -> Result<Sources> {
        let source = &self.source;
        let mut sources = match source.to_str() {
            Some(url) if is_bucket(url) => Sources::find_in_bucket(url, filter),
            Some(text) => {
                let folder = text.strip_prefix("file://").unwrap_or(text);
                Sources::find(Path::new(folder), filter)
            }
            None => Sources::find(source, filter),
        }?;
        if let Some(folder) = own_folder(source, &self.out) {
            sources.leave_out(&folder);
        }
        if sources.titles.is_empty() {
            let message = format!(
                "{}: no video or audio in it; --include takes other names",
                source.display()
            );
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        Ok(sources)
    }

    fn prices(&self) -> Result<Prices> {
        let Some(path) = &self.prices else {
            return Ok(Prices::default());
        };
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::io(format!("reading the prices {}", path.display()), e))?;
        Prices::parse(&text).map_err(|e| e.context(path.display()))
    }
}

/// The folder below `source`, as a path in it, that the run itself writes to; `None` where `out` isn't in
/// `source`.
fn own_folder(source: &Path, out: &str) -> Option<String> {
    let (source, out) = (whole(source.to_str()?), whole(out));
    let below = out.strip_prefix(&source)?;
    match (below, below.strip_prefix('/')) {
        // Streams are under `v`; whatever else is there is the user's.
        ("", _) => Some("v".to_owned()),
        (_, Some(folder)) => Some(folder.to_owned()),
        _ => None,
    }
}

/// A place in full, without a slash at its end.
fn whole(place: &str) -> String {
    let path = place.strip_prefix("file://").unwrap_or(place);
    let whole = match is_bucket(place) {
        true => place.to_owned(),
        false => std::path::absolute(path)
            .map_or_else(|_| path.to_owned(), |path| path.display().to_string()),
    };
    whole.trim_end_matches('/').to_owned()
}

/// Whether a place is a bucket's rather than a directory.
fn is_bucket(place: &str) -> bool {
    place.contains("://") && !place.starts_with("file://")
}

// ---- what is shown while it goes on

/// A bar over all titles and one for each that is being made; lines where there is no terminal.
struct Shown {
    bars: Option<(MultiProgress, ProgressBar)>,
    state: Mutex<Counts>,
}

/// How far the run is, in titles and in bytes of their sources.
#[derive(Default)]
struct Counts {
    titles: u64,
    ended: u64,
}

impl Shown {
    fn new() -> Self {
        use std::io::IsTerminal;
        let bars = std::io::stderr().is_terminal().then(|| {
            let bars = MultiProgress::new();
            let all = bars.add(ProgressBar::new(0));
            all.set_style(style(
                "{msg} {wide_bar} {bytes} of {total_bytes} of sources, {eta} left",
            ));
            all.enable_steady_tick(Duration::from_millis(500));
            (bars, all)
        });
        Self {
            bars,
            state: Mutex::default(),
        }
    }

    fn end(&self) {
        if let Some((bars, all)) = &self.bars {
            all.finish_and_clear();
            // A terminal that is gone is no reason to fail.
            let _ = bars.clear();
        }
    }

    fn line(&self, line: &str) {
        match &self.bars {
            Some((bars, _)) => {
                let _ = bars.println(line);
            }
            None => say(line),
        }
    }
}

impl Watcher for Shown {
    fn begins(&self, titles: u64, bytes: u64) {
        if let Ok(mut state) = self.state.lock() {
            state.titles = titles;
        }
        if let Some((_, all)) = &self.bars {
            all.set_length(bytes);
            all.set_message(format!("0 of {titles} titles"));
        }
    }

    fn title(&self, found: &Found) -> Box<dyn Progress + '_> {
        let bar = self.bars.as_ref().map(|(bars, _)| {
            let bar = bars.add(ProgressBar::new(0));
            bar.set_style(style("  {prefix:30!} {wide_bar} {msg}"));
            bar.set_prefix(found.relative.clone());
            bar
        });
        Box::new(TitleBar { bar })
    }

    fn ended(&self, found: &Found, entry: &Entry) {
        let count = self.state.lock().map(|mut state| {
            state.ended += 1;
            (state.ended, state.titles)
        });
        let (ended, titles) = count.unwrap_or_default();
        if let Some((_, all)) = &self.bars {
            all.inc(found.size_bytes);
            all.set_message(format!("{ended} of {titles} titles"));
        }
        match &entry.error {
            Some(error) => self.line(&format!(
                "[{ended}/{titles}] failed: {}",
                told(&entry.source, error)
            )),
            None if self.bars.is_none() => {
                self.line(&format!("[{ended}/{titles}] {}: complete", entry.source));
            }
            None => {}
        }
    }
}

/// Why a title failed; most errors name their file.
fn told(source: &str, error: &Failure) -> String {
    let message = super::one_line(&error.message);
    match message.contains(source) {
        true => message,
        false => format!("{source}: {message}"),
    }
}

/// The bar of one title.
struct TitleBar {
    bar: Option<ProgressBar>,
}

impl Progress for TitleBar {
    fn event(&self, event: Event<'_>) {
        let Some(bar) = &self.bar else { return };
        match event {
            Event::Reading { done, total } => {
                bar.set_length(total);
                bar.set_position(done);
                bar.set_message("reading");
            }
            Event::Planned {
                segments, stored, ..
            } => {
                bar.reset();
                bar.set_length(segments);
                bar.set_position(stored);
                bar.set_message("waiting");
            }
            Event::Stored { .. } => {
                bar.inc(1);
                let left = HumanDuration(bar.eta());
                bar.set_message(format!("{left} left"));
            }
            Event::Retried { .. } => bar.set_message("once more"),
            Event::Verifying => bar.set_message("checking every rule"),
        }
    }
}

impl Drop for TitleBar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

// ---- what is said at the end

/// A title that failed.
#[derive(Debug, Serialize)]
struct Failed<'a> {
    source: &'a str,
    error: &'a Failure,
}

/// The result object of `--json`, and what a person reads.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    source: String,
    out: &'a str,
    /// Where the catalogue is.
    library: String,
    /// Titles found.
    titles: usize,
    /// Of these, those that play.
    complete: usize,
    /// Of these, those that failed, in this run or before.
    failed: Vec<Failed<'a>>,
    /// Titles made by this run.
    made: u64,
    /// Titles that this run had nothing to do for.
    skipped: u64,
    /// Titles that this run did not come to.
    left: u64,
    /// Titles in the catalogue whose files are not among those found.
    gone: usize,
    elapsed_s: f64,
}

impl<'a> Summary<'a> {
    fn of(
        arguments: &'a Arguments,
        sources: &Sources,
        outcome: &'a Outcome,
        started: Instant,
    ) -> Self {
        let titles = sources.titles.iter();
        let entries: Vec<&Entry> = titles
            .filter_map(|found| outcome.catalogue.get(&found.relative))
            .collect();
        let complete = entries.iter().filter(|e| e.state == State::Complete);
        let failed = entries.iter().filter_map(|entry| {
            let (source, error) = (entry.source.as_str(), entry.error.as_ref()?);
            Some(Failed { source, error })
        });
        Self {
            source: arguments.source.display().to_string(),
            out: &arguments.out,
            library: format!("{}/{CATALOGUE_NAME}", arguments.out.trim_end_matches('/')),
            titles: sources.titles.len(),
            complete: complete.count(),
            failed: failed.collect(),
            made: outcome.made,
            skipped: outcome.skipped,
            left: outcome.left,
            gone: outcome.catalogue.entries().count() - entries.len(),
            elapsed_s: started.elapsed().as_secs_f64(),
        }
    }

    fn words(&self) -> String {
        use std::fmt::Write;
        let mut text = String::new();
        // Writing to a String can't fail.
        for failed in &self.failed {
            let _ = writeln!(text, "failed  {}", told(failed.source, failed.error));
        }
        let _ = writeln!(
            text,
            "{} titles: {} complete ({} made now), {} failed, {} left; {:.1} s\n{}",
            self.titles,
            self.complete,
            self.made,
            self.failed.len(),
            self.left,
            self.elapsed_s,
            self.library
        );
        if !self.failed.is_empty() {
            text.push_str(
                "what failed is not tried again unless it changes; --retry-failed does\n",
            );
        }
        if self.gone > 0 {
            let _ = writeln!(
                text,
                "{} titles of the catalogue are not among these files; their streams stay",
                self.gone
            );
        }
        text
    }

    /// An error as long as a title is missing.
    fn judge(&self) -> Result<()> {
        match (self.failed.len(), self.left) {
            (0, 0) => Ok(()),
            (failed, 0) => Err(Error::invalid(format!("{failed} titles failed"))),
            (failed, left) => Err(Error::invalid(format!(
                "{failed} titles failed, which is as many as --max-failures allows; {left} were \
                 not begun"
            ))),
        }
    }
}

/// The result object of `--dry-run --json`.
#[derive(Debug, Serialize)]
struct JsonForecast<'a> {
    #[serde(flatten)]
    forecast: &'a Forecast,
    cpu_s: u64,
    bytes: u64,
    objects: u64,
    cost: JsonCost<'a>,
}

#[derive(Debug, Serialize)]
struct JsonCost<'a> {
    currency: &'a str,
    once: f64,
    monthly: f64,
}

fn show_forecast(arguments: &Arguments, sources: &Sources, options: &Options) -> Result<()> {
    let prices = arguments.prices()?;
    let forecast = match is_new(&arguments.out) {
        // Looking must not make the folder.
        true => library::forecast(&sources.titles, &BlockingStore::open("memory://")?, options),
        false => library::forecast(
            &sources.titles,
            &BlockingStore::open(&arguments.out)?,
            options,
        ),
    }?;
    let result = JsonForecast {
        cpu_s: forecast.total(|t| t.cpu_millis) / 1000,
        bytes: forecast.total(|t| t.bytes),
        objects: forecast.total(|t| t.objects),
        cost: JsonCost {
            currency: &prices.currency,
            once: prices.once(
                forecast.total(|t| t.cpu_millis),
                forecast.total(|t| t.objects),
            ),
            monthly: prices.monthly(forecast.total(|t| t.bytes)),
        },
        forecast: &forecast,
    };
    if arguments.json {
        return print_json(&result);
    }
    print(&forecast_words(&result))
}

/// Whether `out` names a directory that isn't there.
fn is_new(out: &str) -> bool {
    !out.contains("://") && std::fs::symlink_metadata(Path::new(out)).is_err()
}

fn forecast_words(result: &JsonForecast<'_>) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    // Writing to a String can't fail.
    for title in &result.forecast.titles {
        let _ = match &title.error {
            Some(error) => writeln!(
                text,
                "{}: would fail: {}",
                title.source,
                super::one_line(&error.message)
            ),
            None => writeln!(
                text,
                "{}: {:.1} s, about {} CPU s, {}",
                title.source,
                title.duration_s,
                title.cpu_millis / 1000,
                HumanBytes(title.bytes)
            ),
        };
    }
    let cost = &result.cost;
    let _ = writeln!(
        text,
        "{} titles to make, {} done; about {} of CPU, {} in {} objects, {:.2} {currency} once and \
         {:.2} {currency} a month",
        result.forecast.titles.len(),
        result.forecast.skipped,
        HumanDuration(Duration::from_secs(result.cpu_s)),
        HumanBytes(result.bytes),
        result.objects,
        cost.once,
        cost.monthly,
        currency = cost.currency,
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_writes_into_its_source_is_known() {
        for (source, out, folder) in [
            ("s3://b/films", "s3://b/films/out/", Some("out")),
            ("s3://b/films/", "s3://b/films", Some("v")),
            ("s3://b/films", "s3://b/films2", None),
            ("s3://b/films", "s3://c/films/out", None),
            ("/films", "file:///films/a/b", Some("a/b")),
            ("/films", "out", None),
        ] {
            let found = own_folder(Path::new(source), out);
            assert_eq!(found.as_deref(), folder, "{source} {out}");
        }
    }
}
